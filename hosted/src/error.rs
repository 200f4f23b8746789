//! Errors: a C `errno`, never zero, never out of range.
//!
//! C headers: `include/uapi/asm-generic/errno.h`, `include/linux/errno.h`, `include/linux/err.h`;
//! mirrors `rust/kernel/error.rs`. Left out: `to_blk_status`.

use crate::{
    alloc::{layout::LayoutError, AllocError},
    ffi::{c_int, c_void},
    fmt,
    str::CStr,
};
use core::{
    num::{NonZeroI32, TryFromIntError},
    str::Utf8Error,
};

/// The error codes, under their C names.
pub mod code {
    macro_rules! codes {
        ($($name:ident = $number:literal,)*) => {
            $(
                #[doc = concat!("`-", stringify!($name), "`, errno ", $number, ".")]
                pub const $name: super::Error = match super::Error::try_from_errno(-$number) {
                    Some(error) => error,
                    None => panic!("errno out of range"),
                };
            )*

            /// The name of a code, as `errname()` spells it.
            pub(super) fn name(errno: i32) -> Option<&'static core::ffi::CStr> {
                #[allow(unreachable_patterns, reason = "some numbers have a second name")]
                let name = match errno {
                    $($number => concat!(stringify!($name), "\0"),)*
                    _ => return None,
                };
                core::ffi::CStr::from_bytes_with_nul(name.as_bytes()).ok()
            }
        };
    }

    codes! {
        EPERM = 1,
        ENOENT = 2,
        ESRCH = 3,
        EINTR = 4,
        EIO = 5,
        ENXIO = 6,
        E2BIG = 7,
        ENOEXEC = 8,
        EBADF = 9,
        ECHILD = 10,
        EAGAIN = 11,
        ENOMEM = 12,
        EACCES = 13,
        EFAULT = 14,
        ENOTBLK = 15,
        EBUSY = 16,
        EEXIST = 17,
        EXDEV = 18,
        ENODEV = 19,
        ENOTDIR = 20,
        EISDIR = 21,
        EINVAL = 22,
        ENFILE = 23,
        EMFILE = 24,
        ENOTTY = 25,
        ETXTBSY = 26,
        EFBIG = 27,
        ENOSPC = 28,
        ESPIPE = 29,
        EROFS = 30,
        EMLINK = 31,
        EPIPE = 32,
        EDOM = 33,
        ERANGE = 34,
        EDEADLK = 35,
        ENAMETOOLONG = 36,
        ENOLCK = 37,
        ENOSYS = 38,
        ENOTEMPTY = 39,
        ELOOP = 40,
        ENOMSG = 42,
        EIDRM = 43,
        ECHRNG = 44,
        EL2NSYNC = 45,
        EL3HLT = 46,
        EL3RST = 47,
        ELNRNG = 48,
        EUNATCH = 49,
        ENOCSI = 50,
        EL2HLT = 51,
        EBADE = 52,
        EBADR = 53,
        EXFULL = 54,
        ENOANO = 55,
        EBADRQC = 56,
        EBADSLT = 57,
        EBFONT = 59,
        ENOSTR = 60,
        ENODATA = 61,
        ETIME = 62,
        ENOSR = 63,
        ENONET = 64,
        ENOPKG = 65,
        EREMOTE = 66,
        ENOLINK = 67,
        EADV = 68,
        ESRMNT = 69,
        ECOMM = 70,
        EPROTO = 71,
        EMULTIHOP = 72,
        EDOTDOT = 73,
        EBADMSG = 74,
        EFSBADCRC = 74,
        EOVERFLOW = 75,
        ENOTUNIQ = 76,
        EBADFD = 77,
        EREMCHG = 78,
        ELIBACC = 79,
        ELIBBAD = 80,
        ELIBSCN = 81,
        ELIBMAX = 82,
        ELIBEXEC = 83,
        EILSEQ = 84,
        ERESTART = 85,
        ESTRPIPE = 86,
        EUSERS = 87,
        ENOTSOCK = 88,
        EDESTADDRREQ = 89,
        EMSGSIZE = 90,
        EPROTOTYPE = 91,
        ENOPROTOOPT = 92,
        EPROTONOSUPPORT = 93,
        ESOCKTNOSUPPORT = 94,
        EOPNOTSUPP = 95,
        EPFNOSUPPORT = 96,
        EAFNOSUPPORT = 97,
        EADDRINUSE = 98,
        EADDRNOTAVAIL = 99,
        ENETDOWN = 100,
        ENETUNREACH = 101,
        ENETRESET = 102,
        ECONNABORTED = 103,
        ECONNRESET = 104,
        ENOBUFS = 105,
        EISCONN = 106,
        ENOTCONN = 107,
        ESHUTDOWN = 108,
        ETOOMANYREFS = 109,
        ETIMEDOUT = 110,
        ECONNREFUSED = 111,
        EHOSTDOWN = 112,
        EHOSTUNREACH = 113,
        EALREADY = 114,
        EINPROGRESS = 115,
        ESTALE = 116,
        EUCLEAN = 117,
        EFSCORRUPTED = 117,
        ENOTNAM = 118,
        ENAVAIL = 119,
        EISNAM = 120,
        EREMOTEIO = 121,
        EDQUOT = 122,
        ENOMEDIUM = 123,
        EMEDIUMTYPE = 124,
        ECANCELED = 125,
        ENOKEY = 126,
        EKEYEXPIRED = 127,
        EKEYREVOKED = 128,
        EKEYREJECTED = 129,
        EOWNERDEAD = 130,
        ENOTRECOVERABLE = 131,
        ERFKILL = 132,
        EHWPOISON = 133,
        EFTYPE = 134,
        ERESTARTSYS = 512,
        ERESTARTNOINTR = 513,
        ERESTARTNOHAND = 514,
        ENOIOCTLCMD = 515,
        ERESTART_RESTARTBLOCK = 516,
        EPROBE_DEFER = 517,
        EOPENSTALE = 518,
        ENOPARAM = 519,
        EBADHANDLE = 521,
        ENOTSYNC = 522,
        EBADCOOKIE = 523,
        ENOTSUPP = 524,
        ETOOSMALL = 525,
        ESERVERFAULT = 526,
        EBADTYPE = 527,
        EJUKEBOX = 528,
        EIOCBQUEUED = 529,
        ERECALLCONFLICT = 530,
        ENOGRACE = 531,
    }
}

const MAX_ERRNO: c_int = 4095;

/// A kernel error.
///
/// # Invariants
///
/// 1. The value is in `-MAX_ERRNO..0`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(NonZeroI32);

impl Error {
    /// Takes a negative errno; anything out of range becomes `EINVAL`, with a warning.
    pub fn from_errno(errno: c_int) -> Error {
        Self::try_from_errno(errno).unwrap_or_else(|| {
            crate::pr_warn!(
                "attempted to create `Error` with out of range `errno`: {}\n",
                errno
            );
            code::EINVAL
        })
    }

    const fn try_from_errno(errno: c_int) -> Option<Error> {
        if errno < -MAX_ERRNO || errno >= 0 {
            return None;
        }
        match NonZeroI32::new(errno) {
            // INVARIANT: 1, just checked.
            Some(errno) => Some(Error(errno)),
            None => None,
        }
    }

    /// The negative errno.
    pub fn to_errno(self) -> c_int {
        self.0.get()
    }

    /// The error as C's `ERR_PTR` encodes it.
    pub fn to_ptr<T>(self) -> *mut T {
        core::ptr::without_provenance_mut(self.0.get() as isize as usize)
    }

    /// The C name of the code, if it has one.
    pub fn name(&self) -> Option<&'static CStr> {
        code::name(-self.0.get())
    }
}

impl core::fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name().and_then(|name| name.to_str().ok()) {
            Some(name) => f.debug_tuple(name).finish(),
            None => f.debug_tuple("Error").field(&-self.0).finish(),
        }
    }
}

impl From<AllocError> for Error {
    fn from(_: AllocError) -> Error {
        code::ENOMEM
    }
}

impl From<TryFromIntError> for Error {
    fn from(_: TryFromIntError) -> Error {
        code::EINVAL
    }
}

impl From<Utf8Error> for Error {
    fn from(_: Utf8Error) -> Error {
        code::EINVAL
    }
}

impl From<LayoutError> for Error {
    fn from(_: LayoutError) -> Error {
        code::ENOMEM
    }
}

impl From<core::fmt::Error> for Error {
    fn from(_: core::fmt::Error) -> Error {
        code::EINVAL
    }
}

impl From<core::convert::Infallible> for Error {
    fn from(never: core::convert::Infallible) -> Error {
        match never {}
    }
}

/// `core`'s `Result`, with [`Error`] unless said otherwise.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

/// A C return value: negative is an error, everything else success.
pub fn to_result(err: c_int) -> Result {
    if err < 0 {
        Err(Error::from_errno(err))
    } else {
        Ok(())
    }
}

/// A C pointer that may be an `ERR_PTR`. Null is not an error.
pub fn from_err_ptr<T>(ptr: *mut T) -> Result<*mut T> {
    let address = ptr.cast::<c_void>().addr() as isize;
    match c_int::try_from(address)
        .ok()
        .and_then(Error::try_from_errno)
    {
        Some(error) => Err(error),
        None => Ok(ptr),
    }
}

/// Runs a body that may fail, for a C callback that returns an int.
pub fn from_result<T, F>(f: F) -> T
where
    T: From<i16>,
    F: FnOnce() -> Result<T>,
{
    match f() {
        Ok(value) => value,
        // `-MAX_ERRNO` fits: invariant 1 of `Error`.
        Err(error) => T::from(error.to_errno() as i16),
    }
}

/// What the default body of a `#[vtable]` method says when it is called after all.
pub const VTABLE_DEFAULT_ERROR: &str =
    "devscope bug: an optional callback was called that the driver did not implement";

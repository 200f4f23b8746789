//! Strings: C's, and bytes that are mostly text.
//!
//! Mirrors `rust/kernel/str.rs`. Left out: the formatters into C buffers, `parse_int`,
//! `CStrExt::to_ascii_*case`.

use crate::{
    alloc::{flags::GFP_KERNEL, AllocError, KVec},
    error::{code::EINVAL, Error},
    ffi::c_char,
    fmt::{self, Write},
};
use core::ops::{Deref, Index};

pub use crate::ffi::CStr;

/// Bytes that are printed as text, with escapes.
#[repr(transparent)]
pub struct BStr([u8]);

impl BStr {
    /// The number of bytes.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// These bytes, as text.
    pub const fn from_bytes(bytes: &[u8]) -> &Self {
        // SAFETY: A transparent wrapper around `[u8]`.
        unsafe { &*(core::ptr::from_ref(bytes) as *const BStr) }
    }

    /// What follows the prefix, if it is there.
    pub fn strip_prefix(&self, pattern: impl AsRef<Self>) -> Option<&BStr> {
        let rest = self.0.strip_prefix(&pattern.as_ref().0)?;
        Some(Self::from_bytes(rest))
    }

    fn write_escaped(&self, f: &mut fmt::Formatter<'_>, quotes: bool) -> fmt::Result {
        for &byte in &self.0 {
            match byte {
                b'\t' => f.write_str("\\t")?,
                b'\n' => f.write_str("\\n")?,
                b'\r' => f.write_str("\\r")?,
                b'"' | b'\\' if quotes => write!(f, "\\{}", byte as char)?,
                0x20..=0x7e => f.write_char(byte as char)?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for BStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_escaped(f, false)
    }
}

impl fmt::Debug for BStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        self.write_escaped(f, true)?;
        f.write_char('"')
    }
}

impl Deref for BStr {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for BStr {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<Idx> Index<Idx> for BStr
where
    [u8]: Index<Idx, Output = [u8]>,
{
    type Output = Self;

    fn index(&self, index: Idx) -> &Self {
        BStr::from_bytes(&self.0[index])
    }
}

impl AsRef<BStr> for [u8] {
    fn as_ref(&self) -> &BStr {
        BStr::from_bytes(self)
    }
}

impl AsRef<BStr> for BStr {
    fn as_ref(&self) -> &BStr {
        self
    }
}

impl AsRef<BStr> for CStr {
    fn as_ref(&self) -> &BStr {
        BStr::from_bytes(self.to_bytes())
    }
}

/// A [`BStr`] from a string literal.
#[macro_export]
macro_rules! b_str {
    ($str:literal) => {{
        const C: &'static $crate::str::BStr = $crate::str::BStr::from_bytes($str.as_bytes());
        C
    }};
}

/// [`CStrExt::as_char_ptr`], where traits cannot be used.
pub const fn as_char_ptr_in_const_context(c_str: &CStr) -> *const c_char {
    c_str.as_ptr().cast()
}

mod private {
    pub trait Sealed {}
    impl Sealed for super::CStr {}
}

/// What the kernel adds to [`CStr`]; its `char` is unsigned.
pub trait CStrExt: private::Sealed {
    /// The string at an address.
    ///
    /// # Safety
    ///
    /// It ends in a zero byte, and is neither changed nor freed in `'a`.
    unsafe fn from_char_ptr<'a>(ptr: *const c_char) -> &'a Self;

    /// The string's address.
    fn as_char_ptr(&self) -> *const c_char;

    /// A copy.
    fn to_cstring(&self) -> Result<CString, AllocError>;
}

impl CStrExt for CStr {
    unsafe fn from_char_ptr<'a>(ptr: *const c_char) -> &'a Self {
        // SAFETY: Asked of the caller.
        unsafe { CStr::from_ptr(ptr.cast()) }
    }

    fn as_char_ptr(&self) -> *const c_char {
        self.as_ptr().cast()
    }

    fn to_cstring(&self) -> Result<CString, AllocError> {
        CString::try_from(self)
    }
}

impl fmt::Display for CStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.to_bytes() {
            match byte {
                0x20..=0x7e => f.write_char(byte as char)?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

/// A [`CStr`] from a string literal.
#[macro_export]
macro_rules! c_str {
    ($str:expr) => {{
        const C: &$crate::str::CStr =
            match $crate::str::CStr::from_bytes_with_nul(::core::concat!($str, "\0").as_bytes()) {
                Ok(string) => string,
                Err(_) => ::core::panic!("a zero byte inside a C string"),
            };
        C
    }};
}

/// An owned C string.
///
/// # Invariants
///
/// 1. The last byte, and no other, is zero.
pub struct CString {
    buf: KVec<u8>,
}

impl CString {
    /// Formats into a new string. A zero byte in the text is `EINVAL`.
    pub fn try_from_fmt(args: fmt::Arguments<'_>) -> Result<Self, Error> {
        let text = args.to_string();
        if text.bytes().any(|byte| byte == 0) {
            return Err(EINVAL);
        }
        let mut buf = KVec::with_capacity(text.len() + 1, GFP_KERNEL)?;
        buf.extend_from_slice(text.as_bytes(), GFP_KERNEL)?;
        buf.push(0, GFP_KERNEL)?;
        // INVARIANT: 1, just checked and pushed.
        Ok(Self { buf })
    }
}

impl Deref for CString {
    type Target = CStr;

    fn deref(&self) -> &CStr {
        // SAFETY: Invariant 1.
        unsafe { CStr::from_bytes_with_nul_unchecked(&self.buf) }
    }
}

impl TryFrom<&CStr> for CString {
    type Error = AllocError;

    fn try_from(string: &CStr) -> Result<CString, AllocError> {
        let mut buf = KVec::new();
        buf.extend_from_slice(string.to_bytes_with_nul(), GFP_KERNEL)?;
        // INVARIANT: 1, a C string.
        Ok(CString { buf })
    }
}

impl fmt::Debug for CString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

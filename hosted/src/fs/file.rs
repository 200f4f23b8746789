//! Open files.
//!
//! C headers: `include/linux/fs.h`, `include/linux/file.h`; mirrors `rust/kernel/fs/file.rs`. Left
//! out: file descriptors, credentials.

use crate::{
    bindings,
    sync::aref::{ARef, AlwaysRefCounted},
    types::Opaque,
};
use core::ptr::NonNull;

/// A place in a file.
pub type Offset = bindings::loff_t;

/// How a file was opened, under the C names.
pub mod flags {
    use crate::bindings;

    macro_rules! flags {
        ($($(#[$doc:meta])* $name:ident)*) => {$(
            $(#[$doc])*
            pub const $name: u32 = bindings::$name;
        )*};
    }

    flags! {
        /// Writes go to the end.
        O_APPEND
        /// Is closed by `exec()`.
        O_CLOEXEC
        /// Was created if it was not there.
        O_CREAT
        /// Bypasses caches.
        O_DIRECT
        /// Has to be a directory.
        O_DIRECTORY
        /// Data is synchronised.
        O_DSYNC
        /// Must not have been there.
        O_EXCL
        /// May be large.
        O_LARGEFILE
        /// Leaves the access time alone.
        O_NOATIME
        /// Does not become the controlling terminal.
        O_NOCTTY
        /// The last component is no link.
        O_NOFOLLOW
        /// Operations do not wait.
        O_NONBLOCK
        /// As [`O_NONBLOCK`].
        O_NDELAY
        /// Is only a path.
        O_PATH
        /// Is synchronised.
        O_SYNC
        /// Has no name.
        O_TMPFILE
        /// Was emptied.
        O_TRUNC
        /// The bits of the access mode.
        O_ACCMODE
        /// Access mode: reads only.
        O_RDONLY
        /// Access mode: writes only.
        O_WRONLY
        /// Access mode: reads and writes.
        O_RDWR
    }

    /// Signals when there is something to read or room to write.
    pub const O_ASYNC: u32 = bindings::FASYNC;
}

/// A `struct file` that may be shared between threads.
///
/// # Invariants
///
/// 1. The reference count is not zero while this is borrowed.
/// 2. No thread uses the position without its lock.
#[repr(transparent)]
pub struct File {
    inner: Opaque<bindings::file>,
}

// SAFETY: Invariant 2.
unsafe impl Send for File {}

// SAFETY: Invariant 2.
unsafe impl Sync for File {}

// SAFETY: `get_file` and `fput` count references.
unsafe impl AlwaysRefCounted for File {
    fn inc_ref(&self) {
        // SAFETY: Invariant 1.
        unsafe { bindings::get_file(self.as_ptr()) };
    }

    unsafe fn dec_ref(obj: NonNull<File>) {
        // SAFETY: The caller gives up a reference.
        unsafe { bindings::fput(obj.cast().as_ptr()) }
    }
}

/// A `struct file` of this thread.
///
/// # Invariants
///
/// 1. The reference count is not zero while this is borrowed.
#[repr(transparent)]
pub struct LocalFile {
    inner: Opaque<bindings::file>,
}

// SAFETY: `get_file` and `fput` count references.
unsafe impl AlwaysRefCounted for LocalFile {
    fn inc_ref(&self) {
        // SAFETY: Invariant 1.
        unsafe { bindings::get_file(self.as_ptr()) };
    }

    unsafe fn dec_ref(obj: NonNull<LocalFile>) {
        // SAFETY: The caller gives up a reference.
        unsafe { bindings::fput(obj.cast().as_ptr()) }
    }
}

impl LocalFile {
    /// The file at an address.
    ///
    /// # Safety
    ///
    /// It is valid for `'a`, and if another thread uses its position, then with the lock.
    pub unsafe fn from_raw_file<'a>(ptr: *const bindings::file) -> &'a LocalFile {
        // INVARIANT: 1, asked of the caller.
        // SAFETY: Asked of the caller; transparent around it.
        unsafe { &*ptr.cast() }
    }

    /// The same file, known to be fit for sharing.
    ///
    /// # Safety
    ///
    /// This thread does not use its position without the lock.
    pub unsafe fn assume_no_fdget_pos(me: ARef<LocalFile>) -> ARef<File> {
        // INVARIANT: 2, asked of the caller.
        // SAFETY: The reference of `me`.
        unsafe { ARef::from_raw(ARef::into_raw(me).cast()) }
    }

    /// The address.
    pub fn as_ptr(&self) -> *mut bindings::file {
        self.inner.get()
    }

    /// How it was opened.
    pub fn flags(&self) -> u32 {
        // SAFETY: Invariant 1. C reads it the same way, with `READ_ONCE`.
        unsafe { (&raw const (*self.as_ptr()).f_flags).read_volatile() }
    }
}

impl File {
    /// The file at an address.
    ///
    /// # Safety
    ///
    /// It is valid for `'a`, and no thread uses its position without the lock.
    pub unsafe fn from_raw_file<'a>(ptr: *const bindings::file) -> &'a File {
        // INVARIANT: 1, 2, asked of the caller.
        // SAFETY: Asked of the caller; transparent around it.
        unsafe { &*ptr.cast() }
    }
}

impl core::ops::Deref for File {
    type Target = LocalFile;

    fn deref(&self) -> &LocalFile {
        // SAFETY: Valid while `self` is borrowed: invariants 1, 2.
        unsafe { LocalFile::from_raw_file(self.inner.get()) }
    }
}

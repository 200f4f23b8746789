use crate::{bindings, types::ForeignOwnable};
use core::{marker::PhantomData, ptr::NonNull};

/// A read or write of a file whose private data is a `T`: `struct kiocb`.
///
/// # Invariants
///
/// 1. The pointer is valid, and the file is such a file, for `'a`.
pub struct Kiocb<'a, T> {
    inner: NonNull<bindings::kiocb>,
    _phantom: PhantomData<&'a T>,
}

impl<'a, T: ForeignOwnable> Kiocb<'a, T> {
    /// The operation at an address.
    ///
    /// # Safety
    ///
    /// It is valid for `'a`, and the file's private data is a `T`.
    pub unsafe fn from_raw(kiocb: *mut bindings::kiocb) -> Self {
        // INVARIANT: 1, asked of the caller.
        Self {
            // SAFETY: Valid, so not null: asked of the caller.
            inner: unsafe { NonNull::new_unchecked(kiocb) },
            _phantom: PhantomData,
        }
    }

    /// The address.
    pub fn as_raw(&self) -> *mut bindings::kiocb {
        self.inner.as_ptr()
    }

    /// The file's private data.
    pub fn file(&self) -> <T as ForeignOwnable>::Borrowed<'a> {
        // SAFETY: Invariant 1.
        let private = unsafe { (*(*self.as_raw()).ki_filp).private_data };
        // SAFETY: A `T`, which is not released during an operation: invariant 1.
        unsafe { T::borrow(private) }
    }

    /// The place in the file.
    pub fn ki_pos(&self) -> i64 {
        // SAFETY: Invariant 1.
        unsafe { (*self.as_raw()).ki_pos }
    }

    /// The place in the file, to move it.
    pub fn ki_pos_mut(&mut self) -> &mut i64 {
        // SAFETY: Invariant 1, and nobody else has the operation.
        unsafe { &mut (*self.as_raw()).ki_pos }
    }
}

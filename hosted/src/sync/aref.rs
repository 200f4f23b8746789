//! Objects that count their references themselves.
//!
//! Mirrors `rust/kernel/sync/aref.rs`.

use crate::{prelude::*, types::ForeignOwnable};
use core::{marker::PhantomData, mem::ManuallyDrop, ops::Deref, ptr::NonNull};

/// A type whose values always have a reference count.
///
/// # Safety
///
/// The value lives at least until each `inc_ref` is matched by a `dec_ref`.
pub unsafe trait AlwaysRefCounted {
    /// One more.
    fn inc_ref(&self);

    /// One less.
    ///
    /// # Safety
    ///
    /// The caller gives up a reference that it has.
    unsafe fn dec_ref(obj: NonNull<Self>);
}

/// A reference, counted.
///
/// # Invariants
///
/// 1. One reference to the object belongs to this.
pub struct ARef<T: AlwaysRefCounted> {
    ptr: NonNull<T>,
    _p: PhantomData<T>,
}

// SAFETY: Shares the object, and may be the one that drops it.
unsafe impl<T: AlwaysRefCounted + Sync + Send> Send for ARef<T> {}

// SAFETY: Shares the object, and can be cloned through a reference.
unsafe impl<T: AlwaysRefCounted + Sync + Send> Sync for ARef<T> {}

impl<T: AlwaysRefCounted> Unpin for ARef<T> {}

impl<T: AlwaysRefCounted> ARef<T> {
    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// It is the caller's, who gives it up.
    pub unsafe fn from_raw(ptr: NonNull<T>) -> Self {
        // INVARIANT: 1, asked of the caller.
        Self {
            ptr,
            _p: PhantomData,
        }
    }

    /// Hands the reference over.
    pub fn into_raw(me: Self) -> NonNull<T> {
        ManuallyDrop::new(me).ptr
    }
}

impl<T: AlwaysRefCounted> Clone for ARef<T> {
    fn clone(&self) -> Self {
        self.inc_ref();
        // SAFETY: Just counted.
        unsafe { Self::from_raw(self.ptr) }
    }
}

impl<T: AlwaysRefCounted> Deref for ARef<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: Alive: invariant 1.
        unsafe { self.ptr.as_ref() }
    }
}

impl<T: AlwaysRefCounted> From<&T> for ARef<T> {
    fn from(b: &T) -> Self {
        b.inc_ref();
        // SAFETY: Just counted.
        unsafe { Self::from_raw(NonNull::from(b)) }
    }
}

impl<T: AlwaysRefCounted> Drop for ARef<T> {
    fn drop(&mut self) {
        // SAFETY: Invariant 1.
        unsafe { T::dec_ref(self.ptr) };
    }
}

impl<T, U> PartialEq<ARef<U>> for ARef<T>
where
    T: AlwaysRefCounted + PartialEq<U>,
    U: AlwaysRefCounted,
{
    fn eq(&self, other: &ARef<U>) -> bool {
        **self == **other
    }
}

impl<T: AlwaysRefCounted + Eq> Eq for ARef<T> {}

impl<T, U> PartialEq<&'_ U> for ARef<T>
where
    T: AlwaysRefCounted + PartialEq<U>,
{
    fn eq(&self, other: &&U) -> bool {
        **self == **other
    }
}

// SAFETY: A reference, so not null and aligned.
unsafe impl<T: AlwaysRefCounted> ForeignOwnable for ARef<T> {
    const FOREIGN_ALIGN: usize = core::mem::align_of::<T>();
    type Borrowed<'a>
        = &'a T
    where
        Self: 'a;
    type BorrowedMut<'a>
        = &'a T
    where
        Self: 'a;

    fn into_foreign(self) -> *mut c_void {
        ARef::into_raw(self).as_ptr().cast()
    }

    unsafe fn from_foreign(ptr: *mut c_void) -> Self {
        // SAFETY: From `into_foreign`, so not null, and with its reference: asked of the caller.
        unsafe { ARef::from_raw(NonNull::new_unchecked(ptr.cast())) }
    }

    unsafe fn borrow<'a>(ptr: *mut c_void) -> &'a T {
        // SAFETY: From `into_foreign`, and not taken back in `'a`: asked of the caller.
        unsafe { &*ptr.cast() }
    }

    unsafe fn borrow_mut<'a>(ptr: *mut c_void) -> &'a T {
        // SAFETY: As above.
        unsafe { <Self as ForeignOwnable>::borrow(ptr) }
    }
}

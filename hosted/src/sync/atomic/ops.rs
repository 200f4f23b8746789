//! What can be done to a representation. `core`'s atomics do it.

use crate::ffi::c_void;
use core::sync::atomic::{AtomicI16, AtomicI32, AtomicI64, AtomicI8, AtomicPtr, Ordering::SeqCst};

mod private {
    pub trait Sealed {}
}

/// A representation that atomics have.
pub trait AtomicImpl: Sized + Copy + private::Sealed {
    /// What is added to it.
    type Delta;
}

/// Reading and writing.
pub trait AtomicBasicOps: AtomicImpl {
    /// # Safety
    ///
    /// `ptr` is valid and aligned, and other accesses are atomic.
    unsafe fn load(ptr: *mut Self) -> Self;

    /// # Safety
    ///
    /// `ptr` is valid and aligned, and other accesses are atomic.
    unsafe fn store(ptr: *mut Self, v: Self);
}

/// Exchanging.
pub trait AtomicExchangeOps: AtomicImpl {
    /// # Safety
    ///
    /// `ptr` is valid and aligned, and other accesses are atomic.
    unsafe fn swap(ptr: *mut Self, v: Self) -> Self;

    /// # Safety
    ///
    /// `ptr` is valid and aligned, and other accesses are atomic.
    unsafe fn compare_exchange(ptr: *mut Self, old: Self, new: Self) -> Result<Self, Self>;
}

/// Adding and subtracting.
pub trait AtomicArithmeticOps: AtomicImpl {
    /// # Safety
    ///
    /// `ptr` is valid and aligned, and other accesses are atomic.
    unsafe fn fetch_add(ptr: *mut Self, v: Self::Delta) -> Self;

    /// # Safety
    ///
    /// `ptr` is valid and aligned, and other accesses are atomic.
    unsafe fn fetch_sub(ptr: *mut Self, v: Self::Delta) -> Self;
}

macro_rules! integers {
    ($($ty:ty as $atomic:ident $(, $arithmetic:ident)?;)*) => {$(
        impl private::Sealed for $ty {}

        impl AtomicImpl for $ty {
            type Delta = Self;
        }

        impl AtomicBasicOps for $ty {
            unsafe fn load(ptr: *mut Self) -> Self {
                // SAFETY: Asked of the caller.
                unsafe { $atomic::from_ptr(ptr) }.load(SeqCst)
            }

            unsafe fn store(ptr: *mut Self, v: Self) {
                // SAFETY: Asked of the caller.
                unsafe { $atomic::from_ptr(ptr) }.store(v, SeqCst);
            }
        }

        impl AtomicExchangeOps for $ty {
            unsafe fn swap(ptr: *mut Self, v: Self) -> Self {
                // SAFETY: Asked of the caller.
                unsafe { $atomic::from_ptr(ptr) }.swap(v, SeqCst)
            }

            unsafe fn compare_exchange(ptr: *mut Self, old: Self, new: Self) -> Result<Self, Self> {
                // SAFETY: Asked of the caller.
                unsafe { $atomic::from_ptr(ptr) }.compare_exchange(old, new, SeqCst, SeqCst)
            }
        }

        $(
            impl $arithmetic for $ty {
                unsafe fn fetch_add(ptr: *mut Self, v: Self) -> Self {
                    // SAFETY: Asked of the caller.
                    unsafe { $atomic::from_ptr(ptr) }.fetch_add(v, SeqCst)
                }

                unsafe fn fetch_sub(ptr: *mut Self, v: Self) -> Self {
                    // SAFETY: Asked of the caller.
                    unsafe { $atomic::from_ptr(ptr) }.fetch_sub(v, SeqCst)
                }
            }
        )?
    )*};
}

integers! {
    i8 as AtomicI8;
    i16 as AtomicI16;
    i32 as AtomicI32, AtomicArithmeticOps;
    i64 as AtomicI64, AtomicArithmeticOps;
}

impl private::Sealed for *const c_void {}

impl AtomicImpl for *const c_void {
    type Delta = isize;
}

impl AtomicBasicOps for *const c_void {
    unsafe fn load(ptr: *mut Self) -> Self {
        // SAFETY: Asked of the caller.
        unsafe { AtomicPtr::from_ptr(ptr.cast::<*mut c_void>()) }.load(SeqCst)
    }

    unsafe fn store(ptr: *mut Self, v: Self) {
        // SAFETY: Asked of the caller.
        unsafe { AtomicPtr::from_ptr(ptr.cast()) }.store(v.cast_mut(), SeqCst);
    }
}

impl AtomicExchangeOps for *const c_void {
    unsafe fn swap(ptr: *mut Self, v: Self) -> Self {
        // SAFETY: Asked of the caller.
        unsafe { AtomicPtr::from_ptr(ptr.cast()) }.swap(v.cast_mut(), SeqCst)
    }

    unsafe fn compare_exchange(ptr: *mut Self, old: Self, new: Self) -> Result<Self, Self> {
        let (old, new) = (old.cast_mut(), new.cast_mut());
        // SAFETY: Asked of the caller.
        unsafe { AtomicPtr::from_ptr(ptr.cast()) }
            .compare_exchange(old, new, SeqCst, SeqCst)
            .map(|was| was.cast_const())
            .map_err(|was| was.cast_const())
    }
}

//! Types that everything else is made of.
//!
//! Mirrors `rust/kernel/types.rs`.

use crate::ffi::c_void;
use core::{
    cell::UnsafeCell,
    marker::{PhantomData, PhantomPinned},
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
};
use pinned_init::{PinInit, Wrapper, Zeroable};

/// Something whose ownership can be handed to C code as a pointer, and taken back.
///
/// # Safety
///
/// `into_foreign` returns a non-null pointer aligned to `FOREIGN_ALIGN`.
pub unsafe trait ForeignOwnable: Sized {
    /// Alignment of the pointers.
    const FOREIGN_ALIGN: usize;

    /// What `borrow` gives.
    type Borrowed<'a>
    where
        Self: 'a;

    /// What `borrow_mut` gives.
    type BorrowedMut<'a>
    where
        Self: 'a;

    /// Gives the value to C. Only the functions below may read through the pointer.
    fn into_foreign(self) -> *mut c_void;

    /// Takes the value back.
    ///
    /// # Safety
    ///
    /// The pointer comes from `into_foreign`, has not been taken back since, and nothing that was
    /// borrowed from it is used any more.
    unsafe fn from_foreign(ptr: *mut c_void) -> Self;

    /// [`from_foreign`](Self::from_foreign), and null means none.
    ///
    /// # Safety
    ///
    /// As for `from_foreign`, if the pointer is not null.
    unsafe fn try_from_foreign(ptr: *mut c_void) -> Option<Self> {
        if ptr.is_null() {
            return None;
        }
        // SAFETY: Asked of the caller, for a pointer that is not null.
        Some(unsafe { Self::from_foreign(ptr) })
    }

    /// Looks at a value that C owns.
    ///
    /// # Safety
    ///
    /// The pointer comes from `into_foreign`; it is not taken back, nor borrowed mutably, in `'a`.
    unsafe fn borrow<'a>(ptr: *mut c_void) -> Self::Borrowed<'a>;

    /// Changes a value that C owns.
    ///
    /// # Safety
    ///
    /// The pointer comes from `into_foreign`; it is neither taken back nor borrowed in `'a`.
    unsafe fn borrow_mut<'a>(ptr: *mut c_void) -> Self::BorrowedMut<'a>;
}

// SAFETY: A dangling pointer is not null and aligned to 1.
unsafe impl ForeignOwnable for () {
    const FOREIGN_ALIGN: usize = core::mem::align_of::<()>();
    type Borrowed<'a> = ();
    type BorrowedMut<'a> = ();

    fn into_foreign(self) -> *mut c_void {
        core::ptr::NonNull::dangling().as_ptr()
    }

    unsafe fn from_foreign(_: *mut c_void) -> Self {}
    unsafe fn borrow<'a>(_: *mut c_void) -> Self::Borrowed<'a> {}
    unsafe fn borrow_mut<'a>(_: *mut c_void) -> Self::BorrowedMut<'a> {}
}

/// Runs a function when the scope ends, unless dismissed.
///
/// # Invariants
///
/// 1. The value is `Some` until `dismiss` or `drop`.
pub struct ScopeGuard<T, F: FnOnce(T)>(Option<(T, F)>);

impl<T, F: FnOnce(T)> ScopeGuard<T, F> {
    /// A guard that owns `data` until the end.
    pub fn new_with_data(data: T, cleanup_func: F) -> Self {
        // INVARIANT: 1.
        Self(Some((data, cleanup_func)))
    }

    /// Gives the data back; the function will not run.
    pub fn dismiss(mut self) -> T {
        let (data, _) = self.0.take().expect("devscope bug: guard used twice");
        data
    }
}

impl ScopeGuard<(), fn(())> {
    /// A guard without data.
    pub fn new(cleanup: impl FnOnce()) -> ScopeGuard<(), impl FnOnce(())> {
        ScopeGuard::new_with_data((), move |()| cleanup())
    }
}

impl<T, F: FnOnce(T)> Deref for ScopeGuard<T, F> {
    type Target = T;

    fn deref(&self) -> &T {
        let (data, _) = self.0.as_ref().expect("devscope bug: guard used twice");
        data
    }
}

impl<T, F: FnOnce(T)> DerefMut for ScopeGuard<T, F> {
    fn deref_mut(&mut self) -> &mut T {
        let (data, _) = self.0.as_mut().expect("devscope bug: guard used twice");
        data
    }
}

impl<T, F: FnOnce(T)> Drop for ScopeGuard<T, F> {
    fn drop(&mut self) {
        if let Some((data, cleanup)) = self.0.take() {
            cleanup(data);
        }
    }
}

/// A value that C code reads and writes: may be uninitialised, may change under a shared
/// reference, does not move.
#[repr(transparent)]
pub struct Opaque<T> {
    value: UnsafeCell<MaybeUninit<T>>,
    _pin: PhantomPinned,
}

// SAFETY: `MaybeUninit` may hold any bytes.
unsafe impl<T> Zeroable for Opaque<T> {}

impl<T> Opaque<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self {
            value: UnsafeCell::new(MaybeUninit::new(value)),
            _pin: PhantomPinned,
        }
    }

    /// Nothing yet.
    pub const fn uninit() -> Self {
        Self {
            value: UnsafeCell::new(MaybeUninit::uninit()),
            _pin: PhantomPinned,
        }
    }

    /// All bytes zero.
    pub const fn zeroed() -> Self {
        Self {
            value: UnsafeCell::new(MaybeUninit::zeroed()),
            _pin: PhantomPinned,
        }
    }

    /// An initializer that lets a C function fill the slot in.
    pub fn ffi_init(init_func: impl FnOnce(*mut T)) -> impl PinInit<Self> {
        Self::try_ffi_init(move |slot| {
            init_func(slot);
            Ok(())
        })
    }

    /// An initializer that lets a C function fill the slot in, which may fail.
    pub fn try_ffi_init<E>(
        init_func: impl FnOnce(*mut T) -> Result<(), E>,
    ) -> impl PinInit<Self, E> {
        // SAFETY: Any bytes at all are an initialised `Opaque`.
        unsafe { pinned_init::pin_init_from_closure(move |slot| init_func(Self::cast_into(slot))) }
    }

    /// The value's address.
    pub const fn get(&self) -> *mut T {
        UnsafeCell::get(&self.value).cast::<T>()
    }

    /// From the wrapper's address to the value's.
    pub const fn cast_into(this: *const Self) -> *mut T {
        UnsafeCell::raw_get(this.cast::<UnsafeCell<MaybeUninit<T>>>()).cast::<T>()
    }

    /// From the value's address to the wrapper's.
    pub const fn cast_from(this: *const T) -> *const Self {
        this.cast()
    }
}

impl<T> Wrapper<T> for Opaque<T> {
    fn pin_init<E>(init: impl PinInit<T, E>) -> impl PinInit<Self, E> {
        Self::try_ffi_init(move |slot: *mut T| {
            // SAFETY: `try_ffi_init` is asked for the same: a slot that is valid for writes, pinned,
            // and left alone after an error.
            unsafe { init.__pinned_init(slot) }
        })
    }
}

/// Makes the type that contains it neither `Send` nor `Sync`.
pub type NotThreadSafe = PhantomData<*mut ()>;

/// The value of [`type@NotThreadSafe`].
#[allow(non_upper_case_globals)]
pub const NotThreadSafe: NotThreadSafe = PhantomData;

pub use for_lt::{CovariantForLt, ForLt};

#[doc(hidden)]
pub mod for_lt {
    use core::marker::PhantomData;

    pub use crate::macros::{CovariantForLt, ForLt};

    /// A type with a lifetime left open.
    pub trait ForLt {
        /// The type with that lifetime.
        type Of<'a>: 'a;
    }

    /// A [`trait@ForLt`] whose type is covariant in the lifetime.
    ///
    /// # Safety
    ///
    /// It is.
    pub unsafe trait CovariantForLt: ForLt {
        /// The same value for a shorter time.
        fn cast_ref<'r, 'short: 'r, 'long: 'short>(
            long: &'r Self::Of<'long>,
        ) -> &'r Self::Of<'short> {
            let long: *const Self::Of<'long> = long;
            // SAFETY: Lifetimes do not change a type's layout, and it is covariant.
            unsafe { &*long.cast() }
        }
    }

    /// What the macros make.
    pub struct UnsafeForLtImpl<T: ?Sized, WF, const N: usize>(PhantomData<(WF, T)>);

    /// The type with the lifetime `'a`.
    pub trait WithLt<'a> {
        /// It.
        type Of: 'a;
    }

    impl<T: ?Sized + for<'a> WithLt<'a>, WF, const N: usize> ForLt for UnsafeForLtImpl<T, WF, N> {
        type Of<'a> = <T as WithLt<'a>>::Of;
    }

    // SAFETY: Only `CovariantForLt!` makes one with 1, and it proves it.
    unsafe impl<T: ?Sized + for<'a> WithLt<'a>, WF> CovariantForLt for UnsafeForLtImpl<T, WF, 1> {}
}

//! Locks, whatever their kind.
//!
//! Mirrors `rust/kernel/sync/lock.rs`.

use super::LockClassKey;
use crate::{
    bindings,
    prelude::*,
    types::{NotThreadSafe, Opaque, ScopeGuard},
};
use core::{cell::UnsafeCell, marker::PhantomPinned};
use pinned_init::Wrapper;

pub mod mutex;
pub mod spinlock;

/// A kind of lock.
///
/// # Safety
///
/// One holder at a time, from `lock` until `unlock`.
pub unsafe trait Backend {
    /// The C lock.
    type State;

    /// What has to be known to unlock.
    type GuardState;

    /// Initialises.
    ///
    /// # Safety
    ///
    /// `ptr` is valid for writes and pinned; name and key stay.
    unsafe fn init(
        ptr: *mut Self::State,
        name: *const crate::ffi::c_char,
        key: *mut bindings::lock_class_key,
    );

    /// Waits for the lock, and takes it.
    ///
    /// # Safety
    ///
    /// It is initialised.
    #[must_use]
    #[track_caller]
    unsafe fn lock(ptr: *mut Self::State) -> Self::GuardState;

    /// Takes the lock if it is free.
    ///
    /// # Safety
    ///
    /// It is initialised.
    #[track_caller]
    unsafe fn try_lock(ptr: *mut Self::State) -> Option<Self::GuardState>;

    /// Releases the lock.
    ///
    /// # Safety
    ///
    /// The caller holds it.
    unsafe fn unlock(ptr: *mut Self::State, guard_state: &Self::GuardState);

    /// Takes the lock again.
    ///
    /// # Safety
    ///
    /// As for `lock`; the state is from an earlier one.
    #[track_caller]
    unsafe fn relock(ptr: *mut Self::State, guard_state: &mut Self::GuardState) {
        // SAFETY: Asked of the caller.
        *guard_state = unsafe { Self::lock(ptr) };
    }

    /// Complains unless the lock is held.
    ///
    /// # Safety
    ///
    /// It is initialised.
    unsafe fn assert_is_held(ptr: *mut Self::State);
}

/// A `T` that is only reached while holding a lock.
#[repr(C)]
#[pin_data]
pub struct Lock<T: ?Sized, B: Backend> {
    #[pin]
    state: Opaque<B::State>,

    #[pin]
    _pin: PhantomPinned,

    #[pin]
    pub(crate) data: UnsafeCell<T>,
}

// SAFETY: Owns the value.
unsafe impl<T: ?Sized + Send, B: Backend> Send for Lock<T, B> {}

// SAFETY: One holder at a time, so the value is only sent.
unsafe impl<T: ?Sized + Send, B: Backend> Sync for Lock<T, B> {}

impl<T, B: Backend> Lock<T, B> {
    /// A lock around a value.
    pub fn new(
        t: impl PinInit<T>,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            data <- UnsafeCell::pin_init(t),
            _pin: PhantomPinned,
            // SAFETY: Valid for writes, and pinned; name and key are static.
            state <- Opaque::ffi_init(|slot| unsafe {
                B::init(slot, name.as_char_ptr(), key.as_ptr())
            }),
        })
    }
}

impl<B: Backend> Lock<(), B> {
    /// A C lock, with nothing in it.
    ///
    /// # Safety
    ///
    /// It is initialised, and lives for `'a`.
    pub unsafe fn from_raw<'a>(ptr: *mut B::State) -> &'a Self {
        // SAFETY: Asked of the caller; the state is the first field, and no other has bytes.
        unsafe { &*ptr.cast() }
    }
}

impl<T: ?Sized, B: Backend> Lock<T, B> {
    /// Waits for the lock, and takes it.
    #[track_caller]
    pub fn lock(&self) -> Guard<'_, T, B> {
        // SAFETY: Initialised by `new`.
        let state = unsafe { B::lock(self.state.get()) };
        // SAFETY: Just taken.
        unsafe { Guard::new(self, state) }
    }

    /// Takes the lock if it is free.
    #[must_use = "if unused, the lock will be immediately unlocked"]
    #[track_caller]
    pub fn try_lock(&self) -> Option<Guard<'_, T, B>> {
        // SAFETY: Initialised by `new`.
        let state = unsafe { B::try_lock(self.state.get())? };
        // SAFETY: Just taken.
        Some(unsafe { Guard::new(self, state) })
    }
}

/// A held lock; dropping it releases. It stays on its thread.
///
/// # Invariants
///
/// 1. The lock is held, by this.
#[must_use = "the lock unlocks immediately when the guard is unused"]
pub struct Guard<'a, T: ?Sized, B: Backend> {
    pub(crate) lock: &'a Lock<T, B>,
    pub(crate) state: B::GuardState,
    _not_send: NotThreadSafe,
}

// SAFETY: Shares the value.
unsafe impl<T: Sync + ?Sized, B: Backend> Sync for Guard<'_, T, B> {}

impl<'a, T: ?Sized, B: Backend> Guard<'a, T, B> {
    /// A guard for a lock that is held.
    ///
    /// # Safety
    ///
    /// It is, by the caller.
    pub unsafe fn new(lock: &'a Lock<T, B>, state: B::GuardState) -> Self {
        // SAFETY: Initialised, as it is held.
        unsafe { B::assert_is_held(lock.state.get()) };
        // INVARIANT: 1, asked of the caller.
        Self {
            lock,
            state,
            _not_send: NotThreadSafe,
        }
    }

    /// Which lock it is.
    pub fn lock_ref(&self) -> &'a Lock<T, B> {
        self.lock
    }

    #[track_caller]
    pub(crate) fn do_unlocked<U>(&mut self, cb: impl FnOnce() -> U) -> U {
        // SAFETY: Held: invariant 1.
        unsafe { B::unlock(self.lock.state.get(), &self.state) };
        let _relock = ScopeGuard::new(|| {
            // SAFETY: Initialised; released above.
            unsafe { B::relock(self.lock.state.get(), &mut self.state) }
        });
        cb()
    }

    /// The value, pinned.
    pub fn as_mut(&mut self) -> Pin<&mut T> {
        // SAFETY: Held, by invariant 1; the lock pins its value.
        unsafe { Pin::new_unchecked(&mut *self.lock.data.get()) }
    }
}

impl<T: ?Sized, B: Backend> core::ops::Deref for Guard<'_, T, B> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: Held: invariant 1.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized, B: Backend> core::ops::DerefMut for Guard<'_, T, B>
where
    T: Unpin,
{
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: Held: invariant 1.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T: ?Sized, B: Backend> Drop for Guard<'_, T, B> {
    fn drop(&mut self) {
        // SAFETY: Held: invariant 1.
        unsafe { B::unlock(self.lock.state.get(), &self.state) };
    }
}

/// A backend out of the C functions.
macro_rules! backend {
    ($backend:ident: $state:ident, $init:ident $lock:ident $try_lock:ident $unlock:ident $held:ident) => {
        // SAFETY: What the C functions are for.
        unsafe impl $crate::sync::lock::Backend for $backend {
            type State = $crate::bindings::$state;
            type GuardState = ();

            unsafe fn init(
                ptr: *mut Self::State,
                name: *const $crate::ffi::c_char,
                key: *mut $crate::bindings::lock_class_key,
            ) {
                // SAFETY: Asked of the caller.
                unsafe { $crate::bindings::$init(ptr, name, key) }
            }

            #[track_caller]
            unsafe fn lock(ptr: *mut Self::State) {
                // SAFETY: Asked of the caller.
                unsafe { $crate::bindings::$lock(ptr) }
            }

            #[track_caller]
            unsafe fn try_lock(ptr: *mut Self::State) -> Option<()> {
                // SAFETY: Asked of the caller.
                (unsafe { $crate::bindings::$try_lock(ptr) } != 0).then_some(())
            }

            unsafe fn unlock(ptr: *mut Self::State, _: &()) {
                // SAFETY: Asked of the caller.
                unsafe { $crate::bindings::$unlock(ptr) }
            }

            unsafe fn assert_is_held(ptr: *mut Self::State) {
                // SAFETY: Asked of the caller.
                unsafe { $crate::bindings::$held(ptr) }
            }
        }
    };
}
use backend;

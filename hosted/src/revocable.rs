//! Values that can be taken away from those who use them.
//!
//! Mirrors `rust/kernel/revocable.rs`.

use crate::{
    prelude::*,
    sync::{
        atomic::{AtomicFlag, Relaxed},
        rcu,
    },
    types::Opaque,
};
use core::{marker::PhantomData, ops::Deref, ptr::drop_in_place};
use pinned_init::Wrapper;

/// A `T` until it is revoked, and nothing afterwards.
///
/// # Invariants
///
/// 1. While `is_available`, the value is there. Whoever changes that waits for a grace period
///    before dropping it.
#[pin_data(PinnedDrop)]
pub struct Revocable<T> {
    is_available: AtomicFlag,
    #[pin]
    data: Opaque<T>,
}

// SAFETY: Owns the value.
unsafe impl<T: Send> Send for Revocable<T> {}

// SAFETY: Shares the value, and any thread may be the one that drops it.
unsafe impl<T: Sync + Send> Sync for Revocable<T> {}

impl<T> Revocable<T> {
    /// A value that is there.
    pub fn new<E>(data: impl PinInit<T, E>) -> impl PinInit<Self, E> {
        // INVARIANT: 1.
        try_pin_init!(Self {
            is_available: AtomicFlag::new(true),
            data <- Opaque::pin_init(data),
        }? E)
    }

    /// The value, if it is there; it stays while the guard lives, which may not sleep.
    #[track_caller]
    pub fn try_access(&self) -> Option<RevocableGuard<'_, T>> {
        let guard = rcu::read_lock();
        // INVARIANT: The guard's, as it was available within the read-side section.
        self.is_available.load(Relaxed).then(|| RevocableGuard {
            data_ref: self.data.get(),
            _rcu_guard: guard,
            _p: PhantomData,
        })
    }

    /// The value, if it is there, under a read-side section that is the caller's.
    #[track_caller]
    pub fn try_access_with_guard<'a>(&'a self, _guard: &'a rcu::Guard) -> Option<&'a T> {
        if !self.is_available.load(Relaxed) {
            return None;
        }
        // SAFETY: There, until the read-side section ends: invariant 1.
        Some(unsafe { &*self.data.get() })
    }

    /// What `f` makes of the value, if it is there.
    #[track_caller]
    pub fn try_access_with<R, F: FnOnce(&T) -> R>(&self, f: F) -> Option<R> {
        self.try_access().map(|value| f(&*value))
    }

    /// The value.
    ///
    /// # Safety
    ///
    /// It is there, and will be while the reference lives.
    pub unsafe fn access(&self) -> &T {
        // SAFETY: Asked of the caller.
        unsafe { &*self.data.get() }
    }

    /// # Safety
    ///
    /// If not `SYNC`, nobody uses the value any more.
    #[track_caller]
    unsafe fn revoke_internal<const SYNC: bool>(&self) -> bool {
        let was_available = self.is_available.xchg(false, Relaxed);
        if was_available {
            if SYNC {
                rcu::synchronize_rcu();
            }
            // SAFETY: There, by invariant 1; used no more, after the grace period or as asked of
            // the caller; and only one sees it go from available to not.
            unsafe { drop_in_place(self.data.get()) };
        }
        was_available
    }

    /// Takes the value away at once. Whether it was there.
    ///
    /// # Safety
    ///
    /// Nobody uses it any more.
    #[track_caller]
    pub unsafe fn revoke_nosync(&self) -> bool {
        // SAFETY: Asked of the caller.
        unsafe { self.revoke_internal::<false>() }
    }

    /// Takes the value away, and waits for whoever uses it. Sleeps. Whether it was there.
    #[track_caller]
    pub fn revoke(&self) -> bool {
        // SAFETY: Nothing is asked with a grace period.
        unsafe { self.revoke_internal::<true>() }
    }
}

#[pinned_drop]
impl<T> PinnedDrop for Revocable<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Nothing is moved.
        let this = unsafe { self.get_unchecked_mut() };
        if *this.is_available.get_mut() {
            // SAFETY: There: invariant 1.
            unsafe { drop_in_place(this.data.get()) };
        }
    }
}

/// Access to a [`Revocable`]. It may not sleep.
///
/// # Invariants
///
/// 1. The value is there while the read-side section lasts.
pub struct RevocableGuard<'a, T> {
    // No reference: the value may be dropped before a function that was given the guard returns.
    data_ref: *const T,
    _rcu_guard: rcu::Guard,
    _p: PhantomData<&'a ()>,
}

impl<T> Deref for RevocableGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: Invariant 1.
        unsafe { &*self.data_ref }
    }
}

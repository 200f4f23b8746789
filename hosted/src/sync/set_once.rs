use super::atomic::{Acquire, Atomic, Relaxed, Release};
use core::{cell::UnsafeCell, mem::MaybeUninit};

/// A value that is set at most once.
///
/// # Invariants
///
/// 1. `init` is 0 before, 1 while the one that changed it from 0 writes, and 2 once the value is
///    there; it never goes back.
pub struct SetOnce<T> {
    init: Atomic<u32>,
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Default for SetOnce<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> SetOnce<T> {
    /// Not set.
    pub const fn new() -> Self {
        Self {
            value: UnsafeCell::new(MaybeUninit::uninit()),
            init: Atomic::new(0),
        }
    }

    /// The value, if it is set.
    #[allow(clippy::should_implement_trait, reason = "the name is Linux's")]
    pub fn as_ref(&self) -> Option<&T> {
        if self.init.load(Acquire) != 2 {
            return None;
        }
        // SAFETY: There, and no longer written: invariant 1.
        Some(unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// Sets it, unless somebody has.
    pub fn populate(&self, value: T) -> bool {
        if self.init.cmpxchg(0, 1, Relaxed).is_err() {
            return false;
        }
        // SAFETY: We changed it from 0, and nobody reads yet: invariant 1.
        unsafe { (*self.value.get()).write(value) };
        // INVARIANT: 1, written.
        self.init.store(2, Release);
        true
    }

    /// A copy of the value, if it is set.
    pub fn copy(&self) -> Option<T>
    where
        T: Copy,
    {
        self.as_ref().copied()
    }
}

impl<T> Drop for SetOnce<T> {
    fn drop(&mut self) {
        if *self.init.get_mut() == 2 {
            // SAFETY: There: invariant 1.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}

// SAFETY: Owns the value.
unsafe impl<T: Send> Send for SetOnce<T> {}

// SAFETY: Shares the value, and moves one in from any thread.
unsafe impl<T: Send + Sync> Sync for SetOnce<T> {}

//! RCU.
//!
//! C header: `include/linux/rcupdate.h`; mirrors `rust/kernel/sync/rcu.rs`.

use crate::{bindings, types::NotThreadSafe};

/// A read-side section. It may not sleep.
pub struct Guard(NotThreadSafe);

impl Guard {
    /// Enters.
    #[track_caller]
    pub fn new() -> Self {
        // SAFETY: Left when the guard is dropped.
        unsafe { bindings::rcu_read_lock() };
        Self(NotThreadSafe)
    }

    /// Leaves.
    pub fn unlock(self) {}
}

impl Default for Guard {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: Entered by `new`, on this thread.
        unsafe { bindings::rcu_read_unlock() };
    }
}

/// Enters a read-side section.
#[track_caller]
pub fn read_lock() -> Guard {
    Guard::new()
}

/// Waits for all callbacks of `call_rcu`. Sleeps.
#[track_caller]
pub fn rcu_barrier() {
    // SAFETY: May be called wherever one may sleep.
    unsafe { bindings::rcu_barrier() };
}

/// Waits for all read-side sections that run now. Sleeps.
#[track_caller]
pub fn synchronize_rcu() {
    // SAFETY: May be called wherever one may sleep, outside of read-side sections.
    unsafe { bindings::synchronize_rcu() };
}

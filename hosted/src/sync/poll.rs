//! Condition variables that a program can poll.
//!
//! C header: `include/linux/poll.h`; mirrors `rust/kernel/sync/poll.rs`. Left out:
//! `PollCondVarBox`.

use crate::{
    bindings,
    fs::File,
    prelude::*,
    sync::{rcu::synchronize_rcu, CondVar, LockClassKey},
};
use core::{marker::PhantomData, ops::Deref};

/// An initializer for a [`PollCondVar`], with a lock class of its own.
#[macro_export]
macro_rules! new_poll_condvar {
    ($($name:literal)?) => {
        $crate::sync::poll::PollCondVar::new(
            $crate::optional_name!($($name)?), $crate::static_lock_class!()
        )
    };
}

/// Where a poll operation says what it would wait for.
#[repr(transparent)]
pub struct PollTable<'a> {
    table: *mut bindings::poll_table,
    _lifetime: PhantomData<&'a bindings::poll_table>,
}

impl PollTable<'_> {
    /// Wraps the pointer.
    ///
    /// # Safety
    ///
    /// It is null, or valid for as long as this lives.
    pub unsafe fn from_raw(table: *mut bindings::poll_table) -> Self {
        PollTable {
            table,
            _lifetime: PhantomData,
        }
    }

    /// Would wait for `cv`.
    pub fn register_wait(&self, file: &File, cv: &PollCondVar) {
        // SAFETY: File and table are valid during the call; the queue outlives its waiters, as
        // `PollCondVar` lets go of them when dropped.
        unsafe { bindings::poll_wait(file.as_ptr(), cv.wait_queue_head.get(), self.table) }
    }
}

/// A [`CondVar`] that programs can poll; they are let go when it is dropped.
#[pin_data(PinnedDrop)]
#[repr(transparent)]
pub struct PollCondVar {
    #[pin]
    inner: CondVar,
}

impl PollCondVar {
    /// Nobody waits.
    pub fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- CondVar::new(name, key),
        })
    }
}

impl Deref for PollCondVar {
    type Target = CondVar;

    fn deref(&self) -> &CondVar {
        &self.inner
    }
}

#[pinned_drop]
impl PinnedDrop for PollCondVar {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Initialised.
        unsafe { bindings::__wake_up_pollfree(self.inner.wait_queue_head.get()) };
        // Until whoever polls has noticed.
        synchronize_rcu();
    }
}

//! Mirrors `rust/kernel/sync/condvar.rs`.

use super::{lock::Backend, lock::Guard, LockClassKey};
use crate::{
    bindings,
    prelude::*,
    task::{
        MAX_SCHEDULE_TIMEOUT, TASK_FREEZABLE, TASK_INTERRUPTIBLE, TASK_NORMAL, TASK_UNINTERRUPTIBLE,
    },
    time::Jiffies,
    types::Opaque,
};
use core::{marker::PhantomPinned, ptr};

/// An initializer for a [`CondVar`], with a lock class of its own.
#[macro_export]
macro_rules! new_condvar {
    ($($name:literal)?) => {
        $crate::sync::CondVar::new($crate::optional_name!($($name)?), $crate::static_lock_class!())
    };
}
pub use new_condvar;

/// Where tasks wait, having released a lock, until notified.
#[pin_data]
pub struct CondVar {
    #[pin]
    pub(crate) wait_queue_head: Opaque<bindings::wait_queue_head>,

    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: The C side synchronises.
unsafe impl Send for CondVar {}

// SAFETY: The C side synchronises.
unsafe impl Sync for CondVar {}

impl CondVar {
    /// Nobody waits.
    pub fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            _pin: PhantomPinned,
            // SAFETY: Valid for writes, and pinned; name and key are static.
            wait_queue_head <- Opaque::ffi_init(|slot| unsafe {
                bindings::__init_waitqueue_head(slot, name.as_char_ptr(), key.as_ptr())
            }),
        })
    }

    #[track_caller]
    fn wait_internal<T: ?Sized, B: Backend>(
        &self,
        wait_state: c_int,
        guard: &mut Guard<'_, T, B>,
        timeout: c_long,
    ) -> c_long {
        let wait = Opaque::<bindings::wait_queue_entry>::uninit();
        let (head, wait) = (self.wait_queue_head.get(), wait.get());
        // SAFETY: Valid for writes.
        unsafe { bindings::init_wait(wait) };
        // SAFETY: Both are initialised; the entry is taken off before it goes.
        unsafe { bindings::prepare_to_wait_exclusive(head, wait, wait_state) };
        // SAFETY: May sleep, as the lock is released: asked of whoever uses a `CondVar`.
        let left = guard.do_unlocked(|| unsafe { bindings::schedule_timeout(timeout) });
        // SAFETY: Both are initialised.
        unsafe { bindings::finish_wait(head, wait) };
        left
    }

    /// Releases the lock, waits, and takes it again. May wake for no reason.
    #[track_caller]
    pub fn wait<T: ?Sized, B: Backend>(&self, guard: &mut Guard<'_, T, B>) {
        self.wait_internal(TASK_UNINTERRUPTIBLE, guard, MAX_SCHEDULE_TIMEOUT);
    }

    /// As [`wait`](Self::wait), and a signal ends it: then it returns true.
    #[must_use = "a signal may have ended the wait"]
    #[track_caller]
    pub fn wait_interruptible<T: ?Sized, B: Backend>(&self, guard: &mut Guard<'_, T, B>) -> bool {
        self.wait_internal(TASK_INTERRUPTIBLE, guard, MAX_SCHEDULE_TIMEOUT);
        crate::current!().signal_pending()
    }

    /// As [`wait_interruptible`](Self::wait_interruptible), and the system may suspend meanwhile.
    #[must_use = "a signal may have ended the wait"]
    #[track_caller]
    pub fn wait_interruptible_freezable<T: ?Sized, B: Backend>(
        &self,
        guard: &mut Guard<'_, T, B>,
    ) -> bool {
        let state = TASK_INTERRUPTIBLE | TASK_FREEZABLE;
        self.wait_internal(state, guard, MAX_SCHEDULE_TIMEOUT);
        crate::current!().signal_pending()
    }

    /// As [`wait_interruptible`](Self::wait_interruptible), and so does time.
    #[must_use = "a signal, or time, may have ended the wait"]
    #[track_caller]
    pub fn wait_interruptible_timeout<T: ?Sized, B: Backend>(
        &self,
        guard: &mut Guard<'_, T, B>,
        jiffies: Jiffies,
    ) -> CondVarTimeoutResult {
        let timeout = jiffies.try_into().unwrap_or(MAX_SCHEDULE_TIMEOUT);
        let jiffies = self.wait_internal(TASK_INTERRUPTIBLE, guard, timeout) as Jiffies;
        match (jiffies, crate::current!().signal_pending()) {
            (jiffies, true) => CondVarTimeoutResult::Signal { jiffies },
            (0, false) => CondVarTimeoutResult::Timeout,
            (jiffies, false) => CondVarTimeoutResult::Woken { jiffies },
        }
    }

    fn notify(&self, count: c_int) {
        let head = self.wait_queue_head.get();
        // SAFETY: Initialised.
        unsafe { bindings::__wake_up(head, TASK_NORMAL, count, ptr::null_mut()) };
    }

    /// Wakes one, who will run when this one sleeps.
    pub fn notify_sync(&self) {
        // SAFETY: Initialised.
        unsafe { bindings::__wake_up_sync(self.wait_queue_head.get(), TASK_NORMAL) };
    }

    /// Wakes one.
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes all.
    pub fn notify_all(&self) {
        self.notify(0);
    }
}

/// What ended [`CondVar::wait_interruptible_timeout`].
pub enum CondVarTimeoutResult {
    /// Time.
    Timeout,
    /// A notification.
    Woken {
        /// The time that is left.
        jiffies: Jiffies,
    },
    /// A signal.
    Signal {
        /// The time that is left.
        jiffies: Jiffies,
    },
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Wait queues that let everybody go when the scope ends.
//!
//! C header: [`include/linux/wait.h`](srctree/include/linux/wait.h)
//!
//! A queue is *open* until its scope begins to end, then *closed*: whoever sleeps on it is woken and
//! gets `ENODEV`, whoever comes later gets `ENODEV` at once. So unbinding never hangs on a program
//! that sleeps in `read()`, nor on a work item that waits for an interrupt that will not come.

use crate::scope::{Member, Scope, Step};
use core::ptr;
use kernel::{
    bindings,
    prelude::*,
    static_lock_class,
    sync::atomic::{Acquire, Atomic, Release},
    types::Opaque,
};

/// A wait queue as a member of a scope.
#[pin_data]
struct Queue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
    closed: Atomic<bool>,
}

// SAFETY: `head` is only used through C functions that take its lock, and `closed` is atomic.
unsafe impl Sync for Queue {}

impl Queue {
    fn wake_all(&self) {
        // SAFETY: The head is initialised with the member, and stays until `Free`.
        unsafe { bindings::__wake_up(self.head.get(), bindings::TASK_NORMAL, 0, ptr::null_mut()) };
    }
}

// SAFETY: A queue calls nobody. Its sleepers are inside operations or work items of this scope, and
// have left with these by the end of `DrainWork`.
unsafe impl Member for Queue {
    unsafe fn step(&self, step: Step) {
        if step == Step::Close {
            self.closed.store(true, Release);
            #[cfg(devscope_mutants)]
            if crate::mutants::active(crate::mutants::Mutant::ForgetToWakeSleepers) {
                return;
            }
            self.wake_all();
        }
    }

    unsafe fn drop_body(&self) {}
}

/// A handle to a wait queue of the scope: one side waits, the other wakes.
///
/// It can be copied into any closure of the scope and into the device side of a file. It cannot
/// leave the scope: `'a` is the scope's.
///
/// # If leaked
///
/// Nothing happens. A handle owns nothing, and the queue closes with its scope.
#[derive(Clone, Copy)]
pub struct WaitQueue<'a>(&'a Queue);

impl WaitQueue<'_> {
    /// Sleeps until `condition` holds: `wait_event_interruptible()`.
    ///
    /// Process context only, and without a lock that the waker needs. `condition` is called several
    /// times, also while the task is already marked as sleeping, so it must not sleep itself (a
    /// spinlock or an atomic is fine, a mutex is not). Whoever makes it true calls
    /// [`WaitQueue::wake_all`] afterwards.
    ///
    /// Returns `Ok` as soon as the condition holds, even if the queue has been closed meanwhile.
    ///
    /// Errors: `ENODEV` when the scope ends; `ERESTARTSYS` when a signal is pending, for the
    /// operation to return as it is: the kernel then restarts the call or makes it `EINTR`.
    pub fn wait_until(&self, condition: impl Fn() -> bool) -> Result {
        if condition() {
            return Ok(());
        }
        let head = self.0.head.get();
        let mut entry = bindings::wait_queue_entry::default();
        let entry = &raw mut entry;
        // SAFETY: `entry` stays in place on this stack until `finish_wait()` below has taken it off
        // the queue.
        unsafe { bindings::init_wait_entry(entry, 0) };
        let result = loop {
            // SAFETY: The head is initialised and stays until `Free`, which waits for us: we are
            // inside an operation or a work item of its scope.
            let interrupted = unsafe {
                bindings::prepare_to_wait_event(head, entry, bindings::TASK_INTERRUPTIBLE as c_int)
            };
            // From here on a wake-up is not lost: whoever changes what we look at wakes us after
            // that, and `prepare_to_wait_event()` has queued us before we look.
            if condition() {
                break Ok(());
            }
            if self.0.closed.load(Acquire) {
                break Err(ENODEV);
            }
            if interrupted != 0 {
                break Err(ERESTARTSYS);
            }
            // SAFETY: Process context, and no requirement else.
            unsafe { bindings::schedule() };
        };
        // SAFETY: The pair of `prepare_to_wait_event()`; afterwards nobody points to `entry`.
        unsafe { bindings::finish_wait(head, entry) };
        result
    }

    /// Wakes everybody who sleeps on the queue, to look at their condition again.
    ///
    /// Any context, including hard interrupts. Does not sleep.
    #[inline]
    pub fn wake_all(&self) {
        self.0.wake_all();
    }
}

impl<'a> Scope<'a> {
    /// Makes a wait queue that closes when the scope ends.
    ///
    /// May sleep. Errors: `ENOMEM`.
    pub fn wait_queue(&mut self) -> Result<WaitQueue<'a>> {
        let key = static_lock_class!();
        let queue = self.join(try_pin_init!(Queue {
            // SAFETY: The slot is ours and does not move any more. Name and key are static.
            head <- Opaque::ffi_init(move |slot| unsafe {
                let name = c"devscope".as_char_ptr();
                bindings::__init_waitqueue_head(slot, name, key.as_ptr());
            }),
            closed: Atomic::new(false),
        }))?;
        Ok(WaitQueue(queue))
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Wait queues that let everybody go when the scope ends.
//!
//! C header: [`include/linux/wait.h`](srctree/include/linux/wait.h)
//!
//! A queue is *open* until its scope begins to end, then *closed*: whoever sleeps on it is woken and
//! gets `ENODEV`, whoever comes later gets `ENODEV` at once. So unbinding never hangs on a program
//! that sleeps in `read()`, nor on a work item that waits for an interrupt that will not come.

use crate::scope::{Member, Scope, Step};
use core::ptr::{self, NonNull};
use kernel::{
    bindings,
    prelude::*,
    static_lock_class,
    sync::atomic::{Acquire, Atomic, Full, Release},
    types::Opaque,
};

/// A wait queue as a member of a scope.
#[pin_data]
struct Queue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
    closed: Atomic<bool>,
    /// How often the queue was woken, modulo its range. It lets [`Queue::sleep`] tell that a wake-up
    /// came after the caller looked at its condition, so the condition need not be looked at while
    /// the task is already queued and marked as sleeping.
    wakes: Atomic<i32>,
}

// SAFETY: `head` is only used through C functions that take its lock; the rest is atomic.
unsafe impl Sync for Queue {}

impl Queue {
    fn wake_all(&self) {
        // Before waking: a sleeper that is not queued yet sees the count, one that is queued is woken.
        self.wakes.fetch_add(1, Full);
        // SAFETY: The head is initialised with the member, and stays until `Free`.
        unsafe { bindings::__wake_up(self.head.get(), bindings::TASK_NORMAL, 0, ptr::null_mut()) };
    }

    /// Sleeps until the queue is woken, unless it was woken since `wakes` was `seen`.
    ///
    /// Errors: `ERESTARTSYS` if a signal is pending and the queue has not been woken.
    fn sleep(&self, seen: i32) -> Result {
        let head = self.head.get();
        let mut entry = bindings::wait_queue_entry::default();
        let entry = &raw mut entry;
        // SAFETY:
        // - `entry` stays in place on this stack until `finish_wait()` has taken it off the queue,
        //   and no code of the driver runs in between, so nothing keeps us from getting there.
        // - The head is initialised and stays until `Free`, which waits for us: we are inside an
        //   operation or a work item of its scope, or `attach()`.
        // - `schedule()` is called in process context: might sleep, as `wait_until` says.
        unsafe {
            bindings::init_wait_entry(entry, 0);
            let interrupted =
                bindings::prepare_to_wait_event(head, entry, bindings::TASK_INTERRUPTIBLE as c_int);
            let woken = self.wakes.load(Acquire) != seen;
            if !woken && interrupted == 0 {
                bindings::schedule();
            }
            bindings::finish_wait(head, entry);
            if !woken && interrupted != 0 {
                return Err(ERESTARTSYS);
            }
        }
        Ok(())
    }
}

// SAFETY: A queue calls nobody. Its sleepers are inside operations or work items of this scope, and
// have left with these by the end of `DrainWork`.
unsafe impl Member for Queue {
    unsafe fn step(this: NonNull<Self>, step: Step) {
        if step == Step::Close {
            // SAFETY: `this` is a member of a scope; only shared references to it are made.
            let this = unsafe { this.as_ref() };
            this.closed.store(true, Release);
            #[cfg(devscope_mutants)]
            if crate::mutants::active(crate::mutants::Mutant::ForgetToWakeSleepers) {
                return;
            }
            this.wake_all();
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
    /// Process context only, and without a lock that the waker needs. `condition` is called in the
    /// caller's own context, at least once and again after each wake-up; other than in C it may take
    /// a mutex. Whoever makes it true calls [`WaitQueue::wake_all`] afterwards.
    ///
    /// Returns `Ok` as soon as the condition holds, even if the queue has been closed meanwhile.
    ///
    /// Errors: `ENODEV` when the scope ends; `ERESTARTSYS` when a signal is pending, for the
    /// operation to return as it is: the kernel then restarts the call or makes it `EINTR`.
    pub fn wait_until(&self, condition: impl Fn() -> bool) -> Result {
        loop {
            let seen = self.0.wakes.load(Acquire);
            if condition() {
                return Ok(());
            }
            if self.0.closed.load(Acquire) {
                return Err(ENODEV);
            }
            self.0.sleep(seen)?;
        }
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
            wakes: Atomic::new(0),
        }))?;
        Ok(WaitQueue(queue))
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_wait)]
mod tests {
    use super::*;
    use crate::testing::{bind_and_unbind, holding, Count, OnDrop};

    #[test]
    fn a_condition_that_holds_is_not_waited_for() -> Result {
        let bound = bind_and_unbind(Count::default(), |looked, scope| {
            scope.wait_queue()?.wait_until(|| looked.up() == 1)
        })?;
        assert_eq!(bound.data().get(), 1);
        Ok(())
    }

    #[test]
    fn a_wake_up_between_the_condition_and_the_sleep_is_not_lost() -> Result {
        let bound = bind_and_unbind(Count::default(), |looked, scope| {
            let queue = scope.wait_queue()?;
            // The first look finds nothing, and only then what it looks for happens.
            queue.wait_until(|| {
                let holds = looked.up() == 2;
                queue.wake_all();
                holds
            })
        })?;
        assert_eq!(bound.data().get(), 2);
        Ok(())
    }

    #[derive(Default)]
    struct Sleepers {
        asleep: Count,
        ready: Count,
        returned: Count,
        errors: Count,
    }

    #[test]
    fn everybody_is_woken_and_goes_when_the_condition_holds() -> Result {
        let bound = bind_and_unbind(Sleepers::default(), |data, scope| {
            let (queue, bell) = (scope.wait_queue()?, scope.wait_queue()?);
            for _ in 0..2 {
                let sleeper = scope.work(move || {
                    data.asleep.up();
                    bell.wake_all();
                    if queue.wait_until(|| data.ready.get() == 1).is_ok() {
                        data.returned.up();
                    }
                    bell.wake_all();
                })?;
                sleeper.schedule();
            }
            bell.wait_until(|| data.asleep.get() == 2)?;
            // In vain: the condition does not hold yet.
            queue.wake_all();
            data.errors.set(data.returned.get());
            data.ready.set(1);
            queue.wake_all();
            bell.wait_until(|| data.returned.get() == 2)
        })?;
        assert_eq!(bound.data().errors.get(), 0);
        assert_eq!(bound.data().returned.get(), 2);
        Ok(())
    }

    #[test]
    fn sleepers_get_enodev_when_the_scope_ends() -> Result {
        let bound = bind_and_unbind(Sleepers::default(), |data, scope| {
            let (queue, bell) = (scope.wait_queue()?, scope.wait_queue()?);
            for _ in 0..2 {
                let sleeper = scope.work(move || {
                    let waited = queue.wait_until(|| {
                        data.asleep.up();
                        bell.wake_all();
                        false
                    });
                    if waited == Err(ENODEV) {
                        data.errors.up();
                    }
                })?;
                sleeper.schedule();
            }
            bell.wait_until(|| data.asleep.get() >= 2)
        })?;
        assert_eq!(bound.data().errors.get(), 2);
        Ok(())
    }

    #[test]
    fn a_closed_queue_looks_at_the_condition_and_then_refuses() -> Result {
        let bound = bind_and_unbind(Sleepers::default(), |data, scope| {
            let queue = scope.wait_queue()?;
            let late = OnDrop(move || {
                if queue.wait_until(|| true).is_ok() {
                    data.returned.up();
                }
                if queue.wait_until(|| false) == Err(ENODEV) {
                    data.errors.up();
                }
                queue.wake_all();
            });
            scope.work(holding(late))?;
            Ok(())
        })?;
        assert_eq!(bound.data().returned.get(), 1);
        assert_eq!(bound.data().errors.get(), 1);
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Work items that cannot run on what is gone.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)
//!
//! A work item is *idle*, *pending*, or *running*; queueing a running one makes it run again. When
//! the scope has ended it is *gone*: disabled since the beginning of the end (`disable_work()`), so
//! that queueing refuses, and waited for (`disable_work_sync()`).
//!
//! Work is drained before tasklets and interrupts. A body may therefore wait for what only the
//! device's interrupt brings: the interrupt is still delivered until the body has returned. It must
//! not wait for what nobody will bring after unbind; a [`WaitQueue`](crate::wait::WaitQueue) of the
//! scope returns `ENODEV` then.

use crate::{
    deferred::{Callback, Core, Slot},
    scope::{Scope, Step},
    Scheduled,
};
use core::{
    mem::offset_of,
    ptr::{self, NonNull},
};
use kernel::{
    bindings,
    prelude::*,
    static_lock_class,
    sync::atomic::{Atomic, Relaxed},
    types::Opaque,
};

/// The part of a work item that handles share.
///
/// # Invariants
///
/// 1. `work` is initialised, and as long as it has no body it is disabled.
/// 2. `Step::Kill` disables it once more, which is never undone.
#[pin_data]
struct WorkCore {
    #[pin]
    work: Opaque<bindings::work_struct>,
    /// Why the work item is disabled, for [`Work::schedule`] to say. C keeps the count itself.
    refuses: Atomic<bool>,
}

// SAFETY: `work` is only used through C functions that may be called on any CPU, and `refuses` is
// atomic.
unsafe impl Sync for WorkCore {}

impl WorkCore {
    /// What a work item without a body would run, if it were not disabled.
    ///
    /// # Safety
    ///
    /// None; it is `unsafe` for being a [`Callback`].
    unsafe extern "C" fn no_body(_: *mut bindings::work_struct) {}
}

// SAFETY:
// - `OFFSET` is that of the `work_struct`; `Opaque` is transparent.
// - `disable_work_sync()` returns when the work item is neither pending nor running, and it is never
//   enabled again (kernel-doc in `kernel/workqueue.c`).
// - Without a callback the work item is disabled, and `refuses` is true.
unsafe impl Core for WorkCore {
    type Raw = bindings::work_struct;
    type Setup = ();
    type Answer = ();
    type Returned = ();

    const OFFSET: usize = offset_of!(Self, work);

    unsafe fn new((): (), callback: Option<Callback<Self>>) -> impl PinInit<Self, Error> {
        // One lock class for the work items of all scopes: lockdep follows what work bodies wait for
        // by class, and no body of a scope waits for a work item.
        let key = static_lock_class!();
        try_pin_init!(Self {
            // SAFETY: The slot is ours, does not move any more, and is not in use yet. Name and key
            // are static.
            // INVARIANT: Initialised, and disabled without a body.
            work <- Opaque::ffi_init(move |slot| unsafe {
                let name = c"devscope".as_char_ptr();
                // `__flush_work()` warns of a work item without a function, disabled or not.
                let func = callback.unwrap_or(Self::no_body);
                bindings::init_work_with_key(slot, Some(func), false, name, key.as_ptr());
                if callback.is_none() {
                    bindings::disable_work(slot);
                }
            }),
            refuses: Atomic::new(callback.is_none()),
        })
    }

    unsafe fn define(this: NonNull<Self>, callback: Callback<Self>) {
        // SAFETY:
        // - `this` is in place. The work item is disabled, so no worker reads `func`.
        // - A worker that reads it later is ordered after us: `enable_work()` and `queue_work_on()`
        //   both change `data` by atomic operations that return a value, which are full barriers.
        // INVARIANT: Enabled with a body, before `Kill`.
        unsafe {
            this.as_ref().refuses.store(false, Relaxed);
            let work = Opaque::cast_into(&raw const (*this.as_ptr()).work);
            (*work).func = Some(callback);
            bindings::enable_work(work);
        }
    }

    fn call(&self, body: impl FnOnce()) {
        body();
    }

    fn step(&self, step: Step) {
        let work = self.work.get();
        match step {
            Step::Kill => {
                // SAFETY: It reads which work item the current task runs, if any.
                if ptr::eq(unsafe { bindings::current_work() }, work) {
                    panic!("devscope: a scope ends inside one of its own work items, for which it would wait for ever");
                }
                self.refuses.store(true, Relaxed);
                // INVARIANT: Never enabled again: `define` is over, as `attach()` is.
                // SAFETY: The work item is initialised: invariant 1.
                unsafe { bindings::disable_work(work) };
            }
            // SAFETY: The work item is initialised: invariant 1. We are in process context and may
            // sleep, and not inside this work item: checked in `Kill`.
            Step::DrainWork => unsafe {
                bindings::disable_work_sync(work);
            },
            _ => {}
        }
    }
}

/// A handle with which a work item of the scope is queued.
///
/// It can be copied into any closure of the scope and into the device side of a file. It cannot
/// leave the scope: `'a` is the scope's.
///
/// # If leaked
///
/// Nothing happens. A handle owns nothing, and the scope stops the work whether or not handles to it
/// remain.
#[derive(Clone, Copy)]
pub struct Work<'a>(&'a WorkCore);

impl Work<'_> {
    /// Queues the work on the system's per-CPU workqueue: `schedule_work()`.
    ///
    /// Any context, including hard interrupts. Does not sleep. Refuses while the work item has no
    /// body yet, and from the moment at which the scope begins to end.
    #[inline]
    #[doc(alias = "schedule_work", alias = "queue_work")]
    pub fn schedule(&self) -> Scheduled {
        // SAFETY: The work item is initialised (invariant 1 of `WorkCore`), and freed only after it was
        // drained for good. The queue is the system's and exists since boot.
        let queued = unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                bindings::system_percpu_wq,
                self.0.work.get(),
            )
        };
        if queued {
            Scheduled::Queued
        } else {
            self.why_not()
        }
    }

    /// `queue_work_on()` says "no" both for a pending work item and for a disabled one.
    #[cold]
    fn why_not(&self) -> Scheduled {
        if self.0.refuses.load(Relaxed) {
            Scheduled::Refused
        } else {
            Scheduled::Pending
        }
    }
}

/// The place for the body of a declared work item. Giving the body consumes it.
///
/// # If leaked
///
/// The work item stays without a body, and its handle refuses.
#[must_use = "a work item without a body refuses to be queued: call `define()`"]
pub struct WorkSlot<'a>(Slot<'a, WorkCore>);

impl<'a> WorkSlot<'a> {
    /// Gives the work item its body; from here on its handle queues.
    ///
    /// The body's promises are those of [`Scope::work`].
    ///
    /// May sleep. Errors: `ENOMEM`; the work item then stays without a body.
    pub fn define<F>(self, scope: &mut Scope<'a>, body: F) -> Result
    where
        F: Fn() + Send + Sync + 'a,
    {
        self.0.define(scope, body)
    }
}

impl<'a> Scope<'a> {
    /// Registers a work item.
    ///
    /// `body` runs in process context on a worker thread and may sleep. It runs concurrently with
    /// everything but itself.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[doc(alias = "INIT_WORK", alias = "cancel_work_sync", alias = "flush_work")]
    pub fn work<F>(&mut self, body: F) -> Result<Work<'a>>
    where
        F: Fn() + Send + Sync + 'a,
    {
        self.defer((), body).map(Work)
    }

    /// Declares a work item whose body comes later, for bodies that need each other's handles.
    ///
    /// The handle can be captured at once. Until [`WorkSlot::define`] it refuses.
    ///
    /// May sleep. Errors: `ENOMEM`.
    pub fn declare_work(&mut self) -> Result<(Work<'a>, WorkSlot<'a>)> {
        let (core, slot) = self.declare(())?;
        Ok((Work(core), WorkSlot(slot)))
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_work)]
mod tests {
    use super::*;
    use crate::testing::{
        bind_and_unbind, pause, pending_when_the_scope_ends, scheduled_three_times,
        scheduled_while_bodies_are_dropped, scheduled_while_it_runs, scheduled_without_a_body,
        schedules_itself, two_schedule_each_other, Count, Deferred, Seen,
    };

    struct Works;

    impl Deferred for Works {
        type Handle<'a> = Work<'a>;
        type Slot<'a> = WorkSlot<'a>;

        const SLEEPS: bool = true;

        fn register<'a, F>(scope: &mut Scope<'a>, body: F) -> Result<Work<'a>>
        where
            F: Fn() + Send + Sync + 'a,
        {
            scope.work(body)
        }

        fn declare<'a>(scope: &mut Scope<'a>) -> Result<(Work<'a>, WorkSlot<'a>)> {
            scope.declare_work()
        }

        fn define<'a, F>(slot: WorkSlot<'a>, scope: &mut Scope<'a>, body: F) -> Result
        where
            F: Fn() + Send + Sync + 'a,
        {
            slot.define(scope, body)
        }

        fn schedule(handle: Work<'_>) -> Scheduled {
            handle.schedule()
        }
    }

    #[test]
    fn a_work_item_runs_once_for_each_time_that_it_was_queued() -> Result {
        let bound = scheduled_three_times::<Works>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert_eq!(seen.runs.get(), 3);
        Ok(())
    }

    #[test]
    fn a_running_work_item_is_queued_once_more_and_is_then_pending() -> Result {
        let bound = scheduled_while_it_runs::<Works>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert!(seen.second.is(Scheduled::Pending));
        assert_eq!(seen.runs.get(), 2);
        Ok(())
    }

    #[test]
    fn a_work_item_that_queues_itself_ends_with_its_scope() -> Result {
        let bound = schedules_itself::<Works>()?;
        let seen = bound.data();
        assert!(seen.ended.get() >= 3);
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn two_work_items_that_queue_each_other_end_with_their_scope() -> Result {
        let bound = two_schedule_each_other::<Works>()?;
        let seen = bound.data();
        assert!(seen.ended.get() >= 3);
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn a_work_item_that_is_pending_when_the_scope_ends_has_run_or_never_will() -> Result {
        let bound = pending_when_the_scope_ends::<Works>()?;
        let seen = bound.data();
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn a_work_item_refuses_until_it_has_a_body() -> Result {
        let bound = scheduled_without_a_body::<Works>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Refused));
        assert!(seen.second.is(Scheduled::Queued));
        assert!(seen.third.is(Scheduled::Refused));
        assert_eq!(seen.runs.get(), 1);
        Ok(())
    }

    #[test]
    fn a_work_item_refuses_while_bodies_are_dropped() -> Result {
        let bound = scheduled_while_bodies_are_dropped::<Works>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Refused));
        assert!(seen.second.is(Scheduled::Refused));
        assert_eq!(seen.runs.get(), 0);
        Ok(())
    }

    #[test]
    fn a_running_work_item_is_queued_once_more_by_another_task_too() -> Result {
        let bound = bind_and_unbind(<(Seen, Count)>::default(), |(seen, go_on), scope| {
            let bell = scope.wait_queue()?;
            let work = scope.work(move || {
                seen.runs.up();
                bell.wake_all();
                // It does not run concurrently with itself, so what is queued now stays queued.
                if bell.wait_until(|| go_on.get() == 1).is_ok() {
                    seen.ended.up();
                }
                bell.wake_all();
            })?;
            seen.first.note(work.schedule());
            bell.wait_until(|| seen.runs.get() == 1)?;
            seen.second.note(work.schedule());
            seen.third.note(work.schedule());
            go_on.set(1);
            bell.wake_all();
            bell.wait_until(|| seen.ended.get() == 2)
        })?;
        assert!(bound.data().0.first.is(Scheduled::Queued));
        assert!(bound.data().0.second.is(Scheduled::Queued));
        assert!(bound.data().0.third.is(Scheduled::Pending));
        assert_eq!(bound.data().0.runs.get(), 2);
        Ok(())
    }

    #[test]
    fn a_work_item_that_runs_when_the_scope_ends_is_waited_for() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let work = scope.work(move || {
                seen.runs.up();
                bell.wake_all();
                pause();
                seen.ended.up();
            })?;
            work.schedule();
            bell.wait_until(|| seen.runs.get() == 1)
        })?;
        assert_eq!(bound.data().ended.get(), 1);
        Ok(())
    }
}

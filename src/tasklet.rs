// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tasklets that cannot run on what is gone.
//!
//! C header: [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)
//!
//! A tasklet is *idle*, *scheduled*, or *running*; scheduling a running one makes it run again.
//! When the scope has ended it is *gone*: [`Tasklet::schedule`] refused from the beginning of the
//! end, so that a tasklet which keeps itself alive through an interrupt stops as well.
//!
//! For drivers that have a tasklet today. `include/linux/interrupt.h` calls the interface deprecated and
//! names what replaces it:
//!
//! - What may sleep, or takes its time, goes into the thread of a threaded handler; see [`irq`](crate::irq).
//! - What is to run in a softirq, as a tasklet does, is bottom-half work: [`Scope::bh_work`].

use crate::{
    deferred::{may_wait, Callback, Core, Life, Slot},
    helpers::devscope_tasklet_claim,
    scope::{Scope, Step},
    Scheduled,
};
use core::{mem::offset_of, ptr::NonNull};
use kernel::{bindings, prelude::*, types::Opaque};

/// The part of a tasklet that handles share.
///
/// # Invariants
///
/// 1. While `life` is "live" or "over", `tasklet` has been set up with a callback.
#[pin_data]
struct TaskletCore {
    #[pin]
    tasklet: Opaque<bindings::tasklet_struct>,
    life: Life,
}

// SAFETY: `tasklet` is only used through C functions that may be called on any CPU, and `life` is atomic.
unsafe impl Sync for TaskletCore {}

// SAFETY:
// - `OFFSET` is that of the `tasklet_struct`; `Opaque` is transparent.
// - `tasklet_kill()` returns when the tasklet neither runs nor is scheduled (kernel-doc in
//   `kernel/softirq.c`). What the first kill missed is one that was scheduled after it by a callback
//   that had read "live" before `Kill`. The run that it scheduled finds the tasklet's life over, and calls
//   no body: it was scheduled through `state` of the tasklet, by an atomic read-modify-write that comes
//   after that of the first kill, and so after `Kill`'s store (`linux/litmus/tasklet+*.litmus`). By
//   `Redrain` all callbacks that started before `Kill` have returned (those of work, threads, timers,
//   tasklets and interrupts were drained).
// - Without a callback `life` is "no body", and handles refuse.
unsafe impl Core for TaskletCore {
    type Raw = bindings::tasklet_struct;
    type Setup = ();
    type Answer = ();
    type Returned = ();

    const OFFSET: usize = offset_of!(Self, tasklet);

    unsafe fn new((): (), callback: Option<Callback<Self>>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // SAFETY: The slot is ours and does not move any more. All zeroes is a tasklet that is not
            // scheduled.
            tasklet <- Opaque::ffi_init(move |slot: *mut bindings::tasklet_struct| unsafe {
                slot.write_bytes(0, 1);
                if callback.is_some() {
                    bindings::tasklet_setup(slot, callback);
                }
            }),
            life: Life::new(callback.is_some()),
        })
    }

    unsafe fn define(this: NonNull<Self>, callback: Callback<Self>) {
        // SAFETY: `this` is in place, and nobody else uses `tasklet` while it has no body: everybody looks
        // at `life` first.
        // INVARIANT: 1.
        unsafe {
            let tasklet = Opaque::cast_into(&raw const (*this.as_ptr()).tasklet);
            bindings::tasklet_setup(tasklet, Some(callback));
            this.as_ref().life.define();
        }
    }

    fn call(&self, body: impl FnOnce()) {
        if !self.life.is_over() {
            body();
        }
    }

    fn step(&self, step: Step) {
        match step {
            Step::Kill => {
                self.life.end();
            }
            // SAFETY: The tasklet has been set up, as `Life::is_set_up` says. We are in process context, as
            // `tasklet_kill()` asks.
            Step::DrainTasklets | Step::Redrain if self.life.is_set_up() => unsafe {
                bindings::tasklet_kill(self.tasklet.get())
            },
            _ => {}
        }
    }
}

/// A handle with which a tasklet of the scope is scheduled.
///
/// It can be copied into any closure of the scope and into the device side of a file. It cannot
/// leave the scope: `'a` is the scope's.
///
/// # If leaked
///
/// Nothing happens. A handle owns nothing, and the scope stops the tasklet whether or not handles
/// to it remain.
#[derive(Clone, Copy)]
pub struct Tasklet<'a>(&'a TaskletCore);

impl Tasklet<'_> {
    /// Asks for the tasklet to run once, soon, on this CPU: `tasklet_schedule()`.
    ///
    /// Any context, including hard interrupts. Does not sleep. Refuses while the tasklet has no body
    /// yet, after [`Tasklet::release`], and from the moment at which the scope begins to end.
    #[inline]
    #[doc(alias = "tasklet_schedule")]
    pub fn schedule(&self) -> Scheduled {
        let tasklet = self.0.tasklet.get();
        // `test_and_set_bit()` is a full barrier, whether or not the bit was set
        // (`Documentation/atomic_bitops.txt`): what is used from there on is what `define` has set up.
        if self.0.life.refuses_before_barrier() {
            return Scheduled::Refused;
        }
        // SAFETY: The tasklet has been set up (invariant 1 of `Life`), and is freed only after it was killed
        // twice.
        if !unsafe { devscope_tasklet_claim(tasklet) } {
            return Scheduled::Pending;
        }
        // SAFETY: As above, and it is for us to queue it.
        unsafe { bindings::__tasklet_schedule(tasklet) };
        Scheduled::Queued
    }

    /// Ends the tasklet before its scope ends: `tasklet_kill()`.
    ///
    /// When this has returned `Ok`, the body does not run, will not run again, and all handles refuse. A
    /// tasklet that was scheduled may have run before. The body and what it captured are dropped when the
    /// scope ends. Releasing again is harmless, and promises the same.
    ///
    /// Process context; sleeps. The caller must not hold a lock that keeps the body from ending.
    ///
    /// Errors, in which case nothing has happened: `EDEADLK` in atomic context, which includes every
    /// tasklet's own body.
    #[doc(alias = "tasklet_kill")]
    pub fn release(&self) -> Result {
        may_wait()?;
        if self.0.life.end() {
            // SAFETY: It has been set up (invariant 1 of `Life`). We are in process context. Whoever
            // schedules it later does so after this kill, and its run finds its life over.
            unsafe { bindings::tasklet_kill(self.0.tasklet.get()) };
        }
        Ok(())
    }
}

/// The place for the body of a declared tasklet. Giving the body consumes it.
///
/// # If leaked
///
/// The tasklet stays without a body, and its handle refuses.
#[must_use = "a tasklet without a body refuses to be scheduled: call `define()`"]
pub struct TaskletSlot<'a>(Slot<'a, TaskletCore>);

impl<'a> TaskletSlot<'a> {
    /// Gives the tasklet its body; from here on its handle schedules, unless it was released.
    ///
    /// The body's promises are those of [`Scope::tasklet`].
    ///
    /// May sleep. Errors: `ENOMEM`; the tasklet then stays without a body.
    pub fn define<F>(self, scope: &mut Scope<'a>, body: F) -> Result
    where
        F: Fn() + Send + Sync + 'a,
    {
        self.0.define(scope, body)
    }
}

impl<'a> Scope<'a> {
    /// Registers a tasklet.
    ///
    /// `body` runs in softirq context, on the CPU that scheduled it, concurrently with everything
    /// but itself; it must not sleep.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[doc(alias = "tasklet_setup", alias = "tasklet_kill")]
    pub fn tasklet<F>(&mut self, body: F) -> Result<Tasklet<'a>>
    where
        F: Fn() + Send + Sync + 'a,
    {
        self.defer((), body).map(Tasklet)
    }

    /// Declares a tasklet whose body comes later, for bodies that need each other's handles.
    ///
    /// The handle can be captured at once. Until [`TaskletSlot::define`] it refuses.
    ///
    /// May sleep. Errors: `ENOMEM`.
    pub fn declare_tasklet(&mut self) -> Result<(Tasklet<'a>, TaskletSlot<'a>)> {
        let (core, slot) = self.declare(())?;
        Ok((Tasklet(core), TaskletSlot(slot)))
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_tasklet)]
mod tests {
    use super::*;
    use crate::testing::{
        bind_and_unbind, pause, pending_when_the_scope_ends, scheduled_three_times,
        scheduled_while_bodies_are_dropped, scheduled_while_it_gets_its_body,
        scheduled_while_it_runs, scheduled_without_a_body, schedules_itself,
        two_schedule_each_other, Deferred, Seen,
    };

    struct Tasklets;

    impl Deferred for Tasklets {
        type Handle<'a> = Tasklet<'a>;
        type Slot<'a> = TaskletSlot<'a>;

        const SLEEPS: bool = false;

        fn register<'a, F>(scope: &mut Scope<'a>, body: F) -> Result<Tasklet<'a>>
        where
            F: Fn() + Send + Sync + 'a,
        {
            scope.tasklet(body)
        }

        fn declare<'a>(scope: &mut Scope<'a>) -> Result<(Tasklet<'a>, TaskletSlot<'a>)> {
            scope.declare_tasklet()
        }

        fn define<'a, F>(slot: TaskletSlot<'a>, scope: &mut Scope<'a>, body: F) -> Result
        where
            F: Fn() + Send + Sync + 'a,
        {
            slot.define(scope, body)
        }

        fn schedule(handle: Tasklet<'_>) -> Scheduled {
            handle.schedule()
        }
    }

    #[test]
    fn a_tasklet_runs_once_for_each_time_that_it_was_scheduled() -> Result {
        let bound = scheduled_three_times::<Tasklets>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert_eq!(seen.runs.get(), 3);
        Ok(())
    }

    #[test]
    fn a_running_tasklet_is_scheduled_once_more_and_is_then_pending() -> Result {
        let bound = scheduled_while_it_runs::<Tasklets>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert!(seen.second.is(Scheduled::Pending));
        assert_eq!(seen.runs.get(), 2);
        Ok(())
    }

    #[test]
    fn a_tasklet_that_schedules_itself_ends_with_its_scope() -> Result {
        let bound = schedules_itself::<Tasklets>()?;
        let seen = bound.data();
        assert!(seen.ended.get() >= 3);
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn two_tasklets_that_schedule_each_other_end_with_their_scope() -> Result {
        let bound = two_schedule_each_other::<Tasklets>()?;
        let seen = bound.data();
        assert!(seen.ended.get() >= 3);
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn a_tasklet_that_is_pending_when_the_scope_ends_has_run_or_never_will() -> Result {
        let bound = pending_when_the_scope_ends::<Tasklets>()?;
        let seen = bound.data();
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn a_tasklet_refuses_until_it_has_a_body() -> Result {
        let bound = scheduled_without_a_body::<Tasklets>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Refused));
        assert!(seen.second.is(Scheduled::Queued));
        assert!(seen.third.is(Scheduled::Refused));
        assert_eq!(seen.runs.get(), 1);
        Ok(())
    }

    #[test]
    fn a_tasklet_that_is_scheduled_while_it_gets_its_body_does_as_it_said() -> Result {
        let bound = scheduled_while_it_gets_its_body::<Tasklets>()?;
        assert_eq!(bound.data().ended.get(), 1);
        Ok(())
    }

    #[test]
    fn a_tasklet_refuses_while_bodies_are_dropped() -> Result {
        let bound = scheduled_while_bodies_are_dropped::<Tasklets>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Refused));
        assert!(seen.second.is(Scheduled::Refused));
        assert_eq!(seen.runs.get(), 0);
        Ok(())
    }

    #[test]
    fn one_tasklet_schedules_another() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let second = scope.tasklet(move || {
                seen.runs.up();
                bell.wake_all();
            })?;
            let first = scope.tasklet(move || seen.first.note(second.schedule()))?;
            first.schedule();
            bell.wait_until(|| seen.runs.get() == 1)
        })?;
        assert!(bound.data().first.is(Scheduled::Queued));
        assert_eq!(bound.data().runs.get(), 1);
        Ok(())
    }

    #[test]
    fn a_released_tasklet_refuses_and_does_not_run() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let (tasklet, slot) = scope.declare_tasklet()?;
            slot.define(scope, move || {
                seen.runs.up();
                bell.wake_all();
                tasklet.schedule();
            })?;
            tasklet.schedule();
            bell.wait_until(|| seen.runs.get() >= 3)?;
            tasklet.release()?;
            tasklet.release()?;
            seen.ended.set(seen.runs.get());
            seen.first.note(tasklet.schedule());
            pause();
            Ok(())
        })?;
        assert!(bound.data().first.is(Scheduled::Refused));
        assert_eq!(bound.data().runs.get(), bound.data().ended.get());
        Ok(())
    }

    #[test]
    fn a_tasklet_that_is_released_without_a_body_stays_without() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let (tasklet, slot) = scope.declare_tasklet()?;
            tasklet.release()?;
            slot.define(scope, move || {
                seen.runs.up();
            })?;
            seen.first.note(tasklet.schedule());
            tasklet.release()?;
            pause();
            Ok(())
        })?;
        assert!(bound.data().first.is(Scheduled::Refused));
        assert_eq!(bound.data().runs.get(), 0);
        Ok(())
    }

    #[test]
    fn a_tasklet_is_not_released_by_its_own_body() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let (tasklet, slot) = scope.declare_tasklet()?;
            slot.define(scope, move || {
                if tasklet.release() == Err(EDEADLK) {
                    seen.ended.up();
                }
                seen.runs.up();
                bell.wake_all();
            })?;
            tasklet.schedule();
            bell.wait_until(|| seen.runs.get() == 1)?;
            seen.first.note(tasklet.schedule());
            bell.wait_until(|| seen.runs.get() == 2)
        })?;
        assert!(bound.data().first.is(Scheduled::Queued));
        assert_eq!(bound.data().ended.get(), 2);
        Ok(())
    }
}

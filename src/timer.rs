// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Timers that cannot run on what is gone.
//!
//! C header: [`include/linux/timer.h`](srctree/include/linux/timer.h)
//!
//! A timer is *idle*, *pending*, or *running*; starting a running one makes it run again. When the scope
//! has ended it is *gone*: shut down since the beginning of the end (`timer_shutdown()`), so that
//! starting it refuses, and waited for (`timer_shutdown_sync()`). What is shut down has no function any
//! more, and what is declared has none yet; C starts neither. So timers that start each other, or
//! themselves, need no thought, nor does work that starts a timer that queues it.
//!
//! A timer that runs again and again starts itself, through its own handle:
//!
//! ```
//! # use devscope::Scope;
//! # use kernel::{prelude::*, sync::atomic::{Atomic, Relaxed}, time::msecs_to_jiffies};
//! # struct Data { ticks: Atomic<i32> }
//! # fn attach<'a>(data: &'a Data, scope: &mut Scope<'a>) -> Result {
//! let (watchdog, slot) = scope.declare_timer()?;
//! slot.define(scope, move || {
//!     data.ticks.add(1, Relaxed);
//!     watchdog.start(msecs_to_jiffies(500));
//! })?;
//! watchdog.start(msecs_to_jiffies(500));
//! # Ok(())
//! # }
//! ```
//!
//! For times below some ticks, or periods that must not drift, there is [`hrtimer`](crate::hrtimer). For
//! a body that sleeps there is delayed [`work`](crate::work).
//!
//! Not covered: how late a timer is. It expires at a tick, not before its time, and the further that is
//! away the coarser C rounds it up (`kernel/time/timer.c`).

use crate::{
    deferred::{may_wait, Callback, Core, Slot},
    scope::{Scope, Step},
    Scheduled,
};
use core::{
    mem::offset_of,
    ptr::{self, NonNull},
};
use kernel::{
    bindings, new_spinlock,
    prelude::*,
    static_lock_class,
    sync::{
        atomic::{Atomic, Release},
        SpinLock,
    },
    time::Jiffies,
    types::Opaque,
};

/// The part of a timer that handles share.
///
/// # Invariants
///
/// 1. `timer` is initialised.
/// 2. Its function is that of the core's callback, or null: until it has a body, and for ever once it is
///    `released` or `Step::Kill` was taken. Null is what C calls shut down.
#[pin_data]
struct TimerCore {
    #[pin]
    timer: Opaque<bindings::timer_list>,
    /// [`Timer::release`] has been called. C cannot tell a timer that is shut down from one that has no
    /// body yet, so this keeps the body from coming after the end.
    #[pin]
    released: SpinLock<bool>,
}

// SAFETY: `timer` is only used through C functions that may be called on any CPU, and its function also
// through `may_start` and `define`, which are atomic.
unsafe impl Sync for TimerCore {}

impl TimerCore {
    /// # Safety
    ///
    /// `slot` is in place, not in use, and not moved from now on.
    unsafe fn set_up(slot: *mut bindings::timer_list, callback: Option<Callback<Self>>) {
        // One lock class for the timers of all scopes: lockdep reports who waits for a timer while
        // holding a lock that a body takes. Such a lock is a spinlock, and nobody here waits for a timer
        // with one held: neither teardown nor `Timer::release`.
        let key = static_lock_class!();
        // SAFETY: The slot is ours. Name and key are static. A timer without a function is what one that
        // was shut down is like, and starting it does nothing (kernel-doc of `mod_timer()`).
        unsafe {
            bindings::timer_init_key(slot, callback, 0, c"devscope".as_char_ptr(), key.as_ptr());
        }
    }

    /// Whether C will start the timer, unless it is shut down meanwhile.
    ///
    /// The price of starting it. Nothing has to be acquired:
    ///
    /// - C reads the same word again, under the lock of the timer's base, and does not find an older
    ///   value there.
    /// - Nothing else is written when a timer gets its function but where its body is, and that
    ///   before (`define`). Whoever calls the function has taken the lock that was held to queue the
    ///   timer, which was after this look. So they are ordered after it, and after the store that it
    ///   has seen, which was a release.
    #[inline]
    fn may_start(&self) -> bool {
        // FIXME(read_once): Replace with `read_once` when available on the Rust side.
        // SAFETY: The timer is initialised: invariant 1. The word is written whole, by `define` and by C,
        // and this is meant as a `READ_ONCE()` of it.
        unsafe { ptr::read_volatile(&raw const (*self.timer.get()).function) }.is_some()
    }
}

// SAFETY:
// - `OFFSET` is that of the `timer_list`; `Opaque` is transparent.
// - When `timer_shutdown_sync()` has returned, the timer is not queued, its function does not run, and
//   it cannot be queued again (kernel-doc in `kernel/time/timer.c`). So it needs no second pass: a
//   callback that had seen a function before `Kill` and starts the timer afterwards finds, under the lock
//   of the timer's base, that it has none.
// - Without a callback it has no function, and C refuses: invariant 2.
unsafe impl Core for TimerCore {
    type Raw = bindings::timer_list;
    type Setup = ();
    type Answer = ();
    type Returned = ();

    const OFFSET: usize = offset_of!(Self, timer);

    unsafe fn new((): (), callback: Option<Callback<Self>>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // SAFETY: The slot is ours, does not move any more, and is not in use yet.
            timer <- Opaque::ffi_init(move |slot| unsafe { Self::set_up(slot, callback) }),
            released <- new_spinlock!(false, "devscope"),
        })
    }

    unsafe fn define(this: NonNull<Self>, callback: Callback<Self>) {
        // SAFETY: `this` is in place.
        let core = unsafe { this.as_ref() };
        let released = core.released.lock();
        if *released {
            return;
        }
        // SAFETY: The timer is initialised: invariant 1. A function is a word, that is written by nobody
        // else but to shut the timer down: under `released`, or after `attach()`. C reads it under the
        // lock of the timer's base, or as a whole.
        let function: &Atomic<*mut c_void> =
            unsafe { Atomic::from_ptr((&raw mut (*core.timer.get()).function).cast()) };
        // Release: whoever sees the function finds the body.
        // INVARIANT: 2: it has a body, and is not released; and `Kill` is yet to come.
        function.store(callback as *mut c_void, Release);
    }

    fn call(&self, body: impl FnOnce()) {
        body();
    }

    fn step(&self, step: Step) {
        match step {
            // INVARIANT: 2: no function from here on.
            // SAFETY: The timer is initialised: invariant 1.
            Step::Kill => unsafe {
                shutdown(self.timer.get());
            },
            // SAFETY: The timer is initialised: invariant 1. We are in process context and hold no lock
            // that a body could take, as the synchronization rules of `timer_delete_sync()` ask.
            Step::DrainTimers => unsafe {
                shutdown_sync(self.timer.get());
            },
            _ => {}
        }
    }
}

#[cfg(devscope_mutants)]
use crate::mutants::{timer_shutdown as shutdown, timer_shutdown_sync as shutdown_sync};
#[cfg(not(devscope_mutants))]
use bindings::{timer_shutdown as shutdown, timer_shutdown_sync as shutdown_sync};

/// A handle with which a timer of the scope is started and stopped.
///
/// It can be copied into any closure of the scope and into the device side of a file. It cannot
/// leave the scope: `'a` is the scope's.
///
/// # If leaked
///
/// Nothing happens. A handle owns nothing, and the scope stops the timer whether or not handles to it
/// remain.
#[derive(Clone, Copy)]
pub struct Timer<'a>(&'a TimerCore);

impl Timer<'_> {
    /// Asks for the timer to expire `delay` ticks from now: `mod_timer()`. For milliseconds there is
    /// [`msecs_to_jiffies`](kernel::time::msecs_to_jiffies).
    ///
    /// [`Scheduled::Pending`] says that the timer was pending; it now has the new time. A delay of zero
    /// is the next tick. At most `MAX_JIFFY_OFFSET`, which is what `msecs_to_jiffies()` gives at most.
    ///
    /// Any context, including hard interrupts. Does not sleep. Refuses while the timer has no body yet,
    /// after [`Timer::release`], and from the moment at which the scope begins to end.
    #[inline]
    #[doc(alias = "mod_timer", alias = "add_timer")]
    pub fn start(&self, delay: Jiffies) -> Scheduled {
        if !self.0.may_start() {
            return Scheduled::Refused;
        }
        // SAFETY: `jiffies` exists as long as the kernel, and is volatile in C: whoever wants the time
        // reads it without a lock (`include/linux/jiffies.h`).
        let now = unsafe { ptr::read_volatile(&raw const bindings::jiffies) };
        // SAFETY: The timer is initialised (invariant 1 of `TimerCore`), and freed only after it was shut
        // down. `mod_timer()` is the one that may be called by several at once (its kernel-doc).
        match unsafe { bindings::mod_timer(self.0.timer.get(), now.wrapping_add(delay)) } {
            0 => Scheduled::Queued,
            _ => Scheduled::Pending,
        }
    }

    /// Stops the timer, if it is pending, and says whether it was: `timer_delete()`.
    ///
    /// Does not wait: the body may be running on another CPU, and may start the timer again. Any
    /// context. Does not sleep.
    #[doc(alias = "timer_delete", alias = "del_timer")]
    pub fn stop(&self) -> bool {
        // SAFETY: As for `start`.
        unsafe { bindings::timer_delete(self.0.timer.get()) != 0 }
    }

    /// Ends the timer before its scope ends: `timer_shutdown_sync()`.
    ///
    /// When this has returned `Ok`, the body does not run, will not run again, and all handles refuse.
    /// The body and what it captured are dropped when the scope ends. Releasing again is harmless, and
    /// promises the same.
    ///
    /// Process context; sleeps. The caller must not hold a lock that keeps the body from ending.
    ///
    /// Errors, in which case nothing has happened: `EDEADLK` in atomic context, which includes every
    /// timer's own body.
    #[doc(alias = "timer_shutdown_sync", alias = "timer_delete_sync")]
    pub fn release(&self) -> Result {
        may_wait()?;
        let timer = self.0.timer.get();
        // `define` gives it no function after this, and what it has given before is taken away below.
        *self.0.released.lock() = true;
        // INVARIANT: 2: no function from here on. In two steps, so that a run that has begun cannot start
        // the timer any more, and the wait is for one run at most.
        // SAFETY: The timer is initialised (invariant 1 of `TimerCore`). We are in process context, and
        // hold no spinlock.
        unsafe {
            bindings::timer_shutdown(timer);
            bindings::timer_shutdown_sync(timer);
        }
        Ok(())
    }
}

/// The place for the body of a declared timer. Giving the body consumes it.
///
/// # If leaked
///
/// The timer stays without a body, and its handle refuses.
#[must_use = "a timer without a body refuses to be started: call `define()`"]
pub struct TimerSlot<'a>(Slot<'a, TimerCore>);

impl<'a> TimerSlot<'a> {
    /// Gives the timer its body; from here on its handle starts it, unless it was released.
    ///
    /// The body's promises are those of [`Scope::timer`].
    ///
    /// May sleep. Errors: `ENOMEM`; the timer then stays without a body.
    pub fn define<F>(self, scope: &mut Scope<'a>, body: F) -> Result
    where
        F: Fn() + Send + Sync + 'a,
    {
        self.0.define(scope, body)
    }
}

impl<'a> Scope<'a> {
    /// Registers a timer.
    ///
    /// `body` runs in softirq context, concurrently with everything but itself; it must not sleep.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[doc(alias = "timer_setup", alias = "timer_delete_sync")]
    pub fn timer<F>(&mut self, body: F) -> Result<Timer<'a>>
    where
        F: Fn() + Send + Sync + 'a,
    {
        self.defer((), body).map(Timer)
    }

    /// Declares a timer whose body comes later: for one that starts itself, or for bodies that need each
    /// other's handles.
    ///
    /// The handle can be captured at once. Until [`TimerSlot::define`] it refuses.
    ///
    /// May sleep. Errors: `ENOMEM`.
    pub fn declare_timer(&mut self) -> Result<(Timer<'a>, TimerSlot<'a>)> {
        let (core, slot) = self.declare(())?;
        Ok((Timer(core), TimerSlot(slot)))
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_timer)]
mod tests {
    use super::*;
    use crate::testing::{
        bind_and_unbind, pause, pending_when_the_scope_ends, scheduled_three_times,
        scheduled_while_bodies_are_dropped, scheduled_while_it_gets_its_body,
        scheduled_while_it_runs, scheduled_without_a_body, schedules_itself,
        two_schedule_each_other, Count, Deferred, Seen,
    };
    use kernel::time::msecs_to_jiffies;

    struct Timers;

    impl Deferred for Timers {
        type Handle<'a> = Timer<'a>;
        type Slot<'a> = TimerSlot<'a>;

        const SLEEPS: bool = false;

        fn register<'a, F>(scope: &mut Scope<'a>, body: F) -> Result<Timer<'a>>
        where
            F: Fn() + Send + Sync + 'a,
        {
            scope.timer(body)
        }

        fn declare<'a>(scope: &mut Scope<'a>) -> Result<(Timer<'a>, TimerSlot<'a>)> {
            scope.declare_timer()
        }

        fn define<'a, F>(slot: TimerSlot<'a>, scope: &mut Scope<'a>, body: F) -> Result
        where
            F: Fn() + Send + Sync + 'a,
        {
            slot.define(scope, body)
        }

        fn schedule(handle: Timer<'_>) -> Scheduled {
            handle.start(0)
        }
    }

    #[test]
    fn a_timer_runs_once_for_each_time_that_it_was_started() -> Result {
        let bound = scheduled_three_times::<Timers>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert_eq!(seen.runs.get(), 3);
        Ok(())
    }

    #[test]
    fn a_running_timer_is_started_once_more_and_is_then_pending() -> Result {
        let bound = scheduled_while_it_runs::<Timers>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert!(seen.second.is(Scheduled::Pending));
        assert_eq!(seen.runs.get(), 2);
        Ok(())
    }

    #[test]
    fn a_timer_that_starts_itself_ends_with_its_scope() -> Result {
        let bound = schedules_itself::<Timers>()?;
        let seen = bound.data();
        assert!(seen.ended.get() >= 3);
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn two_timers_that_start_each_other_end_with_their_scope() -> Result {
        let bound = two_schedule_each_other::<Timers>()?;
        let seen = bound.data();
        assert!(seen.ended.get() >= 3);
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn a_timer_that_is_pending_when_the_scope_ends_has_run_or_never_will() -> Result {
        let bound = pending_when_the_scope_ends::<Timers>()?;
        let seen = bound.data();
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn a_timer_refuses_until_it_has_a_body() -> Result {
        let bound = scheduled_without_a_body::<Timers>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Refused));
        assert!(seen.second.is(Scheduled::Queued));
        assert!(seen.third.is(Scheduled::Refused));
        assert_eq!(seen.runs.get(), 1);
        Ok(())
    }

    #[test]
    fn a_timer_that_is_started_while_it_gets_its_body_does_as_it_said() -> Result {
        let bound = scheduled_while_it_gets_its_body::<Timers>()?;
        assert_eq!(bound.data().ended.get(), 1);
        Ok(())
    }

    #[test]
    fn a_timer_that_is_released_while_it_gets_its_body_stays_released() -> Result {
        let bound = bind_and_unbind(<(Seen, Count)>::default(), |(seen, released), scope| {
            let bell = scope.wait_queue()?;
            let (timer, slot) = scope.declare_timer()?;
            let other = scope.work(move || {
                if timer.release().is_ok() {
                    seen.ended.set(seen.runs.get());
                    seen.first.note(timer.start(0));
                    released.up();
                }
                bell.wake_all();
            })?;
            other.schedule();
            slot.define(scope, move || {
                seen.runs.up();
            })?;
            timer.start(0);
            bell.wait_until(|| released.get() == 1)?;
            seen.second.note(timer.start(0));
            pause();
            Ok(())
        })?;
        let (seen, _) = bound.data();
        assert!(seen.first.is(Scheduled::Refused));
        assert!(seen.second.is(Scheduled::Refused));
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn a_timer_refuses_while_bodies_are_dropped() -> Result {
        let bound = scheduled_while_bodies_are_dropped::<Timers>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Refused));
        assert!(seen.second.is(Scheduled::Refused));
        assert_eq!(seen.runs.get(), 0);
        Ok(())
    }

    #[test]
    fn a_timer_that_is_far_away_is_moved_and_stopped() -> Result {
        let bound = bind_and_unbind(<(Seen, Seen)>::default(), |(seen, stopped), scope| {
            let timer = scope.timer(move || {
                seen.runs.up();
            })?;
            let hour = msecs_to_jiffies(3_600_000);
            seen.first.note(timer.start(hour));
            seen.second.note(timer.start(2 * hour));
            stopped.runs.set(i32::from(timer.stop()));
            stopped.ended.set(i32::from(timer.stop()));
            // It is still there when the scope ends, which does not wait for it.
            seen.third.note(timer.start(hour));
            Ok(())
        })?;
        let (seen, stopped) = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert!(seen.second.is(Scheduled::Pending));
        assert!(seen.third.is(Scheduled::Queued));
        assert_eq!(stopped.runs.get(), 1);
        assert_eq!(stopped.ended.get(), 0);
        assert_eq!(seen.runs.get(), 0);
        Ok(())
    }

    #[test]
    fn a_released_timer_refuses_and_does_not_run() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let (timer, slot) = scope.declare_timer()?;
            slot.define(scope, move || {
                seen.runs.up();
                bell.wake_all();
                timer.start(0);
            })?;
            timer.start(0);
            bell.wait_until(|| seen.runs.get() >= 3)?;
            timer.release()?;
            timer.release()?;
            seen.ended.set(seen.runs.get());
            seen.first.note(timer.start(0));
            pause();
            Ok(())
        })?;
        assert!(bound.data().first.is(Scheduled::Refused));
        assert_eq!(bound.data().runs.get(), bound.data().ended.get());
        Ok(())
    }

    #[test]
    fn a_timer_that_is_released_without_a_body_stays_without() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let (timer, slot) = scope.declare_timer()?;
            timer.release()?;
            slot.define(scope, move || {
                seen.runs.up();
            })?;
            seen.first.note(timer.start(0));
            timer.release()?;
            pause();
            Ok(())
        })?;
        assert!(bound.data().first.is(Scheduled::Refused));
        assert_eq!(bound.data().runs.get(), 0);
        Ok(())
    }

    #[test]
    fn a_timer_is_not_released_by_its_own_body() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let (timer, slot) = scope.declare_timer()?;
            slot.define(scope, move || {
                if timer.release() == Err(EDEADLK) {
                    seen.ended.up();
                }
                seen.runs.up();
                bell.wake_all();
            })?;
            timer.start(0);
            bell.wait_until(|| seen.runs.get() == 1)?;
            seen.first.note(timer.start(0));
            bell.wait_until(|| seen.runs.get() == 2)
        })?;
        assert!(bound.data().first.is(Scheduled::Queued));
        assert_eq!(bound.data().ended.get(), 2);
        Ok(())
    }
}

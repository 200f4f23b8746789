// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! High-resolution timers that cannot run on what is gone.
//!
//! C header: [`include/linux/hrtimer.h`](srctree/include/linux/hrtimer.h)
//!
//! An hrtimer is *idle*, *pending*, or *running*; starting a running one makes it run again. Its body
//! answers whether it is to go on: [`Restart::Forward`] makes a period that does not drift. When the
//! scope has ended it is *gone*: [`HrTimer::start`] refused from the beginning of the end, and so did
//! the answer of a body that was running then.
//!
//! ```
//! # use devscope::{hrtimer::{Clock, Expiry, Restart}, Scope};
//! # use kernel::{prelude::*, sync::atomic::{Atomic, Relaxed}, time::Delta};
//! # struct Data { samples: Atomic<i32> }
//! # fn attach<'a>(data: &'a Data, scope: &mut Scope<'a>) -> Result {
//! let period = Delta::from_micros(250);
//! let sampler = scope.hrtimer(Clock::Monotonic, Expiry::Irq, move || {
//!     data.samples.add(1, Relaxed);
//!     Restart::Forward(period)
//! })?;
//! sampler.start(period);
//! # Ok(())
//! # }
//! ```
//!
//! For what may be some ticks late there is [`timer`](crate::timer), which costs less.
//!
//! Not covered: a period shorter than its body takes. The CPU then does nothing else, as in C.

use crate::{
    deferred::{may_wait, Callback, Core, Life, Slot},
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
    sync::atomic::{Atomic, Relaxed},
    time::Delta,
    types::Opaque,
};

/// The clock that an hrtimer goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// `CLOCK_MONOTONIC`: time since boot, without that in which the system was suspended.
    Monotonic,
    /// `CLOCK_BOOTTIME`: time since boot.
    BootTime,
    /// `CLOCK_REALTIME`: time since 1970, as somebody may set it. A timer that was started for a time of
    /// day follows when the clock is set.
    RealTime,
}

impl Clock {
    /// The time by this clock, since its epoch. Any context but NMI.
    #[doc(
        alias = "ktime_get",
        alias = "ktime_get_real",
        alias = "ktime_get_boottime"
    )]
    pub fn now(self) -> Delta {
        Delta::from_nanos(self.nanos())
    }

    #[inline]
    fn nanos(self) -> i64 {
        // SAFETY: These read a clock, in any context but NMI.
        unsafe {
            match self {
                Clock::Monotonic => bindings::ktime_get(),
                Clock::BootTime => bindings::ktime_get_boottime(),
                Clock::RealTime => bindings::ktime_get_real(),
            }
        }
    }

    fn id(self) -> bindings::clockid_t {
        let id = match self {
            Clock::Monotonic => bindings::CLOCK_MONOTONIC,
            Clock::BootTime => bindings::CLOCK_BOOTTIME,
            Clock::RealTime => bindings::CLOCK_REALTIME,
        };
        id as bindings::clockid_t
    }
}

/// Where the body of an hrtimer runs.
///
/// `HRTIMER_MODE_HARD` is absent: it makes a difference under `CONFIG_PREEMPT_RT` only, and there such a
/// body could take no spinlock, and so not even wake a queue of its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// In the clock's interrupt. (Under `CONFIG_PREEMPT_RT` as [`Expiry::SoftIrq`].)
    Irq,
    /// In a softirq: `HRTIMER_MODE_SOFT`. Later by what softirqs take, and with interrupts on.
    SoftIrq,
}

/// Whether an hrtimer goes on, as its body answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the answer of the body decides whether the timer goes on"]
pub enum Restart {
    /// `HRTIMER_NORESTART`: it is over, until somebody starts it.
    No,
    /// It expires again this long from now.
    After(Delta),
    /// It expires again one period after it was to expire this time, or as many periods as it takes to be
    /// in the future: `hrtimer_forward_now()`. So a body that runs late does not shift those that follow,
    /// and periods that it missed are left out.
    Forward(Delta),
}

/// Nobody wants it to run. No time is less than zero.
const STOPPED: i64 = i64::MIN;

/// The part of an hrtimer that handles share.
///
/// # Invariants
///
/// 1. While `life` is "live" or "over", `timer` has been set up with a callback, for `clock` and `mode`.
#[pin_data]
struct HrTimerCore {
    #[pin]
    timer: Opaque<bindings::hrtimer>,
    life: Life,
    /// When the timer expires, or expired last, by `clock`; or [`STOPPED`].
    ///
    /// C keeps that as well. But `hrtimer_forward()` and `HRTIMER_RESTART` change what C keeps without the
    /// lock of the timer's base, relying on nobody else starting the timer while its function runs, and
    /// here anybody may. So a restart is an ordinary start, which takes that lock, and what it counts from
    /// is ours.
    expires: Atomic<i64>,
    clock: Clock,
    mode: bindings::hrtimer_mode,
}

// SAFETY: `timer` is only used through C functions that may be called on any CPU, and its `is_queued` is
// read as C reads it without a lock. `life` and `expires` are atomic; the rest does not change.
unsafe impl Sync for HrTimerCore {}

impl HrTimerCore {
    /// # Safety
    ///
    /// `slot` is in place, not in use, and not moved from now on.
    unsafe fn set_up(
        slot: *mut bindings::hrtimer,
        callback: Callback<Self>,
        clock: Clock,
        mode: bindings::hrtimer_mode,
    ) {
        // SAFETY: The slot is ours.
        unsafe { bindings::hrtimer_setup(slot, Some(callback), clock.id(), mode) };
    }

    /// Queues the timer for `expires`, which the caller has put into `self.expires`.
    ///
    /// # Safety
    ///
    /// The timer has been set up.
    #[inline]
    unsafe fn queue(&self, expires: i64) {
        // SAFETY: Asked of the caller. It is freed only after it was cancelled twice. It takes the lock of
        // the timer's base; any context, and as often as one likes (`kernel/time/hrtimer.c`).
        unsafe { bindings::hrtimer_start_range_ns(self.timer.get(), expires, 0, self.mode) };
    }

    /// Queues the timer again, from its own callback, unless others have decided otherwise.
    ///
    /// This is no dearer than `HRTIMER_RESTART`: a timer whose function runs stays on its base, and in the
    /// clock's interrupt nothing is programmed before all functions have returned (`deferred_rearm` in
    /// `kernel/time/hrtimer.c`). The function's own answer is then "no", so C does not queue it as well.
    fn queue_again(&self, expired: i64, mut next: i64) {
        // Whoever has started or stopped the timer meanwhile knows better.
        if self.expires.cmpxchg(expired, next, Relaxed).is_err() {
            return;
        }
        loop {
            // SAFETY: This is its callback.
            unsafe { self.queue(next) };
            // Others write `expires` before they take the lock of the base. If they took it before us, we
            // see here what they wrote; if they take it now, they have the last word.
            match self.expires.load(Relaxed) {
                others if others != next && others != STOPPED => next = others,
                _ => return,
            }
        }
    }

    /// Waits until the callback is neither running nor queued.
    ///
    /// # Safety
    ///
    /// The timer has been set up. Process context, without a lock that a body could take.
    unsafe fn cancel(&self) {
        // SAFETY: Asked of the caller.
        unsafe { bindings::hrtimer_cancel(self.timer.get()) };
    }

    /// As [`HrTimerCore::cancel`]; and runs that are queued later find that the timer's life is over, and
    /// so that of all timers that ended before.
    ///
    /// # Safety
    ///
    /// As there, and the life of the timer has ended.
    unsafe fn cancel_for_good(&self) {
        // This takes the lock of the timer's base once, which `hrtimer_cancel()` does not if the timer
        // looks idle. Whoever took it before us to queue the timer is seen by `hrtimer_cancel()`. Whoever
        // takes it after us sees what was written before, and so does the run that he queues
        // (`linux/litmus/hrtimer+*.litmus`).
        // SAFETY: Asked of the caller. `__hrtimer_get_remaining()` only reads.
        unsafe { bindings::__hrtimer_get_remaining(self.timer.get(), false) };
        // SAFETY: Asked of the caller.
        unsafe { self.cancel() };
    }
}

/// When to expire next, a period after `expired`, or as many as bring it beyond `now`.
fn forward(expired: i64, now: i64, period: Delta) -> i64 {
    if expired > now {
        // It was started for later by somebody while this run was on its way.
        return expired;
    }
    // As in C, where no period is shorter than the clock's resolution.
    let period = Delta::from_nanos(period.as_nanos().max(1));
    let missed = Delta::from_nanos(now - expired) / period;
    expired.saturating_add(period.as_nanos().saturating_mul(missed.saturating_add(1)))
}

// SAFETY:
// - `OFFSET` is that of the `hrtimer`; `Opaque` is transparent.
// - `hrtimer_cancel()` returns when the timer is not queued and its function does not run. What the first
//   one missed was queued after it, by a callback that had read "live" before `Kill`. The run that it
//   queued finds the timer's life over, and calls no body (`cancel_for_good`). By `Redrain` all such
//   callbacks have returned: those of work, threads, timers, tasklets and interrupts were drained, and
//   those of hrtimers were cancelled, or began later and called no body. So nobody queues the timer any
//   more, and the second `hrtimer_cancel()` leaves nothing.
// - Without a callback `life` is "no body", and handles refuse.
unsafe impl Core for HrTimerCore {
    type Raw = bindings::hrtimer;
    type Setup = (Clock, Expiry);
    type Answer = Restart;
    type Returned = bindings::hrtimer_restart;

    const OFFSET: usize = offset_of!(Self, timer);

    unsafe fn new(
        (clock, expiry): (Clock, Expiry),
        callback: Option<Callback<Self>>,
    ) -> impl PinInit<Self, Error> {
        // Always absolute: a relative time is added to the clock here, where it is needed too.
        let mode = match expiry {
            Expiry::Irq => bindings::hrtimer_mode_HRTIMER_MODE_ABS,
            Expiry::SoftIrq => bindings::hrtimer_mode_HRTIMER_MODE_ABS_SOFT,
        };
        try_pin_init!(Self {
            // SAFETY: The slot is ours, does not move any more, and is not in use yet.
            timer <- Opaque::ffi_init(move |slot: *mut bindings::hrtimer| unsafe {
                slot.write_bytes(0, 1);
                if let Some(callback) = callback {
                    Self::set_up(slot, callback, clock, mode);
                }
            }),
            life: Life::new(callback.is_some()),
            expires: Atomic::new(STOPPED),
            clock,
            mode,
        })
    }

    unsafe fn define(this: NonNull<Self>, callback: Callback<Self>) {
        // SAFETY: `this` is in place, and nobody else uses `timer` while it has no body: everybody looks at
        // `life` first.
        // INVARIANT: 1.
        unsafe {
            let core = this.as_ref();
            let timer = Opaque::cast_into(&raw const (*this.as_ptr()).timer);
            Self::set_up(timer, callback, core.clock, core.mode);
            core.life.define();
        }
    }

    fn call(&self, body: impl FnOnce() -> Restart) -> bindings::hrtimer_restart {
        let expired = self.expires.load(Relaxed);
        if !self.life.is_over() && expired != STOPPED {
            let next = match body() {
                Restart::No => None,
                Restart::After(delay) => Some(after(self.clock.nanos(), delay)),
                Restart::Forward(period) => Some(forward(expired, self.clock.nanos(), period)),
            };
            if let Some(next) = next {
                if !self.life.is_over() {
                    self.queue_again(expired, next);
                }
            }
        }
        bindings::hrtimer_restart::HRTIMER_NORESTART
    }

    fn step(&self, step: Step) {
        match step {
            Step::Kill => {
                self.life.end();
            }
            // SAFETY: The timer has been set up, as `Life::is_set_up` says. We are in process context and hold no
            // lock that a body could take. All lives have ended in `Kill`.
            Step::DrainTimers if self.life.is_set_up() => unsafe { self.cancel_for_good() },
            // SAFETY: As above.
            Step::Redrain if self.life.is_set_up() => unsafe { self.cancel() },
            _ => {}
        }
    }
}

fn after(now: i64, delay: Delta) -> i64 {
    now.saturating_add(delay.as_nanos()).max(0)
}

/// A handle with which an hrtimer of the scope is started and stopped.
///
/// It can be copied into any closure of the scope and into the device side of a file. It cannot
/// leave the scope: `'a` is the scope's.
///
/// # If leaked
///
/// Nothing happens. A handle owns nothing, and the scope stops the timer whether or not handles to it
/// remain.
#[derive(Clone, Copy)]
pub struct HrTimer<'a>(&'a HrTimerCore);

impl HrTimer<'_> {
    /// Asks for the timer to expire this long from now: `hrtimer_start()`. Not before, and at once if the
    /// delay is not positive.
    ///
    /// [`Scheduled::Pending`] says that the timer was pending; it now has the new time. If its body is
    /// running, this start holds and the body's answer does not.
    ///
    /// Any context but NMI. Does not sleep. Refuses while the timer has no body yet, after
    /// [`HrTimer::release`], and from the moment at which the scope begins to end.
    #[inline]
    #[doc(alias = "hrtimer_start", alias = "hrtimer_start_range_ns")]
    pub fn start(&self, delay: Delta) -> Scheduled {
        if self.0.life.refuses() {
            return Scheduled::Refused;
        }
        self.start_at_nanos(after(self.0.clock.nanos(), delay))
    }

    /// Asks for the timer to expire when its clock says `time`, since the clock's epoch; see [`Clock::now`].
    /// At once if that is past.
    ///
    /// Otherwise as [`HrTimer::start`].
    #[inline]
    pub fn start_at(&self, time: Delta) -> Scheduled {
        if self.0.life.refuses() {
            return Scheduled::Refused;
        }
        self.start_at_nanos(time.as_nanos().max(0))
    }

    /// For one that does not refuse.
    #[inline]
    fn start_at_nanos(&self, expires: i64) -> Scheduled {
        let timer = self.0.timer.get();
        // SAFETY: The timer is in place and has been set up. The field is written by `WRITE_ONCE()`, for
        // `hrtimer_is_queued()` to be read without a lock.
        let pending = unsafe { ptr::read_volatile(&raw const (*timer).is_queued) };
        self.0.expires.store(expires, Relaxed);
        // SAFETY: It does not refuse, so it has been set up (invariant 1 of `Life`).
        unsafe { self.0.queue(expires) };
        if pending {
            Scheduled::Pending
        } else {
            Scheduled::Queued
        }
    }

    /// Stops the timer, and says whether it was pending: `hrtimer_try_to_cancel()`.
    ///
    /// Does not wait. If the body is running on another CPU it runs to its end, and is not restarted by
    /// its answer; this call then says `false`. Any context. Does not sleep.
    #[doc(alias = "hrtimer_try_to_cancel")]
    pub fn stop(&self) -> bool {
        if self.0.life.refuses() {
            return false;
        }
        self.0.expires.store(STOPPED, Relaxed);
        // SAFETY: It does not refuse, so it has been set up (invariant 1 of `Life`).
        unsafe { bindings::hrtimer_try_to_cancel(self.0.timer.get()) > 0 }
    }

    /// Ends the timer before its scope ends: `hrtimer_cancel()`.
    ///
    /// When this has returned `Ok`, the body does not run, will not run again, and all handles refuse.
    /// The body and what it captured are dropped when the scope ends. Releasing again is harmless, and
    /// promises the same.
    ///
    /// Process context; may sleep. The caller must not hold a lock that keeps the body from ending.
    ///
    /// Errors, in which case nothing has happened: `EDEADLK` in atomic context, which includes every
    /// hrtimer's own body.
    #[doc(alias = "hrtimer_cancel")]
    pub fn release(&self) -> Result {
        may_wait()?;
        if self.0.life.end() {
            // SAFETY: It has been set up (invariant 1 of `Life`), and its life has ended. We are in process
            // context, and hold no spinlock.
            unsafe { self.0.cancel_for_good() };
        }
        Ok(())
    }
}

/// The place for the body of a declared hrtimer. Giving the body consumes it.
///
/// # If leaked
///
/// The timer stays without a body, and its handle refuses.
#[must_use = "an hrtimer without a body refuses to be started: call `define()`"]
pub struct HrTimerSlot<'a>(Slot<'a, HrTimerCore>);

impl<'a> HrTimerSlot<'a> {
    /// Gives the timer its body; from here on its handle starts it, unless it was released.
    ///
    /// The body's promises are those of [`Scope::hrtimer`].
    ///
    /// May sleep. Errors: `ENOMEM`; the timer then stays without a body.
    pub fn define<F>(self, scope: &mut Scope<'a>, body: F) -> Result
    where
        F: Fn() -> Restart + Send + Sync + 'a,
    {
        self.0.define(scope, body)
    }
}

impl<'a> Scope<'a> {
    /// Registers an hrtimer, for a clock.
    ///
    /// `body` runs in hard interrupt context or in softirq context, as `expiry` says, concurrently with
    /// everything but itself; it must not sleep. Its answer says whether the timer goes on.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[doc(alias = "hrtimer_setup", alias = "hrtimer_cancel")]
    pub fn hrtimer<F>(&mut self, clock: Clock, expiry: Expiry, body: F) -> Result<HrTimer<'a>>
    where
        F: Fn() -> Restart + Send + Sync + 'a,
    {
        self.defer((clock, expiry), body).map(HrTimer)
    }

    /// Declares an hrtimer whose body comes later, for bodies that need each other's handles.
    ///
    /// The handle can be captured at once. Until [`HrTimerSlot::define`] it refuses.
    ///
    /// May sleep. Errors: `ENOMEM`.
    pub fn declare_hrtimer(
        &mut self,
        clock: Clock,
        expiry: Expiry,
    ) -> Result<(HrTimer<'a>, HrTimerSlot<'a>)> {
        let (core, slot) = self.declare((clock, expiry))?;
        Ok((HrTimer(core), HrTimerSlot(slot)))
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_hrtimer)]
mod tests {
    use super::*;
    use crate::testing::{
        bind_and_unbind, pause, pending_when_the_scope_ends, scheduled_three_times,
        scheduled_while_bodies_are_dropped, scheduled_while_it_runs, scheduled_without_a_body,
        schedules_itself, two_schedule_each_other, Deferred, Seen,
    };

    struct HrTimers;

    impl Deferred for HrTimers {
        type Handle<'a> = HrTimer<'a>;
        type Slot<'a> = HrTimerSlot<'a>;

        const SLEEPS: bool = false;

        fn register<'a, F>(scope: &mut Scope<'a>, body: F) -> Result<HrTimer<'a>>
        where
            F: Fn() + Send + Sync + 'a,
        {
            scope.hrtimer(Clock::Monotonic, Expiry::Irq, move || {
                body();
                Restart::No
            })
        }

        fn declare<'a>(scope: &mut Scope<'a>) -> Result<(HrTimer<'a>, HrTimerSlot<'a>)> {
            scope.declare_hrtimer(Clock::Monotonic, Expiry::Irq)
        }

        fn define<'a, F>(slot: HrTimerSlot<'a>, scope: &mut Scope<'a>, body: F) -> Result
        where
            F: Fn() + Send + Sync + 'a,
        {
            slot.define(scope, move || {
                body();
                Restart::No
            })
        }

        fn schedule(handle: HrTimer<'_>) -> Scheduled {
            // Two that start each other for "now" would leave their CPU no time for anything else.
            handle.start(Delta::from_micros(100))
        }
    }

    #[test]
    fn an_hrtimer_runs_once_for_each_time_that_it_was_started() -> Result {
        let bound = scheduled_three_times::<HrTimers>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert_eq!(seen.runs.get(), 3);
        Ok(())
    }

    #[test]
    fn a_running_hrtimer_is_started_once_more_and_is_then_pending() -> Result {
        let bound = scheduled_while_it_runs::<HrTimers>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert!(seen.second.is(Scheduled::Pending));
        assert_eq!(seen.runs.get(), 2);
        Ok(())
    }

    #[test]
    fn an_hrtimer_that_starts_itself_ends_with_its_scope() -> Result {
        let bound = schedules_itself::<HrTimers>()?;
        let seen = bound.data();
        assert!(seen.ended.get() >= 3);
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn two_hrtimers_that_start_each_other_end_with_their_scope() -> Result {
        let bound = two_schedule_each_other::<HrTimers>()?;
        let seen = bound.data();
        assert!(seen.ended.get() >= 3);
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn an_hrtimer_that_is_pending_when_the_scope_ends_has_run_or_never_will() -> Result {
        let bound = pending_when_the_scope_ends::<HrTimers>()?;
        let seen = bound.data();
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn an_hrtimer_refuses_until_it_has_a_body() -> Result {
        let bound = scheduled_without_a_body::<HrTimers>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Refused));
        assert!(seen.second.is(Scheduled::Queued));
        assert!(seen.third.is(Scheduled::Refused));
        assert_eq!(seen.runs.get(), 1);
        Ok(())
    }

    #[test]
    fn an_hrtimer_refuses_while_bodies_are_dropped() -> Result {
        let bound = scheduled_while_bodies_are_dropped::<HrTimers>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Refused));
        assert!(seen.second.is(Scheduled::Refused));
        assert_eq!(seen.runs.get(), 0);
        Ok(())
    }

    #[test]
    fn an_hrtimer_that_is_far_away_is_moved_and_stopped() -> Result {
        let bound = bind_and_unbind(<(Seen, Seen)>::default(), |(seen, stopped), scope| {
            let timer = scope.hrtimer(Clock::BootTime, Expiry::SoftIrq, move || {
                seen.runs.up();
                Restart::No
            })?;
            let hour = Delta::from_secs(3_600);
            seen.first.note(timer.start(hour));
            seen.second
                .note(timer.start_at(Clock::BootTime.now() + hour + hour));
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

    fn runs_until_it_answers_no(clock: Clock, expiry: Expiry, again: Restart) -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let timer = scope.hrtimer(clock, expiry, move || {
                let runs = seen.runs.up();
                bell.wake_all();
                match runs {
                    3 => Restart::No,
                    _ => again,
                }
            })?;
            timer.start_at(clock.now());
            bell.wait_until(|| seen.runs.get() == 3)?;
            pause();
            // It has answered "no", so it is not pending.
            seen.first.note(timer.start(Delta::from_secs(3_600)));
            Ok(())
        })?;
        assert_eq!(bound.data().runs.get(), 3);
        assert!(bound.data().first.is(Scheduled::Queued));
        Ok(())
    }

    #[test]
    fn an_hrtimer_goes_on_until_its_body_answers_no() -> Result {
        let short = Delta::from_micros(50);
        let (after, forward) = (Restart::After(short), Restart::Forward(short));
        runs_until_it_answers_no(Clock::Monotonic, Expiry::Irq, forward)?;
        runs_until_it_answers_no(Clock::BootTime, Expiry::SoftIrq, forward)?;
        runs_until_it_answers_no(Clock::RealTime, Expiry::Irq, after)
    }

    #[test]
    fn an_hrtimer_with_a_period_ends_with_its_scope() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let timer = scope.hrtimer(Clock::Monotonic, Expiry::Irq, move || {
                seen.runs.up();
                bell.wake_all();
                Restart::Forward(Delta::from_micros(100))
            })?;
            timer.start(Delta::ZERO);
            bell.wait_until(|| seen.runs.get() >= 3)
        })?;
        let runs = bound.data().runs.get();
        pause();
        assert!(runs >= 3);
        assert_eq!(bound.data().runs.get(), runs);
        Ok(())
    }

    #[test]
    fn an_hrtimer_that_is_stopped_while_it_runs_is_not_restarted() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let (timer, slot) = scope.declare_hrtimer(Clock::Monotonic, Expiry::SoftIrq)?;
            slot.define(scope, move || {
                seen.runs.up();
                seen.ended.set(i32::from(timer.stop()));
                bell.wake_all();
                Restart::Forward(Delta::from_micros(100))
            })?;
            timer.start(Delta::ZERO);
            bell.wait_until(|| seen.runs.get() == 1)?;
            pause();
            seen.first.note(timer.start(Delta::from_secs(3_600)));
            Ok(())
        })?;
        assert_eq!(bound.data().runs.get(), 1);
        assert_eq!(bound.data().ended.get(), 0);
        assert!(bound.data().first.is(Scheduled::Queued));
        Ok(())
    }

    #[test]
    fn an_hrtimer_that_its_own_body_starts_keeps_that_time() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let (timer, slot) = scope.declare_hrtimer(Clock::Monotonic, Expiry::Irq)?;
            slot.define(scope, move || {
                seen.runs.up();
                seen.first.note(timer.start(Delta::from_secs(3_600)));
                bell.wake_all();
                Restart::After(Delta::ZERO)
            })?;
            timer.start(Delta::ZERO);
            bell.wait_until(|| seen.runs.get() == 1)?;
            pause();
            seen.second.note(timer.start(Delta::from_secs(3_600)));
            Ok(())
        })?;
        assert_eq!(bound.data().runs.get(), 1);
        assert!(bound.data().first.is(Scheduled::Queued));
        assert!(bound.data().second.is(Scheduled::Pending));
        Ok(())
    }

    #[test]
    fn periods_do_not_drift_and_those_missed_are_left_out() {
        let forward = |expired, now, period| forward(expired, now, Delta::from_nanos(period));
        assert_eq!(forward(100, 100, 10), 110);
        assert_eq!(forward(100, 109, 10), 110);
        assert_eq!(forward(100, 110, 10), 120);
        assert_eq!(forward(100, 1_003, 10), 1_010);
        assert_eq!(forward(100, 90, 10), 100);
        assert_eq!(forward(100, 200, 0), 201);
        assert_eq!(forward(100, 200, -5), 201);
        assert_eq!(forward(100, 200, i64::MAX), i64::MAX);
        assert_eq!(forward(0, i64::MAX, 1), i64::MAX);
    }

    #[test]
    fn a_released_hrtimer_refuses_and_does_not_run() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let timer = scope.hrtimer(Clock::Monotonic, Expiry::Irq, move || {
                seen.runs.up();
                bell.wake_all();
                Restart::Forward(Delta::from_micros(100))
            })?;
            timer.start(Delta::ZERO);
            bell.wait_until(|| seen.runs.get() >= 3)?;
            timer.release()?;
            timer.release()?;
            seen.ended.set(seen.runs.get());
            seen.first.note(timer.start(Delta::ZERO));
            pause();
            Ok(())
        })?;
        assert!(bound.data().first.is(Scheduled::Refused));
        assert_eq!(bound.data().runs.get(), bound.data().ended.get());
        Ok(())
    }

    #[test]
    fn an_hrtimer_that_is_released_without_a_body_stays_without() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let (timer, slot) = scope.declare_hrtimer(Clock::Monotonic, Expiry::Irq)?;
            timer.release()?;
            slot.define(scope, move || {
                seen.runs.up();
                Restart::No
            })?;
            seen.first.note(timer.start(Delta::ZERO));
            timer.release()?;
            pause();
            Ok(())
        })?;
        assert!(bound.data().first.is(Scheduled::Refused));
        assert_eq!(bound.data().runs.get(), 0);
        Ok(())
    }

    #[test]
    fn an_hrtimer_is_not_released_by_its_own_body() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let (timer, slot) = scope.declare_hrtimer(Clock::Monotonic, Expiry::Irq)?;
            slot.define(scope, move || {
                if timer.release() == Err(EDEADLK) {
                    seen.ended.up();
                }
                seen.runs.up();
                bell.wake_all();
                Restart::No
            })?;
            timer.start(Delta::ZERO);
            bell.wait_until(|| seen.runs.get() == 1)?;
            seen.first.note(timer.start(Delta::ZERO));
            bell.wait_until(|| seen.runs.get() == 2)
        })?;
        assert!(bound.data().first.is(Scheduled::Queued));
        assert_eq!(bound.data().ended.get(), 2);
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Timers: `kernel/time/timer.c` and `kernel/time/hrtimer.c`.

use crate::{
    busy, devscope_in_atomic_context, fidelity_keep_off, fidelity_this_cpu, name,
    state::{settle, State},
    Edu, Verdict,
};
use core::mem::offset_of;
use kernel::{
    bindings::{self, hrtimer_restart},
    prelude::*,
    static_lock_class,
};

const ABS: bindings::hrtimer_mode = bindings::hrtimer_mode_HRTIMER_MODE_ABS;
const SOFT: bindings::hrtimer_mode = bindings::hrtimer_mode_HRTIMER_MODE_ABS_SOFT;
const REL: bindings::hrtimer_mode = bindings::hrtimer_mode_HRTIMER_MODE_REL;

/// A millisecond.
const SOON: i64 = 1_000_000;
/// Some days.
pub(crate) const LATER: i64 = 1 << 50;
/// Hours, in ticks.
pub(crate) const LONG: c_ulong = 10_000_000;

/// Leaves the CPU on which a timer was started, to see from another one that its function runs.
unsafe fn step_aside() {
    // SAFETY: Process context.
    unsafe { fidelity_keep_off(fidelity_this_cpu()) };
}

/// Goes back to where it likes.
unsafe fn step_back() {
    // SAFETY: Process context.
    unsafe { fidelity_keep_off(-1) };
}

fn jiffies() -> c_ulong {
    // SAFETY: It exists as long as the kernel, and is volatile in C.
    unsafe { (&raw const bindings::jiffies).read_volatile() }
}

unsafe fn of_timer(timer: *mut bindings::timer_list) -> *mut State {
    // SAFETY: Only given to functions of `State::timer`.
    unsafe { timer.byte_sub(offset_of!(State, timer)).cast() }
}

unsafe fn of_hrtimer(timer: *mut bindings::hrtimer) -> *mut State {
    // SAFETY: Only given to functions of `State::hrtimer`.
    unsafe { timer.byte_sub(offset_of!(State, hrtimer)).cast() }
}

type Function = unsafe extern "C" fn(*mut bindings::timer_list);
type HrFunction = unsafe extern "C" fn(*mut bindings::hrtimer) -> hrtimer_restart;

pub(crate) unsafe fn set_up(state: *mut State, function: Function) -> *mut bindings::timer_list {
    // SAFETY: The state is in place.
    unsafe {
        let timer = &raw mut (*state).timer;
        let key = static_lock_class!().as_ptr();
        bindings::timer_init_key(timer, Some(function), 0, name(), key);
        timer
    }
}

pub(crate) unsafe fn set_up_hr(
    state: *mut State,
    function: HrFunction,
    mode: bindings::hrtimer_mode,
) -> *mut bindings::hrtimer {
    // SAFETY: The state is in place.
    unsafe {
        let timer = &raw mut (*state).hrtimer;
        let clock = bindings::CLOCK_MONOTONIC as bindings::clockid_t;
        bindings::hrtimer_setup(timer, Some(function), clock, mode);
        timer
    }
}

/// Starts a timer for the next tick. Returns whether it was pending.
unsafe fn start(timer: *mut bindings::timer_list) -> bool {
    // SAFETY: Set up by the caller.
    unsafe { bindings::mod_timer(timer, jiffies() + 1) != 0 }
}

unsafe fn start_hr(timer: *mut bindings::hrtimer, mode: bindings::hrtimer_mode) {
    // SAFETY: Set up by the caller, in this mode.
    unsafe { bindings::hrtimer_start_range_ns(timer, bindings::ktime_get() + SOON, 0, mode) };
}

pub(crate) unsafe extern "C" fn counts(timer: *mut bindings::timer_list) {
    // SAFETY: The state outlives the timer.
    unsafe {
        let state = of_timer(timer);
        let early = (jiffies().wrapping_sub((*timer).expires) as isize) < 0;
        let may_sleep = !devscope_in_atomic_context();
        (*state).seen.set((early || may_sleep).into());
        State::enter(state);
        State::leave(state);
    }
}

unsafe extern "C" fn takes_its_time(timer: *mut bindings::timer_list) {
    // SAFETY: As in `counts`.
    unsafe {
        let state = of_timer(timer);
        State::enter(state);
        busy(20);
        State::leave(state);
    }
}

unsafe extern "C" fn starts_itself(timer: *mut bindings::timer_list) {
    // SAFETY: As in `counts`.
    unsafe {
        let state = of_timer(timer);
        State::enter(state);
        busy(20);
        (*state).again.set(start(timer).into());
        State::leave(state);
    }
}

pub(crate) unsafe fn a_timer_expires_once_in_a_softirq_and_not_before_its_time(
    edu: Edu,
) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The timer is deleted before the state is freed.
    unsafe {
        let state = State::new(edu);
        let timer = set_up(state, counts);
        let first = bindings::mod_timer(timer, jiffies() + LONG);
        let second = bindings::mod_timer(timer, jiffies() + 3);
        verdict.expect(first == 0, "it was pending already", first);
        verdict.expect(State::entered(state), "the timer never expired", 0);
        settle();
        let pending = bindings::timer_delete_sync(timer);
        verdict.expect(pending == 0, "it is pending after it ran", pending);
        let ran = (*state).ended.get();
        verdict.expect(ran == 1, "ran, for one start and one change", ran);
        let odd = (*state).seen.get();
        verdict.expect(odd == 0, "it came early, or could have slept", odd);
        State::free(state);
        verdict.happened(second == 1)
    }
}

pub(crate) unsafe fn timer_delete_sync_waits_for_a_running_timer(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The timer is deleted before the state is freed.
    unsafe {
        let state = State::new(edu);
        let timer = set_up(state, takes_its_time);
        start(timer);
        step_aside();
        verdict.expect(State::entered(state), "the timer never expired", 0);
        let runs = (*state).ended.get() == 0;
        bindings::timer_delete_sync(timer);
        let ended = (*state).ended.get();
        verdict.expect(ended == 1, "timer_delete_sync() returned too early", ended);
        step_back();
        State::free(state);
        verdict.happened(runs)
    }
}

pub(crate) unsafe fn a_timer_that_was_shut_down_is_not_started(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The timer is shut down before the state is freed.
    unsafe {
        let state = State::new(edu);
        let timer = set_up(state, counts);
        bindings::mod_timer(timer, jiffies() + LONG);
        let pending = bindings::timer_shutdown(timer);
        verdict.expect(pending == 1, "it was not pending", pending);
        verdict.expect(!start(timer), "it was started", 1);
        settle();
        let ran = (*state).begun.get();
        verdict.expect(ran == 0, "ran, after it was shut down", ran);
        let pending = bindings::timer_shutdown_sync(timer);
        verdict.expect(pending == 0, "it was pending after all", pending);
        State::free(state);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn a_timer_without_a_function_is_not_started_until_it_has_one(
    edu: Edu,
) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The timer is shut down before the state is freed.
    unsafe {
        let state = State::new(edu);
        let timer = &raw mut (*state).timer;
        let key = static_lock_class!().as_ptr();
        bindings::timer_init_key(timer, None, 0, name(), key);
        verdict.expect(!start(timer), "it was pending", 1);
        verdict.expect(!start(timer), "it was started without a function", 1);
        let pending = bindings::timer_delete(timer);
        verdict.expect(pending == 0, "it was pending after all", pending);
        settle();
        (&raw mut (*timer).function).write_volatile(Some(counts));
        verdict.expect(!start(timer), "it was pending before it had a function", 1);
        verdict.expect(State::entered(state), "the timer never expired", 0);
        let pending = bindings::timer_shutdown_sync(timer);
        verdict.expect(pending == 0, "it is pending after it ran", pending);
        let function = (&raw const (*timer).function).read_volatile();
        verdict.expect(function.is_none(), "it has a function after its end", 1);
        let pending = bindings::timer_shutdown_sync(timer);
        verdict.expect(pending == 0, "it was pending without a function", pending);
        let ran = (*state).ended.get();
        verdict.expect(ran == 1, "ran, for one start with a function", ran);
        State::free(state);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn a_running_timer_that_is_shut_down_cannot_start_itself(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The timer is shut down before the state is freed.
    unsafe {
        let state = State::new(edu);
        let timer = set_up(state, starts_itself);
        start(timer);
        step_aside();
        verdict.expect(State::entered(state), "the timer never expired", 0);
        bindings::timer_shutdown(timer);
        let runs = (*state).ended.get() == 0;
        bindings::timer_shutdown_sync(timer);
        let (begun, ended) = ((*state).begun.get(), (*state).ended.get());
        verdict.expect(begun == ended, "it was not waited for", begun - ended);
        settle();
        let again = (*state).begun.get();
        verdict.expect(again == begun, "it has run again", again);
        step_back();
        State::free(state);
        verdict.happened(runs)
    }
}

pub(crate) unsafe fn a_timer_started_while_it_runs_runs_again_and_not_beside_itself(
    edu: Edu,
) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The timer is deleted before the state is freed.
    unsafe {
        let state = State::new(edu);
        let timer = set_up(state, takes_its_time);
        start(timer);
        step_aside();
        verdict.expect(State::entered(state), "the timer never expired", 0);
        let pending = start(timer);
        let runs = (*state).ended.get() == 0;
        verdict.expect(!pending, "it was pending while it ran", 1);
        verdict.expect(State::entered(state), "it did not run again", 0);
        bindings::timer_delete_sync(timer);
        let most = (*state).most.get();
        verdict.expect(most == 1, "ran at the same time", most);
        step_back();
        State::free(state);
        verdict.happened(runs)
    }
}

// ---- High-resolution timers ----

pub(crate) unsafe extern "C" fn rings(timer: *mut bindings::hrtimer) -> hrtimer_restart {
    // SAFETY: The state outlives the timer.
    unsafe {
        let state = of_hrtimer(timer);
        State::enter(state);
        State::leave(state);
    }
    hrtimer_restart::HRTIMER_NORESTART
}

unsafe extern "C" fn rings_long(timer: *mut bindings::hrtimer) -> hrtimer_restart {
    // SAFETY: As in `rings`.
    unsafe {
        let state = of_hrtimer(timer);
        State::enter(state);
        busy(20);
        State::leave(state);
    }
    hrtimer_restart::HRTIMER_NORESTART
}

/// Three times, with a period.
unsafe extern "C" fn rings_three_times(timer: *mut bindings::hrtimer) -> hrtimer_restart {
    // SAFETY: As in `rings`. Nobody else starts the timer, so its own function may forward it.
    unsafe {
        let state = of_hrtimer(timer);
        State::enter(state);
        State::leave(state);
        if (*state).begun.get() == 3 {
            return hrtimer_restart::HRTIMER_NORESTART;
        }
        let overruns = bindings::hrtimer_forward(timer, bindings::ktime_get(), SOON);
        (*state).seen.add(c_int::from(overruns == 0));
    }
    hrtimer_restart::HRTIMER_RESTART
}

/// Starts itself, three times, with an ordinary start.
unsafe extern "C" fn starts_itself_hr(timer: *mut bindings::hrtimer) -> hrtimer_restart {
    // SAFETY: As in `rings`.
    unsafe {
        let state = of_hrtimer(timer);
        State::enter(state);
        if (*state).begun.get() < 3 {
            start_hr(timer, if (*timer).is_soft { SOFT } else { ABS });
            (*state).seen.add(c_int::from(!(*timer).is_queued));
        }
        State::leave(state);
    }
    hrtimer_restart::HRTIMER_NORESTART
}

/// Runs a function that comes three times, and says in `seen` how often it saw something odd.
unsafe fn three_times(
    edu: Edu,
    function: HrFunction,
    mode: bindings::hrtimer_mode,
    verdict: &mut Verdict,
) {
    // SAFETY: The timer is cancelled before the state is freed.
    unsafe {
        let state = State::new(edu);
        let timer = set_up_hr(state, function, mode);
        start_hr(timer, mode);
        for _ in 0..3 {
            verdict.expect(State::entered(state), "the hrtimer did not expire", 0);
        }
        for _ in 0..40 {
            if (*state).ended.get() < 3 {
                settle();
            }
        }
        settle();
        let ran = (*state).ended.get();
        verdict.expect(ran == 3, "ran, and should have three times", ran);
        let odd = (*state).seen.get();
        verdict.expect(odd == 0, "it was not as it should be, times", odd);
        let queued = bindings::hrtimer_cancel(timer);
        verdict.expect(queued == 0, "it was queued after all", queued);
        let active = bindings::hrtimer_active(timer);
        verdict.expect(!active, "it is active after its cancel", 1);
        State::free(state);
    }
}

pub(crate) unsafe fn an_hrtimer_expires_as_often_as_its_function_answers(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    for mode in [ABS, SOFT] {
        // SAFETY: Passed on.
        unsafe { three_times(edu, rings_three_times, mode, &mut verdict) };
    }
    verdict.happened(true)
}

pub(crate) unsafe fn an_hrtimer_may_be_started_by_its_own_function(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    for mode in [ABS, SOFT] {
        // SAFETY: Passed on.
        unsafe { three_times(edu, starts_itself_hr, mode, &mut verdict) };
    }
    verdict.happened(true)
}

pub(crate) unsafe fn hrtimer_cancel_waits_for_a_running_hrtimer(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The timer is cancelled before the state is freed.
    unsafe {
        let state = State::new(edu);
        let timer = set_up_hr(state, rings_long, SOFT);
        start_hr(timer, SOFT);
        step_aside();
        verdict.expect(State::entered(state), "the hrtimer never expired", 0);
        let runs = (*state).ended.get() == 0;
        bindings::hrtimer_cancel(timer);
        let ended = (*state).ended.get();
        verdict.expect(ended == 1, "hrtimer_cancel() returned too early", ended);
        step_back();
        State::free(state);
        verdict.happened(runs)
    }
}

pub(crate) unsafe fn a_running_hrtimer_is_not_cancelled_by_a_try(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The timer is cancelled before the state is freed.
    unsafe {
        let state = State::new(edu);
        let timer = set_up_hr(state, rings_long, SOFT);
        start_hr(timer, SOFT);
        step_aside();
        verdict.expect(State::entered(state), "the hrtimer never expired", 0);
        // It stays queued, if it is that as well.
        start_hr(timer, SOFT);
        let said = bindings::hrtimer_try_to_cancel(timer);
        let runs = said == -1;
        if runs {
            verdict.expect(State::entered(state), "it was dequeued while it ran", 0);
        }
        bindings::hrtimer_cancel(timer);
        let most = (*state).most.get();
        verdict.expect(most == 1, "ran at the same time", most);
        step_back();
        State::free(state);
        verdict.happened(runs)
    }
}

pub(crate) unsafe fn an_hrtimer_started_after_its_cancel_expires(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The timer is cancelled before the state is freed.
    unsafe {
        let state = State::new(edu);
        let timer = set_up_hr(state, rings, REL);
        bindings::hrtimer_start_range_ns(timer, LATER, 0, REL);
        let queued = (*timer).is_queued;
        verdict.expect(queued, "it does not look queued", 0);
        let left = bindings::__hrtimer_get_remaining(timer, false);
        verdict.expect((0..=LATER).contains(&left), "left, of some days", left);
        let was = bindings::hrtimer_cancel(timer);
        verdict.expect(was == 1, "it was not active", was);
        bindings::hrtimer_start_range_ns(timer, SOON, 0, REL);
        verdict.expect(State::entered(state), "the hrtimer never expired", 0);
        bindings::hrtimer_cancel(timer);
        let ran = (*state).ended.get();
        verdict.expect(ran == 1, "ran, for one start", ran);
        State::free(state);
    }
    verdict.happened(true)
}

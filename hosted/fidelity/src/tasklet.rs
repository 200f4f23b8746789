// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tasklets: `kernel/softirq.c`.

use crate::{
    busy, devscope_in_atomic_context, fidelity_local_bh_disable, fidelity_local_bh_enable,
    fidelity_tasklet_disable, fidelity_tasklet_enable, fidelity_tasklet_hi_schedule,
    fidelity_this_cpu,
    state::{settle, State},
    tasklet_schedule, Edu, Verdict,
};
use kernel::{
    bindings::{self, irqreturn, irqreturn_t},
    prelude::*,
};

unsafe extern "C" fn counts(tasklet: *mut bindings::tasklet_struct) {
    // SAFETY: The state outlives the tasklet.
    unsafe {
        let state = State::of_tasklet(tasklet);
        State::enter(state);
        State::leave(state);
    }
}

unsafe extern "C" fn takes_its_time(tasklet: *mut bindings::tasklet_struct) {
    // SAFETY: As in `counts`.
    unsafe {
        let state = State::of_tasklet(tasklet);
        State::enter(state);
        busy(20);
        State::leave(state);
    }
}

/// A handler that schedules the tasklet: so it runs on the line's CPU.
unsafe extern "C" fn schedules(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: The cookie is a `State` that outlives the registration.
    unsafe {
        (*state).edu.acknowledge();
        (*state).cpu.set(fidelity_this_cpu());
        tasklet_schedule(&raw mut (*state).tasklet);
        (*state).seen.add(1);
    }
    irqreturn::IRQ_HANDLED
}

pub(crate) unsafe fn a_tasklet_runs_once_for_many_schedules_before_it_ran(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The tasklet is killed before the state is freed.
    unsafe {
        let state = State::new(edu);
        let tasklet = &raw mut (*state).tasklet;
        bindings::tasklet_setup(tasklet, Some(counts));
        fidelity_local_bh_disable();
        let first = tasklet_schedule(tasklet);
        let second = tasklet_schedule(tasklet);
        let third = tasklet_schedule(tasklet);
        fidelity_local_bh_enable();
        verdict.expect(
            first && !second && !third,
            "more than one was taken",
            second,
        );
        verdict.expect(State::entered(state), "the tasklet did not run", 0);
        settle();
        let ran = (*state).begun.get();
        verdict.expect(ran == 1, "ran, for three schedules", ran);
        bindings::tasklet_kill(tasklet);
        State::free(state);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn tasklet_kill_waits_for_a_running_tasklet(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The tasklet is killed, after its interrupt was freed, before the state is freed.
    unsafe {
        let state = State::new(edu);
        let tasklet = &raw mut (*state).tasklet;
        bindings::tasklet_setup(tasklet, Some(takes_its_time));
        let error = State::request(state, Some(schedules), None, 0);
        verdict.expect(error == 0, "request_irq() failed", error);
        edu.raise();
        verdict.expect(State::entered(state), "the tasklet never ran", 0);
        State::free_irq(state);
        let runs = (*state).ended.get() == 0;
        bindings::tasklet_kill(tasklet);
        let ended = (*state).ended.get();
        verdict.expect(ended == 1, "tasklet_kill() returned while it ran", ended);
        State::free(state);
        verdict.happened(runs)
    }
}

pub(crate) unsafe fn a_pending_tasklet_runs_before_tasklet_kill_returns(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The tasklet is killed before the state is freed.
    unsafe {
        let state = State::new(edu);
        let tasklet = &raw mut (*state).tasklet;
        bindings::tasklet_setup(tasklet, Some(counts));
        tasklet_schedule(tasklet);
        let pending = (*state).begun.get() == 0;
        bindings::tasklet_kill(tasklet);
        let ran = (*state).ended.get();
        verdict.expect(ran == 1, "ran, by the end of tasklet_kill()", ran);
        settle();
        let ran = (*state).ended.get();
        verdict.expect(ran == 1, "ran, after tasklet_kill() too", ran);
        State::free(state);
        verdict.happened(pending)
    }
}

pub(crate) unsafe fn a_tasklet_scheduled_after_its_kill_runs(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The tasklet is killed again before the state is freed.
    unsafe {
        let state = State::new(edu);
        let tasklet = &raw mut (*state).tasklet;
        bindings::tasklet_setup(tasklet, Some(counts));
        bindings::tasklet_kill(tasklet);
        let taken = tasklet_schedule(tasklet);
        verdict.expect(taken, "refused after tasklet_kill()", taken);
        verdict.expect(State::entered(state), "did not run after tasklet_kill()", 0);
        bindings::tasklet_kill(tasklet);
        State::free(state);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn a_disabled_tasklet_runs_when_it_is_enabled(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The tasklet is killed before the state is freed.
    unsafe {
        let state = State::new(edu);
        let tasklet = &raw mut (*state).tasklet;
        bindings::tasklet_setup(tasklet, Some(counts));
        fidelity_tasklet_disable(tasklet);
        fidelity_tasklet_disable(tasklet);
        tasklet_schedule(tasklet);
        settle();
        fidelity_tasklet_enable(tasklet);
        settle();
        let ran = (*state).ended.get();
        verdict.expect(ran == 0, "ran while it was disabled", ran);
        fidelity_tasklet_enable(tasklet);
        verdict.expect(State::entered(state), "did not run when it was enabled", 0);
        bindings::tasklet_kill(tasklet);
        State::free(state);
    }
    verdict.happened(true)
}

/// Notes where it runs, and whether the handler had returned.
unsafe extern "C" fn notes_where_it_runs(tasklet: *mut bindings::tasklet_struct) {
    // SAFETY: As in `counts`.
    unsafe {
        let state = State::of_tasklet(tasklet);
        let same = fidelity_this_cpu() == (*state).cpu.get();
        let after = (*state).seen.get() == 1;
        (*state).again.set(
            i32::from(same) + 2 * i32::from(after) + 4 * i32::from(devscope_in_atomic_context()),
        );
        State::enter(state);
        State::leave(state);
    }
}

pub(crate) unsafe fn a_tasklet_runs_after_its_interrupt_on_the_same_cpu(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: As in `tasklet_kill_waits_for_a_running_tasklet`.
    unsafe {
        let state = State::new(edu);
        let tasklet = &raw mut (*state).tasklet;
        bindings::tasklet_setup(tasklet, Some(notes_where_it_runs));
        let error = State::request(state, Some(schedules), None, 0);
        verdict.expect(error == 0, "request_irq() failed", error);
        edu.raise();
        verdict.expect(State::entered(state), "the tasklet never ran", 0);
        State::free_irq(state);
        bindings::tasklet_kill(tasklet);
        let noted = (*state).again.get();
        verdict.expect(noted & 1 != 0, "ran on another CPU than its handler", noted);
        verdict.expect(noted & 2 != 0, "ran before its handler was done", noted);
        verdict.expect(noted & 4 != 0, "could have slept", noted);
        State::free(state);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn a_tasklet_scheduled_while_it_runs_runs_again_and_not_beside_itself(
    edu: Edu,
) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: As in `tasklet_kill_waits_for_a_running_tasklet`.
    unsafe {
        let state = State::new(edu);
        let tasklet = &raw mut (*state).tasklet;
        bindings::tasklet_setup(tasklet, Some(takes_its_time));
        let error = State::request(state, Some(schedules), None, 0);
        verdict.expect(error == 0, "request_irq() failed", error);
        edu.raise();
        verdict.expect(State::entered(state), "the tasklet never ran", 0);
        // From this CPU, which is another one if the tasklet still runs.
        let taken = tasklet_schedule(tasklet);
        let runs = (*state).ended.get() == 0;
        verdict.expect(taken, "refused while it ran", taken);
        verdict.expect(State::entered(state), "did not run again", 0);
        State::free_irq(state);
        bindings::tasklet_kill(tasklet);
        let most = (*state).most.get();
        verdict.expect(most == 1, "inside this often at once", most);
        State::free(state);
        verdict.happened(runs)
    }
}

/// The tasklet of high priority.
unsafe extern "C" fn comes_first(tasklet: *mut bindings::tasklet_struct) {
    // SAFETY: As in `counts`.
    unsafe {
        let state = State::of_other_tasklet(tasklet);
        (*state).seen.set((*state).begun.get());
        bindings::complete(&raw mut (*state).done);
    }
}

pub(crate) unsafe fn the_order_of_an_ordinary_tasklet_and_then_one_of_high_priority(
    edu: Edu,
) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The tasklets are killed before the state is freed.
    unsafe {
        let state = State::new(edu);
        let (ordinary, high) = (&raw mut (*state).tasklet, &raw mut (*state).other_tasklet);
        bindings::tasklet_setup(ordinary, Some(counts));
        bindings::tasklet_setup(high, Some(comes_first));
        fidelity_local_bh_disable();
        tasklet_schedule(ordinary);
        fidelity_tasklet_hi_schedule(high);
        fidelity_local_bh_enable();
        verdict.expect(State::entered(state), "the ordinary one did not run", 0);
        verdict.expect(State::done(state), "the other one did not run", 0);
        verdict.answer = Some(match (*state).seen.get() {
            0 => "high priority first",
            _ => "as they were scheduled",
        });
        bindings::tasklet_kill(ordinary);
        bindings::tasklet_kill(high);
        State::free(state);
    }
    verdict.happened(true)
}

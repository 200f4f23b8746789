// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Work items: `kernel/workqueue.c`.

use crate::{
    devscope_in_atomic_context, name,
    state::{comes, queue_on_any, settle, State},
    Edu, Verdict,
};
use kernel::{bindings, prelude::*, static_lock_class};

unsafe extern "C" fn takes_its_time(work: *mut bindings::work_struct) {
    // SAFETY: The state outlives the work item.
    unsafe {
        let state = State::of_work(work);
        State::enter(state);
        bindings::msleep(20);
        State::leave(state);
    }
}

/// The state, with a work item that takes its time, and that runs now if the verdict says so.
unsafe fn running(edu: Edu, verdict: &mut Verdict) -> *mut State {
    // SAFETY: Fresh state.
    unsafe {
        let state = State::new(edu);
        State::start(state, Some(takes_its_time));
        verdict.expect(State::entered(state), "the work item never ran", 0);
        verdict.happened = (*state).ended.get() == 0;
        state
    }
}

pub(crate) unsafe fn a_work_item_that_is_pending_is_not_queued_again(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is flushed before the state is freed.
    unsafe {
        let state = State::new(edu);
        State::set_up_work(state, Some(takes_its_time));
        let first = State::queue(state);
        let second = State::queue(state);
        State::flush(state);
        let ran = (*state).ended.get();
        verdict.expect(first, "refused although it was not pending", first);
        verdict.expect(
            ran == 1 + i32::from(second),
            "ran, not as often as it was queued",
            ran,
        );
        State::free(state);
        verdict.happened(!second)
    }
}

pub(crate) unsafe fn a_work_item_never_runs_on_two_workers_at_once(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is flushed before the state is freed.
    unsafe {
        let state = running(edu, &mut verdict);
        let taken = State::queue(state);
        verdict.expect(taken, "refused while it ran", taken);
        State::flush(state);
        let (ran, most) = ((*state).ended.get(), (*state).most.get());
        verdict.expect(ran == 2, "ran, queued twice", ran);
        verdict.expect(most == 1, "on this many workers at once", most);
        State::free(state);
    }
    verdict
}

/// Only on the queue that it runs on does a work item wait for itself.
pub(crate) unsafe fn a_work_item_that_runs_is_queued_on_a_second_queue(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: Both instances have ended before the state is freed: the second is flushed, the first
    // is waited for.
    unsafe {
        let state = running(edu, &mut verdict);
        let cpu = bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int;
        let work = &raw mut (*state).work;
        let taken = bindings::queue_work_on(cpu, bindings::system_percpu_wq, work);
        verdict.expect(taken, "refused while it ran", taken);
        bindings::flush_work(work);
        while (*state).ended.get() < 2 {
            bindings::msleep(1);
        }
        // The worker of the first may still be about to return.
        settle();
        verdict.answer = Some(match (*state).most.get() {
            1 => "waits for itself",
            _ => "runs beside itself",
        });
        State::free(state);
    }
    verdict
}

pub(crate) unsafe fn disable_work_sync_waits_and_refuses_from_then_on(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is at rest before the state is freed.
    unsafe {
        let state = running(edu, &mut verdict);
        let work = &raw mut (*state).work;
        bindings::disable_work_sync(work);
        let (begun, ended) = ((*state).begun.get(), (*state).ended.get());
        verdict.expect(
            begun == ended,
            "disable_work_sync() returned while it ran",
            begun,
        );
        let taken = State::queue(state);
        verdict.expect(!taken, "queued while disabled", taken);
        settle();
        let ran = (*state).begun.get();
        verdict.expect(ran == 1, "ran while disabled", ran);
        let enabled = bindings::enable_work(work);
        verdict.expect(enabled, "enable_work() did not enable it", enabled);
        let taken = State::queue(state);
        verdict.expect(taken, "refused although enabled", taken);
        bindings::flush_work(work);
        let ran = (*state).ended.get();
        verdict.expect(ran == 2, "ran, after it was enabled", ran);
        State::free(state);
    }
    verdict
}

pub(crate) unsafe fn a_work_item_is_refused_until_it_is_enabled_as_often(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is flushed before the state is freed.
    unsafe {
        let state = State::new(edu);
        State::set_up_work(state, Some(takes_its_time));
        let work = &raw mut (*state).work;
        bindings::disable_work(work);
        bindings::disable_work(work);
        verdict.expect(!State::queue(state), "queued while disabled twice", 0);
        verdict.expect(
            !bindings::enable_work(work),
            "enabled by the first enable",
            0,
        );
        verdict.expect(!State::queue(state), "queued while disabled once", 0);
        verdict.expect(bindings::enable_work(work), "not enabled by the second", 0);
        verdict.expect(State::queue(state), "refused while enabled", 0);
        bindings::flush_work(work);
        let ran = (*state).ended.get();
        verdict.expect(ran == 1, "ran", ran);
        State::free(state);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn cancel_work_sync_waits_and_queueing_works_afterwards(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is at rest before the state is freed.
    unsafe {
        let state = running(edu, &mut verdict);
        // Pending while it runs: the pending one is dropped, the running one waited for.
        State::queue(state);
        let dropped = bindings::cancel_work_sync(&raw mut (*state).work);
        let (begun, ended) = ((*state).begun.get(), (*state).ended.get());
        verdict.expect(
            begun == ended,
            "cancel_work_sync() returned while it ran",
            begun,
        );
        let expected = 2 - i32::from(dropped);
        verdict.expect(ended == expected, "ran, besides what was cancelled", ended);
        let taken = State::queue(state);
        verdict.expect(taken, "refused after cancel_work_sync()", taken);
        State::flush(state);
        let ran = (*state).ended.get();
        verdict.expect(ran == expected + 1, "ran, after it was queued again", ran);
        State::free(state);
        verdict.happened &= dropped;
    }
    verdict
}

pub(crate) unsafe fn flush_work_waits_for_the_last_instance_queued(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is at rest before the state is freed.
    unsafe {
        let state = running(edu, &mut verdict);
        State::queue(state);
        let waited = bindings::flush_work(&raw mut (*state).work);
        let ended = (*state).ended.get();
        verdict.expect(ended == 2, "ran by the end of flush_work()", ended);
        verdict.expect(
            !verdict.happened || waited,
            "waited, and says it did not",
            waited,
        );
        let idle = bindings::flush_work(&raw mut (*state).work);
        verdict.expect(!idle, "says it waited for nothing", idle);
        State::free(state);
    }
    verdict
}

/// Gives back the memory that it is in.
unsafe extern "C" fn frees_itself(work: *mut bindings::work_struct) {
    // SAFETY: The state is not used after this, except for what `task` points to.
    unsafe {
        let state = State::of_work(work);
        let over = (*state).task.cast::<State>();
        State::free(state);
        bindings::complete(&raw mut (*over).done);
    }
}

pub(crate) unsafe fn a_work_item_may_free_itself_while_it_runs(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The first state is freed by its work item, the second here.
    unsafe {
        let (state, over) = (State::new(edu), State::new(edu));
        (*state).task = over.cast();
        State::start(state, Some(frees_itself));
        verdict.expect(State::done(over), "the work item never ran", 0);
        // The worker may still be in complete().
        settle();
        State::free(over);
    }
    verdict.happened(true)
}

unsafe extern "C" fn notes_its_context(work: *mut bindings::work_struct) {
    // SAFETY: The state outlives the work item.
    unsafe {
        let state = State::of_work(work);
        (*state).seen.set(devscope_in_atomic_context().into());
        State::enter(state);
        State::leave(state);
    }
}

pub(crate) unsafe fn the_context_of_a_bh_work_item(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is flushed before the state is freed.
    unsafe {
        let state = State::new(edu);
        let work = &raw mut (*state).work;
        // A lock class of its own: it runs where the others must not.
        let key = static_lock_class!().as_ptr();
        bindings::init_work_with_key(work, Some(notes_its_context), false, name(), key);
        let cpu = bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int;
        bindings::queue_work_on(cpu, bindings::system_bh_wq, work);
        verdict.expect(State::entered(state), "the work item never ran", 0);
        bindings::flush_work(work);
        verdict.answer = Some(match (*state).seen.get() {
            0 => "a process",
            _ => "a softirq",
        });
        State::free(state);
    }
    verdict.happened(true)
}

unsafe extern "C" fn waits_to_be_told(work: *mut bindings::work_struct) {
    // SAFETY: The state outlives the work item.
    unsafe {
        let state = State::of_work(work);
        if comes(&raw mut (*state).done) {
            (*state).seen.set(1);
        }
    }
}

unsafe extern "C" fn tells(work: *mut bindings::work_struct) {
    // SAFETY: The state outlives the work item.
    unsafe {
        let state = State::of_other_work(work);
        bindings::complete(&raw mut (*state).done);
    }
}

pub(crate) unsafe fn a_work_item_that_sleeps_does_not_hold_up_the_others(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: Both work items are flushed before the state is freed.
    unsafe {
        let state = State::new(edu);
        State::start(state, Some(waits_to_be_told));
        State::set_up_other_work(state, Some(tells));
        queue_on_any(&raw mut (*state).other_work);
        State::flush(state);
        bindings::flush_work(&raw mut (*state).other_work);
        let told = (*state).seen.get();
        verdict.expect(told == 1, "the second ran only after the first", told);
        State::free(state);
    }
    verdict.happened(true)
}

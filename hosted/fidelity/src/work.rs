// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Work items: `kernel/workqueue.c`.

use crate::{
    devscope_in_atomic_context, fidelity_this_cpu, name,
    state::{comes, queue_on_any, settle, State},
    Edu, Verdict,
};
use kernel::{bindings, prelude::*, static_lock_class};

const ANY_CPU: c_int = bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int;

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

/// Only on the queue that it runs on does a work item wait for itself. On another it runs beside itself.
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
        // It was queued while it ran, and did not wait for itself.
        verdict.happened = (*state).most.get() == 2;
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
        (*state)
            .again
            .set(bindings::current_work().is_null().into());
        State::enter(state);
        State::leave(state);
    }
}

pub(crate) unsafe fn a_bh_work_item_runs_in_a_softirq(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is flushed before the state is freed.
    unsafe {
        let state = State::new(edu);
        let work = &raw mut (*state).work;
        // A lock class of its own: it runs where the others must not.
        let key = static_lock_class!().as_ptr();
        bindings::init_work_with_key(work, Some(notes_its_context), false, name(), key);
        bindings::queue_work_on(ANY_CPU, bindings::system_bh_wq, work);
        verdict.expect(State::entered(state), "the work item never ran", 0);
        bindings::flush_work(work);
        let atomic = (*state).seen.get();
        verdict.expect(atomic == 1, "ran where it may sleep", atomic);
        let unknown = (*state).again.get();
        verdict.expect(unknown == 1, "current_work() knew of it", unknown);
        bindings::disable_work_sync(work);
        let taken = bindings::queue_work_on(ANY_CPU, bindings::system_bh_wq, work);
        verdict.expect(!taken, "queued while disabled", taken);
        State::free(state);
    }
    verdict.happened(true)
}

unsafe extern "C" fn notes_its_cpu(work: *mut bindings::work_struct) {
    // SAFETY: The state outlives the work item.
    unsafe {
        let state = State::of_work(work);
        (*state).cpu.set(fidelity_this_cpu());
        State::leave(state);
    }
}

pub(crate) unsafe fn queue_work_on_runs_the_item_where_it_is_told(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is flushed before the state is freed. There are two CPUs.
    unsafe {
        let state = State::new(edu);
        State::set_up_work(state, Some(notes_its_cpu));
        for cpu in [0, 1] {
            (*state).cpu.set(-1);
            bindings::queue_work_on(cpu, bindings::system_percpu_wq, &raw mut (*state).work);
            State::flush(state);
            let ran = (*state).cpu.get();
            verdict.expect(ran == cpu, "ran on this cpu", ran);
        }
        State::free(state);
    }
    verdict.happened(true)
}

/// A workqueue for a check.
unsafe fn allocated(flags: c_uint, max_active: c_int) -> *mut bindings::workqueue_struct {
    // SAFETY: The format takes one string. Process context.
    let queue = unsafe {
        bindings::alloc_workqueue_noprof(c"%s".as_ptr().cast(), flags, max_active, name())
    };
    assert!(!queue.is_null(), "no memory");
    queue
}

unsafe extern "C" fn takes_its_time_too(work: *mut bindings::work_struct) {
    // SAFETY: The state outlives the work item.
    unsafe {
        let state = State::of_other_work(work);
        (*state).seen.set((*state).ended.get());
        State::enter(state);
        bindings::msleep(20);
        State::leave(state);
    }
}

/// Two work items on a queue, on one CPU, the second queued while the first runs if the verdict says
/// so. The queue is destroyed when this returns, and they have ended.
unsafe fn two_on(queue: *mut bindings::workqueue_struct, state: *mut State) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: Both have ended when the queue is destroyed.
    unsafe {
        State::set_up_work(state, Some(takes_its_time));
        State::set_up_other_work(state, Some(takes_its_time_too));
        bindings::queue_work_on(1, queue, &raw mut (*state).work);
        verdict.expect(State::entered(state), "the work item never ran", 0);
        bindings::queue_work_on(1, queue, &raw mut (*state).other_work);
        verdict.happened = (*state).ended.get() == 0;
        State::flush(state);
        bindings::flush_work(&raw mut (*state).other_work);
        let ended = (*state).ended.get();
        verdict.expect(ended == 2, "ended", ended);
        bindings::destroy_workqueue(queue);
    }
    verdict
}

pub(crate) unsafe fn an_ordered_workqueue_runs_one_after_the_other(edu: Edu) -> Verdict {
    // SAFETY: The work items have ended before the state is freed.
    unsafe {
        let state = State::new(edu);
        let flags = bindings::wq_flags_WQ_UNBOUND | bindings::wq_flags___WQ_ORDERED;
        let mut verdict = two_on(allocated(flags, 1), state);
        let most = (*state).most.get();
        verdict.expect(most == 1, "ran at once", most);
        let before = (*state).seen.get();
        verdict.expect(before == 1, "had ended when the second began", before);
        State::free(state);
        verdict
    }
}

pub(crate) unsafe fn a_workqueue_runs_as_many_at_once_as_it_may(edu: Edu) -> Verdict {
    // SAFETY: The work items have ended before the states are freed.
    unsafe {
        let (one, two) = (State::new(edu), State::new(edu));
        let flags = bindings::wq_flags_WQ_PERCPU;
        let mut verdict = two_on(allocated(flags, 1), one);
        let most = (*one).most.get();
        verdict.expect(most == 1, "ran at once, of 1 that may", most);
        let second = two_on(allocated(flags, 2), two);
        verdict.wrong = verdict.wrong.or(second.wrong);
        // Nobody promises that it does.
        verdict.happened &= (*two).most.get() == 2;
        State::free(one);
        State::free(two);
        verdict
    }
}

pub(crate) unsafe fn destroy_workqueue_waits_for_what_is_queued(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The queue is destroyed, and with that its work is over, before the state is freed.
    unsafe {
        let state = State::new(edu);
        let queue = allocated(bindings::wq_flags_WQ_UNBOUND, 0);
        State::set_up_work(state, Some(takes_its_time));
        bindings::queue_work_on(ANY_CPU, queue, &raw mut (*state).work);
        verdict.happened = (*state).ended.get() == 0;
        bindings::destroy_workqueue(queue);
        let ended = (*state).ended.get();
        verdict.expect(ended == 1, "ended by the end of destroy_workqueue()", ended);
        State::free(state);
    }
    verdict
}

pub(crate) unsafe fn a_disabled_work_item_does_not_look_at_its_queue(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The items are disabled, and so never queued on what is freed.
    unsafe {
        let state = State::new(edu);
        let queue = allocated(bindings::wq_flags_WQ_UNBOUND, 0);
        State::set_up_work(state, Some(takes_its_time));
        State::set_up_delayed(state, Some(delayed_enters));
        let (work, delayed) = (&raw mut (*state).work, &raw mut (*state).delayed);
        bindings::disable_work_sync(work);
        bindings::disable_delayed_work_sync(delayed);
        bindings::destroy_workqueue(queue);
        let taken = bindings::queue_work_on(ANY_CPU, queue, work);
        verdict.expect(!taken, "queued while disabled", taken);
        let taken = bindings::queue_delayed_work_on(ANY_CPU, queue, delayed, 0);
        verdict.expect(!taken, "queued while disabled, without a delay", taken);
        let taken = bindings::queue_delayed_work_on(ANY_CPU, queue, delayed, 1);
        verdict.expect(!taken, "queued while disabled, with a delay", taken);
        let pending = bindings::mod_delayed_work_on(ANY_CPU, queue, delayed, 0);
        verdict.expect(!pending, "pending while disabled", pending);
        settle();
        let ran = (*state).begun.get();
        verdict.expect(ran == 0, "ran while disabled", ran);
        State::free(state);
    }
    verdict.happened(true)
}

unsafe extern "C" fn delayed_enters(work: *mut bindings::work_struct) {
    // SAFETY: The state outlives the work item.
    unsafe {
        let state = State::of_delayed(work);
        State::enter(state);
        State::leave(state);
    }
}

/// Longer than any check takes.
const LATER: c_ulong = 1_000_000;

/// The state, with a delayed work item that is on its timer for `delay`.
unsafe fn delayed(edu: Edu, delay: c_ulong, verdict: &mut Verdict) -> *mut State {
    // SAFETY: Fresh state.
    unsafe {
        let state = State::new(edu);
        State::set_up_delayed(state, Some(delayed_enters));
        let taken = queue_delayed(state, delay);
        verdict.expect(taken, "refused although it was idle", taken);
        state
    }
}

unsafe fn queue_delayed(state: *mut State, delay: c_ulong) -> bool {
    // SAFETY: Set up by `set_up_delayed`.
    unsafe {
        let (wq, delayed) = (bindings::system_dfl_wq, &raw mut (*state).delayed);
        bindings::queue_delayed_work_on(ANY_CPU, wq, delayed, delay)
    }
}

unsafe fn move_delayed(state: *mut State, delay: c_ulong) -> bool {
    // SAFETY: Set up by `set_up_delayed`.
    unsafe {
        let (wq, delayed) = (bindings::system_dfl_wq, &raw mut (*state).delayed);
        bindings::mod_delayed_work_on(ANY_CPU, wq, delayed, delay)
    }
}

/// What `data` says: on a queue, pending, and how often it is disabled if it is not on a queue.
unsafe fn said(work: *mut bindings::work_struct) -> (bool, bool, c_ulong) {
    // SAFETY: The work item is in place. C changes the word by atomic operations.
    let data = unsafe { (&raw const (*work).data.counter).read_volatile() } as c_ulong;
    let queued = data & bindings::work_flags_WORK_STRUCT_PWQ as c_ulong != 0;
    let pending = data & bindings::work_flags_WORK_STRUCT_PENDING as c_ulong != 0;
    let mask = (1 << bindings::work_bits_WORK_OFFQ_DISABLE_BITS) - 1;
    let disabled = data >> bindings::work_bits_WORK_OFFQ_DISABLE_SHIFT & mask;
    (queued, pending, if queued { 0 } else { disabled })
}

pub(crate) unsafe fn a_work_item_says_whether_it_is_queued_pending_or_disabled(
    edu: Edu,
) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work items are at rest before the state is freed.
    unsafe {
        let state = running(edu, &mut verdict);
        let work = &raw mut (*state).work;
        // It runs, so what is queued now stays on the queue until it has ended.
        let runs = said(work);
        State::queue(state);
        let queued = said(work);
        let ended = (*state).ended.get();
        verdict.expect(
            ended != 0 || runs == (false, false, 0),
            "this is not what one says that runs",
            0,
        );
        verdict.expect(
            ended != 0 || queued == (true, true, 0),
            "nor one that is queued",
            0,
        );
        bindings::disable_work_sync(work);
        verdict.expect(
            said(work) == (false, false, 1),
            "nor one that is disabled",
            0,
        );
        bindings::disable_work(work);
        State::queue(state);
        verdict.expect(
            said(work) == (false, false, 2),
            "nor one that is disabled twice",
            0,
        );
        bindings::enable_work(work);
        bindings::enable_work(work);
        verdict.expect(
            said(work) == (false, false, 0),
            "nor one that is enabled again",
            0,
        );

        State::set_up_delayed(state, Some(delayed_enters));
        let delayed = &raw mut (*state).delayed;
        let work = &raw mut (*delayed).work;
        let queue = bindings::system_percpu_wq;
        bindings::queue_delayed_work_on(ANY_CPU, queue, delayed, 10_000_000);
        let waits = said(work);
        let pending = bindings::disable_delayed_work_sync(delayed);
        let waits = !pending || waits == (false, true, 0);
        verdict.expect(waits, "nor one that is on its timer", pending);
        verdict.expect(
            said(work) == (false, false, 1),
            "nor delayed work that is disabled",
            0,
        );
        State::free(state);
        verdict.happened = ended == 0 && pending;
    }
    verdict
}

pub(crate) unsafe fn delayed_work_is_queued_once_and_runs(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is at rest before the state is freed.
    unsafe {
        let state = delayed(edu, 20, &mut verdict);
        let again = queue_delayed(state, 0);
        let came = State::entered(state);
        verdict.expect(came, "the work item never ran", 0);
        bindings::flush_delayed_work(&raw mut (*state).delayed);
        let ran = (*state).ended.get();
        let queued = 1 + i32::from(again);
        verdict.expect(ran == queued, "ran, not as often as it was queued", ran);
        State::free(state);
        verdict.happened(!again)
    }
}

pub(crate) unsafe fn disable_delayed_work_sync_takes_the_timer_away(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is at rest before the state is freed.
    unsafe {
        let state = delayed(edu, 10, &mut verdict);
        let dwork = &raw mut (*state).delayed;
        let was_pending = bindings::disable_delayed_work_sync(dwork);
        let expected = i32::from(!was_pending);
        let taken = queue_delayed(state, 1);
        verdict.expect(!taken, "queued while disabled", taken);
        settle();
        let ran = (*state).ended.get();
        verdict.expect(ran == expected, "ran, although its timer was stopped", ran);
        let enabled = bindings::enable_delayed_work(dwork);
        verdict.expect(enabled, "enable_delayed_work() did not enable it", enabled);
        let taken = queue_delayed(state, 0);
        verdict.expect(taken, "refused although enabled", taken);
        bindings::flush_delayed_work(dwork);
        let ran = (*state).ended.get();
        verdict.expect(ran == expected + 1, "ran, after it was enabled", ran);
        State::free(state);
        verdict.happened(was_pending)
    }
}

pub(crate) unsafe fn mod_delayed_work_moves_what_is_pending(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is at rest before the state is freed.
    unsafe {
        let state = delayed(edu, LATER, &mut verdict);
        let was_pending = move_delayed(state, 1);
        let came = State::entered(state);
        verdict.expect(came, "the work item still waits for its first timer", 0);
        bindings::flush_delayed_work(&raw mut (*state).delayed);
        let was_idle = !move_delayed(state, 0);
        verdict.expect(was_idle, "pending after it was flushed", was_idle);
        bindings::flush_delayed_work(&raw mut (*state).delayed);
        let ran = (*state).ended.get();
        let expected = 3 - i32::from(was_pending);
        verdict.expect(ran == expected, "ran", ran);
        State::free(state);
        verdict.happened(was_pending)
    }
}

pub(crate) unsafe fn mod_delayed_work_does_not_queue_what_is_disabled(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is at rest before the state is freed.
    unsafe {
        let state = delayed(edu, LATER, &mut verdict);
        let was_pending = bindings::disable_delayed_work(&raw mut (*state).delayed);
        let pending = move_delayed(state, 0) || move_delayed(state, 1);
        verdict.expect(!pending, "pending while disabled", pending);
        bindings::disable_delayed_work_sync(&raw mut (*state).delayed);
        settle();
        let ran = (*state).ended.get();
        let expected = i32::from(!was_pending);
        verdict.expect(ran == expected, "ran, although it was disabled", ran);
        State::free(state);
        verdict.happened(was_pending)
    }
}

pub(crate) unsafe fn flush_delayed_work_does_not_wait_for_the_timer(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is at rest before the state is freed.
    unsafe {
        let state = delayed(edu, LATER, &mut verdict);
        let waited = bindings::flush_delayed_work(&raw mut (*state).delayed);
        let ran = (*state).ended.get();
        verdict.expect(ran == 1, "ran by the end of flush_delayed_work()", ran);
        State::free(state);
        verdict.happened(waited)
    }
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

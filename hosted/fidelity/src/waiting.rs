// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Waiting: queues, completions, time, counted references.

use crate::{
    allocate, devscope_cond_synchronize_rcu, devscope_gate_alloc, devscope_gate_enter,
    devscope_gate_enter_noting, devscope_gate_free, devscope_gate_leave,
    devscope_gate_leave_noting, devscope_gate_notes, devscope_gate_sum,
    devscope_get_state_synchronize_rcu, fidelity_signal, give_back, name,
    state::{comes, State},
    Edu, Shared, Verdict,
};
use core::ptr::null_mut;
use kernel::{bindings, prelude::*, static_lock_class};

/// `wait_event_interruptible(queue, seen)`, and whether it slept.
unsafe fn wait_until_seen(state: *mut State, how: u32) -> (c_long, bool) {
    let mut entry = bindings::wait_queue_entry::default();
    let mut slept = false;
    // SAFETY: The queue outlives the wait; the entry is off it before this returns.
    unsafe {
        let queue = &raw mut (*state).queue;
        bindings::init_wait_entry(&mut entry, 0);
        let result = loop {
            let result = bindings::prepare_to_wait_event(queue, &mut entry, how as c_int);
            if (*state).seen.get() != 0 {
                break 0;
            }
            if result != 0 {
                break result;
            }
            slept = true;
            bindings::schedule();
        };
        bindings::finish_wait(queue, &mut entry);
        (result, slept)
    }
}

unsafe extern "C" fn wakes(work: *mut bindings::work_struct) {
    // SAFETY: The state outlives the work item.
    unsafe {
        let state = State::of_work(work);
        (*state).seen.set(1);
        bindings::__wake_up(
            &raw mut (*state).queue,
            bindings::TASK_NORMAL,
            1,
            null_mut(),
        );
    }
}

pub(crate) unsafe fn a_wake_up_is_not_lost(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is flushed before the state is freed.
    unsafe {
        let state = State::new(edu);
        State::start(state, Some(wakes));
        let (result, slept) = wait_until_seen(state, bindings::TASK_UNINTERRUPTIBLE);
        verdict.expect(result == 0, "the wait ended with", result as i64);
        State::flush(state);
        State::free(state);
        verdict.happened(slept)
    }
}

unsafe extern "C" fn signals(work: *mut bindings::work_struct) {
    // SAFETY: The task waits for this work item before it ends.
    unsafe {
        let state = State::of_work(work);
        fidelity_signal((*state).task.cast());
    }
}

/// Leaves a signal pending: the program that asks for this check has a handler for it.
pub(crate) unsafe fn a_signal_ends_an_interruptible_wait(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is flushed before the state is freed.
    unsafe {
        let state = State::new(edu);
        (*state).task = bindings::get_current();
        State::start(state, Some(signals));
        let (result, slept) = wait_until_seen(state, bindings::TASK_INTERRUPTIBLE);
        let restart = -i64::from(bindings::ERESTARTSYS);
        verdict.expect(
            result as i64 == restart,
            "the wait ended with",
            result as i64,
        );
        State::flush(state);
        // And one that begins with a signal pending does not sleep.
        let (result, asleep) = wait_until_seen(state, bindings::TASK_INTERRUPTIBLE);
        verdict.expect(
            result as i64 == restart,
            "the next wait ended with",
            result as i64,
        );
        verdict.expect(!asleep, "slept with a signal pending", asleep);
        let result = bindings::wait_for_completion_interruptible(&raw mut (*state).done);
        verdict.expect(i64::from(result) == restart, "of a completion", result);
        State::free(state);
        verdict.happened(slept)
    }
}

unsafe extern "C" fn counts_its_calls(
    entry: *mut bindings::wait_queue_entry,
    _mode: c_uint,
    _flags: c_int,
    _key: *mut c_void,
) -> c_int {
    // SAFETY: The entry's private data is the state.
    unsafe { (*(*entry).private.cast::<State>()).again.add(1) };
    1
}

pub(crate) unsafe fn a_wake_function_of_its_own_is_called(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    let mut entry = bindings::wait_queue_entry::default();
    // SAFETY: The entry is off the queue before the state is freed.
    unsafe {
        let state = State::new(edu);
        let queue = &raw mut (*state).queue;
        bindings::init_wait_entry(&mut entry, 0);
        entry.private = state.cast();
        entry.func = Some(counts_its_calls);
        let how = bindings::TASK_UNINTERRUPTIBLE as c_int;
        bindings::prepare_to_wait_event(queue, &mut entry, how);
        bindings::__wake_up(queue, bindings::TASK_NORMAL, 1, null_mut());
        bindings::finish_wait(queue, &mut entry);
        let calls = (*state).again.get();
        verdict.expect(calls == 1, "calls", calls);
        State::free(state);
    }
    verdict.happened(true)
}

// ---- Completions and time ----

unsafe extern "C" fn completes_twice(work: *mut bindings::work_struct) {
    // SAFETY: The state outlives the work item.
    unsafe {
        let state = State::of_work(work);
        (*state).seen.set(1);
        bindings::complete(&raw mut (*state).done);
        bindings::complete(&raw mut (*state).done);
    }
}

pub(crate) unsafe fn a_completion_counts_and_complete_all_is_for_ever(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is flushed before the state is freed.
    unsafe {
        let state = State::new(edu);
        let done = &raw mut (*state).done;
        State::start(state, Some(completes_twice));
        let early = (*state).seen.get() == 0;
        bindings::wait_for_completion(done);
        let seen = (*state).seen.get();
        verdict.expect(seen == 1, "came back before complete()", seen);
        State::flush(state);
        let second = bindings::try_wait_for_completion(done);
        verdict.expect(second, "the second complete() is not counted", second);
        let third = bindings::try_wait_for_completion(done);
        verdict.expect(!third, "completed more often than it was", third);
        bindings::complete_all(done);
        for _ in 0..3 {
            bindings::wait_for_completion(done);
        }
        let over = bindings::try_wait_for_completion(done);
        verdict.expect(over, "complete_all() was used up", over);
        State::free(state);
        verdict.happened(early)
    }
}

pub(crate) unsafe fn a_timeout_passes_and_says_so(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: Nobody else uses the state.
    unsafe {
        let state = State::new(edu);
        let done = &raw mut (*state).done;
        let left = bindings::wait_for_completion_timeout(done, 5);
        verdict.expect(left == 0, "time left after a timeout", left as i64);
        bindings::complete(done);
        let left = bindings::wait_for_completion_timeout(done, 5);
        verdict.expect(
            (1..=5).contains(&left),
            "time left without a wait",
            left as i64,
        );
        State::free(state);
    }
    verdict.happened(true)
}

// ---- Gates ----

/// What a gate of `src/gate.rs` begins with.
#[repr(C)]
struct Gate {
    counts: *mut c_void,
    closed: Shared,
    left: bindings::completion,
}

impl Gate {
    /// An open one, with places for notes.
    unsafe fn new() -> *mut Self {
        // SAFETY: The memory is zero; whoever asked for a gate frees it.
        unsafe {
            let gate = allocate::<Self>();
            bindings::init_completion(&raw mut (*gate).left);
            (*gate).counts = devscope_gate_alloc(true);
            gate
        }
    }

    unsafe fn free(this: *mut Self) {
        // SAFETY: Nobody is inside.
        unsafe {
            devscope_gate_free((*this).counts);
            give_back(this);
        }
    }

    unsafe fn enter(this: *mut Self) -> bool {
        // SAFETY: It is one.
        unsafe { devscope_gate_enter(this.cast()) }
    }

    unsafe fn leave(this: *mut Self) {
        // SAFETY: It is one, and was entered.
        unsafe { devscope_gate_leave(this.cast()) };
    }

    fn sum(&self) -> c_int {
        // SAFETY: The counts are there.
        unsafe { devscope_gate_sum(self.counts) }
    }

    fn notes(&self) -> usize {
        let mut notes = [0; 3];
        let mut found = 0;
        let mut cpu = 0;
        // SAFETY: The counts are there, and so is room for the notes of a CPU.
        while unsafe { devscope_gate_notes(self.counts, cpu, notes.as_mut_ptr()) } {
            found += notes.iter().filter(|note| **note != 0).count();
            cpu += 1;
        }
        found
    }
}

pub(crate) unsafe fn a_closed_gate_refuses_and_completes_for_each_who_leaves(_edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The gate is freed when everybody has left.
    unsafe {
        let gate = Gate::new();
        let got = Gate::enter(gate);
        verdict.expect(got, "refused while it is open", got);
        Gate::leave(gate);
        let done = bindings::try_wait_for_completion(&raw mut (*gate).left);
        verdict.expect(!done, "completed by who leaves an open one", done);
        let got = Gate::enter(gate) && Gate::enter(gate);
        verdict.expect(got, "refused while somebody is inside", got);
        (*gate).closed.set(1);
        devscope_cond_synchronize_rcu(devscope_get_state_synchronize_rcu());
        let got = Gate::enter(gate);
        verdict.expect(!got, "entered after it was closed", got);
        for inside in [2, 1] {
            let sum = (*gate).sum();
            verdict.expect(sum == inside, "this many were inside", sum);
            Gate::leave(gate);
            let done = bindings::try_wait_for_completion(&raw mut (*gate).left);
            verdict.expect(done, "not completed by who left", done);
        }
        let sum = (*gate).sum();
        verdict.expect(sum == 0, "this many were inside in the end", sum);
        (*gate).closed.set(0);
        let got = Gate::enter(gate);
        verdict.expect(got, "refused after it was opened again", got);
        Gate::leave(gate);
        Gate::free(gate);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn who_enters_a_gate_is_noted_until_it_leaves(_edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The gate is freed when everybody has left.
    unsafe {
        let gate = Gate::new();
        let mut inside = [null_mut(); 2];
        for note in &mut inside {
            *note = devscope_gate_enter_noting(gate.cast(), 5 << 24);
            verdict.expect(!note.is_null(), "refused while it is open", note.is_null());
            let what = **note >> 24;
            verdict.expect(what == 5, "this was noted", what as i64);
        }
        let notes = (*gate).notes();
        verdict.expect(notes == 2, "this many notes of two", notes as i64);
        for note in inside {
            devscope_gate_leave_noting(gate.cast(), note);
        }
        let notes = (*gate).notes();
        verdict.expect(notes == 0, "this many notes of nobody", notes as i64);
        let sum = (*gate).sum();
        verdict.expect(sum == 0, "this many were inside in the end", sum);
        (*gate).closed.set(1);
        let note = devscope_gate_enter_noting(gate.cast(), 5 << 24);
        verdict.expect(
            note.is_null(),
            "entered after it was closed",
            !note.is_null(),
        );
        Gate::free(gate);
    }
    verdict.happened(true)
}

// ---- SRCU ----

#[repr(C)]
struct Sleepable {
    srcu: bindings::srcu_struct,
    work: bindings::work_struct,
    entered: bindings::completion,
    ended: Shared,
}

/// Reads, and sleeps about it.
unsafe extern "C" fn reads_and_sleeps(work: *mut bindings::work_struct) {
    // SAFETY: The memory outlives the work item.
    unsafe {
        let at = core::mem::offset_of!(Sleepable, work);
        let sleepable = work.byte_sub(at).cast::<Sleepable>();
        let index = bindings::srcu_read_lock(&raw mut (*sleepable).srcu);
        bindings::complete(&raw mut (*sleepable).entered);
        bindings::msleep(20);
        (*sleepable).ended.add(1);
        bindings::srcu_read_unlock(&raw mut (*sleepable).srcu, index);
    }
}

pub(crate) unsafe fn synchronize_srcu_waits_for_readers_that_sleep(_edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The memory is given back after its reader has ended.
    unsafe {
        let sleepable = allocate::<Sleepable>();
        let srcu = &raw mut (*sleepable).srcu;
        let key = static_lock_class!().as_ptr();
        let error = bindings::init_srcu_struct_with_key(srcu, name(), key);
        verdict.expect(error == 0, "init_srcu_struct() failed", error);
        bindings::init_completion(&raw mut (*sleepable).entered);
        let (work, key) = (&raw mut (*sleepable).work, static_lock_class!().as_ptr());
        bindings::init_work_with_key(work, Some(reads_and_sleeps), false, name(), key);
        crate::state::queue_on_any(work);
        let entered = comes(&raw mut (*sleepable).entered);
        verdict.expect(entered, "the reader never ran", entered);
        let reads = (*sleepable).ended.get() == 0;
        bindings::synchronize_srcu(srcu);
        let ended = (*sleepable).ended.get();
        verdict.expect(
            ended == 1,
            "synchronize_srcu() returned while it read",
            ended,
        );
        bindings::flush_work(work);
        bindings::cleanup_srcu_struct(srcu);
        give_back(sleepable);
        verdict.happened(reads)
    }
}

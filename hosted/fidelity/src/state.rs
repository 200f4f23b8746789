// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the checks work with: one structure with one of everything, in memory of its own.

use crate::{allocate, give_back, name, Edu, Shared, Verdict};
use core::mem::offset_of;
use kernel::{bindings, prelude::*, static_lock_class};

/// One of everything. Its memory is given back at the end of a check: whatever still used it then
/// would be found by KASAN or by the model.
#[repr(C)]
pub(crate) struct State {
    pub(crate) edu: Edu,
    pub(crate) tasklet: bindings::tasklet_struct,
    pub(crate) other_tasklet: bindings::tasklet_struct,
    pub(crate) timer: bindings::timer_list,
    pub(crate) hrtimer: bindings::hrtimer,
    pub(crate) work: bindings::work_struct,
    pub(crate) other_work: bindings::work_struct,
    pub(crate) delayed: bindings::delayed_work,
    /// A callback has begun.
    pub(crate) entered: bindings::completion,
    /// Something is over.
    pub(crate) done: bindings::completion,
    pub(crate) queue: bindings::wait_queue_head,
    pub(crate) spin: bindings::spinlock_t,
    pub(crate) mutex: bindings::mutex,
    pub(crate) rcu: bindings::callback_head,
    /// How many callbacks have begun, how many have ended.
    pub(crate) begun: Shared,
    pub(crate) ended: Shared,
    /// How many are inside now, and how many were at most.
    pub(crate) inside: Shared,
    pub(crate) most: Shared,
    /// What a check makes of these is its own affair.
    pub(crate) seen: Shared,
    pub(crate) again: Shared,
    pub(crate) cpu: Shared,
    pub(crate) task: *mut bindings::task_struct,
    pub(crate) dev: *mut bindings::device,
}

impl State {
    pub(crate) unsafe fn new(edu: Edu) -> *mut State {
        let state = allocate::<State>();
        // SAFETY: Fresh memory of zeroes, in place until `free`.
        unsafe {
            (*state).edu = edu;
            bindings::init_completion(&raw mut (*state).entered);
            bindings::init_completion(&raw mut (*state).done);
            let key = static_lock_class!().as_ptr();
            bindings::__init_waitqueue_head(&raw mut (*state).queue, name(), key);
            let key = static_lock_class!().as_ptr();
            bindings::__spin_lock_init(&raw mut (*state).spin, name(), key);
            let key = static_lock_class!().as_ptr();
            bindings::__mutex_init(&raw mut (*state).mutex, name(), key);
        }
        state
    }

    pub(crate) unsafe fn free(state: *mut State) {
        // SAFETY: From `new`, and the check has ended what used it.
        unsafe { give_back(state) };
    }

    // ---- Interrupts ----

    pub(crate) unsafe fn request(
        state: *mut State,
        handler: bindings::irq_handler_t,
        thread: bindings::irq_handler_t,
        flags: u32,
    ) -> c_int {
        // SAFETY: The state outlives the registration.
        unsafe {
            let irq = (*state).edu.irq();
            let (flags, cookie) = (flags as usize, state.cast());
            bindings::request_threaded_irq(irq, handler, thread, flags, name(), cookie)
        }
    }

    /// A state whose callback is on the line.
    pub(crate) unsafe fn registered(
        edu: Edu,
        (handler, thread): (bindings::irq_handler_t, bindings::irq_handler_t),
        flags: u32,
        verdict: &mut Verdict,
    ) -> *mut State {
        // SAFETY: The caller frees the state after the line.
        unsafe {
            let state = State::new(edu);
            let error = State::request(state, handler, thread, flags);
            verdict.expect(error == 0, "request_threaded_irq() failed", error);
            state
        }
    }

    /// A state whose callback is on the line, and has begun for the first interrupt.
    pub(crate) unsafe fn interrupted(
        edu: Edu,
        callbacks: (bindings::irq_handler_t, bindings::irq_handler_t),
        flags: u32,
        verdict: &mut Verdict,
    ) -> *mut State {
        // SAFETY: The caller frees the state after the line.
        unsafe {
            let state = State::registered(edu, callbacks, flags, verdict);
            edu.raise();
            verdict.expect(State::entered(state), "the callback never began", 0);
            state
        }
    }

    /// Whether `wait`, which is called while `handler` runs, returns before that does.
    pub(crate) unsafe fn waits_for_the_handler(
        edu: Edu,
        handler: bindings::irq_handler_t,
        wait: impl FnOnce(*mut State),
        free: bool,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        // SAFETY: The state is freed after the line; `wait` has freed that unless `free` is true.
        unsafe {
            let state = State::interrupted(edu, (handler, None), 0, &mut verdict);
            let runs = (*state).ended.get() == 0;
            wait(state);
            let ended = (*state).ended.get();
            verdict.expect(ended == 1, "returned while the handler ran", ended);
            if free {
                State::free_irq(state);
            }
            State::free(state);
            verdict.happened(runs)
        }
    }

    pub(crate) unsafe fn free_irq(state: *mut State) {
        // SAFETY: Registered by `request`, with this cookie.
        unsafe { bindings::free_irq((*state).edu.irq(), state.cast()) };
    }

    // ---- Another task ----

    pub(crate) unsafe fn set_up_work(state: *mut State, body: bindings::work_func_t) {
        // SAFETY: The state is in place.
        unsafe {
            let (work, key) = (&raw mut (*state).work, static_lock_class!().as_ptr());
            bindings::init_work_with_key(work, body, false, name(), key);
        }
    }

    pub(crate) unsafe fn set_up_other_work(state: *mut State, body: bindings::work_func_t) {
        // SAFETY: The state is in place.
        unsafe {
            let (work, key) = (&raw mut (*state).other_work, static_lock_class!().as_ptr());
            bindings::init_work_with_key(work, body, false, name(), key);
        }
    }

    pub(crate) unsafe fn set_up_delayed(state: *mut State, body: bindings::work_func_t) {
        // SAFETY: The state is in place.
        unsafe {
            let delayed = &raw mut (*state).delayed;
            let key = static_lock_class!().as_ptr();
            bindings::init_work_with_key(&raw mut (*delayed).work, body, false, name(), key);
            let key = static_lock_class!().as_ptr();
            let (timer, fires) = (&raw mut (*delayed).timer, bindings::delayed_work_timer_fn);
            bindings::timer_init_key(timer, Some(fires), bindings::TIMER_IRQSAFE, name(), key);
        }
    }

    pub(crate) unsafe fn queue(state: *mut State) -> bool {
        // SAFETY: Set up by `set_up_work`.
        unsafe { queue_on_any(&raw mut (*state).work) }
    }

    pub(crate) unsafe fn flush(state: *mut State) {
        // SAFETY: Set up by `set_up_work`.
        unsafe { bindings::flush_work(&raw mut (*state).work) };
    }

    /// Runs `body` as another task, which `flush` waits for.
    pub(crate) unsafe fn start(state: *mut State, body: bindings::work_func_t) {
        // SAFETY: Passed on.
        unsafe {
            Self::set_up_work(state, body);
            Self::queue(state);
        }
    }

    pub(crate) unsafe fn of_work(work: *mut bindings::work_struct) -> *mut State {
        // SAFETY: Only given to functions that `set_up_work` has set up.
        unsafe { work.byte_sub(offset_of!(State, work)).cast() }
    }

    pub(crate) unsafe fn of_other_work(work: *mut bindings::work_struct) -> *mut State {
        // SAFETY: Only given to functions that `set_up_other_work` has set up.
        unsafe { work.byte_sub(offset_of!(State, other_work)).cast() }
    }

    pub(crate) unsafe fn of_delayed(work: *mut bindings::work_struct) -> *mut State {
        // SAFETY: Only given to functions that `set_up_delayed` has set up; the work item comes first.
        unsafe { work.byte_sub(offset_of!(State, delayed)).cast() }
    }

    pub(crate) unsafe fn of_tasklet(tasklet: *mut bindings::tasklet_struct) -> *mut State {
        // SAFETY: Only given to callbacks of `State::tasklet`.
        unsafe { tasklet.byte_sub(offset_of!(State, tasklet)).cast() }
    }

    pub(crate) unsafe fn of_other_tasklet(tasklet: *mut bindings::tasklet_struct) -> *mut State {
        // SAFETY: Only given to callbacks of `State::other_tasklet`.
        unsafe { tasklet.byte_sub(offset_of!(State, other_tasklet)).cast() }
    }

    // ---- What callbacks do ----

    /// A callback begins.
    pub(crate) unsafe fn enter(state: *mut State) {
        // SAFETY: The state outlives its callbacks.
        unsafe {
            let inside = (*state).inside.add(1) + 1;
            if inside > (*state).most.get() {
                (*state).most.set(inside);
            }
            (*state).begun.add(1);
            bindings::complete(&raw mut (*state).entered);
        }
    }

    /// And ends.
    pub(crate) unsafe fn leave(state: *mut State) {
        // SAFETY: As in `enter`.
        unsafe {
            (*state).inside.add(-1);
            (*state).ended.add(1);
        }
    }

    // ---- What the check does ----

    /// Waits until a callback has begun. False if none does.
    pub(crate) unsafe fn entered(state: *mut State) -> bool {
        // SAFETY: Process context.
        unsafe { comes(&raw mut (*state).entered) }
    }

    /// Waits for `done`.
    pub(crate) unsafe fn done(state: *mut State) -> bool {
        // SAFETY: Process context.
        unsafe { comes(&raw mut (*state).done) }
    }
}

/// Waits for what should come soon. False if it does not, so that a check can say so.
pub(crate) unsafe fn comes(completion: *mut bindings::completion) -> bool {
    // In steps: on the model a single timeout may pass before anything else happens.
    for _ in 0..40 {
        // SAFETY: Process context.
        if unsafe { bindings::wait_for_completion_timeout(completion, 50) } != 0 {
            return true;
        }
    }
    false
}

/// Lets pass what might happen although it should not.
pub(crate) unsafe fn settle() {
    // SAFETY: Process context.
    unsafe { bindings::msleep(30) };
}

pub(crate) unsafe fn queue_on_any(work: *mut bindings::work_struct) -> bool {
    let cpu = bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int;
    // SAFETY: The queue exists as long as the kernel.
    unsafe { bindings::queue_work_on(cpu, bindings::system_dfl_wq, work) }
}

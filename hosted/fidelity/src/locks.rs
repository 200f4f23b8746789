// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Locks and grace periods.

use crate::{
    busy, fidelity_irqs_disabled, fidelity_local_irq_disable, fidelity_local_irq_enable, name,
    state::{queue_on_any, State},
    Edu, Verdict,
};
use core::mem::offset_of;
use kernel::{
    bindings::{self, irqreturn, irqreturn_t},
    prelude::*,
    static_lock_class,
};

/// Holds the spinlock for a while, and adds in two steps.
unsafe fn add_under_spinlock(state: *mut State) {
    // SAFETY: The state outlives its work items; nothing sleeps under the lock.
    unsafe {
        bindings::spin_lock(&raw mut (*state).spin);
        State::enter(state);
        let value = (*state).seen.get();
        busy(20);
        (*state).seen.set(value + 1);
        State::leave(state);
        bindings::spin_unlock(&raw mut (*state).spin);
    }
}

unsafe extern "C" fn adds_under_spinlock(work: *mut bindings::work_struct) {
    // SAFETY: Passed on.
    unsafe { add_under_spinlock(State::of_work(work)) };
}

pub(crate) unsafe fn a_spinlock_admits_one(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is flushed before the state is freed.
    unsafe {
        let state = State::new(edu);
        State::start(state, Some(adds_under_spinlock));
        // Not asleep: the other task is to run on another CPU than this one.
        for _ in 0..1000 {
            if (*state).begun.get() != 0 {
                break;
            }
            bindings::udelay(20);
        }
        let spin = &raw mut (*state).spin;
        // The other task holds it, if it has not been quick.
        let held = bindings::spin_trylock(spin) == 0;
        if !held {
            bindings::spin_unlock(spin);
        }
        add_under_spinlock(state);
        State::flush(state);
        let (sum, most) = ((*state).seen.get(), (*state).most.get());
        verdict.expect(sum == 2, "two additions of one gave", sum);
        verdict.expect(most == 1, "held by this many at once", most);
        State::free(state);
        verdict.happened(held)
    }
}

/// The handler adds, too.
unsafe extern "C" fn adds_in_a_handler(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: The cookie is a `State` that outlives the registration.
    unsafe {
        (*state).edu.acknowledge();
        add_under_spinlock(state);
    }
    irqreturn::IRQ_HANDLED
}

pub(crate) unsafe fn a_spinlock_is_shared_with_a_handler_when_interrupts_are_off(
    edu: Edu,
) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The state is freed after the interrupt.
    unsafe {
        let state = State::new(edu);
        let spin = &raw mut (*state).spin;
        // A lock class of its own: the other checks take theirs with interrupts on.
        bindings::__spin_lock_init(spin, name(), static_lock_class!().as_ptr());
        let error = State::request(state, Some(adds_in_a_handler), None, 0);
        verdict.expect(error == 0, "request_irq() failed", error);
        bindings::spin_lock_irq_disable(spin);
        edu.raise();
        let value = (*state).seen.get();
        busy(5);
        let waits = (*state).begun.get() == 0;
        (*state).seen.set(value + 1);
        bindings::spin_unlock_irq_enable(spin);
        verdict.expect(State::entered(state), "the interrupt never came", 0);
        State::free_irq(state);
        let sum = (*state).seen.get();
        verdict.expect(sum == 2, "two additions of one gave", sum);
        State::free(state);
        verdict.happened(waits)
    }
}

unsafe extern "C" fn adds_under_mutex(work: *mut bindings::work_struct) {
    // SAFETY: The state outlives its work items.
    unsafe {
        let state = State::of_work(work);
        bindings::mutex_lock(&raw mut (*state).mutex);
        State::enter(state);
        let value = (*state).seen.get();
        bindings::msleep(20);
        (*state).seen.set(value + 1);
        State::leave(state);
        bindings::mutex_unlock(&raw mut (*state).mutex);
    }
}

pub(crate) unsafe fn a_mutex_admits_one_and_its_holder_may_sleep(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is flushed before the state is freed.
    unsafe {
        let state = State::new(edu);
        let mutex = &raw mut (*state).mutex;
        State::start(state, Some(adds_under_mutex));
        verdict.expect(State::entered(state), "the other task never ran", 0);
        let held = bindings::mutex_trylock(mutex) == 0;
        if !held {
            bindings::mutex_unlock(mutex);
        }
        bindings::mutex_lock(mutex);
        State::enter(state);
        (*state).seen.add(1);
        State::leave(state);
        bindings::mutex_unlock(mutex);
        State::flush(state);
        let (sum, most) = ((*state).seen.get(), (*state).most.get());
        verdict.expect(sum == 2, "two additions of one gave", sum);
        verdict.expect(most == 1, "held by this many at once", most);
        State::free(state);
        verdict.happened(held)
    }
}

pub(crate) unsafe fn two_local_irq_disable_and_one_enable(_edu: Edu) -> Verdict {
    // SAFETY: Interrupts are on when a check begins, and when this one ends: the second enable does
    // no harm where the first was enough.
    let off = unsafe {
        fidelity_local_irq_disable();
        fidelity_local_irq_disable();
        fidelity_local_irq_enable();
        let off = fidelity_irqs_disabled();
        if off {
            fidelity_local_irq_enable();
        }
        off
    };
    let answer = if off { "still off" } else { "on" };
    Verdict {
        answer: Some(answer),
        happened: true,
        wrong: None,
    }
}

// ---- RCU ----

unsafe extern "C" fn reads(work: *mut bindings::work_struct) {
    // SAFETY: The state outlives its work items; nothing sleeps in the section.
    unsafe {
        let state = State::of_work(work);
        bindings::rcu_read_lock();
        State::enter(state);
        busy(20);
        State::leave(state);
        bindings::rcu_read_unlock();
    }
}

pub(crate) unsafe fn synchronize_rcu_waits_for_readers_that_began_before(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is flushed before the state is freed.
    unsafe {
        let state = State::new(edu);
        State::start(state, Some(reads));
        verdict.expect(State::entered(state), "the reader never ran", 0);
        let reads = (*state).ended.get() == 0;
        bindings::synchronize_rcu();
        let ended = (*state).ended.get();
        verdict.expect(
            ended == 1,
            "synchronize_rcu() returned while it read",
            ended,
        );
        State::flush(state);
        State::free(state);
        verdict.happened(reads)
    }
}

unsafe extern "C" fn callback(head: *mut bindings::callback_head) {
    // SAFETY: The head is in a `State`, which waits for this.
    unsafe {
        let state = head.byte_sub(offset_of!(State, rcu)).cast::<State>();
        (*state).again.set((*state).ended.get() + 1);
        bindings::complete(&raw mut (*state).done);
    }
}

pub(crate) unsafe fn call_rcu_calls_after_readers_that_began_before(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is flushed, and the callback waited for, before the state is freed.
    unsafe {
        let state = State::new(edu);
        State::start(state, Some(reads));
        verdict.expect(State::entered(state), "the reader never ran", 0);
        let reads = (*state).ended.get() == 0;
        bindings::call_rcu(&raw mut (*state).rcu, Some(callback));
        verdict.expect(State::done(state), "the callback was not called", 0);
        let ended = (*state).again.get() - 1;
        verdict.expect(ended == 1, "called while it read", ended);
        State::flush(state);
        // The callback may still be in complete().
        bindings::rcu_barrier();
        State::free(state);
        verdict.happened(reads)
    }
}

unsafe extern "C" fn takes_its_time(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: The cookie is a `State` that outlives the registration.
    unsafe {
        (*state).edu.acknowledge();
        State::enter(state);
        busy(20);
        State::leave(state);
    }
    irqreturn::IRQ_HANDLED
}

pub(crate) unsafe fn synchronize_rcu_waits_for_handlers(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The state is freed after the interrupt.
    unsafe {
        let state = State::new(edu);
        let error = State::request(state, Some(takes_its_time), None, 0);
        verdict.expect(error == 0, "request_irq() failed", error);
        edu.raise();
        verdict.expect(State::entered(state), "the interrupt never came", 0);
        let runs = (*state).ended.get() == 0;
        bindings::synchronize_rcu();
        let ended = (*state).ended.get();
        verdict.expect(ended == 1, "synchronize_rcu() returned while it ran", ended);
        State::free_irq(state);
        State::free(state);
        verdict.happened(runs)
    }
}

// ---- Who waits for whom ----

/// Takes the mutex, and waits for the check to have tried it.
unsafe extern "C" fn holds_the_mutex(work: *mut bindings::work_struct) {
    // SAFETY: The state outlives its work items.
    unsafe {
        let state = State::of_other_work(work);
        bindings::mutex_lock(&raw mut (*state).mutex);
        State::enter(state);
        bindings::wait_for_completion(&raw mut (*state).done);
        bindings::mutex_unlock(&raw mut (*state).mutex);
    }
}

pub(crate) unsafe fn a_mutex_that_another_holds_is_not_given_to_trylock(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The work item is flushed before the state is freed.
    unsafe {
        let state = State::new(edu);
        State::set_up_other_work(state, Some(holds_the_mutex));
        queue_on_any(&raw mut (*state).other_work);
        verdict.expect(State::entered(state), "the other task never ran", 0);
        let mutex = &raw mut (*state).mutex;
        let taken = bindings::mutex_trylock(mutex);
        verdict.expect(taken == 0, "given to two", taken);
        verdict.expect(
            bindings::mutex_is_locked(mutex),
            "held, and says it is not",
            0,
        );
        bindings::complete(&raw mut (*state).done);
        bindings::flush_work(&raw mut (*state).other_work);
        verdict.expect(
            !bindings::mutex_is_locked(mutex),
            "free, and says it is not",
            0,
        );
        State::free(state);
    }
    verdict.happened(true)
}

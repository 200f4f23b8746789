// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Interrupts: `kernel/irq/`.

use crate::{
    busy, devscope_in_atomic_context, devscope_irq_set_affinity_and_hint,
    devscope_irq_update_affinity_hint, fidelity_this_cpu,
    state::{comes, settle, State},
    Edu, Verdict,
};
use core::ptr::{null, null_mut};
use kernel::{
    bindings::{self, irqreturn, irqreturn_t},
    prelude::*,
};

/// Acknowledges, and counts.
unsafe extern "C" fn counts(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: The cookie is a `State` that outlives the registration.
    unsafe {
        (*state).edu.acknowledge();
        State::enter(state);
        State::leave(state);
    }
    irqreturn::IRQ_HANDLED
}

/// Counts, and is a while about it.
unsafe extern "C" fn takes_its_time(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: As in `counts`.
    unsafe {
        (*state).edu.acknowledge();
        State::enter(state);
        busy(20);
        State::leave(state);
    }
    irqreturn::IRQ_HANDLED
}

pub(crate) unsafe fn free_irq_waits_for_a_running_handler(edu: Edu) -> Verdict {
    // SAFETY: The line is freed once, here.
    let wait = |state| unsafe { State::free_irq(state) };
    // SAFETY: Nothing else is on the line.
    unsafe { State::waits_for_the_handler(edu, Some(takes_its_time), wait, false) }
}

pub(crate) unsafe fn a_shared_handler_is_called_once_more_by_free_irq(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The states are freed after the interrupts.
    unsafe {
        let (one, two) = (State::new(edu), State::new(edu));
        for state in [one, two] {
            let error = State::request(state, Some(counts), None, bindings::IRQF_SHARED);
            verdict.expect(error == 0, "request_irq() of a shared line failed", error);
        }
        edu.raise();
        for state in [one, two] {
            verdict.expect(State::entered(state), "a handler was not called", 0);
        }
        for state in [one, two] {
            State::free_irq(state);
            let handled = (*state).ended.get();
            verdict.expect(
                handled == 2,
                "called this often, free_irq() included",
                handled,
            );
        }
        State::free(one);
        State::free(two);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn request_irq_refuses_what_does_not_fit(edu: Edu) -> Verdict {
    const SHARED: u32 = bindings::IRQF_SHARED;
    // Does not expect to succeed, and so is refused without a message.
    const PROBE: u32 = bindings::IRQF_PROBE_SHARED;
    let mut verdict = Verdict::default();
    // SAFETY: The states are freed after the interrupts.
    unsafe {
        let (one, two) = (State::new(edu), State::new(edu));
        let error = State::request(one, None, None, 0);
        verdict.expect(error == EINVAL.to_errno(), "without a handler", error);
        let error = bindings::request_threaded_irq(
            edu.irq(),
            Some(counts),
            None,
            SHARED as usize,
            crate::name(),
            null_mut(),
        );
        verdict.expect(
            error == EINVAL.to_errno(),
            "shared, without a cookie",
            error,
        );

        let error = State::request(one, Some(counts), None, SHARED | bindings::IRQF_NO_AUTOEN);
        verdict.expect(
            error == EINVAL.to_errno(),
            "shared, and disabled at first",
            error,
        );

        let error = State::request(one, Some(counts), None, 0);
        verdict.expect(error == 0, "the first", error);
        for flags in [PROBE, PROBE | SHARED] {
            let error = State::request(two, Some(counts), None, flags);
            verdict.expect(
                error == EBUSY.to_errno(),
                "after one that does not share",
                error,
            );
        }
        State::free_irq(one);

        let error = State::request(one, Some(counts), None, SHARED);
        verdict.expect(error == 0, "the first, shared", error);
        let error = State::request(two, Some(counts), None, PROBE);
        verdict.expect(
            error == EBUSY.to_errno(),
            "unshared, after one that shares",
            error,
        );
        State::free_irq(one);
        State::free(one);
        State::free(two);
    }
    verdict.happened(true)
}

/// Handlers of one line that want different triggers.
pub(crate) unsafe fn sharing_a_line_with_another_trigger(edu: Edu) -> Verdict {
    const SHARED: u32 = bindings::IRQF_SHARED;
    let mut verdict = Verdict::default();
    // SAFETY: The states are freed after the interrupts.
    unsafe {
        let (one, two) = (State::new(edu), State::new(edu));
        let rising = SHARED | bindings::IRQF_TRIGGER_RISING;
        let falling = SHARED | bindings::IRQF_TRIGGER_FALLING | bindings::IRQF_PROBE_SHARED;
        let error = State::request(one, Some(counts), None, rising);
        verdict.expect(error == 0, "the first", error);
        let error = State::request(two, Some(counts), None, falling);
        verdict.answer = Some(if error == EBUSY.to_errno() {
            "refused"
        } else {
            "accepted"
        });
        if error == 0 {
            State::free_irq(two);
        }
        State::free_irq(one);
        State::free(one);
        State::free(two);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn a_line_in_progress_is_remembered_and_not_entered_twice(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The state is freed after the interrupt.
    unsafe {
        let callbacks = (Some(takes_its_time as _), None);
        let state = State::interrupted(edu, callbacks, 0, &mut verdict);
        edu.raise();
        edu.raise();
        let running = (*state).ended.get() == 0;
        if running {
            verdict.expect(State::entered(state), "what came meanwhile is forgotten", 0);
        }
        settle();
        State::free_irq(state);
        let (most, handled) = ((*state).most.get(), (*state).ended.get());
        verdict.expect(most == 1, "the handler was inside this often at once", most);
        verdict.expect(handled <= 3, "more calls than interrupts", handled);
        verdict.expect(
            !running || handled == 2,
            "two while it ran, handled",
            handled,
        );
        State::free(state);
        verdict.happened(running)
    }
}

pub(crate) unsafe fn disable_irq_waits_for_a_running_handler(edu: Edu) -> Verdict {
    // SAFETY: The handler is on the line. `free_irq()` needs no enabled one: see
    // `a_line_left_disabled_is_enabled_by_the_next_request`.
    let wait = |_| unsafe { bindings::disable_irq(edu.irq()) };
    // SAFETY: Nothing else is on the line.
    unsafe { State::waits_for_the_handler(edu, Some(takes_its_time), wait, true) }
}

pub(crate) unsafe fn a_disabled_line_is_handled_when_it_is_enabled_as_often(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The state is freed after the interrupt.
    unsafe {
        let callbacks = (Some(counts as _), None);
        let state = State::registered(edu, callbacks, 0, &mut verdict);
        bindings::disable_irq(edu.irq());
        bindings::disable_irq(edu.irq());
        edu.raise();
        settle();
        let handled = (*state).ended.get();
        verdict.expect(handled == 0, "handled while disabled", handled);
        bindings::enable_irq(edu.irq());
        settle();
        let handled = (*state).ended.get();
        verdict.expect(handled == 0, "handled while disabled once", handled);
        bindings::enable_irq(edu.irq());
        verdict.expect(State::entered(state), "not resent", 0);
        State::free_irq(state);
        let handled = (*state).ended.get();
        verdict.expect(handled == 1, "handled, for one interrupt", handled);
        State::free(state);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn synchronize_irq_waits_for_a_running_handler(edu: Edu) -> Verdict {
    // SAFETY: The handler is on the line.
    let wait = |_| unsafe { bindings::synchronize_irq(edu.irq()) };
    // SAFETY: Nothing else is on the line.
    unsafe { State::waits_for_the_handler(edu, Some(takes_its_time), wait, true) }
}

/// The depth of a line that nobody shares begins anew.
pub(crate) unsafe fn a_line_left_disabled_is_enabled_by_the_next_request(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The states are freed after the line.
    unsafe {
        let callbacks = (Some(counts as _), None);
        let state = State::registered(edu, callbacks, 0, &mut verdict);
        bindings::disable_irq(edu.irq());
        bindings::disable_irq(edu.irq());
        State::free_irq(state);
        State::free(state);
        let state = State::interrupted(edu, callbacks, 0, &mut verdict);
        State::free_irq(state);
        State::free(state);
    }
    verdict.happened(true)
}

/// That of a shared line belongs to all who share it.
pub(crate) unsafe fn a_shared_line_left_disabled_stays_so_for_the_others(edu: Edu) -> Verdict {
    const SHARED: u32 = bindings::IRQF_SHARED;
    let mut verdict = Verdict::default();
    // SAFETY: The states are freed after the line, which is enabled as often as it was disabled.
    unsafe {
        let callbacks = (Some(counts as _), None);
        let stays = State::registered(edu, callbacks, SHARED, &mut verdict);
        let goes = State::registered(edu, callbacks, SHARED, &mut verdict);
        bindings::disable_irq(edu.irq());
        State::free_irq(goes);
        State::free(goes);
        edu.raise();
        settle();
        let handled = (*stays).ended.get();
        verdict.expect(handled == 0, "handled while disabled", handled);
        bindings::enable_irq(edu.irq());
        verdict.expect(State::entered(stays), "not resent", 0);
        State::free_irq(stays);
        State::free(stays);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn a_line_requested_disabled_is_handled_when_it_is_enabled(edu: Edu) -> Verdict {
    const NO_AUTOEN: u32 = bindings::IRQF_NO_AUTOEN;
    let mut verdict = Verdict::default();
    // SAFETY: The states are freed after the line, which is enabled once for being requested disabled.
    unsafe {
        let callbacks = (Some(counts as _), None);
        // One that is never enabled may be freed as it is.
        let state = State::registered(edu, callbacks, NO_AUTOEN, &mut verdict);
        edu.raise();
        settle();
        State::free_irq(state);
        let handled = (*state).ended.get();
        verdict.expect(handled == 0, "handled, and never enabled", handled);
        State::free(state);

        let state = State::registered(edu, callbacks, NO_AUTOEN, &mut verdict);
        edu.raise();
        settle();
        let handled = (*state).ended.get();
        verdict.expect(handled == 0, "handled before it was enabled", handled);
        bindings::enable_irq(edu.irq());
        verdict.expect(State::entered(state), "what was pending is lost", 0);
        State::free_irq(state);
        State::free(state);
    }
    verdict.happened(true)
}

/// Says on which CPU it runs.
unsafe extern "C" fn says_where(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: As in `counts`.
    unsafe {
        (*state).edu.acknowledge();
        (*state).cpu.set(fidelity_this_cpu());
        State::enter(state);
        State::leave(state);
    }
    irqreturn::IRQ_HANDLED
}

pub(crate) unsafe fn interrupts_go_where_the_hint_sends_them(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The hints stay in place until the next, and the last one is taken away.
    unsafe {
        let callbacks = (Some(says_where as _), None);
        let state = State::registered(edu, callbacks, 0, &mut verdict);
        let mut masks = [bindings::cpumask::default(); 2];
        for cpu in [1, 0] {
            masks[cpu].bits[0] = 1 << cpu;
            let error = devscope_irq_set_affinity_and_hint(edu.irq(), &masks[cpu]);
            verdict.expect(error == 0, "irq_set_affinity_and_hint() failed", error);
            // Linux moves a message with the next one, which may still go the old way.
            for _ in 0..2 {
                edu.raise();
                verdict.expect(State::entered(state), "the interrupt never came", 0);
                // Whichever CPU handles it handles what comes meanwhile, too.
                bindings::synchronize_irq(edu.irq());
            }
            let seen = (*state).cpu.get();
            verdict.expect(seen == cpu as i32, "it went elsewhere", seen);
        }
        devscope_irq_update_affinity_hint(edu.irq(), null());
        State::free_irq(state);
        State::free(state);
    }
    verdict.happened(true)
}

// ---- Threaded handlers ----

unsafe extern "C" fn wakes_its_thread(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: As in `counts`.
    unsafe {
        (*state).edu.acknowledge();
        (*state).seen.add(1);
    }
    irqreturn::IRQ_WAKE_THREAD
}

/// In the thread: sleeps.
unsafe extern "C" fn sleeps(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: As in `counts`; a thread may sleep.
    unsafe {
        State::enter(state);
        if devscope_in_atomic_context() {
            (*state).again.set(1);
        }
        bindings::msleep(20);
        State::leave(state);
    }
    irqreturn::IRQ_HANDLED
}

pub(crate) unsafe fn a_threaded_handler_may_sleep_and_free_irq_waits_for_it(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The state is freed after the interrupt.
    unsafe {
        let callbacks = (Some(wakes_its_thread as _), Some(sleeps as _));
        let state = State::interrupted(edu, callbacks, 0, &mut verdict);
        let runs = (*state).ended.get() == 0;
        State::free_irq(state);
        let (begun, ended) = ((*state).begun.get(), (*state).ended.get());
        verdict.expect(
            begun == ended,
            "free_irq() returned while the thread ran",
            begun,
        );
        let atomic = (*state).again.get();
        verdict.expect(atomic == 0, "the thread may not sleep", atomic);
        State::free(state);
        verdict.happened(runs)
    }
}

pub(crate) unsafe fn what_comes_while_the_thread_runs_makes_it_run_again(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The state is freed after the interrupt.
    unsafe {
        let callbacks = (Some(wakes_its_thread as _), Some(sleeps as _));
        let state = State::interrupted(edu, callbacks, 0, &mut verdict);
        edu.raise();
        verdict.expect(State::entered(state), "the second was forgotten", 0);
        State::free_irq(state);
        let most = (*state).most.get();
        verdict.expect(most == 1, "the thread function was inside twice", most);
        State::free(state);
    }
    verdict.happened(true)
}

/// Messages need no mask: Linux ignores `IRQF_ONESHOT` for them.
pub(crate) unsafe fn oneshot_does_not_mask_a_message(edu: Edu) -> Verdict {
    const ONESHOT: u32 = bindings::IRQF_ONESHOT;
    let mut verdict = Verdict::default();
    // SAFETY: The state is freed after the interrupt.
    unsafe {
        let callbacks = (Some(wakes_its_thread as _), Some(sleeps as _));
        let state = State::interrupted(edu, callbacks, ONESHOT, &mut verdict);
        let before = (*state).seen.get();
        edu.raise();
        busy(5);
        let after = (*state).seen.get();
        // Only what came in the time of the thread tells.
        let runs = (*state).ended.get() == 0 && before == 1;
        State::free_irq(state);
        State::free(state);
        verdict.happened(runs && after > before)
    }
}

/// What a line that is not a message needs it for.
pub(crate) unsafe fn oneshot_masks_intx_until_the_thread_has_returned(edu: Edu) -> Verdict {
    const ONESHOT: u32 = bindings::IRQF_ONESHOT;
    let mut verdict = Verdict::default();
    // SAFETY: The vectors are changed while nothing is registered, and changed back.
    unsafe {
        verdict.expect(edu.use_vectors(bindings::PCI_IRQ_INTX), "no INTx", 0);
        let state = State::new(edu);
        // Without a hard part, and without the flag: the line would ask for ever.
        let error = State::request(state, None, Some(acknowledges_in_its_thread), 0);
        verdict.expect(error == EINVAL.to_errno(), "all thread, not masked", error);
        State::free(state);

        let callbacks = (None, Some(acknowledges_in_its_thread as _));
        let state = State::interrupted(edu, callbacks, ONESHOT, &mut verdict);
        verdict.expect(State::done(state), "the thread did not return", 0);
        edu.raise();
        verdict.expect(State::entered(state), "masked for ever", 0);
        State::free_irq(state);
        let (begun, ended) = ((*state).begun.get(), (*state).ended.get());
        verdict.expect(
            begun == ended,
            "free_irq() returned while the thread ran",
            begun,
        );
        verdict.expect(begun == 2, "the thread ran this often", begun);
        State::free(state);
        verdict.expect(edu.use_vectors(bindings::PCI_IRQ_MSI), "no MSI", 0);
    }
    verdict.happened(true)
}

/// In the thread: is a while about taking the cause away.
unsafe extern "C" fn acknowledges_in_its_thread(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: As in `counts`; a thread may sleep.
    unsafe {
        State::enter(state);
        bindings::msleep(20);
        (*state).edu.acknowledge();
        State::leave(state);
        bindings::complete(&raw mut (*state).done);
    }
    irqreturn::IRQ_HANDLED
}

// ---- Level and edge ----

/// Acknowledges at the third call only.
unsafe extern "C" fn acknowledges_late(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: As in `counts`.
    unsafe {
        if (*state).begun.add(1) == 2 {
            (*state).edu.acknowledge();
            bindings::complete(&raw mut (*state).done);
        }
    }
    irqreturn::IRQ_HANDLED
}

pub(crate) unsafe fn intx_is_handled_until_it_is_acknowledged(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The vectors are changed while nothing is registered, and changed back.
    unsafe {
        verdict.expect(edu.use_vectors(bindings::PCI_IRQ_INTX), "no INTx", 0);
        let callbacks = (Some(acknowledges_late as _), None);
        let state = State::registered(edu, callbacks, bindings::IRQF_SHARED, &mut verdict);
        edu.raise();
        verdict.expect(State::done(state), "the line was not handled again", 0);
        edu.acknowledge();
        settle();
        let calls = (*state).begun.get();
        verdict.expect(calls == 3, "calls until it was acknowledged", calls);
        State::free_irq(state);
        State::free(state);
        verdict.expect(edu.use_vectors(bindings::PCI_IRQ_MSI), "no MSI", 0);
    }
    verdict.happened(true)
}

/// Does not acknowledge.
unsafe extern "C" fn ignores_the_cause(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: As in `counts`.
    unsafe {
        State::enter(state);
        State::leave(state);
    }
    irqreturn::IRQ_HANDLED
}

pub(crate) unsafe fn a_message_is_handled_once_whether_acknowledged_or_not(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The state is freed after the interrupt.
    unsafe {
        let callbacks = (Some(ignores_the_cause as _), None);
        let state = State::interrupted(edu, callbacks, 0, &mut verdict);
        settle();
        edu.acknowledge();
        State::free_irq(state);
        let handled = (*state).ended.get();
        verdict.expect(handled == 1, "handled, for one message", handled);
        State::free(state);
    }
    verdict.happened(true)
}

// ---- Interrupts and their CPU ----

/// Watches whether the process goes on.
unsafe extern "C" fn watches(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: As in `counts`.
    unsafe {
        (*state).edu.acknowledge();
        let before = (*state).seen.get();
        busy(5);
        (*state).again.set((*state).seen.get() - before);
        (*state).cpu.set(fidelity_this_cpu());
        State::enter(state);
        State::leave(state);
    }
    irqreturn::IRQ_HANDLED
}

pub(crate) unsafe fn an_interrupted_process_does_not_go_on_before_the_handler_returns(
    edu: Edu,
) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The state is freed after the interrupt; nothing sleeps under the lock.
    unsafe {
        let callbacks = (Some(watches as _), None);
        let state = State::registered(edu, callbacks, 0, &mut verdict);
        // Stays on its CPU under a spinlock, with interrupts on.
        bindings::spin_lock(&raw mut (*state).spin);
        let cpu = fidelity_this_cpu();
        // An interrupt that comes by itself, some time.
        edu.write(0x20, 0x80);
        edu.write(0x08, 3);
        for _ in 0..1000 {
            if (*state).begun.get() != 0 {
                break;
            }
            (*state).seen.add(1);
            bindings::udelay(20);
        }
        bindings::spin_unlock(&raw mut (*state).spin);
        verdict.expect(
            comes(&raw mut (*state).entered),
            "the interrupt never came",
            0,
        );
        edu.write(0x20, 0);
        State::free_irq(state);
        let here = (*state).cpu.get() == cpu;
        let steps = (*state).again.get();
        // If the process had not begun to count, it could not have gone on.
        let counted = (*state).seen.get() > 0;
        verdict.expect(!here || steps == 0, "the process went on this far", steps);
        State::free(state);
        verdict.happened(here && counted)
    }
}

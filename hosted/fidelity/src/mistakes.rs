// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Mistakes that the kernel is to report. No `unsafe` block here is sound: that is what it is for.
//!
//! Afterwards the kernel is not what it was. Each is asked for in a boot of its own.

use crate::{
    allocate, devscope_irq_update_affinity_hint, fidelity_local_bh_disable,
    fidelity_local_bh_enable, fidelity_tasklet_disable, give_back,
    state::{settle, State},
    tasklet_schedule, timer, Edu, Verdict,
};
use kernel::{
    bindings::{self, irqreturn, irqreturn_t},
    prelude::*,
};

/// The mistake was made.
fn made() -> Verdict {
    Verdict {
        happened: true,
        ..Verdict::default()
    }
}

unsafe extern "C" fn takes_a_mutex(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: None: a handler must not sleep.
    unsafe {
        (*state).edu.acknowledge();
        bindings::mutex_lock(&raw mut (*state).mutex);
        bindings::mutex_unlock(&raw mut (*state).mutex);
        State::enter(state);
    }
    irqreturn::IRQ_HANDLED
}

pub(crate) unsafe fn sleeping_in_a_handler(edu: Edu) -> Verdict {
    // SAFETY: The state is freed after the interrupt. For the rest see the handler.
    unsafe {
        let state = State::new(edu);
        State::request(state, Some(takes_a_mutex), None, 0);
        edu.raise();
        State::entered(state);
        State::free_irq(state);
        State::free(state);
    }
    made()
}

pub(crate) unsafe fn taking_a_mutex_under_a_spinlock(edu: Edu) -> Verdict {
    // SAFETY: None: under a spinlock one must not sleep.
    unsafe {
        let state = State::new(edu);
        bindings::spin_lock(&raw mut (*state).spin);
        bindings::mutex_lock(&raw mut (*state).mutex);
        bindings::mutex_unlock(&raw mut (*state).mutex);
        bindings::spin_unlock(&raw mut (*state).spin);
        State::free(state);
    }
    made()
}

pub(crate) unsafe fn sleeping_in_an_rcu_section(edu: Edu) -> Verdict {
    // SAFETY: None: in a read-side section one must not sleep.
    unsafe {
        let state = State::new(edu);
        bindings::rcu_read_lock();
        bindings::mutex_lock(&raw mut (*state).mutex);
        bindings::mutex_unlock(&raw mut (*state).mutex);
        bindings::rcu_read_unlock();
        State::free(state);
    }
    made()
}

unsafe extern "C" fn nothing_to_do(_work: *mut bindings::work_struct) {}

unsafe extern "C" fn keeps_its_cpu(work: *mut bindings::work_struct) {
    // SAFETY: The state outlives this work item.
    unsafe {
        let state = State::of_work(work);
        State::enter(state);
        crate::busy(100);
        State::leave(state);
    }
}

pub(crate) unsafe fn freeing_a_work_item_that_is_pending(edu: Edu) -> Verdict {
    // SAFETY: None: a pending work item must not be freed.
    unsafe {
        let (state, freed) = (State::new(edu), State::new(edu));
        State::set_up_work(state, Some(keeps_its_cpu));
        State::set_up_work(freed, Some(nothing_to_do));
        // The second is pending as long as the first does not let go of the CPU.
        let (wq, cpu) = (bindings::system_percpu_wq, 1);
        bindings::queue_work_on(cpu, wq, &raw mut (*state).work);
        State::entered(state);
        bindings::queue_work_on(cpu, wq, &raw mut (*freed).work);
        State::free(freed);
        State::flush(state);
        State::free(state);
    }
    made()
}

pub(crate) unsafe fn freeing_a_timer_that_is_pending(edu: Edu) -> Verdict {
    // SAFETY: None: a pending timer must not be freed.
    unsafe {
        let state = State::new(edu);
        let pending = timer::set_up(state, timer::counts);
        let now = (&raw const bindings::jiffies).read_volatile();
        bindings::mod_timer(pending, now + timer::LONG);
        State::free(state);
    }
    made()
}

pub(crate) unsafe fn freeing_an_hrtimer_that_is_pending(edu: Edu) -> Verdict {
    // SAFETY: None: a queued hrtimer must not be freed.
    unsafe {
        let state = State::new(edu);
        let mode = bindings::hrtimer_mode_HRTIMER_MODE_REL;
        let pending = timer::set_up_hr(state, timer::rings, mode);
        bindings::hrtimer_start_range_ns(pending, timer::LATER, 0, mode);
        State::free(state);
    }
    made()
}

pub(crate) unsafe fn waiting_for_a_work_item_without_a_function(edu: Edu) -> Verdict {
    // SAFETY: The work item is set up, but for its function, and never queued.
    unsafe {
        let state = State::new(edu);
        State::set_up_work(state, None);
        bindings::disable_work_sync(&raw mut (*state).work);
        State::free(state);
    }
    made()
}

unsafe extern "C" fn counts(tasklet: *mut bindings::tasklet_struct) {
    // SAFETY: None, if the state was freed.
    unsafe { (*State::of_tasklet(tasklet)).begun.add(1) };
}

pub(crate) unsafe fn freeing_a_tasklet_that_is_scheduled(edu: Edu) -> Verdict {
    // SAFETY: None: a scheduled tasklet must not be freed.
    unsafe {
        let state = State::new(edu);
        bindings::tasklet_setup(&raw mut (*state).tasklet, Some(counts));
        fidelity_local_bh_disable();
        tasklet_schedule(&raw mut (*state).tasklet);
        State::free(state);
        fidelity_local_bh_enable();
        settle();
    }
    made()
}

unsafe extern "C" fn uses_its_cookie(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: None, if the state was freed; so the device is not taken from it.
    unsafe {
        if let Some(edu) = crate::bound() {
            edu.acknowledge();
        }
        (*state).begun.add(1);
    }
    irqreturn::IRQ_HANDLED
}

pub(crate) unsafe fn freeing_the_cookie_of_a_handler(edu: Edu) -> Verdict {
    // SAFETY: None: the cookie has to outlive the registration.
    unsafe {
        let state = State::new(edu);
        State::request(state, Some(uses_its_cookie), None, 0);
        State::free(state);
        edu.raise();
        settle();
        bindings::free_irq(edu.irq(), state.cast());
    }
    made()
}

pub(crate) unsafe fn freeing_a_misc_device_that_is_registered(_edu: Edu) -> Verdict {
    // SAFETY: None: a registered misc device must not be freed.
    unsafe {
        let fops = allocate::<bindings::file_operations>();
        let (freed, next) = (
            allocate::<bindings::miscdevice>(),
            allocate::<bindings::miscdevice>(),
        );
        for (misc, name) in [(freed, c"fidelity-freed"), (next, c"fidelity-next")] {
            (*misc).minor = bindings::MISC_DYNAMIC_MINOR as c_int;
            (*misc).name = name.as_ptr().cast();
            (*misc).fops = fops;
        }
        bindings::misc_register(freed);
        give_back(freed);
        // This one is put in front of it, into the list that it is still in.
        bindings::misc_register(next);
        bindings::misc_deregister(next);
    }
    made()
}

pub(crate) unsafe fn enabling_a_line_too_often(edu: Edu) -> Verdict {
    // SAFETY: The state is freed after the interrupt; the second enable is the mistake.
    unsafe {
        let state = State::new(edu);
        State::request(state, Some(uses_its_cookie), None, 0);
        bindings::disable_irq(edu.irq());
        bindings::enable_irq(edu.irq());
        bindings::enable_irq(edu.irq());
        State::free_irq(state);
        State::free(state);
    }
    made()
}

pub(crate) unsafe fn freeing_a_line_with_its_affinity_hint(edu: Edu) -> Verdict {
    // SAFETY: The mask outlives the line, all the same: this is what Linux warns of.
    unsafe {
        let state = State::new(edu);
        State::request(state, Some(uses_its_cookie), None, 0);
        let mut mask = bindings::cpumask::default();
        mask.bits[0] = 1;
        devscope_irq_update_affinity_hint(edu.irq(), &mask);
        State::free_irq(state);
        State::free(state);
    }
    made()
}

pub(crate) unsafe fn asking_for_oneshot_without_a_thread(edu: Edu) -> Verdict {
    // SAFETY: The state is freed after the interrupt; there is no thread to wait for.
    unsafe {
        let state = State::new(edu);
        State::request(state, Some(uses_its_cookie), None, bindings::IRQF_ONESHOT);
        State::free_irq(state);
        State::free(state);
    }
    made()
}

pub(crate) unsafe fn taking_two_locks_in_both_orders(edu: Edu) -> Verdict {
    // SAFETY: One task does both, so this time nobody waits for ever.
    unsafe {
        let (state, other) = (State::new(edu), allocate::<bindings::mutex>());
        let key = kernel::static_lock_class!().as_ptr();
        bindings::__mutex_init(other, crate::name(), key);
        let first = &raw mut (*state).mutex;
        for (one, two) in [(first, other), (other, first)] {
            bindings::mutex_lock(one);
            bindings::mutex_lock(two);
            bindings::mutex_unlock(two);
            bindings::mutex_unlock(one);
        }
        give_back(other);
        State::free(state);
    }
    made()
}

unsafe extern "C" fn takes_the_spinlock(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: The state outlives the registration.
    unsafe {
        (*state).edu.acknowledge();
        bindings::spin_lock(&raw mut (*state).spin);
        bindings::spin_unlock(&raw mut (*state).spin);
        State::enter(state);
    }
    irqreturn::IRQ_HANDLED
}

/// This time the handler has run before, so that nothing hangs.
pub(crate) unsafe fn a_spinlock_shared_with_a_handler_that_is_taken_with_interrupts_on(
    edu: Edu,
) -> Verdict {
    // SAFETY: The state is freed after the interrupt; interrupts are on, which is the mistake.
    unsafe {
        let state = State::new(edu);
        State::request(state, Some(takes_the_spinlock), None, 0);
        edu.raise();
        State::entered(state);
        bindings::spin_lock(&raw mut (*state).spin);
        bindings::spin_unlock(&raw mut (*state).spin);
        State::free_irq(state);
        State::free(state);
    }
    made()
}

pub(crate) unsafe fn unlocking_a_mutex_that_nobody_holds(edu: Edu) -> Verdict {
    // SAFETY: None: only the holder may unlock.
    unsafe {
        let state = State::new(edu);
        bindings::mutex_unlock(&raw mut (*state).mutex);
        State::free(state);
    }
    made()
}

/// Says that the interrupt is not its own, and leaves the line up.
unsafe extern "C" fn does_not_care(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    // SAFETY: The state outlives the registration.
    unsafe { (*cookie.cast::<State>()).begun.add(1) };
    irqreturn::IRQ_NONE
}

pub(crate) unsafe fn a_line_that_nobody_cares_about(edu: Edu) -> Verdict {
    // SAFETY: The vectors are changed while nothing is registered, and changed back.
    unsafe {
        edu.use_vectors(bindings::PCI_IRQ_INTX);
        let state = State::new(edu);
        State::request(state, Some(does_not_care), None, bindings::IRQF_SHARED);
        edu.raise();
        // Until the kernel has had enough, and no further call comes. Linux goes on to ask at every
        // tenth of a second, hence the limit.
        let (mut calls, mut quiet) = (0, 0);
        for _ in 0..100 {
            if quiet == 5 {
                break;
            }
            bindings::msleep(100);
            let now = (*state).begun.get();
            quiet = if now == calls { quiet + 1 } else { 0 };
            calls = now;
        }
        edu.acknowledge();
        State::free_irq(state);
        State::free(state);
        edu.use_vectors(bindings::PCI_IRQ_MSI);
    }
    made()
}

pub(crate) unsafe fn reading_a_register_after_unmapping(edu: Edu) -> Verdict {
    // SAFETY: None: the registers are not mapped any more.
    unsafe {
        let regs = bindings::pci_iomap(edu.pdev, 0, 0);
        bindings::pci_iounmap(edu.pdev, regs);
        bindings::readl(regs);
    }
    made()
}

/// Does not come back.
pub(crate) unsafe fn killing_a_disabled_tasklet_that_is_scheduled(edu: Edu) -> Verdict {
    // SAFETY: The state is not freed: this does not end.
    unsafe {
        let state = State::new(edu);
        let tasklet = &raw mut (*state).tasklet;
        bindings::tasklet_setup(tasklet, Some(counts));
        fidelity_tasklet_disable(tasklet);
        tasklet_schedule(tasklet);
        bindings::tasklet_kill(tasklet);
        State::free(state);
    }
    made()
}

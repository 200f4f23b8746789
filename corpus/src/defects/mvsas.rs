// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `mvsas-work-queue` (CVE-2025-40001): `drivers/scsi/mvsas/mv_init.c`.
//!
//! Each event of a phy is delayed work of its own, on the heap and in a list, which frees itself when it
//! has run. Freeing the controller cancelled what was in the list without waiting: what runs goes on, and
//! uses the controller.
//!
//! The first fix waits for each; that is how Linux 7.3 has it. Who waits for a work item that frees itself
//! uses it afterwards, as does the loop over the list, for which nobody holds the lock. What holds takes
//! one at a time off the list, under the lock, so that the list says who frees it.
//!
//! A list of C is a pointer to the next here, and the interrupt is freed before the controller in all of
//! them. In Linux what is cancelled before it has run is never freed; exploration finds this leak in a few
//! schedules, so here it is freed, to see what else there is.

use super::c::{self, container_of, CURE, DEFECT};
use kernel::{
    bindings::{self, irqreturn, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

#[repr(C)]
struct Mvi {
    lock: bindings::spinlock_t,
    wq_list: *mut Mwq,
}

/// `struct mvs_wq`
#[repr(C)]
struct Mwq {
    work_q: bindings::delayed_work,
    next: *mut Mwq,
    mvi: *mut Mvi,
}

/// `list_del()`, with the lock held. Whether it was in the list.
unsafe fn list_del(mvi: *mut Mvi, mwq: *mut Mwq) -> bool {
    // SAFETY: What is in the list is there, as long as the lock is held.
    unsafe {
        let mut at = &raw mut (*mvi).wq_list;
        loop {
            let there = c::load(at);
            if there.is_null() {
                return false;
            }
            if there == mwq {
                c::store(at, c::load(&raw const (*mwq).next));
                return true;
            }
            at = &raw mut (*there).next;
        }
    }
}

unsafe extern "C" fn work_queue<const VARIANT: u8>(work: *mut bindings::work_struct) {
    c::runs();
    // SAFETY: None that would hold after the controller has been freed: that is the defect.
    unsafe {
        let mwq = container_of!(work, Mwq, work_q);
        let mvi = c::load(&raw const (*mwq).mvi);
        let flags = bindings::spin_lock_irqsave(&raw mut (*mvi).lock);
        let mine = list_del(mvi, mwq);
        bindings::spin_unlock_irqrestore(&raw mut (*mvi).lock, flags);
        if mine || VARIANT != CURE {
            c::kfree(mwq);
        }
    }
}

/// `mvs_handle_event()`, out of the interrupt.
unsafe extern "C" fn interrupt<const VARIANT: u8>(
    _irq: c_int,
    cookie: *mut c_void,
) -> bindings::irqreturn_t {
    c::runs();
    let mvi = cookie.cast::<Mvi>();
    // SAFETY: The cookie lasts longer than the interrupt is requested.
    unsafe {
        let mwq = bindings::kzalloc(size_of::<Mwq>(), bindings::GFP_ATOMIC).cast::<Mwq>();
        (*mwq).mvi = mvi;
        c::init_delayed_work(&raw mut (*mwq).work_q, work_queue::<VARIANT>);
        bindings::spin_lock(&raw mut (*mvi).lock);
        (*mwq).next = (*mvi).wq_list;
        (*mvi).wq_list = mwq;
        c::schedule_delayed_work(&raw mut (*mwq).work_q, 2);
        bindings::spin_unlock(&raw mut (*mvi).lock);
    }
    irqreturn::IRQ_HANDLED
}

/// `mvs_free()`
unsafe fn free<const VARIANT: u8>(mvi: *mut Mvi) {
    // SAFETY: The caller gives up the controller. For the list see the defect.
    unsafe {
        if VARIANT == CURE {
            loop {
                let flags = bindings::spin_lock_irqsave(&raw mut (*mvi).lock);
                let mwq = (*mvi).wq_list;
                if !mwq.is_null() {
                    list_del(mvi, mwq);
                }
                bindings::spin_unlock_irqrestore(&raw mut (*mvi).lock, flags);
                if mwq.is_null() {
                    break;
                }
                bindings::cancel_delayed_work_sync(&raw mut (*mwq).work_q);
                c::kfree(mwq);
            }
        } else {
            let mut mwq = c::load(&raw const (*mvi).wq_list);
            while !mwq.is_null() {
                let was_pending = match VARIANT {
                    DEFECT => bindings::cancel_delayed_work(&raw mut (*mwq).work_q),
                    _ => bindings::cancel_delayed_work_sync(&raw mut (*mwq).work_q),
                };
                let next = c::load(&raw const (*mwq).next);
                if was_pending {
                    c::kfree(mwq);
                }
                mwq = next;
            }
        }
        c::kfree(mvi);
    }
}

pub struct Mvsas<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for Mvsas<VARIANT> {
    const NAME: &'static CStr = c"mvsas";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let mvi = c::zalloc::<Mvi>();
            c::spin_lock_init(&raw mut (*mvi).lock);
            bindings::platform_set_drvdata(pdev, mvi.cast());
            c::request_irq(pdev, interrupt::<VARIANT>, mvi.cast());
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let mvi = bindings::platform_get_drvdata(pdev).cast::<Mvi>();
            bindings::free_irq(c::irq(pdev), mvi.cast());
            free::<VARIANT>(mvi);
        }
    }
}

c::modules!(Mvsas, "mvsas", first_fix);

/// The device is unbound while it has events.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    bench.interrupt(2);
    bench.unbind();
    bench.end();
}

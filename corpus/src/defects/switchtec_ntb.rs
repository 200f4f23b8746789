// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `switchtec-ntb-link-work` (CVE-2024-50059): `drivers/ntb/hw/mscc/ntb_hw_switchtec.c`.
//!
//! An interrupt says that the link has changed, and schedules work that looks at it. `remove()` frees the
//! interrupt, and the structure, and leaves the work.
//!
//! `cancel_work_sync()` after `free_irq()` holds.
//!
//! The notifier, which the switch's own driver calls from its interrupt, is the interrupt.

use super::c::{self, container_of, CURE};
use kernel::{
    bindings::{self, irqreturn, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

#[repr(C)]
struct Sndev {
    check_link_status_work: bindings::work_struct,
    link_is_up: bool,
}

unsafe extern "C" fn link_notification(_irq: c_int, cookie: *mut c_void) -> bindings::irqreturn_t {
    c::runs();
    let sndev = cookie.cast::<Sndev>();
    // SAFETY: The cookie lasts longer than the interrupt is requested.
    unsafe { bindings::schedule_work(&raw mut (*sndev).check_link_status_work) };
    irqreturn::IRQ_HANDLED
}

unsafe extern "C" fn check_link_status_work(work: *mut bindings::work_struct) {
    c::runs();
    // SAFETY: None that would hold after `remove()`: that is the defect.
    unsafe {
        let sndev = container_of!(work, Sndev, check_link_status_work);
        c::store(&raw mut (*sndev).link_is_up, true);
    }
}

pub struct SwitchtecNtb<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for SwitchtecNtb<VARIANT> {
    const NAME: &'static CStr = c"switchtec_ntb";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let sndev = c::zalloc::<Sndev>();
            c::init_work(
                &raw mut (*sndev).check_link_status_work,
                check_link_status_work,
            );
            bindings::platform_set_drvdata(pdev, sndev.cast());
            c::request_irq(pdev, link_notification, sndev.cast());
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let sndev = bindings::platform_get_drvdata(pdev).cast::<Sndev>();
            bindings::free_irq(c::irq(pdev), sndev.cast());
            if VARIANT == CURE {
                bindings::cancel_work_sync(&raw mut (*sndev).check_link_status_work);
            }
            c::kfree(sndev);
        }
    }
}

c::modules!(SwitchtecNtb, "switchtec_ntb");

/// The device interrupts while it is unbound.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    bench.interrupt(2);
    bench.unbind();
    bench.end();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `ucsi-ccg-irq-thread` (CVE-2026-64329): `drivers/usb/typec/ucsi/ucsi_ccg.c`.
//!
//! The interrupt's thread notifies UCSI, and `remove()` freed that before it freed the interrupt.
//!
//! Freeing the interrupt first thing, which is how one would fix it, is wrong as well: unregistering UCSI
//! waits for the work of a connector, and that for a completion which only the interrupt's thread brings.
//! What holds is in the middle: unregister, free the interrupt, free UCSI.
//!
//! The controller answers a command with an interrupt. In Linux waiting for the answer ends after seconds,
//! so that the second order is a stall there; here it does not, so that it is a deadlock.

use super::c::{self, container_of, CURE, DEFECT, FIRST_FIX};
use kernel::{
    bindings::{self, irqreturn, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

/// `struct ucsi`, with one connector.
#[repr(C)]
struct Ucsi {
    work: bindings::work_struct,
    complete: bindings::completion,
    pdev: *mut platform_device,
}

#[repr(C)]
struct Ccg {
    ucsi: *mut Ucsi,
}

unsafe extern "C" fn irq_thread(_irq: c_int, cookie: *mut c_void) -> bindings::irqreturn_t {
    c::runs();
    let uc = cookie.cast::<Ccg>();
    // SAFETY: None that would hold after `ucsi_destroy()`: that is the defect.
    unsafe {
        // `ucsi_notify_common()`
        let ucsi = c::load(&raw const (*uc).ucsi);
        bindings::complete(&raw mut (*ucsi).complete);
    }
    irqreturn::IRQ_HANDLED
}

unsafe extern "C" fn connector_work(work: *mut bindings::work_struct) {
    c::runs();
    // SAFETY: Cancelled before UCSI is freed.
    unsafe {
        let ucsi = container_of!(work, Ucsi, work);
        // `ucsi_send_command()`
        c::answer((*ucsi).pdev);
        bindings::wait_for_completion(&raw mut (*ucsi).complete);
    }
}

/// Something is plugged into the connector.
unsafe extern "C" fn connector_change(data: *mut c_void, _what: c_int) -> c_int {
    c::runs();
    let ucsi = data.cast::<Ucsi>();
    // SAFETY: Called while UCSI is registered.
    unsafe { bindings::schedule_work(&raw mut (*ucsi).work) };
    0
}

/// `ucsi_unregister()`
unsafe fn ucsi_unregister(ucsi: *mut Ucsi) {
    // SAFETY: It is registered.
    unsafe {
        c::core_unregister((*ucsi).pdev);
        bindings::cancel_work_sync(&raw mut (*ucsi).work);
    }
}

pub struct UcsiCcg<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for UcsiCcg<VARIANT> {
    const NAME: &'static CStr = c"ucsi_ccg";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let uc = c::devm_zalloc::<Ccg>(pdev);
            let ucsi = c::zalloc::<Ucsi>();
            (*uc).ucsi = ucsi;
            (*ucsi).pdev = pdev;
            c::init_work(&raw mut (*ucsi).work, connector_work);
            bindings::init_completion(&raw mut (*ucsi).complete);
            bindings::platform_set_drvdata(pdev, uc.cast());
            let flags = bindings::IRQF_ONESHOT as c_ulong;
            let (irq, name) = (c::irq(pdev), Self::NAME.as_char_ptr());
            bindings::request_threaded_irq(irq, None, Some(irq_thread), flags, name, uc.cast());
            c::core_register(pdev, connector_change, ucsi.cast());
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the order see the defect.
        unsafe {
            let uc = bindings::platform_get_drvdata(pdev).cast::<Ccg>();
            if VARIANT == FIRST_FIX {
                bindings::free_irq(c::irq(pdev), uc.cast());
            }
            ucsi_unregister((*uc).ucsi);
            if VARIANT == CURE {
                bindings::free_irq(c::irq(pdev), uc.cast());
            }
            // `ucsi_destroy()`
            c::kfree((*uc).ucsi);
            if VARIANT == DEFECT {
                bindings::free_irq(c::irq(pdev), uc.cast());
            }
        }
    }
}

c::modules!(UcsiCcg, "ucsi_ccg", first_fix);

/// Something is plugged in, and the controller notifies, while the device is unbound.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    bench.call(1);
    bench.interrupt(1);
    bench.unbind();
    bench.end();
}

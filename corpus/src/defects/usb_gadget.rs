// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The USB gadget core (CVE-2025-21838, then CVE-2025-68282): `drivers/usb/gadget/udc/core.c`.
//!
//! Every change of a gadget's state queues work that tells sysfs. `usb_del_gadget()` flushed that work and
//! then deleted the device, which unbinds the gadget driver, which changes the state: the work is queued
//! on a gadget that is about to be freed.
//!
//! The first fix flushes after the device is deleted. The controller's interrupt still changes the state,
//! until devres frees it. What holds is a flag under the lock that queueing takes, set before the flush.
//!
//! The gadget is the controller driver's (devm), as in most of them, and unbinding the gadget driver is a
//! call.

use super::c::{self, container_of, CURE, DEFECT};
use kernel::{
    bindings::{self, irqreturn, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

#[repr(C)]
struct Gadget {
    state_lock: bindings::spinlock_t,
    state: u32,
    teardown: bool,
    work: bindings::work_struct,
}

/// `usb_gadget_set_state()`
unsafe fn set_state(gadget: *mut Gadget, state: u32) {
    // SAFETY: Who calls is unbound, or its interrupt freed, before the gadget goes.
    unsafe {
        let flags = bindings::spin_lock_irqsave(&raw mut (*gadget).state_lock);
        (*gadget).state = state;
        if !(*gadget).teardown {
            bindings::schedule_work(&raw mut (*gadget).work);
        }
        bindings::spin_unlock_irqrestore(&raw mut (*gadget).state_lock, flags);
    }
}

unsafe extern "C" fn state_work(work: *mut bindings::work_struct) {
    c::runs();
    // SAFETY: None that would hold after devres has freed the gadget: that is the defect.
    unsafe {
        let gadget = container_of!(work, Gadget, work);
        c::load(&raw const (*gadget).state);
    }
}

unsafe extern "C" fn handler(_irq: c_int, cookie: *mut c_void) -> bindings::irqreturn_t {
    c::runs();
    // SAFETY: The cookie lasts longer than the interrupt is requested.
    unsafe { set_state(cookie.cast(), 1) };
    irqreturn::IRQ_HANDLED
}

/// `device_del()`, which unbinds the gadget driver.
unsafe fn device_del(gadget: *mut Gadget) {
    // SAFETY: The gadget is there.
    unsafe { set_state(gadget, 0) };
}

pub struct UsbGadget<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for UsbGadget<VARIANT> {
    const NAME: &'static CStr = c"usb_gadget";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let gadget = c::devm_zalloc::<Gadget>(pdev);
            c::spin_lock_init(&raw mut (*gadget).state_lock);
            c::init_work(&raw mut (*gadget).work, state_work);
            bindings::platform_set_drvdata(pdev, gadget.cast());
            c::devm_request_irq(pdev, handler, gadget.cast());
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let gadget = bindings::platform_get_drvdata(pdev).cast::<Gadget>();
            if VARIANT == DEFECT {
                bindings::flush_work(&raw mut (*gadget).work);
            }
            device_del(gadget);
            if VARIANT == CURE {
                let flags = bindings::spin_lock_irqsave(&raw mut (*gadget).state_lock);
                (*gadget).teardown = true;
                bindings::spin_unlock_irqrestore(&raw mut (*gadget).state_lock, flags);
            }
            if VARIANT != DEFECT {
                bindings::flush_work(&raw mut (*gadget).work);
            }
        }
    }
}

c::modules!(UsbGadget, "usb_gadget", first_fix);

/// The controller is unbound while it interrupts.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    bench.interrupt(2);
    bench.unbind();
    bench.end();
}

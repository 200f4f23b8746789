// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `goldfish-tty-free-irq-cookie` (CVE-2022-49724): `drivers/tty/goldfish.c`.
//!
//! The interrupt was requested with one pointer and freed with another: `free_irq()` finds no such handler,
//! warns, and leaves the one that there is.
//!
//! The same pointer holds.

use super::c::{self, CURE};
use kernel::{
    bindings::{self, irqreturn, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

#[repr(C)]
struct Tty {
    irq: u32,
    received: u32,
}

unsafe extern "C" fn interrupt(_irq: c_int, cookie: *mut c_void) -> bindings::irqreturn_t {
    c::runs();
    let qtty = cookie.cast::<Tty>();
    // SAFETY: None that would hold after `remove()`: that is the defect.
    unsafe { c::store(&raw mut (*qtty).received, 1) };
    irqreturn::IRQ_HANDLED
}

pub struct GoldfishTty<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for GoldfishTty<VARIANT> {
    const NAME: &'static CStr = c"goldfish_tty";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let qtty = c::zalloc::<Tty>();
            (*qtty).irq = c::irq(pdev);
            bindings::platform_set_drvdata(pdev, qtty.cast());
            c::request_irq(pdev, interrupt, qtty.cast());
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let qtty = bindings::platform_get_drvdata(pdev).cast::<Tty>();
            if VARIANT == CURE {
                bindings::free_irq((*qtty).irq, qtty.cast());
            } else {
                bindings::free_irq((*qtty).irq, pdev.cast());
            }
            c::kfree(qtty);
        }
    }
}

c::modules!(GoldfishTty, "goldfish_tty");

/// The device interrupts while it is unbound.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    bench.interrupt(2);
    bench.unbind();
    bench.end();
}

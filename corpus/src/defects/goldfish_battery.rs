// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `goldfish-battery-devm-order` (CVE-2026-45936): `drivers/power/supply/goldfish_battery.c`.
//!
//! The interrupt was requested, with devres, before the power supply was registered, with devres. The last
//! is undone first: the power supply goes, and the handler still reports changes to it. (And before it is
//! there, the handler reports to nothing.)
//!
//! Requesting the interrupt last holds.
//!
//! The power supply is a plain allocation.

use super::c::{self, CURE};
use kernel::{
    bindings::{self, irqreturn, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

struct PowerSupply {
    changed: u32,
}

struct Data {
    battery: *mut PowerSupply,
}

unsafe extern "C" fn interrupt(_irq: c_int, cookie: *mut c_void) -> bindings::irqreturn_t {
    c::runs();
    let data = cookie.cast::<Data>();
    // SAFETY: None that would hold without a power supply: that is the defect.
    unsafe {
        let battery = c::load(&raw const (*data).battery);
        // `power_supply_changed()`
        c::store(&raw mut (*battery).changed, 1);
    }
    irqreturn::IRQ_HANDLED
}

pub struct GoldfishBattery<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for GoldfishBattery<VARIANT> {
    const NAME: &'static CStr = c"goldfish_battery";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: With the arguments that their documentation asks for. For the order see the defect.
        unsafe {
            let data = c::devm_zalloc::<Data>(pdev);
            if VARIANT != CURE {
                c::devm_request_irq(pdev, interrupt, data.cast());
            }
            // `devm_power_supply_register()`
            let battery = c::devm_zalloc(pdev);
            c::store(&raw mut (*data).battery, battery);
            if VARIANT == CURE {
                c::devm_request_irq(pdev, interrupt, data.cast());
            }
        }
        0
    }

    unsafe fn remove(_pdev: *mut platform_device) {}
}

c::modules!(GoldfishBattery, "goldfish_battery");

/// The device interrupts while it is unbound.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    bench.interrupt(2);
    bench.unbind();
    bench.end();
}

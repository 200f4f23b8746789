// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `ath9k-htc-wmi-tasklet` (CVE-2024-26897): `drivers/net/wireless/ath/ath9k/htc_drv_init.c`.
//!
//! The tasklet for events of the firmware runs as soon as the device's USB endpoints are up, and `probe()`
//! goes on for long after that: what the events are about is not there yet.
//!
//! The first fix lets one kind of event wait for what it is about. The other kinds do not. What holds
//! ignores all events until `probe()` is through.
//!
//! USB completions are interrupts here, and events two bits.

use super::c::{self, container_of, CURE, FIRST_FIX};
use kernel::{
    bindings::{self, irqreturn, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

const SWBA: u32 = 1;
const TXSTATUS: u32 = 2;

/// What a kind of event is about.
struct About {
    events: u32,
}

#[repr(C)]
struct Priv {
    wmi_event_tasklet: bindings::tasklet_struct,
    wmi_lock: bindings::spinlock_t,
    events: u32,
    arrived: u32,
    beacon: *mut About,
    tx: *mut About,
    tx_initialized: bool,
    initialized: bool,
}

/// An event has arrived: first of the one kind, then of the other.
unsafe extern "C" fn usb_rx(_irq: c_int, cookie: *mut c_void) -> bindings::irqreturn_t {
    c::runs();
    let dev = cookie.cast::<Priv>();
    // SAFETY: The cookie lasts longer than the interrupt is requested, and the tasklet is set up.
    unsafe {
        bindings::spin_lock(&raw mut (*dev).wmi_lock);
        (*dev).events |= [TXSTATUS, SWBA][(*dev).arrived as usize % 2];
        (*dev).arrived += 1;
        bindings::spin_unlock(&raw mut (*dev).wmi_lock);
        bindings::tasklet_schedule(&raw mut (*dev).wmi_event_tasklet);
    }
    irqreturn::IRQ_HANDLED
}

unsafe extern "C" fn wmi_event_tasklet<const VARIANT: u8>(tasklet: *mut bindings::tasklet_struct) {
    c::runs();
    // SAFETY: None that would hold before `probe()` has gone on: that is the defect.
    unsafe {
        let dev = container_of!(tasklet, Priv, wmi_event_tasklet);
        if VARIANT == CURE && !c::load(&raw const (*dev).initialized) {
            return;
        }
        let flags = bindings::spin_lock_irqsave(&raw mut (*dev).wmi_lock);
        let events = core::mem::take(&mut (*dev).events);
        bindings::spin_unlock_irqrestore(&raw mut (*dev).wmi_lock, flags);
        if events & SWBA != 0 {
            let beacon = c::load(&raw const (*dev).beacon);
            c::store(&raw mut (*beacon).events, 1);
        }
        if events & TXSTATUS != 0 {
            if VARIANT == FIRST_FIX && !c::load(&raw const (*dev).tx_initialized) {
                return;
            }
            let tx = c::load(&raw const (*dev).tx);
            c::store(&raw mut (*tx).events, 1);
        }
    }
}

pub struct Ath9kHtc<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for Ath9kHtc<VARIANT> {
    const NAME: &'static CStr = c"ath9k_htc";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for. For what
        // happens before the end see the defect.
        unsafe {
            let dev = c::devm_zalloc::<Priv>(pdev);
            c::spin_lock_init(&raw mut (*dev).wmi_lock);
            let tasklet = &raw mut (*dev).wmi_event_tasklet;
            bindings::tasklet_setup(tasklet, Some(wmi_event_tasklet::<VARIANT>));
            bindings::platform_set_drvdata(pdev, dev.cast());
            c::devm_request_irq(pdev, usb_rx, dev.cast());
            let (beacon, tx) = (c::devm_zalloc(pdev), c::devm_zalloc(pdev));
            c::store(&raw mut (*dev).beacon, beacon);
            c::store(&raw mut (*dev).tx, tx);
            c::store(&raw mut (*dev).tx_initialized, true);
            c::store(&raw mut (*dev).initialized, true);
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data.
        unsafe {
            let dev = bindings::platform_get_drvdata(pdev).cast::<Priv>();
            bindings::devm_free_irq(&raw mut (*pdev).dev, c::irq(pdev), dev.cast());
            bindings::tasklet_kill(&raw mut (*dev).wmi_event_tasklet);
        }
    }
}

c::modules!(Ath9kHtc, "ath9k_htc", first_fix);

/// Events arrive while the device is bound, and unbound again.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::without_driver(machine, module);
    bench.interrupt(3);
    bench.load();
    bench.unbind();
    bench.end();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `brcmfmac-btcoex` (CVE-2025-39863): `drivers/net/wireless/broadcom/brcm80211/brcmfmac/btcoex.c`.
//!
//! Timer and work bring about each other, and a flag says whether the timer is on. Detaching shut the
//! timer down only if the flag was set. The timer's function clears it first and schedules the work then:
//! in between detaching finds the flag clear, cancels a work item that is not queued yet, and frees.
//!
//! Shutting the timer down whatever the flag says, and then cancelling the work, holds.
//!
//! Who begins it (DHCP) is a call of the subsystem.

use super::c::{self, container_of, CURE};
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

#[repr(C)]
struct Btcoex {
    timer: bindings::timer_list,
    work: bindings::work_struct,
    timer_on: bool,
    /// How many windows are left.
    windows: c_int,
}

unsafe extern "C" fn timerfunc(timer: *mut bindings::timer_list) {
    c::runs();
    // SAFETY: None that would hold after detaching: that is the defect.
    unsafe {
        let btci = container_of!(timer, Btcoex, timer);
        c::store(&raw mut (*btci).timer_on, false);
        bindings::schedule_work(&raw mut (*btci).work);
    }
}

unsafe extern "C" fn handler(work: *mut bindings::work_struct) {
    c::runs();
    // SAFETY: As in `timerfunc`.
    unsafe {
        let btci = container_of!(work, Btcoex, work);
        if c::load(&raw const (*btci).timer_on) {
            c::store(&raw mut (*btci).timer_on, false);
            bindings::timer_delete_sync(&raw mut (*btci).timer);
        }
        let windows = c::load(&raw const (*btci).windows);
        if windows > 0 {
            c::store(&raw mut (*btci).windows, windows - 1);
            c::mod_timer(&raw mut (*btci).timer, 2);
            c::store(&raw mut (*btci).timer_on, true);
        }
    }
}

/// DHCP begins.
unsafe extern "C" fn begin(data: *mut c_void, _what: c_int) -> c_int {
    c::runs();
    let btci = data.cast::<Btcoex>();
    // SAFETY: The driver is registered.
    unsafe {
        c::store(&raw mut (*btci).windows, 2);
        bindings::schedule_work(&raw mut (*btci).work);
    }
    0
}

pub struct Brcmfmac<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for Brcmfmac<VARIANT> {
    const NAME: &'static CStr = c"btcoex";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let btci = c::zalloc::<Btcoex>();
            c::timer_setup(&raw mut (*btci).timer, timerfunc);
            c::init_work(&raw mut (*btci).work, handler);
            bindings::platform_set_drvdata(pdev, btci.cast());
            c::core_register(pdev, begin, btci.cast());
        }
        0
    }

    /// `brcmf_btcoex_detach()`
    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let btci = bindings::platform_get_drvdata(pdev).cast::<Btcoex>();
            c::core_unregister(pdev);
            if VARIANT == CURE || c::load(&raw const (*btci).timer_on) {
                c::store(&raw mut (*btci).timer_on, false);
                bindings::timer_shutdown_sync(&raw mut (*btci).timer);
            }
            bindings::cancel_work_sync(&raw mut (*btci).work);
            c::kfree(btci);
        }
    }
}

c::modules!(Brcmfmac, "btcoex");

/// The device is unbound while DHCP is under way.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    bench.call(1);
    bench.pass_time(2);
    bench.unbind();
    bench.end();
}

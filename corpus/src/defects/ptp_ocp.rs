// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `ptp-ocp-watchdog` (CVE-2025-39859): `drivers/ptp/ptp_ocp.c`.
//!
//! Detaching waited for the watchdog timer only if it was pending. One that runs is not pending, and not
//! waited for.
//!
//! Asking nothing before `timer_delete_sync()` holds.

use super::c::{self, container_of, CURE};
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

#[repr(C)]
struct Ocp {
    watchdog: bindings::timer_list,
    gnss_lost: u32,
}

unsafe extern "C" fn watchdog(timer: *mut bindings::timer_list) {
    c::runs();
    // SAFETY: None that would hold after detaching: that is the defect.
    unsafe {
        let bp = container_of!(timer, Ocp, watchdog);
        let lost = c::load(&raw const (*bp).gnss_lost);
        c::store(&raw mut (*bp).gnss_lost, lost + 1);
        c::mod_timer(timer, 1000);
    }
}

pub struct PtpOcp<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for PtpOcp<VARIANT> {
    const NAME: &'static CStr = c"ptp_ocp";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let bp = c::zalloc::<Ocp>();
            c::timer_setup(&raw mut (*bp).watchdog, watchdog);
            bindings::platform_set_drvdata(pdev, bp.cast());
            c::mod_timer(&raw mut (*bp).watchdog, 1000);
        }
        0
    }

    /// `ptp_ocp_detach()`, and freeing the devlink.
    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let bp = bindings::platform_get_drvdata(pdev).cast::<Ocp>();
            if VARIANT == CURE || bindings::timer_pending(&raw const (*bp).watchdog) != 0 {
                bindings::timer_delete_sync(&raw mut (*bp).watchdog);
            }
            c::kfree(bp);
        }
    }
}

c::modules!(PtpOcp, "ptp_ocp");

/// The device is unbound, some time after it was bound.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let bench = c::Bench::new(machine, module);
    bench.pass_time(1000);
    bench.unbind();
    bench.end();
}

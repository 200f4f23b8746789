// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cxgb4-flower-stats` (CVE-2023-4133): `drivers/net/ethernet/chelsio/cxgb4/cxgb4_tc_flower.c`.
//!
//! A timer schedules the work that reads statistics, and the work starts the timer. Cleaning up deleted
//! the timer, and waited for it, and then cancelled the work, and waited for it: which started the timer
//! meanwhile. No order of the two would do.
//!
//! A timer that is shut down cannot be started again; then cancelling the work holds.

use super::c::{self, container_of, CURE};
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

#[repr(C)]
struct Adapter {
    flower_stats_timer: bindings::timer_list,
    flower_stats_work: bindings::work_struct,
    flows: u32,
}

unsafe extern "C" fn stats_timer(timer: *mut bindings::timer_list) {
    c::runs();
    // SAFETY: None that would hold after cleaning up: that is the defect.
    unsafe {
        let adap = container_of!(timer, Adapter, flower_stats_timer);
        bindings::schedule_work(&raw mut (*adap).flower_stats_work);
    }
}

unsafe extern "C" fn stats_work(work: *mut bindings::work_struct) {
    c::runs();
    // SAFETY: As in `stats_timer`.
    unsafe {
        let adap = container_of!(work, Adapter, flower_stats_work);
        c::load(&raw const (*adap).flows);
        c::mod_timer(&raw mut (*adap).flower_stats_timer, 2);
    }
}

pub struct Cxgb4<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for Cxgb4<VARIANT> {
    const NAME: &'static CStr = c"cxgb4";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let adap = c::zalloc::<Adapter>();
            c::timer_setup(&raw mut (*adap).flower_stats_timer, stats_timer);
            c::init_work(&raw mut (*adap).flower_stats_work, stats_work);
            bindings::platform_set_drvdata(pdev, adap.cast());
            c::mod_timer(&raw mut (*adap).flower_stats_timer, 2);
        }
        0
    }

    /// `cxgb4_cleanup_tc_flower()`, and freeing the adapter.
    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let adap = bindings::platform_get_drvdata(pdev).cast::<Adapter>();
            if VARIANT == CURE {
                bindings::timer_shutdown_sync(&raw mut (*adap).flower_stats_timer);
            } else {
                bindings::timer_delete_sync(&raw mut (*adap).flower_stats_timer);
            }
            bindings::cancel_work_sync(&raw mut (*adap).flower_stats_work);
            c::kfree(adap);
        }
    }
}

c::modules!(Cxgb4, "cxgb4");

/// The device is unbound, some time after it was bound.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let bench = c::Bench::new(machine, module);
    bench.pass_time(2);
    bench.unbind();
    bench.end();
}

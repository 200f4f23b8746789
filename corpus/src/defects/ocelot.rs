// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `ocelot-stats-cyclic` (CVE-2025-40003): `drivers/net/ethernet/mscc/ocelot_stats.c`.
//!
//! The work that reads the statistics queues itself again with a delay. Tearing down took it off its timer,
//! without waiting for one that runs, and destroyed the workqueue; that waits for what is queued, and does
//! not know of a timer that will queue on it.
//!
//! `disable_delayed_work_sync()` before `destroy_workqueue()` holds.

use super::c::{self, container_of, CURE};
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

#[repr(C)]
struct Ocelot {
    stats_queue: *mut bindings::workqueue_struct,
    stats_work: bindings::delayed_work,
    lock: bindings::mutex,
}

unsafe extern "C" fn check_stats_work(work: *mut bindings::work_struct) {
    c::runs();
    // SAFETY: None that would hold after the queue has been destroyed: that is the defect.
    unsafe {
        let ocelot = container_of!(work, Ocelot, stats_work);
        bindings::mutex_lock(&raw mut (*ocelot).lock);
        bindings::mutex_unlock(&raw mut (*ocelot).lock);
        let stats_queue = c::load(&raw const (*ocelot).stats_queue);
        c::queue_delayed_work(stats_queue, &raw mut (*ocelot).stats_work, 2000);
    }
}

pub struct Ocelot_<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for Ocelot_<VARIANT> {
    const NAME: &'static CStr = c"ocelot";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let ocelot = c::devm_zalloc::<Ocelot>(pdev);
            c::mutex_init(&raw mut (*ocelot).lock);
            (*ocelot).stats_queue = c::alloc_workqueue(c"ocelot-stats");
            c::init_delayed_work(&raw mut (*ocelot).stats_work, check_stats_work);
            bindings::platform_set_drvdata(pdev, ocelot.cast());
            c::queue_delayed_work((*ocelot).stats_queue, &raw mut (*ocelot).stats_work, 2000);
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let ocelot = bindings::platform_get_drvdata(pdev).cast::<Ocelot>();
            if VARIANT == CURE {
                bindings::disable_delayed_work_sync(&raw mut (*ocelot).stats_work);
            } else {
                bindings::cancel_delayed_work(&raw mut (*ocelot).stats_work);
            }
            bindings::destroy_workqueue((*ocelot).stats_queue);
        }
    }
}

c::modules!(Ocelot_, "ocelot");

/// The device is unbound, some time after it was bound.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let bench = c::Bench::new(machine, module);
    bench.pass_time(2000);
    bench.unbind();
    bench.end();
}

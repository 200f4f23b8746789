// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `octeon-ep-poll-chain` (CVE-2023-53638): `drivers/net/ethernet/marvell/octeon_ep/octep_main.c`.
//!
//! `probe()` starts the delayed work that polls for interrupts, and that queues itself again and more work
//! for the mailbox; then it cannot read the hardware's address, and fails. The work is in what is freed.
//!
//! Cancelling where `probe()` fails as well, first who queues and then what is queued, holds.

use super::c::{self, container_of, CURE};
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

#[repr(C)]
struct Oct {
    intr_poll_task: bindings::delayed_work,
    ctrl_mbox_task: bindings::work_struct,
    messages: u32,
}

unsafe extern "C" fn intr_poll_task(work: *mut bindings::work_struct) {
    c::runs();
    // SAFETY: None that would hold after `probe()` has failed: that is the defect.
    unsafe {
        let oct = container_of!(work, Oct, intr_poll_task);
        bindings::schedule_work(&raw mut (*oct).ctrl_mbox_task);
        c::schedule_delayed_work(&raw mut (*oct).intr_poll_task, 100);
    }
}

unsafe extern "C" fn ctrl_mbox_task(work: *mut bindings::work_struct) {
    c::runs();
    // SAFETY: As in `intr_poll_task`.
    unsafe {
        let oct = container_of!(work, Oct, ctrl_mbox_task);
        c::load(&raw const (*oct).messages);
    }
}

/// `octep_device_cleanup()`
unsafe fn cleanup(oct: *mut Oct) {
    // SAFETY: All of it has been set up.
    unsafe {
        bindings::cancel_delayed_work_sync(&raw mut (*oct).intr_poll_task);
        bindings::cancel_work_sync(&raw mut (*oct).ctrl_mbox_task);
    }
}

pub struct OcteonEp<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for OcteonEp<VARIANT> {
    const NAME: &'static CStr = c"octeon_ep";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for. For what
        // happens when it fails see the defect.
        unsafe {
            let oct = c::zalloc::<Oct>();
            c::init_work(&raw mut (*oct).ctrl_mbox_task, ctrl_mbox_task);
            c::init_delayed_work(&raw mut (*oct).intr_poll_task, intr_poll_task);
            c::schedule_delayed_work(&raw mut (*oct).intr_poll_task, 100);
            // `octep_get_mac_addr()`
            if c::probe_fails(pdev) {
                if VARIANT == CURE {
                    cleanup(oct);
                }
                c::kfree(oct);
                return EIO.to_errno();
            }
            bindings::platform_set_drvdata(pdev, oct.cast());
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data.
        unsafe {
            let oct = bindings::platform_get_drvdata(pdev).cast::<Oct>();
            cleanup(oct);
            c::kfree(oct);
        }
    }
}

c::modules!(OcteonEp, "octeon_ep");

/// The address cannot be read; a second time it can, and the device is unbound.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::without_driver(machine, module);
    bench.let_probe_fail(true);
    bench.load();
    bench.let_probe_fail(false);
    bench.bind();
    bench.pass_time(100);
    bench.unbind();
    bench.end();
}

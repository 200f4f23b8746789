// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `cnic-delete-task` (CVE-2025-39945): `drivers/net/ethernet/broadcom/cnic.c`.
//!
//! A delayed work queues itself again while connections are being deleted. Stopping the hardware took it
//! off its timer and flushed the workqueue; but a run that the flush waits for starts the timer once more,
//! and timers are not flushed.
//!
//! Cancelling and then flushing is not what `cancel_delayed_work_sync()` does, which holds.
//!
//! A connection is a number that counts down, and the network device that starts it a plain subsystem.

use super::c::{self, container_of, CURE};
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

#[repr(C)]
struct Local {
    delete_task: bindings::delayed_work,
    wq: *mut bindings::workqueue_struct,
    /// How many contexts wait to be deleted.
    waiting: c_int,
}

unsafe extern "C" fn delete_task(work: *mut bindings::work_struct) {
    c::runs();
    // SAFETY: None that would hold after the hardware has been stopped: that is the defect.
    unsafe {
        let cp = container_of!(work, Local, delete_task);
        let waiting = c::load(&raw const (*cp).waiting);
        if waiting > 0 {
            c::store(&raw mut (*cp).waiting, waiting - 1);
            c::queue_delayed_work((*cp).wq, &raw mut (*cp).delete_task, 10);
        }
    }
}

/// Connections are closed.
unsafe extern "C" fn close(data: *mut c_void, _what: c_int) -> c_int {
    c::runs();
    let cp = data.cast::<Local>();
    // SAFETY: The driver is registered.
    unsafe {
        c::store(&raw mut (*cp).waiting, 3);
        c::queue_delayed_work((*cp).wq, &raw mut (*cp).delete_task, 0);
    }
    0
}

pub struct Cnic<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for Cnic<VARIANT> {
    const NAME: &'static CStr = c"cnic";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let cp = c::zalloc::<Local>();
            (*cp).wq = c::alloc_workqueue(c"cnic_wq");
            c::init_delayed_work(&raw mut (*cp).delete_task, delete_task);
            bindings::platform_set_drvdata(pdev, cp.cast());
            c::core_register(pdev, close, cp.cast());
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let cp = bindings::platform_get_drvdata(pdev).cast::<Local>();
            let wq = (*cp).wq;
            c::core_unregister(pdev);
            if VARIANT == CURE {
                bindings::cancel_delayed_work_sync(&raw mut (*cp).delete_task);
            } else {
                bindings::cancel_delayed_work(&raw mut (*cp).delete_task);
                bindings::__flush_workqueue(wq);
            }
            c::kfree(cp);
            bindings::destroy_workqueue(wq);
        }
    }
}

c::modules!(Cnic, "cnic");

/// The device is unbound while connections are deleted.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    bench.call(1);
    bench.unbind();
    bench.end();
}

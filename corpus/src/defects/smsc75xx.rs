// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `smsc75xx-bind-work` (CVE-2021-47239): `drivers/net/usb/smsc75xx.c`.
//!
//! When `bind()` failed after its private data had been allocated, that was never freed.
//!
//! The first fix frees it; by then the reset of the device may have scheduled the work for the multicast
//! filter, which is in what is freed. (That a leak is harmless and a use after free is not makes this the
//! worse bug.) What holds cancels the work first.

use super::c::{self, container_of, CURE, DEFECT};
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

#[repr(C)]
struct Private {
    set_multicast: bindings::work_struct,
    filter: u32,
}

unsafe extern "C" fn deferred_multicast_write(work: *mut bindings::work_struct) {
    c::runs();
    // SAFETY: None that would hold after `bind()` has failed: that is the defect.
    unsafe {
        let pdata = container_of!(work, Private, set_multicast);
        c::load(&raw const (*pdata).filter);
    }
}

pub struct Smsc75xx<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for Smsc75xx<VARIANT> {
    const NAME: &'static CStr = c"smsc75xx";

    /// `bind()`
    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for. For what
        // happens when it fails see the defect.
        unsafe {
            let pdata = c::zalloc::<Private>();
            c::init_work(&raw mut (*pdata).set_multicast, deferred_multicast_write);
            // `smsc75xx_reset()` sets the multicast filter, and does more.
            bindings::schedule_work(&raw mut (*pdata).set_multicast);
            if c::probe_fails(pdev) {
                if VARIANT == CURE {
                    bindings::cancel_work_sync(&raw mut (*pdata).set_multicast);
                }
                if VARIANT != DEFECT {
                    c::kfree(pdata);
                }
                return EIO.to_errno();
            }
            bindings::platform_set_drvdata(pdev, pdata.cast());
        }
        0
    }

    /// `unbind()`
    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data.
        unsafe {
            let pdata = bindings::platform_get_drvdata(pdev).cast::<Private>();
            bindings::cancel_work_sync(&raw mut (*pdata).set_multicast);
            c::kfree(pdata);
        }
    }
}

c::modules!(Smsc75xx, "smsc75xx", first_fix);

/// The reset fails; a second time it does not, and the device is unbound.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::without_driver(machine, module);
    bench.let_probe_fail(true);
    bench.load();
    bench.let_probe_fail(false);
    bench.bind();
    bench.unbind();
    bench.end();
}

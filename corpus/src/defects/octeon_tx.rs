// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `octeon-tx-cleanup-tasklet` (CVE-2026-93279): `drivers/staging/octeon/ethernet-tx.c`.
//!
//! An interrupt schedules the tasklet that cleans up after transmission, for each network device in an
//! array. Shutting down freed the interrupt and left the tasklet; then the network devices were freed.
//!
//! `tasklet_kill()` after `free_irq()` holds.
//!
//! A network device is a plain allocation, and the array has one.

use super::c::{self, container_of, CURE};
use core::ptr::null_mut;
use kernel::{
    bindings::{self, irqreturn, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

struct NetDevice {
    freed: u32,
}

#[repr(C)]
struct Octeon {
    cleanup_tasklet: bindings::tasklet_struct,
    dev: *mut NetDevice,
}

unsafe extern "C" fn watchdog(_irq: c_int, cookie: *mut c_void) -> bindings::irqreturn_t {
    c::runs();
    let octeon = cookie.cast::<Octeon>();
    // SAFETY: The cookie lasts longer than the interrupt is requested.
    unsafe { bindings::tasklet_schedule(&raw mut (*octeon).cleanup_tasklet) };
    irqreturn::IRQ_HANDLED
}

unsafe extern "C" fn do_tx_cleanup(tasklet: *mut bindings::tasklet_struct) {
    c::runs();
    // SAFETY: None that would hold after the network devices have been freed: that is the defect.
    unsafe {
        let octeon = container_of!(tasklet, Octeon, cleanup_tasklet);
        let dev = c::load(&raw const (*octeon).dev);
        if !dev.is_null() {
            c::store(&raw mut (*dev).freed, 1);
        }
    }
}

pub struct OcteonTx<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for OcteonTx<VARIANT> {
    const NAME: &'static CStr = c"octeon_tx";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let octeon = c::devm_zalloc::<Octeon>(pdev);
            (*octeon).dev = c::zalloc();
            let tasklet = &raw mut (*octeon).cleanup_tasklet;
            bindings::tasklet_setup(tasklet, Some(do_tx_cleanup));
            bindings::platform_set_drvdata(pdev, octeon.cast());
            c::request_irq(pdev, watchdog, octeon.cast());
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let octeon = bindings::platform_get_drvdata(pdev).cast::<Octeon>();
            // `cvm_oct_tx_shutdown()`
            bindings::free_irq(c::irq(pdev), octeon.cast());
            if VARIANT == CURE {
                bindings::tasklet_kill(&raw mut (*octeon).cleanup_tasklet);
            }
            c::kfree((*octeon).dev);
            c::store(&raw mut (*octeon).dev, null_mut());
        }
    }
}

c::modules!(OcteonTx, "octeon_tx");

/// The device interrupts while it is unbound.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    bench.interrupt(2);
    bench.unbind();
    bench.end();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `appletb-kbd-probe-timer` (CVE-2025-38378, then CVE-2026-46213): `drivers/hid/hid-appletb-kbd.c`.
//!
//! A timer dims the backlight when nothing was typed for a while. `probe()` started it, in devm memory,
//! and then failed.
//!
//! The first fix deletes the timer where `probe()` fails, and in `remove()`: there it comes after the
//! reference to the backlight, which the timer uses, has been given up, and before the HID hardware is
//! stopped, whose reports start the timer again. What holds stops the hardware, then the timer, and then
//! gives up the reference.
//!
//! HID is a program that reports while something is registered, and the backlight a plain allocation whose
//! last reference is this driver's.

use super::c::{self, container_of, CURE, DEFECT};
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

struct Backlight {
    brightness: u32,
}

#[repr(C)]
struct Kbd {
    inactivity_timer: bindings::timer_list,
    backlight_dev: *mut Backlight,
}

unsafe extern "C" fn inactivity_timer(timer: *mut bindings::timer_list) {
    c::runs();
    // SAFETY: None that would hold after the backlight has been put: that is the defect.
    unsafe {
        let kbd = container_of!(timer, Kbd, inactivity_timer);
        let backlight = c::load(&raw const (*kbd).backlight_dev);
        c::store(&raw mut (*backlight).brightness, 1);
    }
}

/// A report: something was typed.
unsafe extern "C" fn event(data: *mut c_void, _what: c_int) -> c_int {
    c::runs();
    let kbd = data.cast::<Kbd>();
    // SAFETY: The hardware has not been stopped.
    unsafe { c::mod_timer(&raw mut (*kbd).inactivity_timer, 60) };
    0
}

pub struct AppletbKbd<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for AppletbKbd<VARIANT> {
    const NAME: &'static CStr = c"appletb_kbd";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for. For what
        // happens when it fails see the defect.
        unsafe {
            let kbd = c::devm_zalloc::<Kbd>(pdev);
            (*kbd).backlight_dev = c::zalloc();
            c::timer_setup(&raw mut (*kbd).inactivity_timer, inactivity_timer);
            c::mod_timer(&raw mut (*kbd).inactivity_timer, 60);
            // `input_register_handler()`
            if c::probe_fails(pdev) {
                if VARIANT != DEFECT {
                    bindings::timer_delete_sync(&raw mut (*kbd).inactivity_timer);
                }
                c::kfree((*kbd).backlight_dev);
                return ENOMEM.to_errno();
            }
            bindings::platform_set_drvdata(pdev, kbd.cast());
            c::core_register(pdev, event, kbd.cast());
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let kbd = bindings::platform_get_drvdata(pdev).cast::<Kbd>();
            if VARIANT == CURE {
                c::core_unregister(pdev);
                bindings::timer_delete_sync(&raw mut (*kbd).inactivity_timer);
                c::kfree((*kbd).backlight_dev);
            } else {
                c::kfree((*kbd).backlight_dev);
                bindings::timer_delete_sync(&raw mut (*kbd).inactivity_timer);
                c::core_unregister(pdev);
            }
        }
    }
}

c::modules!(AppletbKbd, "appletb_kbd", first_fix);

/// A late step of `probe()` fails; a second time it does not, and the device is unbound while it reports.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::without_driver(machine, module);
    bench.let_probe_fail(true);
    bench.load();
    bench.let_probe_fail(false);
    bench.bind();
    bench.call(2);
    bench.unbind();
    bench.end();
}

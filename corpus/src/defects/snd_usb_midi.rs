// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! ALSA's USB MIDI (CVE-2025-38105, then CVE-2025-39997): `sound/usb/midi.c`.
//!
//! An error in a transfer starts a timer, which submits the transfers of all endpoints again. An interface
//! whose creation fails later on is freed without having been disconnected, and only disconnecting stopped
//! the timer.
//!
//! The first fix stops it where the interface is freed, after the endpoints, which the timer uses. What
//! holds disconnects before it frees, so that the timer is stopped first.
//!
//! Completions of transfers are interrupts, and all endpoints are one.

use super::c::{self, container_of, CURE, DEFECT};
use kernel::{
    bindings::{self, irqreturn, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

struct Endpoint {
    error_resubmit: bool,
}

#[repr(C)]
struct Midi {
    error_timer: bindings::timer_list,
    disc_lock: bindings::spinlock_t,
    endpoint: *mut Endpoint,
}

unsafe extern "C" fn error_timer(timer: *mut bindings::timer_list) {
    c::runs();
    // SAFETY: None that would hold after the interface has been freed: that is the defect.
    unsafe {
        let umidi = container_of!(timer, Midi, error_timer);
        bindings::spin_lock(&raw mut (*umidi).disc_lock);
        let endpoint = c::load(&raw const (*umidi).endpoint);
        c::store(&raw mut (*endpoint).error_resubmit, false);
        bindings::spin_unlock(&raw mut (*umidi).disc_lock);
    }
}

/// A transfer ends with an error.
unsafe extern "C" fn in_urb_complete(_irq: c_int, cookie: *mut c_void) -> bindings::irqreturn_t {
    c::runs();
    let umidi = cookie.cast::<Midi>();
    // SAFETY: Transfers are killed before the endpoints are freed.
    unsafe {
        c::store(&raw mut (*(*umidi).endpoint).error_resubmit, true);
        c::mod_timer(&raw mut (*umidi).error_timer, 1);
    }
    irqreturn::IRQ_HANDLED
}

/// `snd_usbmidi_free()` of what was not disconnected.
unsafe fn free<const VARIANT: u8>(pdev: *mut platform_device, umidi: *mut Midi) {
    // SAFETY: All of it has been set up. For the order see the defect.
    unsafe {
        if VARIANT == CURE {
            bindings::timer_shutdown_sync(&raw mut (*umidi).error_timer);
        }
        // `usb_kill_urb()`
        bindings::free_irq(c::irq(pdev), umidi.cast());
        c::kfree((*umidi).endpoint);
        if VARIANT != CURE && VARIANT != DEFECT {
            bindings::timer_shutdown_sync(&raw mut (*umidi).error_timer);
        }
        c::kfree(umidi);
    }
}

pub struct SndUsbMidi<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for SndUsbMidi<VARIANT> {
    const NAME: &'static CStr = c"snd_usb_midi";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for. For what
        // happens when it fails see the defect.
        unsafe {
            let umidi = c::zalloc::<Midi>();
            (*umidi).endpoint = c::zalloc();
            c::spin_lock_init(&raw mut (*umidi).disc_lock);
            c::timer_setup(&raw mut (*umidi).error_timer, error_timer);
            c::request_irq(pdev, in_urb_complete, umidi.cast());
            // Another part of the card is created, or not.
            bindings::msleep(2);
            if c::probe_fails(pdev) {
                free::<VARIANT>(pdev, umidi);
                return EIO.to_errno();
            }
            bindings::platform_set_drvdata(pdev, umidi.cast());
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data.
        unsafe { free::<CURE>(pdev, bindings::platform_get_drvdata(pdev).cast()) };
    }
}

c::modules!(SndUsbMidi, "snd_usb_midi", first_fix);

/// Creating the card fails while there are errors; a second time it does not, and the device is unbound.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::without_driver(machine, module);
    bench.let_probe_fail(true);
    bench.interrupt(3);
    bench.load();
    bench.let_probe_fail(false);
    bench.bind();
    bench.unbind();
    bench.end();
}

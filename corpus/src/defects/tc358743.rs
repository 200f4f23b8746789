// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `tc358743-probe-timer` (CVE-2024-56576), `tc358743-poll-timer` (CVE-2025-39995):
//! `drivers/media/i2c/tc358743.c`.
//!
//! Without an interrupt line the driver polls: a timer starts itself again and schedules work, which may
//! schedule the delayed work that enables hotplug. A step of `probe()` after the timer was started fails,
//! and devres frees all of it.
//!
//! The first fix deletes the timer, flushes the work, and cancels the delayed work, without waiting for a
//! timer that runs (which starts itself again), nor for delayed work that runs. What holds waits.
//!
//! Transfers to the chip are a sleep each.

use super::c::{self, container_of, CURE, DEFECT};
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

#[repr(C)]
struct State {
    timer: bindings::timer_list,
    work_i2c_poll: bindings::work_struct,
    delayed_work_enable_hotplug: bindings::delayed_work,
    polls: u32,
}

unsafe extern "C" fn irq_poll_timer(timer: *mut bindings::timer_list) {
    c::runs();
    // SAFETY: None that would hold after devres has freed the state: that is the defect.
    unsafe {
        let state = container_of!(timer, State, timer);
        bindings::schedule_work(&raw mut (*state).work_i2c_poll);
        c::mod_timer(timer, 1);
    }
}

unsafe extern "C" fn work_i2c_poll(work: *mut bindings::work_struct) {
    c::runs();
    // SAFETY: As in `irq_poll_timer`.
    unsafe {
        let state = container_of!(work, State, work_i2c_poll);
        let polls = c::load(&raw const (*state).polls);
        c::store(&raw mut (*state).polls, polls + 1);
        c::schedule_delayed_work(&raw mut (*state).delayed_work_enable_hotplug, 1);
    }
}

unsafe extern "C" fn enable_hotplug(work: *mut bindings::work_struct) {
    c::runs();
    // SAFETY: As in `irq_poll_timer`.
    unsafe {
        let state = container_of!(work, State, delayed_work_enable_hotplug);
        c::load(&raw const (*state).polls);
    }
}

/// Undoes what `probe()` has started.
unsafe fn stop<const VARIANT: u8>(state: *mut State) {
    // SAFETY: All of it has been set up. For the rest see the defect.
    unsafe {
        if VARIANT == CURE {
            bindings::timer_delete_sync(&raw mut (*state).timer);
            bindings::flush_work(&raw mut (*state).work_i2c_poll);
            bindings::cancel_delayed_work_sync(&raw mut (*state).delayed_work_enable_hotplug);
        } else if VARIANT != DEFECT {
            bindings::timer_delete(&raw mut (*state).timer);
            bindings::flush_work(&raw mut (*state).work_i2c_poll);
            bindings::cancel_delayed_work(&raw mut (*state).delayed_work_enable_hotplug);
        }
    }
}

pub struct Tc358743<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for Tc358743<VARIANT> {
    const NAME: &'static CStr = c"tc358743";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for. For what
        // happens when it fails see the defect.
        unsafe {
            let state = c::devm_zalloc::<State>(pdev);
            let hotplug = &raw mut (*state).delayed_work_enable_hotplug;
            c::init_delayed_work(hotplug, enable_hotplug);
            c::init_work(&raw mut (*state).work_i2c_poll, work_i2c_poll);
            c::timer_setup(&raw mut (*state).timer, irq_poll_timer);
            c::mod_timer(&raw mut (*state).timer, 1);
            bindings::msleep(2);
            // `v4l2_async_register_subdev()`, or one of the steps before it.
            if c::probe_fails(pdev) {
                stop::<VARIANT>(state);
                return ENOMEM.to_errno();
            }
            bindings::platform_set_drvdata(pdev, state.cast());
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data.
        unsafe { stop::<CURE>(bindings::platform_get_drvdata(pdev).cast()) };
    }
}

c::modules!(Tc358743, "tc358743", first_fix);

/// A late step of `probe()` fails; a second time it does not, and the device is unbound.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::without_driver(machine, module);
    bench.let_probe_fail(true);
    bench.load();
    bench.let_probe_fail(false);
    bench.bind();
    bench.unbind();
    bench.end();
}

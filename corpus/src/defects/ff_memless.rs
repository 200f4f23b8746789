// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `ff-memless-timer` (CVE-2019-19524), `ff-core-stop`: `drivers/input/ff-memless.c`.
//!
//! The force-feedback helper plays effects from a timer, which calls into the driver whose device it is.
//! Nobody stopped the timer when the device went.
//!
//! The first fix stops it when the input device is destroyed; that is at the last close of the event
//! node, and the driver's own data (devm) goes at unbind. What holds stops the timer for good where the
//! device is unregistered.
//!
//! The event node is a misc device, and the input device what its open files count.

use super::c::{self, container_of, CURE, DEFECT};
use core::mem::offset_of;
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

/// `struct input_dev`, with the `struct ml_device` of its force feedback.
#[repr(C)]
struct Input {
    misc: bindings::miscdevice,
    refs: bindings::refcount_t,
    lock: bindings::mutex,
    exist: bool,
    timer: bindings::timer_list,
    data: *mut Data,
}

/// The driver's own, which `play_effect` uses.
struct Data {
    played: u32,
}

/// `ml_effect_timer()`: plays the effect, and goes on as long as it lasts.
unsafe extern "C" fn effect_timer(timer: *mut bindings::timer_list) {
    c::runs();
    // SAFETY: None that would hold after devres has freed the driver's data: that is the defect.
    unsafe {
        let input = container_of!(timer, Input, timer);
        let data = c::load(&raw const (*input).data);
        let played = c::load(&raw const (*data).played);
        c::store(&raw mut (*data).played, played + 1);
        if played < 2 {
            c::mod_timer(timer, 1);
        }
    }
}

unsafe fn put<const VARIANT: u8>(input: *mut Input) {
    // SAFETY: The caller has a reference, and gives it up.
    unsafe {
        if bindings::refcount_dec_and_test(&raw mut (*input).refs) {
            if VARIANT != DEFECT {
                bindings::timer_shutdown_sync(&raw mut (*input).timer);
            }
            c::kfree(input);
        }
    }
}

unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    c::runs();
    // SAFETY: `misc_open()` keeps the device registered during this call.
    unsafe {
        let misc = (*file).private_data.cast::<bindings::miscdevice>();
        let input = misc.byte_sub(offset_of!(Input, misc)).cast::<Input>();
        bindings::refcount_inc(&raw mut (*input).refs);
        (*file).private_data = input.cast();
    }
    0
}

/// Plays an effect.
unsafe extern "C" fn ioctl(file: *mut bindings::file, _cmd: c_uint, _arg: c_ulong) -> c_long {
    c::runs();
    // SAFETY: The file has a reference to the input device.
    unsafe {
        let input = (*file).private_data.cast::<Input>();
        bindings::mutex_lock(&raw mut (*input).lock);
        let exists = (*input).exist;
        if exists {
            c::mod_timer(&raw mut (*input).timer, 1);
        }
        bindings::mutex_unlock(&raw mut (*input).lock);
        if exists {
            0
        } else {
            ENODEV.to_errno() as c_long
        }
    }
}

unsafe extern "C" fn release<const VARIANT: u8>(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    c::runs();
    // SAFETY: The file's reference.
    unsafe { put::<VARIANT>((*file).private_data.cast()) };
    0
}

pub struct FfMemless<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for FfMemless<VARIANT> {
    const NAME: &'static CStr = c"ff_memless";

    fn fops() -> bindings::file_operations {
        bindings::file_operations {
            open: Some(open),
            unlocked_ioctl: Some(ioctl),
            release: Some(release::<VARIANT>),
            ..Default::default()
        }
    }

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let input = c::zalloc::<Input>();
            (*input).data = c::devm_zalloc(pdev);
            (*input).exist = true;
            bindings::refcount_set(&raw mut (*input).refs, 1);
            c::mutex_init(&raw mut (*input).lock);
            c::timer_setup(&raw mut (*input).timer, effect_timer);
            bindings::platform_set_drvdata(pdev, input.cast());
            c::misc_register::<Self>(pdev, &raw mut (*input).misc);
        }
        0
    }

    /// `input_unregister_device()`
    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let input = bindings::platform_get_drvdata(pdev).cast::<Input>();
            bindings::mutex_lock(&raw mut (*input).lock);
            (*input).exist = false;
            bindings::mutex_unlock(&raw mut (*input).lock);
            if VARIANT == CURE {
                bindings::timer_shutdown_sync(&raw mut (*input).timer);
            }
            bindings::misc_deregister(&raw mut (*input).misc);
            put::<VARIANT>(input);
        }
    }
}

c::modules!(FfMemless, "ff_memless", first_fix);

/// The device is unbound while a program plays an effect, which keeps the node open for a while.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    let file = machine.open("ff_memless").expect("the node opens");
    bench.spawn("program", move || {
        let _ = file.ioctl(0, 0);
        file.close().expect("the file closes");
    });
    bench.unbind();
    bench.end();
}

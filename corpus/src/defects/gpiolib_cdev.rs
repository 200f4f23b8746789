// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The character device of GPIO chips (CVE-2022-50453): `drivers/gpio/gpiolib-cdev.c`.
//!
//! Open files count the GPIO device, and that points to the chip, which goes with its driver. System calls
//! on a file that is still open used the chip nevertheless.
//!
//! The first fix makes the pointer null and looks at it first; its own message says that the chip can go
//! between looking and using. What holds does both under a lock, which removal takes to clear the pointer.

use super::c::{self, CURE, DEFECT};
use core::{mem::offset_of, ptr::null_mut};
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

struct Chip {
    ngpio: c_int,
}

/// `struct gpio_device`
#[repr(C)]
struct Device {
    misc: bindings::miscdevice,
    refs: bindings::refcount_t,
    sem: bindings::mutex,
    chip: *mut Chip,
}

unsafe fn put(gdev: *mut Device) {
    // SAFETY: The caller has a reference, and gives it up.
    unsafe {
        if bindings::refcount_dec_and_test(&raw mut (*gdev).refs) {
            c::kfree(gdev);
        }
    }
}

unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    c::runs();
    // SAFETY: `misc_open()` keeps the device registered during this call.
    unsafe {
        let misc = (*file).private_data.cast::<bindings::miscdevice>();
        let gdev = misc.byte_sub(offset_of!(Device, misc)).cast::<Device>();
        bindings::refcount_inc(&raw mut (*gdev).refs);
        (*file).private_data = gdev.cast();
    }
    0
}

/// Asks how many lines there are.
unsafe extern "C" fn ioctl<const VARIANT: u8>(
    file: *mut bindings::file,
    _cmd: c_uint,
    _arg: c_ulong,
) -> c_long {
    c::runs();
    // SAFETY: The file has a reference. For the chip see the defect.
    unsafe {
        let gdev = (*file).private_data.cast::<Device>();
        if VARIANT == CURE {
            bindings::mutex_lock(&raw mut (*gdev).sem);
        }
        let lines = if VARIANT != DEFECT && c::load(&raw const (*gdev).chip).is_null() {
            ENODEV.to_errno()
        } else {
            let chip = c::load(&raw const (*gdev).chip);
            c::load(&raw const (*chip).ngpio)
        };
        if VARIANT == CURE {
            bindings::mutex_unlock(&raw mut (*gdev).sem);
        }
        lines as c_long
    }
}

unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    c::runs();
    // SAFETY: The file's reference.
    unsafe { put((*file).private_data.cast()) };
    0
}

pub struct GpiolibCdev<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for GpiolibCdev<VARIANT> {
    const NAME: &'static CStr = c"gpiolib_cdev";

    fn fops() -> bindings::file_operations {
        bindings::file_operations {
            open: Some(open),
            unlocked_ioctl: Some(ioctl::<VARIANT>),
            release: Some(release),
            ..Default::default()
        }
    }

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let gdev = c::zalloc::<Device>();
            (*gdev).chip = c::devm_zalloc(pdev);
            bindings::refcount_set(&raw mut (*gdev).refs, 1);
            c::mutex_init(&raw mut (*gdev).sem);
            bindings::platform_set_drvdata(pdev, gdev.cast());
            c::misc_register::<Self>(pdev, &raw mut (*gdev).misc);
        }
        0
    }

    /// `gpiochip_remove()`
    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let gdev = bindings::platform_get_drvdata(pdev).cast::<Device>();
            if VARIANT == CURE {
                bindings::mutex_lock(&raw mut (*gdev).sem);
            }
            if VARIANT != DEFECT {
                c::store(&raw mut (*gdev).chip, null_mut());
            }
            if VARIANT == CURE {
                bindings::mutex_unlock(&raw mut (*gdev).sem);
            }
            bindings::misc_deregister(&raw mut (*gdev).misc);
            put(gdev);
        }
    }
}

c::modules!(GpiolibCdev, "gpiolib_cdev", first_fix);

/// The device is unbound while a program asks.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    let file = machine.open("gpiolib_cdev").expect("the node opens");
    bench.spawn("program", move || {
        let _ = file.ioctl(0, 0);
        file.close().expect("the file closes");
    });
    bench.unbind();
    bench.end();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `uio-open-fds-destroy`, `uio-crash-after-unregister`: `drivers/uio/uio.c`.
//!
//! Two things with two owners: the framework's device, and the `uio_info` of the driver below it. Both
//! went when the driver did, and programs kept the node open.
//!
//! The first fix lets open files keep the device, and makes the pointer to the `uio_info` null under a lock
//! that some operations take before they use it. The operation that was forgotten did not. What holds
//! looks in all of them.
//!
//! Framework and driver are one module here, and controlling the interrupt is an `ioctl()`.

use super::c::{self, CURE, DEFECT};
use core::{mem::offset_of, ptr::null_mut};
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

/// `struct uio_device`
#[repr(C)]
struct Device {
    misc: bindings::miscdevice,
    refs: bindings::refcount_t,
    info_lock: bindings::mutex,
    info: *mut Info,
}

/// `struct uio_info`
struct Info {
    irq: c_int,
}

unsafe fn put(idev: *mut Device) {
    // SAFETY: The caller has a reference, and gives it up.
    unsafe {
        if bindings::refcount_dec_and_test(&raw mut (*idev).refs) {
            c::kfree(idev);
        }
    }
}

unsafe extern "C" fn open<const VARIANT: u8>(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    c::runs();
    // SAFETY: `misc_open()` keeps the device registered during this call.
    unsafe {
        let misc = (*file).private_data.cast::<bindings::miscdevice>();
        let idev = misc.byte_sub(offset_of!(Device, misc)).cast::<Device>();
        if VARIANT != DEFECT {
            bindings::refcount_inc(&raw mut (*idev).refs);
        }
        (*file).private_data = idev.cast();
    }
    0
}

/// Uses the driver's part, if it is still there, or with no look at all.
unsafe fn irq_of(idev: *mut Device, looks: bool) -> c_int {
    // SAFETY: The caller has a reference to the device. For what it points to see the defect.
    unsafe {
        bindings::mutex_lock(&raw mut (*idev).info_lock);
        let info = (*idev).info;
        let irq = match looks && info.is_null() {
            true => EIO.to_errno(),
            false => c::load(&raw const (*info).irq),
        };
        bindings::mutex_unlock(&raw mut (*idev).info_lock);
        irq
    }
}

unsafe extern "C" fn read<const VARIANT: u8>(
    file: *mut bindings::file,
    _buffer: *mut c_char,
    _size: usize,
    _offset: *mut bindings::loff_t,
) -> isize {
    c::runs();
    // SAFETY: The file has a reference to the device, but for the defect.
    unsafe { irq_of((*file).private_data.cast(), VARIANT != DEFECT) as isize }
}

/// `irqcontrol`
unsafe extern "C" fn ioctl<const VARIANT: u8>(
    file: *mut bindings::file,
    _cmd: c_uint,
    _arg: c_ulong,
) -> c_long {
    c::runs();
    // SAFETY: As in `read`.
    unsafe { irq_of((*file).private_data.cast(), VARIANT == CURE) as c_long }
}

unsafe extern "C" fn release<const VARIANT: u8>(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    c::runs();
    // SAFETY: As in `read`.
    unsafe {
        let idev = (*file).private_data.cast::<Device>();
        bindings::mutex_lock(&raw mut (*idev).info_lock);
        bindings::mutex_unlock(&raw mut (*idev).info_lock);
        if VARIANT != DEFECT {
            put(idev);
        }
    }
    0
}

pub struct Uio<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for Uio<VARIANT> {
    const NAME: &'static CStr = c"uio";

    fn fops() -> bindings::file_operations {
        bindings::file_operations {
            open: Some(open::<VARIANT>),
            read: Some(read::<VARIANT>),
            unlocked_ioctl: Some(ioctl::<VARIANT>),
            release: Some(release::<VARIANT>),
            ..Default::default()
        }
    }

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let idev = c::zalloc::<Device>();
            (*idev).info = c::devm_zalloc(pdev);
            bindings::refcount_set(&raw mut (*idev).refs, 1);
            c::mutex_init(&raw mut (*idev).info_lock);
            bindings::platform_set_drvdata(pdev, idev.cast());
            c::misc_register::<Self>(pdev, &raw mut (*idev).misc);
        }
        0
    }

    /// `uio_unregister_device()`
    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let idev = bindings::platform_get_drvdata(pdev).cast::<Device>();
            bindings::misc_deregister(&raw mut (*idev).misc);
            if VARIANT != DEFECT {
                bindings::mutex_lock(&raw mut (*idev).info_lock);
                (*idev).info = null_mut();
                bindings::mutex_unlock(&raw mut (*idev).info_lock);
            }
            put(idev);
        }
    }
}

c::modules!(Uio, "uio", first_fix);

/// The device is unbound while a program reads, controls and closes.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    let file = machine.open("uio").expect("the node opens");
    bench.spawn("program", move || {
        let _ = file.read(&mut [0]);
        let _ = file.ioctl(0, 0);
        file.close().expect("the file closes");
    });
    bench.unbind();
    bench.end();
}

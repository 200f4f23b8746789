// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `switchtec-stdev-release` (CVE-2023-52617): `drivers/pci/switch/switchtec.c`.
//!
//! Open files count the driver's structure, and what undoes the last reference also silenced the hardware:
//! through a mapping that devres had undone when the device was unbound, long before the last close.
//!
//! Silencing the hardware in `remove()`, so that the last reference frees memory and nothing else, holds.
//!
//! The mapping is a devm allocation.

use super::c::{self, CURE};
use core::mem::offset_of;
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

#[repr(C)]
struct Stdev {
    misc: bindings::miscdevice,
    refs: bindings::refcount_t,
    mmio: *mut u32,
}

unsafe fn disable_dma_mrpc(stdev: *mut Stdev) {
    // SAFETY: The caller has a reference. For the mapping see the defect.
    unsafe { c::store((*stdev).mmio, 0) };
}

unsafe fn put<const VARIANT: u8>(stdev: *mut Stdev) {
    // SAFETY: The caller has a reference, and gives it up.
    unsafe {
        if bindings::refcount_dec_and_test(&raw mut (*stdev).refs) {
            // `stdev_release()`
            if VARIANT != CURE {
                disable_dma_mrpc(stdev);
            }
            c::kfree(stdev);
        }
    }
}

unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    c::runs();
    // SAFETY: `misc_open()` keeps the device registered during this call.
    unsafe {
        let misc = (*file).private_data.cast::<bindings::miscdevice>();
        let stdev = misc.byte_sub(offset_of!(Stdev, misc)).cast::<Stdev>();
        bindings::refcount_inc(&raw mut (*stdev).refs);
        (*file).private_data = stdev.cast();
    }
    0
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

pub struct Switchtec<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for Switchtec<VARIANT> {
    const NAME: &'static CStr = c"switchtec";

    fn fops() -> bindings::file_operations {
        bindings::file_operations {
            open: Some(open),
            release: Some(release::<VARIANT>),
            ..Default::default()
        }
    }

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let stdev = c::zalloc::<Stdev>();
            (*stdev).mmio = c::devm_zalloc(pdev);
            bindings::refcount_set(&raw mut (*stdev).refs, 1);
            bindings::platform_set_drvdata(pdev, stdev.cast());
            c::misc_register::<Self>(pdev, &raw mut (*stdev).misc);
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let stdev = bindings::platform_get_drvdata(pdev).cast::<Stdev>();
            bindings::misc_deregister(&raw mut (*stdev).misc);
            if VARIANT == CURE {
                disable_dma_mrpc(stdev);
            }
            put::<VARIANT>(stdev);
        }
    }
}

c::modules!(Switchtec, "switchtec");

/// The device is unbound while a program closes.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    let file = machine.open("switchtec").expect("the node opens");
    bench.spawn("program", move || {
        file.close().expect("the file closes");
    });
    bench.unbind();
    bench.end();
}

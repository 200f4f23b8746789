// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `f-hid-cdev-reinit` (CVE-2022-50568, then CVE-2026-31606): `drivers/usb/gadget/function/f_hid.c`.
//!
//! The character device of a gadget function is part of the function's structure, which was freed when the
//! gadget was deleted, open files or not. (It has what is wrong with the first fix, too.)
//!
//! The first fix lets open files keep the structure. But a gadget is bound and unbound many times, and each
//! time the character device in it was initialised: its reference count begins with one again, while a file
//! that was opened before has a reference. What holds makes a new character device each time.
//!
//! The gadget is there while the driver is bound, and what userspace does with it in configfs are calls of
//! the subsystem. In Linux the parent of the character device's kobject is what lets open files keep the
//! structure; here it is kept until all programs have ended.

use super::c::{self, CURE, DEFECT};
use core::ptr::null_mut;
use kernel::{
    bindings::{self, platform_device},
    hosted::{devscope_device_create, Machine, ModuleInfo},
    prelude::*,
};

const BIND: c_int = 0;
const UNBIND: c_int = 1;

/// `struct f_hidg`
#[repr(C)]
struct Hidg {
    embedded: bindings::cdev,
    /// The one above, or a new one.
    cdev: *mut bindings::cdev,
    fops: *const bindings::file_operations,
    class: *mut bindings::class,
    devt: bindings::dev_t,
    device: *mut bindings::device,
}

unsafe extern "C" fn open(_inode: *mut bindings::inode, _file: *mut bindings::file) -> c_int {
    c::runs();
    0
}

unsafe extern "C" fn release(_inode: *mut bindings::inode, _file: *mut bindings::file) -> c_int {
    c::runs();
    0
}

/// `hidg_bind()` and `hidg_unbind()`
unsafe extern "C" fn configfs<const VARIANT: u8>(data: *mut c_void, what: c_int) -> c_int {
    let hidg = data.cast::<Hidg>();
    // SAFETY: The gadget is there. In the order, and with the arguments, that their documentation asks for,
    // but for the defect.
    unsafe {
        if what == BIND {
            if VARIANT == CURE {
                (*hidg).cdev = bindings::cdev_alloc();
                (*(*hidg).cdev).ops = (*hidg).fops;
            } else {
                (*hidg).cdev = &raw mut (*hidg).embedded;
                bindings::cdev_init((*hidg).cdev, (*hidg).fops);
            }
            let (class, devt, name) = ((*hidg).class, (*hidg).devt, c"hidg".as_char_ptr());
            bindings::cdev_add((*hidg).cdev, devt, 1);
            (*hidg).device = devscope_device_create(class, null_mut(), devt, name);
        }
        if what == UNBIND {
            bindings::device_unregister((*hidg).device);
            bindings::cdev_del((*hidg).cdev);
        }
    }
    0
}

pub struct FHid<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for FHid<VARIANT> {
    const NAME: &'static CStr = c"f_hid";

    fn fops() -> bindings::file_operations {
        bindings::file_operations {
            open: Some(open),
            release: Some(release),
            ..Default::default()
        }
    }

    /// `hidg_alloc()`
    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let hidg = c::zalloc::<Hidg>();
            (*hidg).fops = c::fops(pdev);
            let name = Self::NAME.as_char_ptr();
            (*hidg).class = bindings::class_create(name);
            bindings::alloc_chrdev_region(&raw mut (*hidg).devt, 0, 1, name);
            bindings::platform_set_drvdata(pdev, hidg.cast());
            c::core_register(pdev, configfs::<VARIANT>, hidg.cast());
        }
        0
    }

    /// `hidg_free()`
    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let hidg = bindings::platform_get_drvdata(pdev).cast::<Hidg>();
            c::core_unregister(pdev);
            bindings::unregister_chrdev_region((*hidg).devt, 1);
            bindings::class_destroy((*hidg).class);
            if VARIANT == DEFECT {
                c::kfree(hidg);
            } else {
                c::kfree_at_the_end(pdev, hidg);
            }
        }
    }
}

c::modules!(FHid, "f_hid", first_fix);

/// The gadget is bound, and again, and deleted, while a program closes what it has opened.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    bench.subsystem.call(BIND);
    let file = machine.open("hidg").expect("the node opens");
    bench.spawn("program", move || {
        file.close().expect("the file closes");
    });
    bench.undo(UNBIND);
    bench.subsystem.call(BIND);
    bench.undo(UNBIND);
    bench.unbind();
    bench.end();
}

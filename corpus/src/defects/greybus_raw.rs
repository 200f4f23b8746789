// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `greybus-raw-write` (CVE-2026-53024): `drivers/staging/greybus/raw.c`.
//!
//! Open files count the driver's own structure, and disconnecting destroys the connection that it points
//! to: the bus wants all of them gone. `write()` on a file that is still open sends on a connection that
//! was freed.
//!
//! A flag under a lock that `write()` holds until it is done holds.
//!
//! The read-write semaphore is a mutex.

use super::c::{self, CURE};
use core::mem::offset_of;
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

struct Connection {
    sent: u32,
}

#[repr(C)]
struct Raw {
    misc: bindings::miscdevice,
    refs: bindings::refcount_t,
    disconnect_lock: bindings::mutex,
    disconnected: bool,
    connection: *mut Connection,
}

unsafe fn put(raw: *mut Raw) {
    // SAFETY: The caller has a reference, and gives it up.
    unsafe {
        if bindings::refcount_dec_and_test(&raw mut (*raw).refs) {
            c::kfree(raw);
        }
    }
}

unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    c::runs();
    // SAFETY: `misc_open()` keeps the device registered during this call.
    unsafe {
        let misc = (*file).private_data.cast::<bindings::miscdevice>();
        let raw = misc.byte_sub(offset_of!(Raw, misc)).cast::<Raw>();
        bindings::refcount_inc(&raw mut (*raw).refs);
        (*file).private_data = raw.cast();
    }
    0
}

unsafe extern "C" fn write<const VARIANT: u8>(
    file: *mut bindings::file,
    _buffer: *const c_char,
    size: usize,
    _offset: *mut bindings::loff_t,
) -> isize {
    c::runs();
    // SAFETY: The file has a reference. For the connection see the defect.
    unsafe {
        let raw = (*file).private_data.cast::<Raw>();
        if VARIANT == CURE {
            bindings::mutex_lock(&raw mut (*raw).disconnect_lock);
            if (*raw).disconnected {
                bindings::mutex_unlock(&raw mut (*raw).disconnect_lock);
                return ENODEV.to_errno() as isize;
            }
        }
        // `gb_operation_sync()`
        let connection = c::load(&raw const (*raw).connection);
        c::store(&raw mut (*connection).sent, 1);
        if VARIANT == CURE {
            bindings::mutex_unlock(&raw mut (*raw).disconnect_lock);
        }
    }
    size as isize
}

unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    c::runs();
    // SAFETY: The file's reference.
    unsafe { put((*file).private_data.cast()) };
    0
}

pub struct GreybusRaw<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for GreybusRaw<VARIANT> {
    const NAME: &'static CStr = c"greybus_raw";

    fn fops() -> bindings::file_operations {
        bindings::file_operations {
            open: Some(open),
            write: Some(write::<VARIANT>),
            release: Some(release),
            ..Default::default()
        }
    }

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let raw = c::zalloc::<Raw>();
            (*raw).connection = c::zalloc();
            bindings::refcount_set(&raw mut (*raw).refs, 1);
            c::mutex_init(&raw mut (*raw).disconnect_lock);
            bindings::platform_set_drvdata(pdev, raw.cast());
            c::misc_register::<Self>(pdev, &raw mut (*raw).misc);
        }
        0
    }

    /// `gb_raw_disconnect()`
    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let raw = bindings::platform_get_drvdata(pdev).cast::<Raw>();
            bindings::misc_deregister(&raw mut (*raw).misc);
            if VARIANT == CURE {
                bindings::mutex_lock(&raw mut (*raw).disconnect_lock);
                (*raw).disconnected = true;
                bindings::mutex_unlock(&raw mut (*raw).disconnect_lock);
            }
            c::kfree((*raw).connection);
            put(raw);
        }
    }
}

c::modules!(GreybusRaw, "greybus_raw");

/// The device is unbound while a program writes.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    let file = machine.open("greybus_raw").expect("the node opens");
    bench.spawn("program", move || {
        let _ = file.write(&[0]);
        file.close().expect("the file closes");
    });
    bench.unbind();
    bench.end();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `dvb-dmxdev-release` (CVE-2022-41218): `drivers/media/dvb-core/dmxdev.c`.
//!
//! Removal sets a flag, waits until nobody has the node open, and frees the demultiplexer. `open()` did not
//! look at the flag, so a program can open the node after the wait, and use what is freed.
//!
//! The first fix sets the flag under the lock, and `open()` looks at it there. The last to close counts
//! down under the lock, and wakes whoever removes it after having let go of it: removal may have seen the
//! count by itself, and freed the queue on which is woken. (In Linux 7.3 the queue is in `struct
//! dvb_device`, which has a reference count since CVE-2022-50274.) What holds here wakes under the lock,
//! and takes it once before it frees.

use super::c::{self, CURE, DEFECT};
use core::mem::offset_of;
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

#[repr(C)]
struct Dmxdev {
    misc: bindings::miscdevice,
    mutex: bindings::mutex,
    wait_queue: bindings::wait_queue_head,
    exit: bool,
    users: c_int,
}

unsafe extern "C" fn open<const VARIANT: u8>(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    c::runs();
    // SAFETY: `misc_open()` keeps the device registered during this call.
    unsafe {
        let misc = (*file).private_data.cast::<bindings::miscdevice>();
        let dmxdev = misc.byte_sub(offset_of!(Dmxdev, misc)).cast::<Dmxdev>();
        (*file).private_data = dmxdev.cast();
        bindings::mutex_lock(&raw mut (*dmxdev).mutex);
        if VARIANT != DEFECT && (*dmxdev).exit {
            bindings::mutex_unlock(&raw mut (*dmxdev).mutex);
            return ENODEV.to_errno();
        }
        (*dmxdev).users += 1;
        bindings::mutex_unlock(&raw mut (*dmxdev).mutex);
    }
    0
}

unsafe extern "C" fn release<const VARIANT: u8>(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    c::runs();
    // SAFETY: None that would hold after removal: that is the defect.
    unsafe {
        let dmxdev = (*file).private_data.cast::<Dmxdev>();
        bindings::mutex_lock(&raw mut (*dmxdev).mutex);
        (*dmxdev).users -= 1;
        let last = (*dmxdev).users == 0 && (*dmxdev).exit;
        if last && VARIANT == CURE {
            c::wake_up(&raw mut (*dmxdev).wait_queue);
        }
        bindings::mutex_unlock(&raw mut (*dmxdev).mutex);
        if last && VARIANT != CURE {
            c::wake_up(&raw mut (*dmxdev).wait_queue);
        }
    }
    0
}

pub struct DvbDmxdev<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for DvbDmxdev<VARIANT> {
    const NAME: &'static CStr = c"dvb_dmxdev";

    fn fops() -> bindings::file_operations {
        bindings::file_operations {
            open: Some(open::<VARIANT>),
            release: Some(release::<VARIANT>),
            ..Default::default()
        }
    }

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let dmxdev = c::zalloc::<Dmxdev>();
            c::mutex_init(&raw mut (*dmxdev).mutex);
            c::init_waitqueue_head(&raw mut (*dmxdev).wait_queue);
            bindings::platform_set_drvdata(pdev, dmxdev.cast());
            c::misc_register::<Self>(pdev, &raw mut (*dmxdev).misc);
        }
        0
    }

    /// `dvb_dmxdev_release()`
    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let dmxdev = bindings::platform_get_drvdata(pdev).cast::<Dmxdev>();
            if VARIANT == DEFECT {
                c::store(&raw mut (*dmxdev).exit, true);
            } else {
                bindings::mutex_lock(&raw mut (*dmxdev).mutex);
                (*dmxdev).exit = true;
                bindings::mutex_unlock(&raw mut (*dmxdev).mutex);
            }
            let users = &raw const (*dmxdev).users;
            c::wait_event(&raw mut (*dmxdev).wait_queue, || c::load(users) == 0);
            if VARIANT == CURE {
                bindings::mutex_lock(&raw mut (*dmxdev).mutex);
                bindings::mutex_unlock(&raw mut (*dmxdev).mutex);
            }
            bindings::misc_deregister(&raw mut (*dmxdev).misc);
            c::kfree(dmxdev);
        }
    }
}

c::modules!(DvbDmxdev, "dvb_dmxdev", first_fix);

/// The device is unbound while a program opens and closes.
pub fn scenario(machine: &'_ Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    let machine = *machine;
    bench.spawn("program", move || {
        if let Ok(file) = machine.open("dvb_dmxdev") {
            file.close().expect("the file closes");
        }
    });
    bench.unbind();
    bench.end();
}

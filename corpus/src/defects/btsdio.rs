// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `btsdio-work` (CVE-2023-53145, CVE-2023-1989): `drivers/bluetooth/btsdio.c`.
//!
//! `remove()` unregisters the HCI device and frees it, and leaves the work alone that every frame to be
//! sent schedules: it runs on, with an HCI device that is gone.
//!
//! The first fix cancels the work first thing in `remove()`. Until the HCI device is unregistered, which
//! is the next step, frames are still sent, and each schedules the work again. (So was the second: the
//! order is this one in Linux 7.3 as well.) What holds stops who schedules, and then cancels.
//!
//! The HCI core is a program that sends frames while something is registered, and `struct hci_dev` a
//! plain allocation.

use super::c::{self, container_of, CURE, FIRST_FIX};
use kernel::{
    bindings::{self, platform_device},
    hosted::{Machine, ModuleInfo},
    prelude::*,
};

struct HciDev {
    frames: u32,
}

#[repr(C)]
struct Data {
    work: bindings::work_struct,
    hdev: *mut HciDev,
}

/// `hdev->send`
unsafe extern "C" fn send_frame(data: *mut c_void, _frame: c_int) -> c_int {
    c::runs();
    let data = data.cast::<Data>();
    // SAFETY: The HCI device is registered, so that all of this is there.
    unsafe { bindings::schedule_work(&raw mut (*data).work) };
    0
}

unsafe extern "C" fn work(work: *mut bindings::work_struct) {
    c::runs();
    // SAFETY: None that would hold after `remove()`: that is the defect.
    unsafe {
        let data = container_of!(work, Data, work);
        let hdev = c::load(&raw const (*data).hdev);
        let frames = c::load(&raw const (*hdev).frames);
        c::store(&raw mut (*hdev).frames, frames + 1);
    }
}

pub struct Btsdio<const VARIANT: u8>;

impl<const VARIANT: u8> c::Driver for Btsdio<VARIANT> {
    const NAME: &'static CStr = c"btsdio";

    unsafe fn probe(pdev: *mut platform_device) -> c_int {
        // SAFETY: In the order, and with the arguments, that their documentation asks for.
        unsafe {
            let data = c::devm_zalloc::<Data>(pdev);
            c::init_work(&raw mut (*data).work, work);
            (*data).hdev = c::zalloc();
            bindings::platform_set_drvdata(pdev, data.cast());
            c::core_register(pdev, send_frame, data.cast());
        }
        0
    }

    unsafe fn remove(pdev: *mut platform_device) {
        // SAFETY: `probe()` has set the driver data. For the rest see the defect.
        unsafe {
            let data = bindings::platform_get_drvdata(pdev).cast::<Data>();
            if VARIANT == FIRST_FIX {
                bindings::cancel_work_sync(&raw mut (*data).work);
            }
            c::core_unregister(pdev);
            if VARIANT == CURE {
                bindings::cancel_work_sync(&raw mut (*data).work);
            }
            c::kfree((*data).hdev);
        }
    }
}

c::modules!(Btsdio, "btsdio", first_fix);

/// The device is unbound while frames are sent.
pub fn scenario(machine: &Machine, module: &'static ModuleInfo) {
    let mut bench = c::Bench::new(machine, module);
    bench.call(2);
    bench.unbind();
    bench.end();
}

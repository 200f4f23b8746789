// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Case 2 as a C programmer writes it, defect and all; in Rust, on the raw bindings.
//!
//! One structure, `devm_kzalloc()`ed in `probe()`, serves the device and its open files. A program
//! keeps the node open while the device is unbound: devres frees the structure, and when the program
//! closes the node at last, `release()` runs on freed memory.
//!
//! The cure by hand keeps the file's part in an allocation of its own. [`cured`] has it.
//!
//! This driver is for the hosted kernel only. `unsafe` is the point of it.

use core::mem::{offset_of, size_of};
use kernel::{bindings, error::to_result, prelude::*, static_lock_class, types::Opaque, Module};

/// `struct case2`: everything in one allocation.
#[repr(C)]
struct State {
    misc: bindings::miscdevice,
    lock: bindings::mutex,
    opened: i32,
}

unsafe extern "C" fn open<const CURED: bool>(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY: `misc_open()` has left the misc device in `private_data`, and keeps it registered
    // during this call.
    unsafe {
        let misc = (*file).private_data.cast::<bindings::miscdevice>();
        let state = misc.byte_sub(offset_of!(State, misc)).cast::<State>();
        bindings::mutex_lock(&raw mut (*state).lock);
        (*state).opened += 1;
        let number = (*state).opened;
        bindings::mutex_unlock(&raw mut (*state).lock);
        if CURED {
            let own = bindings::kmalloc(size_of::<i32>(), bindings::GFP_KERNEL).cast::<i32>();
            if own.is_null() {
                return ENOMEM.to_errno();
            }
            own.write(number);
            (*file).private_data = own.cast();
        } else {
            (*file).private_data = state.cast();
        }
    }
    0
}

unsafe extern "C" fn release<const CURED: bool>(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY: Cured, the file's own allocation. Otherwise none that would hold after devres has freed
    // the state: that is the defect.
    unsafe {
        if CURED {
            bindings::kfree((*file).private_data);
        } else {
            let state = (*file).private_data.cast::<State>();
            bindings::mutex_lock(&raw mut (*state).lock);
            (*state).opened -= 1;
            bindings::mutex_unlock(&raw mut (*state).lock);
        }
    }
    0
}

struct Operations<const CURED: bool>;

impl<const CURED: bool> Operations<CURED> {
    fn table(module: &'static ThisModule) -> bindings::file_operations {
        bindings::file_operations {
            owner: module.as_ptr(),
            open: Some(open::<CURED>),
            release: Some(release::<CURED>),
            ..Default::default()
        }
    }
}

unsafe extern "C" fn probe(
    pdev: *mut bindings::pci_dev,
    _id: *const bindings::pci_device_id,
) -> c_int {
    // SAFETY: `probe()` is called with a live device of a driver that `Registered` embeds; the calls
    // below are in the order and with the arguments that their kernel-doc asks for.
    unsafe {
        let dev = &raw mut (*pdev).dev;
        let state = bindings::devm_kzalloc(dev, size_of::<State>(), bindings::GFP_KERNEL);
        let state = state.cast::<State>();
        if state.is_null() {
            return ENOMEM.to_errno();
        }
        let driver = (*pdev).driver.cast::<Driver>();
        bindings::__mutex_init(
            &raw mut (*state).lock,
            c"case2".as_char_ptr(),
            static_lock_class!().as_ptr(),
        );
        (*state).misc.minor = bindings::MISC_DYNAMIC_MINOR as c_int;
        (*state).misc.name = NAME.as_char_ptr();
        (*state).misc.fops = &raw const (*driver).fops;
        bindings::pci_set_drvdata(pdev, state.cast());
        bindings::misc_register(&raw mut (*state).misc)
    }
}

unsafe extern "C" fn remove(pdev: *mut bindings::pci_dev) {
    // SAFETY: `probe()` has set the driver data and registered the misc device.
    unsafe {
        let state = bindings::pci_get_drvdata(pdev).cast::<State>();
        bindings::misc_deregister(&raw mut (*state).misc);
    }
}

/// The driver and its file operations, as two static structures are in C.
#[repr(C)]
struct Driver {
    pci: bindings::pci_driver,
    fops: bindings::file_operations,
}

/// The module: registers the PCI driver when it is loaded.
struct Registered<const CURED: bool>(KBox<Opaque<Driver>>);

// SAFETY: The driver core locks what it does with a registered driver.
unsafe impl<const CURED: bool> Send for Registered<CURED> {}
// SAFETY: As above.
unsafe impl<const CURED: bool> Sync for Registered<CURED> {}

impl<const CURED: bool> Module for Registered<CURED> {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let driver = KBox::new(Opaque::<Driver>::zeroed(), GFP_KERNEL)?;
        // SAFETY: The structure is zeroed, in place on the heap, and unregistered in `drop` before
        // it is freed.
        to_result(unsafe {
            let driver = driver.get();
            (*driver).fops = Operations::<CURED>::table(module);
            (*driver).pci.name = NAME.as_char_ptr();
            (*driver).pci.id_table = IDS.0.as_ptr();
            (*driver).pci.probe = Some(probe);
            (*driver).pci.remove = Some(remove);
            bindings::__pci_register_driver(
                &raw mut (*driver).pci,
                module.as_ptr(),
                NAME.as_char_ptr(),
            )
        })?;
        Ok(Self(driver))
    }
}

impl<const CURED: bool> Drop for Registered<CURED> {
    fn drop(&mut self) {
        // SAFETY: Registered in `init`.
        unsafe { bindings::pci_unregister_driver(self.0.get().cast()) };
    }
}

const NAME: &CStr = c"case2";

/// The `edu` device by its class, and the entry that ends the table.
struct Ids([bindings::pci_device_id; 2]);

// SAFETY: Plain numbers.
unsafe impl Sync for Ids {}

static IDS: Ids = {
    // SAFETY: All zeroes is the entry that ends the table.
    let end: bindings::pci_device_id = unsafe { core::mem::zeroed() };
    Ids([
        bindings::pci_device_id {
            vendor: bindings::PCI_ANY_ID as u32,
            device: bindings::PCI_ANY_ID as u32,
            subvendor: bindings::PCI_ANY_ID as u32,
            subdevice: bindings::PCI_ANY_ID as u32,
            class: 0x00ff00,
            class_mask: 0xffff00,
            ..end
        },
        end,
    ])
};

/// The driver with the defect.
pub mod defect {
    type Defect = super::Registered<false>;
    kernel::prelude::module! {
        type: Defect,
        name: "case2",
        authors: ["The devscope authors"],
        description: "Case 2, C-shaped",
        license: "GPL",
    }
}

/// The driver with the cure by hand.
pub mod cured {
    type Cured = super::Registered<true>;
    kernel::prelude::module! {
        type: Cured,
        name: "case2",
        authors: ["The devscope authors"],
        description: "Case 2, C-shaped, cured by hand",
        license: "GPL",
    }
}

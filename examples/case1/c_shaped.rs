// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Case 1 as a C programmer writes it, defect and all; in Rust, on the raw bindings.
//!
//! `remove()` kills the tasklet and returns. Only then does devres free the interrupt, which was
//! requested with `devm_request_irq()`. In between the handler still runs, and schedules the tasklet
//! that has just been killed: it runs on freed memory. (Or, when every run of the tasklet brings
//! about the next interrupt, `tasklet_kill()` never ends.)
//!
//! The cure by hand is one call: `devm_free_irq()` before `tasklet_kill()`. [`cured`] has it.
//!
//! This driver is for the hosted kernel only. `unsafe` is the point of it.

use core::mem::{offset_of, size_of};
use kernel::{
    bindings::{self, irqreturn, irqreturn_t},
    error::to_result,
    prelude::*,
    static_lock_class,
    types::Opaque,
    Module,
};

const INTERRUPT_STATUS: usize = 0x24;
const RAISE: usize = 0x60;
const ACKNOWLEDGE: usize = 0x64;
const AND_ANOTHER: u32 = 0x200;

/// `struct case1`: everything in one allocation, `devm_kzalloc()`ed in `probe()`.
#[repr(C)]
struct State {
    regs: *mut c_void,
    irq: u32,
    tasklet: bindings::tasklet_struct,
    lock: bindings::spinlock_t,
    seen: u32,
    events: u32,
}

unsafe extern "C" fn handler(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: None that would hold after `remove()`: that is the defect.
    unsafe {
        let status = bindings::readl((*state).regs.byte_add(INTERRUPT_STATUS));
        if status == 0 {
            return irqreturn::IRQ_NONE;
        }
        bindings::writel(status, (*state).regs.byte_add(ACKNOWLEDGE));
        (*state).seen = status;
        bindings::tasklet_schedule(&raw mut (*state).tasklet);
    }
    irqreturn::IRQ_HANDLED
}

unsafe extern "C" fn bottom_half(tasklet: *mut bindings::tasklet_struct) {
    // SAFETY: None that would hold after devres has freed the state: that is the defect.
    unsafe {
        let state = tasklet.byte_sub(offset_of!(State, tasklet)).cast::<State>();
        bindings::spin_lock(&raw mut (*state).lock);
        (*state).events += 1;
        let again = (*state).seen & AND_ANOTHER != 0;
        bindings::spin_unlock(&raw mut (*state).lock);
        if again {
            bindings::writel(AND_ANOTHER, (*state).regs.byte_add(RAISE));
        }
    }
}

unsafe extern "C" fn probe(
    pdev: *mut bindings::pci_dev,
    _id: *const bindings::pci_device_id,
) -> c_int {
    // SAFETY: `probe()` is called with a live device; the calls below are in the order and with the
    // arguments that their kernel-doc asks for.
    unsafe {
        let dev = &raw mut (*pdev).dev;
        let state = bindings::devm_kzalloc(dev, size_of::<State>(), bindings::GFP_KERNEL);
        let state = state.cast::<State>();
        if state.is_null() {
            return ENOMEM.to_errno();
        }
        let err = bindings::pcim_enable_device(pdev);
        if err != 0 {
            return err;
        }
        bindings::pci_set_master(pdev);
        (*state).regs = bindings::pcim_iomap(pdev, 0, 0);
        if (*state).regs.is_null() {
            return ENOMEM.to_errno();
        }
        let vectors = bindings::pci_alloc_irq_vectors(pdev, 1, 1, bindings::PCI_IRQ_ALL_TYPES);
        if vectors < 0 {
            return vectors;
        }
        (*state).irq = bindings::pci_irq_vector(pdev, 0) as u32;
        bindings::__spin_lock_init(
            &raw mut (*state).lock,
            c"case1".as_char_ptr(),
            static_lock_class!().as_ptr(),
        );
        bindings::tasklet_setup(&raw mut (*state).tasklet, Some(bottom_half));
        bindings::pci_set_drvdata(pdev, state.cast());
        bindings::devm_request_irq(
            dev,
            (*state).irq,
            Some(handler),
            bindings::IRQF_SHARED as usize,
            c"case1".as_char_ptr(),
            state.cast(),
        )
    }
}

unsafe extern "C" fn remove<const CURED: bool>(pdev: *mut bindings::pci_dev) {
    // SAFETY: `probe()` has set the driver data. For the rest see the defect.
    unsafe {
        let state = bindings::pci_get_drvdata(pdev).cast::<State>();
        if CURED {
            bindings::devm_free_irq(&raw mut (*pdev).dev, (*state).irq, state.cast());
        }
        bindings::tasklet_kill(&raw mut (*state).tasklet);
    }
}

/// The module: registers the PCI driver when it is loaded.
struct Registered<const CURED: bool>(KBox<Opaque<bindings::pci_driver>>);

// SAFETY: The driver core locks what it does with a registered driver.
unsafe impl<const CURED: bool> Send for Registered<CURED> {}
// SAFETY: As above.
unsafe impl<const CURED: bool> Sync for Registered<CURED> {}

impl<const CURED: bool> Module for Registered<CURED> {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let driver = KBox::new(Opaque::<bindings::pci_driver>::zeroed(), GFP_KERNEL)?;
        // SAFETY: The structure is zeroed, in place on the heap, and unregistered in `drop` before
        // it is freed.
        to_result(unsafe {
            let driver = driver.get();
            (*driver).name = NAME.as_char_ptr();
            (*driver).id_table = IDS.0.as_ptr();
            (*driver).probe = Some(probe);
            (*driver).remove = Some(remove::<CURED>);
            bindings::__pci_register_driver(driver, module.as_ptr(), NAME.as_char_ptr())
        })?;
        Ok(Self(driver))
    }
}

impl<const CURED: bool> Drop for Registered<CURED> {
    fn drop(&mut self) {
        // SAFETY: Registered in `init`.
        unsafe { bindings::pci_unregister_driver(self.0.get()) };
    }
}

const NAME: &CStr = c"case1";

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
        name: "case1",
        authors: ["The devscope authors"],
        description: "Case 1, C-shaped",
        license: "GPL",
    }
}

/// The driver with the cure by hand.
pub mod cured {
    type Cured = super::Registered<true>;
    kernel::prelude::module! {
        type: Cured,
        name: "case1",
        authors: ["The devscope authors"],
        description: "Case 1, C-shaped, cured by hand",
        license: "GPL",
    }
}

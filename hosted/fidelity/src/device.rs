// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The driver around the checks: it finds the `edu` device, and takes orders through `/dev/fidelity`.

use crate::{allocate, give_back, named, node, report, CHECKS};
use core::{
    mem::offset_of,
    ptr::null_mut,
    sync::atomic::{AtomicPtr, Ordering::SeqCst},
};
use kernel::{bindings, error::to_result, prelude::*, types::Opaque};

const INTERRUPT_STATUS: usize = 0x24;
pub(crate) const RAISE: usize = 0x60;
const ACKNOWLEDGE: usize = 0x64;

/// The device, as checks use it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Edu {
    pub(crate) pdev: *mut bindings::pci_dev,
    regs: *mut c_void,
}

impl Edu {
    /// # Safety
    ///
    /// The device is bound.
    pub(crate) unsafe fn read(self, register: usize) -> u32 {
        // SAFETY: The registers are mapped while the device is bound.
        unsafe { bindings::readl(self.regs.byte_add(register)) }
    }

    /// # Safety
    ///
    /// As for `read`.
    pub(crate) unsafe fn write(self, register: usize, value: u32) {
        // SAFETY: As in `read`.
        unsafe { bindings::writel(value, self.regs.byte_add(register)) }
    }

    /// Its line, at present.
    ///
    /// # Safety
    ///
    /// As for `read`.
    pub(crate) unsafe fn irq(self) -> u32 {
        // SAFETY: The device is bound and has a vector.
        unsafe { bindings::pci_irq_vector(self.pdev, 0) as u32 }
    }

    /// Changes over to vectors of this kind. False if there are none.
    ///
    /// # Safety
    ///
    /// As for `read`; no handler is registered.
    pub(crate) unsafe fn use_vectors(self, kind: u32) -> bool {
        // SAFETY: As the caller promises.
        unsafe {
            bindings::pci_free_irq_vectors(self.pdev);
            bindings::pci_alloc_irq_vectors(self.pdev, 1, 1, kind) == 1
        }
    }

    /// Interrupts once.
    ///
    /// # Safety
    ///
    /// As for `read`.
    pub(crate) unsafe fn raise(self) {
        // SAFETY: Passed on.
        unsafe { self.write(RAISE, 0x100) }
    }

    /// Takes back what the device has raised, and returns it.
    ///
    /// # Safety
    ///
    /// As for `read`.
    pub(crate) unsafe fn acknowledge(self) -> u32 {
        // SAFETY: Passed on.
        unsafe {
            let causes = self.read(INTERRUPT_STATUS);
            self.write(ACKNOWLEDGE, causes);
            causes
        }
    }
}

/// What a bound device has.
#[repr(C)]
struct Bound {
    edu: Edu,
    misc: bindings::miscdevice,
}

static BOUND: AtomicPtr<Bound> = AtomicPtr::new(null_mut());

/// The device, while it is bound.
pub fn bound() -> Option<Edu> {
    let bound = BOUND.load(SeqCst);
    // SAFETY: `probe` has set it, and whoever asks keeps the device bound.
    (!bound.is_null()).then(|| unsafe { (*bound).edu })
}

/// The operations of `/dev/fidelity`.
static OPERATIONS: AtomicPtr<bindings::file_operations> = AtomicPtr::new(null_mut());

unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: `misc_open()` leaves the misc device in `private_data`.
    unsafe {
        let misc = (*file).private_data.cast::<bindings::miscdevice>();
        let bound = misc.byte_sub(offset_of!(Bound, misc)).cast::<Bound>();
        (*file).private_data = bound.cast();
    }
    0
}

/// Each read gives the name of one more check.
unsafe extern "C" fn read(
    _file: *mut bindings::file,
    text: *mut c_char,
    len: usize,
    pos: *mut bindings::loff_t,
) -> isize {
    // SAFETY: `read()` passes a position.
    let Some(check) = CHECKS.get(unsafe { *pos } as usize) else {
        return 0;
    };
    let name = check.name.as_bytes();
    if len < name.len() {
        return EINVAL.to_errno() as isize;
    }
    // SAFETY: The name is as long as it is.
    if unsafe { bindings::copy_to_user(text.cast(), name.as_ptr().cast(), name.len()) } != 0 {
        return EFAULT.to_errno() as isize;
    }
    // SAFETY: As above.
    unsafe { *pos += 1 };
    name.len() as isize
}

/// Takes the name of a check, and runs it: `EIO` if something was not as promised.
unsafe extern "C" fn write(
    file: *mut bindings::file,
    text: *const c_char,
    len: usize,
    _pos: *mut bindings::loff_t,
) -> isize {
    let mut order = [0u8; 96];
    if len > order.len() {
        return EINVAL.to_errno() as isize;
    }
    // SAFETY: `order` has room for `len` bytes.
    if unsafe { bindings::copy_from_user(order.as_mut_ptr().cast(), text.cast(), len) } != 0 {
        return EFAULT.to_errno() as isize;
    }
    let order = core::str::from_utf8(&order[..len]).map_or("", str::trim);
    let Some(check) = named(order) else {
        return EINVAL.to_errno() as isize;
    };
    // SAFETY: `open` has put it there, and the program keeps the device bound.
    let edu = unsafe { (*(*file).private_data.cast::<Bound>()).edu };
    match report(check, edu) {
        Ok(()) => len as isize,
        Err(error) => error.to_errno() as isize,
    }
}

/// What is to be done with the second node.
unsafe extern "C" fn ioctl(_file: *mut bindings::file, order: c_uint, argument: usize) -> c_long {
    node::order(order, argument)
}

unsafe extern "C" fn probe(
    pdev: *mut bindings::pci_dev,
    _id: *const bindings::pci_device_id,
) -> c_int {
    // SAFETY: `probe()` is called with a live device; the calls below are in the order and with the
    // arguments that their kernel-doc asks for.
    unsafe {
        let err = bindings::pcim_enable_device(pdev);
        if err != 0 {
            return err;
        }
        bindings::pci_set_master(pdev);
        let regs = bindings::pcim_iomap(pdev, 0, 0);
        if regs.is_null() {
            return ENOMEM.to_errno();
        }
        let vectors = bindings::pci_alloc_irq_vectors(pdev, 1, 1, bindings::PCI_IRQ_ALL_TYPES);
        if vectors < 0 {
            return vectors;
        }
        let bound = allocate::<Bound>();
        (*bound).edu = Edu { pdev, regs };
        (*bound).misc.minor = bindings::MISC_DYNAMIC_MINOR as c_int;
        (*bound).misc.name = crate::name();
        (*bound).misc.fops = OPERATIONS.load(SeqCst);
        let err = bindings::misc_register(&raw mut (*bound).misc);
        if err != 0 {
            give_back(bound);
            bindings::pci_free_irq_vectors(pdev);
            return err;
        }
        bindings::dev_set_drvdata(&raw mut (*pdev).dev, bound.cast());
        BOUND.store(bound, SeqCst);
    }
    0
}

unsafe extern "C" fn remove(pdev: *mut bindings::pci_dev) {
    // SAFETY: `probe()` has set the driver data. No program has the file open: see `write`.
    unsafe {
        let bound = bindings::dev_get_drvdata(&raw const (*pdev).dev).cast::<Bound>();
        BOUND.store(null_mut(), SeqCst);
        bindings::misc_deregister(&raw mut (*bound).misc);
        bindings::pci_free_irq_vectors(pdev);
        give_back(bound);
    }
}

/// The module, as long as it is loaded.
pub(crate) struct Fidelity {
    driver: KBox<Opaque<bindings::pci_driver>>,
    _operations: KBox<Opaque<bindings::file_operations>>,
}

// SAFETY: The driver core locks what it does with a registered driver; the operations are constant.
unsafe impl Send for Fidelity {}
// SAFETY: As above.
unsafe impl Sync for Fidelity {}

impl kernel::Module for Fidelity {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let driver = KBox::new(Opaque::<bindings::pci_driver>::zeroed(), GFP_KERNEL)?;
        let operations = KBox::new(Opaque::<bindings::file_operations>::zeroed(), GFP_KERNEL)?;
        node::init(module);
        // SAFETY: The structures are zeroed, in place on the heap, and out of use in `drop` before
        // they are freed.
        let registered = to_result(unsafe {
            let operations = operations.get();
            (*operations).owner = module.as_ptr();
            (*operations).open = Some(open);
            (*operations).read = Some(read);
            (*operations).write = Some(write);
            (*operations).unlocked_ioctl = Some(ioctl);
            OPERATIONS.store(operations, SeqCst);
            let driver = driver.get();
            (*driver).name = crate::name();
            (*driver).id_table = IDS.0.as_ptr();
            (*driver).probe = Some(probe);
            (*driver).remove = Some(remove);
            bindings::__pci_register_driver(driver, module.as_ptr(), crate::name())
        });
        match registered {
            Ok(()) => Ok(Self {
                driver,
                _operations: operations,
            }),
            Err(error) => {
                node::exit();
                Err(error)
            }
        }
    }
}

impl Drop for Fidelity {
    fn drop(&mut self) {
        // SAFETY: Registered in `init`.
        unsafe { bindings::pci_unregister_driver(self.driver.get()) };
        OPERATIONS.store(null_mut(), SeqCst);
        node::exit();
    }
}

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

//! PCI.
//!
//! C header: `include/linux/pci.h`; mirrors `rust/kernel/pci.rs`. Left out: configuration space,
//! SR-IOV, DMA, `Bar::into_devres`.

use crate::{
    bindings, container_of, device,
    device_id::{RawDeviceId, RawDeviceIdIndex},
    driver,
    error::{from_result, to_result},
    prelude::*,
    types::Opaque,
    ThisModule,
};
use core::{marker::PhantomData, mem::offset_of, ptr::NonNull};

mod id;
mod io;
mod irq;

pub use self::id::{Class, ClassMask, Vendor};
pub use self::io::Bar;
pub use self::irq::{IrqType, IrqTypes, IrqVector, IrqVectorRegistration};

/// Registers a [`Driver`] with the PCI bus.
pub struct Adapter<T: Driver>(T);

// SAFETY: `struct pci_driver` has a `driver`, and `probe_callback` stores a `T::Data`.
unsafe impl<T: Driver> driver::DriverLayout for Adapter<T> {
    type DriverType = bindings::pci_driver;
    type DriverData<'bound> = T::Data<'bound>;
    const DEVICE_DRIVER_OFFSET: usize = offset_of!(Self::DriverType, driver);
}

// SAFETY: `pci_unregister_driver` unbinds all devices, so no callback runs afterwards.
unsafe impl<T: Driver> driver::RegistrationOps for Adapter<T> {
    unsafe fn register(
        pdrv: &Opaque<Self::DriverType>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        let driver = pdrv.get();
        // SAFETY: Initialised, and not registered yet.
        unsafe {
            (*driver).name = name.as_char_ptr();
            (*driver).probe = Some(Self::probe_callback);
            (*driver).remove = Some(Self::remove_callback);
            (*driver).id_table = T::ID_TABLE.as_ptr();
        }
        // SAFETY: Pinned until it is unregistered: asked of the caller.
        to_result(unsafe {
            bindings::__pci_register_driver(driver, module.as_ptr(), name.as_char_ptr())
        })
    }

    unsafe fn unregister(pdrv: &Opaque<Self::DriverType>) {
        // SAFETY: Registered: asked of the caller.
        unsafe { bindings::pci_unregister_driver(pdrv.get()) }
    }
}

impl<T: Driver> Adapter<T> {
    extern "C" fn probe_callback(
        pdev: *mut bindings::pci_dev,
        id: *const bindings::pci_device_id,
    ) -> c_int {
        // SAFETY: The bus calls with a device that it is probing, valid during the call.
        let pdev = unsafe { &*pdev.cast::<Device<device::CoreInternal<'_>>>() };
        // SAFETY: Transparent around it.
        let id = unsafe { &*id.cast::<DeviceId>() };
        // SAFETY: An entry of `T::ID_TABLE`; an ID that was added by hand has no data.
        let info = unsafe { id.info_unchecked_opt::<T::IdInfo>() };
        from_result(|| {
            let data = T::probe(pdev, info);
            pdev.as_ref().set_drvdata(data)?;
            Ok(0)
        })
    }

    extern "C" fn remove_callback(pdev: *mut bindings::pci_dev) {
        // SAFETY: The bus calls with a device that it is removing, valid during the call.
        let pdev = unsafe { &*pdev.cast::<Device<device::CoreInternal<'_>>>() };
        // SAFETY: Stored by `probe_callback`; the bus removes only what was probed.
        let data = unsafe { pdev.as_ref().drvdata_borrow::<T::Data<'_>>() };
        T::unbind(pdev, data);
    }
}

/// Declares a module that is one PCI driver.
#[macro_export]
macro_rules! module_pci_driver {
    ($($f:tt)*) => {
        $crate::module_driver!(<T>, $crate::pci::Adapter<T>, { $($f)* });
    };
}

/// A `struct pci_device_id`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct DeviceId(bindings::pci_device_id);

impl DeviceId {
    const ANY: Self = Self(bindings::pci_device_id {
        vendor: !0,
        device: !0,
        subvendor: !0,
        subdevice: !0,
        class: 0,
        class_mask: 0,
        driver_data: 0,
        override_only: 0,
    });

    /// C's `PCI_DEVICE`: one device of a vendor.
    pub const fn from_id(vendor: Vendor, device: u32) -> Self {
        let mut id = Self::ANY;
        id.0.vendor = vendor.as_raw() as u32;
        id.0.device = device;
        id
    }

    /// C's `PCI_DEVICE_CLASS`: all devices of a class.
    pub const fn from_class(class: u32, class_mask: u32) -> Self {
        let mut id = Self::ANY;
        id.0.class = class;
        id.0.class_mask = class_mask;
        id
    }

    /// All devices of a class by one vendor.
    pub const fn from_class_and_vendor(
        class: Class,
        class_mask: ClassMask,
        vendor: Vendor,
    ) -> Self {
        let mut id = Self::from_class(class.as_raw(), class_mask.as_raw());
        id.0.vendor = vendor.as_raw() as u32;
        id
    }
}

// SAFETY: Transparent around it.
unsafe impl RawDeviceId for DeviceId {
    type RawType = bindings::pci_device_id;
}

// SAFETY: The field `driver_data`.
unsafe impl RawDeviceIdIndex for DeviceId {
    const DRIVER_DATA_OFFSET: usize = offset_of!(bindings::pci_device_id, driver_data);
}

/// A table of PCI IDs.
pub type IdTable<T> = &'static dyn kernel::device_id::IdTable<DeviceId, T>;

/// Declares a static table of PCI IDs.
#[macro_export]
macro_rules! pci_device_table {
    ($($tt:tt)*) => {
        $crate::module_device_table!("pci", $crate::pci::DeviceId, $($tt)*);
    };
}

/// A PCI driver.
pub trait Driver {
    /// What the driver keeps with each device ID.
    type IdInfo: 'static;

    /// The driver's private data of a bound device.
    type Data<'bound>: Send + 'bound;

    /// Which devices it is for.
    const ID_TABLE: IdTable<Self::IdInfo>;

    /// Binds to a device.
    fn probe<'bound>(
        dev: &'bound Device<device::Core<'_>>,
        id_info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound;

    /// Unbinds from a device, which is still there; then the private data is dropped.
    fn unbind<'bound>(dev: &'bound Device<device::Core<'_>>, this: Pin<&Self::Data<'bound>>) {
        let _ = (dev, this);
    }
}

/// A `struct pci_dev`, in context `Ctx`.
///
/// # Invariants
///
/// 1. The `struct pci_dev` is valid, and its reference count is not zero, while this is borrowed.
#[repr(transparent)]
pub struct Device<Ctx: device::DeviceContext = device::Normal>(
    Opaque<bindings::pci_dev>,
    PhantomData<Ctx>,
);

impl<Ctx: device::DeviceContext> Device<Ctx> {
    fn as_raw(&self) -> *mut bindings::pci_dev {
        self.0.get()
    }
}

impl Device {
    /// The vendor.
    pub fn vendor_id(&self) -> Vendor {
        // SAFETY: Invariant 1; the field never changes.
        Vendor::from_raw(unsafe { (*self.as_raw()).vendor })
    }

    /// The vendor's number for the device.
    pub fn device_id(&self) -> u16 {
        // SAFETY: Invariant 1; the field never changes.
        unsafe { (*self.as_raw()).device }
    }

    /// The revision.
    pub fn revision_id(&self) -> u8 {
        // SAFETY: Invariant 1; the field never changes.
        unsafe { (*self.as_raw()).revision }
    }

    /// Bus, device and function.
    pub fn dev_id(&self) -> u16 {
        // SAFETY: Invariant 1.
        unsafe { bindings::pci_dev_id(self.as_raw()) }
    }

    /// The vendor of the card.
    pub fn subsystem_vendor_id(&self) -> u16 {
        // SAFETY: Invariant 1; the field never changes.
        unsafe { (*self.as_raw()).subsystem_vendor }
    }

    /// The card vendor's number for it.
    pub fn subsystem_device_id(&self) -> u16 {
        // SAFETY: Invariant 1; the field never changes.
        unsafe { (*self.as_raw()).subsystem_device }
    }

    /// Where a BAR is.
    pub fn resource_start(&self, bar: u32) -> Result<bindings::resource_size_t> {
        if !Bar::index_is_valid(bar) {
            return Err(EINVAL);
        }
        // SAFETY: Invariant 1, and there is such a BAR.
        Ok(unsafe { bindings::pci_resource_start(self.as_raw(), bar.try_into()?) })
    }

    /// How large a BAR is.
    pub fn resource_len(&self, bar: u32) -> Result<bindings::resource_size_t> {
        if !Bar::index_is_valid(bar) {
            return Err(EINVAL);
        }
        // SAFETY: Invariant 1, and there is such a BAR.
        Ok(unsafe { bindings::pci_resource_len(self.as_raw(), bar.try_into()?) })
    }

    /// The class.
    pub fn pci_class(&self) -> Class {
        // SAFETY: Invariant 1; the field never changes.
        Class::from_raw(unsafe { (*self.as_raw()).class })
    }
}

impl<'a> Device<device::Core<'a>> {
    /// Turns the device's memory on.
    #[track_caller]
    pub fn enable_device_mem(&self) -> Result {
        // SAFETY: Invariant 1.
        to_result(unsafe { bindings::pci_enable_device_mem(self.as_raw()) })
    }

    /// Lets the device be bus master.
    pub fn set_master(&self) {
        // SAFETY: Invariant 1.
        unsafe { bindings::pci_set_master(self.as_raw()) };
    }
}

// SAFETY: Transparent around `struct pci_dev`, in which `dev` is there.
unsafe impl<Ctx: device::DeviceContext> device::AsBusDevice<Ctx> for Device<Ctx> {
    const OFFSET: usize = offset_of!(bindings::pci_dev, dev);
}

// SAFETY: Transparent around `struct pci_dev`, whatever the context.
kernel::impl_device_context_deref!(unsafe { Device });
kernel::impl_device_context_into_aref!(Device);

// SAFETY: `pci_dev_get` and `pci_dev_put` count references.
unsafe impl crate::sync::aref::AlwaysRefCounted for Device {
    fn inc_ref(&self) {
        // SAFETY: Invariant 1.
        unsafe { bindings::pci_dev_get(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference.
        unsafe { bindings::pci_dev_put(obj.cast().as_ptr()) }
    }
}

impl<Ctx: device::DeviceContext> AsRef<device::Device<Ctx>> for Device<Ctx> {
    fn as_ref(&self) -> &device::Device<Ctx> {
        // SAFETY: Invariant 1.
        let dev = unsafe { &raw mut (*self.as_raw()).dev };
        // SAFETY: Lives as long, in the same context.
        unsafe { device::Device::from_raw(dev) }
    }
}

impl<Ctx: device::DeviceContext> TryFrom<&device::Device<Ctx>> for &Device<Ctx> {
    type Error = kernel::error::Error;

    fn try_from(dev: &device::Device<Ctx>) -> Result<Self, Self::Error> {
        // SAFETY: A valid device.
        if !unsafe { bindings::dev_is_pci(dev.as_raw()) } {
            return Err(EINVAL);
        }
        // SAFETY: A device of this bus is inside a `struct pci_dev`.
        let pdev = unsafe { container_of!(dev.as_raw(), bindings::pci_dev, dev) };
        // SAFETY: Lives as long, in the same context.
        Ok(unsafe { &*pdev.cast() })
    }
}

// SAFETY: Released on any thread.
unsafe impl Send for Device {}

// SAFETY: What `&Device` can do, the C side synchronises.
unsafe impl Sync for Device {}

// SAFETY: The same device; the context says nothing about threads.
unsafe impl Sync for Device<device::Bound> {}

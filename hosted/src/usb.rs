//! USB.
//!
//! C header: `include/linux/usb.h`; mirrors `rust/kernel/usb.rs`. Left out: IDs by version.

use crate::{
    bindings, device,
    device_id::{RawDeviceId, RawDeviceIdIndex},
    driver,
    error::{from_result, to_result},
    prelude::*,
    types::Opaque,
    ThisModule,
};
use core::{marker::PhantomData, mem::offset_of, ptr::NonNull};

/// Registers a [`Driver`] with USB.
pub struct Adapter<T: Driver>(T);

// SAFETY: `struct usb_driver` has a `driver`, and `probe_callback` stores a `T::Data`.
unsafe impl<T: Driver> driver::DriverLayout for Adapter<T> {
    type DriverType = bindings::usb_driver;
    type DriverData<'bound> = T::Data<'bound>;
    const DEVICE_DRIVER_OFFSET: usize = offset_of!(Self::DriverType, driver);
}

// SAFETY: `usb_deregister` unbinds all interfaces, so no callback runs afterwards.
unsafe impl<T: Driver> driver::RegistrationOps for Adapter<T> {
    unsafe fn register(
        udrv: &Opaque<Self::DriverType>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        let driver = udrv.get();
        // SAFETY: Initialised, and not registered yet.
        unsafe {
            (*driver).name = name.as_char_ptr();
            (*driver).probe = Some(Self::probe_callback);
            (*driver).disconnect = Some(Self::disconnect_callback);
            (*driver).id_table = T::ID_TABLE.as_ptr();
        }
        // SAFETY: Pinned until it is unregistered: asked of the caller.
        to_result(unsafe {
            bindings::usb_register_driver(driver, module.as_ptr(), name.as_char_ptr())
        })
    }

    unsafe fn unregister(udrv: &Opaque<Self::DriverType>) {
        // SAFETY: Registered: asked of the caller.
        unsafe { bindings::usb_deregister(udrv.get()) };
    }
}

impl<T: Driver> Adapter<T> {
    extern "C" fn probe_callback(
        intf: *mut bindings::usb_interface,
        id: *const bindings::usb_device_id,
    ) -> c_int {
        // SAFETY: The core calls with an interface that it is probing, valid during the call.
        let intf = unsafe { &*intf.cast::<Interface<device::CoreInternal<'_>>>() };
        // SAFETY: The entry that matched.
        let id = unsafe { &*id.cast::<DeviceId>() };
        // SAFETY: An entry of the driver's table.
        let info = unsafe { id.info_unchecked_opt::<T::IdInfo>() };
        from_result(|| {
            let dev: &device::Device<device::CoreInternal<'_>> = intf.as_ref();
            dev.set_drvdata(T::probe(intf, id, info))?;
            Ok(0)
        })
    }

    extern "C" fn disconnect_callback(intf: *mut bindings::usb_interface) {
        // SAFETY: The core calls with an interface that it is unbinding, valid during the call.
        let intf = unsafe { &*intf.cast::<Interface<device::CoreInternal<'_>>>() };
        let dev: &device::Device<device::CoreInternal<'_>> = intf.as_ref();
        // SAFETY: Stored by `probe_callback`.
        let data = unsafe { dev.drvdata_borrow::<T::Data<'_>>() };
        T::disconnect(intf, data);
    }
}

/// A `struct usb_device_id`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct DeviceId(bindings::usb_device_id);

impl DeviceId {
    /// Matches a device.
    pub const fn from_id(vendor: u16, product: u16) -> Self {
        // SAFETY: Integers, which may all be zero.
        let mut id: bindings::usb_device_id = unsafe { core::mem::zeroed() };
        id.match_flags = bindings::USB_DEVICE_ID_MATCH_DEVICE as u16;
        id.idVendor = vendor;
        id.idProduct = product;
        Self(id)
    }

    /// Matches interfaces of a class, whatever device they are of.
    pub const fn from_interface_info(class: u8, subclass: u8, protocol: u8) -> Self {
        // SAFETY: Integers, which may all be zero.
        let mut id: bindings::usb_device_id = unsafe { core::mem::zeroed() };
        id.match_flags = bindings::USB_DEVICE_ID_MATCH_INT_INFO as u16;
        id.bInterfaceClass = class;
        id.bInterfaceSubClass = subclass;
        id.bInterfaceProtocol = protocol;
        Self(id)
    }
}

// SAFETY: Transparent around it.
unsafe impl RawDeviceId for DeviceId {
    type RawType = bindings::usb_device_id;
}

// SAFETY: The field `driver_info`.
unsafe impl RawDeviceIdIndex for DeviceId {
    const DRIVER_DATA_OFFSET: usize = offset_of!(bindings::usb_device_id, driver_info);
}

/// A table of USB IDs.
pub type IdTable<T> = &'static dyn kernel::device_id::IdTable<DeviceId, T>;

/// Declares a static table of USB IDs.
#[macro_export]
macro_rules! usb_device_table {
    ($($tt:tt)*) => {
        $crate::module_device_table!("usb", $crate::usb::DeviceId, $($tt)*);
    };
}

/// Declares a module that is one USB driver.
#[macro_export]
macro_rules! module_usb_driver {
    ($($f:tt)*) => {
        $crate::module_driver!(<T>, $crate::usb::Adapter<T>, { $($f)* });
    };
}

/// A USB driver.
pub trait Driver {
    /// What the driver keeps with each device ID.
    type IdInfo: 'static;

    /// The driver's private data of a bound interface.
    type Data<'bound>: Send + 'bound;

    /// Which interfaces it is for.
    const ID_TABLE: IdTable<Self::IdInfo>;

    /// Binds to an interface.
    fn probe<'bound>(
        interface: &'bound Interface<device::Core<'_>>,
        id: &DeviceId,
        id_info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound;

    /// Unbinds from an interface; then the private data is dropped.
    fn disconnect<'bound>(
        interface: &'bound Interface<device::Core<'_>>,
        data: Pin<&Self::Data<'bound>>,
    );
}

/// A `struct usb_interface`, in context `Ctx`.
///
/// # Invariants
///
/// 1. The `struct usb_interface` is valid, and its reference count is not zero, while this is
///    borrowed.
#[repr(transparent)]
pub struct Interface<Ctx: device::DeviceContext = device::Normal>(
    Opaque<bindings::usb_interface>,
    PhantomData<Ctx>,
);

impl<Ctx: device::DeviceContext> Interface<Ctx> {
    fn as_raw(&self) -> *mut bindings::usb_interface {
        self.0.get()
    }
}

// SAFETY: Transparent around `struct usb_interface`, in which `dev` is there.
unsafe impl<Ctx: device::DeviceContext> device::AsBusDevice<Ctx> for Interface<Ctx> {
    const OFFSET: usize = offset_of!(bindings::usb_interface, dev);
}

impl<Ctx: device::DeviceContext> AsRef<device::Device<Ctx>> for Interface<Ctx> {
    fn as_ref(&self) -> &device::Device<Ctx> {
        // SAFETY: Invariant 1.
        let dev = unsafe { &raw mut (*self.as_raw()).dev };
        // SAFETY: Lives as long, in the same context.
        unsafe { device::Device::from_raw(dev) }
    }
}

// SAFETY: Transparent around `struct usb_interface`, whatever the context.
kernel::impl_device_context_deref!(unsafe { Interface });
kernel::impl_device_context_into_aref!(Interface);

impl<Ctx: device::DeviceContext> AsRef<Device> for Interface<Ctx> {
    fn as_ref(&self) -> &Device {
        // SAFETY: Invariant 1.
        let usb_dev = unsafe { bindings::interface_to_usbdev(self.as_raw()) };
        // SAFETY: The device is there for as long as its interfaces.
        unsafe { &*usb_dev.cast() }
    }
}

// SAFETY: The references are those of the `struct device` inside.
unsafe impl crate::sync::aref::AlwaysRefCounted for Interface {
    fn inc_ref(&self) {
        // SAFETY: Invariant 1.
        unsafe { bindings::usb_get_intf(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The reference that the caller gives up.
        unsafe { bindings::usb_put_intf(obj.cast().as_ptr()) }
    }
}

// SAFETY: Released on any thread.
unsafe impl Send for Interface {}

// SAFETY: What `&Interface` can do, the C side synchronises.
unsafe impl Sync for Interface {}

/// A `struct usb_device`, in context `Ctx`. Linux keeps it to itself, too.
#[repr(transparent)]
struct Device<Ctx: device::DeviceContext = device::Normal>(
    #[allow(dead_code)] Opaque<bindings::usb_device>,
    PhantomData<Ctx>,
);

//! I2C.
//!
//! C header: `include/linux/i2c.h`; mirrors `rust/kernel/i2c.rs`. Left out: adapters, and clients that
//! drivers make.

use crate::{
    acpi, bindings,
    build_assert::build_assert,
    container_of, device,
    device_id::{RawDeviceId, RawDeviceIdIndex},
    driver,
    error::{from_result, to_result},
    of,
    prelude::*,
    types::Opaque,
    ThisModule,
};
use core::{
    marker::PhantomData,
    mem::offset_of,
    ptr::{self, NonNull},
};

/// A `struct i2c_device_id`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct DeviceId(bindings::i2c_device_id);

impl DeviceId {
    /// Matches devices of that name.
    pub const fn new(id: &'static CStr) -> Self {
        let text = id.to_bytes_with_nul();
        build_assert!(text.len() <= 20, "an I2C ID has at most 19 characters");
        // SAFETY: Integers, which may all be zero.
        let mut i2c: bindings::i2c_device_id = unsafe { core::mem::zeroed() };
        let mut i = 0;
        while i < text.len() {
            i2c.name[i] = text[i];
            i += 1;
        }
        Self(i2c)
    }
}

// SAFETY: Transparent around it.
unsafe impl RawDeviceId for DeviceId {
    type RawType = bindings::i2c_device_id;
}

// SAFETY: The field `driver_data`.
unsafe impl RawDeviceIdIndex for DeviceId {
    const DRIVER_DATA_OFFSET: usize = offset_of!(bindings::i2c_device_id, driver_data);
}

/// A table of I2C IDs.
pub type IdTable<T> = &'static dyn kernel::device_id::IdTable<DeviceId, T>;

/// Declares a static table of I2C IDs.
#[macro_export]
macro_rules! i2c_device_table {
    ($($tt:tt)*) => {
        $crate::module_device_table!("i2c", $crate::i2c::DeviceId, $($tt)*);
    };
}

/// Declares a module that is one I2C driver.
#[macro_export]
macro_rules! module_i2c_driver {
    ($($f:tt)*) => {
        $crate::module_driver!(<T>, $crate::i2c::Adapter<T>, { $($f)* });
    };
}

/// Registers a [`Driver`] with the I2C bus.
pub struct Adapter<T: Driver>(T);

// SAFETY: `struct i2c_driver` has a `driver`, and `probe_callback` stores a `T::Data`.
unsafe impl<T: Driver> driver::DriverLayout for Adapter<T> {
    type DriverType = bindings::i2c_driver;
    type DriverData<'bound> = T::Data<'bound>;
    const DEVICE_DRIVER_OFFSET: usize = offset_of!(Self::DriverType, driver);
}

// SAFETY: `i2c_del_driver` unbinds all devices, so no callback runs afterwards.
unsafe impl<T: Driver> driver::RegistrationOps for Adapter<T> {
    unsafe fn register(
        idrv: &Opaque<Self::DriverType>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        let driver = idrv.get();
        // SAFETY: Initialised, and not registered yet.
        unsafe {
            (*driver).driver.name = name.as_char_ptr();
            (*driver).probe = Some(Self::probe_callback);
            (*driver).remove = Some(Self::remove_callback);
            (*driver).shutdown = Some(Self::shutdown_callback);
            if let Some(table) = T::I2C_ID_TABLE {
                (*driver).id_table = table.as_ptr();
            }
            if let Some(table) = T::OF_ID_TABLE {
                (*driver).driver.of_match_table = table.as_ptr();
            }
            if let Some(table) = T::ACPI_ID_TABLE {
                (*driver).driver.acpi_match_table = table.as_ptr();
            }
        }
        // SAFETY: Pinned until it is unregistered: asked of the caller.
        to_result(unsafe { bindings::i2c_register_driver(module.as_ptr(), driver) })
    }

    unsafe fn unregister(idrv: &Opaque<Self::DriverType>) {
        // SAFETY: Registered: asked of the caller.
        unsafe { bindings::i2c_del_driver(idrv.get()) };
    }
}

impl<T: Driver> Adapter<T> {
    extern "C" fn probe_callback(idev: *mut bindings::i2c_client) -> c_int {
        // SAFETY: The bus calls with a device that it is probing, valid during the call.
        let idev = unsafe { &*idev.cast::<I2cClient<device::CoreInternal<'_>>>() };
        let table = T::I2C_ID_TABLE.map_or(ptr::null(), |table| table.as_ptr());
        // SAFETY: A table, or null, and a valid device.
        let id = unsafe { bindings::i2c_match_id(table, idev.as_raw()) };
        // SAFETY: Null, or an entry of the table.
        let info = match unsafe { id.cast::<DeviceId>().as_ref() } {
            // SAFETY: An entry of the driver's table.
            Some(id) => Some(unsafe { id.info_unchecked::<T::IdInfo>() }),
            // SAFETY: Being bound to this driver.
            None => unsafe { <Self as driver::Adapter>::id_info(idev.as_ref()) },
        };
        from_result(|| {
            idev.as_ref().set_drvdata(T::probe(idev, info))?;
            Ok(0)
        })
    }

    extern "C" fn remove_callback(idev: *mut bindings::i2c_client) {
        // SAFETY: The bus calls with a device that it is removing, valid during the call.
        let idev = unsafe { &*idev.cast::<I2cClient<device::CoreInternal<'_>>>() };
        // SAFETY: Stored by `probe_callback`; the bus removes only what was probed.
        let data = unsafe { idev.as_ref().drvdata_borrow::<T::Data<'_>>() };
        T::unbind(idev, data);
    }

    extern "C" fn shutdown_callback(idev: *mut bindings::i2c_client) {
        // SAFETY: The bus calls with a bound device, valid during the call.
        let idev = unsafe { &*idev.cast::<I2cClient<device::CoreInternal<'_>>>() };
        // SAFETY: Stored by `probe_callback`.
        let data = unsafe { idev.as_ref().drvdata_borrow::<T::Data<'_>>() };
        T::shutdown(idev, data);
    }
}

impl<T: Driver> driver::Adapter for Adapter<T> {
    type IdInfo = T::IdInfo;

    fn of_id_table() -> Option<of::IdTable<Self::IdInfo>> {
        T::OF_ID_TABLE
    }

    fn acpi_id_table() -> Option<acpi::IdTable<Self::IdInfo>> {
        T::ACPI_ID_TABLE
    }
}

/// An I2C driver.
pub trait Driver {
    /// What the driver keeps with each device ID.
    type IdInfo: 'static;

    /// The driver's private data of a bound device.
    type Data<'bound>: Send + 'bound;

    /// Which devices it is for, by name.
    const I2C_ID_TABLE: Option<IdTable<Self::IdInfo>> = None;

    /// Which devicetree devices it is for.
    const OF_ID_TABLE: Option<of::IdTable<Self::IdInfo>> = None;

    /// Which ACPI devices it is for.
    const ACPI_ID_TABLE: Option<acpi::IdTable<Self::IdInfo>> = None;

    /// Binds to a device.
    fn probe<'bound>(
        dev: &'bound I2cClient<device::Core<'_>>,
        id_info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound;

    /// The machine is switched off or restarted.
    fn shutdown<'bound>(dev: &'bound I2cClient<device::Core<'_>>, this: Pin<&Self::Data<'bound>>) {
        let _ = (dev, this);
    }

    /// Unbinds from a device, which is still there; then the private data is dropped.
    fn unbind<'bound>(dev: &'bound I2cClient<device::Core<'_>>, this: Pin<&Self::Data<'bound>>) {
        let _ = (dev, this);
    }
}

/// A `struct i2c_client`, in context `Ctx`.
///
/// # Invariants
///
/// 1. The `struct i2c_client` is valid, and its reference count is not zero, while this is
///    borrowed.
#[repr(transparent)]
pub struct I2cClient<Ctx: device::DeviceContext = device::Normal>(
    Opaque<bindings::i2c_client>,
    PhantomData<Ctx>,
);

impl<Ctx: device::DeviceContext> I2cClient<Ctx> {
    fn as_raw(&self) -> *mut bindings::i2c_client {
        self.0.get()
    }
}

// SAFETY: Transparent around `struct i2c_client`, whatever the context.
kernel::impl_device_context_deref!(unsafe { I2cClient });
kernel::impl_device_context_into_aref!(I2cClient);

// SAFETY: Transparent around `struct i2c_client`, in which `dev` is there.
unsafe impl<Ctx: device::DeviceContext> device::AsBusDevice<Ctx> for I2cClient<Ctx> {
    const OFFSET: usize = offset_of!(bindings::i2c_client, dev);
}

impl<Ctx: device::DeviceContext> AsRef<device::Device<Ctx>> for I2cClient<Ctx> {
    fn as_ref(&self) -> &device::Device<Ctx> {
        // SAFETY: Invariant 1.
        let dev = unsafe { &raw mut (*self.as_raw()).dev };
        // SAFETY: Lives as long, in the same context.
        unsafe { device::Device::from_raw(dev) }
    }
}

impl<Ctx: device::DeviceContext> TryFrom<&device::Device<Ctx>> for &I2cClient<Ctx> {
    type Error = kernel::error::Error;

    fn try_from(dev: &device::Device<Ctx>) -> Result<Self, Self::Error> {
        // SAFETY: A valid device.
        if unsafe { bindings::i2c_verify_client(dev.as_raw()).is_null() } {
            return Err(EINVAL);
        }
        // SAFETY: A device of this bus is inside a `struct i2c_client`.
        let idev = unsafe { container_of!(dev.as_raw(), bindings::i2c_client, dev) };
        // SAFETY: Lives as long, in the same context.
        Ok(unsafe { &*idev.cast() })
    }
}

// SAFETY: The references are those of the `struct device` inside.
unsafe impl crate::sync::aref::AlwaysRefCounted for I2cClient {
    fn inc_ref(&self) {
        let dev: &device::Device = self.as_ref();
        // SAFETY: Invariant 1.
        unsafe { bindings::get_device(dev.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference, so the device is valid.
        let dev = unsafe { &raw mut (*obj.cast::<bindings::i2c_client>().as_ptr()).dev };
        // SAFETY: The reference that the caller gives up.
        unsafe { bindings::put_device(dev) }
    }
}

// SAFETY: Released on any thread.
unsafe impl Send for I2cClient {}

// SAFETY: What `&I2cClient` can do, the C side synchronises.
unsafe impl Sync for I2cClient {}

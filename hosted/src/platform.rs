//! The platform bus: devices that nobody enumerates.
//!
//! C header: `include/linux/platform_device.h`; mirrors `rust/kernel/platform.rs`. Left out:
//! resources and MMIO, DMA.

use crate::{
    acpi, bindings, container_of,
    device::{self, Bound},
    driver,
    error::{from_result, to_result},
    irq::{self, IrqRequest},
    of,
    prelude::*,
    types::Opaque,
    ThisModule,
};
use core::{marker::PhantomData, mem::offset_of, ptr::NonNull};

/// Registers a [`Driver`] with the platform bus.
pub struct Adapter<T: Driver>(T);

// SAFETY: `struct platform_driver` has a `driver`, and `probe_callback` stores a `T::Data`.
unsafe impl<T: Driver> driver::DriverLayout for Adapter<T> {
    type DriverType = bindings::platform_driver;
    type DriverData<'bound> = T::Data<'bound>;
    const DEVICE_DRIVER_OFFSET: usize = offset_of!(Self::DriverType, driver);
}

// SAFETY: `platform_driver_unregister` unbinds all devices, so no callback runs afterwards.
unsafe impl<T: Driver> driver::RegistrationOps for Adapter<T> {
    unsafe fn register(
        pdrv: &Opaque<Self::DriverType>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        let driver = pdrv.get();
        // SAFETY: Initialised, and not registered yet.
        unsafe {
            (*driver).driver.name = name.as_char_ptr();
            (*driver).probe = Some(Self::probe_callback);
            (*driver).remove = Some(Self::remove_callback);
            if let Some(table) = T::OF_ID_TABLE {
                (*driver).driver.of_match_table = table.as_ptr();
            }
            if let Some(table) = T::ACPI_ID_TABLE {
                (*driver).driver.acpi_match_table = table.as_ptr();
            }
        }
        // SAFETY: Pinned until it is unregistered: asked of the caller.
        to_result(unsafe {
            bindings::__platform_driver_register(driver, module.as_ptr(), name.as_char_ptr())
        })
    }

    unsafe fn unregister(pdrv: &Opaque<Self::DriverType>) {
        // SAFETY: Registered: asked of the caller.
        unsafe { bindings::platform_driver_unregister(pdrv.get()) };
    }
}

impl<T: Driver> Adapter<T> {
    extern "C" fn probe_callback(pdev: *mut bindings::platform_device) -> c_int {
        // SAFETY: The bus calls with a device that it is probing, valid during the call.
        let pdev = unsafe { &*pdev.cast::<Device<device::CoreInternal<'_>>>() };
        // SAFETY: Being bound to this driver.
        let info = unsafe { <Self as driver::Adapter>::id_info(pdev.as_ref()) };
        from_result(|| {
            let data = T::probe(pdev, info);
            pdev.as_ref().set_drvdata(data)?;
            Ok(0)
        })
    }

    extern "C" fn remove_callback(pdev: *mut bindings::platform_device) {
        // SAFETY: The bus calls with a device that it is removing, valid during the call.
        let pdev = unsafe { &*pdev.cast::<Device<device::CoreInternal<'_>>>() };
        // SAFETY: Stored by `probe_callback`; the bus removes only what was probed.
        let data = unsafe { pdev.as_ref().drvdata_borrow::<T::Data<'_>>() };
        T::unbind(pdev, data);
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

/// Declares a module that is one platform driver.
#[macro_export]
macro_rules! module_platform_driver {
    ($($f:tt)*) => {
        $crate::module_driver!(<T>, $crate::platform::Adapter<T>, { $($f)* });
    };
}

/// A platform driver. Without a table, it is for devices that have its name.
pub trait Driver {
    /// What the driver keeps with each device ID.
    type IdInfo: 'static;

    /// The driver's private data of a bound device.
    type Data<'bound>: Send + 'bound;

    /// Which devicetree devices it is for.
    const OF_ID_TABLE: Option<of::IdTable<Self::IdInfo>> = None;

    /// Which ACPI devices it is for.
    const ACPI_ID_TABLE: Option<acpi::IdTable<Self::IdInfo>> = None;

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

/// A `struct platform_device`, in context `Ctx`.
///
/// # Invariants
///
/// 1. The `struct platform_device` is valid, and its reference count is not zero, while this is
///    borrowed.
#[repr(transparent)]
pub struct Device<Ctx: device::DeviceContext = device::Normal>(
    Opaque<bindings::platform_device>,
    PhantomData<Ctx>,
);

impl<Ctx: device::DeviceContext> Device<Ctx> {
    fn as_raw(&self) -> *mut bindings::platform_device {
        self.0.get()
    }
}

/// Ways to find an interrupt.
macro_rules! find {
    ($($(#[$doc:meta])* $name:ident($key:ident: $ty:ty) = $function:ident($arg:expr);)*) => {
        impl Device<Bound> {$(
            $(#[$doc])*
            pub fn $name(&self, $key: $ty) -> Result<IrqRequest<'_>> {
                // SAFETY: Invariant 1.
                let irq = unsafe { bindings::$function(self.as_raw(), $arg) };
                if irq < 0 {
                    return Err(Error::from_errno(irq));
                }
                // SAFETY: Of this device, as was just asked.
                Ok(unsafe { IrqRequest::new(self.as_ref(), irq as u32) })
            }
        )*}
    };
}

find! {
    /// Interrupt number `index` of the device.
    irq_by_index(index: u32) = platform_get_irq(index);
    /// Interrupt number `index` of the device, which need not be there.
    optional_irq_by_index(index: u32) = platform_get_irq_optional(index);
    /// The interrupt of that name.
    irq_by_name(name: &CStr) = platform_get_irq_byname(name.as_char_ptr());
    /// The interrupt of that name, which need not be there.
    optional_irq_by_name(name: &CStr) = platform_get_irq_byname_optional(name.as_char_ptr());
}

/// Ways to find an interrupt and register a handler.
macro_rules! request {
    ($($name:ident($key:ident: $ty:ty) = $find:ident, $registration:ident, $handler:ident;)*) => {
        impl Device<Bound> {$(
            #[doc = concat!("[`", stringify!($find), "`](Self::", stringify!($find), "), with a ")]
            #[doc = concat!("[`", stringify!($registration), "`](irq::", stringify!($registration))]
            #[doc = ")."]
            ///
            /// # Safety
            ///
            /// The registration is dropped, never forgotten, once initialised.
            pub unsafe fn $name<'a, T: irq::$handler + 'a>(
                &'a self,
                flags: irq::Flags,
                $key: $ty,
                name: &'static CStr,
                handler: impl PinInit<T, Error> + 'a,
            ) -> impl PinInit<irq::$registration<'a, T>, Error> + 'a {
                let init = move |slot: *mut irq::$registration<'a, T>| {
                    let request = self.$find($key)?;
                    // SAFETY: Asked of the caller.
                    let init = unsafe { irq::$registration::new(request, flags, name, handler) };
                    // SAFETY: Valid and pinned, as `pin_init_from_closure` promises.
                    unsafe { init.__pinned_init(slot) }
                };
                // SAFETY: Does what the initializer inside does, or nothing.
                unsafe { pinned_init::pin_init_from_closure(init) }
            }
        )*}
    };
}

request! {
    request_irq_by_index(index: u32) = irq_by_index, Registration, Handler;
    request_irq_by_name(irq_name: &'a CStr) = irq_by_name, Registration, Handler;
    request_optional_irq_by_index(index: u32) = optional_irq_by_index, Registration, Handler;
    request_optional_irq_by_name(irq_name: &'a CStr) = optional_irq_by_name, Registration, Handler;
    request_threaded_irq_by_index(index: u32)
        = irq_by_index, ThreadedRegistration, ThreadedHandler;
    request_threaded_irq_by_name(irq_name: &'a CStr)
        = irq_by_name, ThreadedRegistration, ThreadedHandler;
    request_optional_threaded_irq_by_index(index: u32)
        = optional_irq_by_index, ThreadedRegistration, ThreadedHandler;
    request_optional_threaded_irq_by_name(irq_name: &'a CStr)
        = optional_irq_by_name, ThreadedRegistration, ThreadedHandler;
}

// SAFETY: Transparent around `struct platform_device`, in which `dev` is there.
unsafe impl<Ctx: device::DeviceContext> device::AsBusDevice<Ctx> for Device<Ctx> {
    const OFFSET: usize = offset_of!(bindings::platform_device, dev);
}

// SAFETY: Transparent around `struct platform_device`, whatever the context.
kernel::impl_device_context_deref!(unsafe { Device });
kernel::impl_device_context_into_aref!(Device);

// SAFETY: The references are those of the `struct device` inside.
unsafe impl crate::sync::aref::AlwaysRefCounted for Device {
    fn inc_ref(&self) {
        // SAFETY: Invariant 1.
        unsafe { bindings::get_device(self.as_ref().as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference, so the device is valid.
        let dev = unsafe { &raw mut (*obj.cast::<bindings::platform_device>().as_ptr()).dev };
        // SAFETY: The reference that the caller gives up.
        unsafe { bindings::put_device(dev) }
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
        if !unsafe { bindings::dev_is_platform(dev.as_raw()) } {
            return Err(EINVAL);
        }
        // SAFETY: A device of this bus is inside a `struct platform_device`.
        let pdev = unsafe { container_of!(dev.as_raw(), bindings::platform_device, dev) };
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

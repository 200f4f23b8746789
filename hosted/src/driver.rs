//! What drivers of all buses have in common: registration, and the end of the private data.
//!
//! C header: `include/linux/device/driver.h`; mirrors `rust/kernel/driver.rs`.

use crate::{
    acpi, bindings,
    device::{self, CoreInternal},
    of,
    prelude::*,
    types::Opaque,
    ThisModule,
};

/// How the C structure of a bus's drivers looks.
///
/// # Safety
///
/// - `DriverType` is `repr(C)`, with a `struct device_driver` at `DEVICE_DRIVER_OFFSET`.
/// - `DriverData` is the type of the driver's private data.
pub unsafe trait DriverLayout {
    /// Such as `struct pci_driver`.
    type DriverType: Default;

    /// The private data of a bound device.
    type DriverData<'bound>;

    /// Where in `DriverType` the `struct device_driver` is.
    const DEVICE_DRIVER_OFFSET: usize;
}

/// How drivers of a bus are registered.
///
/// # Safety
///
/// `unregister` undoes `register`: afterwards no callback of the driver runs.
pub unsafe trait RegistrationOps: DriverLayout {
    /// Registers a driver.
    ///
    /// # Safety
    ///
    /// After success, `reg` stays where it is until it is unregistered.
    unsafe fn register(
        reg: &Opaque<Self::DriverType>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result;

    /// Unregisters a driver.
    ///
    /// # Safety
    ///
    /// It was registered.
    unsafe fn unregister(reg: &Opaque<Self::DriverType>);
}

/// A registered driver; dropping it unregisters.
#[pin_data(PinnedDrop)]
pub struct Registration<T: RegistrationOps> {
    #[pin]
    reg: Opaque<T::DriverType>,
}

// SAFETY: `&Registration` can do nothing.
unsafe impl<T: RegistrationOps> Sync for Registration<T> {}

// SAFETY: Drivers may be unregistered from any thread.
unsafe impl<T: RegistrationOps> Send for Registration<T> {}

impl<T: RegistrationOps> Registration<T> {
    /// Drops the private data, after `remove` and before devres releases what the device holds.
    extern "C" fn post_unbind_callback(dev: *mut bindings::device) {
        // SAFETY: The driver core calls with the device that it is unbinding.
        let dev = unsafe { &*dev.cast::<device::Device<CoreInternal<'_>>>() };
        // SAFETY: `DriverData` is the type of the private data, by `DriverLayout`.
        drop(unsafe { dev.drvdata_obtain::<T::DriverData<'_>>() });
    }

    fn attach_callbacks(driver: &Opaque<T::DriverType>) {
        let base = driver.get().cast::<u8>();
        // SAFETY: The `struct device_driver` is there, by `DriverLayout`.
        let base = unsafe { base.add(T::DEVICE_DRIVER_OFFSET) };
        let base = base.cast::<bindings::device_driver>();
        // SAFETY: As above; the driver is not registered yet.
        unsafe { (*base).p_cb.post_unbind_rust = Some(Self::post_unbind_callback) };
    }

    /// Registers a driver of this type.
    pub fn new(name: &'static CStr, module: &'static ThisModule) -> impl PinInit<Self, Error>
    where
        T: 'static,
    {
        try_pin_init!(Self {
            reg <- Opaque::try_ffi_init(move |ptr: *mut T::DriverType| {
                // SAFETY: Valid for writes, as `try_ffi_init` promises.
                unsafe { ptr.write(T::DriverType::default()) };
                // SAFETY: Just written, and pinned.
                let driver = unsafe { &*ptr.cast::<Opaque<T::DriverType>>() };
                Self::attach_callbacks(driver);
                // SAFETY: Pinned until this is dropped, which unregisters.
                unsafe { T::register(driver, name, module) }
            }),
        })
    }
}

#[pinned_drop]
impl<T: RegistrationOps> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Registered by `new`.
        unsafe { T::unregister(&self.reg) };
    }
}

/// Declares a module that registers one driver. Buses have a macro of their own around this one.
#[macro_export]
macro_rules! module_driver {
    (<$gen_type:ident>, $driver_ops:ty, { type: $type:ty, $($f:tt)* }) => {
        type Ops<$gen_type> = $driver_ops;

        // Linux has it private at the crate's root, which is as visible as this.
        #[$crate::prelude::pin_data]
        pub(crate) struct DriverModule {
            #[pin]
            _driver: $crate::driver::Registration<Ops<$type>>,
        }

        impl $crate::InPlaceModule for DriverModule {
            fn init(
                module: &'static $crate::ThisModule,
            ) -> impl $crate::prelude::PinInit<Self, $crate::error::Error> {
                $crate::try_pin_init!(Self {
                    _driver <- $crate::driver::Registration::new(
                        <Self as $crate::ModuleMetadata>::NAME,
                        module,
                    ),
                })
            }
        }

        $crate::prelude::module! {
            type: DriverModule,
            $($f)*
        }
    };
}

/// The side of a bus's adapter that is the same for all buses.
pub trait Adapter {
    /// What the driver keeps with each device ID.
    type IdInfo: 'static;

    /// The driver's ACPI table.
    fn acpi_id_table() -> Option<acpi::IdTable<Self::IdInfo>>;

    /// The driver's devicetree table.
    fn of_id_table() -> Option<of::IdTable<Self::IdInfo>>;

    /// The information with the entry that the device matched.
    ///
    /// # Safety
    ///
    /// The device is bound, or being bound, to this driver.
    unsafe fn id_info(dev: &device::Device) -> Option<&'static Self::IdInfo> {
        // SAFETY: A valid device.
        let data = unsafe { bindings::device_get_match_data(dev.as_raw()) };
        // SAFETY: Null, or what `IdArray::new` put into this driver's table: asked of the caller.
        unsafe { data.cast::<Self::IdInfo>().as_ref() }
    }
}

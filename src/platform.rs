// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drivers for platform devices.
//!
//! C header: [`include/linux/platform_device.h`](srctree/include/linux/platform_device.h)

use crate::{binding::Binding, Scope};
use core::{marker::PhantomData, mem::offset_of, ptr};
use kernel::{
    acpi, bindings,
    device::{Bound, Core, CoreInternal},
    driver,
    error::{from_result, to_result},
    of,
    platform::Device,
    prelude::*,
    types::Opaque,
};

/// A driver for platform devices.
///
/// A bound device goes through three calls, all in process context, under the device's lock, and
/// allowed to sleep:
///
/// 1. [`Driver::probe`] builds what is passive. Nothing can call in yet.
/// 2. [`Driver::attach`] goes live: it registers closures that borrow what `probe()` built.
/// 3. [`Driver::unbind`] silences the hardware. Everything is still live.
///
/// Then the framework stops and drops the closures, and after that drops the data.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a devscope platform driver",
    label = "`devscope::platform::Driver` is not implemented for this type",
    note = "implement `devscope::platform::Driver`: `probe()` builds `Data`, `attach()` registers what calls in"
)]
pub trait Driver: 'static {
    /// What an entry of the id table tells about its device.
    type IdInfo: 'static;

    /// What is passive: mappings, vectors, locks, buffers, counters. It lives in one place while the
    /// device is bound (`'bound`), and may borrow the device for that time.
    ///
    /// `Sync`, because handlers on all CPUs share it. The bound also keeps the core context out: a
    /// `Device<Core<'_>>` is not `Sync`, so no borrow of one can be kept here for a handler to find.
    type Data<'bound>: Send + Sync + 'bound;

    /// The devicetree nodes that this driver is for, by `compatible`.
    const OF_ID_TABLE: Option<of::IdTable<Self::IdInfo>> = None;

    /// The ACPI devices that this driver is for.
    const ACPI_ID_TABLE: Option<acpi::IdTable<Self::IdInfo>> = None;

    /// Builds the data. Nothing can call in yet.
    fn probe<'bound>(
        dev: &'bound Device<Core<'_>>,
        info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound;

    /// Goes live: registers, in `scope`, what may call into the driver.
    ///
    /// `'a` is the time during which that may happen. It is shorter than the lifetime inside `Data`,
    /// so nothing that lives for `'a` can be stored there.
    ///
    /// Begin with `let data = data.get_ref();`: that borrow lives for `'a`, while one that is taken
    /// through the local `Pin` (`data.field`) ends with this function. If the compiler asks for
    /// `Pin<&'a Self::Data<'a>>`, something that lives for `'a` is being put into `Data`; it belongs
    /// into a closure, or into the device side of a file.
    ///
    /// An error ends the scope, with all that was registered, and fails the probe with it.
    fn attach<'a>(
        dev: &'a Device<Bound>,
        data: Pin<&'a Self::Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result;

    /// Silences the hardware, so that it stops raising interrupts and accessing memory. Everything
    /// is still live; the scope ends when this returns.
    fn unbind(dev: &Device<Core<'_>>, data: Pin<&Self::Data<'_>>) {
        let _ = (dev, data);
    }
}

/// Stands between the C callbacks of the platform bus and a [`Driver`].
///
/// It takes the place of the kernel's own adapter instead of implementing the kernel's driver trait
/// on top of it: that trait's `probe()` is safe to call, and its result, a scope included, could be
/// put into a box and forgotten.
#[doc(hidden)]
pub struct Adapter<D: Driver>(PhantomData<D>);

// SAFETY:
// - `bindings::platform_driver` is a C structure.
// - `set_drvdata` below stores a `Binding<D::Data<'_>>`.
// - `struct platform_driver` embeds a `struct device_driver` at that offset.
unsafe impl<D: Driver> driver::DriverLayout for Adapter<D> {
    type DriverType = bindings::platform_driver;
    type DriverData<'bound> = Binding<D::Data<'bound>>;
    const DEVICE_DRIVER_OFFSET: usize = offset_of!(bindings::platform_driver, driver);
}

// SAFETY: `unregister` undoes what a successful `register` did.
unsafe impl<D: Driver> driver::RegistrationOps for Adapter<D> {
    unsafe fn register(
        driver: &Opaque<bindings::platform_driver>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        let driver = driver.get();
        let of_table = D::OF_ID_TABLE.map_or(ptr::null(), |table| table.as_ptr());
        let acpi_table = D::ACPI_ID_TABLE.map_or(ptr::null(), |table| table.as_ptr());
        // SAFETY: The structure is not registered yet, so it is ours to fill; it stays in place until
        // it is unregistered (requirement of `register`).
        unsafe {
            (*driver).driver.name = name.as_char_ptr();
            (*driver).probe = Some(Self::probe);
            (*driver).remove = Some(Self::remove);
            (*driver).driver.of_match_table = of_table;
            (*driver).driver.acpi_match_table = acpi_table;
            to_result(bindings::__platform_driver_register(
                driver,
                module.as_ptr(),
                name.as_char_ptr(),
            ))
        }
    }

    unsafe fn unregister(driver: &Opaque<bindings::platform_driver>) {
        // SAFETY: Registered: requirement of `unregister`.
        unsafe { bindings::platform_driver_unregister(driver.get()) };
    }
}

impl<D: Driver> driver::Adapter for Adapter<D> {
    type IdInfo = D::IdInfo;

    fn of_id_table() -> Option<of::IdTable<Self::IdInfo>> {
        D::OF_ID_TABLE
    }

    fn acpi_id_table() -> Option<acpi::IdTable<Self::IdInfo>> {
        D::ACPI_ID_TABLE
    }
}

impl<D: Driver> Adapter<D> {
    /// # Safety
    ///
    /// Called by the platform bus, with a device to probe.
    unsafe extern "C" fn probe(pdev: *mut bindings::platform_device) -> c_int {
        // SAFETY: The bus passes a live device, for the time of this call at least; `Device` is a
        // transparent wrapper.
        let pdev = unsafe { &*pdev.cast::<Device<CoreInternal<'_>>>() };
        // SAFETY: The matched entry is from one of the driver's tables, which carry an `IdInfo`.
        let info = unsafe { <Self as driver::Adapter>::id_info(pdev.as_ref()) };

        from_result(|| {
            let dev: &kernel::device::Device<CoreInternal<'_>> = pdev.as_ref();
            dev.set_drvdata(Binding::new(D::probe(pdev, info)))?;
            // SAFETY: Stored one line above, with this type.
            let binding = unsafe { dev.drvdata_borrow::<Binding<D::Data<'_>>>() };
            // On failure the scope has ended; the driver core drops the binding with the rest
            // (`device_unbind_cleanup()` in `drivers/base/dd.c`).
            binding.attach(|data, scope| D::attach(pdev, data, scope))?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the platform bus, with a device for which `probe` has succeeded.
    unsafe extern "C" fn remove(pdev: *mut bindings::platform_device) {
        // SAFETY: As in `probe`.
        let pdev = unsafe { &*pdev.cast::<Device<CoreInternal<'_>>>() };
        let dev: &kernel::device::Device<CoreInternal<'_>> = pdev.as_ref();
        // SAFETY: `probe` succeeded, so it stored a binding of this type, and the driver core drops
        // it after this call.
        let binding = unsafe { dev.drvdata_borrow::<Binding<D::Data<'_>>>() };
        D::unbind(pdev, binding.data());
        binding.detach();
    }
}

/// Declares a kernel module with one platform driver.
///
/// ```text
/// devscope::module_platform_driver! {
///     type: Blinker,
///     name: "blinker",
///     authors: ["..."],
///     description: "...",
///     license: "GPL",
/// }
/// ```
#[macro_export]
macro_rules! module_platform_driver {
    ($($module:tt)*) => {
        ::kernel::module_driver!(<T>, $crate::platform::Adapter<T>, { $($module)* });
    };
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drivers for PCI devices.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use crate::{binding::Binding, Scope};
use core::{marker::PhantomData, mem::offset_of};
use kernel::{
    bindings,
    device::{Bound, Core, CoreInternal},
    device_id::RawDeviceIdIndex,
    driver,
    error::{from_result, to_result},
    pci::{Device, DeviceId, IdTable},
    prelude::*,
    types::Opaque,
};

/// A driver for PCI devices.
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
    message = "`{Self}` is not a devscope PCI driver",
    label = "`devscope::pci::Driver` is not implemented for this type",
    note = "implement `devscope::pci::Driver`: `probe()` builds `Data`, `attach()` registers what calls in"
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

    /// The devices that this driver is for.
    const ID_TABLE: IdTable<Self::IdInfo>;

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

/// Stands between the C callbacks of the PCI bus and a [`Driver`].
///
/// It takes the place of the kernel's own adapter instead of implementing the kernel's driver trait
/// on top of it: that trait's `probe()` is safe to call, and its result, a scope included, could be
/// put into a box and forgotten.
#[doc(hidden)]
pub struct Adapter<D: Driver>(PhantomData<D>);

// SAFETY:
// - `bindings::pci_driver` is a C structure.
// - `set_drvdata` below stores a `Binding<D::Data<'_>>`.
// - `struct pci_driver` embeds a `struct device_driver` at that offset.
unsafe impl<D: Driver> driver::DriverLayout for Adapter<D> {
    type DriverType = bindings::pci_driver;
    type DriverData<'bound> = Binding<D::Data<'bound>>;
    const DEVICE_DRIVER_OFFSET: usize = offset_of!(bindings::pci_driver, driver);
}

// SAFETY: `unregister` undoes what a successful `register` did.
unsafe impl<D: Driver> driver::RegistrationOps for Adapter<D> {
    unsafe fn register(
        driver: &Opaque<bindings::pci_driver>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        let driver = driver.get();
        // SAFETY: The structure is not registered yet, so it is ours to fill; it stays in place until
        // it is unregistered (requirement of `register`).
        unsafe {
            (*driver).name = name.as_char_ptr();
            (*driver).probe = Some(Self::probe);
            (*driver).remove = Some(Self::remove);
            (*driver).id_table = D::ID_TABLE.as_ptr();
            to_result(bindings::__pci_register_driver(
                driver,
                module.as_ptr(),
                name.as_char_ptr(),
            ))
        }
    }

    unsafe fn unregister(driver: &Opaque<bindings::pci_driver>) {
        // SAFETY: Registered: requirement of `unregister`.
        unsafe { bindings::pci_unregister_driver(driver.get()) };
    }
}

impl<D: Driver> Adapter<D> {
    /// # Safety
    ///
    /// Called by the PCI bus, with a device to probe and the entry that matched.
    unsafe extern "C" fn probe(
        pdev: *mut bindings::pci_dev,
        id: *const bindings::pci_device_id,
    ) -> c_int {
        // SAFETY: The bus passes a live device, for the time of this call at least; `Device` is a
        // transparent wrapper.
        let pdev = unsafe { &*pdev.cast::<Device<CoreInternal<'_>>>() };
        // SAFETY: The bus passes a live entry; `DeviceId` is a transparent wrapper.
        let id = unsafe { &*id.cast::<DeviceId>() };
        // SAFETY: The entry is one of `ID_TABLE`, or a dynamic one, whose `driver_data` is checked to
        // occur in `ID_TABLE`, or the wildcard of `driver_override`, whose `driver_data` is 0.
        let info = unsafe { id.info_unchecked_opt::<D::IdInfo>() };

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
    /// Called by the PCI bus, with a device for which `probe` has succeeded.
    unsafe extern "C" fn remove(pdev: *mut bindings::pci_dev) {
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

/// Declares a kernel module with one PCI driver.
///
/// ```text
/// devscope::module_pci_driver! {
///     type: Edu,
///     name: "edu",
///     authors: ["..."],
///     description: "...",
///     license: "GPL",
/// }
/// ```
#[macro_export]
macro_rules! module_pci_driver {
    ($($module:tt)*) => {
        ::kernel::module_driver!(<T>, $crate::pci::Adapter<T>, { $($module)* });
    };
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a driver is, on whatever bus: three calls, and an adapter between them and C.
//!
//! ```text
//!   C's probe callback                     C's remove callback
//!       |                                       |
//!   Driver::probe    Driver::attach          Driver::unbind         the scope ends,
//!   builds Data      fills the scope         silences the hardware  Data is dropped
//!                    (ends it, if it fails)
//! ```
//!
//! `Data` is dropped in the callback itself. The driver core would do it too, for Rust's drivers
//! (`post_unbind_rust`); but that is after the bus's own cleaning up, which on I2C lets go of the device's
//! resources (`devres_release_group()` in `i2c_device_remove()` and in `i2c_device_probe()`), and `Data` may
//! borrow one of them for as long as the device is bound (`Devres::access()`). The faux bus, whose
//! driver is C's, has no such callback at all.
//!
//! What the callbacks do is in two ordinary functions, [`probe`] and [`remove`]. [`driver!`] makes a bus
//! out of them: it documents the trait, and writes the adapter. A bus states what is its own. That is
//! also the signatures of its trait, although they differ only in the type of the device: rustc shows
//! them to the authors of drivers, and what a macro makes up it cannot show well.

#[cfg(devscope_mutants)]
use crate::mutants::{self, Mutant};
use crate::{binding::Binding, Scope};
use core::ptr;
use kernel::{
    bindings,
    device::{CoreInternal, Device},
    error::from_result,
    prelude::*,
    types::ForeignOwnable,
};

/// What a probe callback does: keeps the driver's data with the device, and goes live.
///
/// If going live fails, the scope has ended, and the data is dropped, when this returns.
pub(crate) fn probe<'a, T: 'a>(
    dev: &'a Device<CoreInternal<'_>>,
    data: impl PinInit<T, Error>,
    attach: impl FnOnce(Pin<&'a T>, &mut Scope<'a>) -> Result,
) -> c_int {
    from_result(|| {
        dev.set_drvdata(Binding::new(data))?;
        // SAFETY: Stored one line above, with this type.
        let binding = unsafe { dev.drvdata_borrow::<Binding<T>>() };
        binding.attach(attach).inspect_err(|_| {
            // SAFETY: Stored above, with this type. What `attach` has borrowed from it is gone:
            // `Binding::attach` has ended the scope.
            unsafe { drop_data::<T>(dev) };
        })?;
        Ok(0)
    })
}

/// What a remove callback does: lets the driver silence the hardware, ends the scope, and drops the data.
///
/// # Safety
///
/// [`probe`] has succeeded for this device, with data of type `T`, and this is called once.
pub(crate) unsafe fn remove<T>(dev: &Device<CoreInternal<'_>>, unbind: impl FnOnce(Pin<&T>)) {
    // SAFETY: `probe` succeeded, so it stored a binding of this type, which nobody has taken.
    let binding = unsafe { dev.drvdata_borrow::<Binding<T>>() };
    unbind(binding.data());
    binding.detach();
    // SAFETY: As above; nothing is borrowed any more, since the scope has ended.
    unsafe { drop_data::<T>(dev) };
}

/// Drops what [`probe`] has stored. The driver core finds nothing left to drop then.
///
/// # Safety
///
/// The device's private data is what `probe` stored, for a `T`, and nothing borrows it.
unsafe fn drop_data<T>(dev: &Device<CoreInternal<'_>>) {
    #[cfg(devscope_mutants)]
    if mutants::active(Mutant::DataAfterBus) {
        return;
    }
    // `Device` is a transparent wrapper.
    let dev = ptr::from_ref(dev).cast::<bindings::device>().cast_mut();
    // SAFETY: A live device.
    let data = unsafe { bindings::dev_get_drvdata(dev) };
    // SAFETY: A live device. We are in a callback of its bus, so its lock is held, and nobody else looks.
    unsafe { bindings::dev_set_drvdata(dev, ptr::null_mut()) };
    // SAFETY:
    // - `Device::set_drvdata` has it from `into_foreign`, of a `Pin<KBox<Binding<T>>>`: requirement.
    // - Taken once: null stands there now.
    drop(unsafe { <Pin<KBox<Binding<T>>>>::from_foreign(data.cast()) });
}

/// Makes a bus. The file imports the kernel's prelude and the contexts of devices. In `info` and `register`, `Self` is the adapter,
/// and `D` the driver.
macro_rules! driver {
    (
        $(#[$driver:meta])*
        pub trait Driver: 'static {
            $data:item
            $probe:item
            $attach:item
            $unbind:item
            // Which devices it is for.
            $($ids:item)*
        }

        $adapter:item

        // The device as Rust has it, and as C has it.
        device: $Device:ident = $device:ty,
        // C's structure for a driver.
        driver: $cdriver:ty,
        // What the matching id tells, by the device and what else C passes.
        $(info: |$dev:ident $(, $id:ident: $Id:ty)?| $info:block,)?
        register: |$reg:ident, $name:ident, $owner:ident| $register:block,
        unregister: $unregister:path,

        $module:item
    ) => {
        $(#[$driver])*
        ///
        /// A bound device goes through three calls, all in process context, under the device's lock,
        /// and allowed to sleep:
        ///
        /// 1. [`Driver::probe`] builds what is passive. Nothing can call in yet.
        /// 2. [`Driver::attach`] goes live: it registers closures that borrow what `probe()` built.
        /// 3. [`Driver::unbind`] silences the hardware. Everything is still live.
        ///
        /// Then the framework stops and drops the closures, and after that drops the data.
        pub trait Driver: 'static {
            /// What is passive: mappings, vectors, locks, buffers, counters. It lives in one place
            /// while the device is bound (`'bound`), and may borrow the device for that time.
            ///
            /// `Sync`, because handlers on all CPUs share it. The bound also keeps the core context
            /// out: a device in the context `Core<'_>` is not `Sync`, so no borrow of one can be kept
            /// here for a handler to find.
            $data

            /// Builds the data. Nothing can call in yet.
            $probe

            /// Goes live: registers, in `scope`, what may call into the driver.
            ///
            /// `'a` is the time during which that may happen. It is shorter than the lifetime inside
            /// `Data`, so nothing that lives for `'a` can be stored there.
            ///
            /// Begin with `let data = data.get_ref();`: that borrow lives for `'a`, while one that is
            /// taken through the local `Pin` (`data.field`) ends with this function. If the compiler
            /// asks for `Pin<&'a Self::Data<'a>>`, something that lives for `'a` is being put into
            /// `Data`; it belongs into a closure, or into the device side of a file.
            ///
            /// An error ends the scope, with all that was registered, and fails the probe with it.
            $attach

            /// Silences the hardware, so that it stops raising interrupts and accessing memory.
            /// Everything is still live; the scope ends when this returns.
            $unbind

            $($ids)*
        }

        /// Stands between the C callbacks of the bus and a [`Driver`].
        ///
        /// A module with one driver need not name it: there is a macro. One with several registers each
        /// as a `kernel::driver::Registration<Adapter<D>>`.
        ///
        /// It takes the place of the kernel's own adapter instead of implementing the kernel's driver
        /// trait on top of it: that trait's `probe()` is safe to call, and its result, a scope
        /// included, could be put into a box and forgotten.
        $adapter

        // SAFETY:
        // - The driver's type is a C structure, as bindgen reads it.
        // - `bus::probe` stores a `Binding<D::Data<'_>>`.
        // - The structure embeds a `struct device_driver` at that offset.
        unsafe impl<D: Driver> ::kernel::driver::DriverLayout for Adapter<D> {
            type DriverType = $cdriver;
            type DriverData<'bound> = $crate::binding::Binding<D::Data<'bound>>;
            const DEVICE_DRIVER_OFFSET: usize =
                ::core::mem::offset_of!($cdriver, driver);
        }

        // SAFETY: `unregister` undoes what a successful `register` did.
        unsafe impl<D: Driver> ::kernel::driver::RegistrationOps for Adapter<D> {
            unsafe fn register(
                driver: &::kernel::types::Opaque<$cdriver>,
                $name: &'static CStr,
                $owner: &'static ThisModule,
            ) -> Result {
                let $reg = driver.get();
                // SAFETY: The structure is not registered yet, so it is ours to fill; it stays in
                // place until it is unregistered (requirement of `register`).
                ::kernel::error::to_result(unsafe { $register })
            }

            unsafe fn unregister(
                driver: &::kernel::types::Opaque<$cdriver>,
            ) {
                // SAFETY: Registered: requirement of `unregister`.
                unsafe { $unregister(driver.get()) };
            }
        }

        impl<D: Driver> Adapter<D> {
            /// # Safety
            ///
            /// Called by the bus, with a device to probe, and with the entry that matched where the
            /// bus passes one.
            unsafe extern "C" fn probe(
                dev: *mut $device
                $($(, $id: *const $Id)?)?
            ) -> c_int {
                // SAFETY: The bus passes a live device, for the time of this call at least; the type
                // is a transparent wrapper.
                let internal = unsafe { &*dev.cast::<$Device<CoreInternal<'_>>>() };
                // SAFETY: As above, and the bus holds the device's lock.
                let core = unsafe { &*dev.cast::<$Device<Core<'_>>>() };
                // SAFETY: As above, and the device stays bound until the callback that ends the scope
                // has returned: this one, if it fails, or `remove`.
                let bound = unsafe { &*dev.cast::<$Device<Bound>>() };
                let data = D::probe(core $(, {
                    let $dev = internal;
                    let info: Option<&'static D::IdInfo> = $info;
                    info
                })?);
                $crate::bus::probe(internal.as_ref(), data, |data, scope| {
                    D::attach(bound, data, scope)
                })
            }

            /// # Safety
            ///
            /// Called by the bus, with a device for which `probe` has succeeded.
            unsafe extern "C" fn remove(dev: *mut $device) {
                // SAFETY: As in `probe`.
                let internal = unsafe { &*dev.cast::<$Device<CoreInternal<'_>>>() };
                // SAFETY: As in `probe`.
                let core = unsafe { &*dev.cast::<$Device<Core<'_>>>() };
                // SAFETY: `probe` succeeded: requirement of this function.
                unsafe {
                    $crate::bus::remove::<D::Data<'_>>(internal.as_ref(), |data| {
                        D::unbind(core, data)
                    });
                }
            }
        }

        /// Declares a kernel module with one driver of this bus.
        ///
        /// ```text
        /// devscope::module_..._driver! {
        ///     type: MyDriver,
        ///     name: "my_driver",
        ///     authors: ["..."],
        ///     description: "...",
        ///     license: "GPL",
        /// }
        /// ```
        $module
    };
}

/// Lets the kernel find the information with an entry of a devicetree's or of ACPI's table.
macro_rules! firmware_ids {
    () => {
        impl<D: Driver> ::kernel::driver::Adapter for Adapter<D> {
            type IdInfo = D::IdInfo;

            fn of_id_table() -> Option<::kernel::of::IdTable<Self::IdInfo>> {
                D::OF_ID_TABLE
            }

            fn acpi_id_table() -> Option<::kernel::acpi::IdTable<Self::IdInfo>> {
                D::ACPI_ID_TABLE
            }
        }
    };
}

pub(crate) use {driver, firmware_ids};

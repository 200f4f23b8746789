// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drivers for platform devices.
//!
//! C header: [`include/linux/platform_device.h`](srctree/include/linux/platform_device.h)

use crate::{bus, Scope};
use core::{marker::PhantomData, ptr};
use kernel::{
    acpi, bindings,
    device::{Bound, Core, CoreInternal},
    driver, of,
    platform::Device,
    prelude::*,
};

bus::driver! {
    /// A driver for platform devices.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is not a devscope platform driver",
        label = "`devscope::platform::Driver` is not implemented for this type",
        note = "implement `devscope::platform::Driver`: `probe()` builds `Data`, `attach()` registers what calls in"
    )]
    pub trait Driver: 'static {
        type Data<'bound>: Send + Sync + 'bound;

        fn probe<'bound>(
            dev: &'bound Device<Core<'_>>,
            info: Option<&'bound Self::IdInfo>,
        ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound;

        fn attach<'a>(
            dev: &'a Device<Bound>,
            data: Pin<&'a Self::Data<'_>>,
            scope: &mut Scope<'a>,
        ) -> Result;

        fn unbind(dev: &Device<Core<'_>>, data: Pin<&Self::Data<'_>>) {
            let _ = (dev, data);
        }

        /// What an entry of the id tables tells about its device.
        type IdInfo: 'static;

        /// The devicetree nodes that this driver is for, by `compatible`.
        const OF_ID_TABLE: Option<of::IdTable<Self::IdInfo>> = None;

        /// The ACPI devices that this driver is for.
        const ACPI_ID_TABLE: Option<acpi::IdTable<Self::IdInfo>> = None;
    }

    pub struct Adapter<D: Driver>(PhantomData<D>);

    device: Device = bindings::platform_device,
    driver: bindings::platform_driver,
    info: |pdev| {
        // SAFETY: The matched entry is from one of the driver's tables, which carry an `IdInfo`.
        unsafe { <Self as driver::Adapter>::id_info(pdev.as_ref()) }
    },
    register: |driver, name, module| {
        (*driver).driver.name = name.as_char_ptr();
        (*driver).probe = Some(Self::probe);
        (*driver).remove = Some(Self::remove);
        (*driver).driver.of_match_table = D::OF_ID_TABLE.map_or(ptr::null(), |table| table.as_ptr());
        (*driver).driver.acpi_match_table =
            D::ACPI_ID_TABLE.map_or(ptr::null(), |table| table.as_ptr());
        bindings::__platform_driver_register(driver, module.as_ptr(), name.as_char_ptr())
    },
    unregister: bindings::platform_driver_unregister,

    #[macro_export]
    macro_rules! module_platform_driver {
        ($($module:tt)*) => {
            ::kernel::module_driver!(<T>, $crate::platform::Adapter<T>, { $($module)* });
        };
    }
}

bus::firmware_ids!();

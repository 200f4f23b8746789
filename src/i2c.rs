// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drivers for I2C devices.
//!
//! C header: [`include/linux/i2c.h`](srctree/include/linux/i2c.h)
//!
//! # At shutdown
//!
//! Nothing is torn down when the machine is switched off or restarted: the scope lives on, and so does
//! all that it borrows. The I2C core disables the device's interrupt (`i2c_device_shutdown()` in
//! `drivers/i2c/i2c-core-base.c`), as it does for any driver without a `shutdown` callback.

use crate::{bus, Scope};
use core::{marker::PhantomData, ptr};
use kernel::{
    acpi, bindings,
    device::{Bound, Core, CoreInternal},
    device_id::RawDeviceIdIndex,
    driver,
    i2c::{DeviceId, I2cClient, IdTable},
    of,
    prelude::*,
};

bus::driver! {
    /// A driver for I2C devices.
    ///
    /// A borrow of `I2cClient<Bound>` cannot be kept in `Data` or in a closure: Linux's type is not
    /// `Sync`. One of its `device::Device<Bound>`, which `as_ref()` gives, can.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is not a devscope I2C driver",
        label = "`devscope::i2c::Driver` is not implemented for this type",
        note = "implement `devscope::i2c::Driver`: `probe()` builds `Data`, `attach()` registers what calls in"
    )]
    pub trait Driver: 'static {
        type Data<'bound>: Send + Sync + 'bound;

        fn probe<'bound>(
            dev: &'bound I2cClient<Core<'_>>,
            info: Option<&'bound Self::IdInfo>,
        ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound;

        fn attach<'a>(
            dev: &'a I2cClient<Bound>,
            data: Pin<&'a Self::Data<'_>>,
            scope: &mut Scope<'a>,
        ) -> Result;

        fn unbind(dev: &I2cClient<Core<'_>>, data: Pin<&Self::Data<'_>>) {
            let _ = (dev, data);
        }

        /// What an entry of the id tables tells about its device.
        type IdInfo: 'static;

        /// The devices that this driver is for, by name.
        const I2C_ID_TABLE: Option<IdTable<Self::IdInfo>> = None;

        /// The devicetree nodes that this driver is for, by `compatible`.
        const OF_ID_TABLE: Option<of::IdTable<Self::IdInfo>> = None;

        /// The ACPI devices that this driver is for.
        const ACPI_ID_TABLE: Option<acpi::IdTable<Self::IdInfo>> = None;
    }

    pub struct Adapter<D: Driver>(PhantomData<D>);

    device: I2cClient = bindings::i2c_client,
    driver: bindings::i2c_driver,
    info: |client| {
        let table = D::I2C_ID_TABLE.map_or(ptr::null(), |table| table.as_ptr());
        // SAFETY: The table is null, for which the answer is null, or ends with an empty entry. The
        // client is live; `I2cClient` is a transparent wrapper.
        let id = unsafe { bindings::i2c_match_id(table, ptr::from_ref(client).cast()) };
        // SAFETY: Null, or an entry of the table; `DeviceId` is a transparent wrapper.
        match unsafe { id.cast::<DeviceId>().as_ref() } {
            // SAFETY: An entry of `I2C_ID_TABLE`. Its `driver_data` is 0 if the table was declared
            // without information.
            Some(id) => unsafe { id.info_unchecked_opt::<D::IdInfo>() },
            // SAFETY: The matched entry is from one of the driver's other tables, which carry an
            // `IdInfo`.
            None => unsafe { <Self as driver::Adapter>::id_info(client.as_ref()) },
        }
    },
    register: |driver, name, module| {
        (*driver).driver.name = name.as_char_ptr();
        (*driver).probe = Some(Self::probe);
        (*driver).remove = Some(Self::remove);
        (*driver).id_table = D::I2C_ID_TABLE.map_or(ptr::null(), |table| table.as_ptr());
        (*driver).driver.of_match_table = D::OF_ID_TABLE.map_or(ptr::null(), |table| table.as_ptr());
        (*driver).driver.acpi_match_table =
            D::ACPI_ID_TABLE.map_or(ptr::null(), |table| table.as_ptr());
        bindings::i2c_register_driver(module.as_ptr(), driver)
    },
    unregister: bindings::i2c_del_driver,

    #[macro_export]
    macro_rules! module_i2c_driver {
        ($($module:tt)*) => {
            ::kernel::module_driver!(<T>, $crate::i2c::Adapter<T>, { $($module)* });
        };
    }
}

bus::firmware_ids!();

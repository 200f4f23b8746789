// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drivers for PCI devices.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use crate::{bus, Scope};
use core::marker::PhantomData;
use kernel::{
    bindings,
    device::{Bound, Core, CoreInternal},
    device_id::RawDeviceIdIndex,
    pci::{Device, DeviceId, IdTable},
    prelude::*,
};

bus::driver! {
    /// A driver for PCI devices.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is not a devscope PCI driver",
        label = "`devscope::pci::Driver` is not implemented for this type",
        note = "implement `devscope::pci::Driver`: `probe()` builds `Data`, `attach()` registers what calls in"
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

        /// What an entry of the id table tells about its device.
        type IdInfo: 'static;

        /// The devices that this driver is for.
        const ID_TABLE: IdTable<Self::IdInfo>;
    }

    pub struct Adapter<D: Driver>(PhantomData<D>);

    device: Device = bindings::pci_dev,
    driver: bindings::pci_driver,
    info: |_pdev, id: bindings::pci_device_id| {
        // SAFETY: The bus passes a live entry; `DeviceId` is a transparent wrapper.
        let id = unsafe { &*id.cast::<DeviceId>() };
        // SAFETY: The entry is one of `ID_TABLE`, or a dynamic one, whose `driver_data` is checked to
        // occur in `ID_TABLE`, or the wildcard of `driver_override`, whose `driver_data` is 0.
        unsafe { id.info_unchecked_opt::<D::IdInfo>() }
    },
    register: |driver, name, module| {
        (*driver).name = name.as_char_ptr();
        (*driver).probe = Some(Self::probe);
        (*driver).remove = Some(Self::remove);
        (*driver).id_table = D::ID_TABLE.as_ptr();
        bindings::__pci_register_driver(driver, module.as_ptr(), name.as_char_ptr())
    },
    unregister: bindings::pci_unregister_driver,

    #[macro_export]
    macro_rules! module_pci_driver {
        ($($module:tt)*) => {
            ::kernel::module_driver!(<T>, $crate::pci::Adapter<T>, { $($module)* });
        };
    }
}

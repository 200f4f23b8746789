// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drivers for auxiliary devices: parts of a device that another driver has bound.
//!
//! C header: [`include/linux/auxiliary_bus.h`](srctree/include/linux/auxiliary_bus.h)

use crate::{bus, Scope};
use core::marker::PhantomData;
use kernel::{
    auxiliary::{Device, DeviceId, IdTable},
    bindings,
    device::{Bound, Core, CoreInternal},
    device_id::RawDeviceIdIndex,
    prelude::*,
};

bus::driver! {
    /// A driver for auxiliary devices.
    ///
    /// The parent, which has made the device, stays bound for as long as this driver is: it takes its
    /// child away first.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is not a devscope auxiliary driver",
        label = "`devscope::auxiliary::Driver` is not implemented for this type",
        note = "implement `devscope::auxiliary::Driver`: `probe()` builds `Data`, `attach()` registers what calls in"
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

    device: Device = bindings::auxiliary_device,
    driver: bindings::auxiliary_driver,
    info: |_adev, id: bindings::auxiliary_device_id| {
        // SAFETY: The bus passes a live entry of `ID_TABLE`: what `auxiliary_match_id()` finds there now
        // it found when it matched, since a device keeps its name (`drivers/base/auxiliary.c`).
        // `DeviceId` is a transparent wrapper.
        let id = unsafe { &*id.cast::<DeviceId>() };
        // SAFETY: An entry of `ID_TABLE`. Its `driver_data` is 0 if the table was declared without
        // information.
        unsafe { id.info_unchecked_opt::<D::IdInfo>() }
    },
    register: |driver, name, module| {
        (*driver).name = name.as_char_ptr();
        (*driver).probe = Some(Self::probe);
        (*driver).remove = Some(Self::remove);
        (*driver).id_table = D::ID_TABLE.as_ptr();
        bindings::__auxiliary_driver_register(driver, module.as_ptr(), name.as_char_ptr())
    },
    unregister: bindings::auxiliary_driver_unregister,

    #[macro_export]
    macro_rules! module_auxiliary_driver {
        ($($module:tt)*) => {
            ::kernel::module_driver!(<T>, $crate::auxiliary::Adapter<T>, { $($module)* });
        };
    }
}

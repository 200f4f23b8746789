// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drivers for the interfaces of USB devices.
//!
//! C header: [`include/linux/usb.h`](srctree/include/linux/usb.h)
//!
//! Transfers are members of the scope: see [`urb`](crate::urb).
//!
//! # When an interface is taken away
//!
//! The USB core calls it `disconnect`, whether the device was pulled out or the driver is unbound. It
//! terminates the interface's URBs before (`usb_unbind_interface()` in `drivers/usb/core/driver.c`), so
//! that in [`Driver::unbind`] nothing can be asked of the device any more, though all else is live.
//!
//! These drivers have no callbacks for a reset or for suspending the system, and so the USB core unbinds
//! them before a reset of the device, and binds them again after it (`usb_reset_device()` in
//! `drivers/usb/core/hub.c`); the same before and after a suspension (`unbind_no_pm_drivers_interfaces()`).
//! Each such cycle ends one scope and begins another.

use crate::{bus, Scope};
use core::marker::PhantomData;
use kernel::{
    bindings,
    device::{Bound, Core, CoreInternal},
    device_id::RawDeviceIdIndex,
    prelude::*,
    usb::{DeviceId, IdTable, Interface},
};

bus::driver! {
    /// A driver for interfaces of USB devices.
    ///
    /// A borrow of `Interface<Bound>` cannot be kept in `Data` or in a closure: Linux's type is not
    /// `Sync`. One of its `device::Device<Bound>`, which `as_ref()` gives, can.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is not a devscope USB driver",
        label = "`devscope::usb::Driver` is not implemented for this type",
        note = "implement `devscope::usb::Driver`: `probe()` builds `Data`, `attach()` registers what calls in"
    )]
    pub trait Driver: 'static {
        type Data<'bound>: Send + Sync + 'bound;

        fn probe<'bound>(
            dev: &'bound Interface<Core<'_>>,
            info: Option<&'bound Self::IdInfo>,
        ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound;

        fn attach<'a>(
            dev: &'a Interface<Bound>,
            data: Pin<&'a Self::Data<'_>>,
            scope: &mut Scope<'a>,
        ) -> Result;

        fn unbind(dev: &Interface<Core<'_>>, data: Pin<&Self::Data<'_>>) {
            let _ = (dev, data);
        }

        /// What an entry of the id table tells about its device.
        type IdInfo: 'static;

        /// The interfaces that this driver is for.
        const ID_TABLE: IdTable<Self::IdInfo>;
    }

    pub struct Adapter<D: Driver>(PhantomData<D>);

    device: Interface = bindings::usb_interface,
    driver: bindings::usb_driver,
    info: |_intf, id: bindings::usb_device_id| {
        // SAFETY: The USB core passes an entry that is live during this call; `DeviceId` is a
        // transparent wrapper.
        let id = unsafe { &*id.cast::<DeviceId>() };
        // SAFETY: The entry is one of `ID_TABLE`, or a dynamic one, whose `driver_info` is copied from an
        // entry of `ID_TABLE` or is 0 (`usb_store_new_id()` in `drivers/usb/core/driver.c`).
        unsafe { id.info_unchecked_opt::<D::IdInfo>() }
    },
    register: |driver, name, module| {
        (*driver).name = name.as_char_ptr();
        (*driver).probe = Some(Self::probe);
        (*driver).disconnect = Some(Self::remove);
        (*driver).id_table = D::ID_TABLE.as_ptr();
        bindings::usb_register_driver(driver, module.as_ptr(), name.as_char_ptr())
    },
    unregister: bindings::usb_deregister,

    #[macro_export]
    macro_rules! module_usb_driver {
        ($($module:tt)*) => {
            ::kernel::module_driver!(<T>, $crate::usb::Adapter<T>, { $($module)* });
        };
    }
}

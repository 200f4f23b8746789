// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A device without hardware, and its driver, for as long as a module is loaded.
//!
//! C header: [`include/linux/device/faux.h`](srctree/include/linux/device/faux.h)
//!
//! There is one driver on the faux bus, and it is the kernel's own; who makes a device says what that
//! driver is to call. Here the two are one: [`module_faux_driver!`](crate::module_faux_driver) makes a
//! device of the module's name when the module is loaded, and takes it away when it is unloaded. Nobody
//! else binds or unbinds it (`suppress_bind_attrs` in `drivers/base/faux.c`).
//!
//! If `probe()` or `attach()` fails, the module does not load, with `ENODEV` whatever the error was: C
//! keeps none (`faux_device_create_with_groups()`).

use crate::{bus, Scope};
use core::{marker::PhantomData, ptr};
use kernel::{
    bindings,
    device::{Bound, Core, CoreInternal},
    faux::Device,
    prelude::*,
};

bus::driver! {
    /// A driver with a device of its own.
    ///
    /// A borrow of `faux::Device<Bound>` cannot be kept in `Data` or in a closure: Linux's type is not
    /// `Sync`. One of its `device::Device<Bound>`, which `as_ref()` gives, can.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is not a devscope faux driver",
        label = "`devscope::faux::Driver` is not implemented for this type",
        note = "implement `devscope::faux::Driver`: `probe()` builds `Data`, `attach()` registers what calls in"
    )]
    pub trait Driver: 'static {
        type Data<'bound>: Send + Sync + 'bound;

        fn probe<'bound>(
            dev: &'bound Device<Core<'_>>,
        ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound;

        fn attach<'a>(
            dev: &'a Device<Bound>,
            data: Pin<&'a Self::Data<'_>>,
            scope: &mut Scope<'a>,
        ) -> Result;

        fn unbind(dev: &Device<Core<'_>>, data: Pin<&Self::Data<'_>>) {
            let _ = (dev, data);
        }
    }

    pub struct Adapter<D: Driver>(PhantomData<D>);

    device: Device = bindings::faux_device,
    driver: Registered,
    register: |driver, name, _module| {
        (*driver).device =
            bindings::faux_device_create(name.as_char_ptr(), ptr::null_mut(), Self::OPS);
        match (*driver).device.is_null() {
            true => ENODEV.to_errno(),
            false => 0,
        }
    },
    unregister: unregister,

    #[macro_export]
    macro_rules! module_faux_driver {
        ($($module:tt)*) => {
            ::kernel::module_driver!(<T>, $crate::faux::Adapter<T>, { $($module)* });
        };
    }
}

/// What stands where other buses have a driver's structure: the device.
///
/// The kernel's registrations of drivers write to the `struct device_driver` in it. Nobody reads that.
#[doc(hidden)]
#[repr(C)]
pub struct Registered {
    driver: bindings::device_driver,
    device: *mut bindings::faux_device,
}

impl Default for Registered {
    fn default() -> Self {
        Self {
            driver: bindings::device_driver::default(),
            device: ptr::null_mut(),
        }
    }
}

/// # Safety
///
/// `driver` was registered.
unsafe fn unregister(driver: *mut Registered) {
    // SAFETY: `register` made the device, and nobody destroys it but us.
    unsafe { bindings::faux_device_destroy((*driver).device) };
}

impl<D: Driver> Adapter<D> {
    const OPS: &'static bindings::faux_device_ops = &bindings::faux_device_ops {
        probe: Some(Self::probe),
        remove: Some(Self::remove),
    };
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Auxiliary devices: parts of a device that other drivers are for.
//!
//! C header: [`include/linux/auxiliary_bus.h`](srctree/include/linux/auxiliary_bus.h)
//!
//! The *parent* makes such a device as a member of its scope, with [`Scope::auxiliary_device`]. The
//! *child* is a driver like any other: it implements [`Driver`]. In between is what the parent registers
//! the device with, and the child finds by `registration_data()` of the kernel's
//! [`Device`]: a value that may borrow all that closures of the parent's scope
//! may, handles included.
//!
//! The child is unbound when the parent's scope withdraws its members, while all that it may call is
//! still live: a child that waits for the parent's work item gets what it waits for, and one that sleeps
//! on the parent's queue gets `ENODEV`. From then on nobody has what the parent lent.
//!
//! A child that is unbound alone is not woken from its parent's queue, which has not closed: unbinding it
//! waits for the parent to wake it. What has to end with the child sleeps on a queue of the child's.

use crate::{
    body::Body,
    bus,
    scope::{Member, Scope, Step},
};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{
    auxiliary::{Device, DeviceId, IdTable, Registration},
    bindings, device,
    device::{Bound, Core, CoreInternal},
    device_id::RawDeviceIdIndex,
    prelude::*,
    types::{CovariantForLt, ForLt},
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

/// A device that this scope has made.
#[pin_data]
struct Child<'a, F: ForLt + 'static> {
    /// Dropped by [`Step::Withdraw`].
    registration: Body<Registration<'a, F>>,
}

impl<'a, F: ForLt + 'static> Child<'a, F>
where
    for<'b> F::Of<'b>: Send + Sync,
{
    /// # Safety
    ///
    /// What this makes is dropped before `'a` ends.
    unsafe fn new(
        parent: &'a device::Device<Bound>,
        modname: &'static CStr,
        name: &'static CStr,
        id: u32,
        data: impl PinInit<F::Of<'a>, Error>,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            registration: Body::new({
                // SAFETY: It is dropped: requirement of this function.
                unsafe { Registration::new_with_lt(parent, name, id, modname, data) }?
            }),
        })
    }
}

// SAFETY: `Step::Withdraw` drops the registration, which deletes the device: its driver is unbound, and
// the data is dropped, when that has returned (`device_del()` in `drivers/base/core.c`). Nothing else
// calls.
unsafe impl<F: ForLt + 'static> Member for Child<'_, F> {
    unsafe fn step(this: NonNull<Self>, step: Step) {
        if step == Step::Withdraw {
            // SAFETY: `this` is a member of a scope; only shared references to it are made. The step is
            // taken once, and nobody else looks at the registration.
            unsafe { this.as_ref().registration.drop_in_place() };
        }
    }

    unsafe fn drop_body(&self) {}
}

impl<'a> Scope<'a> {
    /// Makes an auxiliary device, a child of `parent`, for a driver whose table has `modname` and `name`.
    ///
    /// Its name is `modname.name.id`. A driver that is loaded is bound before this returns, and one that
    /// is loaded later is bound then: from here on, until the scope withdraws it, the child may use
    /// `data`.
    ///
    /// `F` is a type that names the data's without its lifetime: `CovariantForLt!(&Data)`. The child
    /// has to name the same type, which is compared when it asks (`EINVAL`). It has to be covariant:
    /// data that could be given a borrow of itself, in a `Mutex` for example, could use that when it
    /// is dropped.
    ///
    /// Process context, sleeps. Errors: `ENOMEM`; `EEXIST`, if there is a device of that name; those of
    /// `data`.
    pub fn auxiliary_device<F>(
        &mut self,
        parent: &'a device::Device<Bound>,
        modname: &'static CStr,
        name: &'static CStr,
        id: u32,
        data: impl PinInit<F::Of<'a>, Error>,
    ) -> Result
    where
        F: CovariantForLt + 'static,
        for<'b> F::Of<'b>: Send + Sync,
    {
        // SAFETY: A member of the scope is not forgotten: `Step::Withdraw` drops it, and that has returned
        // when `'a` ends. If the member comes to nothing, its initializer drops it.
        self.join(unsafe { Child::<'a, F>::new(parent, modname, name, id, data) })?;
        Ok(())
    }
}

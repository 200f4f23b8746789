//! The auxiliary bus: parts of a device, for drivers of their own.
//!
//! C header: `include/linux/auxiliary_bus.h`; mirrors `rust/kernel/auxiliary.rs`.

use crate::{
    bindings, container_of,
    device::{self, Bound},
    device_id::{RawDeviceId, RawDeviceIdIndex},
    driver,
    error::{from_result, to_result},
    prelude::*,
    types::{CovariantForLt, ForLt, ForeignOwnable, Opaque},
    ThisModule,
};
use core::{any::TypeId, marker::PhantomData, mem::offset_of, ptr::NonNull};

/// Registers a [`Driver`] with the auxiliary bus.
pub struct Adapter<T: Driver>(T);

// SAFETY: `struct auxiliary_driver` has a `driver`, and `probe_callback` stores a `T::Data`.
unsafe impl<T: Driver> driver::DriverLayout for Adapter<T> {
    type DriverType = bindings::auxiliary_driver;
    type DriverData<'bound> = T::Data<'bound>;
    const DEVICE_DRIVER_OFFSET: usize = offset_of!(Self::DriverType, driver);
}

// SAFETY: `auxiliary_driver_unregister` unbinds all devices, so no callback runs afterwards.
unsafe impl<T: Driver> driver::RegistrationOps for Adapter<T> {
    unsafe fn register(
        adrv: &Opaque<Self::DriverType>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        let driver = adrv.get();
        // SAFETY: Initialised, and not registered yet.
        unsafe {
            (*driver).name = name.as_char_ptr();
            (*driver).probe = Some(Self::probe_callback);
            (*driver).remove = Some(Self::remove_callback);
            (*driver).id_table = T::ID_TABLE.as_ptr();
        }
        // SAFETY: Pinned until it is unregistered: asked of the caller.
        to_result(unsafe {
            bindings::__auxiliary_driver_register(driver, module.as_ptr(), name.as_char_ptr())
        })
    }

    unsafe fn unregister(adrv: &Opaque<Self::DriverType>) {
        // SAFETY: Registered: asked of the caller.
        unsafe { bindings::auxiliary_driver_unregister(adrv.get()) };
    }
}

impl<T: Driver> Adapter<T> {
    extern "C" fn probe_callback(
        adev: *mut bindings::auxiliary_device,
        id: *const bindings::auxiliary_device_id,
    ) -> c_int {
        // SAFETY: The bus calls with a device that it is probing, valid during the call.
        let adev = unsafe { &*adev.cast::<Device<device::CoreInternal<'_>>>() };
        // SAFETY: An entry of the driver's table.
        let id = unsafe { &*id.cast::<DeviceId>() };
        // SAFETY: An entry of the driver's table.
        let info = unsafe { id.info_unchecked::<T::IdInfo>() };
        from_result(|| {
            adev.as_ref().set_drvdata(T::probe(adev, info))?;
            Ok(0)
        })
    }

    extern "C" fn remove_callback(adev: *mut bindings::auxiliary_device) {
        // SAFETY: The bus calls with a device that it is removing, valid during the call.
        let adev = unsafe { &*adev.cast::<Device<device::CoreInternal<'_>>>() };
        // SAFETY: Stored by `probe_callback`; the bus removes only what was probed.
        let data = unsafe { adev.as_ref().drvdata_borrow::<T::Data<'_>>() };
        T::unbind(adev, data);
    }
}

/// A `struct auxiliary_device_id`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct DeviceId(bindings::auxiliary_device_id);

impl DeviceId {
    /// Matches the devices of that name that the module makes.
    pub const fn new(modname: &'static CStr, name: &'static CStr) -> Self {
        let (modname, name) = (modname.to_bytes(), name.to_bytes());
        // SAFETY: Integers, which may all be zero.
        let mut id: bindings::auxiliary_device_id = unsafe { core::mem::zeroed() };
        let mut i = 0;
        while i < modname.len() {
            id.name[i] = modname[i];
            i += 1;
        }
        id.name[i] = b'.';
        let mut j = 0;
        while j < name.len() {
            id.name[i + 1 + j] = name[j];
            j += 1;
        }
        Self(id)
    }
}

// SAFETY: Transparent around it.
unsafe impl RawDeviceId for DeviceId {
    type RawType = bindings::auxiliary_device_id;
}

// SAFETY: The field `driver_data`.
unsafe impl RawDeviceIdIndex for DeviceId {
    const DRIVER_DATA_OFFSET: usize = offset_of!(bindings::auxiliary_device_id, driver_data);
}

/// A table of auxiliary IDs.
pub type IdTable<T> = &'static dyn kernel::device_id::IdTable<DeviceId, T>;

/// Declares a static table of auxiliary IDs.
#[macro_export]
macro_rules! auxiliary_device_table {
    ($($tt:tt)*) => {
        $crate::module_device_table!("auxiliary", $crate::auxiliary::DeviceId, $($tt)*);
    };
}

/// Declares a module that is one auxiliary driver.
#[macro_export]
macro_rules! module_auxiliary_driver {
    ($($f:tt)*) => {
        $crate::module_driver!(<T>, $crate::auxiliary::Adapter<T>, { $($f)* });
    };
}

/// An auxiliary driver.
pub trait Driver {
    /// What the driver keeps with each device ID.
    type IdInfo: 'static;

    /// The driver's private data of a bound device.
    type Data<'bound>: Send + 'bound;

    /// Which devices it is for.
    const ID_TABLE: IdTable<Self::IdInfo>;

    /// Binds to a device.
    fn probe<'bound>(
        dev: &'bound Device<device::Core<'_>>,
        id_info: &'bound Self::IdInfo,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound;

    /// Unbinds from a device, which is still there; then the private data is dropped.
    fn unbind<'bound>(dev: &'bound Device<device::Core<'_>>, this: Pin<&Self::Data<'bound>>) {
        let _ = (dev, this);
    }
}

/// A `struct auxiliary_device`, in context `Ctx`.
///
/// # Invariants
///
/// 1. The `struct auxiliary_device` is valid, and its reference count is not zero, while this is
///    borrowed.
#[repr(transparent)]
pub struct Device<Ctx: device::DeviceContext = device::Normal>(
    Opaque<bindings::auxiliary_device>,
    PhantomData<Ctx>,
);

impl<Ctx: device::DeviceContext> Device<Ctx> {
    fn as_raw(&self) -> *mut bindings::auxiliary_device {
        self.0.get()
    }
}

impl<Ctx: device::DeviceContext> Device<Ctx> {
    /// The number at the end of its name.
    pub fn id(&self) -> u32 {
        // SAFETY: Invariant 1.
        unsafe { (*self.as_raw()).id }
    }
}

impl Device<Bound> {
    /// The device that this is a part of, which is bound as well.
    pub fn parent(&self) -> &device::Device<Bound> {
        let parent = (**self).parent();
        // SAFETY: A parent takes its children away before it is unbound.
        unsafe { parent.as_bound() }
    }

    /// # Safety
    ///
    /// What is stored may be looked at for this shorter time.
    unsafe fn registration_data_pinned<F: ForLt + 'static>(&self) -> Result<Pin<&F::Of<'_>>> {
        // SAFETY: Invariant 1.
        let ptr = unsafe { (*self.as_raw()).registration_data_rust };
        if ptr.is_null() {
            return Err(ENOENT);
        }
        // SAFETY: A `RegistrationData` begins with its type's name.
        if unsafe { ptr.cast::<TypeId>().read() } != TypeId::of::<F>() {
            return Err(EINVAL);
        }
        // SAFETY: Of that type, as was just asked, and kept until the device is unbound.
        let data = unsafe { Pin::<KBox<RegistrationData<F::Of<'_>>>>::borrow(ptr) };
        // SAFETY: Structurally pinned.
        Ok(unsafe { data.map_unchecked(|data| &data.data) })
    }

    /// Looks at what the parent has registered the device with.
    pub fn registration_data_with<F: ForLt + 'static, R>(
        &self,
        f: impl for<'a> FnOnce(Pin<&'a F::Of<'a>>) -> R,
    ) -> Result<R> {
        // SAFETY: The closure does not know the lifetime.
        let pinned = unsafe { self.registration_data_pinned::<F>()? };
        Ok(f(pinned))
    }

    /// What the parent has registered the device with.
    pub fn registration_data<F: CovariantForLt + 'static>(&self) -> Result<Pin<&F::Of<'_>>> {
        // SAFETY: Covariant.
        unsafe { self.registration_data_pinned::<F>() }
    }
}

impl Device {
    /// The device that this is a part of.
    pub fn parent(&self) -> &device::Device {
        // SAFETY: It has one.
        unsafe { self.as_ref().parent().unwrap_unchecked() }
    }

    extern "C" fn release(dev: *mut bindings::device) {
        // SAFETY: The `struct device` of an auxiliary one.
        let adev = unsafe { container_of!(dev, bindings::auxiliary_device, dev) };
        // SAFETY: Allocated by `Registration::new_with_lt`.
        drop(unsafe { KBox::<Opaque<bindings::auxiliary_device>>::from_raw(adev.cast()) });
    }
}

// SAFETY: Transparent around `struct auxiliary_device`, whatever the context.
kernel::impl_device_context_deref!(unsafe { Device });
kernel::impl_device_context_into_aref!(Device);

// SAFETY: Transparent around `struct auxiliary_device`, in which `dev` is there.
unsafe impl<Ctx: device::DeviceContext> device::AsBusDevice<Ctx> for Device<Ctx> {
    const OFFSET: usize = offset_of!(bindings::auxiliary_device, dev);
}

impl<Ctx: device::DeviceContext> AsRef<device::Device<Ctx>> for Device<Ctx> {
    fn as_ref(&self) -> &device::Device<Ctx> {
        // SAFETY: Invariant 1.
        let dev = unsafe { &raw mut (*self.as_raw()).dev };
        // SAFETY: Lives as long, in the same context.
        unsafe { device::Device::from_raw(dev) }
    }
}

// SAFETY: The references are those of the `struct device` inside.
unsafe impl crate::sync::aref::AlwaysRefCounted for Device {
    fn inc_ref(&self) {
        let dev: &device::Device = self.as_ref();
        // SAFETY: Invariant 1.
        unsafe { bindings::get_device(dev.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference, so the device is valid.
        let dev = unsafe { &raw mut (*obj.cast::<bindings::auxiliary_device>().as_ptr()).dev };
        // SAFETY: The reference that the caller gives up.
        unsafe { bindings::put_device(dev) }
    }
}

// SAFETY: Released on any thread.
unsafe impl Send for Device {}

// SAFETY: What `&Device` can do, the C side synchronises.
unsafe impl Sync for Device {}

// SAFETY: The same device; the context says nothing about threads.
unsafe impl Sync for Device<Bound> {}

#[repr(C)]
#[pin_data]
struct RegistrationData<T> {
    type_id: TypeId,
    #[pin]
    data: T,
}

/// An auxiliary device, and what its driver may look at.
///
/// # Invariants
///
/// 1. The device is registered, and has an `F::Of<'a>`.
pub struct Registration<'a, F: ForLt + 'static> {
    adev: NonNull<bindings::auxiliary_device>,
    _phantom: PhantomData<F::Of<'a>>,
}

impl<'a, F: ForLt> Registration<'a, F>
where
    for<'b> F::Of<'b>: Send + Sync,
{
    /// Registers a device.
    ///
    /// # Safety
    ///
    /// The registration is dropped, never forgotten.
    pub unsafe fn new_with_lt<E>(
        parent: &'a device::Device<Bound>,
        name: &CStr,
        id: u32,
        modname: &CStr,
        data: impl PinInit<F::Of<'a>, E>,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        let data = KBox::pin_init::<Error>(
            try_pin_init!(RegistrationData {
                type_id: TypeId::of::<F>(),
                data <- data,
            }),
            GFP_KERNEL,
        )?;
        let boxed = KBox::new(Opaque::<bindings::auxiliary_device>::zeroed(), GFP_KERNEL)?;
        let adev = boxed.get();
        // SAFETY: Ours to fill in.
        unsafe {
            (*adev).dev.parent = parent.as_raw();
            (*adev).dev.release = Some(Device::release);
            (*adev).name = name.as_char_ptr();
            (*adev).id = id;
            (*adev).registration_data_rust = data.into_foreign();
        }
        // SAFETY: Filled in. `release` frees it from here on.
        unsafe { bindings::auxiliary_device_init(adev) };
        let _ = KBox::into_raw(boxed);
        // SAFETY: Initialised.
        let ret = unsafe { bindings::__auxiliary_device_add(adev, modname.as_char_ptr()) };
        // INVARIANT: 1, if `ret` is 0; otherwise it is given up below.
        let this = Self {
            // SAFETY: It was allocated.
            adev: unsafe { NonNull::new_unchecked(adev) },
            _phantom: PhantomData,
        };
        if ret != 0 {
            let this = core::mem::ManuallyDrop::new(this);
            // SAFETY: Not registered, and so nobody looks.
            unsafe { this.release() };
            return Err(Error::from_errno(ret));
        }
        Ok(this)
    }

    /// Registers a device whose driver may look at something that borrows nothing.
    pub fn new<E>(
        parent: &'a device::Device<Bound>,
        name: &CStr,
        id: u32,
        modname: &CStr,
        data: impl PinInit<F::Of<'a>, E>,
    ) -> Result<Self>
    where
        F::Of<'a>: 'static,
        Error: From<E>,
    {
        // SAFETY: Nothing is borrowed.
        unsafe { Self::new_with_lt(parent, name, id, modname, data) }
    }
}

impl<F: ForLt> Registration<'_, F> {
    /// # Safety
    ///
    /// Called once, when no driver is bound, and none will be.
    unsafe fn release(&self) {
        let adev = self.adev.as_ptr();
        // SAFETY: From `into_foreign`, of that type but for its lifetime.
        drop(unsafe {
            Pin::<KBox<RegistrationData<F::Of<'_>>>>::from_foreign((*adev).registration_data_rust)
        });
        // SAFETY: The reference of `auxiliary_device_init`.
        unsafe { bindings::auxiliary_device_uninit(adev) };
    }
}

impl<F: ForLt> Drop for Registration<'_, F> {
    fn drop(&mut self) {
        // SAFETY: Registered: invariant 1.
        unsafe { bindings::auxiliary_device_delete(self.adev.as_ptr()) };
        // SAFETY: Its driver has been unbound.
        unsafe { self.release() };
    }
}

// SAFETY: Released on any thread.
unsafe impl<F: ForLt> Send for Registration<'_, F> where for<'a> F::Of<'a>: Send {}

// SAFETY: There is nothing to do with a borrow of one.
unsafe impl<F: ForLt> Sync for Registration<'_, F> where for<'a> F::Of<'a>: Send {}

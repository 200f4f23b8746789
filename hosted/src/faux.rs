//! The faux bus: devices without hardware.
//!
//! C header: `include/linux/device/faux.h`; mirrors `rust/kernel/faux.rs`.

use crate::{bindings, device, prelude::*, types::Opaque};
use core::{
    marker::PhantomData,
    mem::offset_of,
    ptr::{null, null_mut, NonNull},
};

/// A `struct faux_device`, in context `Ctx`.
///
/// # Invariants
///
/// 1. The `struct faux_device` is valid, and its reference count is not zero, while this is
///    borrowed.
#[repr(transparent)]
pub struct Device<Ctx: device::DeviceContext = device::Normal>(
    Opaque<bindings::faux_device>,
    PhantomData<Ctx>,
);

impl<Ctx: device::DeviceContext> Device<Ctx> {
    fn as_raw(&self) -> *mut bindings::faux_device {
        self.0.get()
    }
}

// SAFETY: Transparent around `struct faux_device`, in which `dev` is there.
unsafe impl<Ctx: device::DeviceContext> device::AsBusDevice<Ctx> for Device<Ctx> {
    const OFFSET: usize = offset_of!(bindings::faux_device, dev);
}

impl<Ctx: device::DeviceContext> AsRef<device::Device<Ctx>> for Device<Ctx> {
    fn as_ref(&self) -> &device::Device<Ctx> {
        // SAFETY: Invariant 1.
        let dev = unsafe { &raw mut (*self.as_raw()).dev };
        // SAFETY: Lives as long, in the same context.
        unsafe { device::Device::from_raw(dev) }
    }
}

/// A faux device. Dropping it removes the device.
///
/// # Invariants
///
/// 1. The device is registered, and bound to the kernel's own driver.
pub struct Registration(NonNull<bindings::faux_device>);

impl Registration {
    /// Makes a device.
    pub fn new(name: &CStr, parent: Option<&device::Device>) -> Result<Self> {
        let parent = parent.map_or(null_mut(), |parent| parent.as_raw());
        // SAFETY: The name is copied, and there are no callbacks.
        let dev = unsafe { bindings::faux_device_create(name.as_char_ptr(), parent, null()) };
        // INVARIANT: 1, until it is dropped.
        Ok(Self(NonNull::new(dev).ok_or(ENODEV)?))
    }
}

impl AsRef<Device<device::Bound>> for Registration {
    fn as_ref(&self) -> &Device<device::Bound> {
        // SAFETY: Invariant 1; transparent around it.
        unsafe { self.0.cast().as_ref() }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: Invariant 1.
        unsafe { bindings::faux_device_destroy(self.0.as_ptr()) };
    }
}

// SAFETY: Removed on any thread.
unsafe impl Send for Registration {}

// SAFETY: What a borrow of it can do, the C side synchronises.
unsafe impl Sync for Registration {}

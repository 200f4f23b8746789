//! Devices, and in which state of their lives one holds them.
//!
//! C header: `include/linux/device.h`; mirrors `rust/kernel/device.rs`. A `&Device<Ctx>` is good
//! for what its context `Ctx` allows, and each context dereferences to the next weaker one:
//!
//! [`CoreInternal`] → [`Core`] → [`Bound`] → [`Normal`], and [`BoundInternal`] → [`Bound`].
//!
//! Left out: firmware nodes and properties.

use crate::{
    alloc::{flags::GFP_KERNEL, KBox},
    bindings, fmt,
    prelude::*,
    sync::aref::ARef,
    types::{ForeignOwnable, Opaque},
};
use core::{
    marker::PhantomData,
    ptr::{self, NonNull},
};

/// A `struct device`, in context `Ctx`.
///
/// # Invariants
///
/// 1. The `struct device` is valid, and its reference count is not zero, while this is borrowed.
/// 2. It may be released on any thread.
#[repr(transparent)]
pub struct Device<Ctx: DeviceContext = Normal>(Opaque<bindings::device>, PhantomData<Ctx>);

impl Device {
    /// A reference count of its own to a device.
    ///
    /// # Safety
    ///
    /// The pointer is valid and its reference count not zero during the call; the device may be
    /// released on any thread.
    pub unsafe fn get_device(ptr: *mut bindings::device) -> ARef<Self> {
        // SAFETY: Asked of the caller.
        unsafe { Self::from_raw(ptr) }.into()
    }

    /// The same device, known to be bound.
    ///
    /// # Safety
    ///
    /// It is bound to a driver for as long as the reference lives.
    pub unsafe fn as_bound(&self) -> &Device<Bound> {
        let this: *const Self = self;
        // SAFETY: Transparent around the same type in every context; bound, says the caller.
        unsafe { &*this.cast() }
    }
}

impl<'a> Device<CoreInternal<'a>> {
    /// Makes the driver's private data and keeps it with the device.
    #[track_caller]
    pub fn set_drvdata<T>(&self, data: impl PinInit<T, Error>) -> Result {
        let data = KBox::pin_init(data, GFP_KERNEL)?;
        // SAFETY: A valid device: invariant 1.
        unsafe { bindings::dev_set_drvdata(self.as_raw(), data.into_foreign().cast()) };
        Ok(())
    }

    /// Takes the driver's private data back.
    ///
    /// # Safety
    ///
    /// It is a `T`, if it is there.
    pub(crate) unsafe fn drvdata_obtain<T>(&self) -> Option<Pin<KBox<T>>> {
        // SAFETY: A valid device: invariant 1.
        let ptr = unsafe { bindings::dev_get_drvdata(self.as_raw()) };
        // SAFETY: A valid device: invariant 1.
        unsafe { bindings::dev_set_drvdata(self.as_raw(), ptr::null_mut()) };
        // SAFETY: Null, or from `into_foreign` in `set_drvdata` of the same type: asked of the
        // caller. It is taken once, as null stands there now.
        unsafe { <Pin<KBox<T>>>::try_from_foreign(ptr.cast()) }
    }
}

impl<Ctx: InternalBoundContext> Device<Ctx> {
    /// Looks at the driver's private data.
    ///
    /// # Safety
    ///
    /// `set_drvdata` was called, for a `T`, and the device is not fully unbound yet.
    pub unsafe fn drvdata_borrow<T>(&self) -> Pin<&T> {
        // SAFETY: A valid device: invariant 1.
        let ptr = unsafe { bindings::dev_get_drvdata(self.as_raw()) };
        // SAFETY: From `into_foreign` in `set_drvdata`, not taken back yet: asked of the caller.
        unsafe { <Pin<KBox<T>>>::borrow(ptr.cast()) }
    }
}

macro_rules! message {
    ($($name:ident $macro:literal;)*) => {$(
        #[doc = concat!("What [`", $macro, "!`](crate::", $macro, ") calls.")]
        pub fn $name(&self, args: fmt::Arguments<'_>) {
            self.printk(args);
        }
    )*};
}

impl<Ctx: DeviceContext> Device<Ctx> {
    pub(crate) fn as_raw(&self) -> *mut bindings::device {
        self.0.get()
    }

    /// Whose child it is.
    pub(crate) fn parent(&self) -> Option<&Device> {
        // SAFETY: A valid device, by invariant 1, whose parent is set when it is made.
        let parent = unsafe { (*self.as_raw()).parent };
        // SAFETY: It holds a reference to its parent.
        (!parent.is_null()).then(|| unsafe { Device::from_raw(parent) })
    }

    /// The device at an address.
    ///
    /// # Safety
    ///
    /// It is valid, its reference count is not zero, and it is in context `Ctx`, all of `'a`.
    pub unsafe fn from_raw<'a>(ptr: *mut bindings::device) -> &'a Self {
        // SAFETY: Asked of the caller; transparent around `struct device`.
        unsafe { &*ptr.cast() }
    }

    message! {
        pr_emerg "dev_emerg";
        pr_alert "dev_alert";
        pr_crit "dev_crit";
        pr_err "dev_err";
        pr_warn "dev_warn";
        pr_notice "dev_notice";
        pr_info "dev_info";
    }

    /// What [`dev_dbg!`](crate::dev_dbg) calls.
    pub fn pr_dbg(&self, args: fmt::Arguments<'_>) {
        if cfg!(debug_assertions) {
            self.printk(args);
        }
    }

    /// "driver device: message", as `dev_printk()` has it.
    fn printk(&self, args: fmt::Arguments<'_>) {
        // SAFETY: A valid device: invariant 1; while it is bound, so is its driver.
        let driver = unsafe {
            let driver = (*self.as_raw()).driver;
            match driver.is_null() || (*driver).name.is_null() {
                true => None,
                false => Some(CStr::from_char_ptr((*driver).name)),
            }
        };
        let driver = driver.map_or_else(String::new, |name| format!("{} ", name.to_string_lossy()));
        let prefix = format!("{driver}{}", self.name().to_string_lossy());
        crate::hooks::printk(&prefix, args);
    }

    /// The device's name, such as `0000:00:03.0`.
    pub fn name(&self) -> &CStr {
        // SAFETY: A valid device, by invariant 1, which keeps its name.
        unsafe { CStr::from_char_ptr(bindings::dev_name(self.as_raw())) }
    }
}

// SAFETY: Transparent around `struct device`, whatever the context.
kernel::impl_device_context_deref!(unsafe { Device });
kernel::impl_device_context_into_aref!(Device);

// SAFETY: `get_device` and `put_device` count references.
unsafe impl crate::sync::aref::AlwaysRefCounted for Device {
    fn inc_ref(&self) {
        // SAFETY: A valid device: invariant 1.
        unsafe { bindings::get_device(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference.
        unsafe { bindings::put_device(obj.cast().as_ptr()) }
    }
}

// SAFETY: Released on any thread: invariant 2.
unsafe impl Send for Device {}

// SAFETY: What `&Device` can do, the C side synchronises.
unsafe impl Sync for Device {}

// SAFETY: The same device; the context says nothing about threads.
unsafe impl Sync for Device<Bound> {}

/// In which state of its life a device is held.
pub trait DeviceContext: private::Sealed {}

/// Nothing is known.
pub struct Normal;

/// Inside a callback of the driver core, which holds the device's lock.
pub struct Core<'a>(PhantomData<fn(&'a ()) -> &'a ()>);

/// As [`Core`], for bus code only.
pub struct CoreInternal<'a>(PhantomData<fn(&'a ()) -> &'a ()>);

/// As [`Bound`], for bus code only.
pub struct BoundInternal;

/// Bound to a driver for as long as the reference lives.
pub struct Bound;

mod private {
    pub trait Sealed {}

    impl Sealed for super::Bound {}
    impl Sealed for super::BoundInternal {}
    impl Sealed for super::Core<'_> {}
    impl Sealed for super::CoreInternal<'_> {}
    impl Sealed for super::Normal {}
}

impl DeviceContext for Bound {}
impl DeviceContext for BoundInternal {}
impl DeviceContext for Core<'_> {}
impl DeviceContext for CoreInternal<'_> {}
impl DeviceContext for Normal {}

/// The contexts in which bus code may look at the driver's private data.
pub trait InternalBoundContext: DeviceContext {}

impl InternalBoundContext for CoreInternal<'_> {}
impl InternalBoundContext for BoundInternal {}

impl<Ctx: DeviceContext> AsRef<Device<Ctx>> for Device<Ctx> {
    fn as_ref(&self) -> &Device<Ctx> {
        self
    }
}

/// A bus device, which has a [`Device`] inside.
///
/// # Safety
///
/// The `struct device` is `OFFSET` bytes into the type.
pub unsafe trait AsBusDevice<Ctx: DeviceContext>: AsRef<Device<Ctx>> {
    /// Where the `struct device` is.
    const OFFSET: usize;

    /// The bus device around a device.
    ///
    /// # Safety
    ///
    /// `dev` is inside a `Self`.
    unsafe fn from_device(dev: &Device<Ctx>) -> &Self
    where
        Self: Sized,
    {
        // SAFETY: `OFFSET` bytes before it: asked of the caller and promised by the trait.
        unsafe { &*dev.as_raw().byte_sub(Self::OFFSET).cast::<Self>() }
    }
}

/// For [`impl_device_context_deref!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __impl_device_context_deref {
    (unsafe { $device:ident, [$($lt:lifetime)?] $src:ty => $dst:ty }) => {
        impl$(<$lt>)? ::core::ops::Deref for $device<$src> {
            type Target = $device<$dst>;

            fn deref(&self) -> &Self::Target {
                let this: *const Self = self;
                // SAFETY: Transparent around the same type: asked of whoever invokes the macro.
                unsafe { &*this.cast::<Self::Target>() }
            }
        }
    };
}

/// Makes each context of a bus device dereference to the next weaker one.
///
/// # Safety
///
/// The type is transparent around a type that does not depend on its context.
#[macro_export]
macro_rules! impl_device_context_deref {
    (unsafe { $device:ident }) => {
        $crate::__impl_device_context_deref!(unsafe {
            $device, ['a] $crate::device::CoreInternal<'a> => $crate::device::Core<'a>
        });
        $crate::__impl_device_context_deref!(unsafe {
            $device, ['a] $crate::device::Core<'a> => $crate::device::Bound
        });
        $crate::__impl_device_context_deref!(unsafe {
            $device, [] $crate::device::BoundInternal => $crate::device::Bound
        });
        $crate::__impl_device_context_deref!(unsafe {
            $device, [] $crate::device::Bound => $crate::device::Normal
        });
    };
}

/// For [`impl_device_context_into_aref!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __impl_device_context_into_aref {
    ([$($lt:lifetime)?] $src:ty, $device:tt) => {
        impl$(<$lt>)? ::core::convert::From<&$device<$src>> for $crate::sync::aref::ARef<$device> {
            fn from(dev: &$device<$src>) -> Self {
                (&**dev).into()
            }
        }
    };
}

/// Makes an `ARef` from a bus device in any context.
#[macro_export]
macro_rules! impl_device_context_into_aref {
    ($device:tt) => {
        $crate::__impl_device_context_into_aref!(['a] $crate::device::CoreInternal<'a>, $device);
        $crate::__impl_device_context_into_aref!(['a] $crate::device::Core<'a>, $device);
        $crate::__impl_device_context_into_aref!([] $crate::device::BoundInternal, $device);
        $crate::__impl_device_context_into_aref!([] $crate::device::Bound, $device);
    };
}

/// For the `dev_*!` macros.
#[doc(hidden)]
#[macro_export]
macro_rules! dev_printk {
    ($method:ident, $dev:expr, $($f:tt)*) => {
        $crate::device::Device::$method($dev.as_ref(), $crate::prelude::fmt!($($f)*))
    };
}

/// Prints a message of level 0 about a device: the system is unusable.
#[macro_export]
macro_rules! dev_emerg {
    ($($f:tt)*) => { $crate::dev_printk!(pr_emerg, $($f)*) };
}

/// Prints a message of level 1 about a device: act at once.
#[macro_export]
macro_rules! dev_alert {
    ($($f:tt)*) => { $crate::dev_printk!(pr_alert, $($f)*) };
}

/// Prints a message of level 2 about a device: critical.
#[macro_export]
macro_rules! dev_crit {
    ($($f:tt)*) => { $crate::dev_printk!(pr_crit, $($f)*) };
}

/// Prints a message of level 3 about a device: an error.
#[macro_export]
macro_rules! dev_err {
    ($($f:tt)*) => { $crate::dev_printk!(pr_err, $($f)*) };
}

/// Prints a message of level 4 about a device: a warning.
#[macro_export]
macro_rules! dev_warn {
    ($($f:tt)*) => { $crate::dev_printk!(pr_warn, $($f)*) };
}

/// Prints a message of level 5 about a device: normal, but noteworthy.
#[macro_export]
macro_rules! dev_notice {
    ($($f:tt)*) => { $crate::dev_printk!(pr_notice, $($f)*) };
}

/// Prints a message of level 6 about a device: information.
#[macro_export]
macro_rules! dev_info {
    ($($f:tt)*) => { $crate::dev_printk!(pr_info, $($f)*) };
}

/// Prints a message of level 7 about a device: debugging, with debug assertions only.
#[macro_export]
macro_rules! dev_dbg {
    ($($f:tt)*) => { $crate::dev_printk!(pr_dbg, $($f)*) };
}

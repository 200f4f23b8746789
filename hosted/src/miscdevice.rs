//! Misc devices: a character device with a name, and no more.
//!
//! C header: `include/linux/miscdevice.h`; mirrors `rust/kernel/miscdevice.rs`. Left out: `mmap`,
//! `show_fdinfo`, `compat_ioctl`.

use crate::{
    bindings,
    device::Device,
    error::{to_result, VTABLE_DEFAULT_ERROR},
    fs::{File, Kiocb},
    iov::{IovIterDest, IovIterSource},
    module::this_module,
    prelude::*,
    types::{ForeignOwnable, Opaque},
};
use core::marker::PhantomData;

/// What a misc device is made with.
#[derive(Copy, Clone)]
pub struct MiscDeviceOptions {
    /// Its name.
    pub name: &'static CStr,
}

impl MiscDeviceOptions {
    /// The C structure.
    pub const fn into_raw<T: MiscDevice>(self) -> bindings::miscdevice {
        // SAFETY: Integers and pointers, which may all be zero.
        let mut raw: bindings::miscdevice = unsafe { core::mem::zeroed() };
        raw.minor = bindings::MISC_DYNAMIC_MINOR as c_int;
        raw.name = crate::str::as_char_ptr_in_const_context(self.name);
        raw.fops = Operations::<T>::table();
        raw
    }
}

/// A registered misc device; dropping it deregisters. Files that are open stay open.
///
/// # Invariants
///
/// 1. `inner` is registered.
#[repr(transparent)]
#[pin_data(PinnedDrop)]
pub struct MiscDeviceRegistration<T> {
    #[pin]
    inner: Opaque<bindings::miscdevice>,
    _t: PhantomData<T>,
}

// SAFETY: It may be deregistered on any thread.
unsafe impl<T> Send for MiscDeviceRegistration<T> {}

// SAFETY: The C side synchronises.
unsafe impl<T> Sync for MiscDeviceRegistration<T> {}

impl<T: MiscDevice> MiscDeviceRegistration<T> {
    /// Registers a device.
    pub fn register(opts: MiscDeviceOptions) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            inner <- Opaque::try_ffi_init(move |slot: *mut bindings::miscdevice| {
                // SAFETY: Valid for writes.
                unsafe { slot.write(opts.into_raw::<T>()) };
                // SAFETY: Initialised, and pinned until it is deregistered.
                to_result(unsafe { bindings::misc_register(slot) })
            }),
            _t: PhantomData,
        })
    }

    /// The address.
    pub fn as_raw(&self) -> *mut bindings::miscdevice {
        self.inner.get()
    }

    /// The device.
    pub fn device(&self) -> &Device {
        // SAFETY: Registered, by invariant 1, so it has one.
        unsafe { Device::from_raw((*self.as_raw()).this_device) }
    }
}

#[pinned_drop]
impl<T> PinnedDrop for MiscDeviceRegistration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Registered: invariant 1.
        unsafe { bindings::misc_deregister(self.inner.get()) };
    }
}

/// What programs can do with a misc device.
#[vtable]
pub trait MiscDevice: Sized {
    /// What belongs to an open file.
    type Ptr: ForeignOwnable + Send + Sync;

    /// A program opens the device. Runs under the lock of all misc devices.
    fn open(_file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr>;

    /// The last reference to an open file is gone.
    fn release(device: Self::Ptr, _file: &File) {
        drop(device);
    }

    /// A program reads.
    fn read_iter(_kiocb: Kiocb<'_, Self::Ptr>, _iov: &mut IovIterDest<'_>) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A program writes.
    fn write_iter(_kiocb: Kiocb<'_, Self::Ptr>, _iov: &mut IovIterSource<'_>) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A program does something else.
    fn ioctl(
        _device: <Self::Ptr as ForeignOwnable>::Borrowed<'_>,
        _file: &File,
        _cmd: u32,
        _arg: usize,
    ) -> Result<isize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// The callbacks of a [`MiscDevice`].
struct Operations<T: MiscDevice>(PhantomData<T>);

impl<T: MiscDevice> Operations<T> {
    /// # Safety
    ///
    /// Called by `misc_open()` for a device registered by [`MiscDeviceRegistration`].
    unsafe extern "C" fn open(inode: *mut bindings::inode, raw_file: *mut bindings::file) -> c_int {
        // SAFETY: Valid: asked of the caller.
        let ret = unsafe { bindings::generic_file_open(inode, raw_file) };
        if ret != 0 {
            return ret;
        }
        // SAFETY: `misc_open()` has put the `struct miscdevice` there, and holds the lock that
        // `misc_deregister()` takes.
        let misc = unsafe { &*(*raw_file).private_data.cast::<MiscDeviceRegistration<T>>() };
        // SAFETY: Valid during the call, and nobody uses the position yet.
        let file = unsafe { File::from_raw_file(raw_file) };
        match T::open(file, misc) {
            Ok(ptr) => {
                // SAFETY: Ours to set from now on.
                unsafe { (*raw_file).private_data = ptr.into_foreign() };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// Called once, for a file that `open` has opened.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: Put there by `open`; no operation runs or will.
        let ptr = unsafe { T::Ptr::from_foreign((*file).private_data) };
        // SAFETY: Valid during the call.
        T::release(ptr, unsafe { File::from_raw_file(file) });
        0
    }

    /// # Safety
    ///
    /// Called for a file that `open` has opened.
    unsafe extern "C" fn read_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: The private data was put there by `open`.
        let kiocb = unsafe { Kiocb::from_raw(kiocb) };
        // SAFETY: Valid during the call, to read into.
        let iov = unsafe { IovIterDest::from_raw(iter) };
        match T::read_iter(kiocb, iov) {
            Ok(count) => count as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// Called for a file that `open` has opened.
    unsafe extern "C" fn write_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: The private data was put there by `open`.
        let kiocb = unsafe { Kiocb::from_raw(kiocb) };
        // SAFETY: Valid during the call, to write from.
        let iov = unsafe { IovIterSource::from_raw(iter) };
        match T::write_iter(kiocb, iov) {
            Ok(count) => count as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// Called for a file that `open` has opened.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: Put there by `open`, and not released during an operation.
        let device = unsafe { T::Ptr::borrow((*file).private_data) };
        // SAFETY: Valid during the call.
        let file = unsafe { File::from_raw_file(file) };
        match T::ioctl(device, file, cmd, arg) {
            Ok(ret) => ret as c_long,
            Err(error) => error.to_errno() as c_long,
        }
    }

    const TABLE: bindings::file_operations = {
        // SAFETY: Pointers and options of function pointers, which may all be zero.
        let mut table: bindings::file_operations = unsafe { core::mem::zeroed() };
        table.owner = this_module::<T::OwnerModule>().as_ptr();
        table.open = Some(Self::open);
        table.release = Some(Self::release);
        if T::HAS_READ_ITER {
            table.read_iter = Some(Self::read_iter);
        }
        if T::HAS_WRITE_ITER {
            table.write_iter = Some(Self::write_iter);
        }
        if T::HAS_IOCTL {
            table.unlocked_ioctl = Some(Self::ioctl);
        }
        table
    };

    const fn table() -> &'static bindings::file_operations {
        &Self::TABLE
    }
}

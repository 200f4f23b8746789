//! Tables of the devices that a driver is for.
//!
//! C header: `include/linux/mod_devicetable.h`; mirrors `rust/kernel/device_id.rs`. Left out: the
//! exported alias of a table, which is for `modpost`.

use core::{marker::PhantomData, mem::MaybeUninit};

/// A device ID of some bus.
///
/// # Safety
///
/// It has the layout of `RawType`.
pub unsafe trait RawDeviceId {
    /// The C type.
    type RawType: Copy;
}

/// A device ID that can carry a pointer to information of the driver's.
///
/// # Safety
///
/// A field large enough for the pointer is `DRIVER_DATA_OFFSET` bytes into it.
pub unsafe trait RawDeviceIdIndex: RawDeviceId {
    /// Where the field is.
    const DRIVER_DATA_OFFSET: usize;

    /// The information that belongs to this entry.
    ///
    /// # Safety
    ///
    /// This is an entry of an `IdArray<Self, U, _>`.
    unsafe fn info_unchecked<U>(&self) -> &'static U {
        // SAFETY: `IdArray::new` put a `&'static U` there: asked of the caller.
        unsafe {
            core::ptr::from_ref(self)
                .byte_add(Self::DRIVER_DATA_OFFSET)
                .cast::<&U>()
                .read()
        }
    }

    /// The information that belongs to this entry, if any does.
    ///
    /// # Safety
    ///
    /// This is an entry of an `IdArray<Self, U, _>`, or its field is null.
    unsafe fn info_unchecked_opt<U>(&self) -> Option<&'static U> {
        // SAFETY: A `&'static U` or null, which is `None`: asked of the caller.
        unsafe {
            core::ptr::from_ref(self)
                .byte_add(Self::DRIVER_DATA_OFFSET)
                .cast::<Option<&U>>()
                .read()
        }
    }
}

/// Device IDs, and a zeroed one behind them.
#[repr(C)]
pub struct IdArray<T: RawDeviceId, U: 'static, const N: usize> {
    // `MaybeUninit`, so that a constant can keep a pointer in a field that is an integer in C.
    ids: [MaybeUninit<T::RawType>; N],
    sentinel: MaybeUninit<T::RawType>,
    phantom: PhantomData<&'static U>,
}

// SAFETY: Plain data and `&'static U`s.
unsafe impl<T: RawDeviceId, U: Sync + 'static, const N: usize> Send for IdArray<T, U, N> {}

// SAFETY: Plain data and `&'static U`s.
unsafe impl<T: RawDeviceId, U: Sync + 'static, const N: usize> Sync for IdArray<T, U, N> {}

impl<T: RawDeviceId + RawDeviceIdIndex, U: 'static, const N: usize> IdArray<T, U, N> {
    /// A table of IDs, each with its information.
    pub const fn new(ids: [(T, &'static U); N]) -> Self {
        let mut raw = [const { MaybeUninit::<T::RawType>::uninit() }; N];
        let mut i = 0;
        while i < N {
            // SAFETY: The same layout, by `RawDeviceId`.
            raw[i] = unsafe { core::mem::transmute_copy(&ids[i].0) };
            // SAFETY: The field for it, by `RawDeviceIdIndex`.
            unsafe {
                raw[i]
                    .as_mut_ptr()
                    .byte_add(T::DRIVER_DATA_OFFSET)
                    .cast::<&U>()
                    .write(ids[i].1);
            }
            i += 1;
        }
        core::mem::forget(ids);
        Self {
            ids: raw,
            sentinel: MaybeUninit::zeroed(),
            phantom: PhantomData,
        }
    }
}

impl<T: RawDeviceId, const N: usize> IdArray<T, (), N> {
    /// A table of IDs without information.
    pub const fn new_without_index(ids: [T; N]) -> Self {
        // SAFETY: The same layout, by `RawDeviceId`.
        let raw: [MaybeUninit<T::RawType>; N] = unsafe { core::mem::transmute_copy(&ids) };
        core::mem::forget(ids);
        Self {
            ids: raw,
            sentinel: MaybeUninit::zeroed(),
            phantom: PhantomData,
        }
    }
}

/// An [`IdArray`] of any length.
pub trait IdTable<T: RawDeviceId, U> {
    /// The first entry.
    fn as_ptr(&self) -> *const T::RawType;
}

impl<T: RawDeviceId, U, const N: usize> IdTable<T, U> for IdArray<T, U, N> {
    fn as_ptr(&self) -> *const T::RawType {
        // Of the whole, so that the sentinel can be reached too.
        core::ptr::from_ref(self).cast()
    }
}

/// Declares a static table; buses have a macro of their own around this one.
#[macro_export]
macro_rules! module_device_table {
    (
        $table_type:literal, $device_id_ty:ty,
        $table_name:ident, $id_info_type:ty,
        [$(($id:expr, $info:expr $(,)?)),* $(,)?]
    ) => {
        static $table_name: $crate::device_id::IdArray<
            $device_id_ty,
            $id_info_type,
            { <[$device_id_ty]>::len(&[$($id,)*]) },
        > = $crate::device_id::IdArray::new([$(($id, &$info),)*]);
    };
    (
        $table_type:literal, $device_id_ty:ty,
        $table_name:ident, @none,
        [$($id:expr),* $(,)?]
    ) => {
        static $table_name: $crate::device_id::IdArray<
            $device_id_ty,
            (),
            { <[$device_id_ty]>::len(&[$($id,)*]) },
        > = $crate::device_id::IdArray::new_without_index([$($id),*]);
    };
}

//! Devicetree.
//!
//! Mirrors `rust/kernel/of.rs`.

use crate::{
    bindings,
    device_id::{RawDeviceId, RawDeviceIdIndex},
    ffi::CStr,
};

/// A table of devicetree IDs.
pub type IdTable<T> = &'static dyn kernel::device_id::IdTable<DeviceId, T>;

/// A `struct of_device_id`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct DeviceId(bindings::of_device_id);

// SAFETY: Transparent around it.
unsafe impl RawDeviceId for DeviceId {
    type RawType = bindings::of_device_id;
}

// SAFETY: The field `data`.
unsafe impl RawDeviceIdIndex for DeviceId {
    const DRIVER_DATA_OFFSET: usize = core::mem::offset_of!(bindings::of_device_id, data);
}

impl DeviceId {
    /// Matches a "compatible" string.
    pub const fn new(compatible: &'static CStr) -> Self {
        // SAFETY: Integers and a pointer, which may all be zero.
        let mut of: bindings::of_device_id = unsafe { core::mem::zeroed() };
        let text = compatible.to_bytes_with_nul();
        let mut i = 0;
        while i < text.len() {
            of.compatible[i] = text[i];
            i += 1;
        }
        Self(of)
    }
}

/// Declares a static table of devicetree IDs.
#[macro_export]
macro_rules! of_device_table {
    ($($tt:tt)*) => {
        $crate::module_device_table!("of", $crate::of::DeviceId, $($tt)*);
    };
}

//! ACPI.
//!
//! Mirrors `rust/kernel/acpi.rs`.

use crate::{
    bindings,
    build_assert::build_assert,
    device_id::{RawDeviceId, RawDeviceIdIndex},
    ffi::CStr,
};

/// A table of ACPI IDs.
pub type IdTable<T> = &'static dyn kernel::device_id::IdTable<DeviceId, T>;

/// A `struct acpi_device_id`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct DeviceId(bindings::acpi_device_id);

// SAFETY: Transparent around it.
unsafe impl RawDeviceId for DeviceId {
    type RawType = bindings::acpi_device_id;
}

// SAFETY: The field `driver_data`.
unsafe impl RawDeviceIdIndex for DeviceId {
    const DRIVER_DATA_OFFSET: usize = core::mem::offset_of!(bindings::acpi_device_id, driver_data);
}

impl DeviceId {
    /// Matches an ID of at most 15 characters.
    pub const fn new(id: &'static CStr) -> Self {
        let text = id.to_bytes_with_nul();
        build_assert!(text.len() <= 16, "an ACPI ID has at most 15 characters");
        // SAFETY: Integers, which may all be zero.
        let mut acpi: bindings::acpi_device_id = unsafe { core::mem::zeroed() };
        let mut i = 0;
        while i < text.len() {
            acpi.id[i] = text[i];
            i += 1;
        }
        Self(acpi)
    }
}

/// Declares a static table of ACPI IDs.
#[macro_export]
macro_rules! acpi_device_table {
    ($($tt:tt)*) => {
        $crate::module_device_table!("acpi", $crate::acpi::DeviceId, $($tt)*);
    };
}

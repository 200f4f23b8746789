//! What this side of the crate asks of the machine beyond C functions, in one place.

use crate::{fmt, hosted};

/// A message for the kernel log.
pub(crate) fn printk(prefix: &str, args: fmt::Arguments<'_>) {
    let separator = if prefix.is_empty() { "" } else { ": " };
    let line = format!("{prefix}{separator}{args}");
    hosted::log(line.trim_end_matches('\n').to_string());
}

/// An atomic access: a point at which another CPU may go on, of memory that has to be there.
#[track_caller]
pub(crate) fn access(address: *const u8, size: usize) {
    hosted::preempt();
    hosted::check_access(address, size);
}

/// Says what an allocation is for.
pub(crate) fn name_allocation<T>(address: *const T) {
    hosted::name_allocation(address, core::any::type_name::<T>());
}

//! What this side of the crate asks of the machine beyond C functions, in one place.

use crate::{bindings, fmt};

/// A message for the kernel log.
pub(crate) fn printk(_level: u8, prefix: &str, args: fmt::Arguments<'_>) {
    let message = match prefix {
        "" => args.to_string(),
        _ => format!("{prefix}: {args}"),
    };
    // SAFETY: May be called anywhere.
    unsafe { bindings::printk(&message) };
}

/// An atomic access: a point at which another CPU may go on, of memory that has to be there.
#[track_caller]
pub(crate) fn access(_address: *const u8, _size: usize, _write: bool) {}

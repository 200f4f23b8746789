//! The `kernel` crate of Linux 7.3, hosted: the same paths and signatures, on `std`.
//!
//! A driver says `use kernel::...` and cannot tell which of the two it was built against. Each
//! module here is a thin layer over [`bindings`], as in Linux; below `bindings` stands not Linux
//! but a small model of its driver core, and [`hosted`] is how a test operates that model.
//!
//! What `rust/kernel` has and devscope or its drivers do not need is absent, not stubbed. What is
//! present has Linux's names, bounds, safety and visibility; where it cannot, the module says so.
//! For the whole crate:
//!
//! - Stable Rust has neither `CoercePointee` nor `arbitrary_self_types`: `KBox`, `Arc` and their
//!   kin do not turn into trait objects by themselves, and are no receivers (`self: Arc<Self>`).
//! - `pin_init` is the crate `pinned-init`, an older copy of Linux's: no `pin_init_scope`, no
//!   `_: { .. }` in an initializer, and earlier fields are not in scope of later ones.

// Linux's crate is named by its own macros from outside and from inside.
extern crate self as kernel;

pub mod acpi;
pub mod alloc;
pub mod auxiliary;
#[doc(hidden)]
pub mod bindings;
pub mod bits;
pub mod build_assert;
pub mod cpu;
pub mod cpumask;
pub mod device;
pub mod device_id;
pub mod driver;
pub mod error;
pub mod faux;
pub mod ffi;
pub mod fmt;
pub mod fs;
mod hooks;
pub mod hosted;
pub mod i2c;
pub mod init;
pub mod interrupt;
pub mod io;
pub mod ioctl;
pub mod iov;
pub mod irq;
pub mod miscdevice;
pub mod module;
pub mod of;
pub mod pci;
pub mod platform;
pub mod prelude;
pub mod print;
pub mod ptr;
pub mod revocable;
pub mod str;
pub mod sync;
pub mod task;
pub mod time;
pub mod transmute;
pub mod types;
pub mod uaccess;
pub mod usb;
pub mod workqueue;

pub use hosted_kernel_macros as macros;
pub use module::{InPlaceModule, Module, ModuleMetadata, ThisModule};

/// What our own `#[vtable]` macros would call the module.
#[allow(dead_code)]
pub(crate) struct LocalModule;

impl ModuleMetadata for LocalModule {
    const NAME: &'static str::CStr = c"rust_kernel";
    const THIS_MODULE: ThisModule = {
        // SAFETY: A null `THIS_MODULE` is what built-in code has.
        unsafe { ThisModule::from_ptr(core::ptr::null_mut()) }
    };
}

/// From a pointer to a field to a pointer to the structure around it.
///
/// # Safety
///
/// Both pointers have to be in bounds of the same allocation.
#[macro_export]
macro_rules! container_of {
    ($field_ptr:expr, $Container:ty, $($fields:tt)*) => {{
        let field = $field_ptr;
        let container = field
            .byte_sub(::core::mem::offset_of!($Container, $($fields)*))
            .cast::<$Container>();
        $crate::assert_same_type(field, (&raw const (*container).$($fields)*).cast_mut());
        container
    }};
}

/// For [`container_of!`].
#[doc(hidden)]
pub fn assert_same_type<T>(_: T, _: T) {}

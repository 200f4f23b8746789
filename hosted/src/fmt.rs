//! Formatting, with a `Display` of our own that foreign types can implement.
//!
//! Mirrors `rust/kernel/fmt.rs`. `fmt!` of the prelude wraps each argument in an [`Adapter`], which
//! asks [`Display`] here instead of `core`'s, and so can print a `CStr`. Left out: hashing of
//! printed pointers; `{:p}` prints them as they are.

pub use core::fmt::{Arguments, Debug, Error, Formatter, Result, Write};

/// For `fmt!`.
#[doc(hidden)]
pub struct Adapter<T>(pub T);

macro_rules! forward {
    ($($name:ident),*) => {$(
        impl<T: core::fmt::$name> core::fmt::$name for Adapter<T> {
            fn fmt(&self, f: &mut Formatter<'_>) -> Result {
                core::fmt::$name::fmt(&self.0, f)
            }
        }
    )*};
}

forward!(Debug, LowerHex, UpperHex, Octal, Binary, LowerExp, UpperExp);

/// What `{:p}` prints.
pub trait Pointer {
    /// As `core::fmt::Pointer::fmt`.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result;
}

macro_rules! pointers {
    ($($ty:ty),*) => {$(
        impl<T: ?Sized> Pointer for $ty {
            fn fmt(&self, f: &mut Formatter<'_>) -> Result {
                core::fmt::Pointer::fmt(self, f)
            }
        }
    )*};
}

pointers!(*const T, *mut T, &T, &mut T, core::ptr::NonNull<T>);

impl<T: Pointer> core::fmt::Pointer for Adapter<&T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        Pointer::fmt(self.0, f)
    }
}

/// What `{}` prints. Types implement this one rather than `core::fmt::Display`.
pub trait Display {
    /// As `core::fmt::Display::fmt`.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result;
}

impl<T: ?Sized + Display> Display for &T {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        Display::fmt(*self, f)
    }
}

impl<T: ?Sized + Display> core::fmt::Display for Adapter<&T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        Display::fmt(self.0, f)
    }
}

macro_rules! as_core {
    ($($({$($generics:tt)*})? $ty:ty $({where $($bounds:tt)*})?,)*) => {$(
        impl$($($generics)*)? Display for $ty $(where $($bounds)*)? {
            fn fmt(&self, f: &mut Formatter<'_>) -> Result {
                core::fmt::Display::fmt(self, f)
            }
        }
    )*};
}

as_core! {
    bool, char, str,
    i8, i16, i32, i64, i128, isize,
    u8, u16, u32, u64, u128, usize,
    core::panic::PanicInfo<'_>, Arguments<'_>,
    {<T: ?Sized>} crate::sync::Arc<T> {where crate::sync::Arc<T>: core::fmt::Display},
    {<T: ?Sized>} crate::sync::UniqueArc<T> {where crate::sync::UniqueArc<T>: core::fmt::Display},
}

//! The C types, as the kernel's bindings have them.
//!
//! Mirrors `rust/ffi.rs`: `char` is unsigned, and `long` is `isize`, so it can hold a pointer.

macro_rules! alias {
    ($($name:ident = $ty:ty;)*) => {$(
        #[doc = concat!("C's `", stringify!($name), "`.")]
        #[allow(non_camel_case_types)]
        pub type $name = $ty;
        const _: () = assert!(size_of::<$name>() == size_of::<core::ffi::$name>());
    )*};
}

alias! {
    c_char = u8;
    c_schar = i8;
    c_uchar = u8;
    c_short = i16;
    c_ushort = u16;
    c_int = i32;
    c_uint = u32;
    c_long = isize;
    c_ulong = usize;
    c_longlong = i64;
    c_ulonglong = u64;
}

pub use core::ffi::{c_void, CStr};

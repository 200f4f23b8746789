//! Types that are plain bytes.
//!
//! Mirrors `rust/kernel/transmute.rs`. Left out: the conversions by slice.

use core::mem::size_of;

/// Any bytes are a value of this type.
///
/// # Safety
///
/// They are, and it has no interior mutability.
pub unsafe trait FromBytes {
    /// A value out of exactly its bytes.
    fn from_bytes_copy(bytes: &[u8]) -> Option<Self>
    where
        Self: Sized,
    {
        if bytes.len() != size_of::<Self>() {
            return None;
        }
        // SAFETY: As many bytes as needed, and any will do.
        Some(unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() })
    }
}

/// All bytes of a value of this type are initialised.
///
/// # Safety
///
/// They are, and it has no interior mutability.
pub unsafe trait AsBytes {
    /// The bytes.
    fn as_bytes(&self) -> &[u8] {
        let start = core::ptr::from_ref(self).cast::<u8>();
        // SAFETY: That many, initialised, and unchanged while borrowed.
        unsafe { core::slice::from_raw_parts(start, size_of_val(self)) }
    }
}

macro_rules! plain {
    ($trait:ident: $($({$($generics:tt)*})? $ty:ty,)*) => {$(
        // SAFETY: Integers, and arrays of such.
        unsafe impl$($($generics)*)? $trait for $ty {}
    )*};
}

plain! {
    FromBytes:
    (), u8, u16, u32, u64, usize, i8, i16, i32, i64, isize,
    {<T>} core::marker::PhantomData<T>,
    {<T: FromBytes>} [T],
    {<T: FromBytes, const N: usize>} [T; N],
}

plain! {
    AsBytes:
    (), u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, bool, char, str,
    {<T>} core::marker::PhantomData<T>,
    {<T: AsBytes>} [T],
    {<T: AsBytes, const N: usize>} [T; N],
}

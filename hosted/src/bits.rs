//! Single bits and runs of bits.
//!
//! C header: `include/linux/bits.h`; mirrors `rust/kernel/bits.rs`.

macro_rules! bit_functions {
    ($($ty:ty: $checked_bit:ident $bit:ident $checked_mask:ident $mask:ident;)*) => {$(
        /// Bit `n`, or [`None`] if the type has no such bit.
        pub fn $checked_bit(n: u32) -> Option<$ty> {
            (1 as $ty).checked_shl(n)
        }

        /// Bit `n`, which the type must have.
        pub const fn $bit(n: u32) -> $ty {
            crate::build_assert::build_assert!(n < <$ty>::BITS);
            1 << n
        }

        /// The bits of the range, both ends included, or [`None`] if the range does not fit.
        pub fn $checked_mask(range: core::ops::RangeInclusive<u32>) -> Option<$ty> {
            let (start, end) = range.into_inner();
            if start > end {
                return None;
            }
            let high = $checked_bit(end)?;
            let low = $checked_bit(start)?;
            Some((high | (high - 1)) & !(low - 1))
        }

        /// The bits of the range, both ends included, which must fit.
        pub const fn $mask(range: core::ops::RangeInclusive<u32>) -> $ty {
            let (start, end) = (*range.start(), *range.end());
            crate::build_assert::build_assert!(start <= end);
            let (high, low) = ($bit(end), $bit(start));
            (high | (high - 1)) & !(low - 1)
        }
    )*};
}

bit_functions! {
    u64: checked_bit_u64 bit_u64 genmask_checked_u64 genmask_u64;
    u32: checked_bit_u32 bit_u32 genmask_checked_u32 genmask_u32;
    u16: checked_bit_u16 bit_u16 genmask_checked_u16 genmask_u16;
    u8: checked_bit_u8 bit_u8 genmask_checked_u8 genmask_u8;
}

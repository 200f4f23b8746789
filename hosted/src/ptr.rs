//! Alignments, and types whose size a pointer knows.
//!
//! Mirrors `rust/kernel/ptr.rs`. Left out: `Alignable`, projections.

/// An alignment: a power of two.
///
/// # Invariants
///
/// 1. The value is a power of two.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alignment(usize);

impl Alignment {
    /// `ALIGN`, which has to be a power of two.
    pub const fn new<const ALIGN: usize>() -> Self {
        const { assert!(ALIGN.is_power_of_two(), "an alignment is a power of two") };
        // INVARIANT: 1, just checked.
        Self(ALIGN)
    }

    /// `align`, if it is a power of two.
    pub const fn new_checked(align: usize) -> Option<Self> {
        if align.is_power_of_two() {
            // INVARIANT: 1, just checked.
            Some(Self(align))
        } else {
            None
        }
    }

    /// That of `T`.
    pub const fn of<T>() -> Self {
        // INVARIANT: 1: alignments of types are.
        Self(align_of::<T>())
    }

    /// As a number.
    pub const fn as_usize(self) -> usize {
        self.0
    }

    /// Which power of two.
    pub const fn log2(self) -> u32 {
        self.0.ilog2()
    }

    /// The mask that rounds down.
    pub const fn mask(self) -> usize {
        !(self.0 - 1)
    }
}

/// A type whose size can be told from a pointer, without reading through it.
pub trait KnownSize {
    /// No value is smaller.
    const MIN_SIZE: usize;

    /// No value is less aligned.
    const MIN_ALIGN: Alignment;

    /// The size of what is at `p`, which need not be valid.
    fn size(p: *const Self) -> usize;
}

impl<T> KnownSize for T {
    const MIN_SIZE: usize = size_of::<T>();
    const MIN_ALIGN: Alignment = Alignment::of::<T>();

    fn size(_: *const Self) -> usize {
        size_of::<T>()
    }
}

impl<T> KnownSize for [T] {
    const MIN_SIZE: usize = 0;
    const MIN_ALIGN: Alignment = Alignment::of::<T>();

    fn size(p: *const Self) -> usize {
        p.len() * size_of::<T>()
    }
}

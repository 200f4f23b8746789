//! Layouts of arrays.
//!
//! Mirrors `rust/kernel/alloc/layout.rs`.

use core::{alloc::Layout, marker::PhantomData};

/// The array would be larger than `isize::MAX` bytes.
pub struct LayoutError;

/// The layout of `[T; len]`.
///
/// # Invariants
///
/// 1. `len * size_of::<T>() <= isize::MAX`.
pub struct ArrayLayout<T> {
    len: usize,
    _phantom: PhantomData<fn() -> T>,
}

impl<T> Clone for ArrayLayout<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ArrayLayout<T> {}

impl<T> ArrayLayout<T> {
    /// Of no element.
    pub const fn empty() -> Self {
        // SAFETY: Zero bytes fit.
        unsafe { Self::new_unchecked(0) }
    }

    /// Of `len` elements.
    pub const fn new(len: usize) -> Result<Self, LayoutError> {
        match len.checked_mul(core::mem::size_of::<T>()) {
            Some(size) if size <= isize::MAX as usize => {
                // SAFETY: Just checked.
                Ok(unsafe { Self::new_unchecked(len) })
            }
            _ => Err(LayoutError),
        }
    }

    /// Of `len` elements.
    ///
    /// # Safety
    ///
    /// `len * size_of::<T>() <= isize::MAX`.
    pub const unsafe fn new_unchecked(len: usize) -> Self {
        // INVARIANT: 1, asked of the caller.
        Self {
            len,
            _phantom: PhantomData,
        }
    }

    /// The number of elements.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The size in bytes.
    pub const fn size(&self) -> usize {
        self.len() * core::mem::size_of::<T>()
    }
}

impl<T> From<ArrayLayout<T>> for Layout {
    fn from(value: ArrayLayout<T>) -> Self {
        Layout::array::<T>(value.len).expect("devscope bug: invariant 1 of `ArrayLayout`")
    }
}

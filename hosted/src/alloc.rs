//! Memory, with allocation flags and without aborting when there is none.
//!
//! C headers: `include/linux/slab.h`, `include/linux/gfp.h`; mirrors `rust/kernel/alloc.rs`. The
//! allocators call the model's `krealloc` family, so a test can make any allocation fail and a
//! freed block is kept to catch whoever still uses it. Left out: pages, `VmallocPageIter`.

pub mod allocator;
pub mod kbox;
pub mod kvec;
pub mod layout;

pub use self::kbox::{Box, KBox, KVBox, VBox};
pub use self::kvec::{IntoIter, KVVec, KVec, VVec, Vec};

use crate::{
    bindings,
    error::{code::EINVAL, Result},
};
use core::{alloc::Layout, ptr::NonNull};

/// There is no memory. Becomes `ENOMEM`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct AllocError;

/// `gfp_t`: how an allocation may be made, and what it is for.
#[derive(Clone, Copy, PartialEq)]
pub struct Flags(u32);

impl Flags {
    pub(crate) fn as_raw(self) -> u32 {
        self.0
    }

    /// Whether all of `flags` are among these.
    pub fn contains(self, flags: Flags) -> bool {
        (self & flags) == flags
    }
}

impl core::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, rhs: Self) -> Self::Output {
        Self(self.0 | rhs.0)
    }
}

impl core::ops::BitAnd for Flags {
    type Output = Self;

    fn bitand(self, rhs: Self) -> Self::Output {
        Self(self.0 & rhs.0)
    }
}

impl core::ops::Not for Flags {
    type Output = Self;

    fn not(self) -> Self::Output {
        Self(!self.0)
    }
}

/// Allocation flags, under their C names.
pub mod flags {
    use super::{bindings, Flags};

    /// Zeroes the memory.
    pub const __GFP_ZERO: Flags = Flags(bindings::__GFP_ZERO);
    /// High memory will do. Only together with others.
    pub const __GFP_HIGHMEM: Flags = Flags(bindings::__GFP_HIGHMEM);
    /// May not sleep.
    pub const GFP_ATOMIC: Flags = Flags(bindings::GFP_ATOMIC);
    /// The usual; may sleep.
    pub const GFP_KERNEL: Flags = Flags(bindings::GFP_KERNEL);
    /// As `GFP_KERNEL`, on the account of the process.
    pub const GFP_KERNEL_ACCOUNT: Flags = Flags(bindings::GFP_KERNEL_ACCOUNT);
    /// May not sleep, and does not dig into reserves.
    pub const GFP_NOWAIT: Flags = Flags(bindings::GFP_NOWAIT);
    /// Says nothing when it fails. Only together with others.
    pub const __GFP_NOWARN: Flags = Flags(bindings::__GFP_NOWARN);
}

/// A memory node. The model has one, and ignores which is asked for.
#[derive(Clone, Copy, PartialEq)]
pub struct NumaNode(i32);

impl NumaNode {
    /// Wherever.
    pub const NO_NODE: NumaNode = NumaNode(-1);

    /// Node number `node`.
    pub fn new(node: i32) -> Result<Self> {
        const MAX_NUMNODES: i32 = 1;
        if !(0..MAX_NUMNODES).contains(&node) {
            return Err(EINVAL);
        }
        Ok(Self(node))
    }
}

/// Where a [`Box`] or [`Vec`] gets its memory.
///
/// # Safety
///
/// Memory is valid until freed by the same allocator, wherever the allocator itself has gone;
/// `realloc` keeps the contents, and leaves the old block alone when it fails.
pub unsafe trait Allocator {
    /// Every block is at least this aligned.
    const MIN_ALIGN: usize;

    /// A new block.
    #[track_caller]
    fn alloc(layout: Layout, flags: Flags, nid: NumaNode) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: No old block.
        unsafe { Self::realloc(None, layout, Layout::new::<()>(), flags, nid) }
    }

    /// Another size for `ptr`; a new block if there is none; frees it if the new size is zero.
    ///
    /// # Safety
    ///
    /// A `ptr` comes from this allocator with `old_layout`; after success it is gone.
    #[track_caller]
    unsafe fn realloc(
        ptr: Option<NonNull<u8>>,
        layout: Layout,
        old_layout: Layout,
        flags: Flags,
        nid: NumaNode,
    ) -> Result<NonNull<[u8]>, AllocError>;

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// `ptr` comes from this allocator with this layout, and is not used afterwards.
    #[track_caller]
    unsafe fn free(ptr: NonNull<u8>, layout: Layout) {
        // SAFETY: Asked of the caller; size zero frees.
        let freed = unsafe {
            Self::realloc(
                Some(ptr),
                Layout::new::<()>(),
                layout,
                Flags(0),
                NumaNode::NO_NODE,
            )
        };
        debug_assert!(freed.is_ok());
    }
}

/// What stands for a block of size zero.
pub(crate) fn dangling_from_layout(layout: Layout) -> NonNull<u8> {
    let align = core::num::NonZero::new(layout.align());
    NonNull::without_provenance(align.expect("an alignment is not zero"))
}

//! `kmalloc`, `vmalloc`, and whichever of the two fits.
//!
//! Mirrors `rust/kernel/alloc/allocator.rs`.

use super::{AllocError, Allocator, Flags, NumaNode};
use crate::bindings;
use core::{
    alloc::Layout,
    ptr::{self, NonNull},
};

/// Physically contiguous memory.
pub struct Kmalloc;

/// Memory mapped page by page.
pub struct Vmalloc;

/// [`Kmalloc`], and [`Vmalloc`] if that has none.
pub struct KVmalloc;

impl Kmalloc {
    /// A layout that `kmalloc` aligns as asked: it aligns sizes, so the size is padded.
    pub fn aligned_layout(layout: Layout) -> Layout {
        layout.pad_to_align()
    }
}

macro_rules! allocator {
    ($ty:ident, $min_align:expr, $adjust:expr, $realloc:ident) => {
        // SAFETY: The model keeps a block until it is given back here, and reallocates by copying.
        unsafe impl Allocator for $ty {
            const MIN_ALIGN: usize = $min_align;

            #[track_caller]
            unsafe fn realloc(
                ptr: Option<NonNull<u8>>,
                layout: Layout,
                old_layout: Layout,
                flags: Flags,
                nid: NumaNode,
            ) -> Result<NonNull<[u8]>, AllocError> {
                let adjust: fn(Layout) -> Layout = $adjust;
                let layout = adjust(layout);
                let size = layout.size();
                let old = match ptr {
                    // A block of size zero was never allocated.
                    Some(ptr) if old_layout.size() != 0 => ptr.as_ptr(),
                    _ => ptr::null_mut(),
                };
                if size == 0 && old.is_null() {
                    let ptr = super::dangling_from_layout(layout);
                    return Ok(NonNull::slice_from_raw_parts(ptr, 0));
                }
                // SAFETY: `old` is null or a block of this allocator: asked of the caller.
                let raw = unsafe {
                    bindings::$realloc(old.cast(), size, layout.align(), flags.as_raw(), nid.0)
                };
                let ptr = if size == 0 {
                    super::dangling_from_layout(layout)
                } else {
                    NonNull::new(raw.cast()).ok_or(AllocError)?
                };
                Ok(NonNull::slice_from_raw_parts(ptr, size))
            }
        }
    };
}

const ARCH_KMALLOC_MINALIGN: usize = 8;
const PAGE_SIZE: usize = 4096;

allocator!(
    Kmalloc,
    ARCH_KMALLOC_MINALIGN,
    Kmalloc::aligned_layout,
    krealloc_node_align
);
allocator!(Vmalloc, PAGE_SIZE, |layout| layout, vrealloc_node_align);
allocator!(
    KVmalloc,
    ARCH_KMALLOC_MINALIGN,
    Kmalloc::aligned_layout,
    kvrealloc_node_align
);

//! Buffers of user programs that a read fills or a write empties, piece by piece.
//!
//! C header: `include/linux/uio.h`; mirrors `rust/kernel/iov.rs`.

use crate::{
    alloc::{Allocator, Flags},
    bindings,
    prelude::*,
    types::Opaque,
};
use core::{marker::PhantomData, mem::MaybeUninit};

const ITER_SOURCE: bool = bindings::ITER_SOURCE != 0;
const ITER_DEST: bool = bindings::ITER_DEST != 0;

macro_rules! iterator {
    ($(#[$doc:meta])* $name:ident($data:ty), $direction:ident) => {
        $(#[$doc])*
        ///
        /// # Invariants
        ///
        /// 1. A valid `struct iov_iter` of this direction; the buffers are there for `'data`.
        #[repr(transparent)]
        pub struct $name<'data> {
            iov: Opaque<bindings::iov_iter>,
            _source: PhantomData<$data>,
        }

        impl<'data> $name<'data> {
            /// The iterator at an address.
            ///
            /// # Safety
            ///
            /// It is valid for `'iov`, and its buffers for `'data`; nobody else uses it meanwhile.
            #[track_caller]
            pub unsafe fn from_raw<'iov>(ptr: *mut bindings::iov_iter) -> &'iov mut Self {
                // SAFETY: Valid: asked of the caller.
                let data_source = unsafe { (*ptr).data_source };
                assert_eq!(data_source, $direction);
                // INVARIANT: 1, just checked, and asked of the caller.
                // SAFETY: Asked of the caller; transparent around it.
                unsafe { &mut *ptr.cast::<Self>() }
            }

            /// The address.
            pub fn as_raw(&mut self) -> *mut bindings::iov_iter {
                self.iov.get()
            }

            /// How many bytes are left.
            pub fn len(&self) -> usize {
                // SAFETY: Invariant 1.
                unsafe { (*self.iov.get()).count }
            }

            /// Whether none is left.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Skips bytes.
            pub fn advance(&mut self, bytes: usize) {
                // SAFETY: Invariant 1.
                unsafe { bindings::iov_iter_advance(self.as_raw(), bytes) };
            }

            /// Goes back.
            ///
            /// # Safety
            ///
            /// At least that many bytes were passed.
            pub unsafe fn revert(&mut self, bytes: usize) {
                // SAFETY: Invariant 1, and asked of the caller.
                unsafe { bindings::iov_iter_revert(self.as_raw(), bytes) };
            }
        }
    };
}

iterator! {
    /// What a program writes.
    IovIterSource(&'data [u8]), ITER_SOURCE
}

iterator! {
    /// Where a program reads to.
    IovIterDest(&'data mut [u8]), ITER_DEST
}

impl IovIterSource<'_> {
    /// Takes bytes, and returns how many.
    pub fn copy_from_iter(&mut self, out: &mut [u8]) -> usize {
        let out: *mut [u8] = out;
        // SAFETY: What is written there is initialised, so this is still a slice of bytes.
        let out = unsafe { &mut *(out as *mut [MaybeUninit<u8>]) };
        self.copy_from_iter_raw(out).len()
    }

    /// Takes all bytes, appends them to a vector, and returns how many.
    #[track_caller]
    pub fn copy_from_iter_vec<A: Allocator>(
        &mut self,
        out: &mut Vec<u8, A>,
        flags: Flags,
    ) -> Result<usize> {
        out.reserve(self.len(), flags)?;
        let len = self.copy_from_iter_raw(out.spare_capacity_mut()).len();
        // SAFETY: That many were written.
        unsafe { out.inc_len(len) };
        Ok(len)
    }

    /// Takes bytes into uninitialised memory, and returns those.
    pub fn copy_from_iter_raw(&mut self, out: &mut [MaybeUninit<u8>]) -> &mut [u8] {
        let (start, len) = (out.as_mut_ptr().cast::<u8>(), out.len());
        // SAFETY: Room for `len` bytes; invariant 1.
        let len = unsafe { bindings::_copy_from_iter(start.cast(), len, self.as_raw()) };
        // SAFETY: `_copy_from_iter` returns how many it wrote.
        unsafe { core::slice::from_raw_parts_mut(start, len) }
    }
}

impl IovIterDest<'_> {
    /// Gives bytes, and returns how many.
    pub fn copy_to_iter(&mut self, input: &[u8]) -> usize {
        // SAFETY: `input.len()` bytes; invariant 1.
        unsafe { bindings::_copy_to_iter(input.as_ptr().cast(), input.len(), self.as_raw()) }
    }

    /// Gives what is behind `*ppos` in `contents`, and moves `*ppos` on.
    pub fn simple_read_from_buffer(&mut self, ppos: &mut i64, contents: &[u8]) -> Result<usize> {
        if *ppos < 0 {
            return Err(EINVAL);
        }
        let rest = usize::try_from(*ppos)
            .ok()
            .and_then(|pos| contents.get(pos..));
        let given = rest.map_or(0, |rest| self.copy_to_iter(rest));
        *ppos += given as i64;
        Ok(given)
    }
}

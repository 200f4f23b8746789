// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a member runs: a value that is dropped by a step of teardown, not with its memory.

use core::{cell::UnsafeCell, ptr};

/// A value that callbacks share while the scope lives, and that teardown drops once, in place.
///
/// The memory stays until the scope frees the member, so a body whose destructor uses the handle of
/// another member still finds that member there. (A node is freed without dropping what is in it;
/// a body is dropped with its owner only where a registration failed and no node came to be.)
#[repr(transparent)]
pub(crate) struct Body<T>(UnsafeCell<T>);

impl<T> Body<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The value, for a callback.
    ///
    /// # Safety
    ///
    /// [`Body::drop_in_place`] has not been called, and is not called while the reference lives.
    pub(crate) unsafe fn get(&self) -> &T {
        // SAFETY: The only exclusive access is in `drop_in_place`, which does not happen while this
        // reference lives (requirement of this function).
        unsafe { &*self.0.get() }
    }

    /// Drops the value and leaves the memory.
    ///
    /// # Safety
    ///
    /// - Called at most once.
    /// - No reference from [`Body::get`] is alive, and none is made afterwards.
    pub(crate) unsafe fn drop_in_place(&self) {
        // SAFETY:
        // - The value is dropped once: first requirement of this function.
        // - No reference to it is alive, so access is exclusive: second requirement.
        unsafe { ptr::drop_in_place(self.0.get()) };
    }
}

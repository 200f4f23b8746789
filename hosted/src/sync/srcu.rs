//! RCU whose read-side sections may sleep.
//!
//! C header: `include/linux/srcu.h`; mirrors `rust/kernel/sync/srcu.rs`.

use crate::{
    bindings,
    error::to_result,
    prelude::*,
    sync::LockClassKey,
    types::{NotThreadSafe, Opaque},
};

/// An initializer for an [`Srcu`], with a lock class of its own.
#[doc(hidden)]
#[macro_export]
macro_rules! new_srcu {
    ($($name:literal)?) => {
        $crate::sync::Srcu::new($crate::optional_name!($($name)?), $crate::static_lock_class!())
    };
}
pub use new_srcu;

/// A domain: sections and grace periods of one do not wait for those of another.
#[repr(transparent)]
#[pin_data(PinnedDrop)]
pub struct Srcu {
    #[pin]
    inner: Opaque<bindings::srcu_struct>,
}

impl Srcu {
    /// A domain of its own.
    pub fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            inner <- Opaque::try_ffi_init(move |ptr: *mut bindings::srcu_struct| {
                // SAFETY: Valid for writes, and pinned; name and key are static.
                to_result(unsafe {
                    bindings::init_srcu_struct_with_key(ptr, name.as_char_ptr(), key.as_ptr())
                })
            }),
        })
    }

    /// Enters a read-side section.
    #[track_caller]
    pub fn read_lock(&self) -> Guard<'_> {
        Guard {
            srcu: self,
            // SAFETY: Initialised; left with this index when the guard is dropped.
            idx: unsafe { bindings::srcu_read_lock(self.inner.get()) },
            _not_send: NotThreadSafe,
        }
    }

    /// Waits for all read-side sections that run now. Sleeps.
    #[track_caller]
    pub fn synchronize(&self) {
        // SAFETY: Initialised.
        unsafe { bindings::synchronize_srcu(self.inner.get()) };
    }

    /// The same, at greater cost and sooner.
    #[track_caller]
    pub fn synchronize_expedited(&self) {
        // SAFETY: Initialised.
        unsafe { bindings::synchronize_srcu_expedited(self.inner.get()) };
    }
}

#[pinned_drop]
impl PinnedDrop for Srcu {
    fn drop(self: Pin<&mut Self>) {
        let ptr = self.inner.get();
        // SAFETY: Initialised.
        if unsafe { bindings::srcu_readers_active(ptr) } {
            crate::pr_warn!("an Srcu guard was forgotten: waiting for it for ever\n");
            // SAFETY: Initialised.
            unsafe { bindings::synchronize_srcu(ptr) };
        }
        // SAFETY: Initialised.
        unsafe { bindings::srcu_barrier(ptr) };
        // SAFETY: Initialised, without readers or callbacks, and used no more.
        unsafe { bindings::cleanup_srcu_struct(ptr) };
    }
}

// SAFETY: The C side synchronises.
unsafe impl Send for Srcu {}

// SAFETY: The C side synchronises.
unsafe impl Sync for Srcu {}

/// A read-side section of a domain. It may sleep.
#[must_use = "if unused, the lock will be immediately unlocked"]
pub struct Guard<'a> {
    srcu: &'a Srcu,
    idx: i32,
    _not_send: NotThreadSafe,
}

impl Guard<'_> {
    /// Leaves.
    pub fn unlock(self) {}
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // SAFETY: Entered with this index, on this thread.
        unsafe { bindings::srcu_read_unlock(self.srcu.inner.get(), self.idx) };
    }
}

use crate::{bindings, build_assert::build_assert, sync::atomic::Atomic, types::Opaque};

/// A reference count that saturates instead of overflowing: `refcount_t`.
#[repr(transparent)]
pub struct Refcount(Opaque<bindings::refcount_t>);

impl Refcount {
    /// A count of `value`.
    pub fn new(value: i32) -> Self {
        build_assert!(value >= 0, "a reference count starts at zero or above");
        Self(Opaque::new(bindings::refcount_t {
            refs: bindings::atomic_t { counter: value },
        }))
    }

    fn as_ptr(&self) -> *mut bindings::refcount_t {
        self.0.get()
    }

    /// The number itself.
    pub fn as_atomic(&self) -> &Atomic<i32> {
        // SAFETY: A `refcount_t` is an `int`, and all its values are valid.
        unsafe { &*self.as_ptr().cast() }
    }

    /// Sets it.
    pub fn set(&self, value: i32) {
        // SAFETY: `self` is valid.
        unsafe { bindings::refcount_set(self.as_ptr(), value) }
    }

    /// One more. From zero, that is a bug.
    #[track_caller]
    pub fn inc(&self) {
        // SAFETY: `self` is valid.
        unsafe { bindings::refcount_inc(self.as_ptr()) }
    }

    /// One less. To zero, that is a bug.
    #[track_caller]
    pub fn dec(&self) {
        // SAFETY: `self` is valid.
        unsafe { bindings::refcount_dec(self.as_ptr()) }
    }

    /// One less, and whether that was the last.
    #[must_use = "use `dec` instead if you do not need to test if it is 0"]
    #[track_caller]
    pub fn dec_and_test(&self) -> bool {
        // SAFETY: `self` is valid.
        unsafe { bindings::refcount_dec_and_test(self.as_ptr()) }
    }
}

// SAFETY: Atomic.
unsafe impl Send for Refcount {}

// SAFETY: Atomic.
unsafe impl Sync for Refcount {}

//! Sharing between threads, interrupts and CPUs.
//!
//! Mirrors `rust/kernel/sync.rs`. Left out: `LockedBy`, global locks.

use crate::{bindings, prelude::*, types::Opaque};

mod arc;
pub mod aref;
pub mod atomic;
pub mod barrier;
pub mod completion;
mod condvar;
pub mod lock;
pub mod poll;
pub mod rcu;
mod refcount;
mod set_once;
pub mod srcu;

pub use arc::{Arc, ArcBorrow, UniqueArc};
pub use completion::Completion;
pub use condvar::{new_condvar, CondVar, CondVarTimeoutResult};
pub use lock::mutex::{new_mutex, Mutex, MutexGuard};
pub use lock::spinlock::{
    new_spinlock, new_spinlock_irq, SpinLock, SpinLockGuard, SpinLockIrq, SpinLockIrqGuard,
};
pub use refcount::Refcount;
pub use set_once::SetOnce;
pub use srcu::Srcu;

/// Which locks are alike, for lockdep.
#[repr(transparent)]
#[pin_data(PinnedDrop)]
pub struct LockClassKey {
    #[pin]
    inner: Opaque<bindings::lock_class_key>,
}

// SAFETY: Lockdep looks at it from any thread.
unsafe impl Send for LockClassKey {}

// SAFETY: Lockdep synchronises by itself.
unsafe impl Sync for LockClassKey {}

impl LockClassKey {
    /// A key in a static.
    ///
    /// # Safety
    ///
    /// It is never dropped.
    pub const unsafe fn new_static() -> Self {
        LockClassKey {
            inner: Opaque::uninit(),
        }
    }

    /// A key that comes and goes.
    pub fn new_dynamic() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: Pinned, and unregistered when dropped.
            inner <- Opaque::ffi_init(|slot| unsafe { bindings::lockdep_register_key(slot) }),
        })
    }

    /// The C key.
    pub fn as_ptr(&self) -> *mut bindings::lock_class_key {
        self.inner.get()
    }
}

#[pinned_drop]
impl PinnedDrop for LockClassKey {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Registered by `new_dynamic`; a static one is never dropped.
        unsafe { bindings::lockdep_unregister_key(self.as_ptr()) }
    }
}

/// A lock class for this place in the source.
#[macro_export]
macro_rules! static_lock_class {
    () => {{
        static CLASS: $crate::sync::LockClassKey =
            // SAFETY: Statics are never dropped.
            unsafe { $crate::sync::LockClassKey::new_static() };
        $crate::prelude::Pin::static_ref(&CLASS)
    }};
}
pub use static_lock_class;

/// The name given, or the place in the source.
#[doc(hidden)]
#[macro_export]
macro_rules! optional_name {
    () => {
        $crate::c_str!(::core::concat!(::core::file!(), ":", ::core::line!()))
    };
    ($name:literal) => {
        $crate::c_str!($name)
    };
}

//! Work queues.
//!
//! C header: `include/linux/workqueue.h`; mirrors `rust/kernel/workqueue.rs`. Left out: work items
//! (`Work`, `DelayedWork`, `enqueue`) and queues of one's own.

use crate::{bindings, types::Opaque};

/// A `struct workqueue_struct`.
#[repr(transparent)]
pub struct Queue(Opaque<bindings::workqueue_struct>);

// SAFETY: The C side synchronises.
unsafe impl Send for Queue {}

// SAFETY: The C side synchronises.
unsafe impl Sync for Queue {}

impl Queue {
    /// The queue at an address.
    ///
    /// # Safety
    ///
    /// It is valid for `'a`.
    pub unsafe fn from_raw<'a>(ptr: *const bindings::workqueue_struct) -> &'a Queue {
        // SAFETY: Asked of the caller; transparent around it.
        unsafe { &*ptr.cast::<Queue>() }
    }
}

macro_rules! system_queues {
    ($($(#[$doc:meta])* $name:ident = $queue:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name() -> &'static Queue {
            // SAFETY: The system's queues are always there.
            unsafe { Queue::from_raw(bindings::$queue) }
        }
    )*};
}

system_queues! {
    /// For short work. Deprecated in Linux 7.3, which warns.
    system = system_wq;
    /// For short work that cannot wait.
    system_highpri = system_highpri_wq;
    /// For long work.
    system_long = system_long_wq;
    /// For work on any CPU.
    system_unbound = system_unbound_wq;
    /// For work that stops during suspend.
    system_freezable = system_freezable_wq;
    /// For work that may be moved to save power.
    system_power_efficient = system_power_efficient_wq;
    /// For both.
    system_freezable_power_efficient = system_freezable_power_efficient_wq;
    /// For work in softirq context.
    system_bh = system_bh_wq;
    /// For work in softirq context that cannot wait.
    system_bh_highpri = system_bh_highpri_wq;
}

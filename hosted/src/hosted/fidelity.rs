//! What the checks of `hosted/fidelity` declare as `extern "C"`: inline C functions, and what they
//! need of a kernel that has no function for it. On Linux they are in `linux/fidelity_helpers.c`.

#![allow(
    clippy::missing_safety_doc,
    missing_docs,
    reason = "what is asked of callers, C's documentation says"
)]

use super::machine::{preempt, world};
use super::{locks, softirq};
use crate::bindings::{task_struct, tasklet_struct};
use crate::ffi;

/// Take the calling task off a CPU. The model moves tasks about as it likes: nothing to do.
#[no_mangle]
pub unsafe extern "C" fn fidelity_keep_off(_cpu: ffi::c_int) {}

#[no_mangle]
pub unsafe extern "C" fn fidelity_this_cpu() -> ffi::c_int {
    // SAFETY: any context may ask.
    unsafe { locks::raw_smp_processor_id() as ffi::c_int }
}

/// Send a signal that a program can have a handler for.
#[no_mangle]
pub unsafe extern "C" fn fidelity_signal(task: *mut ffi::c_void) {
    // SAFETY: task structures live as long as the execution.
    let index = unsafe { (*task.cast::<task_struct>()).index };
    preempt();
    world(|w| w.signal(index));
    preempt();
}

macro_rules! inline_in_c {
    ($($name:ident = $module:ident::$function:ident($($arg:ident: $ty:ty)?) $(-> $ret:ty)?;)*) => {$(
        #[no_mangle]
        pub unsafe extern "C" fn $name($($arg: $ty)?) $(-> $ret)? {
            // SAFETY: the caller's promise is passed on.
            unsafe { $module::$function($($arg)?) }
        }
    )*};
}

inline_in_c! {
    fidelity_local_bh_disable = locks::local_bh_disable();
    fidelity_local_bh_enable = locks::local_bh_enable();
    fidelity_local_irq_disable = locks::local_irq_disable();
    fidelity_local_irq_enable = locks::local_irq_enable();
    fidelity_irqs_disabled = locks::irqs_disabled() -> bool;
    fidelity_tasklet_disable = softirq::tasklet_disable(t: *mut tasklet_struct);
    fidelity_tasklet_enable = softirq::tasklet_enable(t: *mut tasklet_struct);
    fidelity_tasklet_hi_schedule = softirq::tasklet_schedule(t: *mut tasklet_struct);
}

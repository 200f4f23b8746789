//! Waiting for time to pass.
//!
//! C header: `include/linux/delay.h`; mirrors `rust/kernel/time/delay.rs`.

use super::Delta;
use crate::{bindings, ffi::c_ulong};

fn micros(delta: Delta, max: Delta) -> c_ulong {
    let fits = (Delta::ZERO..=max).contains(&delta);
    (if fits { delta } else { max }).as_micros_ceil() as c_ulong
}

/// Sleeps for at least `delta`.
#[track_caller]
pub fn fsleep(delta: Delta) {
    let micros = micros(delta, Delta::from_micros(i32::MAX as i64));
    // SAFETY: May be called wherever one may sleep.
    unsafe { bindings::fsleep(micros) }
}

/// Spins for at least `delta`, which is a few milliseconds at most.
#[track_caller]
pub fn udelay(delta: Delta) {
    let micros = micros(delta, Delta::from_millis(5));
    // SAFETY: May be called anywhere.
    unsafe { bindings::udelay(micros) }
}

//! `refcount_t`, as `include/linux/refcount.h` has it: it never wraps, and says so when it would.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::machine::{at, preempt, try_world, Place};
use super::report::Kind;
use crate::bindings::{bool_, refcount_t};
use crate::ffi;
use std::panic::Location;

/// Where a count stays once it has gone wrong.
const SATURATED: ffi::c_int = ffi::c_int::MIN / 2;

/// Look at the count, after a scheduling point.
fn with<R>(r: *mut refcount_t, place: Place, f: impl FnOnce(&mut ffi::c_int) -> R) -> R {
    preempt();
    try_world(|w| w.check(r as usize, size_of::<refcount_t>(), "a refcount_t", place));
    // SAFETY: the caller gives a count; that it is not freed has been checked. Only one task runs
    // at a time, and `f` does not switch.
    f(unsafe { &mut (*r).refs.counter })
}

#[track_caller]
fn warn(message: &str, place: Place) {
    try_world(|w| {
        w.fail(
            Kind::Misuse,
            message.into(),
            &[format!("called      {}", at(place))],
        )
    });
}

#[track_caller]
pub unsafe fn refcount_set(r: *mut refcount_t, n: ffi::c_int) {
    with(r, Location::caller(), |count| *count = n);
}

#[track_caller]
pub unsafe fn refcount_inc(r: *mut refcount_t) {
    let place = Location::caller();
    let before = with(r, place, |count| {
        let before = *count;
        *count = if before <= 0 {
            SATURATED
        } else {
            before.saturating_add(1)
        };
        before
    });
    if before <= 0 {
        warn("refcount_t: increment on 0; use-after-free", place);
    }
}

#[track_caller]
pub unsafe fn refcount_dec(r: *mut refcount_t) {
    let place = Location::caller();
    let before = with(r, place, |count| {
        let before = *count;
        *count = if before <= 1 { SATURATED } else { before - 1 };
        before
    });
    if before <= 1 {
        warn("refcount_t: decrement hit 0; leaking memory", place);
    }
}

#[track_caller]
pub unsafe fn refcount_dec_and_test(r: *mut refcount_t) -> bool_ {
    let place = Location::caller();
    let before = with(r, place, |count| {
        let before = *count;
        *count = if before <= 0 { SATURATED } else { before - 1 };
        before
    });
    if before <= 0 {
        warn("refcount_t: underflow; use-after-free", place);
    }
    before == 1
}

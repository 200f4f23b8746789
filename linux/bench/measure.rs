// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The bench, for Rust: see bench.h. A module of both Rust columns.

#![allow(dead_code, reason = "each column uses some of it")]

use core::arch::asm;
use kernel::prelude::*;

pub(crate) const ROUNDS: u64 = 100;
pub(crate) const IOCTL: u32 = 0;
pub(crate) const IOCTL_SLEEP: u32 = 1;
pub(crate) const IOCTL_WAKE: u32 = 2;

#[repr(u32)]
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Tasklet,
    Timer,
    Work,
}

extern "C" {
    fn bench_column(name: *const c_char);
    fn bench_failed(what: *const c_char, err: c_int) -> bool;
    fn bench_begin(row: *const c_char);
    fn bench_enter();
    fn bench_leave(took: u32);
    fn bench_end(want: u64, effects: u64);
    fn bench_ran();
    fn bench_runs() -> u64;
    fn bench_await_runs(runs: u64);
    fn bench_dispatch_enter(kind: Kind);
    fn bench_dispatch_leave(kind: Kind);
    fn bench_edu_open() -> c_int;
    fn bench_edu_close();
    fn bench_edu_raise(row: *const c_char);
    fn bench_edu_raise_to_first(row: *const c_char);
    fn bench_node(row: *const c_char, path: *const c_char);
    fn bench_asleep();
    fn bench_awake() -> bool;
    fn bench_memory_begin();
    fn bench_memory_end(row: *const c_char, registrations: c_uint);
    fn bench_span_begin();
    fn bench_span_end(row: *const c_char, registrations: c_uint);
    static mut bench_first_at: u32;
}

/// The lower half of the time-stamp counter. Nothing is moved across it.
#[inline(always)]
pub(crate) fn now() -> u32 {
    let low: u32;
    // SAFETY: It reads a counter. Not `nomem`, so it stays where it is among accesses to memory.
    unsafe { asm!("rdtsc", out("eax") low, out("edx") _, options(nostack)) };
    low
}

pub(crate) fn column(name: &'static CStr) {
    // SAFETY: The name is static.
    unsafe { bench_column(name.as_char_ptr()) };
}

/// Says so if something has failed.
pub(crate) fn check<T>(what: &CStr, result: Result<T>) -> Option<T> {
    let errno = result.as_ref().err().map_or(0, |error| error.to_errno());
    // SAFETY: The name is a string, and printed at once.
    unsafe { bench_failed(what.as_char_ptr(), errno) };
    result.ok()
}

#[inline]
pub(crate) fn ran() {
    // SAFETY: It counts. Any context.
    unsafe { bench_ran() };
}

pub(crate) fn runs() -> u64 {
    // SAFETY: It reads a counter.
    unsafe { bench_runs() }
}

/// Measures an operation, each time followed by what brings things back to where they were.
#[inline(always)]
pub(crate) fn row(
    name: &'static CStr,
    prepare: impl Fn(),
    operation: impl Fn(),
    settle: impl Fn(),
    has_effect: bool,
) {
    let had = runs();
    // SAFETY: In the order that bench.h says. Nothing between entering and leaving sleeps.
    unsafe {
        bench_begin(name.as_char_ptr());
        for round in 1..=ROUNDS {
            bench_enter();
            prepare();
            let start = now();
            operation();
            let took = now().wrapping_sub(start);
            bench_leave(took);
            settle();
            if has_effect {
                bench_await_runs(had + round);
            }
        }
        bench_end(if has_effect { ROUNDS } else { 0 }, runs() - had);
    }
}

pub(crate) fn dispatch(name: &'static CStr, kind: Kind, operation: impl Fn()) {
    let had = runs();
    // SAFETY: In the order that bench.h says. Nothing between entering and leaving sleeps.
    unsafe {
        bench_begin(name.as_char_ptr());
        for _ in 0..ROUNDS {
            bench_dispatch_enter(kind);
            operation();
            bench_dispatch_leave(kind);
        }
        bench_end(ROUNDS, runs() - had);
    }
}

/// Runs `f` while the bench has edu's registers in its hands.
pub(crate) fn with_edu(f: impl FnOnce()) {
    // SAFETY: Closed again if opened.
    unsafe {
        let errno = bench_edu_open();
        if !bench_failed(c"edu".as_char_ptr(), errno) {
            f();
            bench_edu_close();
        }
    }
}

pub(crate) fn raise(row: &'static CStr) {
    // SAFETY: In `with_edu`, with a handler registered.
    unsafe { bench_edu_raise(row.as_char_ptr()) };
}

pub(crate) fn raise_to_first(row: &'static CStr) {
    // SAFETY: As above.
    unsafe { bench_edu_raise_to_first(row.as_char_ptr()) };
}

/// The handler's first instruction.
#[inline(always)]
pub(crate) fn first() {
    // SAFETY: One interrupt at a time, and read when that is over.
    unsafe { bench_first_at = now() };
}

pub(crate) fn node(row: &'static CStr, path: &'static CStr) {
    // SAFETY: Static strings. The node has the ioctls that bench.h says.
    unsafe { bench_node(row.as_char_ptr(), path.as_char_ptr()) };
}

pub(crate) fn asleep() {
    // SAFETY: It completes a completion.
    unsafe { bench_asleep() };
}

pub(crate) fn awake() -> bool {
    // SAFETY: It reads a flag.
    unsafe { bench_awake() }
}

/// Measures binding and unbinding: `bind` gives something that unbinds when it is dropped.
pub(crate) fn many<T>(rows: [&'static CStr; 3], registrations: u32, bind: impl Fn() -> Result<T>) {
    let [bound, unbound, memory] = rows;
    // SAFETY: Each span and each count of memory ends before the next begins.
    unsafe {
        bench_span_begin();
        let device = bind();
        bench_span_end(bound.as_char_ptr(), registrations);
        let device = check(bound, device);
        bench_span_begin();
        drop(device);
        bench_span_end(unbound.as_char_ptr(), registrations);

        bench_memory_begin();
        let device = bind();
        bench_memory_end(memory.as_char_ptr(), registrations);
        drop(device);
    }
}

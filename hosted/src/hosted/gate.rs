//! The gates of `linux/helpers.c`: what is inline there and counts who is inside, step by step.
//!
//! Who closes a gate and waits is `src/gate.rs`, in both worlds. Here is what it is explored against: between
//! finding a gate open and being counted, and between finding it closed and being counted out, others run.

use super::machine::{preempt, try_world, world, World, CPUS};
use super::report::Kind;
use super::wait::complete;
use crate::bindings::{completion, __GFP_ZERO, GFP_KERNEL};
use crate::ffi;
use std::alloc::Layout;
use std::panic::Location;

const NOTES: usize = 3;

/// Of one CPU.
#[repr(C)]
struct Counts {
    inside: ffi::c_int,
    notes: [ffi::c_ulong; NOTES],
}

type AllCounts = [Counts; CPUS];

/// What the gate of `src/gate.rs` begins with.
#[repr(C)]
struct Gate {
    counts: *mut ffi::c_void,
    closed: ffi::c_int,
    left: completion,
}

/// Preemption off until it is dropped.
struct PreemptOff;

impl PreemptOff {
    fn new() -> Self {
        world(World::preempt_off);
        Self
    }
}

impl Drop for PreemptOff {
    fn drop(&mut self) {
        try_world(World::preempt_on);
    }
}

#[track_caller]
fn with_counts<R>(counts: *mut ffi::c_void, f: impl FnOnce(&mut World, &mut AllCounts) -> R) -> R {
    let place = Location::caller();
    world(|w| {
        w.check(counts as usize, size_of::<AllCounts>(), "a gate", place);
        // SAFETY: just checked; no other task runs meanwhile.
        f(w, unsafe { &mut *counts.cast::<AllCounts>() })
    })
}

/// # Safety
///
/// It is a gate, or was one.
#[track_caller]
unsafe fn is_closed(gate: *mut Gate) -> bool {
    preempt();
    super::check_access(gate, size_of::<Gate>());
    // SAFETY: just checked; no other task runs meanwhile.
    unsafe { (*gate).closed != 0 }
}

/// # Safety
///
/// It is a gate, or was one.
#[track_caller]
unsafe fn count(gate: *mut Gate, change: ffi::c_int) {
    preempt();
    super::check_access(gate, size_of::<Gate>());
    // SAFETY: just checked; no other task runs meanwhile.
    let counts = unsafe { (*gate).counts };
    with_counts(counts, |w, counts| counts[w.my_cpu()].inside += change);
}

/// `__alloc_percpu()`
///
/// # Safety
///
/// Process context.
#[no_mangle]
pub unsafe extern "C" fn devscope_gate_alloc(_notes: bool) -> *mut ffi::c_void {
    super::ledger::alloc(
        Layout::new::<AllCounts>(),
        GFP_KERNEL | __GFP_ZERO,
        "per-CPU memory",
    )
}

/// `free_percpu()`
///
/// # Safety
///
/// `counts` is from `devscope_gate_alloc()`, and nobody uses it.
#[no_mangle]
pub unsafe extern "C" fn devscope_gate_free(counts: *mut ffi::c_void) {
    let inside = with_counts(counts, |_, counts| sum(counts));
    if inside != 0 {
        let message = format!("a gate is freed with {inside} inside");
        super::report(Kind::FreedWhileActive, message);
    }
    super::ledger::free(counts);
}

/// Enters a gate, unless it is closed.
///
/// # Safety
///
/// It is a gate.
#[no_mangle]
pub unsafe extern "C" fn devscope_gate_enter(gate: *mut ffi::c_void) -> bool {
    let gate = gate.cast::<Gate>();
    let _off = PreemptOff::new();
    // SAFETY: the caller's promise is passed on.
    unsafe {
        let open = !is_closed(gate);
        if open {
            count(gate, 1);
        }
        open
    }
}

/// Leaves a gate.
///
/// # Safety
///
/// It is a gate that was entered.
#[no_mangle]
pub unsafe extern "C" fn devscope_gate_leave(gate: *mut ffi::c_void) {
    let gate = gate.cast::<Gate>();
    let _off = PreemptOff::new();
    // SAFETY: the caller's promise is passed on.
    unsafe {
        let closed = is_closed(gate);
        count(gate, -1);
        if closed {
            complete(&raw mut (*gate).left);
        }
    }
}

/// Enters a gate, unless it is closed, and leaves a note.
///
/// # Safety
///
/// It is a gate with places for notes. Process context.
#[no_mangle]
pub unsafe extern "C" fn devscope_gate_enter_noting(
    gate: *mut ffi::c_void,
    what: ffi::c_ulong,
) -> *mut ffi::c_ulong {
    let gate = gate.cast::<Gate>();
    let _off = PreemptOff::new();
    // SAFETY: the caller's promise is passed on.
    unsafe {
        if is_closed(gate) {
            return std::ptr::null_mut();
        }
        let note = with_counts((*gate).counts, |w, counts| {
            let number = w.current as ffi::c_ulong + 1;
            let notes = &mut counts[w.my_cpu()].notes;
            let free = notes.iter().position(|note| *note == 0);
            let note = &mut notes[free.unwrap_or(NOTES - 1)];
            *note = what | number;
            &raw mut *note
        });
        count(gate, 1);
        note
    }
}

/// Leaves a gate, and takes the note away.
///
/// # Safety
///
/// It is a gate that was entered, and `note` is what that gave.
#[no_mangle]
pub unsafe extern "C" fn devscope_gate_leave_noting(
    gate: *mut ffi::c_void,
    note: *mut ffi::c_ulong,
) {
    super::check_access(note, size_of::<ffi::c_ulong>());
    // SAFETY: just checked; and the rest is the caller's promise.
    unsafe {
        note.write(0);
        devscope_gate_leave(gate);
    }
}

fn sum(counts: &AllCounts) -> ffi::c_int {
    counts.iter().map(|of_a_cpu| of_a_cpu.inside).sum()
}

/// How many are inside.
///
/// # Safety
///
/// `counts` are those of a gate.
#[no_mangle]
pub unsafe extern "C" fn devscope_gate_sum(counts: *mut ffi::c_void) -> ffi::c_int {
    // One counter after the other, as others change them.
    (0..CPUS)
        .map(|cpu| {
            preempt();
            with_counts(counts, |_, counts| counts[cpu].inside)
        })
        .sum()
}

/// The notes of one CPU.
///
/// # Safety
///
/// `counts` are those of a gate with notes, and there is room for three.
#[no_mangle]
pub unsafe extern "C" fn devscope_gate_notes(
    counts: *mut ffi::c_void,
    cpu: ffi::c_uint,
    notes: *mut ffi::c_ulong,
) -> bool {
    let Some(found) = with_counts(counts, |_, counts| {
        counts.get(cpu as usize).map(|of_a_cpu| of_a_cpu.notes)
    }) else {
        return false;
    };
    // SAFETY: there is room: asked of the caller.
    unsafe { notes.cast::<[ffi::c_ulong; NOTES]>().write(found) };
    true
}

/// `get_state_synchronize_rcu()`
///
/// # Safety
///
/// None.
#[no_mangle]
pub unsafe extern "C" fn devscope_get_state_synchronize_rcu() -> ffi::c_ulong {
    preempt();
    world(|w| w.locks.next_grace_period()) as ffi::c_ulong
}

/// `cond_synchronize_rcu()`
///
/// # Safety
///
/// Process context.
#[no_mangle]
pub unsafe extern "C" fn devscope_cond_synchronize_rcu(state: ffi::c_ulong) {
    preempt();
    let over = world(|w| {
        w.might_sleep("cond_synchronize_rcu", Location::caller());
        w.locks.is_over(state as u64)
    });
    if !over {
        // SAFETY: the caller's promise is passed on.
        unsafe { super::locks::synchronize_rcu() };
    }
}

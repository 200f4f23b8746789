// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What `hosted/FIDELITY.md` promises, asked of whichever kernel this is built against.
//!
//! Each check is a function that does something to the kernel and says what it saw. There is one
//! source, and nothing in it asks where it is:
//!
//! - `cargo test -p fidelity` explores schedules of each check on the model.
//! - Kbuild makes `fidelity.ko` of it, which binds to QEMU's `edu` device. A program writes a check's
//!   name to `/dev/fidelity`, and the check runs in that program's system call.
//!
//! A check has three ways to come out. Something is *wrong*: it says what was seen. The promise
//! *held*, but the case that it is about (a handler that runs at just that moment) did not come up.
//! Or the case *happened*, and the promise held. Only the last is `ok`: on Linux a check is repeated
//! until its case comes up, and on the model at least one of the schedules has to bring it.
//!
//! This is Rust in the manner of C, on the raw bindings: what is asked here is what the C functions
//! do. `unsafe` is the point of it.

#![no_std]

mod device;
mod devices;
mod irq;
mod locks;
mod mistakes;
pub mod node;
mod state;
mod table;
mod tasklet;
mod timer;
mod waiting;
mod work;

pub use device::{bound, Edu};
pub use table::{named, CHECKS, MISTAKES};

use core::mem::MaybeUninit;
use device::Fidelity;
use kernel::{
    bindings,
    prelude::*,
    sync::atomic::{Atomic, Full, Relaxed},
};

extern "C" {
    // In `linux/helpers.c`, and in the model.
    fn devscope_tasklet_claim(t: *mut bindings::tasklet_struct) -> bool;
    fn devscope_gate_alloc(notes: bool) -> *mut c_void;
    fn devscope_gate_free(counts: *mut c_void);
    fn devscope_gate_enter(gate: *mut c_void) -> bool;
    fn devscope_gate_leave(gate: *mut c_void);
    fn devscope_gate_enter_noting(gate: *mut c_void, what: c_ulong) -> *mut c_ulong;
    fn devscope_gate_leave_noting(gate: *mut c_void, note: *mut c_ulong);
    fn devscope_gate_sum(counts: *mut c_void) -> c_int;
    fn devscope_gate_notes(counts: *mut c_void, cpu: c_uint, notes: *mut c_ulong) -> bool;
    fn devscope_get_state_synchronize_rcu() -> c_ulong;
    fn devscope_cond_synchronize_rcu(state: c_ulong);
    fn devscope_in_atomic_context() -> bool;
    fn devscope_irq_set_affinity_and_hint(irq: c_uint, m: *const bindings::cpumask) -> c_int;
    fn devscope_irq_update_affinity_hint(irq: c_uint, m: *const bindings::cpumask) -> c_int;

    // In `linux/fidelity_helpers.c`, and in the model.
    fn fidelity_keep_off(cpu: c_int);
    fn fidelity_this_cpu() -> c_int;
    fn fidelity_signal(task: *mut c_void);
    fn fidelity_local_bh_disable();
    fn fidelity_local_bh_enable();
    fn fidelity_local_irq_disable();
    fn fidelity_local_irq_enable();
    fn fidelity_irqs_disabled() -> bool;
    fn fidelity_tasklet_disable(t: *mut bindings::tasklet_struct);
    fn fidelity_tasklet_enable(t: *mut bindings::tasklet_struct);
    fn fidelity_tasklet_hi_schedule(t: *mut bindings::tasklet_struct);
}

/// `tasklet_schedule()`, saying whether it was this call that queued the tasklet.
unsafe fn tasklet_schedule(t: *mut bindings::tasklet_struct) -> bool {
    // SAFETY: Set up by the caller, and it is queued by whoever has claimed it.
    unsafe {
        let claimed = devscope_tasklet_claim(t);
        if claimed {
            bindings::__tasklet_schedule(t);
        }
        claimed
    }
}

/// A check: its name is a sentence.
pub struct Check {
    /// As `FIDELITY.md` names it.
    pub name: &'static str,
    /// What it does, in process context.
    pub run: unsafe fn(Edu) -> Verdict,
    /// Where the model and Linux are known to differ: what each answers.
    pub answers: Option<Answers>,
}

/// What a check that has no right or wrong answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answers {
    /// On the model.
    pub model: &'static str,
    /// On Linux.
    pub linux: &'static str,
}

/// What a check saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdict {
    /// The first thing that was not as promised.
    pub wrong: Option<Saw>,
    /// The case that the check is about came up.
    pub happened: bool,
    /// For a check with [`Answers`].
    pub answer: Option<&'static str>,
}

/// Something that should not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saw {
    /// In words.
    pub what: &'static str,
    /// And a number.
    pub value: i64,
}

impl Verdict {
    /// Takes note of what is wrong, and goes on, so that the check can clean up.
    fn expect(&mut self, right: bool, what: &'static str, value: impl Into<i64>) {
        if !right && self.wrong.is_none() {
            let value = value.into();
            self.wrong = Some(Saw { what, value });
        }
    }

    fn happened(mut self, happened: bool) -> Self {
        self.happened = happened;
        self
    }
}

/// How often Linux is given a chance to bring a check's case.
const ROUNDS: c_int = 60;

/// Runs a check until its case has come up, and says in the kernel's log how it went. On Linux, that is:
/// on the model tests run the checks themselves.
///
/// Errors: `EIO` if that is not as it should be; `EAGAIN` if the case has not come up. A program may
/// ask once more then: a signal, for one, is pending until it has returned to the program.
fn report(check: &Check, edu: Edu) -> Result {
    let mut verdict = Verdict::default();
    for round in 0..ROUNDS {
        // On one CPU after the other: the interrupt should find this task on another than its own.
        // SAFETY: Process context.
        unsafe { fidelity_keep_off(round % 2) };
        // SAFETY: The device is bound, and checks are run one at a time.
        verdict = unsafe { (check.run)(edu) };
        if verdict.wrong.is_some() || verdict.happened {
            break;
        }
    }
    // SAFETY: As above.
    unsafe { fidelity_keep_off(-1) };

    let name = check.name;
    if let Some(Saw { what, value }) = verdict.wrong {
        pr_info!("{name}: {what} ({value})\n");
        return Err(EIO);
    }
    if !verdict.happened {
        pr_info!("{name}: held, but the case did not come up\n");
        return Err(EAGAIN);
    }
    let expected = check.answers.map(|answers| answers.linux);
    match verdict.answer {
        None if expected.is_none() => pr_info!("{name}: ok\n"),
        Some(answer) if verdict.answer == expected => pr_info!("{name}: ok ({answer})\n"),
        other => {
            let [seen, wanted] = [other, expected].map(|answer| answer.unwrap_or("ok"));
            pr_info!("{name}: {seen}, and not {wanted}\n");
        }
    }
    if verdict.answer == expected {
        Ok(())
    } else {
        Err(EIO)
    }
}

/// Memory of zeroes for a check's state; `give_back` returns it.
fn allocate<T>() -> *mut T {
    match KBox::<MaybeUninit<T>>::new_uninit(GFP_KERNEL) {
        Ok(memory) => {
            let memory = KBox::into_raw(memory).cast::<T>();
            // SAFETY: Fresh memory for a `T`.
            unsafe { memory.write_bytes(0, 1) };
            memory
        }
        // Nothing here can be checked without memory.
        Err(_) => panic!("no memory"),
    }
}

/// # Safety
///
/// `memory` is from `allocate`, and nobody uses it any more.
unsafe fn give_back<T>(memory: *mut T) {
    // SAFETY: As the caller promises. The type is that of `allocate`.
    drop(unsafe { KBox::from_raw(memory.cast::<MaybeUninit<T>>()) });
}

/// A number that handlers and tasks share. Zero is how it begins.
#[repr(transparent)]
struct Shared(Atomic<i32>);

impl Shared {
    fn get(&self) -> i32 {
        self.0.load(Relaxed)
    }

    fn set(&self, value: i32) {
        self.0.store(value, Relaxed);
    }

    /// Returns what it was.
    fn add(&self, value: i32) -> i32 {
        self.0.fetch_add(value, Full)
    }
}

/// Is busy for some milliseconds, anywhere.
unsafe fn busy(milliseconds: usize) {
    for _ in 0..milliseconds {
        // SAFETY: Any context may.
        unsafe { bindings::udelay(1000) };
    }
}

/// A name for what has one in Linux.
fn name() -> *const c_char {
    c"fidelity".as_ptr().cast()
}

kernel::prelude::module! {
    type: Fidelity,
    name: "fidelity",
    authors: ["The devscope authors"],
    description: "Checks of what the hosted model promises",
    license: "GPL",
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The gate between callers that outlive the device, and the device side of their driver.
//!
//! A gate is *open* until its scope begins to end, then *closed*; it is *idle* when everybody who
//! came in has left. A gate stands in something that is counted, because open files try to enter it
//! after the device has gone, and so do callers of an [entrance](crate::entrance). The gate of a
//! [part](crate::part) opens and closes with it, again and again.
//!
//! It counts as the fast path of a `percpu_rw_semaphore` does (`include/linux/percpu-rwsem.h`): each CPU has
//! a counter, changed with preemption off, and only their sum means something. Entering and leaving write
//! to memory of this CPU alone, take no lock and no full barrier, and who is inside may sleep.
//!
//! ```text
//!   enter                    leave                        close, and wait until idle
//!   preempt_disable()        preempt_disable()            closed = true
//!   if !closed               if !closed                   a grace period of RCU
//!       count += 1               count -= 1               while sum of counts != 0
//!   preempt_enable()         else                             wait_for_completion(left)
//!                                smp_mb()
//!                                count -= 1
//!                                complete(left)
//!                            preempt_enable()
//! ```
//!
//! With preemption off is an RCU read-side critical section. So after the grace period
//!
//! - everybody who has found the gate open is in the sum, and nobody will be added to it: each counter can
//!   only fall, and where an old value is read, the sum is too large and never too small;
//! - whoever leaves completes `left`. Who left without has left before, and was seen to: the grace period is
//!   the barrier for that. For the others it is `smp_mb()`, here and after the sum.
//!
//! Linux's memory model says so too: `linux/litmus/gate+*.litmus`.
//!
//! Any number of gates that close together wait for one grace period: each remembers when it was closed, and
//! the first that waits has waited for all (`cond_synchronize_rcu()`).
//!
//! `percpu_ref` would do, and is what C would use. It enters RCU twice, in calls, where this turns
//! preemption off twice: about twice the instructions. A semaphore waits for a grace period each, cannot say
//! whom it waits for, and has to be unlocked to be freed. SRCU is a grace period each as well.
//! `docs/performance.md` has the numbers.
//!
//! Who is inside can write down why, for unbinding to be able to say whom it waits for: in a place of the CPU
//! on which it came in, while preemption is off anyway. If it leaves on another CPU, that one writes there to take
//! the note away: the only line that two CPUs may write.

use crate::helpers;
use core::{
    cell::Cell,
    ffi::c_void,
    ops::Deref,
    ptr::{self, NonNull},
};
use kernel::{
    bindings,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed, Release},
        Arc,
    },
    time::Jiffies,
    types::Opaque,
};

/// For each CPU, how many have come in there less how many have left there; and places for notes.
///
/// # Invariants
///
/// It is memory from `devscope_gate_alloc()`, and freed by nobody else.
#[repr(transparent)]
struct Counts(NonNull<c_void>);

impl Counts {
    /// Nobody is inside. May sleep. Errors: `ENOMEM`.
    fn new(notes: bool) -> Result<Self> {
        // SAFETY: No requirement but process context.
        let counts = unsafe { helpers::devscope_gate_alloc(notes) };
        // INVARIANT: It is.
        NonNull::new(counts).map(Self).ok_or(ENOMEM)
    }

    /// How many are inside. Exact once the gate is closed and a grace period has passed; if that is
    /// zero, all that they did inside has happened before this returns.
    fn sum(&self) -> c_int {
        // SAFETY: Invariant.
        unsafe { helpers::devscope_gate_sum(self.0.as_ptr()) }
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        // SAFETY: Invariant; and nobody is inside. A gate that was used is closed and waited for before
        // the scope gives up its count, and `Inside` and `Noted` borrow the gate.
        unsafe { helpers::devscope_gate_free(self.0.as_ptr()) };
    }
}

/// `repr(C)`: it begins as `struct devscope_gate` in `linux/helpers.c`.
///
/// # Invariants
///
/// `left` is initialised when the initializer of [`Gate::new`] has run, and stays in place.
#[pin_data]
#[repr(C)]
pub(crate) struct Gate {
    counts: Counts,
    /// Not 0 while the gate is closed.
    closed: Atomic<c_int>,
    /// Completed once by each who leaves a closed gate. It may be so once more than was waited for, by
    /// one who had been seen to leave already: whoever waits looks again.
    #[pin]
    left: Opaque<bindings::completion>,
    /// Which grace period has to be over for the sum to be exact. Used by whoever closes and waits.
    grace_period: Cell<c_ulong>,
}

// SAFETY: What is counted is used through C functions that may be called on any CPU, and so is `left`.
unsafe impl Send for Gate {}
// SAFETY: As above. `grace_period` is used by those who close the gate and wait, and that is one at a time:
// teardown, or who has made a part busy (`Phase` in `src/part.rs`).
unsafe impl Sync for Gate {}

impl Gate {
    /// An open gate. May sleep. Errors: `ENOMEM`.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        Self::make(false, false)
    }

    /// A closed gate that can be opened with [`Gate::reopen`]. May sleep. Errors: `ENOMEM`.
    pub(crate) fn new_closed() -> Result<Arc<Self>> {
        Arc::pin_init(Self::make(false, true), GFP_KERNEL)
    }

    fn make(notes: bool, closed: bool) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            counts: Counts::new(notes)?,
            closed: Atomic::new(closed.into()),
            grace_period: Cell::new(0),
            // SAFETY: The slot is ours and does not move any more. A completion is memory and no more.
            // INVARIANT: It is initialised.
            left <- Opaque::ffi_init(|slot| unsafe { bindings::init_completion(slot) }),
        })
    }

    fn as_ptr(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// Comes in, unless the gate is closed. Any context but NMI; the guard may be held while sleeping.
    ///
    /// Who comes in sees what was written before the gate was opened.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Inside<'_>> {
        // SAFETY: It is a gate: what C changes in it is atomic, or a completion.
        // `then`, not `then_some`: an `Inside` that was made in vain would leave when dropped.
        unsafe { helpers::devscope_gate_enter(self.as_ptr()) }.then(|| Inside(self))
    }

    /// Opens a gate that is closed and idle. One caller at a time. Does not wait.
    pub(crate) fn reopen(&self) {
        // Release pairs with entering.
        self.closed.store(0, Release);
    }

    /// Refuses newcomers from now on. Called once each time that it is open. Does not wait.
    pub(crate) fn close(&self) {
        self.closed.store(1, Relaxed);
        // SAFETY: No requirement. It is a full barrier first: the grace period begins after the store.
        let grace_period = unsafe { helpers::devscope_get_state_synchronize_rcu() };
        self.grace_period.set(grace_period);
    }

    /// Waits for those who may have found the gate open and are not in the sum yet.
    fn wait_until_counted(&self) {
        #[cfg(devscope_mutants)]
        if crate::mutants::active(crate::mutants::Mutant::SkipGracePeriod) {
            return;
        }
        // SAFETY: Process context, which may sleep.
        unsafe { helpers::devscope_cond_synchronize_rcu(self.grace_period.get()) };
    }

    /// Waits until everybody has left. After [`Gate::close`]; process context, sleeps.
    pub(crate) fn wait_until_idle(&self) {
        self.wait_until_counted();
        while self.counts.sum() != 0 {
            // SAFETY: The completion is initialised: invariant.
            unsafe { bindings::wait_for_completion(self.left.get()) };
        }
    }

    /// As [`Gate::wait_until_idle`], for a grace period and `limit` at most. Returns whether the gate is
    /// idle.
    pub(crate) fn wait_until_idle_for(&self, mut limit: Jiffies) -> bool {
        self.wait_until_counted();
        while self.counts.sum() != 0 {
            // SAFETY: The completion is initialised: invariant.
            limit = unsafe { bindings::wait_for_completion_timeout(self.left.get(), limit) };
            if limit == 0 {
                return self.counts.sum() == 0;
            }
        }
        true
    }
}

/// A gate that also knows what those who are inside do, and who some of them are.
///
/// # Invariants
///
/// Its counts have places for notes.
#[pin_data]
pub(crate) struct NotingGate {
    #[pin]
    gate: Gate,
}

impl NotingGate {
    /// An open gate. May sleep. Errors: `ENOMEM`.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        // INVARIANT: They are made with them.
        try_pin_init!(Self {
            gate <- Gate::make(true, false),
        })
    }

    /// As [`Gate::enter`], and writes down that the current task is inside for `what`, which is not 0.
    /// Process context.
    #[inline]
    pub(crate) fn enter_noting(&self, what: u8) -> Option<Noted<'_>> {
        let what = c_ulong::from(what) << NUMBER_BITS;
        // SAFETY: It is a gate, with places for notes: invariant.
        let note = unsafe { helpers::devscope_gate_enter_noting(self.gate.as_ptr(), what) };
        NonNull::new(note).map(|note| Noted {
            gate: &self.gate,
            note,
        })
    }

    /// Calls `f` with each note: what for, and the number of the task. As they are found: others come
    /// and go meanwhile.
    pub(crate) fn for_each_note(&self, mut f: impl FnMut(u8, c_int)) {
        let mut notes = [0; helpers::GATE_NOTES];
        let mut cpu = 0;
        // SAFETY: The counts are there, with places for notes (invariant), and there is room for those of
        // one CPU.
        while unsafe {
            helpers::devscope_gate_notes(self.gate.counts.0.as_ptr(), cpu, notes.as_mut_ptr())
        } {
            for note in notes.into_iter().filter(|note| *note != 0) {
                let number = note & ((1 << NUMBER_BITS) - 1);
                f((note >> NUMBER_BITS) as u8, number as c_int);
            }
            cpu += 1;
        }
    }
}

impl Deref for NotingGate {
    type Target = Gate;

    fn deref(&self) -> &Gate {
        &self.gate
    }
}

/// Where the number of a task ends in a note, and what for begins. `linux/helpers.c` asserts it.
const NUMBER_BITS: u32 = 24;

/// The right to be inside a gate.
#[must_use = "leaving the gate at once protects nothing"]
pub(crate) struct Inside<'g>(&'g Gate);

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: Pairs with the entering that made `self`. The gate stays: it is borrowed.
        unsafe { helpers::devscope_gate_leave(self.0.as_ptr()) };
    }
}

/// The right to be inside a gate, with a note of what for.
#[must_use = "leaving the gate at once protects nothing"]
pub(crate) struct Noted<'g> {
    gate: &'g Gate,
    note: NonNull<c_ulong>,
}

impl Drop for Noted<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: As for `Inside`; the note is the one that entering gave.
        unsafe { helpers::devscope_gate_leave_noting(self.gate.as_ptr(), self.note.as_ptr()) };
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_gate)]
mod tests {
    use super::*;
    use crate::testing::{bind_and_unbind, pause, Count};

    fn gate() -> Result<Arc<Gate>> {
        Arc::pin_init(Gate::new(), GFP_KERNEL)
    }

    #[test]
    fn an_open_gate_lets_in_and_a_closed_one_refuses() -> Result {
        let gate = gate()?;
        let first = gate.enter();
        let second = gate.enter();
        let open = first.is_some() && second.is_some();
        drop(first);
        gate.close();
        let closed = gate.enter().is_none();
        drop(second);
        gate.wait_until_idle();
        let idle = gate.enter().is_none();
        drop(gate);
        assert!(open);
        assert!(closed);
        assert!(idle);
        Ok(())
    }

    #[test]
    fn a_gate_that_nobody_entered_is_idle_when_it_closes() -> Result {
        let gate = gate()?;
        gate.close();
        gate.wait_until_idle();
        assert!(gate.enter().is_none());
        Ok(())
    }

    #[test]
    fn a_closed_gate_lasts_as_long_as_somebody_counts_it() -> Result {
        let gate = gate()?;
        let of_a_file = gate.clone();
        gate.close();
        gate.wait_until_idle();
        drop(gate);
        assert!(of_a_file.enter().is_none());
        assert!(Arc::into_unique_or_drop(of_a_file).is_some());
        Ok(())
    }

    #[test]
    fn a_gate_opens_again_as_often_as_it_was_closed() -> Result {
        let gate = Gate::new_closed()?;
        let mut refused = 0;
        let mut let_in = 0;
        for _ in 0..3 {
            refused += i32::from(gate.enter().is_none());
            gate.reopen();
            let inside = gate.enter();
            let_in += i32::from(inside.is_some());
            gate.close();
            refused += i32::from(gate.enter().is_none());
            drop(inside);
            gate.wait_until_idle();
        }
        drop(gate);
        assert_eq!(refused, 6);
        assert_eq!(let_in, 3);
        Ok(())
    }

    struct Passage {
        gate: Arc<Gate>,
        entered: Count,
        left: Count,
        left_when_idle: Count,
        refused_when_closed: Count,
    }

    fn passage() -> Result<Passage> {
        Ok(Passage {
            gate: gate()?,
            entered: Count::default(),
            left: Count::default(),
            left_when_idle: Count::default(),
            refused_when_closed: Count::default(),
        })
    }

    #[test]
    fn a_closed_gate_is_idle_only_when_who_is_inside_has_left() -> Result {
        let bound = bind_and_unbind(passage()?, |data, scope| {
            let bell = scope.wait_queue()?;
            let work = scope.work(move || {
                let inside = data.gate.enter();
                data.entered.up();
                bell.wake_all();
                pause();
                data.left.up();
                drop(inside);
            })?;
            work.schedule();
            bell.wait_until(|| data.entered.get() == 1)?;
            data.gate.close();
            data.refused_when_closed
                .set(data.gate.enter().is_none().into());
            data.gate.wait_until_idle();
            data.left_when_idle.set(data.left.get());
            Ok(())
        })?;
        assert_eq!(bound.data().refused_when_closed.get(), 1);
        assert_eq!(bound.data().left_when_idle.get(), 1);
        Ok(())
    }

    #[test]
    fn whoever_races_with_closing_is_refused_or_waited_for() -> Result {
        let bound = bind_and_unbind(passage()?, |data, scope| {
            for _ in 0..2 {
                let work = scope.work(move || {
                    if let Some(inside) = data.gate.enter() {
                        data.entered.up();
                        pause();
                        data.left.up();
                        drop(inside);
                    }
                })?;
                work.schedule();
            }
            data.gate.close();
            data.gate.wait_until_idle();
            data.left_when_idle.set(data.left.get());
            Ok(())
        })?;
        // Whoever entered later than that has been let in by a closed gate.
        assert_eq!(
            bound.data().left_when_idle.get(),
            bound.data().entered.get()
        );
        Ok(())
    }
}

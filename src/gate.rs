// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The gate between callers that outlive the device, and the device side of their driver.
//!
//! C header: [`include/linux/percpu-refcount.h`](srctree/include/linux/percpu-refcount.h)
//!
//! A gate is *open* until its scope begins to end, then *closed*; it is *idle* when everybody who
//! came in has left. It counts with a `percpu_ref`, as the block layer does for requests: entering
//! and leaving touch a counter of this CPU only, the holder may sleep, and any number of gates that
//! close together wait for one grace period.
//!
//! A gate stands in something that is counted, because open files try to enter it after the device
//! has gone, and so do callers of an [entrance](crate::entrance). The gate of a [part](crate::part) opens and closes with it, again and again.

use crate::helpers::{devscope_percpu_ref_put, devscope_percpu_ref_tryget_live};
use core::mem::offset_of;
use kernel::{bindings, error::to_result, prelude::*, sync::Arc, time::Jiffies, types::Opaque};

/// # Invariants
///
/// 1. `users` and `idle` are initialised when the initializer of [`Gate::new`] has run, and stay in
///    place.
/// 2. `idle` is completed when `users` has dropped to zero, which needs [`Gate::close`].
#[pin_data(PinnedDrop)]
pub(crate) struct Gate {
    #[pin]
    users: Opaque<bindings::percpu_ref>,
    #[pin]
    idle: Opaque<bindings::completion>,
}

// SAFETY: Both fields are only used through C functions that may be called on any CPU.
unsafe impl Send for Gate {}
// SAFETY: As above.
unsafe impl Sync for Gate {}

impl Gate {
    /// An open gate. May sleep. Errors: `ENOMEM`.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        Self::with_flags(0)
    }

    /// A closed gate that can be opened with [`Gate::reopen`]. May sleep. Errors: `ENOMEM`.
    pub(crate) fn new_closed() -> Result<Arc<Self>> {
        Arc::pin_init(Self::with_flags(bindings::PERCPU_REF_INIT_DEAD), GFP_KERNEL)
    }

    fn with_flags(flags: c_uint) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // SAFETY: The slot is ours and does not move any more. A completion is memory and no more.
            idle <- Opaque::ffi_init(|slot| unsafe { bindings::init_completion(slot) }),
            // SAFETY: As above. If this fails, `percpu_ref_init()` has left nothing behind
            // (lib/percpu-refcount.c), and the gate has not come to be.
            // INVARIANT: Both are initialised.
            users <- Opaque::try_ffi_init(move |slot| unsafe {
                to_result(bindings::percpu_ref_init(
                    slot,
                    Some(Self::on_idle),
                    flags,
                    bindings::GFP_KERNEL,
                ))
            }),
        })
    }

    /// Called when the last user of a closed gate has left; in the context of whoever that was, or
    /// of an RCU callback.
    ///
    /// Whoever waits for the gate may free it, and unload this module, as soon as the completion is
    /// done, while this function is still on its way out. It runs inside an RCU read-side critical
    /// section (`percpu_ref_put_many()`), and `free_module()` waits for a grace period before it
    /// frees the module's text.
    ///
    /// # Safety
    ///
    /// `users` is that of a live `Gate`.
    unsafe extern "C" fn on_idle(users: *mut bindings::percpu_ref) {
        // SAFETY: `percpu_ref_init()` was given the `users` of a gate, and whoever closes a gate
        // holds it until it is idle.
        unsafe {
            let gate = users.byte_sub(offset_of!(Self, users)).cast::<Self>();
            bindings::complete_all((*gate).idle.get());
        }
    }

    /// Comes in, unless the gate is closed. Any context; the guard may be held while sleeping.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Inside<'_>> {
        // SAFETY: The reference is between init and exit: invariant 1, and `drop` has the gate to itself.
        // `then`, not `then_some`: an `Inside` that was made in vain would leave when dropped.
        unsafe { devscope_percpu_ref_tryget_live(self.users.get()) }.then(|| Inside(self))
    }

    /// Opens a gate from [`Gate::new_closed`] that is idle: it has not been open yet, or was closed
    /// and waited for. One caller at a time. Does not wait.
    pub(crate) fn reopen(&self) {
        // SAFETY:
        // - Nobody waits for the completion, and who completed it does not write `done` again: it was
        //   written once, and waited for. `reinit_completion()` writes as we do.
        // - The reference is initialised (invariant 1), dead, and zero. It is not being switched to
        //   atomic mode any more, or its count would not have come to zero, so this does not block
        //   (`percpu_ref_call_confirm_rcu()` in `lib/percpu-refcount.c`).
        unsafe {
            (*self.idle.get()).done = 0;
            bindings::percpu_ref_reinit(self.users.get());
        }
    }

    /// Refuses newcomers from now on. Called once each time that it is open. Does not wait.
    pub(crate) fn close(&self) {
        // SAFETY: The reference is initialised (invariant 1) and live: it is killed only here.
        unsafe { bindings::percpu_ref_kill_and_confirm(self.users.get(), None) };
    }

    /// Waits until everybody has left. After [`Gate::close`]; process context, sleeps.
    pub(crate) fn wait_until_idle(&self) {
        // SAFETY: The completion is initialised: invariant 1.
        unsafe { bindings::wait_for_completion(self.idle.get()) };
    }

    /// As [`Gate::wait_until_idle`], for `limit` at most. Returns whether the gate is idle.
    pub(crate) fn wait_until_idle_for(&self, limit: Jiffies) -> bool {
        // SAFETY: The completion is initialised: invariant 1.
        unsafe { bindings::wait_for_completion_timeout(self.idle.get(), limit) != 0 }
    }
}

#[pinned_drop]
impl PinnedDrop for Gate {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Nobody is inside: a gate that was used is closed and waited for before the scope
        // gives up its count, and `Inside` borrows the gate.
        unsafe { bindings::percpu_ref_exit(self.users.get()) };
    }
}

/// The right to be inside a gate.
#[must_use = "leaving the gate at once protects nothing"]
pub(crate) struct Inside<'g>(&'g Gate);

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: Pairs with the successful tryget in `Gate::enter`.
        unsafe { devscope_percpu_ref_put(self.0.users.get()) };
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

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A scope: everything that can call into a driver, and the one way to end it.
//!
//! A *member* is one registration: an interrupt handler, a tasklet, a work item, a device node, or
//! the wait queues. Members are made by `attach()` through [`Scope`], and end together:
//!
//! ```text
//!   attach()            remove(), or attach() failed
//!      |                        |
//!   members join           Close       gates and queues refuse, sleepers wake
//!      |                   Withdraw    device nodes are deregistered
//!   GoLive, if Ok          AwaitUsers  operations in flight have returned
//!      |                   Unmap       programs lose their mappings
//!      v                   Kill        handles refuse
//!    [live] -------------> Drain...    work, threads, URBs, timers, tasklets, interrupts
//!                          Redrain     what was armed across the kill
//!                          DropBodies  the closures go, last first
//!                          Free        the members' memory goes
//!                               |
//!                               v
//!                        Data is dropped
//! ```
//!
//! Every step is taken by all members before the next step begins. That is why loops among members
//! (the interrupt schedules a tasklet that raises the interrupt) need no thought from the driver.

use crate::{
    helpers,
    wait::{Closer, Queues},
};
use core::{
    cell::Cell,
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::{self, NonNull},
};
use kernel::{prelude::*, sync::Arc};

/// One step of a scope's life. All members take a step before any takes the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `attach()` has succeeded. The one step that is not part of teardown; taken once, or never.
    GoLive,
    /// Gates and wait queues refuse newcomers, and whoever sleeps on a queue is woken.
    Close,
    /// Nothing new can find the member: device nodes are deregistered.
    ///
    /// After `Close`, because `misc_open()` holds `misc_mtx` while the driver's `open()` runs, and
    /// `misc_deregister()` takes it: an `open()` that slept on a queue would never let go of it.
    Withdraw,
    /// The operations that were inside a gate have left.
    AwaitUsers,
    /// What programs have mapped is taken away. After `AwaitUsers`: a page fault that is being
    /// handled is inside a gate, and maps one page more.
    Unmap,
    /// Handles refuse from now on.
    Kill,
    /// Work items have returned and stay disabled.
    DrainWork,
    /// Interrupts that are handled by a thread are freed. After work, as `DrainIrqs`; and before all
    /// that may not sleep, since a thread may.
    DrainThreads,
    /// USB transfers are over, and their completions have returned. After what may sleep, which may be
    /// waiting for one.
    DrainUrbs,
    /// Timers have returned and stay shut down; high-resolution timers have returned.
    DrainTimers,
    /// Tasklets have returned.
    DrainTasklets,
    /// Interrupt handlers have returned and are freed. After work: a work item may be waiting for
    /// what only its device's interrupt brings.
    DrainIrqs,
    /// Tasklets, high-resolution timers and USB transfers once more. A callback may have read "live" before
    /// `Kill`, and armed them after they were drained. Such a callback has returned by now, and what runs
    /// since saw the kill.
    Redrain,
    /// Bodies are dropped. All memory is still there, so a destructor may use a handle: it refuses.
    DropBodies,
    /// The member's memory is freed.
    Free,
    /// A step that a mutant leaves out.
    #[cfg(devscope_mutants)]
    Skipped,
}

impl Step {
    /// Teardown. See the module's documentation for why this order and no other.
    pub(crate) const ORDER: [Step; 14] = [
        Step::Close,
        Step::Withdraw,
        Step::AwaitUsers,
        Step::Unmap,
        Step::Kill,
        Step::DrainWork,
        Step::DrainThreads,
        Step::DrainUrbs,
        Step::DrainTimers,
        Step::DrainTasklets,
        Step::DrainIrqs,
        Step::Redrain,
        Step::DropBodies,
        Step::Free,
    ];
}

/// Something that calls in, as teardown sees it.
///
/// # Safety
///
/// When [`Member::step`] has returned from every step up to and including [`Step::Redrain`], no
/// callback of this member runs, none will start, and nothing outside the scope holds its address.
pub(crate) unsafe trait Member {
    /// Takes one step. Process context, may sleep.
    ///
    /// # Safety
    ///
    /// - `this` is a member that has joined a scope, and good for reading and writing it.
    /// - Steps come in the order of [`Step::ORDER`], each once, and all members of the scope have
    ///   taken the previous one. [`Step::GoLive`] comes before them, at most once.
    unsafe fn step(this: NonNull<Self>, step: Step);

    /// Drops what the driver gave: a closure, or the device side of a file.
    ///
    /// # Safety
    ///
    /// Called once, when no callback of this member can run.
    unsafe fn drop_body(&self);

    /// Drops what handles look at, and so has to outlast all bodies.
    ///
    /// # Safety
    ///
    /// Called once, when all bodies of the scope have been dropped.
    unsafe fn drop_rest(&self) {}
}

/// The part of a node that does not depend on the member's type.
struct Header {
    /// The member that joined before this one, or null.
    previous: Cell<*const Header>,
    /// Takes a step on behalf of the node that starts with this header.
    step: unsafe fn(NonNull<Header>, Step),
}

/// A member in its one allocation.
///
/// `repr(C)`: a pointer to the header is a pointer to the node.
#[pin_data]
#[repr(C)]
struct Node<M> {
    header: Header,
    #[pin]
    member: M,
}

impl<M: Member> Node<M> {
    /// # Safety
    ///
    /// - `header` is the header of a live `Node<M>` from [`Scope::join_raw`].
    /// - The requirements of [`Member::step`].
    unsafe fn step(header: NonNull<Header>, step: Step) {
        let node = header.cast::<Self>();
        match step {
            // SAFETY:
            // - `node` is a live `Node<M>`: first requirement.
            // - It came from a `KBox` in `Scope::join_raw`, and `Free` is taken once.
            // - The member is taken for uninitialised: it was dropped piece by piece, in `step`,
            //   `drop_body` and, when all bodies had been dropped, `drop_rest`.
            Step::Free => unsafe {
                node.as_ref().member.drop_rest();
                drop(KBox::from_raw(node.cast::<MaybeUninit<Self>>().as_ptr()));
            },
            // SAFETY:
            // - `node` is a live `Node<M>`: first requirement.
            // - All members have taken `Redrain`, after which no callback can run (requirement of
            //   the trait `Member`), and this step is taken once.
            Step::DropBodies => unsafe { node.as_ref().member.drop_body() },
            // SAFETY:
            // - `node` is a live `Node<M>`, and the pointer to it is the one that its `KBox` gave up.
            // - The rest is the caller's promise to us.
            _ => unsafe {
                M::step(
                    NonNull::new_unchecked(&raw mut (*node.as_ptr()).member),
                    step,
                );
            },
        }
    }
}

/// The members of one bound device, newest first.
///
/// # Invariants
///
/// 1. `newest` starts a list, linked by `Header::previous`, of pinned nodes that their `KBox` gave up
///    and nobody else frees.
/// 2. A node is on the list from the end of [`Scope::join_raw`] until teardown takes its last step.
pub(crate) struct Members {
    newest: Cell<*const Header>,
}

impl Members {
    pub(crate) const fn new() -> Self {
        Self {
            newest: Cell::new(ptr::null()),
        }
    }

    /// Runs `f` with the scope of these members.
    ///
    /// Errors: `ENOMEM`, or those of `f`.
    ///
    /// # Safety
    ///
    /// `'a` ends only after [`Members::end`] has returned.
    pub(crate) unsafe fn enter<'a>(&'a self, f: impl FnOnce(&mut Scope<'a>) -> Result) -> Result {
        // SAFETY: The caller makes the same promise to us.
        let attached = f(&mut unsafe { self.begin()? });
        #[cfg(devscope_mutants)]
        if crate::mutants::active(crate::mutants::Mutant::GoLiveAnyway) {
            // SAFETY: None: that is the mistake.
            unsafe { self.take(Step::GoLive) };
        }
        attached?;
        // SAFETY: `f` has returned, so no member joins, and no other step has been taken.
        unsafe { self.take(Step::GoLive) };
        Ok(())
    }

    /// The scope of these members. Errors: `ENOMEM`.
    ///
    /// # Safety
    ///
    /// That of [`Members::enter`].
    unsafe fn begin<'a>(&'a self) -> Result<Scope<'a>> {
        // The wait queues join first, even if none is made. So they close after all gates, and they
        // are there as long as there is any body that may use one.
        // SAFETY: It borrows nothing, and is freed by `Members::end` only.
        let queues = unsafe { self.join_raw(Closer::new())?.as_ref() };
        Ok(Scope {
            members: self,
            queues,
            _invariant: PhantomData,
        })
    }

    /// Allocates a node, makes the member in it, and puts it on the list.
    ///
    /// # Safety
    ///
    /// What `M` borrows lasts until [`Members::end`] has returned.
    unsafe fn join_raw<M: Member>(&self, member: impl PinInit<M, Error>) -> Result<NonNull<M>> {
        let header = Header {
            previous: Cell::new(self.newest.get()),
            step: Node::<M>::step,
        };
        let node = KBox::pin_init(
            try_pin_init!(Node {
                header,
                member <- member,
            }),
            GFP_KERNEL,
        )?;
        // SAFETY: The node is not moved until it is freed.
        let node = KBox::into_raw(unsafe { Pin::into_inner_unchecked(node) });
        // INVARIANT: The node is pinned, its `KBox` has given it up, and from here on it is the
        // list's.
        self.newest.set(node.cast_const().cast());
        // SAFETY: `node` is a live `Node<M>`; no reference is made.
        Ok(unsafe { NonNull::new_unchecked(&raw mut (*node).member) })
    }

    /// Ends the scope: when this returns, nothing that joined it runs or can run again, all bodies
    /// are dropped and all members freed. Ending an empty scope does nothing.
    ///
    /// Process context; sleeps. Waits for at most one grace period of RCU (for all gates together),
    /// and for none without a gate.
    ///
    /// # Panics
    ///
    /// In atomic context, and inside a work item of this very scope: it would wait for itself. A
    /// panic (`BUG()` in Linux) stops the one task that made the mistake and names it; going on
    /// would hang it for ever, or free memory that is in use.
    pub(crate) fn end(&self) {
        if self.newest.get().is_null() {
            return;
        }
        // SAFETY: No requirement; it reads the state of the current task.
        if unsafe { helpers::devscope_in_atomic_context() } {
            panic!(
                "devscope: a scope ends in atomic context, where it cannot wait for its members"
            );
        }
        #[cfg(devscope_mutants)]
        let order = crate::mutants::order(Step::ORDER);
        #[cfg(not(devscope_mutants))]
        let order = Step::ORDER;
        for step in order {
            // SAFETY: The steps come in their order, each once.
            unsafe { self.take(step) };
        }
    }

    /// All members take `step`, last registered first.
    ///
    /// # Safety
    ///
    /// Steps come in the order of [`Step::ORDER`], each once, and no member joins any more.
    pub(crate) unsafe fn take(&self, step: Step) {
        let mut next = match step {
            // INVARIANT: Every node is freed below, and the list is empty then.
            Step::Free => self.newest.replace(ptr::null()),
            _ => self.newest.get(),
        };
        while let Some(header) = NonNull::new(next.cast_mut()) {
            // Read first: `Free` frees the node.
            // SAFETY: Nodes on the list are live: invariant 1.
            next = unsafe { header.as_ref() }.previous.get();
            // SAFETY:
            // - `header` belongs to the node for which `step` was made, in `Scope::join_raw`.
            // - The steps come in their order, once each (requirement of this function), and we return
            //   from each only when all members have taken it.
            unsafe { (header.as_ref().step)(header, step) };
        }
    }
}

/// Where a driver registers what may call into it.
///
/// `'a` is the time during which closures of this scope may run: it begins with `attach()`, and ends
/// when the framework has stopped and dropped them, before `Data` is dropped. It is a lifetime of
/// its own, shorter than the one inside `Data`, so nothing that borrows for `'a` can be stored in
/// `Data`. Closures may borrow the driver's data and its device for `'a`, and capture the handles
/// that the scope gave out before.
///
/// A driver is given `&mut Scope<'a>`, never a `Scope`: there is none that it could keep or leak.
/// Even an exchange of two scopes would lose nothing, since the members belong to the framework.
///
/// `'a` is invariant. If it could shrink, a closure that borrows a local of `attach()` would do:
///
/// ```compile_fail
/// # use devscope::Scope;
/// fn shrink<'s, 'long, 'short>(scope: &'s Scope<'long>) -> &'s Scope<'short>
/// where
///     'long: 'short,
/// {
///     scope
/// }
/// ```
///
/// (`&mut Scope<'a>` would be invariant by itself. The marker holds for whatever else a scope may be
/// lent as.)
pub struct Scope<'a> {
    /// Makes a scope neither `Send` nor `Sync`: members join from `attach()`'s own task.
    members: &'a Members,
    queues: &'a Closer,
    _invariant: PhantomData<fn(&'a ()) -> &'a ()>,
}

impl<'a> Scope<'a> {
    /// Allocates a node, makes the member in it, and puts it on the list.
    ///
    /// `member` makes itself live as it is initialised; callbacks may come from then on. If it fails
    /// nothing has joined, and what it had made is dropped.
    ///
    /// Errors: `ENOMEM`, or those of `member`.
    pub(crate) fn join<M: Member + 'a>(&mut self, member: impl PinInit<M, Error>) -> Result<&'a M> {
        let member = self.join_raw(member)?;
        // SAFETY: The node is freed by `Members::end` only, and `'a` lasts until that has returned
        // (requirement of `Members::enter`).
        Ok(unsafe { &*member.as_ptr() })
    }

    /// The wait queues of this scope. An open file of the scope keeps a count of them.
    pub(crate) fn queues(&self) -> &Arc<Queues> {
        // SAFETY: `attach()` has not returned yet, so teardown has not begun.
        unsafe { self.queues.queues() }
    }

    /// As [`Scope::join`], with a pointer that `container_of` can be applied to.
    pub(crate) fn join_raw<M: Member + 'a>(
        &mut self,
        member: impl PinInit<M, Error>,
    ) -> Result<NonNull<M>> {
        // SAFETY: What `M` borrows, it borrows for `'a`, which ends only after `Members::end` has
        // returned (requirement of `Members::enter`).
        unsafe { self.members.join_raw(member) }
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_scope)]
mod tests {
    use super::*;
    use crate::testing::{bind_and_unbind, holding, Bound, Count, OnDrop};

    /// Which member took which step, in the order of events.
    struct Steps {
        taken: [Count; 48],
        many: Count,
        live: Count,
    }

    impl Default for Steps {
        fn default() -> Self {
            Self {
                taken: [const { Count::new() }; 48],
                many: Count::new(),
                live: Count::new(),
            }
        }
    }

    impl Steps {
        fn take(&self, member: i32, step: Step) {
            let at = self.many.up() as usize - 1;
            self.taken[at].set(step as i32 * 10 + member);
        }

        /// Whether these members, in this order, took every step that a member is told of, together.
        fn are_those_of(&self, members: &[i32]) -> bool {
            let mut at = 0;
            for step in Step::ORDER.iter().filter(|step| **step != Step::Free) {
                for member in members {
                    if self.taken[at].get() != *step as i32 * 10 + member {
                        return false;
                    }
                    at += 1;
                }
            }
            self.many.get() == at as i32
        }
    }

    /// A member that says what happens to it.
    struct Witness<'a> {
        name: i32,
        steps: &'a Steps,
    }

    // SAFETY: A witness has no callback.
    unsafe impl Member for Witness<'_> {
        unsafe fn step(this: NonNull<Self>, step: Step) {
            // SAFETY: `this` is a member of a scope; only shared references to it are made.
            let this = unsafe { this.as_ref() };
            if step == Step::GoLive {
                this.steps.live.digit(this.name);
            } else {
                this.steps.take(this.name, step);
            }
        }

        unsafe fn drop_body(&self) {
            self.steps.take(self.name, Step::DropBodies);
        }
    }

    fn witness(name: i32, steps: &Steps) -> impl PinInit<Witness<'_>, Error> {
        Ok::<_, Error>(Witness { name, steps })
    }

    #[test]
    fn steps_are_taken_in_order_and_by_the_last_member_first() -> Result {
        let bound = bind_and_unbind(Steps::default(), |steps, scope| {
            for name in [1, 2, 3] {
                scope.join(witness(name, steps))?;
            }
            Ok(())
        })?;
        assert!(bound.data().are_those_of(&[3, 2, 1]));
        Ok(())
    }

    #[test]
    fn no_step_is_taken_before_the_end() -> Result {
        let bound = Bound::new(Steps::default())?;
        bound.attach(|steps, scope| scope.join(witness(1, steps)).map(drop))?;
        let before = bound.data().many.get();
        bound.unbind();
        assert_eq!(before, 0);
        assert!(bound.data().are_those_of(&[1]));
        Ok(())
    }

    #[test]
    fn members_go_live_when_all_have_joined_and_only_if_attach_succeeds() -> Result {
        let bound = Bound::new((Steps::default(), Count::default()))?;
        let failed = bound.attach(|(steps, _), scope| {
            scope.join(witness(1, steps))?;
            Err(EIO)
        });
        let after_failure = bound.data().0.live.get();
        bound.attach(|(steps, before), scope| {
            scope.join(witness(2, steps))?;
            scope.join(witness(3, steps))?;
            before.set(steps.live.get());
            Ok(())
        })?;
        let attached = bound.data().0.live.get();
        bound.unbind();
        assert!(failed == Err(EIO));
        assert_eq!(after_failure, 0);
        assert_eq!(bound.data().1.get(), 0);
        assert_eq!(attached, 32);
        assert_eq!(bound.data().0.live.get(), 32);
        Ok(())
    }

    #[test]
    fn a_member_that_fails_has_not_joined_and_the_rest_is_torn_down() -> Result {
        let bound = Bound::new(Steps::default())?;
        let failed = bound.attach(|steps, scope| {
            scope.join(witness(1, steps))?;
            scope.join(witness(2, steps))?;
            scope.join::<Witness<'_>>(Err::<_, Error>(EBUSY))?;
            scope.join(witness(4, steps)).map(drop)
        });
        assert!(failed == Err(EBUSY));
        assert!(bound.data().are_those_of(&[2, 1]));
        Ok(())
    }

    #[test]
    fn a_scope_that_has_ended_is_empty() -> Result {
        let bound = bind_and_unbind(Steps::default(), |steps, scope| {
            scope.join(witness(1, steps)).map(drop)
        })?;
        let taken = bound.data().many.get();
        bound.unbind();
        assert_eq!(bound.data().many.get(), taken);
        Ok(())
    }

    #[test]
    fn members_join_after_another_has_failed() -> Result {
        let bound = bind_and_unbind(Steps::default(), |steps, scope| {
            scope.join(witness(1, steps))?;
            let _ = scope.join::<Witness<'_>>(Err::<_, Error>(EBUSY));
            scope.join(witness(3, steps)).map(drop)
        })?;
        assert!(bound.data().are_those_of(&[3, 1]));
        Ok(())
    }

    #[test]
    fn bodies_of_all_kinds_are_dropped_last_first() -> Result {
        let bound = bind_and_unbind(Count::default(), |order, scope| {
            let body = |digit| OnDrop(move || order.digit(digit));
            let (one, two, three) = (body(1), body(2), body(3));
            scope.work(holding(one))?;
            let (_, slot) = scope.declare_work()?;
            scope.tasklet(holding(two))?;
            slot.define(scope, holding(three))
        })?;
        assert_eq!(bound.data().get(), 321);
        Ok(())
    }

    #[test]
    fn a_loop_of_work_and_tasklet_ends() -> Result {
        let bound = bind_and_unbind(Count::default(), |runs, scope| {
            let bell = scope.wait_queue()?;
            let (work, slot) = scope.declare_work()?;
            let tasklet = scope.tasklet(move || {
                runs.up();
                bell.wake_all();
                work.schedule();
            })?;
            slot.define(scope, move || {
                tasklet.schedule();
            })?;
            work.schedule();
            bell.wait_until(|| runs.get() >= 3)
        })?;
        assert!(bound.data().get() >= 3);
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A part of a scope that ends and begins again while the device stays bound.
//!
//! Some of what calls in does not last as long as the device is bound: a ring is resized, the device
//! is reset and asked for its vectors anew. Such members go into a *part*, together with the passive
//! data that they alone need:
//!
//! ```text
//!   Data<'bound>  <-- borrowed by --  scope 'a  <-- borrowed by --  part 'p, again and again
//!                                        |                             |
//!                                        +-------- T, the part's own data
//! ```
//!
//! A part is *empty* until [`Part::begin`] has built its data and filled its scope, then *live* until
//! [`Part::end`], or the end of the scope around it. Closures of the part may borrow the part's data,
//! and whatever closures of the scope around it may. Nothing around it can borrow from it: it looks in
//! through [`Part::with`], which says "no" while the part is empty.
//!
//! ```
//! # use devscope::{part::Part, Scope};
//! # use kernel::{irq::{Flags, IrqRequest, IrqReturn}, prelude::*, sync::atomic::{Atomic, Relaxed}};
//! # struct Data { done: Atomic<i32> }
//! # struct Ring { slots: KVec<u64>, used: Atomic<i32> }
//! # impl Ring {
//! #     fn new(_: usize) -> impl PinInit<Self, Error> {
//! #         Ok::<_, Error>(Ring { slots: KVec::new(), used: Atomic::new(0) })
//! #     }
//! #     fn complete(&self) -> i32 { 0 }
//! # }
//! # impl Data { fn line(&self) -> Result<IrqRequest<'_>> { Err(EINVAL) } }
//! /// From an ioctl, or a work item that resets the device.
//! fn resize<'a>(data: &'a Data, ring: Part<'a, Ring>, slots: usize) -> Result {
//!     ring.end()?;
//!     ring.begin(Ring::new(slots), |ring, scope| {
//!         scope.irq(data.line()?, Flags::SHARED, c"ring", move || {
//!             data.done.store(ring.get_ref().complete(), Relaxed);
//!             IrqReturn::Handled
//!         })?;
//!         Ok(())
//!     })
//! }
//! # fn attach<'a>(data: &'a Data, scope: &mut Scope<'a>) -> Result {
//! let ring = scope.part::<Ring>()?;
//! resize(data, ring, 64)
//! # }
//! ```
//!
//! # When the device is unbound
//!
//! The members of a live part take every step of teardown together with those around it, so it does not
//! matter who waits for whom. From the first step on, parts refuse to begin. What is beginning or
//! ending at that moment is waited for, and is ended by whoever was at it.
//!
//! # Edges
//!
//! A part that is ended from one of its own callbacks, or from inside [`Part::with`], would wait for
//! itself for ever. A work item that does so panics and names the mistake; the rest is as in C.
//! What a program has mapped or opened through a device node of the part goes the way that it goes at
//! unbind.

#[cfg(devscope_mutants)]
use crate::mutants::{self, Mutant};
use crate::{
    binding::Binding,
    gate::Gate,
    helpers,
    scope::{Member, Scope, Step},
    wait::Queues,
};
use core::{
    cell::Cell,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{Arc, SpinLock},
};

/// Where a part is in its life.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is no data and no member.
    Empty,
    /// Somebody is beginning or ending it, and nobody else may.
    Busy,
    /// [`Part::with`] finds the data.
    Live,
    /// Teardown takes its members along, step by step.
    Claimed,
}

struct State {
    phase: Phase,
    /// The scope around the part ends. Never false again.
    over: bool,
    /// Those of the part's own scope, from when it begins until it has ended.
    queues: Option<Arc<Queues>>,
}

/// A part, as a member of the scope around it.
///
/// # Invariants
///
/// 1. `current` points to a pinned binding that its `KBox` gave up, or is null. It is changed only by
///    whoever made the part busy, or claimed it; and only while `gate` is closed and nobody inside.
/// 2. While anybody is inside `gate`, `current` is not null.
#[pin_data]
struct Place<T> {
    /// Open while the part is live. Dropped with the bodies.
    gate: ManuallyDrop<Arc<Gate>>,
    current: Cell<*mut Binding<T>>,
    #[pin]
    state: SpinLock<State>,
}

// SAFETY: `current` is read inside the gate and changed when nobody is there (invariant 1); the rest is
// made for sharing. The data is built by one task, shared by all, and dropped by another.
unsafe impl<T: Send + Sync> Sync for Place<T> {}

impl<T> Place<T> {
    fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            gate: ManuallyDrop::new(Gate::new_closed()?),
            current: Cell::new(ptr::null_mut()),
            state <- new_spinlock!(
                State {
                    phase: Phase::Empty,
                    over: false,
                    queues: None,
                },
                "devscope"
            ),
        })
    }

    /// Makes the part busy, if it is `from`. Errors: `ENODEV` if the scope ends, `EBUSY` otherwise.
    fn take_turn(&self, from: Phase) -> Result {
        let mut state = self.state.lock();
        if state.over {
            return Err(ENODEV);
        }
        if state.phase != from {
            return Err(EBUSY);
        }
        state.phase = Phase::Busy;
        Ok(())
    }

    /// Makes the part empty again.
    fn give_turn_back(&self) {
        let queues = {
            let mut state = self.state.lock();
            state.phase = Phase::Empty;
            state.queues.take()
        };
        drop(queues);
    }

    /// Builds the data and fills the scope.
    fn fill<'a>(
        &self,
        data: impl PinInit<T, Error>,
        attach: impl for<'p> FnOnce(Pin<&'p T>, &mut PartScope<'p, 'a>) -> Result,
    ) -> Result<Pin<KBox<Binding<T>>>> {
        let binding = KBox::pin_init(Binding::new(data), GFP_KERNEL)?;
        binding.as_ref().attach(|data, scope| {
            {
                let mut state = self.state.lock();
                // After this, teardown finds the queues and closes them.
                if state.over {
                    return Err(ENODEV);
                }
                state.queues = Some(scope.queues().clone());
            }
            attach(data, PartScope::from_mut(scope))
        })?;
        Ok(binding)
    }

    /// Takes the data out, and drops it when nothing can touch it any more.
    ///
    /// # Safety
    ///
    /// The caller made the part busy, and the gate is open.
    unsafe fn empty(&self) {
        self.gate.close();
        #[cfg(devscope_mutants)]
        let wait = !mutants::active(Mutant::SkipPartUsers);
        #[cfg(not(devscope_mutants))]
        let wait = true;
        if wait {
            self.gate.wait_until_idle();
        }
        // INVARIANT: We made the part busy, the gate is closed, and everybody has left.
        let binding = self.current.replace(ptr::null_mut());
        // SAFETY: It is not null while the gate is open, its `KBox` gave it up, and it is pinned
        // (invariants 1 and 2). Dropping it ends its scope first.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw(binding)) });
    }

    /// The binding of a part that teardown has claimed.
    ///
    /// # Safety
    ///
    /// The caller is teardown, and has not dropped the binding yet.
    unsafe fn claimed(&self) -> Option<&Binding<T>> {
        if self.state.lock().phase != Phase::Claimed {
            return None;
        }
        // SAFETY: A part is claimed when it is live, so `current` is not null, and it is teardown's
        // from then on.
        Some(unsafe { &*self.current.get() })
    }
}

// SAFETY: After `Redrain` no member of the part's own scope can be called: if teardown has claimed the
// part, its members have taken the same steps; if not, it was empty, or whoever was beginning or ending
// it was a callback or an operation of the scope around it. Those have returned by the end of
// `DrainThreads` (the others may not sleep), and left the part empty. It is not begun again, since
// `over` is set.
unsafe impl<T: Send + Sync> Member for Place<T> {
    unsafe fn step(this: NonNull<Self>, step: Step) {
        // SAFETY: `this` is a member of a scope; only shared references to it are made.
        let this = unsafe { this.as_ref() };
        #[cfg(devscope_mutants)]
        if mutants::active(Mutant::ForgetPart) {
            return;
        }
        match step {
            // A part that began in `attach()` is live already.
            Step::GoLive => return,
            Step::Close => {
                let queues = {
                    let mut state = this.state.lock();
                    state.over = true;
                    if state.phase == Phase::Live {
                        state.phase = Phase::Claimed;
                    }
                    state.queues.clone()
                };
                // Whoever is beginning or ending the part may sleep on one of these.
                #[cfg(devscope_mutants)]
                let queues = queues.filter(|_| !mutants::active(Mutant::LeavePartQueuesOpen));
                if let Some(queues) = queues {
                    queues.close();
                }
            }
            _ => {}
        }
        // SAFETY: We are teardown, and the binding is dropped in `drop_body`.
        if let Some(binding) = unsafe { this.claimed() } {
            match step {
                Step::Close => this.gate.close(),
                Step::AwaitUsers => this.gate.wait_until_idle(),
                _ => {}
            }
            // SAFETY: The part is ours, and we pass on each step that we take.
            unsafe { binding.take(step) };
        }
    }

    unsafe fn drop_body(&self) {
        // SAFETY: We are teardown, and this is called once.
        if let Some(binding) = unsafe { self.claimed() } {
            // SAFETY: All members have taken the steps before these.
            unsafe {
                binding.take(Step::DropBodies);
                binding.take(Step::Free);
            }
            let binding = self.current.replace(ptr::null_mut());
            // SAFETY: Its `KBox` gave it up, and it is pinned: invariant 1. Its scope has ended, and
            // nobody is inside the gate.
            drop(unsafe { Pin::new_unchecked(KBox::from_raw(binding)) });
        }
    }

    unsafe fn drop_rest(&self) {
        drop(self.state.lock().queues.take());
        // SAFETY: Called once (requirement of this function), and no handle is left to use the gate.
        drop(unsafe { ptr::read(&raw const *self.gate) });
    }
}

/// Where a part registers what may call into the driver: a [`Scope`] that ends with the part.
///
/// `'p` is the time during which closures of the part may run. It is within `'a`, that of the scope
/// around it, so they may borrow and capture what closures of that scope may.
#[repr(transparent)]
pub struct PartScope<'p, 'a: 'p> {
    scope: Scope<'p>,
    _around: PhantomData<fn(&'a ()) -> &'a ()>,
}

impl<'p, 'a: 'p> PartScope<'p, 'a> {
    fn from_mut<'s>(scope: &'s mut Scope<'p>) -> &'s mut Self {
        // SAFETY: `Self` is a transparent wrapper of a `Scope<'p>`, and asks no more of it.
        unsafe { &mut *ptr::from_mut(scope).cast() }
    }
}

impl<'p> Deref for PartScope<'p, '_> {
    type Target = Scope<'p>;

    fn deref(&self) -> &Scope<'p> {
        &self.scope
    }
}

impl<'p> DerefMut for PartScope<'p, '_> {
    fn deref_mut(&mut self) -> &mut Scope<'p> {
        &mut self.scope
    }
}

/// A handle with which a part of the scope is begun, looked into, and ended.
///
/// It can be copied into any closure of the scope and into the device side of a file. It cannot
/// leave the scope: `'a` is the scope's.
///
/// # If leaked
///
/// Nothing happens. A handle owns nothing, and the part ends with the scope around it.
pub struct Part<'a, T>(&'a Place<T>, PhantomData<Exactly<'a, T>>);

/// Neither longer nor shorter: with a shorter `'a`, a closure that borrows a local could be put into a
/// part that outlives it; with a `T` of shorter life, data that borrows a local could.
type Exactly<'a, T> = fn(&'a (), T) -> (&'a (), T);

impl<T> Clone for Part<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Part<'_, T> {}

impl<'a, T> Part<'a, T> {
    /// Begins the part: builds its data, and registers what may call in. On return it is live.
    ///
    /// `attach` is to the part what the driver's `attach()` is to the scope around it: its closures may
    /// borrow the part's data for `'p`, and all that outlives `'a`. If it fails, what it has registered
    /// is torn down and the data is dropped before this returns; the part is then as empty as before.
    /// Members of the part are live as soon as they are registered, so where `begin` is called in
    /// `attach()`, they are live before that has returned.
    ///
    /// Process context; may sleep.
    ///
    /// Errors: `ENODEV` once the scope around it ends, also if that begins meanwhile; `EBUSY` if the
    /// part is live, or somebody else is just beginning or ending it; `EDEADLK` in atomic context;
    /// `ENOMEM`; those of `data` and of `attach`.
    pub fn begin<F>(&self, data: impl PinInit<T, Error>, attach: F) -> Result
    where
        F: for<'p> FnOnce(Pin<&'p T>, &mut PartScope<'p, 'a>) -> Result,
    {
        may_wait()?;
        let place = self.0;
        place.take_turn(Phase::Empty)?;
        let binding = place
            .fill(data, attach)
            .inspect_err(|_| place.give_turn_back())?;
        // SAFETY: It is not moved until it is freed.
        let binding = unsafe { Pin::into_inner_unchecked(binding) };
        // INVARIANT: We made the part busy, and the gate of an empty part is closed and idle.
        place.current.set(KBox::into_raw(binding));
        // Who finds the gate open finds the data.
        place.gate.reopen();
        let over = {
            let mut state = place.state.lock();
            if !state.over {
                state.phase = Phase::Live;
            }
            state.over
        };
        #[cfg(devscope_mutants)]
        let over = over && !mutants::active(Mutant::BeginPartTooLate);
        if over {
            // SAFETY: The part is still busy, by us, and its gate open.
            unsafe { place.empty() };
            place.give_turn_back();
            return Err(ENODEV);
        }
        Ok(())
    }

    /// Ends the part: when this returns, nothing of it runs or can run again, its closures are dropped,
    /// and its data after them. The part is empty and can begin again. Ending an empty part does
    /// nothing.
    ///
    /// The order is that of teardown. Before it, this waits until everybody has left [`Part::with`].
    ///
    /// Process context; sleeps, for a grace period of RCU at least. Not from a callback of the part,
    /// nor from inside [`Part::with`]: it would wait for itself.
    ///
    /// Errors: `ENODEV` once the scope around it ends, which then ends the part as well; `EBUSY` if
    /// somebody else is just beginning or ending it; `EDEADLK` in atomic context. The part may not have
    /// ended then.
    pub fn end(&self) -> Result {
        may_wait()?;
        let place = self.0;
        {
            let mut state = place.state.lock();
            match state.phase {
                _ if state.over => return Err(ENODEV),
                Phase::Empty => return Ok(()),
                Phase::Live => state.phase = Phase::Busy,
                Phase::Busy | Phase::Claimed => return Err(EBUSY),
            }
        }
        // SAFETY: We made the part busy, and the gate of a live part is open.
        unsafe { place.empty() };
        place.give_turn_back();
        Ok(())
    }

    /// Calls `f` with the part's data, unless the part is empty or about to end.
    ///
    /// Whoever ends the part waits until `f` has returned. Any context but NMI; `f` may sleep if its caller
    /// may. Costs two changes of a counter of this CPU.
    #[inline]
    pub fn with<R>(&self, f: impl for<'p> FnOnce(Pin<&'p T>) -> R) -> Option<R> {
        let _inside = self.0.gate.enter()?;
        // SAFETY: We are inside the gate, so the binding is there and stays (invariants 1 and 2).
        let binding = unsafe { Pin::new_unchecked(&*self.0.current.get()) };
        Some(f(binding.data()))
    }
}

/// Errors: `EDEADLK` in atomic context.
fn may_wait() -> Result {
    // SAFETY: No requirement; it reads the state of the current task.
    match unsafe { helpers::devscope_in_atomic_context() } {
        true => Err(EDEADLK),
        false => Ok(()),
    }
}

impl<'a> Scope<'a> {
    /// Makes room for a part, which is empty at first.
    ///
    /// May sleep. Errors: `ENOMEM`.
    pub fn part<T: Send + Sync + 'a>(&mut self) -> Result<Part<'a, T>> {
        Ok(Part(self.join(Place::new())?, PhantomData))
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_part)]
mod tests {
    use super::*;
    use crate::testing::{bind_and_unbind, holding, pause, Answer, Bound, Count, OnDrop};
    use crate::Scheduled;

    /// Data of a part that adds a digit to `order` when it is dropped.
    struct Own<'a> {
        order: &'a Count,
        digit: i32,
    }

    impl<'a> Own<'a> {
        fn new(order: &'a Count, digit: i32) -> impl PinInit<Self, Error> {
            try_init!(Own { order, digit }? Error)
        }
    }

    impl Drop for Own<'_> {
        fn drop(&mut self) {
            self.order.digit(self.digit);
        }
    }

    /// A body that adds a digit to `order` when it is dropped.
    fn body<'a>(order: &'a Count, digit: i32) -> impl Fn() + Send + Sync + 'a {
        holding(OnDrop(move || order.digit(digit)))
    }

    #[derive(Default)]
    struct Data {
        order: Count,
        seen: Count,
        runs: Count,
        ended: Count,
        errors: Count,
        answer: Answer,
    }

    #[test]
    fn a_part_begins_and_ends_as_often_as_asked() -> Result {
        let bound = bind_and_unbind(Data::default(), |data, scope| {
            let part = scope.part::<Own<'_>>()?;
            let inside = |own: Pin<&Own<'_>>| data.seen.digit(own.digit);
            for digit in [1, 2, 3] {
                data.errors.digit(part.with(inside).is_some().into());
                part.begin(Own::new(&data.order, digit), |own, scope| {
                    scope.work(body(own.get_ref().order, 8)).map(drop)
                })?;
                data.errors.digit(part.with(inside).is_none().into());
                part.end()?;
            }
            part.end()
        })?;
        assert_eq!(bound.data().seen.get(), 123);
        assert_eq!(bound.data().errors.get(), 0);
        assert_eq!(bound.data().order.get(), 818_283);
        Ok(())
    }

    #[test]
    fn a_live_part_ends_with_the_scope_around_it() -> Result {
        let bound = bind_and_unbind(Data::default(), |data, scope| {
            let order = &data.order;
            scope.work(body(order, 1))?;
            let part = scope.part::<Own<'_>>()?;
            scope.work(body(order, 2))?;
            part.begin(Own::new(order, 3), |own, scope| {
                scope.work(body(own.get_ref().order, 4))?;
                scope.tasklet(body(order, 5)).map(drop)
            })
        })?;
        // The closures of the part, its data, and around them the rest, last first.
        assert_eq!(bound.data().order.get(), 25_431);
        Ok(())
    }

    #[test]
    fn a_part_refuses_to_begin_twice_and_once_the_scope_ends() -> Result {
        let bound = bind_and_unbind(Data::default(), |data, scope| {
            let part = scope.part::<Own<'_>>()?;
            let begin = move |digit| part.begin(Own::new(&data.order, digit), |_, _| Ok(()));
            let late = OnDrop(move || {
                data.errors.digit((begin(7) == Err(ENODEV)).into());
                data.errors.digit((part.end() == Err(ENODEV)).into());
                data.errors.digit(part.with(|_| ()).is_none().into());
            });
            scope.work(holding(late))?;
            begin(1)?;
            data.errors.digit((begin(2) == Err(EBUSY)).into());
            Ok(())
        })?;
        assert_eq!(bound.data().errors.get(), 1111);
        // The data of the second one was never built.
        assert_eq!(bound.data().order.get(), 1);
        Ok(())
    }

    #[test]
    fn a_part_whose_attach_fails_is_empty_and_begins_anew() -> Result {
        let bound = bind_and_unbind(Data::default(), |data, scope| {
            let order = &data.order;
            let part = scope.part::<Own<'_>>()?;
            let failed = part.begin(Own::new(order, 1), |_, scope| {
                scope.work(body(order, 2))?.schedule();
                Err(EIO)
            });
            data.errors.digit((failed == Err(EIO)).into());
            let failed = part.begin(Err::<Own<'_>, _>(EINVAL), |_, _| Ok(()));
            data.errors.digit((failed == Err(EINVAL)).into());
            data.seen.set(order.get());
            part.begin(Own::new(order, 3), |_, _| Ok(()))
        })?;
        assert_eq!(bound.data().errors.get(), 11);
        assert_eq!(bound.data().seen.get(), 21);
        assert_eq!(bound.data().order.get(), 213);
        Ok(())
    }

    #[test]
    fn what_runs_in_a_part_is_waited_for_and_runs_no_more() -> Result {
        let bound = bind_and_unbind(Data::default(), |data, scope| {
            let bell = scope.wait_queue()?;
            let part = scope.part::<Own<'_>>()?;
            part.begin(Own::new(&data.order, 1), |_, scope| {
                let (work, slot) = scope.declare_work()?;
                let tasklet = scope.tasklet(move || {
                    work.schedule();
                })?;
                slot.define(scope, move || {
                    data.runs.up();
                    bell.wake_all();
                    pause();
                    tasklet.schedule();
                    data.ended.up();
                })?;
                work.schedule();
                Ok(())
            })?;
            bell.wait_until(|| data.runs.get() > 0)?;
            part.end()?;
            data.seen.set(data.runs.get());
            pause();
            Ok(())
        })?;
        let data = bound.data();
        assert!(data.seen.get() > 0);
        assert_eq!(data.seen.get(), data.runs.get());
        assert_eq!(data.ended.get(), data.runs.get());
        Ok(())
    }

    #[test]
    fn who_looks_into_a_part_is_waited_for() -> Result {
        let bound = bind_and_unbind(Data::default(), |data, scope| {
            let bell = scope.wait_queue()?;
            let part = scope.part::<Own<'_>>()?;
            let look = scope.work(move || {
                part.with(|own| {
                    data.runs.up();
                    bell.wake_all();
                    pause();
                    data.seen.set(own.digit);
                });
            })?;
            part.begin(Own::new(&data.order, 5), |_, _| Ok(()))?;
            look.schedule();
            bell.wait_until(|| data.runs.get() > 0)?;
            part.end()?;
            data.ended.set(data.seen.get());
            Ok(())
        })?;
        assert_eq!(bound.data().ended.get(), 5);
        assert_eq!(bound.data().order.get(), 5);
        Ok(())
    }

    #[test]
    fn a_part_that_begins_while_the_scope_ends_ends_as_well() -> Result {
        let bound = bind_and_unbind(Data::default(), |data, scope| {
            let bell = scope.wait_queue()?;
            let part = scope.part::<Own<'_>>()?;
            let reset = scope.work(move || {
                let begun = part.begin(Own::new(&data.order, 1), |_, scope| {
                    let queue = scope.wait_queue()?;
                    scope.work(body(&data.order, 2))?.schedule();
                    data.runs.up();
                    bell.wake_all();
                    // Nobody wakes this one but the end.
                    let waited = queue.wait_until(|| false);
                    data.errors.digit((waited == Err(ENODEV)).into());
                    Ok(())
                });
                data.errors.digit((begun == Err(ENODEV)).into());
            })?;
            reset.schedule();
            bell.wait_until(|| data.runs.get() > 0)
        })?;
        assert_eq!(bound.data().errors.get(), 11);
        assert_eq!(bound.data().order.get(), 21);
        Ok(())
    }

    #[test]
    fn a_part_within_a_part_ends_with_it() -> Result {
        let bound = bind_and_unbind(Data::default(), |data, scope| {
            let order = &data.order;
            let outer = scope.part::<Own<'_>>()?;
            outer.begin(Own::new(order, 1), |_, scope| {
                let inner = scope.part::<Own<'_>>()?;
                scope.work(body(order, 2))?;
                inner.begin(Own::new(order, 3), |_, scope| {
                    scope.work(body(order, 4)).map(drop)
                })
            })?;
            outer.end()?;
            data.seen.set(order.get());
            Ok(())
        })?;
        assert_eq!(bound.data().seen.get(), 2431);
        assert_eq!(bound.data().order.get(), 2431);
        Ok(())
    }

    #[test]
    fn handles_of_the_scope_around_a_part_outlast_it() -> Result {
        let bound = Bound::new(Data::default())?;
        bound.attach(|data, scope| {
            let bell = scope.wait_queue()?;
            let work = scope.work(move || {
                data.runs.up();
                bell.wake_all();
            })?;
            let part = scope.part::<Own<'_>>()?;
            part.begin(Own::new(&data.order, 1), |_, scope| {
                let dropped = OnDrop(move || data.answer.note(work.schedule()));
                scope.tasklet(holding(dropped)).map(drop)
            })?;
            part.end()?;
            bell.wait_until(|| data.runs.get() == 1)
        })?;
        let scheduled = bound.data().answer.is(Scheduled::Queued);
        bound.unbind();
        assert!(scheduled);
        Ok(())
    }
}

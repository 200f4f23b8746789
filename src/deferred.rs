// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What work items, timers and tasklets have in common: a C structure that calls back later, and a body.
//!
//! Given in one step, body and C structure stand in one allocation ([`Owned`]), and the callback finds
//! the body at a constant offset. Declared first, the body becomes a member of its own when it is
//! given ([`Declared`], [`Given`]), and the callback finds it through a pointer. Either way the callback
//! is generic over the body's type; nothing is called indirectly that is not in C.
//!
//! Some C structures, tasklets and hrtimers, cannot be told to refuse. Handles to these look at a [`Life`]
//! first. Work and timers can, and have no state but C's.

use crate::{
    body::Body,
    helpers,
    scope::{Member, Scope, Step},
};
use core::{
    cell::Cell,
    marker::PhantomData,
    mem::offset_of,
    ptr::{self, NonNull},
};
use kernel::{
    prelude::*,
    sync::atomic::{Acquire, Atomic, Full, Relaxed},
};

/// The callback of a C structure.
pub(crate) type Callback<C> = unsafe extern "C" fn(*mut <C as Core>::Raw) -> <C as Core>::Returned;

/// A C structure that calls back later, with what handles need beside it.
///
/// # Safety
///
/// - `OFFSET` is where the C structure stands in `Self`.
/// - The callback is called with a pointer to that C structure, derived from the one that
///   initialisation was given, and only between [`Core::new`] or [`Core::define`] and the end of
///   `Step::Redrain`, of which [`Core::step`] has to see to it.
/// - Without a callback, handles refuse.
pub(crate) unsafe trait Core: Sync + Sized {
    /// The C structure.
    type Raw;

    /// What it is made with: a queue, a clock.
    type Setup;

    /// What a body answers.
    type Answer;

    /// What the callback returns to C.
    type Returned;

    /// Where the C structure stands.
    const OFFSET: usize;

    /// With a callback, live at once; or without one yet.
    ///
    /// # Safety
    ///
    /// `callback` may be called with the C structure of the core that is made, from the end of the
    /// initialisation of its member until the end of `Step::Redrain`.
    unsafe fn new(
        setup: Self::Setup,
        callback: Option<Callback<Self>>,
    ) -> impl PinInit<Self, Error>;

    /// Gives a core that was made without a callback one, and makes it live.
    ///
    /// # Safety
    ///
    /// - `this` is such a core, in place, and good for what `callback` makes of it.
    /// - `callback` may be called until the end of `Step::Redrain`.
    /// - Called at most once, before `Step::Kill`.
    unsafe fn define(this: NonNull<Self>, callback: Callback<Self>);

    /// Calls the body on behalf of the callback, or not, and makes of its answer what C expects.
    fn call(&self, body: impl FnOnce() -> Self::Answer) -> Self::Returned;

    /// Takes a step of teardown.
    fn step(&self, step: Step);
}

/// Whether handles may use the C structure, for those that have no such state in C.
///
/// ```text
///   no body --define--> live --release, kill--> over
///      |
///      +----release, kill--> never
/// ```
///
/// `define` alone sets the C structure up, so whoever finds "no body" or "never" leaves it alone: it
/// may be half made.
///
/// # Invariants
///
/// 1. While it is "live" or "over", the C structure has been set up with a callback.
/// 2. From "over" and "never" there is no way back.
pub(crate) struct Life(Atomic<i32>);

impl Life {
    const LIVE: i32 = 0;
    const NO_BODY: i32 = 1;
    const OVER: i32 = 2;
    const NEVER: i32 = 3;

    /// Live, if the C structure is being set up with a callback; otherwise without a body.
    pub(crate) fn new(live: bool) -> Self {
        // INVARIANT: 1, as the caller says.
        Self(Atomic::new(if live { Self::LIVE } else { Self::NO_BODY }))
    }

    /// Whether handles refuse. If not, the C structure has been set up, and what was written then is
    /// seen.
    ///
    /// The price of starting an hrtimer: an ordinary load on x86, `ldar` or `ldapr` on arm64.
    #[inline]
    pub(crate) fn refuses(&self) -> bool {
        // Acquire pairs with `define`: a handler that was registered between declaring and defining
        // may look on another CPU with nothing else to order us.
        self.0.load(Acquire) != Self::LIVE
    }

    /// As [`Life::refuses`], for whoever passes a full barrier before touching the C structure.
    #[inline]
    pub(crate) fn refuses_before_barrier(&self) -> bool {
        self.look() != Self::LIVE
    }

    /// `self.0.load(Relaxed)`, which is a call of a C helper in 7.3.
    ///
    /// On the hosted kernel no other task comes between whatever was before and this look. There, what
    /// calls a callback lets others come first.
    #[inline]
    fn look(&self) -> i32 {
        // FIXME(read_once): Replace with `read_once` when available on the Rust side.
        // SAFETY: The pointer is valid, everybody else accesses the word atomically, and this is meant as a
        // `READ_ONCE()` of it.
        unsafe { self.0.as_ptr().read_volatile() }
    }

    /// As [`Life::refuses`], for a callback: it runs, so there is nothing to acquire.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        #[cfg(devscope_mutants)]
        if crate::mutants::active(crate::mutants::Mutant::BodiesOutliveTheirLife) {
            return false;
        }
        self.look() != Self::LIVE
    }

    /// Whether there is a C structure to be stopped.
    pub(crate) fn is_set_up(&self) -> bool {
        matches!(self.0.load(Acquire), Self::LIVE | Self::OVER)
    }

    /// The C structure has been set up with a callback.
    pub(crate) fn define(&self) {
        // INVARIANT: 1; and 2, since one that was released meanwhile stays "never".
        let _ = self.0.cmpxchg(Self::NO_BODY, Self::LIVE, Full);
    }

    /// Handles refuse from now on. Returns whether there is a C structure to be stopped.
    pub(crate) fn end(&self) -> bool {
        // INVARIANT: 1, and 2: nothing else leads away from "live" or "over".
        match self.0.cmpxchg(Self::NO_BODY, Self::NEVER, Full) {
            Ok(_) | Err(Self::NEVER) => false,
            Err(_) => {
                self.0.store(Self::OVER, Relaxed);
                true
            }
        }
    }
}

/// Whether the caller may wait for a callback. Errors: `EDEADLK` in atomic context, as far as the kernel
/// can tell; that includes all callbacks that are themselves atomic.
pub(crate) fn may_wait() -> Result {
    // SAFETY: No requirement; it reads the state of the current task.
    if unsafe { helpers::devscope_in_atomic_context() } {
        return Err(EDEADLK);
    }
    Ok(())
}

/// A C structure with its body beside it: one allocation.
#[pin_data]
#[repr(C)]
pub(crate) struct Owned<C, F> {
    body: Body<F>,
    #[pin]
    core: C,
}

impl<C: Core, F: Fn() -> C::Answer> Owned<C, F> {
    /// # Safety
    ///
    /// `raw` is that of a live `Owned<C, F>` whose body has not been dropped.
    unsafe extern "C" fn run(raw: *mut C::Raw) -> C::Returned {
        // SAFETY: The C structure was initialised where it stands in an `Owned<C, F>` (requirements
        // of `Core`), whose body is dropped only after `Redrain`, when it calls back no more.
        unsafe {
            let owned = raw
                .byte_sub(offset_of!(Self, core) + C::OFFSET)
                .cast::<Self>();
            (*owned).core.call((*owned).body.get())
        }
    }
}

// SAFETY: The C structure calls back no more after `Redrain`: requirement of `Core`.
unsafe impl<C: Core, F: Fn() -> C::Answer + Sync> Member for Owned<C, F> {
    unsafe fn step(this: NonNull<Self>, step: Step) {
        // SAFETY: `this` is a member of a scope; only shared references to it are made.
        unsafe { this.as_ref() }.core.step(step);
    }

    unsafe fn drop_body(&self) {
        // SAFETY: The caller makes the same promise to us.
        unsafe { self.body.drop_in_place() };
    }
}

/// A C structure whose body comes later, if it does.
#[pin_data]
pub(crate) struct Declared<C> {
    body: Cell<*const ()>,
    #[pin]
    core: C,
}

impl<C: Core> Declared<C> {
    /// # Safety
    ///
    /// `raw` is that of a live `Declared<C>` whose `body` points to a `Body<F>` not yet dropped.
    unsafe extern "C" fn run<F: Fn() -> C::Answer>(raw: *mut C::Raw) -> C::Returned {
        // SAFETY: As in `Owned::run`; `body` was set by `Slot::define`, for this very `F`.
        unsafe {
            let declared = raw
                .byte_sub(offset_of!(Self, core) + C::OFFSET)
                .cast::<Self>();
            let body = (*declared).body.get().cast::<Body<F>>();
            (*declared).core.call((*body).get())
        }
    }
}

// SAFETY: As for `Owned`.
unsafe impl<C: Core> Member for Declared<C> {
    unsafe fn step(this: NonNull<Self>, step: Step) {
        // SAFETY: `this` is a member of a scope; only shared references to it are made.
        unsafe { this.as_ref() }.core.step(step);
    }

    unsafe fn drop_body(&self) {}
}

/// The body of something declared. Its callback is that of the `Declared` member.
pub(crate) struct Given<F>(Body<F>);

impl<F> Given<F> {
    pub(crate) fn new(body: F) -> Self {
        Self(Body::new(body))
    }

    /// Where the `Body<F>` is.
    pub(crate) fn body(&self) -> *const () {
        (&raw const self.0).cast()
    }
}

// SAFETY: Nothing but the `Declared` member calls the body. That is a member of the same scope, and
// calls back no more after `Redrain`.
unsafe impl<F: Sync> Member for Given<F> {
    unsafe fn step(_: NonNull<Self>, _: Step) {}

    unsafe fn drop_body(&self) {
        // SAFETY: The caller makes the same promise to us.
        unsafe { self.0.drop_in_place() };
    }
}

/// The place for the body of something declared.
pub(crate) struct Slot<'a, C>(NonNull<Declared<C>>, PhantomData<fn(&'a ()) -> &'a ()>);

impl<'a, C: Core + 'a> Slot<'a, C> {
    /// Gives the body. Errors: `ENOMEM`; there is then no body, for good.
    pub(crate) fn define<F>(self, scope: &mut Scope<'a>, body: F) -> Result
    where
        F: Fn() -> C::Answer + Send + Sync + 'a,
    {
        let given = scope.join(Ok::<_, Error>(Given::new(body)))?;
        let declared = self.0.as_ptr();
        // SAFETY:
        // - The declared member lives until the scope is freed, and the scope still lives: it has
        //   just been used. Without a callback nobody else uses `body`, and a slot is consumed by
        //   this call.
        // - The pointer to the core is derived from `self.0`, which is good for the whole member.
        // - `run::<F>` may be called until `Redrain`: `body` is an `F`, and is dropped after that.
        // - `attach()` is over before `Kill`.
        unsafe {
            (*declared).body.set(given.body());
            let core = NonNull::new_unchecked(&raw mut (*declared).core);
            C::define(core, Declared::<C>::run::<F>);
        }
        Ok(())
    }
}

impl<'a> Scope<'a> {
    /// A member with its body beside it. Errors: `ENOMEM`.
    pub(crate) fn defer<C: Core + 'a, F>(&mut self, setup: C::Setup, body: F) -> Result<&'a C>
    where
        F: Fn() -> C::Answer + Send + Sync + 'a,
    {
        let owned = self.join(try_pin_init!(Owned {
            body: Body::new(body),
            // SAFETY: The core stands in an `Owned<C, F>`, whose body is dropped after `Redrain`.
            core <- unsafe { C::new(setup, Some(Owned::<C, F>::run)) },
        }))?;
        Ok(&owned.core)
    }

    /// A member without a body, and the place for it. Errors: `ENOMEM`.
    pub(crate) fn declare<C: Core + 'a>(
        &mut self,
        setup: C::Setup,
    ) -> Result<(&'a C, Slot<'a, C>)> {
        let declared = self.join_raw(try_pin_init!(Declared {
            body: Cell::new(ptr::null()),
            // SAFETY: There is no callback.
            core <- unsafe { C::new(setup, None) },
        }))?;
        // SAFETY: The member lives as long as the scope, as in `Scope::join`.
        let member: &'a Declared<C> = unsafe { &*declared.as_ptr() };
        Ok((&member.core, Slot(declared, PhantomData)))
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_deferred)]
mod tests {
    use super::*;
    use crate::testing::{bind_and_unbind, holding, Count, OnDrop};
    use kernel::sync::Arc;

    #[test]
    fn what_a_body_captures_is_dropped_once_with_the_scope() -> Result {
        let shared = Arc::new((), GFP_KERNEL)?;
        let (given, defined) = (shared.clone(), shared.clone());
        let bound = bind_and_unbind(<(Count, Count)>::default(), |(alive, dropped), scope| {
            let given = (
                given,
                OnDrop(move || {
                    dropped.up();
                }),
            );
            let defined = (
                defined,
                OnDrop(move || {
                    dropped.up();
                }),
            );
            scope.work(holding(given))?;
            let (_, slot) = scope.declare_work()?;
            slot.define(scope, holding(defined))?;
            alive.set(dropped.get());
            Ok(())
        })?;
        let (alive, dropped) = bound.data();
        assert_eq!(alive.get(), 0);
        assert_eq!(dropped.get(), 2);
        assert!(Arc::into_unique_or_drop(shared).is_some());
        Ok(())
    }

    #[repr(align(256))]
    struct Aligned(i32);

    impl Aligned {
        /// A method, so that a closure captures all of it and not the field alone.
        fn value(&self) -> i32 {
            self.0
        }
    }

    #[test]
    fn a_callback_finds_its_body_whatever_the_body_is_like() -> Result {
        let bound = bind_and_unbind(<[Count; 4]>::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let here = move |place: usize, value: i32| {
                seen[place].set(value);
                bell.wake_all();
            };
            let far = Aligned(20);
            let (declared, slot) = scope.declare_tasklet()?;
            let works = [
                scope.work(move || here(0, 10))?,
                scope.work(move || here(1, far.value()))?,
            ];
            let far = Aligned(40);
            let tasklet = scope.tasklet(move || here(2, 30))?;
            slot.define(scope, move || here(3, far.value()))?;
            for work in works {
                work.schedule();
            }
            tasklet.schedule();
            declared.schedule();
            bell.wait_until(|| seen.iter().all(|seen| seen.get() != 0))
        })?;
        let seen = bound.data().each_ref().map(Count::get);
        assert_eq!(seen, [10, 20, 30, 40]);
        Ok(())
    }
}

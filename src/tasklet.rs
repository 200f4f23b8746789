// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tasklets that cannot run on what is gone.
//!
//! C header: [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)
//!
//! A tasklet is *idle*, *scheduled*, or *running*; scheduling a running one makes it run again.
//! When the scope has ended it is *gone*: [`Tasklet::schedule`] refused from the beginning of the
//! end, so that a tasklet which keeps itself alive through an interrupt stops as well.
//!
//! For drivers that have a tasklet today. New ones use a threaded handler, or [`work`](crate::work)
//! on `system_bh_wq`, as the kernel's own documentation advises.

use crate::{
    body::Body,
    helpers::devscope_tasklet_schedule,
    scope::{Member, Scope, Step},
    Scheduled,
};
use core::{
    cell::Cell,
    marker::PhantomData,
    mem::offset_of,
    ptr::{self, NonNull},
};
use kernel::{
    bindings,
    prelude::*,
    sync::atomic::{Acquire, Atomic, Relaxed, Release},
    types::Opaque,
};

/// The part of a tasklet that handles share.
///
/// # Invariants
///
/// 1. While `refuses` is false, `tasklet` has been set up with a callback.
/// 2. `refuses` becomes true in `Step::Kill` at the latest, and never false again after it.
#[pin_data]
struct Core {
    #[pin]
    tasklet: Opaque<bindings::tasklet_struct>,
    refuses: Atomic<bool>,
}

// SAFETY: `tasklet` is only used through C functions that may be called on any CPU, and `refuses` is
// atomic.
unsafe impl Sync for Core {}

type Callback = unsafe extern "C" fn(*mut bindings::tasklet_struct);

impl Core {
    /// A tasklet that runs `callback`.
    ///
    /// # Safety
    ///
    /// `callback` may be called with this tasklet, from the end of initialisation of the member until
    /// the end of `Step::Redrain`.
    unsafe fn new(callback: Callback) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // SAFETY: The slot is ours and does not move any more.
            tasklet <- Opaque::ffi_init(move |slot| unsafe {
                bindings::tasklet_setup(slot, Some(callback))
            }),
            refuses: Atomic::new(false),
        })
    }

    /// A tasklet that has no callback yet.
    fn declared() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            tasklet: Opaque::zeroed(),
            refuses: Atomic::new(true),
        })
    }

    fn step(&self, step: Step) {
        match step {
            // INVARIANT: `Kill` comes once, and `define` not after it.
            Step::Kill => self.refuses.store(true, Relaxed),
            // SAFETY: The tasklet is in place until `Free`; a zeroed one that was never set up has
            // no bit for `tasklet_kill()` to wait for. We are in process context, as it asks.
            Step::DrainTasklets | Step::Redrain => unsafe {
                bindings::tasklet_kill(self.tasklet.get())
            },
            _ => {}
        }
    }
}

/// A tasklet with its body beside it: one allocation.
#[pin_data]
#[repr(C)]
struct Owned<F> {
    body: Body<F>,
    #[pin]
    core: Core,
}

impl<F: Fn()> Owned<F> {
    /// # Safety
    ///
    /// `tasklet` is that of a live `Owned<F>` whose body has not been dropped.
    unsafe extern "C" fn run(tasklet: *mut bindings::tasklet_struct) {
        // SAFETY: The tasklet was set up where it stands in an `Owned<F>`, whose body is dropped only
        // after `Redrain`, when the tasklet can no longer run.
        unsafe {
            let owned = tasklet
                .byte_sub(offset_of!(Self, core.tasklet))
                .cast::<Self>();
            ((*owned).body.get())()
        }
    }
}

// SAFETY: `tasklet_kill()` returns when the tasklet neither runs nor is scheduled (kernel-doc in
// `kernel/softirq.c`). What the first kill missed is one that was scheduled after it by a callback
// that had read `refuses` before `Kill`. By `Redrain` all callbacks that started before `Kill` have
// returned (work, tasklets and interrupts were drained), and each that starts later reads `true`: it
// was scheduled through `state` of the tasklet, an atomic read-modify-write after `Kill`'s store.
unsafe impl<F: Fn() + Sync> Member for Owned<F> {
    unsafe fn step(&self, step: Step) {
        self.core.step(step);
    }

    unsafe fn drop_body(&self) {
        // SAFETY: The caller makes the same promise to us.
        unsafe { self.body.drop_in_place() };
    }
}

/// A tasklet that was declared, and whose body is a member of its own, if it was given.
#[pin_data]
struct Declared {
    body: Cell<*const ()>,
    #[pin]
    core: Core,
}

impl Declared {
    /// # Safety
    ///
    /// `tasklet` is that of a live `Declared` whose `body` points to a `Body<F>` not yet dropped.
    unsafe extern "C" fn run<F: Fn()>(tasklet: *mut bindings::tasklet_struct) {
        // SAFETY: As in `Owned::run`; `body` was set by `TaskletSlot::define`, for this very `F`.
        unsafe {
            let declared = tasklet
                .byte_sub(offset_of!(Self, core.tasklet))
                .cast::<Self>();
            ((*(*declared).body.get().cast::<Body<F>>()).get())()
        }
    }
}

// SAFETY: As for `Owned`.
unsafe impl Member for Declared {
    unsafe fn step(&self, step: Step) {
        self.core.step(step);
    }

    unsafe fn drop_body(&self) {}
}

/// The body of a declared tasklet. Its callback is the `Declared` member's, which drains it.
struct Given<F>(Body<F>);

// SAFETY: Nothing but the tasklet calls the body. The tasklet is a member of the same scope and has
// been drained by the end of `Redrain`.
unsafe impl<F: Fn() + Sync> Member for Given<F> {
    unsafe fn step(&self, _: Step) {}

    unsafe fn drop_body(&self) {
        // SAFETY: The caller makes the same promise to us.
        unsafe { self.0.drop_in_place() };
    }
}

/// A handle with which a tasklet of the scope is scheduled.
///
/// It can be copied into any closure of the scope and into the device side of a file. It cannot
/// leave the scope: `'a` is the scope's.
///
/// # If leaked
///
/// Nothing happens. A handle owns nothing, and the scope stops the tasklet whether or not handles
/// to it remain.
#[derive(Clone, Copy)]
pub struct Tasklet<'a>(&'a Core);

impl Tasklet<'_> {
    /// Asks for the tasklet to run once, soon, on this CPU: `tasklet_schedule()`.
    ///
    /// Any context, including hard interrupts. Does not sleep. Refuses while the tasklet has no body
    /// yet, and from the moment at which the scope begins to end.
    #[inline]
    #[doc(alias = "tasklet_schedule")]
    pub fn schedule(&self) -> Scheduled {
        // Acquire pairs with `Core::define`. It is a plain load on x86 and `ldapr` on arm64.
        if self.0.refuses.load(Acquire) {
            return Scheduled::Refused;
        }
        // SAFETY: The tasklet has been set up (invariant 1 of `Core`), and is freed only after it
        // was killed twice.
        if unsafe { devscope_tasklet_schedule(self.0.tasklet.get()) } {
            Scheduled::Queued
        } else {
            Scheduled::Pending
        }
    }
}

/// The place for the body of a declared tasklet. Giving the body consumes it.
///
/// # If leaked
///
/// The tasklet stays without a body, and its handle refuses.
#[must_use = "a tasklet without a body refuses to be scheduled: call `define()`"]
pub struct TaskletSlot<'a>(NonNull<Declared>, PhantomData<fn(&'a ()) -> &'a ()>);

impl<'a> TaskletSlot<'a> {
    /// Gives the tasklet its body; from here on its handle schedules.
    ///
    /// The body's promises are those of [`Scope::tasklet`].
    ///
    /// May sleep. Errors: `ENOMEM`; the tasklet then stays without a body.
    pub fn define<F>(self, scope: &mut Scope<'a>, body: F) -> Result
    where
        F: Fn() + Send + Sync + 'a,
    {
        let given = scope.join(Ok::<_, Error>(Given(Body::new(body))))?;
        let declared = self.0.as_ptr();
        // SAFETY:
        // - The declared member lives until the scope is freed, and the scope still lives: it has
        //   just been used. Nobody else uses `body` and `tasklet` while the tasklet refuses, and a
        //   slot is consumed by this call.
        // - `run::<F>` may be called until `Redrain`: `body` is an `F`, and is dropped after that.
        // INVARIANT: Set up when `refuses` becomes false, and `attach()` is over before `Kill`.
        // Release, because a handler that was registered between declaring and defining may read
        // this on another CPU with nothing else to order us.
        unsafe {
            (*declared).body.set((&raw const given.0).cast());
            let tasklet = Opaque::cast_into(&raw const (*declared).core.tasklet);
            bindings::tasklet_setup(tasklet, Some(Declared::run::<F>));
            (*declared).core.refuses.store(false, Release);
        }
        Ok(())
    }
}

impl<'a> Scope<'a> {
    /// Registers a tasklet.
    ///
    /// `body` runs in softirq context, on the CPU that scheduled it, concurrently with everything
    /// but itself; it must not sleep.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[doc(alias = "tasklet_setup", alias = "tasklet_kill")]
    pub fn tasklet<F>(&mut self, body: F) -> Result<Tasklet<'a>>
    where
        F: Fn() + Send + Sync + 'a,
    {
        let owned = self.join(try_pin_init!(Owned {
            body: Body::new(body),
            // SAFETY: The tasklet stands in an `Owned<F>`, whose body is dropped after `Redrain`.
            core <- unsafe { Core::new(Owned::<F>::run) },
        }))?;
        Ok(Tasklet(&owned.core))
    }

    /// Declares a tasklet whose body comes later, for bodies that need each other's handles.
    ///
    /// The handle can be captured at once. Until [`TaskletSlot::define`] it refuses.
    ///
    /// May sleep. Errors: `ENOMEM`.
    pub fn declare_tasklet(&mut self) -> Result<(Tasklet<'a>, TaskletSlot<'a>)> {
        let slot = self.join_raw(try_pin_init!(Declared {
            body: Cell::new(ptr::null()),
            core <- Core::declared(),
        }))?;
        // SAFETY: The member lives as long as the scope, as in `Scope::join`.
        let declared: &'a Declared = unsafe { &*slot.as_ptr() };
        Ok((Tasklet(&declared.core), TaskletSlot(slot, PhantomData)))
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Work items that cannot run on what is gone.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)
//!
//! A work item is *idle*, *pending*, or *running*; queueing a running one makes it run again. When
//! the scope has ended it is *gone*: disabled since the beginning of the end (`disable_work()`), so
//! that queueing refuses, and waited for (`disable_work_sync()`).
//!
//! | registered by | runs | may sleep |
//! |---|---|---|
//! | [`Scope::work`], [`Scope::work_on`] | soon, on a worker of its [`Queue`] | yes |
//! | [`Scope::delayed_work`], [`Scope::delayed_work_on`] | the same, after a delay | yes |
//! | [`Scope::bh_work`], [`Scope::bh_work_on`] | very soon, in softirq context | no |
//!
//! Which queue to take is said in [`workqueue`](crate::workqueue).
//!
//! Work is drained before tasklets and interrupts. A body may therefore wait for what only the
//! device's interrupt brings: the interrupt is still delivered until the body has returned. It must
//! not wait for what nobody will bring after unbind; a [`WaitQueue`](crate::wait::WaitQueue) of the
//! scope returns `ENODEV` then.
//!
//! ```
//! # use devscope::{workqueue::QueueOptions, Scope};
//! # use kernel::{prelude::*, time::msecs_to_jiffies};
//! # struct Data;
//! # impl Data {
//! #     fn link_is_up(&self) -> bool { true }
//! #     fn reset(&self) {}
//! # }
//! # fn attach<'a>(data: &'a Data, scope: &mut Scope<'a>) -> Result {
//! // Resets are done one after the other, and apart from all other work.
//! let resets = scope.workqueue(c"demo-resets", QueueOptions::ordered())?;
//! let reset = scope.work_on(resets, move || data.reset())?;
//!
//! // Looks at the link each second, until the scope ends.
//! let (poll, slot) = scope.declare_delayed_work()?;
//! slot.define(scope, move || {
//!     if !data.link_is_up() {
//!         reset.schedule();
//!     }
//!     poll.schedule(msecs_to_jiffies(1000));
//! })?;
//! poll.schedule(0);
//! # Ok(())
//! # }
//! ```
//!
//! # What there is not
//!
//! `flush_work()`: wait for what the body brings about instead, on a `WaitQueue` of the scope, which
//! also hears of the end. `cancel_work()`: what is asked for is done, or the scope ends; a body that
//! has nothing to do any more returns. Queueing on a CPU of one's choice (`queue_work_on()`): C asks
//! that the CPU does not go away meanwhile, which a driver cannot promise in a type.

use crate::{
    deferred::{Callback, Core, Slot},
    helpers,
    scope::{Scope, Step},
    workqueue::{BhQueue, Queue},
    Scheduled,
};
use core::{
    mem::offset_of,
    panic::Location,
    ptr::{self, NonNull},
};
use kernel::{
    bindings,
    prelude::*,
    static_lock_class,
    sync::atomic::{Atomic, Full},
    time::Jiffies,
    types::Opaque,
};

/// `work_struct` or `delayed_work`.
///
/// # Safety
///
/// - `WORK` is where the `work_struct` stands in `Self`.
/// - After `init` the item is idle, and the other functions are those of C for this kind of item.
unsafe trait Item: Sized {
    const WORK: usize;

    /// # Safety
    ///
    /// `item` is memory for it, not in use, and does not move from here on.
    unsafe fn init(item: *mut Self, func: bindings::work_func_t, class: LockClass);

    /// # Safety
    ///
    /// `item` was initialised. Any context.
    unsafe fn disable(item: *mut Self);

    /// # Safety
    ///
    /// `item` was initialised. Process context, and not inside the item.
    unsafe fn disable_sync(item: *mut Self);

    /// # Safety
    ///
    /// `item` was initialised, and disabled more often than enabled. Any context.
    unsafe fn enable(item: *mut Self);
}

/// Where a work item is registered, which is its class for lockdep: as in C, where each `INIT_WORK()`
/// has one.
///
/// With one class for all, a body that releases another work item would look to lockdep as if it
/// waited for itself.
#[derive(Clone, Copy)]
struct LockClass(&'static Location<'static>);

impl LockClass {
    fn as_ptr(self) -> *mut bindings::lock_class_key {
        ptr::from_ref(self.0).cast_mut().cast()
    }
}

/// What `INIT_WORK()` does.
///
/// # Safety
///
/// As for `Item::init`.
unsafe fn init_work(
    work: *mut bindings::work_struct,
    func: bindings::work_func_t,
    class: LockClass,
) {
    // Lockdep wants one name for each class, and compares addresses.
    static NAME: &CStr = c"devscope";
    // SAFETY:
    // - The caller's promise.
    // - Name and key are static. Lockdep knows a class by the address of its key and does not look
    //   at what is there; it asks that the address is that of a static object, of the kernel or of a
    //   module (`lockdep_init_map_type()` and `static_obj()` in `kernel/locking/lockdep.c`).
    unsafe {
        bindings::init_work_with_key(work, func, false, NAME.as_char_ptr(), class.as_ptr());
    }
}

// SAFETY: The whole is the `work_struct`. `init_work_with_key()` is `INIT_WORK()`.
unsafe impl Item for bindings::work_struct {
    const WORK: usize = 0;

    unsafe fn init(item: *mut Self, func: bindings::work_func_t, class: LockClass) {
        // SAFETY: The caller makes the same promise to us.
        unsafe { init_work(item, func, class) };
    }

    unsafe fn disable(item: *mut Self) {
        // SAFETY: The caller makes the same promise to us.
        unsafe { bindings::disable_work(item) };
    }

    unsafe fn disable_sync(item: *mut Self) {
        // SAFETY: The caller makes the same promise to us.
        unsafe { bindings::disable_work_sync(item) };
    }

    unsafe fn enable(item: *mut Self) {
        // SAFETY: The caller makes the same promise to us.
        unsafe { bindings::enable_work(item) };
    }
}

// SAFETY: `init` is what `INIT_DELAYED_WORK()` does: work and an irqsafe timer with C's function for
// it (`include/linux/workqueue.h`).
unsafe impl Item for bindings::delayed_work {
    const WORK: usize = offset_of!(Self, work);

    unsafe fn init(item: *mut Self, func: bindings::work_func_t, class: LockClass) {
        // SAFETY:
        // - The caller's promise, for both parts.
        // - Name and key of the timer are static. One class for all of them: their function is C's,
        //   and waits for nothing.
        unsafe {
            init_work(&raw mut (*item).work, func, class);
            bindings::timer_init_key(
                &raw mut (*item).timer,
                Some(bindings::delayed_work_timer_fn),
                bindings::TIMER_IRQSAFE,
                c"devscope_timer".as_char_ptr(),
                static_lock_class!().as_ptr(),
            );
        }
    }

    unsafe fn disable(item: *mut Self) {
        #[cfg(devscope_mutants)]
        if crate::mutants::active(crate::mutants::Mutant::ForgetTimers) {
            // SAFETY: None: that is the mistake.
            unsafe { bindings::disable_work(&raw mut (*item).work) };
            return;
        }
        // SAFETY: The caller makes the same promise to us.
        unsafe { bindings::disable_delayed_work(item) };
    }

    unsafe fn disable_sync(item: *mut Self) {
        // SAFETY: The caller makes the same promise to us.
        unsafe { bindings::disable_delayed_work_sync(item) };
    }

    unsafe fn enable(item: *mut Self) {
        // SAFETY: The caller makes the same promise to us.
        unsafe { bindings::enable_delayed_work(item) };
    }
}

/// The part of a work item that handles share.
///
/// There is no flag for handles to look at before they queue: C refuses to queue what is disabled, and
/// only then is it asked why.
///
/// # Invariants
///
/// 1. `item` is initialised.
/// 2. C's count of how often it is disabled includes one for each of these: it has no body;
///    `Step::Kill` was taken; it is `released`. None of the last two is ever taken back. So what has
///    been enabled once and is disabled later stays so.
/// 3. It is queued on `queue`, and on no other.
#[pin_data]
struct WorkCore<'a, T> {
    #[pin]
    item: Opaque<T>,
    queue: Queue<'a>,
    /// [`WorkCore::release`] keeps it disabled.
    released: Atomic<bool>,
}

// SAFETY: `item` is only used through C functions that may be called on any CPU, and by `WorkCore::data`,
// which is atomic; `queue` does not change, and `released` is atomic.
unsafe impl<T> Sync for WorkCore<'_, T> {}

/// What C knows of a work item at one moment: its `data`, as `enum work_bits` in
/// `include/linux/workqueue.h` describes it.
#[derive(Clone, Copy)]
struct Data(c_ulong);

impl Data {
    const PENDING: c_ulong = bindings::work_flags_WORK_STRUCT_PENDING as c_ulong;
    const PWQ: c_ulong = bindings::work_flags_WORK_STRUCT_PWQ as c_ulong;
    /// `WORK_OFFQ_DISABLE_MASK`
    const DISABLED: c_ulong = ((1 << bindings::work_bits_WORK_OFFQ_DISABLE_BITS) - 1)
        << bindings::work_bits_WORK_OFFQ_DISABLE_SHIFT;

    /// On a queue: pending for certain. The other bits are those of a pointer then.
    #[inline]
    fn is_queued(self) -> bool {
        self.0 & Self::PWQ != 0
    }

    /// On a queue, on its timer, or about to be. If it is disabled this says nothing: whoever tries to
    /// queue it, disables or enables it sets the bit for a moment.
    fn is_pending(self) -> bool {
        self.0 & Self::PENDING != 0
    }

    /// As `clear_pending_if_disabled()` in `kernel/workqueue.c` finds it.
    fn is_disabled(self) -> bool {
        !self.is_queued() && self.0 & Self::DISABLED != 0
    }
}

/// Where a work item goes, and where it comes from.
struct Setup<'a> {
    queue: Queue<'a>,
    class: LockClass,
}

impl<'a> Setup<'a> {
    /// On `queue`, registered by the caller's caller.
    #[track_caller]
    fn on(queue: Queue<'a>) -> Self {
        Self {
            queue,
            class: LockClass(Location::caller()),
        }
    }
}

impl<T: Item> WorkCore<'_, T> {
    /// What a work item without a body would run, if it were not disabled.
    ///
    /// # Safety
    ///
    /// None; it is `unsafe` for being a [`Callback`].
    unsafe extern "C" fn no_body(_: *mut bindings::work_struct) {}

    fn work(&self) -> *mut bindings::work_struct {
        self.item.get().wrapping_byte_add(T::WORK).cast()
    }

    /// Whether the current task runs this work item. Never so in a softirq: there it is not known.
    fn runs_here(&self) -> bool {
        // SAFETY: It reads which work item the current task runs, if any.
        ptr::eq(unsafe { bindings::current_work() }, self.work())
    }

    /// See [`Work::release`].
    fn release(&self) -> Result {
        // SAFETY: No requirement; it reads the state of the current task.
        if unsafe { helpers::devscope_in_atomic_context() } || self.runs_here() {
            return Err(EDEADLK);
        }
        let item = self.item.get();
        // SAFETY: The work item is initialised: invariant 1. We may sleep, and are not inside it.
        unsafe { T::disable_sync(item) };
        // INVARIANT: The first to come here leaves its `disable_sync()` for `released`; another takes
        // back its own. It can: the first had disabled the item before it set the flag.
        if self.released.xchg(true, Full) {
            // SAFETY: Initialised, and disabled just now.
            unsafe { T::enable(item) };
        }
        Ok(())
    }

    #[inline]
    fn data(&self) -> Data {
        // FIXME(read_once): Replace with `read_once` when available on the Rust side.
        // SAFETY: The work item is initialised: invariant 1. C changes the word as a whole, by atomic
        // operations, and this is meant as a `READ_ONCE()` of it.
        Data(unsafe { ptr::read_volatile(&raw const (*self.work()).data.counter) } as c_ulong)
    }

    /// Says what became of a call to C that queued nothing; `again` makes the same call.
    ///
    /// On a queue it is pending, which is what one finds most often. That is as good as what C says: its
    /// `test_and_set_bit()` was a full barrier, so the run that it is pending for, which begins with one
    /// (`set_work_pool_and_clear_pending()`), sees what the caller wrote before.
    #[inline]
    fn why_not(&self, again: impl FnOnce() -> bool) -> Scheduled {
        if self.data().is_queued() {
            Scheduled::Pending
        } else {
            self.why_not_queued(again)
        }
    }

    /// One word is looked at, again and again, and all who read it agree in which order it changes. So no
    /// barriers are needed to follow what happened: a work item gets its body, once, and ends, for good.
    #[cold]
    fn why_not_queued(&self, again: impl FnOnce() -> bool) -> Scheduled {
        let data = self.data();
        if data.is_disabled() {
            // It has no body, or no more.
            return Scheduled::Refused;
        }
        if data.is_pending() {
            // Or it is being disabled at this very moment; then this is as good as having come just before,
            // to something pending.
            return Scheduled::Pending;
        }
        // It was pending, and its run has begun. Or it had no body and has one now: what C then found was
        // that it was disabled, or the bit of somebody who was about to find that, or of `define`.
        if again() {
            return Scheduled::Queued;
        }
        // It had a body before this call, and what refuses now is its end, or else it is pending.
        if self.data().is_disabled() {
            Scheduled::Refused
        } else {
            Scheduled::Pending
        }
    }
}

// SAFETY:
// - `OFFSET` is that of the `work_struct`; `Opaque` is transparent.
// - `disable_work_sync()` returns when the work item is neither pending nor running, and it is never
//   enabled again: invariant 2 (kernel-doc in `kernel/workqueue.c`). It waits where the item was queued
//   last, which is where it runs, if it does: invariant 3.
// - For delayed work the same is said of `disable_delayed_work_sync()`, and that the timer neither
//   runs nor is pending: `try_to_grab_pending()` deletes it, or waits until it has queued the item.
// - Without a callback it is disabled: invariant 2.
unsafe impl<'a, T: Item> Core for WorkCore<'a, T> {
    type Raw = bindings::work_struct;
    type Setup = Setup<'a>;
    type Answer = ();
    type Returned = ();

    const OFFSET: usize = offset_of!(Self, item) + T::WORK;

    unsafe fn new(setup: Setup<'a>, callback: Option<Callback<Self>>) -> impl PinInit<Self, Error> {
        let Setup { queue, class } = setup;
        try_pin_init!(Self {
            // SAFETY: The slot is ours, does not move any more, and is not in use yet.
            // INVARIANT: Initialised, and disabled without a body.
            item <- Opaque::ffi_init(move |slot| unsafe {
                // `__flush_work()` warns of a work item without a function, disabled or not.
                T::init(slot, Some(callback.unwrap_or(Self::no_body)), class);
                if callback.is_none() {
                    T::disable(slot);
                }
            }),
            queue,
            released: Atomic::new(false),
        })
    }

    unsafe fn define(this: NonNull<Self>, callback: Callback<Self>) {
        // SAFETY:
        // - `this` is in place. The work item is disabled, so no worker reads `func`; and who queues
        //   meanwhile reads and writes `data` only (`queue_work_on()` and
        //   `clear_pending_if_disabled()` in `kernel/workqueue.c`).
        // - A worker that reads it later is ordered after us: `enable_work()` and `queue_work_on()`
        //   both change `data` by atomic operations that return a value, which are full barriers.
        // INVARIANT: It has a body, and is enabled once: it was disabled once for having none.
        unsafe {
            let core = this.as_ref();
            (*core.work()).func = Some(callback);
            T::enable(core.item.get());
        }
    }

    fn call(&self, body: impl FnOnce()) {
        body();
    }

    fn step(&self, step: Step) {
        let item = self.item.get();
        match step {
            Step::Kill => {
                if self.runs_here() {
                    panic!("devscope: a scope ends inside one of its own work items, for which it would wait for ever");
                }
                // INVARIANT: Disabled for `Kill`.
                // SAFETY: The work item is initialised: invariant 1.
                unsafe { T::disable(item) };
            }
            // SAFETY: The work item is initialised: invariant 1. We are in process context and may
            // sleep, and not inside this work item: checked in `Kill`.
            Step::DrainWork => unsafe { T::disable_sync(item) },
            _ => {}
        }
    }
}

type PlainCore<'a> = WorkCore<'a, bindings::work_struct>;
type DelayedCore<'a> = WorkCore<'a, bindings::delayed_work>;

/// A handle with which a work item of the scope is queued.
///
/// It can be copied into any closure of the scope and into the device side of a file. It cannot
/// leave the scope: `'a` is the scope's.
///
/// # If leaked
///
/// Nothing happens. A handle owns nothing, and the scope stops the work whether or not handles to it
/// remain.
#[derive(Clone, Copy)]
pub struct Work<'a>(&'a PlainCore<'a>);

impl Work<'_> {
    /// Queues the work on the queue that it was registered for: `queue_work()`.
    ///
    /// Any context, including hard interrupts. Does not sleep. Refuses while the work item has no
    /// body yet, after [`Work::release`], and from the moment at which the scope begins to end.
    #[inline]
    #[doc(alias = "schedule_work", alias = "queue_work")]
    pub fn schedule(&self) -> Scheduled {
        // SAFETY: The work item is initialised (invariant 1 of `WorkCore`), and freed only after it was
        // drained for good. The queue lasts as long, or is not looked at: see `Owned::drop_body` in
        // `workqueue.rs`.
        let queue = || unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                self.0.queue.as_ptr(),
                self.0.work(),
            )
        };
        if queue() {
            Scheduled::Queued
        } else {
            self.0.why_not(queue)
        }
    }

    /// Ends the work item before its scope: `disable_work_sync()`.
    ///
    /// When this returns `Ok` the body does not run and will not run again, what was pending is
    /// forgotten, and handles refuse. The body is dropped with the scope, as ever. Releasing once more
    /// is allowed, waits as well, and succeeds.
    ///
    /// Process context; waits for the body. Errors: `EDEADLK` in atomic context, and inside this work
    /// item's own body; nothing was done then. As with any waiting, two bodies that release each other
    /// wait for ever, and so does whoever holds a lock that the body takes.
    #[doc(alias = "cancel_work_sync", alias = "disable_work_sync")]
    pub fn release(&self) -> Result {
        self.0.release()
    }
}

/// A handle with which a delayed work item of the scope is queued.
///
/// What is said of [`Work`] holds for it as well.
///
/// # If leaked
///
/// Nothing happens. A handle owns nothing, and the scope stops the work and its timer whether or not
/// handles to it remain.
#[derive(Clone, Copy)]
pub struct DelayedWork<'a>(&'a DelayedCore<'a>);

impl DelayedWork<'_> {
    /// Queues the work when `delay` has passed: `queue_delayed_work()`.
    ///
    /// `delay` is in jiffies, as in [`kernel::workqueue`]: see [`kernel::time::msecs_to_jiffies`]. With
    /// 0 it is queued at once, otherwise `delay` ticks from now. Work that is pending, on its timer or
    /// on its queue, stays as it is: see [`DelayedWork::reschedule`].
    ///
    /// Any context, including hard interrupts. Does not sleep. Refuses while the work item has no
    /// body yet, after [`DelayedWork::release`], and from the moment at which the scope begins to end.
    #[inline]
    #[doc(alias = "schedule_delayed_work", alias = "queue_delayed_work")]
    pub fn schedule(&self, delay: Jiffies) -> Scheduled {
        // SAFETY: As in `Work::schedule`, and with the work item its timer is drained.
        let queue = || unsafe {
            bindings::queue_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                self.0.queue.as_ptr(),
                self.0.item.get(),
                delay,
            )
        };
        if queue() {
            Scheduled::Queued
        } else {
            self.0.why_not(queue)
        }
    }

    /// Queues the work when `delay` has passed from now, whatever it waited for before:
    /// `mod_delayed_work()`.
    ///
    /// [`Scheduled::Pending`] says that it was pending, on its timer or on its queue; the one run that
    /// it was pending for now comes after `delay`. Units, context and refusals are those of
    /// [`DelayedWork::schedule`].
    #[inline]
    #[doc(alias = "mod_delayed_work")]
    pub fn reschedule(&self, delay: Jiffies) -> Scheduled {
        // What C finds later in the same word is not older, so it does not refuse for want of a body.
        if self.0.data().is_disabled() {
            return Scheduled::Refused;
        }
        // SAFETY: As in `DelayedWork::schedule`.
        let was_pending = unsafe {
            bindings::mod_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                self.0.queue.as_ptr(),
                self.0.item.get(),
                delay,
            )
        };
        if was_pending {
            Scheduled::Pending
        } else if self.0.data().is_disabled() {
            // C says the same of work that it has queued and of work that is disabled, which this is for
            // good (invariant 2). If it was queued, that has been taken back.
            Scheduled::Refused
        } else {
            Scheduled::Queued
        }
    }

    /// Ends the work item before its scope: `disable_delayed_work_sync()`.
    ///
    /// The promises, the context and the errors are those of [`Work::release`]; the timer does not run
    /// any more either.
    #[doc(
        alias = "cancel_delayed_work_sync",
        alias = "disable_delayed_work_sync"
    )]
    pub fn release(&self) -> Result {
        self.0.release()
    }
}

/// The place for the body of a declared work item. Giving the body consumes it.
///
/// # If leaked
///
/// The work item stays without a body, and its handle refuses.
#[must_use = "a work item without a body refuses to be queued: call `define()`"]
pub struct WorkSlot<'a>(Slot<'a, PlainCore<'a>>);

impl<'a> WorkSlot<'a> {
    /// Gives the work item its body; from here on its handle queues.
    ///
    /// The body's promises are those of the function that the work item would have been registered
    /// with: [`Scope::work`] or [`Scope::bh_work`].
    ///
    /// May sleep. Errors: `ENOMEM`; the work item then stays without a body.
    pub fn define<F>(self, scope: &mut Scope<'a>, body: F) -> Result
    where
        F: Fn() + Send + Sync + 'a,
    {
        self.0.define(scope, body)
    }
}

/// The place for the body of a declared delayed work item. Giving the body consumes it.
///
/// # If leaked
///
/// The work item stays without a body, and its handle refuses.
#[must_use = "a work item without a body refuses to be queued: call `define()`"]
pub struct DelayedWorkSlot<'a>(Slot<'a, DelayedCore<'a>>);

impl<'a> DelayedWorkSlot<'a> {
    /// Gives the work item its body; from here on its handle queues.
    ///
    /// The body's promises are those of [`Scope::delayed_work`].
    ///
    /// May sleep. Errors: `ENOMEM`; the work item then stays without a body.
    pub fn define<F>(self, scope: &mut Scope<'a>, body: F) -> Result
    where
        F: Fn() + Send + Sync + 'a,
    {
        self.0.define(scope, body)
    }
}

impl<'a> Scope<'a> {
    /// Registers a work item on the system's per-CPU workqueue, [`Queue::percpu`].
    ///
    /// `body` runs in process context on a worker thread and may sleep. It runs concurrently with
    /// everything but itself.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[track_caller]
    #[doc(alias = "INIT_WORK", alias = "cancel_work_sync", alias = "flush_work")]
    pub fn work<F>(&mut self, body: F) -> Result<Work<'a>>
    where
        F: Fn() + Send + Sync + 'a,
    {
        self.defer(Setup::on(Queue::percpu()), body).map(Work)
    }

    /// Registers a work item on a queue: the system's, or one of [`Scope::workqueue`].
    ///
    /// `body` runs in process context on a worker thread and may sleep. It runs concurrently with
    /// everything but itself, as far as the queue allows.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[track_caller]
    #[doc(alias = "INIT_WORK", alias = "queue_work")]
    pub fn work_on<F>(&mut self, queue: Queue<'a>, body: F) -> Result<Work<'a>>
    where
        F: Fn() + Send + Sync + 'a,
    {
        self.defer(Setup::on(queue), body).map(Work)
    }

    /// Declares a work item whose body comes later, for bodies that need each other's handles.
    ///
    /// The handle can be captured at once. Until [`WorkSlot::define`] it refuses.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[track_caller]
    pub fn declare_work(&mut self) -> Result<(Work<'a>, WorkSlot<'a>)> {
        self.declare_work_on(Queue::percpu())
    }

    /// The same, on a queue of one's choice.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[track_caller]
    pub fn declare_work_on(&mut self, queue: Queue<'a>) -> Result<(Work<'a>, WorkSlot<'a>)> {
        let (core, slot) = self.declare(Setup::on(queue))?;
        Ok((Work(core), WorkSlot(slot)))
    }

    /// Registers a work item that runs after a delay, on [`Queue::percpu`].
    ///
    /// `body` runs as that of [`Scope::work`] does.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[track_caller]
    #[doc(alias = "INIT_DELAYED_WORK", alias = "cancel_delayed_work_sync")]
    pub fn delayed_work<F>(&mut self, body: F) -> Result<DelayedWork<'a>>
    where
        F: Fn() + Send + Sync + 'a,
    {
        self.delayed_work_on(Queue::percpu(), body)
    }

    /// The same, on a queue of one's choice.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[track_caller]
    #[doc(alias = "INIT_DELAYED_WORK", alias = "queue_delayed_work")]
    pub fn delayed_work_on<F>(&mut self, queue: Queue<'a>, body: F) -> Result<DelayedWork<'a>>
    where
        F: Fn() + Send + Sync + 'a,
    {
        self.defer(Setup::on(queue), body).map(DelayedWork)
    }

    /// Declares a delayed work item whose body comes later.
    ///
    /// The handle can be captured at once. Until [`DelayedWorkSlot::define`] it refuses.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[track_caller]
    pub fn declare_delayed_work(&mut self) -> Result<(DelayedWork<'a>, DelayedWorkSlot<'a>)> {
        self.declare_delayed_work_on(Queue::percpu())
    }

    /// The same, on a queue of one's choice.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[track_caller]
    pub fn declare_delayed_work_on(
        &mut self,
        queue: Queue<'a>,
    ) -> Result<(DelayedWork<'a>, DelayedWorkSlot<'a>)> {
        let (core, slot) = self.declare(Setup::on(queue))?;
        Ok((DelayedWork(core), DelayedWorkSlot(slot)))
    }

    /// Registers a work item that runs in softirq context, as a tasklet does.
    ///
    /// `body` runs in softirq context on the CPU that queued it, and must not sleep. It runs
    /// concurrently with everything but itself.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[track_caller]
    #[doc(alias = "tasklet_setup", alias = "system_bh_wq")]
    pub fn bh_work<F>(&mut self, body: F) -> Result<Work<'a>>
    where
        F: Fn() + Send + Sync + 'a,
    {
        self.bh_work_on(BhQueue::normal(), body)
    }

    /// The same, with a choice of priority.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[track_caller]
    pub fn bh_work_on<F>(&mut self, queue: BhQueue, body: F) -> Result<Work<'a>>
    where
        F: Fn() + Send + Sync + 'a,
    {
        self.defer(Setup::on(queue.queue()), body).map(Work)
    }

    /// Declares a work item that will run in softirq context.
    ///
    /// The handle can be captured at once. Until [`WorkSlot::define`] it refuses.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[track_caller]
    pub fn declare_bh_work(&mut self) -> Result<(Work<'a>, WorkSlot<'a>)> {
        self.declare_bh_work_on(BhQueue::normal())
    }

    /// The same, with a choice of priority.
    ///
    /// May sleep. Errors: `ENOMEM`.
    #[track_caller]
    pub fn declare_bh_work_on(&mut self, queue: BhQueue) -> Result<(Work<'a>, WorkSlot<'a>)> {
        let (core, slot) = self.declare(Setup::on(queue.queue()))?;
        Ok((Work(core), WorkSlot(slot)))
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_work)]
mod tests {
    use super::*;
    use crate::testing::{
        bind_and_unbind, holding, pause, pending_when_the_scope_ends, scheduled_three_times,
        scheduled_while_bodies_are_dropped, scheduled_while_it_gets_its_body,
        scheduled_while_it_runs, scheduled_without_a_body, schedules_itself,
        two_schedule_each_other, Count, Deferred, OnDrop, Seen,
    };

    /// Scheduled, or rescheduled.
    struct After<const AGAIN: bool>;

    type Delayed = After<false>;
    type Rescheduled = After<true>;

    impl<const AGAIN: bool> Deferred for After<AGAIN> {
        type Handle<'a> = DelayedWork<'a>;
        type Slot<'a> = DelayedWorkSlot<'a>;

        const SLEEPS: bool = true;

        fn register<'a, F>(scope: &mut Scope<'a>, body: F) -> Result<DelayedWork<'a>>
        where
            F: Fn() + Send + Sync + 'a,
        {
            scope.delayed_work(body)
        }

        fn declare<'a>(scope: &mut Scope<'a>) -> Result<(DelayedWork<'a>, DelayedWorkSlot<'a>)> {
            scope.declare_delayed_work()
        }

        fn define<'a, F>(slot: DelayedWorkSlot<'a>, scope: &mut Scope<'a>, body: F) -> Result
        where
            F: Fn() + Send + Sync + 'a,
        {
            slot.define(scope, body)
        }

        fn schedule(handle: DelayedWork<'_>) -> Scheduled {
            match AGAIN {
                false => handle.schedule(1),
                true => handle.reschedule(1),
            }
        }
    }

    struct BottomHalves;

    impl Deferred for BottomHalves {
        type Handle<'a> = Work<'a>;
        type Slot<'a> = WorkSlot<'a>;

        const SLEEPS: bool = false;

        fn register<'a, F>(scope: &mut Scope<'a>, body: F) -> Result<Work<'a>>
        where
            F: Fn() + Send + Sync + 'a,
        {
            scope.bh_work(body)
        }

        fn declare<'a>(scope: &mut Scope<'a>) -> Result<(Work<'a>, WorkSlot<'a>)> {
            scope.declare_bh_work()
        }

        fn define<'a, F>(slot: WorkSlot<'a>, scope: &mut Scope<'a>, body: F) -> Result
        where
            F: Fn() + Send + Sync + 'a,
        {
            slot.define(scope, body)
        }

        fn schedule(handle: Work<'_>) -> Scheduled {
            handle.schedule()
        }
    }

    struct Works;

    impl Deferred for Works {
        type Handle<'a> = Work<'a>;
        type Slot<'a> = WorkSlot<'a>;

        const SLEEPS: bool = true;

        fn register<'a, F>(scope: &mut Scope<'a>, body: F) -> Result<Work<'a>>
        where
            F: Fn() + Send + Sync + 'a,
        {
            scope.work(body)
        }

        fn declare<'a>(scope: &mut Scope<'a>) -> Result<(Work<'a>, WorkSlot<'a>)> {
            scope.declare_work()
        }

        fn define<'a, F>(slot: WorkSlot<'a>, scope: &mut Scope<'a>, body: F) -> Result
        where
            F: Fn() + Send + Sync + 'a,
        {
            slot.define(scope, body)
        }

        fn schedule(handle: Work<'_>) -> Scheduled {
            handle.schedule()
        }
    }

    #[test]
    fn a_work_item_runs_once_for_each_time_that_it_was_queued() -> Result {
        let bound = scheduled_three_times::<Works>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert_eq!(seen.runs.get(), 3);
        Ok(())
    }

    #[test]
    fn a_running_work_item_is_queued_once_more_and_is_then_pending() -> Result {
        let bound = scheduled_while_it_runs::<Works>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert!(seen.second.is(Scheduled::Pending));
        assert_eq!(seen.runs.get(), 2);
        Ok(())
    }

    #[test]
    fn a_work_item_that_queues_itself_ends_with_its_scope() -> Result {
        let bound = schedules_itself::<Works>()?;
        let seen = bound.data();
        assert!(seen.ended.get() >= 3);
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn two_work_items_that_queue_each_other_end_with_their_scope() -> Result {
        let bound = two_schedule_each_other::<Works>()?;
        let seen = bound.data();
        assert!(seen.ended.get() >= 3);
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn a_work_item_that_is_pending_when_the_scope_ends_has_run_or_never_will() -> Result {
        let bound = pending_when_the_scope_ends::<Works>()?;
        let seen = bound.data();
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn a_work_item_refuses_until_it_has_a_body() -> Result {
        let bound = scheduled_without_a_body::<Works>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Refused));
        assert!(seen.second.is(Scheduled::Queued));
        assert!(seen.third.is(Scheduled::Refused));
        assert_eq!(seen.runs.get(), 1);
        Ok(())
    }

    #[test]
    fn a_work_item_that_is_queued_while_it_gets_its_body_does_as_it_said() -> Result {
        let bound = scheduled_while_it_gets_its_body::<Works>()?;
        assert_eq!(bound.data().ended.get(), 1);
        Ok(())
    }

    #[test]
    fn delayed_and_bh_work_that_is_queued_while_it_gets_its_body_does_as_it_said() -> Result {
        let delayed = scheduled_while_it_gets_its_body::<Delayed>()?;
        let rescheduled = scheduled_while_it_gets_its_body::<Rescheduled>()?;
        let bottom = scheduled_while_it_gets_its_body::<BottomHalves>()?;
        assert_eq!(delayed.data().ended.get(), 1);
        assert_eq!(rescheduled.data().ended.get(), 1);
        assert_eq!(bottom.data().ended.get(), 1);
        Ok(())
    }

    #[test]
    fn a_work_item_refuses_while_bodies_are_dropped() -> Result {
        let bound = scheduled_while_bodies_are_dropped::<Works>()?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Refused));
        assert!(seen.second.is(Scheduled::Refused));
        assert_eq!(seen.runs.get(), 0);
        Ok(())
    }

    #[test]
    fn a_running_work_item_is_queued_once_more_by_another_task_too() -> Result {
        let bound = bind_and_unbind(<(Seen, Count)>::default(), |(seen, go_on), scope| {
            let bell = scope.wait_queue()?;
            let work = scope.work(move || {
                seen.runs.up();
                bell.wake_all();
                // It does not run concurrently with itself, so what is queued now stays queued.
                if bell.wait_until(|| go_on.get() == 1).is_ok() {
                    seen.ended.up();
                }
                bell.wake_all();
            })?;
            seen.first.note(work.schedule());
            bell.wait_until(|| seen.runs.get() == 1)?;
            seen.second.note(work.schedule());
            seen.third.note(work.schedule());
            go_on.set(1);
            bell.wake_all();
            bell.wait_until(|| seen.ended.get() == 2)
        })?;
        assert!(bound.data().0.first.is(Scheduled::Queued));
        assert!(bound.data().0.second.is(Scheduled::Queued));
        assert!(bound.data().0.third.is(Scheduled::Pending));
        assert_eq!(bound.data().0.runs.get(), 2);
        Ok(())
    }

    #[test]
    fn a_work_item_that_runs_when_the_scope_ends_is_waited_for() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let work = scope.work(move || {
                seen.runs.up();
                bell.wake_all();
                pause();
                seen.ended.up();
            })?;
            work.schedule();
            bell.wait_until(|| seen.runs.get() == 1)
        })?;
        assert_eq!(bound.data().ended.get(), 1);
        Ok(())
    }

    #[test]
    fn delayed_work_items_run_as_often_as_asked() -> Result {
        let three = scheduled_three_times::<Delayed>()?;
        let running = scheduled_while_it_runs::<Delayed>()?;
        assert!(three.data().first.is(Scheduled::Queued));
        assert_eq!(three.data().runs.get(), 3);
        assert!(running.data().first.is(Scheduled::Queued));
        assert!(running.data().second.is(Scheduled::Pending));
        assert_eq!(running.data().runs.get(), 2);
        Ok(())
    }

    #[test]
    fn delayed_work_items_end_with_their_scope() -> Result {
        let itself = schedules_itself::<Delayed>()?;
        let two = two_schedule_each_other::<Delayed>()?;
        let pending = pending_when_the_scope_ends::<Delayed>()?;
        assert!(itself.data().ended.get() >= 3);
        assert_eq!(itself.data().runs.get(), itself.data().ended.get());
        assert!(two.data().ended.get() >= 3);
        assert_eq!(two.data().runs.get(), two.data().ended.get());
        assert_eq!(pending.data().runs.get(), pending.data().ended.get());
        Ok(())
    }

    #[test]
    fn delayed_work_items_refuse_without_a_body_and_at_the_end() -> Result {
        let without = scheduled_without_a_body::<Delayed>()?;
        let dropped = scheduled_while_bodies_are_dropped::<Delayed>()?;
        assert!(without.data().first.is(Scheduled::Refused));
        assert!(without.data().second.is(Scheduled::Queued));
        assert!(without.data().third.is(Scheduled::Refused));
        assert_eq!(without.data().runs.get(), 1);
        assert!(dropped.data().first.is(Scheduled::Refused));
        assert!(dropped.data().second.is(Scheduled::Refused));
        assert_eq!(dropped.data().runs.get(), 0);
        Ok(())
    }

    #[test]
    fn bh_work_items_run_as_often_as_asked() -> Result {
        let three = scheduled_three_times::<BottomHalves>()?;
        let running = scheduled_while_it_runs::<BottomHalves>()?;
        assert!(three.data().first.is(Scheduled::Queued));
        assert_eq!(three.data().runs.get(), 3);
        assert!(running.data().first.is(Scheduled::Queued));
        assert!(running.data().second.is(Scheduled::Pending));
        assert_eq!(running.data().runs.get(), 2);
        Ok(())
    }

    #[test]
    fn bh_work_items_end_with_their_scope() -> Result {
        let itself = schedules_itself::<BottomHalves>()?;
        let two = two_schedule_each_other::<BottomHalves>()?;
        let pending = pending_when_the_scope_ends::<BottomHalves>()?;
        assert!(itself.data().ended.get() >= 3);
        assert_eq!(itself.data().runs.get(), itself.data().ended.get());
        assert!(two.data().ended.get() >= 3);
        assert_eq!(two.data().runs.get(), two.data().ended.get());
        assert_eq!(pending.data().runs.get(), pending.data().ended.get());
        Ok(())
    }

    #[test]
    fn bh_work_items_refuse_without_a_body_and_at_the_end() -> Result {
        let without = scheduled_without_a_body::<BottomHalves>()?;
        let dropped = scheduled_while_bodies_are_dropped::<BottomHalves>()?;
        assert!(without.data().first.is(Scheduled::Refused));
        assert!(without.data().second.is(Scheduled::Queued));
        assert!(without.data().third.is(Scheduled::Refused));
        assert_eq!(without.data().runs.get(), 1);
        assert!(dropped.data().first.is(Scheduled::Refused));
        assert!(dropped.data().second.is(Scheduled::Refused));
        assert_eq!(dropped.data().runs.get(), 0);
        Ok(())
    }

    /// Longer than the tests take, in jiffies. (On the hosted kernel any time may pass at any moment.)
    const LATER: Jiffies = 1_000_000;

    #[test]
    fn delayed_work_that_is_rescheduled_runs_once_for_what_was_pending() -> Result {
        let bound = bind_and_unbind(<(Seen, Count)>::default(), |(seen, queued), scope| {
            let bell = scope.wait_queue()?;
            let work = scope.delayed_work(move || {
                seen.runs.up();
                bell.wake_all();
            })?;
            let first = work.schedule(LATER);
            let second = work.schedule(LATER);
            let third = work.reschedule(1);
            for answer in [first, second, third] {
                if answer == Scheduled::Queued {
                    queued.up();
                }
            }
            seen.first.note(first);
            bell.wait_until(|| seen.runs.get() == queued.get())?;
            pause();
            Ok(())
        })?;
        let (seen, queued) = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert!(queued.get() >= 1);
        assert_eq!(seen.runs.get(), queued.get());
        Ok(())
    }

    #[test]
    fn delayed_work_that_is_idle_is_queued_by_rescheduling() -> Result {
        let bound = bind_and_unbind(Seen::default(), |seen, scope| {
            let bell = scope.wait_queue()?;
            let work = scope.delayed_work(move || {
                seen.runs.up();
                bell.wake_all();
            })?;
            seen.first.note(work.reschedule(0));
            bell.wait_until(|| seen.runs.get() == 1)?;
            seen.second.note(work.reschedule(1));
            bell.wait_until(|| seen.runs.get() == 2)?;
            // And this timer ends with the scope.
            seen.third.note(work.schedule(LATER));
            Ok(())
        })?;
        let seen = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert!(seen.second.is(Scheduled::Queued));
        assert!(seen.third.is(Scheduled::Queued));
        assert!(seen.runs.get() >= 2);
        Ok(())
    }

    /// What `release()` returned, once it is noted: 1 for success, or a negative error.
    fn noted(released: Result) -> i32 {
        released.map_or_else(|error| error.to_errno(), |()| 1)
    }

    #[test]
    fn released_work_has_ended_and_refuses() -> Result {
        let bound = bind_and_unbind(<(Seen, Count, Count)>::default(), |all, scope| {
            let (seen, released, again) = all;
            let bell = scope.wait_queue()?;
            let work = scope.work(move || {
                seen.runs.up();
                bell.wake_all();
                pause();
                seen.ended.up();
            })?;
            work.schedule();
            bell.wait_until(|| seen.runs.get() == 1)?;
            seen.first.note(work.schedule());
            released.set(noted(work.release()));
            // Those that had begun have ended.
            seen.ended.set(seen.runs.get() - seen.ended.get());
            seen.second.note(work.schedule());
            again.set(noted(work.release()));
            seen.third.note(work.schedule());
            Ok(())
        })?;
        let (seen, released, again) = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert_eq!(released.get(), 1);
        assert_eq!(seen.ended.get(), 0);
        assert!(seen.second.is(Scheduled::Refused));
        assert_eq!(again.get(), 1);
        assert!(seen.third.is(Scheduled::Refused));
        Ok(())
    }

    #[test]
    fn released_delayed_work_forgets_its_timer() -> Result {
        let bound = bind_and_unbind(<(Seen, Count)>::default(), |(seen, released), scope| {
            let work = scope.delayed_work(move || {
                seen.runs.up();
            })?;
            seen.first.note(work.schedule(LATER));
            released.set(noted(work.release()));
            seen.ended.set(seen.runs.get());
            seen.second.note(work.schedule(0));
            seen.third.note(work.reschedule(0));
            pause();
            Ok(())
        })?;
        let (seen, released) = bound.data();
        assert!(seen.first.is(Scheduled::Queued));
        assert_eq!(released.get(), 1);
        assert!(seen.second.is(Scheduled::Refused));
        assert!(seen.third.is(Scheduled::Refused));
        assert_eq!(seen.runs.get(), seen.ended.get());
        Ok(())
    }

    #[test]
    fn work_is_not_released_where_it_could_not_be_waited_for() -> Result {
        let bound = bind_and_unbind(<(Seen, Count, Count)>::default(), |all, scope| {
            let (seen, by_itself, in_softirq) = all;
            let bell = scope.wait_queue()?;
            let (work, slot) = scope.declare_work()?;
            slot.define(scope, move || {
                by_itself.set(noted(work.release()));
                seen.runs.up();
                bell.wake_all();
            })?;
            let bottom = scope.bh_work(move || {
                in_softirq.set(noted(work.release()));
                work.schedule();
            })?;
            bottom.schedule();
            bell.wait_until(|| seen.runs.get() == 1)
        })?;
        let (seen, by_itself, in_softirq) = bound.data();
        assert_eq!(in_softirq.get(), EDEADLK.to_errno());
        assert_eq!(by_itself.get(), EDEADLK.to_errno());
        assert_eq!(seen.runs.get(), 1);
        Ok(())
    }

    #[test]
    fn a_work_item_is_released_by_another_and_dropped_with_the_scope() -> Result {
        let bound = bind_and_unbind(<(Seen, Count, Count)>::default(), |all, scope| {
            let (seen, released, dropped) = all;
            let bell = scope.wait_queue()?;
            let held = OnDrop(move || {
                dropped.up();
            });
            let bottom = scope.bh_work(holding(held))?;
            let other = scope.work(move || {
                released.set(noted(bottom.release()));
                seen.first.note(bottom.schedule());
                seen.runs.set(1 + dropped.get());
                bell.wake_all();
            })?;
            bottom.schedule();
            other.schedule();
            bell.wait_until(|| seen.runs.get() != 0)
        })?;
        let (seen, released, dropped) = bound.data();
        assert_eq!(released.get(), 1);
        assert!(seen.first.is(Scheduled::Refused));
        assert_eq!(seen.runs.get(), 1);
        assert_eq!(dropped.get(), 1);
        Ok(())
    }
}

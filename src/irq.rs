// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Interrupt handlers that cannot outlive what they borrow.
//!
//! C header: [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)
//!
//! A handler is *registered* by [`Scope::irq`], from then on it *runs* whenever the line asks for
//! it, on any CPU, and it is *gone* when the scope has ended: it is not running, it will not run
//! again, and nothing in the kernel holds its address. There is nothing to call at the end, and no
//! order to get wrong: what the handler schedules is stopped after it refuses, and the handler is
//! freed after the work that may be waiting for it.
//!
//! ```
//! # use devscope::Scope;
//! # use kernel::{io::Io, irq::{Flags, IrqReturn}, pci, prelude::*};
//! # const STATUS: usize = 0x24;
//! # const ACKNOWLEDGE: usize = 0x64;
//! # struct Data<'bound> {
//! #     bar: pci::Bar<'bound, 0x100>,
//! #     vectors: pci::IrqVectorRegistration<'bound>,
//! # }
//! # impl Data<'_> {
//! #     fn collect(&self) {}
//! # }
//! # fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
//! let bottom = scope.tasklet(move || data.collect())?;
//! scope.irq(data.vectors.index(0)?, Flags::SHARED, c"demo", move || {
//!     let status = data.bar.read32(STATUS);
//!     if status == 0 {
//!         return IrqReturn::None;
//!     }
//!     data.bar.write32(status, ACKNOWLEDGE);
//!     bottom.schedule();
//!     IrqReturn::Handled
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! # Several vectors
//!
//! What belongs to one vector stands in `Data`, and a loop registers the handlers. Each closure is one
//! of its own, and they run beside each other.
//!
//! ```
//! # use devscope::Scope;
//! # use kernel::{irq::{Flags, IrqReturn}, pci, prelude::*};
//! # struct Queue;
//! # impl Queue {
//! #     fn handle(&self) -> IrqReturn { IrqReturn::Handled }
//! # }
//! # struct Data<'bound> {
//! #     vectors: pci::IrqVectorRegistration<'bound>,
//! #     queues: [Queue; 4],
//! # }
//! # fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
//! for (index, queue) in data.queues.iter().enumerate() {
//!     let vector = data.vectors.index(index)?;
//!     scope.irq(vector, Flags::TRIGGER_NONE, c"demo", move || queue.handle())?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Threads
//!
//! [`Scope::threaded_irq`] adds a part that runs in a thread of its own and may sleep, and
//! [`Scope::oneshot_irq`] has nothing but that part. Threads are stopped after work items and before all
//! that may not sleep, the last registered first: a thread may wait for what a tasklet, a timer, a hard
//! handler, or the thread of a line that was registered before its own, brings; and work may wait for
//! what a thread brings. On a [`WaitQueue`](crate::wait::WaitQueue) it may wait for anything.
//!
//! # Lines that are disabled at first
//!
//! Where firmware, or the kernel before a kexec, may have left an interrupt pending, request the line with
//! [`Flags::NO_AUTOEN`]. The framework enables it when `attach()` has returned `Ok`, so that no handler
//! runs before all is set up; if `attach()` fails it is never enabled. What is pending is delivered then.
//!
//! # Disabling a line
//!
//! [`Irq`] disables and enables the line that its handler is on, for all who share it. What a driver has
//! left disabled on a shared line is enabled again before its handler is freed. `free_irq()` shuts down a
//! line that nobody shares, and the next `request_irq()` starts from the beginning (`irq_shutdown()` and
//! `irq_startup()` in `kernel/irq/chip.c`).
//!
//! The usual pattern, a handler that disables its line and work that enables it, needs a thought about
//! the end: once the scope ends, the work refuses, and the line stays disabled. That is harmless, unless
//! other work waits for a further interrupt of this line: such work sleeps on a wait queue of the scope,
//! or the handler leaves the line enabled when it is [`Refused`](crate::Scheduled::Refused).
//!
//! Not covered: a device that goes on raising a shared line after its handler has gone, and DMA.
//! Silence the device in `unbind()`.

mod line;

use self::line::{has, Line};
use crate::{
    body::Body,
    scope::{Member, Scope, Step},
};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{
    cpumask::Cpumask,
    irq::{
        Flags, Handler, IrqRequest, IrqReturn, Registration, ThreadedHandler, ThreadedIrqReturn,
        ThreadedRegistration,
    },
    prelude::*,
    types::NotThreadSafe,
};

/// Calls the driver's closure for [`kernel::irq`].
///
/// # Invariants
///
/// The closure is alive from the time the registration is made until it has been dropped.
struct Trampoline<F>(NonNull<Body<F>>);

// SAFETY: A trampoline only ever makes `&F`, which may be used on any CPU if `F: Sync`.
unsafe impl<F: Sync> Sync for Trampoline<F> {}

impl<F: Fn() -> IrqReturn + Sync> Handler for Trampoline<F> {
    #[inline]
    fn handle(&self) -> IrqReturn {
        // SAFETY: The registration exists, or it would not call us; so the body is there and is not
        // dropped meanwhile: type invariant.
        unsafe { (self.0.as_ref().get())() }
    }
}

/// The same for a handler with a thread.
///
/// # Invariants
///
/// Line and closures are alive from the time the registration is made until it has been dropped.
struct ThreadTrampoline<H, T> {
    line: NonNull<Line>,
    bodies: NonNull<Body<(H, T)>>,
}

// SAFETY: A trampoline only ever makes `&H` and `&T`, which may be used on any CPU if they are `Sync`,
// and `&Line`, which is.
unsafe impl<H: Sync, T: Sync> Sync for ThreadTrampoline<H, T> {}

impl<H, T> ThreadedHandler for ThreadTrampoline<H, T>
where
    H: Fn() -> ThreadedIrqReturn + Sync,
    T: Fn() -> IrqReturn + Sync,
{
    #[inline]
    fn handle(&self) -> ThreadedIrqReturn {
        // SAFETY: As in `Trampoline::handle`.
        unsafe { (self.bodies.as_ref().get().0)() }
    }

    #[inline]
    fn handle_threaded(&self) -> IrqReturn {
        // SAFETY: As in `Trampoline::handle`; `free_irq()` waits for the thread as well.
        unsafe { self.line.as_ref().in_thread(&self.bodies.as_ref().get().1) }
    }
}

/// When a registration of this kind is dropped.
trait Kind {
    const DRAIN: Step;
}

impl<T: Handler> Kind for Registration<'_, T> {
    const DRAIN: Step = Step::DrainIrqs;
}

impl<T: ThreadedHandler> Kind for ThreadedRegistration<'_, T> {
    const DRAIN: Step = Step::DrainThreads;
}

/// Where a member has its line: beside the registration, or in another member that was declared before.
trait HasLine {
    fn line(&self) -> &Line;
}

impl HasLine for Line {
    fn line(&self) -> &Line {
        self
    }
}

impl HasLine for &Line {
    fn line(&self) -> &Line {
        self
    }
}

/// An interrupt handler as a member of a scope.
///
/// The registration comes last: when it is made, callbacks find the rest in place.
#[pin_data]
struct Handled<L, R, B> {
    #[pin]
    line: L,
    body: Body<B>,
    /// Dropped by `Line::end`.
    #[pin]
    registration: R,
}

// SAFETY: `R::DRAIN` ends the line, unless an early release has begun to. Whoever releases is in process
// context, so a work item, an operation of a file, or a thread: the first two have been drained before, and
// all threads have by the end of `DrainThreads`. Ending drops the registration, which calls `free_irq()` for
// a line that is still allocated: the request borrowed what allocated it for the time of the scope. That
// returns only when every running handler has completed and the thread has ended, and the kernel then has no
// pointer to them (kernel-doc in `kernel/irq/manage.c`). The last call that `CONFIG_DEBUG_SHIRQ` makes comes
// from inside it.
unsafe impl<L: HasLine, R: Kind, B> Member for Handled<L, R, B> {
    unsafe fn step(this: NonNull<Self>, step: Step) {
        // SAFETY: `this` is a member of a scope; of its line only shared references are made.
        let line = unsafe { &(*this.as_ptr()).line }.line();
        match step {
            Step::GoLive => line.go_live(),
            Step::Kill if line.is_own_thread() => panic!(
                "devscope: a scope ends inside one of its own interrupt threads, for which it would wait for ever"
            ),
            _ if step == R::DRAIN => line.end(),
            _ => {}
        }
    }

    unsafe fn drop_body(&self) {
        // SAFETY: The caller makes the same promise to us.
        unsafe { self.body.drop_in_place() };
    }
}

/// A line whose handler comes later, if it does.
#[pin_data]
struct Declared {
    #[pin]
    line: Line,
}

// SAFETY: It has no callback. That of its line is the `Handled` member's.
unsafe impl Member for Declared {
    unsafe fn step(_: NonNull<Self>, _: Step) {}

    unsafe fn drop_body(&self) {}
}

/// A handle to a registered interrupt handler and the line that it is on.
///
/// It can be copied into any closure of the scope and into the device side of a file. It cannot
/// leave the scope: `'a` is the scope's. A handler that needs the handle of its own line is declared first:
/// [`Scope::declare_irq`].
///
/// Before a declared line has its handler, and once the line has been freed, by [`Irq::release`] or by the
/// end of the scope, everything but the number is refused with `ENODEV`, and nothing is done to the line,
/// which may be somebody else's.
///
/// # If leaked
///
/// Nothing happens. A handle owns nothing, and the scope frees the line whether or not handles to it
/// remain.
#[derive(Clone, Copy)]
pub struct Irq<'a>(&'a Line);

impl Irq<'_> {
    /// The line's number, as in `/proc/interrupts`.
    pub fn irq(&self) -> u32 {
        self.0.irq()
    }

    /// Disables the line and returns at once: `disable_irq_nosync()`. The handler may still be running.
    ///
    /// Any context, including the line's own handler. Disabling nests: the line is enabled when
    /// [`Irq::enable`] was called as often. An interrupt that comes meanwhile is delivered then.
    ///
    /// Errors: `ENODEV` if the line is not registered.
    #[doc(alias = "disable_irq_nosync")]
    pub fn disable_nosync(&self) -> Result {
        self.0.disable_nosync()
    }

    /// Disables the line, and waits until its handler and its thread have returned: `disable_irq()`.
    ///
    /// Process context; sleeps. Must not be called with a lock held that the handler takes.
    ///
    /// Errors, in which case the line is not disabled: `EDEADLK` in atomic context, and inside this line's
    /// own thread, where it would wait for itself; `ENODEV` if the line is not registered. The kernel knows of
    /// spin locks only if it counts them (`CONFIG_PREEMPT_COUNT`).
    #[doc(alias = "disable_irq")]
    pub fn disable(&self) -> Result {
        self.0.disable()
    }

    /// Takes back one [`Irq::disable`] or [`Irq::disable_nosync`] of this registration's: `enable_irq()`.
    ///
    /// Any context, if the interrupt chip is not behind a slow bus; process context if it is, as for
    /// `enable_irq()` itself.
    ///
    /// Errors: `EINVAL` if this registration has nothing to take back, where Linux warns of an unbalanced
    /// enable: that includes a line requested with [`Flags::NO_AUTOEN`] which the framework has not
    /// enabled yet; `ENODEV` if the line is not registered.
    #[doc(alias = "enable_irq")]
    pub fn enable(&self) -> Result {
        self.0.enable()
    }

    /// Waits until handlers and threads of this line that run now have returned: `synchronize_irq()`.
    ///
    /// Process context; sleeps. Must not be called with a lock held that the handler takes.
    ///
    /// Errors: `EDEADLK` in atomic context and inside this line's own thread, as for [`Irq::disable`];
    /// `ENODEV` if the line is not registered.
    #[doc(alias = "synchronize_irq")]
    pub fn synchronize(&self) -> Result {
        self.0.synchronize()
    }

    /// Tells user space where the line's interrupts should go, and sends them there:
    /// `irq_set_affinity_and_hint()`.
    ///
    /// `mask` is copied. (Linux keeps a pointer to the mask that it is given, and prints it as
    /// `/proc/irq/<irq>/affinity_hint`. A mask borrowed for `'a` would not do: a handle of a scope fits
    /// wherever one of a shorter life is expected, and so would a mask of that shorter life.)
    ///
    /// Process context; sleeps. Errors: `EINVAL` for a line requested with [`Flags::SHARED`], which has
    /// one hint for all who share it, and in a kernel for one processor; `ENOMEM`; `EDEADLK` in atomic
    /// context; `ENODEV` if the line is not registered.
    #[doc(alias = "irq_set_affinity_hint", alias = "irq_set_affinity_and_hint")]
    pub fn set_affinity_and_hint(&self, mask: &Cpumask) -> Result {
        self.0.affinity_hint(mask, true)
    }

    /// Tells user space where the line's interrupts should go, and leaves it to user space:
    /// `irq_update_affinity_hint()`.
    ///
    /// The rest is as for [`Irq::set_affinity_and_hint`].
    #[doc(alias = "irq_update_affinity_hint")]
    pub fn update_affinity_hint(&self, mask: &Cpumask) -> Result {
        self.0.affinity_hint(mask, false)
    }

    /// Frees the line before the scope ends: `free_irq()`.
    ///
    /// When this returns `Ok`, the handler and its thread neither run nor will run again, and the handle
    /// refuses. What the closures captured stays until the scope ends. Releasing a line that has been
    /// freed is fine, also by two at a time: whoever is told `Ok`, for him the line is free.
    ///
    /// On a shared line, silence the device first: what it raises is nobody's afterwards.
    ///
    /// Process context; sleeps until the handler, the thread, and callers of this handle's functions have
    /// returned. Must not be called with a lock held that one of them needs.
    ///
    /// Errors: `EDEADLK` in atomic context, which all hard handlers are, and inside this line's own thread;
    /// `ENODEV` if a declared line has no handler yet.
    #[doc(alias = "free_irq", alias = "devm_free_irq")]
    pub fn release(&self) -> Result {
        self.0.release()
    }
}

impl<'a> Scope<'a> {
    /// Registers an interrupt handler.
    ///
    /// From here on `handler` runs in hard interrupt context, on any CPU, and concurrently with
    /// everything else; it must not sleep. It does not run concurrently with itself. It may run
    /// before this function has returned, and on a shared line also when another device raised it.
    /// It is `Fn`, since several things look at what it changes: count with an `Atomic`.
    ///
    /// There is no need to free it: that happens when the scope ends. The handle is for those who want to
    /// disable the line meanwhile, or to free it early.
    ///
    /// The request comes from the bus: `pci::IrqVectorRegistration::index()` of vectors that are
    /// kept in `Data`, or `platform::Device::irq_by_index()`. With [`Flags::SHARED`] the line is
    /// shared with handlers of other drivers. With [`Flags::NO_AUTOEN`] it is enabled when `attach()`
    /// has succeeded.
    ///
    /// May sleep. Errors: `ENOMEM`; `EBUSY` if the line is taken and not shared by both sides;
    /// `EINVAL` for flags that contradict each other: [`Flags::SHARED`] and [`Flags::NO_AUTOEN`]
    /// (`request_threaded_irq()` in `kernel/irq/manage.c`), and [`Flags::ONESHOT`] without a thread,
    /// of which Linux warns.
    #[doc(alias = "request_irq", alias = "free_irq", alias = "devm_request_irq")]
    pub fn irq<F>(
        &mut self,
        request: impl Into<IrqRequest<'a>>,
        flags: Flags,
        name: &'static CStr,
        handler: F,
    ) -> Result<Irq<'a>>
    where
        F: Fn() -> IrqReturn + Send + Sync + 'a,
    {
        if has(flags, Flags::ONESHOT) {
            return Err(EINVAL);
        }
        self.handled(request.into(), flags, handler, |request, _, body| {
            // INVARIANT: The handler is there already. It is dropped in `DropBodies`, when the
            // registration has been.
            let trampoline = Ok::<_, Error>(Trampoline(body));
            // SAFETY: The registration is dropped by `Line::end`, which is always called: the driver has
            // no way to forget it.
            unsafe { Registration::new(request, flags, name, trampoline) }
        })
    }

    /// Registers an interrupt handler in two parts: `hard` runs in hard interrupt context, and where it
    /// answers [`ThreadedIrqReturn::WakeThread`], `thread` runs in a thread that the line has of its own.
    ///
    /// `hard` is as for [`Scope::irq`]. Before it wakes the thread it silences the device, or the line is
    /// requested with [`Flags::ONESHOT`]: then the line is masked until the thread has returned.
    ///
    /// `thread` may sleep. It runs concurrently with everything but itself; several interrupts may be one
    /// run. It may wait as [the module's documentation](self#threads) says.
    ///
    /// May sleep. Errors: as for [`Scope::irq`]; `EBUSY` also if the others on a shared line differ in
    /// [`Flags::ONESHOT`]. On kernels that handle all interrupts in threads (`threadirqs`), `hard` is in a
    /// thread as well.
    #[doc(alias = "request_threaded_irq", alias = "devm_request_threaded_irq")]
    pub fn threaded_irq<H, T>(
        &mut self,
        request: impl Into<IrqRequest<'a>>,
        flags: Flags,
        name: &'static CStr,
        hard: H,
        thread: T,
    ) -> Result<Irq<'a>>
    where
        H: Fn() -> ThreadedIrqReturn + Send + Sync + 'a,
        T: Fn() -> IrqReturn + Send + Sync + 'a,
    {
        let bodies = (hard, thread);
        self.handled(request.into(), flags, bodies, |request, line, bodies| {
            // INVARIANT: As in `irq`; the line is there as long as the member is.
            let trampoline = Ok::<_, Error>(ThreadTrampoline { line, bodies });
            // SAFETY: As in `irq`.
            unsafe { ThreadedRegistration::new(request, flags, name, trampoline) }
        })
    }

    /// Registers an interrupt handler that is all thread: the line is masked until `thread` has returned.
    ///
    /// `thread` is as for [`Scope::threaded_irq`]. `request_threaded_irq()` refuses a request without a hard
    /// part and without `IRQF_ONESHOT` (`EINVAL`), because a level-triggered line would interrupt again at
    /// once and for ever; so [`Flags::ONESHOT`] is added here. Linux takes it off again where the interrupt
    /// chip does not need it, as for MSI.
    ///
    /// May sleep. Errors: as for [`Scope::threaded_irq`].
    #[doc(alias = "request_threaded_irq", alias = "devm_request_threaded_irq")]
    pub fn oneshot_irq<T>(
        &mut self,
        request: impl Into<IrqRequest<'a>>,
        flags: Flags,
        name: &'static CStr,
        thread: T,
    ) -> Result<Irq<'a>>
    where
        T: Fn() -> IrqReturn + Send + Sync + 'a,
    {
        let hard = || ThreadedIrqReturn::WakeThread;
        self.threaded_irq(request, flags | Flags::ONESHOT, name, hard, thread)
    }

    /// Declares an interrupt line whose handler comes later, for handlers that need their own line's
    /// handle, or that of something which needs it in turn.
    ///
    /// The handle can be captured at once. Until [`IrqSlot::define`] it refuses. The usual pattern of a
    /// device that has no register to silence it, or a slow one:
    ///
    /// ```
    /// # use devscope::Scope;
    /// # use kernel::{irq::{Flags, IrqRequest, IrqReturn}, prelude::*};
    /// # struct Data;
    /// # impl Data { fn collect(&self) {} }
    /// # fn attach<'a>(data: &'a Data, request: IrqRequest<'a>, scope: &mut Scope<'a>) -> Result {
    /// let (line, slot) = scope.declare_irq(request, Flags::TRIGGER_HIGH, c"demo")?;
    /// let bottom = scope.work(move || {
    ///     data.collect();
    ///     let _ = line.enable();
    /// })?;
    /// slot.define(scope, move || {
    ///     let _ = line.disable_nosync();
    ///     bottom.schedule();
    ///     IrqReturn::Handled
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// May sleep. Errors: `ENOMEM`.
    pub fn declare_irq(
        &mut self,
        request: impl Into<IrqRequest<'a>>,
        flags: Flags,
        name: &'static CStr,
    ) -> Result<(Irq<'a>, IrqSlot<'a>)> {
        let request = request.into();
        let irq = request.irq();
        let declared = self.join(try_pin_init!(Declared {
            line <- Line::declared(irq, flags),
        }))?;
        let line = &declared.line;
        let slot = IrqSlot {
            line,
            request,
            flags,
            name,
            _invariant: PhantomData,
            _not_send: NotThreadSafe,
        };
        Ok((Irq(line), slot))
    }

    /// Makes the member that a registration is part of.
    fn handled<B, R, I>(
        &mut self,
        request: IrqRequest<'a>,
        flags: Flags,
        body: B,
        register: impl FnOnce(IrqRequest<'a>, NonNull<Line>, NonNull<Body<B>>) -> I,
    ) -> Result<Irq<'a>>
    where
        B: 'a,
        R: Kind + 'a,
        I: PinInit<R, Error>,
    {
        let irq = request.irq();
        let handled = self.join(try_pin_init!(&this in Handled::<Line, R, B> {
            line <- {
                // SAFETY: `this` points to the member that is being made; no reference is made.
                let place = unsafe { NonNull::new_unchecked(&raw mut (*this.as_ptr()).registration) };
                // SAFETY:
                // - There is no handle before the registration was made, nor without one.
                // - Only `Line::end` drops it: the node is freed without dropping the member.
                unsafe { Line::of(irq, flags, place) }
            },
            body: Body::new(body),
            registration <- {
                // SAFETY: As above.
                let (line, body) = unsafe {
                    (
                        NonNull::new_unchecked(&raw mut (*this.as_ptr()).line),
                        NonNull::new_unchecked(&raw mut (*this.as_ptr()).body),
                    )
                };
                register(request, line, body)
            },
        }))?;
        Ok(Irq(&handled.line))
    }
}

/// The place for the handler of a declared line. Giving the handler registers it, and consumes the slot.
///
/// # If leaked
///
/// The line is never requested, and its handle refuses.
#[must_use = "a line without a handler is not requested: call `define()`"]
pub struct IrqSlot<'a> {
    line: &'a Line,
    request: IrqRequest<'a>,
    flags: Flags,
    name: &'static CStr,
    _invariant: PhantomData<fn(&'a ()) -> &'a ()>,
    /// Stays in `attach()`: no other task has a scope to define it with.
    _not_send: NotThreadSafe,
}

impl<'a> IrqSlot<'a> {
    /// Registers `handler`; from here on the handle can be used, also by the handler itself.
    ///
    /// Promises and errors are those of [`Scope::irq`]. After an error the handle refuses for good.
    pub fn define<F>(self, scope: &mut Scope<'a>, handler: F) -> Result
    where
        F: Fn() -> IrqReturn + Send + Sync + 'a,
    {
        if has(self.flags, Flags::ONESHOT) {
            return Err(EINVAL);
        }
        let (line, flags, name) = (self.line, self.flags, self.name);
        let opening = move || {
            // SAFETY: The registration calls us.
            unsafe { line.ensure_open() };
            handler()
        };
        self.defined(scope, opening, |request, body| {
            // INVARIANT and SAFETY: As in `Scope::irq`.
            let trampoline = Ok::<_, Error>(Trampoline(body));
            // SAFETY: As in `Scope::irq`.
            unsafe { Registration::new(request, flags, name, trampoline) }
        })
    }

    /// Registers a handler in two parts; from here on the handle can be used, also by the handler itself.
    ///
    /// Promises and errors are those of [`Scope::threaded_irq`]. After an error the handle refuses for
    /// good.
    pub fn define_threaded<H, T>(self, scope: &mut Scope<'a>, hard: H, thread: T) -> Result
    where
        H: Fn() -> ThreadedIrqReturn + Send + Sync + 'a,
        T: Fn() -> IrqReturn + Send + Sync + 'a,
    {
        let (line, flags, name) = (self.line, self.flags, self.name);
        let opening = move || {
            // SAFETY: The registration calls us.
            unsafe { line.ensure_open() };
            hard()
        };
        self.defined(scope, (opening, thread), |request, bodies| {
            // INVARIANT: As in `Scope::threaded_irq`; the line is a member of the same scope.
            let line = NonNull::from(line);
            let trampoline = Ok::<_, Error>(ThreadTrampoline { line, bodies });
            // SAFETY: As in `Scope::irq`.
            unsafe { ThreadedRegistration::new(request, flags, name, trampoline) }
        })
    }

    /// Registers a handler that is all thread; from here on the handle can be used, also by the thread.
    ///
    /// Promises and errors are those of [`Scope::oneshot_irq`]. After an error the handle refuses for good.
    pub fn define_oneshot<T>(mut self, scope: &mut Scope<'a>, thread: T) -> Result
    where
        T: Fn() -> IrqReturn + Send + Sync + 'a,
    {
        self.flags = self.flags | Flags::ONESHOT;
        self.define_threaded(scope, || ThreadedIrqReturn::WakeThread, thread)
    }

    /// As `Scope::handled`, with the line in the member that was declared.
    fn defined<B, R, I>(
        self,
        scope: &mut Scope<'a>,
        body: B,
        register: impl FnOnce(IrqRequest<'a>, NonNull<Body<B>>) -> I,
    ) -> Result
    where
        B: 'a,
        R: Kind + 'a,
        I: PinInit<R, Error>,
    {
        let (line, request) = (self.line, self.request);
        scope.join(try_pin_init!(&this in Handled::<&'a Line, R, B> {
            line,
            body: Body::new(body),
            registration <- {
                // SAFETY: `this` points to the member that is being made; no reference is made.
                let (place, body) = unsafe {
                    (
                        NonNull::new_unchecked(&raw mut (*this.as_ptr()).registration),
                        NonNull::new_unchecked(&raw mut (*this.as_ptr()).body),
                    )
                };
                // SAFETY:
                // - The slot is consumed by this call.
                // - The door is opened by the handler, or below: both when there is a registration. Only
                //   `Line::end` drops it: the node is freed without dropping the member.
                unsafe { line.is_defined_at(place) };
                register(request, body)
            },
        }))?;
        // SAFETY: It has been registered.
        unsafe { line.ensure_open() };
        Ok(())
    }
}

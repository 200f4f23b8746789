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
//! })
//! # }
//! ```
//!
//! Not covered: a device that goes on raising a shared line after its handler has gone, and DMA.
//! Silence the device in `unbind()`.

use crate::{
    body::Body,
    scope::{Member, Scope, Step},
};
use core::ptr::{self, NonNull};
use kernel::{
    irq::{Flags, Handler, IrqRequest, IrqReturn, Registration},
    prelude::*,
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

/// An interrupt handler as a member of a scope.
#[pin_data]
struct Irq<'a, F>
where
    F: Fn() -> IrqReturn + Sync,
{
    handler: Body<F>,
    /// Dropped in `Step::DrainIrqs`.
    #[pin]
    registration: Registration<'a, Trampoline<F>>,
}

// SAFETY: `DrainIrqs` drops the registration, which calls `free_irq()` for a line that is still
// allocated: the request borrowed what allocated it for `'a`. That returns only when every
// running handler has completed, and the kernel then has no pointer to it (kernel-doc in
// `kernel/irq/manage.c`). The last call that `CONFIG_DEBUG_SHIRQ` makes comes from inside it.
unsafe impl<'a, F: Fn() -> IrqReturn + Sync + 'a> Member for Irq<'a, F> {
    unsafe fn step(this: NonNull<Self>, step: Step) {
        if step == Step::DrainIrqs {
            // SAFETY:
            // - It is dropped once: the step is taken once, and the node is freed without dropping
            //   the member.
            // - Nothing else has a reference to the registration but a handler that runs, and
            //   `free_irq()` waits for it before anything is dropped.
            unsafe { ptr::drop_in_place(&raw mut (*this.as_ptr()).registration) };
        }
    }

    unsafe fn drop_body(&self) {
        // SAFETY: The caller makes the same promise to us.
        unsafe { self.handler.drop_in_place() };
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
    /// There is no call to free it. It is freed when the scope ends.
    ///
    /// The request comes from the bus: `pci::IrqVectorRegistration::index()` of vectors that are
    /// kept in `Data`, or `platform::Device::irq_by_index()`. With [`Flags::SHARED`] the line is
    /// shared with handlers of other drivers.
    ///
    /// May sleep. Errors: `ENOMEM`; `EBUSY` if the line is taken and not shared by both sides;
    /// `EINVAL` for flags that contradict each other (`request_irq()` in `kernel/irq/manage.c`).
    #[doc(alias = "request_irq", alias = "free_irq", alias = "devm_request_irq")]
    pub fn irq<F>(
        &mut self,
        request: impl Into<IrqRequest<'a>>,
        flags: Flags,
        name: &'static CStr,
        handler: F,
    ) -> Result
    where
        F: Fn() -> IrqReturn + Send + Sync + 'a,
    {
        let request = request.into();
        self.join(try_pin_init!(&this in Irq {
            handler: Body::new(handler),
            registration <- {
                // SAFETY: `this` points to the member that is being made; no reference is made.
                let handler = unsafe { NonNull::new_unchecked(&raw mut (*this.as_ptr()).handler) };
                // INVARIANT: The handler is there already. It is dropped in `DropBodies`, after
                // `DrainIrqs` has dropped the registration.
                let trampoline = Ok::<_, Error>(Trampoline(handler));
                // SAFETY: The registration is dropped in `Step::DrainIrqs`, which is always taken:
                // the driver has no way to forget it.
                unsafe { Registration::new(request, flags, name, trampoline) }
            },
        }))?;
        Ok(())
    }
}

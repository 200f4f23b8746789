use super::Flags;
use crate::{
    bindings,
    device::{Bound, Device},
    error::to_result,
    prelude::*,
};
use core::{
    marker::{PhantomData, PhantomPinned},
    ptr::NonNull,
};

/// Whose interrupt it was.
#[repr(u32)]
pub enum IrqReturn {
    /// Not this device's.
    None = bindings::irqreturn::IRQ_NONE.0,
    /// This device's, and dealt with.
    Handled = bindings::irqreturn::IRQ_HANDLED.0,
}

/// What runs in interrupt context.
pub trait Handler: Sync {
    /// Handles an interrupt. It runs in hard interrupt context: it may not sleep.
    fn handle(&self) -> IrqReturn;
}

/// An interrupt that can be requested while its device is bound.
///
/// # Invariants
///
/// 1. `irq` is a number of the device's.
pub struct IrqRequest<'a> {
    irq: u32,
    _dev: PhantomData<&'a Device<Bound>>,
}

impl<'a> IrqRequest<'a> {
    /// # Safety
    ///
    /// `irq` is a number of this device's.
    pub(crate) unsafe fn new(_dev: &'a Device<Bound>, irq: u32) -> Self {
        // INVARIANT: 1, asked of the caller.
        IrqRequest {
            irq,
            _dev: PhantomData,
        }
    }

    /// The interrupt's number.
    pub fn irq(&self) -> u32 {
        self.irq
    }
}

/// What both kinds of registration say about themselves.
macro_rules! registration {
    ($(#[$doc:meta])* $name:ident, $handler:ident, $request:expr) => {
        $(#[$doc])*
        ///
        /// # Invariants
        ///
        /// 1. From the end of `new` until it is dropped, the interrupt is registered with the
        ///    address of this as its cookie.
        #[pin_data(PinnedDrop)]
        pub struct $name<'a, T: $handler> {
            request: IrqRequest<'a>,

            #[pin]
            handler: T,

            #[pin]
            _pin: PhantomPinned,
        }

        impl<'a, T: $handler> $name<'a, T> {
            /// Registers the handler.
            ///
            /// # Safety
            ///
            /// The registration is dropped, never forgotten, once initialised.
            #[track_caller]
            pub unsafe fn new(
                request: IrqRequest<'a>,
                flags: Flags,
                name: &'static CStr,
                handler: impl PinInit<T, Error> + 'a,
            ) -> impl PinInit<Self, Error> + 'a
            where
                T: 'a,
            {
                let irq = request.irq;
                try_pin_init!(&this in Self {
                    handler <- handler,
                    request,
                    // The last field, so all others are in place when the first interrupt comes.
                    _pin <- {
                        let register: fn(u32, Flags, &'static CStr, NonNull<Self>) -> Result =
                            $request;
                        let init = move |_: *mut PhantomPinned| register(irq, flags, name, this);
                        // SAFETY: `PhantomPinned` has no bytes to initialise.
                        unsafe { pinned_init::pin_init_from_closure::<PhantomPinned, Error>(init) }
                    },
                })
            }

            /// The handler.
            pub fn handler(&self) -> &T {
                &self.handler
            }

            /// Waits until handlers that run now have finished.
            ///
            /// Sleeps if there is a threaded one; never call it from the handler.
            pub fn synchronize(&self) {
                // SAFETY: Registered: invariant 1.
                unsafe { bindings::synchronize_irq(self.request.irq) };
            }
        }

        #[pinned_drop]
        impl<T: $handler> PinnedDrop for $name<'_, T> {
            fn drop(self: Pin<&mut Self>) {
                // SAFETY: Nothing is moved.
                let this: *mut Self = unsafe { self.get_unchecked_mut() };
                // SAFETY: Registered with this cookie: invariant 1. `free_irq()` returns only when
                // running handlers have completed (kernel-doc in kernel/irq/manage.c).
                unsafe { bindings::free_irq((*this).request.irq, this.cast()) };
            }
        }
    };
}

registration! {
    /// A registered interrupt handler. Dropping it waits for the handler, and frees the line.
    Registration, Handler, |irq, flags, name, this| {
        // SAFETY: The callback knows the type behind the cookie, which is pinned, initialised but
        // for a field without bytes, and freed before it dies.
        to_result(unsafe {
            bindings::request_irq(
                irq,
                Some(handle_irq_callback::<T>),
                flags.into_inner(),
                name.as_char_ptr(),
                this.as_ptr().cast(),
            )
        })
    }
}

/// # Safety
///
/// `ptr` is the cookie of a [`Registration`], and `free_irq` has not returned for it.
unsafe extern "C" fn handle_irq_callback<T: Handler>(
    _irq: c_int,
    ptr: *mut c_void,
) -> bindings::irqreturn_t {
    // SAFETY: Asked of the caller.
    let registration = unsafe { &*ptr.cast_const().cast::<Registration<'_, T>>() };
    bindings::irqreturn(T::handle(&registration.handler) as c_uint)
}

/// Whose interrupt it was, and whether there is more to do.
#[repr(u32)]
pub enum ThreadedIrqReturn {
    /// Not this device's.
    None = bindings::irqreturn::IRQ_NONE.0,
    /// This device's, and dealt with.
    Handled = bindings::irqreturn::IRQ_HANDLED.0,
    /// This device's; the thread does the rest.
    WakeThread = bindings::irqreturn::IRQ_WAKE_THREAD.0,
}

/// What runs in interrupt context, and what runs in a thread afterwards.
pub trait ThreadedHandler: Sync {
    /// Handles an interrupt. It runs in hard interrupt context: it may not sleep.
    fn handle(&self) -> ThreadedIrqReturn {
        ThreadedIrqReturn::WakeThread
    }

    /// Does the rest. It runs in a thread of its own: it may sleep.
    fn handle_threaded(&self) -> IrqReturn;
}

registration! {
    /// A registered interrupt handler with a thread. Dropping it waits for both.
    ThreadedRegistration, ThreadedHandler, |irq, flags, name, this| {
        // SAFETY: The callbacks know the type behind the cookie, which is pinned, initialised but
        // for a field without bytes, and freed before it dies.
        to_result(unsafe {
            bindings::request_threaded_irq(
                irq,
                Some(handle_threaded_irq_callback::<T>),
                Some(thread_fn_callback::<T>),
                flags.into_inner(),
                name.as_char_ptr(),
                this.as_ptr().cast(),
            )
        })
    }
}

/// # Safety
///
/// `ptr` is the cookie of a [`ThreadedRegistration`], and `free_irq` has not returned for it.
unsafe extern "C" fn handle_threaded_irq_callback<T: ThreadedHandler>(
    _irq: c_int,
    ptr: *mut c_void,
) -> bindings::irqreturn_t {
    // SAFETY: Asked of the caller.
    let registration = unsafe { &*ptr.cast_const().cast::<ThreadedRegistration<'_, T>>() };
    bindings::irqreturn(T::handle(&registration.handler) as c_uint)
}

/// # Safety
///
/// As for [`handle_threaded_irq_callback`].
unsafe extern "C" fn thread_fn_callback<T: ThreadedHandler>(
    _irq: c_int,
    ptr: *mut c_void,
) -> bindings::irqreturn_t {
    // SAFETY: Asked of the caller.
    let registration = unsafe { &*ptr.cast_const().cast::<ThreadedRegistration<'_, T>>() };
    bindings::irqreturn(T::handle_threaded(&registration.handler) as c_uint)
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! USB transfers whose completion cannot run on what is gone.
//!
//! C header: [`include/linux/usb.h`](srctree/include/linux/usb.h)
//!
//! An URB (USB request block) is one transfer at a time, to one endpoint of the driver's interface: it is
//! submitted, goes on by itself, and calls its body when it is over. It is *idle*, *in flight*, or
//! *completed*: somebody has its [`Completed`], which is the way to what has arrived. When the scope has
//! ended it is *gone*: submitting it refused from the beginning of the end (`usb_block_urb()`), what was
//! in flight was taken back (`usb_unlink_urb()`) and waited for (`usb_kill_urb()`). So an URB that submits
//! itself again, or work that it queues and that submits it, needs no thought.
//!
//! ```
//! # use devscope::{urb::Endpoint, Scope};
//! # use kernel::{device::Bound, prelude::*, sync::atomic::{Atomic, Relaxed}, usb::Interface};
//! # struct Data { keys: Atomic<i32> }
//! # fn attach<'a>(intf: &'a Interface<Bound>, data: &'a Data, scope: &mut Scope<'a>) -> Result {
//! let keys = scope.urb(intf, Endpoint::INTERRUPT_IN, 8, move |keys| {
//!     if keys.status().is_err() {
//!         return;                               // cancelled, or the device does not answer
//!     }
//!     data.keys.store(keys.data().len() as i32, Relaxed);
//!     let _ = keys.resubmit();                  // refused when the scope ends
//! })?;
//! keys.submit()
//! # }
//! ```
//!
//! # Whose the buffer is
//!
//! The device writes to the buffer, or reads it, while the URB is in flight. So the URB owns it: what is to
//! be sent is copied into it when the URB is submitted, which only succeeds if it is idle; and what has
//! arrived is borrowed from the [`Completed`], which has to be given up before the URB goes on. Whoever
//! holds that may do so after the body has returned: a body can hand it to a work item, by way of a lock
//! that both captured.
//!
//! # At the end
//!
//! The body is called once for each submission that succeeded, also at the end: then with a status that is
//! an error. Work is waited for later than the URBs are taken back, so work may wait for what a body
//! brings. When an interface is unbound, the USB core takes back all URBs but those of endpoint 0 even
//! before (`usb_unbind_interface()` in `drivers/usb/core/driver.c`).
//!
//! # What is not here
//!
//! Control, bulk and interrupt transfers only. There is nothing isochronous, and there are no streams, no
//! scatter-gather lists and no anchors: an URB's scope is its anchor. Nothing is said about what a request
//! does to the device, nor about when a device answers: control transfers have no timeout, so a work item
//! that waits for one should have one. Suspending ends the scope: see [`usb`](crate::usb).

use crate::{
    body::Body,
    deferred::{may_wait, Given},
    helpers,
    scope::{Member, Scope, Step},
};
use core::{
    cell::Cell,
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::{self, NonNull},
    slice,
};
use kernel::{
    bindings,
    device::Bound,
    error::to_result,
    prelude::*,
    sync::atomic::{Atomic, Full, Relaxed, Release},
    usb::Interface,
};

// All that calls the USB core is generic over the kind of transfer, or inlined. So it is compiled into
// drivers that use it, and a module without URBs does not need `usbcore`.

/// Which way data goes, and whether a request goes before it.
///
/// [`In`], [`Out`], [`ControlIn`] and [`ControlOut`]; there are no others.
pub trait Kind: sealed::Kind {}

mod sealed {
    pub trait Kind: Send + Sync + 'static {
        /// From the device.
        const IN: bool;
        /// To or from a control endpoint.
        const CONTROL: bool;
    }
}

macro_rules! kinds {
    ($($(#[$attribute:meta])* $name:ident: $in:literal, $control:literal;)*) => {$(
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl Kind for $name {}

        impl sealed::Kind for $name {
            const IN: bool = $in;
            const CONTROL: bool = $control;
        }
    )*};
}

kinds! {
    /// A bulk or interrupt transfer from the device.
    In: true, false;
    /// A bulk or interrupt transfer to the device.
    Out: false, false;
    /// A control transfer that reads.
    ControlIn: true, true;
    /// A control transfer that writes, or has no data.
    ControlOut: false, true;
}

/// Which endpoint an URB is for.
///
/// The first of its type and direction in the interface's current setting, as
/// `usb_find_common_endpoints()` takes it; or that with a certain number.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<K> {
    transfer: u32,
    number: Option<u8>,
    kind: PhantomData<K>,
}

impl<K> Endpoint<K> {
    const fn of(transfer: u32) -> Self {
        Self {
            transfer,
            number: None,
            kind: PhantomData,
        }
    }
}

impl Endpoint<In> {
    /// A bulk endpoint that the device sends from.
    #[doc(alias = "usb_find_bulk_in_endpoint", alias = "usb_rcvbulkpipe")]
    pub const BULK_IN: Self = Self::of(bindings::USB_ENDPOINT_XFER_BULK);

    /// An interrupt endpoint that the device sends from.
    #[doc(alias = "usb_find_int_in_endpoint", alias = "usb_rcvintpipe")]
    pub const INTERRUPT_IN: Self = Self::of(bindings::USB_ENDPOINT_XFER_INT);

    /// The one with this number, and not the first.
    pub const fn number(mut self, number: u8) -> Self {
        self.number = Some(number);
        self
    }
}

impl Endpoint<Out> {
    /// A bulk endpoint that the device receives at.
    #[doc(alias = "usb_find_bulk_out_endpoint", alias = "usb_sndbulkpipe")]
    pub const BULK_OUT: Self = Self::of(bindings::USB_ENDPOINT_XFER_BULK);

    /// An interrupt endpoint that the device receives at.
    #[doc(alias = "usb_find_int_out_endpoint", alias = "usb_sndintpipe")]
    pub const INTERRUPT_OUT: Self = Self::of(bindings::USB_ENDPOINT_XFER_INT);

    /// The one with this number, and not the first.
    pub const fn number(mut self, number: u8) -> Self {
        self.number = Some(number);
        self
    }
}

impl Endpoint<ControlIn> {
    /// Endpoint 0, which every device has, to read.
    #[doc(alias = "usb_rcvctrlpipe")]
    pub const CONTROL_IN: Self = Self::of(bindings::USB_ENDPOINT_XFER_CONTROL);
}

impl Endpoint<ControlOut> {
    /// Endpoint 0, which every device has, to write.
    #[doc(alias = "usb_sndctrlpipe")]
    pub const CONTROL_OUT: Self = Self::of(bindings::USB_ENDPOINT_XFER_CONTROL);
}

/// What a control transfer asks: its set-up packet, but for the direction and the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "usb_ctrlrequest")]
pub struct Request {
    /// `bRequestType`: standard, class or vendor, and whom it is for. The bit for the direction is set by
    /// the kind of the URB, whatever is here.
    pub request_type: u8,
    /// `bRequest`
    pub request: u8,
    /// `wValue`
    pub value: u16,
    /// `wIndex`
    pub index: u16,
}

impl Request {
    const SIZE: usize = 8;

    fn packet(&self, is_in: bool, length: u16) -> [u8; Self::SIZE] {
        let direction = match is_in {
            true => bindings::USB_DIR_IN as u8,
            false => 0,
        };
        let request_type = self.request_type & !(bindings::USB_DIR_IN as u8) | direction;
        let ([v0, v1], [i0, i1]) = (self.value.to_le_bytes(), self.index.to_le_bytes());
        let [l0, l1] = length.to_le_bytes();
        [request_type, self.request, v0, v1, i0, i1, l0, l1]
    }
}

/// Whose turn it is with an URB and its buffer: everybody's who claims it, or its owner's.
///
/// One word, so that whoever claims it, and the end, are in one order: when [`Turn::end`] has returned,
/// nobody becomes an owner any more.
///
/// # Invariants
///
/// 1. `BUSY` is in the word exactly while there is an owner, or the URB is in flight.
/// 2. From `OVER` there is no way back.
struct Turn(Atomic<i32>);

impl Turn {
    const BUSY: i32 = 1;
    const NO_BODY: i32 = 2;
    const OVER: i32 = 4;

    const fn without_a_body() -> Self {
        Self(Atomic::new(Self::NO_BODY))
    }

    /// Makes the caller the owner. The price of submitting: one compare-and-exchange.
    ///
    /// Errors: `EBUSY` if there is an owner, or the URB is in flight; `EPERM` without a body, and after the
    /// end.
    #[inline]
    fn claim(&self) -> Result {
        #[cfg(devscope_mutants)]
        if crate::mutants::active(crate::mutants::Mutant::SubmitWhileInFlight) {
            return Ok(());
        }
        // INVARIANT: 1.
        match self.0.cmpxchg(0, Self::BUSY, Full) {
            Ok(_) => Ok(()),
            Err(Self::BUSY) => Err(EBUSY),
            Err(_) => Err(EPERM),
        }
    }

    /// The owner gives up. Release pairs with `claim`: the next owner sees the buffer as it was left.
    #[inline]
    fn give_back(&self) {
        #[cfg(devscope_mutants)]
        if crate::mutants::active(crate::mutants::Mutant::SubmitWhileInFlight) {
            return;
        }
        // INVARIANT: 1.
        self.0.fetch_sub(Self::BUSY, Release);
    }

    /// There is a body from now on. Called at most once.
    fn define(&self) {
        self.0.fetch_sub(Self::NO_BODY, Release);
    }

    #[inline]
    fn is_over(&self) -> bool {
        self.0.load(Relaxed) & Self::OVER != 0
    }

    /// Nobody becomes an owner from now on. Returns whether it was this call that said so.
    fn end(&self) -> bool {
        loop {
            let old = self.0.load(Relaxed);
            if old & Self::OVER != 0 {
                return false;
            }
            // INVARIANT: 2.
            if self.0.cmpxchg(old, old | Self::OVER, Full).is_ok() {
                return true;
            }
        }
    }
}

/// An URB that is ours. The USB core counts who has it: a host controller lets go of it only after
/// `usb_kill_urb()` has returned (`__usb_hcd_giveback_urb()` in `drivers/usb/core/hcd.c`), and so it stands
/// in no allocation of ours.
struct Allocated<K>(NonNull<bindings::urb>, PhantomData<K>);

impl<K> Allocated<K> {
    fn new() -> Result<Self> {
        // SAFETY: Any number of isochronous packets may be asked for, and we may sleep.
        let urb = unsafe { bindings::usb_alloc_urb(0, bindings::GFP_KERNEL) };
        NonNull::new(urb)
            .map(|urb| Self(urb, PhantomData))
            .ok_or(ENOMEM)
    }
}

impl<K> Drop for Allocated<K> {
    fn drop(&mut self) {
        // SAFETY: The reference that `usb_alloc_urb()` gave us.
        unsafe { bindings::usb_free_urb(self.0.as_ptr()) };
    }
}

/// What an URB is made of. The buffers are allocations of their own, as DMA wants them (kernel-doc of
/// `usb_fill_control_urb()`); nothing here looks into them.
struct Memory<K> {
    _urb: Allocated<K>,
    _buffer: KVec<u8>,
    _setup: KVec<u8>,
}

/// The part of an URB that handles share.
///
/// # Invariants
///
/// 1. `urb`, the `capacity` bytes at `buffer` and, of control transfers, those of a set-up packet at `setup`
///    are there until `drop_rest`.
/// 2. `urb` is for an endpoint of the device of an interface that is bound until then; and when `turn` says
///    that there is a body, its context is this structure, and its completion handler fits it and `body`.
/// 3. The fields of `urb` that C leaves to drivers, and both buffers, are used by the owner alone (see
///    [`Turn`]), and by the USB core while the URB is in flight. Exceptions: `dev`, which does not change,
///    and `ep`, which belongs to the USB core.
struct Core<K> {
    urb: NonNull<bindings::urb>,
    buffer: NonNull<u8>,
    capacity: usize,
    setup: NonNull<u8>,
    turn: Turn,
    body: Cell<*const ()>,
    memory: Body<Memory<K>>,
}

// SAFETY: `urb` and the buffers are used by one owner at a time (invariant 3), `body` is set before anybody
// reads it, `turn` is atomic, and `memory` is only dropped.
unsafe impl<K> Sync for Core<K> {}

impl<K: Kind> Core<K> {
    /// Without a body yet.
    fn new(intf: &Interface<Bound>, endpoint: Endpoint<K>, length: usize) -> Result<Self> {
        // C does not take more (`usb_submit_urb()` in `drivers/usb/core/urb.c`).
        if i32::try_from(length).is_err() {
            return Err(EMSGSIZE);
        }
        let setup = match K::CONTROL {
            true => Request::SIZE,
            false => 0,
        };
        let mut buffer = KVec::from_elem(0, length, GFP_KERNEL)?;
        let mut setup = KVec::from_elem(0, setup, GFP_KERNEL)?;
        let urb = Allocated::new()?;
        // SAFETY:
        // - The URB is ours, and was initialised by `usb_alloc_urb()`.
        // - `Interface` is a transparent wrapper of a `usb_interface`, and this one is bound: its device
        //   and its current setting are there, and do not change, since both take another driver, or
        //   none (`usb_set_interface()` is for the driver that is bound; a reset unbinds ours).
        to_result(unsafe {
            helpers::devscope_urb_set_up(
                urb.0.as_ptr(),
                ptr::from_ref(intf).cast_mut().cast(),
                endpoint.transfer as c_int,
                K::IN,
                endpoint.number.map_or(-1, c_int::from),
            )
        })?;
        let (at, setup_at) = (buffer.as_mut_ptr(), setup.as_mut_ptr());
        // INVARIANT: 1: they are in `memory`. 2: the device of `intf`, which is bound for as long as the
        // scope's lifetime, see `Scope::declare_urb`; and no body.
        Ok(Self {
            urb: urb.0,
            // SAFETY: Pointers of vectors are not null.
            buffer: unsafe { NonNull::new_unchecked(at) },
            capacity: length,
            // SAFETY: As above.
            setup: unsafe { NonNull::new_unchecked(setup_at) },
            turn: Turn::without_a_body(),
            body: Cell::new(ptr::null()),
            memory: Body::new(Memory {
                _urb: urb,
                _buffer: buffer,
                _setup: setup,
            }),
        })
    }

    /// The completion handler for a body of type `F`.
    ///
    /// # Safety
    ///
    /// `urb` is completed, its context is a live `Core<K>` whose body is a live `Body<F>`, and both stay so
    /// for `'a`.
    unsafe extern "C" fn complete<'a, F>(urb: *mut bindings::urb)
    where
        F: Fn(Completed<'a, K>) + 'a,
    {
        // SAFETY: As the caller promises. The USB core passes control of the URB to this handler
        // (kernel-doc of `usb_submit_urb()`), so there is an owner, and it is what is made here.
        unsafe {
            let core = (*urb).context.cast_const().cast::<Self>();
            let body = (*core).body.get().cast::<Body<F>>();
            (*body).get()(Completed(&*core));
        }
    }

    #[inline]
    fn claim(&self) -> Result<Completed<'_, K>> {
        self.turn.claim()?;
        Ok(Completed(self))
    }

    /// Takes a step of teardown.
    fn step(&self, step: Step) {
        let urb = self.urb.as_ptr();
        match step {
            Step::Kill => {
                #[cfg(devscope_mutants)]
                if crate::mutants::active(crate::mutants::Mutant::UrbsAreNotBlocked) {
                    return;
                }
                self.turn.end();
                // Then nobody submits who is the owner already: completions that resubmit, and who was
                // just about to.
                // SAFETY: The URB is there: invariant 1.
                unsafe { bindings::usb_block_urb(urb) };
                #[cfg(devscope_mutants)]
                if crate::mutants::active(crate::mutants::Mutant::UrbsAreNotTakenBack) {
                    return;
                }
                // Nobody waits yet. But a work item may be waiting for this URB to complete, and the
                // device may never answer.
                // SAFETY: The URB is there, and so is its device: invariants 1 and 2. We hold no lock that
                // a body could take, as the kernel-doc of `usb_unlink_urb()` asks.
                unsafe { bindings::usb_unlink_urb(urb) };
            }
            Step::DrainUrbs | Step::Redrain => {
                // SAFETY: The URB is there, and so is its device. We are in process context and may sleep,
                // and the bus's callback for unbinding, or probing, has not returned, as the kernel-doc of
                // `usb_kill_urb()` asks.
                unsafe { kill(urb) };
            }
            _ => {}
        }
    }
}

#[cfg(devscope_mutants)]
use crate::mutants::usb_kill_urb as kill;
#[cfg(not(devscope_mutants))]
use bindings::usb_kill_urb as kill;

// SAFETY: When `usb_kill_urb()` has returned, no completion handler of this URB runs, and the URB is idle
// (its kernel-doc in `drivers/usb/core/urb.c`). It stays so when it has returned from `Redrain`:
// - Nobody becomes an owner after `Kill`: see `Turn::end`.
// - An owner of before `Kill`, and a completion, are refused by C: `usb_block_urb()` is for ever.
// - What slips through is somebody who submits while `DrainUrbs` looks whether the URB is in flight: C puts
//   no barrier between counting a submission and looking whether it is refused (`usb_hcd_submit_urb()` in
//   `drivers/usb/core/hcd.c`). Whoever submits is a callback of this scope, or has been called by one; by
//   `Redrain` all those that started before `Kill` have returned, so the second look finds what they did.
//
// What refers to this structure is the context of `urb`, which C gives to the completion handler only.
unsafe impl<K: Kind> Member for Core<K> {
    unsafe fn step(this: NonNull<Self>, step: Step) {
        // SAFETY: `this` is a member of a scope; only shared references to it are made.
        unsafe { this.as_ref() }.step(step);
    }

    unsafe fn drop_body(&self) {}

    unsafe fn drop_rest(&self) {
        // SAFETY: Called once. Handles are in bodies, which have all been dropped, and callbacks, which
        // run no more; `claim` and the like look at `turn` only, after `Kill`.
        unsafe { self.memory.drop_in_place() };
    }
}

/// A handle with which an URB of the scope is submitted and cancelled.
///
/// It can be copied into any closure of the scope and into the device side of a file. It cannot leave the
/// scope: `'a` is the scope's.
///
/// # Submitting
///
/// What a transfer needs depends on its kind: nothing, data, or a request. In any context, including hard
/// interrupts. It does not sleep; memory that the host controller needs is taken with `GFP_ATOMIC`. If it
/// succeeds, the body is called once. Errors, in which case it is not called:
///
/// - `EBUSY` if the URB is in flight, or somebody has its [`Completed`].
/// - `EPERM` while it has no body yet, after [`Urb::release`], and from the moment at which the scope begins
///   to end. (It is what C says of an URB that is blocked.)
/// - Those of `usb_submit_urb()`: `ENODEV` when the device has been pulled out, `ENOENT` when the endpoint is
///   switched off because the interface is being unbound, `ENOMEM`, and more in
///   `Documentation/driver-api/usb/error-codes.rst`.
///
/// # If leaked
///
/// Nothing happens. A handle owns nothing, and the scope takes the URB back whether or not handles to it
/// remain.
#[derive(Clone, Copy)]
pub struct Urb<'a, K>(&'a Core<K>);

impl<K: Kind> Urb<'_, K> {
    /// Takes the URB back, if it is in flight: `usb_unlink_urb()`. Says whether it was this call that did.
    ///
    /// Does not wait: the body is called soon, with status `ECONNRESET`; it may be called before this
    /// returns, so the caller must hold no lock that the body takes. The URB can be submitted again when it
    /// has completed. Any context. Does not sleep.
    #[doc(alias = "usb_unlink_urb")]
    pub fn cancel(&self) -> bool {
        if self.0.turn.is_over() {
            return false;
        }
        // SAFETY: The URB is there, and so is its device: invariants 1 and 2 of `Core`. One that is not in
        // flight, or was never submitted, is left alone.
        let status = unsafe { bindings::usb_unlink_urb(self.0.urb.as_ptr()) };
        to_result(status) == Err(EINPROGRESS)
    }

    /// Ends the URB before its scope ends: `usb_poison_urb()`.
    ///
    /// When this has returned `Ok`, the URB is not in flight, the body does not run and will not run again,
    /// and all handles refuse, and so does a [`Completed`] that somebody still has. What was in flight has
    /// completed with `ENOENT`. The body and what it captured are dropped when the scope ends. Releasing
    /// again is harmless, and promises the same.
    ///
    /// Process context; sleeps. The caller must not hold a lock that keeps the body from ending.
    ///
    /// Errors, in which case nothing has happened: `EDEADLK` in atomic context, which includes every URB's
    /// own body.
    #[doc(alias = "usb_poison_urb", alias = "usb_kill_urb")]
    pub fn release(&self) -> Result {
        may_wait()?;
        let urb = self.0.urb.as_ptr();
        // SAFETY: The URB is there, and so is its device: invariants 1 and 2 of `Core`. We may sleep. It is
        // blocked once here, however often it is released, so that C's count does not overflow; the two
        // together are `usb_poison_urb()`.
        unsafe {
            if self.0.turn.end() {
                bindings::usb_block_urb(urb);
            }
            bindings::usb_kill_urb(urb);
        }
        Ok(())
    }
}

/// A transfer that is over, and all there is to see of it. Whoever has this is the URB's only owner.
///
/// `resubmit()` submits the URB again, from wherever this is. Its errors are those of [`Urb`] but for `EBUSY`;
/// the URB is idle then, and this is gone as well.
///
/// Dropped, it makes the URB idle: from then on handles can submit it. A body that tells somebody else to
/// submit the URB does so after it has dropped this, or that one may be told `EBUSY`.
///
/// # If leaked
///
/// The URB stays as it is: handles say `EBUSY`. The scope ends as ever.
pub struct Completed<'a, K: Kind>(&'a Core<K>);

impl<K: Kind> Drop for Completed<'_, K> {
    #[inline]
    fn drop(&mut self) {
        self.0.turn.give_back();
    }
}

impl<K: Kind> Completed<'_, K> {
    /// How it went. Errors, of which `Documentation/driver-api/usb/error-codes.rst` tells more: `ECONNRESET`
    /// if it was cancelled or the scope ends, `ENOENT` if it was released, `ESHUTDOWN` if the device or its
    /// interface is going, `EPIPE` if the device refused; and others for what can go wrong on a cable.
    pub fn status(&self) -> Result {
        // SAFETY: We are the owner: invariant 3 of `Core`.
        to_result(unsafe { (*self.0.urb.as_ptr()).status })
    }

    /// How many bytes were transferred, which may be some even if it failed.
    #[doc(alias = "actual_length")]
    pub fn length(&self) -> usize {
        // SAFETY: We are the owner: invariant 3 of `Core`.
        let length = unsafe { (*self.0.urb.as_ptr()).actual_length };
        self.0.capacity.min(length as usize)
    }

    fn received(&self) -> &[u8] {
        // SAFETY: The buffer is as long (invariant 1), was zeroed at first, and nobody writes to it while
        // there is an owner but that (invariant 3), which is borrowed.
        unsafe { slice::from_raw_parts(self.0.buffer.as_ptr(), self.length()) }
    }

    /// Copies what is to be sent, and says how much it is.
    ///
    /// Errors: `EMSGSIZE` if that is more than the buffer holds.
    #[inline]
    fn fill(&mut self, data: &[u8]) -> Result {
        self.set_length(data.len())?;
        // SAFETY: It fits, and we are the owner, whom nobody has borrowed from. `data` is not the buffer:
        // what is borrowed of that is borrowed from an owner.
        unsafe {
            ptr::copy_nonoverlapping(data.as_ptr(), self.0.buffer.as_ptr(), data.len());
        }
        Ok(())
    }

    #[inline]
    fn set_length(&mut self, length: usize) -> Result {
        if length > self.0.capacity {
            return Err(EMSGSIZE);
        }
        // SAFETY: We are the owner: invariant 3 of `Core`. It is at most `i32::MAX`.
        unsafe { (*self.0.urb.as_ptr()).transfer_buffer_length = length as u32 };
        Ok(())
    }

    /// Writes the set-up packet of a control transfer. Errors: `EMSGSIZE`.
    #[inline]
    fn ask(&mut self, request: Request) -> Result {
        let urb = self.0.urb.as_ptr();
        // SAFETY: We are the owner: invariant 3 of `Core`.
        let length = unsafe { (*urb).transfer_buffer_length };
        let length = u16::try_from(length).map_err(|_| EMSGSIZE)?;
        let packet = request.packet(K::IN, length);
        // A transfer without data goes out, whatever the request says (`usb_submit_urb()`).
        let direction = match K::IN && length > 0 {
            true => bindings::USB_DIR_IN,
            false => 0,
        };
        // SAFETY: As above. A control transfer has memory for the packet: invariant 1.
        unsafe {
            (*urb).pipe = (*urb).pipe & !bindings::USB_DIR_IN | direction;
            self.0
                .setup
                .as_ptr()
                .copy_from_nonoverlapping(packet.as_ptr(), packet.len());
        }
        Ok(())
    }

    /// Submits the URB as it stands. Whether or not that succeeds, the caller is the owner no more.
    #[inline]
    fn go(self) -> Result {
        if self.0.turn.is_over() {
            return Err(EPERM);
        }
        let owner = ManuallyDrop::new(self);
        // SAFETY: The URB has its endpoint, its body and its buffers (invariants 1 and 2 of `Core`), and is
        // not in flight, since there was an owner.
        let status =
            unsafe { bindings::usb_submit_urb(owner.0.urb.as_ptr(), bindings::GFP_ATOMIC) };
        if status != 0 {
            // INVARIANT: 1 of `Turn`. The host controller has not taken it.
            drop(ManuallyDrop::into_inner(owner));
        }
        to_result(status)
    }
}

// The kinds in full, and not by a macro: rustc quotes these signatures in errors.

impl Urb<'_, In> {
    /// Asks the device for as much as the buffer holds: `usb_submit_urb()`. See [`Urb`] for errors.
    #[inline]
    #[doc(alias = "usb_submit_urb")]
    pub fn submit(&self) -> Result {
        self.0.claim()?.go()
    }
}

impl Completed<'_, In> {
    /// What has arrived.
    pub fn data(&self) -> &[u8] {
        self.received()
    }

    /// Asks for more: [`Urb::submit`].
    #[inline]
    #[doc(alias = "usb_submit_urb")]
    pub fn resubmit(self) -> Result {
        self.go()
    }
}

impl Urb<'_, Out> {
    /// Sends `data`, which is copied: `usb_submit_urb()`. See [`Urb`] for errors; `EMSGSIZE` if it is longer
    /// than the buffer.
    #[inline]
    #[doc(alias = "usb_submit_urb")]
    pub fn submit(&self, data: &[u8]) -> Result {
        let mut urb = self.0.claim()?;
        urb.fill(data)?;
        urb.go()
    }
}

impl Completed<'_, Out> {
    /// Sends more: [`Urb::submit`].
    #[inline]
    #[doc(alias = "usb_submit_urb")]
    pub fn resubmit(mut self, data: &[u8]) -> Result {
        self.fill(data)?;
        self.go()
    }
}

impl Urb<'_, ControlIn> {
    /// Makes a request that is answered with at most `length` bytes: `usb_submit_urb()`. See [`Urb`] for
    /// errors; `EMSGSIZE` if that is more than the buffer holds, or 65535.
    #[inline]
    #[doc(alias = "usb_submit_urb")]
    pub fn submit(&self, request: Request, length: usize) -> Result {
        self.0.claim()?.request(request, length)
    }
}

impl Completed<'_, ControlIn> {
    /// What the device answered.
    pub fn data(&self) -> &[u8] {
        self.received()
    }

    /// Makes another request: [`Urb::submit`].
    #[inline]
    #[doc(alias = "usb_submit_urb")]
    pub fn resubmit(self, request: Request, length: usize) -> Result {
        self.request(request, length)
    }

    #[inline]
    fn request(mut self, request: Request, length: usize) -> Result {
        self.set_length(length)?;
        self.ask(request)?;
        self.go()
    }
}

impl Urb<'_, ControlOut> {
    /// Makes a request with `data`, which is copied: `usb_submit_urb()`. See [`Urb`] for errors; `EMSGSIZE`
    /// if that is longer than the buffer, or 65535 bytes.
    #[inline]
    #[doc(alias = "usb_submit_urb")]
    pub fn submit(&self, request: Request, data: &[u8]) -> Result {
        self.0.claim()?.request(request, data)
    }
}

impl Completed<'_, ControlOut> {
    /// Makes another request: [`Urb::submit`].
    #[inline]
    #[doc(alias = "usb_submit_urb")]
    pub fn resubmit(self, request: Request, data: &[u8]) -> Result {
        self.request(request, data)
    }

    #[inline]
    fn request(mut self, request: Request, data: &[u8]) -> Result {
        self.fill(data)?;
        self.ask(request)?;
        self.go()
    }
}

/// The place for the body of a declared URB. Giving the body consumes it.
///
/// # If leaked
///
/// The URB stays without a body, and its handle refuses.
#[must_use = "an URB without a body refuses to be submitted: call `define()`"]
pub struct UrbSlot<'a, K>(NonNull<Core<K>>, PhantomData<fn(&'a ()) -> &'a ()>);

impl<'a, K: Kind> UrbSlot<'a, K> {
    /// Gives the URB its body; from here on its handle submits it, unless it was released.
    ///
    /// The body's promises are those of [`Scope::urb`].
    ///
    /// May sleep. Errors: `ENOMEM`; the URB then stays without a body.
    pub fn define<F>(self, scope: &mut Scope<'a>, body: F) -> Result
    where
        F: Fn(Completed<'a, K>) + Send + Sync + 'a,
    {
        let given = scope.join(Ok::<_, Error>(Given::new(body)))?;
        let core = self.0.as_ptr();
        // SAFETY:
        // - The member lives until the scope is freed, and the scope still lives: it has just been used.
        // - Without a body nobody is the URB's owner, and a slot is consumed by this call: so we may
        //   write to `body` and to the URB.
        // - The lengths and pointers are those of buffers that are there: invariant 1 of `Core`.
        // INVARIANT: 2 of `Core`. `complete` is for this `F`, whose body is dropped after `Redrain`, from
        // when on the URB does not complete.
        unsafe {
            (*core).body.set(given.body());
            let urb = (*core).urb.as_ptr();
            (*urb).context = core.cast();
            (*urb).complete = Some(Core::<K>::complete::<F>);
            (*urb).transfer_buffer = (*core).buffer.as_ptr().cast();
            (*urb).transfer_buffer_length = (*core).capacity as u32;
            if K::CONTROL {
                (*urb).setup_packet = (*core).setup.as_ptr();
            }
            (*core).turn.define();
        }
        Ok(())
    }
}

impl<'a> Scope<'a> {
    /// Registers an URB for an endpoint of `intf`, with a buffer of `length` bytes.
    ///
    /// `body` runs in softirq or hard interrupt context, as the host controller's driver has it, or wherever
    /// [`Urb::cancel`] was called from; it must not sleep. It is called once for each time that the URB was
    /// submitted, concurrently with everything, and with itself if the transfer that it has resubmitted is
    /// over before it returns.
    ///
    /// May sleep. Errors: `ENXIO` if the interface has no such endpoint; `ENOMEM`; `EMSGSIZE` for more than
    /// 2 GiB.
    #[doc(
        alias = "usb_alloc_urb",
        alias = "usb_fill_bulk_urb",
        alias = "usb_fill_int_urb",
        alias = "usb_fill_control_urb"
    )]
    pub fn urb<K, F>(
        &mut self,
        intf: &'a Interface<Bound>,
        endpoint: Endpoint<K>,
        length: usize,
        body: F,
    ) -> Result<Urb<'a, K>>
    where
        K: Kind,
        F: Fn(Completed<'a, K>) + Send + Sync + 'a,
    {
        let (urb, slot) = self.declare_urb(intf, endpoint, length)?;
        slot.define(self, body)?;
        Ok(urb)
    }

    /// Declares an URB whose body comes later, for bodies that need each other's handles. (To submit itself
    /// again, a body needs none: see [`Completed`].)
    ///
    /// The handle can be captured at once. Until [`UrbSlot::define`] it refuses.
    ///
    /// May sleep. Errors are those of [`Scope::urb`].
    pub fn declare_urb<K: Kind>(
        &mut self,
        intf: &'a Interface<Bound>,
        endpoint: Endpoint<K>,
        length: usize,
    ) -> Result<(Urb<'a, K>, UrbSlot<'a, K>)> {
        let core = self.join_raw(Core::new(intf, endpoint, length))?;
        // SAFETY: The member lives as long as the scope, as in `Scope::join`.
        let shared: &'a Core<K> = unsafe { &*core.as_ptr() };
        Ok((Urb(shared), UrbSlot(core, PhantomData)))
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_urb)]
mod tests {
    use super::*;

    #[test]
    fn an_urb_has_one_owner_at_a_time() {
        let turn = Turn::without_a_body();
        assert!(turn.claim() == Err(EPERM));
        turn.define();
        assert!(turn.claim().is_ok());
        assert!(turn.claim() == Err(EBUSY));
        turn.give_back();
        assert!(turn.claim().is_ok());
        turn.give_back();
    }

    #[test]
    fn an_urb_that_has_ended_has_no_owner_any_more() {
        let turn = Turn::without_a_body();
        turn.define();
        assert!(turn.claim().is_ok());
        assert!(turn.end());
        assert!(!turn.end());
        assert!(turn.is_over());
        assert!(turn.claim() == Err(EPERM));
        turn.give_back();
        assert!(turn.claim() == Err(EPERM));
    }

    #[test]
    fn an_urb_that_ends_before_it_has_a_body_stays_ended() {
        let turn = Turn::without_a_body();
        assert!(turn.end());
        turn.define();
        assert!(turn.is_over());
        assert!(turn.claim() == Err(EPERM));
    }

    #[test]
    fn a_request_becomes_a_set_up_packet() {
        let request = Request {
            request_type: 0x21,
            request: 9,
            value: 0x0102,
            index: 0x0304,
        };
        assert!(request.packet(true, 0x0506) == [0xa1, 9, 2, 1, 4, 3, 6, 5]);
        assert!(request.packet(false, 0) == [0x21, 9, 2, 1, 4, 3, 0, 0]);
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the driver core keeps for one bound device: the driver's data, and the scope around it.
//!
//! The one self-referential place of this crate. The members of the scope borrow the data; both
//! stand in one allocation, which is the device's private data (`dev_set_drvdata()`).
//!
//! ```text
//!   probe callback                      remove callback        post_unbind_rust
//!       |                                    |                       |
//!   Binding::new      Binding::attach    Binding::detach         Binding drops
//!   builds the data   fills the scope    ends the scope          drops the data
//!                     (ends it, if attach() fails)
//! ```
//!
//! Public only because `driver::DriverLayout` names it. Drivers have no way to make or hold one.

#[cfg(devscope_mutants)]
use crate::mutants::{self, Mutant};
use crate::scope::{Members, Scope};
use core::marker::PhantomPinned;
use kernel::prelude::*;

/// The data of one bound device, and what borrows it.
///
/// # Invariants
///
/// From [`Binding::attach`] until the scope has ended, only shared references to `data` are made.
#[pin_data(PinnedDrop)]
pub struct Binding<T> {
    members: Members,
    /// Dropped after `drop()` has run, which sees to it that the scope has ended.
    #[pin]
    data: T,
    #[pin]
    _pin: PhantomPinned,
}

impl<T> Binding<T> {
    /// A binding with the data that `data` builds, and an empty scope.
    pub(crate) fn new(data: impl PinInit<T, Error>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            members: Members::new(),
            data <- data,
            _pin: PhantomPinned,
        })
    }

    pub(crate) fn data(self: Pin<&Self>) -> Pin<&T> {
        // SAFETY: `data` is structurally pinned.
        unsafe { self.map_unchecked(|binding| &binding.data) }
    }

    /// Runs the driver's `attach()`. If that fails, what it has registered is torn down before this
    /// function returns its error.
    pub(crate) fn attach<'a>(
        self: Pin<&'a Self>,
        attach: impl FnOnce(Pin<&'a T>, &mut Scope<'a>) -> Result,
    ) -> Result {
        // SAFETY: `'a` is a borrow of this binding, whose drop ends the scope if nothing else did.
        // What the closures borrow for `'a` lasts until then: the data by the type's invariant, the device
        // because the driver core keeps it bound until it has dropped its private data.
        unsafe {
            self.get_ref()
                .members
                .enter(|scope| attach(self.data(), scope))
        }
        .inspect_err(|_| self.detach())
    }

    /// Ends the scope. See [`Members::end`] for the promise; process context, sleeps.
    pub(crate) fn detach(&self) {
        #[cfg(devscope_mutants)]
        if mutants::active(Mutant::DataBeforeScope) {
            // SAFETY: None. This is the mistake, and the model of the kernel is to report it.
            unsafe { core::ptr::drop_in_place((&raw const self.data).cast_mut()) };
        }
        self.members.end();
    }
}

#[pinned_drop]
impl<T> PinnedDrop for Binding<T> {
    fn drop(self: Pin<&mut Self>) {
        // A bus that dropped its private data without calling `remove` would find the scope here.
        self.detach();
    }
}

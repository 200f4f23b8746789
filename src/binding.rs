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
use crate::scope::{Members, Scope, Step};
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
        // because the driver core keeps it bound until the callback that drops the binding has returned.
        unsafe {
            self.get_ref()
                .members
                .enter(|scope| attach(self.data(), scope))
        }
        .inspect_err(|_| self.detach())
    }

    /// Has all members take a step. For a scope that ends step by step with the one around it.
    ///
    /// # Safety
    ///
    /// Steps come in the order of [`Step::ORDER`], each once, and `attach` has returned.
    pub(crate) unsafe fn take(&self, step: Step) {
        // SAFETY: The caller makes the same promise to us.
        unsafe { self.members.take(step) };
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

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_binding)]
mod tests {
    use super::*;
    use crate::testing::{holding, Bound, Count, OnDrop};
    use kernel::sync::Arc;

    /// A body that notes when it is dropped.
    fn body<'a>(order: &'a Count, digit: i32) -> impl Fn() + Send + Sync + 'a {
        holding(OnDrop(move || order.digit(digit)))
    }

    /// Data that notes when it is dropped, as 9.
    struct Data(Arc<Count>);

    impl Drop for Data {
        fn drop(&mut self) {
            self.0.digit(9);
        }
    }

    #[test]
    fn data_is_dropped_after_the_bodies_that_borrow_it() -> Result {
        let order = Arc::new(Count::default(), GFP_KERNEL)?;
        let bound = Bound::new(Data(order.clone()))?;
        bound.attach(|data, scope| {
            scope.work(body(&data.0, 1))?;
            scope.tasklet(body(&data.0, 2)).map(drop)
        })?;
        let before = order.get();
        bound.unbind();
        let unbound = order.get();
        drop(bound);
        assert_eq!(before, 0);
        assert_eq!(unbound, 21);
        assert_eq!(order.get(), 219);
        Ok(())
    }

    #[test]
    fn a_binding_that_is_dropped_ends_its_scope_first() -> Result {
        let order = Arc::new(Count::default(), GFP_KERNEL)?;
        let bound = Bound::new(Data(order.clone()))?;
        bound.attach(|data, scope| {
            scope.work(body(&data.0, 1))?.schedule();
            Ok(())
        })?;
        drop(bound);
        assert_eq!(order.get(), 19);
        Ok(())
    }

    #[test]
    fn a_failed_attach_has_ended_its_scope_when_it_returns() -> Result {
        let order = Arc::new(Count::default(), GFP_KERNEL)?;
        let bound = Bound::new(Data(order.clone()))?;
        let failed = bound.attach(|data, scope| {
            scope.tasklet(body(&data.0, 1))?.schedule();
            scope.work(body(&data.0, 2))?.schedule();
            Err(EIO)
        });
        let ended = order.get();
        drop(bound);
        assert!(failed == Err(EIO));
        assert_eq!(ended, 21);
        assert_eq!(order.get(), 219);
        Ok(())
    }

    #[test]
    fn data_that_cannot_be_built_is_no_binding() -> Result {
        let built = KBox::pin_init(Binding::<Data>::new(Err::<_, Error>(ENODEV)), GFP_KERNEL);
        let error = built.map(drop);
        assert!(error == Err(ENODEV));
        Ok(())
    }
}

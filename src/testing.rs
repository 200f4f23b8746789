// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the tests inside this crate have in common: a scope without a device.
//!
//! The tests stand at the ends of the files that they test, in suites of KUnit. They run in process
//! context; what else there is to run they schedule themselves, through a scope of their own.
//!
//! An assertion of KUnit's that fails ends the task where it stands, without destructors. So a test
//! looks while the scope lives, notes what it saw in its data, and asserts when the scope has ended.

use crate::{binding::Binding, Scheduled, Scope};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Full, Relaxed},
    time::{delay::fsleep, Delta},
};

/// What a driver core keeps for a bound device, without the device.
pub(crate) struct Bound<T>(Pin<KBox<Binding<T>>>);

impl<T> Bound<T> {
    pub(crate) fn new(data: T) -> Result<Self> {
        Ok(Self(KBox::pin_init(
            Binding::new(Ok::<_, Error>(data)),
            GFP_KERNEL,
        )?))
    }

    pub(crate) fn attach(
        &self,
        attach: impl for<'a> FnOnce(&'a T, &mut Scope<'a>) -> Result,
    ) -> Result {
        self.0
            .as_ref()
            .attach(|data, scope| attach(data.get_ref(), scope))
    }

    pub(crate) fn unbind(&self) {
        self.0.detach();
    }

    pub(crate) fn data(&self) -> &T {
        self.0.as_ref().data().get_ref()
    }
}

/// The whole life of a device: `attach()`, and if that succeeds, unbinding.
pub(crate) fn bind_and_unbind<T>(
    data: T,
    attach: impl for<'a> FnOnce(&'a T, &mut Scope<'a>) -> Result,
) -> Result<Bound<T>> {
    let bound = Bound::new(data)?;
    bound.attach(attach)?;
    bound.unbind();
    Ok(bound)
}

/// Something to be counted or noted, by anybody. Begins with zero.
pub(crate) struct Count(Atomic<i32>);

impl Default for Count {
    fn default() -> Self {
        Self::new()
    }
}

impl Count {
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// One more, and how many that makes.
    pub(crate) fn up(&self) -> i32 {
        self.0.fetch_add(1, Full) + 1
    }

    pub(crate) fn down(&self) {
        self.0.fetch_add(-1, Full);
    }

    pub(crate) fn get(&self) -> i32 {
        self.0.load(Relaxed)
    }

    pub(crate) fn set(&self, value: i32) {
        self.0.store(value, Relaxed);
    }

    /// Adds a digit: what one task did in the order 3, 2, 1 reads 321.
    pub(crate) fn digit(&self, digit: i32) {
        self.set(self.get() * 10 + digit);
    }
}

/// A handle's answer, once it is noted.
#[derive(Default)]
pub(crate) struct Answer(Count);

impl Answer {
    pub(crate) fn note(&self, answer: Scheduled) {
        self.0.set(1 + answer as i32);
    }

    pub(crate) fn is(&self, answer: Scheduled) -> bool {
        self.0.get() == 1 + answer as i32
    }
}

/// Runs a closure when it is dropped, which is what bodies capture to see their end.
pub(crate) struct OnDrop<F: Fn()>(pub(crate) F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)()
    }
}

/// A body that does nothing but hold what it captured until it is dropped.
pub(crate) fn holding<T: Send + Sync>(captured: T) -> impl Fn() + Send + Sync {
    move || {
        let _ = &captured;
    }
}

/// Long enough for others to run.
pub(crate) fn pause() {
    fsleep(Delta::from_millis(2));
}

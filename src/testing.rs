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

/// What tasklets, work items and timers have in common, for tests of what they all do.
///
/// The tests themselves stand with each of them, since assertions work inside a suite of KUnit only.
pub(crate) trait Deferred: 'static {
    type Handle<'a>: Copy + Send + Sync + 'a;
    type Slot<'a>;

    /// Its body runs where it may sleep.
    const SLEEPS: bool;

    fn register<'a, F>(scope: &mut Scope<'a>, body: F) -> Result<Self::Handle<'a>>
    where
        F: Fn() + Send + Sync + 'a;

    fn declare<'a>(scope: &mut Scope<'a>) -> Result<(Self::Handle<'a>, Self::Slot<'a>)>;

    fn define<'a, F>(slot: Self::Slot<'a>, scope: &mut Scope<'a>, body: F) -> Result
    where
        F: Fn() + Send + Sync + 'a;

    /// Asks for one run, soon.
    fn schedule(handle: Self::Handle<'_>) -> Scheduled;
}

/// What was seen of something deferred.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) runs: Count,
    pub(crate) ended: Count,
    pub(crate) first: Answer,
    pub(crate) second: Answer,
    pub(crate) third: Answer,
}

/// Scheduled three times, each time after it has run: `first` is the last answer.
pub(crate) fn scheduled_three_times<D: Deferred>() -> Result<Bound<Seen>> {
    bind_and_unbind(Seen::default(), |seen, scope| {
        let bell = scope.wait_queue()?;
        let handle = D::register(scope, move || {
            seen.runs.up();
            bell.wake_all();
        })?;
        for run in 1..=3 {
            seen.first.note(D::schedule(handle));
            if !seen.first.is(Scheduled::Queued) {
                break;
            }
            bell.wait_until(|| seen.runs.get() == run)?;
        }
        pause();
        Ok(())
    })
}

/// Scheduled twice from its own body. It does not run beside itself, so what is scheduled there stays
/// so until the body has returned.
pub(crate) fn scheduled_while_it_runs<D: Deferred>() -> Result<Bound<Seen>> {
    bind_and_unbind(Seen::default(), |seen, scope| {
        let bell = scope.wait_queue()?;
        let (handle, slot) = D::declare(scope)?;
        D::define(slot, scope, move || {
            if seen.runs.up() == 1 {
                seen.first.note(D::schedule(handle));
                seen.second.note(D::schedule(handle));
            }
            bell.wake_all();
        })?;
        D::schedule(handle);
        bell.wait_until(|| seen.runs.get() == 2)?;
        pause();
        Ok(())
    })
}

/// Schedules itself until the scope ends. `ended` is how often it had run then.
pub(crate) fn schedules_itself<D: Deferred>() -> Result<Bound<Seen>> {
    let bound = bind_and_unbind(Seen::default(), |seen, scope| {
        let bell = scope.wait_queue()?;
        let (handle, slot) = D::declare(scope)?;
        D::define(slot, scope, move || {
            seen.runs.up();
            bell.wake_all();
            D::schedule(handle);
        })?;
        D::schedule(handle);
        bell.wait_until(|| seen.runs.get() >= 3)
    })?;
    bound.data().ended.set(bound.data().runs.get());
    pause();
    Ok(bound)
}

/// Two that schedule each other until the scope ends. `ended` is how often one had run then.
pub(crate) fn two_schedule_each_other<D: Deferred>() -> Result<Bound<Seen>> {
    let bound = bind_and_unbind(Seen::default(), |seen, scope| {
        let bell = scope.wait_queue()?;
        let (ping, slot) = D::declare(scope)?;
        let pong = D::register(scope, move || {
            D::schedule(ping);
        })?;
        D::define(slot, scope, move || {
            seen.runs.up();
            bell.wake_all();
            D::schedule(pong);
        })?;
        D::schedule(ping);
        bell.wait_until(|| seen.runs.get() >= 3)
    })?;
    bound.data().ended.set(bound.data().runs.get());
    pause();
    Ok(bound)
}

/// Scheduled just before the scope ends: `ended` is how many runs were over when it had ended, if no
/// run was cut short.
pub(crate) fn pending_when_the_scope_ends<D: Deferred>() -> Result<Bound<Seen>> {
    let bound = bind_and_unbind(Seen::default(), |seen, scope| {
        let handle = D::register(scope, move || {
            seen.runs.up();
            if D::SLEEPS {
                pause();
            }
            seen.ended.up();
        })?;
        D::schedule(handle);
        Ok(())
    })?;
    let cut_short = bound.data().ended.get() != bound.data().runs.get();
    pause();
    if cut_short {
        bound.data().ended.set(-1);
    }
    Ok(bound)
}

/// `first` is before it has a body, `second` with it, and `third` is one that never has one.
pub(crate) fn scheduled_without_a_body<D: Deferred>() -> Result<Bound<Seen>> {
    bind_and_unbind(Seen::default(), |seen, scope| {
        let bell = scope.wait_queue()?;
        let (handle, slot) = D::declare(scope)?;
        let (without, _) = D::declare(scope)?;
        seen.first.note(D::schedule(handle));
        D::define(slot, scope, move || {
            seen.runs.up();
            bell.wake_all();
        })?;
        seen.second.note(D::schedule(handle));
        seen.third.note(D::schedule(without));
        bell.wait_until(|| seen.runs.get() == 1)
    })
}

/// Scheduled by two other tasks while it gets its body: `first` and `second`. `ended` is 1 if it has run
/// as often as their answers promised.
pub(crate) fn scheduled_while_it_gets_its_body<D: Deferred>() -> Result<Bound<Seen>> {
    bind_and_unbind(Seen::default(), |seen, scope| {
        let bell = scope.wait_queue()?;
        let (handle, slot) = D::declare(scope)?;
        let one = scope.work(move || {
            seen.first.note(D::schedule(handle));
            bell.wake_all();
        })?;
        let two = scope.work(move || {
            seen.second.note(D::schedule(handle));
            bell.wake_all();
        })?;
        one.schedule();
        two.schedule();
        D::define(slot, scope, move || {
            seen.runs.up();
            bell.wake_all();
        })?;
        bell.wait_until(|| seen.first.is_noted() && seen.second.is_noted())?;
        let queued = [&seen.first, &seen.second].map(|one| i32::from(one.is(Scheduled::Queued)));
        let queued = queued[0] + queued[1];
        bell.wait_until(|| seen.runs.get() >= queued)?;
        pause();
        let promised = [&seen.first, &seen.second].map(|one| !one.is(Scheduled::Refused));
        let kept = seen.runs.get() == queued && promised.contains(&true) == (queued != 0);
        seen.ended.set(kept.into());
        Ok(())
    })
}

/// Scheduled by destructors of what other bodies captured: `second` before its own body is dropped,
/// and `first` after that.
pub(crate) fn scheduled_while_bodies_are_dropped<D: Deferred>() -> Result<Bound<Seen>> {
    bind_and_unbind(Seen::default(), |seen, scope| {
        let (handle, slot) = D::declare(scope)?;
        let older = OnDrop(move || seen.first.note(D::schedule(handle)));
        D::register(scope, holding(older))?;
        D::define(slot, scope, move || {
            seen.runs.up();
        })?;
        let newer = OnDrop(move || seen.second.note(D::schedule(handle)));
        D::register(scope, holding(newer))?;
        Ok(())
    })
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

    pub(crate) fn is_noted(&self) -> bool {
        self.0.get() != 0
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

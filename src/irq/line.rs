// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An interrupt line as handles and teardown see it, whatever handles it.
//!
//! A handle can be used from any callback of the scope, also while its own line is being freed: by an
//! early release, or by teardown, during which the handlers of other lines still run. `enable_irq()`
//! and its like are told a number and not a registration, so they must not be called once the number
//! may be somebody else's. A lock cannot see to that: `disable_irq_nosync()` is called by handlers, and
//! `enable_irq()` may sleep where the interrupt chip is behind a slow bus. So the line has a [`Door`].
//! The handler that the line calls never goes through it.

use crate::helpers::{devscope_irq_set_affinity_and_hint, devscope_irq_update_affinity_hint};
use core::{
    cell::Cell,
    ptr::{self, NonNull},
};
use kernel::{
    bindings,
    cpumask::{Cpumask, CpumaskVar},
    error::to_result,
    irq::Flags,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full, Relaxed, Release},
        Mutex,
    },
    task::Task,
    time::{delay::fsleep, Delta},
};

/// Lets callers in from when it is opened until it is closed, and knows how many are inside.
///
/// One atomic word: the number of callers, and far below zero while the door does not let them in.
/// Coming in and leaving are one atomic operation each, in any context. Whoever is refused is counted
/// for a moment, which the closing side may see and wait for; that ends by itself.
struct Door(Atomic<i32>);

impl Door {
    /// Added for a door that has not been opened yet. Below zero by more than there can be callers.
    const SHUT: i32 = -(1 << 28);
    /// Added, for good, to a door that is closed.
    const CLOSED: i32 = -(1 << 30);

    fn open() -> Self {
        Self(Atomic::new(0))
    }

    fn shut() -> Self {
        Self(Atomic::new(Self::SHUT))
    }

    fn is_shut(word: i32) -> bool {
        (Self::SHUT..0).contains(&word)
    }

    /// Opens the door if it was shut. A closed one stays closed. Any context.
    #[inline]
    fn ensure_open(&self) {
        let word = self.0.load(Relaxed);
        if Self::is_shut(word) {
            self.open_from(word);
        }
    }

    /// Release pairs with the Acquire of whoever comes in, or asks whether the door is shut.
    #[cold]
    fn open_from(&self, mut word: i32) {
        while Self::is_shut(word) {
            match self.0.cmpxchg(word, word - Self::SHUT, Release) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Comes in, if the door is open. Any context. Errors: `ENODEV`.
    fn enter(&self) -> Result<Inside<'_>> {
        let word = self.0.fetch_add(1, Acquire);
        // Leaves in either case.
        let inside = Inside(self);
        if word < 0 {
            Err(ENODEV)
        } else {
            Ok(inside)
        }
    }

    /// Refuses newcomers, and waits until nobody is inside. Called once. Process context, sleeps.
    ///
    /// All changes of the word are ordered: a caller came in before this, and is waited for, or after
    /// it, and is refused. Sleeping in steps, instead of being woken, keeps the way out to one atomic
    /// operation; and nobody is inside for long but who waits for a handler, as we are about to.
    fn close(&self) {
        let word = self.0.fetch_add(Self::CLOSED, Full);
        let idle = Self::CLOSED + if Self::is_shut(word) { Self::SHUT } else { 0 };
        // Acquire pairs with the Release of the last one to leave.
        while self.0.load(Acquire) != idle {
            fsleep(Delta::from_micros(100));
        }
    }
}

/// The right to use the line.
struct Inside<'d>(&'d Door);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0 .0.fetch_sub(1, Release);
    }
}

/// An interrupt line that one registration of ours is on, or will be.
///
/// # Invariants
///
/// 1. From when the door is open until [`Line::end`] drops it, `registration` is registered for `irq`.
/// 2. `disabled` is at most the number of times that this line was disabled through it and not enabled
///    again, [`Line::go_live`] not counted.
/// 3. What the kernel has as the line's affinity hint is null, or what `hint` owns.
#[pin_data]
pub(super) struct Line {
    irq: u32,
    shared: bool,
    /// Requested with `IRQF_NO_AUTOEN`, and enabled by [`Line::go_live`].
    dormant: bool,
    door: Door,
    disabled: Atomic<i32>,
    /// Somebody frees the line, or has done so.
    claimed: Atomic<bool>,
    /// It is free.
    gone: Atomic<bool>,
    /// The task that runs the line's threaded handler just now, or null.
    thread: Atomic<usize>,
    #[pin]
    hint: Mutex<Option<KBox<CpumaskVar>>>,
    /// Set before the door is opened.
    registration: Cell<Option<Registered>>,
}

/// Where a registration stands, and how it is dropped.
#[derive(Clone, Copy)]
struct Registered {
    place: NonNull<()>,
    drop: unsafe fn(NonNull<()>),
}

impl Registered {
    fn at<R>(place: NonNull<R>) -> Self {
        /// # Safety
        ///
        /// As for [`ptr::drop_in_place`] of an `R`.
        unsafe fn drop<R>(place: NonNull<()>) {
            // SAFETY: The caller makes the same promise to us.
            unsafe { ptr::drop_in_place(place.cast::<R>().as_ptr()) };
        }
        Self {
            place: place.cast(),
            drop: drop::<R>,
        }
    }
}

// SAFETY: `registration` is written once, before the door is opened, and read after that by whoever has
// set `claimed`. The mask in `hint` is only
// touched under its lock, and may be freed by any task; the rest is atomic or does not change.
unsafe impl Sync for Line {}

impl Line {
    fn new(
        irq: u32,
        flags: Flags,
        door: Door,
        registration: Option<Registered>,
    ) -> impl PinInit<Self, Error> {
        // INVARIANT: Nothing was disabled yet, and there is no hint.
        try_pin_init!(Self {
            irq,
            shared: has(flags, Flags::SHARED),
            dormant: has(flags, Flags::NO_AUTOEN),
            door,
            disabled: Atomic::new(0),
            claimed: Atomic::new(false),
            gone: Atomic::new(false),
            thread: Atomic::new(0),
            hint <- new_mutex!(None),
            registration: Cell::new(registration),
        })
    }

    /// The line of a registration that will stand at `registration`.
    ///
    /// # Safety
    ///
    /// - Before the line is used for anything but [`Line::in_thread`], `registration` is registered for
    ///   `irq` with `flags`.
    /// - It may be dropped in place once [`Line::end`] is called, and nobody else drops it.
    pub(super) unsafe fn of<R>(
        irq: u32,
        flags: Flags,
        registration: NonNull<R>,
    ) -> impl PinInit<Self, Error> {
        // INVARIANT: 1 is asked of the caller.
        Self::new(irq, flags, Door::open(), Some(Registered::at(registration)))
    }

    /// A line that refuses until there is a registration.
    pub(super) fn declared(irq: u32, flags: Flags) -> impl PinInit<Self, Error> {
        // INVARIANT: 1, since the door is shut.
        Self::new(irq, flags, Door::shut(), None)
    }

    /// Says where the registration of a declared line will stand.
    ///
    /// # Safety
    ///
    /// - Called at most once, for a line that was made by [`Line::declared`].
    /// - The second requirement of [`Line::of`], once [`Line::ensure_open`] is called.
    pub(super) unsafe fn is_defined_at<R>(&self, registration: NonNull<R>) {
        self.registration.set(Some(Registered::at(registration)));
    }

    /// Lets handles use a declared line from now on.
    ///
    /// # Safety
    ///
    /// `registration` is registered for `irq` with the flags that were given, or was.
    #[inline]
    pub(super) unsafe fn ensure_open(&self) {
        // INVARIANT: 1 is asked of the caller. Once it was dropped the door is closed, and stays so.
        self.door.ensure_open();
    }

    pub(super) fn irq(&self) -> u32 {
        self.irq
    }

    /// Runs `body` as the threaded handler of this line.
    pub(super) fn in_thread<T>(&self, body: impl FnOnce() -> T) -> T {
        self.thread.store(Task::current_raw() as usize, Relaxed);
        let answer = body();
        self.thread.store(0, Relaxed);
        answer
    }

    /// Whether this task is inside the threaded handler. Nobody else stores this task's address, so
    /// what other threads do meanwhile does not matter.
    pub(super) fn is_own_thread(&self) -> bool {
        self.thread.load(Relaxed) == Task::current_raw() as usize
    }

    /// Errors: `EDEADLK` if the caller may not wait for the handlers, as far as that can be told. What
    /// cannot be told waits for ever, or is reported by the kernel as sleeping in atomic context.
    fn may_wait(&self) -> Result {
        // SAFETY: No requirement; it reads the state of the current task.
        if unsafe { crate::helpers::devscope_in_atomic_context() } || self.is_own_thread() {
            Err(EDEADLK)
        } else {
            Ok(())
        }
    }

    pub(super) fn disable_nosync(&self) -> Result {
        let _inside = self.door.enter()?;
        // SAFETY: The line is ours: we are inside, and invariant 1.
        unsafe { bindings::disable_irq_nosync(self.irq) };
        // INVARIANT: 2, and not before it has happened. Release, so that whoever enables the line
        // because of it does so after it.
        self.disabled.fetch_add(1, Release);
        Ok(())
    }

    pub(super) fn synchronize(&self) -> Result {
        self.may_wait()?;
        let _inside = self.door.enter()?;
        // SAFETY: The line is ours, and we may sleep: as far as can be told, which is all that C asks.
        unsafe { bindings::synchronize_irq(self.irq) };
        Ok(())
    }

    pub(super) fn disable(&self) -> Result {
        self.may_wait()?;
        // What `disable_irq()` does (`kernel/irq/manage.c`), with our count in between: a handler that
        // is waited for may enable the line again.
        self.disable_nosync()?;
        self.synchronize()
    }

    pub(super) fn enable(&self) -> Result {
        let _inside = self.door.enter()?;
        let mut count = self.disabled.load(Relaxed);
        loop {
            if count == 0 {
                return Err(EINVAL);
            }
            // INVARIANT: 2, and before it happens.
            match self.disabled.cmpxchg(count, count - 1, Acquire) {
                Ok(_) => break,
                Err(now) => count = now,
            }
        }
        // SAFETY: The line is ours: we are inside, and invariant 1. It was disabled once more than it
        // was enabled, by us: invariant 2.
        unsafe { bindings::enable_irq(self.irq) };
        Ok(())
    }

    /// Enables a line that was requested disabled. After `attach()`, at most once.
    pub(super) fn go_live(&self) {
        if !self.dormant {
            return;
        }
        // A line that was released meanwhile stays as it is.
        if let Ok(_inside) = self.door.enter() {
            // SAFETY: The line is ours: we are inside, and invariant 1. `IRQF_NO_AUTOEN` has disabled
            // it once (`__setup_irq()`), and nobody but us takes that back.
            unsafe { bindings::enable_irq(self.irq) };
        }
    }

    /// Has the kernel know, and with `set` also heed, where the line's interrupts should go.
    pub(super) fn affinity_hint(&self, mask: &Cpumask, set: bool) -> Result {
        self.may_wait()?;
        // There is one hint for all handlers of a line, and `free_irq()` of any of them warns of it.
        if self.shared {
            return Err(EINVAL);
        }
        let mask = KBox::new(CpumaskVar::try_clone(mask)?, GFP_KERNEL)?;
        let _inside = self.door.enter()?;
        let mut hint = self.hint.lock();
        let tell = if set {
            devscope_irq_set_affinity_and_hint
        } else {
            devscope_irq_update_affinity_hint
        };
        // SAFETY:
        // - The line is ours: we are inside, and invariant 1.
        // - The mask stays where it is until the kernel is told another one, or none: here under the
        //   same lock, or by `end()`, which waits for us. Readers of the old one hold the line's own
        //   lock, under which the pointer changes (`irq_affinity_hint_proc_show()`).
        to_result(unsafe { tell(self.irq, mask.as_raw()) })?;
        // INVARIANT: 3.
        *hint = Some(mask);
        Ok(())
    }

    /// Frees the line: on return its handler neither runs nor will run again. If somebody else does
    /// that already, returns at once.
    ///
    /// Process context, sleeps, and waits for what is inside the door and for running handlers. Inside a
    /// handler of this line it would wait for itself, for ever.
    pub(super) fn end(&self) {
        if self.claimed.xchg(true, Full) {
            return;
        }
        #[cfg(devscope_mutants)]
        let (waits, clears, balances) = {
            use crate::mutants::{active, Mutant};
            (
                !active(Mutant::DoorLeftOpen),
                !active(Mutant::KeepAffinityHint),
                !active(Mutant::LeaveSharedLineDisabled),
            )
        };
        #[cfg(not(devscope_mutants))]
        let (waits, clears, balances) = (true, true, true);

        // Where no handler was given, or registering it has failed, there is nothing to free.
        let never_opened = Door::is_shut(self.door.0.load(Acquire));
        if waits {
            self.door.close();
        }
        let hint = self.hint.lock().take();
        if hint.is_some() && clears {
            // SAFETY: The line is ours until the end of this function. Null is no hint.
            unsafe { devscope_irq_update_affinity_hint(self.irq, ptr::null()) };
        }
        // INVARIANT: 3. And nobody sets another one: the door is closed.
        drop(hint);
        // The depth is the line's, and others are on it. A line that is ours alone may stay as it is:
        // the next `request_irq()` begins with depth 0 (`irq_startup()`) or 1 (`__setup_irq()`).
        if self.shared && balances {
            for _ in 0..self.disabled.xchg(0, Acquire) {
                // SAFETY: The line is still ours, and was disabled by us as often: invariant 2.
                unsafe { bindings::enable_irq(self.irq) };
            }
        }
        if let Some(registered) = self.registration.get().filter(|_| !never_opened) {
            // SAFETY: Registered until now (invariant 1), and dropped by nobody else: we have set
            // `claimed`.
            unsafe { (registered.drop)(registered.place) };
        }
        self.gone.store(true, Release);
    }

    pub(super) fn release(&self) -> Result {
        self.may_wait()?;
        if Door::is_shut(self.door.0.load(Acquire)) {
            return Err(ENODEV);
        }
        self.end();
        // Somebody else may be at it. It does not wait for us: it waits for this line's handlers, of
        // which we are none, and for callers inside the door.
        while !self.gone.load(Acquire) {
            fsleep(Delta::from_micros(100));
        }
        Ok(())
    }
}

/// Whether `flag`, which is a single one, is among `flags`.
pub(super) fn has(flags: Flags, flag: Flags) -> bool {
    flags & flag == flag
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_irq)]
mod tests {
    use super::*;
    use crate::testing::{bind_and_unbind, pause, Count};

    #[test]
    fn an_open_door_lets_in_and_a_closed_one_refuses() {
        let door = Door::open();
        let both = door.enter().is_ok() && door.enter().is_ok();
        door.close();
        assert!(both);
        assert!(door.enter().is_err());
        assert!(door.enter().is_err());
    }

    #[test]
    fn a_shut_door_refuses_until_it_is_opened() {
        let door = Door::shut();
        let before = door.enter().is_err();
        door.ensure_open();
        let opened = door.enter().is_ok();
        door.ensure_open();
        let once_more = door.enter().is_ok();
        door.close();
        assert!(before);
        assert!(opened && once_more);
        assert!(door.enter().is_err());
    }

    #[test]
    fn a_closed_door_stays_closed_whether_it_was_ever_open_or_not() {
        for door in [Door::shut(), Door::open()] {
            door.close();
            let refused = door.enter().is_err();
            door.ensure_open();
            let still = door.enter().is_err();
            assert!(refused && still);
        }
    }

    struct Passage {
        door: Door,
        entered: Count,
        left: Count,
        left_when_closed: Count,
    }

    #[test]
    fn whoever_races_with_closing_is_refused_or_waited_for() -> Result {
        let passage = Passage {
            door: Door::shut(),
            entered: Count::default(),
            left: Count::default(),
            left_when_closed: Count::default(),
        };
        let bound = bind_and_unbind(passage, |data, scope| {
            for _ in 0..2 {
                let work = scope.work(move || {
                    data.door.ensure_open();
                    if let Ok(inside) = data.door.enter() {
                        data.entered.up();
                        pause();
                        data.left.up();
                        drop(inside);
                    }
                })?;
                work.schedule();
            }
            data.door.close();
            data.left_when_closed.set(data.left.get());
            Ok(())
        })?;
        // Whoever entered later than that has been let in by a closed door.
        let data = bound.data();
        assert_eq!(data.left_when_closed.get(), data.entered.get());
        Ok(())
    }
}

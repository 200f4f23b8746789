// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Wait queues that let everybody go when the scope ends.
//!
//! C header: [`include/linux/wait.h`](srctree/include/linux/wait.h)
//!
//! A queue is *open* until its scope begins to end, then *closed*: whoever sleeps on it is woken and
//! gets `ENODEV`, whoever comes later gets `ENODEV` at once. So unbinding never hangs on a program
//! that sleeps in `read()`, nor on a work item that waits for an interrupt that will not come.
//!
//! A program may poll a queue, see [`poll`](crate::poll), and then its entry stays on it when the
//! operation has returned, and when the scope has ended. So the queues of a scope are counted: their
//! memory goes when the scope has ended and the last file is closed that could have polled one.
//! Who wakes or waits pays nothing for that; who opens a file pays one reference.

use crate::scope::{Member, Scope, Step};
use core::{
    cell::Cell,
    mem::{self, ManuallyDrop},
    ptr::{self, NonNull},
};
use kernel::{
    bindings, new_spinlock,
    prelude::*,
    static_lock_class,
    sync::{
        atomic::{Acquire, Atomic, Full, Relaxed, Release},
        Arc, SpinLock,
    },
    types::Opaque,
};

/// The wait queues of one scope: what closes together, and what is freed together.
///
/// # Invariants
///
/// `newest` starts a list, linked by `Queue::previous`, of pinned queues that their `KBox` gave up and
/// that nobody frees but `Queues::free`. A queue joins the list once, at its front.
#[pin_data(PinnedDrop)]
pub(crate) struct Queues {
    /// Locked by `attach()`, which adds, and by teardown. These are two tasks where the scope that
    /// ends is around a part that is just beginning.
    #[pin]
    newest: SpinLock<Newest>,
    /// The scope ends. Set before whoever sleeps is woken.
    closed: Atomic<bool>,
    /// How long, in milliseconds, unbinding waits for an operation before it says so; 0 for ever.
    patience: Atomic<i32>,
}

/// The queue that was made last, or null.
struct Newest(*const Queue);

// SAFETY: A queue may be freed by any task.
unsafe impl Send for Newest {}

impl Queues {
    /// None yet. May sleep. Errors: `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                newest <- new_spinlock!(Newest(ptr::null()), "devscope"),
                closed: Atomic::new(false),
                patience: Atomic::new(10_000),
            }),
            GFP_KERNEL,
        )
    }

    /// Whether the scope has begun to end.
    ///
    /// Somebody who has put an entry on a queue and is told no will be woken: [`Queues::close`] sets
    /// the flag before it takes the lock of the queue, so it finds the entry, or it had the lock
    /// before, and then the flag was to be seen.
    pub(crate) fn are_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    /// How long unbinding waits for an operation before it says so, in milliseconds; 0 for ever.
    pub(crate) fn patience(&self) -> u32 {
        self.patience.load(Relaxed) as u32
    }

    pub(crate) fn set_patience(&self, milliseconds: i32) {
        self.patience.store(milliseconds, Relaxed);
    }

    /// Makes a queue. May sleep. Errors: `ENOMEM`.
    fn add(&self) -> Result<NonNull<Queue>> {
        let key = static_lock_class!();
        let queue = KBox::pin_init(
            try_pin_init!(Queue {
                // SAFETY: The slot is ours and does not move any more. Name and key are static.
                head <- Opaque::ffi_init(move |slot| unsafe {
                    let name = c"devscope".as_char_ptr();
                    bindings::__init_waitqueue_head(slot, name, key.as_ptr());
                }),
                wakes: Atomic::new(0),
                owner: ptr::from_ref(self),
                previous: Cell::new(ptr::null()),
            }),
            GFP_KERNEL,
        )?;
        // SAFETY: The queue is not moved until it is freed.
        let queue = NonNull::from(KBox::leak(unsafe { Pin::into_inner_unchecked(queue) }));
        let mut newest = self.newest.lock();
        // SAFETY: The queue has just been made, and nobody else has it yet.
        unsafe { queue.as_ref() }.previous.set(newest.0);
        // INVARIANT: The queue is pinned, its `KBox` has given it up, and from here on it is the
        // list's.
        newest.0 = queue.as_ptr();
        Ok(queue)
    }

    /// Lets everybody go, now and from now on. Process context.
    ///
    /// A queue that is added meanwhile and not found here has been added after the flag was set, and
    /// who is to sleep on it sees the flag: it has the queue from whoever took the lock after us.
    pub(crate) fn close(&self) {
        self.closed.store(true, Release);
        #[cfg(devscope_mutants)]
        if crate::mutants::active(crate::mutants::Mutant::ForgetToWakeSleepers) {
            return;
        }
        let mut next = self.newest.lock().0;
        // SAFETY: Queues on the list are live (invariant): they are freed with the last count of us,
        // and the caller has one. What links them does not change once they are on the list.
        while let Some(queue) = unsafe { next.as_ref() } {
            queue.wake_all();
            next = queue.previous.get();
        }
    }

    /// Frees the queues.
    ///
    /// # Safety
    ///
    /// Nobody uses a queue any more, nor has an entry on one.
    pub(crate) unsafe fn free(&self) {
        let mut next = mem::replace(&mut self.newest.lock().0, ptr::null());
        while let Some(queue) = NonNull::new(next.cast_mut()) {
            // SAFETY: Queues on the list are live, and came from a `KBox`: invariant. This one is on
            // no list any more, and the caller promises that nobody has a use for it.
            let queue = unsafe { KBox::from_raw(queue.as_ptr()) };
            next = queue.previous.get();
        }
    }
}

#[pinned_drop]
impl PinnedDrop for Queues {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: No count is left, so:
        // - The scope has dropped all its bodies (it has one until then), so no handle is left with
        //   which to wake or wait.
        // - Every file of the scope has been released (it has one until then), and an entry of a
        //   poller goes before its file is released: see `PollTable::register_wait`.
        unsafe { self.free() };
    }
}

/// A wait queue.
#[pin_data]
pub(crate) struct Queue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
    /// How often the queue was woken, modulo its range. It lets [`Queue::sleep`] tell that a wake-up
    /// came after the caller looked at its condition, so the condition need not be looked at while
    /// the task is already queued and marked as sleeping. (`linux/litmus/wait+*.litmus`)
    wakes: Atomic<i32>,
    /// Whose list this queue is on; lasts longer than the queue.
    owner: *const Queues,
    /// The queue that was made before this one, or null.
    previous: Cell<*const Queue>,
}

// SAFETY: `head` is only used through C functions that take its lock, `wakes` is atomic, the rest
// does not change once the queue is on its list.
unsafe impl Sync for Queue {}

impl Queue {
    fn wake_all(&self) {
        // Before waking: a sleeper that is not queued yet sees the count, one that is queued is woken.
        self.wakes.fetch_add(1, Full);
        // SAFETY: The head is initialised with the queue, and stays as long as `self` is borrowed.
        unsafe { bindings::__wake_up(self.head.get(), bindings::TASK_NORMAL, 0, ptr::null_mut()) };
    }

    /// Sleeps until the queue is woken, unless it was woken since `wakes` was `seen`.
    ///
    /// Errors: `ERESTARTSYS` if a signal is pending and the queue has not been woken.
    fn sleep(&self, seen: i32) -> Result {
        let head = self.head.get();
        let mut entry = bindings::wait_queue_entry::default();
        let entry = &raw mut entry;
        // SAFETY:
        // - `entry` stays in place on this stack until `finish_wait()` has taken it off the queue,
        //   and no code of the driver runs in between, so nothing keeps us from getting there.
        // - The head is initialised and stays until the scope has ended, which waits for us: we are
        //   inside an operation or a work item of its scope, or `attach()`.
        // - `schedule()` is called in process context: might sleep, as `wait_until` says.
        unsafe {
            bindings::init_wait_entry(entry, 0);
            let interrupted =
                bindings::prepare_to_wait_event(head, entry, bindings::TASK_INTERRUPTIBLE as c_int);
            let woken = self.wakes.load(Acquire) != seen;
            if !woken && interrupted == 0 {
                bindings::schedule();
            }
            bindings::finish_wait(head, entry);
            if !woken && interrupted != 0 {
                return Err(ERESTARTSYS);
            }
        }
        Ok(())
    }
}

impl Queue {
    /// The C structure, which is initialised.
    pub(crate) fn head(&self) -> *mut bindings::wait_queue_head {
        self.head.get()
    }

    /// Whether this is one of `queues`.
    pub(crate) fn is_of(&self, queues: &Queues) -> bool {
        ptr::eq(self.owner, queues)
    }

    fn is_closed(&self) -> bool {
        // SAFETY: The list lasts longer than the queues that are on it.
        unsafe { (*self.owner).are_closed() }
    }
}

/// The wait queues of a scope as one member of it: the first, so that queues close when all gates have,
/// and whoever is woken finds the gate closed.
#[pin_data]
pub(crate) struct Closer {
    /// The scope's count of its queues. Dropped after all other bodies.
    queues: ManuallyDrop<Arc<Queues>>,
}

impl Closer {
    /// Errors: `ENOMEM`.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            queues: ManuallyDrop::new(Queues::new()?),
        })
    }

    /// # Safety
    ///
    /// `DropBodies` has not been taken.
    pub(crate) unsafe fn queues(&self) -> &Arc<Queues> {
        &self.queues
    }
}

// SAFETY: Queues call nobody. Their sleepers are inside operations or work items of this scope, and
// have left with these by the end of `DrainWork`; pollers know the queues, not this member.
unsafe impl Member for Closer {
    unsafe fn step(this: NonNull<Self>, step: Step) {
        if step == Step::Close {
            // SAFETY: `this` is a member of a scope; only shared references to it are made.
            unsafe { this.as_ref() }.queues.close();
        }
    }

    unsafe fn drop_body(&self) {
        #[cfg(devscope_mutants)]
        if crate::mutants::active(crate::mutants::Mutant::FreePolledQueues) {
            // SAFETY: None. This is the mistake, and the model of the kernel is to report it.
            unsafe { self.queues.free() };
        }
        // SAFETY: Called once (requirement of this function), and the count is not used any more: not
        // by the scope, whose `attach()` has returned, and not by handles, since this is the first
        // member, and whatever held a handle was dropped before.
        drop(unsafe { ptr::read(&raw const *self.queues) });
    }
}

/// A handle to a wait queue of the scope: one side waits, the other wakes.
///
/// It can be copied into any closure of the scope and into the device side of a file. It cannot
/// leave the scope: `'a` is the scope's.
///
/// # If leaked
///
/// Nothing happens. A handle owns nothing, and the queue closes with its scope.
#[derive(Clone, Copy)]
pub struct WaitQueue<'a>(pub(crate) &'a Queue);

impl WaitQueue<'_> {
    /// Sleeps until `condition` holds: `wait_event_interruptible()`.
    ///
    /// Process context only, and without a lock that the waker needs. `condition` is called in the
    /// caller's own context, at least once and again after each wake-up; other than in C it may take
    /// a mutex. Whoever makes it true calls [`WaitQueue::wake_all`] afterwards.
    ///
    /// Returns `Ok` as soon as the condition holds, even if the queue has been closed meanwhile.
    ///
    /// Errors: `ENODEV` when the scope ends; `ERESTARTSYS` when a signal is pending, for the
    /// operation to return as it is: the kernel then restarts the call or makes it `EINTR`.
    pub fn wait_until(&self, condition: impl Fn() -> bool) -> Result {
        loop {
            let seen = self.0.wakes.load(Acquire);
            if condition() {
                return Ok(());
            }
            if self.0.is_closed() {
                return Err(ENODEV);
            }
            self.0.sleep(seen)?;
        }
    }

    /// Wakes everybody who sleeps on the queue or polls it, to look at their condition again.
    ///
    /// Any context, including hard interrupts. Does not sleep.
    #[inline]
    pub fn wake_all(&self) {
        self.0.wake_all();
    }
}

impl<'a> Scope<'a> {
    /// Makes a wait queue that closes when the scope ends.
    ///
    /// May sleep. Errors: `ENOMEM`.
    pub fn wait_queue(&mut self) -> Result<WaitQueue<'a>> {
        let queue = self.queues().add()?;
        // SAFETY: The scope keeps its count of the queues until the last body has been dropped, and
        // nobody else can hold a handle, which lasts for `'a`.
        Ok(WaitQueue(unsafe { queue.as_ref() }))
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_wait)]
mod tests {
    use super::*;
    use crate::testing::{bind_and_unbind, holding, Count, OnDrop};

    #[test]
    fn a_condition_that_holds_is_not_waited_for() -> Result {
        let bound = bind_and_unbind(Count::default(), |looked, scope| {
            scope.wait_queue()?.wait_until(|| looked.up() == 1)
        })?;
        assert_eq!(bound.data().get(), 1);
        Ok(())
    }

    #[test]
    fn a_wake_up_between_the_condition_and_the_sleep_is_not_lost() -> Result {
        let bound = bind_and_unbind(Count::default(), |looked, scope| {
            let queue = scope.wait_queue()?;
            // The first look finds nothing, and only then what it looks for happens.
            queue.wait_until(|| {
                let holds = looked.up() == 2;
                queue.wake_all();
                holds
            })
        })?;
        assert_eq!(bound.data().get(), 2);
        Ok(())
    }

    #[derive(Default)]
    struct Sleepers {
        asleep: Count,
        ready: Count,
        returned: Count,
        errors: Count,
    }

    #[test]
    fn everybody_is_woken_and_goes_when_the_condition_holds() -> Result {
        let bound = bind_and_unbind(Sleepers::default(), |data, scope| {
            let (queue, bell) = (scope.wait_queue()?, scope.wait_queue()?);
            for _ in 0..2 {
                let sleeper = scope.work(move || {
                    data.asleep.up();
                    bell.wake_all();
                    if queue.wait_until(|| data.ready.get() == 1).is_ok() {
                        data.returned.up();
                    }
                    bell.wake_all();
                })?;
                sleeper.schedule();
            }
            bell.wait_until(|| data.asleep.get() == 2)?;
            // In vain: the condition does not hold yet.
            queue.wake_all();
            data.errors.set(data.returned.get());
            data.ready.set(1);
            queue.wake_all();
            bell.wait_until(|| data.returned.get() == 2)
        })?;
        assert_eq!(bound.data().errors.get(), 0);
        assert_eq!(bound.data().returned.get(), 2);
        Ok(())
    }

    #[test]
    fn sleepers_get_enodev_when_the_scope_ends() -> Result {
        let bound = bind_and_unbind(Sleepers::default(), |data, scope| {
            let (queue, bell) = (scope.wait_queue()?, scope.wait_queue()?);
            for _ in 0..2 {
                let sleeper = scope.work(move || {
                    let waited = queue.wait_until(|| {
                        data.asleep.up();
                        bell.wake_all();
                        false
                    });
                    if waited == Err(ENODEV) {
                        data.errors.up();
                    }
                })?;
                sleeper.schedule();
            }
            bell.wait_until(|| data.asleep.get() >= 2)
        })?;
        assert_eq!(bound.data().errors.get(), 2);
        Ok(())
    }

    #[test]
    fn a_closed_queue_looks_at_the_condition_and_then_refuses() -> Result {
        let bound = bind_and_unbind(Sleepers::default(), |data, scope| {
            let queue = scope.wait_queue()?;
            let late = OnDrop(move || {
                if queue.wait_until(|| true).is_ok() {
                    data.returned.up();
                }
                if queue.wait_until(|| false) == Err(ENODEV) {
                    data.errors.up();
                }
                queue.wake_all();
            });
            scope.work(holding(late))?;
            Ok(())
        })?;
        assert_eq!(bound.data().returned.get(), 1);
        assert_eq!(bound.data().errors.get(), 1);
        Ok(())
    }
}

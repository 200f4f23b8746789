// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The workqueues that work items are on: the system's, and a driver's own.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)
//!
//! A work item is bound to one queue when it is registered, for good. (C names the queue with each
//! `queue_work()`. An item that runs on one queue and is queued on a second one runs beside itself, and
//! `cancel_work_sync()` then waits for the second only.)
//!
//! | queue | for work that |
//! |---|---|
//! | [`Queue::percpu`] | is short: what [`Scope::work`] takes |
//! | [`Queue::highpri`] | is short and should not wait for other work |
//! | [`Queue::long`] | takes long, on the CPU that queued it |
//! | [`Queue::unbound`], [`Queue::unbound_long`] | takes CPU time: the scheduler chooses where |
//! | [`Queue::freezable`] | must not run while the system is suspended |
//! | one of its own, [`QueueOptions::ordered`] | has to be done one after the other |
//! | one of its own, [`QueueOptions::mem_reclaim`] | others need done before they get memory |
//! | [`BhQueue`] | is what a tasklet was for: soon, in softirq context, and does not sleep |
//!
//! A queue of one's own is also how a driver limits how many of its items run at once. It costs a few
//! allocations, and with [`QueueOptions::mem_reclaim`] a thread. It is destroyed when the scope has
//! ended: every item on it is disabled for good by then, and has returned.

use crate::scope::{Member, Scope, Step};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{bindings, prelude::*};

/// A workqueue on which work items run in process context, and may sleep.
///
/// It is given to [`Scope::work_on`] and the like. The system's queues are there for ever; that of
/// [`Scope::workqueue`] is there for `'a`, and so are the items that are bound to it.
///
/// # If leaked
///
/// Nothing happens. It owns nothing.
#[derive(Clone, Copy)]
pub struct Queue<'a>(
    /// A queue that is not destroyed before `'a` ends.
    NonNull<bindings::workqueue_struct>,
    PhantomData<&'a ()>,
);

// SAFETY: A queue is only given to C functions that may be called on any CPU.
unsafe impl Send for Queue<'_> {}

// SAFETY: As for `Send`.
unsafe impl Sync for Queue<'_> {}

impl Queue<'_> {
    pub(crate) fn as_ptr(self) -> *mut bindings::workqueue_struct {
        self.0.as_ptr()
    }
}

macro_rules! system_queues {
    ($($(#[$attribute:meta])* $vis:vis fn $name:ident = $queue:ident;)*) => {
        impl Queue<'static> {$(
            $(#[$attribute])*
            $vis fn $name() -> Self {
                // SAFETY: The system's queues are allocated at boot, before there are drivers, and
                // never destroyed (`workqueue_init_early()` in `kernel/workqueue.c`).
                Self(unsafe { NonNull::new_unchecked(bindings::$queue) }, PhantomData)
            }
        )*}
    };
}

system_queues! {
    /// For short work, on the CPU that queues it: that of `schedule_work()`.
    #[doc(alias = "system_wq", alias = "system_percpu_wq")]
    pub fn percpu = system_percpu_wq;

    /// As [`Queue::percpu`], by workers of higher priority.
    #[doc(alias = "system_highpri_wq")]
    pub fn highpri = system_highpri_wq;

    /// As [`Queue::percpu`], for work that may run long.
    #[doc(alias = "system_long_wq")]
    pub fn long = system_long_wq;

    /// For work that runs where the scheduler puts it.
    #[doc(alias = "system_unbound_wq", alias = "system_dfl_wq")]
    pub fn unbound = system_dfl_wq;

    /// As [`Queue::unbound`], for work that may run long.
    #[doc(alias = "system_dfl_long_wq")]
    pub fn unbound_long = system_dfl_long_wq;

    /// As [`Queue::percpu`]; what is queued during suspend runs after it.
    #[doc(alias = "system_freezable_wq")]
    pub fn freezable = system_freezable_wq;

    /// As [`Queue::percpu`], or as [`Queue::unbound`] on a system that saves power.
    #[doc(alias = "system_power_efficient_wq")]
    pub fn power_efficient = system_power_efficient_wq;

    /// As [`Queue::power_efficient`] and [`Queue::freezable`].
    #[doc(alias = "system_freezable_power_efficient_wq")]
    pub fn freezable_power_efficient = system_freezable_power_efficient_wq;

    fn bh = system_bh_wq;
    fn bh_highpri = system_bh_highpri_wq;
}

/// A queue whose work runs in softirq context, where it must not sleep.
///
/// A type of its own, so that a body is never put there by way of a [`Queue`]: see [`Scope::bh_work`].
/// There is none of a driver's own: all of them share one context for each CPU.
#[derive(Clone, Copy)]
pub struct BhQueue(Queue<'static>);

impl BhQueue {
    /// Where a tasklet would run: in order, on the CPU that queues.
    #[doc(alias = "system_bh_wq")]
    pub fn normal() -> Self {
        Self(Queue::bh())
    }

    /// The same, before those of [`BhQueue::normal`]: `tasklet_hi_schedule()`.
    #[doc(alias = "system_bh_highpri_wq")]
    pub fn highpri() -> Self {
        Self(Queue::bh_highpri())
    }

    pub(crate) fn queue(self) -> Queue<'static> {
        self.0
    }
}

/// What a workqueue of one's own is like.
///
/// `max_active` is how many of its work items run at once; 0 stands for the kernel's default, and
/// 2048 is the most (`WQ_MAX_ACTIVE`).
#[derive(Clone, Copy)]
pub struct QueueOptions {
    flags: c_uint,
    max_active: u32,
}

impl QueueOptions {
    /// Items run on the CPU that queues them, at most `max_active` at once on each.
    #[doc(alias = "WQ_PERCPU")]
    pub const fn percpu(max_active: u32) -> Self {
        Self {
            flags: bindings::wq_flags_WQ_PERCPU,
            max_active,
        }
    }

    /// Items run where the scheduler puts them, at most `max_active` at once on each NUMA node.
    #[doc(alias = "WQ_UNBOUND")]
    pub const fn unbound(max_active: u32) -> Self {
        Self {
            flags: bindings::wq_flags_WQ_UNBOUND,
            max_active,
        }
    }

    /// Items run one after the other, in the order in which they are queued.
    ///
    /// A body that waits for another item of the same queue waits for ever.
    #[doc(
        alias = "alloc_ordered_workqueue",
        alias = "create_singlethread_workqueue"
    )]
    pub const fn ordered() -> Self {
        Self {
            flags: bindings::wq_flags_WQ_UNBOUND | bindings::wq_flags___WQ_ORDERED,
            max_active: 1,
        }
    }

    /// By workers of higher priority.
    #[doc(alias = "WQ_HIGHPRI")]
    pub const fn highpri(self) -> Self {
        self.with(bindings::wq_flags_WQ_HIGHPRI)
    }

    /// What is queued during suspend runs after it.
    #[doc(alias = "WQ_FREEZABLE")]
    pub const fn freezable(self) -> Self {
        self.with(bindings::wq_flags_WQ_FREEZABLE)
    }

    /// With a thread of its own that runs items when memory is too short for another worker. For
    /// drivers that memory reclaim waits for: block devices, and what stands under them.
    #[doc(alias = "WQ_MEM_RECLAIM")]
    pub const fn mem_reclaim(self) -> Self {
        self.with(bindings::wq_flags_WQ_MEM_RECLAIM)
    }

    /// Items that compute for long do not keep others of the same CPU waiting.
    #[doc(alias = "WQ_CPU_INTENSIVE")]
    pub const fn cpu_intensive(self) -> Self {
        self.with(bindings::wq_flags_WQ_CPU_INTENSIVE)
    }

    const fn with(self, flag: c_uint) -> Self {
        Self {
            flags: self.flags | flag,
            ..self
        }
    }
}

/// A workqueue of the driver's own.
///
/// # Invariants
///
/// From the time that it joins until `drop_body`, `queue` is allocated.
#[pin_data]
struct Owned {
    queue: NonNull<bindings::workqueue_struct>,
}

impl Owned {
    /// Errors: `ENOMEM`.
    fn allocate(name: &CStr, options: QueueOptions) -> Result<NonNull<bindings::workqueue_struct>> {
        // SAFETY:
        // - The format takes one string, and is given one. It is copied.
        // - We may sleep: members join in process context.
        // - The flags are of one of the constructors of `QueueOptions`, each of which sets either
        //   `WQ_UNBOUND` or `WQ_PERCPU`, as `__alloc_workqueue()` asks.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                c"%s".as_char_ptr(),
                options.flags,
                options.max_active as c_int,
                name.as_char_ptr(),
            )
        };
        NonNull::new(queue).ok_or(ENOMEM)
    }

    /// # Safety
    ///
    /// - Called once.
    /// - Nobody queues an item on it any more, and none that was queued is pending or runs.
    unsafe fn destroy(&self) {
        // SAFETY: The queue is allocated: invariant, and first requirement. It is empty: second
        // requirement. No timer of a delayed work item will queue one, as the kernel-doc of
        // `destroy_workqueue()` asks: the scope's are disabled with their timers, and others are
        // never on it.
        unsafe { bindings::destroy_workqueue(self.queue.as_ptr()) };
    }
}

// SAFETY: A queue calls back by way of its work items only, which are members themselves.
unsafe impl Member for Owned {
    unsafe fn step(_this: NonNull<Self>, _step: Step) {
        #[cfg(devscope_mutants)]
        if _step == Step::Close
            && crate::mutants::active(crate::mutants::Mutant::QueueBeforeItsWork)
        {
            // SAFETY: None: that is the mistake.
            unsafe { _this.as_ref().destroy() };
        }
    }

    unsafe fn drop_body(&self) {
        #[cfg(devscope_mutants)]
        if crate::mutants::active(crate::mutants::Mutant::QueueBeforeItsWork) {
            return;
        }
        // SAFETY:
        // - Once: this function's own requirement.
        // - Items on it are items of this scope, or of parts of it: a `Queue<'a>` is good for as long
        //   as that. All have taken `DrainWork` with us or have ended before, so they are neither
        //   pending nor do they run.
        // - What is called now and uses a handle is the destructor of another body. Its item is
        //   disabled for good, and `queue_work_on()`, `queue_delayed_work_on()` and
        //   `mod_delayed_work_on()` return without looking at the queue when
        //   `clear_pending_if_disabled()` says so (`kernel/workqueue.c`). Nobody else is left who
        //   could: callbacks and operations are over since `Redrain`.
        unsafe { self.destroy() };
    }
}

impl<'a> Scope<'a> {
    /// Allocates a workqueue for this scope's work items: `alloc_workqueue()`.
    ///
    /// `name` is what its workers are seen by; what is longer than 31 bytes is cut off. There is no
    /// call to destroy the queue. It is destroyed when the scope has ended.
    ///
    /// May sleep. Errors: `ENOMEM`; `EINVAL` if `max_active` is more than 2048.
    #[doc(alias = "alloc_workqueue", alias = "destroy_workqueue")]
    pub fn workqueue(&mut self, name: &CStr, options: QueueOptions) -> Result<Queue<'a>> {
        if options.max_active > bindings::wq_consts_WQ_MAX_ACTIVE {
            return Err(EINVAL);
        }
        let owned = self.join(try_pin_init!(Owned {
            // INVARIANT: The last thing that can fail: nothing has to give the queue back.
            queue: Owned::allocate(name, options)?,
        }))?;
        // The queue is destroyed in `drop_body`, and `'a` ends only after that.
        Ok(Queue(owned.queue, PhantomData))
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_workqueue)]
mod tests {
    use super::*;
    use crate::testing::{bind_and_unbind, pause, Count};

    #[test]
    fn work_runs_on_each_of_the_systems_queues() -> Result {
        let bound = bind_and_unbind(Count::default(), |runs, scope| {
            let bell = scope.wait_queue()?;
            let queues = [
                Queue::percpu(),
                Queue::highpri(),
                Queue::long(),
                Queue::unbound(),
                Queue::unbound_long(),
                Queue::freezable(),
                Queue::power_efficient(),
                Queue::freezable_power_efficient(),
            ];
            let body = move || {
                runs.up();
                bell.wake_all();
            };
            for queue in queues {
                scope.work_on(queue, body)?.schedule();
                scope.delayed_work_on(queue, body)?.schedule(1);
            }
            for queue in [BhQueue::normal(), BhQueue::highpri()] {
                scope.bh_work_on(queue, body)?.schedule();
            }
            bell.wait_until(|| runs.get() == 18)
        })?;
        assert_eq!(bound.data().get(), 18);
        Ok(())
    }

    #[test]
    fn an_ordered_queue_does_one_after_the_other() -> Result {
        let bound = bind_and_unbind(<(Count, Count)>::default(), |(order, ended), scope| {
            let bell = scope.wait_queue()?;
            let queue = scope.workqueue(c"devscope-kunit", QueueOptions::ordered())?;
            for digit in 1..=3 {
                let work = scope.work_on(queue, move || {
                    order.digit(digit);
                    pause();
                    order.digit(digit);
                    ended.up();
                    bell.wake_all();
                })?;
                work.schedule();
            }
            bell.wait_until(|| ended.get() == 3)
        })?;
        assert_eq!(bound.data().0.get(), 112233);
        Ok(())
    }

    #[test]
    fn a_queue_goes_with_its_scope_whatever_is_on_it() -> Result {
        let bound = bind_and_unbind(<(Count, Count)>::default(), |(begun, ended), scope| {
            let bell = scope.wait_queue()?;
            let options = QueueOptions::unbound(2).highpri().mem_reclaim().freezable();
            let queue = scope.workqueue(c"devscope-kunit", options)?;
            let works = [0; 3].map(|_| {
                scope.work_on(queue, move || {
                    begun.up();
                    bell.wake_all();
                    pause();
                    ended.up();
                })
            });
            for work in works {
                work?.schedule();
            }
            scope.delayed_work_on(queue, || {})?.schedule(1000);
            bell.wait_until(|| begun.get() >= 1)
        })?;
        let (begun, ended) = bound.data();
        assert!(begun.get() >= 1);
        assert_eq!(begun.get(), ended.get());
        Ok(())
    }

    #[test]
    fn a_queue_that_asks_for_too_much_is_refused() -> Result {
        let bound = bind_and_unbind(<(Count, Count)>::default(), |(most, more), scope| {
            let answer = |queue: Result<Queue<'_>>| match queue {
                Ok(_) => 1,
                Err(error) => error.to_errno(),
            };
            let name = c"devscope-kunit";
            let options = QueueOptions::percpu(2048).cpu_intensive();
            most.set(answer(scope.workqueue(name, options)));
            more.set(answer(scope.workqueue(name, QueueOptions::unbound(2049))));
            Ok(())
        })?;
        assert_eq!(bound.data().0.get(), 1);
        assert_eq!(bound.data().1.get(), EINVAL.to_errno());
        Ok(())
    }
}

//! Work items and workqueues, after what `kernel/workqueue.c` documents.
//!
//! A work item is *pending* (queued) or not, and *running* or not, independently: the pending bit is
//! cleared before its function is called, so it can be queued again meanwhile. It never runs on two
//! workers at once. While it is disabled it cannot be queued.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::machine::{
    at, block_until, preempt, serve, spawn, step, world, Key, Place, TaskKind, Why, World,
};
use super::report::Kind;
use super::table::Table;
use super::{cname, ledger};
use crate::bindings::{
    bool_, lock_class_key, work_func_t, work_struct, workqueue_struct,
    wq_misc_consts_WORK_CPU_UNBOUND, GFP_KERNEL,
};
use crate::ffi;
use std::alloc::Layout;
use std::collections::VecDeque;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;

/// More workers than this are never needed to show a problem.
const MAX_WORKERS: usize = 6;

#[derive(Debug)]
struct Work {
    name: Rc<str>,
    pending: bool,
    queue: usize,
    running: Option<usize>,
    disabled: u32,
    /// How often it was queued, and up to which of those it has run (or was cancelled).
    queued: u64,
    finished: u64,
    set_up: Place,
    queued_at: Option<Place>,
}

#[derive(Debug)]
struct Queue {
    name: Rc<str>,
    max_active: usize,
    place: Place,
}

#[derive(Default, Debug)]
pub(crate) struct Works {
    known: Table<Work>,
    pending: VecDeque<usize>,
    /// (worker, work, queue) for what runs.
    running: Vec<(usize, usize, usize)>,
    queues: Table<Queue>,
    workers: usize,
    named: u32,
}

impl Works {
    pub(crate) fn active_in(
        &self,
        range: &Range<usize>,
        current: usize,
    ) -> Option<(String, Vec<String>)> {
        self.known.in_range(range).find_map(|(_, work)| {
            let what = match work.running {
                // A work item may free itself.
                Some(worker) if worker != current => format!("{}, which runs,", work.name),
                _ if work.pending => format!("{}, which is queued,", work.name),
                _ => return None,
            };
            let mut facts = vec![format!("set up      {}", at(work.set_up))];
            facts.extend(
                work.queued_at
                    .map(|place| format!("queued      {}", at(place))),
            );
            Some((what, facts))
        })
    }

    pub(crate) fn forget_in(&mut self, range: &Range<usize>) {
        self.known.remove_range(range);
    }

    pub(crate) fn left(&self) -> Vec<String> {
        self.queues
            .iter()
            .map(|(_, queue)| format!("allocated   {}  workqueue {}", at(queue.place), queue.name))
            .collect()
    }

    fn name(&self, work: usize) -> Rc<str> {
        self.known
            .get(work)
            .map_or_else(|| "work".into(), |work| work.name.clone())
    }

    fn get(&mut self, work: usize, place: Place) -> &mut Work {
        let named = &mut self.named;
        self.known.get_or_insert_with(work, || {
            *named += 1;
            Work {
                name: format!("work {named}").into(),
                pending: false,
                queue: 0,
                running: None,
                disabled: 0,
                queued: 0,
                finished: 0,
                set_up: place,
                queued_at: None,
            }
        })
    }

    /// The first pending work item that may run.
    fn next(&mut self) -> Option<usize> {
        let index = self.pending.iter().position(|&address| {
            let Some(work) = self.known.get(address) else {
                return false;
            };
            if work.running.is_some() {
                return false;
            }
            let limit = self
                .queues
                .get(work.queue)
                .map_or(usize::MAX, |queue| queue.max_active);
            self.running
                .iter()
                .filter(|&&(_, _, queue)| queue == work.queue)
                .count()
                < limit
        })?;
        self.pending.remove(index)
    }

    fn take_back(&mut self, address: usize) -> bool {
        let Some(work) = self.known.get_mut(address) else {
            return false;
        };
        let was_pending = std::mem::take(&mut work.pending);
        if was_pending {
            work.finished = work.queued;
            self.pending.retain(|&other| other != address);
        }
        was_pending
    }
}

impl World {
    #[track_caller]
    fn check_work(&mut self, work: *mut work_struct, place: Place) {
        self.check(
            work as usize,
            size_of::<work_struct>(),
            "a work item",
            place,
        );
    }
}

/// A worker's life.
fn worker() {
    serve(
        Key::Worker,
        |w| {
            let address = w.works.next()?;
            let me = w.current;
            if let Some(facts) = w.freed_facts(address) {
                let name = w.works.name(address);
                w.fail(
                    Kind::RanAfterFree,
                    format!("{name} would run in freed memory"),
                    &facts,
                );
            }
            let work = w.works.known.get_mut(address)?;
            work.pending = false;
            work.running = Some(me);
            let (name, queue, instance) = (work.name.clone(), work.queue, work.queued);
            w.works.running.push((me, address, queue));
            w.note("runs", &name, None);
            // SAFETY: the item's memory is there: it is pending, and was just checked.
            let function = unsafe { (*(address as *mut work_struct)).func };
            Some((address, instance, function, name))
        },
        |(address, instance, function, name)| {
            preempt();
            if let Some(function) = function {
                // SAFETY: whoever queued the item promised that its function may be called.
                unsafe { function(address as *mut work_struct) };
            }
            preempt();
            world(|w| {
                // The function may have freed the item: only the model's own record is touched.
                let me = w.current;
                if let Some(why) = w.why_atomic() {
                    let message = format!("{name} returned {why}");
                    w.fail(Kind::Misuse, message, &[]);
                }
                w.works.running.retain(|&(worker, ..)| worker != me);
                if let Some(work) = w.works.known.get_mut(address) {
                    if work.running == Some(me) {
                        work.running = None;
                        work.finished = work.finished.max(instance);
                    }
                }
                w.note("is done with", &name, None);
                w.wake(Key::Addr(address));
                w.wake(Key::Worker);
            });
        },
    );
}

#[track_caller]
pub unsafe fn init_work_with_key(
    work: *mut work_struct,
    func: work_func_t,
    _onstack: bool_,
    _name: *const ffi::c_char,
    _key: *mut lock_class_key,
) {
    let place = Location::caller();
    world(|w| {
        w.check_work(work, place);
        w.works.known.remove(work as usize);
        w.works.get(work as usize, place);
    });
    // SAFETY: the caller gives a work item's memory.
    unsafe {
        work.write(work_struct {
            func,
            ..Default::default()
        })
    };
}

#[track_caller]
pub unsafe fn queue_work_on(
    _cpu: ffi::c_int,
    wq: *mut workqueue_struct,
    work: *mut work_struct,
) -> bool_ {
    let place = Location::caller();
    preempt();
    let start = world(|w| {
        w.check_work(work, place);
        if w.allocated_at(wq as usize).is_some() {
            w.check(
                wq as usize,
                size_of::<workqueue_struct>(),
                "a workqueue",
                place,
            );
        }
        let address = work as usize;
        let item = w.works.get(address, place);
        if item.pending || item.disabled > 0 {
            return None;
        }
        item.pending = true;
        item.queue = wq as usize;
        item.queued += 1;
        item.queued_at = Some(place);
        let name = item.name.clone();
        w.works.pending.push_back(address);
        w.note("queues", &name, Some(place));
        w.wake(Key::Worker);
        let idle = w.works.workers - w.works.running.len();
        let start = idle < w.works.pending.len().min(2) && w.works.workers < MAX_WORKERS;
        w.works.workers += usize::from(start);
        Some((start, w.works.workers))
    });
    let Some((start, number)) = start else {
        return false;
    };
    if start {
        spawn(
            format!("kworker{number}").into(),
            TaskKind::Kthread,
            None,
            worker,
        );
    }
    preempt();
    true
}

#[track_caller]
pub unsafe fn queue_work(wq: *mut workqueue_struct, work: *mut work_struct) -> bool_ {
    // SAFETY: the caller's promise is passed on.
    unsafe { queue_work_on(wq_misc_consts_WORK_CPU_UNBOUND as ffi::c_int, wq, work) }
}

#[track_caller]
pub unsafe fn schedule_work(work: *mut work_struct) -> bool_ {
    // SAFETY: the caller's promise is passed on, and the pointer is never written.
    unsafe { queue_work(crate::bindings::system_percpu_wq, work) }
}

/// Wait until the instance that is queued or runs now is over. Returns whether there was one.
#[track_caller]
fn flush(work: *mut work_struct, place: Place) -> bool {
    let address = work as usize;
    // SAFETY: the caller gives a work item; that it is not freed has been checked.
    if unsafe { (*work).func }.is_none() {
        world(|w| {
            let message = format!(
                "{} is waited for, and has no function",
                w.works.name(address)
            );
            w.fail(
                Kind::Misuse,
                message,
                &[format!("called      {}", at(place))],
            );
        });
    }
    let Some((target, name)) = world(|w| {
        let item = w.works.known.get(address)?;
        (item.pending || item.running.is_some()).then(|| (item.queued, item.name.clone()))
    }) else {
        return false;
    };
    block_until(
        Key::Addr(address),
        Some(place),
        |w| match w.works.known.get(address).and_then(|item| item.running) {
            Some(worker) => Why::held("waits for", format!("{name}, which runs").into(), worker),
            None => Why::waits(format!("{name}, which is queued").into()),
        },
        |w| {
            let over = w.works.known.get(address).is_none_or(|item| {
                (item.running.is_none() && !item.pending)
                    || (item.finished >= target && item.running.is_none())
            });
            over.then_some(())
        },
    );
    true
}

#[track_caller]
pub unsafe fn flush_work(work: *mut work_struct) -> bool_ {
    let place = Location::caller();
    world(|w| {
        w.might_sleep("flush_work", place);
        w.check_work(work, place);
    });
    preempt();
    flush(work, place)
}

#[track_caller]
fn disable(work: *mut work_struct, place: Place) -> bool {
    let name = world(|w| {
        w.check_work(work, place);
        w.works.name(work as usize)
    });
    step("disables", &name, place);
    world(|w| {
        w.check_work(work, place);
        w.works.get(work as usize, place).disabled += 1;
        let was_pending = w.works.take_back(work as usize);
        w.wake(Key::Addr(work as usize));
        was_pending
    })
}

#[track_caller]
pub unsafe fn disable_work(work: *mut work_struct) -> bool_ {
    disable(work, Location::caller())
}

#[track_caller]
pub unsafe fn disable_work_sync(work: *mut work_struct) -> bool_ {
    let place = Location::caller();
    world(|w| w.might_sleep("disable_work_sync", place));
    let was_pending = disable(work, place);
    flush(work, place);
    world(|w| {
        let name = w.works.name(work as usize);
        w.note("has disabled", &name, Some(place));
    });
    preempt();
    was_pending
}

#[track_caller]
pub unsafe fn enable_work(work: *mut work_struct) -> bool_ {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check_work(work, place);
        let item = w.works.get(work as usize, place);
        if item.disabled == 0 {
            let message = format!("{} is enabled more often than disabled", item.name);
            w.fail(
                Kind::Misuse,
                message,
                &[format!("enabled     {}", at(place))],
            );
        }
        item.disabled -= 1;
        item.disabled == 0
    })
}

#[track_caller]
pub unsafe fn cancel_work(work: *mut work_struct) -> bool_ {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check_work(work, place);
        let was_pending = w.works.take_back(work as usize);
        w.wake(Key::Addr(work as usize));
        was_pending
    })
}

#[track_caller]
pub unsafe fn cancel_work_sync(work: *mut work_struct) -> bool_ {
    let place = Location::caller();
    // SAFETY: the caller's promise is passed on. The item cannot be queued while this waits.
    unsafe {
        let was_pending = disable_work_sync(work);
        world(|w| w.check_work(work, place));
        enable_work(work);
        was_pending
    }
}

#[track_caller]
pub unsafe fn work_busy(work: *mut work_struct) -> ffi::c_uint {
    world(|w| {
        w.works.known.get(work as usize).map_or(0, |item| {
            ffi::c_uint::from(item.pending) | ffi::c_uint::from(item.running.is_some()) << 1
        })
    })
}

pub unsafe fn current_work() -> *mut work_struct {
    world(|w| {
        let me = w.current;
        let running = w.works.running.iter().find(|&&(worker, ..)| worker == me);
        running.map_or(std::ptr::null_mut(), |&(_, work, _)| {
            work as *mut work_struct
        })
    })
}

/// Unlike C's, the name is not a format.
#[track_caller]
pub unsafe fn alloc_workqueue(
    name: *const ffi::c_char,
    _flags: ffi::c_uint,
    max_active: ffi::c_int,
) -> *mut workqueue_struct {
    let place = Location::caller();
    let wq = ledger::alloc(Layout::new::<workqueue_struct>(), GFP_KERNEL, "workqueue");
    if !wq.is_null() {
        let max_active = if max_active <= 0 {
            usize::MAX
        } else {
            max_active as usize
        };
        let name = cname(name, "workqueue");
        world(|w| {
            w.works.queues.set(
                wq as usize,
                Queue {
                    name,
                    max_active,
                    place,
                },
            )
        });
    }
    wq.cast()
}

#[track_caller]
pub unsafe fn __flush_workqueue(wq: *mut workqueue_struct) {
    let place = Location::caller();
    world(|w| w.might_sleep("flush_workqueue", place));
    preempt();
    let items: Vec<usize> = world(|w| {
        let items = w.works.known.iter();
        items
            .filter(|(_, item)| item.queue == wq as usize)
            .map(|&(address, _)| address)
            .collect()
    });
    for item in items {
        flush(item as *mut work_struct, place);
    }
}

#[track_caller]
pub unsafe fn drain_workqueue(wq: *mut workqueue_struct) {
    let place = Location::caller();
    // SAFETY: the caller's promise is passed on.
    unsafe { __flush_workqueue(wq) };
    block_until(
        Key::Worker,
        Some(place),
        |_| Why::waits("a workqueue to drain".into()),
        |w| {
            let busy = |(_, item): &(usize, Work)| {
                item.queue == wq as usize && (item.pending || item.running.is_some())
            };
            (!w.works.known.iter().any(busy)).then_some(())
        },
    );
}

#[track_caller]
pub unsafe fn destroy_workqueue(wq: *mut workqueue_struct) {
    // SAFETY: the caller's promise is passed on.
    unsafe { drain_workqueue(wq) };
    world(|w| w.works.queues.remove(wq as usize));
    ledger::free(wq.cast());
}

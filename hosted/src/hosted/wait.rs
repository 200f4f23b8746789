//! Waiting: wait queues, completions, sleeping, reference counts that someone waits for.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::machine::{
    at, block, block_until, preempt, sleep_ns, step, try_world, world, Key, Place, State, Task,
    Why, World,
};
use super::report::Kind;
use super::table::Table;
use super::{cname, nobody};
use crate::bindings::{
    bool_, completion, lock_class_key, task_struct, wait_queue_entry, wait_queue_func_t,
    wait_queue_head, ERESTARTSYS, POLLHUP, TASK_INTERRUPTIBLE, TASK_NORMAL, TASK_UNINTERRUPTIBLE,
    WQ_FLAG_EXCLUSIVE,
};
use crate::ffi;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;

/// Between `prepare_to_wait_event` and `schedule`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    interruptible: bool,
    queue: usize,
}

/// An entry of a queue. What it does when woken is in the entry itself (`func`).
#[derive(Debug, Clone, Copy)]
struct Waiter {
    /// Who put it there.
    task: usize,
    entry: usize,
    place: Place,
    /// Put there by `add_wait_queue`: stays until it is taken off, whether its task sleeps or not.
    stays: bool,
}

#[derive(Debug)]
struct Queue {
    name: Rc<str>,
    place: Place,
    waiters: Vec<Waiter>,
    /// The task that calls the entries' functions: it has the queue's lock.
    waker: Option<usize>,
}

impl Queue {
    fn new(name: Rc<str>, place: Place) -> Self {
        Queue {
            name,
            place,
            waiters: Vec::new(),
            waker: None,
        }
    }

    fn has(&self, entry: usize) -> bool {
        self.waiters.iter().any(|waiter| waiter.entry == entry)
    }

    fn take_off(&mut self, entry: usize) {
        self.waiters.retain(|waiter| waiter.entry != entry);
    }

    /// Exclusive entries go last, the others first.
    fn put(&mut self, waiter: Waiter, exclusive: bool) {
        match exclusive {
            true => self.waiters.push(waiter),
            false => self.waiters.insert(0, waiter),
        }
    }
}

#[derive(Debug)]
struct Completion {
    place: Place,
    waiting: u32,
}

#[derive(Default, Debug)]
pub(crate) struct Waits {
    queues: Table<Queue>,
    completions: Table<Completion>,
}

impl Waits {
    pub(crate) fn active_in(
        &self,
        range: &Range<usize>,
        tasks: &[Task],
    ) -> Option<(String, Vec<String>)> {
        let queue = self.queues.in_range(range).find_map(|(_, queue)| {
            let waiter = queue.waiters.first()?;
            let does = match waiter.stays {
                true => "has an entry",
                false => "waits",
            };
            Some((
                format!(
                    "wait queue {}, on which {} {does},",
                    queue.name, tasks[waiter.task].name
                ),
                vec![
                    format!("set up      {}", at(queue.place)),
                    format!("queued      {}", at(waiter.place)),
                ],
            ))
        });
        let woken = || {
            let (_, queue) = (self.queues.in_range(range)).find(|(_, q)| q.waker.is_some())?;
            let waker = &tasks[queue.waker?].name;
            Some((
                format!("wait queue {}, which {waker} wakes,", queue.name),
                vec![format!("set up      {}", at(queue.place))],
            ))
        };
        let entry = || {
            self.queues.iter().find_map(|(_, queue)| {
                let waiter = (queue.waiters.iter()).find(|waiter| range.contains(&waiter.entry))?;
                Some((
                    format!("an entry of wait queue {}", queue.name),
                    vec![format!("queued      {}", at(waiter.place))],
                ))
            })
        };
        let completion = || {
            self.completions
                .in_range(range)
                .find_map(|(_, completion)| {
                    (completion.waiting > 0).then(|| {
                        (
                            "a completion that is waited for".to_string(),
                            vec![format!("set up      {}", at(completion.place))],
                        )
                    })
                })
        };
        queue.or_else(woken).or_else(entry).or_else(completion)
    }

    pub(crate) fn forget_in(&mut self, range: &Range<usize>) {
        self.queues.remove_range(range);
        self.completions.remove_range(range);
    }

    fn queue(&mut self, head: usize, place: Place) -> &mut Queue {
        self.queues
            .get_or_insert_with(head, || Queue::new("wait queue".into(), place))
    }
}

// ---- Wait queues ----

#[track_caller]
pub unsafe fn __init_waitqueue_head(
    wq_head: *mut wait_queue_head,
    name: *const ffi::c_char,
    _key: *mut lock_class_key,
) {
    let place = Location::caller();
    let name = cname(name, "wait queue");
    try_world(|w| {
        w.check(
            wq_head as usize,
            size_of::<wait_queue_head>(),
            "a wait queue",
            place,
        );
        w.waits
            .queues
            .set(wq_head as usize, Queue::new(name, place));
    });
}

pub unsafe fn init_wait_entry(wq_entry: *mut wait_queue_entry, flags: ffi::c_int) {
    let new = wait_queue_entry {
        flags: flags as ffi::c_uint,
        private: world(|w| w.me().task_struct).cast(),
        func: Some(autoremove_wake_function),
        ..Default::default()
    };
    // SAFETY: the caller gives an entry's memory.
    unsafe { wq_entry.write(new) };
}

/// An entry with a wake function of its own (an inline function in C).
pub(crate) unsafe fn init_waitqueue_func_entry(
    wq_entry: *mut wait_queue_entry,
    func: wait_queue_func_t,
) {
    let new = wait_queue_entry {
        func,
        ..Default::default()
    };
    // SAFETY: the caller gives an entry's memory.
    unsafe { wq_entry.write(new) };
}

pub unsafe fn init_wait(wq_entry: *mut wait_queue_entry) {
    // SAFETY: the caller's promise is passed on.
    unsafe { init_wait_entry(wq_entry, 0) }
}

/// Take the queue's lock, and do what `f` does while holding it. Between its checks and `f` nobody
/// else runs, so the lock is only seen while a waker holds it.
#[track_caller]
fn locked<R>(wq_head: *mut wait_queue_head, place: Place, mut f: impl FnMut(&mut World) -> R) -> R {
    let head = wq_head as usize;
    let why = |w: &World| {
        let queue = w.waits.queues.get(head).expect("looked up before");
        let waker = queue.waker.expect("somebody wakes it");
        let lock = format!("the lock of wait queue {}", queue.name);
        Why::held("spins on", lock.into(), waker)
    };
    block_until(Key::Addr(head), Some(place), why, |w| {
        // Again each time: it may have been freed since we began to wait.
        w.check(head, size_of::<wait_queue_head>(), "a wait queue", place);
        let me = w.current;
        let queue = w.waits.queue(head, place);
        match queue.waker {
            None => Some(f(w)),
            Some(waker) if waker == me => {
                let message = format!(
                    "the lock of wait queue {} is taken by a wake function of that queue",
                    queue.name
                );
                let facts = [format!("taken       {}", at(place))];
                w.fail(Kind::Deadlock, message, &facts)
            }
            Some(_) => None,
        }
    })
}

/// Queue the task and say that it is about to sleep. Returns whether a signal prevents that.
#[track_caller]
fn prepare(
    wq_head: *mut wait_queue_head,
    wq_entry: *mut wait_queue_entry,
    state: ffi::c_int,
    exclusive: bool,
    place: Place,
) -> (bool, bool) {
    preempt();
    locked(wq_head, place, |w| {
        let interruptible = state as u32 & TASK_INTERRUPTIBLE != 0;
        let me = w.current;
        let signal = interruptible && w.me().signal;
        let queue = w.waits.queue(wq_head as usize, place);
        let first = queue.waiters.is_empty();
        if signal {
            // As in Linux: not queued any more, so that no exclusive wake-up is lost.
            queue.take_off(wq_entry as usize);
            return (true, first);
        }
        if !queue.has(wq_entry as usize) {
            let waiter = Waiter {
                task: me,
                entry: wq_entry as usize,
                place,
                stays: false,
            };
            queue.put(waiter, exclusive);
        }
        w.me().prepared = Some(Prepared {
            interruptible,
            queue: wq_head as usize,
        });
        w.me().woken = false;
        (false, first)
    })
}

#[track_caller]
fn add(wq_head: *mut wait_queue_head, entry: usize, exclusive: bool, place: Place) {
    preempt();
    locked(wq_head, place, |w| {
        let task = w.current;
        let queue = w.waits.queue(wq_head as usize, place);
        if queue.has(entry) {
            let message = format!("an entry is put on wait queue {} twice", queue.name);
            let facts = [format!("queued      {}", at(place))];
            w.fail(Kind::Misuse, message, &facts);
        }
        let waiter = Waiter {
            task,
            entry,
            place,
            stays: true,
        };
        queue.put(waiter, exclusive);
    });
    preempt();
}

#[track_caller]
pub unsafe fn add_wait_queue(wq_head: *mut wait_queue_head, wq_entry: *mut wait_queue_entry) {
    // SAFETY: the caller gives an initialised entry.
    unsafe { (*wq_entry).flags &= !WQ_FLAG_EXCLUSIVE };
    add(wq_head, wq_entry as usize, false, Location::caller());
}

#[track_caller]
pub unsafe fn add_wait_queue_exclusive(
    wq_head: *mut wait_queue_head,
    wq_entry: *mut wait_queue_entry,
) {
    // SAFETY: the caller gives an initialised entry.
    unsafe { (*wq_entry).flags |= WQ_FLAG_EXCLUSIVE };
    add(wq_head, wq_entry as usize, true, Location::caller());
}

#[track_caller]
pub unsafe fn remove_wait_queue(wq_head: *mut wait_queue_head, wq_entry: *mut wait_queue_entry) {
    let place = Location::caller();
    preempt();
    locked(wq_head, place, |w| {
        let queue = w.waits.queue(wq_head as usize, place);
        queue.take_off(wq_entry as usize);
    });
    preempt();
}

#[track_caller]
pub unsafe fn prepare_to_wait_event(
    wq_head: *mut wait_queue_head,
    wq_entry: *mut wait_queue_entry,
    state: ffi::c_int,
) -> ffi::c_long {
    // SAFETY: the caller gives an initialised entry.
    let exclusive = unsafe { (*wq_entry).flags } & WQ_FLAG_EXCLUSIVE != 0;
    match prepare(wq_head, wq_entry, state, exclusive, Location::caller()) {
        (true, _) => -(ERESTARTSYS as ffi::c_long),
        (false, _) => 0,
    }
}

#[track_caller]
pub unsafe fn prepare_to_wait(
    wq_head: *mut wait_queue_head,
    wq_entry: *mut wait_queue_entry,
    state: ffi::c_int,
) {
    // SAFETY: the caller gives an initialised entry.
    unsafe { (*wq_entry).flags &= !WQ_FLAG_EXCLUSIVE };
    prepare_ignoring_signals(wq_head, wq_entry, state, false, Location::caller());
}

#[track_caller]
pub unsafe fn prepare_to_wait_exclusive(
    wq_head: *mut wait_queue_head,
    wq_entry: *mut wait_queue_entry,
    state: ffi::c_int,
) -> bool_ {
    // SAFETY: the caller gives an initialised entry.
    unsafe { (*wq_entry).flags |= WQ_FLAG_EXCLUSIVE };
    prepare_ignoring_signals(wq_head, wq_entry, state, true, Location::caller())
}

/// `prepare_to_wait` itself does not look for signals: `schedule` returns at once if there is one.
#[track_caller]
fn prepare_ignoring_signals(
    wq_head: *mut wait_queue_head,
    wq_entry: *mut wait_queue_entry,
    state: ffi::c_int,
    exclusive: bool,
    place: Place,
) -> bool {
    let (_, first) = prepare(
        wq_head,
        wq_entry,
        TASK_UNINTERRUPTIBLE as ffi::c_int,
        exclusive,
        place,
    );
    let interruptible = state as u32 & TASK_INTERRUPTIBLE != 0;
    world(|w| {
        w.me().prepared = Some(Prepared {
            interruptible,
            queue: wq_head as usize,
        })
    });
    first
}

#[track_caller]
pub unsafe fn finish_wait(wq_head: *mut wait_queue_head, wq_entry: *mut wait_queue_entry) {
    let place = Location::caller();
    let entry = wq_entry as usize;
    let queued = world(|w| {
        w.me().prepared = None;
        // An entry that a wake-up took off the queue does not touch the queue again.
        let queue = w.waits.queues.get(wq_head as usize);
        let queued = queue.is_some_and(|queue| queue.has(entry));
        if let (false, Some(mut facts)) = (queued, w.freed_facts(wq_head as usize)) {
            facts.push(format!("used        {}", at(place)));
            w.fail(
                Kind::UseAfterFree,
                "a wait queue in freed memory".into(),
                &facts,
            );
        }
        queued
    });
    if queued {
        locked(wq_head, place, |w| {
            w.waits.queue(wq_head as usize, place).take_off(entry);
        });
    }
    preempt();
}

/// Sleep, if the task has prepared to and was not woken since.
#[track_caller]
fn sleep_prepared(deadline: Option<u64>, place: Place) {
    let state = world(|w| {
        w.might_sleep("schedule", place);
        let prepared = w.me().prepared?;
        let signal = prepared.interruptible && w.me().signal;
        if std::mem::take(&mut w.me().woken) || signal {
            w.me().prepared = None;
            return None;
        }
        let name = w
            .waits
            .queues
            .get(prepared.queue)
            .map(|queue| queue.name.clone());
        let object = match name {
            Some(name) => format!("wait queue {name}").into(),
            None => "to be woken".into(),
        };
        Some(State::Blocked {
            key: Key::Time,
            why: Why::waits(object),
            deadline,
            place: Some(place),
        })
    });
    match state {
        Some(state) => {
            block(state);
            world(|w| {
                w.me().prepared = None;
                w.me().woken = false;
            });
        }
        None => preempt(),
    }
}

#[track_caller]
pub unsafe fn schedule() {
    sleep_prepared(None, Location::caller());
}

/// A jiffy is four milliseconds here (`CONFIG_HZ=250`).
pub(crate) const JIFFY_NS: u64 = 4_000_000;

#[track_caller]
pub unsafe fn schedule_timeout(timeout: ffi::c_long) -> ffi::c_long {
    let place = Location::caller();
    if timeout == ffi::c_long::MAX {
        sleep_prepared(None, place);
        return timeout;
    }
    let end = world(|w| w.now) + timeout.max(0) as u64 * JIFFY_NS;
    sleep_prepared(Some(end), place);
    (end.saturating_sub(world(|w| w.now)) / JIFFY_NS) as ffi::c_long
}

impl World {
    /// Wake a task that has prepared to sleep, or sleeps.
    pub(crate) fn wake_task(&mut self, task: usize) -> bool {
        let sleeping = self.tasks[task].prepared.is_some();
        if sleeping {
            self.tasks[task].woken = true;
        }
        if matches!(
            self.tasks[task].state,
            State::Blocked { key: Key::Time, .. }
        ) {
            self.make_runnable(task);
        }
        sleeping
    }

    /// Deliver a signal.
    pub(crate) fn signal(&mut self, task: usize) {
        self.tasks[task].signal = true;
        // Whoever waits interruptibly looks again; the others go on waiting.
        if self.tasks[task]
            .prepared
            .is_none_or(|prepared| prepared.interruptible)
        {
            self.make_runnable(task);
        }
    }
}

/// `set_current_state(TASK_INTERRUPTIBLE)`, and `schedule` unless `done`, which is looked at after
/// the task has said that it sleeps. Returns whether the deadline has passed.
#[track_caller]
pub(crate) fn sleep_unless(
    done: impl FnOnce() -> bool,
    queue: usize,
    deadline: Option<u64>,
    place: Place,
) -> bool {
    world(|w| {
        w.me().prepared = Some(Prepared {
            interruptible: true,
            queue,
        });
        w.me().woken = false;
    });
    preempt();
    match done() {
        true => world(|w| w.me().prepared = None),
        false => sleep_prepared(deadline, place),
    }
    deadline.is_some_and(|deadline| world(|w| w.now) >= deadline)
}

/// Wakes the task in `private`, if it sleeps in a state that `mode` has.
pub unsafe extern "C" fn default_wake_function(
    wq_entry: *mut wait_queue_entry,
    mode: ffi::c_uint,
    _flags: ffi::c_int,
    _key: *mut ffi::c_void,
) -> ffi::c_int {
    // SAFETY: the caller gives an entry of a task, and these live as long as the execution.
    let task = unsafe { (*(*wq_entry).private.cast::<task_struct>()).index };
    wake_in_state(task, mode).into()
}

/// `try_to_wake_up`
pub(crate) fn wake_in_state(task: usize, mode: ffi::c_uint) -> bool {
    world(|w| {
        let prepared = w.tasks[task].prepared;
        let wanted = prepared.is_some_and(|prepared| match prepared.interruptible {
            true => mode & TASK_INTERRUPTIBLE != 0,
            false => mode & TASK_UNINTERRUPTIBLE != 0,
        });
        wanted && w.wake_task(task)
    })
}

/// As [`default_wake_function`], and takes the entry off its queue if that woke somebody.
pub unsafe extern "C" fn autoremove_wake_function(
    wq_entry: *mut wait_queue_entry,
    mode: ffi::c_uint,
    sync: ffi::c_int,
    key: *mut ffi::c_void,
) -> ffi::c_int {
    // SAFETY: the caller's promise is passed on.
    let woken = unsafe { default_wake_function(wq_entry, mode, sync, key) };
    if woken != 0 {
        list_del_init(wq_entry);
    }
    woken
}

/// Take the entry off the queue whose lock the caller, a wake function, holds.
pub(crate) fn list_del_init(wq_entry: *mut wait_queue_entry) {
    world(|w| {
        let me = w.current;
        for queue in w.waits.queues.iter_mut() {
            if queue.waker == Some(me) {
                queue.take_off(wq_entry as usize);
            }
        }
    });
}

/// As in Linux: calls the entries' functions under the queue's lock, with interrupts off, until one
/// of them fails or `nr` exclusive ones have woken somebody (all, if `nr` is 0).
#[track_caller]
pub unsafe fn __wake_up(
    wq_head: *mut wait_queue_head,
    mode: ffi::c_uint,
    nr: ffi::c_int,
    key: *mut ffi::c_void,
) -> ffi::c_int {
    let place = Location::caller();
    let head = wq_head as usize;
    preempt();
    let (name, waiters) = locked(wq_head, place, |w| {
        w.irqs_off();
        let me = w.current;
        let queue = w.waits.queue(head, place);
        queue.waker = Some(me);
        (queue.name.clone(), queue.waiters.clone())
    });
    let mut left = nr;
    for Waiter { entry, stays, .. } in waiters {
        if stays {
            // The others only look at their task; this one may do more, so others may run now.
            preempt();
        }
        if !world(|w| w.waits.queue(head, place).has(entry)) {
            continue;
        }
        let entry = entry as *mut wait_queue_entry;
        world(|w| {
            let what = "an entry of a wait queue";
            w.check(entry as usize, size_of::<wait_queue_entry>(), what, place)
        });
        // SAFETY: an entry that is on a queue is there; that it is not freed has been checked.
        let (func, flags) = unsafe { ((*entry).func, (*entry).flags) };
        // SAFETY: whoever queued the entry gave this function for this call, under this lock.
        let woken = func.map_or(0, |func| unsafe { func(entry, mode, 0, key) });
        if woken < 0 {
            break;
        }
        if woken > 0 && flags & WQ_FLAG_EXCLUSIVE != 0 {
            left -= 1;
            if left == 0 {
                break;
            }
        }
    }
    world(|w| {
        // To unlock it touches it.
        w.check(head, size_of::<wait_queue_head>(), "a wait queue", place);
        w.waits.queue(head, place).waker = None;
        w.wake(Key::Addr(head));
        w.irqs_on();
        w.note("wakes", &name, Some(place));
    });
    preempt();
    nr - left
}

#[track_caller]
pub unsafe fn __wake_up_sync(wq_head: *mut wait_queue_head, mode: ffi::c_uint) {
    // SAFETY: the caller's promise is passed on.
    unsafe { __wake_up(wq_head, mode, 1, std::ptr::null_mut()) };
}

/// `POLLFREE`, in a wake-up's key: the queue goes away, its entries have to leave now.
pub(crate) const POLLFREE: u32 = 0x4000;

#[track_caller]
pub unsafe fn __wake_up_pollfree(wq_head: *mut wait_queue_head) {
    let place = Location::caller();
    let key = (POLLHUP | POLLFREE) as usize as *mut ffi::c_void;
    // SAFETY: the caller's promise is passed on.
    unsafe { __wake_up(wq_head, TASK_NORMAL, 0, key) };
    world(|w| {
        let queue = w.waits.queue(wq_head as usize, place);
        let Some(waiter) = queue.waiters.first().copied() else {
            return;
        };
        let message = format!(
            "wait queue {} goes away with POLLFREE, and {} stays on it: poll(2) does not know POLLFREE",
            queue.name.clone(),
            w.tasks[waiter.task].name
        );
        let facts = [
            format!("queued      {}", at(waiter.place)),
            format!("called      {}", at(place)),
        ];
        w.fail(Kind::Misuse, message, &facts)
    });
}

// ---- Tasks ----

pub unsafe fn get_current() -> *mut task_struct {
    world(|w| w.me().task_struct)
}

pub unsafe fn signal_pending(t: *mut task_struct) -> ffi::c_int {
    // SAFETY: task structures live as long as the execution.
    let index = unsafe { (*t).index };
    preempt();
    world(|w| w.tasks[index].signal).into()
}

pub unsafe fn wake_up_process(tsk: *mut task_struct) -> ffi::c_int {
    // SAFETY: task structures live as long as the execution.
    let index = unsafe { (*tsk).index };
    preempt();
    world(|w| w.wake_task(index)).into()
}

pub unsafe fn get_task_struct(_t: *mut task_struct) {}

pub unsafe fn put_task_struct(_t: *mut task_struct) {}

#[track_caller]
pub unsafe fn msleep(msecs: ffi::c_uint) {
    let place = Location::caller();
    world(|w| w.might_sleep("msleep", place));
    sleep_ns(u64::from(msecs) * 1_000_000, "msleep", place);
}

#[track_caller]
pub unsafe fn fsleep(usecs: ffi::c_ulong) {
    let place = Location::caller();
    if usecs > 10 {
        world(|w| w.might_sleep("fsleep", place));
    }
    sleep_ns(usecs as u64 * 1_000, "fsleep", place);
}

#[track_caller]
pub unsafe fn usleep_range(min: ffi::c_ulong, _max: ffi::c_ulong) {
    let place = Location::caller();
    world(|w| w.might_sleep("usleep_range", place));
    sleep_ns(min as u64 * 1_000, "usleep_range", place);
}

#[track_caller]
pub unsafe fn usleep_range_state(min: ffi::c_ulong, max: ffi::c_ulong, _state: ffi::c_uint) {
    // SAFETY: nothing is asked of the caller but a context that may sleep, which is checked.
    unsafe { usleep_range(min, max) }
}

pub unsafe fn udelay(usec: ffi::c_ulong) {
    world(|w| w.now += usec as u64 * 1_000);
    preempt();
}

pub unsafe fn mdelay(msecs: ffi::c_ulong) {
    world(|w| w.now += msecs as u64 * 1_000_000);
    preempt();
}

// ---- Completions ----

#[track_caller]
pub unsafe fn init_completion(x: *mut completion) {
    let place = Location::caller();
    try_world(|w| {
        w.check(x as usize, size_of::<completion>(), "a completion", place);
        w.waits
            .completions
            .set(x as usize, Completion { place, waiting: 0 });
    });
    // SAFETY: the caller gives a completion's memory.
    unsafe { x.write(completion::default()) };
}

#[track_caller]
pub unsafe fn reinit_completion(x: *mut completion) {
    let place = Location::caller();
    preempt();
    world(|w| w.check(x as usize, size_of::<completion>(), "a completion", place));
    // SAFETY: the caller gives a completion, and it has just been checked.
    unsafe { (*x).done = 0 };
}

#[track_caller]
fn complete_with(x: *mut completion, all: bool, place: Place) {
    preempt();
    world(|w| {
        w.check(x as usize, size_of::<completion>(), "a completion", place);
        w.note("completes", &nobody(), Some(place));
        // SAFETY: just checked; no other task runs meanwhile.
        let done = unsafe { &mut (*x).done };
        *done = match all {
            true => u32::MAX,
            false => done.saturating_add(u32::from(*done != u32::MAX)),
        };
        w.wake(Key::Addr(x as usize));
    });
    preempt();
}

#[track_caller]
pub unsafe fn complete(x: *mut completion) {
    complete_with(x, false, Location::caller());
}

#[track_caller]
pub unsafe fn complete_all(x: *mut completion) {
    complete_with(x, true, Location::caller());
}

/// How a wait for a completion ended.
enum Waited {
    Done,
    Signal,
    Timeout,
}

#[track_caller]
fn wait_completion(
    x: *mut completion,
    interruptible: bool,
    timeout: Option<u64>,
    place: Place,
) -> Waited {
    let address = x as usize;
    step("waits for a completion", &nobody(), place);
    let deadline = world(|w| {
        w.might_sleep("wait_for_completion", place);
        w.check(address, size_of::<completion>(), "a completion", place);
        w.waits
            .completions
            .get_or_insert_with(address, || Completion { place, waiting: 0 })
            .waiting += 1;
        timeout.map(|timeout| w.now + timeout)
    });
    let result = loop {
        let result = world(|w| {
            w.check(address, size_of::<completion>(), "a completion", place);
            // SAFETY: just checked; no other task runs meanwhile.
            let done = unsafe { &mut (*x).done };
            if *done > 0 {
                if *done != u32::MAX {
                    *done -= 1;
                }
                return Some(Waited::Done);
            }
            if interruptible && w.me().signal {
                return Some(Waited::Signal);
            }
            deadline
                .is_some_and(|deadline| w.now >= deadline)
                .then_some(Waited::Timeout)
        });
        if let Some(result) = result {
            break result;
        }
        let why = Why::waits("a completion".into());
        block(State::Blocked {
            key: Key::Addr(address),
            why,
            deadline,
            place: Some(place),
        });
    };
    world(|w| {
        if let Some(completion) = w.waits.completions.get_mut(address) {
            completion.waiting -= 1;
        }
    });
    result
}

#[track_caller]
pub unsafe fn wait_for_completion(x: *mut completion) {
    wait_completion(x, false, None, Location::caller());
}

#[track_caller]
pub unsafe fn wait_for_completion_interruptible(x: *mut completion) -> ffi::c_int {
    match wait_completion(x, true, None, Location::caller()) {
        Waited::Signal => -(ERESTARTSYS as ffi::c_int),
        _ => 0,
    }
}

#[track_caller]
pub unsafe fn wait_for_completion_killable(x: *mut completion) -> ffi::c_int {
    // SAFETY: the caller's promise is passed on. The model's signals are all fatal ones.
    unsafe { wait_for_completion_interruptible(x) }
}

#[track_caller]
pub unsafe fn wait_for_completion_timeout(
    x: *mut completion,
    timeout: ffi::c_ulong,
) -> ffi::c_ulong {
    let limit = (timeout as u64).saturating_mul(JIFFY_NS).min(u64::MAX / 4);
    match wait_completion(x, false, Some(limit), Location::caller()) {
        Waited::Timeout => 0,
        _ => timeout.max(1),
    }
}

#[track_caller]
pub unsafe fn wait_for_completion_interruptible_timeout(
    x: *mut completion,
    timeout: ffi::c_ulong,
) -> ffi::c_long {
    let limit = (timeout as u64).saturating_mul(JIFFY_NS).min(u64::MAX / 4);
    match wait_completion(x, true, Some(limit), Location::caller()) {
        Waited::Timeout => 0,
        Waited::Signal => -(ERESTARTSYS as ffi::c_long),
        Waited::Done => timeout.max(1) as ffi::c_long,
    }
}

#[track_caller]
pub unsafe fn try_wait_for_completion(x: *mut completion) -> bool_ {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check(x as usize, size_of::<completion>(), "a completion", place);
        // SAFETY: just checked; no other task runs meanwhile.
        let done = unsafe { &mut (*x).done };
        match *done {
            0 => false,
            u32::MAX => true,
            _ => {
                *done -= 1;
                true
            }
        }
    })
}

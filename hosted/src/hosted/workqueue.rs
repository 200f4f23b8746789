//! Work items and workqueues, after what `kernel/workqueue.c` documents.
//!
//! A work item is *pending* (its timer runs, or it is queued) or not, and *running* or not,
//! independently: the pending bit is cleared before its function is called, so it can be queued again
//! meanwhile. On one workqueue it never runs on two workers at once; on two workqueues it may. While it
//! is disabled it cannot be queued.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::machine::{
    at, block_until, preempt, serve, spawn, step, world, Key, Place, State, TaskKind, Why, World,
    CPUS,
};
use super::report::Kind;
use super::softirq::start_softirqs;
use super::table::Table;
use super::{cname, ledger};
use crate::bindings::{
    bool_, delayed_work, lock_class_key, timer_list, work_bits_WORK_OFFQ_DISABLE_SHIFT,
    work_flags_WORK_STRUCT_PENDING, work_flags_WORK_STRUCT_PWQ, work_func_t, work_struct,
    workqueue_struct, wq_consts_WQ_MAX_ACTIVE, wq_flags_WQ_BH, wq_flags_WQ_HIGHPRI,
    wq_flags_WQ_PERCPU, wq_flags_WQ_UNBOUND, wq_misc_consts_WORK_CPU_UNBOUND, GFP_KERNEL,
};
use crate::ffi;
use std::alloc::Layout;
use std::collections::VecDeque;
use std::mem::offset_of;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;

/// More workers than this are never needed to show a problem.
const MAX_WORKERS: usize = 6;

/// Nanoseconds in a tick.
const TICK: u64 = 1_000_000;

#[derive(Debug)]
struct Work {
    name: Rc<str>,
    pending: bool,
    /// Pending, and not queued yet: when its timer ends.
    timer: Option<u64>,
    /// The queue that it is on or was on last, and the CPU on which it was queued.
    queue: usize,
    cpu: usize,
    /// That CPU was asked for.
    bound: bool,
    running: Vec<Running>,
    disabled: u32,
    /// Its PENDING bit is set by somebody who disables or enables it, or who is about to find that it is
    /// disabled. Others cannot tell that from pending, unless it is disabled.
    held: bool,
    /// How often it was queued, and up to which of those it has run (or was cancelled).
    queued: u64,
    finished: u64,
    set_up: Place,
    queued_at: Option<Place>,
}

/// A run of a work item.
#[derive(Debug)]
struct Running {
    worker: usize,
    queue: usize,
    cpu: usize,
    instance: u64,
}

impl Work {
    fn runs_on(&self, queue: usize) -> Option<&Running> {
        self.running.iter().find(|run| run.queue == queue)
    }

    /// Lets the structure say what `enum work_bits` of `include/linux/workqueue.h` describes, for whoever
    /// looks without a lock. The model does not read it.
    fn say(&self, address: usize) {
        let data = if self.pending && self.timer.is_none() {
            work_flags_WORK_STRUCT_PENDING | work_flags_WORK_STRUCT_PWQ
        } else {
            let pending = u32::from(self.pending || self.held) * work_flags_WORK_STRUCT_PENDING;
            pending | self.disabled << work_bits_WORK_OFFQ_DISABLE_SHIFT
        };
        // SAFETY: the model forgets a work item when its memory is freed.
        unsafe { (*(address as *mut work_struct)).data.counter = data.into() };
    }

    /// Pending or running where `flush_work()` looks: on the queue that it was on last.
    fn is_busy(&self) -> bool {
        self.pending || self.runs_on(self.queue).is_some()
    }
}

#[derive(Debug)]
struct Queue {
    name: Rc<str>,
    flags: ffi::c_uint,
    max_active: usize,
    /// `drain_workqueue()` or `destroy_workqueue()` is at it: only its own work may queue on it.
    draining: bool,
    place: Place,
}

#[derive(Default, Debug)]
pub(crate) struct Works {
    known: Table<Work>,
    /// What workers will run, in order.
    pending: VecDeque<usize>,
    /// What each CPU's soft interrupts will run: of high priority, and the others.
    bh: [[VecDeque<usize>; 2]; CPUS],
    /// (task, work) for what runs.
    running: Vec<(usize, usize)>,
    queues: Table<Queue>,
    workers: usize,
    /// There is a task that waits for timers.
    timers: bool,
    named: u32,
}

/// What became of trying to make a work item pending.
enum Claim {
    /// It now is, and has to be queued.
    Taken,
    /// It was already, or so it seems.
    Pending,
    /// It is disabled, and the caller has to [`let_go`].
    Disabled,
}

/// What has to be started for a work item that was queued.
enum Kick {
    Worker(usize),
    SoftIrq(usize),
    Nothing,
}

impl Kick {
    fn off(self) {
        match self {
            Kick::Worker(number) => {
                let name = format!("kworker{number}").into();
                spawn(name, TaskKind::Kthread, None, worker);
            }
            Kick::SoftIrq(cpu) => {
                start_softirqs(cpu);
                world(|w| w.wake(Key::CpuSoft(cpu)));
            }
            Kick::Nothing => {}
        }
    }
}

impl Works {
    pub(crate) fn active_in(
        &self,
        range: &Range<usize>,
        current: usize,
    ) -> Option<(String, Vec<String>)> {
        self.known.in_range(range).find_map(|(_, work)| {
            // A work item may free itself.
            let what = if work.running.iter().any(|run| run.worker != current) {
                format!("{}, which runs,", work.name)
            } else if work.timer.is_some() {
                format!("{}, whose timer runs,", work.name)
            } else if work.pending {
                format!("{}, which is queued,", work.name)
            } else {
                return None;
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

    /// Whether a CPU's soft interrupts have work.
    pub(crate) fn bh_due(&self, cpu: usize) -> bool {
        self.bh[cpu].iter().any(|list| !list.is_empty())
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
                timer: None,
                queue: 0,
                cpu: 0,
                bound: false,
                running: Vec::new(),
                disabled: 0,
                held: false,
                queued: 0,
                finished: 0,
                set_up: place,
                queued_at: None,
            }
        })
    }

    /// The flags of a queue of the system's or of a driver's.
    fn flags(&self, queue: usize) -> ffi::c_uint {
        if let Some(queue) = self.queues.get(queue) {
            return queue.flags;
        }
        // SAFETY: nobody writes these.
        let system = unsafe {
            [
                (crate::bindings::system_bh_wq, wq_flags_WQ_BH),
                (
                    crate::bindings::system_bh_highpri_wq,
                    wq_flags_WQ_BH | wq_flags_WQ_HIGHPRI,
                ),
                (crate::bindings::system_dfl_wq, wq_flags_WQ_UNBOUND),
                (crate::bindings::system_dfl_long_wq, wq_flags_WQ_UNBOUND),
                (crate::bindings::system_unbound_wq, wq_flags_WQ_UNBOUND),
            ]
        };
        system
            .iter()
            .find(|&&(wq, _)| wq as usize == queue)
            .map_or(wq_flags_WQ_PERCPU, |&(_, flags)| flags)
    }

    /// Whether a queue has as many active items as it may have: in all, or on this CPU.
    fn is_full(&self, queue: usize, cpu: usize) -> bool {
        let Some(known) = self.queues.get(queue) else {
            return false;
        };
        let everywhere = known.flags & wq_flags_WQ_UNBOUND != 0;
        let active = self
            .known
            .iter()
            .flat_map(|(_, work)| &work.running)
            .filter(|run| run.queue == queue && (everywhere || run.cpu == cpu))
            .count();
        active >= known.max_active
    }

    /// The first pending work item that may run.
    fn next(&mut self) -> Option<usize> {
        let index = self.pending.iter().position(|&address| {
            let Some(work) = self.known.get(address) else {
                return false;
            };
            work.runs_on(work.queue).is_none() && !self.is_full(work.queue, work.cpu)
        })?;
        self.pending.remove(index)
    }

    fn take_back(&mut self, address: usize) -> bool {
        let Some(work) = self.known.get_mut(address) else {
            return false;
        };
        let was_pending = std::mem::take(&mut work.pending);
        if was_pending {
            // What its timer would have queued was never an instance.
            if work.timer.take().is_none() {
                work.finished = work.queued;
            }
            work.say(address);
            self.pending.retain(|&other| other != address);
            for list in self.bh.iter_mut().flatten() {
                list.retain(|&other| other != address);
            }
        }
        was_pending
    }

    /// When the next timer ends, and of which work item.
    fn next_timer(&self) -> Option<(u64, usize)> {
        self.known
            .iter()
            .filter_map(|(address, work)| Some((work.timer?, *address)))
            .min_by_key(|&(when, _)| when)
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

    #[track_caller]
    fn check_delayed(&mut self, dwork: *mut delayed_work, place: Place) {
        self.check(
            dwork as usize,
            size_of::<delayed_work>(),
            "a delayed work item",
            place,
        );
    }

    /// `test_and_set_bit(WORK_STRUCT_PENDING_BIT)`, and what that means.
    fn claim(&mut self, address: usize, place: Place) -> Claim {
        let item = self.works.get(address, place);
        if item.pending || item.held {
            return Claim::Pending;
        }
        if item.disabled > 0 {
            self.hold(address, place);
            return Claim::Disabled;
        }
        item.pending = true;
        item.queued_at = Some(place);
        item.say(address);
        Claim::Taken
    }

    /// The current task has the PENDING bit until [`let_go`], with interrupts off.
    fn hold(&mut self, address: usize, place: Place) {
        let item = self.works.get(address, place);
        item.held = true;
        item.say(address);
        self.irqs_off();
    }

    /// `__queue_work`: puts a work item that is pending on a queue.
    fn queue(&mut self, address: usize, wq: usize, cpu: ffi::c_int, place: Place) -> Kick {
        if self.allocated_at(wq).is_some() {
            self.check(wq, size_of::<workqueue_struct>(), "a workqueue", place);
        }
        let me = self.current;
        let bound = cpu != wq_misc_consts_WORK_CPU_UNBOUND as ffi::c_int;
        let mut on = if bound { cpu as usize } else { self.my_cpu() };
        if on >= CPUS {
            let message = format!("work is queued on cpu {cpu}, which there is not");
            self.fail(
                Kind::Misuse,
                message,
                &[format!("queued      {}", at(place))],
            );
        }
        if let Some(queue) = self.works.queues.get(wq).filter(|queue| queue.draining) {
            let queue = queue.name.clone();
            let chained = |&(task, work): &(usize, usize)| {
                let item = self.works.known.get(work);
                task == me && item.is_some_and(|item| item.runs_on(wq).is_some())
            };
            if !self.works.running.iter().any(chained) {
                let message = format!("work is queued on {queue}, which is being drained");
                self.fail(
                    Kind::Misuse,
                    message,
                    &[format!("queued      {}", at(place))],
                );
            }
        }
        let flags = self.works.flags(wq);
        let item = self.works.get(address, place);
        if let Some(run) = item.runs_on(wq) {
            // It waits for itself, where it is.
            on = run.cpu;
        }
        item.timer = None;
        item.queue = wq;
        item.cpu = on;
        item.bound = bound;
        item.queued += 1;
        item.say(address);
        let name = item.name.clone();
        self.note("queues", &name, Some(place));
        if flags & wq_flags_WQ_BH != 0 {
            let list = usize::from(flags & wq_flags_WQ_HIGHPRI == 0);
            self.works.bh[on][list].push_back(address);
            return Kick::SoftIrq(on);
        }
        self.works.pending.push_back(address);
        self.wake(Key::Worker);
        let works = &mut self.works;
        let busy = works
            .running
            .iter()
            .filter(|(task, _)| self.tasks[*task].kind == TaskKind::Kthread)
            .count();
        let idle = works.workers - busy;
        if idle >= works.pending.len().min(2) || works.workers >= MAX_WORKERS {
            return Kick::Nothing;
        }
        works.workers += 1;
        Kick::Worker(works.workers)
    }

    /// `__queue_delayed_work`: now, or when a timer ends.
    fn queue_later(&mut self, dwork: *mut delayed_work, delay: ffi::c_ulong, place: Place) -> Kick {
        // SAFETY: the caller gives a delayed work item; that it is not freed has been checked.
        let (timer, wq, cpu) = unsafe {
            let dwork = &*dwork;
            (dwork.timer.function, dwork.wq, dwork.cpu)
        };
        let address = dwork as usize;
        if timer.is_none() {
            let message = format!(
                "{} is queued with a delay, and has no timer",
                self.works.name(address)
            );
            self.fail(
                Kind::Misuse,
                message,
                &[format!("queued      {}", at(place))],
            );
        }
        if delay == 0 {
            return self.queue(address, wq as usize, cpu, place);
        }
        let when = self.now + delay as u64 * TICK;
        let item = self.works.get(address, place);
        item.timer = Some(when);
        item.say(address);
        let name = item.name.clone();
        self.note("starts the timer of", &name, Some(place));
        self.wake(Key::Timer);
        Kick::Nothing
    }

    /// A run of a work item begins. Its function, and what `end` wants to know.
    fn begin(&mut self, address: usize) -> Option<(work_func_t, Rc<str>)> {
        let me = self.current;
        if let Some(facts) = self.freed_facts(address) {
            let name = self.works.name(address);
            self.fail(
                Kind::RanAfterFree,
                format!("{name} would run in freed memory"),
                &facts,
            );
        }
        let work = self.works.known.get_mut(address)?;
        work.pending = false;
        work.say(address);
        work.running.push(Running {
            worker: me,
            queue: work.queue,
            cpu: work.cpu,
            instance: work.queued,
        });
        let (name, bound, cpu) = (work.name.clone(), work.bound, work.cpu);
        if bound && self.tasks[me].kind == TaskKind::Kthread {
            self.tasks[me].cpu = cpu;
            self.tasks[me].bound = true;
        }
        self.works.running.push((me, address));
        self.note("runs", &name, None);
        // SAFETY: the item's memory is there: it is pending, and was just checked.
        Some((unsafe { (*(address as *mut work_struct)).func }, name))
    }

    /// It is over. The function may have freed the item: only the model's own record is touched.
    fn end(&mut self, address: usize, name: &Rc<str>) {
        let me = self.current;
        let process = self.tasks[me].kind == TaskKind::Kthread;
        if let Some(why) = self.why_atomic().filter(|_| process) {
            let message = format!("{name} returned {why}");
            self.fail(Kind::Misuse, message, &[]);
        }
        self.tasks[me].bound = false;
        self.works.running.retain(|&(task, _)| task != me);
        if let Some(work) = self.works.known.get_mut(address) {
            if let Some(at) = work.running.iter().position(|run| run.worker == me) {
                let run = work.running.remove(at);
                work.finished = work.finished.max(run.instance);
            }
        }
        self.note("is done with", name, None);
        self.wake(Key::Addr(address));
        self.wake(Key::Worker);
    }
}

/// Calls the function of a work item whose run has begun.
fn run(address: usize, function: work_func_t, name: &Rc<str>) {
    preempt();
    if let Some(function) = function {
        // SAFETY: whoever queued the item promised that its function may be called.
        unsafe { function(address as *mut work_struct) };
    }
    preempt();
    world(|w| w.end(address, name));
}

/// A worker's life.
fn worker() {
    serve(
        Key::Worker,
        |w| {
            let address = w.works.next()?;
            let (function, name) = w.begin(address)?;
            Some((address, function, name))
        },
        |(address, function, name)| run(address, function, &name),
    );
}

/// `workqueue_softirq_action`: what is on this CPU's BH queues now, of high priority first. Returns
/// whether there was anything.
pub(crate) fn run_bh(cpu: usize) -> bool {
    let due: Vec<usize> = world(|w| w.works.bh[cpu].iter().flatten().copied().collect());
    let mut ran = false;
    for address in due {
        let begun = world(|w| {
            // It may have been cancelled meanwhile.
            let list = w.works.bh[cpu]
                .iter_mut()
                .find(|list| list.contains(&address))?;
            list.retain(|&other| other != address);
            w.begin(address)
        });
        if let Some((function, name)) = begun {
            run(address, function, &name);
            ran = true;
        }
    }
    ran
}

/// The life of the task that waits for the timers of delayed work.
fn timers() {
    enum Next {
        Kick(Kick),
        Wait,
        Stop,
    }
    loop {
        let next = world(|w| match w.works.next_timer() {
            Some((when, address)) if when <= w.now => Next::Kick(w.timer_ends(address)),
            _ if w.shutdown => Next::Stop,
            next => {
                w.me().state = State::Blocked {
                    key: Key::Timer,
                    why: Why::idle(),
                    deadline: next.map(|(when, _)| when),
                    place: None,
                };
                Next::Wait
            }
        });
        match next {
            Next::Kick(kick) => kick.off(),
            Next::Wait => {}
            Next::Stop => return,
        }
        preempt();
    }
}

impl World {
    /// `delayed_work_timer_fn`.
    fn timer_ends(&mut self, address: usize) -> Kick {
        let name = self.works.name(address);
        if let Some(facts) = self.freed_facts(address) {
            self.fail(
                Kind::RanAfterFree,
                format!("the timer of {name} would queue it in freed memory"),
                &facts,
            );
        }
        let item = self.works.known.get(address);
        let place = item
            .and_then(|item| item.queued_at)
            .unwrap_or(Location::caller());
        // SAFETY: only delayed work has a timer, and its memory was just checked.
        let (wq, cpu) = unsafe {
            let dwork = &*(address as *mut delayed_work);
            (dwork.wq as usize, dwork.cpu)
        };
        self.queue(address, wq, cpu, place)
    }
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

/// What the timer of a delayed work item calls, and nobody else.
pub unsafe extern "C" fn delayed_work_timer_fn(t: *mut timer_list) {
    let address = t as usize - offset_of!(delayed_work, timer);
    world(|w| w.timer_ends(address)).off();
}

#[track_caller]
pub unsafe fn queue_work_on(
    cpu: ffi::c_int,
    wq: *mut workqueue_struct,
    work: *mut work_struct,
) -> bool_ {
    let place = Location::caller();
    preempt();
    let address = work as usize;
    let queued = world(|w| {
        w.check_work(work, place);
        // A disabled work item does not look at the queue.
        match w.claim(address, place) {
            Claim::Taken => Ok(w.queue(address, wq as usize, cpu, place)),
            other => Err(other),
        }
    });
    finish(address, queued)
}

/// What is left to do when a work item was queued, or was not. Returns whether it was.
fn finish(address: usize, queued: std::result::Result<Kick, Claim>) -> bool {
    match queued {
        Ok(kick) => kick.off(),
        Err(Claim::Disabled) => {
            preempt();
            let_go(address);
            return false;
        }
        Err(_) => {
            preempt();
            return false;
        }
    }
    preempt();
    true
}

/// Gives back what [`World::hold`] has taken.
fn let_go(address: usize) {
    world(|w| {
        if let Some(item) = w.works.known.get_mut(address) {
            item.held = false;
            item.say(address);
        }
        w.wake(Key::Addr(address));
        w.irqs_on();
    });
    preempt();
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

/// Start the task that waits for timers, if there is none yet.
fn start_timers() {
    if !world(|w| std::mem::replace(&mut w.works.timers, true)) {
        spawn("timer".into(), TaskKind::Kthread, None, timers);
    }
}

/// `queue_delayed_work_on`, or with `steal` `mod_delayed_work_on`. Whether it was pending, and whether
/// it now is.
#[track_caller]
fn delay(
    cpu: ffi::c_int,
    wq: *mut workqueue_struct,
    dwork: *mut delayed_work,
    delay: ffi::c_ulong,
    steal: bool,
    place: Place,
) -> (bool, bool) {
    preempt();
    start_timers();
    let address = dwork as usize;
    world(|w| w.check_delayed(dwork, place));
    let was_pending = match steal {
        true => grab(address, true, place),
        false => world(|w| w.works.get(address, place).pending),
    };
    let queued = world(|w| {
        w.check_delayed(dwork, place);
        if steal {
            // What was grabbed is queued at once, and if it is disabled, let go of.
            let item = w.works.get(address, place);
            if item.disabled > 0 {
                return Err(Claim::Disabled);
            }
            item.held = false;
            w.irqs_on();
        }
        match w.claim(address, place) {
            Claim::Taken => {}
            other => return Err(other),
        }
        // SAFETY: just checked.
        unsafe {
            (*dwork).wq = wq;
            (*dwork).cpu = cpu;
        }
        Ok(w.queue_later(dwork, delay, place))
    });
    (was_pending, finish(address, queued))
}

#[track_caller]
pub unsafe fn queue_delayed_work_on(
    cpu: ffi::c_int,
    wq: *mut workqueue_struct,
    work: *mut delayed_work,
    delay: ffi::c_ulong,
) -> bool_ {
    self::delay(cpu, wq, work, delay, false, Location::caller()).1
}

#[track_caller]
pub unsafe fn mod_delayed_work_on(
    cpu: ffi::c_int,
    wq: *mut workqueue_struct,
    dwork: *mut delayed_work,
    delay: ffi::c_ulong,
) -> bool_ {
    self::delay(cpu, wq, dwork, delay, true, Location::caller()).0
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
        // What a timer will queue is not waited for.
        (item.is_busy() && item.timer.is_none()).then(|| (item.queued, item.name.clone()))
    }) else {
        return false;
    };
    block_until(
        Key::Addr(address),
        Some(place),
        |w| {
            let item = w.works.known.get(address);
            match item.and_then(|item| item.runs_on(item.queue)) {
                Some(run) => Why::held(
                    "waits for",
                    format!("{name}, which runs").into(),
                    run.worker,
                ),
                None => Why::waits(format!("{name}, which is queued").into()),
            }
        },
        |w| {
            let over = w.works.known.get(address).is_none_or(|item| {
                let runs = item.runs_on(item.queue).is_some();
                !runs && (!item.pending || item.finished >= target)
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
pub unsafe fn flush_delayed_work(dwork: *mut delayed_work) -> bool_ {
    let place = Location::caller();
    preempt();
    let kick = world(|w| {
        w.check_delayed(dwork, place);
        let item = w.works.known.get(dwork as usize)?;
        item.timer?;
        Some(w.timer_ends(dwork as usize))
    });
    if let Some(kick) = kick {
        kick.off();
    }
    // SAFETY: the caller's promise is passed on; the work item comes first.
    unsafe { flush_work(dwork.cast()) }
}

/// `work_grab_pending()`: takes a pending work item back, and holds it. One whose timer runs can only be
/// taken by who knows of the timer. Returns whether it was pending.
#[track_caller]
fn grab(address: usize, delayed: bool, place: Place) -> bool {
    let was_pending = block_until(
        Key::Addr(address),
        Some(place),
        |w| Why::waits(format!("{}, which another task disables", w.works.name(address)).into()),
        |w| {
            w.check_work(address as *mut work_struct, place);
            let item = w.works.get(address, place);
            if item.held {
                return None;
            }
            if item.timer.is_some() && !delayed {
                let message = format!(
                    "{} is cancelled or disabled as if it had no timer, which runs",
                    item.name
                );
                w.fail(
                    Kind::Misuse,
                    message,
                    &[format!("called      {}", at(place))],
                );
            }
            let was_pending = w.works.take_back(address);
            w.hold(address, place);
            w.wake(Key::Addr(address));
            Some(was_pending)
        },
    );
    preempt();
    was_pending
}

#[track_caller]
fn disable(work: *mut work_struct, delayed: bool, place: Place) -> bool {
    let address = work as usize;
    let name = world(|w| {
        w.check_work(work, place);
        w.works.name(address)
    });
    step("disables", &name, place);
    let was_pending = grab(address, delayed, place);
    world(|w| w.works.get(address, place).disabled += 1);
    let_go(address);
    was_pending
}

/// What was last on a BH queue is waited for without sleeping.
#[track_caller]
fn disable_sync(work: *mut work_struct, delayed: bool, what: &str, place: Place) -> bool {
    world(|w| {
        let item = w.works.known.get(work as usize);
        let bh = item
            .is_some_and(|item| item.queued > 0 && w.works.flags(item.queue) & wq_flags_WQ_BH != 0);
        if !bh || w.tasks[w.current].kind == TaskKind::HardIrq {
            w.might_sleep(what, place);
        }
    });
    let was_pending = disable(work, delayed, place);
    flush(work, place);
    world(|w| {
        let name = w.works.name(work as usize);
        w.note("has disabled", &name, Some(place));
    });
    preempt();
    was_pending
}

#[track_caller]
pub unsafe fn disable_work(work: *mut work_struct) -> bool_ {
    disable(work, false, Location::caller())
}

#[track_caller]
pub unsafe fn disable_work_sync(work: *mut work_struct) -> bool_ {
    disable_sync(work, false, "disable_work_sync", Location::caller())
}

#[track_caller]
pub unsafe fn disable_delayed_work(dwork: *mut delayed_work) -> bool_ {
    disable(dwork.cast(), true, Location::caller())
}

#[track_caller]
pub unsafe fn disable_delayed_work_sync(dwork: *mut delayed_work) -> bool_ {
    disable_sync(
        dwork.cast(),
        true,
        "disable_delayed_work_sync",
        Location::caller(),
    )
}

#[track_caller]
pub unsafe fn enable_work(work: *mut work_struct) -> bool_ {
    let place = Location::caller();
    preempt();
    let address = work as usize;
    grab(address, true, place);
    let enabled = world(|w| {
        let item = w.works.get(address, place);
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
    });
    let_go(address);
    enabled
}

#[track_caller]
pub unsafe fn enable_delayed_work(dwork: *mut delayed_work) -> bool_ {
    // SAFETY: the caller's promise is passed on; the work item comes first.
    unsafe { enable_work(dwork.cast()) }
}

#[track_caller]
fn cancel(work: *mut work_struct, delayed: bool, place: Place) -> bool {
    preempt();
    let was_pending = grab(work as usize, delayed, place);
    let_go(work as usize);
    was_pending
}

#[track_caller]
pub unsafe fn cancel_work(work: *mut work_struct) -> bool_ {
    cancel(work, false, Location::caller())
}

#[track_caller]
pub unsafe fn cancel_delayed_work(dwork: *mut delayed_work) -> bool_ {
    cancel(dwork.cast(), true, Location::caller())
}

/// The item cannot be queued while this waits.
#[track_caller]
fn cancel_sync(work: *mut work_struct, delayed: bool, what: &str, place: Place) -> bool {
    let was_pending = disable_sync(work, delayed, what, place);
    world(|w| w.check_work(work, place));
    // SAFETY: disabled just now.
    unsafe { enable_work(work) };
    was_pending
}

#[track_caller]
pub unsafe fn cancel_work_sync(work: *mut work_struct) -> bool_ {
    cancel_sync(work, false, "cancel_work_sync", Location::caller())
}

#[track_caller]
pub unsafe fn cancel_delayed_work_sync(dwork: *mut delayed_work) -> bool_ {
    cancel_sync(
        dwork.cast(),
        true,
        "cancel_delayed_work_sync",
        Location::caller(),
    )
}

#[track_caller]
pub unsafe fn work_busy(work: *mut work_struct) -> ffi::c_uint {
    world(|w| {
        w.works.known.get(work as usize).map_or(0, |item| {
            ffi::c_uint::from(item.pending || item.held)
                | ffi::c_uint::from(!item.running.is_empty()) << 1
        })
    })
}

/// Null in a soft interrupt, even if that runs a work item.
pub unsafe fn current_work() -> *mut work_struct {
    world(|w| {
        let me = w.current;
        let running = w.works.running.iter().find(|&&(task, _)| task == me);
        match running {
            Some(&(_, work)) if w.tasks[me].kind == TaskKind::Kthread => work as *mut work_struct,
            _ => std::ptr::null_mut(),
        }
    })
}

/// C's has arguments for its format. Here that is `"%s"`, and the one argument is the name.
#[track_caller]
pub unsafe fn alloc_workqueue_noprof(
    fmt: *const ffi::c_char,
    flags: ffi::c_uint,
    max_active: ffi::c_int,
    name: *const ffi::c_char,
) -> *mut workqueue_struct {
    let place = Location::caller();
    assert_eq!(
        &*cname(fmt, ""),
        "%s",
        "the model knows no other format for the name of a workqueue"
    );
    let name = cname(name, "workqueue");
    world(|w| {
        w.might_sleep("alloc_workqueue", place);
        let bh_allows = wq_flags_WQ_BH | wq_flags_WQ_HIGHPRI | wq_flags_WQ_PERCPU;
        let kinds = wq_flags_WQ_PERCPU | wq_flags_WQ_UNBOUND;
        let bh = flags & wq_flags_WQ_BH != 0;
        let wrong = if bh && (flags & !bh_allows != 0 || max_active != 0) {
            "is a BH workqueue with what such a queue cannot have"
        } else if flags & kinds == 0 {
            "is neither WQ_PERCPU nor WQ_UNBOUND"
        } else if flags & kinds == kinds {
            "is both WQ_PERCPU and WQ_UNBOUND"
        } else if !(0..=wq_consts_WQ_MAX_ACTIVE as ffi::c_int).contains(&max_active) {
            "has a max_active that is out of range"
        } else {
            return;
        };
        let facts = [format!("allocated   {}", at(place))];
        w.fail(Kind::Misuse, format!("workqueue {name} {wrong}"), &facts);
    });
    let wq = ledger::alloc(Layout::new::<workqueue_struct>(), GFP_KERNEL, "workqueue");
    if !wq.is_null() {
        let max_active = match max_active {
            0 => usize::MAX,
            some => some as usize,
        };
        let queue = Queue {
            name,
            flags,
            max_active,
            draining: false,
            place,
        };
        world(|w| w.works.queues.set(wq as usize, queue));
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
            .filter(|(_, item)| item.queue == wq as usize && item.is_busy())
            .map(|&(address, _)| address)
            .collect()
    });
    for item in items {
        // It may have ended, and its memory may have gone, while another was waited for.
        if world(|w| w.freed_facts(item).is_none()) {
            flush(item as *mut work_struct, place);
        }
    }
}

/// From here on nobody but its own work queues on it.
fn begin_to_drain(w: &mut World, wq: usize) {
    if let Some(queue) = w.works.queues.get_mut(wq) {
        queue.draining = true;
    }
}

#[track_caller]
fn drain(wq: *mut workqueue_struct, place: Place) {
    world(|w| begin_to_drain(w, wq as usize));
    // SAFETY: the caller's promise is passed on.
    unsafe { __flush_workqueue(wq) };
    block_until(
        Key::Worker,
        Some(place),
        |_| Why::waits("a workqueue to drain".into()),
        |w| {
            let busy = |(_, item): &(usize, Work)| {
                let queued = item.pending && item.timer.is_none() && item.queue == wq as usize;
                queued || item.runs_on(wq as usize).is_some()
            };
            (!w.works.known.iter().any(busy)).then_some(())
        },
    );
}

#[track_caller]
pub unsafe fn drain_workqueue(wq: *mut workqueue_struct) {
    drain(wq, Location::caller());
    world(|w| {
        if let Some(queue) = w.works.queues.get_mut(wq as usize) {
            queue.draining = false;
        }
    });
}

#[track_caller]
pub unsafe fn destroy_workqueue(wq: *mut workqueue_struct) {
    let place = Location::caller();
    world(|w| {
        let size = size_of::<workqueue_struct>();
        w.check(wq as usize, size, "a workqueue", place);
        w.might_sleep("destroy_workqueue", place);
    });
    drain(wq, place);
    world(|w| {
        // C cannot see these: it would queue them on freed memory, when their timers end.
        let waits = |(address, item): &(usize, Work)| {
            // SAFETY: only delayed work has a timer, and memory that is freed with a running timer
            // has been reported.
            let on = item
                .timer
                .map(|_| unsafe { (*(*address as *mut delayed_work)).wq });
            (on == Some(wq)).then(|| (item.name.clone(), item.queued_at))
        };
        let found = w.works.known.iter().find_map(waits);
        if let Some((name, queued)) = found {
            let mut facts = vec![format!("destroyed   {}", at(place))];
            facts.extend(queued.map(|place| format!("queued      {}", at(place))));
            let message =
                format!("a workqueue is destroyed on which the timer of {name} queues it");
            w.fail(Kind::FreedWhileActive, message, &facts);
        }
        w.works.queues.remove(wq as usize);
    });
    ledger::free(wq.cast());
}

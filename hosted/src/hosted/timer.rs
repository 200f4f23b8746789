//! Timers, after `kernel/time/timer.c`, and high-resolution timers, after `kernel/time/hrtimer.c`.
//!
//! A timer is *pending* (queued, to expire on one CPU) or not, and *running* or not, independently: it is
//! taken off its queue before its function is called, so it can be queued again meanwhile, and then
//! stays on the CPU where it runs. So it never runs on two CPUs at once.
//!
//! Time passes when nothing else can happen, and by chance: then what is first due comes. Its CPU finds
//! it as soon as that may be interrupted, and until then it can still be stopped.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::irq::start_hardirqs;
use super::machine::{
    at, block_until, preempt, step, world, Key, Place, TaskKind, Why, World, CPUS,
};
use super::report::Kind;
use super::softirq::start_softirqs;
use super::table::Table;
use crate::bindings::{
    self, clockid_t, hrtimer, hrtimer_mode, hrtimer_mode_HRTIMER_MODE_REL,
    hrtimer_mode_HRTIMER_MODE_SOFT, hrtimer_restart, ktime_t, lock_class_key, timer_list,
    CLOCK_REALTIME,
};
use crate::ffi;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;

/// A tick, in nanoseconds.
const TICK: u64 = 1_000_000;

/// So that wrapping around is near (`include/linux/jiffies.h`).
const INITIAL_JIFFIES: u64 = -300_000i32 as u32 as u64;

/// How long what has expired takes at least. So whoever starts a timer for "now", again and again, does
/// not stop time.
const EXPIRY_TAKES: u64 = 10_000;

/// What the wall clock said at boot: the 22nd of November 2026, in nanoseconds.
const BOOTED_AT: i64 = 1_795_305_600_000_000_000;

/// How often timers expire in a machine in which nothing else happens, before that counts as rest.
const RESTLESS: u32 = 24;

/// Where a timer's function is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Context {
    Hard,
    Soft,
}

#[derive(Debug)]
struct Timer {
    name: Rc<str>,
    context: Context,
    /// A `struct hrtimer`, and not a `struct timer_list`.
    high_resolution: bool,
    clock: clockid_t,
    /// When it is due, by the machine's clock, and on which CPU.
    pending: Option<(u64, usize)>,
    /// It is due, and its CPU has not come to it yet.
    due: bool,
    /// When it was or is due, by its own clock.
    expires: i64,
    /// By which task, and on which CPU.
    running: Option<(usize, usize)>,
    /// The order in which timers of the same time expire.
    turn: u64,
    set_up: Place,
    started: Option<Place>,
}

impl Timer {
    /// Lets the structure say whether the timer is queued, for whoever looks without a lock.
    fn say(&self, address: usize, queued: bool) {
        if self.high_resolution {
            // SAFETY: the model forgets a timer when its memory is freed.
            unsafe { (*(address as *mut hrtimer)).is_queued = queued };
        }
    }
}

#[derive(Default, Debug)]
pub(crate) struct Timers {
    known: Table<Timer>,
    named: [u32; 2],
    turn: u64,
    /// How many have expired since somebody began to wait for rest, with nothing else to do.
    restless: u32,
}

impl Timers {
    pub(crate) fn active_in(
        &self,
        range: &Range<usize>,
        current: usize,
    ) -> Option<(String, Vec<String>)> {
        self.known.in_range(range).find_map(|(_, timer)| {
            let what = match timer.running {
                // A timer may free itself.
                Some((task, cpu)) if task != current => {
                    format!("{}, which runs on cpu {cpu},", timer.name)
                }
                _ if timer.pending.is_some() => format!("{}, which is pending,", timer.name),
                _ => return None,
            };
            let mut facts = vec![format!("set up      {}", at(timer.set_up))];
            facts.extend(
                timer
                    .started
                    .map(|place| format!("started     {}", at(place))),
            );
            Some((what, facts))
        })
    }

    pub(crate) fn forget_in(&mut self, range: &Range<usize>) {
        self.known.remove_range(range);
    }

    pub(crate) fn left(&self) -> Vec<String> {
        let pending = self.known.iter().filter(|(_, t)| t.pending.is_some());
        pending
            .map(|(_, t)| format!("set up      {}  {} is pending", at(t.set_up), t.name))
            .collect()
    }

    /// Whether time would bring something.
    pub(crate) fn any(&self) -> bool {
        self.known
            .iter()
            .any(|(_, timer)| timer.pending.is_some() && !timer.due)
    }

    /// Somebody waits for rest from now on.
    pub(crate) fn begin_to_wait(&mut self) {
        self.restless = 0;
    }

    /// Whether what expires now is all that will ever happen, as far as one can tell.
    pub(crate) fn never_rest(&self) -> bool {
        self.restless >= RESTLESS
    }

    /// What is due first, and when.
    pub(crate) fn first(&self) -> Option<(usize, u64)> {
        self.known
            .iter()
            .filter(|(_, timer)| !timer.due)
            .filter_map(|(address, timer)| Some((timer.pending?.0, timer.turn, *address)))
            .min()
            .map(|(when, _, address)| (address, when))
    }

    /// Whether a CPU has come to something that is due there.
    pub(crate) fn due(&self, cpu: usize, context: Context) -> bool {
        self.next_due(cpu, context).is_some()
    }

    fn next_due(&self, cpu: usize, context: Context) -> Option<usize> {
        let due = |timer: &Timer| {
            timer.due
                && timer.context == context
                && timer.running.is_none()
                && timer.pending.is_some_and(|(_, on)| on == cpu)
        };
        let all = self.known.iter().filter(|(_, timer)| due(timer));
        all.min_by_key(|(_, timer)| (timer.pending, timer.turn))
            .map(|&(address, _)| address)
    }

    fn name(&self, timer: usize) -> Rc<str> {
        self.known
            .get(timer)
            .map_or_else(|| "timer".into(), |timer| timer.name.clone())
    }

    fn insert(&mut self, address: usize, high_resolution: bool, context: Context, place: Place) {
        // One that is set up again keeps its name.
        let name = self.known.remove(address).map(|timer| timer.name);
        let name = name.unwrap_or_else(|| {
            let number = &mut self.named[usize::from(high_resolution)];
            *number += 1;
            let what = if high_resolution { "hrtimer" } else { "timer" };
            format!("{what} {number}").into()
        });
        let timer = Timer {
            name,
            context,
            high_resolution,
            clock: 0,
            pending: None,
            due: false,
            expires: 0,
            running: None,
            turn: 0,
            set_up: place,
            started: None,
        };
        self.known.set(address, timer);
    }

    fn take_off(&mut self, address: usize) -> bool {
        let Some(timer) = self.known.get_mut(address) else {
            return false;
        };
        timer.due = false;
        timer.say(address, false);
        timer.pending.take().is_some()
    }

    fn is_running(&self, address: usize) -> bool {
        self.known
            .get(address)
            .is_some_and(|timer| timer.running.is_some())
    }
}

impl World {
    /// What `jiffies` is now.
    pub(crate) fn jiffies(&self) -> ffi::c_ulong {
        (INITIAL_JIFFIES + self.now / TICK) as ffi::c_ulong
    }

    /// A timer's time has come. Returns the task that will see to it, if it is waiting for that.
    pub(crate) fn expire(&mut self, address: usize, when: u64, idle: bool) -> Option<usize> {
        self.now = (self.now + EXPIRY_TAKES).max(when);
        self.timers.restless += u32::from(idle);
        let timer = self.timers.known.get_mut(address)?;
        timer.due = true;
        let cpu = timer.pending?.1;
        let (key, task) = match timer.context {
            Context::Hard => (Key::CpuIrq(cpu), self.cpus[cpu].hard_task),
            Context::Soft => (Key::CpuSoft(cpu), self.cpus[cpu].soft_task),
        };
        self.wake(key);
        task
    }

    #[track_caller]
    fn check_timer(&mut self, address: usize, size: usize, what: &str, place: Place) {
        self.check(address, size, what, place);
        if self.timers.known.get(address).is_none() {
            let message = format!("{what} is used that has not been initialised");
            self.fail(
                Kind::Misuse,
                message,
                &[format!("used        {}", at(place))],
            );
        }
    }

    /// Queues a timer. Returns whether it was queued before.
    fn queue_timer(&mut self, address: usize, when: u64, cpu: usize, place: Place) -> bool {
        self.timers.turn += 1;
        let turn = self.timers.turn;
        let Some(timer) = self.timers.known.get_mut(address) else {
            return false;
        };
        timer.say(address, true);
        let was = timer.pending.replace((when, cpu)).is_some();
        (timer.due, timer.turn, timer.started) = (false, turn, Some(place));
        let name = timer.name.clone();
        self.note("starts", &name, Some(place));
        was
    }
}

/// Choose where a timer is to expire, and see that there is somebody to call its function.
fn choose_cpu(address: usize) -> usize {
    let (context, cpu) = world(|w| {
        // Usually here; but a CPU that is idle leaves its timers to others.
        let cpu = match w.rng.next() & 3 {
            0 => w.rng.below(CPUS),
            _ => w.my_cpu(),
        };
        let timer = w.timers.known.get(address);
        timer.map_or((Context::Soft, cpu), |timer| {
            // It stays where it runs, so that it does not run beside itself.
            (timer.context, timer.running.map_or(cpu, |(_, cpu)| cpu))
        })
    });
    match context {
        Context::Hard => start_hardirqs(cpu),
        Context::Soft => start_softirqs(cpu),
    }
    cpu
}

/// Call the functions of what is due on this CPU. Returns whether there was anything.
pub(crate) fn run_due(cpu: usize, context: Context) -> bool {
    /// One of the two kinds.
    enum Function {
        Timer(Option<unsafe extern "C" fn(*mut timer_list)>),
        HrTimer(Option<unsafe extern "C" fn(*mut hrtimer) -> hrtimer_restart>),
    }

    let mut ran = false;
    loop {
        preempt();
        let next = world(|w| {
            let address = w.timers.next_due(cpu, context)?;
            if let Some(facts) = w.freed_facts(address) {
                let message = format!("{} would run in freed memory", w.timers.name(address));
                w.fail(Kind::RanAfterFree, message, &facts);
            }
            let me = w.current;
            w.timers.take_off(address);
            let timer = w.timers.known.get_mut(address)?;
            timer.running = Some((me, cpu));
            let (name, high) = (timer.name.clone(), timer.high_resolution);
            w.note("runs", &name, None);
            // SAFETY: the timer's memory is there, as was just checked, and it is of its kind.
            let function = unsafe {
                match high {
                    true => Function::HrTimer((*(address as *mut hrtimer)).function),
                    false => Function::Timer((*(address as *mut timer_list)).function),
                }
            };
            if matches!(function, Function::Timer(None)) {
                // `expire_timers()`: "Should never happen. Emphasis on should!"
                let message = format!("{name} expires, and has no function");
                w.fail(Kind::Misuse, message, &[]);
            }
            Some((address, function, name))
        });
        let Some((address, function, name)) = next else {
            return ran;
        };
        ran = true;
        // It has been called, and has looked at nothing yet.
        preempt();
        // SAFETY: whoever started the timer promised that its function may be called.
        let restart = unsafe {
            match function {
                Function::Timer(function) => {
                    if let Some(function) = function {
                        function(address as *mut timer_list);
                    }
                    false
                }
                Function::HrTimer(function) => function.is_some_and(|function| {
                    function(address as *mut hrtimer) == hrtimer_restart::HRTIMER_RESTART
                }),
            }
        };
        preempt();
        world(|w| {
            let me = w.current;
            w.note("is done", &name, None);
            // The function may have freed the timer: only the model's own record is touched.
            let Some(timer) = w.timers.known.get(address) else {
                return;
            };
            if timer.running != Some((me, cpu)) {
                return;
            }
            if restart && timer.pending.is_none() {
                let when = w.by_the_machine(timer.expires, timer.clock);
                let place = timer.started.unwrap_or(timer.set_up);
                w.queue_timer(address, when, cpu, place);
            }
            if let Some(timer) = w.timers.known.get_mut(address) {
                timer.running = None;
            }
            w.wake(Key::Addr(address));
        });
    }
}

// ---- Timers ----

#[track_caller]
pub unsafe fn timer_init_key(
    timer: *mut timer_list,
    func: Option<unsafe extern "C" fn(arg1: *mut timer_list)>,
    flags: ffi::c_uint,
    _name: *const ffi::c_char,
    _key: *mut lock_class_key,
) {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check(timer as usize, size_of::<timer_list>(), "a timer", place);
        w.refuse_active(timer as usize, place);
        w.timers.insert(timer as usize, false, Context::Soft, place);
    });
    // SAFETY: the caller gives a timer's memory; that it is not freed has been checked.
    unsafe {
        timer.write(timer_list {
            function: func,
            flags,
            ..Default::default()
        })
    };
}

impl World {
    /// Debug objects: what is active is not initialised again.
    #[track_caller]
    fn refuse_active(&mut self, address: usize, place: Place) {
        let Some(timer) = self.timers.known.get(address) else {
            return;
        };
        if timer.pending.is_some() || timer.running.is_some() {
            let message = format!("{} is initialised while it is active", timer.name);
            let facts = [format!("initialised {}", at(place))];
            self.fail(Kind::Misuse, message, &facts);
        }
    }

    #[track_caller]
    fn check_timer_list(&mut self, timer: *mut timer_list, place: Place) {
        self.check_timer(timer as usize, size_of::<timer_list>(), "a timer", place);
    }

    #[track_caller]
    fn check_hrtimer(&mut self, timer: *const hrtimer, place: Place) {
        self.check_timer(timer as usize, size_of::<hrtimer>(), "an hrtimer", place);
    }
}

/// `__mod_timer()`
#[track_caller]
fn modify(timer: *mut timer_list, expires: ffi::c_ulong, only_pending: bool) -> bool {
    let place = Location::caller();
    preempt();
    world(|w| w.check_timer_list(timer, place));
    let cpu = choose_cpu(timer as usize);
    let was = world(|w| {
        // SAFETY: it has just been checked.
        let shut_down = unsafe { (*timer).function }.is_none();
        let known = w.timers.known.get(timer as usize);
        let pending = known.is_some_and(|timer| timer.pending.is_some());
        if shut_down || (only_pending && !pending) {
            return false;
        }
        // SAFETY: as above.
        unsafe { (*timer).expires = expires };
        let ticks = expires.wrapping_sub(w.jiffies()) as isize;
        // What should have expired already does so at the next tick, as all timers do at a tick.
        let when = (w.now / TICK + ticks.max(1) as u64).saturating_mul(TICK);
        w.queue_timer(timer as usize, when, cpu, place)
    });
    preempt();
    was
}

#[track_caller]
pub unsafe fn mod_timer(timer: *mut timer_list, expires: ffi::c_ulong) -> ffi::c_int {
    modify(timer, expires, false).into()
}

#[track_caller]
pub unsafe fn mod_timer_pending(timer: *mut timer_list, expires: ffi::c_ulong) -> ffi::c_int {
    modify(timer, expires, true).into()
}

#[track_caller]
pub unsafe fn add_timer(timer: *mut timer_list) {
    let place = Location::caller();
    world(|w| {
        w.check_timer_list(timer, place);
        let known = w.timers.known.get(timer as usize);
        if known.is_some_and(|timer| timer.pending.is_some()) {
            let message = format!("{} is added twice", w.timers.name(timer as usize));
            w.fail(
                Kind::Misuse,
                message,
                &[format!("added       {}", at(place))],
            );
        }
    });
    // SAFETY: it has just been checked.
    let expires = unsafe { (*timer).expires };
    modify(timer, expires, false);
}

/// An inline function in C. A timer that runs has been taken off its queue, and is not pending.
#[track_caller]
pub unsafe fn timer_pending(timer: *const timer_list) -> ffi::c_int {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check_timer_list(timer.cast_mut(), place);
        let known = w.timers.known.get(timer as usize);
        known.is_some_and(|timer| timer.pending.is_some()).into()
    })
}

#[track_caller]
fn delete(timer: *mut timer_list, shutdown: bool, what: &'static str) -> bool {
    let place = Location::caller();
    let name = world(|w| {
        w.check_timer_list(timer, place);
        w.timers.name(timer as usize)
    });
    step(what, &name, place);
    world(|w| {
        w.check_timer_list(timer, place);
        if shutdown {
            // SAFETY: it has just been checked.
            unsafe { (*timer).function = None };
        }
        w.timers.take_off(timer as usize)
    })
}

#[track_caller]
pub unsafe fn timer_delete(timer: *mut timer_list) -> ffi::c_int {
    delete(timer, false, "deletes").into()
}

#[track_caller]
pub unsafe fn timer_shutdown(timer: *mut timer_list) -> ffi::c_int {
    delete(timer, true, "shuts down").into()
}

#[track_caller]
fn delete_sync(timer: *mut timer_list, shutdown: bool, what: &'static str) -> bool {
    let place = Location::caller();
    let name = world(|w| {
        w.check_timer_list(timer, place);
        if w.tasks[w.current].kind == TaskKind::HardIrq {
            let message = "a timer is waited for in a hard interrupt".to_string();
            w.fail(
                Kind::Misuse,
                message,
                &[format!("called      {}", at(place))],
            );
        }
        w.timers.name(timer as usize)
    });
    step(what, &name, place);
    let was = block_until(
        Key::Addr(timer as usize),
        Some(place),
        |w| {
            let known = w.timers.known.get(timer as usize);
            let object = format!("{name}, which runs").into();
            match known.and_then(|timer| timer.running) {
                Some((task, _)) => Why::held("waits for", object, task),
                None => Why::waits(object),
            }
        },
        |w| {
            w.check_timer_list(timer, place);
            if w.timers.is_running(timer as usize) {
                return None;
            }
            if shutdown {
                // SAFETY: it has just been checked.
                unsafe { (*timer).function = None };
            }
            Some(w.timers.take_off(timer as usize))
        },
    );
    world(|w| w.note("has stopped", &name, Some(place)));
    preempt();
    was
}

#[track_caller]
pub unsafe fn timer_delete_sync(timer: *mut timer_list) -> ffi::c_int {
    delete_sync(timer, false, "deletes").into()
}

#[track_caller]
pub unsafe fn timer_shutdown_sync(timer: *mut timer_list) -> ffi::c_int {
    delete_sync(timer, true, "shuts down").into()
}

// ---- Clocks ----

pub unsafe fn ktime_get() -> ktime_t {
    preempt();
    world(|w| w.now as ktime_t)
}

pub unsafe fn ktime_get_boottime() -> ktime_t {
    // SAFETY: none is asked. The model is never suspended.
    unsafe { ktime_get() }
}

pub unsafe fn ktime_get_real() -> ktime_t {
    // SAFETY: none is asked. Nobody sets the clock.
    unsafe { ktime_get() + BOOTED_AT }
}

pub unsafe fn ktime_get_clocktai() -> ktime_t {
    // SAFETY: none is asked. Without leap seconds.
    unsafe { ktime_get_real() }
}

impl World {
    /// A time by a timer's clock, by the machine's.
    fn by_the_machine(&self, time: i64, clock: clockid_t) -> u64 {
        let offset = match clock as u32 {
            CLOCK_REALTIME => BOOTED_AT,
            _ => 0,
        };
        time.saturating_sub(offset).max(0) as u64
    }
}

// ---- High-resolution timers ----

#[track_caller]
pub unsafe fn hrtimer_setup(
    timer: *mut hrtimer,
    function: Option<unsafe extern "C" fn(arg1: *mut hrtimer) -> hrtimer_restart>,
    clock_id: clockid_t,
    mode: hrtimer_mode,
) {
    let place = Location::caller();
    preempt();
    let soft = mode & hrtimer_mode_HRTIMER_MODE_SOFT != 0;
    world(|w| {
        w.check(timer as usize, size_of::<hrtimer>(), "an hrtimer", place);
        w.refuse_active(timer as usize, place);
        if function.is_none() {
            let facts = [format!("set up      {}", at(place))];
            let message = "an hrtimer is set up without a function".to_string();
            w.fail(Kind::Misuse, message, &facts);
        }
        let context = if soft { Context::Soft } else { Context::Hard };
        w.timers.insert(timer as usize, true, context, place);
        if let Some(known) = w.timers.known.get_mut(timer as usize) {
            // A relative time by the wall clock is one by the monotonic clock.
            let relative = mode & hrtimer_mode_HRTIMER_MODE_REL != 0;
            let real = clock_id as u32 == CLOCK_REALTIME && !relative;
            known.clock = if real {
                clock_id
            } else {
                bindings::CLOCK_MONOTONIC as _
            };
        }
    });
    // SAFETY: the caller gives a timer's memory; that it is not freed has been checked.
    unsafe {
        timer.write(hrtimer {
            function,
            is_soft: soft,
            ..Default::default()
        })
    };
}

#[track_caller]
pub unsafe fn hrtimer_start_range_ns(
    timer: *mut hrtimer,
    tim: ktime_t,
    _range_ns: u64,
    mode: hrtimer_mode,
) {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check_hrtimer(timer, place);
        let soft = mode & hrtimer_mode_HRTIMER_MODE_SOFT != 0;
        // SAFETY: it has just been checked.
        if soft != unsafe { (*timer).is_soft } {
            let name = w.timers.name(timer as usize);
            let message = format!("{name} is started in another mode than it was set up in");
            w.fail(
                Kind::Misuse,
                message,
                &[format!("started     {}", at(place))],
            );
        }
    });
    let cpu = choose_cpu(timer as usize);
    world(|w| {
        let now = w.now;
        let Some(known) = w.timers.known.get(timer as usize) else {
            return;
        };
        let clock = known.clock;
        let expires = match mode & hrtimer_mode_HRTIMER_MODE_REL {
            0 => tim,
            _ => {
                let offset = i64::from(clock as u32 == CLOCK_REALTIME) * BOOTED_AT;
                tim.saturating_add(now as i64).saturating_add(offset)
            }
        };
        let when = w.by_the_machine(expires, clock);
        w.queue_timer(timer as usize, when, cpu, place);
        if let Some(known) = w.timers.known.get_mut(timer as usize) {
            known.expires = expires;
        }
    });
    preempt();
}

/// What is active: queued, or running.
fn active(w: &World, timer: *const hrtimer) -> bool {
    let known = w.timers.known.get(timer as usize);
    known.is_some_and(|timer| timer.pending.is_some() || timer.running.is_some())
}

#[track_caller]
pub unsafe fn hrtimer_active(timer: *const hrtimer) -> bool {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check_hrtimer(timer, place);
        active(w, timer)
    })
}

#[track_caller]
pub unsafe fn hrtimer_try_to_cancel(timer: *mut hrtimer) -> ffi::c_int {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check_hrtimer(timer, place);
        match w.timers.is_running(timer as usize) {
            true => -1,
            false => w.timers.take_off(timer as usize).into(),
        }
    })
}

#[track_caller]
pub unsafe fn hrtimer_cancel(timer: *mut hrtimer) -> ffi::c_int {
    let place = Location::caller();
    let name = world(|w| {
        w.check_hrtimer(timer, place);
        w.timers.name(timer as usize)
    });
    step("cancels", &name, place);
    let was = block_until(
        Key::Addr(timer as usize),
        Some(place),
        |w| {
            let known = w.timers.known.get(timer as usize);
            let object = format!("{name}, which runs").into();
            match known.and_then(|timer| timer.running) {
                Some((task, _)) => Why::held("spins on", object, task),
                None => Why::waits(object),
            }
        },
        |w| {
            w.check_hrtimer(timer, place);
            let running = w.timers.is_running(timer as usize);
            (!running).then(|| w.timers.take_off(timer as usize))
        },
    );
    world(|w| w.note("has cancelled", &name, Some(place)));
    preempt();
    was.into()
}

#[track_caller]
pub unsafe fn __hrtimer_get_remaining(timer: *const hrtimer, _adjust: bool) -> ktime_t {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check_hrtimer(timer, place);
        let known = w.timers.known.get(timer as usize);
        known.map_or(0, |known| {
            w.by_the_machine(known.expires, known.clock) as i64 - w.now as i64
        })
    })
}

#[track_caller]
pub unsafe fn hrtimer_forward(timer: *mut hrtimer, now: ktime_t, interval: ktime_t) -> u64 {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check_hrtimer(timer, place);
        let (me, name) = (w.current, w.timers.name(timer as usize));
        let known = w.timers.known.get_mut(timer as usize);
        let Some(known) = known else { return 0 };
        let elsewhere = known.running.is_some_and(|(task, _)| task != me);
        let delta = now.saturating_sub(known.expires);
        if elsewhere || (known.pending.is_some() && delta >= 0) {
            let message = format!("{name} is forwarded while it is queued, or runs elsewhere");
            w.fail(
                Kind::Misuse,
                message,
                &[format!("forwarded   {}", at(place))],
            );
        }
        if delta < 0 {
            return 0;
        }
        let interval = interval.max(1);
        let overruns = delta / interval + 1;
        known.expires = known.expires.saturating_add(interval * overruns);
        overruns as u64
    })
}

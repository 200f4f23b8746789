//! Interrupt lines and their handlers, after `kernel/irq/manage.c`, `chip.c` and `handle.c`.
//!
//! A device raises a line; the line's vector reaches one of the CPUs; there, as soon as interrupts
//! are on, that CPU's interrupt context calls the line's handlers. A line that is being handled is
//! not handled by a second CPU: it is marked *pending* and handled once more.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::machine::{
    at, block_until, join, preempt, relax, serve, spawn, step, world, Key, Place, TaskKind, Why,
    World, CPUS,
};
use super::report::Kind;
use super::timer::{run_due, Context};
use super::{cname, nobody};
use crate::bindings::{
    cpumask, irq_handler_t, irqreturn_t, EBUSY, EINVAL, IRQF_COND_SUSPEND, IRQF_NO_AUTOEN,
    IRQF_NO_SUSPEND, IRQF_ONESHOT, IRQF_SHARED,
};
use crate::ffi;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;

/// The number of the first line. Those below are the machine's own, as on a PC.
const FIRST: u32 = 24;

const ALL_CPUS: usize = (1 << CPUS) - 1;

/// How often in a row an asserted line may find no handler that cares.
const NOBODY_CARES: u32 = 200;

#[derive(Debug, Clone)]
struct Action {
    id: u32,
    handler: irq_handler_t,
    thread_fn: irq_handler_t,
    flags: ffi::c_ulong,
    name: Rc<str>,
    c_name: *const ffi::c_char,
    dev_id: usize,
    place: Place,
    thread: Option<usize>,
}

#[derive(Debug)]
struct Line {
    name: Rc<str>,
    level: bool,
    /// A message: nothing is lost and nothing storms while it is not masked
    /// (`IRQCHIP_ONESHOT_SAFE`).
    message: bool,
    actions: Vec<Action>,
    /// `disable_irq` depth.
    depth: u32,
    pending: bool,
    in_progress: Option<usize>,
    /// The CPU that the vector is on its way to.
    in_flight: Option<usize>,
    /// How many sources hold a level line up.
    asserted: u32,
    /// Handler threads that have something to do. With `IRQF_ONESHOT` the line is masked until
    /// they are done.
    threads_active: u32,
    masked: u32,
    unhandled: u32,
    spurious: u64,
    /// Where the mask is that drivers were told to keep.
    hint: usize,
    /// The CPUs that may get it.
    affinity: usize,
}

/// The thread of a threaded handler.
#[derive(Debug)]
struct Thread {
    action: u32,
    wanted: bool,
    stop: bool,
}

#[derive(Default, Debug)]
pub(crate) struct Irqs {
    lines: Vec<Line>,
    threads: Vec<Thread>,
    actions: u32,
}

impl Irqs {
    pub(crate) fn new_line(&mut self, name: &str, level: bool) -> u32 {
        let irq = FIRST + self.lines.len() as u32;
        self.lines.push(Line {
            name: format!("irq {irq} \"{name}\"").into(),
            level,
            message: false,
            actions: Vec::new(),
            depth: 0,
            pending: false,
            in_progress: None,
            in_flight: None,
            asserted: 0,
            threads_active: 0,
            masked: 0,
            unhandled: 0,
            spurious: 0,
            hint: 0,
            affinity: ALL_CPUS,
        });
        irq
    }

    pub(crate) fn new_message(&mut self, name: &str) -> u32 {
        let irq = self.new_line(name, false);
        if let Some(line) = self.line(irq) {
            line.message = true;
        }
        irq
    }

    fn line(&mut self, irq: u32) -> Option<&mut Line> {
        self.lines.get_mut(irq.checked_sub(FIRST)? as usize)
    }

    fn name(&self, irq: u32) -> Rc<str> {
        let index = irq.wrapping_sub(FIRST) as usize;
        self.lines
            .get(index)
            .map_or_else(nobody, |line| line.name.clone())
    }

    pub(crate) fn spurious(&self, irq: u32) -> u64 {
        let index = irq.wrapping_sub(FIRST) as usize;
        self.lines.get(index).map_or(0, |line| line.spurious)
    }

    pub(crate) fn has_handler(&self, irq: u32) -> bool {
        let index = irq.wrapping_sub(FIRST) as usize;
        self.lines
            .get(index)
            .is_some_and(|line| !line.actions.is_empty())
    }

    pub(crate) fn active_in(&self, range: &Range<usize>) -> Option<(String, Vec<String>)> {
        for line in &self.lines {
            if line.hint != 0 && range.contains(&line.hint) {
                return Some((format!("the affinity hint of {}", line.name), Vec::new()));
            }
            for action in &line.actions {
                if range.contains(&action.dev_id) {
                    return Some((
                        format!("the cookie of {}, whose handler is registered,", line.name),
                        vec![format!("registered  {}", at(action.place))],
                    ));
                }
            }
        }
        None
    }

    /// Lines with handlers, for the report about what was left.
    pub(crate) fn left(&self) -> Vec<String> {
        self.lines
            .iter()
            .flat_map(|line| {
                line.actions
                    .iter()
                    .map(|action| format!("registered  {}  {}", at(action.place), line.name))
            })
            .collect()
    }
}

impl World {
    /// An interrupt arrives from the device. Returns the CPU that gets it, if one does.
    fn fire(&mut self, irq: u32) -> Option<usize> {
        let mut cpu = self.rng.below(CPUS);
        let line = self.irqs.line(irq)?;
        while line.affinity & 1 << cpu == 0 {
            cpu = (cpu + 1) % CPUS;
        }
        if line.actions.is_empty() {
            // The line is shut down.
            line.spurious += u64::from(!line.level);
            return None;
        }
        if line.depth > 0 || line.masked > 0 || line.in_progress.is_some() {
            line.pending = true;
            return None;
        }
        if line.in_flight.is_some() {
            return None;
        }
        line.in_flight = Some(cpu);
        self.cpus[cpu].vectors.push_back(irq);
        self.wake(Key::CpuIrq(cpu));
        Some(cpu)
    }

    /// What a line that has become free to fire has to make up for.
    fn refire(&mut self, irq: u32) -> Option<usize> {
        let line = self.irqs.line(irq)?;
        if line.depth > 0 || line.masked > 0 || line.in_progress.is_some() {
            return None;
        }
        let wanted = std::mem::take(&mut line.pending) || (line.level && line.asserted > 0);
        wanted.then(|| self.fire(irq)).flatten()
    }
}

/// Do what [`World::fire`] asks for: see that the CPU has an interrupt context.
fn deliver(cpu: Option<usize>) {
    if let Some(cpu) = cpu {
        start_hardirqs(cpu);
    }
}

/// Start the CPU's interrupt context, if there is none yet.
pub(crate) fn start_hardirqs(cpu: usize) {
    if world(|w| w.cpus[cpu].hard_task.is_some()) {
        return;
    }
    world(|w| w.cpus[cpu].hard_task = Some(w.tasks.len()));
    spawn(
        format!("irq{cpu}").into(),
        TaskKind::HardIrq,
        Some(cpu),
        move || {
            serve(
                Key::CpuIrq(cpu),
                |w| {
                    let irq = w.cpus[cpu].vectors.pop_front();
                    if irq.is_none() && !w.timers.due(cpu, Context::Hard) {
                        return None;
                    }
                    w.cpus[cpu].hard = true;
                    Some(irq)
                },
                |irq| {
                    match irq {
                        Some(irq) => handle(irq, cpu),
                        // The interrupt of the clock.
                        None => {
                            run_due(cpu, Context::Hard);
                        }
                    }
                    let again = world(|w| {
                        w.cpus[cpu].hard = false;
                        w.wake(Key::Rcu);
                        irq.and_then(|irq| w.refire(irq))
                    });
                    deliver(again);
                    preempt();
                },
            );
        },
    );
}

/// `handle_edge_irq` and `handle_fasteoi_irq`.
fn handle(irq: u32, cpu: usize) {
    let begun = world(|w| {
        let Some(line) = w.irqs.line(irq) else {
            return false;
        };
        line.in_flight = None;
        if line.actions.is_empty() {
            line.spurious += 1;
            return false;
        }
        if line.depth > 0 || line.in_progress.is_some() {
            line.pending = true;
            return false;
        }
        line.pending = false;
        line.in_progress = Some(cpu);
        true
    });
    if !begun {
        return;
    }
    loop {
        let actions: Vec<Action> = world(|w| {
            w.irqs
                .line(irq)
                .map(|line| line.actions.clone())
                .unwrap_or_default()
        });
        let mut handled = false;
        for action in actions {
            handled |= call(irq, &action, false);
        }
        let again = world(|w| {
            let name = w.irqs.name(irq);
            let Some(line) = w.irqs.line(irq) else {
                return false;
            };
            line.unhandled = if handled { 0 } else { line.unhandled + 1 };
            if line.unhandled > NOBODY_CARES {
                line.depth += 1;
                w.dmesg.push(format!("{name}: nobody cared"));
                return false;
            }
            line.pending && line.depth == 0 && line.masked == 0 && !line.actions.is_empty() && {
                line.pending = false;
                true
            }
        });
        if !again {
            break;
        }
    }
    world(|w| {
        if let Some(line) = w.irqs.line(irq) {
            line.in_progress = None;
        }
        w.wake(Key::Irq(irq));
    });
}

/// Call one handler. Returns whether it was its interrupt.
fn call(irq: u32, action: &Action, after_removal: bool) -> bool {
    preempt();
    let call = world(|w| {
        let line = w.irqs.line(irq)?;
        if !after_removal && !line.actions.iter().any(|other| other.id == action.id) {
            return None;
        }
        let name = w.irqs.name(irq);
        if let Some(mut facts) = w.freed_facts(action.dev_id) {
            facts.insert(0, format!("registered  {}", at(action.place)));
            let message = format!("the handler of {name} would run with a freed cookie");
            w.fail(Kind::RanAfterFree, message, &facts);
        }
        let what = if after_removal {
            "calls once more the handler of"
        } else {
            "handles"
        };
        w.note(what, &name, Some(action.place));
        Some(name)
    });
    let Some(name) = call else { return false };
    let result = match action.handler {
        // SAFETY: whoever registered the handler promised that it may be called with this cookie
        // until `free_irq` has returned, and it has not.
        Some(handler) => unsafe { handler(irq as ffi::c_int, action.dev_id as *mut ffi::c_void) },
        None => irqreturn_t::IRQ_WAKE_THREAD,
    };
    preempt();
    world(|w| {
        if let Some(mut facts) = w.freed_facts(action.dev_id) {
            facts.insert(0, format!("registered  {}", at(action.place)));
            let message = format!("the cookie of {name} was freed while its handler ran");
            w.fail(Kind::RanAfterFree, message, &facts);
        }
        w.note("is done with", &name, None);
        // The last call of a shared line's handler wakes nobody: the thread is about to be stopped.
        let wakes = result == irqreturn_t::IRQ_WAKE_THREAD && !after_removal;
        if wakes && action.thread_fn.is_some() {
            wake_thread(w, irq, action);
        }
    });
    result != irqreturn_t::IRQ_NONE
}

fn wake_thread(w: &mut World, irq: u32, action: &Action) {
    let Some(thread) = w
        .irqs
        .threads
        .iter_mut()
        .find(|thread| thread.action == action.id)
    else {
        return;
    };
    if std::mem::replace(&mut thread.wanted, true) {
        return;
    }
    if let Some(line) = w.irqs.line(irq) {
        line.threads_active += 1;
        if action.flags & IRQF_ONESHOT as ffi::c_ulong != 0 {
            line.masked += 1;
        }
    }
    w.wake(Key::IrqThread(action.id));
}

/// The body of a handler's thread.
fn irq_thread(irq: u32, action: Action) {
    enum Job {
        Run,
        Stop,
    }
    loop {
        let job = block_until(
            Key::IrqThread(action.id),
            None,
            |w| {
                let mut why = Why::waits(format!("{} to happen", w.irqs.name(irq)).into());
                why.idle = true;
                why
            },
            |w| {
                let shutdown = w.shutdown;
                let thread = w.irqs.threads.iter_mut().find(|t| t.action == action.id)?;
                if std::mem::take(&mut thread.wanted) {
                    // Once more even when it is to stop, as in Linux.
                    Some(Job::Run)
                } else {
                    (thread.stop || shutdown).then_some(Job::Stop)
                }
            },
        );
        if let Job::Stop = job {
            return;
        }
        preempt();
        world(|w| {
            if let Some(mut facts) = w.freed_facts(action.dev_id) {
                facts.insert(0, format!("registered  {}", at(action.place)));
                let message = format!(
                    "the threaded handler of {} would run with a freed cookie",
                    action.name
                );
                w.fail(Kind::RanAfterFree, message, &facts);
            }
            let name = w.irqs.name(irq);
            w.note("handles in its thread", &name, Some(action.place));
        });
        if let Some(thread_fn) = action.thread_fn {
            // SAFETY: as for the handler itself.
            unsafe { thread_fn(irq as ffi::c_int, action.dev_id as *mut ffi::c_void) };
        }
        preempt();
        let again = world(|w| {
            if let Some(line) = w.irqs.line(irq) {
                line.threads_active -= 1;
                if action.flags & IRQF_ONESHOT as ffi::c_ulong != 0 {
                    line.masked = line.masked.saturating_sub(1);
                }
            }
            w.wake(Key::Irq(irq));
            w.refire(irq)
        });
        deliver(again);
    }
}

fn error(code: u32) -> ffi::c_int {
    -(code as ffi::c_int)
}

#[track_caller]
pub unsafe fn request_threaded_irq(
    irq: ffi::c_uint,
    handler: irq_handler_t,
    thread_fn: irq_handler_t,
    flags: ffi::c_ulong,
    name: *const ffi::c_char,
    dev: *mut ffi::c_void,
) -> ffi::c_int {
    let place = Location::caller();
    let is = |flag: u32| flags & flag as ffi::c_ulong != 0;
    let (shared, mut flags_kept) = (is(IRQF_SHARED), flags);
    preempt();
    let registered = world(|w| {
        w.might_sleep("request_irq", place);
        let contradicts = match shared {
            true => dev.is_null() || is(IRQF_NO_AUTOEN),
            false => is(IRQF_COND_SUSPEND),
        };
        if contradicts
            || (is(IRQF_NO_SUSPEND) && is(IRQF_COND_SUSPEND))
            || (handler.is_none() && thread_fn.is_none())
        {
            return Err(error(EINVAL));
        }
        let (id, name_of_line) = (w.irqs.actions, w.irqs.name(irq));
        let Some(line) = w.irqs.line(irq) else {
            return Err(error(EINVAL));
        };
        if is(IRQF_ONESHOT) && thread_fn.is_none() {
            let facts = [format!("called      {}", at(place))];
            let message = format!("{name_of_line} is requested with IRQF_ONESHOT and no thread");
            w.fail(Kind::Misuse, message, &facts);
        }
        if line.message {
            flags_kept &= !(IRQF_ONESHOT as ffi::c_ulong);
        }
        let oneshot = |flags: ffi::c_ulong| flags & (IRQF_ONESHOT as ffi::c_ulong);
        if handler.is_none() && oneshot(flags_kept) == 0 && !line.message {
            return Err(error(EINVAL));
        }
        let others_share = line.actions.iter().all(|other| {
            other.flags & IRQF_SHARED as ffi::c_ulong != 0
                && oneshot(other.flags) == oneshot(flags_kept)
        });
        let fits = line.actions.is_empty() || (shared && others_share);
        if !fits {
            return Err(error(EBUSY));
        }
        let action = Action {
            id,
            handler,
            thread_fn,
            flags: flags_kept,
            name: cname(name, "irq"),
            c_name: name,
            dev_id: dev as usize,
            place,
            thread: None,
        };
        if line.actions.is_empty() {
            line.unhandled = 0;
            line.pending = false;
            line.masked = 0;
            line.depth = u32::from(is(IRQF_NO_AUTOEN));
        }
        w.irqs.actions += 1;
        if thread_fn.is_some() {
            w.irqs.threads.push(Thread {
                action: id,
                wanted: false,
                stop: false,
            });
        }
        Ok(action)
    });
    let mut action = match registered {
        Ok(action) => action,
        Err(error) => return error,
    };
    if action.thread_fn.is_some() {
        let body = action.clone();
        let name = format!("irq/{irq}-{}", action.name).into();
        action.thread = Some(spawn(name, TaskKind::Kthread, None, move || {
            irq_thread(irq, body)
        }));
    }
    let fired = world(|w| {
        if let Some(line) = w.irqs.line(irq) {
            line.actions.push(action);
        }
        let name = w.irqs.name(irq);
        w.note("registers a handler of", &name, Some(place));
        w.refire(irq)
    });
    deliver(fired);
    preempt();
    0
}

#[track_caller]
pub unsafe fn request_irq(
    irq: ffi::c_uint,
    handler: irq_handler_t,
    flags: ffi::c_ulong,
    name: *const ffi::c_char,
    dev: *mut ffi::c_void,
) -> ffi::c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { request_threaded_irq(irq, handler, None, flags, name, dev) }
}

#[track_caller]
pub unsafe fn free_irq(irq: ffi::c_uint, dev_id: *mut ffi::c_void) -> *const ffi::c_void {
    let place = Location::caller();
    preempt();
    let action = world(|w| {
        let name = w.irqs.name(irq);
        let misuse = |w: &mut World, what: &str| -> ! {
            let facts = [format!("called      {}", at(place))];
            w.fail(Kind::Misuse, format!("{name} is freed{what}"), &facts)
        };
        if w.in_interrupt() {
            misuse(w, " from an interrupt");
        }
        w.might_sleep("free_irq", place);
        let action = w.irqs.line(irq).and_then(|line| {
            let index = line
                .actions
                .iter()
                .position(|a| a.dev_id == dev_id as usize)?;
            Some(line.actions.remove(index))
        });
        let Some(action) = action else {
            misuse(w, ", and was not registered");
        };
        if w.irqs.line(irq).is_some_and(|line| line.hint != 0) {
            misuse(w, " with its affinity hint");
        }
        w.note("frees", &name, Some(place));
        action
    });
    wait_for_handlers(irq, true, place);
    if action.flags & IRQF_SHARED as ffi::c_ulong != 0 {
        // CONFIG_DEBUG_SHIRQ: the line may be raised by another device just now.
        world(|w| {
            w.irqs_off();
            w.me().fake_irq = true;
        });
        call(irq, &action, true);
        world(|w| {
            w.me().fake_irq = false;
            w.irqs_on();
        });
    }
    if let Some(thread) = action.thread {
        world(|w| {
            for thread in &mut w.irqs.threads {
                thread.stop |= thread.action == action.id;
            }
            w.wake(Key::IrqThread(action.id));
        });
        join(thread, place);
        world(|w| w.irqs.threads.retain(|thread| thread.action != action.id));
    }
    world(|w| {
        let name = w.irqs.name(irq);
        w.note("has freed", &name, Some(place));
    });
    preempt();
    action.c_name.cast()
}

/// Wait until no handler runs, and with `threads` no threaded one either.
#[track_caller]
fn wait_for_handlers(irq: u32, threads: bool, place: Place) {
    block_until(
        Key::Irq(irq),
        Some(place),
        |w| {
            let index = irq.wrapping_sub(FIRST) as usize;
            let line = w.irqs.lines.get(index);
            let object = format!("a handler of {}", w.irqs.name(irq)).into();
            let holder = line
                .and_then(|line| line.in_progress)
                .and_then(|cpu| w.cpus[cpu].hard_task);
            match holder {
                Some(task) => Why::held("waits for", object, task),
                None => Why::waits(object),
            }
        },
        |w| {
            let busy = w.irqs.line(irq).is_some_and(|line| {
                line.in_progress.is_some() || (threads && line.threads_active > 0)
            });
            (!busy).then_some(())
        },
    );
}

#[track_caller]
pub unsafe fn synchronize_irq(irq: ffi::c_uint) {
    let place = Location::caller();
    let name = world(|w| {
        w.might_sleep("synchronize_irq", place);
        w.irqs.name(irq)
    });
    step("synchronizes", &name, place);
    world(|w| check_registered(w, irq, "synchronized", place));
    wait_for_handlers(irq, true, place);
}

/// Linux lets anybody disable and enable any line. Whoever does so without a handler on it reaches a
/// line that is, or will be, somebody else's.
fn check_registered(w: &mut World, irq: u32, what: &str, place: Place) {
    if !w.irqs.has_handler(irq) {
        let name = w.irqs.name(irq);
        let facts = [format!("called      {}", at(place))];
        let message = format!("{name} is {what}, and has no handler");
        w.fail(Kind::Misuse, message, &facts);
    }
}

#[track_caller]
pub unsafe fn disable_irq_nosync(irq: ffi::c_uint) {
    let place = Location::caller();
    let name = world(|w| w.irqs.name(irq));
    step("disables", &name, place);
    world(|w| {
        check_registered(w, irq, "disabled", place);
        if let Some(line) = w.irqs.line(irq) {
            line.depth += 1;
        }
    });
}

#[track_caller]
pub unsafe fn disable_irq(irq: ffi::c_uint) {
    let place = Location::caller();
    world(|w| w.might_sleep("disable_irq", place));
    // SAFETY: the caller's promise is passed on.
    unsafe { disable_irq_nosync(irq) };
    wait_for_handlers(irq, true, place);
}

#[track_caller]
pub unsafe fn enable_irq(irq: ffi::c_uint) {
    let place = Location::caller();
    let name = world(|w| w.irqs.name(irq));
    step("enables", &name, place);
    let fired = world(|w| {
        check_registered(w, irq, "enabled", place);
        if w.irqs.line(irq).is_some_and(|line| line.depth == 0) {
            let facts = [format!("called      {}", at(place))];
            w.fail(
                Kind::Misuse,
                format!("{name} is enabled more often than disabled"),
                &facts,
            );
        }
        if let Some(line) = w.irqs.line(irq) {
            line.depth -= 1;
        }
        w.refire(irq)
    });
    deliver(fired);
    preempt();
}

/// `__irq_apply_affinity_hint`
#[track_caller]
pub unsafe fn irq_apply_affinity_hint(
    irq: ffi::c_uint,
    m: *const cpumask,
    setaffinity: bool,
) -> ffi::c_int {
    let place = Location::caller();
    let name = world(|w| w.irqs.name(irq));
    step("gives a hint for", &name, place);
    // SAFETY: null, or a mask: the caller's promise.
    let cpus = unsafe { m.as_ref() }.map_or(0, |mask| mask.bits[0] & ALL_CPUS);
    world(|w| {
        check_registered(w, irq, "given an affinity hint", place);
        let Some(line) = w.irqs.line(irq) else {
            return error(EINVAL);
        };
        line.hint = m as usize;
        if setaffinity && cpus != 0 {
            line.affinity = cpus;
        }
        0
    })
}

/// A line that a device drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IrqLine {
    pub(crate) irq: u32,
}

impl IrqLine {
    /// The number that `request_irq` takes.
    pub fn number(&self) -> u32 {
        self.irq
    }

    /// An edge: one interrupt, as of a message-signalled line.
    #[track_caller]
    pub fn pulse(&self) {
        let name = world(|w| w.irqs.name(self.irq));
        step("raises", &name, Location::caller());
        let fired = world(|w| w.fire(self.irq));
        deliver(fired);
        preempt();
    }

    /// Assert a level line. It interrupts until it is lowered as often as it was raised.
    #[track_caller]
    pub fn raise(&self) {
        let name = world(|w| w.irqs.name(self.irq));
        step("raises", &name, Location::caller());
        let fired = world(|w| {
            w.irqs.line(self.irq)?.asserted += 1;
            w.fire(self.irq)
        });
        deliver(fired);
        preempt();
    }

    /// Take back one [`IrqLine::raise`].
    #[track_caller]
    pub fn lower(&self) {
        let name = world(|w| w.irqs.name(self.irq));
        step("lowers", &name, Location::caller());
        world(|w| {
            if let Some(line) = w.irqs.line(self.irq) {
                line.asserted = line.asserted.saturating_sub(1);
                if line.level && line.asserted == 0 {
                    line.pending = false;
                }
            }
        });
    }

    /// Whether a handler is registered.
    pub fn has_handler(&self) -> bool {
        world(|w| w.irqs.has_handler(self.irq))
    }

    /// How many interrupts came while no handler was there.
    pub fn spurious(&self) -> u64 {
        world(|w| w.irqs.spurious(self.irq))
    }
}

/// Let others run, as a handler that waits for the hardware would.
pub unsafe fn cpu_relax() {
    relax();
}

//! Soft interrupts and tasklets, after `kernel/softirq.c`.
//!
//! A tasklet has two bits in its `state`, SCHED (queued) and RUN (its function runs), and a
//! `count` that disables it. They are kept in the structure itself, as in C.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::machine::{
    at, block_until, preempt, relax, serve, spawn, step, world, Key, Place, TaskKind, Why, World,
    CPUS,
};
use super::report::Kind;
use super::table::Table;
use super::timer::{run_due, Context};
use crate::bindings::{tasklet_struct, TASKLET_STATE_RUN, TASKLET_STATE_SCHED};
use crate::ffi;
use std::collections::VecDeque;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;

const SCHED: ffi::c_ulong = 1 << TASKLET_STATE_SCHED;
const RUN: ffi::c_ulong = 1 << TASKLET_STATE_RUN;

/// What the model knows of a tasklet beside what is in its structure.
#[derive(Debug)]
struct Tasklet {
    name: Rc<str>,
    /// Queued on a CPU or running: the structure is in use.
    queued: bool,
    running_on: Option<usize>,
    set_up: Place,
    scheduled: Option<Place>,
}

#[derive(Default, Debug)]
pub(crate) struct Tasklets {
    known: Table<Tasklet>,
    /// Each CPU's list.
    lists: [VecDeque<usize>; CPUS],
    named: u32,
}

impl Tasklets {
    pub(crate) fn active_in(&self, range: &Range<usize>) -> Option<(String, Vec<String>)> {
        self.known.in_range(range).find_map(|(_, tasklet)| {
            let what = match (tasklet.running_on, tasklet.queued) {
                (Some(cpu), _) => format!("{}, which runs on cpu {cpu},", tasklet.name),
                (None, true) => format!("{}, which is scheduled,", tasklet.name),
                (None, false) => return None,
            };
            let mut facts = vec![format!("set up      {}", at(tasklet.set_up))];
            facts.extend(
                tasklet
                    .scheduled
                    .map(|place| format!("scheduled   {}", at(place))),
            );
            Some((what, facts))
        })
    }

    pub(crate) fn forget_in(&mut self, range: &Range<usize>) {
        self.known.remove_range(range);
    }

    fn name(&self, t: usize) -> Rc<str> {
        self.known
            .get(t)
            .map_or_else(|| "tasklet".into(), |tasklet| tasklet.name.clone())
    }

    fn get(&mut self, t: usize, place: Place) -> &mut Tasklet {
        let named = &mut self.named;
        self.known.get_or_insert_with(t, || {
            *named += 1;
            Tasklet {
                name: format!("tasklet {named}").into(),
                queued: false,
                running_on: None,
                set_up: place,
                scheduled: None,
            }
        })
    }
}

impl World {
    fn check_tasklet(&mut self, t: *mut tasklet_struct, place: Place) {
        self.check(t as usize, size_of::<tasklet_struct>(), "a tasklet", place);
    }

    /// `__raise_softirq_irqoff`: that CPU's soft interrupts have something to do.
    fn queue_tasklet(&mut self, cpu: usize, t: usize) {
        self.tasklets.lists[cpu].push_back(t);
        self.wake(Key::CpuSoft(cpu));
    }
}

/// Start the CPU's soft interrupt context, if there is none yet.
pub(crate) fn start_softirqs(cpu: usize) {
    if world(|w| w.cpus[cpu].soft_task.is_some()) {
        return;
    }
    world(|w| w.cpus[cpu].soft_task = Some(w.tasks.len()));
    spawn(
        format!("softirq{cpu}").into(),
        TaskKind::SoftIrq,
        Some(cpu),
        move || {
            serve(
                Key::CpuSoft(cpu),
                |w| {
                    let is_idle = w.tasklets.lists[cpu].is_empty()
                        && !w.timers.due(cpu, Context::Soft)
                        && !w.works.bh_due(cpu)
                        && !w.urbs.due(cpu);
                    if is_idle {
                        return None;
                    }
                    w.cpus[cpu].soft = true;
                    Some(std::mem::take(&mut w.tasklets.lists[cpu]))
                },
                |list| {
                    let mut ran = run_due(cpu, Context::Soft);
                    // As `tasklet_action()`: what is on BH workqueues first.
                    ran |= super::workqueue::run_bh(cpu);
                    ran |= super::urb::run_done(cpu);
                    for t in list {
                        ran |= run_tasklet(cpu, t);
                    }
                    world(|w| {
                        w.cpus[cpu].soft = false;
                        w.wake(Key::Rcu);
                    });
                    // If all had to be queued again it is ksoftirqd that looks at them again, and
                    // the CPU's tasks go on meanwhile.
                    match ran {
                        true => preempt(),
                        false => relax(),
                    }
                },
            );
        },
    );
}

/// One entry of `tasklet_action_common`'s list. Returns whether it could run.
fn run_tasklet(cpu: usize, t: usize) -> bool {
    preempt();
    let callback = world(|w| {
        if let Some(facts) = w.freed_facts(t) {
            let name = w.tasklets.name(t);
            w.fail(
                Kind::RanAfterFree,
                format!("{name} would run in freed memory"),
                &facts,
            );
        }
        let tasklet = t as *mut tasklet_struct;
        // SAFETY: a queued tasklet's memory is there: if it was allocated, it has just been
        // checked not to be freed. Only one task runs at a time.
        let tasklet = unsafe { &mut *tasklet };
        if tasklet.state & RUN != 0 || tasklet.count.counter != 0 {
            // It runs on another CPU, or is disabled: once more around.
            w.queue_tasklet(cpu, t);
            return None;
        }
        tasklet.state = (tasklet.state | RUN) & !SCHED;
        w.wake(Key::Addr(t));
        let known = w.tasklets.known.get_mut(t)?;
        known.queued = false;
        known.running_on = Some(cpu);
        let name = known.name.clone();
        w.note("runs", &name, None);
        Some((tasklet.use_callback, tasklet.__bindgen_anon_1, tasklet.data))
    });
    let Some((use_callback, function, data)) = callback else {
        return false;
    };
    // It has been called, and has looked at nothing yet.
    preempt();
    // SAFETY: `use_callback` says which of the two was stored, and whoever set the tasklet up
    // promised that it may be called while the tasklet is scheduled.
    unsafe {
        match use_callback {
            true => function
                .callback
                .map(|callback| callback(t as *mut tasklet_struct)),
            false => function.func.map(|func| func(data)),
        }
    };
    preempt();
    world(|w| {
        if let Some(facts) = w.freed_facts(t) {
            let name = w.tasklets.name(t);
            w.fail(
                Kind::RanAfterFree,
                format!("{name} was freed while it ran"),
                &facts,
            );
        }
        // SAFETY: as above.
        unsafe { (*(t as *mut tasklet_struct)).state &= !RUN };
        if let Some(known) = w.tasklets.known.get_mut(t) {
            known.running_on = None;
        }
        let name = w.tasklets.name(t);
        w.note("is done", &name, None);
        w.wake(Key::Addr(t));
    });
    true
}

#[track_caller]
fn set_up(t: *mut tasklet_struct, new: tasklet_struct, place: Place) {
    world(|w| {
        w.check_tasklet(t, place);
        w.tasklets.known.remove(t as usize);
        w.tasklets.get(t as usize, place);
        // SAFETY: the caller gives a tasklet's memory; that it is not freed has been checked.
        unsafe { t.write(new) };
    });
}

#[track_caller]
pub unsafe fn tasklet_setup(
    t: *mut tasklet_struct,
    callback: Option<unsafe extern "C" fn(arg1: *mut tasklet_struct)>,
) {
    let mut new = tasklet_struct {
        use_callback: true,
        ..Default::default()
    };
    new.__bindgen_anon_1.callback = callback;
    set_up(t, new, Location::caller());
}

#[track_caller]
pub unsafe fn tasklet_init(
    t: *mut tasklet_struct,
    func: Option<unsafe extern "C" fn(arg1: ffi::c_ulong)>,
    data: ffi::c_ulong,
) {
    let mut new = tasklet_struct {
        data,
        ..Default::default()
    };
    new.__bindgen_anon_1.func = func;
    set_up(t, new, Location::caller());
}

/// Queue a tasklet whose SCHED bit the caller has set.
#[track_caller]
pub unsafe fn __tasklet_schedule(t: *mut tasklet_struct) {
    let place = Location::caller();
    preempt();
    let cpu = world(|w| {
        w.check_tasklet(t, place);
        let known = w.tasklets.get(t as usize, place);
        known.queued = true;
        known.scheduled = Some(place);
        let name = known.name.clone();
        w.note("schedules", &name, Some(place));
        w.my_cpu()
    });
    start_softirqs(cpu);
    world(|w| w.queue_tasklet(cpu, t as usize));
    preempt();
}

#[track_caller]
pub unsafe fn __tasklet_hi_schedule(t: *mut tasklet_struct) {
    // SAFETY: the caller's promise is passed on. The model has one soft interrupt.
    unsafe { __tasklet_schedule(t) }
}

#[track_caller]
pub unsafe fn tasklet_schedule(t: *mut tasklet_struct) {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        if tasklet_claim(t) {
            __tasklet_schedule(t);
        }
    }
}

/// `!test_and_set_bit(TASKLET_STATE_SCHED, &t->state)`: whether the caller has to queue it.
#[track_caller]
pub(crate) unsafe fn tasklet_claim(t: *mut tasklet_struct) -> bool {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check_tasklet(t, place);
        // SAFETY: the caller gives a tasklet; that it is not freed has been checked.
        let state = unsafe { &mut (*t).state };
        let newly = *state & SCHED == 0;
        *state |= SCHED;
        newly
    })
}

#[track_caller]
pub unsafe fn tasklet_kill(t: *mut tasklet_struct) {
    let place = Location::caller();
    world(|w| {
        w.check_tasklet(t, place);
        w.might_sleep("tasklet_kill", place);
    });
    let name = world(|w| w.tasklets.name(t as usize));
    step("kills", &name, place);
    // wait_on_bit_lock(SCHED)
    block_until(
        Key::Addr(t as usize),
        Some(place),
        |_| Why::waits(format!("{name}, which is scheduled").into()),
        |w| {
            w.check_tasklet(t, place);
            // SAFETY: just checked.
            let state = unsafe { &mut (*t).state };
            let free = *state & SCHED == 0;
            *state |= SCHED;
            free.then_some(())
        },
    );
    // SAFETY: the caller's promise is passed on.
    unsafe { tasklet_unlock_wait(t) };
    preempt();
    world(|w| {
        w.check_tasklet(t, place);
        // SAFETY: just checked.
        unsafe { (*t).state &= !SCHED };
        w.wake(Key::Addr(t as usize));
        w.note("has killed", &name, Some(place));
    });
}

#[track_caller]
pub unsafe fn tasklet_unlock_wait(t: *mut tasklet_struct) {
    let place = Location::caller();
    block_until(
        Key::Addr(t as usize),
        Some(place),
        |w| {
            let name = w.tasklets.name(t as usize);
            Why::waits(format!("{name}, which runs").into())
        },
        |w| {
            w.check_tasklet(t, place);
            // SAFETY: just checked.
            (unsafe { (*t).state } & RUN == 0).then_some(())
        },
    );
}

#[track_caller]
pub unsafe fn tasklet_disable_nosync(t: *mut tasklet_struct) {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check_tasklet(t, place);
        // SAFETY: just checked.
        unsafe { (*t).count.counter += 1 };
    });
}

#[track_caller]
pub unsafe fn tasklet_disable(t: *mut tasklet_struct) {
    let place = Location::caller();
    world(|w| w.might_sleep("tasklet_disable", place));
    // SAFETY: the caller's promise is passed on.
    unsafe {
        tasklet_disable_nosync(t);
        tasklet_unlock_wait(t);
    }
}

#[track_caller]
pub unsafe fn tasklet_enable(t: *mut tasklet_struct) {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check_tasklet(t, place);
        // SAFETY: just checked.
        unsafe { (*t).count.counter -= 1 };
        w.wake(Key::Addr(t as usize));
    });
}

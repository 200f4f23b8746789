//! The machine: its tasks, its CPUs, who may run, and what has happened so far.
//!
//! One execution has one [`World`]. All tasks of an execution are coroutines on one OS thread, so
//! the world is in a thread-local and no lock protects it. It is borrowed in short sections that
//! never contain a scheduling point. The only scheduling points are [`preempt`], [`relax`] and
//! [`block_until`].
//!
//! Shuttle switches between the tasks. Which of them can run is decided here ([`World::eligible`]),
//! because that depends on more than blocking: a task cannot run while an interrupt runs on its
//! CPU, or while another task on its CPU has preemption off. So for shuttle every task is always
//! runnable, and a deadlock is seen (and explained) by [`World::pick`]. And it is decided before
//! shuttle is asked to switch ([`switch`]): where the same task goes on, nothing is to be switched.

use super::cdev::Cdevs;
use super::device::Devices;
use super::explore::{Chooser, Strategy};
use super::io::Mmio;
use super::irq::Irqs;
use super::ledger::Ledger;
use super::locks::Locks;
use super::misc::Misc;
use super::mm::Mm;
use super::module::Modules;
use super::poll::Epolls;
use super::report::{Failure, Kind};
use super::softirq::Tasklets;
use super::timer::Timers;
use super::urb::Urbs;
use super::wait::Waits;
use super::workqueue::Works;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::Location;
use std::rc::Rc;

/// How many CPUs a machine has.
pub(crate) const CPUS: usize = 2;

/// How many events a report shows.
const TRACE: usize = 40;

/// What does not pass while anything else can happen, in nanoseconds.
const LONG: u64 = 600_000_000_000;

/// Where something was done, in the source.
pub(crate) type Place = &'static Location<'static>;

/// What kind of thread of control a task is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TaskKind {
    /// A user program (or the test itself), in a system call or not.
    Process,
    /// A kernel thread: a worker or the thread of a threaded interrupt handler.
    Kthread,
    /// A CPU's hard interrupt context.
    HardIrq,
    /// A CPU's soft interrupt context.
    SoftIrq,
    /// The device side. It is not on any CPU.
    Hardware,
}

/// What a blocked task waits for, to be woken by [`World::wake`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Key {
    /// Something at an address: a lock, a queue, a tasklet...
    Addr(usize),
    /// An interrupt line.
    Irq(u32),
    /// A CPU's interrupt context has something to do.
    CpuIrq(usize),
    /// A CPU's soft interrupt context has something to do.
    CpuSoft(usize),
    /// There is work for a worker.
    Worker,
    /// There is another timer.
    Timer,
    /// There is something for the USB host controller.
    HostController,
    /// An URB has left its endpoint.
    UsbEndpoints,
    /// There is something for the thread of a threaded handler.
    IrqThread(u32),
    /// A task ends.
    Task(usize),
    /// Read-side critical sections end.
    Rcu,
    /// Nothing but time, or a signal.
    Time,
    /// Nothing else can run.
    Quiet,
    /// Nothing else can run, and nobody waits for anything but more to do.
    Settled,
}

/// Why a task is blocked, for the people who read about it.
#[derive(Clone, Debug)]
pub(crate) struct Why {
    /// "waits for", "spins on", ...
    pub(crate) verb: &'static str,
    /// What it waits for.
    pub(crate) object: Rc<str>,
    /// The task that could end the wait, if one is known.
    pub(crate) holder: Option<usize>,
    /// Waiting like this is how this task spends its free time.
    pub(crate) idle: bool,
}

impl Why {
    pub(crate) fn waits(object: Rc<str>) -> Self {
        Self {
            verb: "waits for",
            object,
            holder: None,
            idle: false,
        }
    }

    pub(crate) fn held(verb: &'static str, object: Rc<str>, holder: usize) -> Self {
        Self {
            verb,
            object,
            holder: Some(holder),
            idle: false,
        }
    }

    pub(crate) fn idle() -> Self {
        thread_local!(static ANYTHING: Rc<str> = "something to do".into());
        Self {
            verb: "waits for",
            object: ANYTHING.with(Rc::clone),
            holder: None,
            idle: true,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum State {
    Runnable,
    Blocked {
        key: Key,
        why: Why,
        deadline: Option<u64>,
        place: Option<Place>,
    },
    Done,
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) name: Rc<str>,
    pub(crate) kind: TaskKind,
    pub(crate) cpu: usize,
    /// Stays on its CPU when it wakes up.
    pub(crate) bound: bool,
    pub(crate) state: State,
    /// A signal is pending.
    pub(crate) signal: bool,
    /// Depths of what the task has turned off on its CPU.
    pub(crate) preempt_off: u32,
    pub(crate) irqs_off: u32,
    pub(crate) bh_off: u32,
    /// Depth of RCU read-side critical sections.
    pub(crate) rcu: u32,
    /// A handler that runs here is called as if from an interrupt (see `free_irq`).
    pub(crate) fake_irq: bool,
    /// `set_current_state`, between preparing to wait and `schedule`.
    pub(crate) prepared: Option<super::wait::Prepared>,
    /// A wake-up that `schedule` has to see (`wake_up_process`).
    pub(crate) woken: bool,
    /// What `get_current` points to.
    pub(crate) task_struct: *mut crate::bindings::task_struct,
}

impl Drop for Task {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw` in `add_task`, and the execution is over.
        drop(unsafe { Box::from_raw(self.task_struct) });
    }
}

/// What runs on one CPU, as far as that decides who else may.
#[derive(Default, Debug)]
pub(crate) struct Cpu {
    /// A hard interrupt runs.
    pub(crate) hard: bool,
    /// A soft interrupt runs.
    pub(crate) soft: bool,
    /// How many nested sections have interrupts off.
    pub(crate) irqs_off: u32,
    /// How many nested sections have soft interrupts off.
    pub(crate) bh_off: u32,
    /// The task that has preemption off.
    pub(crate) pinned_by: Option<usize>,
    /// Interrupt vectors that have reached the CPU and wait for interrupts to be on.
    pub(crate) vectors: VecDeque<u32>,
    /// The task that is this CPU's interrupt context, once there has been an interrupt.
    pub(crate) hard_task: Option<usize>,
    /// The same for soft interrupts.
    pub(crate) soft_task: Option<usize>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    step: u64,
    task: usize,
    cpu: usize,
    what: &'static str,
    object: Rc<str>,
    place: Option<Place>,
}

/// One machine in one execution.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) rng: Rng,
    chooser: Chooser,
    pub(crate) tasks: Vec<Task>,
    pub(crate) current: usize,
    pub(crate) cpus: [Cpu; CPUS],
    pub(crate) steps: u64,
    max_steps: u64,
    /// Nanoseconds since boot. Time passes only when nothing else can happen, or by chance.
    pub(crate) now: u64,
    pub(crate) shutdown: bool,
    /// The scenario is over; what runs now are final checks.
    trace: VecDeque<Event>,
    pub(crate) whole_trace: Option<Vec<String>>,
    pub(crate) dmesg: Vec<String>,
    pub(crate) ledger: Ledger,
    pub(crate) locks: Locks,
    pub(crate) irqs: Irqs,
    pub(crate) tasklets: Tasklets,
    pub(crate) works: Works,
    pub(crate) timers: Timers,
    pub(crate) urbs: Urbs,
    pub(crate) waits: Waits,
    pub(crate) devices: Devices,
    pub(crate) mmio: Mmio,
    pub(crate) misc: Misc,
    pub(crate) cdevs: Cdevs,
    pub(crate) mm: Mm,
    pub(crate) epolls: Epolls,
    pub(crate) modules: Modules,
    candidates: Vec<usize>,
    /// That the current task is to run has been decided already; shuttle has yet to ask.
    decided: bool,
}

thread_local! {
    static WORLD: RefCell<Option<Box<World>>> = const { RefCell::new(None) };
}

/// Borrow the world. Nothing in `f` may switch tasks or call a driver.
#[track_caller]
pub(crate) fn world<R>(f: impl FnOnce(&mut World) -> R) -> R {
    try_world(f).unwrap_or_else(|| {
        panic!("this needs a machine: call it inside `kernel::hosted::explore` or `run`")
    })
}

/// Borrow the world, if there is one.
#[track_caller]
pub(crate) fn try_world<R>(f: impl FnOnce(&mut World) -> R) -> Option<R> {
    WORLD.with(|world| world.borrow_mut().as_deref_mut().map(f))
}

/// Borrow the world, if there is one and it is not borrowed already. For the panic hook.
pub(crate) fn try_world_if_free<R>(f: impl FnOnce(&mut World) -> R) -> Option<R> {
    WORLD.with(|world| world.try_borrow_mut().ok()?.as_deref_mut().map(f))
}

/// Whether this thread is inside an execution.
pub(crate) fn in_world() -> bool {
    WORLD.with(|world| world.try_borrow().map_or(true, |world| world.is_some()))
}

/// A small, fast, seeded generator (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    #[inline(always)] // As `World::eligible`.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        // The high bits of a product are as even as the generator, for the small `n` of here.
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

/// The output function of SplitMix64: any change of a bit of `z` changes half of the result's.
#[inline(always)] // As `World::eligible`.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl World {
    pub(crate) fn install(seed: u64, strategy: Strategy, max_steps: u64, whole_trace: bool) {
        let mut rng = Rng(seed);
        let chooser = Chooser::new(strategy, &mut rng);
        let mut new = Box::new(World {
            seed,
            rng,
            chooser,
            tasks: Vec::with_capacity(16),
            current: 0,
            cpus: Default::default(),
            steps: 0,
            max_steps,
            now: 0,
            shutdown: false,
            trace: VecDeque::with_capacity(TRACE),
            whole_trace: whole_trace.then(Vec::new),
            dmesg: Vec::new(),
            ledger: Ledger::begin(seed),
            locks: Locks::default(),
            irqs: Irqs::default(),
            tasklets: Tasklets::default(),
            works: Works::default(),
            timers: Timers::default(),
            urbs: Urbs::default(),
            waits: Waits::default(),
            devices: Devices::default(),
            mmio: Mmio::default(),
            misc: Misc::default(),
            cdevs: Cdevs::default(),
            mm: Mm::default(),
            epolls: Epolls::default(),
            modules: Modules::default(),
            candidates: Vec::with_capacity(16),
            decided: false,
        });
        new.add_task("main".into(), TaskKind::Process, 0);
        WORLD.with(|world| *world.borrow_mut() = Some(new));
    }

    pub(crate) fn uninstall() -> Box<World> {
        WORLD.with(|world| world.borrow_mut().take().expect("a world is installed"))
    }

    fn add_task(&mut self, name: Rc<str>, kind: TaskKind, cpu: usize) -> usize {
        let index = self.tasks.len();
        self.tasks.push(Task {
            name,
            kind,
            cpu,
            bound: false,
            state: State::Runnable,
            signal: false,
            preempt_off: 0,
            irqs_off: 0,
            bh_off: 0,
            rcu: 0,
            fake_irq: false,
            prepared: None,
            woken: false,
            task_struct: Box::into_raw(Box::new(crate::bindings::task_struct {
                pid: 1 + self.tasks.len() as i32,
                index,
                _rest: Default::default(),
            })),
        });
        index
    }

    pub(crate) fn me(&mut self) -> &mut Task {
        &mut self.tasks[self.current]
    }

    pub(crate) fn my_cpu(&self) -> usize {
        self.tasks[self.current].cpu
    }

    /// Whether the current task runs as an interrupt of some kind.
    pub(crate) fn in_interrupt(&self) -> bool {
        let me = &self.tasks[self.current];
        matches!(me.kind, TaskKind::HardIrq | TaskKind::SoftIrq) || me.fake_irq || me.bh_off > 0
    }

    /// Why the current task may not sleep, if it may not.
    pub(crate) fn why_atomic(&self) -> Option<&'static str> {
        let me = &self.tasks[self.current];
        match me.kind {
            TaskKind::HardIrq => Some("in a hard interrupt"),
            TaskKind::SoftIrq => Some("in a soft interrupt"),
            TaskKind::Hardware => None,
            _ if me.fake_irq => Some("in an interrupt handler"),
            _ if me.irqs_off > 0 => Some("with interrupts off"),
            _ if me.bh_off > 0 => Some("with soft interrupts off"),
            _ if me.preempt_off > 0 => Some("with preemption off (a spinlock is held?)"),
            _ if me.rcu > 0 => Some("in an RCU read-side critical section"),
            _ => None,
        }
    }

    /// Record an event.
    pub(crate) fn note(&mut self, what: &'static str, object: &Rc<str>, place: Option<Place>) {
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        let event = Event {
            step: self.steps,
            task: self.current,
            cpu: self.my_cpu(),
            what,
            object: object.clone(),
            place,
        };
        let line = self
            .whole_trace
            .is_some()
            .then(|| self.format_event(&event));
        if let (Some(trace), Some(line)) = (&mut self.whole_trace, line) {
            trace.push(line);
        }
        self.trace.push_back(event);
    }

    fn format_event(&self, event: &Event) -> String {
        let task = &self.tasks[event.task];
        let cpu = match task.kind {
            TaskKind::Hardware => "device".to_string(),
            _ => format!("cpu {}", event.cpu),
        };
        let place = event
            .place
            .map(|place| format!("  {}", at(place)))
            .unwrap_or_default();
        format!(
            "{:>6}  {:<6}  {:<12}  {}{}{}{place}",
            event.step,
            cpu,
            task.name,
            event.what,
            if event.object.is_empty() { "" } else { " " },
            event.object,
        )
    }

    /// Who is where, on which CPU.
    pub(crate) fn whoami(&self) -> String {
        let me = &self.tasks[self.current];
        match me.kind {
            TaskKind::Hardware => format!("{} (a device)", me.name),
            _ => format!("{}, cpu {}", me.name, me.cpu),
        }
    }

    /// Whether a task could run now.
    #[inline(always)] // For each task at each step: opt-level 1 inlines what it is told to.
    fn eligible(&self, index: usize, task: &Task) -> bool {
        if !matches!(task.state, State::Runnable) {
            return false;
        }
        let cpu = &self.cpus[task.cpu];
        match task.kind {
            TaskKind::Hardware => true,
            TaskKind::HardIrq => cpu.hard || cpu.irqs_off == 0,
            TaskKind::SoftIrq => !cpu.hard && (cpu.soft || (cpu.irqs_off == 0 && cpu.bh_off == 0)),
            TaskKind::Process | TaskKind::Kthread => {
                !cpu.hard && !cpu.soft && cpu.pinned_by.is_none_or(|by| by == index)
            }
        }
    }

    /// What shuttle is told to run next: who has been chosen by [`switch`], or, where a task has
    /// ended, who is chosen now.
    pub(crate) fn next(&mut self) -> usize {
        if !std::mem::take(&mut self.decided) {
            self.pick(false);
        }
        self.current
    }

    /// Choose who runs next. Returns whether that is another task than before.
    fn pick(&mut self, yielding: bool) -> bool {
        self.steps += 1;
        if self.steps > self.max_steps {
            let failure = self.report(
                Kind::Livelock,
                format!(
                    "no end after {} steps: what happened last happens again and again",
                    self.max_steps
                ),
                &[],
            );
            super::explore::abandon(failure);
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        for (index, task) in self.tasks.iter().enumerate() {
            if self.eligible(index, task) {
                candidates.push(index);
            }
        }
        let by_chance = self.rng.next() & 127 == 0
            // What a running timer interrupts is what is worth seeing, so let time pass faster.
            || (self.timers.any() && self.rng.next() & 15 == 0);
        if candidates.is_empty() || by_chance {
            let must = candidates.is_empty();
            if let Some(task) = self.next_deadline(must) {
                if !candidates.contains(&task) {
                    candidates.push(task);
                }
            }
        }
        if candidates.is_empty() {
            self.stuck(&mut candidates);
        }
        let chooser = &mut self.chooser;
        let next = chooser.choose(&mut self.rng, &candidates, self.current, yielding);
        self.candidates = candidates;
        let before = std::mem::replace(&mut self.current, next);
        // SAFETY: explorations take turns, and all tasks of one are on one OS thread.
        unsafe { crate::bindings::jiffies = self.jiffies() };
        if matches!(self.tasks[next].state, State::Blocked { .. }) {
            self.tasks[next].state = State::Runnable;
        }
        next != before
    }

    /// Let the time of the earliest sleeper or timer come. Returns who can go on.
    fn next_deadline(&mut self, must: bool) -> Option<usize> {
        loop {
            let sleeper = self.first_sleeper();
            let timer = match must && self.is_restless() {
                true => None,
                false => self.timers.first(),
            };
            // Minutes pass by chance, and hours do not.
            let timer = timer.filter(|&(_, when)| must || when < self.now + LONG);
            match (timer, sleeper) {
                (Some((timer, when)), _) if sleeper.is_none_or(|(_, other)| when <= other) => {
                    let task = self.expire(timer, when, must);
                    let task = task.filter(|&task| self.eligible(task, &self.tasks[task]));
                    if task.is_some() || !must {
                        return task;
                    }
                }
                (_, Some((index, when))) => return self.end_sleep(index, when, must),
                (_, None) => return None,
            }
        }
    }

    /// Whether somebody waits for rest, and timers would go on for ever.
    fn is_restless(&self) -> bool {
        let waits = |task: &Task| {
            matches!(
                task.state,
                State::Blocked {
                    key: Key::Quiet | Key::Settled,
                    ..
                }
            )
        };
        self.timers.never_rest() && self.tasks.iter().any(waits)
    }

    fn first_sleeper(&self) -> Option<(usize, u64)> {
        (0..self.tasks.len())
            .filter_map(|index| match self.tasks[index].state {
                State::Blocked {
                    deadline: Some(when),
                    ..
                } => Some((index, when)),
                _ => None,
            })
            .min_by_key(|&(_, when)| when)
    }

    fn end_sleep(&mut self, index: usize, when: u64, must: bool) -> Option<usize> {
        let cpu = &self.cpus[self.tasks[index].cpu];
        if !must && (cpu.hard || cpu.soft || cpu.pinned_by.is_some_and(|by| by != index)) {
            return None;
        }
        self.now = self.now.max(when);
        Some(index)
    }

    /// Nothing can run: the end, or a deadlock.
    fn stuck(&mut self, candidates: &mut Vec<usize>) {
        let waiting = |wanted: Key| {
            let waits =
                |task: &Task| matches!(task.state, State::Blocked { key, .. } if key == wanted);
            self.tasks.iter().position(waits)
        };
        if let Some(task) = waiting(Key::Quiet) {
            candidates.push(task);
            return;
        }
        if let Some(main) = waiting(Key::Settled) {
            let busy = self.tasks.iter().any(|task| match &task.state {
                State::Blocked {
                    key: Key::Settled, ..
                } => false,
                State::Blocked { why, .. } => !why.idle,
                State::Runnable => true,
                State::Done => false,
            });
            if !busy {
                candidates.push(main);
                return;
            }
        }
        let failure = self.report(Kind::Deadlock, "nothing can run any more".into(), &[]);
        super::explore::abandon(failure);
    }

    /// Who waits for what.
    fn waits_for(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (index, task) in self.tasks.iter().enumerate() {
            match &task.state {
                State::Blocked {
                    why, place, key, ..
                } => {
                    if why.idle || matches!(key, Key::Settled | Key::Quiet) {
                        continue;
                    }
                    let mut line = format!(
                        "{} (cpu {}) {} {}",
                        task.name, task.cpu, why.verb, why.object
                    );
                    if let Some(holder) = why.holder {
                        line += &match holder == index {
                            true => ", which it holds itself".to_string(),
                            false => format!(", held by {}", self.tasks[holder].name),
                        };
                    }
                    if let Some(place) = place {
                        line += &format!("  {}", at(place));
                    }
                    lines.push(line);
                }
                State::Runnable if !self.eligible(index, task) => {
                    let cpu = &self.cpus[task.cpu];
                    let why = match cpu {
                        Cpu { hard: true, .. } => "an interrupt runs there".to_string(),
                        Cpu { soft: true, .. } => "a soft interrupt runs there".to_string(),
                        Cpu {
                            pinned_by: Some(by),
                            ..
                        } if *by != index => {
                            format!("{} has preemption off there", self.tasks[*by].name)
                        }
                        _ => "interrupts are off there".to_string(),
                    };
                    lines.push(format!(
                        "{} cannot run on cpu {}: {why}",
                        task.name, task.cpu
                    ));
                }
                _ => {}
            }
        }
        lines
    }

    /// Write a report. `facts` are lines such as "registered  driver.rs:12".
    pub(crate) fn report(&mut self, kind: Kind, message: String, facts: &[String]) -> Failure {
        Failure {
            kind,
            message,
            facts: facts.to_vec(),
            who: self.whoami(),
            waits: match kind {
                Kind::Deadlock | Kind::Livelock => self.waits_for(),
                _ => Vec::new(),
            },
            trace: self
                .trace
                .iter()
                .map(|event| self.format_event(event))
                .collect(),
            dmesg: self.dmesg.clone(),
            schedule: self.seed,
            tried: 0,
            command: String::new(),
        }
    }

    /// Report a failure and end the execution.
    #[track_caller]
    pub(crate) fn fail(&mut self, kind: Kind, message: String, facts: &[String]) -> ! {
        let failure = self.report(kind, message, facts);
        super::explore::abandon(failure)
    }

    /// Make those that wait for `key` look again.
    pub(crate) fn wake(&mut self, key: Key) {
        for index in 0..self.tasks.len() {
            if matches!(self.tasks[index].state, State::Blocked { key: k, .. } if k == key) {
                self.make_runnable(index);
            }
        }
    }

    pub(crate) fn make_runnable(&mut self, index: usize) {
        let movable = {
            let task = &mut self.tasks[index];
            if !matches!(task.state, State::Blocked { .. }) {
                return;
            }
            task.state = State::Runnable;
            matches!(task.kind, TaskKind::Process | TaskKind::Kthread)
                && !task.bound
                && task.preempt_off == 0
                && task.irqs_off == 0
                && task.bh_off == 0
        };
        // The scheduler places a task when it wakes up.
        if movable && self.rng.next() & 3 == 0 {
            self.tasks[index].cpu = self.rng.below(CPUS);
        }
    }

    /// Report a call that may sleep where that is not allowed.
    #[track_caller]
    pub(crate) fn might_sleep(&mut self, what: &str, place: Place) {
        if let Some(why) = self.why_atomic() {
            let message = format!("{what} may sleep, and is called {why}");
            self.fail(
                Kind::SleepInAtomic,
                message,
                &[format!("called      {}", at(place))],
            );
        }
    }

    pub(crate) fn preempt_off(&mut self) {
        let (me, cpu) = (self.current, self.my_cpu());
        self.tasks[me].preempt_off += 1;
        if matches!(self.tasks[me].kind, TaskKind::Process | TaskKind::Kthread) {
            self.cpus[cpu].pinned_by = Some(me);
        }
    }

    pub(crate) fn preempt_on(&mut self) {
        let (me, cpu) = (self.current, self.my_cpu());
        let task = &mut self.tasks[me];
        task.preempt_off = task.preempt_off.saturating_sub(1);
        self.unpin(me, cpu);
    }

    pub(crate) fn irqs_off(&mut self) {
        let (me, cpu) = (self.current, self.my_cpu());
        self.tasks[me].irqs_off += 1;
        self.cpus[cpu].irqs_off += 1;
        if matches!(self.tasks[me].kind, TaskKind::Process | TaskKind::Kthread) {
            self.cpus[cpu].pinned_by = Some(me);
        }
    }

    pub(crate) fn irqs_on(&mut self) {
        let (me, cpu) = (self.current, self.my_cpu());
        if self.tasks[me].irqs_off > 0 {
            self.tasks[me].irqs_off -= 1;
            self.cpus[cpu].irqs_off -= 1;
        }
        self.unpin(me, cpu);
    }

    pub(crate) fn bh_off(&mut self) {
        let (me, cpu) = (self.current, self.my_cpu());
        self.tasks[me].bh_off += 1;
        self.cpus[cpu].bh_off += 1;
        if matches!(self.tasks[me].kind, TaskKind::Process | TaskKind::Kthread) {
            self.cpus[cpu].pinned_by = Some(me);
        }
    }

    pub(crate) fn bh_on(&mut self) {
        let (me, cpu) = (self.current, self.my_cpu());
        if self.tasks[me].bh_off > 0 {
            self.tasks[me].bh_off -= 1;
            self.cpus[cpu].bh_off -= 1;
        }
        self.unpin(me, cpu);
    }

    fn unpin(&mut self, me: usize, cpu: usize) {
        let task = &self.tasks[me];
        let free = task.preempt_off == 0 && task.irqs_off == 0 && task.bh_off == 0;
        if free && self.cpus[cpu].pinned_by == Some(me) {
            self.cpus[cpu].pinned_by = None;
        }
    }
}

/// A source location, as reports show it.
pub(crate) fn at(place: Place) -> String {
    format!("{}:{}", place.file(), place.line())
}

/// Choose who runs next, and have shuttle run it until this task is chosen again.
fn switch(yielding: bool) {
    let changes = try_world(|w| {
        w.decided = w.pick(yielding);
        w.decided
    });
    if changes == Some(true) {
        shuttle::thread::sleep(std::time::Duration::ZERO);
    }
}

/// A scheduling point: anyone who can run may run now.
pub(crate) fn preempt() {
    switch(false);
}

/// A turn of a loop that waits for someone else.
pub(crate) fn relax() {
    switch(true);
}

/// A scheduling point that is also an event.
pub(crate) fn step(what: &'static str, object: &Rc<str>, place: Place) {
    preempt();
    try_world(|w| w.note(what, object, Some(place)));
}

/// Wait until `done` gives something; `key` is what announces a change.
///
/// Whether sleeping is allowed is the caller's business, since spinning also ends up here.
pub(crate) fn block_until<R>(
    key: Key,
    place: Option<Place>,
    mut why: impl FnMut(&World) -> Why,
    mut done: impl FnMut(&mut World) -> Option<R>,
) -> R {
    loop {
        let result = world(|w| {
            let result = done(w);
            if result.is_none() {
                let why = why(w);
                w.me().state = State::Blocked {
                    key,
                    why,
                    deadline: None,
                    place,
                };
            }
            result
        });
        match result {
            Some(result) => return result,
            None => switch(false),
        }
    }
}

/// Sleep for `ns` of the machine's time, or until woken by something.
pub(crate) fn sleep_ns(ns: u64, why: &'static str, place: Place) {
    world(|w| {
        let deadline = Some(w.now + ns);
        let why = Why {
            verb: "sleeps in",
            object: why.into(),
            holder: None,
            idle: false,
        };
        w.me().state = State::Blocked {
            key: Key::Time,
            why,
            deadline,
            place: Some(place),
        };
    });
    switch(false);
}

/// Block the current task in `state`, until someone makes it runnable.
pub(crate) fn block(state: State) {
    world(|w| w.me().state = state);
    switch(false);
}

/// Start a task. It runs `body` and ends.
pub(crate) fn spawn(
    name: Rc<str>,
    kind: TaskKind,
    cpu: Option<usize>,
    body: impl FnOnce() + 'static,
) -> usize {
    /// Tasks of one execution share one OS thread, so nothing is really sent anywhere.
    struct SameThread<T>(T);
    // SAFETY: shuttle runs all threads of an execution on the OS thread that started it.
    unsafe impl<T> Send for SameThread<T> {}
    impl<T: FnOnce()> SameThread<T> {
        fn call(self) {
            (self.0)()
        }
    }

    let index = world(|w| {
        let cpu = cpu.unwrap_or_else(|| w.rng.below(CPUS));
        w.add_task(name, kind, cpu)
    });
    let body = SameThread(body);
    // Shuttle would let others run before the task exists, and they may start tasks as well. The
    // current task goes on.
    world(|w| w.decided = true);
    let handle = shuttle::thread::spawn(move || {
        body.call();
        world(|w| {
            w.me().state = State::Done;
            w.wake(Key::Task(index));
        });
    });
    world(|w| w.decided = false);
    let id = usize::from(handle.thread().id());
    assert_eq!(
        id, index,
        "devscope bug: a task that the machine did not start"
    );
    index
}

/// Run jobs whenever `take` finds one, until the machine is switched off. For tasks that serve.
pub(crate) fn serve<J>(
    key: Key,
    mut take: impl FnMut(&mut World) -> Option<J>,
    mut run: impl FnMut(J),
) {
    loop {
        let job = block_until(
            key,
            None,
            |_| Why::idle(),
            |w| take(w).map(Some).or_else(|| w.shutdown.then_some(None)),
        );
        match job {
            Some(job) => run(job),
            None => return,
        }
    }
}

/// Wait until a task has ended.
pub(crate) fn join(task: usize, place: Place) {
    block_until(
        Key::Task(task),
        Some(place),
        |w| {
            Why::held(
                "waits for",
                format!("the end of {}", w.tasks[task].name).into(),
                task,
            )
        },
        |w| matches!(w.tasks[task].state, State::Done).then_some(()),
    );
}

/// Wait until nothing else can happen. At the end, that somebody still waits is a deadlock.
pub(crate) fn settle(at_the_end: bool) {
    world(|w| w.timers.begin_to_wait());
    block(State::Blocked {
        key: if at_the_end { Key::Settled } else { Key::Quiet },
        why: Why::idle(),
        deadline: None,
        place: None,
    });
}

//! The storm of [`crate::scenario::storm`], written directly on shuttle: no model, no ledger, only what
//! this one scenario needs.
//!
//! The same as on the hosted kernel:
//!
//! - the tasks: the main program, the hardware's programs, and one hard and one soft interrupt context
//!   for each of two CPUs, started by their first interrupt;
//! - the device's registers, the interrupt line (in flight, in progress, pending, and the last call of a
//!   shared line's handler), the tasklet (scheduled, running, killed), and the driver's and devscope's
//!   steps, in their order;
//! - a point at which others may run before each access to what tasks share;
//! - what is checked: nothing runs on the driver's data after it is freed, nothing is registered or
//!   scheduled after unbinding, nothing is left at the end, and everything ends.
//!
//! Not the same: tasks run on no CPU, so an interrupt does not hold up the task that it interrupts; there
//! is no clock; nothing knows what is memory, who may sleep, or what happened before, so a failure is a
//! panic without a story. How many steps each takes is among the results.

use shuttle::{
    rand::{thread_rng, Rng},
    sync::{
        atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::SeqCst},
        Arc, Condvar, Mutex,
    },
    thread::{self, JoinHandle},
};
use std::sync::atomic as plain;

const ONCE: u32 = 0x001;
const AND_ANOTHER: u32 = 0x200;
const CPUS: usize = 2;

// ---- The machine ----

/// What a CPU's hard or soft interrupts have to do.
#[derive(Default)]
struct Context {
    todo: Mutex<Todo>,
    changed: Condvar,
    started: AtomicBool,
}

#[derive(Default)]
struct Todo {
    times: usize,
    off: bool,
}

impl Context {
    /// Waits for something to do. `None`: the machine is switched off.
    fn take(&self) -> Option<()> {
        let mut todo = self.todo.lock().unwrap();
        while todo.times == 0 && !todo.off {
            todo = self.changed.wait(todo).unwrap();
        }
        todo.times = todo.times.checked_sub(1)?;
        Some(())
    }

    fn add(&self) {
        self.todo.lock().unwrap().times += 1;
        self.changed.notify_one();
    }

    fn switch_off(&self) {
        self.todo.lock().unwrap().off = true;
        self.changed.notify_all();
    }
}

struct Machine {
    hard: [Context; CPUS],
    soft: [Context; CPUS],
    contexts: Mutex<Vec<JoinHandle<()>>>,
    modules: Mutex<usize>,
    drivers: Mutex<usize>,
    edu: Edu,
    line: Line,
    tasklet: Tasklet,
    /// The device's lock, and what the driver keeps while it is bound.
    bound: Mutex<Option<Arc<Data>>>,
}

impl Machine {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            hard: Default::default(),
            soft: Default::default(),
            contexts: Default::default(),
            modules: Default::default(),
            drivers: Default::default(),
            edu: Default::default(),
            line: Default::default(),
            tasklet: Default::default(),
            bound: Default::default(),
        })
    }

    /// Starts the context if this is its first interrupt.
    fn start(self: &Arc<Self>, context: &Context, serve: impl Fn(&Arc<Self>) + Send + 'static) {
        if !context.started.swap(true, SeqCst) {
            let machine = self.clone();
            let context = thread::spawn(move || serve(&machine));
            self.contexts.lock().unwrap().push(context);
        }
    }

    /// An interrupt message reaches one of the CPUs, unless one is under way already.
    fn message(self: &Arc<Self>) {
        if !self.line.fire() {
            return;
        }
        let cpu = thread_rng().gen_range(0..CPUS);
        self.start(&self.hard[cpu], move |machine| {
            while machine.hard[cpu].take().is_some() {
                machine.line.handle(machine, cpu);
            }
        });
        self.hard[cpu].add();
    }

    /// A tasklet is put on the CPU's list.
    fn soft_interrupt(self: &Arc<Self>, cpu: usize) {
        self.start(&self.soft[cpu], move |machine| {
            while machine.soft[cpu].take().is_some() {
                machine.tasklet.run(machine, cpu);
            }
        });
        self.soft[cpu].add();
    }

    fn switch_off(&self) {
        let contexts = std::mem::take(&mut *self.contexts.lock().unwrap());
        for context in self.hard.iter().chain(&self.soft) {
            context.switch_off();
        }
        for context in contexts {
            context.join().unwrap();
        }
        for context in self.hard.iter().chain(&self.soft) {
            assert_eq!(context.todo.lock().unwrap().times, 0, "left to do");
        }
    }
}

/// The device's registers.
#[derive(Default)]
struct Edu {
    status: AtomicU32,
    messages: AtomicBool,
    pin: AtomicBool,
}

impl Edu {
    fn raise(&self, machine: &Arc<Machine>, causes: u32) {
        self.status.fetch_or(causes, SeqCst);
        match self.messages.load(SeqCst) {
            true => machine.message(),
            false => self.pin.store(true, SeqCst),
        }
    }
}

/// An interrupt line with at most one handler.
#[derive(Default)]
struct Line {
    state: Mutex<LineState>,
    idle: Condvar,
}

#[derive(Default)]
struct LineState {
    handler: Option<Arc<Data>>,
    in_flight: bool,
    in_progress: bool,
    pending: bool,
}

impl Line {
    fn request(&self, data: &Arc<Data>) {
        let before = self.state.lock().unwrap().handler.replace(data.clone());
        assert!(before.is_none());
    }

    /// Whether a CPU is to get this message.
    fn fire(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        if state.handler.is_none() {
            return false;
        }
        if state.in_progress {
            state.pending = true;
            return false;
        }
        !std::mem::replace(&mut state.in_flight, true)
    }

    fn handle(&self, machine: &Arc<Machine>, cpu: usize) {
        {
            let mut state = self.state.lock().unwrap();
            state.in_flight = false;
            if state.in_progress || state.handler.is_none() {
                state.pending = state.in_progress;
                return;
            }
            (state.pending, state.in_progress) = (false, true);
        }
        loop {
            let handler = self.state.lock().unwrap().handler.clone();
            if let Some(data) = handler {
                data.interrupt(machine, cpu);
            }
            let mut state = self.state.lock().unwrap();
            if !std::mem::take(&mut state.pending) || state.handler.is_none() {
                state.in_progress = false;
                break;
            }
        }
        self.idle.notify_all();
    }

    /// `free_irq()`: nobody is in the handler when it returns, and it calls a shared line's once more.
    fn free(&self, machine: &Arc<Machine>) {
        let handler = {
            let mut state = self.state.lock().unwrap();
            let handler = state.handler.take();
            while state.in_progress {
                state = self.idle.wait(state).unwrap();
            }
            handler.unwrap()
        };
        handler.interrupt(machine, 0);
    }
}

#[derive(Default)]
struct Tasklet {
    state: Mutex<TaskletState>,
    changed: Condvar,
    /// devscope's flag: scheduling refuses.
    refuses: AtomicBool,
}

#[derive(Default)]
struct TaskletState {
    body: Option<Arc<Data>>,
    scheduled: bool,
    running: bool,
}

impl Tasklet {
    fn schedule(&self, machine: &Arc<Machine>, cpu: usize) {
        if self.refuses.load(SeqCst) {
            return;
        }
        if !std::mem::replace(&mut self.state.lock().unwrap().scheduled, true) {
            machine.soft_interrupt(cpu);
        }
    }

    fn run(&self, machine: &Arc<Machine>, cpu: usize) {
        let body = {
            let mut state = self.state.lock().unwrap();
            if state.running {
                drop(state);
                // It runs on the other CPU: once more around.
                machine.soft[cpu].add();
                return thread::yield_now();
            }
            (state.scheduled, state.running) = (false, true);
            state.body.clone()
        };
        self.changed.notify_all();
        body.expect("freed while it was scheduled")
            .bottom_half(machine);
        self.state.lock().unwrap().running = false;
        self.changed.notify_all();
    }

    /// `tasklet_kill()`
    fn kill(&self) {
        let mut state = self.state.lock().unwrap();
        while state.scheduled {
            state = self.changed.wait(state).unwrap();
        }
        state.scheduled = true;
        while state.running {
            state = self.changed.wait(state).unwrap();
        }
        state.scheduled = false;
    }
}

// ---- The driver ----

/// How often the handler has run, over all schedules.
static EVENTS: plain::AtomicU64 = plain::AtomicU64::new(0);

pub fn events() -> u64 {
    EVENTS.load(SeqCst)
}

/// The data of `examples/case1/driver.rs`, and its two bodies.
#[derive(Default)]
struct Data {
    seen: AtomicU32,
    events: AtomicI64,
    /// Not something that tasks share, but what the checks look at.
    freed: plain::AtomicBool,
}

impl Data {
    fn check(&self) {
        assert!(!self.freed.load(SeqCst), "runs on freed data");
    }

    fn interrupt(&self, machine: &Arc<Machine>, cpu: usize) {
        self.check();
        EVENTS.fetch_add(1, SeqCst);
        let status = machine.edu.status.load(SeqCst);
        if status != 0 {
            machine.edu.status.fetch_and(!status, SeqCst);
            self.seen.store(status, SeqCst);
            machine.tasklet.schedule(machine, cpu);
        }
        self.check();
    }

    fn bottom_half(&self, machine: &Arc<Machine>) {
        self.check();
        self.events.fetch_add(1, SeqCst);
        if self.seen.swap(0, SeqCst) & AND_ANOTHER != 0 {
            machine.edu.raise(machine, AND_ANOTHER);
        }
        self.check();
    }
}

impl Machine {
    fn load(&self) {
        *self.modules.lock().unwrap() += 1;
        *self.drivers.lock().unwrap() += 1;
    }

    fn unload(&self) {
        *self.drivers.lock().unwrap() -= 1;
        *self.modules.lock().unwrap() -= 1;
    }

    fn bind(&self) {
        let mut bound = self.bound.lock().unwrap();
        let data = Arc::new(Data::default());
        self.edu.messages.store(true, SeqCst);
        self.tasklet.state.lock().unwrap().body = Some(data.clone());
        self.line.request(&data);
        *bound = Some(data);
    }

    /// Ends the scope in devscope's order, and frees the data.
    fn unbind(self: &Arc<Self>) {
        let mut bound = self.bound.lock().unwrap();
        let data = bound.take().unwrap();
        self.tasklet.refuses.store(true, SeqCst);
        self.tasklet.kill();
        self.line.free(self);
        self.tasklet.kill();
        {
            let mut tasklet = self.tasklet.state.lock().unwrap();
            assert!(!tasklet.scheduled && !tasklet.running);
            tasklet.body = None;
        }
        self.edu.messages.store(false, SeqCst);
        assert!(self.line.state.lock().unwrap().handler.is_none());
        data.freed.store(true, SeqCst);
        // Clones that are about to be dropped are no use of the data; the assertions above are.
        drop(data);
    }
}

/// As [`crate::scenario::storm`].
pub fn storm(threads: usize, times: usize) {
    let machine = Machine::new();
    machine.load();
    machine.bind();
    let hardware: Vec<_> = (0..threads)
        .map(|_| {
            let machine = machine.clone();
            thread::spawn(move || {
                for _ in 0..times {
                    for causes in [AND_ANOTHER, ONCE, ONCE] {
                        machine.edu.raise(&machine, causes);
                    }
                }
            })
        })
        .collect();
    machine.unbind();
    for hardware in hardware {
        hardware.join().unwrap();
    }
    machine.unload();
    machine.switch_off();
    assert_eq!(*machine.modules.lock().unwrap(), 0);
    assert_eq!(Arc::strong_count(&machine), 1, "left at the end");
}

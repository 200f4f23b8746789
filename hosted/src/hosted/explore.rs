//! Running a scenario under many schedules, and stopping where one fails.
//!
//! Each schedule is one execution with a seed of its own, and everything random in it comes out of
//! that seed. So the seed is all that is needed to see a failure again: `DEVSCOPE_SCHEDULE=<hex>`.
//! (Shuttle's own schedulers learn from one execution for the next, which such a seed could not
//! repeat; so the choice among tasks is made here, in the ways they make it.)
//!
//! A failure does not unwind: the stack below may hold `extern "C"` frames of a driver, which a
//! panic must not cross, and destructors that would meet a half-dead machine. [`abandon`] sends the
//! report to the thread that waits for it and parks the exploring thread for ever, with its stacks
//! and memory as they are.

use super::give_up;
use super::machine::{self, mix, Rng, World};
use super::report::{Failure, Kind};
use super::Machine;
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::mpsc::{channel, Sender};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// The variable that names one schedule to run, in hexadecimal.
pub(crate) const SCHEDULE: &str = "DEVSCOPE_SCHEDULE";

/// How an exploration chooses who runs next. See [`Explore::strategy`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// One of the others in each schedule: half of the schedules go by priorities, a quarter is random,
    /// a quarter sticky.
    #[default]
    Mixed,
    /// Any task that can run, with equal chances.
    Random,
    /// The task that runs goes on, but for one time in a few; in how many, each schedule draws for itself.
    Sticky,
    /// Priorities, and a few points at which the running task loses its own: the PCT algorithm
    /// (Burckhardt et al., ASPLOS 2010), which finds a bug that needs few switches with a
    /// probability that does not depend on how many threads or steps there are in between.
    Pct,
}

/// Who chooses the next task of one schedule.
#[derive(Debug)]
pub(crate) enum Chooser {
    Random,
    Sticky {
        turn: usize,
    },
    Priorities {
        of: Vec<u32>,
        lowest: u32,
        change_at: Vec<u64>,
        chosen: u64,
    },
}

/// After so many choices priorities count no more. They are not fair: a loop of tasks with high
/// priorities would keep out for ever who is to end it.
const UNFAIR: u64 = 3000;

impl Chooser {
    /// What is left open by the strategy comes from the schedule's seed.
    pub(crate) fn new(strategy: Strategy, rng: &mut Rng) -> Self {
        match strategy {
            Strategy::Mixed => {
                let one = match rng.below(4) {
                    0 => Strategy::Random,
                    1 => Strategy::Sticky,
                    _ => Strategy::Pct,
                };
                Self::new(one, rng)
            }
            Strategy::Random => Chooser::Random,
            Strategy::Sticky => Chooser::Sticky {
                turn: 2 << rng.below(5),
            },
            Strategy::Pct => {
                // How long the execution will be is not known yet, so any scale may be right.
                let scale = 32usize << rng.below(6);
                let points = rng.below(4);
                Chooser::Priorities {
                    of: Vec::new(),
                    lowest: u32::MAX / 2,
                    change_at: (0..points).map(|_| 1 + rng.below(scale) as u64).collect(),
                    chosen: 0,
                }
            }
        }
    }

    pub(crate) fn choose(
        &mut self,
        rng: &mut Rng,
        candidates: &[usize],
        current: usize,
        yielding: bool,
    ) -> usize {
        match self {
            Chooser::Random => candidates[rng.below(candidates.len())],
            Chooser::Sticky { turn } => {
                if !yielding && candidates.contains(&current) && rng.below(*turn) != 0 {
                    current
                } else {
                    candidates[rng.below(candidates.len())]
                }
            }
            Chooser::Priorities {
                of,
                lowest,
                change_at,
                chosen,
            } => {
                *chosen += u64::from(candidates.len() > 1);
                if *chosen > UNFAIR {
                    return candidates[rng.below(candidates.len())];
                }
                let highest = *candidates.iter().max().expect("there is one").max(&current);
                while of.len() <= highest {
                    of.push(u32::MAX / 2 + (rng.next() >> 33) as u32);
                }
                if yielding || change_at.contains(chosen) {
                    *lowest -= 1;
                    of[current] = *lowest;
                }
                let best = candidates.iter().max_by_key(|&&task| (of[task], task));
                *best.expect("there is one")
            }
        }
    }
}

thread_local! {
    /// Where a failure of this thread's exploration goes.
    static REPORT: RefCell<Option<Sender<End>>> = const { RefCell::new(None) };
}

/// How an exploration ends.
enum End {
    Failed(Box<Failure>),
    Survived,
}

/// Send the report of this thread's exploration.
fn tell(failure: Failure) {
    REPORT.with(|report| {
        if let Some(report) = report.borrow().as_ref() {
            // Nobody listens if the explorer is gone; then there is nobody to tell, either.
            let _ = report.send(End::Failed(Box::new(failure)));
        }
    });
}

/// End this execution, and with it the exploration: see the module's documentation.
pub(crate) fn abandon(failure: Failure) -> ! {
    tell(failure);
    give_up::park()
}

/// On an exploring thread a panic is a finding. It must not unwind: see [`give_up`].
fn on_panic(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .map(|message| message.to_string())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic".into());
    let place = info
        .location()
        .map(|at| format!("panicked    {}:{}", at.file(), at.line()));
    let facts: Vec<String> = place.into_iter().collect();
    let failure = machine::try_world_if_free(|w| w.report(Kind::Panic, message.clone(), &facts))
        .unwrap_or_else(|| Failure::bare(Kind::Panic, message, facts));
    tell(failure);
    give_up::at_next_raise();
}

/// Put [`on_panic`] in front of the panic hook, and leave shuttle's out.
fn install_panic_hook() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // Shuttle installs its hook, which prints, in its first execution: have that behind us.
        let before = std::panic::take_hook();
        shuttle::Runner::new(
            Walk {
                left: 1,
                ..Walk::default()
            },
            quiet(),
        )
        .run(|| {});
        drop(std::panic::take_hook());
        std::panic::set_hook(Box::new(move |info| {
            if REPORT.with(|report| report.try_borrow().is_ok_and(|report| report.is_some())) {
                on_panic(info)
            } else {
                before(info)
            }
        }));
    });
}

fn quiet() -> shuttle::Config {
    let mut config = shuttle::Config::new();
    config.stack_size = 256 * 1024;
    config.failure_persistence = shuttle::FailurePersistence::None;
    config.max_steps = shuttle::MaxSteps::None;
    config.silence_warnings = true;
    config
}

/// Shuttle's scheduler, as far as it is left to us to say something: [`World::next`] does the rest.
#[derive(Debug, Default)]
struct Walk {
    base: u64,
    /// A single schedule, instead of those that follow from `base`.
    only: Option<u64>,
    /// How many schedules have begun, and how many are left.
    begun: u64,
    left: usize,
    until: Option<Instant>,
    /// The seed for the next execution to take.
    seed: Arc<Mutex<u64>>,
}

impl Scheduler for Walk {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.left == 0 || self.until.is_some_and(|until| Instant::now() > until) {
            return None;
        }
        self.left -= 1;
        let seed = self.only.unwrap_or_else(|| seed_of(self.base, self.begun));
        self.begun += 1;
        *self.seed.lock().unwrap_or_else(PoisonError::into_inner) = seed;
        Some(Schedule::new(seed))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        _current: Option<TaskId>,
        _yielding: bool,
    ) -> Option<TaskId> {
        let next = machine::try_world(World::next);
        // Before there is a world, and after, only shuttle's main task has anything to do.
        Some(next.map_or(runnable[0].id(), TaskId::from))
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}

/// The seed of the `iteration`-th schedule that follows from `base`. Short ones come first, since
/// people have to copy them.
fn seed_of(base: u64, iteration: u64) -> u64 {
    mix(mix(base ^ 0x6465_7673_636f_7065).wrapping_add(iteration)) >> 24
}

/// What an exploration that found nothing has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many schedules ran.
    pub schedules: usize,
    /// How many scheduling decisions they took, all together.
    pub steps: u64,
    /// How long it took.
    pub time: Duration,
}

/// How an exploration went.
#[derive(Clone, Debug)]
#[must_use = "a failure that nobody looks at was found for nothing"]
pub enum Outcome {
    /// No schedule failed.
    Survived(Stats),
    /// A schedule failed.
    Failed(Box<Failure>),
}

impl Outcome {
    /// The statistics of a success.
    ///
    /// # Panics
    ///
    /// With the report, if a schedule failed.
    #[track_caller]
    pub fn unwrap(self) -> Stats {
        match self {
            Outcome::Survived(stats) => stats,
            Outcome::Failed(failure) => panic!("{failure}"),
        }
    }

    /// The failure.
    ///
    /// # Panics
    ///
    /// If there was none.
    #[track_caller]
    pub fn expect_failure(self) -> Failure {
        match self {
            Outcome::Survived(stats) => {
                panic!(
                    "a failure was expected, but all {} schedules survived",
                    stats.schedules
                )
            }
            Outcome::Failed(failure) => *failure,
        }
    }

    /// The failure, if there was one.
    pub fn failure(self) -> Option<Failure> {
        match self {
            Outcome::Survived(_) => None,
            Outcome::Failed(failure) => Some(*failure),
        }
    }
}

/// An exploration to be: a scenario's name, how many schedules, from which seed.
///
/// Scenarios of one process take turns, because a driver's `static`s (its module, its driver
/// structure) exist once in a process.
#[derive(Clone, Debug)]
pub struct Explore {
    name: String,
    schedules: usize,
    seed: u64,
    strategy: Strategy,
    max_steps: u64,
    max_time: Option<Duration>,
    only: Option<u64>,
    command: Option<String>,
}

impl Explore {
    /// An exploration of 1000 schedules. The name is for the report.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            schedules: 1000,
            seed: 1,
            strategy: Strategy::Mixed,
            max_steps: 50_000,
            max_time: None,
            only: only_from_env(),
            command: None,
        }
    }

    /// How many schedules to run.
    pub fn schedules(mut self, schedules: usize) -> Self {
        self.schedules = schedules;
        self
    }

    /// Where the schedules' seeds come from. The same seed gives the same schedules.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How to choose who runs next. [`Strategy::Mixed`] unless said otherwise: it finds, a little later, what
    /// either of the others would have found soon.
    ///
    /// A schedule is the same again only with the same strategy, which it is when the same test runs it.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// After how many steps an execution counts as a livelock.
    pub fn max_steps(mut self, steps: u64) -> Self {
        self.max_steps = steps;
        self
    }

    /// Start no further schedule after this time.
    pub fn max_time(mut self, time: Duration) -> Self {
        self.max_time = Some(time);
        self
    }

    /// Run just this schedule, as `DEVSCOPE_SCHEDULE` does.
    pub fn only(mut self, schedule: u64) -> Self {
        self.only = Some(schedule);
        self
    }

    /// The command that runs this exploration, for a failure to say how to see it again. Without it,
    /// `cargo test` and the name of the test.
    pub fn command(mut self, command: &str) -> Self {
        self.command = Some(command.into());
        self
    }

    /// Run `scenario` once for each schedule, until one fails.
    #[track_caller]
    pub fn run(self, scenario: impl Fn(&Machine) + Send + Sync + 'static) -> Outcome {
        self.run_tracing(scenario, None)
    }

    /// Run, and give `traces` every event of every execution.
    fn run_tracing(
        self,
        scenario: impl Fn(&Machine) + Send + Sync + 'static,
        traces: Option<Arc<Mutex<Vec<String>>>>,
    ) -> Outcome {
        static TURN: Mutex<()> = Mutex::new(());

        install_panic_hook();
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, receiver) = channel();
        let begun = Instant::now();
        let schedules = if self.only.is_some() {
            1
        } else {
            self.schedules
        };
        let (base, only, max_steps) = (self.seed, self.only, self.max_steps);
        let strategy = self.strategy;
        let tried = Arc::new(Mutex::new((0usize, 0u64)));
        let until = self.max_time.map(|time| begun + time);
        let count = tried.clone();
        // A thread of its own, so that it can be given up, and its panics and thread-locals with it.
        let thread = std::thread::Builder::new()
            .name(self.name.clone())
            .spawn(move || {
                REPORT.with(|report| *report.borrow_mut() = Some(sender.clone()));
                let seed = Arc::new(Mutex::new(0));
                let walk = Walk {
                    base,
                    only,
                    begun: 0,
                    left: schedules,
                    until,
                    seed: seed.clone(),
                };
                shuttle::Runner::new(walk, quiet()).run(move || {
                    count.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
                    let seed = *seed.lock().unwrap_or_else(PoisonError::into_inner);
                    World::install(seed, strategy, max_steps, traces.is_some());
                    let machine = Machine::new();
                    scenario(&machine);
                    machine.finish();
                    let world = World::uninstall();
                    count.lock().unwrap_or_else(PoisonError::into_inner).1 += world.steps;
                    if let (Some(traces), Some(trace)) = (&traces, world.whole_trace) {
                        traces
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .extend(trace);
                    }
                });
                REPORT.with(|report| report.borrow_mut().take());
                let _ = sender.send(End::Survived);
            });
        let thread = thread.expect("an OS thread for the exploration");
        let end = receiver
            .recv()
            .expect("an exploration always ends with a report");
        let (tried, steps) = *tried.lock().unwrap_or_else(PoisonError::into_inner);
        match end {
            End::Survived => {
                // It has said its last word; what remains is the end of the thread.
                let _ = thread.join();
                Outcome::Survived(Stats {
                    schedules: tried,
                    steps,
                    time: begun.elapsed(),
                })
            }
            End::Failed(mut failure) => {
                failure.tried = tried;
                failure.command = self.command.unwrap_or_else(|| {
                    let test = std::thread::current();
                    let test = test.name().filter(|name| *name != "main");
                    format!("cargo test {}", test.unwrap_or(&self.name))
                });
                Outcome::Failed(failure)
            }
        }
    }
}

/// The schedule that the environment asks for.
fn only_from_env() -> Option<u64> {
    let schedule = std::env::var(SCHEDULE).ok()?;
    match u64::from_str_radix(schedule.trim_start_matches("0x"), 16) {
        Ok(schedule) => Some(schedule),
        Err(_) => panic!("{SCHEDULE}={schedule} is not a schedule: it takes a hexadecimal number"),
    }
}

/// Run `scenario` under `schedules` schedules.
///
/// # Panics
///
/// With the report, and how to see it again, if a schedule fails.
#[track_caller]
pub fn explore(schedules: usize, scenario: impl Fn(&Machine) + Send + Sync + 'static) {
    let name = std::thread::current()
        .name()
        .unwrap_or("exploration")
        .to_string();
    let _ = Explore::new(&name)
        .schedules(schedules)
        .run(scenario)
        .unwrap();
}

/// What one schedule that did not fail has left.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// Every event, one line each.
    pub trace: Vec<String>,
    /// What it took.
    pub stats: Stats,
}

/// Run exactly one schedule.
pub fn run(
    schedule: u64,
    scenario: impl Fn(&Machine) + Send + Sync + 'static,
) -> Result<Finished, Box<Failure>> {
    let traces = Arc::new(Mutex::new(Vec::new()));
    let outcome = Explore::new("run")
        .only(schedule)
        .run_tracing(scenario, Some(traces.clone()));
    match outcome {
        Outcome::Survived(stats) => {
            let trace = std::mem::take(&mut *traces.lock().unwrap_or_else(PoisonError::into_inner));
            Ok(Finished { trace, stats })
        }
        Outcome::Failed(failure) => Err(failure),
    }
}

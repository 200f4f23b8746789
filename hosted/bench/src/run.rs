//! Running so many schedules of something, on the hosted kernel or directly on shuttle.

use crate::{bare, clock, scenario};
use clap::ValueEnum;
use kernel::hosted::{self, Explore, Machine, Outcome};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId};
use std::{
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        Arc,
    },
    time::Duration,
};

/// How to choose who runs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Strategy {
    /// As the hosted kernel does it unless told otherwise. Shuttle has no such thing: on it, half of the
    /// schedules are its PCT's, and the others random.
    Mixed,
    Random,
    Pct,
}

impl From<Strategy> for hosted::Strategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Mixed => hosted::Strategy::Mixed,
            Strategy::Random => hosted::Strategy::Random,
            Strategy::Pct => hosted::Strategy::Pct,
        }
    }
}

/// What was done, and how long it took.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    pub schedules: usize,
    pub steps: u64,
    pub time: Duration,
}

/// So many schedules of a scenario in which nothing is to be found.
pub fn on_hosted(
    strategy: Strategy,
    seed: u64,
    schedules: usize,
    scenario: impl Fn(&Machine) + Send + Sync + 'static,
) -> Done {
    let begun = clock::Instant::now();
    let outcome = Explore::new("bench")
        .strategy(strategy.into())
        .seed(seed)
        .schedules(schedules)
        .run(scenario);
    let time = begun.elapsed();
    match outcome {
        Outcome::Survived(stats) => {
            assert_eq!(stats.schedules, schedules, "not all were run");
            assert!(
                stats.steps > 10 * schedules as u64,
                "next to nothing was run"
            );
            Done {
                schedules,
                steps: stats.steps,
                time,
            }
        }
        Outcome::Failed(failure) => panic!("{failure}"),
    }
}

/// So many schedules of [`bare::storm`]. Shuttle is set up as it is by default.
pub fn on_bare(
    strategy: Strategy,
    seed: u64,
    schedules: usize,
    threads: usize,
    times: usize,
) -> Done {
    /// As `depth` of shuttle's PCT: one more than the points at which a priority changes, of which the
    /// hosted kernel has up to three.
    const DEPTH: usize = 3;

    let steps = Arc::new(AtomicU64::new(0));
    let before = bare::events();
    let begun = clock::Instant::now();
    let by_priorities = match strategy {
        Strategy::Pct => schedules,
        Strategy::Mixed => schedules / 2,
        Strategy::Random => 0,
    };
    let at_random = schedules - by_priorities;
    let mut done = 0;
    if by_priorities > 0 {
        let pct = PctScheduler::new_from_seed(seed, DEPTH, by_priorities);
        done += run(pct, &steps, threads, times);
    }
    if at_random > 0 {
        let random = RandomScheduler::new_from_seed(seed, at_random);
        done += run(random, &steps, threads, times);
    }
    let time = begun.elapsed();
    assert_eq!(done, schedules, "not all were run");
    assert!(bare::events() > before, "no interrupt was handled");
    Done {
        schedules,
        steps: steps.load(Relaxed),
        time,
    }
}

fn run(
    scheduler: impl Scheduler + 'static,
    steps: &Arc<AtomicU64>,
    threads: usize,
    times: usize,
) -> usize {
    let scheduler = Fair {
        inner: scheduler,
        after: RandomScheduler::new_from_seed(1, 0),
        here: 0,
        steps: steps.clone(),
    };
    let mut config = shuttle::Config::new();
    config.silence_warnings = true;
    // A schedule takes pages, and says nothing to who reads about it here.
    config.failure_persistence = shuttle::FailurePersistence::None;
    shuttle::Runner::new(scheduler, config).run(move || bare::storm(threads, times))
}

/// Counts decisions, as [`hosted::Stats`] does; and after as many as in the hosted kernel, who runs next
/// is chosen at random. Priorities alone would never end the storm.
struct Fair<S> {
    inner: S,
    after: RandomScheduler,
    here: u64,
    steps: Arc<AtomicU64>,
}

/// `UNFAIR` of `hosted/src/hosted/explore.rs`
const UNFAIR: u64 = 3000;

impl<S: Scheduler> Scheduler for Fair<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.here = 0;
        self.inner.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        yielding: bool,
    ) -> Option<TaskId> {
        self.here += 1;
        self.steps.fetch_add(1, Relaxed);
        match self.here > UNFAIR {
            true => self.after.next_task(runnable, current, yielding),
            false => self.inner.next_task(runnable, current, yielding),
        }
    }

    fn next_u64(&mut self) -> u64 {
        self.inner.next_u64()
    }
}

/// That the storm of the hosted kernel is one: in some of a few schedules interrupts are handled.
pub fn check_storm() {
    let handled = (0..20).any(|schedule| {
        let finished = hosted::run(schedule, |machine| scenario::storm(machine, 1, 1));
        let finished = finished.unwrap_or_else(|failure| panic!("{failure}"));
        finished
            .trace
            .iter()
            .any(|event| event.contains("handles irq"))
    });
    assert!(handled, "no interrupt was handled");
}

/// What became of one exploration of a defect.
pub struct Found {
    /// How many schedules it took; `None`, if all that there were did not find it.
    pub schedules: Option<usize>,
    pub time: Duration,
}

/// Explores a defect until it is found.
pub fn find(defect: scenario::Defect, strategy: Strategy, seed: u64, limit: usize) -> Found {
    let begun = clock::Instant::now();
    let outcome = Explore::new(defect.name)
        .strategy(strategy.into())
        .seed(seed)
        .schedules(limit)
        .run(move |machine| (defect.scenario)(machine, defect.module));
    Found {
        time: begun.elapsed(),
        schedules: outcome.failure().map(|failure| failure.tried),
    }
}

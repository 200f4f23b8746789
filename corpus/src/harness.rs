// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the two test programs of this package have in common: which to run, and what they write down.
//!
//! Such a test program has a list of [`Program`]s, and gives it to [`main`]: this takes the names to run
//! (any part of one will do), and runs as many at a time as there are processors, each in a process of
//! its own, since explorations of one process take turns. A program explores with [`explore`], or several
//! times with [`Explore`], and answers with a [`Report`].

use kernel::hosted::{Explore, Failure, Machine, Outcome};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    env,
    fs::OpenOptions,
    io::Write,
    process::{Command, ExitCode},
    sync::{
        atomic::{AtomicUsize, Ordering},
        Mutex, PoisonError,
    },
    thread,
    time::Instant,
};

/// What became of one program: a line of JSON in the file that `DEVSCOPE_CORPUS_REPORT` names.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Its name: a module of `shapes` or `defects`.
    pub program: String,
    /// The bugs that it stands for.
    pub bugs: Vec<String>,
    /// Whether it did what it is there to do.
    pub ok: bool,
    /// How many schedules were run; of a defect, up to the one that found it.
    pub schedules: usize,
    /// How many scheduling decisions they took; those of a schedule that failed are not counted.
    pub steps: u64,
    pub seconds: f64,
    /// How often each mark was reached, over all schedules.
    pub reached: BTreeMap<String, u64>,
    /// What was found, or what is wrong; empty if nothing was to be found and nothing was.
    pub found: String,
    /// Of a module of `defects`: "defect", "first fix" or "cure".
    #[serde(default)]
    pub variant: String,
    /// The median number of schedules until it was found, over [`SEEDS`] explorations. One that did not
    /// find it counts as its limit.
    #[serde(default)]
    pub seeds_median: Option<f64>,
    /// How many of them found it.
    #[serde(default)]
    pub seeds_found: Option<u32>,
}

impl Report {
    /// That nothing has been run yet.
    pub fn new(program: &str, bugs: &[&str]) -> Self {
        Self {
            program: program.into(),
            bugs: bugs.iter().map(|bug| bug.to_string()).collect(),
            ..Self::default()
        }
    }
}

/// How many explorations `seeds_median` is over, each from another seed.
pub const SEEDS: u32 = 25;

/// Something to run, and what it is called.
pub struct Program {
    pub name: String,
    pub run: Box<dyn Fn() -> Report>,
}

/// Where a test program appends what became of its programs.
const REPORT: &str = "DEVSCOPE_CORPUS_REPORT";

/// What asks a process of a test program to run this one itself.
const THIS: &str = "DEVSCOPE_CORPUS_PROGRAM";

/// The kernel's own variable: run this schedule, and no other.
pub const SCHEDULE: &str = "DEVSCOPE_SCHEDULE";

// ---- Exploring ----

static REACHED: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// A scenario has come to what it is there for. How often it does is in the report.
pub fn reached(mark: &'static str) {
    let mut marks = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
    *marks.entry(mark).or_default() += 1;
}

/// The marks that were reached since this was asked last.
pub fn take_reached() -> BTreeMap<String, u64> {
    let marks = std::mem::take(&mut *REACHED.lock().unwrap_or_else(PoisonError::into_inner));
    let named = |(mark, times): (&str, u64)| (mark.to_string(), times);
    marks.into_iter().map(named).collect()
}

/// Explores a scenario until it fails, or `schedules` have been run, and puts into the report how many
/// were, how long they took, and what was found. Whether that is `ok` is for the caller to say.
pub fn explore(
    report: &mut Report,
    test: &str,
    schedules: usize,
    scenario: impl Fn(&Machine) + Send + Sync + 'static,
) -> Option<Failure> {
    take_reached();
    let begun = Instant::now();
    let outcome = Explore::new(&report.program)
        .schedules(schedules)
        .command(&format!(
            "cargo test -p devscope-corpus --test {test} {}",
            report.program
        ))
        .run(scenario);
    report.seconds = begun.elapsed().as_secs_f64();
    report.reached = take_reached();
    match outcome {
        Outcome::Survived(stats) => {
            (report.schedules, report.steps) = (stats.schedules, stats.steps);
            report.found = String::new();
            None
        }
        Outcome::Failed(failure) => {
            report.schedules = failure.tried;
            report.found = format!("{}: {}", failure.kind, failure.message);
            if env::var(SCHEDULE).is_ok() {
                eprintln!("{failure}");
            }
            Some(*failure)
        }
    }
}

/// The number in an environment variable, if there is one.
pub fn number_from_env(name: &str) -> Option<usize> {
    let number = env::var(name).ok()?;
    Some(
        number
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

// ---- Running ----

/// The `main` of a test program. Of the options of Rust's own harness it knows those that choose.
pub fn main(programs: Vec<Program>) -> ExitCode {
    if let Ok(name) = env::var(THIS) {
        let program = programs.into_iter().find(|program| program.name == name);
        let report = (program.expect("a program of this name").run)();
        println!("{}", to_json(&report));
        return ExitCode::SUCCESS;
    }
    let (mut wanted, mut left_out, mut list, mut exact) = (Vec::new(), Vec::new(), false, false);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => list = true,
            "--exact" => exact = true,
            "--skip" => left_out.extend(arguments.next()),
            "--test-threads" | "--format" | "--color" | "--logfile" => drop(arguments.next()),
            _ if argument.starts_with('-') => {}
            _ => wanted.push(argument),
        }
    }
    let has_one = |name: &str, parts: &[String]| {
        let mut parts = parts.iter();
        parts.any(|part| {
            if exact {
                name == part
            } else {
                name.contains(part)
            }
        })
    };
    let named =
        |name: &String| (wanted.is_empty() || has_one(name, &wanted)) && !has_one(name, &left_out);
    let names = programs.into_iter().map(|program| program.name);
    let names: Vec<String> = names.filter(named).collect();
    if list {
        names.iter().for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    println!("\nrunning {} programs", names.len());
    let reports = run_all(&names);
    let failed: Vec<&Report> = reports.iter().filter(|report| !report.ok).collect();
    let seconds = begun.elapsed().as_secs_f32();
    println!("\nin {seconds:.0} s");
    for report in &failed {
        println!("    {} FAILED", report.program);
    }
    println!(
        "{} passed, {} failed",
        reports.len() - failed.len(),
        failed.len()
    );
    match failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Runs all these, each in a process of its own.
fn run_all(names: &[String]) -> Vec<Report> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut reports = Vec::new();
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let report = run(name);
            // One write each, so that the lines of several processes do not mix.
            print!("{}", line(&report));
            append(&report);
            reports.push(report);
        }
        reports
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let reports = workers.into_iter().map(|worker| worker.join());
        reports
            .flat_map(|reports| reports.expect("a worker"))
            .collect()
    })
}

/// Runs one, in a process of its own, whose last line is the report.
fn run(name: &str) -> Report {
    let this = env::current_exe().expect("a program knows where it is");
    let output = Command::new(this).env(THIS, name).output();
    let output = output.expect("this program starts another of itself");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    let report = said.lines().last().map(serde_json::from_str::<Report>);
    match report {
        Some(Ok(report)) => report,
        _ => Report {
            found: format!("its process ended without a report: {}", output.status),
            ..Report::new(name, &[])
        },
    }
}

/// What is printed of a report.
fn line(report: &Report) -> String {
    let ok = if report.ok { "ok" } else { "FAILED" };
    let (name, schedules, seconds) = (&report.program, report.schedules, report.seconds);
    let found = match report.found.as_str() {
        "" => "nothing found".to_string(),
        found => found.to_string(),
    };
    let seeds = report.seeds_median.map(|median| {
        let found = report.seeds_found.unwrap_or_default();
        format!("; median of {SEEDS} seeds {median}, found by {found}")
    });
    let seeds = seeds.unwrap_or_default();
    let mut marks = String::new();
    for (mark, times) in &report.reached {
        marks += &format!("; {mark} {times}");
    }
    format!("{name} ... {ok} ({schedules} schedules, {seconds:.2} s{seeds}{marks}) {found}\n")
}

fn to_json(report: &Report) -> String {
    serde_json::to_string(report).expect("a report is plain data")
}

/// Adds a line to the file that the environment names.
fn append(report: &Report) {
    let Ok(path) = env::var(REPORT) else {
        return;
    };
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let mut file = file.unwrap_or_else(|error| panic!("{REPORT}={path}: {error}"));
    let line = to_json(report) + "\n";
    file.write_all(line.as_bytes())
        .unwrap_or_else(|error| panic!("{REPORT}={path}: {error}"));
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Every pair of who schedules and what is scheduled, and every cycle of three kinds, while the device is
//! unbound. Nothing may be found.
//!
//! There are too many for a function each, so this test has a `main` of its own: it takes the names to
//! run (any part of one will do), and runs as many at a time as there are processors, each in a process
//! of its own, since explorations of one process take turns. `cargo xtask explore` runs it as well.
//!
//! `DEVSCOPE_SCHEDULES` says how many schedules each has to survive, instead of 5,000.

#[allow(
    dead_code,
    unused_imports,
    reason = "the other scenarios are those of tests/teardown.rs"
)]
mod scenarios;

use kernel::hosted::{Explore, Outcome};
use scenarios::rounds::Round;
use std::{
    env,
    process::{Command, ExitCode},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

/// How many schedules each has to survive.
const SCHEDULES: usize = 5_000;

/// What asks a process of this program to explore one round itself.
const THIS: &str = "DEVSCOPE_ROUND";

fn schedules() -> usize {
    match env::var("DEVSCOPE_SCHEDULES") {
        Ok(number) => number.parse().expect("DEVSCOPE_SCHEDULES is a number"),
        Err(_) => SCHEDULES,
    }
}

/// Explores one round. Prints what has become of it.
fn explore(round: Round) -> ExitCode {
    let name = round.to_string();
    let outcome = Explore::new(&name)
        .schedules(schedules())
        .command(&format!("cargo test --test pairs {name}"))
        .run(move |machine| round.explore(machine));
    match outcome {
        Outcome::Survived(stats) => {
            let (seconds, steps) = (stats.time.as_secs_f32(), stats.steps);
            let schedules = stats.schedules;
            println!("{name} ... ok ({schedules} schedules, {steps} steps, {seconds:.1} s)");
            ExitCode::SUCCESS
        }
        Outcome::Failed(failure) => {
            println!("{name} ... FAILED\n{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Explores all these, each in a process of its own. Returns the names of those that failed.
fn explore_all(rounds: &[String]) -> Vec<&str> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let this = env::current_exe().expect("a program knows where it is");
    let work = || {
        let mut failed = Vec::new();
        while let Some(name) = rounds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let output = Command::new(&this).env(THIS, name).output();
            let output = output.expect("this program starts another of itself");
            print!("{}", String::from_utf8_lossy(&output.stdout));
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            if !output.status.success() {
                failed.push(name.as_str());
            }
        }
        failed
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let failed = workers.into_iter().map(|worker| worker.join());
        failed.flat_map(|names| names.expect("a worker")).collect()
    })
}

fn main() -> ExitCode {
    let rounds = Round::all();
    if let Ok(name) = env::var(THIS) {
        let round = rounds.into_iter().find(|round| round.to_string() == name);
        return explore(round.expect("a round of this name"));
    }
    // Of the options of Rust's own harness, those that choose: others of a `cargo test` are not ours.
    let (mut wanted, mut left_out, mut list) = (Vec::new(), Vec::new(), false);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => list = true,
            "--skip" => left_out.extend(arguments.next()),
            "--test-threads" | "--format" | "--color" | "--logfile" => drop(arguments.next()),
            _ if argument.starts_with('-') => {}
            _ => wanted.push(argument),
        }
    }
    let names: Vec<String> = rounds.iter().map(Round::to_string).collect();
    let has_one = |name: &str, parts: &[String]| parts.iter().any(|part| name.contains(part));
    let named =
        |name: &String| (wanted.is_empty() || has_one(name, &wanted)) && !has_one(name, &left_out);
    let names: Vec<String> = names.into_iter().filter(named).collect();
    if list {
        names.iter().for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    println!(
        "\nrunning {} rounds of {} schedules",
        names.len(),
        schedules()
    );
    let failed = explore_all(&names);
    let seconds = begun.elapsed().as_secs_f32();
    if failed.is_empty() {
        println!("\n{} rounds survived, in {seconds:.0} s\n", names.len());
        return ExitCode::SUCCESS;
    }
    println!(
        "\nfailed, after {seconds:.0} s:\n    {}\n",
        failed.join("\n    ")
    );
    ExitCode::FAILURE
}

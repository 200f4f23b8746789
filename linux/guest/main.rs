//! The program that judges drivers from the outside: it runs inside the virtual machine, on real
//! Linux.
//!
//! It is given the names of cases, and runs one after the other. What it says goes to the kernel's
//! log: `guest: begin=<case>`, then `guest: key=value` as things happen, and `guest: end=<case>
//! good=<what was seen>` or `bad=<why>`; or `guest: fresh=<case>`, if that one needs a machine which
//! nothing has happened to, and this is the end. Whether the kernel reported something in between is
//! for whoever reads the log to see.
//!
//! Nothing here but std: the guest has no libraries, and the C library is linked in.

mod answers;
mod buses;
mod chardev;
mod fail_nth;
mod fidelity;
mod held;
mod loads;
mod reports;
mod seeds;
mod storm;
mod sys;

use std::env;
use std::process::ExitCode;
use sys::{say, Result};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        // One of the programs that a storm starts; the kernel would call it `init` otherwise.
        ["program", role, node] => storm::program(role, node),
        ["run", cases] => {
            let mut all_good = true;
            for case in cases.split(',') {
                if wants_fresh_machine(case) {
                    say(&format!("fresh={case}"));
                    return ExitCode::FAILURE;
                }
                all_good &= run(case);
            }
            if all_good {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        _ => {
            say("usage: devscope-guest run CASE[,CASE]...");
            ExitCode::from(2)
        }
    }
}

/// Runs one case, and says how it went.
fn run(case: &str) -> bool {
    say(&format!("begin={case}"));
    let outcome = dispatch(case);
    match &outcome {
        Ok(seen) => say(&format!("end={case} good={seen}")),
        Err(why) => say(&format!("end={case} bad={why}")),
    }
    outcome.is_ok()
}

/// The outcome of a case: what was seen, in a few words.
fn dispatch(case: &str) -> Result<String> {
    let (suite, name) = case.split_once('/').unwrap_or((case, ""));
    match suite {
        "seed-c" => seeds::c(name),
        "seed-rust" => seeds::rust(name),
        "files" if name == "held" => held::run(),
        "files" => chardev::run(),
        "storm" => match loads::find(name) {
            Some(load) => load.run(),
            None => storm::run(name),
        },
        "fail-nth" => fail_nth::run(name),
        "buses" => buses::run(name),
        "fidelity" if name == "checks" => {
            fidelity::run().map(|count| format!("{count} checks, each as promised"))
        }
        "fidelity" => fidelity::make_mistake(name).map(|()| "made".into()),
        "kunit" => kunit(),
        "answers" => answers::run(name),
        "bench" => bench(name),
        _ => Err(format!("this program knows no case {case:?}")),
    }
}

/// Whether a case needs lockdep, and lockdep has reported something since this machine was started: it
/// turns itself off then.
fn wants_fresh_machine(case: &str) -> bool {
    let mistake = case.strip_prefix("fidelity/").unwrap_or_default();
    let is_off = |stats: String| {
        stats
            .lines()
            .any(|line| line.trim().starts_with("debug_locks:") && line.trim().ends_with(" 0"))
    };
    reports::is_for_lockdep(mistake) && sys::read("/proc/lockdep_stats").is_ok_and(is_off)
}

/// Loading the module runs the tests; their results are in the kernel's log.
fn kunit() -> Result<String> {
    let module = sys::Module("devscope_kunit".into());
    module.load("")?;
    module.unload()?;
    Ok("loaded".into())
}

/// Loading the module measures; what it finds is in the kernel's log.
fn bench(column: &str) -> Result<String> {
    let module = sys::Module(format!("bench_{column}"));
    module.load("")?;
    module.unload()?;
    Ok("measured".into())
}

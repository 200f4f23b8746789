//! `cargo xtask`: what the project does besides compiling.
//!
//! `vm` runs a driver on real Linux in a virtual machine, from nothing but a Debian-like system with
//! Rust; `asan` runs the hosted tests under a sanitizer; `explore` explores pairs and cycles;
//! `litmus` asks Linux's memory model; `corpus` runs the programs that stand for real bugs and writes
//! them up; `bless` rewrites the UI tests' snapshots; `ci` is everything that has to pass. Each module is
//! one station of that road, in this order:
//! [`tools`], [`debian`], [`source`], [`kernel`], [`module`], [`guest`], [`boot`]; then [`judge`]
//! says what came of it, for the suites of [`mod@test`].

mod bench;
mod boot;
mod cache;
mod checks;
mod command;
mod corpus;
mod cpio;
mod debian;
mod explore;
mod guest;
mod judge;
mod kernel;
mod ktap;
mod litmus;
mod module;
mod mutants;
mod parallel;
mod parity;
mod paths;
mod progress;
mod rustc;
mod serial;
mod source;
mod suite;
mod test;
mod tools;
mod ui;
mod vm;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// devscope's chores
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run a driver on real Linux, in a virtual machine
    Vm {
        #[command(subcommand)]
        verb: vm::Verb,
    },
    /// Measure what devscope costs
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
    },
    /// Run the hosted tests under AddressSanitizer
    Asan(checks::Asan),
    /// Explore every pair of who schedules and what is scheduled, and every cycle of three
    Explore(explore::Explore),
    /// Ask Linux's memory model about barriers; takes herd7
    Litmus(litmus::Litmus),
    /// Run the programs that show what becomes of real bugs, and write docs/corpus.md
    Corpus(corpus::Arguments),
    /// Rewrite the expected messages of the UI tests
    Bless,
    /// Run everything that has to pass: format, lints, tests, the example, real Linux
    Ci(checks::Ci),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Vm { verb } => vm::run(verb),
        Chore::Bench { bench } => bench::run(bench),
        Chore::Asan(asan) => checks::asan(&asan),
        Chore::Explore(explore) => explore::run(&explore),
        Chore::Litmus(litmus) => litmus::run(&litmus),
        Chore::Corpus(corpus) => corpus::run(&corpus),
        Chore::Bless => checks::bless(),
        Chore::Ci(ci) => checks::ci(&ci),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

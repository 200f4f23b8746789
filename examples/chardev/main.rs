// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The `chardev` driver on the hosted kernel: what programs see of its nodes, and of their mappings, when
//! the device goes; once to read, and then under thousands of schedules.

mod driver;
mod scenario;

use kernel::hosted::{self, Explore, Outcome};
use scenario::life_and_death;
use std::process::ExitCode;

/// How many schedules are explored after the one that is told.
const SCHEDULES: usize = 2_000;

fn main() -> ExitCode {
    println!("The chardev driver, on the hosted kernel\n");
    if let Err(failure) = hosted::run(0xcdef, |machine| life_and_death(machine, tell)) {
        println!("{failure}");
        return ExitCode::FAILURE;
    }

    println!("\nThe same under {SCHEDULES} schedules:");
    match Explore::new("chardev")
        .schedules(SCHEDULES)
        .command("cargo run --example chardev")
        .run(|machine| life_and_death(machine, |_| {}))
    {
        Outcome::Survived(stats) => {
            println!(
                "  {} schedules, {} steps, {:.1} s: nothing ran late, nothing was left behind",
                stats.schedules,
                stats.steps,
                stats.time.as_secs_f64()
            );
            println!("\nSuccess.");
            ExitCode::SUCCESS
        }
        Outcome::Failed(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn tell(line: String) {
    println!("  {line}");
}

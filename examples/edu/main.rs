// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The `edu` driver on the hosted kernel: what a program sees of its life and death, once to read and
//! then under thousands of schedules.

mod driver;
mod scenario;

use kernel::hosted::{self, Explore, Outcome};
use scenario::life_and_death;
use std::process::ExitCode;

/// How many schedules are explored after the one that is told.
const SCHEDULES: usize = 2_000;

fn main() -> ExitCode {
    println!("The edu driver, on the hosted kernel\n");
    if let Err(failure) = hosted::run(0xed0, |machine| life_and_death(machine, tell)) {
        println!("{failure}");
        return ExitCode::FAILURE;
    }

    println!("\nThe same under {SCHEDULES} schedules, interrupts arriving at any moment:");
    match Explore::new("edu")
        .schedules(SCHEDULES)
        .command("cargo run --example edu")
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

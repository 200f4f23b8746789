// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What `cargo run --example` does for a driver: its life and death, once to read and then under
//! thousands of schedules.

use kernel::hosted::{self, Explore, Machine, Outcome};
use std::process::ExitCode;

/// How many schedules are explored after the one that is told.
const SCHEDULES: usize = 2_000;

/// What happens to a driver, told line by line to the function that it is given.
pub type Story = fn(&Machine, fn(String));

/// Tells `story`, then explores it.
pub fn show(name: &str, title: &str, story: Story) -> ExitCode {
    println!("{title}, on the hosted kernel\n");
    if let Err(failure) = hosted::run(0xed0, move |machine| story(machine, tell)) {
        println!("{failure}");
        return ExitCode::FAILURE;
    }

    println!("\nThe same under {SCHEDULES} schedules, interrupts arriving at any moment:");
    match Explore::new(name)
        .schedules(SCHEDULES)
        .command(&format!("cargo run --example {name}"))
        .run(move |machine| story(machine, |_| {}))
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

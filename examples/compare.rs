// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Explores a driver as one writes it in C, then the same driver with devscope, and says what came of
//! it. Shared by the examples `case1` and `case2`.

use clap::Parser;
use kernel::hosted::{Explore, Machine, Outcome};
use std::process::ExitCode;

/// What can be asked for on the command line.
#[derive(Parser)]
struct Arguments {
    /// How many schedules each driver has to survive
    #[arg(long, default_value_t = 20_000)]
    schedules: usize,
    /// Where the schedules' seeds come from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// One of the two articles' cases.
pub struct Case {
    /// `case1` or `case2`.
    pub name: &'static str,
    /// What happens, in a few lines.
    pub story: &'static str,
    /// What a program and the hardware do to the C-shaped driver.
    pub c_shaped: fn(&Machine),
    /// The same, with the cure by hand.
    pub cured: fn(&Machine),
    /// The same, to the devscope driver.
    pub devscope: fn(&Machine),
}

/// Explores the case, and succeeds if the C-shaped driver fails and the other two do not.
pub fn compare(case: &Case) -> ExitCode {
    let Arguments { schedules, seed } = Arguments::parse();
    let explore = |what: &str, scenario: fn(&Machine)| {
        Explore::new(&format!("{} {what}", case.name))
            .schedules(schedules)
            .seed(seed)
            .command(&format!("cargo run --example {}", case.name))
            .run(scenario)
    };

    println!("{}\n", case.story.trim());

    println!("1. As one writes it in C ({}/c_shaped.rs)\n", case.name);
    let found = match explore("c-shaped", case.c_shaped) {
        Outcome::Failed(failure) => {
            for line in failure.to_string().lines() {
                println!("   {line}");
            }
            println!("\n   found in schedule {}\n", failure.tried);
            true
        }
        Outcome::Survived(stats) => {
            println!(
                "   {} schedules, and the defect was not found\n",
                stats.schedules
            );
            false
        }
    };

    println!("2. With the cure by hand\n");
    let cured = survives(explore("cured", case.cured));

    println!("3. With devscope ({}/driver.rs)\n", case.name);
    let devscope = survives(explore("devscope", case.devscope));

    if found && cured && devscope {
        println!("The defect is found in C, and there is none with devscope.");
        ExitCode::SUCCESS
    } else {
        println!("devscope bug: this is not what was to be shown.");
        ExitCode::FAILURE
    }
}

/// Says how an exploration went that should find nothing.
fn survives(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Survived(stats) => {
            println!(
                "   {} schedules in {:.1} s, nothing found\n",
                stats.schedules,
                stats.time.as_secs_f64()
            );
            true
        }
        Outcome::Failed(failure) => {
            println!("{failure}\n");
            false
        }
    }
}

//! Measures one thing, and prints a line of JSON about it. `cargo xtask bench hosted` asks for all.

use clap::{Parser, Subcommand, ValueEnum};
use devscope_bench::{
    clock::peak_memory,
    examples,
    run::{self, Done, Strategy},
    scenario,
};
use serde_json::{json, Value};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum World {
    Hosted,
    Bare,
}

#[derive(Subcommand)]
enum What {
    /// What there is to measure
    List,
    /// An example's scenario
    Example {
        name: String,
        #[arg(long)]
        schedules: usize,
    },
    /// The storm, on the hosted kernel or directly on shuttle
    Storm {
        world: World,
        #[arg(long)]
        strategy: Strategy,
        #[arg(long)]
        schedules: usize,
        #[arg(long, default_value_t = 1)]
        threads: usize,
        #[arg(long, default_value_t = 1)]
        times: usize,
    },
    /// How soon a defect is found, from each of so many seeds
    Defect {
        name: String,
        #[arg(long)]
        strategy: Strategy,
        #[arg(long, default_value_t = 100)]
        seeds: u64,
        /// After how many schedules it counts as not found
        #[arg(long, default_value_t = 20_000)]
        limit: usize,
    },
}

fn main() {
    let row = match Arguments::parse().what {
        What::List => list(),
        What::Example { name, schedules } => example(&name, schedules),
        What::Storm {
            world,
            strategy,
            schedules,
            threads,
            times,
        } => storm(world, strategy, schedules, threads, times),
        What::Defect {
            name,
            strategy,
            seeds,
            limit,
        } => defect(&name, strategy, seeds, limit),
    };
    println!("{row}");
}

fn list() -> Value {
    let examples: Vec<_> = examples::ALL.iter().map(|example| example.name).collect();
    let defects: Vec<_> = scenario::defects()
        .iter()
        .map(|defect| json!({ "name": defect.name, "of_examples": defect.of_examples }))
        .collect();
    json!({ "examples": examples, "defects": defects })
}

fn example(name: &str, schedules: usize) -> Value {
    let mut examples = examples::ALL.iter();
    let example = examples.find(|example| example.name == name);
    let scenario = example.expect("an example of this name").run;
    row(run::on_hosted(Strategy::Mixed, 1, schedules, scenario))
}

fn storm(
    world: World,
    strategy: Strategy,
    schedules: usize,
    threads: usize,
    times: usize,
) -> Value {
    row(match world {
        World::Hosted => {
            run::check_storm();
            run::on_hosted(strategy, 1, schedules, move |machine| {
                scenario::storm(machine, threads, times)
            })
        }
        World::Bare => run::on_bare(strategy, 1, schedules, threads, times),
    })
}

fn row(done: Done) -> Value {
    json!({
        "schedules": done.schedules,
        "steps": done.steps,
        "seconds": done.time.as_secs_f64(),
        "peak_kib": peak_memory(),
    })
}

fn defect(name: &str, strategy: Strategy, seeds: u64, limit: usize) -> Value {
    let mut defects = scenario::defects().into_iter();
    let defect = defects.find(|defect| defect.name == name);
    let defect = defect.expect("a defect of this name");
    let (mut schedules, mut seconds) = (Vec::new(), Vec::new());
    for seed in 1..=seeds {
        let found = run::find(defect, strategy, seed, limit);
        schedules.push(found.schedules);
        seconds.push(found.time.as_secs_f64());
    }
    json!({ "limit": limit, "schedules": schedules, "seconds": seconds, "peak_kib": peak_memory() })
}

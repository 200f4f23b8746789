//! `cargo xtask bench hosted`: how fast the hosted kernel explores, and how soon it finds what is wrong.
//!
//! What measures is the package `devscope-bench` (`hosted/bench`), built as `cargo test` builds: its
//! benchmark, which criterion makes statistics of, and its program, which is run once for each row, so
//! that each has a process and a peak of memory of its own. Here they are asked, and what they say is
//! read, checked and shown. A row that measured nothing is an error; a target that is missed is not.

mod page;
mod suites;

use self::page::{Found, COMPARED};
use super::show::words;
use crate::command::{output_of, Logged};
use crate::paths;
use crate::progress::Step;
use anyhow::{bail, Context, Result};
use clap::Args;
use serde_json::{json, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGE: &str = "devscope-bench";
/// The hosted kernel's own way to choose who runs next, and the two that are measured apart.
pub const STRATEGIES: [&str; 3] = ["mixed", "random", "pct"];
/// What grows: how many programs of the hardware there are, and how often each does what it does.
pub const GROWING: [&str; 2] = ["threads", "times"];
pub const MANY: [u64; 4] = [1, 2, 4, 8];
/// Over how many schedules the memory of an exploration is looked at.
pub const LENGTHS: [u64; 3] = [1_000, 10_000, 50_000];

#[derive(Args)]
pub struct Hosted {
    /// From how many seeds each defect is looked for
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// Only defects with one of these in their names
    #[arg(long)]
    defect: Vec<String>,
    /// Also the time and memory of `cargo test` and of the UI suite, which takes minutes
    #[arg(long)]
    tests: bool,
    /// Rewrite docs/performance.md, but for its part on Linux, and the plots beside it
    #[arg(long)]
    write: bool,
}

pub fn run(asked: &Hosted) -> Result<()> {
    let dir = paths::target().join("bench");
    fs::create_dir_all(&dir)?;
    let bench = Bench::build(&dir)?;
    let listed = bench.row(&words(["list"]))?;
    let found = Found {
        made_with: made_with()?,
        seeds: asked.seeds,
        statistics: bench.statistics(&dir)?,
        compared: bench.compared()?,
        examples: bench.examples(&listed)?,
        growth: bench.growth()?,
        lengths: bench.lengths()?,
        defects: bench.defects(&listed, asked)?,
        suites: match asked.tests {
            true => suites::measure()?,
            false => Vec::new(),
        },
    };
    let results = dir.join("hosted.json");
    fs::write(
        &results,
        serde_json::to_string_pretty(&found.json())? + "\n",
    )?;
    println!("{}\nresults: {}", found.text()?, results.display());
    if asked.write {
        found.write(&paths::repository().join("docs/performance.md"))?;
    }
    Ok(())
}

fn made_with() -> Result<String> {
    let rustc = output_of(Command::new("rustc").arg("--version"))?;
    let profile = "profile dev (opt-level 1, debug assertions), as `cargo test` builds";
    Ok(format!("{}; {profile}", rustc.trim()))
}

/// The program that measures.
struct Bench(PathBuf);

impl Bench {
    fn build(dir: &Path) -> Result<Self> {
        let mut step = Step::start("building what measures");
        Logged::new(paths::cargo(), &dir.join("build.log"))
            .args(["build", "--package", PACKAGE])
            .dir(&paths::repository())
            .env("CARGO_TARGET_DIR", paths::target())
            .run(&mut step, |line| Some(line.to_owned()))?;
        step.done("");
        Ok(Self(paths::target().join("debug").join(PACKAGE)))
    }

    /// What the program says, in a process of its own.
    fn row(&self, arguments: &[String]) -> Result<Value> {
        let said = output_of(Command::new(&self.0).args(arguments))?;
        let line = said.lines().last().unwrap_or_default();
        serde_json::from_str(line).with_context(|| format!("{arguments:?} said: {line}"))
    }

    /// Runs the benchmark. Gives criterion's estimates, by group and name.
    fn statistics(&self, dir: &Path) -> Result<Value> {
        let home = dir.join("criterion");
        // What was measured before is nothing to compare with, as the machine may have been another.
        let _ = fs::remove_dir_all(&home);
        let mut step = Step::start("measuring speed, with criterion");
        Logged::new(paths::cargo(), &dir.join("criterion.log"))
            .args(["bench", "--profile", "dev", "--package", PACKAGE])
            .args(["--bench", "hosted", "--", "--noplot"])
            .dir(&paths::repository())
            .env("CARGO_TARGET_DIR", paths::target())
            .env("CRITERION_HOME", &home)
            .run(&mut step, |line| Some(line.to_owned()))?;
        step.done("");
        estimates(&home)
    }

    /// How many steps there are in what is compared.
    fn compared(&self) -> Result<Vec<Value>> {
        let strategies = COMPARED.into_iter().map(|(_, strategies, _)| strategies);
        let rows = strategies.map(|[hosted, bare]| {
            let one = |world, strategy| self.storm(world, strategy, 2_000, None);
            Ok(json!({ "hosted": one("hosted", hosted)?, "bare": one("bare", bare)? }))
        });
        rows.collect()
    }

    fn examples(&self, listed: &Value) -> Result<Vec<Value>> {
        let mut step = Step::start("measuring examples");
        let mut rows = Vec::new();
        for name in names(&listed["examples"]) {
            step.say(name);
            let arguments = words(["example", name, "--schedules", "1000"]);
            rows.push(named(name, self.row(&arguments)?));
        }
        step.done(&format!("{} of them", rows.len()));
        Ok(rows)
    }

    /// The storm with more of everything, on the hosted kernel and directly on shuttle, in turns.
    fn growth(&self) -> Result<Vec<Value>> {
        const ROUNDS: usize = 5;

        let mut step = Step::start("measuring growth");
        let mut rows = Vec::new();
        for what in GROWING {
            for many in MANY {
                let mut rounds = Vec::new();
                for round in 1..=ROUNDS {
                    step.say(format!("{many} {what}, round {round}"));
                    let one = |world| self.storm(world, "random", 1_000, Some((what, many)));
                    rounds.push(json!({ "hosted": one("hosted")?, "bare": one("bare")? }));
                }
                rows.push(json!({ "what": what, "many": many, "rounds": rounds }));
            }
        }
        step.done("");
        Ok(rows)
    }

    /// The storm for longer: what memory that takes.
    fn lengths(&self) -> Result<Vec<Value>> {
        let row = |length| self.storm("hosted", "mixed", length, None);
        LENGTHS.into_iter().map(row).collect()
    }

    fn storm(
        &self,
        world: &str,
        strategy: &str,
        schedules: u64,
        more: Option<(&str, u64)>,
    ) -> Result<Value> {
        let schedules = schedules.to_string();
        let mut arguments = words(["storm", world, "--strategy", strategy]);
        arguments.extend(words(["--schedules", &schedules]));
        if let Some((what, many)) = more {
            arguments.extend([format!("--{what}"), many.to_string()]);
        }
        let row = self.row(&arguments)?;
        if number(&row, "schedules") == 0.0 || number(&row, "steps") == 0.0 {
            bail!("{arguments:?} measured nothing: {row}");
        }
        Ok(row)
    }

    fn defects(&self, listed: &Value, asked: &Hosted) -> Result<Vec<Value>> {
        let wanted = |name: &str| {
            asked.defect.is_empty() || asked.defect.iter().any(|part| name.contains(part))
        };
        let all = listed["defects"].as_array();
        let all: Vec<_> = all.into_iter().flatten().collect();
        let mut step = Step::start("looking for defects");
        let mut rows = Vec::new();
        for (at, defect) in all.iter().enumerate() {
            let name = defect["name"].as_str().unwrap_or_default();
            if !wanted(name) {
                continue;
            }
            let mut row = json!({ "name": name, "of_examples": defect["of_examples"] });
            for strategy in STRATEGIES {
                step.say(format!("{name}, {strategy} ({} of {})", at + 1, all.len()));
                let seeds = asked.seeds.to_string();
                let mut arguments = words(["defect", name, "--strategy", strategy]);
                arguments.extend(words(["--seeds", &seeds]));
                row[strategy] = self.row(&arguments)?;
            }
            rows.push(row);
        }
        step.done(&format!(
            "{} of them, {} seeds each",
            rows.len(),
            asked.seeds
        ));
        Ok(rows)
    }
}

/// What criterion has written, by group and name.
fn estimates(home: &Path) -> Result<Value> {
    let mut all = json!({});
    for group in directories(home)? {
        for name in directories(&home.join(&group))? {
            let path = home.join(&group).join(&name).join("new/estimates.json");
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            all[&group][&name] = serde_json::from_str::<Value>(&text)?["median"].clone();
        }
    }
    if all["storm"].is_null() || all["examples"].is_null() {
        bail!("criterion has measured nothing: see {}", home.display());
    }
    Ok(all)
}

fn directories(of: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(of).with_context(|| format!("cannot read {}", of.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn names(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn named(name: &str, mut row: Value) -> Value {
    row["name"] = json!(name);
    row
}

/// A number of a row; 0 if it has none of that name.
pub fn number(row: &Value, name: &str) -> f64 {
    row[name].as_f64().unwrap_or(0.0)
}

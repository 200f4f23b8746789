//! The hosted crate's names, against Linux's own `kernel` crate.
//!
//! rustdoc knows each public name of the hosted crate (`kernel::hosted` is not Linux's, and left out).
//! For each, a few lines of Rust are written that compile only against a crate that has it, with the
//! same parameters, types, safety and value; see [`checks`]. They have to compile against the crate
//! that they were written from, or they say the wrong thing; and against Linux's, or the hosted crate
//! is not what it claims to be. What differs on purpose is in a table with its reason
//! ([`deliberate`]), and what is in the table has to differ.
//!
//! Not covered: what a function does; what a macro accepts (the drivers and programs that use it are
//! compiled in both worlds); and what Linux has and the hosted crate does not, except for what Linux
//! demands of those who implement a trait.

mod checks;
mod deliberate;
mod helpers;
mod hosted;
mod render;
mod sift;
mod surface;
#[cfg(test)]
mod tests;

use crate::progress::Step;
use crate::rustc::{Checked, Rustc};
use crate::suite::{Case, Verdict};
use crate::vm::Ready;
use crate::{parallel, paths};
use anyhow::{bail, Context, Result};
use checks::{Check, Checks, Kind, World};
use deliberate::{Table, BY_HAND, DELIBERATE};
use helpers::Helpers;
use hosted::Hosted;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use surface::Surface;

/// Signatures that are written by hand, because they cannot be written for all types at once.
const SIGNATURES: &str = "hosted/tests/signatures.rs";

pub fn run(ready: &Ready, dir: &Path, step: &mut Step) -> Result<Vec<Case>> {
    let repository = paths::repository();
    let dir = &std::path::absolute(dir)?;
    fs::create_dir_all(dir)?;
    let hosted = Hosted::build(&repository, step)?;
    let surface = Surface::new(surface::read(&hosted.describe(dir, step)?)?)?;
    let rustc = Rustc::learn(ready, &repository, dir, &[], step)?;
    let helpers = Helpers::prepare(ready, &repository, &surface, dir, step)?;
    let worlds = Worlds {
        hosted: &hosted,
        linux: &rustc,
        dir,
    };

    let of_hosted = checks::checks(&surface, World::Hosted)?;
    let of_linux = checks::checks(&surface, World::Linux)?;
    step.say("the values of the hosted kernel's constants");
    let values = values(&hosted, &of_hosted.checks, dir)?;

    let mut parts: Vec<_> = Kind::OF_THE_CRATE
        .into_iter()
        .map(|kind| Part {
            kind,
            hosted: part(&of_hosted, kind, &values),
            linux: part(&of_linux, kind, &values),
            header: String::new(),
            complaints: Vec::new(),
        })
        .collect();
    parts.push(Part {
        kind: Kind::Helpers,
        hosted: Vec::new(),
        linux: helpers.checks,
        header: helpers.header,
        complaints: helpers.complaints,
    });

    // The longest first: rustc looks through all of Linux's bindings for a name like a missing one.
    parts.sort_by_key(|part| part.kind != Kind::Bindings);
    let (total, mut done) = (parts.len(), 0);
    let mut outcomes = Vec::new();
    parallel::each(
        parts,
        |part| part.outcome(&worlds),
        |outcome| {
            done += 1;
            step.say(format!("{done} of {total} kinds of names"));
            outcomes.push(outcome);
        },
    );
    let mut outcomes = outcomes.into_iter().collect::<Result<Vec<_>>>()?;
    outcomes.sort_by_key(|outcome| outcome.kind);

    let mut table = Table::new(DELIBERATE);
    let mut cases: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.case(&mut table))
        .collect();
    cases.push(signatures(&rustc, &repository, &of_linux.unnamed)?);
    cases.push(differences(&table));
    Ok(cases)
}

/// Both compilers.
struct Worlds<'a> {
    hosted: &'a Hosted,
    linux: &'a Rustc,
    dir: &'a Path,
}

impl Worlds<'_> {
    /// The checks that fail, with the reason.
    fn failing(
        &self,
        world: World,
        kind: Kind,
        checks: &[Check],
        header: &str,
    ) -> Result<BTreeMap<usize, String>> {
        let name = format!("{}_{}", kind.name(), format!("{world:?}").to_lowercase());
        let mut round = 0;
        sift::failing(checks, &format!("{}{header}", world.header()), |text| {
            round += 1;
            let file = self.dir.join(format!("{name}_{round}.rs"));
            fs::write(&file, text)?;
            self.check(world, &file, &name)
        })
        .with_context(|| format!("{} against {world:?}", kind.words()))
    }

    fn check(&self, world: World, file: &Path, name: &str) -> Result<Checked> {
        match world {
            World::Hosted => self.hosted.check(file, name),
            World::Linux => self.linux.check(file, name, &[]),
        }
    }
}

fn part(of: &Checks, kind: Kind, values: &BTreeMap<String, i128>) -> Vec<Check> {
    let checks = of.checks.iter().filter(|check| check.kind == kind);
    checks
        .cloned()
        .map(|mut check| {
            if let (Some(expression), Some(value)) = (&check.value, values.get(&check.name)) {
                check.text += &format!("\nconst _: () = assert!({value} == {expression});");
            }
            check
        })
        .collect()
}

/// What each constant is on the hosted kernel, by the name of its check.
fn values(hosted: &Hosted, checks: &[Check], dir: &Path) -> Result<BTreeMap<String, i128>> {
    let file = dir.join("values.rs");
    let valued = || checks.iter().filter(|check| check.value.is_some());
    let mut text = format!(
        "#![allow(warnings)]\n{}fn main() {{\n",
        World::Hosted.header()
    );
    for value in valued().filter_map(|check| check.value.as_ref()) {
        text += &format!("println!(\"{{}}\", {value});\n");
    }
    fs::write(&file, text + "}\n")?;
    let printed = hosted.run(&file)?;
    let values: Vec<i128> = printed
        .lines()
        .map(|line| {
            line.parse()
                .with_context(|| format!("not a number: {line}"))
        })
        .collect::<Result<_>>()?;
    if values.len() != valued().count() {
        bail!(
            "devscope bug: {} constants, and {} values",
            valued().count(),
            values.len()
        );
    }
    Ok(valued()
        .map(|check| check.name.clone())
        .zip(values)
        .collect())
}

/// The checks of one kind.
struct Part {
    kind: Kind,
    hosted: Vec<Check>,
    linux: Vec<Check>,
    header: String,
    complaints: Vec<String>,
}

struct Outcome {
    kind: Kind,
    took: Duration,
    checked: usize,
    valued: usize,
    /// Names that Linux does not have as the hosted crate has them, and rustc's reason.
    differ: Vec<(String, String)>,
    complaints: Vec<String>,
}

impl Part {
    fn outcome(mut self, worlds: &Worlds<'_>) -> Result<Outcome> {
        let started = Instant::now();
        if self.linux.is_empty() {
            self.complaints
                .push(format!("devscope bug: no {}", self.kind.words()));
        }
        let wrong = worlds.failing(World::Hosted, self.kind, &self.hosted, &self.header)?;
        for (check, why) in wrong {
            let name = &self.hosted[check].name;
            self.complaints.push(format!(
                "devscope bug: the check of {name} does not hold where it was written from: {why}"
            ));
        }
        let differ = worlds.failing(World::Linux, self.kind, &self.linux, &self.header)?;
        Ok(Outcome {
            kind: self.kind,
            took: started.elapsed(),
            checked: self.linux.len(),
            valued: self
                .linux
                .iter()
                .filter(|check| check.value.is_some())
                .count(),
            differ: differ
                .into_iter()
                .map(|(check, why)| (self.linux[check].name.clone(), why))
                .collect(),
            complaints: self.complaints,
        })
    }
}

impl Outcome {
    fn case(self, table: &mut Table) -> Case {
        let mut complaints = self.complaints;
        let mut on_purpose = 0;
        for (name, why) in &self.differ {
            match table.meets(name) {
                true => on_purpose += 1,
                false => complaints.push(format!("{name}: {why}")),
            }
        }
        let verdict = if complaints.is_empty() {
            let mut words = format!("{} {}", self.checked, self.kind.words());
            if self.valued > 0 {
                words += &format!(", {} with their values", self.valued);
            }
            if on_purpose > 0 {
                words += &format!("; {on_purpose} differ on purpose");
            }
            Verdict::Good(words)
        } else {
            Verdict::Bad(complaints.join("\n"))
        };
        Case {
            name: self.kind.name().to_owned(),
            took: self.took,
            verdict,
        }
    }
}

/// What is written by hand compiles, and is about what has to be written by hand.
fn signatures(rustc: &Rustc, repository: &Path, unnamed: &[String]) -> Result<Case> {
    let started = Instant::now();
    let file = repository.join(SIGNATURES);
    let checked = rustc.check(&file, "signatures", &[])?;
    let mut complaints: Vec<_> = checked.errors().map(|error| error.short()).collect();
    let text = fs::read_to_string(&file)?;
    complaints.extend(by_hand(unnamed, &text, &mut Table::new(BY_HAND)));
    let verdict = match complaints.is_empty() {
        true => Verdict::Good(format!(
            "{SIGNATURES} compiles; {} names are checked only there",
            unnamed.len()
        )),
        false => Verdict::Bad(complaints.join("\n")),
    };
    Ok(Case {
        name: "signatures".to_owned(),
        took: started.elapsed(),
        verdict,
    })
}

/// What is wrong with `text`, which has to mention the names that no check could be written for.
fn by_hand(unnamed: &[String], text: &str, table: &mut Table) -> Vec<String> {
    let mut complaints = Vec::new();
    for entry in unnamed {
        let (name, _) = entry.split_once(": no driver").unwrap_or((entry, ""));
        let method = name.rsplit("::").next().unwrap_or(name);
        let method = method.split(['<', ' ']).next().unwrap_or(method);
        if !table.meets(name) {
            complaints.push(format!("{entry}, and nobody checks it"));
        } else if !text.contains(method) {
            complaints.push(format!("{name} is not in {SIGNATURES}"));
        }
    }
    for name in table.idle() {
        complaints.push(format!("{name} needs no check by hand (any more)"));
    }
    complaints
}

fn differences(table: &Table) -> Case {
    let idle = table.idle();
    let names: usize = DELIBERATE.iter().map(|group| group.names.len()).sum();
    let verdict = match idle.is_empty() {
        true => Verdict::Good(format!(
            "{names} names differ on purpose{}",
            DELIBERATE
                .iter()
                .map(|group| format!("\n{} of them: {}", group.names.len(), group.why))
                .collect::<String>()
        )),
        false => Verdict::Bad(format!(
            "no difference (any more), and in the table of those: {}",
            idle.join(", ")
        )),
    };
    Case {
        name: "differences".to_owned(),
        took: Duration::ZERO,
        verdict,
    }
}

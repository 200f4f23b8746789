//! `cargo xtask vm mutants`: teardown with one mistake in it, on real Linux.
//!
//! The suites are silent about devscope as it is. That means something only if they are loud about a
//! devscope that is wrong: each mistake of `src/mutants.rs` is run until the kernel reports it, or
//! until the time is over. What only the exploration of the model finds is listed as such.

use crate::judge::{Expects, GuestCase};
use crate::progress::{clock, Step};
use crate::suite::Verdict;
use crate::test::Lab;
use anyhow::{bail, Context, Result};
use std::fs;
use std::path::Path;
use std::time::Instant;

/// The drivers that the cases use.
pub const DRIVERS: [&str; 4] = ["case1", "case2", "edu", "on_usb"];

const CASES: [GuestCase; 6] = [
    case("buses", "usb"),
    case("seed-rust", "case2"),
    case("seed-rust", "case1-late"),
    case("seed-rust", "case1-storm"),
    case("files", "held"),
    case("storm", "edu"),
];

const fn case(suite: &'static str, name: &'static str) -> GuestCase {
    GuestCase {
        suite,
        name,
        expects: Expects::Silence,
    }
}

/// A mistake: its name, and its number as a module parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    name: String,
    number: usize,
}

/// The mistakes of `src/mutants.rs`, in the order of their numbers.
pub fn all(repository: &Path) -> Result<Vec<Mutant>> {
    let path = repository.join("src/mutants.rs");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mutants = numbered(&text);
    if mutants.is_empty() {
        bail!("{} has no `enum Mutant`", path.display());
    }
    Ok(mutants)
}

/// The variants of `enum Mutant`; the first is the absence of a mistake, number 0.
fn numbered(text: &str) -> Vec<Mutant> {
    text.lines()
        .skip_while(|line| !line.starts_with("pub enum Mutant"))
        .skip(1)
        .take_while(|line| !line.starts_with('}'))
        .filter_map(|line| line.trim().strip_suffix(','))
        .enumerate()
        .skip(1)
        .map(|(number, name)| Mutant {
            name: name.to_owned(),
            number,
        })
        .collect()
}

/// Those with these names, or all.
pub fn choose(all: &[Mutant], names: &[String]) -> Result<Vec<Mutant>> {
    if names.is_empty() {
        return Ok(all.to_vec());
    }
    names
        .iter()
        .map(|name| {
            let known = all.iter().find(|mutant| mutant.name == *name);
            known.cloned().with_context(|| {
                let all: Vec<_> = all.iter().map(|mutant| mutant.name.as_str()).collect();
                format!("there is no mutant {name}; there are {}", all.join(", "))
            })
        })
        .collect()
}

/// Runs each, and says what came of it: a table in Markdown.
pub fn table(mutants: &[Mutant], lab: &mut Lab) -> Result<String> {
    let logs = lab.logs.clone();
    let mut rows = vec![
        "| mutant | noticed | after | in | by |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for mutant in mutants {
        let mut step = Step::start(&mutant.name);
        lab.mutant = Some(mutant.number);
        lab.logs = logs.join(&mutant.name);
        fs::create_dir_all(&lab.logs)?;
        let row = notice(mutant, lab, &mut step)?;
        step.done(&row);
        rows.push(row);
    }
    Ok(rows.join("\n"))
}

/// One boot: all cases, up to the first that is not silent.
fn notice(mutant: &Mutant, lab: &Lab, step: &mut Step) -> Result<String> {
    let started = Instant::now();
    let (judged, _) = lab.boot(1, &CASES, step)?;
    let took = clock(started.elapsed());
    let name = &mutant.name;
    let over = lab.limit.is_some_and(|limit| started.elapsed() > limit);
    let noticed = judged.iter().find_map(|judged| match &judged.verdict {
        Verdict::Bad(why) => Some((judged.case.full_name(), why)),
        Verdict::Good(_) => None,
    });
    Ok(match noticed {
        Some((case, why)) if !over => {
            format!("| `{name}` | yes | {took} | `{case}` | {} |", cause(why))
        }
        _ => format!("| `{name}` | no | {took} | | |"),
    })
}

/// The line of a reason that says most.
fn cause(why: &str) -> String {
    let report = why
        .lines()
        .find(|line| crate::serial::report_in(line).is_some());
    let line = report.or_else(|| why.lines().next()).unwrap_or_default();
    let line = line.split_once("] ").map_or(line, |(_, text)| text);
    line.trim().replace('|', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutants_are_numbered_as_in_the_crate() {
        let all = all(&crate::paths::repository()).unwrap();
        assert_eq!(
            all[0],
            Mutant {
                name: "SkipKill".into(),
                number: 1
            }
        );
        assert!(all.iter().enumerate().all(|(at, m)| m.number == at + 1));
        assert!(all.len() >= 14);
    }

    #[test]
    fn an_unknown_mutant_is_named_with_those_that_there_are() {
        let all = all(&crate::paths::repository()).unwrap();
        let error = choose(&all, &["SkipAll".into()]).unwrap_err().to_string();
        assert!(error.contains("SkipAll") && error.contains("SkipKill"));
        assert_eq!(choose(&all, &[]).unwrap(), all);
    }

    #[test]
    fn the_kernels_report_is_what_a_mutant_was_noticed_by() {
        let why = "the kernel reported:\n    [ 1.0] ====\n    [ 1.0] BUG: KASAN: x in f\n    more";
        assert_eq!(cause(why), "BUG: KASAN: x in f");
        assert_eq!(cause("read() gave 3\nmore"), "read() gave 3");
    }
}

//! `cargo xtask litmus`: what `src/` says about barriers, asked of Linux's memory model.
//!
//! Neither the hosted kernel nor an x86 machine shows what a weakly ordered machine may do. The model does,
//! exhaustively, for programs of a few lines: `linux/litmus/*.litmus`. It is part of Linux
//! (`tools/memory-model`); what runs it, herd7, is not, and is in few distributions. So this is not part of
//! `cargo xtask ci`.
//!
//! Each test says in its comment what it has to come to: *Never* for a promise, *Sometimes* for the same with
//! a barrier left out, since a test that forbids everything would prove nothing.

use crate::cache::Cache;
use crate::command::output_of;
use crate::module::stems;
use crate::paths;
use crate::progress::Step;
use crate::source::Tree;
use crate::suite::{self, Case, Outcome, Verdict};
use anyhow::{bail, Context, Result};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Where the model is, in a Linux tree.
const MODEL: &str = "tools/memory-model";

#[derive(Args)]
pub struct Litmus {
    /// A Linux tree to take the memory model from (7.3 or later), instead of Debian's
    #[arg(long, value_name = "DIR")]
    linux: Option<PathBuf>,
    /// The program that runs the model, of herdtools7 7.58 or later
    #[arg(long, value_name = "FILE", default_value = "herd7")]
    herd: PathBuf,
}

pub fn run(asked: &Litmus) -> Result<()> {
    let started = Instant::now();
    let herd = output_of(Command::new(&asked.herd).arg("-version")).with_context(|| {
        format!(
            "there is no {} that runs\n  install herdtools7, by `apt install herdtools7` where there is such a \
             package or by `opam install herdtools7`, or say where herd7 is: --herd FILE",
            asked.herd.display()
        )
    })?;
    // It is run in the model's directory.
    let program = match asked.herd.components().count() {
        1 => asked.herd.clone(),
        _ => fs::canonicalize(&asked.herd)?,
    };
    let tree = Tree::prepare(&Cache::open()?, asked.linux.as_deref())?;
    let model = tree.linux.join(MODEL);

    let mut step = Step::start("litmus tests");
    let mut cases = Vec::new();
    for (name, test) in tests()? {
        step.say(&name);
        let began = Instant::now();
        let verdict = verdict(&program, &model, &test)?;
        cases.push(Case {
            name,
            took: began.elapsed(),
            verdict,
        });
    }
    step.done(&format!("herd7 {}", herd.trim()));
    let outcome = [Outcome {
        suite: "litmus",
        took: started.elapsed(),
        cases: Ok(cases),
    }];
    println!(
        "\nthe memory model of Linux {}:\n\n{}",
        tree.version,
        suite::table(&outcome)
    );
    let complaints = suite::complaints(&outcome);
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n\n"));
    }
    Ok(())
}

/// All tests, by their names.
fn tests() -> Result<Vec<(String, PathBuf)>> {
    let dir = paths::repository().join("linux/litmus");
    let names = stems(&dir, |path| {
        path.extension().is_some_and(|kind| kind == "litmus")
    })?;
    Ok(names
        .into_iter()
        .map(|name| (name.clone(), dir.join(format!("{name}.litmus"))))
        .collect())
}

/// Runs one test, and compares what is observed with what its comment says.
fn verdict(herd: &Path, model: &Path, test: &Path) -> Result<Verdict> {
    let text = fs::read_to_string(test)?;
    let Some(expected) = expected(&text) else {
        bail!(
            "{} does not say what it comes to: `Result: Never` or `Result: Sometimes`",
            test.display()
        );
    };
    let said = output_of(
        Command::new(herd)
            .current_dir(model)
            .args(["-conf", "linux-kernel.cfg"])
            .arg(test),
    )?;
    Ok(match observed(&said) {
        Some((found, counts)) if found == expected => Verdict::Good(format!("{found} {counts}")),
        Some((found, counts)) => Verdict::Bad(format!("{found} ({counts}), not {expected}")),
        None => Verdict::Bad(format!("herd7 did not say what it observed:\n{said}")),
    })
}

fn expected(test: &str) -> Option<&str> {
    test.lines()
        .find_map(|line| line.trim().strip_prefix("* Result: "))
        .filter(|expected| ["Never", "Sometimes"].contains(expected))
}

/// How often it comes to that, and in how many executions it does and does not.
fn observed(said: &str) -> Option<(&str, &str)> {
    let observation = said
        .lines()
        .find_map(|line| line.strip_prefix("Observation "))?;
    observation.split_once(' ')?.1.split_once(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_says_in_its_comment_what_it_comes_to() {
        assert_eq!(
            expected("C a\n\n(*\n * Result: Never\n *)\n"),
            Some("Never")
        );
        assert_eq!(expected("C a\n\n(*\n * Result: Maybe\n *)\n"), None);
        assert_eq!(expected("C a\n{}\n"), None);
    }

    #[test]
    fn what_was_observed_is_in_one_line() {
        let said = "Test a Allowed\nStates 2\nNo\nObservation a Never 0 5\nTime a 0.01\n";
        assert_eq!(observed(said), Some(("Never", "0 5")));
        assert_eq!(observed("Test a Allowed\n"), None);
    }

    #[test]
    fn every_test_that_stands_there_says_it_and_its_own_name() {
        let all = super::tests().unwrap();
        assert!(all.iter().any(|(name, _)| name == "gate+done-inside"));
        for (name, test) in all {
            let text = fs::read_to_string(test).unwrap();
            assert!(expected(&text).is_some(), "{name}");
            assert!(text.starts_with(&format!("C {name}\n")), "{name}");
        }
    }
}

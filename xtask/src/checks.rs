//! The checks that need no virtual machine, and the list of all of them.

use crate::paths;
use crate::progress::clock;
use anyhow::{bail, Context, Result};
use clap::Args;
use serde_json::Value;
use std::process::Command;
use std::time::Instant;

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The test target of package devscope that compiles programs and compares messages.
const UI: &str = "ui";

#[derive(Args)]
pub struct Asan {
    /// Passed on to the tests: a filter, or options of the test harness
    #[arg(last = true)]
    rest: Vec<String>,
}

#[derive(Args)]
pub struct Ci {
    /// Leave out the run on real Linux
    #[arg(long)]
    no_vm: bool,
}

/// A word in a test's name, and why a sanitizer does not run it.
///
/// They commit the mistakes that the hosted kernel is there to find, and it finds them by its
/// ledger; under a sanitizer the first of them would end the whole test program.
const DELIBERATE: &[(&str, &str)] = &[
    (
        "mutant",
        "a framework broken on purpose: what it breaks is really freed too early",
    ),
    (
        "c_shaped",
        "a driver that makes the articles' mistakes on purpose",
    ),
];

pub fn asan(asan: &Asan) -> Result<()> {
    for (word, why) in DELIBERATE {
        println!("left out: tests named *{word}* ({why})");
    }
    // Shuttle's threads are coroutines on stacks of their own. The sanitizer takes a switch between
    // them for a return, and its leak checker does not look for references in them.
    println!("not looked for: uses of a stack frame after its return, and leaks (coroutines)");

    let targets = test_targets(&metadata()?);
    let mut cargo = cargo();
    cargo
        .args([
            "test",
            "-p",
            "hosted-kernel",
            "-p",
            "devscope",
            "--target",
            TARGET,
            "--lib",
        ])
        .env("CARGO_TARGET_DIR", paths::target().join("asan"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address --cfg devscope_asan")
        .env(
            "ASAN_OPTIONS",
            "detect_stack_use_after_return=0:detect_leaks=0",
        );
    for target in &targets {
        cargo.args(["--test", target]);
    }
    cargo.arg("--");
    for (word, _) in DELIBERATE {
        cargo.args(["--skip", word]);
    }
    cargo.args(&asan.rest);
    run("the tests under AddressSanitizer", &mut cargo)
}

pub fn bless() -> Result<()> {
    let mut test = cargo();
    test.args(["test", "-p", "devscope", "--test", UI])
        .env("TRYBUILD", "overwrite");
    run("the UI tests", &mut test)?;
    println!("\nThe snapshots are written. Read each as the person who meets it would: `git diff ui-tests`");
    Ok(())
}

/// Everything that has to pass. What fails does not keep the rest from being looked at.
///
/// The two test programs of devscope-corpus are what `corpus` runs, so `test` leaves them to it.
const CHECKS: &[&str] = &[
    "cargo fmt --all --check",
    "cargo clippy --workspace --all-targets -- -D warnings",
    "cargo test --workspace --exclude devscope-corpus",
    "cargo test -p devscope-corpus --lib",
    "cargo xtask corpus --check",
    "cargo run --example edu",
];
const REAL_CHECKS: &[&str] = &["cargo xtask vm test"];

pub fn ci(ci: &Ci) -> Result<()> {
    let mut checks = CHECKS.to_vec();
    if !ci.no_vm {
        checks.extend(REAL_CHECKS);
    }
    let mut took = Vec::new();
    let mut failed = Vec::new();
    for check in checks {
        let started = Instant::now();
        if let Err(error) = run(check, cargo().args(check.split(' ').skip(1))) {
            println!("{error}");
            failed.push(check);
        }
        took.push(format!("  {:>7}  {check}", clock(started.elapsed())));
    }
    println!("\n{}", took.join("\n"));
    if !failed.is_empty() {
        bail!("failed: {}", failed.join("; "));
    }
    println!("all passed");
    Ok(())
}

fn cargo() -> Command {
    let mut cargo = Command::new(paths::cargo());
    cargo.current_dir(paths::repository());
    cargo
}

fn run(what: &str, command: &mut Command) -> Result<()> {
    println!("\n== {what}");
    let status = command
        .status()
        .with_context(|| format!("cannot start {what}"))?;
    if !status.success() {
        bail!("{what} failed ({status})");
    }
    Ok(())
}

fn metadata() -> Result<Value> {
    let text =
        crate::command::output_of(cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
    serde_json::from_str(&text).context("cargo metadata's answer is not JSON")
}

/// The integration tests of the two packages whose code runs on the hosted kernel, without the UI
/// tests: those run a compiler, not our code.
fn test_targets(metadata: &Value) -> Vec<String> {
    let items = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    items(metadata, "packages")
        .iter()
        .filter(|package| matches!(package["name"].as_str(), Some("devscope" | "hosted-kernel")))
        .flat_map(|package| items(package, "targets"))
        .filter(|target| items(target, "kind").iter().any(|kind| kind == "test"))
        .filter_map(|target| Some(target["name"].as_str()?.to_owned()))
        .filter(|name| name != UI)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_sanitizer_runs_every_integration_test_but_the_ui_tests() {
        let metadata = json!({ "packages": [
            { "name": "devscope", "targets": [
                { "name": "devscope", "kind": ["lib"] },
                { "name": "ui", "kind": ["test"] },
                { "name": "teardown", "kind": ["test"] },
                { "name": "edu", "kind": ["example"] },
            ]},
            { "name": "hosted-kernel", "targets": [{ "name": "model", "kind": ["test"] }] },
            { "name": "xtask", "targets": [{ "name": "x", "kind": ["test"] }] },
        ]});
        assert_eq!(test_targets(&metadata), ["teardown", "model"]);
    }
}

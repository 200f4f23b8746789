//! Time and memory of the tests themselves.

use crate::paths;
use crate::progress::Step;
use anyhow::{bail, Context, Result};
use serde_json::{json, Value};
use std::collections::HashMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What is run, and how it is called. All is built before.
const SUITES: [(&str, &[&str]); 2] = [
    ("cargo test", &["test", "--workspace"]),
    ("the UI suite", &["test", "-p", "devscope", "--test", "ui"]),
];

pub fn measure() -> Result<Vec<Value>> {
    SUITES
        .iter()
        .map(|(name, what)| suite(name, what))
        .collect()
}

fn suite(name: &str, what: &[&str]) -> Result<Value> {
    let mut step = Step::start(format!("measuring {name}"));
    step.say("building");
    let built = cargo(what).arg("--no-run").status()?;
    if !built.success() {
        bail!("{name} cannot be built");
    }
    step.say("running");
    let (begun, before) = (Instant::now(), time_of_children()?);
    let mut child = cargo(what).spawn().context("cannot start cargo")?;
    let (peak, passed) = watch(&mut child, &mut step)?;
    let (wall, processor) = (begun.elapsed(), time_of_children()? - before);
    if !passed {
        bail!("{name} has failed; what failed measured something else");
    }
    step.done("");
    Ok(json!({
        "name": name,
        "seconds": wall.as_secs_f64(),
        "processor_seconds": processor.as_secs_f64(),
        "peak_kib": peak,
    }))
}

fn cargo(what: &[&str]) -> Command {
    let mut cargo = Command::new(paths::cargo());
    cargo
        .current_dir(paths::repository())
        .args(what)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    cargo
}

/// Waits for it, and looks ten times a second at how much memory it and its descendants have, all
/// together. What two of them share counts twice.
fn watch(child: &mut Child, step: &mut Step) -> Result<(u64, bool)> {
    let mut peak = 0;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((peak, status.success()));
        }
        peak = peak.max(memory_of_tree(child.id()));
        step.tick();
        thread::sleep(Duration::from_millis(100));
    }
}

/// In KiB.
fn memory_of_tree(root: u32) -> u64 {
    let mut parents = HashMap::new();
    let mut memory = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Ok(pid) = name.to_string_lossy().parse::<u32>() else {
            continue;
        };
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else {
            continue;
        };
        parents.insert(pid, field(&status, "PPid:") as u32);
        memory.insert(pid, field(&status, "VmRSS:"));
    }
    let descends = |mut pid: u32| loop {
        match parents.get(&pid) {
            _ if pid == root => return true,
            Some(&parent) if parent != 0 => pid = parent,
            _ => return false,
        }
    };
    let of_tree = memory.iter().filter(|(pid, _)| descends(**pid));
    of_tree.map(|(_, memory)| memory).sum()
}

fn field(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

/// The processor time of all children that have been waited for, and of theirs.
fn time_of_children() -> Result<Duration> {
    // `USER_HZ`, which is 100 wherever Linux runs this.
    const TICK: Duration = Duration::from_millis(10);

    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, after_name) = stat.rsplit_once(')').context("/proc/self/stat")?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    // cutime and cstime are the 16th and 17th, and the first two are behind us.
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
    let ticks = ticks(13).zip(ticks(14)).context("/proc/self/stat")?;
    Ok(TICK * (ticks.0 + ticks.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_has_memory_and_takes_time() {
        let before = time_of_children().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"])
            .spawn()
            .unwrap();
        let (peak, passed) = watch(&mut child, &mut Step::quiet()).unwrap();
        assert!(passed && peak > 100, "{peak}");
        assert!(time_of_children().unwrap() > before);
    }
}

//! `cargo xtask explore`: every pair of who schedules and what is scheduled, and every cycle of three,
//! under as many schedules as one has time for.
//!
//! The exploring is done by `tests/pairs.rs`, which says what it has done as it goes.

use crate::paths;
use anyhow::{bail, Context, Result};
use clap::Args;
use std::process::Command;

/// How many schedules a deep exploration runs of each.
const DEEP: usize = 100_000;

#[derive(Args)]
pub struct Explore {
    /// 100,000 schedules of each, instead of the 5,000 of `cargo test`
    #[arg(long)]
    deep: bool,
    /// This many schedules of each
    #[arg(long, conflicts_with = "deep")]
    schedules: Option<usize>,
    /// Only those with one of these in their names, such as `irq-schedules-work` or `timer`
    names: Vec<String>,
}

impl Explore {
    fn schedules(&self) -> Option<usize> {
        self.schedules.or(self.deep.then_some(DEEP))
    }
}

pub fn run(explore: &Explore) -> Result<()> {
    let mut cargo = Command::new(paths::cargo());
    cargo
        .current_dir(paths::repository())
        .args(["test", "--quiet", "-p", "devscope", "--test", "pairs", "--"])
        .args(&explore.names);
    if let Some(schedules) = explore.schedules() {
        cargo.env("DEVSCOPE_SCHEDULES", schedules.to_string());
    }
    let status = cargo.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("an exploration has found something; it says how to see it again");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_is_a_hundred_thousand_and_plain_is_what_the_test_has() {
        let of = |deep, schedules| {
            Explore {
                deep,
                schedules,
                names: Vec::new(),
            }
            .schedules()
        };
        assert_eq!(of(false, None), None);
        assert_eq!(of(true, None), Some(100_000));
        assert_eq!(of(false, Some(7)), Some(7));
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the two test programs of this package have in common: which to run, and what they write down.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What became of one program: a line of JSON in the file that `DEVSCOPE_CORPUS_REPORT` names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Its name: a module of `shapes` or `defects`.
    pub program: String,
    /// The bugs that it stands for.
    pub bugs: Vec<String>,
    /// Whether it did what it is there to do.
    pub ok: bool,
    /// How many schedules were run; of a defect, up to the one that found it.
    pub schedules: usize,
    /// How many scheduling decisions they took.
    pub steps: u64,
    pub seconds: f64,
    /// How often each mark was reached, over all schedules.
    pub reached: BTreeMap<String, u64>,
    /// What was found, or what is wrong; empty if nothing was to be found and nothing was.
    pub found: String,
}

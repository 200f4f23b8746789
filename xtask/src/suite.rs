//! What a suite finds: cases, each good or bad, and the table of them all.

use crate::progress::clock;
use anyhow::{Context, Result};
use comfy_table::{presets, CellAlignment, ContentArrangement, Table};
use serde_json::{json, Value};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// One thing that a suite looked at.
pub struct Case {
    pub name: String,
    pub took: Duration,
    pub verdict: Verdict,
}

pub enum Verdict {
    /// It is as it should be; some words about what was seen, may be empty.
    Good(String),
    /// It is not; why.
    Bad(String),
}

impl Case {
    pub fn is_good(&self) -> bool {
        matches!(self.verdict, Verdict::Good(_))
    }
}

/// A suite that has run, or could not.
pub struct Outcome {
    pub suite: &'static str,
    pub took: Duration,
    /// An error: the suite could not run at all.
    pub cases: Result<Vec<Case>, String>,
}

impl Outcome {
    /// A suite without a case has shown nothing.
    pub fn is_good(&self) -> bool {
        matches!(&self.cases, Ok(cases) if !cases.is_empty() && cases.iter().all(Case::is_good))
    }

    fn good(&self) -> usize {
        self.cases.as_ref().map_or(0, |cases| {
            cases.iter().filter(|case| case.is_good()).count()
        })
    }

    fn count(&self) -> usize {
        self.cases.as_ref().map_or(0, Vec::len)
    }

    fn json(&self) -> Value {
        let cases = match &self.cases {
            Ok(cases) => cases
                .iter()
                .map(|case| {
                    let (verdict, words) = match &case.verdict {
                        Verdict::Good(words) => ("good", words),
                        Verdict::Bad(words) => ("bad", words),
                    };
                    json!({
                        "name": case.name,
                        "verdict": verdict,
                        "words": words,
                        "seconds": case.took.as_secs_f64(),
                    })
                })
                .collect(),
            Err(_) => Vec::new(),
        };
        json!({
            "suite": self.suite,
            "verdict": if self.is_good() { "good" } else { "bad" },
            "could_not_run": self.cases.as_ref().err(),
            "seconds": self.took.as_secs_f64(),
            "cases": cases,
        })
    }
}

/// From more cases than this, the table shows those that are not good.
const MANY: usize = 12;

/// A row for each suite, and under it one for each case.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    for outcome in outcomes {
        let verdict = if outcome.is_good() { "ok" } else { "RED" };
        let words = match &outcome.cases {
            Ok(_) => format!("{} of {} good", outcome.good(), outcome.count()),
            Err(why) => format!("could not run: {}", first_line(why)),
        };
        table.add_row([
            verdict.to_owned(),
            outcome.suite.to_owned(),
            clock(outcome.took),
            words,
        ]);
        let all = outcome.count() <= MANY;
        for case in outcome.cases.iter().flatten() {
            if case.is_good() && !all {
                continue;
            }
            let (verdict, words) = match &case.verdict {
                Verdict::Good(words) => ("", first_line(words)),
                Verdict::Bad(words) => ("RED", first_line(words)),
            };
            table.add_row([
                verdict.to_owned(),
                format!("  {}", case.name),
                clock(case.took),
                words.to_owned(),
            ]);
        }
    }
    if let Some(times) = table.column_mut(2) {
        times.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// Everything about what is not as it should be.
pub fn complaints(outcomes: &[Outcome]) -> Vec<String> {
    let mut all = Vec::new();
    for outcome in outcomes {
        match &outcome.cases {
            Err(why) => all.push(format!("{}: could not run: {why}", outcome.suite)),
            Ok(cases) if cases.is_empty() => {
                all.push(format!("{}: there was nothing to run", outcome.suite));
            }
            Ok(cases) => all.extend(cases.iter().filter_map(|case| match &case.verdict {
                Verdict::Good(_) => None,
                Verdict::Bad(why) => Some(format!("{}/{}: {why}", outcome.suite, case.name)),
            })),
        }
    }
    all
}

/// Writes what was found for other programs to read.
pub fn write_json(to: &Path, about: Value, outcomes: &[Outcome]) -> Result<()> {
    let suites: Vec<_> = outcomes.iter().map(Outcome::json).collect();
    let text = serde_json::to_string_pretty(&json!({ "run": about, "suites": suites }))?;
    fs::write(to, text + "\n").with_context(|| format!("cannot write {}", to.display()))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(cases: Result<Vec<Case>, String>) -> Outcome {
        Outcome {
            suite: "storm",
            took: Duration::from_secs(3),
            cases,
        }
    }

    fn case(verdict: Verdict) -> Case {
        Case {
            name: "edu".into(),
            took: Duration::from_secs(2),
            verdict,
        }
    }

    #[test]
    fn what_ran_nothing_or_could_not_run_is_red() {
        assert!(!outcome(Ok(Vec::new())).is_good());
        assert!(!outcome(Err("no QEMU".into())).is_good());
        assert!(outcome(Ok(vec![case(Verdict::Good(String::new()))])).is_good());
        let one_of_two = vec![
            case(Verdict::Good(String::new())),
            case(Verdict::Bad("why".into())),
        ];
        assert!(!outcome(Ok(one_of_two)).is_good());
        assert_eq!(complaints(&[outcome(Ok(Vec::new()))]).len(), 1);
    }

    #[test]
    fn the_table_has_a_row_for_each_case_and_the_first_line_of_a_reason() {
        let text = table(&[outcome(Ok(vec![
            case(Verdict::Good("20 unbinds".into())),
            case(Verdict::Bad("KASAN\nmore".into())),
        ]))]);
        assert!(text.contains("1 of 2 good"), "{text}");
        assert!(text.contains("20 unbinds") && text.contains("KASAN") && !text.contains("more"));
    }

    #[test]
    fn json_keeps_every_word() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("results.json");
        let found = outcome(Ok(vec![case(Verdict::Bad("KASAN\nmore".into()))]));
        write_json(&file, json!({}), &[found]).unwrap();
        let read: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(read["suites"][0]["verdict"], "bad");
        assert_eq!(read["suites"][0]["cases"][0]["words"], "KASAN\nmore");
    }
}

//! The evidence: the programs are run, and what each has to say is read.

use super::entries::MISTAKES;
use crate::command::Logged;
use crate::paths;
use crate::progress::Step;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;

/// The tests of `tests/ui.rs` that compile programs. The first has to see them fail, the second to see
/// their twins pass.
const UI_TESTS: [&str; 2] = [
    "what_must_not_compile_does_not_and_says_why",
    "without_its_mistake_every_program_compiles",
];

/// The variable by which the programs of package devscope-corpus are told where to report.
const REPORT: &str = "DEVSCOPE_CORPUS_REPORT";

/// The variables by which somebody may have asked them for other schedules.
const OTHER_SCHEDULES: [&str; 2] = ["DEVSCOPE_SCHEDULES", "DEVSCOPE_SCHEDULE"];

/// What one run of programs has brought.
#[derive(Debug, Default)]
pub struct Ran<T> {
    pub results: T,
    /// Why it ended badly. Normally some result says the same, and more.
    pub failure: Option<String>,
}

#[derive(Debug, Default)]
pub struct Evidence {
    /// For the path of a program, the word that trybuild has for it: `ok` is good.
    pub compiled: Ran<BTreeMap<String, String>>,
    pub shapes: Ran<Vec<Report>>,
    pub defects: Ran<Vec<Report>>,
}

/// What a program of package devscope-corpus says of itself: a line of JSON.
///
/// The writer is `devscope_corpus::harness::Report`. It is not used here, because xtask would have to
/// build the hosted kernel before it could format anything.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// A module of `shapes`; or one of `defects`, and which of its drivers: `ocelot::cure`.
    pub program: String,
    /// The bugs that it stands for.
    pub bugs: Vec<String>,
    /// Whether it did what it is there to do.
    pub ok: bool,
    /// How many schedules were run; of a defect, up to the one that found it.
    pub schedules: u64,
    pub steps: u64,
    pub seconds: f64,
    /// How often each mark was reached, over all schedules.
    pub reached: BTreeMap<String, u64>,
    /// What was found, or what is wrong.
    pub found: String,
    /// Of a driver in the shape of C: which one it is, in words; see [`Report::variant`].
    #[serde(default)]
    pub variant: String,
    /// The median of the schedules until it was found, over several seeds.
    #[serde(default)]
    pub seeds_median: Option<f64>,
    /// Under how many seeds it was found.
    #[serde(default)]
    pub seeds_found: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    /// As it was.
    Defect,
    /// As it was after a fix that did not hold.
    FirstFix,
    /// As it has to be.
    Cure,
}

impl Report {
    pub fn variant(&self) -> Option<Variant> {
        match self.variant.as_str() {
            "defect" => Some(Variant::Defect),
            "first fix" => Some(Variant::FirstFix),
            "cure" => Some(Variant::Cure),
            _ => None,
        }
    }

    /// The module that it is in.
    pub fn module(&self) -> &str {
        self.program.split("::").next().unwrap_or_default()
    }

    /// What was found, in a line; None if nothing was.
    pub fn found(&self) -> Option<&str> {
        self.found.lines().next().filter(|line| !line.is_empty())
    }

    /// The marks that were reached at all.
    pub fn marks(&self) -> impl Iterator<Item = (&str, u64)> {
        let marks = self.reached.iter().filter(|(_, times)| **times > 0);
        marks.map(|(mark, times)| (mark.as_str(), *times))
    }

    /// Whether some mark says that something was refused.
    pub fn is_refused(&self) -> bool {
        self.marks().any(|(mark, _)| mark.starts_with("refused"))
    }
}

/// Compiles the programs that must not compile, and their twins: these, or all.
pub fn mistakes(only: Option<&[&str]>) -> Result<Ran<BTreeMap<String, String>>> {
    let mut cargo = cargo("mistakes")?
        .args(["test", "-p", "devscope", "--test", "ui", "--"])
        .args(UI_TESTS)
        // One after the other, and heard: they share a directory, and a line of output.
        .args(["--nocapture", "--test-threads=1"])
        // Otherwise trybuild colours what it says, also into a pipe.
        .env("NO_COLOR", "1")
        .env("TERM", "dumb");
    match only {
        None => cargo = cargo.arg(format!("trybuild={MISTAKES}/")),
        Some(names) => {
            for name in names {
                cargo = cargo
                    .arg(format!("trybuild={MISTAKES}/{name}.rs"))
                    .arg(format!("trybuild={MISTAKES}/pass/{name}.rs"));
            }
        }
    }
    let mut results = BTreeMap::new();
    let mut step = Step::start("programs that must not compile");
    let ran = cargo.run(&mut step, |line| {
        let (program, word) = compiled(line)?;
        results.insert(program.to_owned(), word.to_owned());
        Some(program.to_owned())
    });
    Ok(end(step, ran, results, |results| {
        format!("{} compiled", results.len())
    }))
}

/// Explores shapes: these, or all.
pub fn shapes(only: Option<&[&str]>) -> Result<Ran<Vec<Report>>> {
    explored("shapes", "drivers with devscope", only)
}

/// Explores the drivers in the shape of C.
pub fn defects() -> Result<Ran<Vec<Report>>> {
    explored("defects", "drivers as one writes them in C", None)
}

fn explored(target: &str, what: &str, only: Option<&[&str]>) -> Result<Ran<Vec<Report>>> {
    let file = paths::target()
        .join("corpus")
        .join(format!("{target}.jsonl"));
    let cargo = cargo(target)?
        .args(["test", "-p", "devscope-corpus", "--test", target, "--"])
        .args(only.unwrap_or_default())
        .args(only.map(|_| "--exact"))
        .env(REPORT, &file);
    // How many schedules there are is part of what is written.
    let cargo = OTHER_SCHEDULES.iter().copied().fold(cargo, Logged::without);
    // Reports are appended.
    if file.exists() {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    let mut step = Step::start(what);
    let ran = cargo.run(&mut step, |line| Some(line.to_owned()));
    // A program that has nothing to run writes no file.
    let text = match file.exists() {
        true => {
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?
        }
        false => String::new(),
    };
    let mut results = reports(&text).with_context(|| format!("in {}", file.display()))?;
    if let Some(only) = only {
        results.retain(|report| only.contains(&report.program.as_str()));
    }
    Ok(end(step, ran, results, |results| {
        let schedules: u64 = results.iter().map(|report| report.schedules).sum();
        format!("{} explored, {schedules} schedules", results.len())
    }))
}

fn end<T>(step: Step, ran: Result<()>, results: T, words: impl Fn(&T) -> String) -> Ran<T> {
    let failure = ran.err().map(|error| format!("{error:#}"));
    match failure {
        None => step.done(&words(&results)),
        // Dropped, it says that it has failed.
        Some(_) => drop(step),
    }
    Ran { results, failure }
}

/// Cargo, in this checkout, with a fresh log.
fn cargo(name: &str) -> Result<Logged> {
    let dir = paths::target().join("corpus");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let log = dir.join(format!("{name}.log"));
    fs::write(&log, "").with_context(|| format!("cannot write {}", log.display()))?;
    Ok(Logged::new(paths::cargo(), &log)
        .dir(&paths::repository())
        .env("CARGO_TARGET_DIR", paths::target()))
}

/// `test ui-tests/corpus/<mistake>.rs ... <word>`, as trybuild says it.
fn compiled(line: &str) -> Option<(&str, &str)> {
    let (program, word) = line.strip_prefix("test ")?.split_once(" ... ")?;
    // Where both kinds are in one run, trybuild says in brackets which this is.
    let program = program.split(" [").next().unwrap_or(program);
    let ours = program.starts_with(MISTAKES) && program.ends_with(".rs");
    ours.then_some((program, word.trim()))
}

fn reports(text: &str) -> Result<Vec<Report>> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("line {} is no report: {line}", at + 1))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_that_compile_programs_are_called_so() {
        let path = paths::repository().join("tests/ui.rs");
        let text = fs::read_to_string(path).unwrap();
        for test in UI_TESTS {
            assert!(text.contains(&format!("fn {test}()")), "{test}");
        }
    }

    #[test]
    fn trybuilds_lines_say_what_came_of_a_program() {
        let line = "test ui-tests/corpus/late.rs ... ok";
        assert_eq!(compiled(line), Some(("ui-tests/corpus/late.rs", "ok")));
        let line = "test ui-tests/corpus/pass/late.rs [should pass] ... error";
        assert_eq!(
            compiled(line),
            Some(("ui-tests/corpus/pass/late.rs", "error"))
        );
        for other in [
            "test ui-tests/irq/late.rs ... ok",
            "test without_its_mistake_every_program_compiles ... ok",
            "     Running tests/ui.rs",
        ] {
            assert_eq!(compiled(other), None);
        }
    }

    #[test]
    fn a_report_of_a_shape_has_no_seeds_and_one_of_a_defect_has() {
        let shape = r#"{"program":"urb","bugs":["a"],"ok":true,"schedules":9,"steps":90,"seconds":0.5,"reached":{"refused: submit":0,"unbound":9},"found":"","variant":"","seeds_median":null,"seeds_found":null}"#;
        let defect = r#"{"program":"tl::first_fix","bugs":["b"],"ok":true,"schedules":4,"steps":90,"seconds":0.5,"reached":{"refused: x":1},"found":"ran after free\nmore","variant":"first fix","seeds_median":7.0,"seeds_found":10}"#;
        let read = reports(&format!("{shape}\n\n{defect}\n")).unwrap();
        assert_eq!(read[0].marks().collect::<Vec<_>>(), [("unbound", 9)]);
        assert!(!read[0].is_refused() && read[1].is_refused());
        assert_eq!((read[0].variant(), read[0].found()), (None, None));
        assert_eq!(read[1].variant(), Some(Variant::FirstFix));
        assert_eq!(
            (read[1].module(), read[1].found()),
            ("tl", Some("ran after free"))
        );
        assert_eq!(read[1].seeds_median, Some(7.0));
        // The fields came later.
        let old = shape.replace(
            r#","variant":"","seeds_median":null,"seeds_found":null"#,
            "",
        );
        assert_eq!(reports(&old).unwrap()[0].variant(), None);
    }

    #[test]
    fn a_line_that_is_no_report_is_shown_with_its_number() {
        let error = reports("\n{\"program\": 3}\n").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(error.contains("{\"program\": 3}"), "{error}");
    }
}

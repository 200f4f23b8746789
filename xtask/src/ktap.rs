//! Reading what KUnit says of its suites: KTAP, among everything else on the serial line.
//!
//! ```text
//! KTAP version 1                      a report begins, of what is built in or of a module
//! 1..1                                it will be of one suite
//!     KTAP version 1                  the suite begins
//!     # Subtest: devscope_gate
//!     1..1                            it will be of one test
//!     # a_gate: ASSERTION FAILED at src/gate.rs:151
//!     Expected closed to be true, but is false
//!     not ok 1 a_gate
//! not ok 1 devscope_gate              the suite has ended
//! ```

use crate::serial::after_time;
use anyhow::{bail, ensure, Context, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail,
    Skip,
}

/// A suite or, among its parts, a test.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub name: String,
    pub verdict: Verdict,
    /// What was said of it, if it has failed.
    pub why: Vec<String>,
    pub parts: Vec<Outcome>,
}

/// A report or a suite that has begun.
#[derive(Default)]
struct Begun {
    name: String,
    planned: Option<usize>,
    parts: Vec<Outcome>,
}

/// The suites that a log tells of and whose names begin with `ours`, each with its tests.
///
/// It is an error if none of their tests has run, or if any suite gave fewer results than it planned.
pub fn suites(lines: &[String], ours: &str) -> Result<Vec<Outcome>> {
    let (mut suites, mut why) = (Vec::new(), Vec::new());
    // What has begun and not ended: a report, a suite of it, a test with parameters...
    let mut begun: Vec<Begun> = Vec::new();
    for line in lines.iter().map(|line| after_time(line)) {
        let text = line.trim_start_matches(' ');
        let depth = (line.len() - text.len()) / 4;
        if text == "KTAP version 1" {
            let within = depth == 0 || depth == begun.len();
            ensure!(within, "KUnit begins, within nothing: {line}");
            suites.extend(ended(&mut begun, depth)?);
            begun.push(Begun::default());
        } else if let Some((number, mut it)) = result(text).filter(|_| depth < begun.len()) {
            it.parts = ended(&mut begun, depth + 1)?;
            let due = begun[depth].parts.len() + 1;
            ensure!(number == due, "KUnit's result {due} is missing: {line}");
            // A suite that failed or was left out may have said nothing else. One that passed has tests.
            let silent = depth == 0 && it.verdict == Verdict::Pass && it.parts.is_empty();
            ensure!(!silent, "KUnit's results are missing: {line}");
            it.why = std::mem::take(&mut why);
            it.why.retain(|_| it.verdict == Verdict::Fail);
            begun[depth].parts.push(it);
        } else if let Some(level) = begun.get_mut(depth) {
            if let Some(name) = text.strip_prefix("# Subtest: ") {
                level.name = name.into();
            } else if let (None, Some(plan)) = (level.planned, text.strip_prefix("1..")) {
                level.planned = Some(plan.parse().with_context(|| format!("no plan: {line}"))?);
            } else if depth > 0 && !text.contains("speed: ") {
                why.push(text.into());
            }
        }
    }
    suites.extend(ended(&mut begun, 0)?);
    suites.retain(|suite: &Outcome| suite.name.starts_with(ours));
    let ran = suites.iter().any(|suite| !suite.parts.is_empty());
    ensure!(ran, "KUnit has run no test of {ours}*");
    Ok(suites)
}

/// What came of whatever has begun at `depth`, and ends now.
fn ended(begun: &mut Vec<Begun>, depth: usize) -> Result<Vec<Outcome>> {
    if begun.len() <= depth {
        return Ok(Vec::new());
    }
    let last = begun.pop().unwrap_or_default();
    let (name, came) = (last.name, last.parts.len());
    ensure!(
        begun.len() == depth,
        "KUnit's {name:?} has not ended: {came} results came"
    );
    match last.planned {
        Some(planned) if planned == came => Ok(last.parts),
        Some(planned) => bail!("KUnit planned {planned} results of {name:?}, and {came} came"),
        None => bail!("KUnit did not say how many results of {name:?} would come"),
    }
}

/// `ok 1 name`, `not ok 2 name`, `ok 3 name # SKIP reason`
fn result(text: &str) -> Option<(usize, Outcome)> {
    let failed = text.strip_prefix("not ok ");
    let (number, name) = failed.or(text.strip_prefix("ok "))?.split_once(' ')?;
    let (verdict, name) = match (failed, name.split_once(" # SKIP")) {
        (Some(_), _) => (Verdict::Fail, name),
        (None, Some((name, _))) => (Verdict::Skip, name),
        (None, None) => (Verdict::Pass, name),
    };
    let (name, why, parts) = (name.to_owned(), Vec::new(), Vec::new());
    Some((
        number.parse().ok()?,
        Outcome {
            name,
            verdict,
            why,
            parts,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A boot with a built-in suite and a module, and a driver that speaks in between.
    const BOOT: &str = "\
[    8.116385] KTAP version 1
[    8.116385] 1..1
[    8.128386]     KTAP version 1
[    8.128386]     # Subtest: rust_kernel_fmt
[    8.128386]     # speed: normal
[    8.132386]     1..1
[    8.164388]     # test_ptr_formatting.speed: normal
[    8.164388]     ok 1 test_ptr_formatting
[    8.164388] ok 1 rust_kernel_fmt
[    9.400403] Run /init as init process
[   10.452531] KTAP version 1
[   10.452531] 1..2
[   10.456532]     KTAP version 1
[   10.456532]     # Subtest: devscope_gate
[   10.456532]     # speed: normal
[   10.456532]     1..3
[   10.492534]     # an_open_gate.speed: normal
[   10.492534]     ok 1 an_open_gate
[   10.500000] workqueue: something ok 7 else
[   10.520536]     # a_closed_gate: ASSERTION FAILED at src/gate.rs:151
[   10.520536]     Expected closed to be true, but is false
[   10.520536]     # a_closed_gate.speed: normal
[   10.520536]     not ok 2 a_closed_gate
[   10.552538]     ok 3 a_gate_for_later # SKIP not yet
[   10.628542] # devscope_gate: pass:1 fail:1 skip:1 total:3
[   10.628542] # Totals: pass:1 fail:1 skip:1 total:3
[   10.628542] not ok 1 devscope_gate
[   10.628542]     KTAP version 1
[   10.628542]     # Subtest: devscope_wait
[   10.628542]     1..1
[   10.628542]     ok 1 a_sleeper_is_woken
[   10.628542] ok 2 devscope_wait
[   10.700000] guest: done=ok
";

    fn log(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    /// What is said of the boot without the lines that contain `missing`.
    fn without(missing: &str) -> String {
        let lines: Vec<_> = log(BOOT)
            .into_iter()
            .filter(|line| !line.contains(missing))
            .collect();
        assert!(lines.len() < BOOT.lines().count(), "{missing}");
        match suites(&lines, "devscope_") {
            Ok(_) => "good".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_suite_has_its_tests_and_every_failure_its_reason() {
        let suites = suites(&log(BOOT), "").unwrap();
        let of = |suite: &Outcome| {
            let tests = suite
                .parts
                .iter()
                .map(|test| (test.name.clone(), test.verdict));
            (suite.name.clone(), suite.verdict, tests.collect::<Vec<_>>())
        };
        use Verdict::*;
        assert_eq!(
            of(&suites[0]),
            (
                "rust_kernel_fmt".into(),
                Pass,
                vec![("test_ptr_formatting".into(), Pass)]
            )
        );
        let gate = vec![
            ("an_open_gate".into(), Pass),
            ("a_closed_gate".into(), Fail),
            ("a_gate_for_later".into(), Skip),
        ];
        assert_eq!(of(&suites[1]), ("devscope_gate".into(), Fail, gate));
        assert_eq!(
            of(&suites[2]),
            (
                "devscope_wait".into(),
                Pass,
                vec![("a_sleeper_is_woken".into(), Pass)]
            )
        );
        assert_eq!(suites.len(), 3);
        assert_eq!(
            suites[1].parts[1].why,
            [
                "# a_closed_gate: ASSERTION FAILED at src/gate.rs:151",
                "Expected closed to be true, but is false"
            ]
        );
        assert!(suites[1].parts[0].why.is_empty() && suites[2].parts[0].why.is_empty());
    }

    #[test]
    fn what_was_planned_has_to_come() {
        assert!(without("ok 1 an_open_gate").contains("result 1 is missing"));
        assert!(
            without("ok 3 a_gate").contains("planned 3 results of \"devscope_gate\", and 2 came")
        );
        assert!(without("ok 2 devscope_wait").contains("\"devscope_wait\" has not ended"));
        assert!(without("devscope_wait").contains("has not ended"));
        assert!(without("1..3").contains("did not say how many results of \"devscope_gate\""));
        assert!(without("1..2").contains("did not say how many"));
        assert!(without("1..1").contains("did not say how many"));
        assert!(
            without("542]     KTAP version 1").contains("results are missing: ok 2 devscope_wait")
        );
    }

    #[test]
    fn a_log_that_is_cut_is_an_error_wherever_it_is_cut() {
        let lines = log(BOOT);
        let begin = lines
            .iter()
            .position(|line| line.contains("10.452531"))
            .unwrap();
        let end = lines
            .iter()
            .position(|line| line.contains("ok 2 devscope_wait"))
            .unwrap();
        for cut in begin + 1..=end {
            assert!(suites(&lines[..cut], "").is_err(), "{:#?}", &lines[..cut]);
        }
        assert!(suites(&lines[..=end], "").is_ok());
    }

    #[test]
    fn no_tests_are_an_error() {
        for text in [
            "",
            "[ 1.0] KTAP version 1\n[ 1.0] 1..0\n",
            "[ 1.0] kunit: disabled\n",
        ] {
            assert_eq!(
                suites(&log(text), "").unwrap_err().to_string(),
                "KUnit has run no test of *"
            );
        }
    }

    #[test]
    fn what_others_have_run_does_not_count() {
        let lines = log(BOOT);
        assert_eq!(suites(&lines, "devscope_").unwrap().len(), 2);
        let error = suites(&lines, "module_").unwrap_err().to_string();
        assert_eq!(error, "KUnit has run no test of module_*");
    }

    #[test]
    fn a_suite_that_could_not_begin_has_failed() {
        let text = "KTAP version 1\n1..2\nnot ok 1 early\n    KTAP version 1\n    1..1\n    ok 1 test\nok 2 late\n";
        let suites = suites(&log(text), "").unwrap();
        assert_eq!(
            (suites[0].verdict, suites[0].parts.len()),
            (Verdict::Fail, 0)
        );
        assert_eq!(suites[1].verdict, Verdict::Pass);
    }

    #[test]
    fn parameters_are_parts_of_their_test() {
        let text = "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..1\n        KTAP version 1\n        \
                    # Subtest: t\n        1..2\n        ok 1 a\n        ok 2 b\n    ok 1 t\nok 1 s\n";
        let suites = suites(&log(text), "").unwrap();
        assert_eq!(suites[0].parts[0].parts.len(), 2);
    }
}

//! `cargo xtask vm test`: the suites, and the machines that run them.

use crate::boot::{Accelerator, End, Go, Machine, SILENCE};
use crate::judge::{Expects, GuestCase, Judge, Judged};
use crate::progress::{clock, Step};
use crate::suite::{Case, Outcome, Verdict};
use crate::vm::Ready;
use crate::{ktap, parity, serial, ui};
use anyhow::Result;
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[allow(dead_code, reason = "the guest's program asks for more of it")]
#[path = "../../linux/guest/reports.rs"]
mod reports;

/// A suite. The words after each are what `cargo xtask vm test --help` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Every program of `ui-tests/`, compiled against Linux's own `kernel` crate
    Ui,
    /// Every public name of the hosted crate, held against Linux's
    Parity,
    /// The articles' two cases in C: the kernel must report the defects, and nothing for the cures
    SeedC,
    /// The same two cases with devscope
    SeedRust,
    /// edu, unbound again and again while programs use it by every means
    Storm,
    /// What programs expect of files and mappings, and what they get when the device has gone
    Files,
    /// Each allocation on the way to a bound device fails once
    FailNth,
    /// A driver on each bus that is not PCI, taken away while programs use it
    Buses,
    /// The checks of the hosted model, and whether Linux does the same
    Fidelity,
    /// The tests inside the crate
    Kunit,
}

use Expects::{NothingNew, Report, Silence, WhatIsKnown};

const fn case(suite: &'static str, name: &'static str, expects: Expects) -> GuestCase {
    GuestCase {
        suite,
        name,
        expects,
    }
}

const USE_AFTER_FREE: &[&str] = &["BUG: KASAN: slab-use-after-free"];

const SEED_C: &[GuestCase] = &[
    case("seed-c", "case1-storm-cured", Silence),
    case("seed-c", "case1-late-cured", Silence),
    case("seed-c", "case2-cured", Silence),
    case("seed-c", "case2", Report(USE_AFTER_FREE, "case2_release")),
    case(
        "seed-c",
        "case1-late",
        Report(USE_AFTER_FREE, "case1_bottom_half"),
    ),
    // The task that waits in tasklet_kill() is woken each time the tasklet has run, so it does not
    // count as hung itself; whoever waits for the device meanwhile does.
    case(
        "seed-c",
        "case1-storm",
        Report(&["INFO: task ", "BUG: soft lockup"], "case1_remove"),
    ),
];
const SEED_RUST: &[GuestCase] = &[
    case("seed-rust", "case1-storm", Silence),
    case("seed-rust", "case1-late", Silence),
    case("seed-rust", "case2", Silence),
    case("seed-rust", "leaks", Silence),
];
const STORM: &[GuestCase] = &[
    case("storm", "edu", Silence),
    case("storm", "ring", Silence),
    case("storm", "timers", Silence),
    case("storm", "chardev", Silence),
    case("storm", "threaded", Silence),
    case("storm", "multivector", Silence),
    case("storm", "platform_gpio", Silence),
];
const FILES: &[GuestCase] = &[
    case("files", "chardev", Silence),
    case("files", "held", Silence),
];
/// The C drivers are there to show what Linux itself makes of it.
const FAIL_NTH: &[GuestCase] = &[
    case("fail-nth", "case1", NothingNew),
    case("fail-nth", "case2", NothingNew),
    case("fail-nth", "edu", NothingNew),
    case("fail-nth", "ring", NothingNew),
    case("fail-nth", "timers", NothingNew),
    case("fail-nth", "chardev", NothingNew),
    case("fail-nth", "threaded", NothingNew),
    case("fail-nth", "multivector", NothingNew),
    case("fail-nth", "platform_gpio", NothingNew),
    case("fail-nth", "case1_cured_c", WhatIsKnown),
    case("fail-nth", "leaks", Silence),
];

const BUSES: &[GuestCase] = &[
    case("buses", "i2c", Silence),
    case("buses", "usb", Silence),
    case("buses", "faux", Silence),
    case("buses", "auxiliary", Silence),
    case("buses", "leaks", Silence),
];

/// All checks in one case, and one case for each mistake that Linux has to report.
fn fidelity() -> Vec<GuestCase> {
    let mistakes = reports::REPORTS.iter().map(|report| GuestCase {
        suite: "fidelity",
        name: report.name,
        expects: Report(std::slice::from_ref(&report.expect), ""),
    });
    [case("fidelity", "checks", Silence)]
        .into_iter()
        .chain(mistakes)
        .collect()
}

const KUNIT: &[GuestCase] = &[case("kunit", "devscope", Silence)];

impl Suite {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ui => "ui",
            Self::Parity => "parity",
            Self::SeedC => "seed-c",
            Self::SeedRust => "seed-rust",
            Self::Storm => "storm",
            Self::Files => "files",
            Self::FailNth => "fail-nth",
            Self::Buses => "buses",
            Self::Fidelity => "fidelity",
            Self::Kunit => "kunit",
        }
    }

    /// What the guest's program runs of it.
    pub fn cases(self) -> Vec<GuestCase> {
        match self {
            Self::Ui | Self::Parity => Vec::new(),
            Self::SeedC => SEED_C.to_vec(),
            Self::SeedRust => SEED_RUST.to_vec(),
            Self::Storm => STORM.to_vec(),
            Self::Files => FILES.to_vec(),
            Self::FailNth => FAIL_NTH.to_vec(),
            Self::Buses => BUSES.to_vec(),
            Self::Fidelity => fidelity(),
            Self::Kunit => KUNIT.to_vec(),
        }
    }
}

/// What every machine is made of.
pub struct Lab {
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
    pub accelerator: Accelerator,
    /// How often the driver is taken away in a storm.
    pub cycles: u32,
    /// The mistake that teardown makes, as `src/mutants.rs` numbers it.
    pub mutant: Option<usize>,
    /// How long a machine may take, where there is something else to do.
    pub limit: Option<Duration>,
    /// Where the serial logs go.
    pub logs: PathBuf,
}

impl Lab {
    /// Runs all cases, on as many machines as it takes: those that must be silent first, because a
    /// kernel that has reported something checks less from then on.
    pub fn run(&self, cases: &[GuestCase], step: &mut Step) -> Result<Vec<Judged>> {
        let (mut silent, mut reporting): (Vec<_>, Vec<_>) = cases
            .iter()
            .copied()
            .partition(|case| case.expects.is_silence());
        let mut judged = Vec::new();
        let mut boots = 0;
        for waiting in [&mut silent, &mut reporting] {
            while !waiting.is_empty() {
                boots += 1;
                let (more, left) = self.boot(boots, waiting, step)?;
                judged.extend(more);
                *waiting = left;
            }
        }
        Ok(judged)
    }

    /// One machine. Returns what it has run, and what it has not.
    pub fn boot(
        &self,
        number: u32,
        cases: &[GuestCase],
        step: &mut Step,
    ) -> Result<(Vec<Judged>, Vec<GuestCase>)> {
        let names: Vec<_> = cases.iter().map(GuestCase::full_name).collect();
        let log = self.logs.join(format!("boot-{number}.log"));
        let machine = Machine {
            kernel: &self.kernel,
            initramfs: &self.initramfs,
            accelerator: self.accelerator,
            words: &format!(
                "RUN={} CYCLES={} MUTANT={}",
                names.join(","),
                self.cycles,
                self.mutant
                    .map_or_else(String::new, |mutant| mutant.to_string())
            ),
            log: &log,
        };
        let mut judge = Judge::new(cases);
        let started = Instant::now();
        let end = machine.run(step, |line, step| {
            if let Some(line) = line {
                let now = judge.now().unwrap_or_else(|| format!("boot {number}"));
                step.say(match serial::said_by_guest(line) {
                    Some(said) => format!("{now}: {said}"),
                    None => now,
                });
            }
            match self.limit {
                Some(limit) if started.elapsed() > limit => Go::Stop,
                _ => judge.hear(line),
            }
        })?;
        let why = match end {
            End::Exited(status) if status.success() => "the machine ended".into(),
            End::Exited(status) => format!("QEMU failed ({status})"),
            End::Stopped => "it was stopped".into(),
            End::Silent => format!("nothing was said for {}", clock(SILENCE)),
        };
        let why = format!(
            "{why} (accelerator {}, serial log {})",
            self.accelerator.name(),
            log.display()
        );
        Ok(judge.finish(&why))
    }
}

/// The suites that need no machine, only the kernel that was built.
pub fn compiled(suites: &[Suite], ready: &Ready, dir: &Path) -> Vec<Outcome> {
    let run = |suite: &Suite| {
        let name = suite.name();
        let run = match suite {
            Suite::Ui => ui::run,
            Suite::Parity => parity::run,
            _ => return None,
        };
        let started = Instant::now();
        let mut step = Step::start(name);
        let cases = run(ready, &dir.join(name), &mut step).map_err(|why| format!("{why:#}"));
        let outcome = Outcome {
            suite: name,
            took: started.elapsed(),
            cases,
        };
        if outcome.is_good() {
            step.done("");
        }
        Some(outcome)
    };
    suites.iter().filter_map(run).collect()
}

/// What the machines found, suite by suite.
pub fn outcomes(suites: &[Suite], mut judged: Vec<Judged>) -> Vec<Outcome> {
    suites
        .iter()
        .filter(|suite| !suite.cases().is_empty())
        .map(|suite| {
            let mine = judged.extract_if(.., |judged| judged.case.suite == suite.name());
            let cases: Vec<_> = mine
                .flat_map(|judged| match suite {
                    Suite::Kunit => kunit(judged),
                    Suite::Fidelity if judged.case.name == "checks" => checks(judged),
                    _ => vec![judged.into_case()],
                })
                .collect();
            Outcome {
                suite: suite.name(),
                took: cases.iter().map(|case| case.took).sum::<Duration>(),
                cases: Ok(cases),
            }
        })
        .collect()
}

/// A case for each check, out of what was said of it. If anything about the whole is bad, that stands
/// beside them.
fn checks(judged: Judged) -> Vec<Case> {
    let said = judged
        .lines
        .iter()
        .filter_map(|line| serial::after_time(line).strip_prefix("fidelity: "))
        .filter_map(|said| said.split_once(": "));
    let mut cases: Vec<Case> = Vec::new();
    let mut open = None;
    for (name, seen) in said {
        // A check whose case has not come up is asked for again, and the last answer counts.
        if open.take() == Some(name) {
            cases.pop();
        }
        if seen == "held, but the case did not come up" {
            open = Some(name);
        }
        cases.push(Case {
            name: name.to_owned(),
            took: Duration::ZERO,
            verdict: match seen {
                "ok" => Verdict::Good(String::new()),
                // Where Linux and the model differ, what Linux does.
                _ if seen.starts_with("ok (") => Verdict::Good(seen.to_owned()),
                _ => Verdict::Bad(seen.to_owned()),
            },
        });
    }
    let count = cases.len() as u32;
    cases
        .iter_mut()
        .for_each(|case| case.took = judged.took / count);
    if count == 0 || matches!(judged.verdict, Verdict::Bad(_)) {
        cases.push(judged.into_case());
    }
    cases
}

/// The suites inside the crate, out of what KUnit said while their module was loaded. A module that
/// did not load, or a report of the kernel's, is bad whatever KUnit says.
fn kunit(judged: Judged) -> Vec<Case> {
    let took = judged.took;
    if let Verdict::Bad(_) = judged.verdict {
        return vec![judged.into_case()];
    }
    match ktap::suites(&judged.lines, "devscope_") {
        Ok(suites) => suites
            .iter()
            .map(|suite| Case {
                name: suite.name.clone(),
                // Loading the module runs them all.
                took: took / suites.len() as u32,
                verdict: in_kernel(suite),
            })
            .collect(),
        Err(error) => vec![Case {
            verdict: Verdict::Bad(format!("{error:#}")),
            ..judged.into_case()
        }],
    }
}

/// A test that was left out has shown nothing.
fn in_kernel(suite: &ktap::Outcome) -> Verdict {
    let bad: Vec<_> = suite
        .parts
        .iter()
        .filter(|test| test.verdict != ktap::Verdict::Pass)
        .map(|test| {
            format!(
                "{} ({:?})\n    {}",
                test.name,
                test.verdict,
                test.why.join("\n    ")
            )
        })
        .collect();
    if bad.is_empty() && suite.verdict == ktap::Verdict::Pass {
        Verdict::Good(format!("{} tests", suite.parts.len()))
    } else {
        Verdict::Bad(format!(
            "{} of {} tests did not pass: {}",
            bad.len(),
            suite.parts.len(),
            bad.join("; ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(lines: &str) -> Judged {
        Judged {
            case: case("fidelity", "checks", Silence),
            took: Duration::from_secs(4),
            verdict: Verdict::Good("3 checks".into()),
            lines: lines.lines().map(str::to_owned).collect(),
        }
    }

    fn bad(cases: &[Case]) -> Vec<&str> {
        cases
            .iter()
            .filter(|case| !case.is_good())
            .map(|case| case.name.as_str())
            .collect()
    }

    #[test]
    fn a_check_is_good_when_linux_does_as_it_is_known_to() {
        let cases = checks(judged(
            "[ 1.0] fidelity: a: ok\n[ 1.1] fidelity: b: ok (refused)\n[ 1.2] fidelity: c: yes, and not no\n[ 1.3] fidelity: done, 3 checks",
        ));
        assert_eq!((cases.len(), bad(&cases)), (3, vec!["c"]));
    }

    #[test]
    fn a_check_may_be_asked_for_again_only_if_its_case_did_not_come_up() {
        let again = "[ 1.0] fidelity: a: held, but the case did not come up\n";
        let ok = "[ 1.0] fidelity: a: ok\n";
        let wrong = "[ 1.0] fidelity: a: slept (1)\n";
        let count = |lines: &str| {
            let cases = checks(judged(lines));
            (cases.len(), bad(&cases).len())
        };
        assert_eq!(count(&format!("{again}{again}{ok}")), (1, 0));
        assert_eq!(count(&format!("{again}{again}")), (1, 1));
        assert_eq!(count(&format!("{again}{wrong}")), (1, 1));
        assert_eq!(count(&format!("{wrong}{ok}")), (2, 1));
    }

    #[test]
    fn no_check_at_all_is_not_left_out() {
        assert_eq!(checks(judged("[ 1.0] fidelity.ko: nothing")).len(), 1);
    }

    #[test]
    fn every_suite_has_something_to_run() {
        for suite in Suite::value_variants() {
            let compiled = matches!(suite, Suite::Ui | Suite::Parity);
            assert_ne!(compiled, !suite.cases().is_empty(), "{}", suite.name());
        }
    }
}

//! Judging what a guest says, case by case.
//!
//! A case lasts from the guest's `begin=` to its `end=`. Most must be silent: the guest calls them
//! good, and the kernel has reported nothing. Some do on purpose what is wrong, and are good only if
//! the kernel has reported *that*. A machine that has reported something is not asked any further
//! about silence, so the judge stops it; whatever was not run is for the next machine.

use crate::boot::{Go, SILENCE};
use crate::serial::{
    first_report, first_unknown_report, is_dump, readable, report_in, said_by_guest, Known,
};
use crate::suite::{Case, Verdict};
use std::time::{Duration, Instant};

/// How long a report is listened to after the last line that the kernel has said.
const REPORT: Duration = Duration::from_secs(10);
/// How long it is listened to at most: a kernel that hangs says so again and again.
const LONGEST: Duration = Duration::from_secs(60);
/// How much of the log is shown if a case fails without a report.
const TAIL: usize = 20;

/// What Linux 7.3 reports about itself when allocations fail.
///
/// `register_irq_proc()` does not look whether the files that it makes in `/proc/irq` could be made,
/// and `unregister_irq_proc()` warns about each that is not there. The same is reported with the C
/// drivers, which are run for that.
const KNOWN: &[Known] = &[Known {
    first: "WARNING: fs/proc/generic.c",
    frame: "unregister_irq_proc",
}];

/// What the kernel has to say to a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// Nothing.
    Silence,
    /// Nothing but what is [`KNOWN`].
    NothingNew,
    /// What is [`KNOWN`], and nothing else: the proof that it is not devscope that brings it about.
    WhatIsKnown,
    /// A report that has one of these texts in its first line, and in one of its lines this name.
    Report(&'static [&'static str], &'static str),
}

impl Expects {
    /// Whether the case is run on a machine that has reported nothing, and shall go on so.
    pub fn is_silence(self) -> bool {
        matches!(self, Self::Silence | Self::NothingNew | Self::WhatIsKnown)
    }

    fn known(self) -> &'static [Known] {
        match self {
            Self::NothingNew | Self::WhatIsKnown => KNOWN,
            Self::Silence | Self::Report(..) => &[],
        }
    }
}

/// A case that the guest's program runs.
#[derive(Clone, Copy, Debug)]
pub struct GuestCase {
    pub suite: &'static str,
    pub name: &'static str,
    pub expects: Expects,
}

impl GuestCase {
    /// As the guest's program is asked for it.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.suite, self.name)
    }
}

/// A case that has been judged, with all that was said during it.
pub struct Judged {
    pub case: GuestCase,
    pub took: Duration,
    pub verdict: Verdict,
    pub lines: Vec<String>,
}

impl Judged {
    pub fn into_case(self) -> Case {
        Case {
            name: self.case.name.to_owned(),
            took: self.took,
            verdict: self.verdict,
        }
    }
}

/// Listens to one machine.
pub struct Judge {
    /// Not begun yet, the next one last.
    waiting: Vec<GuestCase>,
    current: Option<Current>,
    judged: Vec<Judged>,
    /// What was said before the first case.
    boot: Vec<String>,
    /// The guest's program has said nothing since.
    quiet_since: Instant,
}

struct Current {
    case: GuestCase,
    started: Instant,
    lines: Vec<String>,
    /// If the kernel has reported anything: when it began, and when it last said something.
    reported: Option<(Instant, Instant)>,
}

impl Judge {
    pub fn new(cases: &[GuestCase]) -> Self {
        Self {
            waiting: cases.iter().rev().copied().collect(),
            current: None,
            judged: Vec::new(),
            boot: Vec::new(),
            quiet_since: Instant::now(),
        }
    }

    /// The case that runs, for whoever watches.
    pub fn now(&self) -> Option<String> {
        let current = self.current.as_ref()?;
        Some(current.case.full_name())
    }

    /// Hears a line, or that for a while there was none.
    pub fn hear(&mut self, line: Option<&str>) -> Go {
        let Some(line) = line else {
            return self.look_at_the_clock();
        };
        let said = said_by_guest(line);
        if said.is_some() {
            self.quiet_since = Instant::now();
        } else if self.quiet_since.elapsed() > SILENCE {
            // A kernel can go on reporting for ever.
            return Go::Stop;
        }
        if let Some(name) = said.and_then(|said| said.strip_prefix("begin=")) {
            return self.begin(name);
        }
        if let Some(name) = said.and_then(|said| said.strip_prefix("fresh=")) {
            return self.want_fresh(name);
        }
        let Some(current) = &mut self.current else {
            return self.heard_between(line);
        };
        current.lines.push(line.to_owned());
        // A machine that is short of time takes long to say all of it, and what is known of Linux is told
        // by a line in the middle.
        if report_in(line).is_some() || (said.is_none() && current.reported.is_some()) {
            let now = Instant::now();
            current.reported.get_or_insert((now, now)).1 = now;
        }
        let end = format!("end={} ", current.case.full_name());
        match said.and_then(|said| said.strip_prefix(&end)) {
            Some(outcome) => {
                let outcome = outcome.to_owned();
                self.end(&outcome)
            }
            None => self.look_at_the_clock(),
        }
    }

    /// The machine has ended, for this reason. Returns what was judged, and what was never begun.
    pub fn finish(mut self, why: &str) -> (Vec<Judged>, Vec<GuestCase>) {
        if let Some(current) = &self.current {
            let tail = tail(&current.lines);
            self.conclude(Err(format!("{why}; the last that was said:\n{tail}")));
        } else if self.judged.is_empty() {
            // A machine that never came as far as its first case: nobody else shall wait for it.
            if let Some(case) = self.waiting.pop() {
                let tail = first_report(&self.boot).map_or_else(|| tail(&self.boot), quoted);
                self.judged.push(Judged {
                    case,
                    took: Duration::ZERO,
                    verdict: Verdict::Bad(format!(
                        "the guest did not come up: {why}; it said:\n{tail}"
                    )),
                    lines: std::mem::take(&mut self.boot),
                });
            }
        }
        self.waiting.reverse();
        (self.judged, self.waiting)
    }

    fn begin(&mut self, name: &str) -> Go {
        match self.waiting.pop() {
            Some(case) if case.full_name() == name => {
                self.current = Some(Current {
                    case,
                    started: Instant::now(),
                    lines: Vec::new(),
                    reported: None,
                });
                Go::On
            }
            // Cases are run in the order they were asked for; anything else is a mistake of ours.
            Some(case) => {
                self.judged.push(Judged {
                    case,
                    took: Duration::ZERO,
                    verdict: Verdict::Bad(format!("devscope bug: {name} begins in its place")),
                    lines: Vec::new(),
                });
                Go::Stop
            }
            None => Go::Stop,
        }
    }

    /// The next case needs something that an earlier one has used up: lockdep reports once for each
    /// boot. It is for the next machine, unless this one has run nothing yet.
    fn want_fresh(&mut self, name: &str) -> Go {
        if self.judged.is_empty() {
            self.boot.push(format!(
                "{name} needs lockdep, and lockdep is off from the start"
            ));
        }
        Go::Stop
    }

    /// Hears a line that belongs to no case: what the last one has left behind may be reported now.
    fn heard_between(&mut self, line: &str) -> Go {
        let Some(last) = self.judged.last_mut() else {
            self.boot.push(line.to_owned());
            let is_over = line.contains("---[ end ") && first_report(&self.boot).is_some();
            return if is_over { Go::Stop } else { Go::On };
        };
        last.lines.push(line.to_owned());
        if report_in(line).is_some() && last.case.expects.is_silence() {
            last.verdict = Verdict::Bad(format!("after the end of the case: {}", readable(line)));
            return Go::Stop;
        }
        Go::On
    }

    fn look_at_the_clock(&mut self) -> Go {
        let reported = self.current.as_ref().and_then(|current| current.reported);
        match reported {
            Some((first, last)) if last.elapsed() > REPORT || first.elapsed() > LONGEST => {
                if let Some(current) = &mut self.current {
                    let known = current.case.expects.known();
                    if first_unknown_report(&current.lines, known).0.is_none() {
                        current.reported = None;
                        return Go::On;
                    }
                }
                self.conclude(Ok(String::new()));
                Go::Stop
            }
            _ => Go::On,
        }
    }

    fn end(&mut self, outcome: &str) -> Go {
        let outcome = match outcome.split_once('=') {
            Some(("good", words)) => Ok(words.to_owned()),
            Some((_, why)) => Err(why.to_owned()),
            None => Err("it ended without an outcome".into()),
        };
        // After a case that ended badly, on purpose or not, who knows what is still there.
        let clean = outcome.is_ok();
        self.conclude(outcome);
        match self.judged.last().map(|judged| &judged.verdict) {
            Some(Verdict::Good(_)) if clean => Go::On,
            _ => Go::Stop,
        }
    }

    /// Judges the current case, with what its program thinks of it.
    fn conclude(&mut self, outcome: Result<String, String>) {
        let Some(current) = self.current.take() else {
            return;
        };
        let verdict = verdict(current.case.expects, &current.lines, outcome);
        self.judged.push(Judged {
            case: current.case,
            took: current.started.elapsed(),
            verdict,
            lines: current.lines,
        });
    }
}

fn verdict(expects: Expects, lines: &[String], outcome: Result<String, String>) -> Verdict {
    match expects {
        Expects::Silence | Expects::NothingNew | Expects::WhatIsKnown => {
            let (report, passed) = first_unknown_report(lines, expects.known());
            match (report, outcome) {
                (Some(report), _) => {
                    Verdict::Bad(format!("the kernel reported:\n{}", quoted(report)))
                }
                (None, Ok(words)) if passed == 0 && expects == Expects::WhatIsKnown => {
                    Verdict::Bad(format!(
                        "Linux was to report about itself here as well, and did not: is that still \
                         known of it? The program: {words}"
                    ))
                }
                (None, Ok(words)) if passed > 0 => {
                    Verdict::Good(format!("{words}; {passed} reports of Linux about itself"))
                }
                (None, Ok(words)) => Verdict::Good(words),
                (None, Err(why)) => Verdict::Bad(why),
            }
        }
        Expects::Report(kinds, name) => {
            let kernels: Vec<_> = lines
                .iter()
                .filter(|line| said_by_guest(line).is_none())
                .collect();
            let kind = kernels
                .iter()
                .position(|line| kinds.iter().any(|kind| line.contains(kind)));
            let named = |from: usize| kernels[from..].iter().any(|line| line.contains(name));
            match (kind, first_report(lines), outcome) {
                (Some(at), _, _) if named(at) => {
                    Verdict::Good(format!("reported: {}", without_time(kernels[at])))
                }
                (_, Some(report), _) => Verdict::Bad(format!(
                    "the kernel reported something, and not one of {kinds:?} that names {name}:\n{}",
                    quoted(report)
                )),
                (_, None, Ok(words) | Err(words)) => Verdict::Bad(format!(
                    "the kernel had to report one of {kinds:?}, and reported nothing; the program: {words}"
                )),
            }
        }
    }
}

fn without_time(line: &str) -> String {
    let text = line.split_once("] ").map_or(line, |(_, text)| text);
    readable(text)
}

fn quoted(report: &[String]) -> String {
    let lines: Vec<_> = report
        .iter()
        .filter(|line| !is_dump(line))
        .map(|line| readable(line))
        .collect();
    indented(&lines)
}

fn tail(lines: &[String]) -> String {
    indented(&lines[lines.len().saturating_sub(TAIL)..])
}

fn indented(lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORM: GuestCase = GuestCase {
        suite: "storm",
        name: "edu",
        expects: Expects::Silence,
    };
    const SEED: GuestCase = GuestCase {
        suite: "seed-c",
        name: "case2",
        expects: Expects::Report(&["KASAN: slab-use-after-free"], "case2_release"),
    };
    const KASAN: &str = "[ 2.1] BUG: KASAN: slab-use-after-free in case2_release+0x12/0x40";

    /// The verdicts by name, what was left, and whether the judge stopped the machine.
    fn judged(cases: &[GuestCase], log: &str, why: &str) -> (Vec<(String, String)>, usize, bool) {
        let mut judge = Judge::new(cases);
        let stopped = log.lines().any(|line| judge.hear(Some(line)) == Go::Stop);
        let (judged, left) = judge.finish(why);
        let verdicts = judged
            .into_iter()
            .map(|judged| {
                let words = match judged.verdict {
                    Verdict::Good(words) => format!("good: {words}"),
                    Verdict::Bad(words) => format!("bad: {words}"),
                };
                (judged.case.full_name(), words)
            })
            .collect();
        (verdicts, left.len(), stopped)
    }

    #[test]
    fn a_case_is_good_when_its_program_says_so_and_the_kernel_says_nothing() {
        let log = "[ 1.0] Linux\n[ 2.0] guest: begin=storm/edu\n[ 3.0] guest: end=storm/edu good=20 unbinds\n[ 3.1] guest: done=ok";
        let (verdicts, left, stopped) = judged(&[STORM], log, "exited");
        assert_eq!(
            verdicts,
            [("storm/edu".to_owned(), "good: 20 unbinds".to_owned())]
        );
        assert!(left == 0 && !stopped);
    }

    #[test]
    fn a_case_that_shows_what_is_known_of_linux_has_to_show_it() {
        let control = GuestCase {
            expects: Expects::WhatIsKnown,
            ..STORM
        };
        let end = "[ 3.0] guest: end=storm/edu good=20 unbinds";
        let known = "[ 2.1] WARNING: fs/proc/generic.c:780 at remove\n[ 2.2]  unregister_irq_proc+0x1\n[ 2.3] ---[ end trace ]---";
        let log = format!("[ 2.0] guest: begin=storm/edu\n{known}\n{end}");
        let (verdicts, ..) = judged(&[control], &log, "exited");
        assert!(
            verdicts[0].1.starts_with("good: 20 unbinds; 1 "),
            "{verdicts:?}"
        );
        let log = format!("[ 2.0] guest: begin=storm/edu\n{end}");
        let (verdicts, ..) = judged(&[control], &log, "exited");
        assert!(
            verdicts[0].1.starts_with("bad: Linux was to"),
            "{verdicts:?}"
        );
    }

    #[test]
    fn a_case_that_begins_in_the_place_of_another_is_said_to() {
        let log = "[ 2.0] guest: begin=storm/other";
        let (verdicts, left, stopped) = judged(&[STORM], log, "exited");
        assert!(verdicts[0].1.contains("storm/other begins in its place"));
        assert!(left == 0 && stopped);
    }

    #[test]
    fn a_report_outweighs_a_good_program_and_ends_the_machine() {
        let log = format!("[ 2.0] guest: begin=storm/edu\n{KASAN}\n[ 2.2] Read of size 8\n[ 3.0] guest: end=storm/edu good=20 unbinds\n");
        let (verdicts, _, stopped) = judged(&[STORM], &log, "exited");
        assert!(
            verdicts[0].1.starts_with("bad: the kernel reported")
                && verdicts[0].1.contains("Read of size 8"),
            "{verdicts:?}"
        );
        assert!(stopped);
    }

    #[test]
    fn a_report_is_listened_to_as_long_as_it_goes_on() {
        let mut judge = Judge::new(&[SEED]);
        let long_ago = Instant::now().checked_sub(2 * REPORT).unwrap();
        judge.hear(Some("[ 2.0] guest: begin=seed-c/case2"));
        judge.hear(Some(KASAN));
        judge.current.as_mut().unwrap().reported = Some((long_ago, long_ago));
        assert_eq!(judge.hear(Some("[ 9.0] Read of size 8")), Go::On);
        assert_eq!(judge.hear(None), Go::On);
        judge.current.as_mut().unwrap().reported = Some((long_ago, long_ago));
        assert_eq!(judge.hear(None), Go::Stop);
    }

    #[test]
    fn a_kernel_that_reports_for_ever_is_stopped() {
        let mut judge = Judge::new(&[SEED]);
        judge.hear(Some("[ 2.0] guest: begin=seed-c/case2"));
        judge.hear(Some(KASAN));
        let long_ago = Instant::now().checked_sub(2 * LONGEST).unwrap();
        judge.current.as_mut().unwrap().reported = Some((long_ago, Instant::now()));
        assert_eq!(judge.hear(Some("[ 99.0] Read of size 8")), Go::Stop);
    }

    #[test]
    fn a_report_right_after_a_case_is_still_its_own() {
        let log = format!(
            "[ 2.0] guest: begin=storm/edu\n[ 3.0] guest: end=storm/edu good=20 unbinds\n{KASAN}\n"
        );
        let (verdicts, _, stopped) = judged(&[STORM], &log, "exited");
        assert!(
            verdicts[0].1.starts_with("bad: after the end"),
            "{verdicts:?}"
        );
        assert!(stopped);
    }

    #[test]
    fn what_must_be_reported_is_bad_without_it() {
        let silent = "[ 2.0] guest: begin=seed-c/case2\n[ 3.0] guest: end=seed-c/case2 good=nothing happened\n";
        let (verdicts, ..) = judged(&[SEED], silent, "exited");
        assert!(
            verdicts[0].1.contains("reported nothing") && verdicts[0].1.starts_with("bad"),
            "{verdicts:?}"
        );
        let other = "[ 2.0] guest: begin=seed-c/case2\n[ 2.1] BUG: KASAN: null-ptr-deref in x\n[ 3.0] guest: end=seed-c/case2 bad=a report\n";
        let (verdicts, ..) = judged(&[SEED], other, "exited");
        assert!(verdicts[0].1.starts_with("bad"), "{verdicts:?}");
        let right = format!("[ 2.0] guest: begin=seed-c/case2\n{KASAN}\n[ 3.0] guest: end=seed-c/case2 bad=a report\n");
        let (verdicts, _, stopped) = judged(&[SEED], &right, "exited");
        assert!(
            verdicts[0].1.starts_with("good: reported: BUG: KASAN"),
            "{verdicts:?}"
        );
        assert!(stopped, "nobody knows what is left of this machine");
    }

    #[test]
    fn what_the_guest_quotes_is_no_report() {
        let log = "[ 2.0] guest: begin=seed-c/case2\n[ 3.0] guest: end=seed-c/case2 bad=no KASAN: slab-use-after-free in case2_release\n";
        let (verdicts, ..) = judged(&[SEED], log, "exited");
        assert!(verdicts[0].1.starts_with("bad"), "{verdicts:?}");
    }

    #[test]
    fn a_crash_loses_one_case_and_leaves_the_others_for_the_next_machine() {
        let log = "[ 2.0] guest: begin=seed-c/case2\n[ 2.1] Kernel panic - not syncing\n";
        let (verdicts, left, _) = judged(&[SEED, STORM], log, "the machine ended");
        assert_eq!(verdicts.len(), 1);
        assert!(verdicts[0].1.contains("Kernel panic"), "{verdicts:?}");
        assert_eq!(left, 1);
    }

    #[test]
    fn a_crash_with_the_right_report_is_what_was_asked_for() {
        let log = format!(
            "[ 2.0] guest: begin=seed-c/case2\n{KASAN}\n[ 2.2] Kernel panic - not syncing\n"
        );
        let (verdicts, ..) = judged(&[SEED], &log, "the machine ended");
        assert!(verdicts[0].1.starts_with("good"), "{verdicts:?}");
    }

    #[test]
    fn a_case_that_needs_a_fresh_machine_is_left_for_the_next_one() {
        let log = "[ 2.0] guest: begin=storm/edu\n[ 3.0] guest: end=storm/edu good=x\n[ 3.1] guest: fresh=seed-c/case2\n";
        let (verdicts, left, stopped) = judged(&[STORM, SEED], log, "stopped");
        assert_eq!((verdicts.len(), left, stopped), (1, 1, true));
        // Otherwise it would be asked for for ever.
        let (verdicts, left, _) = judged(&[SEED], "[ 2.0] guest: fresh=seed-c/case2\n", "stopped");
        assert_eq!((verdicts.len(), left), (1, 0));
        assert!(verdicts[0].1.contains("lockdep is off"), "{verdicts:?}");
    }

    #[test]
    fn a_machine_that_does_not_come_up_costs_one_case_each_time() {
        let (verdicts, left, _) = judged(&[STORM, SEED], "[ 1.0] Linux", "no KVM here");
        assert!(verdicts[0].1.contains("did not come up: no KVM here"));
        assert_eq!(left, 1);
    }
}

//! Whether entries, programs and evidence fit together. Everything that does not is said, with the
//! entries that it is about.

use super::entries::{Bug, Corpus, Fate, MISTAKES};
use super::evidence::{Evidence, Report};
use super::programs::{Programs, DEFECTS, SHAPES};
use std::collections::BTreeSet;

/// What can be said without running anything.
pub fn before(corpus: &Corpus, programs: &Programs) -> Vec<String> {
    let mut complaints = corpus.complaints.clone();
    for bug in &corpus.bugs {
        exists(bug, programs, &mut complaints);
    }
    // With entries that could not be read, nobody knows whom a program is for.
    if corpus.incomplete {
        return complaints;
    }
    for (name, mistake) in &programs.mistakes {
        let path = format!("{MISTAKES}/{name}.rs");
        match &mistake.bugs {
            None => complaints.push(format!(
                "{path} names no bugs: give its header a line `// Corpus: id, id.`"
            )),
            Some(bugs) => complaints.extend(named(corpus, &path, bugs, |bug| {
                bug.mistake() == Some(name)
            })),
        }
        if !corpus.named.contains(&path) {
            complaints.push(format!("{path} is the evidence of no entry"));
        }
    }
    for (name, path) in &programs.shapes {
        if !corpus.named.contains(name) {
            complaints.push(format!(
                "{path} is the evidence of no entry; what programs share belongs outside of {SHAPES}"
            ));
        }
    }
    complaints
}

/// The programs that an entry needs, as files.
fn exists(bug: &Bug, programs: &Programs, complaints: &mut Vec<String>) {
    let place = &bug.place;
    if let Some(shape) = bug.shape_program() {
        if !programs.shapes.contains_key(shape) {
            complaints.push(format!(
                "{place}: its program does not exist: {SHAPES} has no module {shape}"
            ));
        }
    }
    let Some(name) = bug.mistake() else {
        return;
    };
    let Some(mistake) = programs.mistakes.get(name) else {
        complaints.push(format!(
            "{place}: its program does not exist: {MISTAKES}/{name}.rs"
        ));
        return;
    };
    if !mistake.has_twin {
        complaints.push(format!(
            "{place}: its program has no twin without the mistake, {MISTAKES}/pass/{name}.rs"
        ));
    }
    if mistake.says.is_none() {
        complaints.push(format!(
            "{place}: its program has no {MISTAKES}/{name}.stderr: write it with `cargo xtask bless`"
        ));
    }
    let back = mistake.bugs.as_deref().unwrap_or_default();
    if !back.contains(&bug.id) {
        complaints.push(format!(
            "{place}: its program {MISTAKES}/{name}.rs does not name it back"
        ));
    }
}

/// The bugs that a program names must have entries, and those must name the program.
fn named(
    corpus: &Corpus,
    program: &str,
    bugs: &[String],
    rests_on_it: impl Fn(&Bug) -> bool,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for id in bugs {
        let Some(place) = corpus.ids.get(id) else {
            complaints.push(format!("{program} names {id}, and there is no such entry"));
            continue;
        };
        let bug = corpus.bugs.iter().find(|bug| bug.id == *id);
        if bug.is_some_and(|bug| !rests_on_it(bug)) {
            complaints.push(format!(
                "{place}: {program} names it, and is not its program"
            ));
        }
    }
    complaints
}

/// What only running can tell, of these bugs, or of all.
pub fn after(
    corpus: &Corpus,
    programs: &Programs,
    evidence: &Evidence,
    only: Option<&[Bug]>,
) -> Vec<String> {
    let bugs = only.unwrap_or(&corpus.bugs);
    let mut complaints = Vec::new();

    let ran = &evidence.compiled;
    let judge = || compiled(bugs, programs, evidence);
    complaints.extend(judged(&ran.failure, ran.results.is_empty(), judge));

    let ran = &evidence.shapes;
    let judge = || explored(corpus, bugs, programs, &ran.results);
    complaints.extend(judged(&ran.failure, ran.results.is_empty(), judge));

    if only.is_none() {
        let ran = &evidence.defects;
        let judge = || defects(corpus, programs, &ran.results);
        complaints.extend(judged(&ran.failure, ran.results.is_empty(), judge));
    }
    complaints
}

/// A run that has brought nothing is one complaint, not one for each entry. One that failed has to be
/// complained about, even if all its results are good.
fn judged(
    failure: &Option<String>,
    nothing: bool,
    judge: impl FnOnce() -> Vec<String>,
) -> Vec<String> {
    match failure {
        Some(failure) if nothing => vec![failure.clone()],
        Some(failure) => {
            let mut complaints = judge();
            if complaints.is_empty() {
                complaints.push(failure.clone());
            }
            complaints
        }
        None => judge(),
    }
}

/// `a, b`: all bugs that rest on a program.
fn relying<'a>(bugs: &'a [Bug], rests_on_it: impl Fn(&Bug) -> bool) -> String {
    let ids: Vec<&'a str> = bugs
        .iter()
        .filter(|bug| rests_on_it(bug))
        .map(|bug| bug.id.as_str())
        .collect();
    ids.join(", ")
}

fn compiled(bugs: &[Bug], programs: &Programs, evidence: &Evidence) -> Vec<String> {
    let mut complaints = Vec::new();
    let names: BTreeSet<_> = bugs.iter().filter_map(Bug::mistake).collect();
    for name in names {
        let relying = relying(bugs, |bug| bug.mistake() == Some(name));
        // That it does not exist is said already.
        let Some(mistake) = programs.mistakes.get(name) else {
            continue;
        };
        let mut paths = vec![(format!("{MISTAKES}/{name}.rs"), "is not rejected as before")];
        if mistake.has_twin {
            paths.push((format!("{MISTAKES}/pass/{name}.rs"), "does not compile"));
        }
        for (path, wrong) in paths {
            match evidence.compiled.results.get(&path).map(String::as_str) {
                Some("ok") => {}
                Some(word) => complaints.push(format!(
                    "{relying}: {path} {wrong} ({word}); see `cargo test -p devscope --test ui`"
                )),
                None => complaints.push(format!("{relying}: {path} did not run")),
            }
        }
    }
    complaints
}

fn explored(corpus: &Corpus, bugs: &[Bug], programs: &Programs, reports: &[Report]) -> Vec<String> {
    let mut complaints = Vec::new();
    let names: BTreeSet<_> = bugs.iter().filter_map(Bug::shape_program).collect();
    for name in names {
        let relying = relying(bugs, |bug| bug.shape_program() == Some(name));
        let report = reports.iter().find(|report| report.program == name);
        match report {
            Some(report) => complaints.extend(shape(corpus, bugs, &relying, report)),
            None if programs.shapes.contains_key(name) => {
                complaints.push(format!("{relying}: the shape {name} did not run"));
            }
            None => {}
        }
    }
    for report in reports {
        if !programs.shapes.contains_key(&report.program) {
            complaints.push(format!(
                "the shape {} has run, and is no module of {SHAPES}",
                report.program
            ));
        }
    }
    complaints
}

fn shape(corpus: &Corpus, bugs: &[Bug], relying: &str, report: &Report) -> Vec<String> {
    let name = &report.program;
    let mut complaints = Vec::new();
    if !report.ok || !report.found.is_empty() {
        let found = report
            .found
            .lines()
            .next()
            .unwrap_or("it does not say what");
        complaints.push(format!(
            "{relying}: something was found in the shape {name}: {found}; see `cargo test -p devscope-corpus --test shapes {name}`"
        ));
    }
    if report.schedules == 0 {
        complaints.push(format!("{relying}: the shape {name} explored no schedule"));
    }
    for bug in bugs.iter().filter(|bug| bug.shape_program() == Some(name)) {
        if !report.bugs.contains(&bug.id) {
            complaints.push(format!(
                "{}: its program, the shape {name}, does not name it back",
                bug.place
            ));
        }
        if matches!(bug.fate, Fate::Refused { .. }) && !report.is_refused() {
            complaints.push(format!(
                "{}: is refused, and the shape {name} reached no mark that begins with `refused`",
                bug.place
            ));
        }
    }
    if !corpus.incomplete {
        let program = format!("the shape {name}");
        complaints.extend(named(corpus, &program, &report.bugs, |bug| {
            bug.shape_program() == Some(name)
        }));
    }
    complaints
}

fn defects(corpus: &Corpus, programs: &Programs, reports: &[Report]) -> Vec<String> {
    let mut complaints = Vec::new();
    if reports.is_empty() && !programs.defects.is_empty() {
        complaints.push(format!("none of the drivers in {DEFECTS} has run"));
    }
    for report in reports {
        let name = &report.program;
        if !programs.defects.contains_key(report.module()) {
            complaints.push(format!(
                "the defect {name} has run, and is in no module of {DEFECTS}"
            ));
        }
        if report.variant().is_none() {
            complaints.push(format!(
                "the defect {name} does not say whether it is the defect, a first fix or the cure"
            ));
        }
        if !report.ok {
            let found = report.found().unwrap_or("it does not say why");
            complaints.push(format!(
                "the defect {name}, of {}, is not as it was: {found}; see `cargo test -p devscope-corpus --test defects {name}`",
                report.bugs.join(", ")
            ));
        }
        if !corpus.incomplete {
            let program = format!("the defect {name}");
            complaints.extend(named(corpus, &program, &report.bugs, |_| true));
        }
    }
    complaints
}

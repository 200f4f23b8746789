//! The programs of `ui-tests/`, against Linux's own `kernel` crate.
//!
//! On the hosted kernel `cargo test --test ui` compiles them, and compares what rustc says word by
//! word. Here the same files are compiled with the flags and crates that Kbuild gives to a driver.
//! `<area>/pass/<mistake>.rs` has to pass without a warning. `<area>/<mistake>.rs` has to fail with
//! *the same errors* as on the hosted kernel: the same set of pairs of a code and a line of the
//! program. An error without a code, as those about lifetimes, is told by its text instead.
//!
//! Words are not compared, because they show types and paths of either crate. Nor are counts: one
//! mistake in an argument of a macro is reported as often as the macro repeats it, and Linux's macros
//! are not the hosted ones (`driver/kernel_driver`: ten
//! times there, seven times here).

use crate::progress::Step;
use crate::rustc::{place, Checked, Rustc};
use crate::suite::{Case, Verdict};
use crate::vm::Ready;
use crate::{parallel, paths};
use anyhow::{anyhow, bail, Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const PROGRAMS: &str = "ui-tests";

/// What Kbuild asks of a driver and the programs do not do: they explain themselves in plain comments,
/// and have functions that nobody calls, `main()` for one. The hosted run allows the same.
const ALLOWED: [&str; 2] = ["-Amissing_docs", "-Adead_code"];

pub fn run(ready: &Ready, dir: &Path, step: &mut Step) -> Result<Vec<Case>> {
    let repository = paths::repository();
    let areas = areas(&repository.join(PROGRAMS))?;
    let rustc = Rustc::learn(ready, &repository, dir, &[PROGRAMS], step)?;

    let programs: Vec<Program<'_>> = areas.iter().flat_map(Area::programs).collect();
    let (total, mut done) = (programs.len(), 0);
    let mut outcomes = BTreeMap::<&str, Vec<Outcome>>::new();
    parallel::each(
        programs,
        |program| program.outcome(&rustc),
        |outcome| {
            done += 1;
            step.say(format!("{done} of {total} programs"));
            outcomes.entry(outcome.area).or_default().push(outcome);
        },
    );
    if done != total {
        bail!("devscope bug: {total} programs, and {done} outcomes");
    }
    Ok(areas
        .iter()
        .map(|area| area.case(outcomes.remove(area.name.as_str()).unwrap_or_default()))
        .collect())
}

/// What came of one program.
struct Outcome<'a> {
    area: &'a str,
    complaint: Option<String>,
    took: Duration,
}

/// A directory of programs, which are about one thing.
#[derive(Debug)]
struct Area {
    name: String,
    /// The mistakes, each with the errors of the hosted kernel.
    mistakes: Vec<(String, BTreeSet<Error>)>,
    /// What makes it incomplete.
    complaints: Vec<String>,
}

struct Program<'a> {
    area: &'a str,
    mistake: &'a str,
    /// `None` if the program has to pass.
    errors: Option<&'a BTreeSet<Error>>,
}

/// An error, as far as both worlds have to agree on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Error {
    line: usize,
    /// Its code; its text if it has none.
    what: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in line {}", self.what, self.line)
    }
}

/// All areas below `root`. There must be some; what is wrong inside one is left to its case.
fn areas(root: &Path) -> Result<Vec<Area>> {
    let mut areas = Vec::new();
    for name in entries(root)? {
        areas.push(Area::read(root, name)?);
    }
    if areas.is_empty() {
        bail!("there are no programs in {}", root.display());
    }
    Ok(areas)
}

/// The names in a directory, sorted.
fn entries(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let name = entry?.file_name().into_string();
        names.push(name.map_err(|name| anyhow!("{} is not UTF-8", name.display()))?);
    }
    names.sort();
    Ok(names)
}

impl Area {
    fn read(root: &Path, name: String) -> Result<Self> {
        let dir = root.join(&name);
        let (mut mistakes, mut twins, mut said) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut complaints = Vec::new();
        for entry in entries(&dir)? {
            match entry.rsplit_once('.') {
                Some((mistake, "rs")) => drop(mistakes.insert(mistake.to_owned())),
                Some((mistake, "stderr")) => drop(said.insert(mistake.to_owned())),
                None if entry == "pass" => {}
                _ => complaints.push(format!("{name}/{entry} is no program")),
            }
        }
        let pass = dir.join("pass");
        for entry in if pass.is_dir() {
            entries(&pass)?
        } else {
            Vec::new()
        } {
            match entry.rsplit_once('.') {
                Some((mistake, "rs")) => drop(twins.insert(mistake.to_owned())),
                _ => complaints.push(format!("{name}/pass/{entry} is no program")),
            }
        }
        for mistake in mistakes.difference(&said) {
            complaints.push(format!(
                "{name}/{mistake}.rs has no .stderr: nobody knows how it fails on the hosted kernel"
            ));
        }
        for mistake in said.difference(&mistakes) {
            complaints.push(format!("{name}/{mistake}.stderr belongs to no program"));
        }
        for mistake in mistakes.symmetric_difference(&twins) {
            complaints.push(format!(
                "{name}/{mistake}.rs and {name}/pass/{mistake}.rs: one is missing"
            ));
        }

        let mut known = Vec::new();
        // What is missing is a complaint already; all that can be compiled is.
        for mistake in mistakes.intersection(&said) {
            let path = dir.join(format!("{mistake}.stderr"));
            let stderr = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            match errors_of(&stderr, &program_path(&name, mistake)) {
                Ok(errors) if twins.contains(mistake) => known.push((mistake.clone(), errors)),
                Ok(_) => {}
                Err(error) => complaints.push(format!("{name}/{mistake}.stderr: {error}")),
            }
        }
        if mistakes.is_empty() {
            complaints.push(format!("{name}: no programs in it"));
        }
        Ok(Self {
            name,
            mistakes: known,
            complaints,
        })
    }

    fn programs(&self) -> impl Iterator<Item = Program<'_>> {
        self.mistakes.iter().flat_map(|(mistake, errors)| {
            [Some(errors), None].map(|errors| Program {
                area: &self.name,
                mistake,
                errors,
            })
        })
    }

    fn case(&self, outcomes: Vec<Outcome<'_>>) -> Case {
        let took = outcomes.iter().map(|outcome| outcome.took).sum();
        let mut complaints = self.complaints.clone();
        complaints.extend(outcomes.into_iter().filter_map(|outcome| outcome.complaint));
        complaints.sort();
        let verdict = if complaints.is_empty() {
            let mistakes = self.mistakes.len();
            Verdict::Good(format!(
                "{mistakes} fail as on the hosted kernel, {mistakes} without the mistake pass"
            ))
        } else {
            Verdict::Bad(complaints.join("\n"))
        };
        Case {
            name: self.name.clone(),
            took,
            verdict,
        }
    }
}

fn program_path(area: &str, mistake: &str) -> String {
    format!("{PROGRAMS}/{area}/{mistake}.rs")
}

/// What the hosted kernel says: the errors of a `.stderr` file, of which there is at least one.
fn errors_of(stderr: &str, program: &str) -> Result<BTreeSet<Error>> {
    let mut errors = BTreeSet::new();
    let mut lines = stderr.lines();
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix("error") else {
            continue;
        };
        let what = match rest.strip_prefix('[') {
            Some(coded) => coded.split(']').next(),
            None => rest.strip_prefix(": "),
        };
        let what = what.with_context(|| format!("not understood: {line}"))?;
        let place = lines.by_ref().find_map(place);
        let line = match place {
            Some(place) if place.file == program => place.line,
            Some(place) => bail!("{line}\n  points at {}", place.file),
            None => bail!("{line}\n  points nowhere"),
        };
        errors.insert(Error {
            line,
            what: what.to_owned(),
        });
    }
    if errors.is_empty() {
        bail!("there is no error in it");
    }
    Ok(errors)
}

impl<'a> Program<'a> {
    fn outcome(self, rustc: &Rustc) -> Outcome<'a> {
        let started = Instant::now();
        let complaint = self.check(rustc).err();
        Outcome {
            area: self.area,
            complaint: complaint.map(|error| format!("{error:#}")),
            took: started.elapsed(),
        }
    }

    fn path(&self) -> String {
        match self.errors {
            Some(_) => program_path(self.area, self.mistake),
            None => program_path(self.area, &format!("pass/{}", self.mistake)),
        }
    }

    /// Err(what is wrong with it).
    fn check(&self, rustc: &Rustc) -> Result<()> {
        let path = self.path();
        let name = path.replace(['/', '.', '-'], "_");
        let checked = rustc.check(Path::new(&path), &name, &ALLOWED)?;
        match self.errors {
            Some(errors) => fails_with(errors, &checked, &path),
            None => passes(&checked, &path),
        }
    }
}

fn fails_with(hosted: &BTreeSet<Error>, checked: &Checked, path: &str) -> Result<()> {
    let mut real = BTreeSet::new();
    for message in checked.errors() {
        match message.place() {
            Some(place) if place.file == path => drop(real.insert(Error {
                line: place.line,
                what: message.code.clone().unwrap_or(message.text.clone()),
            })),
            _ => bail!("{path} fails somewhere else: {}", message.short()),
        }
    }
    if real.is_empty() {
        bail!("{path} must not compile, and does");
    }
    let list = |errors: Vec<&Error>| {
        let errors: Vec<_> = errors.into_iter().map(Error::to_string).collect();
        errors.join(", ")
    };
    let missing = list(hosted.difference(&real).collect());
    let more = list(real.difference(hosted).collect());
    match (missing.as_str(), more.as_str()) {
        ("", "") => Ok(()),
        (missing, "") => bail!("{path}: only the hosted kernel reports {missing}"),
        ("", more) => bail!("{path}: only Linux reports {more}"),
        (missing, more) => bail!("{path}: {more}; on the hosted kernel {missing}"),
    }
}

fn passes(checked: &Checked, path: &str) -> Result<()> {
    match checked.errors().chain(checked.warnings()).next() {
        None => Ok(()),
        Some(message) => bail!(
            "{path} must compile, without a warning: {}",
            message.short()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rustc::{Level, Message};
    use std::path::PathBuf;

    const STDERR: &str = "\
error[E0597]: `cell` does not live long enough
  --> ui-tests/irq/borrows.rs:40:9
   |
40 |         scope.irq(|| cell.get());
note: required by a bound in `irq`
  --> src/irq.rs

error: lifetime may not live long enough
  --> ui-tests/irq/borrows.rs:42:22

error[E0597]: `cell` does not live long enough
  --> ui-tests/irq/borrows.rs:40:9
";
    const PATH: &str = "ui-tests/irq/borrows.rs";

    fn error(line: usize, what: &str) -> Error {
        let what = what.to_owned();
        Error { line, what }
    }

    fn message(level: Level, code: Option<&str>, text: &str, place: &str) -> Message {
        Message {
            level,
            code: code.map(str::to_owned),
            text: text.to_owned(),
            rendered: format!("error: {text}\n  --> {place}:3\n"),
        }
    }

    fn checked(errors: &[(Option<&str>, &str, &str)]) -> Checked {
        let messages = errors
            .iter()
            .map(|(code, text, place)| message(Level::Error, *code, text, place));
        Checked {
            messages: messages.collect(),
        }
    }

    const LIFETIME: (Option<&str>, &str, &str) = (
        None,
        "lifetime may not live long enough",
        "ui-tests/irq/borrows.rs:42",
    );
    const SHORT: (Option<&str>, &str, &str) = (
        Some("E0597"),
        "`cell` does not live long enough",
        "ui-tests/irq/borrows.rs:40",
    );

    #[test]
    fn a_stderr_gives_the_code_and_line_of_each_error() {
        let errors = errors_of(STDERR, PATH).unwrap();
        let expected = [
            error(40, "E0597"),
            error(42, "lifetime may not live long enough"),
        ];
        assert_eq!(errors, expected.into());
    }

    #[test]
    fn a_stderr_without_an_error_or_about_another_file_is_refused() {
        assert!(errors_of("", PATH).is_err());
        assert!(errors_of("warning: unused\n", PATH).is_err());
        assert!(errors_of(STDERR, "ui-tests/irq/other.rs").is_err());
        assert!(errors_of("error[E0597]: short\n", PATH).is_err());
    }

    #[test]
    fn the_same_errors_may_come_more_often() {
        let errors = errors_of(STDERR, PATH).unwrap();
        fails_with(&errors, &checked(&[SHORT, LIFETIME]), PATH).unwrap();
        fails_with(&errors, &checked(&[LIFETIME, LIFETIME, SHORT]), PATH).unwrap();
    }

    #[test]
    fn a_program_that_compiles_or_fails_otherwise_is_told() {
        let errors = errors_of(STDERR, PATH).unwrap();
        let complaint = |said: &[_]| {
            let checked = checked(said);
            fails_with(&errors, &checked, PATH).unwrap_err().to_string()
        };
        assert_eq!(complaint(&[]), format!("{PATH} must not compile, and does"));
        assert_eq!(
            complaint(&[SHORT]),
            format!(
                "{PATH}: only the hosted kernel reports lifetime may not live long enough in line 42"
            )
        );
        let moved = (Some("E0382"), "use of moved value", LIFETIME.2);
        assert_eq!(
            complaint(&[SHORT, LIFETIME, moved]),
            format!("{PATH}: only Linux reports E0382 in line 42")
        );
        let elsewhere = (SHORT.0, SHORT.1, "src/irq.rs:40");
        assert!(complaint(&[elsewhere, LIFETIME]).contains("fails somewhere else"));
    }

    #[test]
    fn a_passing_program_has_no_warning() {
        let warning = message(
            Level::Warning,
            Some("unused_mut"),
            "`mut` is not needed",
            "x:1",
        );
        let warned = Checked {
            messages: vec![warning],
        };
        passes(&checked(&[]), PATH).unwrap();
        passes(&warned, PATH).unwrap_err();
        passes(&checked(&[SHORT]), PATH).unwrap_err();
    }

    fn tree(files: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join(PROGRAMS);
        fs::create_dir_all(&root).unwrap();
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, STDERR).unwrap();
        }
        (dir, root)
    }

    #[test]
    fn a_complete_area_is_found_and_says_what_it_did() {
        let (_dir, root) = tree(&[
            "irq/borrows.rs",
            "irq/borrows.stderr",
            "irq/pass/borrows.rs",
        ]);
        let areas = areas(&root).unwrap();
        assert_eq!(areas.len(), 1);
        assert_eq!(areas[0].programs().count(), 2);
        let Verdict::Good(words) = areas[0].case(Vec::new()).verdict else {
            panic!("{areas:?}");
        };
        assert_eq!(
            words,
            "1 fail as on the hosted kernel, 1 without the mistake pass"
        );
    }

    #[test]
    fn whatever_is_missing_or_too_many_is_told() {
        for (files, complaint) in [
            (
                &["irq/borrows.rs", "irq/pass/borrows.rs"][..],
                "irq/borrows.rs has no .stderr",
            ),
            (
                &["irq/borrows.rs", "irq/borrows.stderr"],
                "irq/pass/borrows.rs: one is missing",
            ),
            (
                &["irq/borrows.stderr", "irq/pass/borrows.rs"],
                "irq/borrows.rs and irq/pass/borrows.rs: one is missing",
            ),
            (
                &["irq/borrows.stderr"],
                "irq/borrows.stderr belongs to no program",
            ),
            (&["irq/pass/notes.md"], "irq: no programs in it"),
            (&["irq/pass/notes.md"], "irq/pass/notes.md is no program"),
            (&["irq/inner/x.rs"], "irq/inner is no program"),
        ] {
            let (_dir, root) = tree(files);
            let areas = areas(&root).unwrap();
            let Verdict::Bad(why) = areas[0].case(Vec::new()).verdict else {
                panic!("{files:?} is fine");
            };
            assert!(why.contains(complaint), "{files:?}: {why}");
        }
        let (_dir, root) = tree(&[]);
        assert!(areas(&root).is_err());
    }

    #[test]
    fn a_failure_of_a_program_is_its_areas() {
        let (_dir, root) = tree(&[
            "irq/borrows.rs",
            "irq/borrows.stderr",
            "irq/pass/borrows.rs",
        ]);
        let areas = areas(&root).unwrap();
        let outcome = Outcome {
            area: "irq",
            complaint: Some("ui-tests/irq/borrows.rs must not compile, and does".to_owned()),
            took: Duration::from_secs(1),
        };
        let case = areas[0].case(vec![outcome]);
        assert_eq!(case.took, Duration::from_secs(1));
        let Verdict::Bad(why) = case.verdict else {
            panic!("green");
        };
        assert!(why.contains("must not compile"), "{why}");
    }
}

//! The entries: `corpus/bugs/<pattern>.toml`, read and checked each for itself.
//!
//! ```toml
//! [[bug]]
//! id = "powermate-config-urb"
//! cve = "CVE-2023-52475"            # "" if there is none
//! commit = "5c15c60e7be6"           # that fixed it; "" if it is not public
//! driver = "drivers/input/misc/powermate.c"
//! shape = """
//! What calls what, in a few lines: they are shown as they are.
//! """
//! verdict = "impossible"            # or rejected, refused, uncovered
//! program = "urb_of_two"            # a module of corpus/src/shapes; ui-tests/corpus/x.rs if rejected
//! why = "What devscope does to it, in a sentence or two, in Markdown."
//! stands_in = "HID device"          # only if the program has one: what something stands in for
//! ```
//!
//! What is uncovered has no program, but `edge`, one of [`Edge`]'s names, and `needs`: what would be needed.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;
use toml::Spanned;

/// Where the entries are, below the repository.
pub const BUGS: &str = "corpus/bugs";

/// What calls in too long, or too early. A file of entries is named after one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern(usize);

/// Each pattern, and what it is. The page has them in this order.
#[rustfmt::skip]
const PATTERNS: [(&str, &str); 15] = [
    ("irq-after-teardown", "An interrupt handler outlives what it touches"),
    ("irq-before-init", "An interrupt comes before what its handler touches"),
    ("threaded-irq", "An interrupt's thread outlives what it touches"),
    ("tasklet-after-free", "A tasklet outlives what it touches"),
    ("work-after-free", "A work item outlives what it touches"),
    ("delayed-work-after-free", "Delayed work outlives what it touches"),
    ("timer-after-free", "A timer outlives what it touches"),
    ("hrtimer-after-free", "A high-resolution timer outlives what it touches"),
    ("rearm-cycle", "Callbacks start each other, and whichever is stopped first is started again"),
    ("probe-error-path", "Probing fails, and what it has started goes on"),
    ("chrdev-open-after-unbind", "A device node is open after its device has gone"),
    ("cdev-lifetime", "A character device is freed while it is in use"),
    ("miscdev", "A misc device is deregistered while it is in use"),
    ("mmap-after-unbind", "A program keeps what it has mapped after the device has gone"),
    ("module-unload-while-open", "A module is unloaded while its code is in use"),
];

impl Pattern {
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PATTERNS.len()).map(Self)
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|pattern| pattern.name() == name)
    }

    pub fn name(self) -> &'static str {
        PATTERNS[self.0].0
    }

    /// What it is: a sentence without its full stop.
    pub fn words(self) -> &'static str {
        PATTERNS[self.0].1
    }
}

/// What becomes of a bug with devscope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The mistake can be written, and rustc rejects it.
    Rejected,
    /// There is no place in the driver where the mistake could be made.
    Impossible,
    /// The call that does the harm in C can be made, and is refused.
    Refused,
    /// devscope does nothing about it.
    Uncovered,
}

impl Verdict {
    pub const ALL: [Self; 4] = [
        Self::Rejected,
        Self::Impossible,
        Self::Refused,
        Self::Uncovered,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Impossible => "impossible",
            Self::Refused => "refused",
            Self::Uncovered => "uncovered",
        }
    }
}

/// Which edge of devscope an uncovered bug falls over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    Hardware,
    Subsystem,
    CoreCode,
    Primitive,
}

impl Edge {
    pub const ALL: [Self; 4] = [
        Self::Hardware,
        Self::Subsystem,
        Self::CoreCode,
        Self::Primitive,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Subsystem => "subsystem",
            Self::CoreCode => "core-code",
            Self::Primitive => "primitive",
        }
    }

    /// What lies beyond it: the heading of a section.
    pub fn words(self) -> &'static str {
        match self {
            Self::Hardware => "What the hardware does",
            Self::Subsystem => "Objects of other subsystems",
            Self::CoreCode => "The kernel's own code",
            Self::Primitive => "Callbacks that devscope does not have",
        }
    }
}

/// A bug with its verdict.
#[derive(Clone, Debug)]
pub struct Bug {
    pub id: String,
    pub pattern: Pattern,
    pub cve: Option<String>,
    pub commit: Option<String>,
    pub driver: String,
    pub shape: String,
    pub fate: Fate,
    pub why: String,
    pub stands_in: Option<String>,
    /// `corpus/bugs/<pattern>.toml:<line>: <id>`, for complaints.
    pub place: String,
}

/// The verdict, and what it rests on.
#[derive(Clone, Debug)]
pub enum Fate {
    /// A file of `ui-tests/corpus/`, without directory and extension.
    Rejected {
        mistake: String,
    },
    /// A module of `corpus/src/shapes`.
    Impossible {
        shape: String,
    },
    /// A module of `corpus/src/shapes`.
    Refused {
        shape: String,
    },
    Uncovered {
        edge: Edge,
        needs: String,
    },
}

impl Bug {
    pub fn verdict(&self) -> Verdict {
        match self.fate {
            Fate::Rejected { .. } => Verdict::Rejected,
            Fate::Impossible { .. } => Verdict::Impossible,
            Fate::Refused { .. } => Verdict::Refused,
            Fate::Uncovered { .. } => Verdict::Uncovered,
        }
    }

    pub fn edge(&self) -> Option<Edge> {
        match self.fate {
            Fate::Uncovered { edge, .. } => Some(edge),
            _ => None,
        }
    }

    /// The program that is to be rejected.
    pub fn mistake(&self) -> Option<&str> {
        match &self.fate {
            Fate::Rejected { mistake } => Some(mistake),
            _ => None,
        }
    }

    /// The program that is explored.
    pub fn shape_program(&self) -> Option<&str> {
        match &self.fate {
            Fate::Impossible { shape } | Fate::Refused { shape } => Some(shape),
            _ => None,
        }
    }
}

/// All entries that could be made sense of, and what is wrong with the others.
#[derive(Debug, Default)]
pub struct Corpus {
    pub bugs: Vec<Bug>,
    pub complaints: Vec<String>,
    /// Every id, also of entries that are wrong otherwise, and where it stands.
    pub ids: BTreeMap<String, String>,
    /// Every program that an entry names, also of entries that are wrong otherwise.
    pub named: BTreeSet<String>,
    /// Whether there are entries that could not be read at all.
    pub incomplete: bool,
}

/// An entry as it is written. What has to be there is asked for afterwards, so that all that is missing
/// is said at once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: Option<String>,
    cve: Option<String>,
    commit: Option<String>,
    driver: Option<String>,
    shape: Option<String>,
    verdict: Option<String>,
    program: Option<String>,
    why: Option<String>,
    stands_in: Option<String>,
    edge: Option<String>,
    needs: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    bug: Vec<Spanned<Written>>,
}

/// Reads all entries below `repository`.
pub fn read(repository: &Path) -> Result<Corpus> {
    let dir = repository.join(BUGS);
    let advice = || format!("cannot read {BUGS}: it has a file <pattern>.toml for each pattern");
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).with_context(advice)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let mut corpus = Corpus::default();
    for name in names {
        let path = dir.join(&name);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {BUGS}/{name}"))?;
        corpus.add(&name, &text);
    }
    corpus.bugs.sort_by_key(|bug| bug.pattern);
    if corpus.bugs.is_empty() && corpus.complaints.is_empty() {
        corpus.complaints.push(format!(
            "{BUGS} has no entries: write the first into {BUGS}/<pattern>.toml, beginning [[bug]]"
        ));
    }
    Ok(corpus)
}

impl Corpus {
    /// Adds the entries of one file.
    pub fn add(&mut self, name: &str, text: &str) {
        let file = format!("{BUGS}/{name}");
        let Some(pattern) = name.strip_suffix(".toml").and_then(Pattern::named) else {
            let known: Vec<_> = Pattern::all().map(Pattern::name).collect();
            self.incomplete = true;
            self.complaints.push(format!(
                "{file} is named after no pattern; the patterns are {}",
                known.join(", ")
            ));
            return;
        };
        let written: File = match toml::from_str(text) {
            Ok(written) => written,
            Err(error) => {
                self.incomplete = true;
                let at = error.span().map_or(0, |span| span.start);
                self.complaints.push(format!(
                    "{file}:{}: {}: mend it; no entry of this file was looked at",
                    line_of(text, at),
                    error.message().replace('\n', ", ")
                ));
                return;
            }
        };
        if written.bug.is_empty() {
            self.complaints
                .push(format!("{file} has no entries: remove it"));
        }
        for bug in written.bug {
            let line = line_of(text, bug.span().start);
            self.add_bug(pattern, format!("{file}:{line}"), bug.into_inner());
        }
    }

    fn add_bug(&mut self, pattern: Pattern, at: String, written: Written) {
        let id = written.id.clone().unwrap_or_default();
        let place = match id.as_str() {
            "" => at,
            id => format!("{at}: {id}"),
        };
        self.named.extend(written.program.clone());
        if let Some(first) = self.ids.get(&id) {
            self.complaints
                .push(format!("{place}: there is this id already, at {first}"));
        } else if !id.is_empty() {
            self.ids.insert(id, place.clone());
        }
        let mut complaints = Vec::new();
        let bug = written.bug(pattern, &place, &mut |what| {
            complaints.push(format!("{place}: {what}"))
        });
        if complaints.is_empty() {
            self.bugs.extend(bug);
        }
        self.complaints.append(&mut complaints);
    }
}

/// The line, from 1, that the byte at `at` is in.
fn line_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.matches('\n').count() + 1
}

impl Written {
    /// None: something has been complained about.
    fn bug(self, pattern: Pattern, place: &str, complain: &mut dyn FnMut(String)) -> Option<Bug> {
        let id = needed("id", self.id, complain);
        let driver = needed("driver", self.driver, complain);
        let shape = needed("shape", self.shape, complain);
        let why = needed("why", self.why, complain);
        if let Some(id) = id.as_deref().filter(|id| !is_id(id)) {
            complain(format!(
                "id {id:?} is not of small letters, digits and hyphens"
            ));
        }
        if let Some(driver) = driver.as_deref().filter(|driver| !is_file(driver)) {
            complain(format!(
                "driver {driver:?} is not the path of a file in Linux, such as drivers/misc/x.c"
            ));
        }
        let cve = public("cve", self.cve, complain);
        let commit = public("commit", self.commit, complain);
        if let Some(cve) = cve.as_deref().filter(|cve| !is_cve(cve)) {
            complain(format!(
                "cve {cve:?} does not look like CVE-2023-52475; \"\" if there is none"
            ));
        }
        if let Some(commit) = commit.as_deref().filter(|commit| !is_commit(commit)) {
            complain(format!(
                "commit {commit:?} is not 7 to 40 digits of a hash; \"\" if it is not public"
            ));
        }
        if let (Some(cve), Some(commit)) = (&cve, &commit) {
            if cve.is_empty() && commit.is_empty() {
                complain(
                    "has neither a cve nor a commit: nobody could look up what happened".to_owned(),
                );
            }
        }
        if self.stands_in.as_deref().is_some_and(is_blank) {
            complain("stands_in is empty: name the object, or leave the line out".to_owned());
        }
        let judged = Judged {
            program: self.program,
            edge: self.edge,
            needs: self.needs,
            stands_in: self.stands_in.is_some(),
        };
        let fate = match needed("verdict", self.verdict, complain) {
            Some(verdict) => judged.fate(&verdict, complain),
            None => None,
        };
        Some(Bug {
            id: id?,
            pattern,
            cve: cve.filter(|cve| !cve.is_empty()),
            commit: commit.filter(|commit| !commit.is_empty()),
            driver: driver?,
            shape: shape?,
            fate: fate?,
            why: one_line(&why?),
            stands_in: self.stands_in.as_deref().map(one_line),
            place: place.to_owned(),
        })
    }
}

/// What an entry says besides its verdict, and has to fit it.
struct Judged {
    program: Option<String>,
    edge: Option<String>,
    needs: Option<String>,
    stands_in: bool,
}

impl Judged {
    fn fate(self, verdict: &str, complain: &mut dyn FnMut(String)) -> Option<Fate> {
        let Some(known) = Verdict::ALL
            .into_iter()
            .find(|known| known.name() == verdict)
        else {
            let known = Verdict::ALL.map(Verdict::name).join(", ");
            complain(format!("verdict {verdict:?} is unknown; there are {known}"));
            return None;
        };
        if known == Verdict::Uncovered {
            return self.uncovered(complain);
        }
        if self.edge.is_some() || self.needs.is_some() {
            complain(format!(
                "edge and needs are for what is uncovered, and this is {verdict}"
            ));
        }
        let program = needed("program", self.program, complain)?;
        Some(match known {
            Verdict::Rejected => {
                let mistake = mistake_of(&program);
                if mistake.is_none() {
                    complain(format!(
                        "program {program:?} is not of the form {MISTAKES}/<mistake>.rs, which a rejected bug has"
                    ));
                }
                let mistake = mistake?.to_owned();
                Fate::Rejected { mistake }
            }
            _ if !is_module(&program) => {
                complain(format!(
                    "program {program:?} is not the name of a module of corpus/src/shapes"
                ));
                return None;
            }
            Verdict::Impossible => Fate::Impossible { shape: program },
            _ => Fate::Refused { shape: program },
        })
    }

    fn uncovered(self, complain: &mut dyn FnMut(String)) -> Option<Fate> {
        if self.program.is_some() {
            complain("is uncovered, and has a program all the same".to_owned());
        }
        if self.stands_in {
            complain("is uncovered: without a program nothing stands in for anything".to_owned());
        }
        let needs = needed("needs", self.needs, complain);
        let edge = needed("edge", self.edge, complain)?;
        let Some(edge) = Edge::ALL.into_iter().find(|known| known.name() == edge) else {
            let known = Edge::ALL.map(Edge::name).join(", ");
            complain(format!("edge {edge:?} is unknown; there are {known}"));
            return None;
        };
        let needs = one_line(&needs?);
        Some(Fate::Uncovered { edge, needs })
    }
}

/// Where the programs that must not compile are, below the repository.
pub const MISTAKES: &str = "ui-tests/corpus";

fn mistake_of(program: &str) -> Option<&str> {
    let name = program.strip_prefix(MISTAKES)?.strip_prefix('/')?;
    name.strip_suffix(".rs").filter(|name| is_module(name))
}

/// What has to be there and to say something.
fn needed(field: &str, value: Option<String>, complain: &mut dyn FnMut(String)) -> Option<String> {
    match value {
        None => complain(format!("has no {field}")),
        Some(value) if is_blank(&value) => complain(format!("its {field} is empty")),
        Some(value) => return Some(value.trim().to_owned()),
    }
    None
}

/// What has to be there, and may be empty.
fn public(field: &str, value: Option<String>, complain: &mut dyn FnMut(String)) -> Option<String> {
    if value.is_none() {
        complain(format!(
            "has no {field}: write {field} = \"\" if there is none"
        ));
    }
    value.map(|value| value.trim().to_owned())
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Text without its line breaks.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_id(id: &str) -> bool {
    id.split('-').all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

fn is_module(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn is_file(path: &str) -> bool {
    let source = [".c", ".h", ".rs"];
    path.contains('/')
        && !path.starts_with('/')
        && !path.contains(char::is_whitespace)
        && source.iter().any(|end| path.ends_with(end))
}

fn is_cve(cve: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    cve.is_empty()
        || cve
            .strip_prefix("CVE-")
            .and_then(|rest| rest.split_once('-'))
            .is_some_and(|(year, number)| {
                year.len() == 4 && number.len() >= 4 && digits(year) && digits(number)
            })
}

fn is_commit(commit: &str) -> bool {
    commit.is_empty()
        || (7..=40).contains(&commit.len())
            && commit
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! What is written of it all: `docs/corpus.md`, and a paragraph of the README.
//!
//! Only what is the same on every machine, and does not change with every line of `src/`, is on the
//! page: how many schedules each shape survived and which marks they reached, but not how often. Times are
//! in the last column of one table, which [`comparable`] leaves out.

use super::entries::{Bug, Edge, Fate, Pattern, Verdict, MISTAKES};
use super::evidence::{Evidence, Report, Variant};
use super::programs::Programs;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Everything that the page is made of.
pub struct Facts<'a> {
    pub bugs: &'a [Bug],
    pub programs: &'a Programs,
    pub evidence: &'a Evidence,
}

/// Between these lines the last column of a table is not compared.
const VARIES: &str = "<!-- times: not compared -->";
const VARIES_NO_MORE: &str = "<!-- compared again -->";

/// The README's part.
const BEGIN: &str = "<!-- corpus:begin -->";
const END: &str = "<!-- corpus:end -->";

impl Facts<'_> {
    pub fn count(&self, wanted: impl Fn(&Bug) -> bool) -> usize {
        self.bugs.iter().filter(|bug| wanted(bug)).count()
    }

    fn verdict(&self, verdict: Verdict) -> usize {
        self.count(|bug| bug.verdict() == verdict)
    }

    fn covered(&self) -> usize {
        self.count(is_covered)
    }

    fn stand_ins(&self) -> usize {
        self.count(|bug| bug.stands_in.is_some())
    }

    /// The patterns that have bugs.
    pub fn patterns(&self) -> Vec<Pattern> {
        Pattern::all()
            .filter(|pattern| self.count(|bug| bug.pattern == *pattern) > 0)
            .collect()
    }

    /// `9 for what the hardware does, 3 for ...`
    fn edges(&self) -> String {
        let edges = Edge::ALL.into_iter().filter_map(|edge| {
            let count = self.count(|bug| bug.edge() == Some(edge));
            (count > 0).then(|| format!("{count} for {}", lower(edge.words())))
        });
        listed(&edges.collect::<Vec<_>>())
    }

    /// The objects that something stands in for, the most frequent first.
    fn objects(&self) -> Vec<(&str, usize)> {
        let mut counts = BTreeMap::<&str, usize>::new();
        for object in self.bugs.iter().filter_map(|bug| bug.stands_in.as_deref()) {
            *counts.entry(object).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }
}

fn is_covered(bug: &Bug) -> bool {
    bug.verdict() != Verdict::Uncovered
}

/// The whole page.
pub fn page(facts: &Facts<'_>) -> String {
    let parts = [
        introduction(facts),
        numbers(facts),
        bugs(facts),
        uncovered(facts),
        reverse(facts),
    ];
    let mut page = parts.concat();
    page.truncate(page.trim_end().len());
    page + "\n"
}

fn introduction(facts: &Facts<'_>) -> String {
    let all = facts.bugs.len();
    format!(
        "\
<!-- Written by `cargo xtask corpus`, from corpus/bugs/. -->

# Real bugs, and what becomes of them

Here are {all} bugs of Linux, out of public records, in which something called in after what it touches had
gone, or before it was there. For each this page has the shape of the driver, what becomes of the mistake
with devscope, and a program that shows it. What devscope does nothing about is listed as well, and says
what it would take. It is a selection, not a census.

## What a verdict means

| verdict | the mistake | what shows it |
|---|---|---|
| rejected | can be written down, and rustc rejects it | A driver with the mistake, in `ui-tests/corpus/`, which must not compile, and whose errors are kept word for word; and the same driver without the mistake, which must compile. Both are held against Linux's own `kernel` crate, too. |
| impossible | has no place in the driver: what went wrong in C is not the driver's to write | A driver in the shape of the one that had the bug, in `corpus/src/shapes/`. On the model of the kernel it is unbound, or fails to attach, under thousands of schedules; they come to the place where the bug was, and nothing is found. |
| refused | can still be made, as a call; the call is refused, and does no harm | The same; and some schedules come to the refusal, or the program would show nothing. |
| uncovered | can be made, and does its harm | Nothing. The entry says which edge of devscope it lies beyond, and what would be needed. |

## How far to believe it

- {stand_ins}
- **A program has the shape of a driver, not its code:** who calls and schedules whom, who frees what. What
  the driver does to its hardware is left out, and a verdict says nothing about it.
- **Exploring is not proving.** A shape is run under many schedules of one seed. The argument for all of
  them is in [`soundness.md`](soundness.md), and the model is believed as far as
  [`FIDELITY.md`](../hosted/FIDELITY.md) says. Would it notice? That is [the reverse](#the-reverse).
- Every program is run before this page is written, and CI fails if one of them no longer shows what an
  entry says, if an entry and its program do not name each other, or if this page is not what comes out.

## Run it again

    cargo xtask corpus                      # runs everything, and writes this page
    cargo xtask corpus {example}   # one bug: its shape, its program, what came of it
    cargo xtask corpus --check              # as CI does
    cargo xtask vm test ui                  # what is rejected, against Linux's own crate

",
        stand_ins = stand_ins(facts),
        example = example(facts),
    )
}

/// The id for the example of a command, filled up to the comments of the others.
fn example(facts: &Facts<'_>) -> String {
    let mut bugs = facts.bugs.iter();
    let id = bugs.find(|bug| is_covered(bug) && bug.id.len() <= 18);
    let id = id.or(facts.bugs.first()).map_or("ID", |bug| &bug.id);
    format!("{id:<18}")
}

/// How many objects are named of those that something stands in for; there are many with one bug each.
const FREQUENT: usize = 8;

fn stand_ins(facts: &Facts<'_>) -> String {
    let count = facts.stand_ins();
    if count == 0 {
        return "**Nothing stands in for anything:** each program uses what Linux has Rust bindings for."
            .to_owned();
    }
    let objects = facts.objects();
    let frequent = objects.iter().take(FREQUENT);
    let mut named: Vec<_> = frequent
        .map(|(object, count)| format!("{object} ({count})"))
        .collect();
    if objects.len() > FREQUENT {
        named.push(counted(objects.len() - FREQUENT, "other"));
    }
    let text = format!(
        "**{count} of the {covered} verdicts on bugs that are covered rest on a stand-in.** The driver uses some object of another subsystem for which Linux has no Rust binding, and the program has a piece of Rust in its place. It shows what devscope does around such an object; the driver itself cannot be written in Rust today. Each bug says what the object is: {objects}.",
        covered = facts.covered(),
        objects = listed(&named),
    );
    wrapped(&text).trim_end().replace('\n', "\n  ")
}

fn numbers(facts: &Facts<'_>) -> String {
    let mut text = format!(
        "## In numbers\n\n{}\n![Stacked bars: what becomes of the bugs of each pattern](corpus.svg)\n\n",
        wrapped(&totals(facts))
    );
    text += "| pattern | rejected | impossible | refused | uncovered | all | with a stand-in |\n";
    text += "|---|--:|--:|--:|--:|--:|--:|\n";
    for pattern in facts.patterns() {
        let name = format!("[{pattern}](#{pattern})");
        text += &row(facts, &name, |bug| bug.pattern == pattern);
    }
    text += &row(facts, "**all**", |_| true);
    text + "\n"
}

/// A row of the table of numbers. What is zero stays empty: there is much of it.
fn row(facts: &Facts<'_>, name: &str, ours: impl Fn(&Bug) -> bool) -> String {
    let mut cells = vec![name.to_owned()];
    let mut cell = |count: usize| {
        cells.push(match count {
            0 => String::new(),
            count => count.to_string(),
        });
    };
    for verdict in Verdict::ALL {
        cell(facts.count(|bug| ours(bug) && bug.verdict() == verdict));
    }
    cell(facts.count(&ours));
    cell(facts.count(|bug| ours(bug) && bug.stands_in.is_some()));
    format!("| {} |\n", cells.join(" | "))
}

/// The totals in two sentences, each edge in the same breath.
fn totals(facts: &Facts<'_>) -> String {
    let covered = facts.covered();
    let uncovered = match facts.verdict(Verdict::Uncovered) {
        0 => "None is left uncovered.".to_owned(),
        1 => format!("1 is not covered: {}.", facts.edges()),
        count => format!("{count} are not covered: {}.", facts.edges()),
    };
    let rest = match facts.stand_ins() {
        0 => String::new(),
        count => format!(
            " Of the {covered} that are covered, {} shown with a stand-in: the driver uses an object of another subsystem for which Linux has no Rust binding, and cannot be written in Rust today.",
            are(count),
        ),
    };
    format!(
        "Of {}, {} rejected by the compiler, {} impossible to write, and {} refused when the call is made. {uncovered}{rest}",
        counted(facts.bugs.len(), "real bug"),
        are(facts.verdict(Verdict::Rejected)),
        are(facts.verdict(Verdict::Impossible)),
        are(facts.verdict(Verdict::Refused)),
    )
}

fn bugs(facts: &Facts<'_>) -> String {
    let mut text = "## The bugs\n\n".to_owned();
    for pattern in facts.patterns() {
        let ours = |bug: &&Bug| bug.pattern == pattern;
        let count = |verdict| facts.count(|bug| ours(&bug) && bug.verdict() == verdict);
        let counts = Verdict::ALL
            .map(|verdict| (verdict, count(verdict)))
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(verdict, count)| match verdict {
                Verdict::Uncovered => format!("[{count} uncovered](#not-covered)"),
                _ => format!("{count} {}", verdict.name()),
            });
        let counts = listed(&counts.collect::<Vec<_>>());
        let words = pattern.words();
        let _ = write!(text, "### {pattern}\n\n{words}: {counts}.\n\n");
        for bug in facts.bugs.iter().filter(ours).filter(|bug| is_covered(bug)) {
            text += &covered_bug(facts, bug);
        }
    }
    text
}

fn covered_bug(facts: &Facts<'_>, bug: &Bug) -> String {
    format!(
        "#### {}\n\n{}\n\n{}\n**{}.** {}\n\n{}\n\n",
        bug.id,
        record(bug),
        indented(&bug.shape),
        capital(bug.verdict().name()),
        stopped(&bug.why),
        shown_by(facts, bug),
    )
}

/// Where to look up what happened.
fn record(bug: &Bug) -> String {
    let mut record = vec![format!("`{}`", bug.driver)];
    if let Some(cve) = &bug.cve {
        record.push(format!("[{cve}](https://www.cve.org/CVERecord?id={cve})"));
    }
    if let Some(commit) = &bug.commit {
        let short = commit.get(..12).unwrap_or(commit);
        record.push(format!(
            "fixed by [`{short}`](https://git.kernel.org/linus/{commit})"
        ));
    }
    record.join(" · ")
}

/// What shows the verdict: links, and what came of it.
fn shown_by(facts: &Facts<'_>, bug: &Bug) -> String {
    let mut text = match &bug.fate {
        Fate::Rejected { mistake } => {
            let says = facts.programs.mistakes.get(mistake);
            let says = says.and_then(|mistake| mistake.says.as_deref());
            format!(
                "Shown by [`{mistake}.rs`](../{MISTAKES}/{mistake}.rs), for which [rustc says](../{MISTAKES}/{mistake}.stderr) {}; without the mistake [it compiles](../{MISTAKES}/pass/{mistake}.rs).",
                quoted(says.unwrap_or_default()),
            )
        }
        Fate::Impossible { shape } | Fate::Refused { shape } => {
            let path = facts.programs.shapes.get(shape);
            let reports = &facts.evidence.shapes.results;
            let report = reports.iter().find(|report| report.program == *shape);
            let marks = report.iter().flat_map(|report| report.marks());
            let marks: Vec<_> = marks.map(|(mark, _)| format!("\"{mark}\"")).collect();
            let came = match marks.as_slice() {
                [] => String::new(),
                marks => format!(", which came to {}", listed(marks)),
            };
            format!(
                "Shown by [`{shape}.rs`](../{}), under {} schedules{came}.",
                path.map_or("", String::as_str),
                thousands(report.map_or(0, |report| report.schedules)),
            )
        }
        Fate::Uncovered { .. } => String::new(),
    };
    if let Some(object) = &bug.stands_in {
        let _ = write!(text, " Stand-in: {object}.");
    }
    let defects = facts.evidence.defects.results.iter();
    let defect = defects
        .filter(|report| report.variant() == Some(Variant::Defect))
        .find(|report| report.bugs.contains(&bug.id));
    if let Some(path) = defect.and_then(|report| facts.programs.defects.get(report.module())) {
        let _ = write!(
            text,
            " [Written as in C](../{path}), it [is found](#the-reverse)."
        );
    }
    text
}

fn uncovered(facts: &Facts<'_>) -> String {
    let count = facts.verdict(Verdict::Uncovered);
    if count == 0 {
        return String::new();
    }
    let mut text = format!(
        "## Not covered\n\n{}\n",
        wrapped(&format!("{}: {}.", counted(count, "bug"), facts.edges()))
    );
    for edge in Edge::ALL {
        let ours = |bug: &&Bug| bug.edge() == Some(edge);
        if facts.count(|bug| ours(&bug)) == 0 {
            continue;
        }
        let _ = write!(text, "### {}\n\n", edge.words());
        for bug in facts.bugs.iter().filter(ours) {
            let Fate::Uncovered { needs, .. } = &bug.fate else {
                continue;
            };
            let _ = write!(
                text,
                "#### {}\n\n{} · [{pattern}](#{pattern})\n\n{}\n**Uncovered.** {}\n\nNeeded: {}\n\n",
                bug.id,
                record(bug),
                indented(&bug.shape),
                stopped(&bug.why),
                stopped(needs),
                pattern = bug.pattern,
            );
        }
    }
    text
}

fn reverse(facts: &Facts<'_>) -> String {
    let reports = &facts.evidence.defects.results;
    let mut drivers = BTreeMap::<&str, Vec<&Report>>::new();
    for report in reports {
        drivers.entry(report.module()).or_default().push(report);
    }
    if drivers.is_empty() {
        return String::new();
    }
    let seeds = reports.iter().filter_map(|report| report.seeds_found).max();
    let mut text = format!(
        "\
## The reverse

That nothing is found in a shape means something only if the same exploration finds the bug where it is.
So here are drivers as they are in C, {drivers} of them, on the raw bindings. The *defect* is the driver as it
was; the *first fix*, where there is one, is what it was after a fix that did not hold; in the *cure* nothing
may be found. {first_fixes}

The numbers are schedules until something is found. How many that takes depends on the seed that they come
from, so the median over {seeds} seeds is in brackets. The time is that until the defect is found, on the
machine that wrote this page.

{VARIES}

| driver | bugs | the defect is found after | the first fix after | the cure survives | what is found | time |
|---|---|--:|--:|--:|---|--:|
",
        drivers = drivers.len(),
        first_fixes = first_fixes(reports),
        seeds = seeds.unwrap_or(1),
    );
    for (name, reports) in drivers {
        text += &driver_row(facts, name, &reports, seeds);
    }
    text + "\n" + VARIES_NO_MORE + "\n"
}

fn driver_row(facts: &Facts<'_>, name: &str, reports: &[&Report], seeds: Option<u64>) -> String {
    let path = facts.programs.defects.get(name);
    let of = |variant| {
        reports
            .iter()
            .find(|report| report.variant() == Some(variant))
    };
    let (defect, first_fix) = (of(Variant::Defect), of(Variant::FirstFix));
    let mut bugs: Vec<_> = reports.iter().flat_map(|report| &report.bugs).collect();
    bugs.sort();
    bugs.dedup();
    let bugs: Vec<_> = bugs.iter().map(|id| format!("[{id}](#{id})")).collect();
    let until = |report: &Report| until_found(report, seeds);
    let mut found: Vec<_> = [defect, first_fix]
        .into_iter()
        .flatten()
        .filter_map(|report| report.found())
        .map(|found| found.replace('|', "\\|"))
        .collect();
    found.dedup();
    format!(
        "| [`{name}`](../{}) | {} | {} | {} | {} | {} | {} |\n",
        path.map_or("", String::as_str),
        bugs.join(", "),
        defect.map_or(String::new(), |report| until(report)),
        first_fix.map_or(String::new(), |report| until(report)),
        of(Variant::Cure).map_or(String::new(), |report| thousands(report.schedules)),
        found.join("; first fix: "),
        defect.map_or(String::new(), |report| short(report.seconds)),
    )
}

/// `304 (339)`, and from how many seeds if it was not all.
fn until_found(report: &Report, seeds: Option<u64>) -> String {
    let schedules = thousands(report.schedules);
    if report.found().is_none() {
        return format!("not in {schedules}");
    }
    let Some(median) = report.seeds_median else {
        return schedules;
    };
    let from = match report.seeds_found {
        Some(found) if Some(found) != seeds => format!(", from {found}"),
        _ => String::new(),
    };
    format!("{schedules} ({}{from})", thousands(median as u64))
}

/// `0.8 ms`, `1.6 s`.
fn short(seconds: f64) -> String {
    match seconds < 1.0 {
        true => format!("{:.1} ms", seconds * 1000.0),
        false => format!("{seconds:.1} s"),
    }
}

/// Whether exploring would have spared somebody a fix that did not hold.
fn first_fixes(reports: &[Report]) -> String {
    let fixes = reports
        .iter()
        .filter(|report| report.variant() == Some(Variant::FirstFix));
    let (all, caught) = (
        fixes.clone().count(),
        fixes.filter(|report| report.found().is_some()).count(),
    );
    match (all, caught) {
        (0, _) => String::new(),
        (1, 1) => "The one first fix would have been caught.".to_owned(),
        (all, caught) if all == caught => {
            format!("All {all} first fixes would have been caught.")
        }
        (all, caught) => {
            format!("Of the {all} first fixes, {caught} would have been caught.")
        }
    }
}

/// The page without what varies from run to run.
pub fn comparable(page: &str) -> String {
    let mut varies = false;
    let mut text = String::new();
    for line in page.lines() {
        varies = (varies || line == VARIES) && line != VARIES_NO_MORE;
        let row = line.strip_suffix('|').filter(|_| varies);
        let kept = row.and_then(|row| row.rsplit_once('|'));
        text += kept.map_or(line, |(kept, _)| kept);
        text.push('\n');
    }
    text
}

/// The README with its paragraph about the corpus made new; None if it has no place for one.
pub fn readme(readme: &str, facts: &Facts<'_>) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let paragraph = format!(
        "**Held against real bugs.** {} [`docs/corpus.md`](docs/corpus.md) has each with the program that shows it.",
        totals(facts)
    );
    Some(format!(
        "{before}{BEGIN}\n{}{END}{after}",
        wrapped(&paragraph)
    ))
}

const WIDTH: usize = 105;

/// Lines of the README's length.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        if length > 0 && length + 1 + word.len() > WIDTH {
            lines.push('\n');
            length = 0;
        }
        if length > 0 {
            lines.push(' ');
            length += 1;
        }
        lines += word;
        length += word.len();
    }
    lines + "\n"
}

/// As a block of code, which no character in it can end. Long lines go on further in, since such a block
/// is not wrapped by whoever shows it.
fn indented(text: &str) -> String {
    let mut block = String::new();
    for line in text.lines() {
        let own = &line[..line.len() - line.trim_start().len()];
        for (at, part) in wrapped(line).lines().enumerate() {
            let further = if at == 0 { "" } else { "  " };
            let _ = writeln!(block, "    {own}{further}{part}");
        }
    }
    block
}

/// With the full stop that a sentence has, if it has none.
fn stopped(text: &str) -> String {
    match text.ends_with(['.', '!', '?']) {
        true => text.to_owned(),
        false => format!("{text}."),
    }
}

/// As code, whatever quotes are in it.
fn quoted(text: &str) -> String {
    match text.contains('`') {
        true => format!("`` {text} ``"),
        false => format!("`{text}`"),
    }
}

/// `one, two and three`.
fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn are(count: usize) -> String {
    match count {
        1 => "1 is".to_owned(),
        count => format!("{count} are"),
    }
}

/// `12,345`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn lower(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

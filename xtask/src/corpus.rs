//! `cargo xtask corpus`: the real bugs, what becomes of each, and the programs that show it.
//!
//! [`entries`] are read, [`programs`] are looked for, [`evidence`] is what comes of running them, and
//! [`checks`] holds the three against each other. Nothing is written unless all of it fits: then [`page`]
//! writes it up, and [`plot`] draws it.

mod checks;
mod entries;
mod evidence;
mod page;
mod plot;
mod programs;
#[cfg(test)]
mod tests;

use crate::paths;
use crate::progress::clock;
use anyhow::{bail, Context, Result};
use clap::Args;
use comfy_table::{presets, CellAlignment, ContentArrangement, Table};
use entries::{Bug, Fate, Pattern, Verdict, MISTAKES};
use evidence::{Evidence, Report};
use page::{thousands, Facts};
use programs::Programs;
use std::fs;
use std::path::Path;
use std::time::Instant;

const PAGE: &str = "docs/corpus.md";
const PICTURE: &str = "docs/corpus.svg";
const README: &str = "README.md";

#[derive(Args)]
pub struct Arguments {
    /// Write nothing; fail if the pages are not what would be written
    #[arg(long, conflicts_with = "names")]
    check: bool,
    /// Show these and run their programs only: parts of ids, or patterns such as `rearm-cycle`
    names: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let repository = paths::repository();
    let corpus = entries::read(&repository)?;
    let programs = programs::read(&repository)?;
    let mut complaints = checks::before(&corpus, &programs);

    let chosen = match arguments.names.as_slice() {
        [] => None,
        names => match choose(&corpus.bugs, names) {
            Ok(chosen) => Some(chosen),
            // It may be among those that are wrong.
            Err(error) => {
                print(&corpus.complaints);
                return Err(error);
            }
        },
    };
    if let Some(bugs) = &chosen {
        complaints.retain(|complaint| bugs.iter().any(|bug| complaint.contains(&bug.id)));
    }
    let only = chosen.as_deref();
    let evidence = gather(only.unwrap_or(&corpus.bugs), &programs, only.is_some())?;
    complaints.extend(checks::after(&corpus, &programs, &evidence, only));
    if let Some(bugs) = only {
        for bug in bugs {
            println!("\n{}", shown(bug, &programs, &evidence));
        }
    }
    if !complaints.is_empty() {
        print(&complaints);
        bail!("the corpus does not hold; complaints: {}", complaints.len());
    }
    if only.is_some() {
        return Ok(());
    }

    let facts = Facts {
        bugs: &corpus.bugs,
        programs: &programs,
        evidence: &evidence,
    };
    println!("\n{}\n", table(&facts));
    let pages = pages(&repository, &facts)?;
    match arguments.check {
        true => compare(&repository, &pages)?,
        false => write(&repository, &pages)?,
    }
    println!("{} bugs in {}", facts.bugs.len(), clock(started.elapsed()));
    Ok(())
}

fn print(complaints: &[String]) {
    println!();
    for complaint in complaints {
        println!("{complaint}");
    }
}

/// The bugs with one of these in their names, or of these patterns.
fn choose(bugs: &[Bug], names: &[String]) -> Result<Vec<Bug>> {
    let is_of = |bug: &Bug, name: &str| bug.id.contains(name) || bug.pattern.name() == name;
    for name in names {
        if !bugs.iter().any(|bug| is_of(bug, name)) {
            let patterns: Vec<_> = Pattern::all().map(Pattern::name).collect();
            bail!(
                "no entry has `{name}` in its id; ids are in {}, and the patterns are {}",
                entries::BUGS,
                patterns.join(", ")
            );
        }
    }
    let chosen = bugs
        .iter()
        .filter(|bug| names.iter().any(|name| is_of(bug, name)));
    Ok(chosen.cloned().collect())
}

/// Runs the programs that these bugs rest on; with everything that there is, unless some were chosen.
fn gather(bugs: &[Bug], programs: &Programs, chosen: bool) -> Result<Evidence> {
    let mut mistakes: Vec<_> = bugs.iter().filter_map(Bug::mistake).collect();
    mistakes.retain(|name| programs.mistakes.contains_key(*name));
    let mut shapes: Vec<_> = bugs.iter().filter_map(Bug::shape_program).collect();
    shapes.retain(|name| programs.shapes.contains_key(*name));
    for names in [&mut mistakes, &mut shapes] {
        names.sort_unstable();
        names.dedup();
    }
    let mut evidence = Evidence::default();
    if !mistakes.is_empty() {
        evidence.compiled = evidence::mistakes(chosen.then_some(&mistakes))?;
    }
    if !shapes.is_empty() {
        evidence.shapes = evidence::shapes(chosen.then_some(&shapes))?;
    }
    if !chosen && !programs.defects.is_empty() {
        evidence.defects = evidence::defects()?;
    }
    Ok(evidence)
}

/// An entry, and what came of its program.
fn shown(bug: &Bug, programs: &Programs, evidence: &Evidence) -> String {
    let indent = |text: &str| text.replace('\n', "\n    ");
    let mut lines = vec![format!(
        "{}  {}  {}",
        bug.id,
        bug.cve.as_deref().unwrap_or("no CVE"),
        bug.commit.as_deref().unwrap_or("no public commit")
    )];
    lines.push(format!("  {}", bug.driver));
    lines.push(format!("    {}", indent(&bug.shape)));
    lines.push(format!("  {}: {}", bug.verdict().name(), bug.why));
    if let Some(object) = &bug.stands_in {
        lines.push(format!("  stand-in: {object}"));
    }
    match &bug.fate {
        Fate::Rejected { mistake } => {
            for path in [
                format!("{MISTAKES}/{mistake}.rs"),
                format!("{MISTAKES}/pass/{mistake}.rs"),
            ] {
                let word = evidence.compiled.results.get(&path);
                let word = word.map_or("did not run", String::as_str);
                lines.push(format!("  {path}: {word}"));
            }
            let says = programs.mistakes.get(mistake);
            if let Some(says) = says.and_then(|mistake| mistake.says.as_deref()) {
                lines.push(format!("    {says}"));
            }
        }
        Fate::Impossible { shape } | Fate::Refused { shape } => {
            let reports = &evidence.shapes.results;
            let report = reports.iter().find(|report| report.program == *shape);
            let path = programs.shapes.get(shape).unwrap_or(shape);
            lines.push(match report {
                Some(report) => format!("  {path}: {}", indent(&explored(report))),
                None => format!("  {path}: did not run"),
            });
        }
        Fate::Uncovered { edge, needs } => {
            lines.push(format!("  {}: needs {needs}", edge.name()));
        }
    }
    lines.join("\n")
}

/// What an exploration says of itself, with how often it reached what.
fn explored(report: &Report) -> String {
    let mut text = format!(
        "{} schedules, {} steps, {:.1} s",
        thousands(report.schedules),
        thousands(report.steps),
        report.seconds
    );
    for (mark, times) in report.marks() {
        text += &format!("\n{:>9}  {mark}", thousands(times));
    }
    if !report.found.is_empty() {
        text += "\n";
        text += &report.found;
    }
    text
}

/// A row for each pattern.
fn table(facts: &Facts<'_>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    let heads = Verdict::ALL.map(Verdict::name);
    table.add_row(["pattern"].into_iter().chain(heads).chain(["all"]));
    let mut row = |name: &str, ours: &dyn Fn(&Bug) -> bool| {
        let counts =
            Verdict::ALL.map(|verdict| facts.count(|bug| ours(bug) && bug.verdict() == verdict));
        let all = counts.iter().sum();
        let counts = counts
            .into_iter()
            .chain([all])
            .map(|count: usize| count.to_string());
        table.add_row([name.to_owned()].into_iter().chain(counts));
    };
    for pattern in facts.patterns() {
        row(pattern.name(), &|bug| bug.pattern == pattern);
    }
    row("all", &|_| true);
    for column in 1..=Verdict::ALL.len() + 1 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// A file that is written, and its text.
type Written = (&'static str, String);

fn pages(repository: &Path, facts: &Facts<'_>) -> Result<Vec<Written>> {
    let readme = read(repository, README)?;
    let readme = page::readme(&readme, facts).with_context(|| {
        format!("{README} has no place for the corpus: give it two lines, <!-- corpus:begin --> and <!-- corpus:end -->")
    })?;
    Ok(vec![
        (PAGE, page::page(facts)),
        (PICTURE, plot::svg(facts)?),
        (README, readme),
    ])
}

fn read(repository: &Path, file: &str) -> Result<String> {
    fs::read_to_string(repository.join(file)).with_context(|| format!("cannot read {file}"))
}

/// A page whose times alone are others is left as it is: a commit would show nothing else.
fn is_same(repository: &Path, (file, text): &Written) -> bool {
    let there = read(repository, file).unwrap_or_default();
    page::comparable(&there) == page::comparable(text)
}

fn write(repository: &Path, pages: &[Written]) -> Result<()> {
    for written in pages {
        let (file, text) = written;
        if is_same(repository, written) {
            println!("as it was: {file}");
            continue;
        }
        fs::write(repository.join(file), text).with_context(|| format!("cannot write {file}"))?;
        println!("written: {file}");
    }
    Ok(())
}

fn compare(repository: &Path, pages: &[Written]) -> Result<()> {
    let stale: Vec<_> = pages
        .iter()
        .filter(|written| !is_same(repository, written))
        .map(|(file, _)| *file)
        .collect();
    match stale.as_slice() {
        [] => Ok(()),
        [one] => bail!("{one} is out of date: run `cargo xtask corpus`"),
        more => bail!(
            "{} are out of date: run `cargo xtask corpus`",
            more.join(", ")
        ),
    }
}

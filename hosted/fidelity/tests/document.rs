// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `hosted/FIDELITY.md` names checks and tests. They are there, and none is left out.

use fidelity::{Check, CHECKS, MISTAKES};
use std::{collections::BTreeSet, fs, path::Path};

#[allow(
    dead_code,
    reason = "the guest's program; here for its table of checks"
)]
#[path = "../../../linux/guest/fidelity.rs"]
mod guest;
#[allow(dead_code, reason = "what that is built on")]
#[path = "../../../linux/guest/reports.rs"]
mod reports;
#[allow(dead_code, reason = "as above")]
#[path = "../../../linux/guest/sys.rs"]
mod sys;

const DOCUMENT: &str = "hosted/FIDELITY.md";

fn read(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The rows of the tables whose last column is "on Linux".
fn rows() -> Vec<Vec<String>> {
    let page = read(DOCUMENT);
    let mut rows = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        let cells: Vec<String> = line
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect();
        if !line.starts_with('|') {
            inside = false;
        } else if cells.last().is_some_and(|cell| cell == "on Linux") {
            inside = true;
        } else if inside && !line.starts_with("|---") {
            assert_eq!(cells.len(), 6, "{line}");
            rows.push(cells);
        }
    }
    assert!(rows.len() > 30, "{} rows", rows.len());
    rows
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The names in a cell after a word like "reported", and before the next such word.
fn after<'a>(cell: &'a str, kind: &str) -> Vec<&'a str> {
    cell.split("; ")
        .filter(|part| {
            let (before, _) = part.split_once(": ").unwrap_or(("", part));
            before.starts_with(kind) && before.is_empty() == kind.is_empty()
        })
        .flat_map(names)
        .collect()
}

/// Names of checks are sentences.
fn names(text: &str) -> Vec<&str> {
    quoted(text)
        .filter(|name| name.matches('_').count() >= 2)
        .collect()
}

fn all_of(checks: &[Check]) -> BTreeSet<&str> {
    checks.iter().map(|check| check.name).collect()
}

#[test]
fn every_row_names_a_check_or_says_why_there_is_none() {
    for row in rows() {
        let (what, on_linux) = (&row[0], &row[5]);
        let reason = on_linux.strip_prefix("never: ");
        assert!(
            reason.is_some_and(|reason| !reason.is_empty()) || !names(on_linux).is_empty(),
            "{DOCUMENT}: {what}: nothing shows it on Linux, and it does not say why"
        );
        assert!(
            quoted(&row[1]).any(|quoted| quoted.contains('/')),
            "{DOCUMENT}: {what}: no file that promises it"
        );
    }
}

#[test]
fn the_checks_are_those_that_the_rows_name() {
    let rows = rows();
    let named = |kind: &str| -> BTreeSet<String> {
        let names = rows.iter().flat_map(|row| after(&row[5], kind));
        names.map(str::to_owned).collect()
    };
    let (plain, differ): (Vec<&Check>, Vec<&Check>) =
        CHECKS.iter().partition(|check| check.answers.is_none());
    let programs = guest::PROGRAMS.iter().map(|(name, _)| *name);
    let expected: BTreeSet<&str> = plain
        .iter()
        .map(|check| check.name)
        .chain(programs)
        .collect();
    let differ: BTreeSet<&str> = differ.iter().map(|check| check.name).collect();

    let same = |kind: &str, expected: BTreeSet<&str>| {
        let named = named(kind);
        let named: BTreeSet<&str> = named.iter().map(String::as_str).collect();
        let missing: Vec<_> = expected.difference(&named).collect();
        let unknown: Vec<_> = named.difference(&expected).collect();
        assert!(
            missing.is_empty() && unknown.is_empty(),
            "{DOCUMENT}: {kind:?}: in no row {missing:?}; there is no such check {unknown:?}"
        );
    };
    same("", expected);
    same("differs", differ);
    same("reported", all_of(MISTAKES));
}

#[test]
fn every_test_that_pins_a_row_exists() {
    let tests = read("hosted/src/hosted/tests.rs");
    let parts = ["driver", "files", "poll", "urb"]
        .map(|part| (part, read(&format!("hosted/src/hosted/tests/{part}.rs"))));
    for row in rows() {
        for name in names(&row[4]) {
            let (file, name) = match name.split_once("::") {
                Some((part, name)) => {
                    let found = parts.iter().find(|(known, _)| *known == part);
                    (&found.expect("a part that is known").1, name)
                }
                None => (&tests, name),
            };
            assert!(
                file.contains(&format!("fn {name}(")),
                "{DOCUMENT}: {}: there is no test {name}",
                row[0]
            );
        }
    }
}

#[test]
fn what_programs_check_on_linux_they_check_on_the_model() {
    let here = read("hosted/fidelity/tests/programs.rs");
    for (name, _) in guest::PROGRAMS {
        assert!(here.contains(&format!("fn {name}()")), "{name}");
    }
}

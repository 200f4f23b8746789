// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Programs that must not compile, and beside each one that does.
//!
//! `ui-tests/<area>/<mistake>.rs` makes one mistake; its first line says which rule that breaks, and
//! what would go wrong if it compiled. `<mistake>.stderr` is what rustc tells its author.
//! `pass/<mistake>.rs` is the same driver without the mistake.
//!
//! After a change that is meant, write the `.stderr` files anew and read every one that differs:
//!
//! ```text
//! TRYBUILD=overwrite cargo test --test ui
//! ```

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Areas that have programs.
const AREAS: [&str; 14] = [
    "corpus", "data", "driver", "entrance", "file", "hrtimer", "irq", "part", "scope", "tasklet",
    "timer", "urb", "wait", "work",
];

/// Names that macros make. A driver author has not written them and cannot look them up.
const HIDDEN: [&str; 5] = [
    "__pin_data",
    "__ThePinData",
    "__init_internal",
    "__InitOk",
    "can't find crate",
];

/// Programs whose errors come out of a macro of the kernel crate, which names another one of its own.
const FROM_A_MACRO: [&str; 2] = ["driver/kernel_driver", "driver/usb_kernel_driver"];

/// What rustc says a second time, with another code, about the same thing.
const SAID_TWICE: [(&str, &str); 2] = [
    // A type that does not outlive a supertrait's lifetime: at the trait, then at the type.
    ("E0478", "E0803"),
    // A trait that is missing: the layout that depends on it.
    ("E0277", "E0080"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ui-tests")
}

/// The names of the files with `extension` in `dir`, without that extension.
fn names(dir: &Path, extension: &str) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(dir) else {
        return BTreeSet::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// All failing programs, as `(area, mistake, path without extension)`.
fn mistakes() -> Vec<(&'static str, String, PathBuf)> {
    let mut all = Vec::new();
    for area in AREAS {
        for name in names(&root().join(area), "rs") {
            let path = root().join(area).join(&name);
            all.push((area, name, path));
        }
    }
    all
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The codes of the errors in a `.stderr`; the empty string where rustc has none, as for lifetimes.
fn codes(stderr: &str) -> BTreeSet<&str> {
    stderr
        .lines()
        .filter_map(|line| line.strip_prefix("error"))
        .filter(|rest| !rest.contains(": aborting due to"))
        .map(|rest| match rest.strip_prefix('[') {
            Some(code) => code.split(']').next().unwrap(),
            None => "",
        })
        .collect()
}

#[test]
fn what_must_not_compile_does_not_and_says_why() {
    trybuild::TestCases::new().compile_fail("ui-tests/*/*.rs");
}

#[test]
fn without_its_mistake_every_program_compiles() {
    trybuild::TestCases::new().pass("ui-tests/*/pass/*.rs");
}

#[test]
fn every_program_begins_with_its_rule_and_its_licence() {
    for (_, _, path) in mistakes() {
        let program = read(&path.with_extension("rs"));
        let mut lines = program.lines();
        let rule = lines.next().unwrap_or_default();
        assert!(
            rule.starts_with("// ") && rule.ends_with('.') && rule.len() > 40,
            "{}: the first line does not say the rule, but: {rule}",
            path.display()
        );
        assert_eq!(
            lines.next(),
            Some("// SPDX-License-Identifier: GPL-2.0-only OR MIT"),
            "{}",
            path.display()
        );
    }
}

#[test]
fn every_mistake_has_a_twin_without_it_and_the_reverse() {
    for area in AREAS {
        let mistakes = names(&root().join(area), "rs");
        assert_eq!(
            mistakes,
            names(&root().join(area).join("pass"), "rs"),
            "{area}"
        );
        assert_eq!(mistakes, names(&root().join(area), "stderr"), "{area}");
        assert!(mistakes.len() >= 4, "{area}: {mistakes:?}");
    }
}

#[test]
fn every_area_is_known() {
    let found: BTreeSet<_> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, AREAS.map(str::to_owned).into());
}

/// The code of a program, without its comments.
fn code(program: &str) -> impl Iterator<Item = &str> {
    let lines = program.lines().map(str::trim);
    lines.filter(|line| !line.starts_with("//"))
}

#[test]
fn a_twin_differs_by_a_few_lines() {
    for (area, name, path) in mistakes() {
        let twin = root().join(area).join("pass").join(&name);
        let (mistake, twin) = (
            read(&path.with_extension("rs")),
            read(&twin.with_extension("rs")),
        );
        assert_ne!(
            code(&mistake).collect::<Vec<_>>(),
            code(&twin).collect::<Vec<_>>(),
            "{area}/{name} is its own twin"
        );
        let (mistake, twin): (BTreeSet<_>, BTreeSet<_>) =
            (code(&mistake).collect(), code(&twin).collect());
        let differences: Vec<_> = mistake.symmetric_difference(&twin).collect();
        assert!(
            differences.len() <= 30,
            "{area}/{name} and its twin: {differences:#?}"
        );
    }
}

#[test]
fn every_error_is_about_the_one_mistake() {
    for (area, name, path) in mistakes() {
        let stderr = read(&path.with_extension("stderr"));
        let mut codes = codes(&stderr);
        for (first, second) in SAID_TWICE {
            if codes.contains(first) {
                codes.remove(second);
            }
        }
        assert_eq!(codes.len(), 1, "{area}/{name}: {codes:?}");
    }
}

#[test]
fn no_error_shows_a_hidden_name() {
    for (area, name, path) in mistakes() {
        if FROM_A_MACRO.contains(&format!("{area}/{name}").as_str()) {
            continue;
        }
        let stderr = read(&path.with_extension("stderr"));
        for hidden in HIDDEN {
            assert!(!stderr.contains(hidden), "{area}/{name} shows `{hidden}`");
        }
    }
}

/// A warning would be about something else than the mistake. The exception is rustc's opinion on
/// `mut`, which it gives because of the error.
#[test]
fn no_error_comes_with_a_warning() {
    for (area, name, path) in mistakes() {
        let stderr = read(&path.with_extension("stderr"));
        for line in stderr.lines().filter(|line| line.starts_with("warning")) {
            assert_eq!(
                line, "warning: variable does not need to be mutable",
                "{area}/{name}"
            );
        }
    }
}

#[test]
fn every_program_that_the_soundness_page_names_exists() {
    let page = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/soundness.md"));
    let mut named = 0;
    for part in page
        .split('`')
        .filter(|part| part.starts_with("ui-tests/") && part.ends_with(".rs"))
    {
        let path = root().parent().unwrap().join(part);
        assert!(path.exists(), "docs/soundness.md names {part}");
        named += 1;
    }
    assert!(named >= 10, "docs/soundness.md names only {named} programs");
}

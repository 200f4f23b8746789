// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `docs/soundness.md` points from each step to a test. The tests are there.

use std::{fs, path::Path};

fn read(file: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// What stands in backticks, outside code blocks.
fn quoted(page: &str) -> Vec<&str> {
    page.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_test_that_the_soundness_page_names_exists() {
    let page = read("docs/soundness.md");
    let tests = read("tests/teardown.rs")
        + &read("src/binding.rs")
        + &read("src/entrance.rs")
        + &read("src/poll.rs")
        + &read("src/timer.rs")
        + &read("src/work.rs");
    let sentence = |name: &&str| {
        name.matches('_').count() >= 2
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let named: Vec<&str> = quoted(&page).into_iter().filter(sentence).collect();
    for name in &named {
        assert!(
            tests.contains(&format!("fn {name}(")) || tests.contains(&format!("    {name}:")),
            "docs/soundness.md names the test {name}"
        );
    }
    assert!(
        named.len() >= 10,
        "docs/soundness.md names only {} tests",
        named.len()
    );
}

#[test]
fn every_mutant_is_explored_and_has_its_step_in_the_argument() {
    let mutants = read("src/mutants.rs");
    let (_, variants) = mutants
        .split_once("pub enum Mutant {")
        .expect("the mutants are an enum");
    let (variants, _) = variants.split_once("\n}").expect("the enum ends");
    let variants: Vec<&str> = variants
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//") && !line.is_empty())
        .map(|line| line.trim_end_matches(','))
        .filter(|variant| *variant != "None")
        .collect();
    assert!(variants.len() >= 10, "only {} mutants", variants.len());

    let page = read("docs/soundness.md");
    let tests = read("tests/mutants/tests/mutants.rs");
    let tests: Vec<&str> = tests.split_whitespace().collect();
    for variant in variants {
        assert!(
            page.contains(&format!("`{variant}`")),
            "docs/soundness.md does not say which step {variant} breaks"
        );
        assert!(
            tests.windows(2).any(|words| words == [variant, "is"]),
            "tests/mutants does not explore {variant}"
        );
    }
}

//! A corpus of four bugs, one for each verdict, and what is said if something about it is wrong.

use super::entries::{Corpus, MISTAKES};
use super::evidence::{Evidence, Report};
use super::page::{comparable, page, readme, Facts};
use super::programs::{Mistake, Programs};
use super::{checks, choose, plot, shown};
use std::collections::BTreeMap;

const REJECTED: &str = r#"
[[bug]]
id = "late-urb"
cve = "CVE-2023-52475"
commit = "5c15c60e7be6"
driver = "drivers/input/misc/powermate.c"
shape = """
irq URB -> config URB
disconnect kills the first
"""
verdict = "rejected"
program = "ui-tests/corpus/late.rs"
why = """
What the URB borrows
dies first."""
"#;

const IMPOSSIBLE: &str = r#"
[[bug]]
id = "no-place"
cve = ""
commit = "499e13aac6c7"
driver = "drivers/tty/goldfish.c"
shape = "irq -> data"
verdict = "impossible"
program = "cookie"
why = "There is no cookie to get wrong."
stands_in = "HID"
"#;

const REFUSED: &str = r#"
[[bug]]
id = "asked-too-late"
cve = "CVE-2024-1234"
commit = ""
driver = "drivers/hid/x.c"
shape = "timer -> work -> timer"
verdict = "refused"
program = "cycle"
why = "Starting it is refused."
"#;

const UNCOVERED: &str = r#"
[[bug]]
id = "dma-goes-on"
cve = "CVE-2024-1235"
commit = ""
driver = "drivers/dma/x.c"
shape = "the device writes"
verdict = "uncovered"
edge = "hardware"
needs = "a device that can be told to stop"
why = "The device is not code."
"#;

fn corpus_of(entries: &[&str]) -> Corpus {
    let mut corpus = Corpus::default();
    corpus.add("timer-after-free.toml", &entries.concat());
    corpus
}

fn all() -> [&'static str; 4] {
    [REJECTED, IMPOSSIBLE, REFUSED, UNCOVERED]
}

/// The corpus in which this entry says something else.
fn corpus_with(entry: &str, from: &str, to: &str) -> Corpus {
    assert!(entry.contains(from), "{from}");
    let other = entry.replace(from, to);
    corpus_of(&all().map(|each| match each == entry {
        true => other.as_str(),
        false => each,
    }))
}

fn programs() -> Programs {
    let modules = |names: &[&str], dir: &str| {
        let path = |name: &&str| (name.to_string(), format!("corpus/src/{dir}/{name}.rs"));
        names.iter().map(path).collect()
    };
    let late = Mistake {
        bugs: Some(vec!["late-urb".into()]),
        says: Some("error[E0597]: `x` does not live long enough".into()),
        has_twin: true,
    };
    Programs {
        mistakes: BTreeMap::from([("late".into(), late)]),
        shapes: modules(&["cookie", "cycle"], "shapes"),
        defects: modules(&["cycle_in_c"], "defects"),
    }
}

fn report(program: &str, bug: &str) -> Report {
    Report {
        program: program.into(),
        bugs: vec![bug.into()],
        ok: true,
        schedules: 3000,
        steps: 90_000,
        seconds: 0.5,
        reached: BTreeMap::new(),
        found: String::new(),
        variant: String::new(),
        seeds_median: None,
        seeds_found: None,
    }
}

fn evidence() -> Evidence {
    let mut evidence = Evidence::default();
    for path in ["late.rs", "pass/late.rs"] {
        let path = format!("{MISTAKES}/{path}");
        evidence.compiled.results.insert(path, "ok".into());
    }
    let mut cycle = report("cycle", "asked-too-late");
    cycle.reached.insert("refused: mod_timer".into(), 17);
    evidence.shapes.results = vec![report("cookie", "no-place"), cycle];
    let variants = [
        ("defect", "ran after it was freed | at once\n  more"),
        ("first fix", "still pending"),
        ("cure", ""),
    ];
    evidence.defects.results = variants
        .into_iter()
        .map(|(variant, found)| Report {
            found: found.into(),
            variant: variant.into(),
            seeds_median: (variant == "defect").then_some(41.0),
            seeds_found: (variant == "defect").then_some(25),
            ..report(&format!("cycle_in_c::{variant}"), "asked-too-late")
        })
        .collect();
    evidence
}

/// What is complained about, in the whole of it.
fn complaints(corpus: &Corpus, programs: &Programs, evidence: &Evidence) -> Vec<String> {
    let mut complaints = checks::before(corpus, programs);
    complaints.extend(checks::after(corpus, programs, evidence, None));
    complaints
}

/// There is exactly this one complaint, and it has all these words in it.
#[track_caller]
fn one(complaints: &[String], words: &[&str]) {
    assert_eq!(complaints.len(), 1, "{complaints:#?}");
    for word in words {
        assert!(complaints[0].contains(word), "{word}: {complaints:#?}");
    }
}

/// An entry that says something else is complained about, once, with its place.
#[track_caller]
fn entry_with(entry: &str, from: &str, to: &str, words: &[&str]) {
    let corpus = corpus_with(entry, from, to);
    one(&corpus.complaints, words);
    one(&corpus.complaints, &["corpus/bugs/timer-after-free.toml:"]);
}

#[track_caller]
fn with_programs(change: impl FnOnce(&mut Programs), words: &[&str]) {
    let mut programs = programs();
    change(&mut programs);
    one(
        &complaints(&corpus_of(&all()), &programs, &evidence()),
        words,
    );
}

#[track_caller]
fn with_evidence(change: impl FnOnce(&mut Evidence), words: &[&str]) {
    let mut evidence = evidence();
    change(&mut evidence);
    one(
        &complaints(&corpus_of(&all()), &programs(), &evidence),
        words,
    );
}

#[test]
fn a_corpus_in_which_everything_fits_is_not_complained_about() {
    let none: [String; 0] = [];
    assert_eq!(
        complaints(&corpus_of(&all()), &programs(), &evidence()),
        none
    );
}

// What an entry says.

#[test]
fn an_id_that_there_is_already_is_named_with_both_places() {
    let again = UNCOVERED.replace("dma-goes-on", "late-urb");
    let corpus = corpus_of(&[REJECTED, &again]);
    let words = [
        "toml:17: late-urb: there is this id already",
        "timer-after-free.toml:2: late-urb",
    ];
    one(&corpus.complaints, &words);
}

#[test]
fn an_entry_has_to_say_everything() {
    let entries = [
        (REJECTED, "id", "id = \"late-urb\""),
        (REJECTED, "cve", "cve = \"CVE-2023-52475\""),
        (REJECTED, "commit", "commit = \"5c15c60e7be6\""),
        (REFUSED, "driver", "driver = \"drivers/hid/x.c\""),
        (REFUSED, "shape", "shape = \"timer -> work -> timer\""),
        (REFUSED, "verdict", "verdict = \"refused\""),
        (REFUSED, "why", "why = \"Starting it is refused.\""),
        (REFUSED, "program", "program = \"cycle\""),
        (UNCOVERED, "edge", "edge = \"hardware\""),
    ];
    for (entry, field, line) in entries {
        entry_with(entry, line, "", &[&format!("has no {field}")]);
    }
}

#[test]
fn what_an_entry_says_is_not_empty() {
    entry_with(
        REFUSED,
        "Starting it is refused.",
        " ",
        &["asked-too-late", "its why is empty"],
    );
    entry_with(IMPOSSIBLE, "\"HID\"", "\"\"", &["stands_in is empty"]);
}

#[test]
fn everything_that_an_entry_lacks_is_said_at_once() {
    let corpus = corpus_of(&["[[bug]]\nid = \"x\"\n"]);
    assert_eq!(corpus.complaints.len(), 6, "{:#?}", corpus.complaints);
    assert!(corpus.complaints[0].contains("toml:1: x: has no driver"));
}

#[test]
fn an_unknown_verdict_is_shown_with_those_that_there_are() {
    entry_with(
        REFUSED,
        "\"refused\"",
        "\"harmless\"",
        &["harmless", "rejected, impossible, refused, uncovered"],
    );
}

#[test]
fn an_unknown_edge_is_shown_with_those_that_there_are() {
    entry_with(
        UNCOVERED,
        "\"hardware\"",
        "\"moon\"",
        &["moon", "hardware, subsystem, core-code, primitive"],
    );
}

#[test]
fn a_file_is_named_after_a_pattern() {
    let mut corpus = Corpus::default();
    corpus.add("timers.toml", REFUSED);
    one(&corpus.complaints, &["timers.toml", "rearm-cycle, "]);
}

#[test]
fn a_file_without_an_entry_is_complained_about() {
    one(&corpus_of(&[]).complaints, &["has no entries: remove it"]);
}

#[test]
fn numbers_and_names_of_a_wrong_form_are_complained_about() {
    for wrong in [
        "2023-52475",
        "CVE-23-52475",
        "CVE-2023-52",
        "CVE-2023-5247x",
    ] {
        entry_with(REJECTED, "CVE-2023-52475", wrong, &[wrong, "cve"]);
    }
    for wrong in ["5c15c6", "5C15C60E7BE6", "v6.6"] {
        entry_with(REJECTED, "5c15c60e7be6", wrong, &[wrong, "commit"]);
    }
    for wrong in ["Late urb", "late--urb", "late_urb"] {
        entry_with(REJECTED, "late-urb", wrong, &[wrong, "hyphens"]);
    }
    for wrong in ["powermate.c", "/drivers/x.c", "drivers/x", "drivers/a b.c"] {
        entry_with(
            REJECTED,
            "drivers/input/misc/powermate.c",
            wrong,
            &[wrong, "path"],
        );
    }
}

#[test]
fn a_bug_has_a_cve_or_a_commit() {
    entry_with(
        IMPOSSIBLE,
        "499e13aac6c7",
        "",
        &["no-place", "neither a cve nor a commit"],
    );
}

#[test]
fn a_program_has_the_form_that_its_verdict_asks_for() {
    entry_with(
        REJECTED,
        "ui-tests/corpus/late.rs",
        "ui-tests/timer/late.rs",
        &["ui-tests/timer/late.rs", "ui-tests/corpus/<mistake>.rs"],
    );
    entry_with(
        REFUSED,
        "\"cycle\"",
        "\"corpus/src/shapes/cycle.rs\"",
        &["name of a module"],
    );
}

#[test]
fn what_is_uncovered_has_no_program_and_says_what_it_needs() {
    entry_with(
        UNCOVERED,
        "edge =",
        "program = \"cycle\"\nedge =",
        &["dma-goes-on", "program all the same"],
    );
    entry_with(
        UNCOVERED,
        "edge =",
        "stands_in = \"HID\"\nedge =",
        &["nothing stands in"],
    );
    entry_with(
        UNCOVERED,
        "needs = \"a device that can be told to stop\"",
        "",
        &["has no needs"],
    );
}

#[test]
fn only_what_is_uncovered_has_an_edge() {
    entry_with(
        REFUSED,
        "program =",
        "edge = \"hardware\"\nprogram =",
        &["edge and needs are for what is uncovered"],
    );
}

#[test]
fn what_is_no_toml_is_shown_with_its_line_and_nothing_else_is_said_of_that_file() {
    let corpus = corpus_with(REFUSED, "verdict = ", "verdict ");
    one(
        &corpus.complaints,
        &["timer-after-free.toml:34:", "mend it"],
    );
    let corpus = corpus_with(REFUSED, "verdict = ", "vedict = ");
    one(
        &complaints(&corpus, &programs(), &evidence()),
        &["timer-after-free.toml:34:", "vedict", "`verdict`"],
    );
}

#[test]
fn a_directory_without_entries_is_complained_about() {
    let dir = tempfile::tempdir().unwrap();
    let error = super::entries::read(dir.path()).unwrap_err().to_string();
    assert!(error.contains("cannot read corpus/bugs"), "{error}");
    std::fs::create_dir_all(dir.path().join("corpus/bugs")).unwrap();
    let corpus = super::entries::read(dir.path()).unwrap();
    one(&corpus.complaints, &["no entries: write the first"]);
    std::fs::write(dir.path().join("corpus/bugs/miscdev.toml"), REFUSED).unwrap();
    let corpus = super::entries::read(dir.path()).unwrap();
    assert_eq!(corpus.bugs[0].pattern.name(), "miscdev");
}

// Entries and programs.

#[test]
fn a_program_that_does_not_exist_is_named() {
    let mut programs = programs();
    programs.shapes.remove("cookie");
    let mut evidence = evidence();
    evidence.shapes.results.remove(0);
    one(
        &complaints(&corpus_of(&all()), &programs, &evidence),
        &["no-place", "does not exist", "no module cookie"],
    );
    // Whatever has run under that name.
    let complaints = complaints(&corpus_of(&all()), &programs, &self::evidence());
    assert_eq!(complaints.len(), 2, "{complaints:#?}");
}

#[test]
fn a_mistake_needs_its_twin_and_its_messages() {
    let late = |programs: &mut Programs| programs.mistakes.remove("late").unwrap();
    with_programs(
        |programs| drop(late(programs)),
        &["late-urb", "does not exist: ui-tests/corpus/late.rs"],
    );
    with_programs(
        |programs| {
            let mistake = Mistake {
                has_twin: false,
                ..late(programs)
            };
            programs.mistakes.insert("late".into(), mistake);
        },
        &["late-urb", "no twin", "ui-tests/corpus/pass/late.rs"],
    );
    with_programs(
        |programs| {
            let mistake = Mistake {
                says: None,
                ..late(programs)
            };
            programs.mistakes.insert("late".into(), mistake);
        },
        &["late-urb", "late.stderr", "cargo xtask bless"],
    );
}

#[test]
fn a_program_and_its_entries_name_each_other() {
    let bugs = |ids: &[&str]| {
        let ids = ids.iter().map(|id| id.to_string()).collect();
        move |programs: &mut Programs| {
            programs.mistakes.get_mut("late").unwrap().bugs = Some(ids);
        }
    };
    with_programs(bugs(&[]), &["late-urb", "does not name it back"]);
    with_programs(
        bugs(&["late-urb", "later-urb"]),
        &["late.rs names later-urb", "no such entry"],
    );
    with_programs(
        bugs(&["late-urb", "no-place"]),
        &["no-place", "late.rs names it, and is not its program"],
    );
}

#[test]
fn a_program_without_a_list_of_bugs_is_told_how_to_give_one() {
    let mut programs = programs();
    programs.mistakes.get_mut("late").unwrap().bugs = None;
    let complaints = checks::before(&corpus_of(&all()), &programs);
    assert_eq!(complaints.len(), 2, "{complaints:#?}");
    assert!(complaints[1].contains("// Corpus: id, id."));
}

#[test]
fn a_program_that_no_entry_uses_is_named() {
    with_programs(
        |programs| {
            let mistake = Mistake {
                bugs: Some(Vec::new()),
                ..Mistake::default()
            };
            programs.mistakes.insert("alone".into(), mistake);
        },
        &["ui-tests/corpus/alone.rs is the evidence of no entry"],
    );
    with_programs(
        |programs| {
            let path = "corpus/src/shapes/alone.rs".to_owned();
            programs.shapes.insert("alone".into(), path);
        },
        &["corpus/src/shapes/alone.rs is the evidence of no entry"],
    );
}

#[test]
fn the_program_of_an_entry_that_is_wrong_otherwise_is_not_called_unused() {
    let corpus = corpus_with(REJECTED, "CVE-2023-52475", "x");
    one(
        &complaints(&corpus, &programs(), &evidence()),
        &["late-urb", "cve"],
    );
}

// Entries and evidence.

#[test]
fn evidence_that_did_not_run_is_named() {
    with_evidence(
        |evidence| {
            drop(
                evidence
                    .compiled
                    .results
                    .remove("ui-tests/corpus/pass/late.rs"),
            )
        },
        &["late-urb: ui-tests/corpus/pass/late.rs did not run"],
    );
    with_evidence(
        |evidence| drop(evidence.shapes.results.remove(0)),
        &["no-place: the shape cookie did not run"],
    );
    with_evidence(
        |evidence| evidence.defects.results.clear(),
        &["none of the drivers in corpus/src/defects has run"],
    );
}

#[test]
fn a_program_that_is_no_longer_rejected_as_before_is_named_with_all_that_rely_on_it() {
    let more = REJECTED.replace("late-urb", "later-urb");
    let mut corpus = corpus_of(&all());
    corpus.add("miscdev.toml", &more);
    let mut programs = programs();
    let ids = vec!["late-urb".to_owned(), "later-urb".to_owned()];
    programs.mistakes.get_mut("late").unwrap().bugs = Some(ids);
    for word in ["mismatch", "error"] {
        let mut evidence = evidence();
        let path = "ui-tests/corpus/late.rs".to_owned();
        evidence.compiled.results.insert(path, word.into());
        one(
            &complaints(&corpus, &programs, &evidence),
            &["late-urb, later-urb: ", "not rejected as before", word],
        );
    }
}

#[test]
fn a_twin_that_does_not_compile_is_named() {
    with_evidence(
        |evidence| {
            let path = "ui-tests/corpus/pass/late.rs".to_owned();
            evidence.compiled.results.insert(path, "error".into());
        },
        &["late-urb", "pass/late.rs does not compile"],
    );
}

#[test]
fn what_was_found_in_a_shape_is_shown_with_all_that_rely_on_it() {
    with_evidence(
        |evidence| {
            evidence.shapes.results[0].ok = false;
            evidence.shapes.results[0].found = "irq 24: still running\n  more".into();
        },
        &["no-place", "shape cookie", "irq 24: still running;"],
    );
}

#[test]
fn what_is_refused_has_to_reach_a_refusal() {
    with_evidence(
        |evidence| {
            let reached = &mut evidence.shapes.results[1].reached;
            reached.insert("refused: mod_timer".into(), 0);
            reached.insert("unbound".into(), 3000);
        },
        &["asked-too-late", "shape cycle reached no mark"],
    );
}

#[test]
fn a_shape_that_explored_no_schedule_shows_nothing() {
    with_evidence(
        |evidence| evidence.shapes.results[0].schedules = 0,
        &["no-place", "explored no schedule"],
    );
}

#[test]
fn a_shape_and_its_entries_name_each_other() {
    with_evidence(
        |evidence| evidence.shapes.results[0].bugs.clear(),
        &["no-place", "does not name it back"],
    );
    with_evidence(
        |evidence| evidence.shapes.results[0].bugs.push("gone".into()),
        &["the shape cookie names gone, and there is no such entry"],
    );
    with_evidence(
        |evidence| evidence.shapes.results[0].bugs.push("late-urb".into()),
        &[
            "late-urb",
            "the shape cookie names it, and is not its program",
        ],
    );
}

#[test]
fn a_defect_that_is_not_found_any_more_is_named_with_its_bugs() {
    with_evidence(
        |evidence| evidence.defects.results[0].ok = false,
        &["cycle_in_c::defect, of asked-too-late, is not as it was"],
    );
    with_evidence(
        |evidence| evidence.defects.results[0].variant = "defekt".into(),
        &["cycle_in_c::defect does not say whether"],
    );
    with_evidence(
        |evidence| evidence.defects.results[0].bugs = vec!["gone".into()],
        &["cycle_in_c::defect names gone"],
    );
}

#[test]
fn a_run_that_brings_nothing_is_one_complaint() {
    with_evidence(
        |evidence| {
            evidence.shapes.results.clear();
            evidence.shapes.failure = Some("cargo test: it does not compile".into());
        },
        &["it does not compile"],
    );
}

#[test]
fn a_run_that_failed_is_complained_about_even_if_all_its_results_are_good() {
    with_evidence(
        |evidence| evidence.compiled.failure = Some("cargo test: exit status 101".into()),
        &["exit status 101"],
    );
}

#[test]
fn of_chosen_bugs_only_their_own_evidence_is_asked_for() {
    let corpus = corpus_of(&all());
    let mut evidence = evidence();
    evidence.compiled.results.clear();
    evidence.defects.results.clear();
    let chosen = choose(&corpus.bugs, &["asked".into()]).unwrap();
    let none: [String; 0] = [];
    assert_eq!(
        checks::after(&corpus, &programs(), &evidence, Some(&chosen)),
        none
    );
    let text = shown(&chosen[0], &programs(), &evidence);
    for words in [
        "asked-too-late",
        "timer -> work",
        "3,000",
        "17  refused: mod_timer",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn bugs_are_chosen_by_parts_of_ids_and_by_patterns() {
    let bugs = corpus_of(&all()).bugs;
    let chosen = |name: &str| choose(&bugs, &[name.to_owned()]).map(|bugs| bugs.len());
    assert_eq!(chosen("late").unwrap(), 2);
    assert_eq!(chosen("timer-after-free").unwrap(), 4);
    let error = chosen("nobody").unwrap_err().to_string();
    assert!(error.contains("`nobody`") && error.contains("rearm-cycle"));
}

// What is written.

fn written(change: impl FnOnce(&mut Evidence)) -> String {
    let corpus = corpus_of(&all());
    let mut evidence = evidence();
    change(&mut evidence);
    page(&Facts {
        bugs: &corpus.bugs,
        programs: &programs(),
        evidence: &evidence,
    })
}

#[test]
fn the_page_has_each_bug_with_its_verdict_and_a_link_to_what_shows_it() {
    let page = written(|_| {});
    for words in [
        "#### late-urb\n\n`drivers/input/misc/powermate.c` · [CVE-2023-52475](",
        "    irq URB -> config URB\n    disconnect kills the first\n",
        "**Rejected.** What the URB borrows dies first.\n",
        "[rustc says](../ui-tests/corpus/late.stderr) `` error[E0597]: `x` does",
        "[`cookie.rs`](../corpus/src/shapes/cookie.rs), under 3,000 schedules. Stand-in: HID.",
        "schedules, which came to \"refused: mod_timer\".",
        "[Written as in C](../corpus/src/defects/cycle_in_c.rs)",
        "## Not covered\n\n1 bug: 1 for what the hardware does.",
        "Needed: a device that can be told to stop.\n",
        "| [timer-after-free](#timer-after-free) | 1 | 1 | 1 | 1 | 4 | 1 |",
        "- **1 of the 3 verdicts on bugs that are covered rest on a stand-in.**",
        "what the object is: HID (1).",
        "The one first fix would have been caught.",
        "| 3,000 (41) | 3,000 | 3,000 | ran after it was freed \\| at once; first fix: still pending | 500.0 ms |",
    ] {
        assert!(page.contains(words), "{words}\n\n{page}");
    }
}

#[test]
fn a_shape_of_long_lines_is_wrapped_and_keeps_its_own() {
    let shape = format!("remove() frees\\n  {}end", "irq -> work; ".repeat(9));
    let corpus = corpus_with(REFUSED, "timer -> work -> timer", &shape);
    let page = page(&Facts {
        bugs: &corpus.bugs,
        programs: &programs(),
        evidence: &evidence(),
    });
    assert!(
        page.contains("\n    remove() frees\n      irq ->"),
        "{page}"
    );
    assert!(page.contains("work;\n        irq -> work; end\n"), "{page}");
}

#[test]
fn a_page_with_other_times_counts_as_the_same_and_with_other_schedules_does_not() {
    let here = comparable(&written(|_| {}));
    let slower = written(|evidence| evidence.defects.results[0].seconds = 9.0);
    let luckier = written(|evidence| evidence.defects.results[0].schedules = 9);
    assert!(slower.contains("9.0 s"));
    assert_eq!(comparable(&slower), here);
    assert_ne!(comparable(&luckier), here);
    // Other tables are compared to their last column.
    assert!(here.contains("| 4 | 1 |"));
}

#[test]
fn the_readme_has_the_totals_and_the_edges_and_is_otherwise_left_alone() {
    let corpus = corpus_of(&all());
    let facts = Facts {
        bugs: &corpus.bugs,
        programs: &programs(),
        evidence: &evidence(),
    };
    let before = "# x\n<!-- corpus:begin -->\nold\n<!-- corpus:end -->\n\nrest\n";
    let after = readme(before, &facts).unwrap();
    let words = after.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("Of 4 real bugs, 1 is rejected by the compiler, 1 is impossible to write, and 1 is refused when the call is made. 1 is not covered: 1 for what the hardware does. Of the 3 that are covered, 1 is shown with a stand-in:"), "{after}");
    assert!(after.starts_with("# x\n<!-- corpus:begin -->\n**Held"));
    assert!(after.ends_with("\n<!-- corpus:end -->\n\nrest\n"));
    assert!(after.lines().all(|line| line.len() <= 105));
    assert_eq!(readme(&after, &facts).unwrap(), after);
    assert_eq!(readme("# x\n", &facts), None);
}

#[test]
fn the_picture_has_a_bar_for_each_pattern_and_is_drawn_the_same_each_time() {
    let corpus = corpus_of(&all());
    let facts = Facts {
        bugs: &corpus.bugs,
        programs: &programs(),
        evidence: &evidence(),
    };
    let picture = plot::svg(&facts).unwrap();
    for words in ["timer-after-free", "rejected 1", "uncovered 1", "#FFFFFF"] {
        assert!(picture.contains(words), "{words}: {picture}");
    }
    assert_eq!(plot::svg(&facts).unwrap(), picture);
}

//! `cargo xtask bench linux`: the same work in C, in Linux's Rust and with devscope, measured inside
//! a kernel without debugging options.
//!
//! Two passes. Under QEMU's icount with one CPU, the guest's time is the number of instructions
//! executed, so numbers are exact and repeat anywhere. On two CPUs without icount time passes as it
//! does on the host; of that, only ratios within one boot are told.
//!
//! With `--inline-helpers` it is another kernel, in which Rust does not call the C helpers that Linux has
//! for it, but has them compiled in. Instructions are what that changes, so there is no second pass.
//!
//! What is measured is said by the modules of `linux/bench/`, a line for each row; here it is read,
//! checked, and shown. A row that measured nothing is an error.
//!
//! Before that, each of the modules in which edu is written is asked the same, in a boot of its own: the
//! sizes of drivers that do not do the same are not compared.

mod page;
mod rows;
mod targets;
mod text;

use self::page::Found;
use self::rows::Pass;
use self::text::{Sizes, EDU};
use crate::boot::Accelerator;
use crate::judge::{Expects, GuestCase, Judged};
use crate::kernel::Recipe;
use crate::module::{Built, Module};
use crate::progress::Step;
use crate::suite::Verdict;
use crate::tools::Llvm;
use crate::vm::{Prepare, Work};
use anyhow::{bail, Result};
use clap::Args;
use serde_json::json;
use std::fs;

/// The kernel that drivers are measured in.
const KERNEL: Recipe = Recipe {
    config: &["linux/bench/kernel.config"],
    llvm: Llvm::Usual,
};
/// The same, with the kernel's helpers inlined into Rust.
const WITH_INLINE_HELPERS: Recipe = Recipe {
    config: &[
        "linux/bench/kernel.config",
        "linux/bench/inline-helpers.config",
    ],
    llvm: Llvm::OfRustc,
};
/// As the modules call them.
pub const COLUMNS: [&str; 3] = ["c", "rust", "devscope"];

#[derive(Args)]
pub struct Linux {
    /// Count instructions only: leave out the pass on two CPUs
    #[arg(long)]
    counted_only: bool,
    /// With the kernel's C helpers inlined into Rust (CONFIG_RUST_INLINE_HELPERS): another kernel,
    /// compiled by the LLVM that rustc has; counts instructions only
    #[arg(long)]
    inline_helpers: bool,
    /// Rewrite docs/performance.md, but for its part on the hosted kernel, and the plots beside it;
    /// with --inline-helpers, the section about them and nothing else
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    how: Prepare,
}

pub fn run(asked: &Linux) -> Result<()> {
    let (verb, kernel) = match asked.inline_helpers {
        false => ("bench", KERNEL),
        true => ("bench-inline-helpers", WITH_INLINE_HELPERS),
    };
    let work = Work::begin_with(verb, &asked.how, &kernel)?;
    let mut modules: Vec<_> = COLUMNS.map(Module::bench).into();
    modules.push(Module::example("edu"));
    modules.extend(["edu_c", "edu_rust"].map(Module::bench));
    let built = work.modules(&modules)?;
    let answers = EDU.map(|(_, module, _)| case("answers", module));
    boot(
        &work,
        &built,
        Accelerator::Tcg,
        &answers,
        "edu, asked the same three times",
        "edu",
    )?;
    let mut accelerators = vec![Accelerator::Counting];
    if !asked.counted_only && !asked.inline_helpers {
        accelerators.push(Accelerator::Tcg);
    }
    let columns = COLUMNS.map(|column| case("bench", column));
    let mut passes = Vec::new();
    for accelerator in accelerators {
        let name = passes.len().to_string();
        let judged = boot(&work, &built, accelerator, &columns, "measuring", &name)?;
        let lines = judged.iter().flat_map(|judged| &judged.lines);
        passes.push(Pass::read(lines, accelerator.name())?);
    }
    let found = Found {
        made_with: work.ready.made_with()?,
        passes,
        sizes: Sizes::of(&built, &work.ready.tools)?,
    };
    let results = work.dir.join("linux.json");
    let text = json!({
        "made_with": found.made_with,
        "passes": found.passes.iter().map(Pass::json).collect::<Vec<_>>(),
        "text": found.sizes.json(),
    });
    fs::write(&results, serde_json::to_string_pretty(&text)? + "\n")?;
    println!("{}\nresults: {}", found.text(), results.display());
    for pass in &found.passes {
        pass.check()?;
    }
    if asked.write {
        let page = work.repository.join("docs/performance.md");
        match asked.inline_helpers {
            false => found.write(&page)?,
            true => found.write_with_inline_helpers(&page)?,
        }
    }
    Ok(())
}

/// Runs cases, all of which have to be good. The log is in `serial-<name>`.
fn boot(
    work: &Work,
    built: &Built,
    accelerator: Accelerator,
    cases: &[GuestCase],
    what: &str,
    name: &str,
) -> Result<Vec<Judged>> {
    let lab = work.lab_with(built, &[], accelerator, 0)?;
    let mut step = Step::start(format!("{what}, {}", accelerator.name()));
    let judged = lab.run(cases, &mut step)?;
    // The next boot makes its own.
    let logs = work.dir.join(format!("serial-{name}"));
    let _ = fs::remove_dir_all(&logs);
    fs::rename(work.logs(), &logs)?;
    step.note(&format!("serial log: {}", logs.display()));
    let bad: Vec<_> = judged
        .iter()
        .filter_map(|judged| match &judged.verdict {
            Verdict::Bad(why) => Some(format!("{}: {why}", judged.case.full_name())),
            Verdict::Good(_) => None,
        })
        .collect();
    if !bad.is_empty() {
        bail!("{}", bad.join("\n"));
    }
    step.done("");
    Ok(judged)
}

fn case(suite: &'static str, name: &'static str) -> GuestCase {
    GuestCase {
        suite,
        name,
        expects: Expects::Silence,
    }
}

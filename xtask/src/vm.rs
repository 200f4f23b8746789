//! `cargo xtask vm`: from nothing to a driver that ran on real Linux.

use crate::boot::Accelerator;
use crate::cache::{self, Cache};
use crate::command::output_of;
use crate::judge::{Expects, GuestCase};
use crate::kernel::{Kernel, Recipe};
use crate::module::{self, Built, Module};
use crate::progress::Step;
use crate::serial::Account;
use crate::source::Source;
use crate::suite::{self, Outcome, Verdict};
use crate::test::{compiled, outcomes, Lab, Suite};
use crate::tools::{Install, Llvm, Tools, QEMU};
use crate::{guest, mutants, paths};
use anyhow::{anyhow, bail, Result};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The drivers that the guest's program knows how to use.
const RUNNABLE: [&str; 1] = ["edu"];

/// The kernel that judges drivers.
const JUDGE: Recipe = Recipe {
    config: &["linux/kernel.config"],
    llvm: Llvm::Usual,
};

#[derive(Subcommand)]
pub enum Verb {
    /// Prepare everything that is slow: programs, the kernel's source, the kernel
    Prepare(Prepare),
    /// Prepare, then build every driver of `examples/` as a kernel module
    Build(Prepare),
    /// Prepare, then build a driver of `examples/`, and run it in a virtual machine
    Run(Run),
    /// Prepare, then run suites on real Linux; all of them if none is named
    Test(Test),
    /// Prepare, then run drivers whose teardown makes a mistake, until the kernel reports it
    Mutants(Mutants),
}

#[derive(Args)]
pub struct Prepare {
    /// A Linux tree to build (7.3 or later), instead of Debian's
    #[arg(long, value_name = "DIR")]
    linux: Option<PathBuf>,
    /// Install missing packages without asking
    #[arg(long, conflicts_with = "no_install")]
    yes: bool,
    /// Never install packages; say what is missing
    #[arg(long)]
    no_install: bool,
}

#[derive(Args)]
pub struct Run {
    /// The driver: `edu` is `examples/edu/driver.rs`
    #[arg(value_parser = RUNNABLE)]
    driver: String,
    /// How often the driver is taken away while everything is in use
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    cycles: u32,
    /// Use the host's hardware virtualisation; without it, QEMU emulates
    #[arg(long)]
    kvm: bool,
    #[command(flatten)]
    how: Prepare,
}

#[derive(Args)]
pub struct Test {
    #[arg(value_name = "SUITE")]
    suites: Vec<Suite>,
    /// How often the driver is taken away in a storm
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    cycles: u32,
    /// Use the host's hardware virtualisation; without it, QEMU emulates
    #[arg(long)]
    kvm: bool,
    #[command(flatten)]
    how: Prepare,
}

#[derive(Args)]
pub struct Mutants {
    /// The mistakes, as `src/mutants.rs` names them; all of them if none is named
    #[arg(value_name = "MUTANT")]
    names: Vec<String>,
    /// How long each may go on without being noticed
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    #[command(flatten)]
    how: Prepare,
}

impl Prepare {
    fn install(&self) -> Install {
        match (self.yes, self.no_install) {
            (true, _) => Install::Yes,
            (_, true) => Install::No,
            _ => Install::Ask,
        }
    }
}

pub fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Prepare(how) => prepare(&how, &JUDGE).map(drop),
        Verb::Build(how) => build(&how),
        Verb::Run(run) => drive(&run),
        Verb::Test(asked) => test(&asked),
        Verb::Mutants(asked) => mutants(&asked),
    }
}

fn build(how: &Prepare) -> Result<()> {
    let work = Work::begin("build", how)?;
    work.modules(&module::all(&work.repository)?)?;
    Ok(())
}

fn drive(run: &Run) -> Result<()> {
    let name = run.driver.as_str();
    let accelerator = accelerator(run.kvm)?;
    let work = Work::begin("run", &run.how)?;
    let built = work.modules(&[Module::example(name)])?;
    let lab = work.lab(&built, accelerator, run.cycles)?;
    let case = GuestCase {
        suite: "storm",
        name: "edu",
        expects: Expects::Silence,
    };
    let mut step = Step::start("virtual machine");
    step.note(&format!("serial logs: {}", lab.logs.display()));
    let judged = lab.run(&[case], &mut step)?;
    let mut account = Account::default();
    for judged in judged {
        if let Verdict::Bad(why) = judged.verdict {
            bail!("{name} on Linux: {why}");
        }
        judged.lines.iter().for_each(|line| account.hear(line));
    }
    step.done("");
    let kernel = &work.ready.source.tree.version;
    println!(
        "{}",
        summary(name, kernel, accelerator, run.cycles, &account)?
    );
    Ok(())
}

fn test(asked: &Test) -> Result<()> {
    let started = Instant::now();
    let accelerator = accelerator(asked.kvm)?;
    let suites = if asked.suites.is_empty() {
        Suite::value_variants()
    } else {
        &asked.suites
    };
    let work = Work::begin("test", &asked.how)?;
    let outcomes = work.test(suites, accelerator, asked.cycles)?;
    let results = work.dir.join("results.json");
    let about = json!({
        "linux": work.ready.source.tree.version.to_string(),
        "accelerator": accelerator.name(),
        "storm_cycles": asked.cycles,
        "seconds": started.elapsed().as_secs_f64(),
    });
    suite::write_json(&results, about, &outcomes)?;
    println!(
        "\nLinux {}, accelerator {}:\n\n{}\n\nresults: {}\nserial logs: {}",
        work.ready.source.tree.version,
        accelerator.name(),
        suite::table(&outcomes),
        results.display(),
        work.logs().display(),
    );
    let complaints = suite::complaints(&outcomes);
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n\n"));
    }
    Ok(())
}

fn mutants(asked: &Mutants) -> Result<()> {
    let all = mutants::all(&paths::repository())?;
    let chosen = mutants::choose(&all, &asked.names)?;
    let work = Work::begin("mutants", &asked.how)?;
    let built = work.modules(&mutants::DRIVERS.map(Module::mutant))?;
    let mut lab = work.lab(&built, Accelerator::Tcg, u32::MAX)?;
    lab.limit = Some(Duration::from_secs(60 * asked.minutes));
    println!("{}", mutants::table(&chosen, &mut lab)?);
    println!("serial logs: {}", work.logs().display());
    Ok(())
}

fn accelerator(kvm: bool) -> Result<Accelerator> {
    if kvm && !Path::new("/dev/kvm").exists() {
        bail!("--kvm was given, and this machine has no /dev/kvm\n  without --kvm, QEMU emulates: slower, and it works anywhere");
    }
    Ok(if kvm {
        Accelerator::Kvm
    } else {
        Accelerator::Tcg
    })
}

/// What a good run did, from its own words. One that did less than it was asked to is not good.
fn summary(
    name: &str,
    kernel: &str,
    accelerator: Accelerator,
    cycles: u32,
    account: &Account,
) -> Result<String> {
    let said = |key: &str| {
        account.get(key).ok_or_else(|| {
            anyhow!("devscope bug: the guest says that all is well, and never said `{key}=`")
        })
    };
    let unbinds = said("unbinds")?;
    if unbinds != cycles.to_string() {
        bail!("devscope bug: {cycles} unbinds were asked for, and the guest counted {unbinds}");
    }
    if account.number("kernel_interrupts").unwrap_or(0) == 0 || account.number("leaks") != Some(0) {
        bail!(
            "devscope bug: the guest says that all is well, and has seen no interrupt, or a leak"
        );
    }
    Ok(format!(
        "\n{name} on Linux {kernel} (accelerator {}):\n  \
         {unbinds} unbinds under a storm of interrupts, each with programs holding the node, waiting in read() and in poll()\n  \
         {} interrupts in the driver, {} in /proc/interrupts\n  \
         all came back with ENODEV or a hang-up, old files answered ENODEV\n  \
         unload refused while a file was open: {}\n  \
         no report (KASAN, lockdep, debug objects, kmemleak)",
        accelerator.name(),
        said("interrupts")?,
        said("kernel_interrupts")?,
        said("refused_to_unload")?,
    ))
}

/// Everything that a module is built with.
pub struct Ready {
    pub tools: Tools,
    pub source: Source,
    pub kernel: Kernel,
}

impl Ready {
    /// Versions of all that decides what a machine executes.
    pub fn made_with(&self) -> Result<String> {
        let qemu = output_of(Command::new(QEMU).arg("--version"))?;
        let qemu = qemu.lines().next().unwrap_or_default();
        Ok(format!(
            "Linux {}; rustc {}; {}; {qemu}",
            self.source.tree.version,
            self.tools.rustc_release(),
            self.tools.clang(),
        ))
    }
}

fn prepare(how: &Prepare, recipe: &Recipe) -> Result<Ready> {
    let cache = Cache::open()?;
    let tools = Tools::prepare(&cache, how.install(), recipe.llvm)?;
    let source = Source::prepare(&cache, &tools, how.linux.as_deref())?;
    let kernel = Kernel::prepare(&cache, &tools, &source, recipe, &paths::repository())?;
    Ok(Ready {
        tools,
        source,
        kernel,
    })
}

/// A run of one verb: what it works with, and where it leaves what it makes.
pub struct Work {
    pub repository: PathBuf,
    pub dir: PathBuf,
    pub ready: Ready,
    _lock: cache::Lock,
}

impl Work {
    fn begin(verb: &str, how: &Prepare) -> Result<Self> {
        Self::begin_with(verb, how, &JUDGE)
    }

    /// With another kernel.
    pub fn begin_with(verb: &str, how: &Prepare, recipe: &Recipe) -> Result<Self> {
        let dir = paths::target().join("vm").join(verb);
        fs::create_dir_all(&dir)?;
        let lock = cache::lock(&dir.join("lock"), &mut Step::quiet())?;
        Ok(Self {
            repository: paths::repository(),
            dir,
            ready: prepare(how, recipe)?,
            _lock: lock,
        })
    }

    pub fn logs(&self) -> PathBuf {
        self.dir.join("serial")
    }

    pub fn modules(&self, modules: &[Module]) -> Result<Built> {
        let names: Vec<_> = modules.iter().map(|module| module.name.as_str()).collect();
        let mut step = Step::start("modules");
        step.say(names.join(", "));
        let Ready {
            tools,
            source,
            kernel,
        } = &self.ready;
        let built = module::build(
            &self.repository,
            tools,
            source,
            kernel,
            modules,
            &self.dir,
            &mut step,
        )?;
        let warnings = match built.warnings {
            0 => String::new(),
            n => format!("; {n} warnings, see {}", built.log.display()),
        };
        step.done(&format!("{}{warnings}", names.join(", ")));
        Ok(built)
    }

    /// Everything for booting machines with these modules.
    fn lab(&self, modules: &Built, accelerator: Accelerator, cycles: u32) -> Result<Lab> {
        self.lab_with(modules, guest::OF_THE_KERNEL, accelerator, cycles)
    }

    /// The same, with these modules of the kernel's own.
    pub fn lab_with(
        &self,
        modules: &Built,
        of_the_kernel: &[&str],
        accelerator: Accelerator,
        cycles: u32,
    ) -> Result<Lab> {
        let mut step = Step::start("guest");
        let program = guest::program(&self.repository, &self.dir, &mut step)?;
        let initramfs = self.dir.join("initramfs");
        guest::file_system(
            &self.repository,
            &program,
            modules,
            (&self.ready.kernel.build, of_the_kernel),
            &initramfs,
        )?;
        let logs = self.logs();
        // Logs of an earlier run would be taken for this one's.
        if logs.exists() {
            fs::remove_dir_all(&logs)?;
        }
        fs::create_dir_all(&logs)?;
        step.done("");
        Ok(Lab {
            kernel: self.ready.kernel.image(),
            initramfs,
            accelerator,
            cycles,
            mutant: None,
            limit: None,
            logs,
        })
    }

    fn test(
        &self,
        suites: &[Suite],
        accelerator: Accelerator,
        cycles: u32,
    ) -> Result<Vec<Outcome>> {
        let mut found = compiled(suites, &self.ready, &self.dir);
        let cases: Vec<_> = suites.iter().flat_map(|suite| suite.cases()).collect();
        if !cases.is_empty() {
            let built = self.modules(&module::all(&self.repository)?)?;
            let lab = self.lab(&built, accelerator, cycles)?;
            let mut step = Step::start("virtual machines");
            step.note(&format!("serial logs: {}", lab.logs.display()));
            let judged = lab.run(&cases, &mut step)?;
            step.done(&format!("{} cases", judged.len()));
            found.extend(outcomes(suites, judged));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(words: &str) -> Account {
        let mut account = Account::default();
        account.hear(&format!("[    1.0] guest: {words}"));
        account
    }

    const GOOD: &str =
        "unbinds=20 interrupts=9000 kernel_interrupts=9100 refused_to_unload=yes leaks=0";

    #[test]
    fn the_summary_says_what_ran() {
        let text = summary("edu", "7.3.4", Accelerator::Tcg, 20, &account(GOOD)).unwrap();
        for part in [
            "Linux 7.3.4",
            "accelerator tcg",
            "20 unbinds",
            "9000 interrupts",
            "no report",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_run_that_did_less_is_not_good() {
        for less in ["unbinds=19", "kernel_interrupts=0", "leaks=1"] {
            let said = account(&format!("{GOOD} {less}"));
            assert!(
                summary("edu", "7.3.4", Accelerator::Tcg, 20, &said).is_err(),
                "{less}"
            );
        }
        assert!(summary("edu", "7.3.4", Accelerator::Tcg, 20, &account("unbinds=20")).is_err());
    }
}

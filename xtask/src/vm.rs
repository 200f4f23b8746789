//! `cargo xtask vm`: from nothing to a driver that ran on real Linux.

use crate::boot::{Accelerator, Machine};
use crate::cache::{self, Cache};
use crate::kernel::Kernel;
use crate::progress::Step;
use crate::serial::Account;
use crate::source::Source;
use crate::tools::{Install, Tools};
use crate::{guest, module, paths};
use anyhow::{anyhow, bail, Result};
use clap::{Args, Subcommand};
use std::fs;
use std::path::{Path, PathBuf};

/// The drivers that the guest's program knows how to use.
const RUNNABLE: [&str; 1] = ["edu"];

#[derive(Subcommand)]
pub enum Verb {
    /// Prepare everything that is slow: programs, the kernel's source, the kernel
    Prepare(Prepare),
    /// Prepare, then build every driver of `examples/` as a kernel module
    Build(Prepare),
    /// Prepare, then build a driver of `examples/`, and run it in a virtual machine
    Run(Run),
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
        Verb::Prepare(how) => prepare(&how).map(drop),
        Verb::Build(how) => build(&how),
        Verb::Run(run) => drive(&run),
    }
}

fn build(how: &Prepare) -> Result<()> {
    let repository = paths::repository();
    let ready = prepare(how)?;
    for name in drivers(&repository)? {
        let dir = paths::target().join("vm").join(&name);
        let _lock = cache::lock(&dir.join("lock"), &mut Step::quiet())?;
        ready.module(&repository, &name, &dir)?;
    }
    Ok(())
}

/// The examples that have a driver for both worlds.
fn drivers(repository: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(repository.join("examples"))? {
        let entry = entry?;
        if entry.path().join("driver.rs").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn drive(run: &Run) -> Result<()> {
    let repository = paths::repository();
    let name = run.driver.as_str();
    if run.kvm && !Path::new("/dev/kvm").exists() {
        bail!("--kvm was given, and this machine has no /dev/kvm\n  without --kvm, QEMU emulates: slower, and it works anywhere");
    }
    let dir = paths::target().join("vm").join(name);
    fs::create_dir_all(&dir)?;

    let _lock = cache::lock(&dir.join("lock"), &mut Step::quiet())?;
    let ready = prepare(&run.how)?;
    let module = ready.module(&repository, name, &dir)?;

    let mut step = Step::start("guest");
    let program = guest::program(&repository, &dir, &mut step)?;
    let initramfs = dir.join("initramfs");
    guest::file_system(&repository, &program, &module, name, &initramfs)?;
    step.done("");

    let accelerator = if run.kvm {
        Accelerator::Kvm
    } else {
        Accelerator::Tcg
    };
    let machine = Machine {
        kernel: &ready.kernel.image(),
        initramfs: &initramfs,
        accelerator,
        words: &format!("DRIVER={name} CYCLES={}", run.cycles),
        log: dir.join("serial.log"),
    };
    let mut step = Step::start("virtual machine");
    step.note(&format!("serial log: {}", machine.log.display()));
    let account = machine.run(&mut step)?;
    step.done("");
    println!("{}", summary(name, accelerator, run.cycles, &account)?);
    Ok(())
}

/// What a good run did, from its own words. One that did less than it was asked to is not good.
fn summary(name: &str, accelerator: Accelerator, cycles: u32, account: &Account) -> Result<String> {
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
        "\n{name} on Linux {} (accelerator {}, {} CPUs):\n  \
         {unbinds} unbinds under a storm of interrupts, each with a file open and programs waiting in read()\n  \
         {} interrupts in the driver, {} in /proc/interrupts\n  \
         {} readers came back with ENODEV, old files answered ENODEV\n  \
         unload refused while a file was open: {}; unloaded {} times\n  \
         no report (KASAN, lockdep, debug objects, kmemleak)",
        said("kernel")?,
        accelerator.name(),
        said("cpus")?,
        said("interrupts")?,
        said("kernel_interrupts")?,
        said("readers")?,
        said("refused_to_unload")?,
        said("unloaded")?,
    ))
}

/// Everything that a module is built with.
struct Ready {
    tools: Tools,
    source: Source,
    kernel: Kernel,
}

fn prepare(how: &Prepare) -> Result<Ready> {
    let cache = Cache::open()?;
    let tools = Tools::prepare(&cache, how.install())?;
    let source = Source::prepare(&cache, &tools, how.linux.as_deref())?;
    let fragment = paths::repository().join("linux/kernel.config");
    let kernel = Kernel::prepare(&cache, &tools, &source, &fragment)?;
    Ok(Ready {
        tools,
        source,
        kernel,
    })
}

impl Ready {
    /// Builds a driver's module in `dir`, and returns it.
    fn module(&self, repository: &Path, name: &str, dir: &Path) -> Result<PathBuf> {
        let mut step = Step::start(format!("{name}.ko"));
        let (tools, source, kernel) = (&self.tools, &self.source, &self.kernel);
        let module = module::build(repository, tools, source, kernel, name, dir, &mut step)?;
        step.done(&match module.warnings {
            0 => String::new(),
            n => format!("{n} warnings, see {}", module.log.display()),
        });
        Ok(module.file)
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
        "kernel=7.3.4 cpus=2 unbinds=20 interrupts=9000 kernel_interrupts=9100 readers=40 \
                        refused_to_unload=yes unloaded=2 leaks=0";

    #[test]
    fn the_summary_says_what_ran() {
        let text = summary("edu", Accelerator::Tcg, 20, &account(GOOD)).unwrap();
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
                summary("edu", Accelerator::Tcg, 20, &said).is_err(),
                "{less}"
            );
        }
        assert!(summary("edu", Accelerator::Tcg, 20, &account("kernel=7.3.4")).is_err());
    }
}

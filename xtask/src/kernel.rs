//! The kernel: configured, checked and built in the cache.
//!
//! Unlike the cache's other items it is built where it stays, and an interrupted build goes on
//! where it was: a kernel build knows for each file the command that made it (`.*.cmd`, written
//! after the file), and makes again what has none.

use crate::cache::{Cache, Item, Key, Lock};
use crate::progress::Step;
use crate::source::Source;
use crate::tools::{Llvm, Tools};
use anyhow::{bail, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

/// Which kernel.
#[derive(Clone, Copy)]
pub struct Recipe {
    /// Fragments of its configuration, from the checkout's root. Together they are one.
    pub config: &'static [&'static str],
    pub llvm: Llvm,
}

impl Recipe {
    /// The configuration, without what Linux decides by itself.
    fn wanted(&self, repository: &Path) -> Result<String> {
        let read = |fragment: &&str| {
            let path = repository.join(fragment);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        self.config.iter().map(read).collect()
    }
}

/// A built kernel.
pub struct Kernel {
    pub build: PathBuf,
    /// Held while modules are built against a tree that somebody may be editing.
    _lock: Option<Lock>,
}

impl Kernel {
    pub fn image(&self) -> PathBuf {
        self.build.join("arch/x86/boot/bzImage")
    }

    pub fn prepare(
        cache: &Cache,
        tools: &Tools,
        source: &Source,
        recipe: &Recipe,
        repository: &Path,
    ) -> Result<Self> {
        let wanted = recipe.wanted(repository)?;
        let key = tools
            .key(Key::default())
            .with("linux", &source.tree.version)
            .with("source", &source.tree.linux.to_string_lossy())
            .with("config", &wanted);
        let item = cache.item(&format!("kernel-{}", source.tree.version), key);
        let mut step = Step::start("kernel");
        if source.tree.ours && item.is_complete() {
            step.done("built before");
            return Ok(Self {
                build: item.dir().to_owned(),
                _lock: None,
            });
        }
        let lock = item.lock(&mut step)?;
        build(cache, tools, source, &wanted, &item, &mut step)?;
        item.complete()?;
        step.done(&format!("built in {}", item.dir().display()));
        Ok(Self {
            build: item.dir().to_owned(),
            _lock: (!source.tree.ours).then_some(lock),
        })
    }
}

fn build(
    cache: &Cache,
    tools: &Tools,
    source: &Source,
    wanted: &str,
    item: &Item,
    step: &mut Step,
) -> Result<()> {
    let dir = item.dir();
    fs::create_dir_all(dir)?;
    let log = cache.path("log").join(format!(
        "{}.log",
        dir.file_name().unwrap_or_default().to_string_lossy()
    ));
    let make = || tools.kernel_make(&source.tree.linux, dir, source.rust_lib.as_deref(), &log);

    make()?
        .arg("rustavailable")
        .run_quietly(step)
        .context("the kernel's own check says that Rust cannot be used with it")?;

    let config = dir.join(".config");
    let configured = |config: &str| missing(wanted, config).is_empty();
    // Already configured, if an earlier run came this far: then make has less to look at.
    if !fs::read_to_string(&config).is_ok_and(|config| configured(&config)) {
        step.say("configuring");
        make()?.arg("tinyconfig").run_quietly(step)?;
        let tiny = fs::read_to_string(&config)?;
        fs::write(&config, format!("{tiny}\n{wanted}"))?;
    }
    make()?.arg("olddefconfig").run_quietly(step)?;
    let lost = missing(wanted, &fs::read_to_string(&config)?);
    if !lost.is_empty() {
        bail!(
            "Linux {} does not take these lines of its configuration in linux/:\n    {}\n  \
             look up what each depends on (`config NAME` in the tree's Kconfig files): something it \
             needs is not set, or the name is gone",
            source.tree.version,
            lost.join("\n    ")
        );
    }

    let jobs = available_parallelism().map_or(1, usize::from);
    let mut built = 0;
    step.say(format!(
        "compiling with {jobs} jobs (log: {})",
        log.display()
    ));
    make()?
        .arg(format!("-j{jobs}"))
        .args(["bzImage", "modules"])
        .run(step, |line| {
            let (verb, file) = line.trim_start().split_once(char::is_whitespace)?;
            if !line.starts_with("  ") || !verb.starts_with(|c: char| c.is_ascii_uppercase()) {
                return None;
            }
            built += 1;
            Some(format!("{built} files made, {verb} {}", file.trim()))
        })
        .with_context(|| format!("Linux {} did not build", source.tree.version))
}

/// The lines of a configuration fragment that did not come true in `config`.
fn missing<'a>(fragment: &'a str, config: &str) -> Vec<&'a str> {
    let is_set = |wanted: &str| config.lines().any(|line| line == wanted);
    let is_mentioned = |prefix: &str| config.lines().any(|line| line.starts_with(prefix));
    fragment
        .lines()
        .map(str::trim)
        .filter(|line| {
            let off = line
                .strip_prefix("# ")
                .and_then(|rest| rest.strip_suffix(" is not set"));
            match off {
                // Off is also what is not mentioned at all, when what it depends on is off.
                Some(symbol) => is_mentioned(&format!("{symbol}=")),
                None => line.starts_with("CONFIG_") && !is_set(line),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_that_is_dropped_is_named() {
        let fragment = "# Words.\nCONFIG_RUST=y\nCONFIG_NR_CPUS=8\nCONFIG_PROC_SYSCTL=y\n# CONFIG_ACPI is not set\n";
        let config = "CONFIG_RUST=y\nCONFIG_NR_CPUS=8\n# CONFIG_ACPI is not set\n";
        assert_eq!(missing(fragment, config), ["CONFIG_PROC_SYSCTL=y"]);
    }

    #[test]
    fn another_value_is_not_the_value() {
        assert_eq!(
            missing("CONFIG_NR_CPUS=8\n", "CONFIG_NR_CPUS=64\n"),
            ["CONFIG_NR_CPUS=8"]
        );
        assert_eq!(missing("CONFIG_A=y\n", "CONFIG_AB=y\n"), ["CONFIG_A=y"]);
        assert_eq!(missing("CONFIG_A=y\n", "CONFIG_A=m\n"), ["CONFIG_A=y"]);
    }

    #[test]
    fn off_means_not_on() {
        let fragment = "# CONFIG_VT is not set\n";
        assert!(missing(fragment, "").is_empty());
        assert!(missing(fragment, "# CONFIG_VT is not set\n").is_empty());
        assert!(missing(fragment, "CONFIG_VT_CONSOLE=y\n").is_empty());
        assert_eq!(
            missing(fragment, "CONFIG_VT=y\n"),
            ["# CONFIG_VT is not set"]
        );
    }

    #[test]
    fn fragments_are_one_configuration_and_one_is_as_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = |config| {
            let llvm = Llvm::Usual;
            Recipe { config, llvm }.wanted(dir.path()).unwrap()
        };
        fs::write(dir.path().join("a"), "CONFIG_A=y\n").unwrap();
        fs::write(dir.path().join("b"), "CONFIG_B=y\n").unwrap();
        // What the cache's key is made of.
        assert_eq!(wanted(&["a"]), "CONFIG_A=y\n");
        assert_eq!(wanted(&["a", "b"]), "CONFIG_A=y\nCONFIG_B=y\n");
    }

    #[test]
    fn the_repositorys_fragments_are_understood_line_by_line() {
        for (file, line) in [
            ("kernel.config", "CONFIG_KASAN=y"),
            ("bench/kernel.config", "# CONFIG_KASAN is not set"),
            (
                "bench/inline-helpers.config",
                "CONFIG_RUST_INLINE_HELPERS=y",
            ),
        ] {
            let path = crate::paths::repository().join("linux").join(file);
            let fragment = fs::read_to_string(path).unwrap();
            assert!(missing(&fragment, &fragment).is_empty());
            assert!(missing(&fragment, "CONFIG_KASAN=m").contains(&line));
        }
    }
}

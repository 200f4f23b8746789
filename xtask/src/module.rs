//! Kernel modules: the drivers of `examples/` with devscope, and the C drivers beside which they are
//! judged. All are built in one pass.
//!
//! The modules' directory repeats the checkout's layout with links to the sources, so that
//! compilers name files as they are named in the checkout, and Kbuild's objects do not land in it.

use crate::kernel::Kernel;
use crate::progress::Step;
use crate::source::Source;
use crate::tools::Tools;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

/// A module, and what it is linked from.
pub struct Module {
    /// `edu` is `edu.ko`.
    pub name: String,
    /// In the modules' directory, without the `.o`.
    objects: Vec<String>,
    /// Words for Kbuild that only this module needs.
    rules: String,
}

/// Modules that have been built.
pub struct Built {
    dir: PathBuf,
    pub names: Vec<String>,
    pub log: PathBuf,
    pub warnings: usize,
}

impl Built {
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.ko"))
    }

    /// What a source has become: `src/lib` is `src/lib.o`.
    pub fn object(&self, source: &str) -> PathBuf {
        self.dir.join(format!("{source}.o"))
    }
}

/// devscope as part of a module: a crate, and the C that it cannot be without.
const CRATE: &str = "src/lib";
/// devscope with the mistakes of `src/mutants.rs`.
const MUTANTS: &str = "mutants/src/lib";
/// devscope with its own tests.
const KUNIT: &str = "kunit/src/lib";
const HELPERS: &str = "linux/helpers";
/// What measures, in C.
const BENCH: &str = "linux/bench/bench";
/// What Linux's Rust needs of C there.
const BENCH_RUST: &str = "linux/bench/rust_helpers";

impl Module {
    /// `examples/<name>/driver.rs`, with devscope.
    pub fn example(name: &str) -> Self {
        Self::with_crate(name, &format!("examples/{name}/driver"), CRATE, &[])
    }

    /// `examples/<name>/driver.rs`, with a devscope whose teardown makes a mistake when it is told to.
    pub fn mutant(name: &str) -> Self {
        let module = format!("{name}_mutants");
        let driver = format!("mutants/examples/{name}/driver");
        Self::with_crate(&module, &driver, MUTANTS, &["linux/mutants"])
    }

    /// devscope with its own tests, and a module that does nothing else.
    fn kunit() -> Self {
        let mut module = Self::with_crate("devscope_kunit", "linux/kunit", KUNIT, &[]);
        // It does not use the crate.
        module.rules =
            "RUSTFLAGS_linux/kunit.o := -Aunused_attributes --crate-name devscope_kunit\n".into();
        module
    }

    /// What `hosted/FIDELITY.md` promises, asked of Linux.
    fn fidelity() -> Self {
        let checks = "hosted/fidelity/src/lib";
        Self {
            name: "fidelity".into(),
            objects: [checks, "linux/fidelity_helpers", HELPERS]
                .map(str::to_owned)
                .into(),
            rules: format!("RUSTFLAGS_{checks}.o := -Aunused_attributes --crate-name fidelity\n"),
        }
    }

    /// `linux/c/<name>.c`, as `<name>_c.ko`.
    fn c(name: &str) -> Self {
        Self {
            name: format!("{name}_c"),
            objects: vec![format!("linux/c/{name}")],
            rules: String::new(),
        }
    }

    /// Of `cargo xtask bench linux`: a column, `linux/bench/c.c`, `rust.rs` or `devscope.rs`, with the
    /// bench; or `edu` as it is written without devscope, `edu_c.c` or `edu_rust.rs`.
    pub fn bench(column: &str) -> Self {
        let name = format!("bench_{column}");
        let object = format!("linux/bench/{column}");
        let without_devscope = |more: &[&str], rules| Self {
            name: name.clone(),
            objects: [object.as_str()]
                .iter()
                .chain(more)
                .map(|&object| object.to_owned())
                .collect(),
            rules,
        };
        let rust = format!("RUSTFLAGS_{object}.o := -Aunused_attributes --crate-name {name}\n");
        match column {
            "devscope" => Self::with_crate(&name, &object, CRATE, &[BENCH]),
            "rust" => without_devscope(&[BENCH_RUST, BENCH], rust),
            "edu_rust" => without_devscope(&[BENCH_RUST], rust),
            "edu_c" => without_devscope(&[], String::new()),
            _ => without_devscope(&[BENCH], String::new()),
        }
    }

    fn uses(&self, object: &str) -> bool {
        self.objects.iter().any(|used| used == object)
    }

    /// Two crates and the helpers: `driver`, and devscope as it is compiled in `lib`.
    fn with_crate(name: &str, driver: &str, lib: &str, more: &[&str]) -> Self {
        let mut objects = vec![driver.to_owned(), lib.to_owned(), HELPERS.to_owned()];
        objects.extend(more.iter().map(|&object| object.to_owned()));
        // `-A`: Kbuild says `no_std` as well as the crates, which need it elsewhere.
        let rules = format!(
            "RUSTFLAGS_{driver}.o := -Aunused_attributes --crate-name {name} --extern devscope=$(obj)/{lib}.rmeta\n\
             $(obj)/{driver}.o: $(obj)/{lib}.o\n"
        );
        Self {
            name: name.to_owned(),
            objects,
            rules,
        }
    }
}

/// The drivers that are written with devscope: the directories of `examples/` with a `driver.rs`.
pub fn examples(repository: &Path) -> Result<Vec<String>> {
    stems(&repository.join("examples"), |path| {
        path.join("driver.rs").is_file()
    })
}

/// Every module of the checkout.
pub fn all(repository: &Path) -> Result<Vec<Module>> {
    let c = stems(&repository.join("linux/c"), |path| {
        path.extension().is_some_and(|kind| kind == "c")
    })?;
    let examples = examples(repository)?;
    Ok(examples
        .iter()
        .map(|name| Module::example(name))
        .chain(c.iter().map(|name| Module::c(name)))
        .chain([Module::fidelity(), Module::kunit()])
        .collect())
}

/// The names in `dir`, without extension, of what is `wanted`.
pub fn stems(dir: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if let (true, Some(name)) = (wanted(&path), path.file_stem()) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Builds `modules` in `dir`.
pub fn build(
    repository: &Path,
    tools: &Tools,
    source: &Source,
    kernel: &Kernel,
    modules: &[Module],
    dir: &Path,
    step: &mut Step,
) -> Result<Built> {
    let objects = dir.join("modules");
    // From nothing each time: Kbuild does not see that another kernel's metadata is newer.
    if objects.exists() {
        fs::remove_dir_all(&objects)?;
    }
    for part in ["src", "examples", "linux", "hosted/fidelity/src"] {
        link_sources(&repository.join(part), &objects.join(part))?;
    }
    // Sources that are compiled twice need two places.
    for (lib, place) in [(MUTANTS, "mutants"), (KUNIT, "kunit")] {
        if modules.iter().any(|module| module.uses(lib)) {
            for part in ["src", "examples"] {
                link_sources(&repository.join(part), &objects.join(place).join(part))?;
            }
        }
    }
    fs::write(objects.join("Kbuild"), kbuild(modules))?;

    let log = dir.join("modules.log");
    let _ = fs::remove_file(&log);
    let mut warnings = 0;
    let jobs = available_parallelism().map_or(1, usize::from);
    tools
        .kernel_make(
            &source.tree.linux,
            &kernel.build,
            source.rust_lib.as_deref(),
            &log,
        )?
        .arg(format!("-j{jobs}"))
        .arg(format!(
            "M={}",
            objects
                .to_str()
                .context("the target directory's path is not UTF-8")?
        ))
        .arg("modules")
        .run(step, |line| {
            warnings += usize::from(line.starts_with("warning:") || line.contains(": warning:"));
            line.starts_with("  ").then(|| line.trim().to_owned())
        })
        .with_context(|| {
            format!(
                "the modules did not build against Linux {}",
                source.tree.version
            )
        })?;
    Ok(Built {
        dir: objects,
        names: modules.iter().map(|module| module.name.clone()).collect(),
        log,
        warnings,
    })
}

/// Links every Rust and C file below `from` to the same place below `to`.
pub(crate) fn link_sources(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            link_sources(&path, &place)?;
        } else if path
            .extension()
            .is_some_and(|kind| kind == "rs" || kind == "c" || kind == "h")
        {
            symlink(&path, &place)?;
        }
    }
    Ok(())
}

pub(crate) fn kbuild(modules: &[Module]) -> String {
    let mut text = "# Generated by cargo xtask vm.\n".to_owned();
    // devscope is compiled once for all modules. Kbuild would tell it all their names, which a shell
    // cannot read, so it is told one.
    for (lib, flags) in [
        (CRATE, ""),
        (MUTANTS, "--cfg devscope_mutants"),
        (KUNIT, "--cfg CONFIG_DEVSCOPE_KUNIT_TEST"),
    ] {
        if modules.iter().any(|module| module.uses(lib)) {
            let _ = write!(
                text,
                "\nRUSTFLAGS_{lib}.o := -Aunused_attributes --crate-name devscope {flags} --emit=metadata=$(obj)/{lib}.rmeta\n\
                 $(obj)/{lib}.o: private modfile := $(obj)/devscope\n"
            );
        }
    }
    for module in modules {
        let objects: Vec<_> = module.objects.iter().map(|o| format!("{o}.o")).collect();
        let _ = write!(
            text,
            "\nobj-m += {0}.o\n{0}-y := {1}\n{2}",
            module.name,
            objects.join(" "),
            module.rules
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_linked_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("src"), dir.path().join("module/src"));
        fs::create_dir_all(from.join("inner")).unwrap();
        fs::write(from.join("lib.rs"), "mod inner;").unwrap();
        fs::write(from.join("inner/mod.rs"), "").unwrap();
        fs::write(from.join("notes.md"), "").unwrap();
        link_sources(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("lib.rs")).unwrap(), "mod inner;");
        assert!(to.join("inner/mod.rs").is_symlink());
        assert!(!to.join("notes.md").exists());
    }

    #[test]
    fn a_driver_is_built_after_the_crate_it_uses() {
        assert!(kbuild(&[Module::example("edu")])
            .ends_with("$(obj)/examples/edu/driver.o: $(obj)/src/lib.o\n"));
    }

    #[test]
    fn every_driver_of_the_checkout_becomes_a_module() {
        let names: Vec<_> = all(&crate::paths::repository())
            .unwrap()
            .into_iter()
            .map(|module| module.name)
            .collect();
        for name in ["edu", "case1", "case2", "case1_c", "case2_cured_c"] {
            assert!(names.iter().any(|built| built == name), "{name}: {names:?}");
        }
    }
}

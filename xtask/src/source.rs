//! Linux's source, and the source of Rust's core library that its build compiles.

use crate::cache::{Cache, Key};
use crate::command::{output_of, Logged};
use crate::debian::{self, Archive};
use crate::progress::Step;
use crate::tools::{Tools, Version};
use anyhow::{bail, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's package of the kernel's source.
const PACKAGE: &str = "linux-source-7.3";
/// The oldest kernel whose Rust interfaces devscope is written for.
const OLDEST: Version = Version(7, 3, 0);

/// A kernel tree.
pub struct Tree {
    pub linux: PathBuf,
    pub version: String,
    /// Unpacked by us, so nobody changes it; otherwise `--linux` named it.
    pub ours: bool,
}

impl Tree {
    pub fn prepare(cache: &Cache, given: Option<&Path>) -> Result<Self> {
        Self::prepare_from(cache, given, &mut None)
    }

    fn prepare_from(
        cache: &Cache,
        given: Option<&Path>,
        archive: &mut Option<Archive>,
    ) -> Result<Self> {
        let mut step = Step::start("kernel source");
        let (linux, ours) = match given {
            Some(dir) => {
                let dir = fs::canonicalize(dir)
                    .with_context(|| format!("--linux {}: no such directory", dir.display()))?;
                (dir, false)
            }
            None => (from_debian(cache, archive, &mut step)?, true),
        };
        let version = check_tree(&linux)?;
        step.done(&format!("Linux {version} in {}", linux.display()));
        Ok(Self {
            linux,
            version,
            ours,
        })
    }
}

/// A kernel tree, and the library source that goes with it.
pub struct Source {
    pub tree: Tree,
    /// `None` if rustc's own installation has it.
    pub rust_lib: Option<PathBuf>,
}

impl Source {
    pub fn prepare(cache: &Cache, tools: &Tools, given: Option<&Path>) -> Result<Self> {
        let mut archive = None;
        let tree = Tree::prepare_from(cache, given, &mut archive)?;

        let mut step = Step::start("Rust library source");
        let rust_lib = rust_lib(cache, tools, &mut archive, &mut step)?;
        step.done(&format!("for rustc {}", tools.rustc_release()));
        Ok(Self { tree, rust_lib })
    }
}

/// The archive, opened when it is first needed: that takes the network.
fn opened<'a>(
    archive: &'a mut Option<Archive>,
    cache: &Cache,
    step: &mut Step,
) -> Result<&'a Archive> {
    let opened = match archive.take() {
        Some(archive) => archive,
        None => Archive::open(cache, step)?,
    };
    Ok(archive.insert(opened))
}

fn from_debian(cache: &Cache, archive: &mut Option<Archive>, step: &mut Step) -> Result<PathBuf> {
    let item = cache.item(PACKAGE, Key::default().with("suite", debian::suite()));
    let dir = item.get(step, |step, dir| {
        let _lock = cache.lock("apt", step)?;
        let archive = opened(archive, cache, step)?;
        let Some(version) = archive.versions(PACKAGE)?.into_iter().next() else {
            bail!(
                "{} has no package {PACKAGE} any more\n  give a tree of your own, Linux 7.3 or later: --linux DIR",
                debian::suite()
            );
        };
        archive.unpack(step, PACKAGE, &version, dir)?;
        let tar = dir.join("usr/src").join(format!("{PACKAGE}.tar.xz"));
        let mut megabytes = 0;
        Logged::new("tar", &cache.path("log/unpack.log"))
            // A record is 10 kB.
            .args(["--checkpoint=5000", "-xJf"])
            .arg(&tar)
            .arg("-C")
            .arg(dir)
            .run(step, |_| {
                megabytes += 50;
                Some(format!("unpacking, {megabytes} MB"))
            })?;
        fs::remove_dir_all(dir.join("usr"))?;
        fs::write(dir.join("version"), version)?;
        Ok(())
    })?;
    Ok(dir.join(PACKAGE))
}

/// The version of the tree in `dir`, if it is one that can be used.
fn check_tree(dir: &Path) -> Result<String> {
    let shown = dir.display();
    let makefile = fs::read_to_string(dir.join("Makefile")).unwrap_or_default();
    let Some(version) = kernel_version(&makefile) else {
        bail!("{shown} is not a Linux tree: its Makefile does not say VERSION and PATCHLEVEL");
    };
    if Version::parse(&version).is_none_or(|version| version < OLDEST) {
        bail!("{shown} is Linux {version}, and devscope is written for the Rust interfaces of 7.3 or later");
    }
    if !dir.join("rust/kernel/lib.rs").is_file() {
        bail!("{shown} has no rust/kernel: is it a complete Linux tree?");
    }
    if dir.join(".config").exists() || dir.join("include/config").exists() {
        bail!(
            "{shown} has been built in place, and the kernel's make then refuses to build it elsewhere\n  \
             run `make mrproper` in it (its .config is lost), or give another tree"
        );
    }
    Ok(version)
}

fn kernel_version(makefile: &str) -> Option<String> {
    let field = |name: &str| {
        makefile.lines().take(20).find_map(|line| {
            let (field, value) = line.split_once('=')?;
            (field.trim() == name).then(|| value.trim())
        })
    };
    let (version, patch) = (field("VERSION")?, field("PATCHLEVEL")?);
    let sub = field("SUBLEVEL")
        .filter(|sub| !sub.is_empty())
        .unwrap_or("0");
    Some(format!(
        "{version}.{patch}.{sub}{}",
        field("EXTRAVERSION").unwrap_or_default()
    ))
}

/// The library source of exactly the rustc in use, `None` if it is installed with it.
fn rust_lib(
    cache: &Cache,
    tools: &Tools,
    archive: &mut Option<Archive>,
    step: &mut Step,
) -> Result<Option<PathBuf>> {
    const CORE: &str = "core/src/lib.rs";
    let sysroot = output_of(
        Command::new("rustc")
            .args(["--print", "sysroot"])
            .current_dir("/"),
    )?;
    if Path::new(sysroot.trim())
        .join("lib/rustlib/src/rust/library")
        .join(CORE)
        .is_file()
    {
        return Ok(None);
    }
    let release = tools.rustc_release();
    let item = cache.item(
        &format!("rust-src-{release}"),
        Key::default().with("suite", debian::suite()),
    );
    let dir = item.get(step, |step, dir| {
        let _lock = cache.lock("apt", step)?;
        let advice = "with rustup, `rustup component add rust-src` installs it; then run this again";
        let archive = opened(archive, cache, step)
            .with_context(|| format!("the kernel's build needs the source of Rust's core library\n  {advice}"))?;
        let versions = archive.versions("rust-src")?;
        let Some(version) = versions.iter().find(|version| is_of(version, release)) else {
            bail!(
                "the kernel's build needs the source of Rust's core library, exactly {release}, and {} has {}\n  {advice}",
                debian::suite(),
                if versions.is_empty() { "none".into() } else { versions.join(", ") }
            );
        };
        archive.unpack(step, "rust-src", version, dir)
    })?;
    let library = dir.join(format!("usr/src/rustc-{release}/library"));
    if !library.join(CORE).is_file() {
        bail!("Debian's rust-src has no {CORE} in {}", library.display());
    }
    Ok(Some(library))
}

/// Whether a Debian version packages `upstream`: `1.95.0+dfsg1-2` and `1.95.0-1` do for `1.95.0`.
fn is_of(version: &str, upstream: &str) -> bool {
    let without_epoch = version.split_once(':').map_or(version, |(_, rest)| rest);
    without_epoch
        .strip_prefix(upstream)
        .is_some_and(|rest| rest.starts_with(['+', '-', '~']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAKEFILE: &str = "# SPDX-License-Identifier: GPL-2.0\nVERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\nNAME = X\n";

    #[test]
    fn a_makefile_says_the_version() {
        assert_eq!(kernel_version(MAKEFILE).as_deref(), Some("7.3.4"));
        let candidate = MAKEFILE.replace("EXTRAVERSION =", "EXTRAVERSION = -rc2");
        assert_eq!(kernel_version(&candidate).as_deref(), Some("7.3.4-rc2"));
        assert_eq!(kernel_version("all:\n\tcc -o x x.c\n"), None);
    }

    #[test]
    fn a_wrong_tree_is_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let refusal = || check_tree(dir.path()).unwrap_err().to_string();
        assert!(refusal().contains("is not a Linux tree"));
        fs::write(dir.path().join("Makefile"), MAKEFILE.replace("= 7", "= 6")).unwrap();
        assert!(refusal().contains("is Linux 6.3.4"), "{}", refusal());
        fs::write(dir.path().join("Makefile"), MAKEFILE).unwrap();
        assert!(refusal().contains("no rust/kernel"));
        fs::create_dir_all(dir.path().join("rust/kernel")).unwrap();
        fs::write(dir.path().join("rust/kernel/lib.rs"), "").unwrap();
        assert_eq!(check_tree(dir.path()).unwrap(), "7.3.4");
        fs::write(dir.path().join(".config"), "").unwrap();
        assert!(refusal().contains("mrproper"));
    }

    #[test]
    fn debian_versions_name_their_upstream() {
        assert!(is_of("1.95.0+dfsg1-2~bpo13+1", "1.95.0"));
        assert!(is_of("1:1.95.0-1", "1.95.0"));
        assert!(!is_of("1.95.01-1", "1.95.0"));
        assert!(!is_of("1.94.0+dfsg1-1", "1.95.0"));
    }
}

//! The programs that building and booting a kernel takes.
//!
//! What a distribution packages is looked for, and installed where that is possible; bindgen, of
//! which Debian's is too old for the kernel, is built by Cargo into the cache.

use crate::cache::{Cache, Key};
use crate::command::{output_of, Logged};
use crate::paths::{self, find_program};
use crate::progress::Step;
use anyhow::{bail, Context, Result};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The usual LLVM, by its major version. Linux 7.3 asks for 17.0.1 or later.
const LLVM: u32 = 19;
/// Linux 7.3 asks for bindgen 0.71.1 or later.
const BINDGEN: &str = "0.72.1";
/// The oldest Rust that Linux 7.3 builds with.
const RUSTC: Version = Version(1, 85, 0);

pub const BUSYBOX: &str = "/bin/busybox";
pub const QEMU: &str = "qemu-system-x86_64";

/// Which LLVM a kernel's C is compiled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Llvm {
    /// The one that everything is judged with, whatever rustc has.
    Usual,
    /// Of the major version that rustc has: then bitcode of one can be linked with the other's.
    OfRustc,
}

/// What may be done about missing packages.
#[derive(Clone, Copy, PartialEq)]
pub enum Install {
    /// Ask, if there is someone to ask.
    Ask,
    Yes,
    No,
}

struct Need {
    what: String,
    package: String,
    is_there: Box<dyn Fn() -> bool>,
}

macro_rules! needs {
    ($($what:literal from $package:literal: $is_there:expr,)*) => {
        vec![$(Need {
            what: format!($what),
            package: format!($package),
            is_there: Box::new(move || $is_there),
        }),*]
    };
}

/// By what is used of it, and not by package: a system may have it from elsewhere.
fn needs(llvm: u32) -> Vec<Need> {
    needs! {
        "clang-{llvm}" from "clang-{llvm}": program(&format!("clang-{llvm}")),
        "ld.lld-{llvm}" from "lld-{llvm}": program(&format!("ld.lld-{llvm}")),
        "llvm-nm-{llvm}" from "llvm-{llvm}": program(&format!("llvm-nm-{llvm}")),
        "libclang {llvm}" from "libclang-{llvm}-dev": contains(&llvm_dir(llvm).join("lib"), "libclang"),
        "a C compiler" from "gcc": program("cc"),
        "the C library's headers" from "libc6-dev": header("stdio.h"),
        "make" from "make": program("make"),
        "flex" from "flex": program("flex"),
        "bison" from "bison": program("bison"),
        "bc" from "bc": program("bc"),
        "perl" from "perl": program("perl"),
        "tar" from "tar": program("tar"),
        "xz" from "xz-utils": program("xz"),
        "gzip" from "gzip": program("gzip"),
        "dpkg" from "dpkg": program("dpkg"),
        "libelf's headers" from "libelf-dev": header("libelf.h"),
        "OpenSSL's headers" from "libssl-dev": header("openssl/ssl.h"),
        "a static busybox" from "busybox-static": is_static(Path::new(BUSYBOX)),
        "qemu-system-x86_64" from "qemu-system-x86": program(QEMU),
    }
}

/// Where Debian has all of one version.
fn llvm_dir(llvm: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/llvm-{llvm}"))
}

fn program(name: &str) -> bool {
    find_program(name).is_some()
}

fn header(name: &str) -> bool {
    ["/usr/include", "/usr/include/x86_64-linux-gnu"]
        .iter()
        .any(|dir| Path::new(dir).join(name).is_file())
}

fn contains(dir: &Path, prefix: &str) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        })
    })
}

fn is_static(path: &Path) -> bool {
    fs::read(path).is_ok_and(|elf| !names_an_interpreter(&elf))
}

/// Whether an ELF file asks for a dynamic loader. Anything that is not ELF cannot be run without
/// one either.
fn names_an_interpreter(elf: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let half = |at: usize| Some(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(elf.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_le_bytes(elf.get(at..at + 8)?.try_into().ok()?));
    let headers = || {
        let (offset, size, count) = (long(32)? as usize, half(54)? as usize, half(56)? as usize);
        (0..count)
            .map(|i| word(offset + i * size))
            .collect::<Option<Vec<_>>>()
    };
    !elf.starts_with(b"\x7fELF\x02\x01") || headers().is_none_or(|types| types.contains(&PT_INTERP))
}

/// The tools, all present.
pub struct Tools {
    bindgen: PathBuf,
    /// The major version of LLVM that C is compiled and everything linked with.
    llvm: u32,
    /// `rustc -vV`.
    rustc: String,
    /// `clang --version`'s first line.
    clang: String,
}

impl Tools {
    pub fn prepare(cache: &Cache, install: Install, llvm: Llvm) -> Result<Self> {
        if env::consts::ARCH != "x86_64" {
            bail!(
                "`cargo xtask vm` runs on x86_64 only, and this machine is {}\n  \
                 the kernel configuration, the guest and the emulator's machine are x86's",
                env::consts::ARCH
            );
        }
        let mut step = Step::start("tools");
        let rustc = output_of(Command::new("rustc").arg("-vV").current_dir("/"))?;
        let version = release(&rustc).unwrap_or_default();
        match Version::parse(version) {
            Some(version) if version >= RUSTC => {}
            _ => bail!("Linux needs rustc {RUSTC} or later, and this is {version:?}\n  update Rust and run this again"),
        }
        let llvm = match llvm {
            Llvm::Usual => LLVM,
            Llvm::OfRustc => llvm_of(&rustc)?,
        };
        packages(cache, &mut step, install, llvm)?;
        let clang = output_of(Command::new(format!("clang-{llvm}")).arg("--version"))?;
        let clang = clang.lines().next().unwrap_or_default().to_owned();
        step.done(&format!("rustc {version}, {clang}"));

        let mut step = Step::start("bindgen");
        let bindgen = bindgen(cache, &mut step, &rustc)?;
        step.done(BINDGEN);
        Ok(Self {
            bindgen,
            llvm,
            rustc,
            clang,
        })
    }

    /// The version of rustc, as in `1.95.0`.
    pub fn rustc_release(&self) -> &str {
        release(&self.rustc).unwrap_or_default()
    }

    /// As clang says it.
    pub fn clang(&self) -> &str {
        &self.clang
    }

    /// Everything about the tools that decides what they make.
    pub fn key(&self, key: Key) -> Key {
        key.with("rustc", &self.rustc)
            .with("clang", &self.clang)
            .with("bindgen", BINDGEN)
    }

    /// A program of LLVM's.
    pub fn llvm(&self, program: &str) -> PathBuf {
        llvm_dir(self.llvm).join("bin").join(program)
    }

    /// Where bindgen finds libclang.
    pub fn llvm_lib(&self) -> PathBuf {
        llvm_dir(self.llvm).join("lib")
    }

    /// `PATH` with the programs that the kernel is built with in front.
    pub fn path(&self) -> OsString {
        let mut path = llvm_dir(self.llvm).join("bin").into_os_string();
        for dir in [
            self.bindgen.join("bin").into_os_string(),
            env::var_os("PATH").unwrap_or_default(),
        ] {
            path.push(":");
            path.push(dir);
        }
        path
    }

    /// `make` for the kernel built in `build`, which `source` is the source of.
    pub fn kernel_make(
        &self,
        source: &Path,
        build: &Path,
        rust_lib: Option<&Path>,
        log: &Path,
    ) -> Result<Logged> {
        let mut make = Logged::new("make", log)
            .env("PATH", self.path())
            .env("LIBCLANG_PATH", self.llvm_lib())
            .arg("-C")
            .arg(source)
            .arg(format!("LLVM=-{}", self.llvm))
            .arg(format!(
                "O={}",
                build
                    .to_str()
                    .context("the cache's path is not UTF-8, which make cannot take")?
            ));
        if let Some(rust_lib) = rust_lib {
            make = make.env("RUST_LIB_SRC", rust_lib);
        }
        Ok(make)
    }
}

fn packages(cache: &Cache, step: &mut Step, install: Install, llvm: u32) -> Result<()> {
    let needs = needs(llvm);
    let missing: Vec<_> = needs.iter().filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let whats = missing
        .iter()
        .map(|need| need.what.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let packages: Vec<_> = missing.iter().map(|need| need.package.as_str()).collect();
    let line = format!("apt-get install {}", packages.join(" "));
    let obstacle = if find_program("apt-get").is_none() {
        Some(
            "this system has no apt-get: install what provides them, then run this again"
                .to_owned(),
        )
    } else if !is_root() {
        Some(format!("not root, so they cannot be installed from here; run\n      sudo {line}\n  and then this again"))
    } else if install == Install::No || (install == Install::Ask && !agreed(step, &line)?) {
        Some(format!(
            "nothing was installed, as asked; run\n      {line}\n  and then this again"
        ))
    } else {
        None
    };
    if let Some(obstacle) = obstacle {
        let why = why_of_llvm(&packages, llvm);
        bail!(
            "building and booting a kernel takes programs that are missing: {whats}{why}\n  {obstacle}"
        );
    }

    let log = cache.path("log/packages.log");
    let apt = || Logged::new("apt-get", &log).env("DEBIAN_FRONTEND", "noninteractive");
    step.say(format!("{line} (log: {})", log.display()));
    apt()
        .arg("update")
        .run(step, |line| Some(line.to_owned()))?;
    let table = output_of(Command::new("apt-cache").arg("madison").args(&packages))?;
    let unknown = not_in(&table, &packages);
    if !unknown.is_empty() {
        bail!("{}", nowhere(&unknown, llvm));
    }
    apt()
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&packages)
        .run(step, |line| Some(line.to_owned()))?;
    let still: Vec<_> = missing
        .iter()
        .filter(|need| !(need.is_there)())
        .map(|need| need.what.as_str())
        .collect();
    if !still.is_empty() {
        bail!(
            "`{line}` succeeded, and still missing: {}\n  does this system package them elsewhere?",
            still.join(", ")
        );
    }
    Ok(())
}

/// Those of `packages` that are not in `apt-cache madison`'s table.
fn not_in<'a>(table: &str, packages: &[&'a str]) -> Vec<&'a str> {
    let names: Vec<_> = table
        .lines()
        .filter_map(|line| Some(line.split_once('|')?.0.trim()))
        .collect();
    let mut packages = packages.to_vec();
    packages.retain(|package| !names.contains(package));
    packages
}

/// Why packages that this system's sources do not have cannot be installed.
fn nowhere(packages: &[&str], llvm: u32) -> String {
    let names = packages.join(", ");
    let why = why_of_llvm(packages, llvm);
    let what_to_do = match why.as_str() {
        "" => "install what provides them, then run this again".to_owned(),
        _ => format!("use a Rust whose LLVM (`rustc -vV`) is packaged here, or install LLVM {llvm} from elsewhere"),
    };
    format!("this system's package sources have no {names}{why}\n  {what_to_do}")
}

/// Why it has to be just this LLVM, if any of `packages` is of it and it is not the usual one.
fn why_of_llvm(packages: &[&str], llvm: u32) -> String {
    let is_of_llvm = |package: &&str| package.contains(&format!("-{llvm}"));
    if llvm == LLVM || !packages.iter().any(is_of_llvm) {
        return String::new();
    }
    format!(
        "\n  rustc has LLVM {llvm}, and inline helpers need C compiled by the same major version"
    )
}

fn agreed(step: &Step, line: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(true);
    }
    step.note(&format!("missing packages; run `{line}` now? [Y/n] "));
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "" | "y" | "Y" | "yes"))
}

fn is_root() -> bool {
    output_of(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn bindgen(cache: &Cache, step: &mut Step, rustc: &str) -> Result<PathBuf> {
    let key = Key::default()
        .with("bindgen-cli", BINDGEN)
        .with("rustc", rustc);
    let log = cache.path("log/bindgen.log");
    let item = cache.item(&format!("tools-bindgen-{BINDGEN}"), key);
    item.get(step, |step, dir| {
        // Away from any checkout, whose `.cargo/config.toml` would apply.
        Logged::new(paths::cargo(), &log)
            .args([
                "install",
                "--locked",
                "bindgen-cli",
                "--version",
                BINDGEN,
                "--root",
            ])
            .arg(dir)
            .env("CARGO_TARGET_DIR", dir.join("target"))
            .dir(Path::new("/"))
            .run(step, |line| Some(line.trim().to_owned()))?;
        fs::remove_dir_all(dir.join("target"))?;
        Ok(())
    })
}

fn release(rustc: &str) -> Option<&str> {
    rustc
        .lines()
        .find_map(|line| line.strip_prefix("release: "))
}

/// The major version of LLVM that a rustc has, from its `-vV`.
fn llvm_of(rustc: &str) -> Result<u32> {
    let said = rustc
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "));
    let version = said.and_then(Version::parse);
    version.map(|version| version.0).with_context(|| {
        format!(
            "rustc does not say which LLVM it has ({})\n  \
             inline helpers need C compiled by the same, so this takes a rustc that generates code with LLVM",
            said.unwrap_or("no line `LLVM version` in `rustc -vV`")
        )
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// The numbers at the beginning of `1.95.0-nightly` or `7.3`.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|c: char| c != '.' && !c.is_ascii_digit())
            .unwrap_or(text.len());
        let mut numbers = text[..end].split('.').map(str::parse);
        let mut next = || numbers.next().unwrap_or(Ok(0)).ok();
        Some(Self(next()?, next()?, next()?))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(Version::parse("1.95.0"), Some(Version(1, 95, 0)));
        assert_eq!(Version::parse("1.98.0-nightly"), Some(Version(1, 98, 0)));
        assert_eq!(Version::parse("7.3"), Some(Version(7, 3, 0)));
        assert_eq!(Version::parse("new"), None);
        assert!(Version(7, 10, 0) > Version(7, 3, 4));
    }

    #[test]
    fn rustc_says_its_release() {
        let text = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\nrelease: 1.95.0\nLLVM version: 21.1.8\n";
        assert_eq!(release(text), Some("1.95.0"));
    }

    #[test]
    fn rustc_says_which_llvm_it_has() {
        assert_eq!(
            llvm_of("release: 1.95.0\nLLVM version: 22.1.2\n").unwrap(),
            22
        );
        for none in ["release: 1.95.0\n", "LLVM version: none\n"] {
            let error = llvm_of(none).unwrap_err().to_string();
            assert!(error.contains("does not say which LLVM"), "{error}");
        }
    }

    #[test]
    fn packages_of_llvm_are_of_the_version_that_is_used() {
        let of = |llvm| needs(llvm).into_iter().map(|need| need.package);
        let llvm22 = ["clang-22", "lld-22", "llvm-22", "libclang-22-dev"];
        assert!(llvm22
            .iter()
            .all(|&name| of(22).any(|package| package == name)));
        assert!(!of(22).any(|package| package.contains("19")));
        assert_eq!(of(22).count(), of(LLVM).count());
    }

    #[test]
    fn a_version_of_llvm_that_is_packaged_nowhere_is_named_with_the_reason() {
        let table = " clang-19 | 1:19.1.7-3 | http://mirror.example/debian s/main amd64 Packages\n";
        let unknown = not_in(table, &["clang-19", "clang-99", "bc"]);
        assert_eq!(unknown, ["clang-99", "bc"]);
        let why = nowhere(&unknown, 99);
        assert!(
            why.contains("have no clang-99, bc") && why.contains("rustc has LLVM 99"),
            "{why}"
        );
        assert!(!nowhere(&["bc"], 99).contains("rustc"));
        assert!(!nowhere(&["clang-19"], LLVM).contains("rustc"));
    }

    #[test]
    fn a_test_binary_is_dynamic_and_a_text_is_no_program() {
        let this = fs::read(env::current_exe().unwrap()).unwrap();
        assert!(names_an_interpreter(&this));
        assert!(names_an_interpreter(b"#!/bin/sh\n"));
        assert!(names_an_interpreter(b"\x7fELF\x02\x01"));
    }
}

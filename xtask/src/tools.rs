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

/// Linux 7.3 asks for LLVM 17.0.1 or later.
const LLVM: &str = "19";
pub const LLVM_BIN: &str = "/usr/lib/llvm-19/bin";
pub const LLVM_LIB: &str = "/usr/lib/llvm-19/lib";
/// Linux 7.3 asks for bindgen 0.71.1 or later.
const BINDGEN: &str = "0.72.1";
/// The oldest Rust that Linux 7.3 builds with.
const RUSTC: Version = Version(1, 85, 0);

pub const BUSYBOX: &str = "/bin/busybox";
pub const QEMU: &str = "qemu-system-x86_64";

/// What may be done about missing packages.
#[derive(Clone, Copy, PartialEq)]
pub enum Install {
    /// Ask, if there is someone to ask.
    Ask,
    Yes,
    No,
}

struct Need {
    what: &'static str,
    package: &'static str,
    is_there: fn() -> bool,
}

macro_rules! needs {
    ($($what:literal from $package:literal: $is_there:expr,)*) => {
        &[$(Need { what: $what, package: $package, is_there: || $is_there }),*]
    };
}

/// By what is used of it, and not by package: a system may have it from elsewhere.
const NEEDS: &[Need] = needs! {
    "clang-19" from "clang-19": program("clang-19"),
    "ld.lld-19" from "lld-19": program("ld.lld-19"),
    "llvm-nm-19" from "llvm-19": program("llvm-nm-19"),
    "libclang 19" from "libclang-19-dev": contains(LLVM_LIB, "libclang"),
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
};

fn program(name: &str) -> bool {
    find_program(name).is_some()
}

fn header(name: &str) -> bool {
    ["/usr/include", "/usr/include/x86_64-linux-gnu"]
        .iter()
        .any(|dir| Path::new(dir).join(name).is_file())
}

fn contains(dir: &str, prefix: &str) -> bool {
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
    /// `rustc -vV`.
    rustc: String,
    /// `clang --version`'s first line.
    clang: String,
}

impl Tools {
    pub fn prepare(cache: &Cache, install: Install) -> Result<Self> {
        if env::consts::ARCH != "x86_64" {
            bail!(
                "`cargo xtask vm` runs on x86_64 only, and this machine is {}\n  \
                 the kernel configuration, the guest and the emulator's machine are x86's",
                env::consts::ARCH
            );
        }
        let mut step = Step::start("tools");
        packages(cache, &mut step, install)?;
        let rustc = output_of(Command::new("rustc").arg("-vV").current_dir("/"))?;
        let version = release(&rustc).unwrap_or_default();
        match Version::parse(version) {
            Some(version) if version >= RUSTC => {}
            _ => bail!("Linux needs rustc {RUSTC} or later, and this is {version:?}\n  update Rust and run this again"),
        }
        let clang = output_of(Command::new("clang-19").arg("--version"))?;
        let clang = clang.lines().next().unwrap_or_default().to_owned();
        step.done(&format!("rustc {version}, {clang}"));

        let mut step = Step::start("bindgen");
        let bindgen = bindgen(cache, &mut step, &rustc)?;
        step.done(BINDGEN);
        Ok(Self {
            bindgen,
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

    /// `PATH` with the programs that the kernel is built with in front.
    pub fn path(&self) -> OsString {
        let mut path = OsString::from(LLVM_BIN);
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
            .env("LIBCLANG_PATH", LLVM_LIB)
            .arg("-C")
            .arg(source)
            .arg(format!("LLVM=-{LLVM}"))
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

fn packages(cache: &Cache, step: &mut Step, install: Install) -> Result<()> {
    let missing: Vec<_> = NEEDS.iter().filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let whats = missing
        .iter()
        .map(|need| need.what)
        .collect::<Vec<_>>()
        .join(", ");
    let packages: Vec<_> = missing.iter().map(|need| need.package).collect();
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
        bail!(
            "building and booting a kernel takes programs that are missing: {whats}\n  {obstacle}"
        );
    }

    let log = cache.path("log/packages.log");
    let apt = || Logged::new("apt-get", &log).env("DEBIAN_FRONTEND", "noninteractive");
    step.say(format!("{line} (log: {})", log.display()));
    apt()
        .arg("update")
        .run(step, |line| Some(line.to_owned()))?;
    apt()
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&packages)
        .run(step, |line| Some(line.to_owned()))?;
    let still: Vec<_> = missing
        .iter()
        .filter(|need| !(need.is_there)())
        .map(|need| need.what)
        .collect();
    if !still.is_empty() {
        bail!(
            "`{line}` succeeded, and still missing: {}\n  does this system package them elsewhere?",
            still.join(", ")
        );
    }
    Ok(())
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
    fn a_test_binary_is_dynamic_and_a_text_is_no_program() {
        let this = fs::read(env::current_exe().unwrap()).unwrap();
        assert!(names_an_interpreter(&this));
        assert!(names_an_interpreter(b"#!/bin/sh\n"));
        assert!(names_an_interpreter(b"\x7fELF\x02\x01"));
    }
}

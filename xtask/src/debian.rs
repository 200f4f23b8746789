//! Source packages' contents from Debian's archive, without touching the system's own packages.
//!
//! The kernel and Rust's library are in a suite that this system need not follow. So apt-get runs
//! with a private configuration (lists, cache and status of its own) that has this one suite from
//! the mirror the system already uses; its proxy settings and keys apply as ever.

use crate::cache::Cache;
use crate::command::{output_of, Logged};
use crate::paths::find_program;
use crate::progress::Step;
use anyhow::{anyhow, bail, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SUITE: &str = "trixie-backports";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Debian's archive, with its lists read.
pub struct Archive {
    configuration: PathBuf,
    downloads: PathBuf,
    log: PathBuf,
}

impl Archive {
    pub fn open(cache: &Cache, step: &mut Step) -> Result<Self> {
        for program in ["apt-get", "apt-cache", "dpkg"] {
            if find_program(program).is_none() {
                bail!(
                    "`{program}` is not here, and the kernel's source would come from Debian\n  \
                     give a tree of your own, Linux 7.3 or later: --linux DIR"
                );
            }
        }
        let targets =
            output_of(Command::new("apt-get").args(["indextargets", "Created-By: Packages"]))?;
        let mirror = mirror(&targets).ok_or_else(|| {
            anyhow!(
                "apt's sources name no Debian mirror, and the kernel's source would come from one\n  \
                 give a tree of your own, Linux 7.3 or later: --linux DIR"
            )
        })?;
        let root = cache.path("apt");
        for dir in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(root.join(dir))?;
        }
        let downloads = cache.path("downloads");
        fs::create_dir_all(&downloads)?;
        let signed = if Path::new(KEYRING).is_file() {
            format!("[signed-by={KEYRING}] ")
        } else {
            String::new()
        };
        let sources = root.join("sources.list");
        fs::write(&sources, format!("deb {signed}{mirror} {SUITE} main\n"))?;
        let configuration = root.join("apt.conf");
        let shown = root.display();
        fs::write(
            &configuration,
            format!(
                "Dir::State::Lists \"{shown}/lists\";\n\
                 Dir::State::status \"/dev/null\";\n\
                 Dir::Cache \"{shown}/cache\";\n\
                 Dir::Etc::SourceList \"{}\";\n\
                 Dir::Etc::SourceParts \"/dev/null\";\n",
                sources.display()
            ),
        )?;
        let archive = Self {
            configuration,
            downloads,
            log: cache.path("log/apt.log"),
        };
        archive
            .apt_get()
            .arg("update")
            // Without the second, lists that cannot be fetched are a mere warning.
            .args(["-o", "Acquire::Retries=3", "-o", "APT::Update::Error-Mode=any"])
            .run(step, |line| Some(line.to_owned()))
            .with_context(|| {
                format!(
                    "the list of packages in {SUITE} could not be read from this system's mirror, {mirror}\n  \
                     is there a network? without one, give a tree of your own: --linux DIR"
                )
            })?;
        Ok(archive)
    }

    /// The versions of `package`, newest first.
    pub fn versions(&self, package: &str) -> Result<Vec<String>> {
        let table = output_of(
            Command::new("apt-cache")
                .args(["madison", package])
                .env("APT_CONFIG", &self.configuration),
        )?;
        Ok(madison(&table))
    }

    /// Downloads `package` and unpacks it into `dir`.
    pub fn unpack(&self, step: &mut Step, package: &str, version: &str, dir: &Path) -> Result<()> {
        let name = format!("{package}={version}");
        let uris = output_of(
            Command::new("apt-get")
                .args(["download", "--print-uris", &name])
                .env("APT_CONFIG", &self.configuration),
        )?;
        let (file, size) = file_and_size(&uris)
            .ok_or_else(|| anyhow!("apt-get does not say where {name} is: {uris:?}"))?;
        let file = self.downloads.join(file);
        step.say(format!("downloading {name}, {} MB", size / 1_000_000));
        // What is there already is checked and kept.
        self.apt_get()
            .args(["download", "-o", "Acquire::Retries=3", &name])
            .dir(&self.downloads)
            .run_quietly(step)
            .with_context(|| format!("{name} could not be downloaded; is there a network?"))?;
        step.say(format!("unpacking {package}"));
        Logged::new("dpkg", &self.log)
            .arg("-x")
            .arg(&file)
            .arg(dir)
            .run_quietly(step)?;
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))
    }

    fn apt_get(&self) -> Logged {
        Logged::new("apt-get", &self.log).env("APT_CONFIG", &self.configuration)
    }
}

pub fn suite() -> &'static str {
    SUITE
}

/// The mirror for Debian's main archive in `apt-get indextargets`'s answer: not the security
/// archive, which has no backports, and nobody else's.
fn mirror(targets: &str) -> Option<&str> {
    targets.split("\n\n").find_map(|target| {
        let field = |name: &str| {
            target
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let main = field("Origin") == Some("Debian")
            && field("Component") == Some("main")
            && field("Label") == Some("Debian");
        if main {
            field("Repo-URI")
        } else {
            None
        }
    })
}

/// The versions in `apt-cache madison`'s table.
fn madison(table: &str) -> Vec<String> {
    let mut versions: Vec<String> = table
        .lines()
        .filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned()))
        .collect();
    versions.dedup();
    versions
}

/// From `'uri' file size hash`.
fn file_and_size(uris: &str) -> Option<(&str, u64)> {
    let line = uris.lines().find(|line| line.starts_with('\''))?;
    let mut fields = line.split_whitespace().skip(1);
    Some((fields.next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_main_archives() {
        let target = |label: &str, origin: &str, uri: &str| {
            format!("MetaKey: main/binary-amd64/Packages\nLabel: {label}\nOrigin: {origin}\nComponent: main\nRepo-URI: {uri}\n")
        };
        let targets = [
            target(
                "Debian-Security",
                "Debian",
                "http://mirror.example/security/",
            ),
            target("Something", "Somebody", "http://somebody.example/"),
            target("Debian", "Debian", "http://mirror.example/debian/"),
        ]
        .join("\n");
        assert_eq!(mirror(&targets), Some("http://mirror.example/debian/"));
        assert_eq!(mirror(""), None);
    }

    #[test]
    fn madison_lists_versions() {
        let table = " rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://mirror.example/debian s/main amd64 Packages\n";
        assert_eq!(madison(table), ["1.95.0+dfsg1-2~bpo13+1"]);
        assert!(madison("").is_empty());
    }

    #[test]
    fn apt_says_what_the_file_will_be_called() {
        let uris = "'http://mirror.example/x_1%3a2_all.deb' x_1%3a2_all.deb 166780612 SHA256:00\n";
        assert_eq!(file_and_size(uris), Some(("x_1%3a2_all.deb", 166780612)));
        assert_eq!(file_and_size("E: nothing"), None);
    }
}

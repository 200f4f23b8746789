//! The hosted crate: built by Cargo, described by rustdoc, and compiled against.

use crate::command::output_of;
use crate::paths;
use crate::progress::Step;
use crate::rustc::Checked;
use anyhow::{bail, Context, Result};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PACKAGE: &str = "hosted-kernel";

/// The built crate, and what it was built with.
pub struct Hosted {
    /// Its `lib.rs`.
    source: PathBuf,
    edition: String,
    /// `name=file` of itself and of its dependencies.
    library: PathBuf,
    dependencies: Vec<(String, PathBuf)>,
}

impl Hosted {
    pub fn build(repository: &Path, step: &mut Step) -> Result<Self> {
        step.say("the hosted kernel, by Cargo");
        let cargo = |arguments: &[&str]| {
            let mut cargo = Command::new(paths::cargo());
            output_of(cargo.args(arguments).current_dir(repository))
        };
        let metadata = cargo(&["metadata", "--no-deps", "--format-version=1"])?;
        let metadata: Value =
            serde_json::from_str(&metadata).context("cargo metadata's answer is not JSON")?;
        let built = cargo(&[
            "build",
            "--lib",
            "--package",
            PACKAGE,
            "--message-format=json",
        ])?;
        Self::from_cargo(&metadata, &built)
    }

    /// Out of `cargo metadata` and the messages of `cargo build`.
    fn from_cargo(metadata: &Value, built: &str) -> Result<Self> {
        let wanted = direct_dependencies(metadata)?;
        let mut own = None;
        let mut dependencies = Vec::new();
        for line in built.lines() {
            let message: Value =
                serde_json::from_str(line).context("cargo build says what is not JSON")?;
            if message["reason"] != "compiler-artifact" {
                continue;
            }
            let name = message["target"]["name"].as_str().unwrap_or_default();
            let file = message["filenames"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .find(|file| file.ends_with(".rlib") || file.ends_with(".so"));
            let Some(file) = file.map(PathBuf::from) else {
                continue;
            };
            if name == "kernel" {
                own = Some((file, message["target"].clone()));
            } else if wanted
                .iter()
                .any(|wanted| wanted == &name.replace('-', "_"))
            {
                dependencies.push((name.replace('-', "_"), file));
            }
        }
        let (library, target) = own.context("cargo build did not make the library `kernel`")?;
        for name in &wanted {
            match dependencies
                .iter()
                .filter(|(found, _)| found == name)
                .count()
            {
                1 => {}
                n => bail!("devscope bug: {n} libraries called {name} are built for {PACKAGE}"),
            }
        }
        let text = |key: &str| target[key].as_str().map(str::to_owned);
        Ok(Self {
            source: text("src_path")
                .context("the library has no source")?
                .into(),
            edition: text("edition").context("the library has no edition")?,
            library,
            dependencies,
        })
    }

    /// `--extern` and `-L` for the libraries.
    fn libraries(&self, command: &mut Command) {
        for (name, file) in &self.dependencies {
            command
                .arg("--extern")
                .arg(format!("{name}={}", file.display()));
        }
        if let Some(dir) = self.library.parent() {
            for dir in [dir.to_owned(), dir.join("deps")] {
                command
                    .arg("-L")
                    .arg(format!("dependency={}", dir.display()));
            }
        }
        command.args(["--edition", &self.edition]);
    }

    /// What rustdoc knows of the crate, as its JSON.
    pub fn describe(&self, dir: &Path, step: &mut Step) -> Result<String> {
        step.say("the hosted kernel's names, by rustdoc");
        let mut rustdoc = Command::new("rustdoc");
        rustdoc
            .args(["--crate-name", "kernel", "--crate-type", "lib"])
            .args(["-Zunstable-options", "--output-format", "json"])
            // `bindings` is hidden from readers.
            .args(["--document-hidden-items", "--cap-lints", "allow"])
            .arg("--out-dir")
            .arg(dir)
            .env("RUSTC_BOOTSTRAP", "1");
        self.libraries(&mut rustdoc);
        output_of(rustdoc.arg(&self.source))?;
        let file = dir.join("kernel.json");
        fs::read_to_string(&file)
            .with_context(|| format!("rustdoc did not write {}", file.display()))
    }

    fn rustc(&self) -> Command {
        let mut rustc = Command::new("rustc");
        rustc
            .arg("--extern")
            .arg(format!("kernel={}", self.library.display()));
        self.libraries(&mut rustc);
        rustc
    }

    /// As [`Rustc::check`](crate::rustc::Rustc::check), for a program that uses the hosted crate.
    pub fn check(&self, file: &Path, name: &str) -> Result<Checked> {
        let mut rustc = self.rustc();
        rustc
            .args([
                "--crate-type=lib",
                "--error-format=json",
                "--crate-name",
                name,
            ])
            .arg(format!(
                "--emit=metadata={}",
                file.with_extension("rmeta").display()
            ))
            .arg(file)
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        let output = rustc.output().context("cannot start rustc")?;
        Checked::new(&output, file)
    }

    /// What a program that uses the hosted crate prints.
    pub fn run(&self, file: &Path) -> Result<String> {
        let program = file.with_extension("");
        output_of(self.rustc().arg("-o").arg(&program).arg(file))?;
        output_of(&mut Command::new(program))
    }
}

/// What the crate's manifest names, as crates.
fn direct_dependencies(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata["packages"].as_array();
    let package = packages
        .and_then(|all| all.iter().find(|package| package["name"] == PACKAGE))
        .with_context(|| format!("there is no package {PACKAGE}"))?;
    let names = package["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|dependency| dependency["kind"].is_null())
        .filter_map(|dependency| {
            let name = dependency["rename"]
                .as_str()
                .or(dependency["name"].as_str())?;
            Some(name.replace('-', "_"))
        });
    Ok(names.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata() -> Value {
        json!({ "packages": [{ "name": PACKAGE, "dependencies": [
            { "name": "pinned-init", "rename": null, "kind": null },
            { "name": "proptest", "rename": null, "kind": "dev" },
        ]}]})
    }

    fn built(libraries: &[&str]) -> String {
        let line = |name: &&str| {
            json!({ "reason": "compiler-artifact",
                "target": { "name": name, "src_path": "/hosted/src/lib.rs", "edition": "2021" },
                "filenames": [format!("/target/debug/lib{name}.rlib")] })
            .to_string()
        };
        let lines: Vec<_> = libraries.iter().map(line).collect();
        lines.join("\n") + "\n{\"reason\":\"build-finished\",\"success\":true}\n"
    }

    #[test]
    fn the_crate_is_found_with_the_libraries_of_its_manifest() {
        let built = built(&["pinned_init", "other", "kernel"]);
        let hosted = Hosted::from_cargo(&metadata(), &built).unwrap();
        assert_eq!(hosted.library, Path::new("/target/debug/libkernel.rlib"));
        let file = PathBuf::from("/target/debug/libpinned_init.rlib");
        assert_eq!(hosted.dependencies, [("pinned_init".to_owned(), file)]);
    }

    #[test]
    fn a_library_that_is_missing_or_there_twice_is_refused() {
        for libraries in [
            &["kernel"][..],
            &["pinned_init"],
            &["pinned_init", "pinned_init", "kernel"],
        ] {
            assert!(Hosted::from_cargo(&metadata(), &built(libraries)).is_err());
        }
    }
}

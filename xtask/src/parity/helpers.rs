//! C functions of our own: one declaration in `src/`, and two definitions, neither of which rustc
//! compares it with.
//!
//! The type is the hosted definition's, out of rustdoc. `src/helpers.rs` itself and what bindgen makes
//! of `linux/helpers.c` have to turn into a pointer to a function of that type.

use super::checks::{Check, Kind};
use super::render::{qualifiers, Renderer};
use super::surface::{name_of, Surface};
use crate::command::Logged;
use crate::progress::Step;
use crate::rustc::{saved, words};
use crate::vm::Ready;
use anyhow::{bail, Context, Result};
use rustdoc_types::{Attribute, ItemEnum};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What the names of all helpers begin with.
const PREFIX: &str = "devscope_";
const DECLARED: &str = "src/helpers.rs";
const DEFINED: &str = "linux/helpers.c";
/// The kernel's own helpers, whose command is borrowed.
const KERNELS: &str = "rust/bindings/.bindings_helpers_generated.rs.cmd";

/// The checks, and the text that they stand below.
pub struct Helpers {
    pub checks: Vec<Check>,
    pub header: String,
    /// What needs no compiler to be found wrong.
    pub complaints: Vec<String>,
}

impl Helpers {
    pub fn prepare(
        ready: &Ready,
        repository: &Path,
        surface: &Surface,
        dir: &Path,
        step: &mut Step,
    ) -> Result<Self> {
        step.say("linux/helpers.c, by bindgen");
        let bound = dir.join("helpers_bound.rs");
        bindgen(ready, &repository.join(DEFINED), &bound, dir, step)?;
        let read = |path: &Path| {
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let declared = repository.join(DECLARED);
        let (checks, complaints) = checks(
            &types(surface)?,
            &functions(&read(&declared)?),
            &functions(&read(&bound)?),
        );
        let header = format!(
            "extern crate kernel;\n#[path = {declared:?}]\nmod declared;\n\
             mod defined {{\nuse ::kernel::{{bindings::*, ffi}};\ninclude!({bound:?});\n}}\n"
        );
        Ok(Self {
            checks,
            header,
            complaints,
        })
    }
}

/// The kernel's own command for such a file, with ours in place of its own.
fn bindgen(ready: &Ready, source: &Path, to: &Path, dir: &Path, step: &mut Step) -> Result<()> {
    let build = &ready.kernel.build;
    let arguments = arguments(&saved(&build.join(KERNELS))?, source, to)?;
    let (program, arguments) = arguments.split_first().context("an empty command")?;
    let log = dir.join("bindgen.log");
    let _ = fs::remove_file(&log);
    Logged::new(program, &log)
        .args(arguments)
        .env("PATH", ready.tools.path())
        .env("LIBCLANG_PATH", ready.tools.llvm_lib())
        .dir(build)
        .run_quietly(step)
        .with_context(|| format!("bindgen does not understand {}", source.display()))
}

fn arguments(command: &str, source: &Path, to: &Path) -> Result<Vec<String>> {
    let mut replaced = 0;
    let mut arguments = Vec::new();
    let mut words = words(command)?.into_iter();
    while let Some(word) = words.next() {
        let ours = match word.as_str() {
            "rust_helper_.*" => format!("{PREFIX}.*"),
            word if word.ends_with("rust/helpers/helpers.c") => source.display().to_string(),
            "-o" => {
                words.next();
                arguments.push("-o".to_owned());
                to.display().to_string()
            }
            // It would be written into the kernel's build.
            word if word.starts_with("-Wp,-MMD,") => continue,
            _ => {
                arguments.push(word);
                continue;
            }
        };
        replaced += 1;
        arguments.push(ours);
    }
    if replaced != 3 {
        bail!("devscope bug: not how Kbuild called bindgen for its helpers:\n  {command}");
    }
    Ok(arguments)
}

/// The type of each helper that the hosted kernel defines, as that of a pointer.
fn types(surface: &Surface) -> Result<BTreeMap<String, String>> {
    let mut types = BTreeMap::new();
    for item in surface.krate.index.values() {
        let ItemEnum::Function(function) = &item.inner else {
            continue;
        };
        if item.crate_id != 0 || !item.attrs.contains(&Attribute::NoMangle) {
            continue;
        }
        let signature = Renderer::new(surface).signature(&function.sig)?;
        let ty = format!(
            "{}fn({}){}",
            qualifiers(&function.header)?,
            signature.arguments.join(", "),
            signature.arrow()
        );
        types.insert(name_of(item)?.to_owned(), ty);
    }
    Ok(types)
}

/// The helpers that a text has functions of.
fn functions(text: &str) -> BTreeSet<String> {
    let after = text.split("fn ").skip(1);
    let names = after.filter_map(|rest| rest.split('(').next());
    names
        .filter(|name| name.starts_with(PREFIX))
        .map(str::to_owned)
        .collect()
}

fn checks(
    hosted: &BTreeMap<String, String>,
    declared: &BTreeSet<String>,
    defined: &BTreeSet<String>,
) -> (Vec<Check>, Vec<String>) {
    let (mut checks, mut complaints) = (Vec::new(), Vec::new());
    let names: BTreeSet<_> = hosted.keys().chain(declared).chain(defined).collect();
    for name in names {
        let Some(ty) = hosted.get(name) else {
            complaints.push(format!(
                "{name}: the hosted kernel has no such public function"
            ));
            continue;
        };
        for (file, module, there) in [
            (DECLARED, "declared", declared),
            (DEFINED, "defined", defined),
        ] {
            if !there.contains(name) {
                complaints.push(format!("{name}: not in {file}"));
                continue;
            }
            checks.push(Check {
                kind: Kind::Helpers,
                name: format!("{name} in {file}"),
                text: format!("pub fn it() {{ let _: {ty} = crate::{module}::{name}; }}"),
                value: None,
            });
        }
    }
    (checks, complaints)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: &str = "bindgen /linux/rust/helpers/helpers.c --blocklist-type '.*' \
        --allowlist-function 'rust_helper_.*' --ctypes-prefix ffi -o rust/bindings/x.rs -- \
        -Wp,-MMD,rust/bindings/.x.rs.d -I./include -DKBUILD_MODFILE='\"rust/x\"' ; sed -Ei 's/a/b/' x";

    #[test]
    fn the_kernels_command_is_used_for_our_file_and_writes_nothing_else() {
        let arguments = arguments(COMMAND, Path::new("/ours.c"), Path::new("/out.rs")).unwrap();
        assert_eq!(
            arguments,
            [
                "bindgen",
                "/ours.c",
                "--blocklist-type",
                ".*",
                "--allowlist-function",
                "devscope_.*",
                "--ctypes-prefix",
                "ffi",
                "-o",
                "/out.rs",
                "--",
                "-I./include",
                "-DKBUILD_MODFILE=\"rust/x\"",
            ]
        );
    }

    #[test]
    fn another_command_is_refused() {
        let other = COMMAND.replace("rust_helper_", "helper_");
        assert!(arguments(&other, Path::new("/ours.c"), Path::new("/out.rs")).is_err());
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn functions_are_found_in_declarations_and_in_bindgens_answer() {
        let text = "/// fn x\n pub(crate) fn devscope_a(r: *mut u8) -> bool;\n    pub fn devscope_b();\nfn other();";
        assert_eq!(functions(text), names(&["devscope_a", "devscope_b"]));
    }

    #[test]
    fn a_helper_that_one_side_does_not_have_is_told() {
        let hosted = BTreeMap::from([("devscope_a".to_owned(), "fn()".to_owned())]);
        let (checks, complaints) = checks(
            &hosted,
            &names(&["devscope_a", "devscope_b"]),
            &names(&["devscope_b"]),
        );
        assert_eq!(checks.len(), 1);
        assert_eq!(
            complaints,
            [
                "devscope_a: not in linux/helpers.c",
                "devscope_b: the hosted kernel has no such public function",
            ]
        );
    }
}

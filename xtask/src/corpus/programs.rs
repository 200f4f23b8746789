//! The programs that entries may name: what there is, and which bugs each says that it stands for.

use super::entries::MISTAKES;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Where the drivers are that are explored, below the repository.
pub const SHAPES: &str = "corpus/src/shapes";
/// Where the drivers in the shape of C are, below the repository.
pub const DEFECTS: &str = "corpus/src/defects";

#[derive(Debug, Default)]
pub struct Programs {
    /// By name, without directory and extension.
    pub mistakes: BTreeMap<String, Mistake>,
    /// Modules, and where each is.
    pub shapes: BTreeMap<String, String>,
    pub defects: BTreeMap<String, String>,
}

/// A program that must not compile.
#[derive(Debug, Default)]
pub struct Mistake {
    /// The bugs that its header names; None if there is no such line.
    pub bugs: Option<Vec<String>>,
    /// The first thing that rustc says about it; None without a `.stderr`.
    pub says: Option<String>,
    /// Whether there is the same driver without the mistake.
    pub has_twin: bool,
}

pub fn read(repository: &Path) -> Result<Programs> {
    Ok(Programs {
        mistakes: mistakes(&repository.join(MISTAKES))?,
        shapes: modules(repository, SHAPES)?,
        defects: modules(repository, DEFECTS)?,
    })
}

/// A directory that is not there has no programs; what is missing in it is said for each entry.
fn names(dir: &Path) -> Result<Vec<String>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let cannot = || format!("cannot read {}", dir.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(cannot)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn mistakes(dir: &Path) -> Result<BTreeMap<String, Mistake>> {
    let mut mistakes = BTreeMap::new();
    for file in names(dir)? {
        let Some(name) = file.strip_suffix(".rs") else {
            continue;
        };
        let path = dir.join(&file);
        let program =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let stderr = fs::read_to_string(dir.join(name).with_extension("stderr")).ok();
        let mistake = Mistake {
            bugs: named(&program),
            says: stderr.map(|stderr| first_error(&stderr).to_owned()),
            has_twin: dir.join("pass").join(&file).is_file(),
        };
        mistakes.insert(name.to_owned(), mistake);
    }
    Ok(mistakes)
}

/// The modules in a directory of modules.
fn modules(repository: &Path, dir: &str) -> Result<BTreeMap<String, String>> {
    let mut modules = BTreeMap::new();
    for name in names(&repository.join(dir))? {
        if name == "mod.rs" {
            continue;
        }
        let path = format!("{dir}/{name}");
        if let Some(module) = name.strip_suffix(".rs") {
            modules.insert(module.to_owned(), path);
        } else if repository.join(&path).join("mod.rs").is_file() {
            modules.insert(name, path + "/mod.rs");
        }
    }
    Ok(modules)
}

/// The bugs that a program's header names: `// Corpus: one, two.`, up to the full stop, which may be
/// some lines further down.
fn named(program: &str) -> Option<Vec<String>> {
    let header = program
        .lines()
        .map_while(|line| line.strip_prefix("//").map(str::trim));
    let text: Vec<_> = header
        .skip_while(|line| !line.starts_with("Corpus:"))
        .collect();
    let text = text.join(" ");
    let list = text.strip_prefix("Corpus:")?.split('.').next()?;
    let ids = list.split(',').map(str::trim).filter(|id| !id.is_empty());
    Some(ids.map(str::to_owned).collect())
}

fn first_error(stderr: &str) -> &str {
    let mut lines = stderr.lines();
    lines
        .find(|line| line.starts_with("error"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_its_bugs_up_to_the_full_stop() {
        let program = "// The rule.\n// SPDX-License-Identifier: x\n//\n// Corpus: one-urb,\n//   two-urbs, three.\n// More words, with commas.\n\nuse x;\n";
        assert_eq!(named(program).unwrap(), ["one-urb", "two-urbs", "three"]);
    }

    #[test]
    fn what_stands_after_the_header_names_nothing() {
        assert_eq!(named("// The rule.\n\n// Corpus: one.\n"), None);
        assert_eq!(named("// Corpus: .\n").unwrap(), [""; 0]);
    }

    #[test]
    fn programs_are_found_with_what_belongs_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (path, text) in [
            ("ui-tests/corpus/late.rs", "// Rule.\n// Corpus: a.\n"),
            (
                "ui-tests/corpus/late.stderr",
                "warning: x\nerror[E0597]: `x` does not live\n",
            ),
            ("ui-tests/corpus/pass/late.rs", ""),
            ("ui-tests/corpus/alone.rs", ""),
            ("corpus/src/shapes/mod.rs", ""),
            ("corpus/src/shapes/urb.rs", ""),
            ("corpus/src/shapes/ring/mod.rs", ""),
        ] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let programs = read(root).unwrap();
        let late = &programs.mistakes["late"];
        assert_eq!(
            late.says.as_deref(),
            Some("error[E0597]: `x` does not live")
        );
        assert!(late.has_twin && late.bugs == Some(vec!["a".to_owned()]));
        let alone = &programs.mistakes["alone"];
        assert!(!alone.has_twin && alone.bugs.is_none() && alone.says.is_none());
        assert_eq!(
            programs.shapes.into_values().collect::<Vec<_>>(),
            ["corpus/src/shapes/ring/mod.rs", "corpus/src/shapes/urb.rs"]
        );
        assert!(programs.defects.is_empty());
    }
}

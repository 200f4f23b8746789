//! How much code a driver is.

use crate::command::output_of;
use crate::module::Built;
use crate::tools::Tools;
use anyhow::Result;
use serde_json::{json, Value};
use std::path::Path;
use std::process::Command;

/// Sizes of `edu`, in bytes of `.text`.
pub struct Sizes {
    /// The whole module, by column: for devscope that is the driver with all of the crate, for the others
    /// the driver, as what it uses is in the kernel.
    pub modules: Vec<(&'static str, u64)>,
    /// What of devscope's module is the driver, with what it instantiates.
    pub driver: u64,
}

/// The modules in which `edu` is written: column, module, and what it is called.
pub const EDU: [(&str, &str, &str); 3] = [
    ("c", "bench_edu_c", "C, the module, which is the driver"),
    (
        "rust",
        "bench_edu_rust",
        "Linux Rust, the module, which is the driver",
    ),
    ("devscope", "edu", "devscope, the module"),
];

impl Sizes {
    pub fn of(built: &Built, tools: &Tools) -> Result<Self> {
        let size = tools.llvm("llvm-size");
        let mut modules = Vec::new();
        for (column, module, _) in EDU {
            modules.push((column, text(&size, &built.file(module))?));
        }
        let driver = text(&size, &built.object("examples/edu/driver"))?;
        Ok(Self { modules, driver })
    }

    pub fn module(&self, column: &str) -> Option<u64> {
        let found = self.modules.iter().find(|(of, _)| *of == column);
        found.map(|(_, size)| *size)
    }

    pub fn json(&self) -> Value {
        let modules: serde_json::Map<_, _> = self
            .modules
            .iter()
            .map(|(column, size)| ((*column).to_owned(), json!(size)))
            .collect();
        json!({"modules": modules, "driver_with_devscope": self.driver})
    }
}

/// The bytes of all sections of code that stay: `.text` and `.text.*`, not `.init.text`.
fn text(size: &Path, object: &Path) -> Result<u64> {
    let listed = output_of(Command::new(size).arg("-A").arg(object))?;
    let found = in_sections(&listed);
    if found == 0 {
        anyhow::bail!("{} has no code", object.display());
    }
    Ok(found)
}

fn in_sections(listed: &str) -> u64 {
    listed
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            let size = words.next()?.parse::<u64>().ok()?;
            (name == ".text" || name.starts_with(".text.")).then_some(size)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_stays_is_counted() {
        let listed = "edu.ko  :\nsection size addr\n.text 100 0\n.text.unlikely 20 0\n.init.text 7 0\n.data 9 0\nTotal 136\n";
        assert_eq!(in_sections(listed), 120);
    }
}

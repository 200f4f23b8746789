//! How the results are shown: on the terminal, and in `docs/performance.md`.

use super::super::plot::{self, Axes, Bars, Line};
use super::super::show::{markdown, plain, rewrite, words};
use super::rows::{Pass, NOTHING};
use super::targets;
use super::text::{Sizes, EDU};
use super::COLUMNS;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// What everything is shown from.
pub struct Found {
    /// Linux, compilers, emulator.
    pub made_with: String,
    /// Instructions; then, unless it was left out, times.
    pub passes: Vec<Pass>,
    pub sizes: Sizes,
}

/// Ways to protect a file operation: column, row, and what it is called.
pub const NODES: [(&str, &str, &str); 6] = [
    ("c", "ioctl-unprotected", "C, unprotected"),
    ("c", "ioctl-rwsem", "C, rw_semaphore"),
    ("c", "ioctl-percpu_ref", "C, percpu_ref"),
    ("c", "ioctl-drm_dev_enter", "C, drm_dev_enter()"),
    ("rust", "ioctl-revocable", "Linux Rust, Revocable"),
    ("devscope", "ioctl-devscope", "devscope"),
];
/// What is bound with many registrations: rows, columns, and what it is called.
const MANY: [(&str, &str, &str); 6] = [
    ("c", "work", "C, devm, work"),
    ("rust", "work", "Linux Rust, Devres, work"),
    ("devscope", "work", "devscope, work"),
    ("c", "gate", "C, one synchronize_rcu()"),
    ("rust", "gate", "Linux Rust, Devres, gates"),
    ("devscope", "gate", "devscope, gates"),
];
const REGISTRATIONS: [u64; 4] = [1, 8, 64, 256];

impl Found {
    pub fn counted(&self) -> &Pass {
        &self.passes[0]
    }

    pub fn timed(&self) -> Option<&Pass> {
        self.passes.get(1)
    }

    /// The rows that are one operation each, in all columns that have it.
    fn operations(&self) -> impl Iterator<Item = &String> {
        let is_operation = |row: &&String| {
            *row != NOTHING
                && !row.starts_with("ioctl-")
                && COLUMNS
                    .iter()
                    .any(|of| self.counted().net(of, row).is_some())
        };
        self.counted().order.iter().filter(is_operation)
    }

    /// Everything, for the terminal.
    pub fn text(&self) -> String {
        let parts = [
            plain(&self.operation_rows()),
            plain(&self.node_rows()),
            plain(&self.many_rows()),
            plain(&self.memory_rows()),
            plain(&self.size_rows()),
            plain(&targets::rows(self)),
        ];
        format!("\n{}\n\n{}\n", self.made_with, parts.join("\n\n"))
    }

    fn operation_rows(&self) -> Vec<Vec<String>> {
        let pass = self.counted();
        let mut rows = vec![words([
            "instructions",
            "C",
            "Linux Rust",
            "devscope",
            "more than C",
        ])];
        for row in self.operations() {
            let cells = COLUMNS.map(|column| match pass.net(column, row) {
                Some(net) if pass.is_exact(column, row) => net.to_string(),
                Some(net) => format!("~{net}"),
                None => "-".into(),
            });
            let more = match (pass.net("c", row), pass.net("devscope", row)) {
                (Some(c), Some(devscope)) => format!("{:+}", devscope as i64 - c as i64),
                _ => "-".into(),
            };
            let [c, rust, devscope] = cells;
            rows.push(vec![row.clone(), c, rust, devscope, more]);
        }
        rows
    }

    fn node_rows(&self) -> Vec<Vec<String>> {
        let pass = self.counted();
        let mut rows = vec![words(["one ioctl()", "instructions", "beside a sleeper"])];
        if self.timed().is_some() {
            rows[0].extend(words(["time, one task", "time, two tasks"]));
        }
        let timed = |column, row, what| {
            let unprotected = self.timed()?.number("c", NODES[0].1, 0, "ticks-by-one")?;
            let time = self.timed()?.number(column, row, 0, what)?;
            Some(format!("{:.2}", time as f64 / unprotected as f64))
        };
        let or_none = |cell: Option<String>| cell.unwrap_or("-".into());
        for (column, row, name) in NODES {
            let beside = format!("{row}-beside-a-sleeper");
            let mut cells = vec![
                name.to_owned(),
                or_none(pass.net(column, row).map(|net| net.to_string())),
                or_none(pass.net(column, &beside).map(|net| net.to_string())),
            ];
            if self.timed().is_some() {
                cells.push(or_none(timed(column, row, "ticks-by-one")));
                cells.push(or_none(timed(column, row, "ticks-by-two")));
            }
            rows.push(cells);
        }
        rows
    }

    fn many_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![words(["registrations", "1", "8", "64", "256"])];
        for verb in ["bind", "unbind"] {
            for pass in &self.passes {
                for (column, what, name) in MANY {
                    let row = format!("{verb}-{what}");
                    let mut cells = vec![format!("{verb}, {name}, {}", pass.name())];
                    cells.extend(REGISTRATIONS.map(|many| {
                        let number = |what| pass.number(column, &row, many, what).unwrap_or(0);
                        let periods = number("grace-periods") + number("expedited");
                        let time = match pass.is_counted() {
                            true => number("ticks").to_string(),
                            // Only a ratio is told: to devm in C, with as many work items.
                            false => {
                                let c = format!("{verb}-work");
                                let c = pass.number("c", &c, many, "ticks").unwrap_or(1);
                                format!("{:.2}", number("ticks") as f64 / c as f64)
                            }
                        };
                        match periods {
                            0 => time,
                            _ => format!("{time} ({periods} GP)"),
                        }
                    }));
                    rows.push(cells);
                }
            }
        }
        rows
    }

    fn memory_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![words([
            "memory of one registration",
            "bytes",
            "allocations",
        ])];
        for (column, what, name) in MANY {
            let row = format!("memory-{what}");
            let each = |what| {
                let of = |many| self.counted().number(column, &row, many, what);
                Some(format!("{:.1}", (of(256)? as f64 - of(0)? as f64) / 256.0))
            };
            // C has nothing of which there are many, for gates.
            if let Some((bytes, allocations)) = each("bytes").zip(each("allocations")) {
                rows.push(vec![name.to_owned(), bytes, allocations]);
            }
        }
        rows
    }

    fn size_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![words([".text of edu", "bytes", "of C", "of Linux Rust"])];
        let mut row = |name: &str, size: u64| {
            let of = |column| match self.sizes.module(column) {
                Some(other) => format!("{:.2}", size as f64 / other as f64),
                None => "-".into(),
            };
            rows.push(vec![name.to_owned(), size.to_string(), of("c"), of("rust")]);
        };
        for (column, _, name) in EDU {
            if let Some(size) = self.sizes.module(column) {
                row(name, size);
            }
        }
        row("devscope, the driver alone", self.sizes.driver);
        rows
    }

    /// Rewrites what is generated in the page, and the pictures in the directory beside it.
    pub fn write(&self, page: &Path) -> Result<()> {
        let parts = [
            ("machine", self.made_with.clone()),
            ("targets", markdown(&targets::rows(self))),
            ("operations", markdown(&self.operation_rows())),
            ("nodes", markdown(&self.node_rows())),
            ("registrations", markdown(&self.many_rows())),
            ("memory", markdown(&self.memory_rows())),
            ("text", markdown(&self.size_rows())),
        ];
        rewrite(page, "linux", &parts)?;
        let dir = page.with_extension("");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("linux-operations.svg"), self.bars()? + "\n")?;
        fs::write(dir.join("linux-unbind.svg"), self.lines()? + "\n")?;
        Ok(())
    }

    /// Rewrites what is generated in the page's section about inline helpers, and nothing else.
    pub fn write_with_inline_helpers(&self, page: &Path) -> Result<()> {
        let parts = [
            ("machine", self.made_with.clone()),
            ("operations", markdown(&self.operation_rows())),
            ("nodes", markdown(&self.node_rows())),
            ("text", markdown(&self.size_rows())),
        ];
        rewrite(page, "linux-inline", &parts)
    }

    fn bars(&self) -> Result<String> {
        // Waking a worker dwarfs the rest.
        let rows: Vec<_> = self
            .operations()
            .filter(|row| *row != "work-schedule-idle")
            .map(|row| Bars {
                name: row.clone(),
                values: COLUMNS.map(|column| self.counted().net(column, row)).into(),
            })
            .collect();
        let names = ["C", "Linux Rust", "devscope"];
        plot::bars("Instructions executed by one operation", &names, &rows)
    }

    fn lines(&self) -> Result<String> {
        let pass = self.passes.last().context("nothing was measured")?;
        let lines = MANY.map(|(column, what, name)| Line {
            name: name.to_owned(),
            points: REGISTRATIONS
                .iter()
                .filter_map(|&many| {
                    let row = format!("unbind-{what}");
                    let c = pass.number("c", "unbind-work", 1, "ticks")?;
                    let time = pass.number(column, &row, many, "ticks")?;
                    Some((many, time.max(1) as f64 / c.max(1) as f64))
                })
                .collect(),
        });
        let axes = Axes {
            below: "registrations",
            unit: " x",
            base: 10,
        };
        let title = "Time to unbind, as a multiple of C with one registration";
        plot::lines(title, &axes, &lines)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::show::replaced;
    use super::*;
    use crate::boot::Accelerator;

    const INLINE: [&str; 4] = ["machine", "operations", "nodes", "text"];

    fn counted() -> Found {
        let lines: Vec<_> = COLUMNS
            .iter()
            .flat_map(|column| {
                [("nothing", 10), ("access", 17)].map(|(row, took)| {
                    format!("bench: column={column} row={row} rounds=100 min={took} median={took} max={took}")
                })
            })
            .collect();
        let pass = Pass::read(lines.iter(), Accelerator::Counting.name()).unwrap();
        Found {
            made_with: "a compiler".into(),
            passes: vec![pass],
            sizes: Sizes {
                modules: vec![("c", 100), ("rust", 120), ("devscope", 150)],
                driver: 70,
            },
        }
    }

    #[test]
    fn what_is_found_with_inline_helpers_goes_where_it_belongs_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let page = dir.path().join("performance.md");
        let marked = |of: &str, what: &str| {
            let part = |name| format!("<!-- {of}:{name} -->\n\n{what}\n\n<!-- /{of}:{name} -->\n");
            INLINE.map(part).concat()
        };
        let others = marked("linux", "of another kernel");
        fs::write(&page, others.clone() + &marked("linux-inline", "old")).unwrap();
        counted().write_with_inline_helpers(&page).unwrap();
        let text = fs::read_to_string(&page).unwrap();
        let inline = text.strip_prefix(&others).unwrap();
        assert!(!inline.contains("old"));
        for line in [
            "a compiler",
            "| access | 7 | 7 | 7 | +0 |",
            "| devscope, the module | 150 | 1.50 | 1.25 |",
        ] {
            assert!(
                inline.lines().any(|found| found == line),
                "{line}: {inline}"
            );
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no pictures");
    }

    #[test]
    fn times_have_columns_only_if_there_are_any() {
        let mut found = counted();
        assert!(found.node_rows().iter().all(|row| row.len() == 3));
        found
            .passes
            .push(Pass::read([].iter(), Accelerator::Tcg.name()).unwrap());
        assert!(found.node_rows().iter().all(|row| row.len() == 5));
    }

    #[test]
    fn the_page_of_the_checkout_has_all_marks() {
        let page = crate::paths::repository().join("docs/performance.md");
        let text = fs::read_to_string(page).unwrap();
        for name in [
            "machine",
            "targets",
            "operations",
            "nodes",
            "registrations",
            "memory",
            "text",
        ] {
            assert!(replaced(&text, &format!("linux:{name}"), "").is_ok());
        }
        for name in INLINE {
            assert!(replaced(&text, &format!("linux-inline:{name}"), "").is_ok());
        }
        assert!(text.contains("<!-- hosted:begin -->") && text.contains("<!-- hosted:end -->"));
    }
}

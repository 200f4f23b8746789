//! What the bench has said, row by row.

use crate::boot::Accelerator;
use crate::serial::after_time;
use anyhow::{bail, Context, Result};
use serde_json::{json, Value};
use std::collections::BTreeMap;

/// The row that measures the measuring.
pub const NOTHING: &str = "nothing";

/// One line of the bench: numbers by name.
pub type Row = BTreeMap<String, u64>;

/// One boot.
pub struct Pass {
    pub accelerator: &'static str,
    /// By column, row, and number of registrations (0 where there are none to speak of).
    pub rows: BTreeMap<(String, String, u64), Row>,
    /// In the order in which they came.
    pub order: Vec<String>,
    pub errors: Vec<String>,
}

impl Pass {
    pub fn read<'a>(
        lines: impl Iterator<Item = &'a String>,
        accelerator: &'static str,
    ) -> Result<Self> {
        let mut pass = Self {
            accelerator,
            rows: BTreeMap::new(),
            order: Vec::new(),
            errors: Vec::new(),
        };
        for line in lines {
            // Behind the name of the module, if there is one.
            let Some((_, said)) = after_time(line).split_once("bench: ") else {
                continue;
            };
            pass.hear(said)
                .with_context(|| format!("not understood: {line}"))?;
        }
        Ok(pass)
    }

    fn hear(&mut self, said: &str) -> Result<()> {
        if said.contains("error=") {
            self.errors.push(said.to_owned());
            return Ok(());
        }
        let mut column = None;
        let mut name = None;
        let mut numbers = Row::new();
        for pair in said.split_whitespace() {
            let (key, value) = pair.split_once('=').context("not key=value")?;
            match key {
                "column" => column = Some(value.to_owned()),
                "row" => name = Some(value.to_owned()),
                _ => {
                    numbers.insert(key.to_owned(), value.parse()?);
                }
            }
        }
        let (column, name) = column.zip(name).context("no column, or no row")?;
        let registrations = numbers.get("registrations").copied().unwrap_or(0);
        if !self.order.contains(&name) {
            self.order.push(name.clone());
        }
        self.rows
            .entry((column, name, registrations))
            .or_default()
            .extend(numbers);
        Ok(())
    }

    /// Whether its times are instructions.
    pub fn is_counted(&self) -> bool {
        self.accelerator == Accelerator::Counting.name()
    }

    /// How its numbers are to be read.
    pub fn name(&self) -> &'static str {
        match self.is_counted() {
            true => "ticks",
            false => "time, of C's",
        }
    }

    pub fn number(&self, column: &str, row: &str, registrations: u64, what: &str) -> Option<u64> {
        let key = (column.to_owned(), row.to_owned(), registrations);
        self.rows.get(&key)?.get(what).copied()
    }

    /// What the operation of a row took, without what measuring takes.
    pub fn net(&self, column: &str, row: &str) -> Option<u64> {
        let nothing = self.number(column, NOTHING, 0, "median")?;
        self.number(column, row, 0, "median")?.checked_sub(nothing)
    }

    /// Whether every round took the same.
    pub fn is_exact(&self, column: &str, row: &str) -> bool {
        let number = |what| self.number(column, row, 0, what);
        number("min").is_some() && number("min") == number("max")
    }

    /// Errors if something measured nothing.
    pub fn check(&self) -> Result<()> {
        let mut wrong = self.errors.clone();
        if self.rows.is_empty() {
            wrong.push("nothing was measured at all".into());
        }
        for column in super::COLUMNS {
            if !self.rows.keys().any(|(of, ..)| of == column) {
                wrong.push(format!("the column {column} is empty"));
            }
        }
        for (column, row, _) in self.rows.keys() {
            let is_measured_by_rounds = self.number(column, row, 0, "rounds").is_some();
            // Where time passes, a reading may be slower than what it measures.
            let took = match self.is_counted() {
                true => self.net(column, row),
                false => self.number(column, row, 0, "median"),
            };
            if row != NOTHING && is_measured_by_rounds && took.unwrap_or(0) == 0 {
                wrong.push(format!("{column}: {row} took nothing"));
            }
        }
        if !wrong.is_empty() {
            bail!(
                "not all was measured ({}):\n    {}",
                self.accelerator,
                wrong.join("\n    ")
            );
        }
        Ok(())
    }

    pub fn json(&self) -> Value {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|((column, row, _), numbers)| {
                json!({"column": column, "row": row, "numbers": numbers})
            })
            .collect();
        json!({"accelerator": self.accelerator, "rows": rows, "errors": self.errors})
    }
}

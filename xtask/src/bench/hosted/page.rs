//! How the results are shown: on the terminal, and in `docs/performance.md`.

use super::super::plot::{self, Axes, Line, Spread, Spreads};
use super::super::show::{markdown, plain, rewrite, words};
use super::{number, GROWING, LENGTHS, MANY, STRATEGIES};
use anyhow::{bail, Context, Result};
use serde_json::{json, Value};
use std::fs;
use std::path::Path;

/// What everything is shown from. Rows are as `devscope-bench` and criterion have written them.
pub struct Found {
    pub made_with: String,
    pub seeds: u64,
    /// Medians, by group and name.
    pub statistics: Value,
    /// The storm, once for each of those that [`COMPARED`] has.
    pub compared: Vec<Value>,
    pub examples: Vec<Value>,
    pub growth: Vec<Value>,
    pub lengths: Vec<Value>,
    pub defects: Vec<Value>,
    pub suites: Vec<Value>,
}

/// Of a table, with its head.
type Rows = Vec<Vec<String>>;

/// What the storm is compared by: what criterion calls it, the strategies, and what it is.
pub const COMPARED: [(&str, [&str; 2], &str); 4] = [
    (
        "random",
        ["random", "random"],
        "random, to shuttle's random",
    ),
    ("pct", ["pct", "pct"], "PCT, to shuttle's PCT"),
    (
        "mixed-to-random",
        ["mixed", "random"],
        "mixed (the default), to shuttle's random",
    ),
    (
        TO_HALVES,
        ["mixed", "mixed"],
        "mixed, to half of shuttle's PCT and half of its random",
    ),
];
/// Like with like, for who reads the others; the target is about shuttle as it is used.
const TO_HALVES: &str = "mixed-to-halves";
/// Schedules per second, relative to bare shuttle.
const ENOUGH: f64 = 0.5;
/// Median time until a defect of the examples is found.
const SOON: f64 = 2.0;

impl Found {
    pub fn json(&self) -> Value {
        json!({
            "made_with": self.made_with,
            "seeds": self.seeds,
            "statistics": self.statistics,
            "compared": self.compared,
            "examples": self.examples,
            "growth": self.growth,
            "lengths": self.lengths,
            "defects": self.defects,
            "suites": self.suites,
        })
    }

    /// Everything, for the terminal.
    pub fn text(&self) -> Result<String> {
        let tables: Vec<_> = self.tables()?.iter().map(|(_, rows)| plain(rows)).collect();
        let seconds = plain(&self.second_rows()?);
        Ok(format!(
            "\n{}\n\n{}\n\n{seconds}\n",
            self.made_with,
            tables.join("\n\n")
        ))
    }

    fn tables(&self) -> Result<Vec<(&'static str, Rows)>> {
        Ok(vec![
            ("targets", self.target_rows()?),
            ("compared", self.compared_rows()?),
            ("examples", self.example_rows()?),
            ("growth", self.growth_rows()?),
            ("lengths", self.length_rows()),
            ("defects", self.defect_rows()?),
            ("suites", self.suite_rows()),
        ])
    }

    /// A median of criterion's, and the bounds of its 95 % confidence interval.
    fn median(&self, group: &str, name: &str) -> Result<(f64, f64, f64)> {
        let estimate = &self.statistics[group][name];
        let bounds = &estimate["confidence_interval"];
        let found = (
            number(estimate, "point_estimate"),
            number(bounds, "lower_bound"),
            number(bounds, "upper_bound"),
        );
        match found.0 > 0.0 {
            true => Ok(found),
            false => bail!("criterion says nothing about {group}/{name}"),
        }
    }

    fn target_rows(&self) -> Result<Rows> {
        let verdict = |met| if met { "met" } else { "missed" }.to_owned();
        let mut rows = vec![words(["target", "found", ""])];
        let targets = COMPARED.into_iter().filter(|(name, ..)| *name != TO_HALVES);
        for (name, _, what) in targets {
            let ratio = self.median("storm", name)?.0;
            rows.push(vec![
                format!("half the schedules per second of bare shuttle: {what}"),
                format!("{ratio:.2}"),
                verdict(ratio >= ENOUGH),
            ]);
        }
        for defect in &self.defects {
            if defect["of_examples"] != true {
                continue;
            }
            for strategy in STRATEGIES {
                let seconds = Sorted::of(&defect[strategy], "seconds")?;
                let all = found(&defect[strategy]) == defect_seeds(&defect[strategy]);
                rows.push(vec![
                    format!("{} is found in 2 s: {strategy}", text_of(defect, "name")),
                    format!("{:.0} ms", 1000.0 * seconds.at(0.5)),
                    verdict(all && seconds.at(0.5) < SOON),
                ]);
            }
        }
        Ok(rows)
    }

    fn compared_rows(&self) -> Result<Rows> {
        let mut rows = vec![words([
            "the storm",
            "schedules per second of bare shuttle's",
            "95 % interval",
            "steps in a schedule",
            "bare",
            "steps per second of bare shuttle's",
        ])];
        for ((name, _, what), row) in COMPARED.iter().zip(&self.compared) {
            let (median, low, high) = self.median("storm", name)?;
            let steps = |world| number(&row[world], "steps") / number(&row[world], "schedules");
            let (hosted, bare) = (steps("hosted"), steps("bare"));
            rows.push(vec![
                (*what).to_owned(),
                format!("{median:.2}"),
                format!("{low:.2} to {high:.2}"),
                format!("{hosted:.0}"),
                format!("{bare:.0}"),
                format!("{:.2}", median * hosted / bare),
            ]);
        }
        Ok(rows)
    }

    fn example_rows(&self) -> Result<Rows> {
        let mut rows = vec![words([
            "example",
            "steps in a schedule",
            "time of a schedule, of bare shuttle's storm",
            "of that per step",
            "peak memory, MiB",
        ])];
        let bare = self.median("examples", "bare-storm")?.0;
        let bare_steps = self.growth.first().map(|row| per_schedule(row, "bare"));
        for example in &self.examples {
            let name = text_of(example, "name");
            let time = self.median("examples", &name)?.0 / bare;
            let steps = number(example, "steps") / number(example, "schedules");
            rows.push(vec![
                name,
                format!("{steps:.0}"),
                format!("{time:.1}"),
                format!("{:.1}", time * bare_steps.unwrap_or(0.0) / steps),
                mebibytes(number(example, "peak_kib")),
            ]);
        }
        Ok(rows)
    }

    /// Seconds of this machine, which are for whoever runs this.
    fn second_rows(&self) -> Result<Rows> {
        let mut rows = vec![words(["example", "schedules per second, here"])];
        let examples = self.statistics["examples"].as_object();
        for name in examples.into_iter().flatten().map(|(name, _)| name) {
            let nanoseconds = self.median("examples", name)?.0 / SCHEDULES;
            rows.push(vec![name.clone(), format!("{:.0}", 1e9 / nanoseconds)]);
        }
        Ok(rows)
    }

    fn growth_rows(&self) -> Result<Rows> {
        let mut rows = vec![words([
            "the storm, random",
            "steps",
            "time of a schedule, of the first",
            "schedules per second of bare shuttle's",
            "peak memory, MiB",
            "bare: steps",
            "time",
            "memory",
        ])];
        for what in GROWING {
            for many in MANY {
                let row = self.grown(what, many)?;
                let first = self.grown(what, 1)?;
                let of_first = |world| seconds(row, world) / seconds(first, world);
                let ratios = rounds(row).map(|round| {
                    number(&round["bare"], "seconds") / number(&round["hosted"], "seconds")
                });
                rows.push(vec![
                    format!("{many} {what}"),
                    format!("{:.0}", per_schedule(row, "hosted")),
                    format!("{:.1}", of_first("hosted")),
                    format!("{:.2}", Sorted::new(ratios).at(0.5)),
                    mebibytes(peak(row, "hosted")),
                    format!("{:.0}", per_schedule(row, "bare")),
                    format!("{:.1}", of_first("bare")),
                    mebibytes(peak(row, "bare")),
                ]);
            }
        }
        Ok(rows)
    }

    fn grown(&self, what: &str, many: u64) -> Result<&Value> {
        let mut rows = self.growth.iter();
        let row = rows.find(|row| row["what"] == what && row["many"] == many);
        row.with_context(|| format!("{many} {what} were not measured"))
    }

    fn length_rows(&self) -> Rows {
        let mut rows = vec![words(["schedules of the storm", "peak memory, MiB"])];
        for (length, row) in LENGTHS.iter().zip(&self.lengths) {
            rows.push(vec![length.to_string(), mebibytes(number(row, "peak_kib"))]);
        }
        rows
    }

    fn defect_rows(&self) -> Result<Rows> {
        let mut rows = vec![words([
            "defect",
            "mixed",
            "random",
            "PCT",
            "mixed, ms",
            "random, ms",
            "PCT, ms",
        ])];
        for defect in &self.defects {
            let mut row = vec![text_of(defect, "name")];
            for strategy in STRATEGIES {
                let found_by = &defect[strategy];
                let schedules = Sorted::schedules(found_by)?;
                let (median, high) = (schedules.at(0.5), schedules.at(0.9));
                let (found, seeds) = (found(found_by), defect_seeds(found_by));
                row.push(match found == seeds {
                    true => format!("{median:.0} ({high:.0})"),
                    false if found == 0 => "not found".into(),
                    false => format!("{median:.0} ({high:.0}), by {found} of {seeds}"),
                });
            }
            for strategy in STRATEGIES {
                let seconds = Sorted::of(&defect[strategy], "seconds")?;
                row.push(format!("{:.1}", 1000.0 * seconds.at(0.5)));
            }
            rows.push(row);
        }
        Ok(rows)
    }

    fn suite_rows(&self) -> Rows {
        let mut rows = vec![words([
            "what",
            "processor time, of cargo test's",
            "peak memory of all processes, MiB",
        ])];
        if self.suites.is_empty() {
            rows.push(words(["not measured in this run (--tests)", "", ""]));
        }
        let whole = self
            .suites
            .first()
            .map(|row| number(row, "processor_seconds"));
        for suite in &self.suites {
            let part = number(suite, "processor_seconds") / whole.unwrap_or(1.0);
            rows.push(vec![
                text_of(suite, "name"),
                format!("{part:.2}"),
                mebibytes(number(suite, "peak_kib")),
            ]);
        }
        rows
    }

    /// Rewrites what is generated in the page, and the pictures in the directory beside it.
    pub fn write(&self, page: &Path) -> Result<()> {
        let machine = format!("{}; {} seeds", self.made_with, self.seeds);
        let mut parts = vec![("machine", machine)];
        for (name, rows) in self.tables()? {
            // What was not measured again stays.
            if name != "suites" || !self.suites.is_empty() {
                parts.push((name, markdown(&rows)));
            }
        }
        rewrite(page, "hosted", &parts)?;
        let dir = page.with_extension("");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("hosted-growth.svg"), self.lines()? + "\n")?;
        fs::write(dir.join("hosted-found.svg"), self.spreads()? + "\n")?;
        Ok(())
    }

    fn lines(&self) -> Result<String> {
        let mut lines = Vec::new();
        for (what, named) in GROWING.iter().zip(["programs", "length"]) {
            for (world, of) in [("hosted", "hosted"), ("bare", "bare shuttle")] {
                let mut points = Vec::new();
                for many in MANY {
                    let first = seconds(self.grown(what, 1)?, world);
                    points.push((many, seconds(self.grown(what, many)?, world) / first));
                }
                let name = format!("{named}, {of}");
                lines.push(Line { name, points });
            }
        }
        let axes = Axes {
            below: "times as many programs of the hardware, or times as long",
            unit: " x",
            base: 2,
        };
        let title = "Time of a schedule of the storm, as a multiple of the first";
        plot::lines(title, &axes, &lines)
    }

    fn spreads(&self) -> Result<String> {
        let mut rows = Vec::new();
        for defect in &self.defects {
            let mut values = Vec::new();
            for strategy in STRATEGIES {
                let schedules = Sorted::schedules(&defect[strategy])?;
                values.push(Spread {
                    low: schedules.at(0.1),
                    middle: schedules.at(0.5),
                    high: schedules.at(0.9),
                });
            }
            let name = text_of(defect, "name");
            rows.push(Spreads { name, values });
        }
        let title = "Schedules until a defect is found";
        let below = "schedules until it is found: median, and from the 10th to the 90th of 100";
        plot::spreads(title, &["mixed", "random", "PCT"], below, &rows)
    }
}

/// As in `hosted/bench/benches/hosted.rs`: schedules in one iteration.
const SCHEDULES: f64 = 500.0;

/// Numbers in their order, at least one.
struct Sorted(Vec<f64>);

impl Sorted {
    fn new(numbers: impl Iterator<Item = f64>) -> Self {
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_by(f64::total_cmp);
        Self(numbers)
    }

    fn of(row: &Value, name: &str) -> Result<Self> {
        let numbers = row[name].as_array().into_iter().flatten();
        let sorted = Self::new(numbers.filter_map(Value::as_f64));
        match sorted.0.is_empty() {
            true => bail!("nothing was measured: {row}"),
            false => Ok(sorted),
        }
    }

    /// Until a defect is found; what was not counts as the limit.
    fn schedules(row: &Value) -> Result<Self> {
        let limit = number(row, "limit");
        let numbers = row["schedules"].as_array().context("no schedules")?;
        let or_limit = |number: &Value| number.as_f64().unwrap_or(limit);
        Ok(Self::new(numbers.iter().map(or_limit)))
    }

    /// 0.5: the median.
    fn at(&self, part: f64) -> f64 {
        let index = (self.0.len() as f64 * part) as usize;
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }
}

fn rounds(row: &Value) -> impl Iterator<Item = &Value> {
    row["rounds"].as_array().into_iter().flatten()
}

fn over_rounds(row: &Value, world: &str, name: &str) -> Sorted {
    Sorted::new(rounds(row).map(|round| number(&round[world], name)))
}

fn seconds(row: &Value, world: &str) -> f64 {
    over_rounds(row, world, "seconds").at(0.5)
}

fn peak(row: &Value, world: &str) -> f64 {
    over_rounds(row, world, "peak_kib").at(0.5)
}

/// Steps in a schedule.
fn per_schedule(row: &Value, world: &str) -> f64 {
    over_rounds(row, world, "steps").at(0.5) / over_rounds(row, world, "schedules").at(0.5)
}

fn found(row: &Value) -> usize {
    let seeds = row["schedules"].as_array().into_iter().flatten();
    seeds.filter(|schedules| !schedules.is_null()).count()
}

fn defect_seeds(row: &Value) -> usize {
    row["schedules"].as_array().map_or(0, Vec::len)
}

fn mebibytes(kib: f64) -> String {
    format!("{:.1}", kib / 1024.0)
}

fn text_of(row: &Value, name: &str) -> String {
    row[name].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::super::show::replaced;
    use super::*;

    #[test]
    fn what_was_not_found_counts_as_the_limit() {
        let row = json!({ "limit": 100, "schedules": [3, null, 5] });
        let schedules = Sorted::schedules(&row).unwrap();
        assert_eq!((schedules.at(0.5), schedules.at(0.9)), (5.0, 100.0));
        assert_eq!((found(&row), defect_seeds(&row)), (2, 3));
    }

    #[test]
    fn a_row_without_numbers_is_an_error() {
        assert!(Sorted::of(&json!({ "seconds": [] }), "seconds").is_err());
    }

    #[test]
    fn the_page_of_the_checkout_has_all_marks() {
        let page = crate::paths::repository().join("docs/performance.md");
        let text = fs::read_to_string(page).unwrap();
        for name in [
            "machine", "targets", "compared", "examples", "growth", "lengths", "defects", "suites",
        ] {
            assert!(replaced(&text, &format!("hosted:{name}"), "").is_ok());
        }
    }
}

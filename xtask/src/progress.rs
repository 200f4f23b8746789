//! One line for each step: what it does, for how long already, and a sign of life.
//!
//! On a terminal the line is redrawn in place. Elsewhere (CI) it is printed when a step ends, and
//! once a minute while it lasts, so that a log shows neither silence nor thousands of lines.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often a step that is not on a terminal says that it lives.
const QUIET: Duration = Duration::from_secs(60);

/// A step under way. Dropped without [`Step::done`], it has failed.
pub struct Step {
    name: String,
    started: Instant,
    spoke: Instant,
    message: String,
    bar: Option<ProgressBar>,
}

impl Step {
    pub fn start(name: impl Into<String>) -> Self {
        let name = name.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {prefix} [{elapsed}] {wide_msg}")
            {
                bar.set_style(style);
            }
            bar.set_prefix(name.clone());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let now = Instant::now();
        Self {
            name,
            started: now,
            spoke: now,
            message: String::new(),
            bar,
        }
    }

    /// A step too small for a line of its own.
    pub fn quiet() -> Self {
        let now = Instant::now();
        Self {
            name: String::new(),
            started: now,
            spoke: now,
            message: String::new(),
            bar: None,
        }
    }

    /// A sign of life.
    pub fn say(&mut self, message: impl Into<String>) {
        self.message = message.into();
        if let Some(bar) = &self.bar {
            bar.set_message(self.message.clone());
        }
        self.tick();
    }

    /// To be called now and then, also when there is nothing new to say.
    pub fn tick(&mut self) {
        if self.bar.is_none() && !self.name.is_empty() && self.spoke.elapsed() >= QUIET {
            self.spoke = Instant::now();
            eprintln!(
                "  ... {} [{}] {}",
                self.name,
                clock(self.started.elapsed()),
                self.message
            );
        }
    }

    /// Prints a whole line, above the step's own.
    pub fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("      {line}")),
            None => eprintln!("      {line}"),
        }
    }

    pub fn done(mut self, outcome: &str) {
        self.end("ok", outcome);
    }

    fn end(&mut self, mark: &str, outcome: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let elapsed = clock(self.started.elapsed());
        eprintln!("{mark:>4}  {} [{elapsed}] {outcome}", self.name);
        self.name.clear();
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let last = std::mem::take(&mut self.message);
            self.end("FAIL", &last);
        }
    }
}

/// `7s`, `3m05s`.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 60 {
        0 => format!("{seconds}s"),
        minutes => format!("{minutes}m{:02}s", seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_like_a_clock() {
        assert_eq!(clock(Duration::from_secs(7)), "7s");
        assert_eq!(clock(Duration::from_secs(185)), "3m05s");
        assert_eq!(clock(Duration::from_secs(3600)), "60m00s");
    }
}

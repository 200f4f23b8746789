//! Running other programs: everything they say goes to a log, and a failure quotes its end.

use crate::progress::Step;
use anyhow::{bail, Context, Result};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How much of a log a failure shows.
const QUOTED: usize = 25;

/// Variables of the surroundings that would change what a build makes.
const SURROUNDINGS: &[&str] = &[
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "KBUILD_OUTPUT",
    "KCONFIG_CONFIG",
    "KCFLAGS",
    "KRUSTFLAGS",
    "ARCH",
    "CROSS_COMPILE",
    "LLVM",
    "CC",
    "LD",
    "RUSTFLAGS",
    "RUSTC_BOOTSTRAP",
    "RUSTC_WRAPPER",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET",
    "APT_CONFIG",
];

/// A program to run, with its output in a log.
pub struct Logged {
    command: Command,
    shown: String,
    log: PathBuf,
}

impl Logged {
    pub fn new(program: impl AsRef<OsStr>, log: &Path) -> Self {
        let program = program.as_ref();
        let mut command = Command::new(program);
        command.env("LC_ALL", "C");
        for variable in SURROUNDINGS {
            command.env_remove(variable);
        }
        Self {
            command,
            shown: program.to_string_lossy().into_owned(),
            log: log.to_owned(),
        }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.shown.push(' ');
        self.shown.push_str(&arg.as_ref().to_string_lossy());
        self.command.arg(arg);
        self
    }

    pub fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs it. `heard` is given each line and may turn it into a sign of life.
    pub fn run(
        mut self,
        step: &mut Step,
        mut heard: impl FnMut(&str) -> Option<String>,
    ) -> Result<()> {
        if let Some(dir) = self.log.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        writeln!(log, "$ {}", self.shown)?;
        let (output, input) = io::pipe()?;
        self.command
            .stdin(Stdio::null())
            .stdout(input.try_clone()?)
            .stderr(input);
        let mut child = self
            .command
            .spawn()
            .with_context(|| format!("cannot start `{}`", self.shown))?;
        // The write ends of the pipe are in it; without them only the child holds any.
        drop(self.command);

        let lines = lines(output);
        let mut end = VecDeque::new();
        loop {
            match lines.recv_timeout(Duration::from_secs(1)) {
                Ok(line) => {
                    writeln!(log, "{line}")?;
                    if let Some(message) = heard(&line) {
                        step.say(message);
                    }
                    if end.len() == QUOTED {
                        end.pop_front();
                    }
                    end.push_back(line);
                }
                Err(RecvTimeoutError::Timeout) => step.tick(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = child.wait()?;
        if status.success() {
            return Ok(());
        }
        let end: String = end.iter().map(|line| format!("\n    {line}")).collect();
        bail!(
            "`{}` failed ({status})\n  log: {}\n  its last lines:{end}",
            self.shown,
            self.log.display()
        )
    }

    /// Runs it without listening.
    pub fn run_quietly(self, step: &mut Step) -> Result<()> {
        self.run(step, |_| None)
    }
}

/// What a program prints, line by line, from a thread of its own. Ends when nobody holds the other
/// end of the pipe any more.
pub fn lines(output: impl io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while matches!(output.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            let text = String::from_utf8_lossy(&line);
            if sender.send(text.trim_end().to_owned()).is_err() {
                break;
            }
            line.clear();
        }
    });
    receiver
}

/// What a program prints, if it succeeds.
pub fn output_of(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {shown}"))?;
    if !output.status.success() {
        bail!(
            "{shown} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_quotes_the_end_of_the_log_and_says_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("sh.log");
        let failure = Logged::new("sh", &log)
            .args(["-c", "for i in $(seq 100); do echo line $i; done; exit 3"])
            .run_quietly(&mut Step::start("test"))
            .unwrap_err()
            .to_string();
        assert!(failure.contains("exit status: 3"), "{failure}");
        assert!(failure.contains("sh.log"), "{failure}");
        assert!(
            failure.contains("line 100") && !failure.contains("line 75\n"),
            "{failure}"
        );
        assert!(fs::read_to_string(&log).unwrap().contains("line 1\n"));
    }

    #[test]
    fn both_streams_are_heard_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut heard = Vec::new();
        Logged::new("sh", &dir.path().join("log"))
            .args(["-c", "echo one; echo two >&2; echo three"])
            .run(&mut Step::start("test"), |line| {
                heard.push(line.to_owned());
                None
            })
            .unwrap();
        assert_eq!(heard, ["one", "two", "three"]);
    }
}

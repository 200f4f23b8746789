//! Booting the kernel under QEMU, and judging what it says.
//!
//! A run is judged by its serial line alone: it has to say that all went well, and it must not
//! contain a report. It is given up when nothing has been said for a long time, and not after a
//! total time, because an emulated machine on a busy host may be slow and still be right.

use crate::command::lines;
use crate::progress::{clock, Step};
use crate::serial::{first_report, is_dump, readable, report_in, said_by_guest, Account};
use crate::tools::QEMU;
use anyhow::{bail, Context, Result};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Two CPUs in two sockets: without ACPI the kernel finds CPUs in the BIOS's MP table, and that lists
/// one for each socket.
const SMP: &str = "2,sockets=2,cores=1,threads=1";
/// Without a line for this long, nothing more is expected. The kernel itself reports a task that
/// hangs after two minutes.
const SILENCE: Duration = Duration::from_secs(360);
/// How long a report is listened to after its first line.
const REPORT: Duration = Duration::from_secs(10);
/// How much of the log is shown if a run fails without a report.
const TAIL: usize = 30;

/// What executes the guest's instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// QEMU's own emulation: works everywhere.
    Tcg,
    /// The host's hardware: used when asked for, and never silently replaced.
    Kvm,
}

impl Accelerator {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcg => "tcg",
            Self::Kvm => "kvm",
        }
    }

    fn option(self) -> &'static str {
        match self {
            Self::Tcg => "tcg,thread=multi",
            Self::Kvm => "kvm",
        }
    }
}

pub struct Machine<'a> {
    pub kernel: &'a Path,
    pub initramfs: &'a Path,
    pub accelerator: Accelerator,
    /// More words for the kernel's command line; `NAME=value` ends up in the init's environment.
    pub words: &'a str,
    pub log: PathBuf,
}

/// How a run ended.
enum End {
    Exited,
    Reported,
    Silent,
}

/// Ends QEMU when the run ends, however it ends.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        // Fails if it has exited, which is the usual case.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine<'_> {
    /// Runs to the end, and returns what the guest said if it was good.
    pub fn run(&self, step: &mut Step) -> Result<Account> {
        let mut log = File::create(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let (mut qemu, output) = self.start()?;
        let mut said = Vec::new();
        let mut account = Account::default();
        let end = listen(&output, step, |line| {
            writeln!(log, "{line}")?;
            account.hear(line);
            said.push(line.to_owned());
            Ok(())
        })?;
        let status = match end {
            End::Exited => Some(qemu.0.wait()?),
            End::Reported | End::Silent => None,
        };
        drop(qemu);
        self.judge(&said, &account, &end)?;
        match status {
            Some(status) if !status.success() => bail!(
                "{QEMU} failed ({status})\n  serial log: {}",
                self.log.display()
            ),
            _ => Ok(account),
        }
    }

    fn start(&self) -> Result<(Qemu, Receiver<String>)> {
        // `loglevel=7` lets everything but debug messages through: some reports are mere warnings.
        // The stall detectors are patient, since the host may be busy with something else.
        let append = format!(
            "console=ttyS0 loglevel=7 printk.time=1 panic=-1 acpi=off kunit.enable=0 printk.devkmsg=on \
             watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120 {}",
            self.words
        );
        let (output, input) = io::pipe()?;
        let mut command = Command::new(QEMU);
        command
            .args([
                "-accel",
                self.accelerator.option(),
                "-machine",
                "q35",
                "-cpu",
                "max",
            ])
            .args(["-smp", SMP, "-m", "1G", "-no-reboot", "-net", "none"])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
            .args(["-device", "edu", "-append", &append, "-kernel"])
            .arg(self.kernel)
            .arg("-initrd")
            .arg(self.initramfs)
            .stdin(Stdio::null())
            .stdout(input.try_clone()?)
            .stderr(input);
        let qemu = command
            .spawn()
            .with_context(|| format!("cannot start {QEMU}"))?;
        Ok((Qemu(qemu), lines(output)))
    }

    fn judge(&self, said: &[String], account: &Account, end: &End) -> Result<()> {
        let log = self.log.display();
        if let Some(report) = first_report(said) {
            let report: Vec<_> = report
                .iter()
                .filter(|line| !is_dump(line))
                .map(|line| readable(line))
                .collect();
            bail!(
                "the kernel reported:\n{}\n  serial log: {log}",
                indented(&report)
            );
        }
        let tail = indented(&said[said.len().saturating_sub(TAIL)..]);
        if let Some(reason) = account.get("failed") {
            bail!("the guest's program: {reason}\n  serial log: {log}, which ends\n{tail}");
        }
        match end {
            End::Silent => bail!(
                "the guest has said nothing for {}, and was ended\n  serial log: {log}, which ends\n{tail}",
                clock(SILENCE)
            ),
            _ if said.iter().all(|line| said_by_guest(line).is_none()) => bail!(
                "the guest did not come up (accelerator {})\n{}  serial log: {log}, which ends\n{tail}",
                self.accelerator.name(),
                match self.accelerator {
                    Accelerator::Kvm => "  /dev/kvm may be there and still not work; without --kvm it is not used\n",
                    Accelerator::Tcg => "",
                }
            ),
            _ if account.get("done") != Some("ok") => {
                bail!("the guest ended before its program was done\n  serial log: {log}, which ends\n{tail}")
            }
            _ => Ok(()),
        }
    }
}

/// Listens until the guest ends, has said all of a report, or has been silent for too long.
fn listen(
    output: &Receiver<String>,
    step: &mut Step,
    mut heard: impl FnMut(&str) -> Result<()>,
) -> Result<End> {
    let mut last = Instant::now();
    let mut reported: Option<Instant> = None;
    loop {
        match output.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => {
                last = Instant::now();
                if report_in(&line).is_some() {
                    reported.get_or_insert(last);
                }
                heard(&line)?;
                step.say(line);
            }
            Err(RecvTimeoutError::Timeout) => step.tick(),
            Err(RecvTimeoutError::Disconnected) => return Ok(End::Exited),
        }
        if reported.is_some_and(|since| since.elapsed() > REPORT) {
            return Ok(End::Reported);
        }
        if last.elapsed() > SILENCE {
            return Ok(End::Silent);
        }
    }
}

fn indented(lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(log: &str, end: End) -> String {
        let machine = Machine {
            kernel: Path::new("bzImage"),
            initramfs: Path::new("initramfs"),
            accelerator: Accelerator::Tcg,
            words: "",
            log: "serial.log".into(),
        };
        let said: Vec<String> = log.lines().map(str::to_owned).collect();
        let mut account = Account::default();
        said.iter().for_each(|line| account.hear(line));
        match machine.judge(&said, &account, &end) {
            Ok(()) => "good".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn good_is_only_what_says_so() {
        let good = "[ 1.0] guest: kernel=7.3.4\n[ 9.0] guest: done=ok\n";
        assert_eq!(judged(good, End::Exited), "good");
        assert!(judged("[ 1.0] Linux version 7.3.4\n", End::Exited).contains("did not come up"));
        assert!(judged("[ 1.0] guest: kernel=7.3.4\n", End::Exited)
            .contains("before its program was done"));
        assert!(
            judged("[ 1.0] guest: kernel=7.3.4\n", End::Silent).contains("said nothing for 6m00s")
        );
    }

    #[test]
    fn a_report_outweighs_success() {
        let log = "[ 1.0] guest: done=ok\n[ 1.1] BUG: KASAN: slab-use-after-free in f\n[ 1.1] Read of size 8\n";
        let judged = judged(log, End::Reported);
        assert!(
            judged.contains("slab-use-after-free") && judged.contains("Read of size 8"),
            "{judged}"
        );
    }

    #[test]
    fn a_failed_program_gives_its_reason() {
        let log = "[ 1.0] guest: failed=read() gave 3, wanted ENODEV\n";
        assert!(judged(log, End::Exited).contains("read() gave 3, wanted ENODEV"));
    }
}

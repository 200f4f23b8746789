//! Booting the kernel under QEMU, and listening to what it says.
//!
//! What it means is judged elsewhere, from the serial line alone. A machine is given up when nothing
//! has been said for a long time, and not after a total time, because an emulated machine on a busy
//! host may be slow and still be right.

use crate::command::lines;
use crate::progress::Step;
use crate::tools::QEMU;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Two CPUs in two sockets: without ACPI the kernel finds CPUs in the BIOS's MP table, and that lists
/// one for each socket.
const SMP: &str = "2,sockets=2,cores=1,threads=1";
/// Everything that can be emulated, but for five levels of page tables: while `identify_cpu()` finds
/// out about the boot CPU, Linux 7.3 takes it for one with four, and KASAN for one whose memory is in
/// the wrong place if an interrupt comes just then. Seen in one boot of about forty.
const CPU: &str = "max,la57=off";
/// Without a line for this long, nothing more is expected. The kernel itself reports a task that
/// hangs after half a minute.
pub const SILENCE: Duration = Duration::from_secs(300);

/// What executes the guest's instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// QEMU's own emulation: works everywhere.
    Tcg,
    /// The host's hardware: used when asked for, and never silently replaced.
    Kvm,
    /// One CPU, whose time is the number of instructions that it has executed: the guest's clocks tell
    /// the same on any machine, however busy. An idle CPU's clock goes on to the next timer at once.
    Counting,
}

impl Accelerator {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcg => "tcg",
            Self::Kvm => "kvm",
            Self::Counting => "tcg with icount",
        }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Tcg => &["-accel", "tcg,thread=multi", "-smp", SMP],
            Self::Kvm => &["-accel", "kvm", "-smp", SMP],
            Self::Counting => &["-accel", "tcg", "-icount", "shift=0,sleep=off", "-smp", "1"],
        }
    }
}

pub struct Machine<'a> {
    pub kernel: &'a Path,
    pub initramfs: &'a Path,
    pub accelerator: Accelerator,
    /// More words for the kernel's command line; `NAME=value` ends up in the init's environment.
    pub words: &'a str,
    pub log: &'a Path,
}

/// How a machine ended.
pub enum End {
    /// The guest ended it, or QEMU did.
    Exited(ExitStatus),
    /// Enough was heard.
    Stopped,
    /// Nothing was said for [`SILENCE`].
    Silent,
}

/// What a listener wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    On,
    /// The machine is of no more use.
    Stop,
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
    /// Runs until the guest ends, or `hear` has heard enough. It is given each line, and nothing
    /// about once a second.
    pub fn run(
        &self,
        step: &mut Step,
        mut hear: impl FnMut(Option<&str>, &mut Step) -> Go,
    ) -> Result<End> {
        let mut log = File::create(self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let (mut qemu, output) = self.start()?;
        let mut last = Instant::now();
        loop {
            let go = match output.recv_timeout(Duration::from_secs(1)) {
                Ok(line) => {
                    last = Instant::now();
                    writeln!(log, "{line}")?;
                    hear(Some(&line), step)
                }
                Err(RecvTimeoutError::Timeout) => hear(None, step),
                Err(RecvTimeoutError::Disconnected) => return Ok(End::Exited(qemu.0.wait()?)),
            };
            step.tick();
            if go == Go::Stop {
                return Ok(End::Stopped);
            }
            if last.elapsed() > SILENCE {
                return Ok(End::Silent);
            }
        }
    }

    fn start(&self) -> Result<(Qemu, Receiver<String>)> {
        // `loglevel=7` lets everything but debug messages through: some reports are mere warnings.
        // `kasan_multi_shot`: what is wrong after the first mistake is said as well. The stall
        // detectors are patient, since the host may be busy with something else.
        let append = format!(
            "console=ttyS0 loglevel=7 printk.time=1 panic=-1 acpi=off kasan_multi_shot kunit.enable=1 printk.devkmsg=on \
             watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120 {}",
            self.words
        );
        let (output, input) = io::pipe()?;
        let mut command = Command::new(QEMU);
        command
            .args(self.accelerator.options())
            .args(["-machine", "q35", "-cpu", CPU])
            .args(["-m", "1G", "-no-reboot", "-net", "none"])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
            .args(["-device", "edu", "-device", "e1000e,romfile="])
            .args(["-append", &append, "-kernel"])
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
}

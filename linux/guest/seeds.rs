//! The two cases of the articles, done to whichever driver is loaded.
//!
//! One program for all: the C drivers with the defect, the C drivers cured by hand, and the drivers
//! with devscope get the same treatment. With the defect, the kernel must report something, and that
//! is the end of the case; whoever reads the log looks at what it was.

use crate::sys::{
    self, expect_gone, join_within, run_on, say, wait_for, wait_within, Device, Module, Registers,
    Result, Watch,
};
use std::fs;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::{self, sleep, JoinHandle};
use std::time::Duration;

/// An interrupt that is one interrupt.
const ONE: u32 = 0x100;
/// An interrupt that asks the driver's tasklet to raise another one.
const AND_ANOTHER: u32 = 0x200;

/// How often a case is done. The driver with the defect does not get that far.
const ROUNDS: u32 = 20;
/// How many interrupts make a storm.
const STORM: u64 = 200;
/// How long an unbind may take before it is taken for one that never ends.
const UNBIND: Duration = Duration::from_secs(10);
/// How wide the C drivers are asked to make their race; see `linux/c/case1.c`.
const WIDEN: &str = "widen_ms=20";

/// The CPU that interrupts go to.
///
/// For a storm, unbinding happens there as well: whenever the tasklet lets go of its CPU, it is
/// scheduled again, so whoever wants to kill it never finds it idle. For single interrupts,
/// unbinding happens on [`ANOTHER`]: a tasklet on the CPU of `remove()` would keep that from going on,
/// and there were no race.
const INTERRUPTED: usize = 0;
const ANOTHER: usize = 1;

pub fn c(name: &str) -> Result<String> {
    let module = |name: &str| Module(name.into());
    match name {
        "case1-storm" => storm(module("case1_c"), ""),
        "case1-late" => late(module("case1_c"), WIDEN),
        "case2" => open_file(module("case2_c")),
        "case1-storm-cured" => storm(module("case1_cured_c"), ""),
        "case1-late-cured" => late(module("case1_cured_c"), WIDEN),
        "case2-cured" => open_file(module("case2_cured_c")),
        _ => Err(format!("there is no case seed-c/{name}")),
    }
}

pub fn rust(name: &str) -> Result<String> {
    match name {
        "case1-storm" => storm(Module::with_devscope("case1"), ""),
        "case1-late" => late(Module::with_devscope("case1"), ""),
        "case2" => open_file(Module::with_devscope("case2")),
        "leaks" => sys::leaks(),
        _ => Err(format!("there is no case seed-rust/{name}")),
    }
}

/// Unbinds while every run of the tasklet brings about the next interrupt.
fn storm(module: Module, parameters: &str) -> Result<String> {
    let device = Device::find("case1")?;
    let mut watch = Watch::start()?;
    module.load(parameters)?;
    let registers = device.registers()?;
    let mut interrupts = 0;
    for round in 1..=ROUNDS {
        aim(&device)?;
        let before = device.delivered()?;
        registers.raise(AND_ANOTHER);
        interrupts += wait_for("the storm of interrupts", || {
            let raised = device.delivered()?.saturating_sub(before);
            Ok((raised >= STORM).then_some(raised))
        })
        .map_err(|why| format!("round {round}: {why}"))?;
        unbind(&device, INTERRUPTED, round)?;
        expect_no_report(&mut watch, round)?;
        device.bind()?;
    }
    settle(&mut watch)?;
    module.unload()?;
    Ok(format!("{ROUNDS} unbinds, {interrupts} interrupts"))
}

/// Unbinds while single interrupts come in, also late ones.
fn late(module: Module, parameters: &str) -> Result<String> {
    let device = Device::find("case1")?;
    let mut watch = Watch::start()?;
    module.load(parameters)?;
    let raiser = Raiser::start(device.registers()?);
    let mut interrupts = 0;
    for round in 1..=ROUNDS {
        aim(&device)?;
        let before = device.delivered()?;
        interrupts += wait_for("an interrupt", || {
            let raised = device.delivered()?.saturating_sub(before);
            Ok((raised >= 3).then_some(raised))
        })
        .map_err(|why| format!("round {round}: {why}"))?;
        unbind(&device, ANOTHER, round)?;
        expect_no_report(&mut watch, round)?;
        device.bind()?;
    }
    let raised = raiser.stop()?;
    settle(&mut watch)?;
    module.unload()?;
    Ok(format!(
        "{ROUNDS} unbinds, {raised} interrupts raised, {interrupts} counted"
    ))
}

/// Raises single interrupts all the time, whether there is a driver or not.
struct Raiser {
    stop: Arc<AtomicBool>,
    raised: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Raiser {
    fn start(registers: Registers) -> Self {
        let (stop, raised) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let thread = thread::spawn({
            let (stop, raised): (_, Arc<AtomicU64>) = (stop.clone(), Arc::clone(&raised));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    registers.raise(ONE);
                    raised.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(1));
                }
            }
        });
        Self {
            stop,
            raised,
            thread,
        }
    }

    fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        join_within("the program that raises interrupts", self.thread)?;
        Ok(self.raised.load(Ordering::Relaxed))
    }
}

/// Sends the driver's interrupts to one CPU.
fn aim(device: &Device) -> Result {
    for line in device.lines()? {
        sys::write(
            format!("/proc/irq/{line}/smp_affinity"),
            &format!("{:x}", 1 << INTERRUPTED),
        )?;
    }
    Ok(())
}

/// Unbinds on `cpu`. If it does not end, somebody else who wants the device is left waiting for it, and
/// the kernel reports that.
fn unbind(device: &Device, cpu: usize, round: u32) -> Result {
    let thread = thread::spawn({
        let device = device.clone();
        move || run_on(cpu).and_then(|()| device.unbind())
    });
    let ended = wait_within(UNBIND, "unbind to end", || {
        Ok(thread.is_finished().then_some(()))
    });
    if ended.is_ok() {
        return thread
            .join()
            .map_err(|_| "the thread that unbinds panicked".to_owned())?;
    }
    say(&format!("unbind_hangs_in_round={round}"));
    sys::write("/proc/sys/kernel/hung_task_timeout_secs", "5")?;
    let another = thread::spawn({
        let device = device.clone();
        move || device.bind()
    });
    // Long enough for the kernel to look twice.
    let _ = wait_within(Duration::from_secs(40), "the other program", || {
        Ok((another.is_finished() || thread.is_finished()).then_some(()))
    });
    Err(format!("round {round}: unbind did not end"))
}

fn expect_no_report(watch: &mut Watch, round: u32) -> Result {
    if watch.has_report() {
        // Time for the rest of it.
        sleep(Duration::from_secs(3));
        return Err(format!("round {round}: the kernel has reported something"));
    }
    Ok(())
}

/// What was set off by the last round has happened after this.
fn settle(watch: &mut Watch) -> Result {
    sleep(Duration::from_millis(300));
    expect_no_report(watch, ROUNDS)
}

/// Opens, unbinds, closes.
fn open_file(module: Module) -> Result<String> {
    let device = Device::find("case2")?;
    let mut watch = Watch::start()?;
    module.load("")?;
    for round in 1..=ROUNDS {
        let (first, mut second) = (device.open()?, device.open()?);
        let mut buffer = [0; 2];
        let length = (&first)
            .read(&mut buffer)
            .map_err(|error| format!("round {round}: read(): {error}"))?;
        if length == 0 {
            return Err(format!("round {round}: read() gave nothing"));
        }
        device.unbind()?;
        // What the article does: nothing but close.
        drop(first);
        expect_no_report(&mut watch, round)?;
        expect_gone(
            "read() of a device that is gone",
            second.read(&mut buffer).map(|length| length as u64),
        )?;
        if fs::File::open(device.node()).is_ok() {
            return Err(format!(
                "round {round}: the device is gone, and could be opened"
            ));
        }
        device.bind()?;
        // Now with a device bound again, which is not the one that was opened.
        expect_gone(
            "read() of a device that is bound again",
            second.read(&mut buffer).map(|length| length as u64),
        )?;
        drop(second);
    }
    settle(&mut watch)?;
    module.unload()?;
    Ok(format!("{ROUNDS} unbinds with files open"))
}

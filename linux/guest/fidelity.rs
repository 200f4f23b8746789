//! What `hosted/FIDELITY.md` promises, asked of Linux.
//!
//! `fidelity.ko` has the checks; it binds to the `edu` device and takes a check's name from whoever
//! writes it to `/dev/fidelity`. The check runs in that system call, and says in the kernel's log how
//! it went. Here is the program that asks for all of them, and does what only a program can: the
//! checks of `hosted/fidelity/tests/programs.rs`, by the same names.

use super::reports::{Then, REPORTS};
use super::sys::{self, log, Module, Result, EAGAIN, EBUSY, ENODEV, PATIENCE};
use std::ffi::{c_int, c_long, c_uint, c_ulong, CString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const SYS_MKNOD: c_long = 133;
const S_IFCHR: c_uint = 0o020000;
const SIGUSR1: c_int = 10;

const ENOENT: i32 = 2;
const EFAULT: i32 = 14;

const CONTROL: &str = "/dev/fidelity";
const NODE: &str = "/dev/fidelity-node";
const DEVICES: &str = "/sys/bus/pci/devices";
const DRIVER: &str = "/sys/bus/pci/drivers/fidelity";
const HUNG_TASK: &str = "/proc/sys/kernel/hung_task_timeout_secs";

/// Orders to the module: `_IO('f', n)`, as in `hosted/fidelity/src/node.rs`.
mod order {
    pub const REGISTER: u64 = 0x6601;
    pub const DEREGISTER: u64 = 0x6602;
    pub const OPENS: u64 = 0x6603;
    pub const OPENED: u64 = 0x6604;
    pub const RELEASES: u64 = 0x6605;
    pub const READS: u64 = 0x6606;
    pub const GO_ON: u64 = 0x6607;
    pub const OPEN_TAKES: u64 = 0x6608;
}

extern "C" {
    fn signal(signal: c_int, handler: extern "C" fn(c_int)) -> usize;
    fn syscall(number: c_long, ...) -> c_long;
    fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
    fn read(fd: c_int, to: *mut u8, len: usize) -> isize;
    fn close(fd: c_int) -> c_int;
}

/// A signal that is handled, and so not ignored, and not the end either.
extern "C" fn handled(_signal: c_int) {}

/// Runs every check, and returns how many there are. The error names those that failed.
pub fn run() -> Result<u32> {
    let mut tally = Tally::default();
    module().load("")?;
    let control = Control::open()?;
    for name in control.names()? {
        let done = control.ask(&name).map_err(|error| error.to_string());
        // The module has said how it went.
        tally.note(&name, done);
    }
    drop(control);
    for (name, check) in PROGRAMS {
        let done = check();
        match &done {
            Ok(()) => say(&format!("{name}: ok")),
            Err(why) => {
                say(&format!("{name}: {why}"));
                // It has stopped half-way; the next begins anew.
                let _ = Control::open().and_then(|control| control.order(order::DEREGISTER, 0));
            }
        }
        tally.note(name, done);
    }
    module().unload()?;
    tally.finish()
}

/// Makes one of the mistakes of [`REPORTS`]. The report is the host's to look for. An error if the
/// machine is not to be used any more.
pub fn make_mistake(name: &str) -> Result {
    let report = REPORTS.iter().find(|report| report.name == name);
    let report = report.ok_or_else(|| format!("there is no mistake called {name}"))?;
    module().load("")?;
    let control = Control::open()?;
    if report.then == Then::Hangs {
        // Half a minute otherwise.
        sys::write(HUNG_TASK, "5")?;
    }
    control
        .ask(name)
        .map_err(|error| format!("{name}: {error}"))?;
    // Some reports come a moment later.
    sleep(Duration::from_secs(1));
    match report.then {
        Then::GoesOn | Then::LosesLockdep => {
            drop(control);
            module().unload()
        }
        Then::IsSpoilt | Then::Dies | Then::Hangs => {
            sleep(Duration::from_secs(2));
            Err("the mistake is made, and the machine is spoilt".into())
        }
    }
}

/// The checks that take a program.
pub type Program = (&'static str, fn() -> Result);

macro_rules! programs {
    ($($name:ident,)*) => { &[$((stringify!($name), $name)),*] };
}

pub const PROGRAMS: &[Program] = programs! {
    misc_deregister_does_not_wait_for_open_files,
    a_node_that_is_deregistered_does_not_open,
    release_is_called_at_the_last_close_and_not_before,
    an_operation_in_flight_keeps_its_file,
    misc_deregister_waits_for_an_open_in_progress,
    memory_that_is_not_the_programs_gives_efault,
    a_module_in_use_is_not_unloaded_and_says_eagain,
    unbind_takes_the_node_away_and_bind_brings_it_back,
    a_file_lives_on_when_the_device_is_removed,
};

fn misc_deregister_does_not_wait_for_open_files() -> Result {
    let control = Control::open()?;
    control.order(order::REGISTER, 0)?;
    let file = open(NODE)?;
    let released = control.order(order::RELEASES, 0)?;
    control.order(order::DEREGISTER, 0)?;
    control.order(order::GO_ON, 0)?;
    expect("read() after it", read_one(&file), Ok(1))?;
    same("releases", control.order(order::RELEASES, 0)?, released)
}

fn a_node_that_is_deregistered_does_not_open() -> Result {
    let control = Control::open()?;
    control.order(order::REGISTER, 0)?;
    drop(open(NODE)?);
    let device = fs::metadata(NODE)
        .map_err(|error| format!("{NODE}: {error}"))?
        .rdev();
    let old = "/tmp/fidelity-old-node";
    let _ = fs::remove_file(old);
    let path = CString::new(old).map_err(|error| error.to_string())?;
    // SAFETY: mknod() takes a string, which ends with a NUL and outlives the call, and numbers.
    if unsafe { syscall(SYS_MKNOD, path.as_ptr(), S_IFCHR | 0o600, device as c_uint) } != 0 {
        return Err(format!("mknod(): {}", io::Error::last_os_error()));
    }
    drop(open(old)?);
    let opens = control.order(order::OPENS, 0)?;
    control.order(order::DEREGISTER, 0)?;
    expect("by its name", File::open(NODE).map(|_| 0), Err(ENOENT))?;
    expect("by its number", File::open(old).map(|_| 0), Err(ENODEV))?;
    same("opens", control.order(order::OPENS, 0)?, opens)
}

fn release_is_called_at_the_last_close_and_not_before() -> Result {
    let control = Control::open()?;
    control.order(order::REGISTER, 0)?;
    let before = control.order(order::RELEASES, 0)?;
    let first = open(NODE)?;
    let second = first.try_clone().map_err(|error| error.to_string())?;
    drop(first);
    same(
        "releases at the first close",
        control.order(order::RELEASES, 0)?,
        before,
    )?;
    drop(second);
    same(
        "releases at the last",
        control.order(order::RELEASES, 0)?,
        before + 1,
    )?;
    control.order(order::DEREGISTER, 0).map(drop)
}

fn an_operation_in_flight_keeps_its_file() -> Result {
    let control = Control::open()?;
    control.order(order::REGISTER, 0)?;
    let (reads, before) = (
        control.order(order::READS, 0)?,
        control.order(order::RELEASES, 0)?,
    );
    let fd = open(NODE)?.into_raw_fd();
    let reader = thread::spawn(move || {
        // SAFETY: `read` writes at most one byte to a byte.
        unsafe { read(fd, &mut 0, 1) }
    });
    control.until(order::READS, reads + 1)?;
    // SAFETY: The descriptor is open, and nobody else closes it.
    unsafe { close(fd) };
    control.order(order::DEREGISTER, 0)?;
    same(
        "releases while read() goes on",
        control.order(order::RELEASES, 0)?,
        before,
    )?;
    control.order(order::GO_ON, 0)?;
    let got = reader.join().map_err(|_| "the reader panicked")?;
    same("bytes read", got as i32, 1)?;
    control.until(order::RELEASES, before + 1)
}

fn misc_deregister_waits_for_an_open_in_progress() -> Result {
    let control = Control::open()?;
    control.order(order::REGISTER, 0)?;
    control.order(order::OPEN_TAKES, 200)?;
    let (opens, opened) = (
        control.order(order::OPENS, 0)?,
        control.order(order::OPENED, 0)?,
    );
    wait_for(NODE)?;
    let opener = thread::spawn(|| File::open(NODE).map(drop));
    control.until(order::OPENS, opens + 1)?;
    same("opened too soon", control.order(order::OPENED, 0)?, opened)?;
    control.order(order::DEREGISTER, 0)?;
    let now = control.order(order::OPENED, 0)?;
    control.order(order::OPEN_TAKES, 0)?;
    let end = opener.join().map_err(|_| "the opener panicked")?;
    end.map_err(|error| format!("open(): {error}"))?;
    same("opened, by the end of misc_deregister()", now, opened + 1)
}

fn memory_that_is_not_the_programs_gives_efault() -> Result {
    let control = Control::open()?;
    control.order(order::REGISTER, 0)?;
    let file = open(NODE)?;
    control.order(order::GO_ON, 0)?;
    // SAFETY: The kernel finds out that nothing is at this address: that is what is tried.
    let got = unsafe { read(file.as_raw_fd(), 8 as *mut u8, 1) };
    let got = match got {
        -1 => Err(io::Error::last_os_error()),
        got => Ok(got as i32),
    };
    control.order(order::DEREGISTER, 0)?;
    expect("read() to nowhere", got, Err(EFAULT))
}

fn a_module_in_use_is_not_unloaded_and_says_eagain() -> Result {
    let device = device()?;
    let control = Control::open()?;
    control.order(order::REGISTER, 0)?;
    let file = open(NODE)?;
    let refused = |when| expect(when, module().try_unload().map(|()| 0), Err(EAGAIN));
    refused("with two files open")?;
    control.order(order::DEREGISTER, 0)?;
    drop(control);
    refused("with one open, of a node that is gone")?;
    sys::write(format!("{DRIVER}/unbind"), &device)?;
    refused("and without a device")?;
    drop(file);
    module().unload()?;
    module().load("")
}

fn unbind_takes_the_node_away_and_bind_brings_it_back() -> Result {
    let device = device()?;
    let (bind, unbind) = (format!("{DRIVER}/bind"), format!("{DRIVER}/unbind"));
    drop(Control::open()?);
    sys::write(&unbind, &device)?;
    expect(
        "open() when unbound",
        File::open(CONTROL).map(|_| 0),
        Err(ENOENT),
    )?;
    expect(
        "unbinding again",
        fs::write(&unbind, &device).map(|()| 0),
        Err(ENODEV),
    )?;
    sys::write(&bind, &device)?;
    drop(Control::open()?);
    expect(
        "binding again",
        fs::write(&bind, &device).map(|()| 0),
        Err(EBUSY),
    )
}

fn a_file_lives_on_when_the_device_is_removed() -> Result {
    let device = device()?;
    let control = Control::open()?;
    control.order(order::REGISTER, 0)?;
    control.order(order::GO_ON, 0)?;
    let before = control.order(order::RELEASES, 0)?;
    let file = open(NODE)?;
    drop(control);
    sys::write(format!("{DEVICES}/{device}/remove"), "1")?;
    expect(
        "open() without a device",
        File::open(CONTROL).map(|_| 0),
        Err(ENOENT),
    )?;
    expect("read() without a device", read_one(&file), Ok(1))?;
    sys::write("/sys/bus/pci/rescan", "1")?;
    let control = Control::open()?;
    control.order(order::DEREGISTER, 0)?;
    drop(file);
    same("releases", control.order(order::RELEASES, 0)?, before + 1)
}

/// How often a check is asked for whose case does not come up.
const ATTEMPTS: u32 = 50;

/// `/dev/fidelity`.
struct Control(File);

impl Control {
    fn open() -> Result<Self> {
        // SAFETY: The handler does nothing. A check sends the signal to the task that asks for it.
        unsafe { signal(SIGUSR1, handled) };
        open(CONTROL).map(Self)
    }

    /// The names of the module's checks, one for each read.
    fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        loop {
            let mut name = [0; 128];
            match (&self.0).read(&mut name) {
                Ok(0) => return Ok(names),
                Ok(len) => names.push(String::from_utf8_lossy(&name[..len]).into_owned()),
                Err(error) => return Err(format!("{CONTROL} does not say its checks: {error}")),
            }
        }
    }

    /// Runs a check: again, as long as its case has not come up.
    fn ask(&self, name: &str) -> io::Result<()> {
        let mut attempts = 0;
        loop {
            let asked = (&self.0).write(name.as_bytes()).map(drop);
            match asked {
                Err(error) if error.raw_os_error() == Some(EAGAIN) && attempts < ATTEMPTS => {
                    attempts += 1;
                }
                other => return other,
            }
        }
    }

    fn order(&self, order: u64, argument: c_ulong) -> Result<i32> {
        // SAFETY: The orders take a number, and no memory of ours.
        match unsafe { ioctl(self.0.as_raw_fd(), order as c_ulong, argument) } {
            answer @ 0.. => Ok(answer),
            _ => Err(format!("ioctl({order:#x}): {}", io::Error::last_os_error())),
        }
    }

    /// Waits until an answer is at least this.
    fn until(&self, order: u64, at_least: i32) -> Result {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.order(order, 0)? >= at_least {
                return Ok(());
            }
            sleep(Duration::from_millis(5));
        }
        Err(format!(
            "waited in vain for ioctl({order:#x}) to give {at_least}"
        ))
    }
}

#[derive(Default)]
struct Tally {
    done: u32,
    failed: Vec<String>,
}

impl Tally {
    fn note(&mut self, name: &str, outcome: Result) {
        self.done += 1;
        if let Err(why) = outcome {
            self.failed.push(format!("{name} ({why})"));
        }
    }

    fn finish(self) -> Result<u32> {
        say(&format!("done, {} checks", self.done));
        match self.failed.as_slice() {
            [] => Ok(self.done),
            failed => Err(format!("not as promised: {}", failed.join(", "))),
        }
    }
}

fn same(what: &str, seen: i32, expected: i32) -> Result {
    if seen == expected {
        return Ok(());
    }
    Err(format!("{what}: {seen}, and not {expected}"))
}

fn expect(what: &str, seen: io::Result<i32>, expected: std::result::Result<i32, i32>) -> Result {
    let code = match &seen {
        Ok(value) => Ok(*value),
        Err(error) => Err(error.raw_os_error().unwrap_or(0)),
    };
    if code == expected {
        return Ok(());
    }
    Err(format!("{what}: {seen:?}, and not {expected:?}"))
}

fn read_one(mut file: &File) -> io::Result<i32> {
    file.read(&mut [0]).map(|len| len as i32)
}

/// A line in the module's manner.
fn say(line: &str) {
    log(&format!("fidelity: {line}"));
}

/// The device that the module is bound to, as in `0000:00:03.0`.
fn device() -> Result<String> {
    let entries = fs::read_dir(DRIVER).map_err(|error| format!("{DRIVER}: {error}"))?;
    entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .find(|name| name.contains(':'))
        .ok_or_else(|| "fidelity.ko is not bound to a device".to_owned())
}

fn module() -> Module {
    Module("fidelity".into())
}

/// Waits for a node: devtmpfs may take a moment to show it.
fn wait_for(node: &str) -> Result {
    sys::wait_for(&format!("{node} to be there"), || {
        Ok(Path::new(node).exists().then_some(()))
    })
}

fn open(node: &str) -> Result<File> {
    wait_for(node)?;
    OpenOptions::new()
        .read(true)
        .write(node == CONTROL)
        .open(node)
        .map_err(|error| format!("{node} does not open: {error}"))
}

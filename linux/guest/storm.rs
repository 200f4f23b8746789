//! The program that a driver has to bear: it runs inside the virtual machine, on real Linux.
//!
//! It opens the device, waits in it, makes it interrupt as fast as it can, takes the driver away
//! while all that goes on, and gives it back; again and again. Then it unloads the module, with a
//! file open and without, and asks kmemleak what is left. Everything that is not as it should be
//! ends it with a reason.
//!
//! What it says goes to the kernel's log as `guest: key=value`. Nothing here but std: the guest has
//! no libraries, and the C library is linked in.

use std::ffi::{c_char, c_int, c_long, c_uint, c_ulong, CString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::{self, sleep, JoinHandle};
use std::time::{Duration, Instant};

const EBUSY: i32 = 16;
const EAGAIN: i32 = 11;
const ENODEV: i32 = 19;

/// `_IO('e', 1)`: how many interrupts the driver has seen.
const COUNT: c_ulong = 0x6501;
/// `_IO('e', 2)`: raise one.
const RAISE: c_ulong = 0x6502;
/// `_IOW('e', 3, u32)`: the tasklet raises as many more, each from the one before.
const STORM: c_ulong = 0x4004_6503;

const SYS_DELETE_MODULE: c_long = 176;
const SYS_FINIT_MODULE: c_long = 313;
const O_NONBLOCK: c_uint = 0o4000;

/// QEMU's edu device has no other name that is open to a driver.
const CLASS: &str = "0x00ff00";

/// How many interrupts a cycle waits for before it takes the driver away.
const STORM_BEFORE_UNBIND: u64 = 500;
/// Programs that wait in read() when that happens, and threads that keep the storm going.
const READERS: usize = 2;
const STORMERS: usize = 2;

/// How long anything may take that should happen soon. An emulated CPU under every checker is slow,
/// and so is a machine that builds something else meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);

extern "C" {
    fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
}

type Result<T = ()> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, module, driver, cycles] = arguments.as_slice() else {
        say("failed=usage: devscope-guest MODULE DRIVER CYCLES");
        return ExitCode::from(2);
    };
    match Guest::new(module, driver, cycles).and_then(Guest::run) {
        Ok(()) => {
            say("done=ok");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            say(&format!("failed={reason}"));
            ExitCode::FAILURE
        }
    }
}

/// One line into the kernel's log, where nothing can get in between.
fn say(line: &str) {
    let said = OpenOptions::new()
        .write(true)
        .open("/dev/kmsg")
        .and_then(|mut log| log.write_all(format!("guest: {line}\n").as_bytes()));
    if said.is_err() {
        println!("guest: {line}");
    }
}

struct Guest {
    module: PathBuf,
    driver: String,
    cycles: u32,
    /// The device's address on its bus, as in `0000:00:03.0`.
    device: String,
    /// Interrupts by the driver's own count, and by the kernel's, over all cycles.
    interrupts: u64,
    kernel_interrupts: u64,
}

impl Guest {
    fn new(module: &str, driver: &str, cycles: &str) -> Result<Self> {
        Ok(Self {
            module: module.into(),
            driver: driver.to_owned(),
            cycles: cycles
                .parse()
                .map_err(|_| format!("CYCLES is {cycles:?}, and should be a number"))?,
            device: find_device()?,
            interrupts: 0,
            kernel_interrupts: 0,
        })
    }

    fn run(mut self) -> Result {
        self.load()?;
        let file = self.open()?;
        check_factorial(&file, 10, "3628800")?;
        say("factorial=3628800");
        drop(file);

        for cycle in 1..=self.cycles {
            self.cycle(cycle)
                .map_err(|reason| format!("cycle {cycle}: {reason}"))?;
        }
        self.unload()?;
        self.leaks()
    }

    /// Takes the driver away in the middle of everything, and gives it back.
    fn cycle(&mut self, cycle: u32) -> Result {
        let file = Arc::new(self.open()?);
        check_factorial(&file, 5, "120")?;
        let before = self.counts(&file)?;

        let readers: Vec<_> = (0..READERS)
            .map(|_| Reader::start(self.node()))
            .collect::<Result<_>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stormers: Vec<_> = (0..STORMERS)
            .map(|_| storm(file.clone(), stop.clone()))
            .collect();
        let raised = wait_for("the storm of interrupts", || {
            let now = self.counts(&file)?;
            Ok((now.0.saturating_sub(before.0) >= STORM_BEFORE_UNBIND).then_some(now))
        })?;
        for reader in &readers {
            if reader.thread.is_finished() {
                return Err(
                    "a program that waited in read() came back before the device was gone".into(),
                );
            }
        }

        let asked = Instant::now();
        self.verb("unbind")?;
        let took = asked.elapsed();

        for reader in readers {
            expect_gone("read() that was waiting", reader.join()?)?;
        }
        // They end by themselves once the device is gone, and not before.
        for stormer in stormers {
            let asked = join_within("an ioctl() of the storm", stormer)?;
            expect_gone("ioctl() in the storm", asked)?;
        }
        stop.store(true, Ordering::Relaxed);
        self.expect_old_file_is_dead(&file)?;
        if let Ok(_file) = File::open(self.node()) {
            return Err("the device is gone, and could be opened".into());
        }

        self.verb("bind")?;
        let again = self.open()?;
        check_factorial(&again, 6, "720")?;
        // The new device is not the one that the old file was opened on.
        self.expect_old_file_is_dead(&file)?;
        drop(file);
        check_factorial(&again, 7, "5040")?;

        self.interrupts += raised.0;
        self.kernel_interrupts += raised.1;
        say(&format!(
            "cycle={cycle} unbinds={cycle} unbind_us={} interrupts={} kernel_interrupts={} readers={}",
            took.as_micros(),
            self.interrupts,
            self.kernel_interrupts,
            cycle as usize * READERS,
        ));
        Ok(())
    }

    fn expect_old_file_is_dead(&self, file: &File) -> Result {
        let mut buffer = [0; 16];
        expect_gone(
            "read() on the old file",
            (&mut &*file).read(&mut buffer).map(|n| n as u64),
        )?;
        expect_gone(
            "write() on the old file",
            (&mut &*file).write(b"3\n").map(|n| n as u64),
        )?;
        expect_gone("ioctl() on the old file", control(file, COUNT, 0))
    }

    /// The driver's own count of interrupts, and the kernel's.
    fn counts(&self, file: &File) -> Result<(u64, u64)> {
        let own = control(file, COUNT, 0).map_err(|error| format!("ioctl(COUNT): {error}"))?;
        let table = fs::read_to_string("/proc/interrupts")
            .map_err(|error| format!("/proc/interrupts: {error}"))?;
        Ok((own, delivered(&table, &self.driver)))
    }

    fn load(&self) -> Result {
        let file = File::open(&self.module)
            .map_err(|error| format!("{}: {error}", self.module.display()))?;
        // SAFETY: finit_module() takes a descriptor, which is open, a string, which ends with a NUL,
        // and flags.
        let done = unsafe { syscall(SYS_FINIT_MODULE, file.as_raw_fd(), c"".as_ptr(), 0) };
        if done != 0 {
            return Err(format!(
                "the module does not load: {}",
                io::Error::last_os_error()
            ));
        }
        Ok(())
    }

    fn try_unload(&self) -> io::Result<()> {
        let name = CString::new(self.driver.as_str())?;
        let name: *const c_char = name.as_ptr();
        // SAFETY: delete_module() takes a string, which ends with a NUL and outlives the call, and
        // flags.
        match unsafe { syscall(SYS_DELETE_MODULE, name, O_NONBLOCK) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The module stays while a file is open, whether its device is bound or not, and goes after.
    fn unload(&self) -> Result {
        let file = self.open()?;
        self.expect_busy("a file is open")?;
        self.verb("unbind")?;
        self.expect_busy("a file of an unbound device is open")?;
        drop(file);
        self.verb("bind")?;
        drop(self.open()?);
        self.try_unload()
            .map_err(|error| format!("the module does not unload, and nothing is open: {error}"))?;
        if self.node().exists() || self.bus_driver().exists() {
            return Err("the module is unloaded, and its device or driver is still there".into());
        }
        say("unloaded=1");

        self.load()?;
        check_factorial(&self.open()?, 10, "3628800")?;
        self.try_unload()
            .map_err(|error| format!("the module does not unload a second time: {error}"))?;
        say("unloaded=2");
        Ok(())
    }

    fn expect_busy(&self, why: &str) -> Result {
        match self.try_unload() {
            // delete_module() has two ways to say it; a module in use is EAGAIN (EWOULDBLOCK).
            Err(error) if matches!(error.raw_os_error(), Some(EAGAIN | EBUSY)) => {
                say("refused_to_unload=yes");
                Ok(())
            }
            Err(error) => Err(format!("unloading while {why}: {error}")),
            Ok(()) => Err(format!("the module was unloaded while {why}")),
        }
    }

    /// kmemleak reports what two scans have found unreachable, and what is older than some seconds.
    fn leaks(&self) -> Result {
        let kmemleak = Path::new("/sys/kernel/debug/kmemleak");
        let scan = || fs::write(kmemleak, "scan").map_err(|error| format!("kmemleak: {error}"));
        scan()?;
        sleep(Duration::from_secs(6));
        scan()?;
        let found = fs::read_to_string(kmemleak).map_err(|error| format!("kmemleak: {error}"))?;
        let leaks = found.matches("unreferenced object").count();
        if leaks > 0 {
            // Not through `say`: these lines are a report, and shall be taken for one.
            for line in found.lines() {
                println!("{line}");
            }
            return Err(format!(
                "kmemleak found {leaks} objects that nothing refers to"
            ));
        }
        say("leaks=0");
        Ok(())
    }

    fn node(&self) -> PathBuf {
        Path::new("/dev").join(&self.driver)
    }

    fn bus_driver(&self) -> PathBuf {
        Path::new("/sys/bus/pci/drivers").join(&self.driver)
    }

    /// Opens the device. devtmpfs may take a moment to show it.
    fn open(&self) -> Result<File> {
        let node = self.node();
        wait_for(
            &format!("{} to be there", node.display()),
            || match OpenOptions::new().read(true).write(true).open(&node) {
                Ok(file) => Ok(Some(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(format!("{} does not open: {error}", node.display())),
            },
        )
    }

    /// Unbinds the driver from its device, or binds it.
    fn verb(&self, verb: &str) -> Result {
        fs::write(self.bus_driver().join(verb), &self.device)
            .map_err(|error| format!("{verb}: {error}"))
    }
}

/// A program that waits in read().
struct Reader {
    thread: JoinHandle<io::Result<u64>>,
}

impl Reader {
    fn start(node: PathBuf) -> Result<Self> {
        let file = File::open(&node)
            .map_err(|error| format!("{} does not open: {error}", node.display()))?;
        let waiting = Arc::new(AtomicU64::new(0));
        let thread = thread::spawn({
            let waiting = waiting.clone();
            move || {
                // SAFETY: gettid() takes nothing.
                let id = unsafe { syscall(186) };
                waiting.store(id as u64, Ordering::Relaxed);
                (&file).read(&mut [0; 16]).map(|n| n as u64)
            }
        });
        // It waits when the kernel says that it sleeps, and where.
        wait_for("a reader to sleep", || {
            let id = waiting.load(Ordering::Relaxed);
            let status =
                fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap_or_default();
            let asleep = status
                .rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" S"));
            Ok((id != 0 && asleep).then_some(()))
        })?;
        Ok(Self { thread })
    }

    fn join(self) -> Result<io::Result<u64>> {
        join_within("a program that waited in read()", self.thread)
    }
}

/// Keeps the storm going until the device says that it is gone, and returns what it said.
fn storm(file: Arc<File>, stop: Arc<AtomicBool>) -> JoinHandle<io::Result<u64>> {
    thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            control(&file, STORM, 1_000_000)?;
            control(&file, RAISE, 0)?;
            sleep(Duration::from_millis(1));
        }
        Ok(0)
    })
}

/// Joins a thread that should end now, and says so if it does not.
fn join_within<T>(what: &str, thread: JoinHandle<T>) -> Result<T> {
    wait_for(&format!("{what} to come back"), || {
        Ok(thread.is_finished().then_some(()))
    })?;
    thread.join().map_err(|_| format!("{what} panicked"))
}

fn control(file: &File, request: c_ulong, argument: c_ulong) -> io::Result<u64> {
    // SAFETY: the three requests take a number, and no memory of ours.
    match unsafe { ioctl(file.as_raw_fd(), request, argument) } {
        count @ 0.. => Ok(count as u64),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Asks the device for the factorial of `n`: one write, and one read that waits for the interrupt.
fn check_factorial(file: &File, n: u32, answer: &str) -> Result {
    let mut device = file;
    device
        .write_all(format!("{n}\n").as_bytes())
        .map_err(|error| format!("write({n}): {error}"))?;
    let mut buffer = [0; 64];
    let length = device
        .read(&mut buffer)
        .map_err(|error| format!("read() of {n}!: {error}"))?;
    match String::from_utf8_lossy(&buffer[..length]).trim() {
        given if given == answer => Ok(()),
        given => Err(format!("{n}! is {answer}, and the device said {given:?}")),
    }
}

/// What an operation on a device that is gone must say.
fn expect_gone(what: &str, said: io::Result<u64>) -> Result {
    match said {
        Err(error) if error.raw_os_error() == Some(ENODEV) => Ok(()),
        Err(error) => Err(format!("{what} gave {error}, wanted ENODEV")),
        Ok(value) => Err(format!("{what} gave {value}, wanted ENODEV")),
    }
}

fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(value) = ready()? {
            return Ok(value);
        }
        sleep(Duration::from_millis(5));
    }
    Err(format!("waited {} s for {what}", PATIENCE.as_secs()))
}

/// The first device of edu's class.
fn find_device() -> Result<String> {
    let devices =
        fs::read_dir("/sys/bus/pci/devices").map_err(|error| format!("/sys/bus/pci: {error}"))?;
    devices
        .flatten()
        .find(|device| {
            fs::read_to_string(device.path().join("class")).is_ok_and(|class| class.trim() == CLASS)
        })
        .map(|device| device.file_name().to_string_lossy().into_owned())
        .ok_or_else(|| {
            format!("this machine has no device of class {CLASS}: was QEMU given -device edu?")
        })
}

/// How often the lines of `name` in `/proc/interrupts` have been delivered, on all CPUs.
fn delivered(table: &str, name: &str) -> u64 {
    let cpus = table
        .lines()
        .next()
        .map_or(0, |header| header.split_whitespace().count());
    table
        .lines()
        .skip(1)
        .filter(|line| {
            // A shared line has several names, with commas between.
            line.split_whitespace()
                .skip(1 + cpus)
                .any(|word| word.trim_end_matches(',') == name)
        })
        .flat_map(|line| line.split_whitespace().skip(1).take(cpus))
        .filter_map(|count| count.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "           CPU0       CPU1       \n  \
        4:        120          0   IO-APIC    4-edge      ttyS0\n \
        10:          3          2   IO-APIC   10-fasteoi   edu, other\n \
        25:        700       1042  PCI-MSI-0000:00:03.0    0-edge      edu\n \
        26:          9          9  PCI-MSI-0000:00:04.0    0-edge      education\n\
        NMI:          0          0   Non-maskable interrupts\n";

    #[test]
    fn interrupts_are_added_up_over_cpus_and_lines() {
        assert_eq!(delivered(TABLE, "edu"), 3 + 2 + 700 + 1042);
        assert_eq!(delivered(TABLE, "ttyS0"), 120);
        assert_eq!(delivered(TABLE, "absent"), 0);
        assert_eq!(delivered("", "edu"), 0);
    }

    #[test]
    fn only_enodev_is_gone() {
        assert!(expect_gone("x", Err(io::Error::from_raw_os_error(ENODEV))).is_ok());
        assert!(expect_gone("x", Err(io::Error::from_raw_os_error(EAGAIN))).is_err());
        assert_eq!(
            expect_gone("x", Ok(3)).unwrap_err(),
            "x gave 3, wanted ENODEV"
        );
    }
}

//! What the guest's programs ask of the kernel: modules, devices, waiting, leaks, memory.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{c_char, c_int, c_long, c_short, c_ulong, c_void, CString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::thread::{sleep, JoinHandle};
use std::time::{Duration, Instant};

pub const EAGAIN: i32 = 11;
pub const ENOMEM: i32 = 12;
pub const EBUSY: i32 = 16;
pub const ENODEV: i32 = 19;
pub const ENOSPC: i32 = 28;
pub const EINVAL: i32 = 22;

const SYS_DELETE_MODULE: c_long = 176;
const SYS_SCHED_SETAFFINITY: c_long = 203;
const SYS_FINIT_MODULE: c_long = 313;
pub const O_NONBLOCK: c_int = 0o4000;

pub const POLLIN: c_short = 0x1;
pub const POLLERR: c_short = 0x8;
pub const POLLHUP: c_short = 0x10;

/// QEMU's edu device has no other name that is open to a driver.
const EDU: &str = "0x00ff00";
/// Of the network controller e1000e, for `examples/multivector`.
const NETWORK: &str = "0x020000";

/// How long anything may take that should happen soon. An emulated CPU under every checker is slow,
/// and so is a machine that builds something else meanwhile.
pub const PATIENCE: Duration = Duration::from_secs(120);

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: c_short,
    revents: c_short,
}

#[repr(C, packed)]
#[derive(Clone, Copy)]
struct EpollEvent {
    events: u32,
    data: u64,
}

extern "C" {
    pub fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
    pub fn syscall(number: c_long, ...) -> c_long;
    fn poll(fds: *mut PollFd, count: c_ulong, timeout: c_int) -> c_int;
    fn epoll_create1(flags: c_int) -> c_int;
    fn epoll_ctl(epoll: c_int, op: c_int, fd: c_int, event: *mut EpollEvent) -> c_int;
    fn epoll_wait(epoll: c_int, events: *mut EpollEvent, max: c_int, timeout: c_int) -> c_int;
    fn close(fd: c_int) -> c_int;
    pub fn mmap(
        address: *mut c_void,
        length: usize,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
    pub fn munmap(address: *mut c_void, length: usize) -> c_int;
}

pub type Result<T = ()> = std::result::Result<T, String>;

/// What this program has to say, for whoever reads the kernel's log.
pub fn say(line: &str) {
    log(&format!("guest: {line}"));
}

/// One line into the kernel's log, where nothing can get in between.
pub fn log(line: &str) {
    let said = OpenOptions::new()
        .write(true)
        .open("/dev/kmsg")
        .and_then(|mut log| log.write_all(format!("{line}\n").as_bytes()));
    if said.is_err() {
        println!("{line}");
    }
}

/// Listens to the kernel's log from now on.
pub struct Watch(File);

impl Watch {
    pub fn start() -> Result<Self> {
        let mut log = OpenOptions::new()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open("/dev/kmsg")
            .map_err(|error| format!("/dev/kmsg: {error}"))?;
        log.seek(SeekFrom::End(0))
            .map_err(|error| format!("/dev/kmsg: {error}"))?;
        Ok(Self(log))
    }

    /// Whether the kernel has reported something since the last time.
    pub fn has_report(&mut self) -> bool {
        let mut found = false;
        while let Some(text) = self.record() {
            found |= ["BUG:", "Oops", "WARNING:", "INFO: task"]
                .iter()
                .any(|report| text.starts_with(report) || text.contains("BUG: "));
        }
        found
    }

    /// The first that the kernel has said since the last time and that has `words` in it.
    pub fn hear(&mut self, words: &str) -> Option<String> {
        std::iter::from_fn(|| self.record()).find(|text| text.contains(words))
    }

    /// One record of the log; none when there is none left, or when some were overwritten.
    fn record(&mut self) -> Option<String> {
        let mut bytes = [0; 8192];
        let length = self.0.read(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes[..length]);
        let text = text.split_once(';').map_or("", |(_, text)| text);
        Some(text.lines().next().unwrap_or_default().to_owned())
    }
}

pub fn write(path: impl AsRef<Path>, value: &str) -> Result {
    let path = path.as_ref();
    fs::write(path, value).map_err(|error| format!("{}: {error}", path.display()))
}

pub fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

pub fn wait_for<T>(what: &str, ready: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    wait_within(PATIENCE, what, ready)
}

pub fn wait_within<T>(
    patience: Duration,
    what: &str,
    mut ready: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    while started.elapsed() < patience {
        if let Some(value) = ready()? {
            return Ok(value);
        }
        sleep(Duration::from_millis(2));
    }
    // Who waits for what, in the kernel's own words.
    let _ = fs::write("/proc/sysrq-trigger", "w");
    Err(format!("waited {} s for {what}", patience.as_secs()))
}

/// Joins a thread that should end now, and says so if it does not.
pub fn join_within<T>(what: &str, thread: JoinHandle<T>) -> Result<T> {
    wait_for(&format!("{what} to come back"), || {
        Ok(thread.is_finished().then_some(()))
    })?;
    thread.join().map_err(|_| format!("{what} panicked"))
}

/// Which mistake devscope's teardown shall make: a number of `src/mutants.rs`.
fn mutant() -> Option<String> {
    env::var("MUTANT").ok().filter(|mutant| !mutant.is_empty())
}

/// A kernel module, by its file's name without `.ko`.
#[derive(Clone)]
pub struct Module(pub String);

impl Module {
    /// The module of a driver with devscope. It makes the mistake that the environment asks for.
    pub fn with_devscope(driver: &str) -> Self {
        Self(match mutant() {
            None => driver.into(),
            Some(_) => format!("{driver}_mutants"),
        })
    }

    pub fn load(&self, parameters: &str) -> Result {
        let mutant = match mutant() {
            Some(mutant) if self.0.ends_with("_mutants") => format!("mutant={mutant}"),
            _ => String::new(),
        };
        self.load_with(&format!("{parameters} {mutant}"))
    }

    fn load_with(&self, parameters: &str) -> Result {
        let path = Path::new("/lib").join(format!("{}.ko", self.0));
        let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let parameters = CString::new(parameters).map_err(|error| error.to_string())?;
        // SAFETY: finit_module() takes a descriptor, which is open, a string, which ends with a NUL
        // and outlives the call, and flags.
        let done = unsafe { syscall(SYS_FINIT_MODULE, file.as_raw_fd(), parameters.as_ptr(), 0) };
        if done != 0 {
            let error = io::Error::last_os_error();
            return Err(format!("{}.ko does not load: {error}", self.0));
        }
        Ok(())
    }

    pub fn try_unload(&self) -> io::Result<()> {
        let name = CString::new(self.0.as_str())?;
        let name: *const c_char = name.as_ptr();
        // SAFETY: delete_module() takes a string, which ends with a NUL and outlives the call, and
        // flags.
        match unsafe { syscall(SYS_DELETE_MODULE, name, O_NONBLOCK) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    pub fn unload(&self) -> Result {
        self.try_unload().map_err(|error| {
            format!(
                "{}.ko does not unload, and nothing is open: {error}",
                self.0
            )
        })
    }
}

/// Where the button is made, of gpio-sim.
pub const SIMULATOR: &str = "/sys/kernel/config/gpio-sim/button";

/// Puts a button on a simulated line, and makes the platform device for it: once for each machine.
fn plug_button() -> Result {
    let simulator = Path::new(SIMULATOR);
    if simulator.exists() {
        return Ok(());
    }
    let bank = simulator.join("bank");
    for dir in [simulator, &bank] {
        fs::create_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    }
    write(bank.join("num_lines"), "1")?;
    write(bank.join("label"), "button")?;
    write(simulator.join("live"), "1")?;
    Module("gpio_button_c".into()).load("")
}

/// A device, and the driver that is asked to take it.
#[derive(Clone)]
pub struct Device {
    /// Its address on the bus, as in `0000:00:03.0`.
    pub address: String,
    pub driver: String,
    /// Of the node and of the interrupts, which is that of the driver but for one of `linux/bench/`.
    name: String,
}

impl Device {
    /// The first device of the class that the driver is for: edu's, but for one.
    pub fn find(driver: &str) -> Result<Self> {
        let found = |address: String| Self {
            address,
            driver: driver.to_owned(),
            name: driver.to_owned(),
        };
        let wanted = match driver {
            "platform_gpio" => {
                plug_button()?;
                return Ok(found(driver.to_owned()));
            }
            "multivector" => NETWORK,
            _ => EDU,
        };
        let devices = fs::read_dir("/sys/bus/pci/devices")
            .map_err(|error| format!("/sys/bus/pci: {error}"))?;
        devices
            .flatten()
            .find(|device| {
                fs::read_to_string(device.path().join("class"))
                    .is_ok_and(|class| class.trim() == wanted)
            })
            .map(|device| found(device.file_name().to_string_lossy().into_owned()))
            .ok_or_else(|| {
                format!("this machine has no device of class {wanted}: was QEMU given one?")
            })
    }

    /// The device for a module in which edu is written. The driver has the name of the module.
    pub fn of_edu(module: &str) -> Result<Self> {
        Ok(Self {
            driver: module.to_owned(),
            ..Self::find("edu")?
        })
    }

    /// The directory of the device's bus in sysfs. A platform device has the name of its driver.
    fn bus(&self) -> &Path {
        Path::new(if self.address == self.driver {
            "/sys/bus/platform"
        } else {
            "/sys/bus/pci"
        })
    }

    pub fn node(&self) -> PathBuf {
        // The one that has numbers of its own numbers its devices.
        let unit = if self.name == "chardev" { "0" } else { "" };
        Path::new("/dev").join(format!("{}{unit}", self.name))
    }

    /// The directory of the device in sysfs.
    pub fn dir(&self) -> PathBuf {
        self.bus().join("devices").join(&self.address)
    }

    /// The directory of the driver in sysfs.
    pub fn driver_dir(&self) -> PathBuf {
        self.bus().join("drivers").join(&self.driver)
    }

    pub fn is_bound(&self) -> bool {
        self.driver_dir().join(&self.address).exists()
    }

    pub fn bind(&self) -> Result {
        fs::write(self.driver_dir().join("bind"), &self.address)
            .map_err(|error| format!("bind: {error}"))
    }

    pub fn unbind(&self) -> Result {
        fs::write(self.driver_dir().join("unbind"), &self.address)
            .map_err(|error| format!("unbind: {error}"))
    }

    /// Opens the node. devtmpfs may take a moment to show it.
    pub fn open(&self) -> Result<File> {
        open_node(&self.node())
    }

    /// How often the kernel has delivered the driver's interrupts, on all CPUs.
    pub fn delivered(&self) -> Result<u64> {
        Ok(delivered(&read("/proc/interrupts")?, &self.name))
    }

    /// The numbers of the driver's interrupt lines.
    pub fn lines(&self) -> Result<Vec<u32>> {
        Ok(lines(&read("/proc/interrupts")?, &self.name)
            .filter_map(|line| line.split(':').next()?.trim().parse().ok())
            .collect())
    }

    pub fn registers(&self) -> Result<Registers> {
        let path = self.dir().join("resource0");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        // SAFETY: A new mapping, of a file that is open, at an address that the kernel chooses.
        let mapped = unsafe {
            // PROT_READ | PROT_WRITE, MAP_SHARED
            mmap(ptr::null_mut(), Registers::SIZE, 3, 1, file.as_raw_fd(), 0)
        };
        if mapped as isize == -1 {
            let error = io::Error::last_os_error();
            return Err(format!("{} cannot be mapped: {error}", path.display()));
        }
        Ok(Registers(mapped.cast()))
    }
}

pub fn open_node(node: &Path) -> Result<File> {
    wait_for(
        &format!("{} to be there", node.display()),
        || match OpenOptions::new().read(true).write(true).open(node) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{} does not open: {error}", node.display())),
        },
    )
}

/// The device's registers, from outside of its driver.
pub struct Registers(*mut u32);

// SAFETY: Registers are written one at a time, with volatile accesses; the device bears it.
unsafe impl Send for Registers {}
// SAFETY: As above.
unsafe impl Sync for Registers {}

impl Registers {
    const SIZE: usize = 0x1000;
    const RAISE: usize = 0x60;

    /// Raises an interrupt that the driver's handler sees as `status`.
    pub fn raise(&self, status: u32) {
        // SAFETY: Within the mapping, which lasts as long as this does, and aligned.
        unsafe { self.0.byte_add(Self::RAISE).write_volatile(status) }
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: Mapped with this size, and not used again.
        unsafe { munmap(self.0.cast(), Self::SIZE) };
    }
}

/// Lets the calling thread run on `cpu` only.
pub fn run_on(cpu: usize) -> Result {
    let mask: u64 = 1 << cpu;
    // SAFETY: sched_setaffinity() takes a thread (0 is the caller), and a mask's size and address.
    match unsafe { syscall(SYS_SCHED_SETAFFINITY, 0, 8usize, &raw const mask) } {
        0.. => Ok(()),
        _ => Err(format!("CPU {cpu}: {}", io::Error::last_os_error())),
    }
}

pub fn control(file: &File, request: c_ulong, argument: c_ulong) -> io::Result<u64> {
    // SAFETY: The requests that are made here take a number, and no memory of ours.
    match unsafe { ioctl(file.as_raw_fd(), request, argument) } {
        count @ 0.. => Ok(count as u64),
        _ => Err(io::Error::last_os_error()),
    }
}

/// poll(2) for one event, for as long as it takes: the events that came.
pub fn poll_for(file: &File, events: c_short) -> io::Result<c_short> {
    let mut fd = PollFd {
        fd: file.as_raw_fd(),
        events,
        revents: 0,
    };
    // SAFETY: One entry, which outlives the call.
    match unsafe { poll(&mut fd, 1, -1) } {
        0.. => Ok(fd.revents),
        _ => Err(io::Error::last_os_error()),
    }
}

/// epoll(7) with one file in it.
pub struct Epoll(c_int);

impl Epoll {
    pub fn new(file: &File, events: c_short) -> io::Result<Self> {
        // SAFETY: Takes flags.
        let epoll = unsafe { epoll_create1(0) };
        if epoll < 0 {
            return Err(io::Error::last_os_error());
        }
        let epoll = Self(epoll);
        let mut event = EpollEvent {
            events: events as u32,
            data: 0,
        };
        // SAFETY: EPOLL_CTL_ADD (1) of two open descriptors; the event outlives the call.
        match unsafe { epoll_ctl(epoll.0, 1, file.as_raw_fd(), &mut event) } {
            0 => Ok(epoll),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits for as long as it takes: the events that came.
    pub fn wait(&self) -> io::Result<c_short> {
        let mut event = EpollEvent { events: 0, data: 0 };
        // SAFETY: Room for one event, which outlives the call.
        match unsafe { epoll_wait(self.0, &mut event, 1, -1) } {
            0.. => Ok(event.events as c_short),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        // SAFETY: Opened in `new`, and not used again.
        unsafe { close(self.0) };
    }
}

/// What an operation on a device that is gone must say.
pub fn expect_gone(what: &str, said: io::Result<u64>) -> Result {
    match said {
        Err(error) if error.raw_os_error() == Some(ENODEV) => Ok(()),
        Err(error) => Err(format!("{what} gave {error}, wanted ENODEV")),
        Ok(value) => Err(format!("{what} gave {value}, wanted ENODEV")),
    }
}

const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";

/// kmemleak reports what two scans have found unreachable, and what is older than some seconds.
pub fn leaks() -> Result<String> {
    write(KMEMLEAK, "scan")?;
    sleep(Duration::from_secs(6));
    write(KMEMLEAK, "scan")?;
    let found = read(KMEMLEAK)?;
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
    Ok("kmemleak finds nothing".into())
}

/// Kernel memory in use, in KiB, by what uses it. Without the page tables of programs, and without
/// kmemleak's own records.
pub struct Memory(BTreeMap<String, i64>);

impl Memory {
    /// What KASAN keeps back of freed memory, and what caches hold in reserve, is given back first.
    pub fn now() -> Result<Self> {
        write("/proc/sys/vm/drop_caches", "3")?;
        for cache in fs::read_dir("/sys/kernel/slab")
            .map_err(|error| format!("/sys/kernel/slab: {error}"))?
            .flatten()
        {
            // Not every cache can be shrunk; the sum says what is left.
            let _ = fs::write(cache.path().join("shrink"), "1");
        }
        sleep(Duration::from_millis(500));
        let mut uses = caches(&read("/proc/slabinfo")?);
        let table = read("/proc/meminfo")?;
        for name in ["KernelStack", "VmallocUsed", "Percpu"] {
            let value = table
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
                .ok_or_else(|| format!("/proc/meminfo does not say {name}"))?;
            uses.insert(name.into(), value);
        }
        Ok(Self(uses))
    }

    pub fn total(&self) -> i64 {
        self.0.values().sum()
    }

    /// What has grown most since `before`, in words.
    pub fn growth_since(&self, before: &Self) -> String {
        let mut grown: Vec<_> = self
            .0
            .iter()
            .map(|(name, now)| (now - before.0.get(name).unwrap_or(&0), name))
            .filter(|(more, _)| *more != 0)
            .collect();
        grown.sort_by_key(|(more, _)| -more.abs());
        grown.truncate(6);
        let words: Vec<_> = grown
            .iter()
            .map(|(more, name)| format!("{name} {more:+}"))
            .collect();
        words.join(", ")
    }
}

/// The slab caches of `/proc/slabinfo`, in KiB: the pages that each has.
fn caches(table: &str) -> BTreeMap<String, i64> {
    // name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables ... : slabdata
    // <active_slabs> <num_slabs> <sharedavail>
    table
        .lines()
        .filter_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            if words.first() == Some(&"kmemleak_object") {
                return None;
            }
            let pages: i64 = words.get(5)?.parse().ok()?;
            let slabs: i64 = words.get(14)?.parse().ok()?;
            Some((words[0].to_owned(), 4 * pages * slabs))
        })
        .collect()
}

/// The lines of `name` in `/proc/interrupts`.
fn lines<'a>(table: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let cpus = cpus(table);
    table.lines().skip(1).filter(move |line| {
        // A shared line has several names, with commas between.
        line.split_whitespace()
            .skip(1 + cpus)
            .any(|word| word.trim_end_matches(',') == name)
    })
}

fn cpus(table: &str) -> usize {
    table
        .lines()
        .next()
        .map_or(0, |header| header.split_whitespace().count())
}

/// How often the lines of `name` in `/proc/interrupts` have been delivered, on all CPUs.
fn delivered(table: &str, name: &str) -> u64 {
    lines(table, name)
        .flat_map(|line| line.split_whitespace().skip(1).take(cpus(table)))
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
        assert_eq!(lines(TABLE, "edu").count(), 2);
    }

    #[test]
    fn a_slab_cache_is_as_large_as_its_pages() {
        let table = "slabinfo - version: 2.1\n\
            # name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : ...\n\
            kmalloc-64          500    510    128   51    2 : tunables    0    0    0 : slabdata     10     10      0\n";
        assert_eq!(caches(table), BTreeMap::from([("kmalloc-64".into(), 80)]));
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

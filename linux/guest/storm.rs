//! A driver that is taken away in the middle of everything, again and again.
//!
//! Each cycle programs hold the node open, wait in it by every means there is, and make the device
//! interrupt as fast as it can; then the driver is unbound, and bound again while some still hold the
//! old file. Programs are processes of their own: this one, started with a role.

use crate::sys::{
    self, control, expect_gone, join_within, open_node, poll_for, say, wait_for, Device, Epoll,
    Module, Result, EAGAIN, EBUSY, POLLERR, POLLHUP, POLLIN,
};
use std::env;
use std::ffi::c_ulong;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::Arc;
use std::thread::{self, sleep, JoinHandle};
use std::time::{Duration, Instant};

/// `_IO('e', 1)`: how many interrupts the driver has seen.
pub const COUNT: c_ulong = 0x6501;
/// `_IO('e', 2)`: raise one.
pub const RAISE: c_ulong = 0x6502;
/// `_IOW('e', 3, u32)`: the tasklet raises as many more, each from the one before.
pub const STORM: c_ulong = 0x4004_6503;

/// How many interrupts a cycle waits for before it takes the driver away.
const BEFORE_UNBIND: u64 = 100;
/// Threads that keep the storm going.
const STORMERS: usize = 2;
/// How often the module is unloaded and loaded, in cycles.
const RELOAD: u32 = 100;
/// Cycles after which memory is looked at for the first time: caches are filled by then, and the
/// module was loaded a second time.
const WARM: u32 = 110;
/// How much more memory the kernel may use at the end than then, in KiB: half a KiB for each of a
/// thousand cycles. kmemleak looks for what is lost one by one; this is for what is kept.
const GROWTH: i64 = 512;

/// What the programs do with the node while it is taken away.
const ROLES: [(&str, usize); 5] = [
    ("holds", 8),
    ("reads", 1),
    ("polls", 1),
    ("epolls", 1),
    (LATE, 1),
];
const LATE: &str = "closes-late";

/// How often a driver is taken away.
pub fn cycles() -> Result<u32> {
    let cycles = env::var("CYCLES").unwrap_or_default();
    cycles
        .parse()
        .map_err(|_| format!("CYCLES is {cycles:?}, and should be a number"))
}

/// How much more memory the kernel uses than when its caches were filled.
pub struct Growth {
    warm: u32,
    before: Option<sys::Memory>,
}

impl Growth {
    /// `warm`: after which cycle that is.
    pub fn new(warm: u32) -> Self {
        Self { warm, before: None }
    }

    pub fn look(&mut self, cycle: u32) -> Result {
        if cycle == self.warm {
            self.before = Some(sys::Memory::now()?);
        }
        Ok(())
    }

    /// In KiB, told to the log.
    pub fn tell(&self) -> Result<i64> {
        let after = sys::Memory::now()?;
        let before = self.before.as_ref().ok_or("there was no cycle")?;
        say(&format!(
            "memory_before_kib={} memory_after_kib={} of_which={}",
            before.total(),
            after.total(),
            after.growth_since(before)
        ));
        Ok(after.total() - before.total())
    }

    /// Whether `more` KiB are too many, after that many cycles.
    pub fn judge(&self, more: i64, cycles: u32) -> Result {
        if cycles > self.warm && more > GROWTH {
            return Err(format!(
                "the kernel uses {more} KiB more than after {} cycles, and {GROWTH} are allowed",
                self.warm
            ));
        }
        Ok(())
    }
}

pub fn run(driver: &str) -> Result<String> {
    let cycles = cycles()?;
    let mut storm = Storm::new(Module::with_devscope(driver), Device::find(driver)?);
    storm.module.load("")?;
    check_factorial(&storm.device.open()?, 10, "3628800")?;

    let mut programs = storm.programs()?;
    let mut growth = Growth::new(WARM.min(cycles));
    for cycle in 1..=cycles {
        let within = |why| format!("cycle {cycle}: {why}");
        storm.cycle(&mut programs).map_err(within)?;
        growth.look(cycle)?;
        if cycle % RELOAD == 0 {
            storm.reload().map_err(within)?;
        }
        if cycle % 20 == 0 || cycle == cycles {
            say(&format!(
                "unbinds={cycle} interrupts={} kernel_interrupts={} longest_unbind_us={}",
                storm.interrupts,
                storm.delivered,
                storm.longest.as_micros(),
            ));
        }
    }
    let more = growth.tell()?;
    let held: usize = programs.iter().map(|program| program.held).sum();
    for program in programs {
        program.end()?;
    }
    storm.reload()?;
    storm.unload()?;
    say("refused_to_unload=yes");
    sys::leaks()?;
    say("leaks=0");
    growth.judge(more, cycles)?;
    Ok(format!(
        "{cycles} unbinds, {held} files held across them, {} interrupts, {more:+} KiB",
        storm.interrupts,
    ))
}

pub struct Storm {
    pub module: Module,
    pub device: Device,
    /// Interrupts by the driver's own count, and by the kernel's, over all cycles.
    pub interrupts: u64,
    delivered: u64,
    longest: Duration,
}

impl Storm {
    pub fn new(module: Module, device: Device) -> Self {
        Self {
            module,
            device,
            interrupts: 0,
            delivered: 0,
            longest: Duration::ZERO,
        }
    }

    /// Programs for all its cycles.
    pub fn programs(&self) -> Result<Vec<Program>> {
        ROLES
            .iter()
            .flat_map(|&(role, count)| (0..count).map(move |_| role))
            .map(|role| Program::start(role, &self.device.node()))
            .collect()
    }

    /// Takes the driver away in the middle of everything, and gives it back.
    pub fn cycle(&mut self, programs: &mut [Program]) -> Result {
        let file = Arc::new(self.device.open()?);
        check_factorial(&file, 5, "120")?;
        let (own, kernel) = self.counts(&file)?;
        for program in &mut *programs {
            program.ask("open")?;
        }
        for program in &mut *programs {
            program.expect("open")?;
        }
        for program in &*programs {
            program.expect_waiting()?;
        }
        let stormers: Vec<_> = (0..STORMERS).map(|_| storm(file.clone())).collect();
        let raised = wait_for("the storm of interrupts", || {
            let now = self.counts(&file)?;
            Ok((now.0.saturating_sub(own) >= BEFORE_UNBIND).then_some(now))
        })?;
        for program in &*programs {
            program.expect_silent()?;
        }

        let asked = Instant::now();
        self.device.unbind()?;
        self.longest = self.longest.max(asked.elapsed());

        for program in &mut *programs {
            if program.waits() {
                program.expect("gone")?;
            } else {
                program.ask("look")?;
                program.expect("gone")?;
            }
            program.held += 1;
            if program.role != LATE {
                program.ask("close")?;
                program.expect("closed")?;
            }
        }
        // They end by themselves once the device is gone, and not before.
        for stormer in stormers {
            let asked = join_within("an ioctl() of the storm", stormer)?;
            expect_gone("ioctl() in the storm", asked)?;
        }
        expect_old_file_is_dead(&file)?;
        if File::open(self.device.node()).is_ok() {
            return Err("the device is gone, and could be opened".into());
        }

        self.device.bind()?;
        let again = self.device.open()?;
        check_factorial(&again, 6, "720")?;
        // The new device is not the one that the old files were opened on.
        expect_old_file_is_dead(&file)?;
        for program in programs.iter_mut().filter(|program| program.role == LATE) {
            program.ask("look")?;
            program.expect("gone")?;
            program.ask("close")?;
            program.expect("closed")?;
        }
        drop(file);
        check_factorial(&again, 7, "5040")?;
        self.interrupts += raised.0 - own;
        self.delivered += raised.1.saturating_sub(kernel);
        Ok(())
    }

    /// The driver's own count of interrupts since it was bound, and the kernel's.
    fn counts(&self, file: &File) -> Result<(u64, u64)> {
        let own = control(file, COUNT, 0).map_err(|error| format!("ioctl(COUNT): {error}"))?;
        Ok((own, self.device.delivered()?))
    }

    /// The module stays while a file is open, whether its device is bound or not, and goes after.
    pub fn reload(&self) -> Result {
        let file = self.device.open()?;
        expect_busy(&self.module, "a file is open")?;
        self.device.unbind()?;
        expect_busy(&self.module, "a file of an unbound device is open")?;
        drop(file);
        self.device.bind()?;
        drop(self.device.open()?);
        self.unload()?;
        self.module.load("")?;
        check_factorial(&self.device.open()?, 10, "3628800")
    }

    /// Nothing of the module is left.
    pub fn unload(&self) -> Result {
        self.module.unload()?;
        if self.device.node().exists()
            || self.device.driver_dir().exists()
            || !self.device.lines()?.is_empty()
        {
            return Err(
                "the module is unloaded, and its node, driver or interrupt is still there".into(),
            );
        }
        Ok(())
    }
}

/// The module is in use, and does not go.
pub fn expect_busy(module: &Module, why: &str) -> Result {
    match module.try_unload() {
        // delete_module() has two ways to say it; a module in use is EAGAIN (EWOULDBLOCK).
        Err(error) if matches!(error.raw_os_error(), Some(EAGAIN | EBUSY)) => Ok(()),
        Err(error) => Err(format!("unloading while {why}: {error}")),
        Ok(()) => Err(format!("the module was unloaded while {why}")),
    }
}

pub fn expect_old_file_is_dead(file: &File) -> Result {
    let mut buffer = [0; 16];
    expect_gone(
        "read() on the old file",
        (&mut &*file).read(&mut buffer).map(|n| n as u64),
    )?;
    expect_gone(
        "write() on the old file",
        (&mut &*file).write(b"3\n").map(|n| n as u64),
    )?;
    expect_gone("ioctl() on the old file", control(file, COUNT, 0))?;
    let events =
        poll_for(file, POLLIN).map_err(|error| format!("poll() on the old file: {error}"))?;
    expect_hung_up(events)
}

fn expect_hung_up(events: i16) -> Result {
    if events & (POLLHUP | POLLERR) == POLLHUP | POLLERR {
        Ok(())
    } else {
        Err(format!(
            "poll() gave {events:#x}, wanted POLLHUP and POLLERR"
        ))
    }
}

/// Keeps the storm going until the device says that it is gone, and returns what it said.
fn storm(file: Arc<File>) -> JoinHandle<io::Result<u64>> {
    thread::spawn(move || loop {
        control(&file, STORM, 1_000_000)?;
        control(&file, RAISE, 0)?;
        sleep(Duration::from_millis(1));
    })
}

/// Asks the device for the factorial of `n`: one write, and one read that waits for the interrupt.
pub fn check_factorial(file: &File, n: u32, answer: &str) -> Result {
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

/// A program that uses the node, seen from the one that started it. One line is asked, and one
/// answered.
pub struct Program {
    role: &'static str,
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
    /// How often the device went while this program had it open.
    held: usize,
}

impl Program {
    fn start(role: &'static str, node: &Path) -> Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .args(["program", role])
            .arg(node)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("a program that {role} does not start: {error}"))?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a program was started without pipes".into());
        };
        Ok(Self {
            role,
            child,
            orders,
            answers: lines(answers),
            held: 0,
        })
    }

    /// Whether it comes back by itself when the device goes.
    fn waits(&self) -> bool {
        matches!(self.role, "reads" | "polls" | "epolls")
    }

    fn ask(&mut self, order: &str) -> Result {
        writeln!(self.orders, "{order}")
            .map_err(|error| format!("the program that {} is gone: {error}", self.role))
    }

    fn expect(&mut self, wanted: &str) -> Result {
        let role = self.role;
        match self.answers.recv_timeout(sys::PATIENCE) {
            Ok(answer) if answer == wanted => Ok(()),
            Ok(answer) => Err(format!("the program that {role}: {answer}")),
            Err(error) => {
                // Who waits for what, in the kernel's own words.
                let _ = fs::write("/proc/sysrq-trigger", "w");
                Err(format!(
                    "the program that {role} does not say \"{wanted}\": {error}"
                ))
            }
        }
    }

    /// Waits until it sleeps in the driver, and not in the pipe to us.
    fn expect_waiting(&self) -> Result {
        if !self.waits() {
            return Ok(());
        }
        let place = format!("/proc/{}/wchan", self.child.id());
        wait_for(&format!("a program to wait, that {}", self.role), || {
            let place = sys::read(&place)?;
            Ok((place != "0" && !place.contains("pipe")).then_some(()))
        })
    }

    fn expect_silent(&self) -> Result {
        match self.answers.try_recv() {
            Ok(answer) => Err(format!(
                "the program that {} came back before the device was gone: {answer}",
                self.role
            )),
            Err(_) => Ok(()),
        }
    }

    pub fn end(self) -> Result {
        let Self {
            role,
            mut child,
            orders,
            ..
        } = self;
        drop(orders);
        let status = child
            .wait()
            .map_err(|error| format!("the program that {role}: {error}"))?;
        if !status.success() {
            return Err(format!("the program that {role} ended with {status}"));
        }
        Ok(())
    }
}

fn lines(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(io::Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// A program that uses the node, seen from inside: does what its standard input says.
pub fn program(role: &str, node: &str) -> ExitCode {
    let mut file = None;
    for order in io::stdin().lines().map_while(io::Result::ok) {
        if let Err(why) = obey(role, Path::new(node), &order, &mut file) {
            println!("{why}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The file, and what it was put into.
type Opened = (File, Option<Epoll>);

fn obey(role: &str, node: &Path, order: &str, opened: &mut Option<Opened>) -> Result {
    match order {
        "open" => {
            let file = open_node(node)?;
            let epoll = match role {
                "epolls" => Some(
                    Epoll::new(&file, POLLIN).map_err(|error| format!("epoll_ctl(): {error}"))?,
                ),
                _ => None,
            };
            println!("open");
            match (role, &epoll) {
                ("reads", _) => {
                    let said = (&file).read(&mut [0; 16]).map(|n| n as u64);
                    expect_gone("read() that was waiting", said)?;
                    println!("gone");
                }
                ("polls", _) => {
                    let events =
                        poll_for(&file, POLLIN).map_err(|error| format!("poll(): {error}"))?;
                    expect_hung_up(events)?;
                    println!("gone");
                }
                (_, Some(epoll)) => {
                    let events = epoll
                        .wait()
                        .map_err(|error| format!("epoll_wait(): {error}"))?;
                    expect_hung_up(events)?;
                    println!("gone");
                }
                _ => {}
            }
            *opened = Some((file, epoll));
        }
        "look" => {
            let Some((file, _)) = opened else {
                return Err("was asked to look at a file, and has none".into());
            };
            expect_old_file_is_dead(file)?;
            println!("gone");
        }
        "close" => {
            *opened = None;
            println!("closed");
        }
        other => return Err(format!("does not know the order {other:?}")),
    }
    Ok(())
}

//! The other examples, taken away while programs use them as fast as they can, again and again.
//!
//! Each says what has to work whenever its device is bound, and what its programs do in the meantime.
//! The rest is the same for all: unbind while they are at it, and each of them has to come back with
//! `ENODEV`; bind again, and it works again.

mod multivector;
mod platform_gpio;
mod threaded;

use crate::chardev;
use crate::storm::{self, expect_busy, Growth};
use crate::sys::{
    self, control, expect_gone, join_within, say, wait_for, Device, Module, Result, EBUSY, EINVAL,
};
use std::ffi::c_ulong;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// How an example is used.
pub struct Load {
    driver: &'static str,
    /// What has to work whenever the device is bound.
    check: fn(&Device) -> Result,
    /// What each program does, over and over, until the device has gone.
    programs: &'static [Call],
}

/// One call of a program.
type Call = fn(&File) -> io::Result<u64>;

const LOADS: &[Load] = &[
    Load {
        driver: "ring",
        check: ring::works,
        programs: &[ring::fill, ring::fill, ring::resize],
    },
    Load {
        driver: "timers",
        check: timers::works,
        programs: &[timers::wait, timers::start, timers::stop],
    },
    Load {
        driver: "chardev",
        check: chardev::works,
        programs: &[
            chardev::advance,
            chardev::wait_for_news,
            chardev::wait_for_news,
        ],
    },
    Load {
        driver: "threaded",
        check: threaded::works,
        programs: &[threaded::measure, threaded::measure, threaded::pause],
    },
    Load {
        driver: "platform_gpio",
        check: platform_gpio::works,
        programs: &[
            platform_gpio::press,
            platform_gpio::count,
            platform_gpio::count,
        ],
    },
    Load {
        driver: "multivector",
        check: multivector::works,
        programs: &[
            multivector::raise::<0>,
            multivector::raise::<1>,
            multivector::raise::<2>,
            multivector::raise::<3>,
        ],
    },
];

/// Calls that each program makes before the driver is taken away.
const CALLS: u32 = 5;
/// The storm takes edu away twenty times as often.
const SHARE: u32 = 20;
/// How often the module is unloaded and loaded, in cycles.
const RELOAD: u32 = 20;
/// Cycles after which memory is looked at for the first time.
const WARM: u32 = 22;

pub fn find(driver: &str) -> Option<&'static Load> {
    LOADS.iter().find(|load| load.driver == driver)
}

impl Load {
    /// Whether the driver of a bound device does what it is for.
    pub fn works(&self, device: &Device) -> Result {
        (self.check)(device)
    }

    pub fn run(&self) -> Result<String> {
        let cycles = storm::cycles()?.div_ceil(SHARE);
        let (module, device) = (
            Module::with_devscope(self.driver),
            Device::find(self.driver)?,
        );
        module.load("")?;
        let mut growth = Growth::new(WARM.min(cycles));
        let mut calls = 0;
        for cycle in 1..=cycles {
            let within = |why| format!("cycle {cycle}: {why}");
            calls += self.cycle(&device).map_err(within)?;
            growth.look(cycle)?;
            if cycle % RELOAD == 0 {
                self.reload(&module, &device).map_err(within)?;
            }
        }
        let more = growth.tell()?;
        module.unload()?;
        sys::leaks()?;
        say("leaks=0");
        growth.judge(more, cycles)?;
        Ok(format!(
            "{cycles} unbinds while {} programs made {calls} calls, {more:+} KiB",
            self.programs.len()
        ))
    }

    /// Takes the driver away in the middle of its use, and gives it back. How many calls were made?
    fn cycle(&self, device: &Device) -> Result<u64> {
        (self.check)(device)?;
        let programs = self
            .programs
            .iter()
            .map(|call| Ok(Program::start(*call, device.open()?)))
            .collect::<Result<Vec<_>>>()?;
        for program in &programs {
            program.expect_at_work()?;
        }
        device.unbind()?;
        let mut calls = 0;
        for program in programs {
            calls += u64::from(program.calls.load(Relaxed));
            let (file, said) = join_within("a program under load", program.thread)?;
            expect_gone("the call of a program under load", said)?;
            // The next one is refused at once.
            expect_gone("another call", (program.call)(&file))?;
        }
        device.bind()?;
        Ok(calls)
    }

    /// The module stays while a file is open, whether its device is bound or not, and goes after.
    fn reload(&self, module: &Module, device: &Device) -> Result {
        let file = device.open()?;
        device.unbind()?;
        expect_busy(module, "a file of an unbound device is open")?;
        drop(file);
        module.unload()?;
        module.load("")
    }
}

/// A thread with a file of its own.
struct Program {
    call: Call,
    calls: Arc<AtomicU32>,
    thread: JoinHandle<(File, io::Result<u64>)>,
}

impl Program {
    fn start(call: Call, file: File) -> Self {
        let calls = Arc::new(AtomicU32::new(0));
        let count = calls.clone();
        let thread = thread::spawn(move || loop {
            match call(&file) {
                Ok(_) => count.fetch_add(1, Relaxed),
                Err(error) => return (file, Err(error)),
            };
        });
        Self {
            call,
            calls,
            thread,
        }
    }

    fn expect_at_work(&self) -> Result {
        wait_for("a program to make its calls", || {
            if self.thread.is_finished() {
                return Err("a program came back before the device was gone".into());
            }
            Ok((self.calls.load(Relaxed) >= CALLS).then_some(()))
        })
    }
}

/// `examples/ring`
mod ring {
    use super::*;

    /// `_IOW('r', 1, u32)`
    const RESIZE: c_ulong = 0x4004_7201;
    /// `_IO('r', 2)`
    const TOTAL: c_ulong = 0x7202;

    pub fn works(device: &Device) -> Result {
        let file = device.open()?;
        let total = || control(&file, TOTAL, 0).map_err(|error| format!("ioctl(TOTAL): {error}"));
        let before = total()?;
        put(&file, 5).map_err(|error| format!("write(): {error}"))?;
        wait_for("the number to be taken out of the ring", || {
            Ok((total()? == before + 5).then_some(()))
        })
    }

    fn put(mut file: &File, number: i32) -> io::Result<u64> {
        file.write(&number.to_ne_bytes()).map(|n| n as u64)
    }

    pub fn fill(file: &File) -> io::Result<u64> {
        put(file, 1)
    }

    pub fn resize(file: &File) -> io::Result<u64> {
        match control(file, RESIZE, 16) {
            Err(error) if error.raw_os_error() == Some(EBUSY) => Ok(0),
            other => other,
        }
    }
}

/// `examples/timers`
mod timers {
    use super::*;

    /// `_IO('t', 1)`
    const START: c_ulong = 0x7401;
    /// `_IO('t', 2)`
    const ASKED: c_ulong = 0x7402;
    /// `_IO('t', 4)`
    const STOP: c_ulong = 0x7404;

    pub fn works(device: &Device) -> Result {
        let file = device.open()?;
        let asked = || control(&file, ASKED, 0).map_err(|error| format!("ioctl(ASKED): {error}"));
        let before = asked()?;
        start(&file).map_err(|error| format!("ioctl(START): {error}"))?;
        wait_for("the device to be asked twice", || {
            Ok((asked()? >= before + 2).then_some(()))
        })
    }

    pub fn start(file: &File) -> io::Result<u64> {
        control(file, START, 0)
    }

    /// Now and then one is caught that waits.
    pub fn stop(file: &File) -> io::Result<u64> {
        control(file, STOP, 0)?;
        control(file, START, 0)
    }

    /// The factorial of 10, when the device has been asked again.
    pub fn wait(mut file: &File) -> io::Result<u64> {
        let mut answer = [0; 4];
        file.read_exact(&mut answer)?;
        match u32::from_ne_bytes(answer) {
            3_628_800 => Ok(4),
            other => Err(io::Error::other(format!("10! is {other}"))),
        }
    }
}

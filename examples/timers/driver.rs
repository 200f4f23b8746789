// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A cycle of timer, work and hrtimer: a device that is asked again and again, without interrupts.
//!
//! QEMU's educational device computes factorials, which takes it a while, and says in a register whether
//! it has done. This driver asks it at intervals and polls for the answer:
//!
//! ```text
//!   start ---> timer -----> work ------> hrtimer ---+ period: not done yet
//!                ^          asks the     polls <----+
//!                |          device         |
//!                +-------------------------+ done
//! ```
//!
//! Each of the three needs a handle to the next. The timer is declared before it is given its body, and
//! nothing else has to be thought of: whoever is at it when the device is unbound, that is the end.
//!
//! A `read()` of `/dev/timers` waits for the next answer.

#![forbid(unsafe_code)]

use devscope::{
    file::{File, Kiocb},
    hrtimer::{Clock, Expiry, Restart},
    pci::Driver,
    timer::Timer,
    wait::WaitQueue,
    Scheduled, Scope,
};
use kernel::{
    device::{Bound, Core},
    io::Io,
    ioctl::_IO,
    iov::IovIterDest,
    pci,
    prelude::*,
    sync::{
        atomic::{Atomic, Full, Relaxed, Release},
        Arc,
    },
    time::{msecs_to_jiffies, Delta},
};

/// Registers, as offsets into BAR 0.
mod regs {
    pub(super) const FACTORIAL: usize = 0x08;
    pub(super) const STATUS: usize = 0x20;
    /// How much of the BAR is used.
    pub(super) const SIZE: usize = 0x100;

    /// In `STATUS`: the device computes.
    pub(super) const COMPUTING: u32 = 0x01;
}

/// Starts the cycle; 0 if it was at rest, 1 if it would have gone on by itself a little later.
const TIMERS_START: u32 = _IO('t' as u32, 1);
/// How often the device was asked since it was bound.
const TIMERS_ASKED: u32 = _IO('t' as u32, 2);
/// How often the driver has looked whether the device has done.
const TIMERS_POLLED: u32 = _IO('t' as u32, 3);
/// Stops the cycle, if it is between an answer and the next question: 1. Otherwise 0.
const TIMERS_STOP: u32 = _IO('t' as u32, 4);

/// Between an answer and the next question, in milliseconds.
const PAUSE: u32 = 1;
/// Between two looks.
const POLL: Delta = Delta::from_micros(100);
/// The number whose factorial is asked for.
const NUMBER: u32 = 10;

/// Everything passive.
#[pin_data]
struct TimersData<'bound> {
    bar: pci::Bar<'bound, { regs::SIZE }>,
    /// The device was asked, and its answer has not been read yet.
    busy: Atomic<bool>,
    asked: Atomic<i64>,
    polled: Atomic<i64>,
    answers: Atomic<i64>,
    answer: Atomic<i32>,
}

/// What operations on `/dev/timers` may use while the device is bound.
struct TimersDevice<'a> {
    data: &'a TimersData<'a>,
    timer: Timer<'a>,
    news: WaitQueue<'a>,
}

struct TimersDriver;

kernel::pci_device_table!(
    PCI_TABLE,
    <TimersDriver as Driver>::IdInfo,
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for TimersDriver {
    type IdInfo = ();
    type Data<'bound> = TimersData<'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<TimersData<'bound>, Error> + 'bound {
        try_pin_init!(TimersData {
            bar: {
                dev.enable_device_mem()?;
                dev.iomap_region_sized(0, c"timers")?
            },
            busy: Atomic::new(false),
            asked: Atomic::new(0),
            polled: Atomic::new(0),
            answers: Atomic::new(0),
            answer: Atomic::new(0),
        })
    }

    fn attach<'a>(
        dev: &'a pci::Device<Bound>,
        data: Pin<&'a TimersData<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let news = scope.wait_queue()?;
        let (timer, slot) = scope.declare_timer()?;

        // In a softirq, so that it may read a register of an emulated device with interrupts on.
        let poll = scope.hrtimer(Clock::Monotonic, Expiry::SoftIrq, move || {
            data.polled.add(1, Relaxed);
            if data.bar.read32(regs::STATUS) & regs::COMPUTING != 0 {
                return Restart::Forward(POLL);
            }
            let answer = data.bar.read32(regs::FACTORIAL);
            data.answer.store(answer as i32, Relaxed);
            data.answers.add(1, Relaxed);
            data.busy.store(false, Release);
            news.wake_all();
            timer.start(msecs_to_jiffies(PAUSE));
            Restart::No
        })?;
        let ask = scope.work(move || {
            // A program may have started the timer meanwhile.
            if data.busy.xchg(true, Full) {
                return;
            }
            data.asked.add(1, Relaxed);
            data.bar.write32(NUMBER, regs::FACTORIAL);
            poll.start(POLL);
        })?;
        slot.define(scope, move || {
            ask.schedule();
        })?;

        scope.misc_device::<TimersFile>(c"timers", TimersDevice { data, timer, news })?;
        dev_info!(dev, "ready: start me with an ioctl on /dev/timers\n");
        Ok(())
    }
}

/// What one `open()` made: nothing. There is one cycle.
struct TimersFile;

#[vtable]
impl File for TimersFile {
    type Device<'a> = TimersDevice<'a>;

    fn open(_dev: &TimersDevice<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(TimersFile, GFP_KERNEL)?)
    }

    /// The next answer, a number of 32 bits in the machine's byte order. Waits for it.
    fn read_iter(
        &self,
        dev: &TimersDevice<'_>,
        _kiocb: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        let answers = || dev.data.answers.load(Relaxed);
        let before = answers();
        dev.news.wait_until(|| answers() != before)?;
        let answer = dev.data.answer.load(Relaxed).to_ne_bytes();
        match to.copy_to_iter(&answer) {
            0 => Err(EFAULT),
            copied => Ok(copied),
        }
    }

    fn ioctl(&self, dev: &TimersDevice<'_>, cmd: u32, _arg: usize) -> Result<isize> {
        match cmd {
            TIMERS_START => match dev.timer.start(0) {
                Scheduled::Queued => Ok(0),
                Scheduled::Pending => Ok(1),
                Scheduled::Refused => Err(ENODEV),
            },
            TIMERS_ASKED => Ok(dev.data.asked.load(Relaxed) as isize),
            TIMERS_POLLED => Ok(dev.data.polled.load(Relaxed) as isize),
            TIMERS_STOP => Ok(dev.timer.stop() as isize),
            _ => Err(ENOTTY),
        }
    }
}

devscope::module_pci_driver! {
    type: TimersDriver,
    name: "timers",
    authors: ["The devscope authors"],
    description: "A cycle of timer, work and hrtimer",
    license: "GPL",
}

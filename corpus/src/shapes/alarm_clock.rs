// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `ioctl()` sets an alarm, a high-resolution timer; the timer and the clock's own interrupt queue work,
//! which takes the lock of the clock's operations.
//!
//! The RTC class let go of the device, and of the lock in it, with the work queued. Here the work and the
//! timer end before the data, and a program that keeps its file open sets no alarm any more. One driver
//! stands in for the RTC class and the clock's driver, between which the class' own device is counted in
//! C.

use crate::{
    harness::reached,
    stage::{canary, touch, unbind_while_open, Data, Shape, Shaped},
};
use devscope::{
    file::File,
    hrtimer::{Clock, Expiry, HrTimer, Restart},
    Scheduled, Scope,
};
use kernel::{
    hosted::{edu::Edu, Machine},
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, Mutex,
    },
    time::Delta,
};

pub const BUGS: &[&str] = &["rtc-core-irqwork"];
pub const REACHES: &[&str] = &[
    "alarm set while unbinding",
    "alarm went off while unbinding",
    "work ran while unbinding",
    "alarm or interrupt when the work was told to end",
    "refused: ioctl()",
];

#[pin_data]
pub struct Rtc {
    #[pin]
    ops_lock: Mutex<u32>,
    alarms: Atomic<u32>,
}

pub struct RtcFile;

#[vtable]
impl File for RtcFile {
    type Device<'a> = (&'a Data<'a, Rtc>, HrTimer<'a>);
    type OwnerModule = module::Owner;

    fn open(_rtc: &Self::Device<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(RtcFile, GFP_KERNEL)?)
    }

    /// Sets the alarm to so many microseconds from now.
    fn ioctl(&self, (rtc, pie): &Self::Device<'_>, _cmd: u32, arg: usize) -> Result<isize> {
        *rtc.ops_lock.lock() += 1;
        rtc.late("alarm set while unbinding");
        pie.start(Delta::from_micros(arg as i64));
        Ok(0)
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Rtc;

    fn own() -> impl PinInit<Rtc, Error> {
        try_pin_init!(Rtc {
            ops_lock <- new_mutex!(0),
            alarms: Atomic::new(0),
        })
    }

    fn attach<'a>(rtc: &'a Data<'_, Rtc>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        let irqwork = scope.work(move || {
            touch(&first);
            *rtc.ops_lock.lock() += 1;
            rtc.late("work ran while unbinding");
            touch(&first);
        })?;
        let queue = move || {
            rtc.alarms.add(1, Relaxed);
            if irqwork.schedule() == Scheduled::Refused {
                reached("alarm or interrupt when the work was told to end");
            }
        };
        let pie = scope.hrtimer(Clock::Monotonic, Expiry::Irq, move || {
            touch(&second);
            rtc.late("alarm went off while unbinding");
            queue();
            Restart::No
        })?;
        rtc.handle(scope, 0, queue)?;
        scope.misc_device::<RtcFile>(c"rtc0", (rtc, pie))
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    let raising = edu.clone();
    let hardware = move || (0..2).for_each(|_| raising.raise(1));
    unbind_while_open(machine, &module::MODULE, edu, hardware, "rtc0", |file| {
        while file.ioctl(0, 1).is_ok() {}
        assert_eq!(file.ioctl(0, 1), Err(ENODEV));
        reached("refused: ioctl()");
    });
}

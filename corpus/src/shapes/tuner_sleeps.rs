// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A tuner is used for a while, put to sleep by delayed work some time later, and released.
//!
//! `release()` used the cancel that does not wait, and freed the tuner below the work that was putting it
//! to sleep. Here the tuner in use is a part of the scope with data of its own: the work looks into the
//! part, if there is one, and ending the part waits until it has looked. A node stands in for the DVB
//! core, which attaches, puts to sleep and releases.

use crate::{
    harness::reached,
    stage::{canary, touch, unbind_while_open, Data, Shape, Shaped},
};
use devscope::{file::File, part::Part, work::DelayedWork, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        Arc,
    },
    time::{delay::fsleep, Delta},
};

pub const BUGS: &[&str] = &["xc5000-timer-sleep"];
pub const REACHES: &[&str] = &[
    "released while it was being put to sleep",
    "work came when there was no tuner",
    "work ran while unbinding",
];

const ATTACH: u32 = 0;
const SLEEP: u32 = 1;
const RELEASE: u32 = 2;

pub struct Demod {
    /// Whether the work is busy with the tuner: for a mark.
    inside: Atomic<bool>,
}

/// A tuner in use.
pub struct Priv {
    i2c_shutdowns: KBox<Atomic<i64>>,
}

pub struct Tuner<'a> {
    demod: &'a Data<'a, Demod>,
    tuner: Part<'a, Priv>,
    timer_sleep: DelayedWork<'a>,
}

pub struct Frontend;

#[vtable]
impl File for Frontend {
    type Device<'a> = Tuner<'a>;
    type OwnerModule = module::Owner;

    fn open(_dev: &Tuner<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Frontend, GFP_KERNEL)?)
    }

    fn ioctl(&self, dev: &Tuner<'_>, cmd: u32, _arg: usize) -> Result<isize> {
        match cmd {
            ATTACH => begin(dev.tuner)?,
            SLEEP => {
                dev.timer_sleep.schedule(0);
            }
            RELEASE => {
                let inside = dev.demod.inside.load(Acquire);
                dev.tuner.end()?;
                if inside {
                    reached("released while it was being put to sleep");
                }
                assert!(!dev.demod.inside.load(Acquire), "released below the work");
            }
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

fn begin(tuner: Part<'_, Priv>) -> Result {
    let private = canary().map(|i2c_shutdowns| Priv { i2c_shutdowns });
    tuner.begin(private, |_, _| Ok(()))
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Demod;

    fn own() -> impl PinInit<Demod, Error> {
        Ok(Demod {
            inside: Atomic::new(false),
        })
    }

    fn attach<'a>(demod: &'a Data<'_, Demod>, scope: &mut Scope<'a>) -> Result {
        let tuner = scope.part::<Priv>()?;
        let canary = canary()?;
        let timer_sleep = scope.delayed_work(move || {
            touch(&canary);
            demod.late("work ran while unbinding");
            let found = tuner.with(|tuner| {
                demod.inside.store(true, Release);
                touch(&tuner.i2c_shutdowns);
                // The shutdown goes over I2C.
                fsleep(Delta::from_micros(20));
                tuner.i2c_shutdowns.add(1, Relaxed);
                demod.inside.store(false, Release);
            });
            if found.is_none() {
                reached("work came when there was no tuner");
            }
        })?;
        let dev = Tuner {
            demod,
            tuner,
            timer_sleep,
        };
        scope.misc_device::<Frontend>(c"frontend0", dev)
    }
}

pub fn scenario(machine: &Machine) {
    let (demod, m) = (Edu::new(), *machine);
    unbind_while_open(machine, &module::MODULE, demod, || {}, "frontend0", move |file| {
        for _ in 0..2 {
            for cmd in [ATTACH, SLEEP, RELEASE] {
                let answer = file.ioctl(cmd, 0);
                assert!(matches!(answer, Ok(_) | Err(ENODEV)), "{answer:?}");
                (0..m.choose(8)).for_each(|_| m.preempt());
            }
        }
    });
}

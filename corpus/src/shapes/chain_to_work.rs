// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A scan that is started starts a timer, and if the device does not answer in time the timer queues work,
//! which says that the scan is over.
//!
//! The driver freed everything when the device was unplugged, with the work pending. Here there is nothing
//! to forget. [`outside`] stands in for cfg80211, which goes on starting scans.

use crate::{
    harness::reached,
    stage::{bind, canary, if_refused, outside, take_away, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, timer::Timer, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["brcmfmac-escan-timeout"];
pub const REACHES: &[&str] = &[
    "scan was started after unbind() began",
    "timer ran after unbind() began",
    "work ran after unbind() began",
    "timer when the work would not be queued any more",
    "scan was started when there was no device",
];

pub struct Cfg {
    scanning: Atomic<bool>,
    completed: KBox<Atomic<i64>>,
}

impl Cfg {
    fn notify_complete(&self) {
        if self.scanning.xchg(false, Relaxed) {
            touch(&self.completed);
        }
    }
}

/// What a request for a scan finds.
struct Scans;

impl Side for Scans {
    type Device<'a> = (&'a Data<'a, Cfg>, Timer<'a>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Cfg;

    fn own() -> impl PinInit<Cfg, Error> {
        try_init!(Cfg {
            scanning: Atomic::new(false),
            completed: canary()?,
        }? Error)
    }

    fn attach<'a>(cfg: &'a Data<'_, Cfg>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        let timed_out = scope.work(move || {
            touch(&first);
            cfg.late("work ran after unbind() began");
            cfg.notify_complete();
        })?;
        let timeout = scope.timer(move || {
            touch(&second);
            cfg.late("timer ran after unbind() began");
            if_refused(
                timed_out.schedule(),
                "timer when the work would not be queued any more",
            );
        })?;
        // The device has answered.
        cfg.handle(scope, 0, move || {
            timeout.stop();
            cfg.notify_complete();
        })?;
        let scans = scope.entrance::<Scans>((cfg, timeout))?;
        outside::register(move |_| {
            let started = scans.try_access_with(|(cfg, timeout)| {
                cfg.scanning.store(true, Relaxed);
                timeout.start(1);
                cfg.late("scan was started after unbind() began");
            });
            started
                .ok_or(ENODEV)
                .inspect_err(|_| reached("scan was started when there was no device"))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    let (module, slot) = bind(machine, &module::MODULE, edu.clone());
    let program = machine.spawn("program", || {
        for channel in 1..4 {
            let _ = outside::call(channel);
        }
    });
    let hardware = machine.spawn("hardware", move || edu.raise(1));
    if machine.choose(2) == 0 {
        kernel::hosted::preempt();
    }
    slot.unbind().expect("the device unbinds");
    assert_eq!(outside::call(9), Err(ENODEV));
    hardware.join();
    program.join();
    outside::forget();
    take_away(module, slot);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A watchdog: a program's `write()` puts off the moment at which the governor is told, and a timer has work
//! ping the device in between.
//!
//! The core cleared the pointer between its own structure and the driver's, and then wanted to stop a timer
//! by way of that pointer. Here nobody has to find a timer to stop it, and a timer borrows what it uses: there
//! is no pointer to clear. A misc device stands in for the watchdog core's, and a queue of its own for the
//! core's kthread.

use crate::stage::{bind, canary, regs, take_away, touch, Data, Shape, Shaped};
use devscope::{
    file::{File, Kiocb},
    hrtimer::{Clock, Expiry, HrTimer, Restart},
    workqueue::QueueOptions,
    Scope,
};
use kernel::{
    hosted::{edu::Edu, Machine},
    io::Io,
    iov::IovIterSource,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
    time::Delta,
};

pub const BUGS: &[&str] = &["watchdog-pretimeout-hrtimer"];
pub const REACHES: &[&str] = &[
    "pretimeout timer ran after unbind() began",
    "ping timer ran after unbind() began",
    "write() started the pretimeout timer after unbind() began",
    "pretimeout timer was left started",
];

pub struct Watchdog {
    /// What the governor was told.
    told: KBox<Atomic<i64>>,
    pinged: KBox<Atomic<i64>>,
    started: Atomic<bool>,
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if self.started.load(Relaxed) {
            crate::harness::reached("pretimeout timer was left started");
        }
    }
}

/// An open file.
struct Node;

#[vtable]
impl File for Node {
    type Device<'a> = (&'a Data<'a, Watchdog>, HrTimer<'a>);
    type OwnerModule = module::Owner;

    fn open(_: &Self::Device<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Node, GFP_KERNEL)?)
    }

    fn write_iter(
        &self,
        (wdd, pretimeout): &Self::Device<'_>,
        _: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        touch(&wdd.pinged);
        wdd.started.store(true, Relaxed);
        pretimeout.start(Delta::from_micros(100));
        wdd.late("write() started the pretimeout timer after unbind() began");
        Ok(from.copy_from_iter(&mut [0]))
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Watchdog;

    fn own() -> impl PinInit<Watchdog, Error> {
        try_init!(Watchdog {
            told: canary()?,
            pinged: canary()?,
            started: Atomic::new(false),
        }? Error)
    }

    fn attach<'a>(wdd: &'a Data<'_, Watchdog>, scope: &mut Scope<'a>) -> Result {
        let (first, second, third) = (canary()?, canary()?, canary()?);
        let worker = scope.workqueue(c"watchdogd", QueueOptions::ordered())?;
        let (timer, slot) = scope.declare_hrtimer(Clock::Monotonic, Expiry::Irq)?;
        let ping = scope.work_on(worker, move || {
            touch(&first);
            touch(&wdd.pinged);
            wdd.bar.write32(0, regs::ACKNOWLEDGE);
            timer.start(Delta::from_micros(50));
        })?;
        slot.define(scope, move || {
            touch(&second);
            wdd.late("ping timer ran after unbind() began");
            ping.schedule();
            Restart::No
        })?;
        let pretimeout = scope.hrtimer(Clock::Monotonic, Expiry::Irq, move || {
            touch(&third);
            wdd.started.store(false, Relaxed);
            touch(&wdd.told);
            wdd.late("pretimeout timer ran after unbind() began");
            Restart::No
        })?;
        timer.start(Delta::from_micros(50));
        scope.misc_device::<Node>(c"watchdog", (wdd, pretimeout))
    }
}

pub fn scenario(machine: &Machine) {
    let (module, slot) = bind(machine, &module::MODULE, Edu::new());
    let file = machine.open("watchdog").expect("the node opens");
    let daemon = machine.spawn("daemon", move || {
        for _ in 0..4 {
            let pinged = file.write(b"V");
            assert!(matches!(pinged, Ok(1) | Err(ENODEV)), "{pinged:?}");
        }
        file.close().expect("close() succeeds");
    });
    slot.unbind().expect("the device unbinds");
    daemon.join();
    take_away(module, slot);
}

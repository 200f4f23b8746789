// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Probing fails: before the interrupt has been requested, after it, or after a controller has been
//! registered with another subsystem.
//!
//! One driver freed an interrupt that it had never requested, since its number was in its place already; one
//! gave a controller back which devres was to give back as well. Here what has been registered is in the
//! scope, once, and what has not is not; there is no second list of it. [`outside`] stands in for the SPI core.

use crate::{
    harness::reached,
    stage::{bind, canary, outside, take_away, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, work::Work, Scope};
use kernel::{
    hosted::{edu::Edu, Machine, ModuleInfo},
    prelude::*,
    sync::atomic::Atomic,
    time::{delay::fsleep, Delta},
};

pub const BUGS: &[&str] = &["lpspi-probe-double-owner", "netjet-irq-not-requested"];
pub const REACHES: &[&str] = &[
    "failed before the interrupt was requested",
    "failed after the interrupt was requested",
    "failed after the controller was registered",
    "interrupt came while attach() failed",
    "transfer was queued before attach() failed",
    "transfer was queued when the controller had gone",
];

pub struct Card {
    controller: KBox<Atomic<i64>>,
}

/// What a transfer finds.
struct Transfers;

impl Side for Transfers {
    type Device<'a> = (&'a Card, Work<'a>);
}

/// Where it fails.
const BEFORE: u32 = 1;
const AFTER: u32 = 2;
const REGISTERED: u32 = 3;

driver!(module, super::Driver<0>);
driver!(before, super::Driver<{ super::BEFORE }>);
driver!(after, super::Driver<{ super::AFTER }>);
driver!(registered, super::Driver<{ super::REGISTERED }>);
pub struct Driver<const FAILS: u32>;

impl<const FAILS: u32> Shape for Driver<FAILS> {
    type Own = Card;

    fn own() -> impl PinInit<Card, Error> {
        try_init!(Card {
            controller: canary()?,
        }? Error)
    }

    fn attach<'a>(card: &'a Data<'_, Card>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let work = scope.work(move || touch(&canary))?;
        // The device may interrupt whenever it likes.
        card.raise();
        if FAILS == BEFORE {
            reached("failed before the interrupt was requested");
            return card.fail(ENODEV);
        }
        card.handle(scope, 0, move || {
            card.late("interrupt came while attach() failed");
            work.schedule();
        })?;
        card.raise();
        if FAILS == AFTER {
            reached("failed after the interrupt was requested");
            return card.fail(EIO);
        }
        let transfers = scope.entrance::<Transfers>((card, work))?;
        outside::register(move |_| {
            let queued = transfers.try_access_with(|(card, work)| {
                touch(&card.controller);
                work.schedule();
                if FAILS == REGISTERED {
                    reached("transfer was queued before attach() failed");
                }
            });
            queued
                .ok_or(ENODEV)
                .inspect_err(|_| reached("transfer was queued when the controller had gone"))
        });
        if FAILS == REGISTERED {
            fsleep(Delta::from_micros(100));
            reached("failed after the controller was registered");
            return card.fail(EIO);
        }
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    let hardware = machine.spawn("hardware", {
        let edu = edu.clone();
        move || {
            for _ in 0..3 {
                edu.raise(1);
                kernel::hosted::preempt();
            }
        }
    });
    let subsystem = machine.spawn("subsystem", || {
        for _ in 0..4 {
            let _ = outside::call(0);
            kernel::hosted::preempt();
        }
    });
    let modules: [&'static ModuleInfo; 3] = [&before::MODULE, &after::MODULE, &registered::MODULE];
    let module = machine.load(modules[machine.choose(3)]);
    let module = module.expect("the module loads");
    let slot = machine.plug_pci(edu);
    assert!(!slot.is_bound());
    hardware.join();
    subsystem.join();
    assert!(outside::call(0).is_err());
    take_away(module, slot);
    // And there is nothing left in the way of one that succeeds.
    let (module, slot) = bind(machine, &module::MODULE, Edu::new());
    assert_eq!(outside::call(0), Ok(()));
    slot.unbind().expect("the device unbinds");
    outside::forget();
    take_away(module, slot);
}

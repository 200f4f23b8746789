// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Probing registers a node and fails before the interrupt has been requested.
//!
//! One driver's cleanup freed an interrupt that it had only noted the number of; another's freed by hand what
//! it had registered, and devres did so again. Here a driver frees no registration, and what has not joined
//! the scope is not taken down. mISDN and the SPI core are left out: a device node is what is registered.

use crate::{
    harness::reached,
    stage::{canary, touch, Data, Shape, Shaped},
};
use devscope::{file::File, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

pub const BUGS: &[&str] = &["lpspi-probe-double-owner", "netjet-irq-not-requested"];
pub const REACHES: &[&str] = &["failed before the line was requested", "failed after it"];

pub struct Card {
    /// How far this attempt gets.
    attempt: Atomic<i32>,
}

struct Transfers<'a> {
    card: &'a Card,
    canary: KBox<Atomic<i64>>,
}

struct Opened;

#[vtable]
impl File for Opened {
    type OwnerModule = module::Owner;
    type Device<'a> = Transfers<'a>;

    fn open(transfers: &Transfers<'_>) -> Result<Arc<Self>> {
        touch(&transfers.canary);
        Ok(Arc::new(Opened, GFP_KERNEL)?)
    }

    fn ioctl(&self, transfers: &Transfers<'_>, _cmd: u32, _arg: usize) -> Result<isize> {
        touch(&transfers.canary);
        Ok(transfers.card.attempt.load(Relaxed) as isize)
    }
}

driver!(module, super::Driver);
pub struct Driver;

/// How far the next attempts get: each of them, once.
static ATTEMPTS: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(0);

impl Shape for Driver {
    type Own = Card;

    fn own() -> impl PinInit<Card, Error> {
        let attempt = ATTEMPTS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Card {
            attempt: Atomic::new(attempt % 2),
        })
    }

    fn attach<'a>(data: &'a Data<'_, Card>, scope: &mut Scope<'a>) -> Result {
        let card: &'a Card = data;
        let canary = canary()?;
        scope.misc_device::<Opened>(c"card", Transfers { card, canary })?;
        if card.attempt.load(Relaxed) == 0 {
            reached("failed before the line was requested");
            return Err(EBUSY);
        }
        data.handle(scope, 0, || {})?;
        data.raise();
        reached("failed after it");
        Err(EIO)
    }
}

pub fn scenario(machine: &Machine) {
    let module = machine.load(&module::MODULE).expect("the module loads");
    let programs = *machine;
    let program = machine.spawn("program", move || {
        for _ in 0..2 {
            if let Ok(file) = programs.open("card") {
                let _ = file.ioctl(0, 0);
                file.close().expect("close() succeeds");
            }
        }
    });
    let slot = machine.plug_pci(Edu::new());
    assert!(!slot.is_bound());
    assert!(slot.bind().is_err());
    program.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

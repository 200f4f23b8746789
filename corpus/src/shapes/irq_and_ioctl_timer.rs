// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A timer that an ioctl starts, and an interrupt as well: a capture that takes too long, samples that are
//! sent one after the other.
//!
//! The drivers freed the card, or what the timer and the interrupt report to, with the timer pending; and
//! programs could start it until the node was gone. Here the node is closed and its operations have left
//! before the timer is shut down. A misc device stands in for that of V4L2 and of the infrared core.

use crate::{
    harness::reached,
    stage::{bind, canary, take_away, touch, Data, Shape, Shaped},
};
use devscope::{file::File, timer::Timer, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

pub const BUGS: &[&str] = &["bttv-irq-timeout", "ene-ir-tx-sim"];
pub const REACHES: &[&str] = &[
    "ioctl() started the timer after unbind() began",
    "interrupt started the timer after unbind() began",
    "timer ran after unbind() began",
    "ioctl() was turned away, and the file was open",
];

/// What `ioctl()` takes: queue samples, and start.
const TRANSMIT: u32 = 1;

pub struct Card {
    /// What is queued for the device.
    queued: Atomic<i32>,
    /// The device of the infrared core, to which both sides report.
    rc: KBox<Atomic<i64>>,
}

impl Card {
    /// Takes a sample, if there is one. Whether there are more.
    fn send_one(&self) -> bool {
        touch(&self.rc);
        self.queued.load(Relaxed) > 0 && self.queued.fetch_add(-1, Relaxed) > 1
    }
}

/// An open file.
struct Node;

#[vtable]
impl File for Node {
    type Device<'a> = (&'a Data<'a, Card>, Timer<'a>, KBox<Atomic<i64>>);
    type OwnerModule = module::Owner;

    fn open(_: &Self::Device<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Node, GFP_KERNEL)?)
    }

    fn ioctl(
        &self,
        (card, timer, canary): &Self::Device<'_>,
        cmd: u32,
        arg: usize,
    ) -> Result<isize> {
        touch(canary);
        if cmd != TRANSMIT {
            return Err(ENOTTY);
        }
        card.queued.fetch_add(arg as i32, Relaxed);
        timer.start(1);
        card.late("ioctl() started the timer after unbind() began");
        Ok(0)
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Card;

    fn own() -> impl PinInit<Card, Error> {
        try_init!(Card {
            queued: Atomic::new(0),
            rc: canary()?,
        }? Error)
    }

    fn attach<'a>(card: &'a Data<'_, Card>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let (timeout, slot) = scope.declare_timer()?;
        slot.define(scope, move || {
            touch(&canary);
            card.late("timer ran after unbind() began");
            if card.send_one() {
                timeout.start(1);
            }
        })?;
        card.handle(scope, 0, move || {
            touch(&card.rc);
            timeout.start(2);
            card.late("interrupt started the timer after unbind() began");
        })?;
        scope.misc_device::<Node>(c"shape", (card, timeout, self::canary()?))
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    let (module, slot) = bind(machine, &module::MODULE, edu.clone());
    let file = machine.open("shape").expect("the node opens");
    let program = machine.spawn("program", move || {
        while file.ioctl(TRANSMIT, 2).is_ok() {}
        reached("ioctl() was turned away, and the file was open");
        file.close().expect("close() succeeds");
    });
    let hardware = machine.spawn("hardware", move || (0..3).for_each(|_| edu.raise(1)));
    slot.unbind().expect("the device unbinds");
    hardware.join();
    program.join();
    take_away(module, slot);
}

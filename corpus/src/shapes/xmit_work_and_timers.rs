// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The network core gives a frame to send, which queues work; the work and the modem's interrupts start
//! three timers, which report an error when they run, and that queues the work again.
//!
//! The driver freed its client without cancelling the work. Here work and timers end with the scope, and
//! the frame comes in through an `Entrance`, which is closed before they end. Calls from outside stand in
//! for the network device, an interrupt for the HSI port.

use crate::{
    harness::reached,
    stage::{canary, outside, touch, unbind_while_called, Data, Shape, Shaped},
};
use devscope::{entrance::Side, work::Work, Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["ssi-protocol-xmit-work"];
pub const REACHES: &[&str] = &[
    "frame sent while unbinding",
    "work ran while unbinding",
    "timer ran while unbinding",
    "refused: the entrance is closed",
];

pub struct Ssi {
    txqueue: Atomic<u32>,
    errors: Atomic<u32>,
    sent: KBox<Atomic<u32>>,
}

/// What the network core reaches.
struct Xmit;

impl Side for Xmit {
    type Device<'a> = (&'a Data<'a, Ssi>, Work<'a>, KBox<Atomic<i64>>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Ssi;

    fn own() -> impl PinInit<Ssi, Error> {
        Ok(Ssi {
            txqueue: Atomic::new(0),
            errors: Atomic::new(0),
            sent: KBox::new(Atomic::new(0), GFP_KERNEL)?,
        })
    }

    fn attach<'a>(ssi: &'a Data<'_, Ssi>, scope: &mut Scope<'a>) -> Result {
        let (work, slot) = scope.declare_work()?;
        let mut timer = || {
            let canary = canary()?;
            scope.timer(move || {
                touch(&canary);
                ssi.errors.add(1, Relaxed);
                ssi.late("timer ran while unbinding");
                if work.schedule() == Scheduled::Refused {
                    reached("refused: the work");
                }
            })
        };
        let (rx_wd, tx_wd, keep_alive) = (timer()?, timer()?, timer()?);
        let canary = self::canary()?;
        slot.define(scope, move || {
            touch(&canary);
            ssi.late("work ran while unbinding");
            ssi.sent.add(ssi.txqueue.xchg(0, Relaxed), Relaxed);
            for timer in [tx_wd, keep_alive] {
                if timer.start(1) == Scheduled::Refused {
                    reached("refused: a timer");
                }
            }
            touch(&canary);
        })?;
        ssi.handle(scope, 0, move || {
            tx_wd.stop();
            rx_wd.start(1);
        })?;
        let xmit = scope.entrance::<Xmit>((ssi, work, self::canary()?))?;
        outside::register(move |frames| {
            outside::answer(xmit.try_access_with(|(ssi, work, canary)| {
                touch(canary);
                ssi.late("frame sent while unbinding");
                ssi.txqueue.add(frames, Relaxed);
                work.schedule()
            }))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while_called(machine, &module::MODULE, edu.clone(), move || {
        edu.raise(1);
        edu.raise(1);
    });
}

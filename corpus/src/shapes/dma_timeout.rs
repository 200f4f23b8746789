// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Two DMA channels, each with a ring, work that empties it, and a timer for when nothing comes. The
//! interrupt queues the work and puts the timer off.
//!
//! The driver stopped the timers without waiting for one that was running, which then used the freed device.
//! Here there is no way to end a scope that does not wait.

use crate::stage::{canary, if_refused, touch, unbind_while, Data, Shape, Shaped};
use devscope::{workqueue::QueueOptions, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Mutex,
    },
};

pub const BUGS: &[&str] = &["netup-unidvb-dma-timer"];
pub const REACHES: &[&str] = &[
    "timer ran after unbind() began",
    "timer was running when unbind() began",
    "work ran after unbind() began",
    "interrupt when the timer would not start any more",
];

#[pin_data]
struct Dma {
    #[pin]
    ring: Mutex<KVec<u8>>,
    arrived: Atomic<i32>,
    timeouts: KBox<Atomic<i64>>,
}

impl Dma {
    fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            ring <- new_mutex!(KVec::with_capacity(4, GFP_KERNEL)?),
            arrived: Atomic::new(0),
            timeouts: canary()?,
        })
    }
}

#[pin_data]
pub struct Card {
    #[pin]
    video: Dma,
    #[pin]
    audio: Dma,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Card;

    fn own() -> impl PinInit<Card, Error> {
        try_pin_init!(Card {
            video <- Dma::new(),
            audio <- Dma::new(),
        })
    }

    fn attach<'a>(card: &'a Data<'_, Card>, scope: &mut Scope<'a>) -> Result {
        let queue = scope.workqueue(c"netup", QueueOptions::ordered())?;
        let mut channel = |dma: &'a Dma| -> Result<_> {
            let (first, second) = (canary()?, canary()?);
            let timeout = scope.timer(move || {
                touch(&first);
                let before = card.is_unbinding();
                card.late("timer ran after unbind() began");
                touch(&dma.timeouts);
                dev_err!(card.pdev, "DMA timed out\n");
                if card.is_unbinding() && !before {
                    crate::harness::reached("timer was running when unbind() began");
                }
            })?;
            let work = scope.work_on(queue, move || {
                touch(&second);
                card.late("work ran after unbind() began");
                let mut ring = dma.ring.lock();
                if dma.arrived.xchg(0, Relaxed) > 0 && ring.len() == ring.capacity() {
                    ring.clear();
                }
                let _ = ring.push(0, GFP_KERNEL);
            })?;
            Ok((dma, timeout, work))
        };
        let channels = [channel(&card.video)?, channel(&card.audio)?];
        card.handle(scope, 0, move || {
            for (dma, timeout, work) in &channels {
                dma.arrived.fetch_add(1, Relaxed);
                work.schedule();
                if_refused(
                    timeout.start(1),
                    "interrupt when the timer would not start any more",
                );
            }
        })
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &module::MODULE, edu.clone(), move || {
        (0..3).for_each(|_| edu.raise(1));
    });
}

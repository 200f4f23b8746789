// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Asking the DMA rings to stop makes them interrupt once more.
//!
//! The driver asked, took its rings away, and was interrupted for what it had asked for. Here it asks in
//! `unbind()`, when all is still there; rings and handler go afterwards, the handler first. The I3C core
//! is left out.

use crate::{
    harness::reached,
    stage::{canary, touch, unbind_while, Data, Shape, Shaped},
};
use devscope::Scope;
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Acquire, Atomic, Relaxed, Release},
};

pub const BUGS: &[&str] = &["mipi-i3c-hci-ring-irq"];
pub const REACHES: &[&str] = &["ring interrupt after unbind() asked and returned"];

pub struct Hci {
    /// The rings, which the handler walks: what `io_data` points to in C.
    rings: KVec<Ring>,
    asked: Atomic<bool>,
}

pub struct Ring {
    stopped: Atomic<u32>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Hci;

    fn own() -> impl PinInit<Hci, Error> {
        let mut rings = KVec::new();
        for _ in 0..2 {
            let stopped = Atomic::new(0);
            rings.push(Ring { stopped }, GFP_KERNEL)?;
        }
        Ok(Hci {
            rings,
            asked: Atomic::new(false),
        })
    }

    fn attach<'a>(hci: &'a Data<'_, Hci>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        hci.handle(scope, 0, move || {
            touch(&canary);
            for ring in &hci.rings {
                ring.stopped.add(1, Relaxed);
            }
            if hci.asked.load(Acquire) {
                reached("ring interrupt after unbind() asked and returned");
            }
        })
    }

    /// Stops each ring, and does not wait for it.
    fn unbind(hci: &Data<'_, Hci>) {
        for _ in &hci.rings {
            hci.raise();
        }
        hci.asked.store(true, Release);
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &module::MODULE, edu.clone(), move || edu.raise(1));
}

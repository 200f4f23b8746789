// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A DMA controller: each channel has an interrupt and a tasklet, which calls the client's callback.
//!
//! `remove()` of the driver did not kill the tasklets of its channels; it would have had to walk them,
//! between freeing the interrupts and unregistering the controller. Here a loop registers them, and
//! nothing walks them at the end. A work item of the driver stands in for the client, which waits for what
//! it has submitted.

use crate::stage::{canary, touch, unbind_while, Data, Messages, Shape, Shaped};
use devscope::Scope;
use kernel::{
    hosted::Machine,
    io::Io,
    prelude::*,
    sync::atomic::{Acquire, Atomic, Full, Relaxed},
};

pub const BUGS: &[&str] = &["fsl-edma-vchan-tasklets"];
pub const REACHES: &[&str] = &[
    "channel's tasklet while unbinding",
    "client was called back",
];

const CHANNELS: usize = 4;

pub struct Edma {
    chans: KVec<Chan>,
}

pub struct Chan {
    issued: Atomic<u32>,
    completed: Atomic<u32>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Edma;
    const VECTORS: u32 = CHANNELS as u32;

    fn own() -> impl PinInit<Edma, Error> {
        let mut chans = KVec::new();
        for _ in 0..CHANNELS {
            let chan = Chan {
                issued: Atomic::new(0),
                completed: Atomic::new(0),
            };
            chans.push(chan, GFP_KERNEL)?;
        }
        Ok(Edma { chans })
    }

    fn attach<'a>(edma: &'a Data<'_, Edma>, scope: &mut Scope<'a>) -> Result {
        let callbacks = scope.wait_queue()?;
        for (index, chan) in edma.chans.iter().enumerate() {
            let (first, second) = (canary()?, canary()?);
            let vchan_complete = scope.tasklet(move || {
                touch(&first);
                chan.completed.fetch_add(1, Full);
                edma.late("channel's tasklet while unbinding");
                callbacks.wake_all();
            })?;
            edma.handle(scope, index, move || {
                touch(&second);
                vchan_complete.schedule();
            })?;
        }
        let canary = canary()?;
        let client = scope.work(move || {
            touch(&canary);
            for chan in &edma.chans {
                chan.issued.add(1, Relaxed);
            }
            // All channels at once.
            edma.bar.write32(0xf, crate::stage::regs::RAISE);
            let done = || edma.chans.iter().all(|chan| chan.completed.load(Acquire) != 0);
            if callbacks.wait_until(done).is_ok() {
                crate::harness::reached("client was called back");
            }
        })?;
        client.schedule();
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let edma = Messages::new();
    unbind_while(machine, &module::MODULE, edma.clone(), move || {
        edma.raise(0xf);
        edma.raise(0x5);
    });
}

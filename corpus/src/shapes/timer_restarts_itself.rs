// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Timers that start themselves: one feeds a watchdog, one looks at a register, one sends a frame again
//! until there is an answer.
//!
//! The drivers stopped the timer without waiting for it, or waited only if it was pending, or not at all; it
//! went on with ports that were somebody else's, or freed memory. Here the scope waits for it, and the ports
//! are in the driver's data, which goes afterwards. [`outside`] stands in for the NFC core, which has frames
//! to send.

use crate::{
    harness::reached,
    stage::{canary, if_refused, outside, regs, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, timer::Timer, Scope};
use kernel::{
    hosted::Machine,
    io::Io,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &[
    "cpu5wdt-trigger",
    "pn533-uart-cmd-timeout",
    "ptp-ocp-watchdog",
];
pub const REACHES: &[&str] = &[
    "trigger wrote to the port after unbind() began",
    "trigger would not start itself any more",
    "watchdog ran after unbind() began",
    "frame was sent again after unbind() began",
    "frame came after unbind() began",
];

pub struct Own {
    ticks: Atomic<i32>,
    lost: KBox<Atomic<i64>>,
    frame: KBox<Atomic<i64>>,
}

/// What a frame to send finds.
struct Frames;

impl Side for Frames {
    type Device<'a> = (&'a Data<'a, Own>, Timer<'a>);
}

fn send(data: &Data<'_, Own>, timeout: Timer<'_>) {
    touch(&data.frame);
    data.bar.write32(0, regs::ACKNOWLEDGE);
    timeout.start(3);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Own;

    fn own() -> impl PinInit<Own, Error> {
        try_init!(Own {
            ticks: Atomic::new(1000),
            lost: canary()?,
            frame: canary()?,
        }? Error)
    }

    fn attach<'a>(data: &'a Data<'_, Own>, scope: &mut Scope<'a>) -> Result {
        let (first, second, third) = (canary()?, canary()?, canary()?);
        let (trigger, slot) = scope.declare_timer()?;
        slot.define(scope, move || {
            touch(&first);
            data.ticks.fetch_add(-1, Relaxed);
            data.bar.write32(1, regs::ACKNOWLEDGE);
            data.late("trigger wrote to the port after unbind() began");
            if_refused(trigger.start(1), "trigger would not start itself any more");
        })?;
        trigger.start(1);

        let (watchdog, slot) = scope.declare_timer()?;
        slot.define(scope, move || {
            touch(&second);
            data.late("watchdog ran after unbind() began");
            if data.bar.read32(regs::INTERRUPT_STATUS) == 0 {
                touch(&data.lost);
            }
            watchdog.start(2);
        })?;
        watchdog.start(2);

        let (timeout, slot) = scope.declare_timer()?;
        slot.define(scope, move || {
            touch(&third);
            data.late("frame was sent again after unbind() began");
            send(data, timeout);
        })?;
        let frames = scope.entrance::<Frames>((data, timeout))?;
        outside::register(move |_| {
            let sent = frames.try_access_with(|(data, timeout)| {
                data.late("frame came after unbind() began");
                send(data, *timeout);
            });
            sent.ok_or(ENODEV)
                .inspect_err(|_| reached("frame came when there was no device"))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    outside::calls_until_after_the_end(machine, &module::MODULE);
}

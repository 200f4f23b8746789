// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! High-resolution timers that do nothing but queue work on a queue of the driver's own: a state machine,
//! whose work starts its timer, and a poll of a device without an interrupt, whose timer goes on by itself.
//!
//! The drivers destroyed the queue, and then stopped the timers that queue onto it. Here the queue is
//! destroyed when nobody can name it any more. It stands in for a kthread worker.

use crate::stage::{canary, if_refused, regs, touch, unbind_while, Data, Shape, Shaped};
use devscope::{
    hrtimer::{Clock, Expiry, Restart},
    workqueue::QueueOptions,
    Scope,
};
use kernel::{
    hosted::{edu::Edu, Machine},
    io::Io,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    time::Delta,
};

pub const BUGS: &[&str] = &["tcpm-hrtimers", "wave5-worker-vs-hrtimer"];
pub const REACHES: &[&str] = &[
    "state timer ran after unbind() began",
    "poll timer ran after unbind() began",
    "work ran on the queue after unbind() began",
    "the work would not be queued any more",
    "the timer would not start any more",
];

pub struct Port {
    state: Atomic<u32>,
    polls: KBox<Atomic<i64>>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Port;

    fn own() -> impl PinInit<Port, Error> {
        try_init!(Port {
            state: Atomic::new(0),
            polls: canary()?,
        }? Error)
    }

    fn attach<'a>(port: &'a Data<'_, Port>, scope: &mut Scope<'a>) -> Result {
        let (first, second, third, fourth) = (canary()?, canary()?, canary()?, canary()?);
        let worker = scope.workqueue(c"worker", QueueOptions::ordered().highpri())?;

        let (state_timer, slot) = scope.declare_hrtimer(Clock::Monotonic, Expiry::Irq)?;
        let state_machine = scope.work_on(worker, move || {
            touch(&first);
            port.late("work ran on the queue after unbind() began");
            let state = port.state.fetch_add(1, Relaxed);
            port.bar.write32(state, regs::ACKNOWLEDGE);
            if_refused(
                state_timer.start(Delta::from_micros(20)),
                "the timer would not start any more",
            );
        })?;
        slot.define(scope, move || {
            touch(&second);
            port.late("state timer ran after unbind() began");
            if_refused(
                state_machine.schedule(),
                "the work would not be queued any more",
            );
            Restart::No
        })?;
        state_machine.schedule();

        let period = Delta::from_micros(50);
        let look = scope.work_on(worker, move || {
            touch(&third);
            if port.bar.read32(regs::INTERRUPT_STATUS) == 0 {
                touch(&port.polls);
            }
        })?;
        let poll = scope.hrtimer(Clock::Monotonic, Expiry::SoftIrq, move || {
            touch(&fourth);
            port.late("poll timer ran after unbind() began");
            look.schedule();
            Restart::Forward(period)
        })?;
        poll.start(period);
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    unbind_while(machine, &module::MODULE, Edu::new(), || {});
}

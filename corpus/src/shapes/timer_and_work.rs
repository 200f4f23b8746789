// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A timer and a work item, each of which brings about the other, for ever.
//!
//! The drivers deleted the one and cancelled the other, in whatever order, or did so only if a flag said
//! that the timer was on, which the timer itself cleared. One of the two survived. Here both are told to
//! refuse before the first is waited for, and nobody asks a flag.

use crate::stage::{canary, if_refused, touch, unbind_while, Data, Shape, Shaped};
use devscope::Scope;
use kernel::{
    hosted::{edu::Edu, Machine},
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Mutex,
    },
};

pub const BUGS: &[&str] = &["brcmfmac-btcoex", "cxgb4-flower-stats"];
pub const REACHES: &[&str] = &[
    "timer ran after unbind() began",
    "work ran after unbind() began",
    "the timer was marked as off after unbind() began",
    "the work would not be queued any more",
    "the timer would not start any more",
];

#[pin_data]
pub struct Adapter {
    /// Of Bluetooth coexistence: the state machine, and whether the timer is on.
    state: KBox<Atomic<i64>>,
    timer_on: Atomic<bool>,
    /// Of the flower offload: packets of each flow.
    #[pin]
    flows: Mutex<KVec<u64>>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Adapter;

    fn own() -> impl PinInit<Adapter, Error> {
        try_pin_init!(Adapter {
            state: canary()?,
            timer_on: Atomic::new(false),
            flows <- new_mutex!(KVec::from_elem(0, 3, GFP_KERNEL)?),
        })
    }

    fn attach<'a>(adapter: &'a Data<'_, Adapter>, scope: &mut Scope<'a>) -> Result {
        let (first, second, third, fourth) = (canary()?, canary()?, canary()?, canary()?);
        let (timer, slot) = scope.declare_timer()?;
        let coexistence = scope.work(move || {
            touch(&first);
            touch(&adapter.state);
            adapter.late("work ran after unbind() began");
            adapter.timer_on.store(true, Relaxed);
            if_refused(timer.start(1), "the timer would not start any more");
        })?;
        slot.define(scope, move || {
            touch(&second);
            adapter.late("timer ran after unbind() began");
            adapter.timer_on.store(false, Relaxed);
            adapter.late("the timer was marked as off after unbind() began");
            if_refused(
                coexistence.schedule(),
                "the work would not be queued any more",
            );
        })?;
        coexistence.schedule();

        let (stats_timer, slot) = scope.declare_timer()?;
        let stats = scope.work(move || {
            touch(&third);
            for packets in adapter.flows.lock().iter_mut() {
                *packets += 1;
            }
            stats_timer.start(2);
        })?;
        slot.define(scope, move || {
            touch(&fourth);
            stats.schedule();
        })?;
        stats_timer.start(2);
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    unbind_while(machine, &module::MODULE, Edu::new(), || {});
}

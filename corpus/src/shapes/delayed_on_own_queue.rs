// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Delayed work that queues itself again, on a queue of the device's own.
//!
//! The driver used the cancel that does not wait, and destroyed the queue, which knows nothing of work
//! that is still on its timer. Here the queue is a member of the scope like the work on it, which has
//! ended with its timer when the queue is destroyed.

use crate::{
    harness::reached,
    stage::{canary, touch, unbind_while, Data, Shape, Shaped},
};
use devscope::{workqueue::QueueOptions, Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    new_mutex,
    prelude::*,
    sync::Mutex,
};

pub const BUGS: &[&str] = &["ocelot-stats-cyclic"];
pub const REACHES: &[&str] = &[
    "work ran while unbinding",
    "work on its timer while unbinding",
    "work when it was told to end",
];

#[pin_data]
pub struct Ocelot {
    #[pin]
    stats_lock: Mutex<KVec<u64>>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Ocelot;

    fn own() -> impl PinInit<Ocelot, Error> {
        try_pin_init!(Ocelot {
            stats_lock <- {
                let stats = KVec::from_elem(0, 4, GFP_KERNEL)?;
                new_mutex!(stats)
            },
        })
    }

    fn attach<'a>(ocelot: &'a Data<'_, Ocelot>, scope: &mut Scope<'a>) -> Result {
        let stats_queue = scope.workqueue(c"ocelot-stats", QueueOptions::ordered())?;
        let canary = canary()?;
        let (stats_work, slot) = scope.declare_delayed_work_on(stats_queue)?;
        slot.define(scope, move || {
            touch(&canary);
            ocelot.late("work ran while unbinding");
            ocelot.stats_lock.lock().iter_mut().for_each(|n| *n += 1);
            // The next one will sit on its timer.
            match stats_work.schedule(2) {
                Scheduled::Queued => ocelot.late("work on its timer while unbinding"),
                Scheduled::Pending => {}
                Scheduled::Refused => reached("work when it was told to end"),
            }
            touch(&canary);
        })?;
        stats_work.schedule(0);
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    unbind_while(machine, &module::MODULE, Edu::new(), || {});
}

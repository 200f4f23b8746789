// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An interrupt queues work on a queue that goes with the device.
//!
//! The driver unregistered the I3C controller, to which the queue belonged, with work on it. Here the
//! queue is a member of the scope and is destroyed when every item on it has ended; the handle of an item
//! is bound to one queue, so nothing can be queued on one that has gone. The I3C core is left out.

use crate::{
    harness::reached,
    stage::{canary, touch, unbind_while, Data, Shape, Shaped},
};
use devscope::{workqueue::QueueOptions, Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Mutex,
    },
};

pub const BUGS: &[&str] = &["dw-i3c-hj-work"];
pub const REACHES: &[&str] = &[
    "work queued while unbinding",
    "work ran while unbinding",
    "interrupt when the work was told to end",
];

#[pin_data]
pub struct Master {
    requests: Atomic<u32>,
    /// The devices on the bus, which enumerating changes.
    #[pin]
    bus: Mutex<KVec<u32>>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Master;

    fn own() -> impl PinInit<Master, Error> {
        try_pin_init!(Master {
            requests: Atomic::new(0),
            bus <- new_mutex!(KVec::new()),
        })
    }

    fn attach<'a>(master: &'a Data<'_, Master>, scope: &mut Scope<'a>) -> Result {
        let wq = scope.workqueue(c"dw-i3c", QueueOptions::ordered())?;
        let (first, second) = (canary()?, canary()?);
        let hj_work = scope.work_on(wq, move || {
            touch(&first);
            let found = master.requests.xchg(0, Relaxed);
            let _ = master.bus.lock().push(found, GFP_KERNEL);
            master.late("work ran while unbinding");
            touch(&first);
        })?;
        master.handle(scope, 0, move || {
            touch(&second);
            master.requests.add(1, Relaxed);
            match hj_work.schedule() {
                Scheduled::Queued => master.late("work queued while unbinding"),
                Scheduled::Pending => {}
                Scheduled::Refused => reached("interrupt when the work was told to end"),
            }
        })
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &module::MODULE, edu.clone(), move || {
        (0..4).for_each(|_| edu.raise(1));
    });
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Work on a queue that belongs to somebody else, and is there when the driver's module has gone.
//!
//! The drivers queued work on a queue that all devices share, or the system's own, and let the module be
//! unloaded with the work still in it; destroying one's queue would have waited, but it was not theirs. Here
//! each item ends with its scope, whosever the queue is. There are two devices, so the queue goes on being
//! used by the other one.

use crate::{
    harness::reached,
    stage::{canary, if_refused, touch, Data, Shape, Shaped},
};
use devscope::{workqueue::Queue, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["ipmi-bmc-remove-work", "qat-misc-wq-unload"];
pub const REACHES: &[&str] = &[
    "work ran after unbind() began",
    "interrupt queued work after unbind() began",
    "interrupt when the work would not be queued any more",
    "work was pending when the module was to be unloaded",
];

pub struct Accelerator {
    events: Atomic<i32>,
    /// What the work uses, in C of a type that is in the module.
    bmc: KBox<Atomic<i64>>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Accelerator;

    fn own() -> impl PinInit<Accelerator, Error> {
        try_init!(Accelerator {
            events: Atomic::new(0),
            bmc: canary()?,
        }? Error)
    }

    fn attach<'a>(accel: &'a Data<'_, Accelerator>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        // A power event: on the queue that all devices share.
        let event = scope.work_on(Queue::unbound(), move || {
            touch(&first);
            accel.events.store(0, Relaxed);
            accel.late("work ran after unbind() began");
        })?;
        // The last one has let go of an object, which is then removed from here.
        let remove = scope.work(move || {
            touch(&second);
            touch(&accel.bmc);
        })?;
        accel.handle(scope, 0, move || {
            accel.events.fetch_add(1, Relaxed);
            accel.late("interrupt queued work after unbind() began");
            if_refused(
                event.schedule(),
                "interrupt when the work would not be queued any more",
            );
            remove.schedule();
        })
    }

    fn unbind(accel: &Data<'_, Accelerator>) {
        if accel.events.load(Relaxed) > 0 {
            reached("work was pending when the module was to be unloaded");
        }
    }
}

pub fn scenario(machine: &Machine) {
    let module = machine.load(&module::MODULE).expect("the module loads");
    let (first, second) = (Edu::new(), Edu::new());
    let slots = [&first, &second].map(|edu| machine.plug_pci(edu.clone()));
    assert!(slots.iter().all(|slot| slot.is_bound()));
    let hardware = [first, second]
        .map(|edu| machine.spawn("hardware", move || (0..2).for_each(|_| edu.raise(1))));
    if machine.choose(2) == 0 {
        slots[0].unbind().expect("the device unbinds");
    }
    // Whatever is bound is unbound by that.
    module.unload().expect("the module unloads");
    for hardware in hardware {
        hardware.join();
    }
    for slot in slots {
        slot.unplug();
    }
}

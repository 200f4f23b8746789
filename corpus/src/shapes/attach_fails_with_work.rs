// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Probing queues work that polls for interrupts, queues itself, and queues more; then it fails.
//!
//! The drivers' error paths freed what the work uses: one had none for it at all, the other had just been
//! given a kfree() that cured a leak. Here attach() returns its error, and the scope ends as it does at unbind.
//! Network devices are left out.

use crate::{
    harness::reached,
    stage::{canary, touch, Data, Shape, Shaped},
};
use devscope::Scope;
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["octeon-ep-poll-chain", "smsc75xx-bind-work"];
pub const REACHES: &[&str] = &["polling ran before the end", "the mailbox work ran", "the reset's work ran"];

pub struct Device {
    polls: Atomic<i32>,
    filters: Atomic<i32>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Device;

    fn own() -> impl PinInit<Device, Error> {
        Ok(Device {
            polls: Atomic::new(0),
            filters: Atomic::new(0),
        })
    }

    fn attach<'a>(oct: &'a Data<'_, Device>, scope: &mut Scope<'a>) -> Result {
        let (first, second, third) = (canary()?, canary()?, canary()?);
        let ctrl_mbox = scope.work(move || {
            touch(&first);
            reached("the mailbox work ran");
        })?;
        let (intr_poll, slot) = scope.declare_delayed_work()?;
        slot.define(scope, move || {
            touch(&second);
            oct.polls.add(1, Relaxed);
            reached("polling ran before the end");
            ctrl_mbox.schedule();
            intr_poll.schedule(1);
        })?;
        intr_poll.schedule(1);
        // A reset sets the multicast filter, which has to be done where one may sleep.
        let set_multicast = scope.work(move || {
            touch(&third);
            oct.filters.add(1, Relaxed);
            reached("the reset's work ran");
        })?;
        set_multicast.schedule();
        // The address cannot be read.
        Err(EIO)
    }
}

pub fn scenario(machine: &Machine) {
    let module = machine.load(&module::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert!(!slot.is_bound());
    module.unload().expect("the module unloads");
    slot.unplug();
}

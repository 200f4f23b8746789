// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Probing queues work: a poll of the device, which queues itself and other work, and what a reset wants to
//! have done. Then it fails.
//!
//! The drivers freed what the work uses; in one the `kfree()` was the fix of a leak. Here a failing `attach()`
//! ends its scope, so that what there is to be freed is not used any more.

use crate::{
    harness::reached,
    stage::{canary, if_refused, regs, touch, Data, Shape, Shaped},
};
use devscope::Scope;
use kernel::{
    hosted::{edu::Edu, Machine},
    io::Io,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    time::{delay::fsleep, Delta},
};

pub const BUGS: &[&str] = &["octeon-ep-poll-chain", "smsc75xx-bind-work"];
pub const REACHES: &[&str] = &[
    "poll ran before attach() failed",
    "poll ran while attach() failed",
    "mailbox work ran while attach() failed",
    "the poll would not queue itself any more",
    "poll when the mailbox work would not be queued any more",
    "multicast work was pending when attach() failed",
];

pub struct Adapter {
    mailbox: KBox<Atomic<i64>>,
    multicast_pending: Atomic<bool>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Adapter;

    fn own() -> impl PinInit<Adapter, Error> {
        try_init!(Adapter {
            mailbox: canary()?,
            multicast_pending: Atomic::new(false),
        }? Error)
    }

    fn attach<'a>(adapter: &'a Data<'_, Adapter>, scope: &mut Scope<'a>) -> Result {
        let (first, second, third) = (canary()?, canary()?, canary()?);
        let mailbox = scope.work(move || {
            touch(&first);
            touch(&adapter.mailbox);
            adapter.late("mailbox work ran while attach() failed");
        })?;
        let (poll, slot) = scope.declare_delayed_work()?;
        slot.define(scope, move || {
            touch(&second);
            match adapter.is_unbinding() {
                false => reached("poll ran before attach() failed"),
                true => reached("poll ran while attach() failed"),
            }
            adapter.bar.read32(regs::INTERRUPT_STATUS);
            if_refused(
                mailbox.schedule(),
                "poll when the mailbox work would not be queued any more",
            );
            if_refused(
                poll.schedule(1),
                "the poll would not queue itself any more",
            );
        })?;
        poll.schedule(1);

        let multicast = scope.work(move || {
            touch(&third);
            adapter.bar.write32(0, regs::ACKNOWLEDGE);
            adapter.multicast_pending.store(false, Relaxed);
        })?;
        // What comes next takes its time: reading the address out of the device.
        fsleep(Delta::from_millis(2));
        // And the reset at the end asks for one thing more.
        adapter.multicast_pending.store(true, Relaxed);
        multicast.schedule();
        let failed = adapter.fail(EIO);
        if adapter.multicast_pending.load(Relaxed) {
            reached("multicast work was pending when attach() failed");
        }
        failed
    }
}

pub fn scenario(machine: &Machine) {
    let module = machine.load(&module::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert!(!slot.is_bound());
    module.unload().expect("the module unloads");
    slot.unplug();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Delayed work that looks after something and queues itself again; an interrupt and another subsystem's
//! request bring it forward.
//!
//! The drivers used the cancel that does not wait, with a flush or without: the work was running, and
//! queued itself again on what was freed. Here it is disabled, so that its own call is refused, and then
//! waited for. Calls from outside stand in for the SCSI midlayer.

use crate::{
    harness::reached,
    stage::{canary, outside, touch, unbind_while_called, Data, Shape, Shaped},
};
use devscope::{entrance::Side, work::DelayedWork, Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &[
    "cnic-delete-task",
    "flexcop-irq-check",
    "imm-scsi-delayed",
    "otx2-ptp-synctstamp",
];
pub const REACHES: &[&str] = &[
    "work ran while unbinding",
    "work queued itself while unbinding",
    "work when it was told to end",
    "refused: the entrance is closed",
];

pub struct Pci {
    /// What the work looks after, in memory of its own.
    dev: KBox<Atomic<u32>>,
    interrupts: Atomic<u32>,
}

/// What `queuecommand()` reaches.
struct QueueCommand;

impl Side for QueueCommand {
    type Device<'a> = (&'a Data<'a, Pci>, DelayedWork<'a>, KBox<Atomic<i64>>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Pci;

    fn own() -> impl PinInit<Pci, Error> {
        Ok(Pci {
            dev: KBox::new(Atomic::new(0), GFP_KERNEL)?,
            interrupts: Atomic::new(0),
        })
    }

    fn attach<'a>(pci: &'a Data<'_, Pci>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let (irq_check, slot) = scope.declare_delayed_work()?;
        slot.define(scope, move || {
            touch(&canary);
            pci.dev.add(pci.interrupts.xchg(0, Relaxed), Relaxed);
            pci.late("work ran while unbinding");
            match irq_check.schedule(1) {
                Scheduled::Queued => pci.late("work queued itself while unbinding"),
                Scheduled::Pending => {}
                Scheduled::Refused => reached("work when it was told to end"),
            }
            touch(&canary);
        })?;
        irq_check.schedule(1);
        pci.handle(scope, 0, move || {
            pci.interrupts.add(1, Relaxed);
            irq_check.reschedule(0);
        })?;
        let command = scope.entrance::<QueueCommand>((pci, irq_check, self::canary()?))?;
        outside::register(move |command_number| {
            outside::answer(command.try_access_with(|(pci, irq_check, canary)| {
                touch(canary);
                pci.dev.store(command_number, Relaxed);
                irq_check.schedule(0)
            }))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while_called(machine, &module::MODULE, edu.clone(), move || {
        edu.raise(1);
        edu.raise(1);
    });
}

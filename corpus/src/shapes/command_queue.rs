// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Commands are sent by work on a queue of the device's, one after the other. A command starts a timer, which
//! queues the work when there is no answer in time; an answer stops the timer and queues the work as well, by
//! other work that takes in what was received.
//!
//! On close the core deleted the timer, and the work that was still queued started it again. Here work and
//! timer end with the scope. [`outside`] stands in for netlink, by which programs go on asking for commands.

use crate::{
    harness::reached,
    stage::{bind, canary, if_refused, outside, regs, take_away, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, work::Work, workqueue::QueueOptions, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    io::Io,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["nci-cmd-timer-work"];
pub const REACHES: &[&str] = &[
    "command was asked for after unbind() began",
    "command was sent after unbind() began",
    "timer ran after unbind() began",
    "the timer would not start any more",
    "the work would not be queued any more",
    "command was asked for when there was no device",
];

pub struct Nci {
    /// Commands that are to be sent.
    commands: Atomic<i32>,
    /// How many the device can take.
    credits: Atomic<i32>,
    sent: KBox<Atomic<i64>>,
}

/// What a request finds.
struct Requests;

impl Side for Requests {
    type Device<'a> = (&'a Data<'a, Nci>, Work<'a>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Nci;

    fn own() -> impl PinInit<Nci, Error> {
        try_init!(Nci {
            commands: Atomic::new(0),
            credits: Atomic::new(1),
            sent: canary()?,
        }? Error)
    }

    fn attach<'a>(nci: &'a Data<'_, Nci>, scope: &mut Scope<'a>) -> Result {
        let (first, second, third) = (canary()?, canary()?, canary()?);
        let commands = scope.workqueue(c"nci_cmd", QueueOptions::ordered())?;
        let received = scope.workqueue(c"nci_rx", QueueOptions::ordered())?;
        let (timer, slot) = scope.declare_timer()?;
        let send = scope.work_on(commands, move || {
            touch(&first);
            if nci.commands.load(Relaxed) > 0 && nci.credits.load(Relaxed) > 0 {
                nci.commands.fetch_add(-1, Relaxed);
                nci.credits.store(0, Relaxed);
                touch(&nci.sent);
                nci.bar.write32(1, regs::ACKNOWLEDGE);
                nci.late("command was sent after unbind() began");
                if_refused(timer.start(1), "the timer would not start any more");
            }
        })?;
        slot.define(scope, move || {
            touch(&second);
            nci.late("timer ran after unbind() began");
            nci.credits.store(1, Relaxed);
            if_refused(send.schedule(), "the work would not be queued any more");
        })?;
        let take_in = scope.work_on(received, move || {
            touch(&third);
            timer.stop();
            nci.credits.store(1, Relaxed);
            send.schedule();
        })?;
        nci.handle(scope, 0, move || {
            take_in.schedule();
        })?;
        let requests = scope.entrance::<Requests>((nci, send))?;
        outside::register(move |_| {
            let asked = requests.try_access_with(|(nci, send)| {
                nci.commands.fetch_add(2, Relaxed);
                send.schedule();
                nci.late("command was asked for after unbind() began");
            });
            asked
                .ok_or(ENODEV)
                .inspect_err(|_| reached("command was asked for when there was no device"))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    let (module, slot) = bind(machine, &module::MODULE, edu.clone());
    let program = machine.spawn("program", || {
        for command in 1..5 {
            let _ = outside::call(command);
        }
    });
    let hardware = machine.spawn("hardware", move || (0..2).for_each(|_| edu.raise(1)));
    slot.unbind().expect("the device unbinds");
    assert_eq!(outside::call(9), Err(ENODEV));
    hardware.join();
    program.join();
    outside::forget();
    take_away(module, slot);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Work for each connector sends a command and waits for its completion, which only the interrupt's thread
//! brings; the thread queues the work when a connector has changed.
//!
//! The driver freed the interrupt after what its thread uses. Freeing it first would have been as wrong: the
//! work that is being cancelled would wait for ever. Here the order is the framework's: handles refuse, work
//! is waited for, then the thread. What waits here is no queue of the scope, so nothing else lets it go.

use crate::{
    harness::reached,
    stage::{canary, if_refused, touch, unbind_while, Data, Shape, Shaped},
};
use devscope::Scope;
use kernel::{
    hosted::{edu::Edu, Machine},
    irq::{Flags, IrqReturn, ThreadedIrqReturn},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Completion,
    },
    time::{delay::fsleep, Delta},
};

pub const BUGS: &[&str] = &["ucsi-ccg-irq-thread"];
pub const REACHES: &[&str] = &[
    "work waited for the thread after unbind() began",
    "thread ran after unbind() began",
    "thread when the work would not be queued any more",
];

#[pin_data]
struct Connector {
    #[pin]
    completion: Completion,
    completed: Atomic<bool>,
}

impl Connector {
    fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            completion <- Completion::new(),
            completed: Atomic::new(false),
        })
    }
}

#[pin_data]
pub struct Ucsi {
    #[pin]
    first: Connector,
    #[pin]
    second: Connector,
    /// What the thread notifies.
    notified: KBox<Atomic<i64>>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Ucsi;

    fn own() -> impl PinInit<Ucsi, Error> {
        try_pin_init!(Ucsi {
            first <- Connector::new(),
            second <- Connector::new(),
            notified: canary()?,
        })
    }

    fn attach<'a>(ucsi: &'a Data<'_, Ucsi>, scope: &mut Scope<'a>) -> Result {
        let mut work = |connector: &'a Connector| {
            let canary = canary()?;
            scope.work(move || {
                touch(&canary);
                ucsi.raise();
                if ucsi.is_unbinding() && !connector.completed.load(Relaxed) {
                    reached("work waited for the thread after unbind() began");
                }
                connector.completion.wait_for_completion();
                touch(&canary);
            })
        };
        let works = [work(&ucsi.first)?, work(&ucsi.second)?];
        let (first, second) = (canary()?, canary()?);
        scope.threaded_irq(
            ucsi.vectors.index(0)?,
            Flags::SHARED,
            c"ucsi",
            move || {
                touch(&first);
                match ucsi.acknowledge() {
                    0 => ThreadedIrqReturn::None,
                    _ => ThreadedIrqReturn::WakeThread,
                }
            },
            move || {
                touch(&second);
                ucsi.late("thread ran after unbind() began");
                fsleep(Delta::from_micros(100));
                touch(&ucsi.notified);
                for connector in [&ucsi.first, &ucsi.second] {
                    connector.completed.store(true, Relaxed);
                    connector.completion.complete_all();
                }
                for work in works {
                    if_refused(
                        work.schedule(),
                        "thread when the work would not be queued any more",
                    );
                }
                IrqReturn::Handled
            },
        )?;
        works[0].schedule();
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &module::MODULE, edu.clone(), move || edu.raise(1));
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `unbind()` stops the controller and waits for its answer, which comes by interrupt and tasklet; and the
//! tasklet lets the next interrupt in.
//!
//! The driver never killed the tasklet, and could not have before the answer was there. Here `unbind()`
//! waits while everything is live, and afterwards the tasklet and the interrupt that bring each other
//! about are told to refuse. The SAS core is left out.

use crate::{
    harness::reached,
    stage::{canary, touch, unbind_while, Data, Shape, Shaped},
};
use devscope::Scope;
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        Completion,
    },
};

pub const BUGS: &[&str] = &["isci-completion-tasklet"];
pub const REACHES: &[&str] = &[
    "stop event came through the tasklet",
    "tasklet after the stop event",
];

#[pin_data]
pub struct Host {
    completions: Atomic<u32>,
    stopping: Atomic<bool>,
    #[pin]
    stopped: Completion,
    /// `unbind()` has had its answer.
    over: Atomic<bool>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Host;

    fn own() -> impl PinInit<Host, Error> {
        try_pin_init!(Host {
            completions: Atomic::new(0),
            stopping: Atomic::new(false),
            stopped <- Completion::new(),
            over: Atomic::new(false),
        })
    }

    fn attach<'a>(ihost: &'a Data<'_, Host>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        let completion_tasklet = scope.tasklet(move || {
            touch(&first);
            ihost.completions.add(1, Relaxed);
            if ihost.stopping.load(Acquire) {
                reached("stop event came through the tasklet");
                ihost.stopped.complete_all();
            }
            if ihost.over.load(Acquire) {
                reached("tasklet after the stop event");
            }
            // Unmasks the interrupt; there is always more.
            ihost.raise();
        })?;
        ihost.handle(scope, 0, move || {
            touch(&second);
            completion_tasklet.schedule();
        })
    }

    fn unbind(ihost: &Data<'_, Host>) {
        ihost.stopping.store(true, Release);
        ihost.raise();
        ihost.stopped.wait_for_completion();
        ihost.over.store(true, Release);
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &module::MODULE, edu.clone(), move || edu.raise(1));
}

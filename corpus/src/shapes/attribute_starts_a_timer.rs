// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A program starts the transfer timer of a virtual controller through an attribute, a request kicks it, and
//! it starts itself for as long as there is something to transfer.
//!
//! The driver freed the controller with the timer armed. Here the timer ends with the scope, and whoever
//! still has the attribute finds a closed entrance. [`outside`] stands in for sysfs, and an interrupt for
//! requests of the USB core.

use crate::{
    harness::reached,
    stage::{bind, canary, outside, take_away, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, timer::Timer, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["vudc-transfer-timer"];
pub const REACHES: &[&str] = &[
    "attribute started the timer after unbind() began",
    "request kicked the timer after unbind() began",
    "timer ran after unbind() began",
    "refused: the attribute, written when there was no device",
];

pub struct Controller {
    running: Atomic<bool>,
    urbs: Atomic<i32>,
    /// The gadget.
    gadget: KBox<Atomic<i64>>,
}

/// What a write to the attribute finds.
struct Attribute;

impl Side for Attribute {
    type Device<'a> = (&'a Data<'a, Controller>, Timer<'a>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Controller;

    fn own() -> impl PinInit<Controller, Error> {
        try_init!(Controller {
            running: Atomic::new(false),
            urbs: Atomic::new(0),
            gadget: canary()?,
        }? Error)
    }

    fn attach<'a>(udc: &'a Data<'_, Controller>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let (transfer, slot) = scope.declare_timer()?;
        slot.define(scope, move || {
            touch(&canary);
            udc.late("timer ran after unbind() began");
            if udc.urbs.load(Relaxed) > 0 {
                udc.urbs.fetch_add(-1, Relaxed);
                touch(&udc.gadget);
            }
            if udc.running.load(Relaxed) {
                transfer.start(1);
            }
        })?;
        udc.handle(scope, 0, move || {
            udc.urbs.fetch_add(1, Relaxed);
            if udc.running.load(Relaxed) {
                transfer.start(0);
                udc.late("request kicked the timer after unbind() began");
            }
        })?;
        let attribute = scope.entrance::<Attribute>((udc, transfer))?;
        outside::register(move |_sockfd| {
            let stored = attribute.try_access_with(|(udc, transfer)| {
                udc.running.store(true, Relaxed);
                transfer.start(1);
                udc.late("attribute started the timer after unbind() began");
            });
            stored
                .ok_or(ENODEV)
                .inspect_err(|_| reached("refused: the attribute, written when there was no device"))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    let (module, slot) = bind(machine, &module::MODULE, edu.clone());
    let program = machine.spawn("program", || {
        for sockfd in 3..6 {
            let _ = outside::call(sockfd);
        }
    });
    let requests = machine.spawn("requests", move || (0..3).for_each(|_| edu.raise(1)));
    slot.unbind().expect("the device unbinds");
    assert_eq!(outside::call(9), Err(ENODEV));
    program.join();
    requests.join();
    outside::forget();
    take_away(module, slot);
}

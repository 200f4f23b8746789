// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Probing starts input URBs, which submit themselves again or schedule work that submits them, sends a
//! command, and then fails.
//!
//! The drivers' error paths freed endpoints and buffers with URBs in flight, or killed the URBs and not the
//! work that their completions had scheduled. Here attach() returns its error, and the scope ends as it does
//! at unbind.

use crate::{
    harness::reached,
    stage::{
        canary, touch,
        usb::{plug, Shape, Shaped, GET_STATUS},
    },
};
use devscope::{urb::Endpoint, Scope};
use kernel::{
    device::Bound,
    hosted::Machine,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    usb::Interface,
};

pub const BUGS: &[&str] = &[
    "port100-probe-urbs",
    "siano-submit-urb-work",
    "usb-midi2-urbs",
];
pub const REACHES: &[&str] = &["an URB was taken back", "work ran", "the command was answered"];

pub struct Reader {
    received: Atomic<i32>,
}

driver!(usb, module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Reader;

    fn own() -> impl PinInit<Reader, Error> {
        Ok(Reader {
            received: Atomic::new(0),
        })
    }

    fn attach<'a>(
        intf: &'a Interface<Bound>,
        reader: &'a Reader,
        scope: &mut Scope<'a>,
    ) -> Result {
        let canaries = [canary()?, canary()?, canary()?, canary()?];
        let [first, second, third, fourth] = canaries;
        let input = scope.urb(intf, Endpoint::INTERRUPT_IN, 8, move |done| {
            touch(&first);
            match done.status() {
                Ok(()) => drop(done.resubmit()),
                Err(_) => reached("an URB was taken back"),
            }
        })?;
        let (work, slot) = scope.declare_work()?;
        let stream = scope.urb(intf, Endpoint::BULK_IN, 64, move |done| {
            touch(&second);
            drop(done);
            work.schedule();
        })?;
        slot.define(scope, move || {
            touch(&third);
            reader.received.add(1, Relaxed);
            reached("work ran");
            let _ = stream.submit();
        })?;
        let command = scope.urb(intf, Endpoint::CONTROL_IN, 2, move |done| {
            touch(&fourth);
            if done.status().is_ok() {
                reached("the command was answered");
            }
        })?;
        input.submit()?;
        stream.submit()?;
        command.submit(GET_STATUS, 2)?;
        // The answer is not the one that the driver hoped for.
        Err(EIO)
    }
}

pub fn scenario(machine: &Machine) {
    let module = machine.load(&module::MODULE).expect("the module loads");
    let slot = plug(machine, machine.choose(2) == 0);
    assert!(!slot.is_bound());
    slot.unplug();
    module.unload().expect("the module unloads");
}

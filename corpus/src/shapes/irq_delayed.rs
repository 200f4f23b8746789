// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An interrupt arms delayed work, and so does another subsystem that binds itself to the device.
//!
//! One driver freed itself with the work armed; the other flushes it before it frees the interrupt, which
//! may arm it again. Here the work is disabled while the interrupt still comes. There is no global pointer
//! by which the handler would reach the device. Calls from outside stand in for the USB core.

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

pub const BUGS: &[&str] = &["fsl-otg-event", "usbhs-notify-hotplug"];
pub const REACHES: &[&str] = &[
    "work armed while unbinding",
    "work ran while unbinding",
    "interrupt when the work was told to end",
    "refused: the entrance is closed",
];

pub struct Otg {
    fsm: KBox<Atomic<u32>>,
    id: Atomic<u32>,
}

/// What binding a host controller reaches.
struct SetHost;

impl Side for SetHost {
    type Device<'a> = (&'a Data<'a, Otg>, DelayedWork<'a>, KBox<Atomic<i64>>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Otg;

    fn own() -> impl PinInit<Otg, Error> {
        Ok(Otg {
            fsm: KBox::new(Atomic::new(0), GFP_KERNEL)?,
            id: Atomic::new(0),
        })
    }

    fn attach<'a>(otg: &'a Data<'_, Otg>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let otg_event = scope.delayed_work(move || {
            touch(&canary);
            otg.late("work ran while unbinding");
            otg.fsm.store(otg.id.load(Relaxed), Relaxed);
            touch(&canary);
        })?;
        otg.handle(scope, 0, move || {
            let delay = otg.id.fetch_add(1, Relaxed) as usize % 2;
            match otg_event.schedule(delay) {
                Scheduled::Queued => otg.late("work armed while unbinding"),
                Scheduled::Pending => {}
                Scheduled::Refused => reached("interrupt when the work was told to end"),
            }
        })?;
        let set_host = scope.entrance::<SetHost>((otg, otg_event, self::canary()?))?;
        outside::register(move |host| {
            outside::answer(set_host.try_access_with(|(otg, otg_event, canary)| {
                touch(canary);
                otg.fsm.store(host, Relaxed);
                otg_event.schedule(1)
            }))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while_called(machine, &module::MODULE, edu.clone(), move || {
        (0..4).for_each(|_| edu.raise(1));
    });
}

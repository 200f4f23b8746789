// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An attribute that a program writes and one interrupt queue one work item, another interrupt queues a
//! second.
//!
//! The driver cancelled neither when the role switch went, and to this day only one of the two. Here each
//! work item ends with the scope; the attribute comes in through an `Entrance`, which is closed before.
//! Calls from outside stand in for sysfs; role switch, extcon and gadget are memory of the driver's.

use crate::{
    harness::reached,
    stage::{canary, outside, touch, unbind_while_called, Data, Messages, Shape, Shaped},
};
use devscope::{entrance::Side, work::Work, Scheduled, Scope};
use kernel::{
    hosted::Machine,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["renesas-usb3-role-work"];
pub const REACHES: &[&str] = &[
    "role work ran while unbinding",
    "extcon work ran while unbinding",
    "attribute written while unbinding",
    "interrupt when its work was told to end",
    "refused: the entrance is closed",
];

pub struct Usb3 {
    role: Atomic<u32>,
    role_sw: KBox<Atomic<u32>>,
    extcon: KBox<Atomic<u32>>,
}

/// What `role_store()` reaches.
struct RoleStore;

impl Side for RoleStore {
    type Device<'a> = (&'a Data<'a, Usb3>, Work<'a>, KBox<Atomic<i64>>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Usb3;
    const VECTORS: u32 = 2;

    fn own() -> impl PinInit<Usb3, Error> {
        Ok(Usb3 {
            role: Atomic::new(0),
            role_sw: KBox::new(Atomic::new(0), GFP_KERNEL)?,
            extcon: KBox::new(Atomic::new(0), GFP_KERNEL)?,
        })
    }

    fn attach<'a>(usb3: &'a Data<'_, Usb3>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        let role_work = scope.work(move || {
            touch(&first);
            usb3.role_sw.store(usb3.role.load(Relaxed), Relaxed);
            usb3.late("role work ran while unbinding");
            touch(&first);
        })?;
        let extcon_work = scope.work(move || {
            touch(&second);
            usb3.extcon.add(1, Relaxed);
            usb3.late("extcon work ran while unbinding");
            touch(&second);
        })?;
        // OTG, and the voltage of the bus.
        for (index, work) in [role_work, extcon_work].into_iter().enumerate() {
            usb3.handle(scope, index, move || {
                if work.schedule() == Scheduled::Refused {
                    reached("interrupt when its work was told to end");
                }
            })?;
        }
        let role_store = scope.entrance::<RoleStore>((usb3, role_work, canary()?))?;
        outside::register(move |role| {
            outside::answer(role_store.try_access_with(|(usb3, role_work, canary)| {
                touch(canary);
                usb3.role.store(role, Relaxed);
                usb3.late("attribute written while unbinding");
                role_work.schedule()
            }))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let usb3 = Messages::new();
    unbind_while_called(machine, &module::MODULE, usb3.clone(), move || {
        for messages in [3, 1, 2] {
            usb3.raise(messages);
        }
    });
}

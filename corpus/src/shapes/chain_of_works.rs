// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An interrupt queues work, which queues other work.
//!
//! The driver released the bus while either could be pending, and would have had to cancel the two in the
//! order of the chain. Here both are told to refuse before the first is waited for, so the order is
//! nobody's business. The I3C core is left out.

use crate::{
    harness::reached,
    stage::{canary, touch, unbind_while, Data, Shape, Shaped},
};
use devscope::{Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["svc-i3c-two-works"];
pub const REACHES: &[&str] = &[
    "second work queued while unbinding",
    "second work ran while unbinding",
    "first work when the second was told to end",
];

pub struct Master {
    ibis: Atomic<u32>,
    devices: KBox<Atomic<u32>>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Master;

    fn own() -> impl PinInit<Master, Error> {
        Ok(Master {
            ibis: Atomic::new(0),
            devices: KBox::new(Atomic::new(0), GFP_KERNEL)?,
        })
    }

    fn attach<'a>(master: &'a Data<'_, Master>, scope: &mut Scope<'a>) -> Result {
        let (first, second, third) = (canary()?, canary()?, canary()?);
        let hj_work = scope.work(move || {
            touch(&first);
            master.devices.add(1, Relaxed);
            master.late("second work ran while unbinding");
            touch(&first);
        })?;
        let ibi_work = scope.work(move || {
            touch(&second);
            master.ibis.xchg(0, Relaxed);
            match hj_work.schedule() {
                Scheduled::Queued => master.late("second work queued while unbinding"),
                Scheduled::Pending => {}
                Scheduled::Refused => reached("first work when the second was told to end"),
            }
        })?;
        master.handle(scope, 0, move || {
            touch(&third);
            master.ibis.add(1, Relaxed);
            ibi_work.schedule();
        })
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &module::MODULE, edu.clone(), move || {
        (0..4).for_each(|_| edu.raise(1));
    });
}

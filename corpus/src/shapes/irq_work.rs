// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An interrupt queues work, which hands on what has come.
//!
//! The drivers unregistered, or freed, what the work reads without having stopped it. Here the work is
//! disabled and waited for while its data is there, and the interrupt that queues it meanwhile is refused.
//! IIO buffers and firmware sections are memory of the driver's here; GPU scheduler and DRM device are
//! left out.

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

pub const BUGS: &[&str] = &["at91-adc-touch-work", "panthor-fw-events-work"];
pub const REACHES: &[&str] = &[
    "work queued while unbinding",
    "work ran while unbinding",
    "interrupt when the work was told to end",
];

pub struct Fw {
    events: Atomic<u32>,
    /// What the firmware writes into, and the work reads.
    sections: KVec<Atomic<u32>>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Fw;

    fn own() -> impl PinInit<Fw, Error> {
        let mut sections = KVec::new();
        for _ in 0..3 {
            sections.push(Atomic::new(0), GFP_KERNEL)?;
        }
        Ok(Fw {
            events: Atomic::new(0),
            sections,
        })
    }

    fn attach<'a>(fw: &'a Data<'_, Fw>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        let fw_events = scope.work(move || {
            touch(&first);
            for section in &fw.sections {
                section.add(fw.events.xchg(0, Relaxed), Relaxed);
            }
            fw.late("work ran while unbinding");
            touch(&first);
        })?;
        fw.handle(scope, 0, move || {
            touch(&second);
            fw.events.add(1, Relaxed);
            match fw_events.schedule() {
                Scheduled::Queued => fw.late("work queued while unbinding"),
                Scheduled::Pending => {}
                Scheduled::Refused => reached("interrupt when the work was told to end"),
            }
        })
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &module::MODULE, edu.clone(), move || {
        (0..4).for_each(|_| edu.raise(1));
    });
}

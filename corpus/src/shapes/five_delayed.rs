// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Reports of a tablet schedule five works, and one of these is for half an hour later.
//!
//! The driver cancelled four of them. Here it cancels none: each ends with the scope, and one that waits
//! on its timer ends with its timer. An interrupt stands in for the URB and the HID core that deliver
//! reports.

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

pub const BUGS: &[&str] = &["wacom-aes-battery"];
pub const REACHES: &[&str] = &[
    "work ran while unbinding",
    "report while unbinding",
    "battery's work was pending while unbinding",
    "report when the works were told to end",
];

/// `init`, `aes_battery`, `battery`, `remote`, `mode_change`, and their delays in jiffies.
const DELAYS: [usize; 5] = [1, 30 * 60 * 1000, 0, 0, 0];
const AES_BATTERY: usize = 1;

pub struct Wacom {
    batteries: KVec<Atomic<u32>>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Wacom;

    fn own() -> impl PinInit<Wacom, Error> {
        let mut batteries = KVec::new();
        for _ in DELAYS {
            batteries.push(Atomic::new(0), GFP_KERNEL)?;
        }
        Ok(Wacom { batteries })
    }

    fn attach<'a>(wacom: &'a Data<'_, Wacom>, scope: &mut Scope<'a>) -> Result {
        let mut works = KVec::with_capacity(DELAYS.len(), GFP_KERNEL)?;
        for battery in &wacom.batteries {
            let canary = canary()?;
            let work = scope.delayed_work(move || {
                touch(&canary);
                battery.add(1, Relaxed);
                wacom.late("work ran while unbinding");
                touch(&canary);
            })?;
            works.push(work, GFP_KERNEL)?;
        }
        wacom.handle(scope, 0, move || {
            wacom.late("report while unbinding");
            for (index, (work, delay)) in works.iter().zip(DELAYS).enumerate() {
                match work.schedule(delay) {
                    Scheduled::Refused => reached("report when the works were told to end"),
                    _ if index == AES_BATTERY => {
                        wacom.late("battery's work was pending while unbinding");
                    }
                    _ => {}
                }
            }
        })
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &module::MODULE, edu.clone(), move || {
        (0..3).for_each(|_| edu.raise(1));
    });
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An interrupt schedules a tasklet which `attach()` has not finished: what the tasklet works on comes
//! later.
//!
//! The driver could be called as soon as the device was exposed, and its tasklet took everything to be
//! there. Here what is built in `attach()` goes into the tasklet's body, so the body is there when that
//! is: until then scheduling the tasklet is refused, and the event is lost, as it is with the driver's own
//! fix. USB and its URBs are an interrupt here.

use crate::{
    harness::reached,
    stage::{canary, touch, Data, Shape, Shaped},
};
use devscope::{Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    time::{delay::fsleep, Delta},
};

pub const BUGS: &[&str] = &["ath9k-htc-wmi-tasklet"];
pub const REACHES: &[&str] = &[
    "refused: the tasklet has no body yet",
    "tasklet ran",
    "tasklet while unbinding",
];

pub struct Priv {
    events: Atomic<u32>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Priv;

    fn own() -> impl PinInit<Priv, Error> {
        Ok(Priv {
            events: Atomic::new(0),
        })
    }

    fn attach<'a>(data: &'a Data<'_, Priv>, scope: &mut Scope<'a>) -> Result {
        let (wmi_event, slot) = scope.declare_tasklet()?;
        let canary = canary()?;
        data.handle(scope, 0, move || {
            touch(&canary);
            data.events.add(1, Relaxed);
            if wmi_event.schedule() == Scheduled::Refused && !data.is_unbinding() {
                reached("refused: the tasklet has no body yet");
            }
        })?;
        // The target is asked what it can do, which takes its time.
        fsleep(Delta::from_millis(1));
        let tx_queues = [self::canary()?, self::canary()?];
        slot.define(scope, move || {
            tx_queues.iter().for_each(|queue| touch(queue));
            reached("tasklet ran");
            data.late("tasklet while unbinding");
        })
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    let module = machine.load(&module::MODULE).expect("the module loads");
    let (raising, again) = (edu.clone(), edu.clone());
    let hardware = machine.spawn("hardware", move || {
        for _ in 0..5 {
            raising.raise(1);
            fsleep(Delta::from_micros(250));
        }
    });
    let slot = machine.plug_pci(edu);
    assert!(slot.is_bound());
    let more = machine.spawn("hardware", move || (0..2).for_each(|_| again.raise(1)));
    slot.unbind().expect("the device unbinds");
    hardware.join();
    more.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

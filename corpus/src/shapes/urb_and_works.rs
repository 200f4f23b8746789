// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! URBs that submit themselves again, and whose completions schedule works: one for sound, one for MIDI, which
//! themselves submit.
//!
//! The driver's disconnect() cancelled the works and then killed the URBs; a completion in between scheduled a
//! work once more, on memory that was about to be freed. Here there is no order: all refuse before the first
//! is waited for.

use crate::{
    harness::reached,
    stage::{
        canary, touch,
        usb::{unbind_while, Shape, Shaped},
    },
};
use devscope::{urb::Endpoint, Scheduled, Scope};
use kernel::{
    device::Bound,
    hosted::Machine,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    usb::Interface,
};

pub const BUGS: &[&str] = &["us144mkii-urb-work"];
pub const REACHES: &[&str] = &["work ran", "a completion found its work refused"];

pub struct Tascam {
    captured: Atomic<i32>,
    midi: Atomic<i32>,
}

driver!(usb, module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Tascam;

    fn own() -> impl PinInit<Tascam, Error> {
        Ok(Tascam {
            captured: Atomic::new(0),
            midi: Atomic::new(0),
        })
    }

    fn attach<'a>(
        intf: &'a Interface<Bound>,
        tascam: &'a Tascam,
        scope: &mut Scope<'a>,
    ) -> Result {
        let canaries = [canary()?, canary()?, canary()?, canary()?];
        let [first, second, third, fourth] = canaries;
        let capture_work = scope.work(move || {
            touch(&first);
            tascam.captured.add(1, Relaxed);
            reached("work ran");
        })?;
        let (midi_work, slot) = scope.declare_work()?;
        let capture = scope.urb(intf, Endpoint::BULK_IN, 64, move |done| {
            touch(&second);
            if capture_work.schedule() == Scheduled::Refused {
                reached("a completion found its work refused");
            }
            let _ = done.resubmit();
        })?;
        let midi = scope.urb(intf, Endpoint::INTERRUPT_IN, 8, move |done| {
            touch(&third);
            drop(done);
            midi_work.schedule();
        })?;
        slot.define(scope, move || {
            touch(&fourth);
            tascam.midi.add(1, Relaxed);
            let _ = midi.submit();
        })?;
        capture.submit()?;
        midi.submit()
    }
}

pub fn scenario(machine: &Machine) {
    unbind_while(machine, &module::MODULE, || {});
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A program writes to a file of another subsystem, which arms work of the driver; so do completions of an
//! endpoint.
//!
//! Neither `disable()` nor `unbind()` of the driver cancelled the work, and a write could arm it just
//! before the last reference went. Here a write comes in through an `Entrance`: once the scope ends it is
//! refused, however long the program keeps its file. Calls from outside stand in for ALSA's rawmidi, an
//! interrupt for the endpoint.

use crate::{
    harness::reached,
    stage::{canary, outside, touch, unbind_while_called, Data, Shape, Shaped},
};
use devscope::{entrance::Side, work::Work, Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["f-midi-in-work"];
pub const REACHES: &[&str] = &[
    "written while unbinding",
    "completed while unbinding",
    "work ran while unbinding",
    "refused: the entrance is closed",
    "refused: the work, for a completion",
];

pub struct Midi {
    in_req_fifo: KVec<Atomic<u32>>,
}

/// What rawmidi's trigger reaches.
struct InTrigger;

impl Side for InTrigger {
    type Device<'a> = (&'a Data<'a, Midi>, Work<'a>, KBox<Atomic<i64>>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Midi;

    fn own() -> impl PinInit<Midi, Error> {
        let mut in_req_fifo = KVec::new();
        for _ in 0..2 {
            in_req_fifo.push(Atomic::new(0), GFP_KERNEL)?;
        }
        Ok(Midi { in_req_fifo })
    }

    fn attach<'a>(midi: &'a Data<'_, Midi>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let work = scope.work(move || {
            touch(&canary);
            midi.late("work ran while unbinding");
            for request in &midi.in_req_fifo {
                request.xchg(0, Relaxed);
            }
            touch(&canary);
        })?;
        midi.handle(scope, 0, move || {
            midi.late("completed while unbinding");
            if work.schedule() == Scheduled::Refused {
                reached("refused: the work, for a completion");
            }
        })?;
        let trigger = scope.entrance::<InTrigger>((midi, work, self::canary()?))?;
        outside::register(move |data| {
            outside::answer(trigger.try_access_with(|(midi, work, canary)| {
                touch(canary);
                midi.in_req_fifo[0].store(data, Relaxed);
                midi.late("written while unbinding");
                work.schedule()
            }))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while_called(machine, &module::MODULE, edu.clone(), move || {
        (0..3).for_each(|_| edu.raise(1));
    });
}

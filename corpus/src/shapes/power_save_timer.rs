// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Whatever is sent or received puts a timer off, which queues work that lets the chip sleep.
//!
//! The driver deleted the timer in `remove()`, and a frame that was being sent started it again; it fired
//! when even the module had gone. Here a frame comes in through an entrance, which is closed and empty
//! before the timer is shut down. [`outside`] stands in for the Bluetooth core, which goes on sending.

use crate::{
    harness::reached,
    stage::{canary, if_refused, outside, regs, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, timer::Timer, work::Work, Scheduled, Scope};
use kernel::{
    hosted::Machine,
    io::Io,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["btnxpuart-ps-timer"];
pub const REACHES: &[&str] = &[
    "frame after unbind() began",
    "timer ran after unbind() began",
    "work ran after unbind() began",
    "refused: the work",
    "refused: the entrance is closed",
];

pub struct PowerSave {
    asleep: Atomic<bool>,
}

/// What a frame that is to be sent finds.
struct Sending;

impl Side for Sending {
    type Device<'a> = (&'a Data<'a, PowerSave>, Timer<'a>, Work<'a>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = PowerSave;

    fn own() -> impl PinInit<PowerSave, Error> {
        Ok(PowerSave {
            asleep: Atomic::new(false),
        })
    }

    fn attach<'a>(ps: &'a Data<'_, PowerSave>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        // Asserts or releases the line that keeps the chip awake.
        let work = scope.work(move || {
            touch(&first);
            let asleep = !ps.asleep.load(Relaxed);
            ps.bar.write32(asleep.into(), regs::ACKNOWLEDGE);
            ps.asleep.store(asleep, Relaxed);
            ps.late("work ran after unbind() began");
        })?;
        let timer = scope.timer(move || {
            touch(&second);
            ps.late("timer ran after unbind() began");
            if_refused(work.schedule(), "refused: the work");
        })?;
        let sending = scope.entrance::<Sending>((ps, timer, work))?;
        outside::register(move |_frame| {
            let sent = sending.try_access_with(|(ps, timer, work)| {
                ps.late("frame after unbind() began");
                if ps.asleep.load(Relaxed) {
                    work.schedule();
                }
                assert_ne!(timer.start(1), Scheduled::Refused);
            });
            sent.ok_or(ENODEV).inspect_err(|_| {
                reached("refused: the entrance is closed");
            })
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    outside::calls_until_after_the_end(machine, &module::MODULE);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The driver is an I2C gate: another driver's transfer through it opens it, and arms delayed work that
//! closes it.
//!
//! `remove()` cancelled the work and then took the adapter away: a transfer in between armed it again.
//! Here a transfer comes in through an `Entrance`, which waits for those inside and refuses all others
//! before the work is ended. Calls from outside stand in for the tuner's driver and the adapter, which
//! Rust cannot register.

use crate::stage::{canary, outside, touch, unbind_while_called, Data, Shape, Shaped};
use devscope::{entrance::Side, work::DelayedWork, Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Mutex,
    },
    time::{delay::fsleep, Delta},
};

pub const BUGS: &[&str] = &["rtl2832-i2c-gate"];
pub const REACHES: &[&str] = &[
    "transfer while unbinding",
    "work armed while unbinding",
    "work ran while unbinding",
    "refused: the entrance is closed",
];

#[pin_data]
pub struct Dev {
    /// The registers, of which one is the gate's.
    #[pin]
    regmap: Mutex<bool>,
    transfers: KBox<Atomic<u32>>,
}

/// What a transfer reaches.
struct Mux;

impl Side for Mux {
    type Device<'a> = (&'a Data<'a, Dev>, DelayedWork<'a>, KBox<Atomic<i64>>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Dev;

    fn own() -> impl PinInit<Dev, Error> {
        try_pin_init!(Dev {
            regmap <- new_mutex!(false),
            transfers: KBox::new(Atomic::new(0), GFP_KERNEL)?,
        })
    }

    fn attach<'a>(dev: &'a Data<'_, Dev>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let i2c_gate_work = scope.delayed_work(move || {
            touch(&canary);
            dev.late("work ran while unbinding");
            *dev.regmap.lock() = false;
            touch(&canary);
        })?;
        let mux = scope.entrance::<Mux>((dev, i2c_gate_work, self::canary()?))?;
        outside::register(move |bytes| {
            outside::answer(mux.try_access_with(|(dev, i2c_gate_work, canary)| {
                touch(canary);
                // Selects, transfers, which takes its time, and deselects.
                *dev.regmap.lock() = true;
                fsleep(Delta::from_micros(20));
                dev.transfers.add(bytes, Relaxed);
                dev.late("transfer while unbinding");
                touch(canary);
                let armed = i2c_gate_work.reschedule(bytes as usize % 2);
                if armed == Scheduled::Queued {
                    dev.late("work armed while unbinding");
                }
                armed
            }))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    unbind_while_called(machine, &module::MODULE, Edu::new(), || {});
}

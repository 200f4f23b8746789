// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The power-supply core says that what supplies the charger has changed; delayed work then sets a new
//! limit. The charger's interrupt thread reads the same.
//!
//! The driver unregistered the charger with the work queued. Here the work ends with the scope, and the
//! core's call comes in through an `Entrance`, which is closed before. Calls from outside stand in for the
//! power-supply core, and charger and battery are memory of the driver's.

use crate::stage::{canary, outside, touch, unbind_while_called, Data, Shape, Shaped};
use devscope::{entrance::Side, work::DelayedWork, Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    irq::{Flags, IrqReturn},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["bq24190-current-limit-work"];
pub const REACHES: &[&str] = &[
    "power changed while unbinding",
    "work ran while unbinding",
    "refused: the entrance is closed",
];

pub struct Bdi {
    charger: KBox<Atomic<u32>>,
    battery: KBox<Atomic<u32>>,
}

/// What the power-supply core reaches.
struct ExternalPower;

impl Side for ExternalPower {
    type Device<'a> = (&'a Data<'a, Bdi>, DelayedWork<'a>, KBox<Atomic<i64>>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Bdi;

    fn own() -> impl PinInit<Bdi, Error> {
        Ok(Bdi {
            charger: KBox::new(Atomic::new(0), GFP_KERNEL)?,
            battery: KBox::new(Atomic::new(0), GFP_KERNEL)?,
        })
    }

    fn attach<'a>(bdi: &'a Data<'_, Bdi>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        let input_current_limit = scope.delayed_work(move || {
            touch(&first);
            bdi.late("work ran while unbinding");
            bdi.battery.store(bdi.charger.load(Relaxed), Relaxed);
            touch(&first);
        })?;
        let line = bdi.vectors.index(0)?;
        scope.oneshot_irq(line, Flags::TRIGGER_NONE, c"bq24190", move || {
            touch(&second);
            bdi.acknowledge();
            bdi.battery.add(1, Relaxed);
            IrqReturn::Handled
        })?;
        let changed = scope.entrance::<ExternalPower>((bdi, input_current_limit, canary()?))?;
        outside::register(move |limit| {
            outside::answer(changed.try_access_with(|(bdi, input_current_limit, canary)| {
                touch(canary);
                bdi.charger.store(limit, Relaxed);
                let scheduled = input_current_limit.schedule(limit as usize % 2);
                if scheduled == Scheduled::Queued {
                    bdi.late("power changed while unbinding");
                }
                scheduled
            }))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while_called(machine, &module::MODULE, edu.clone(), move || {
        edu.raise(1);
        edu.raise(1);
    });
}

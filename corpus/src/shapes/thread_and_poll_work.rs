// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An interrupt's thread asks the battery how it is, tells the power supply, and puts off the work that asks
//! from time to time. Whoever sets the period, for all batteries, has the work queued at once.
//!
//! The driver took the work and the power supply away in `remove()`, and devres the interrupt afterwards;
//! its thread queued the work again. Here interrupt, thread and work end with the scope. A counter stands
//! in for the power supply, and [`outside`] for the module's parameter, which reaches all devices.

use crate::{
    harness::reached,
    stage::{bind, canary, if_refused, outside, take_away, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, work::DelayedWork, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    irq::{Flags, IrqReturn, ThreadedIrqReturn},
    new_mutex,
    prelude::*,
    sync::{atomic::Atomic, Mutex},
    time::{delay::fsleep, Delta},
};

pub const BUGS: &[&str] = &["bq27xxx-i2c-irq-thread"];
pub const REACHES: &[&str] = &[
    "thread ran after unbind() began",
    "poll ran after unbind() began",
    "parameter was set after unbind() began",
    "thread when the work would not be queued any more",
    "parameter was set when there was no device",
];

#[pin_data]
pub struct Battery {
    #[pin]
    cache: Mutex<u32>,
    /// The power supply, which is told of changes.
    psy: KBox<Atomic<i64>>,
}

/// What a new value of the parameter finds.
struct Period;

impl Side for Period {
    type Device<'a> = (&'a Data<'a, Battery>, DelayedWork<'a>);
}

fn update(battery: &Data<'_, Battery>) {
    let mut cache = battery.cache.lock();
    // A transfer over a slow bus.
    fsleep(Delta::from_micros(100));
    *cache += 1;
    touch(&battery.psy);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Battery;

    fn own() -> impl PinInit<Battery, Error> {
        try_pin_init!(Battery {
            cache <- new_mutex!(0),
            psy: canary()?,
        })
    }

    fn attach<'a>(battery: &'a Data<'_, Battery>, scope: &mut Scope<'a>) -> Result {
        let (first, second, third) = (canary()?, canary()?, canary()?);
        let (poll, slot) = scope.declare_delayed_work()?;
        slot.define(scope, move || {
            touch(&first);
            battery.late("poll ran after unbind() began");
            update(battery);
            poll.schedule(10);
        })?;
        poll.schedule(0);
        let period = scope.entrance::<Period>((battery, poll))?;
        outside::register(move |seconds| {
            let set = period.try_access_with(|(battery, poll)| {
                battery.late("parameter was set after unbind() began");
                poll.reschedule(seconds as usize);
            });
            set.ok_or(ENODEV)
                .inspect_err(|_| reached("parameter was set when there was no device"))
        });
        scope.threaded_irq(
            battery.vectors.index(0)?,
            Flags::SHARED,
            c"bq27xxx",
            move || {
                touch(&second);
                match battery.acknowledge() {
                    0 => ThreadedIrqReturn::None,
                    _ => ThreadedIrqReturn::WakeThread,
                }
            },
            move || {
                touch(&third);
                battery.late("thread ran after unbind() began");
                update(battery);
                if_refused(
                    poll.reschedule(5),
                    "thread when the work would not be queued any more",
                );
                IrqReturn::Handled
            },
        )?;
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    let (module, slot) = bind(machine, &module::MODULE, edu.clone());
    let hardware = machine.spawn("hardware", move || (0..3).for_each(|_| edu.raise(1)));
    let program = machine.spawn("program", || {
        for seconds in 0..3 {
            let _ = outside::call(seconds);
        }
    });
    slot.unbind().expect("the device unbinds");
    assert_eq!(outside::call(0), Err(ENODEV));
    hardware.join();
    program.join();
    outside::forget();
    take_away(module, slot);
}

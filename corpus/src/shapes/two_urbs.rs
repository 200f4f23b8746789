// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One URB brings what the knob says, and submits itself again; another sets the LED, when an event asks for
//! it, and is submitted again by its completion if the brightness has changed meanwhile.
//!
//! The driver's disconnect() killed the first and forgot the second, whose completion then took a lock in freed
//! memory. Here both are members of the scope. The input core, from which the events come, is stood in for by
//! an entrance.

use crate::{
    harness::reached,
    stage::{
        canary, outside, touch,
        usb::{unbind_while, Shape, Shaped, SET_LED},
    },
};
use devscope::{
    entrance::Side,
    urb::{ControlOut, Endpoint, Urb},
    Scope,
};
use kernel::{
    device::Bound,
    hosted::Machine,
    new_spinlock_irq,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        SpinLockIrq,
    },
    usb::Interface,
};

pub const BUGS: &[&str] = &["powermate-config-urb"];
pub const REACHES: &[&str] = &[
    "the LED's URB was taken back",
    "the LED's URB completed",
    "an event was refused",
];

#[pin_data]
pub struct PowerMate {
    position: Atomic<i32>,
    /// What the LED is to be, and whether that has changed since it was last sent.
    #[pin]
    led: SpinLockIrq<(u8, bool)>,
}

/// What an event reaches.
struct Events;

impl Side for Events {
    type Device<'a> = (&'a PowerMate, Urb<'a, ControlOut>);
}

driver!(usb, module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = PowerMate;

    fn own() -> impl PinInit<PowerMate, Error> {
        try_pin_init!(PowerMate {
            position: Atomic::new(0),
            led <- new_spinlock_irq!((0, false)),
        })
    }

    fn attach<'a>(
        intf: &'a Interface<Bound>,
        pm: &'a PowerMate,
        scope: &mut Scope<'a>,
    ) -> Result {
        let (first, second) = (canary()?, canary()?);
        let knob = scope.urb(intf, Endpoint::INTERRUPT_IN, 8, move |report| {
            touch(&first);
            if report.status().is_ok() {
                pm.position.add(1, Relaxed);
                let _ = report.resubmit();
            }
        })?;
        let config = scope.urb(intf, Endpoint::CONTROL_OUT, 0, move |done| {
            touch(&second);
            let again = core::mem::take(&mut pm.led.lock().1);
            match done.status() {
                Err(_) => reached("the LED's URB was taken back"),
                Ok(()) => reached("the LED's URB completed"),
            }
            if again {
                let _ = done.resubmit(SET_LED, &[]);
            }
        })?;
        let events = scope.entrance::<Events>((pm, config))?;
        outside::register(move |brightness| {
            let sent = events.try_access_with(|(pm, config)| {
                *pm.led.lock() = (brightness as u8, true);
                config.submit(SET_LED, &[])
            });
            match sent {
                Some(Ok(()) | Err(EBUSY)) => Ok(()),
                Some(Err(error)) => Err(error),
                None => {
                    reached("an event was refused");
                    Err(ENODEV)
                }
            }
        });
        knob.submit()
    }
}

pub fn scenario(machine: &Machine) {
    unbind_while(machine, &module::MODULE, || {
        for brightness in 1..4 {
            let _ = outside::call(brightness);
        }
    });
    let _ = outside::call(9);
    outside::forget();
}

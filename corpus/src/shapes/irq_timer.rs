// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An interrupt starts a timer: a packet has come and the LED is to go off again, a card has been put in and
//! somebody should look when it sits firmly.
//!
//! The drivers freed what the timer uses with the timer pending; where the timer was deleted in the end, the
//! interrupt was freed after it and could start it again. Here interrupt and timer end with the scope, in an
//! order that is nobody's concern.

use crate::stage::{canary, if_refused, regs, touch, unbind_while, Data, Shape, Shaped};
use devscope::Scope;
use kernel::{
    hosted::{edu::Edu, Machine},
    io::Io,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["ether3-led-timer", "r592-detect-timer"];
pub const REACHES: &[&str] = &[
    "interrupt after unbind() began",
    "LED timer ran after unbind() began",
    "detect timer ran after unbind() began",
    "interrupt when the timer would not start any more",
];

pub struct Host {
    /// What is lit, in a register of the network chip.
    config2: Atomic<u32>,
    /// The memory stick host, which has looked so often.
    looked: KBox<Atomic<i64>>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Host;

    fn own() -> impl PinInit<Host, Error> {
        try_init!(Host {
            config2: Atomic::new(0),
            looked: canary()?,
        }? Error)
    }

    fn attach<'a>(host: &'a Data<'_, Host>, scope: &mut Scope<'a>) -> Result {
        let (first, second, third) = (canary()?, canary()?, canary()?);
        let led_off = scope.timer(move || {
            touch(&first);
            host.config2.store(0, Relaxed);
            host.bar.write32(0, regs::ACKNOWLEDGE);
            host.late("LED timer ran after unbind() began");
        })?;
        // What the memory stick core does about it.
        let check = scope.work(move || {
            touch(&second);
            touch(&host.looked);
        })?;
        let detect = scope.timer(move || {
            touch(&third);
            host.late("detect timer ran after unbind() began");
            check.schedule();
        })?;
        host.handle(scope, 0, move || {
            host.late("interrupt after unbind() began");
            host.config2.store(1, Relaxed);
            if_refused(
                led_off.start(1),
                "interrupt when the timer would not start any more",
            );
            detect.start(2);
        })
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &module::MODULE, edu.clone(), move || {
        (0..3).for_each(|_| edu.raise(1));
    });
}

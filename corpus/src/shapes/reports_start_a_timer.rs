// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Each report of a HID device puts a timer off: when it comes there was no report for some time, so the key
//! is up, the fingers are gone, the pen is out of range. The timer reports that to the input device.
//!
//! The drivers deleted the timer while reports could start it again, or freed the input device first, or had
//! no `remove()` at all. Here reports come in through an entrance, which is closed before the timer is shut
//! down, and the input device is part of what goes last. [`outside`] stands in for the HID core, which goes
//! on reporting; a counter stands in for the input device. One of the drivers went wrong in the same way when
//! probing failed, so this one does, too.

use crate::{
    harness::reached,
    stage::{canary, outside, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, timer::Timer, Scheduled, Scope};
use kernel::{
    hosted::Machine,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &[
    "appleir-key-up",
    "hid-multitouch-release-timer",
    "letsketch-inrange",
];
pub const REACHES: &[&str] = &[
    "report after unbind() began",
    "timer ran after unbind() began",
    "timer was pending at the end",
    "refused: the entrance is closed",
    "refused: a report after attach() has failed",
];

pub struct Receiver {
    key: Atomic<u32>,
    /// The input device, which the HID core frees in C.
    input: KBox<Atomic<i64>>,
    pending: Atomic<bool>,
}

impl Receiver {
    fn report_key(&self, key: u32) {
        touch(&self.input);
        self.key.store(key, Relaxed);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if self.pending.load(Relaxed) {
            reached("timer was pending at the end");
        }
    }
}

/// What a report finds.
struct Reports;

impl Side for Reports {
    type Device<'a> = (&'a Data<'a, Receiver>, Timer<'a>);
}

driver!(module, super::Driver<false>);
driver!(failing, super::Driver<true>);
pub struct Driver<const FAILS: bool>;

impl<const FAILS: bool> Shape for Driver<FAILS> {
    type Own = Receiver;

    fn own() -> impl PinInit<Receiver, Error> {
        try_init!(Receiver {
            key: Atomic::new(0),
            input: canary()?,
            pending: Atomic::new(false),
        }? Error)
    }

    fn attach<'a>(receiver: &'a Data<'_, Receiver>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let key_up = scope.timer(move || {
            touch(&canary);
            receiver.pending.store(false, Relaxed);
            receiver.report_key(0);
            receiver.late("timer ran after unbind() began");
        })?;
        let reports = scope.entrance::<Reports>((receiver, key_up))?;
        outside::register(move |key| {
            let reported = reports.try_access_with(|(receiver, key_up)| {
                receiver.late("report after unbind() began");
                receiver.report_key(key);
                receiver.pending.store(true, Relaxed);
                assert_ne!(key_up.start(2), Scheduled::Refused);
            });
            reported.ok_or(ENODEV).inspect_err(|_| match FAILS {
                false => reached("refused: the entrance is closed"),
                true => reached("refused: a report after attach() has failed"),
            })
        });
        match FAILS {
            false => Ok(()),
            true => receiver.fail(EIO),
        }
    }
}

pub fn scenario(machine: &Machine) {
    match machine.choose(4) {
        0 => outside::calls_while_attach_fails(machine, &failing::MODULE),
        _ => outside::calls_until_after_the_end(machine, &module::MODULE),
    }
}

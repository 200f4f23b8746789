// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Probing lets reports in, sends the device its first command, and fails when that does.
//!
//! The driver did not stop reports before it stopped the device, so one came when what it goes to was being
//! freed. Here a report comes in through an entrance, and `attach()` that fails closes it before anything
//! behind it goes. [`outside`] stands in for the HID core, which goes on reporting, and a counter in the
//! driver's data for the hidraw state.

use crate::{
    harness::reached,
    stage::{canary, outside, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, wait::WaitQueue, Scope};
use kernel::{
    hosted::Machine,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    time::{delay::fsleep, Delta},
};

pub const BUGS: &[&str] = &["corsair-psu-io-start"];
pub const REACHES: &[&str] = &[
    "report before attach() failed",
    "report while attach() fails",
    "refused: the entrance is closed",
];

pub struct Psu {
    /// What reports go to, freed when the device is.
    hidraw: KBox<Atomic<i64>>,
    answered: Atomic<bool>,
}

/// What a report finds.
struct Reports;

impl Side for Reports {
    type Device<'a> = (&'a Data<'a, Psu>, WaitQueue<'a>, KBox<Atomic<i64>>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Psu;

    fn own() -> impl PinInit<Psu, Error> {
        try_init!(Psu {
            hidraw: canary()?,
            answered: Atomic::new(false),
        }? Error)
    }

    fn attach<'a>(psu: &'a Data<'_, Psu>, scope: &mut Scope<'a>) -> Result {
        let answers = scope.wait_queue()?;
        // From here on reports come in.
        let reports = scope.entrance::<Reports>((psu, answers, canary()?))?;
        outside::register(move |_| {
            let reported = reports.try_access_with(|(psu, answers, canary)| {
                touch(canary);
                match psu.is_unbinding() {
                    false => reached("report before attach() failed"),
                    true => reached("report while attach() fails"),
                }
                touch(&psu.hidraw);
                psu.answered.store(true, Relaxed);
                answers.wake_all();
            });
            reported.ok_or(ENODEV).inspect_err(|_| {
                reached("refused: the entrance is closed");
            })
        });
        // The first command. What comes is no answer to it.
        answers.wait_until(|| psu.answered.load(Relaxed))?;
        fsleep(Delta::from_millis(1));
        psu.fail(ETIMEDOUT)
    }
}

pub fn scenario(machine: &Machine) {
    outside::calls_while_attach_fails(machine, &module::MODULE);
}

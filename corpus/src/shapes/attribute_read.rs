// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A program reads an attribute, and another subsystem has a transfer done, for which the driver needs a
//! buffer that goes with the device. A mutex lets in one at a time.
//!
//! What could call in was registered with devres, so it stayed until after `remove()`, and `remove()` had freed
//! the buffer; the mutex said who is next, and not whether there is anything. Here both come in by an
//! entrance, and the buffer goes when it is empty. [`outside`] stands in for sysfs with hwmon, and for the SPI
//! core with spidev. None of them lets go.

use crate::{
    harness::reached,
    stage::{bind, canary, outside, take_away, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, wait::WaitQueue, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed, Release},
        Mutex,
    },
};

pub const BUGS: &[&str] = &["lpspi-devm-controller", "powerz-hwmon-urb"];
pub const REACHES: &[&str] = &[
    "attribute was read after unbind() began",
    "transfer was done after unbind() began",
    "somebody waited for the mutex when unbind() began",
    "refused: a transfer that was under way",
    "refused: a read of the attribute",
    "refused: a transfer",
];

/// What is needed for a transfer, in C an URB or DMA channels.
struct Channel {
    buffer: KVec<u8>,
    used: KBox<Atomic<i64>>,
}

#[pin_data]
pub struct Meter {
    #[pin]
    channel: Mutex<Channel>,
    done: Atomic<bool>,
    waiting: Atomic<i32>,
}

/// What a call from another subsystem finds.
struct Calls;

impl Side for Calls {
    type Device<'a> = (&'a Data<'a, Meter>, WaitQueue<'a>, KBox<Atomic<i64>>);
}

fn transfer(meter: &Data<'_, Meter>, done: WaitQueue<'_>) -> Result<u8> {
    meter.waiting.fetch_add(1, Relaxed);
    let mut channel = meter.channel.lock();
    meter.waiting.fetch_add(-1, Relaxed);
    meter.done.store(false, Relaxed);
    meter.raise();
    let answered = done.wait_until(|| meter.done.load(Relaxed));
    touch(&channel.used);
    answered.inspect_err(|_| reached("refused: a transfer that was under way"))?;
    channel.buffer[0] += 1;
    Ok(channel.buffer[0])
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Meter;

    fn own() -> impl PinInit<Meter, Error> {
        try_pin_init!(Meter {
            channel <- new_mutex!(Channel {
                buffer: KVec::from_elem(0, 64, GFP_KERNEL)?,
                used: canary()?,
            }),
            done: Atomic::new(false),
            waiting: Atomic::new(0),
        })
    }

    fn attach<'a>(meter: &'a Data<'_, Meter>, scope: &mut Scope<'a>) -> Result {
        let done = scope.wait_queue()?;
        meter.handle(scope, 0, move || {
            meter.done.store(true, Release);
            done.wake_all();
        })?;
        for (after, refused) in [
            (
                "attribute was read after unbind() began",
                "refused: a read of the attribute",
            ),
            (
                "transfer was done after unbind() began",
                "refused: a transfer",
            ),
        ] {
            let calls = scope.entrance::<Calls>((meter, done, canary()?))?;
            outside::register(move |_| {
                let result = calls.try_access_with(|(meter, done, canary)| {
                    touch(canary);
                    let result = transfer(meter, *done);
                    meter.late(after);
                    result
                });
                match result {
                    Some(result) => result.map(drop),
                    None => {
                        reached(refused);
                        Err(ENODEV)
                    }
                }
            });
        }
        Ok(())
    }

    fn unbind(meter: &Data<'_, Meter>) {
        if meter.waiting.load(Relaxed) > 0 {
            reached("somebody waited for the mutex when unbind() began");
        }
    }
}

pub fn scenario(machine: &Machine) {
    let (module, slot) = bind(machine, &module::MODULE, Edu::new());
    let programs = ["sysfs", "spidev"].map(|name| {
        machine.spawn(name, || {
            for _ in 0..3 {
                let answer = outside::call(0);
                assert!(matches!(answer, Ok(()) | Err(ENODEV)), "{answer:?}");
            }
        })
    });
    if machine.choose(2) == 0 {
        kernel::hosted::preempt();
    }
    slot.unbind().expect("the device unbinds");
    assert_eq!(outside::call(0), Err(ENODEV));
    for program in programs {
        program.join();
    }
    assert_eq!(outside::call(0), Err(ENODEV));
    outside::forget();
    take_away(module, slot);
}

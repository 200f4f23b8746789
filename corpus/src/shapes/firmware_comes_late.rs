// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A tuner asks for its firmware. It is called back once, whenever that is there, and nothing takes the
//! question back.
//!
//! The driver's setup failed meanwhile, and the callback found a frontend that had been freed. Here the
//! callback has to be `'static`, so all that it can hold is an `Entrance`, and that says no when the tuner
//! has gone. Calls from outside stand in for the firmware loader, which has no safe asynchronous binding;
//! the frontend is the device.

use crate::{
    harness::reached,
    stage::{canary, outside, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, Scope};
use kernel::{
    hosted::{edu::Edu, relax, Machine},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    time::{delay::fsleep, Delta},
};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

pub const BUGS: &[&str] = &["xc2028-firmware-cb"];
pub const REACHES: &[&str] = &[
    "firmware came in time",
    "firmware came while attach() was running",
    "firmware came while unbinding",
    "refused: attach() had failed",
    "refused: the tuner was unbound",
];

/// Whether setting up the module is to fail.
static FAILS: AtomicBool = AtomicBool::new(false);

pub struct Priv {
    firmware: KBox<Atomic<u32>>,
    set_up: Atomic<bool>,
}

/// What the firmware loader reaches.
struct Load;

impl Side for Load {
    type Device<'a> = (&'a Data<'a, Priv>, KBox<Atomic<i64>>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Priv;

    fn own() -> impl PinInit<Priv, Error> {
        Ok(Priv {
            firmware: KBox::new(Atomic::new(0), GFP_KERNEL)?,
            set_up: Atomic::new(false),
        })
    }

    fn attach<'a>(tuner: &'a Data<'_, Priv>, scope: &mut Scope<'a>) -> Result {
        let load = scope.entrance::<Load>((tuner, canary()?))?;
        outside::register(move |firmware| {
            let loaded = load.try_access_with(|(tuner, canary)| {
                touch(canary);
                tuner.firmware.store(firmware, Relaxed);
                match tuner.set_up.load(Relaxed) {
                    true => reached("firmware came in time"),
                    false => reached("firmware came while attach() was running"),
                }
                tuner.late("firmware came while unbinding");
            });
            loaded.ok_or_else(|| {
                match FAILS.load(SeqCst) {
                    true => reached("refused: attach() had failed"),
                    false => reached("refused: the tuner was unbound"),
                }
                ENODEV
            })
        });
        fsleep(Delta::from_micros(100));
        if FAILS.load(SeqCst) {
            return Err(EIO);
        }
        tuner.set_up.store(true, Relaxed);
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    FAILS.store(machine.choose(2) == 1, SeqCst);
    let module = machine.load(&module::MODULE).expect("the module loads");
    let takes = machine.choose(5);
    let loader = machine.spawn("firmware loader", move || {
        // It has been asked, and takes its time.
        fsleep(Delta::from_micros(25 * takes as i64));
        while outside::call(1) == Err(ENXIO) {
            relax();
        }
    });
    let slot = machine.plug_pci(Edu::new());
    assert_eq!(slot.is_bound(), !FAILS.load(SeqCst));
    if slot.is_bound() {
        slot.unbind().expect("the device unbinds");
    }
    loader.join();
    outside::forget();
    module.unload().expect("the module unloads");
    slot.unplug();
}

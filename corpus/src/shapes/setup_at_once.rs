// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `attach()` schedules a setup for a little later, and the device goes at once, or `attach()` fails.
//! Setup and removal take the same mutex.
//!
//! The driver never drained the setup; had it done so with the mutex held, it would have waited for ever.
//! Here the setup ends with the scope, which is after `unbind()` has returned, without any lock of the
//! driver's. The device is not a global; the HID core is left out.

use crate::{
    harness::reached,
    stage::{canary, touch, Data, Shape, Shaped},
};
use devscope::Scope;
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
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

pub const BUGS: &[&str] = &["lenovo-go-cfg-setup"];
pub const REACHES: &[&str] = &[
    "setup ran while unbinding",
    "setup never ran",
    "attach() failed while the setup was pending",
    "attach() failed while the setup was running",
];

/// Whether `attach()` is to fail.
static FAILS: AtomicBool = AtomicBool::new(false);

/// How much later the setup is to come.
static DELAY: AtomicUsize = AtomicUsize::new(0);

/// Whether the setup had not begun when `unbind()` ended.
static NEVER: AtomicBool = AtomicBool::new(false);

#[pin_data]
pub struct Drvdata {
    #[pin]
    cfg_mutex: Mutex<u32>,
    hdev: KBox<Atomic<u32>>,
    begun: Atomic<bool>,
    done: Atomic<bool>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Drvdata;

    fn own() -> impl PinInit<Drvdata, Error> {
        try_pin_init!(Drvdata {
            cfg_mutex <- new_mutex!(0),
            hdev: KBox::new(Atomic::new(0), GFP_KERNEL)?,
            begun: Atomic::new(false),
            done: Atomic::new(false),
        })
    }

    fn attach<'a>(drvdata: &'a Data<'_, Drvdata>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let go_cfg_setup = scope.delayed_work(move || {
            touch(&canary);
            drvdata.begun.store(true, Relaxed);
            drvdata.late("setup ran while unbinding");
            let mut config = drvdata.cfg_mutex.lock();
            // A request to the device, which takes its time.
            fsleep(Delta::from_micros(10));
            *config += 1;
            drvdata.hdev.add(1, Relaxed);
            drvdata.done.store(true, Relaxed);
            touch(&canary);
        })?;
        go_cfg_setup.schedule(DELAY.load(SeqCst));
        if !FAILS.load(SeqCst) {
            return Ok(());
        }
        (0..6).for_each(|_| kernel::hosted::preempt());
        match (drvdata.begun.load(Relaxed), drvdata.done.load(Relaxed)) {
            (false, _) => reached("attach() failed while the setup was pending"),
            (true, false) => reached("attach() failed while the setup was running"),
            _ => {}
        }
        Err(EIO)
    }

    fn unbind(drvdata: &Data<'_, Drvdata>) {
        *drvdata.cfg_mutex.lock() += 1;
        drvdata.hdev.add(1, Relaxed);
        if !drvdata.begun.load(Relaxed) {
            NEVER.store(true, SeqCst);
        }
    }
}

pub fn scenario(machine: &Machine) {
    FAILS.store(machine.choose(2) == 1, SeqCst);
    DELAY.store(machine.choose(2), SeqCst);
    NEVER.store(false, SeqCst);
    let module = machine.load(&module::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    if slot.is_bound() {
        slot.unbind().expect("the device unbinds");
    }
    if NEVER.load(SeqCst) {
        reached("setup never ran");
    }
    module.unload().expect("the module unloads");
    slot.unplug();
}

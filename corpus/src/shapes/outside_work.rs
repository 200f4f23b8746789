// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Another subsystem calls an operation of the driver, which schedules work: a frame to send, a screen to
//! blank, a message that has come. It does not know that the device is being unbound.
//!
//! The drivers forgot to cancel the work, or cancelled it while the subsystem could still call. Here the
//! work ends with the scope, and the operation comes in through an [`Entrance`], which closes first: a
//! call during teardown is waited for, or refused.
//!
//! [`Entrance`]: devscope::entrance::Entrance

use crate::{
    harness::reached,
    stage::{canary, outside, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, work::Work, Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["btsdio-work", "pxafb-task", "xirc2ps-tx-timeout"];
pub const REACHES: &[&str] = &["work ran", "refused: the entrance is closed"];

pub struct Adapter {
    queued: Atomic<u32>,
}

/// What a call from the subsystem finds.
struct Calls;

impl Side for Calls {
    type Device<'a> = (&'a Adapter, Work<'a>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Adapter;

    fn own() -> impl PinInit<Adapter, Error> {
        Ok(Adapter {
            queued: Atomic::new(0),
        })
    }

    fn attach<'a>(data: &'a Data<'_, Adapter>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let work = scope.work(move || {
            touch(&canary);
            if data.queued.xchg(0, Relaxed) != 0 {
                reached("work ran");
            }
        })?;
        let calls = scope.entrance::<Calls>((data, work))?;
        outside::register(move |value| {
            let called = calls.try_access_with(|(adapter, work)| {
                adapter.queued.store(value, Relaxed);
                work.schedule() != Scheduled::Refused
            });
            match called {
                Some(true) => Ok(()),
                Some(false) => {
                    reached("refused: the work");
                    Err(ENODEV)
                }
                None => {
                    reached("refused: the entrance is closed");
                    Err(ENODEV)
                }
            }
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let module = machine.load(&module::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert!(slot.is_bound());
    let subsystem = machine.spawn("subsystem", || {
        for value in 1..4 {
            let _ = outside::call(value);
        }
    });
    slot.unbind().expect("the device unbinds");
    assert_eq!(outside::call(9), Err(ENODEV));
    subsystem.join();
    outside::forget();
    module.unload().expect("the module unloads");
    slot.unplug();
}

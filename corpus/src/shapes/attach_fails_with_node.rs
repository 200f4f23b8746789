// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Probing registers a node, which a program opens at once; a second node cannot be registered, or buffers
//! cannot be had, and probing fails.
//!
//! The drivers' error paths freed the structure that the open file went on using, and whose last close freed
//! it once more. Here the file that was opened meanwhile outlives the attempt, and is told ENODEV. V4L2 and
//! the minors of USB classes are stood in for by nodes of the driver's own.

use crate::{
    harness::reached,
    stage::{canary, touch, Data, Shape, Shaped},
};
use devscope::{file::File, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

pub const BUGS: &[&str] = &["as102-kfree-after-register", "hackrf-kfree-after-register"];
pub const REACHES: &[&str] = &[
    "used before attach() failed",
    "refused: attach() had failed",
    "closed after attach() had failed",
];

pub struct Tuner {
    streams: Atomic<i32>,
}

struct Receive<'a> {
    tuner: &'a Tuner,
    canary: KBox<Atomic<i64>>,
}

struct Opened;

#[vtable]
impl File for Opened {
    type OwnerModule = module::Owner;
    type Device<'a> = Receive<'a>;

    fn open(receive: &Receive<'_>) -> Result<Arc<Self>> {
        touch(&receive.canary);
        Ok(Arc::new(Opened, GFP_KERNEL)?)
    }

    fn ioctl(&self, receive: &Receive<'_>, _cmd: u32, _arg: usize) -> Result<isize> {
        touch(&receive.canary);
        receive.tuner.streams.add(1, Relaxed);
        Ok(0)
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Tuner;

    fn own() -> impl PinInit<Tuner, Error> {
        Ok(Tuner {
            streams: Atomic::new(0),
        })
    }

    fn attach<'a>(data: &'a Data<'_, Tuner>, scope: &mut Scope<'a>) -> Result {
        let tuner: &'a Tuner = data;
        let (first, second) = (canary()?, canary()?);
        scope.misc_device::<Opened>(
            c"rx",
            Receive {
                tuner,
                canary: first,
            },
        )?;
        // Of this name there is one already.
        scope.misc_device::<Opened>(
            c"rx",
            Receive {
                tuner,
                canary: second,
            },
        )
    }
}

pub fn scenario(machine: &Machine) {
    let module = machine.load(&module::MODULE).expect("the module loads");
    let programs = *machine;
    let program = machine.spawn("program", move || {
        let Ok(file) = programs.open("rx") else {
            return;
        };
        match file.ioctl(0, 0) {
            Ok(_) => reached("used before attach() failed"),
            Err(error) => {
                assert_eq!(error, ENODEV);
                reached("refused: attach() had failed");
            }
        }
        programs.preempt();
        if file.ioctl(0, 0).is_err() {
            reached("closed after attach() had failed");
        }
        file.close().expect("close() succeeds");
    });
    let slot = machine.plug_pci(Edu::new());
    assert!(!slot.is_bound());
    program.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

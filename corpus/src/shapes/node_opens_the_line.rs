// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `attach()` publishes the device to its subsystem, which opens it at once, and `open()` enables the
//! interrupt.
//!
//! The driver had not stored its driver data yet when the handler asked for it. Here a handler is a
//! closure: what it works on is in it before the line is requested. A node stands in for the HCI device,
//! and a program that opens it for the power-on work of the HCI core.

use crate::{
    harness::reached,
    stage::{canary, touch, Data, Shape, Shaped},
};
use devscope::{file::File, irq::Irq, Scope};
use kernel::{
    hosted::{edu::Edu, relax, Machine},
    irq::{Flags, IrqReturn},
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        Arc,
    },
    time::{delay::fsleep, Delta},
};

pub const BUGS: &[&str] = &["btmtksdio-drvdata-late"];
pub const REACHES: &[&str] = &[
    "opened while attach() was running",
    "interrupt while attach() was running",
    "interrupt while unbinding",
];

pub struct Btmtksdio {
    frames: KBox<Atomic<u32>>,
    attached: Atomic<bool>,
}

pub struct Hci;

#[vtable]
impl File for Hci {
    type Device<'a> = (&'a Data<'a, Btmtksdio>, Irq<'a>);
    type OwnerModule = module::Owner;

    fn open((bdev, line): &Self::Device<'_>) -> Result<Arc<Self>> {
        if !bdev.attached.load(Acquire) {
            reached("opened while attach() was running");
        }
        line.enable()?;
        Ok(Arc::new(Hci, GFP_KERNEL)?)
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Btmtksdio;

    fn own() -> impl PinInit<Btmtksdio, Error> {
        Ok(Btmtksdio {
            frames: KBox::new(Atomic::new(0), GFP_KERNEL)?,
            attached: Atomic::new(false),
        })
    }

    fn attach<'a>(bdev: &'a Data<'_, Btmtksdio>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let request = bdev.vectors.index(0)?;
        let line = scope.irq(request, Flags::TRIGGER_NONE, c"btmtksdio", move || {
            touch(&canary);
            bdev.acknowledge();
            bdev.frames.add(1, Relaxed);
            if !bdev.attached.load(Acquire) {
                reached("interrupt while attach() was running");
            }
            bdev.late("interrupt while unbinding");
            IrqReturn::Handled
        })?;
        // Until somebody opens it.
        line.disable()?;
        bdev.raise();
        scope.misc_device::<Hci>(c"hci0", (bdev, line))?;
        // What comes after publication.
        fsleep(Delta::from_millis(1));
        bdev.attached.store(true, Release);
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let (edu, m) = (Edu::new(), *machine);
    let module = machine.load(&module::MODULE).expect("the module loads");
    let core = machine.spawn("hci core", move || {
        let opened = loop {
            match m.open("hci0") {
                Ok(file) => break file,
                Err(_) => relax(),
            }
        };
        opened.close().expect("the device closes");
    });
    let slot = machine.plug_pci(edu.clone());
    assert!(slot.is_bound());
    core.join();
    let hardware = machine.spawn("hardware", move || edu.raise(1));
    slot.unbind().expect("the device unbinds");
    hardware.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

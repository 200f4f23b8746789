// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A device with two nodes, one of which is open when the device goes.
//!
//! One structure held both, and only one of them kept it: the reference that the other should have had was
//! not taken, or there was none for either. Here a file keeps what files need, of whichever node it is, and
//! the device is nobody's to keep. The second of the two kinds of file is one that an `ioctl()` of the first
//! opens, for the one driver; a second node stands in for that.

use crate::{
    harness::reached,
    stage::{bind, canary, take_away, touch, Data, Shape, Shaped},
};
use devscope::{
    cdev::Region,
    file::{File, Kiocb},
    wait::WaitQueue,
    Scope,
};
use kernel::{
    hosted::{edu::Edu, Machine},
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

pub const BUGS: &[&str] = &["iio-open-fd-ref", "tpm-chip-refcount"];
pub const REACHES: &[&str] = &[
    "refused: write() to the first node",
    "refused: write() to the second node",
    "refused: read() that slept through unbind()",
    "written to while unbinding",
    "closed when both nodes had gone",
];

static REGION: Region = Region::new(c"tpm", 2);

pub struct Chip {
    command: KBox<Atomic<i64>>,
    events: Atomic<i32>,
}

#[derive(Clone, Copy)]
pub struct Device<'a> {
    chip: &'a Data<'a, Chip>,
    events: WaitQueue<'a>,
}

/// An open file of the first node, or of the second.
struct Node<const SECOND: bool> {
    /// What this file's program has under way.
    space: KBox<Atomic<i64>>,
}

#[vtable]
impl<const SECOND: bool> File for Node<SECOND> {
    type Device<'a> = Device<'a>;
    type OwnerModule = module::Owner;

    fn open(_: &Device<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Node { space: canary()? }, GFP_KERNEL)?)
    }

    fn write_iter(
        &self,
        dev: &Device<'_>,
        _: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        touch(&self.space);
        touch(&dev.chip.command);
        dev.chip.late("written to while unbinding");
        Ok(from.copy_from_iter(&mut [0]))
    }

    /// Waits for an event.
    fn read_iter(
        &self,
        dev: &Device<'_>,
        _: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        touch(&self.space);
        dev.events
            .wait_until(|| dev.chip.events.load(Relaxed) > 0)
            .inspect_err(|_| reached("refused: read() that slept through unbind()"))?;
        touch(&dev.chip.command);
        Ok(to.copy_to_iter(&[1]))
    }

    fn release(this: Arc<Self>) {
        touch(&this.space);
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Chip;

    fn own() -> impl PinInit<Chip, Error> {
        try_init!(Chip {
            command: canary()?,
            events: Atomic::new(0),
        }? Error)
    }

    fn attach<'a>(chip: &'a Data<'_, Chip>, scope: &mut Scope<'a>) -> Result {
        let events = scope.wait_queue()?;
        chip.handle(scope, 0, move || {
            chip.events.fetch_add(1, Relaxed);
            events.wake_all();
        })?;
        let minors = scope.minors(&REGION, 2, chip.pdev.as_ref())?;
        let device = Device { chip, events };
        scope.cdev::<Node<false>>(minors, 0, fmt!("tpm0"), device)?;
        scope.cdev::<Node<true>>(minors, 1, fmt!("tpmrm0"), device)
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    let (module, slot) = bind(machine, &module::MODULE, edu.clone());
    let (name, mark) = match machine.choose(2) {
        0 => ("tpm0", "refused: write() to the first node"),
        _ => ("tpmrm0", "refused: write() to the second node"),
    };
    let file = machine.open(name).expect("the node opens");
    let program = machine.spawn("program", move || {
        let _ = file.write(b"command");
        let _ = file.read(&mut [0]);
        let _ = file.write(b"command");
        file
    });
    let event = machine.choose(2) == 0;
    let hardware = machine.spawn("hardware", move || {
        if event {
            edu.raise(1);
        }
    });
    slot.unbind().expect("the device unbinds");
    let file = program.join();
    assert_eq!(file.write(b"command"), Err(ENODEV));
    reached(mark);
    assert_eq!(file.read(&mut [0]), Err(ENODEV));
    hardware.join();
    if machine.choose(2) == 0 {
        slot.bind().expect("the device binds again");
        assert_eq!(file.write(b"command"), Err(ENODEV));
        slot.unbind().expect("the device unbinds again");
    }
    file.close().expect("close() succeeds");
    reached("closed when both nodes had gone");
    take_away(module, slot);
}

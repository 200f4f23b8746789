// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A device is unbound and bound again, and each time somebody has its node open, and keeps it open.
//!
//! The drivers had the `struct cdev` in a structure that went with the device, or that stayed and was
//! initialised anew with each binding, while open files still counted the old one; or two counts in one
//! structure, each of which freed it. Here the node is of one binding, and what a file needs of it is kept by
//! the file. A character device stands in for those of HID gadgets, media devices, clocks and rpmsg.

use crate::{
    harness::reached,
    stage::{bind, canary, take_away, touch, Data, Shape, Shaped},
};
use devscope::{
    cdev::Region,
    file::{File, Kiocb},
    poll::{Events, PollTable},
    wait::WaitQueue,
    Scope,
};
use kernel::{
    bindings::{POLLERR, POLLHUP, POLLIN},
    hosted::{edu::Edu, Machine, OpenFile, OpenFlags},
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};
use std::{cell::Cell, rc::Rc};

pub const BUGS: &[&str] = &[
    "f-hid-cdev-reinit",
    "media-cdev-put",
    "ptp-clock-cdev",
    "rpmsg-ctrl-cdev",
];
pub const REACHES: &[&str] = &[
    "each of three bindings has a file that is open",
    "a reader slept through the end of its binding",
    "a file of an earlier binding was closed while a later one was there",
    "a file was closed while the device was being bound",
    "a file was closed after the last binding",
    "an entry of epoll outlived its binding",
];

static REGION: Region = Region::new(c"again", 1);

pub struct Gadget {
    reports: KBox<Atomic<i64>>,
    arrived: Atomic<bool>,
}

pub struct Device<'a> {
    gadget: &'a Data<'a, Gadget>,
    arrivals: WaitQueue<'a>,
}

/// An open file.
struct Node {
    own: KBox<Atomic<i64>>,
}

#[vtable]
impl File for Node {
    type Device<'a> = Device<'a>;
    type OwnerModule = module::Owner;

    fn open(_: &Device<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Node { own: canary()? }, GFP_KERNEL)?)
    }

    fn read_iter(
        &self,
        dev: &Device<'_>,
        _: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        touch(&self.own);
        dev.arrivals
            .wait_until(|| dev.gadget.arrived.load(Relaxed))
            .inspect_err(|_| reached("a reader slept through the end of its binding"))?;
        touch(&dev.gadget.reports);
        Ok(to.copy_to_iter(&[1]))
    }

    fn write_iter(
        &self,
        dev: &Device<'_>,
        _: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        touch(&self.own);
        touch(&dev.gadget.reports);
        Ok(from.copy_from_iter(&mut [0]))
    }

    fn poll(&self, dev: &Device<'_>, table: &mut PollTable<'_>) -> Events {
        table.register_wait(dev.arrivals);
        match dev.gadget.arrived.load(Relaxed) {
            true => Events::READABLE,
            false => Events::NONE,
        }
    }

    fn release(this: Arc<Self>) {
        touch(&this.own);
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Gadget;

    fn own() -> impl PinInit<Gadget, Error> {
        try_init!(Gadget {
            reports: canary()?,
            arrived: Atomic::new(false),
        }? Error)
    }

    fn attach<'a>(gadget: &'a Data<'_, Gadget>, scope: &mut Scope<'a>) -> Result {
        let arrivals = scope.wait_queue()?;
        gadget.handle(scope, 0, move || {
            gadget.arrived.store(true, Relaxed);
            arrivals.wake_all();
        })?;
        let minors = scope.minors(&REGION, 1, gadget.pdev.as_ref())?;
        scope.cdev::<Node>(minors, 0, fmt!("again"), Device { gadget, arrivals })
    }
}

fn write(file: &OpenFile) -> Result<usize> {
    file.write(b"x")
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    let (module, slot) = bind(machine, &module::MODULE, edu.clone());
    let epoll = machine.epoll();
    let mut files: std::vec::Vec<OpenFile> = std::vec::Vec::new();
    for round in 0..3 {
        if round > 0 {
            slot.bind().expect("the device binds again");
        }
        let file = machine.open("again").expect("the node opens");
        for old in &files {
            assert_eq!(write(old), Err(ENODEV));
            // By the old inode nobody comes to the new device, though it has the same number.
            let again = old.reopen(OpenFlags::default());
            assert_eq!(again.err(), Some(ENODEV));
        }
        assert_eq!(write(&file), Ok(1));
        epoll
            .add(&file, POLLIN, round)
            .expect("the file is added");
        let program = machine.spawn("program", move || {
            let read = file.read(&mut [0]);
            assert!(matches!(read, Ok(1) | Err(ENODEV)), "{read:?}");
            file
        });
        // Not in the first, so that somebody sleeps in one at least.
        let edu = edu.clone();
        let hardware = machine.spawn("hardware", move || {
            if round == 1 {
                edu.raise(1);
            }
        });
        slot.unbind().expect("the device unbinds");
        hardware.join();
        files.push(program.join());
    }
    reached("each of three bindings has a file that is open");
    let (_, events) = epoll.wait().expect("an entry is there");
    assert_ne!(events & (POLLHUP | POLLERR), 0);
    reached("an entry of epoll outlived its binding");
    // Closed in any order: one while the device is being bound, one while it is bound, one at the end.
    let mut next = || files.remove(machine.choose(files.len()));
    let (first, second, third) = (next(), next(), next());
    let binding = Rc::new(Cell::new(false));
    let closes = machine.spawn("closes", {
        let binding = binding.clone();
        move || {
            let before = binding.get();
            first.close().expect("close() succeeds");
            if before && binding.get() {
                reached("a file was closed while the device was being bound");
            }
        }
    });
    binding.set(true);
    slot.bind().expect("the device binds once more");
    binding.set(false);
    second.close().expect("close() succeeds");
    reached("a file of an earlier binding was closed while a later one was there");
    closes.join();
    slot.unbind().expect("the device unbinds");
    third.close().expect("close() succeeds");
    reached("a file was closed after the last binding");
    drop(epoll);
    take_away(module, slot);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A file stays open when its device is unbound, and its program goes on: every operation that a file can
//! have is tried, while unbinding and afterwards.
//!
//! The drivers freed what the operations use; where they had a check, one operation had been left out of it,
//! or what was checked was not what was used. Here an operation gets the device from the framework or is not
//! called at all, so there is no check that could be left out of one. A character device stands in for those
//! of DVB, Greybus, UIO and the watchdog core, and [`outside`] for sysfs, whose attribute is read as well.

use crate::{
    harness::reached,
    stage::{bind, canary, outside, regs, take_away, touch, Data, Shape, Shaped},
};
use devscope::{
    cdev::Region,
    entrance::Side,
    file::{File, Kiocb, Seek},
    mmap::{Area, Mapping, Pages},
    poll::{Events, PollTable},
    wait::WaitQueue,
    Scope,
};
use kernel::{
    bindings::{POLLERR, POLLHUP, SEEK_SET},
    hosted::{edu::Edu, Machine, OpenFile, OpenFlags, Protection, Sigbus},
    io::Io,
    iov::{IovIterDest, IovIterSource},
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, Mutex,
    },
};

pub const BUGS: &[&str] = &[
    "dvbdev-refcount",
    "fsi-occ-open-fd",
    "greybus-raw-write",
    "uio-crash-after-unregister",
    "uio-open-fds-destroy",
    "watchdog-dynamic-wdd",
];
pub const REACHES: &[&str] = &[
    "refused: read()",
    "refused: write()",
    "refused: ioctl()",
    "refused: compat_ioctl()",
    "refused: poll(), by a hang-up",
    "refused: lseek()",
    "refused: fsync()",
    "refused: mmap()",
    "refused: a fault, by SIGBUS",
    "refused: open() of an inode that the program still had",
    "refused: an attribute",
    "refused: a write() that slept in the driver",
    "an operation was inside when unbind() began",
    "the file was closed after the end",
];

static REGION: Region = Region::new(c"after", 1);

/// What `ioctl()` takes.
const PING: u32 = 1;

#[pin_data]
pub struct Device {
    /// What operations need, and C has freed.
    info: KBox<Atomic<i64>>,
    /// What a command is put together in, by one at a time.
    #[pin]
    buffer: Mutex<KVec<u8>>,
    pages: Pages,
    answered: Atomic<bool>,
}

pub struct Bound<'a> {
    device: &'a Data<'a, Device>,
    answers: WaitQueue<'a>,
    canary: KBox<Atomic<i64>>,
}

impl Bound<'_> {
    /// What every operation does.
    fn used(&self) {
        touch(&self.canary);
        let before = self.device.is_unbinding();
        touch(&self.device.info);
        self.device.bar.read32(regs::INTERRUPT_STATUS);
        if self.device.is_unbinding() && !before {
            reached("an operation was inside when unbind() began");
        }
    }
}

/// An open file.
struct Client {
    operations: Atomic<i32>,
}

#[vtable]
impl File for Client {
    type Device<'a> = Bound<'a>;
    type OwnerModule = module::Owner;

    fn open(dev: &Bound<'_>) -> Result<Arc<Self>> {
        dev.used();
        let operations = Atomic::new(0);
        Ok(Arc::new(Client { operations }, GFP_KERNEL)?)
    }

    fn read_iter(
        &self,
        dev: &Bound<'_>,
        _: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        self.operations.fetch_add(1, Relaxed);
        dev.used();
        Ok(to.copy_to_iter(&[1]))
    }

    /// Sends a command, and waits for the answer.
    fn write_iter(
        &self,
        dev: &Bound<'_>,
        _: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        self.operations.fetch_add(1, Relaxed);
        dev.used();
        let mut buffer = dev.device.buffer.lock();
        let mut byte = [0];
        let len = from.copy_from_iter(&mut byte);
        buffer.push(byte[0], GFP_KERNEL)?;
        let answered = dev
            .answers
            .wait_until(|| dev.device.answered.load(Relaxed));
        touch(&dev.device.info);
        buffer.clear();
        answered.inspect_err(|_| reached("refused: a write() that slept in the driver"))?;
        Ok(len)
    }

    fn ioctl(&self, dev: &Bound<'_>, cmd: u32, _: usize) -> Result<isize> {
        self.operations.fetch_add(1, Relaxed);
        dev.used();
        match cmd {
            PING => Ok(0),
            _ => Err(ENOTTY),
        }
    }

    fn compat_ioctl(&self, dev: &Bound<'_>, cmd: u32, arg: usize) -> Result<isize> {
        self.ioctl(dev, cmd, arg)
    }

    fn llseek(&self, dev: &Bound<'_>, seek: Seek<'_>) -> Result<i64> {
        dev.used();
        seek.within(16)
    }

    fn fsync(&self, dev: &Bound<'_>, _: i64, _: i64, _: bool) -> Result {
        dev.used();
        Ok(())
    }

    fn mmap<'a>(&self, dev: &Bound<'a>, _: &Area<'a>) -> Result<Mapping<'a>> {
        dev.used();
        Ok(Mapping::pages(&dev.device.pages))
    }

    fn poll(&self, dev: &Bound<'_>, table: &mut PollTable<'_>) -> Events {
        dev.used();
        table.register_wait(dev.answers);
        Events::READABLE
    }

    fn release(this: Arc<Self>) {
        this.operations.fetch_add(1, Relaxed);
    }
}

/// What a read of the attribute finds.
struct Attribute;

impl Side for Attribute {
    type Device<'a> = &'a Device;
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Device;

    fn own() -> impl PinInit<Device, Error> {
        try_pin_init!(Device {
            info: canary()?,
            buffer <- new_mutex!(KVec::new()),
            pages: Pages::new(1)?,
            answered: Atomic::new(false),
        })
    }

    fn attach<'a>(device: &'a Data<'_, Device>, scope: &mut Scope<'a>) -> Result {
        let answers = scope.wait_queue()?;
        device.handle(scope, 0, move || {
            device.answered.store(true, Relaxed);
            answers.wake_all();
        })?;
        let attribute = scope.entrance::<Attribute>(device)?;
        outside::register(move |_| {
            attribute
                .try_access_with(|device| touch(&device.info))
                .ok_or(ENODEV)
                .inspect_err(|_| reached("refused: an attribute"))
        });
        let minors = scope.minors(&REGION, 1, device.pdev.as_ref())?;
        let bound = Bound {
            device,
            answers,
            canary: canary()?,
        };
        scope.cdev::<Client>(minors, 0, fmt!("after"), bound)
    }
}

const SHARED: Protection = Protection {
    write: true,
    private: false,
};

/// Tries everything once. What is refused is refused with `ENODEV`, and once something is, so is the rest.
/// Returns whether everything was refused.
fn everything(file: &OpenFile) -> bool {
    let mut refused = 0;
    let mut tried = 0;
    let mut try_one = |result: Result, mark: &'static str| {
        tried += 1;
        match result {
            Ok(()) => assert_eq!(refused, 0, "{mark} after a refusal"),
            Err(error) => {
                assert_eq!(error, ENODEV, "{mark}");
                refused += 1;
                reached(mark);
            }
        }
    };
    try_one(file.read(&mut [0]).map(drop), "refused: read()");
    try_one(file.write(b"x").map(drop), "refused: write()");
    try_one(file.ioctl(PING, 0).map(drop), "refused: ioctl()");
    let compat = file.compat_ioctl(PING, 0);
    try_one(compat.map(drop), "refused: compat_ioctl()");
    try_one(file.lseek(0, SEEK_SET).map(drop), "refused: lseek()");
    try_one(file.fsync(), "refused: fsync()");
    let map = file.mmap(0, 1, SHARED);
    if let Ok(map) = &map {
        if map.write(0, 1).is_err() {
            reached("refused: a fault, by SIGBUS");
        }
    }
    try_one(map.map(drop), "refused: mmap()");
    let polled = match file.poll().expect("poll() gives events") {
        events if events & (POLLHUP | POLLERR) == 0 => Ok(()),
        _ => Err(ENODEV),
    };
    try_one(polled, "refused: poll(), by a hang-up");
    let again = file.reopen(OpenFlags::default());
    try_one(
        again.and_then(|again| again.close()),
        "refused: open() of an inode that the program still had",
    );
    refused == tried
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    let (module, slot) = bind(machine, &module::MODULE, edu.clone());
    let m = *machine;
    let answers = machine.choose(3) > 0;
    let file = machine.open("after").expect("the node opens");
    let map = file.mmap(0, 1, SHARED).expect("the page is mapped");
    map.write(0, 1).expect("the page is there");
    let program = machine.spawn("program", move || {
        everything(&file);
        everything(&file);
        file
    });
    let sysfs = machine.spawn("sysfs", move || {
        for _ in 0..2 {
            let _ = outside::call(0);
            m.preempt();
        }
    });
    let hardware = machine.spawn("hardware", move || {
        if answers {
            edu.raise(1);
        }
    });
    slot.unbind().expect("the device unbinds");
    let file = program.join();
    assert!(everything(&file));
    assert_eq!(map.read(0), Err(Sigbus));
    reached("refused: a fault, by SIGBUS");
    map.unmap();
    assert_eq!(outside::call(0), Err(ENODEV));
    assert!(machine.open("after").is_err());
    file.close().expect("close() succeeds");
    reached("the file was closed after the end");
    sysfs.join();
    hardware.join();
    outside::forget();
    take_away(module, slot);
}

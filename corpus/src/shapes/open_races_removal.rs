// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Programs open the node, use it and close it, a thread of the driver's works on the same structure, and the
//! device is unplugged meanwhile.
//!
//! The drivers counted users and had a flag "gone", but not both under one lock, or changed them where a
//! program could still find the device. Here there is neither count nor flag in the driver: who opens comes
//! in before the end, and is waited for, or gets `ENODEV`. What belongs to a file is the file's; what both
//! sides have (that it is open at most once) is counted. Misc devices stand in for those of DVB and USB, and
//! work that waits for the thread.

use crate::{
    harness::reached,
    stage::{bind, canary, take_away, touch, Data, Shape, Shaped},
};
use devscope::{
    file::{File, Kiocb},
    wait::WaitQueue,
    Scope,
};
use kernel::{
    hosted::{edu::Edu, Machine},
    iov::IovIterDest,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Full, Relaxed},
        Arc, Mutex,
    },
};

pub const BUGS: &[&str] = &[
    "dvb-ca-race",
    "dvb-dmxdev-release",
    "dvb-net-race",
    "iowarrior-disconnect-2019",
];
pub const REACHES: &[&str] = &[
    "open() was inside when unbind() began",
    "refused: an open() that had found the node",
    "refused: a read() of an open file",
    "refused: an ioctl() of an open file",
    "the thread was let go",
    "a file was closed while unbinding",
    "a file was closed after the end",
];

/// Adds an interface for what is received.
const ADD: u32 = 1;

/// How a file sees the end of its device. In an allocation that both sides count.
struct Shared {
    open: Atomic<bool>,
}

#[pin_data]
pub struct Adapter {
    shared: Arc<Shared>,
    arrived: Atomic<i32>,
    /// What programs have added.
    #[pin]
    interfaces: Mutex<KVec<u64>>,
    slots: KBox<Atomic<i64>>,
}

pub struct Device<'a> {
    adapter: &'a Data<'a, Adapter>,
    arrivals: WaitQueue<'a>,
    canary: KBox<Atomic<i64>>,
}

/// An open file; there is one at most.
struct Node {
    shared: Arc<Shared>,
    reads: Atomic<i32>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shared.open.store(false, Relaxed);
    }
}

#[vtable]
impl File for Node {
    type Device<'a> = Device<'a>;
    type OwnerModule = module::Owner;

    fn open(dev: &Device<'_>) -> Result<Arc<Self>> {
        touch(&dev.canary);
        let before = dev.adapter.is_unbinding();
        let shared = dev.adapter.shared.clone();
        if shared.open.xchg(true, Full) {
            return Err(EBUSY);
        }
        let reads = Atomic::new(0);
        let node = Arc::new(Node { shared, reads }, GFP_KERNEL)?;
        touch(&dev.adapter.slots);
        if dev.adapter.is_unbinding() && !before {
            reached("open() was inside when unbind() began");
        }
        Ok(node)
    }

    fn read_iter(
        &self,
        dev: &Device<'_>,
        _: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        touch(&dev.canary);
        self.reads.fetch_add(1, Relaxed);
        dev.arrivals
            .wait_until(|| dev.adapter.arrived.load(Relaxed) > 0)?;
        touch(&dev.adapter.slots);
        Ok(to.copy_to_iter(&[1]))
    }

    fn ioctl(&self, dev: &Device<'_>, cmd: u32, arg: usize) -> Result<isize> {
        touch(&dev.canary);
        if cmd != ADD {
            return Err(ENOTTY);
        }
        let mut interfaces = dev.adapter.interfaces.lock();
        interfaces.push(arg as u64, GFP_KERNEL)?;
        Ok(interfaces.len() as isize)
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Adapter;

    fn own() -> impl PinInit<Adapter, Error> {
        try_pin_init!(Adapter {
            shared: Arc::new(Shared { open: Atomic::new(false) }, GFP_KERNEL)?,
            arrived: Atomic::new(0),
            interfaces <- new_mutex!(KVec::new()),
            slots: canary()?,
        })
    }

    fn attach<'a>(adapter: &'a Data<'_, Adapter>, scope: &mut Scope<'a>) -> Result {
        let arrivals = scope.wait_queue()?;
        let first = canary()?;
        let thread = scope.work(move || {
            for turn in 1.. {
                touch(&first);
                touch(&adapter.slots);
                let waited = arrivals.wait_until(|| adapter.arrived.load(Relaxed) >= turn);
                if waited.is_err() {
                    reached("the thread was let go");
                    return;
                }
            }
        })?;
        thread.schedule();
        adapter.handle(scope, 0, move || {
            adapter.arrived.fetch_add(1, Full);
            arrivals.wake_all();
        })?;
        let device = Device {
            adapter,
            arrivals,
            canary: canary()?,
        };
        scope.misc_device::<Node>(c"shape", device)
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    let (module, slot) = bind(machine, &module::MODULE, edu.clone());
    let m = *machine;
    let programs = [(); 2].map(|()| {
            machine.spawn("program", move || {
                for _ in 0..3 {
                    let file = match m.open("shape") {
                        Ok(file) => file,
                        Err(EBUSY) => continue,
                        Err(error) => {
                            // `ENOENT`: there is no node any more.
                            if error == ENODEV {
                                reached("refused: an open() that had found the node");
                            }
                            return;
                        }
                    };
                    if file.ioctl(ADD, 7) == Err(ENODEV) {
                        reached("refused: an ioctl() of an open file");
                    }
                    match file.read(&mut [0]) {
                        Ok(_) => {}
                        Err(error) => {
                            assert_eq!(error, ENODEV);
                            reached("refused: a read() of an open file");
                            let closed = match m.choose(2) {
                                0 => "a file was closed while unbinding",
                                _ => {
                                    m.settle();
                                    "a file was closed after the end"
                                }
                            };
                            reached(closed);
                        }
                    }
                    file.close().expect("close() succeeds");
                }
            })
        });
    let hardware = machine.spawn("hardware", move || edu.raise(1));
    if machine.choose(2) == 0 {
        kernel::hosted::preempt();
    }
    slot.unbind().expect("the device unbinds");
    hardware.join();
    for program in programs {
        program.join();
    }
    take_away(module, slot);
}

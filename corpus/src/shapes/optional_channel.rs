// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Two channels, each with a node, a FIFO and readers that sleep for it; what the firmware does not ask for is
//! not set up. One interrupt serves both.
//!
//! The driver took both channels down, also the one that had never been set up; and the FIFO of the other was
//! freed under a reader. Here what was not registered is not in the scope, and a FIFO goes when nobody can be
//! reading from it.

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
    iov::IovIterDest,
    prelude::*,
    sync::{
        atomic::{Atomic, Full, Relaxed},
        Arc,
    },
    ModuleMetadata,
};
use std::marker::PhantomData;

pub const BUGS: &[&str] = &["aspeed-lpc-snoop-unbind"];
pub const REACHES: &[&str] = &[
    "unbound without the first channel",
    "unbound without the second channel",
    "reader was inside read() when unbind() began",
    "reader slept through unbind()",
    "interrupt came after unbind() began",
];

static REGION: Region = Region::new(c"snoop", 2);

/// What a channel that is enabled has.
pub struct Channel {
    fifo: KBox<Atomic<i64>>,
    put: Atomic<i32>,
    taken: Atomic<i32>,
}

impl Channel {
    fn new() -> Result<Self> {
        Ok(Self {
            fifo: canary()?,
            put: Atomic::new(0),
            taken: Atomic::new(0),
        })
    }
}

pub struct Snoop {
    channels: [Option<Channel>; 2],
}

pub struct Device<'a> {
    snoop: &'a Data<'a, Snoop>,
    channel: &'a Channel,
    arrivals: WaitQueue<'a>,
}

/// Which channel is enabled; the other one is not.
pub trait Enabled: Send + Sync + 'static {
    type Module: ModuleMetadata;
    const CHANNEL: usize;
}

pub struct First;

impl Enabled for First {
    type Module = first_only::Owner;
    const CHANNEL: usize = 0;
}

pub struct Second;

impl Enabled for Second {
    type Module = second_only::Owner;
    const CHANNEL: usize = 1;
}

/// An open file.
struct Node<C>(PhantomData<C>);

#[vtable]
impl<C: Enabled> File for Node<C> {
    type Device<'a> = Device<'a>;
    type OwnerModule = C::Module;

    fn open(_: &Device<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Node(PhantomData), GFP_KERNEL)?)
    }

    fn read_iter(
        &self,
        dev: &Device<'_>,
        _: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        let before = dev.snoop.is_unbinding();
        let channel = dev.channel;
        let waited = dev
            .arrivals
            .wait_until(|| channel.put.load(Relaxed) > channel.taken.load(Relaxed));
        touch(&channel.fifo);
        if dev.snoop.is_unbinding() && !before {
            reached("reader was inside read() when unbind() began");
        }
        waited.inspect_err(|_| reached("reader slept through unbind()"))?;
        channel.taken.fetch_add(1, Full);
        Ok(to.copy_to_iter(&[1]))
    }
}

driver!(first_only, super::Driver<super::First>);
driver!(second_only, super::Driver<super::Second>);
pub struct Driver<C>(PhantomData<C>);

impl<C: Enabled> Shape for Driver<C> {
    type Own = Snoop;

    fn own() -> impl PinInit<Snoop, Error> {
        let mut channels = [const { None }; 2];
        Channel::new().map(|channel| {
            channels[C::CHANNEL] = Some(channel);
            Snoop { channels }
        })
    }

    fn attach<'a>(snoop: &'a Data<'_, Snoop>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let minors = scope.minors(&REGION, 2, snoop.pdev.as_ref())?;
        let mut live = [None; 2];
        for (index, channel) in snoop.channels.iter().enumerate() {
            let Some(channel) = channel else { continue };
            let arrivals = scope.wait_queue()?;
            live[index] = Some((channel, arrivals));
            let device = Device {
                snoop,
                channel,
                arrivals,
            };
            let name = fmt!("snoop{index}");
            scope.cdev::<Node<C>>(minors, index as u32, name, device)?;
        }
        snoop.handle(scope, 0, move || {
            touch(&canary);
            snoop.late("interrupt came after unbind() began");
            for (channel, arrivals) in live.iter().flatten() {
                touch(&channel.fifo);
                channel.put.fetch_add(1, Full);
                arrivals.wake_all();
            }
        })
    }
}

pub fn scenario(machine: &Machine) {
    let (module, name, mark) = match machine.choose(2) {
        0 => (
            &first_only::MODULE,
            "snoop0",
            "unbound without the second channel",
        ),
        _ => (
            &second_only::MODULE,
            "snoop1",
            "unbound without the first channel",
        ),
    };
    let edu = Edu::new();
    let (module, slot) = bind(machine, module, edu.clone());
    let file = machine.open(name).expect("the node opens");
    let reader = machine.spawn("reader", move || {
        for _ in 0..3 {
            let read = file.read(&mut [0]);
            assert!(matches!(read, Ok(1) | Err(ENODEV)), "{read:?}");
        }
        file.close().expect("close() succeeds");
    });
    let hardware = machine.spawn("hardware", move || (0..2).for_each(|_| edu.raise(1)));
    slot.unbind().expect("the device unbinds");
    reached(mark);
    hardware.join();
    reader.join();
    take_away(module, slot);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A sound card for which a timer queues work, which has the next period transferred and starts the timer.
//!
//! On close the driver waited for the work, then deleted the timer without waiting, and a timer that was
//! running queued the work once more, on a freed channel. Here the stream is a part of the scope: both are
//! told to refuse before either is waited for. A misc device stands in for a PCM.

use crate::{
    harness::reached,
    stage::{bind, canary, if_refused, regs, take_away, touch, Data, Shape, Shaped},
};
use devscope::{
    entrance::{Entrance, Side},
    file::File,
    part::Part,
    timer::Timer,
    Scope,
};
use kernel::{
    hosted::{edu::Edu, Machine},
    io::Io,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

pub const BUGS: &[&str] = &["aica-timer-work"];
pub const REACHES: &[&str] = &[
    "timer ran while the stream was being closed",
    "work ran while the stream was being closed",
    "the work would not be queued any more",
    "the timer would not start any more",
    "work ran after unbind() began",
];

const START: u32 = 1;

/// What is there from open to close.
pub struct Channel {
    periods: KBox<Atomic<i64>>,
    closing: Atomic<bool>,
}

/// What `ioctl()` of an open stream finds.
struct Operations;

impl Side for Operations {
    type Device<'a> = Timer<'a>;
}

/// What `close()` finds, if the device is still there.
struct Closing;

impl Side for Closing {
    type Device<'a> = Part<'a, Channel>;
}

pub struct Device<'a> {
    card: &'a Data<'a, ()>,
    channel: Part<'a, Channel>,
    closing: Arc<Entrance<Closing>>,
}

/// An open PCM.
struct Pcm {
    operations: Arc<Entrance<Operations>>,
    closing: Arc<Entrance<Closing>>,
}

impl Channel {
    fn new() -> Result<Self> {
        Ok(Self {
            periods: canary()?,
            closing: Atomic::new(false),
        })
    }
}

fn open<'a>(
    card: &'a Data<'_, ()>,
    channel: Part<'a, Channel>,
) -> Result<Arc<Entrance<Operations>>> {
    let mut operations = None;
    channel.begin(Channel::new(), |channel, scope| {
        let channel = channel.get_ref();
        let (first, second) = (canary()?, canary()?);
        let (timer, slot) = scope.declare_timer()?;
        let transfer = scope.work(move || {
            touch(&first);
            card.bar.write32(0, regs::ACKNOWLEDGE);
            touch(&channel.periods);
            card.late("work ran after unbind() began");
            if channel.closing.load(Relaxed) {
                reached("work ran while the stream was being closed");
            }
            if_refused(timer.start(1), "the timer would not start any more");
        })?;
        slot.define(scope, move || {
            touch(&second);
            touch(&channel.periods);
            if channel.closing.load(Relaxed) {
                reached("timer ran while the stream was being closed");
            }
            if_refused(
                transfer.schedule(),
                "the work would not be queued any more",
            );
        })?;
        operations = Some(scope.entrance::<Operations>(timer)?);
        Ok(())
    })?;
    operations.ok_or(ENODEV)
}

#[vtable]
impl File for Pcm {
    type Device<'a> = Device<'a>;
    type OwnerModule = module::Owner;

    fn open(dev: &Device<'_>) -> Result<Arc<Self>> {
        let operations = open(dev.card, dev.channel)?;
        let closing = dev.closing.clone();
        let pcm = Pcm {
            operations,
            closing,
        };
        Arc::new(pcm, GFP_KERNEL).map_err(Error::from)
    }

    fn ioctl(&self, _: &Device<'_>, cmd: u32, _: usize) -> Result<isize> {
        if cmd != START {
            return Err(ENOTTY);
        }
        let started = self.operations.try_access_with(|timer| {
            timer.start(1);
        });
        started.map(|()| 0).ok_or(ENODEV)
    }
}

impl Drop for Pcm {
    fn drop(&mut self) {
        self.closing.try_access_with(|channel| {
            channel.with(|channel| channel.closing.store(true, Relaxed));
            // Or the end of the scope is at it already.
            let _ = channel.end();
        });
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = ();

    fn own() -> impl PinInit<(), Error> {
        Ok(())
    }

    fn attach<'a>(card: &'a Data<'_, ()>, scope: &mut Scope<'a>) -> Result {
        let channel = scope.part()?;
        let closing = scope.entrance::<Closing>(channel)?;
        let device = Device {
            card,
            channel,
            closing,
        };
        scope.misc_device::<Pcm>(c"shape", device)
    }
}

pub fn scenario(machine: &Machine) {
    let (module, slot) = bind(machine, &module::MODULE, Edu::new());
    let m = *machine;
    let program = machine.spawn("program", move || {
        for _ in 0..2 {
            let Ok(pcm) = m.open("shape") else { return };
            let _ = pcm.ioctl(START, 0);
            m.preempt();
            m.preempt();
            pcm.close().expect("close() succeeds");
        }
    });
    if machine.choose(2) == 0 {
        machine.settle();
    }
    slot.unbind().expect("the device unbinds");
    program.join();
    take_away(module, slot);
}

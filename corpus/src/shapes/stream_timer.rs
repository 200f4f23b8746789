// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A sound card keeps time for each stream with a timer that starts itself. Stopping the stream comes in
//! atomic context, so it cannot wait for the timer; closing it can, and frees what the timer uses.
//!
//! The driver used the stop that does not wait for both. Here these are two things that cannot be taken for
//! each other: `Timer::stop()`, after which everything is still there, and the end of the part of the scope
//! that the stream is. A misc device stands in for a PCM, and an interrupt for whoever calls in atomic
//! context. The stream goes at the last close, or when the device does, whatever is first.

use crate::{
    harness::reached,
    stage::{bind, canary, take_away, touch, Data, Shape, Shaped},
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
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

pub const BUGS: &[&str] = &["aloop-timer"];
pub const REACHES: &[&str] = &[
    "stopped in an interrupt",
    "timer was running when it was stopped",
    "timer ran while the stream was being closed",
    "timer was going when the stream was freed",
    "timer ran after unbind() began",
    "closed when the device had gone",
];

const START: u32 = 1;

/// What is there from open to close, in C by `kzalloc()` and `kfree()`.
pub struct Stream {
    cable: KBox<Atomic<i64>>,
    going: Atomic<bool>,
    /// The timer's body is running.
    inside: Atomic<bool>,
    closing: Atomic<bool>,
}

impl Stream {
    fn new() -> Result<Self> {
        Ok(Self {
            cable: canary()?,
            going: Atomic::new(false),
            inside: Atomic::new(false),
            closing: Atomic::new(false),
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        touch(&self.cable);
        if self.going.load(Relaxed) {
            reached("timer was going when the stream was freed");
        }
    }
}

/// What the operations of an open stream find.
struct Operations;

impl Side for Operations {
    type Device<'a> = (&'a Stream, Timer<'a>);
}

/// What `close()` finds, if the device is still there.
struct Closing;

impl Side for Closing {
    type Device<'a> = Part<'a, Stream>;
}

pub struct Device<'a> {
    card: &'a Data<'a, ()>,
    stream: Part<'a, Stream>,
    closing: Arc<Entrance<Closing>>,
}

/// An open PCM.
struct Pcm {
    operations: Arc<Entrance<Operations>>,
    closing: Arc<Entrance<Closing>>,
}

/// Opens the stream: its timer, and what stops that in atomic context.
fn open<'a>(
    card: &'a Data<'_, ()>,
    stream: Part<'a, Stream>,
) -> Result<Arc<Entrance<Operations>>> {
    let mut operations = None;
    stream.begin(Stream::new(), |stream, scope| {
        let stream = stream.get_ref();
        let canary = canary()?;
        let (timer, slot) = scope.declare_timer()?;
        slot.define(scope, move || {
            touch(&canary);
            stream.inside.store(true, Relaxed);
            touch(&stream.cable);
            card.late("timer ran after unbind() began");
            if stream.closing.load(Relaxed) {
                reached("timer ran while the stream was being closed");
            }
            timer.start(1);
            stream.inside.store(false, Relaxed);
        })?;
        card.handle(scope, 0, move || {
            if timer.stop() {
                reached("stopped in an interrupt");
            }
            stream.going.store(false, Relaxed);
            if stream.inside.load(Relaxed) {
                reached("timer was running when it was stopped");
            }
        })?;
        operations = Some(scope.entrance::<Operations>((stream, timer))?);
        Ok(())
    })?;
    operations.ok_or(ENODEV)
}

#[vtable]
impl File for Pcm {
    type Device<'a> = Device<'a>;
    type OwnerModule = module::Owner;

    fn open(dev: &Device<'_>) -> Result<Arc<Self>> {
        let operations = open(dev.card, dev.stream)?;
        let closing = dev.closing.clone();
        let pcm = Pcm {
            operations,
            closing,
        };
        // If there is no memory for the file, what was begun goes with it.
        Arc::new(pcm, GFP_KERNEL).map_err(Error::from)
    }

    fn ioctl(&self, _: &Device<'_>, cmd: u32, _: usize) -> Result<isize> {
        if cmd != START {
            return Err(ENOTTY);
        }
        let started = self.operations.try_access_with(|(stream, timer)| {
            stream.going.store(true, Relaxed);
            timer.start(1);
        });
        started.map(|()| 0).ok_or(ENODEV)
    }
}

impl Drop for Pcm {
    fn drop(&mut self) {
        let closed = self.closing.try_access_with(|stream| {
            stream.with(|stream| stream.closing.store(true, Relaxed));
            // Or the end of the scope is at it already.
            let _ = stream.end();
        });
        if closed.is_none() {
            reached("closed when the device had gone");
        }
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
        let stream = scope.part()?;
        let closing = scope.entrance::<Closing>(stream)?;
        let device = Device {
            card,
            stream,
            closing,
        };
        scope.misc_device::<Pcm>(c"shape", device)
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    let (module, slot) = bind(machine, &module::MODULE, edu.clone());
    let m = *machine;
    let program = machine.spawn("program", move || {
        for _ in 0..2 {
            // There is one stream, and nobody else to open it.
            let Ok(pcm) = m.open("shape") else { return };
            let _ = pcm.ioctl(START, 0);
            m.preempt();
            let _ = pcm.ioctl(START, 0);
            pcm.close().expect("close() succeeds");
        }
    });
    let hardware = machine.spawn("hardware", move || (0..2).for_each(|_| edu.raise(1)));
    if machine.choose(2) == 0 {
        machine.settle();
    }
    slot.unbind().expect("the device unbinds");
    hardware.join();
    program.join();
    take_away(module, slot);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A helper library plays effects: a program starts one by a `write()`, and a timer of the library's plays
//! it on, by what the driver gave it for that.
//!
//! The library stopped its timer when a file was closed, or not at all, and the timer played on a device that
//! was freed. Here a library can have no timer but one of the scope of the driver that uses it. A misc device
//! stands in for the input core.

use crate::{
    harness::reached,
    stage::{bind, canary, regs, take_away, touch, Data, Shape, Shaped},
};
use devscope::{
    file::{File, Kiocb},
    timer::Timer,
    Scope,
};
use kernel::{
    hosted::{edu::Edu, Machine},
    io::Io,
    iov::IovIterSource,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

pub const BUGS: &[&str] = &["ff-memless-timer"];
pub const REACHES: &[&str] = &[
    "effect was played after unbind() began",
    "write() started an effect after unbind() began",
    "an effect was playing at the end",
];

/// The helper library.
mod memless {
    use super::*;

    /// How long each effect is to play on.
    pub struct Effects {
        left: [Atomic<i32>; 2],
    }

    impl Effects {
        pub fn new() -> Self {
            Self {
                left: [const { Atomic::new(0) }; 2],
            }
        }

        fn are_playing(&self) -> bool {
            self.left.iter().any(|left| left.load(Relaxed) > 0)
        }
    }

    impl Drop for Effects {
        fn drop(&mut self) {
            if self.are_playing() {
                reached("an effect was playing at the end");
            }
        }
    }

    /// What starts an effect.
    #[derive(Clone, Copy)]
    pub struct Player<'a>(&'a Effects, Timer<'a>);

    impl Player<'_> {
        pub fn start(&self, effect: usize) {
            self.0.left[effect % 2].store(3, Relaxed);
            self.1.start(0);
        }
    }

    /// Makes a player, which plays by calling the driver's `play`.
    pub fn create<'a>(
        effects: &'a Effects,
        scope: &mut Scope<'a>,
        play: impl Fn(u32) + Send + Sync + 'a,
    ) -> Result<Player<'a>> {
        let canary = canary()?;
        let (timer, slot) = scope.declare_timer()?;
        slot.define(scope, move || {
            touch(&canary);
            for (effect, left) in effects.left.iter().enumerate() {
                if left.load(Relaxed) > 0 {
                    left.fetch_add(-1, Relaxed);
                    play(effect as u32);
                }
            }
            if effects.are_playing() {
                timer.start(1);
            }
        })?;
        Ok(Player(effects, timer))
    }
}

pub struct Joystick {
    effects: memless::Effects,
    /// What the driver's own `play()` needs.
    report: KBox<Atomic<i64>>,
}

/// An open file.
struct Node;

#[vtable]
impl File for Node {
    type Device<'a> = (&'a Data<'a, Joystick>, memless::Player<'a>);
    type OwnerModule = module::Owner;

    fn open(_: &Self::Device<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Node, GFP_KERNEL)?)
    }

    fn write_iter(
        &self,
        (joystick, player): &Self::Device<'_>,
        _: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        let mut effect = [0];
        let len = from.copy_from_iter(&mut effect);
        player.start(effect[0].into());
        joystick.late("write() started an effect after unbind() began");
        Ok(len)
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Joystick;

    fn own() -> impl PinInit<Joystick, Error> {
        try_init!(Joystick {
            effects: memless::Effects::new(),
            report: canary()?,
        }? Error)
    }

    fn attach<'a>(joystick: &'a Data<'_, Joystick>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let player = memless::create(&joystick.effects, scope, move |effect| {
            touch(&canary);
            touch(&joystick.report);
            joystick.bar.write32(effect, regs::ACKNOWLEDGE);
            joystick.late("effect was played after unbind() began");
        })?;
        scope.misc_device::<Node>(c"shape", (joystick, player))
    }
}

pub fn scenario(machine: &Machine) {
    let (module, slot) = bind(machine, &module::MODULE, Edu::new());
    let file = machine.open("shape").expect("the node opens");
    let program = machine.spawn("program", move || {
        for effect in [0, 1, 0, 1] {
            let written = file.write(&[effect]);
            assert!(matches!(written, Ok(1) | Err(ENODEV)), "{written:?}");
        }
        file.close().expect("close() succeeds");
    });
    slot.unbind().expect("the device unbinds");
    program.join();
    take_away(module, slot);
}

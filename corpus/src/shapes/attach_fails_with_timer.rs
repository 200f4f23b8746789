// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Probing starts a timer, and then fails.
//!
//! The drivers' error paths gave the memory back and left the timer running: a minute later, or at the next
//! tick, it fires. Here `attach()` returns its error, and the scope ends as it does at unbind.

use crate::{
    harness::reached,
    stage::{canary, touch, Data, Shape, Shaped},
};
use devscope::Scope;
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
};

pub const BUGS: &[&str] = &["appletb-kbd-probe-timer", "tc358743-probe-timer"];
pub const REACHES: &[&str] = &["timer ran before attach() failed", "timer was still pending"];

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = ();

    fn own() -> impl PinInit<(), Error> {
        Ok(())
    }

    fn attach<'a>(_data: &'a Data<'_, ()>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        // Polls for as long as there is a device, since there is no interrupt.
        let (poll, slot) = scope.declare_timer()?;
        slot.define(scope, move || {
            touch(&canary);
            reached("timer ran before attach() failed");
            poll.start(1);
        })?;
        poll.start(1);
        // And one that would fire when nobody thinks of it any more.
        let canary = self::canary()?;
        let inactive = scope.timer(move || touch(&canary))?;
        inactive.start(60_000);
        reached("timer was still pending");
        // What comes next cannot be had.
        Err(ENOENT)
    }
}

pub fn scenario(machine: &Machine) {
    let module = machine.load(&module::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert!(!slot.is_bound());
    module.unload().expect("the module unloads");
    slot.unplug();
}

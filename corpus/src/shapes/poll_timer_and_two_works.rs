// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Without an interrupt, a timer that starts itself queues work that asks the device, which queues delayed
//! work when a plug has moved.
//!
//! Where probing failed later on, the driver deleted the timer and cancelled the works without waiting for
//! any of them. Here a failing `attach()` ends its scope as unbinding does; both are explored.

use crate::{
    harness::reached,
    stage::{canary, if_refused, regs, touch, unbind_while, Data, Shape, Shaped},
};
use devscope::Scope;
use kernel::{
    hosted::{edu::Edu, Machine},
    io::Io,
    prelude::*,
    sync::atomic::Atomic,
    time::{delay::fsleep, Delta},
};

pub const BUGS: &[&str] = &["tc358743-poll-timer"];
pub const REACHES: &[&str] = &[
    "timer ran while attach() failed",
    "poll ran while attach() failed",
    "hot-plug work ran while attach() failed",
    "timer when the work would not be queued any more",
    "poll when the hot-plug work would not be queued any more",
    "poll ran after unbind() began",
];

pub struct State {
    plugged: KBox<Atomic<i64>>,
    cec: KBox<Atomic<i64>>,
}

driver!(module, super::Driver<false>);
driver!(failing, super::Driver<true>);
pub struct Driver<const FAILS: bool>;

impl<const FAILS: bool> Shape for Driver<FAILS> {
    type Own = State;

    fn own() -> impl PinInit<State, Error> {
        try_init!(State {
            plugged: canary()?,
            cec: canary()?,
        }? Error)
    }

    fn attach<'a>(state: &'a Data<'_, State>, scope: &mut Scope<'a>) -> Result {
        let (first, second, third) = (canary()?, canary()?, canary()?);
        let mark = move |fails, unbinds| {
            if state.is_unbinding() {
                reached(if FAILS { fails } else { unbinds });
            }
        };
        let hotplug = scope.delayed_work(move || {
            touch(&first);
            touch(&state.plugged);
            mark(
                "hot-plug work ran while attach() failed",
                "hot-plug work ran after unbind() began",
            );
        })?;
        let poll = scope.work(move || {
            touch(&second);
            mark(
                "poll ran while attach() failed",
                "poll ran after unbind() began",
            );
            if state.bar.read32(regs::INTERRUPT_STATUS) == 0 {
                touch(&state.cec);
                if_refused(
                    hotplug.schedule(1),
                    "poll when the hot-plug work would not be queued any more",
                );
            }
        })?;
        let (timer, slot) = scope.declare_timer()?;
        slot.define(scope, move || {
            touch(&third);
            mark(
                "timer ran while attach() failed",
                "timer ran after unbind() began",
            );
            if_refused(
                poll.schedule(),
                "timer when the work would not be queued any more",
            );
            timer.start(1);
        })?;
        timer.start(1);
        if FAILS {
            // Registering with the media framework takes its time, and comes to nothing.
            fsleep(Delta::from_millis(2));
            return state.fail(EIO);
        }
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    if machine.choose(3) == 0 {
        unbind_while(machine, &module::MODULE, Edu::new(), || {});
        return;
    }
    let module = machine.load(&failing::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert!(!slot.is_bound());
    module.unload().expect("the module unloads");
    slot.unplug();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A protocol's state machine is a work item. Frames that come in and three timers queue it, and it starts
//! the timers.
//!
//! The drivers freed queues and context with all of these alive; and a timer that is stopped before the
//! work is started again by it, one that is stopped after it has queued it. Here work and timers all
//! refuse before any is waited for. The NFC core, to which the work gives frames, is left out.

use crate::{
    harness::reached,
    stage::{canary, touch, unbind_while, Data, Shape, Shaped},
};
use devscope::{Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    irq::{Flags, IrqReturn},
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Mutex,
    },
};

pub const BUGS: &[&str] = &["ndlc-sm-work", "shdlc-timers-sm-work"];
pub const REACHES: &[&str] = &[
    "timer ran while unbinding",
    "work ran while unbinding",
    "work started a timer while unbinding",
    "timer when the work was told to end",
    "work when the timers were told to end",
];

#[pin_data]
pub struct Shdlc {
    /// Frames that have come, for the state machine.
    #[pin]
    rcv_q: Mutex<KVec<u32>>,
    expired: Atomic<u32>,
    sent: KBox<Atomic<u32>>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Shdlc;

    fn own() -> impl PinInit<Shdlc, Error> {
        try_pin_init!(Shdlc {
            rcv_q <- new_mutex!(KVec::new()),
            expired: Atomic::new(0),
            sent: KBox::new(Atomic::new(0), GFP_KERNEL)?,
        })
    }

    fn attach<'a>(shdlc: &'a Data<'_, Shdlc>, scope: &mut Scope<'a>) -> Result {
        let (sm_work, slot) = scope.declare_work()?;
        let queue = move || match sm_work.schedule() {
            Scheduled::Queued | Scheduled::Pending => {}
            Scheduled::Refused => reached("timer when the work was told to end"),
        };
        let mut timer = || {
            let canary = canary()?;
            scope.timer(move || {
                touch(&canary);
                shdlc.expired.add(1, Relaxed);
                shdlc.late("timer ran while unbinding");
                queue();
            })
        };
        let timers = [timer()?, timer()?, timer()?];
        let canary = self::canary()?;
        slot.define(scope, move || {
            touch(&canary);
            shdlc.late("work ran while unbinding");
            while shdlc.rcv_q.lock().pop().is_some() {
                shdlc.sent.add(1, Relaxed);
            }
            // T1, T2, and that of the connection.
            for (index, timer) in timers.iter().enumerate() {
                match timer.start(index) {
                    Scheduled::Queued => shdlc.late("work started a timer while unbinding"),
                    Scheduled::Pending => {}
                    Scheduled::Refused => reached("work when the timers were told to end"),
                }
            }
            touch(&canary);
        })?;
        let canary = self::canary()?;
        let line = shdlc.vectors.index(0)?;
        scope.oneshot_irq(line, Flags::TRIGGER_NONE, c"ndlc", move || {
            touch(&canary);
            let frame = shdlc.acknowledge();
            let _ = shdlc.rcv_q.lock().push(frame, GFP_KERNEL);
            sm_work.schedule();
            IrqReturn::Handled
        })?;
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &module::MODULE, edu.clone(), move || {
        (0..3).for_each(|_| edu.raise(1));
    });
}

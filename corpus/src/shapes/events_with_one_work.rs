// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An interrupt puts an event into a list, and delayed work looks at what is in there.
//!
//! In C each event has a work item of its own, which frees itself; `mvs_free()` cancelled them without
//! waiting. Here members are registered while attaching, not by a handler, so there is one item, which
//! walks the list: it ends with the scope, and the list goes with the data. The SAS core is left out.

use crate::{
    harness::reached,
    stage::{canary, touch, unbind_while, Data, Shape, Shaped},
};
use devscope::{Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Acquire, Atomic, Full, Relaxed},
};

pub const BUGS: &[&str] = &["mvsas-work-queue"];
pub const REACHES: &[&str] = &[
    "event while unbinding",
    "work ran while unbinding",
    "several events in one run",
    "interrupt when the work was told to end",
];

pub struct Mvi {
    /// A place for each event: 0 is free.
    wq_list: KVec<Atomic<u32>>,
    handled: Atomic<u32>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Mvi;

    fn own() -> impl PinInit<Mvi, Error> {
        let mut wq_list = KVec::new();
        for _ in 0..8 {
            wq_list.push(Atomic::new(0), GFP_KERNEL)?;
        }
        Ok(Mvi {
            wq_list,
            handled: Atomic::new(0),
        })
    }

    fn attach<'a>(mvi: &'a Data<'_, Mvi>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let work_queue = scope.delayed_work(move || {
            touch(&canary);
            mvi.late("work ran while unbinding");
            let events = mvi.wq_list.iter().filter(|event| event.xchg(0, Full) != 0);
            if events.inspect(|_| mvi.handled.add(1, Relaxed)).count() > 1 {
                reached("several events in one run");
            }
            touch(&canary);
        })?;
        mvi.handle(scope, 0, move || {
            mvi.late("event while unbinding");
            // The handler does not run beside itself, so nobody else fills a place.
            if let Some(free) = mvi.wq_list.iter().find(|event| event.load(Acquire) == 0) {
                free.xchg(1, Full);
            }
            if work_queue.schedule(1) == Scheduled::Refused {
                reached("interrupt when the work was told to end");
            }
        })
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &module::MODULE, edu.clone(), move || {
        (0..5).for_each(|_| edu.raise(1));
    });
}

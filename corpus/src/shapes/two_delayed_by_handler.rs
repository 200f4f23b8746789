// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A request from the other end is handled on the system's queue, and the handler queues two delayed
//! works, which queue themselves again.
//!
//! `remove()` cancelled both, and a handler that was still running queued them again. Here each of the
//! three is a member: the handler's call is refused, and it is waited for like the others. A request comes
//! in through an `Entrance`. Calls from outside stand in for the Thunderbolt control channel.

use crate::{
    harness::reached,
    stage::{canary, outside, touch, unbind_while_called, Data, Shape, Shaped},
};
use devscope::{entrance::Side, work::Work, workqueue::Queue, Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Mutex,
    },
};

pub const BUGS: &[&str] = &["thunderbolt-xdomain-works"];
pub const REACHES: &[&str] = &[
    "handler queued a work while unbinding",
    "a work ran while unbinding",
    "refused: a work, for the handler",
    "refused: the entrance is closed",
];

#[pin_data]
pub struct Xdomain {
    requests: Atomic<u32>,
    #[pin]
    lock: Mutex<KVec<u32>>,
}

/// What the control channel reaches.
struct Control;

impl Side for Control {
    type Device<'a> = (&'a Data<'a, Xdomain>, Work<'a>, KBox<Atomic<i64>>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Xdomain;

    fn own() -> impl PinInit<Xdomain, Error> {
        try_pin_init!(Xdomain {
            requests: Atomic::new(0),
            lock <- new_mutex!(KVec::new()),
        })
    }

    fn attach<'a>(xd: &'a Data<'_, Xdomain>, scope: &mut Scope<'a>) -> Result {
        let mut work = || {
            let canary = canary()?;
            let (work, slot) = scope.declare_delayed_work()?;
            slot.define(scope, move || {
                touch(&canary);
                xd.late("a work ran while unbinding");
                // It tries again, until the other end has answered.
                let mut properties = xd.lock.lock();
                if properties.len() < 3 {
                    let _ = properties.push(1, GFP_KERNEL);
                    work.schedule(1);
                }
                touch(&canary);
            })?;
            Ok::<_, Error>(work)
        };
        let (state_work, properties_changed_work) = (work()?, work()?);
        let canary = self::canary()?;
        // Not the queue of the two.
        let handle_request = scope.work_on(Queue::unbound(), move || {
            touch(&canary);
            xd.requests.xchg(0, Relaxed);
            for work in [state_work, properties_changed_work] {
                match work.schedule(0) {
                    Scheduled::Queued => xd.late("handler queued a work while unbinding"),
                    Scheduled::Pending => {}
                    Scheduled::Refused => reached("refused: a work, for the handler"),
                }
            }
            touch(&canary);
        })?;
        let control = scope.entrance::<Control>((xd, handle_request, self::canary()?))?;
        outside::register(move |_packet| {
            outside::answer(control.try_access_with(|(xd, handle_request, canary)| {
                touch(canary);
                xd.requests.add(1, Relaxed);
                handle_request.schedule()
            }))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    unbind_while_called(machine, &module::MODULE, Edu::new(), || {});
}

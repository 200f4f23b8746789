// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Delayed work polls for a card and queues itself again; the subsystem's requests queue a second work
//! item.
//!
//! The driver freed the host while the work polled. Here both end with the scope, and a request comes in
//! through an `Entrance`, which is closed before. Calls from outside stand in for the memory-stick core,
//! whose host is memory of the driver's.

use crate::{
    harness::reached,
    stage::{canary, outside, touch, unbind_while_called, Data, Shape, Shaped},
};
use devscope::{entrance::Side, work::Work, Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Mutex,
    },
};

pub const BUGS: &[&str] = &["rtsx-usb-ms-poll-card"];
pub const REACHES: &[&str] = &[
    "poll while unbinding",
    "poll when it was told to end",
    "request handled while unbinding",
    "refused: the entrance is closed",
];

#[pin_data]
pub struct Host {
    /// The host that the core knows.
    msh: KBox<Atomic<u32>>,
    request: Atomic<u32>,
    #[pin]
    host_mutex: Mutex<u32>,
}

/// What the core's `request()` reaches.
struct Request;

impl Side for Request {
    type Device<'a> = (&'a Data<'a, Host>, Work<'a>, KBox<Atomic<i64>>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Host;

    fn own() -> impl PinInit<Host, Error> {
        try_pin_init!(Host {
            msh: KBox::new(Atomic::new(0), GFP_KERNEL)?,
            request: Atomic::new(0),
            host_mutex <- new_mutex!(0),
        })
    }

    fn attach<'a>(host: &'a Data<'_, Host>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        let handle_req = scope.work(move || {
            touch(&first);
            host.late("request handled while unbinding");
            *host.host_mutex.lock() += host.request.xchg(0, Relaxed);
            touch(&first);
        })?;
        let (poll_card, slot) = scope.declare_delayed_work()?;
        slot.define(scope, move || {
            touch(&second);
            host.late("poll while unbinding");
            *host.host_mutex.lock() += 1;
            host.msh.add(1, Relaxed);
            if poll_card.schedule(1) == Scheduled::Refused {
                reached("poll when it was told to end");
            }
            touch(&second);
        })?;
        poll_card.schedule(0);
        let request = scope.entrance::<Request>((host, handle_req, canary()?))?;
        outside::register(move |number| {
            outside::answer(request.try_access_with(|(host, handle_req, canary)| {
                touch(canary);
                host.request.store(number, Relaxed);
                handle_req.schedule()
            }))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    unbind_while_called(machine, &module::MODULE, Edu::new(), || {});
}

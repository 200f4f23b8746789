// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A tunnel: packets queue event work, which queues two delayed works, which queue themselves. They are there
//! while the interface is up.
//!
//! When the interface went down the driver cancelled the delayed works, and the event work, which was still
//! running, queued them again. Here what is there while the interface is up is a part of the scope, and all of
//! it refuses before any is waited for. [`outside`] stands in for the socket, which never lets go of whom it
//! delivers to, and a misc device for whoever takes the interface up and down.

use crate::{
    harness::reached,
    stage::{bind, canary, if_refused, outside, take_away, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, file::File, part::Part, work::Work, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

pub const BUGS: &[&str] = &["amt-discovery-works"];
pub const REACHES: &[&str] = &[
    "packet came while the interface went down",
    "event work ran while the interface went down",
    "discovery work ran while the interface went down",
    "event work when the others would not be queued any more",
    "packet came when the interface was down",
    "event work ran after unbind() began",
];

const UP: u32 = 1;
const DOWN: u32 = 2;

/// What is there while the interface is up.
pub struct Tunnel {
    events: Atomic<i32>,
    sent: KBox<Atomic<i64>>,
    going_down: Atomic<bool>,
}

impl Tunnel {
    fn new() -> Result<Self> {
        Ok(Self {
            events: Atomic::new(0),
            sent: canary()?,
            going_down: Atomic::new(false),
        })
    }

    fn reached_if_going_down(&self, mark: &'static str) {
        if self.going_down.load(Relaxed) {
            reached(mark);
        }
    }
}

/// What a packet finds.
struct Packets;

impl Side for Packets {
    type Device<'a> = (&'a Tunnel, Work<'a>);
}

/// `ndo_open()`
fn up<'a>(amt: &'a Data<'_, ()>, tunnel: Part<'a, Tunnel>) -> Result {
    tunnel.begin(Tunnel::new(), |tunnel, scope| {
        let tunnel = tunnel.get_ref();
        let (first, second, third) = (canary()?, canary()?, canary()?);
        let (request, slot) = scope.declare_delayed_work()?;
        slot.define(scope, move || {
            touch(&first);
            touch(&tunnel.sent);
            request.schedule(2);
        })?;
        let (discovery, slot) = scope.declare_delayed_work()?;
        slot.define(scope, move || {
            touch(&second);
            touch(&tunnel.sent);
            tunnel.reached_if_going_down("discovery work ran while the interface went down");
            discovery.schedule(1);
        })?;
        let event = scope.work(move || {
            touch(&third);
            tunnel.reached_if_going_down("event work ran while the interface went down");
            amt.late("event work ran after unbind() began");
            if tunnel.events.xchg(0, Relaxed) != 0 {
                if_refused(
                    discovery.reschedule(0),
                    "event work when the others would not be queued any more",
                );
                request.reschedule(1);
            }
        })?;
        let packets = scope.entrance::<Packets>((tunnel, event))?;
        outside::register(move |_| {
            let received = packets.try_access_with(|(tunnel, event)| {
                tunnel.reached_if_going_down("packet came while the interface went down");
                tunnel.events.fetch_add(1, Relaxed);
                event.schedule();
            });
            received
                .ok_or(ENODEV)
                .inspect_err(|_| reached("packet came when the interface was down"))
        });
        Ok(())
    })
}

/// `ndo_stop()`
fn down(tunnel: Part<'_, Tunnel>) -> Result {
    tunnel.with(|tunnel| tunnel.going_down.store(true, Relaxed));
    tunnel.end()
}

/// An open file of the administrator's.
struct Admin;

#[vtable]
impl File for Admin {
    type Device<'a> = (&'a Data<'a, ()>, Part<'a, Tunnel>);
    type OwnerModule = module::Owner;

    fn open(_: &Self::Device<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Admin, GFP_KERNEL)?)
    }

    fn ioctl(&self, (amt, tunnel): &Self::Device<'_>, cmd: u32, _: usize) -> Result<isize> {
        match cmd {
            UP => up(amt, *tunnel)?,
            DOWN => down(*tunnel)?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = ();

    fn own() -> impl PinInit<(), Error> {
        Ok(())
    }

    fn attach<'a>(amt: &'a Data<'_, ()>, scope: &mut Scope<'a>) -> Result {
        let tunnel = scope.part()?;
        scope.misc_device::<Admin>(c"amt", (amt, tunnel))
    }
}

pub fn scenario(machine: &Machine) {
    let (module, slot) = bind(machine, &module::MODULE, Edu::new());
    let file = machine.open("amt").expect("the node opens");
    file.ioctl(UP, 0).expect("the interface goes up");
    let network = machine.spawn("network", || {
        for packet in 0..4 {
            let _ = outside::call(packet);
            kernel::hosted::preempt();
        }
    });
    let admin = machine.spawn("admin", move || {
        for cmd in [DOWN, UP] {
            let done = file.ioctl(cmd, 0);
            assert!(matches!(done, Ok(0) | Err(ENODEV)), "{done:?}");
        }
        file.close().expect("close() succeeds");
    });
    if machine.choose(2) == 0 {
        admin.join();
        slot.unbind().expect("the device unbinds");
    } else {
        slot.unbind().expect("the device unbinds");
        admin.join();
    }
    assert_eq!(outside::call(9), Err(ENODEV));
    network.join();
    outside::forget();
    take_away(module, slot);
}

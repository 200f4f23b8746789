// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A bus delivers messages to an endpoint from before the driver's probe() until after its end, whenever the
//! remote processor likes.
//!
//! One driver's callback found driver data that was not there yet, or half made; another's found what the error
//! path of its probe() had freed. Here the callback finds an entrance, published once what is behind it is
//! complete, or none; and a failing attach() closes it. The rpmsg bus is stood in for.

use crate::{
    harness::reached,
    stage::{canary, outside, touch, Data, Shape, Shaped},
};
use devscope::{
    entrance::{Entrance, Side},
    Scope,
};
use kernel::{
    hosted::{edu::Edu, Machine},
    new_spinlock,
    prelude::*,
    sync::{
        atomic::Atomic,
        Arc, SetOnce, SpinLock,
    },
};

pub const BUGS: &[&str] = &["fastrpc-rpmsg-early-cb", "rpmsg-char-priv-published"];
pub const REACHES: &[&str] = &[
    "refused: nothing is published yet",
    "refused: attach() has failed",
    "a message came in",
];

#[pin_data]
pub struct Channel {
    /// Contexts that wait for a reply, under the lock that had not been initialised.
    #[pin]
    contexts: SpinLock<u32>,
}

/// What a message reaches.
struct Messages;

impl Side for Messages {
    type Device<'a> = (&'a Channel, KBox<Atomic<i64>>);
}

/// Written once, and read by the bus.
struct Endpoint(SetOnce<Arc<Entrance<Messages>>>);

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Channel;

    fn own() -> impl PinInit<Channel, Error> {
        try_pin_init!(Channel {
            contexts <- new_spinlock!(0),
        })
    }

    fn attach<'a>(channel: &'a Data<'_, Channel>, scope: &mut Scope<'a>) -> Result {
        // The bus had the endpoint first: it delivers already.
        let endpoint = Arc::new(Endpoint(SetOnce::new()), GFP_KERNEL)?;
        let of_the_bus = endpoint.clone();
        outside::register(move |message| {
            let Some(entrance) = of_the_bus.0.as_ref() else {
                reached("refused: nothing is published yet");
                return Err(ENODEV);
            };
            let delivered = entrance.try_access_with(|(channel, canary)| {
                touch(canary);
                *channel.contexts.lock() += message;
                reached("a message came in");
            });
            if delivered.is_none() {
                reached("refused: attach() has failed");
            }
            delivered.ok_or(ENODEV)
        });
        kernel::hosted::preempt();
        let entrance = scope.entrance::<Messages>((channel, canary()?))?;
        endpoint.0.populate(entrance);
        kernel::hosted::preempt();
        // The node cannot be added.
        Err(EBUSY)
    }
}

pub fn scenario(machine: &Machine) {
    let module = machine.load(&module::MODULE).expect("the module loads");
    let remote = machine.spawn("remote processor", || {
        for message in 1..6 {
            let _ = outside::call(message);
            kernel::hosted::preempt();
        }
    });
    let slot = machine.plug_pci(Edu::new());
    assert!(!slot.is_bound());
    assert_eq!(outside::call(9), Err(ENODEV));
    remote.join();
    outside::forget();
    module.unload().expect("the module unloads");
    slot.unplug();
}

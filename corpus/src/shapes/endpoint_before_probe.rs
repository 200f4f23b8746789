// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A bus makes an endpoint before it probes a driver, and messages come through it, whenever the other side
//! likes, until the device is taken away. Whom they are for, the driver says by a pointer in the endpoint.
//!
//! The drivers set that pointer before what it points to was ready, or before a step that could fail, after
//! which it was freed. Here what can be published is an entrance, and there is none before `attach()`, when
//! the data is complete; if `attach()` fails, or the device is unbound, the pointer stays where it is, and the
//! entrance is closed. [`outside`] and [`bus`] stand in for rpmsg.

use crate::{
    harness::reached,
    stage::{canary, outside, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, work::Work, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Mutex,
    },
    time::{delay::fsleep, Delta},
};

pub const BUGS: &[&str] = &["fastrpc-rpmsg-early-cb", "rpmsg-char-priv-published"];
pub const REACHES: &[&str] = &[
    "message came when nothing was published",
    "message came before attach() had returned",
    "message came while attach() failed",
    "message came after unbind() began",
    "refused: a message after attach() has failed",
    "refused: a message after the end",
];

/// The endpoint's pointer. It is set once for each device, and never cleared by a driver.
mod bus {
    use super::Messages;
    use devscope::entrance::Entrance;
    use std::sync::{Arc, Mutex, PoisonError};

    /// Counted outside the model, which might change tasks while the lock is held.
    type Private = Option<Arc<kernel::sync::Arc<Entrance<Messages>>>>;

    static PRIVATE: Mutex<Private> = Mutex::new(None);

    fn with<R>(f: impl FnOnce(&mut Private) -> R) -> R {
        f(&mut PRIVATE.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn publish(entrance: kernel::sync::Arc<Entrance<Messages>>) {
        let entrance = Arc::new(entrance);
        with(|private| {
            assert!(private.is_none(), "published once");
            *private = Some(entrance);
        });
    }

    pub fn published() -> Private {
        with(|private| private.clone())
    }

    /// The device has gone, and its endpoint with it.
    pub fn clear() {
        drop(with(Option::take));
    }
}

#[pin_data]
pub struct Channel {
    /// Which calls wait for an answer. Not there before the data is complete.
    #[pin]
    contexts: Mutex<KVec<u32>>,
    received: KBox<Atomic<i64>>,
    attached: Atomic<bool>,
}

/// What a message finds.
struct Messages;

impl Side for Messages {
    type Device<'a> = (&'a Data<'a, Channel>, Work<'a>);
}

driver!(module, super::Driver<false>);
driver!(failing, super::Driver<true>);
pub struct Driver<const FAILS: bool>;

impl<const FAILS: bool> Shape for Driver<FAILS> {
    type Own = Channel;

    fn own() -> impl PinInit<Channel, Error> {
        try_pin_init!(Channel {
            contexts <- new_mutex!(KVec::new()),
            received: canary()?,
            attached: Atomic::new(false),
        })
    }

    fn attach<'a>(channel: &'a Data<'_, Channel>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let work = scope.work(move || {
            touch(&canary);
            channel.contexts.lock().clear();
        })?;
        bus::publish(scope.entrance::<Messages>((channel, work))?);
        // Adding a node takes its time, and may fail.
        fsleep(Delta::from_micros(100));
        if FAILS {
            return channel.fail(ENOMEM);
        }
        channel.attached.store(true, Relaxed);
        Ok(())
    }
}

/// What the bus has in the endpoint from the beginning.
fn callback(message: u32) -> Result {
    let Some(private) = bus::published() else {
        reached("message came when nothing was published");
        return Err(ENXIO);
    };
    let received = private.try_access_with(|(channel, work)| {
        match (channel.is_unbinding(), channel.attached.load(Relaxed)) {
            (true, true) => reached("message came after unbind() began"),
            (true, false) => reached("message came while attach() failed"),
            (false, false) => reached("message came before attach() had returned"),
            (false, true) => {}
        }
        touch(&channel.received);
        channel.contexts.lock().push(message, GFP_KERNEL)?;
        work.schedule();
        Ok(())
    });
    received.unwrap_or(Err(ENODEV))
}

pub fn scenario(machine: &Machine) {
    outside::register(callback);
    let fails = machine.choose(2) == 0;
    let remote = machine.spawn("remote", move || {
        for message in 0..6 {
            if outside::call(message) == Err(ENODEV) {
                reached(match fails {
                    true => "refused: a message after attach() has failed",
                    false => "refused: a message after the end",
                });
            }
            kernel::hosted::preempt();
        }
    });
    let module = match fails {
        true => &failing::MODULE,
        false => &module::MODULE,
    };
    let module = machine.load(module).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert_eq!(slot.is_bound(), !fails);
    if !fails {
        slot.unbind().expect("the device unbinds");
    }
    assert_eq!(outside::call(9), Err(ENODEV));
    remote.join();
    module.unload().expect("the module unloads");
    slot.unplug();
    outside::forget();
    bus::clear();
}

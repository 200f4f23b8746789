// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A mailbox of another driver delivers messages. They are put into a fifo, and work takes them out; each
//! message also brings a delayed work item closer that posts new buffers.
//!
//! The drivers freed fifo and device without waiting for the work, and let go of the mailbox last. Here
//! both works end with the scope, and a message comes in through an `Entrance`, which is closed before.
//! Calls from outside stand in for the mailbox, the message layer, hwmon and the network device.

use crate::stage::{canary, outside, touch, unbind_while_called, Data, Shape, Shaped};
use devscope::{
    entrance::Side,
    work::{DelayedWork, Work},
    Scope,
};
use kernel::{
    hosted::{edu::Edu, Machine},
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        SpinLock,
    },
};

pub const BUGS: &[&str] = &["xgene-hwmon", "mptlan-post-buckets"];
pub const REACHES: &[&str] = &[
    "message while unbinding",
    "work ran while unbinding",
    "delayed work ran while unbinding",
    "refused: the entrance is closed",
];

#[pin_data]
pub struct Ctx {
    /// In memory of its own, as in C.
    #[pin]
    async_msg_fifo: SpinLock<KBox<[u32; 8]>>,
    buckets: Atomic<u32>,
}

/// What a message reaches.
pub struct Messages<'a> {
    ctx: &'a Data<'a, Ctx>,
    workq: Work<'a>,
    post_buckets: DelayedWork<'a>,
    canary: KBox<Atomic<i64>>,
}

struct Received;

impl Side for Received {
    type Device<'a> = Messages<'a>;
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Ctx;

    fn own() -> impl PinInit<Ctx, Error> {
        try_pin_init!(Ctx {
            async_msg_fifo <- {
                let fifo = KBox::new([0; 8], GFP_KERNEL)?;
                new_spinlock!(fifo)
            },
            buckets: Atomic::new(0),
        })
    }

    fn attach<'a>(ctx: &'a Data<'_, Ctx>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        let workq = scope.work(move || {
            touch(&first);
            ctx.late("work ran while unbinding");
            ctx.async_msg_fifo.lock().fill(0);
            touch(&first);
        })?;
        let post_buckets = scope.delayed_work(move || {
            touch(&second);
            ctx.late("delayed work ran while unbinding");
            ctx.buckets.add(1, Relaxed);
            touch(&second);
        })?;
        let messages = Messages {
            ctx,
            workq,
            post_buckets,
            canary: canary()?,
        };
        let received = scope.entrance::<Received>(messages)?;
        outside::register(move |message| {
            outside::answer(received.try_access_with(|to| {
                touch(&to.canary);
                to.ctx.late("message while unbinding");
                if let Some(free) = to.ctx.async_msg_fifo.lock().iter_mut().find(|m| **m == 0) {
                    *free = message;
                }
                to.post_buckets.reschedule(message as usize % 2);
                to.workq.schedule()
            }))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    unbind_while_called(machine, &module::MODULE, Edu::new(), || {});
}

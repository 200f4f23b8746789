// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A card on a network: one timer has work send something before the connection is taken for dead, and the
//! work starts it again; another one says that the other side is dead, and each packet puts it off.
//!
//! The driver deleted both timers without waiting, and freed the card. Here all of them are told to refuse
//! before the first is waited for. Work that waits for packets stands in for the socket's thread, and
//! interrupts for the packets.

use crate::stage::{canary, if_refused, regs, touch, unbind_while, Data, Shape, Shaped};
use devscope::Scope;
use kernel::{
    hosted::{edu::Edu, Machine},
    io::Io,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["l1oip-keepalive-timers"];
pub const REACHES: &[&str] = &[
    "keep-alive timer ran after unbind() began",
    "timeout ran after unbind() began",
    "work sent after unbind() began",
    "packet came after unbind() began",
    "the work would not be queued any more",
    "the thread was let go",
];

pub struct Card {
    received: Atomic<i32>,
    connected: Atomic<bool>,
    /// The socket.
    socket: KBox<Atomic<i64>>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Card;

    fn own() -> impl PinInit<Card, Error> {
        try_init!(Card {
            received: Atomic::new(0),
            connected: Atomic::new(false),
            socket: canary()?,
        }? Error)
    }

    fn attach<'a>(card: &'a Data<'_, Card>, scope: &mut Scope<'a>) -> Result {
        let (first, second, third, fourth) = (canary()?, canary()?, canary()?, canary()?);
        let (keepalive, slot) = scope.declare_timer()?;
        let send = scope.work(move || {
            touch(&first);
            touch(&card.socket);
            card.bar.write32(0, regs::ACKNOWLEDGE);
            keepalive.start(2);
            card.late("work sent after unbind() began");
        })?;
        slot.define(scope, move || {
            touch(&second);
            card.late("keep-alive timer ran after unbind() began");
            if_refused(send.schedule(), "the work would not be queued any more");
        })?;
        let timeout = scope.timer(move || {
            touch(&third);
            card.connected.store(false, Relaxed);
            card.late("timeout ran after unbind() began");
        })?;
        let packets = scope.wait_queue()?;
        let thread = scope.work(move || loop {
            touch(&fourth);
            let waited = packets.wait_until(|| card.received.load(Relaxed) > 0);
            if waited.is_err() {
                crate::harness::reached("the thread was let go");
                return;
            }
            card.received.fetch_add(-1, Relaxed);
            card.connected.store(true, Relaxed);
            timeout.start(3);
            card.late("packet came after unbind() began");
        })?;
        card.handle(scope, 0, move || {
            card.received.fetch_add(1, Relaxed);
            packets.wake_all();
        })?;
        thread.schedule();
        keepalive.start(2);
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &module::MODULE, edu.clone(), move || {
        (0..3).for_each(|_| edu.raise(1));
    });
}

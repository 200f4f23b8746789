// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A node whose `ioctl()` has the device interrupt, and waits for that.
//!
//! The driver deregistered the node and freed its state, and released its vectors last: an interrupt in
//! between found nothing. Here the node, the handler and the state go in that order whatever the driver
//! says, and a program that keeps its file open is told `ENODEV`.

use crate::{
    harness::reached,
    stage::{canary, touch, unbind_while_open, Data, Shape, Shaped},
};
use devscope::{file::File, wait::WaitQueue, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full},
        Arc,
    },
};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

pub const BUGS: &[&str] = &["pci-endpoint-test-irq"];
pub const REACHES: &[&str] = &[
    "ioctl() was interrupted for",
    "refused: ioctl()",
    "interrupt after the node was closed",
];

/// Whether a program has been told that the device has gone: for a mark.
static CLOSED: AtomicBool = AtomicBool::new(false);

pub struct Test {
    irq_raised: Atomic<u32>,
}

/// What `ioctl()` uses.
pub struct Endpoint<'a> {
    test: &'a Data<'a, Test>,
    raised: WaitQueue<'a>,
    canary: KBox<Atomic<i64>>,
}

pub struct TestFile;

#[vtable]
impl File for TestFile {
    type Device<'a> = Endpoint<'a>;
    type OwnerModule = module::Owner;

    fn open(_endpoint: &Endpoint<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(TestFile, GFP_KERNEL)?)
    }

    /// Has the endpoint send an MSI.
    fn ioctl(&self, endpoint: &Endpoint<'_>, _cmd: u32, _arg: usize) -> Result<isize> {
        touch(&endpoint.canary);
        let before = endpoint.test.irq_raised.load(Acquire);
        endpoint.test.raise();
        let raised = || endpoint.test.irq_raised.load(Acquire) != before;
        endpoint.raised.wait_until(raised)?;
        touch(&endpoint.canary);
        Ok(1)
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Test;

    fn own() -> impl PinInit<Test, Error> {
        Ok(Test {
            irq_raised: Atomic::new(0),
        })
    }

    fn attach<'a>(test: &'a Data<'_, Test>, scope: &mut Scope<'a>) -> Result {
        let raised = scope.wait_queue()?;
        let canary = canary()?;
        test.handle(scope, 0, move || {
            touch(&canary);
            if CLOSED.load(SeqCst) {
                reached("interrupt after the node was closed");
            }
            test.irq_raised.fetch_add(1, Full);
            raised.wake_all();
        })?;
        let canary = self::canary()?;
        let endpoint = Endpoint {
            test,
            raised,
            canary,
        };
        scope.misc_device::<TestFile>(c"pci-endpoint-test", endpoint)
    }
}

pub fn scenario(machine: &Machine) {
    CLOSED.store(false, SeqCst);
    let edu = Edu::new();
    let raising = edu.clone();
    let hardware = move || (0..3).for_each(|_| raising.raise(1));
    unbind_while_open(
        machine,
        &module::MODULE,
        edu,
        hardware,
        "pci-endpoint-test",
        |file| {
            while file.ioctl(0, 0).is_ok() {
                reached("ioctl() was interrupted for");
            }
            CLOSED.store(true, SeqCst);
            assert_eq!(file.ioctl(0, 0), Err(ENODEV));
            reached("refused: ioctl()");
        },
    );
}

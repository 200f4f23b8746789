// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a device does whose bus alone is of interest: a counter and a node. Shared by the examples
//! `on_auxiliary`, `on_faux` and `on_i2c`.
//!
//! A program that writes asks a work item to count; one that reads waits for a count that it has not
//! seen yet. So there is always somebody in the middle of something when the device is taken away.

use devscope::{
    file::{File, Kiocb},
    wait::WaitQueue,
    work::Work,
    Scope,
};
use kernel::{
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    sync::{
        atomic::{Atomic, Full, Relaxed},
        Arc,
    },
};

// The hosted kernel has a module for each driver, and Linux one for each crate.
#[allow(unused_imports, reason = "there, `#[vtable]` looks for it at the root")]
use super::LocalModule;

/// How often it was counted since the device was bound.
pub(super) type Count = Atomic<i32>;

/// Makes a node, and what works behind it.
pub(super) fn attach<'a>(count: &'a Count, scope: &mut Scope<'a>, node: &'static CStr) -> Result {
    let counted = scope.wait_queue()?;
    let work = scope.work(move || {
        count.fetch_add(1, Full);
        counted.wake_all();
    })?;
    scope.misc_device::<CounterFile>(
        node,
        CounterDevice {
            count,
            counted,
            work,
        },
    )
}

struct CounterDevice<'a> {
    count: &'a Count,
    counted: WaitQueue<'a>,
    work: Work<'a>,
}

/// One open file: what it has seen.
struct CounterFile {
    seen: Atomic<i32>,
}

#[vtable]
impl File for CounterFile {
    type Device<'a> = CounterDevice<'a>;

    fn open(dev: &CounterDevice<'_>) -> Result<Arc<Self>> {
        let seen = Atomic::new(dev.count.load(Relaxed));
        Ok(Arc::new(CounterFile { seen }, GFP_KERNEL)?)
    }

    /// Waits for a count that this file has not seen, and gives its last byte.
    fn read_iter(
        &self,
        dev: &CounterDevice<'_>,
        _kiocb: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        let seen = self.seen.load(Relaxed);
        dev.counted.wait_until(|| dev.count.load(Relaxed) != seen)?;
        let count = dev.count.load(Relaxed);
        self.seen.store(count, Relaxed);
        Ok(to.copy_to_iter(&[count as u8]))
    }

    /// Asks for one more.
    fn write_iter(
        &self,
        dev: &CounterDevice<'_>,
        _kiocb: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        dev.work.schedule();
        let length = from.len();
        from.advance(length);
        Ok(length)
    }
}

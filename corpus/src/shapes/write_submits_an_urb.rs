// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! write() submits an URB and returns; the program closes its file, and the device is pulled out.
//!
//! The driver's disconnect() killed such URBs only if the file was still open, so a completion ran on freed
//! memory. Here an URB belongs to the scope, and not to the file that had it submitted.

use crate::{
    harness::reached,
    stage::{
        canary, touch,
        usb::{unbind_while, Shape, Shaped},
    },
};
use devscope::{
    file::{File, Kiocb},
    urb::{Endpoint, Out, Urb},
    Scope,
};
use kernel::{
    device::Bound,
    hosted::Machine,
    iov::IovIterSource,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
    usb::Interface,
};

pub const BUGS: &[&str] = &["iowarrior-write-urbs"];
pub const REACHES: &[&str] = &["the file was closed before its write was over", "write() got ENODEV"];

pub struct IoWarrior {
    /// Writes that are not over, and open files.
    busy: Atomic<i32>,
    opened: Atomic<i32>,
}

/// The device side of the node.
struct Device<'a> {
    dev: &'a IoWarrior,
    urb: Urb<'a, Out>,
}

struct Opened;

#[vtable]
impl File for Opened {
    type OwnerModule = module::Owner;
    type Device<'a> = Device<'a>;

    fn open(side: &Device<'_>) -> Result<Arc<Self>> {
        side.dev.opened.add(1, Relaxed);
        Ok(Arc::new(Opened, GFP_KERNEL)?)
    }

    fn write_iter(
        &self,
        side: &Device<'_>,
        _kiocb: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        let mut report = [0; 8];
        let length = from.copy_from_iter(&mut report);
        side.dev.busy.add(1, Relaxed);
        let submitted = side.urb.submit(&report[..length]);
        if submitted.is_err() {
            side.dev.busy.add(-1, Relaxed);
        }
        submitted.map(|()| length)
    }

    /// The last that the driver says of a file is said by an ioctl: release() has no device.
    fn ioctl(&self, side: &Device<'_>, _cmd: u32, _arg: usize) -> Result<isize> {
        side.dev.opened.add(-1, Relaxed);
        Ok(0)
    }
}

driver!(usb, module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = IoWarrior;

    fn own() -> impl PinInit<IoWarrior, Error> {
        Ok(IoWarrior {
            busy: Atomic::new(0),
            opened: Atomic::new(0),
        })
    }

    fn attach<'a>(
        intf: &'a Interface<Bound>,
        dev: &'a IoWarrior,
        scope: &mut Scope<'a>,
    ) -> Result {
        let canary = canary()?;
        let urb = scope.urb(intf, Endpoint::INTERRUPT_OUT, 8, move |_done| {
            touch(&canary);
            dev.busy.add(-1, Relaxed);
            if dev.opened.load(Relaxed) == 0 {
                reached("the file was closed before its write was over");
            }
        })?;
        scope.misc_device::<Opened>(c"iowarrior", Device { dev, urb })
    }
}

pub fn scenario(machine: &Machine) {
    let programs = *machine;
    unbind_while(machine, &module::MODULE, move || {
        let Ok(file) = programs.open("iowarrior") else {
            return;
        };
        if file.write(b"on") == Err(ENODEV) {
            reached("write() got ENODEV");
        }
        let _ = file.ioctl(0, 0);
        file.close().expect("close() succeeds");
    });
}

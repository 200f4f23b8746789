// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A driver for a USB interface: that of Linux's own test device, "Gadget Zero".
//!
//! It does what the drivers of `examples/counter.rs` do, by asking the device: a program that writes has it
//! asked for its status, and one that reads waits for an answer that it has not seen. Meanwhile two more
//! URBs keep themselves going, one at an endpoint of the interface, and one at endpoint 0, which the USB
//! core does not switch off for an unbinding.

#![forbid(unsafe_code)]

use devscope::{
    file::{File, Kiocb},
    urb::{ControlIn, Endpoint, Request, Urb},
    usb::Driver,
    wait::WaitQueue,
    Scope,
};
use kernel::{
    device::{Bound, Core},
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    sync::{
        atomic::{Atomic, Full, Relaxed},
        Arc,
    },
    usb::{self, Interface},
};

/// What the device says of its power, and whether it wakes the host.
const GET_STATUS: Request = Request {
    request_type: 0,
    request: 0,
    value: 0,
    index: 0,
};

/// What the device is.
const GET_DESCRIPTOR: Request = Request {
    request_type: 0,
    request: 6,
    value: 1 << 8,
    index: 0,
};

/// How long a device's descriptor is, which is also what it begins with.
const DESCRIPTOR: usize = 18;

struct Data {
    /// How often the device has told its status.
    count: Atomic<i32>,
    /// How often it has told what it is.
    descriptors: Atomic<i32>,
    /// How many blocks it has sent.
    blocks: Atomic<i32>,
}

struct OnUsb;

kernel::usb_device_table!(
    USB_TABLE,
    <OnUsb as Driver>::IdInfo,
    [(usb::DeviceId::from_id(0x0525, 0xa4a0), 7)]
);

impl Driver for OnUsb {
    /// What the count begins with.
    type IdInfo = i32;
    type Data<'bound> = Data;
    const ID_TABLE: usb::IdTable<Self::IdInfo> = &USB_TABLE;

    fn probe<'bound>(
        _intf: &'bound Interface<Core<'_>>,
        info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Data, Error> + 'bound {
        Ok(Data {
            // A device that was added through sysfs (`new_id`) has no entry in the table.
            count: Atomic::new(*info.unwrap_or(&0)),
            descriptors: Atomic::new(0),
            blocks: Atomic::new(0),
        })
    }

    fn attach<'a>(
        intf: &'a Interface<Bound>,
        data: Pin<&'a Data>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let counted = scope.wait_queue()?;
        let status = scope.urb(intf, Endpoint::CONTROL_IN, 2, move |status| {
            let told = status.status().is_ok() && status.length() == 2;
            // Who is told "busy" from now on will see the count change.
            drop(status);
            if told {
                data.count.fetch_add(1, Full);
                counted.wake_all();
            }
        })?;
        let descriptor = scope.urb(intf, Endpoint::CONTROL_IN, DESCRIPTOR, move |descriptor| {
            if descriptor.status().is_err() {
                return;
            }
            if descriptor.data().first() == Some(&(DESCRIPTOR as u8)) {
                data.descriptors.fetch_add(1, Full);
                counted.wake_all();
            }
            let _ = descriptor.resubmit(GET_DESCRIPTOR, DESCRIPTOR);
        })?;
        let source = scope.urb(intf, Endpoint::BULK_IN, 512, move |block| {
            if block.status().is_err() {
                return;
            }
            data.blocks.fetch_add(1, Full);
            counted.wake_all();
            let _ = block.resubmit();
        })?;
        scope.misc_device::<StatusFile>(
            c"on_usb",
            StatusDevice {
                data,
                counted,
                status,
            },
        )?;
        descriptor.submit(GET_DESCRIPTOR, DESCRIPTOR)?;
        source.submit()
    }
}

struct StatusDevice<'a> {
    data: &'a Data,
    counted: WaitQueue<'a>,
    status: Urb<'a, ControlIn>,
}

/// One open file: what it has seen.
struct StatusFile {
    seen: Atomic<i32>,
}

#[vtable]
impl File for StatusFile {
    type Device<'a> = StatusDevice<'a>;

    fn open(dev: &StatusDevice<'_>) -> Result<Arc<Self>> {
        let seen = Atomic::new(dev.data.count.load(Relaxed));
        Ok(Arc::new(StatusFile { seen }, GFP_KERNEL)?)
    }

    /// Waits for a count that this file has not seen, and for the other URBs to have begun, and gives the
    /// last byte of the count.
    fn read_iter(
        &self,
        dev: &StatusDevice<'_>,
        _kiocb: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        let seen = self.seen.load(Relaxed);
        dev.counted.wait_until(|| {
            dev.data.count.load(Relaxed) != seen
                && dev.data.descriptors.load(Relaxed) > 0
                && dev.data.blocks.load(Relaxed) > 0
        })?;
        let count = dev.data.count.load(Relaxed);
        self.seen.store(count, Relaxed);
        Ok(to.copy_to_iter(&[count as u8]))
    }

    /// Asks once more.
    fn write_iter(
        &self,
        dev: &StatusDevice<'_>,
        _kiocb: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        match dev.status.submit(GET_STATUS, 2) {
            // Somebody has asked, and the answer is for all.
            Ok(()) | Err(EBUSY) => {}
            Err(error) => return Err(error),
        }
        let length = from.len();
        from.advance(length);
        Ok(length)
    }
}

devscope::module_usb_driver! {
    type: OnUsb,
    name: "on_usb",
    authors: ["The devscope authors"],
    description: "Asks a device for its status",
    license: "GPL",
}

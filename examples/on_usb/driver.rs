// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A driver for a USB interface: that of Linux's own test device, "Gadget Zero". Linux's `kernel` crate
//! has no transfers yet, and so it counts.

#![forbid(unsafe_code)]

#[path = "../counter.rs"]
mod counter;

use counter::Count;
use devscope::{usb::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    prelude::*,
    usb::{self, Interface},
};

struct OnUsb;

kernel::usb_device_table!(
    USB_TABLE,
    <OnUsb as Driver>::IdInfo,
    [(usb::DeviceId::from_id(0x0525, 0xa4a0), 7)]
);

impl Driver for OnUsb {
    /// What the counter begins with.
    type IdInfo = i32;
    type Data<'bound> = Count;
    const ID_TABLE: usb::IdTable<Self::IdInfo> = &USB_TABLE;

    fn probe<'bound>(
        _intf: &'bound Interface<Core<'_>>,
        info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Count, Error> + 'bound {
        // A device that was added through sysfs (`new_id`) has no entry in the table.
        Ok(Count::new(*info.unwrap_or(&0)))
    }

    fn attach<'a>(
        _intf: &'a Interface<Bound>,
        count: Pin<&'a Count>,
        scope: &mut Scope<'a>,
    ) -> Result {
        counter::attach(count.get_ref(), scope, c"on_usb")
    }
}

devscope::module_usb_driver! {
    type: OnUsb,
    name: "on_usb",
    authors: ["The devscope authors"],
    description: "A counter on a USB bus",
    license: "GPL",
}

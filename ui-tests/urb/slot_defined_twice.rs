// An URB has one body: a second one would replace the first under a CPU that runs it.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The first body may be running while its pointer is exchanged for that of the second.

use devscope::{urb::Endpoint, usb::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    usb::{self, Interface},
};

struct Data {
    keys: Atomic<usize>,
}

struct Demo;

kernel::usb_device_table!(TABLE, (), [(usb::DeviceId::from_id(1, 2), ())]);

impl Driver for Demo {
    type IdInfo = ();
    type Data<'bound> = Data;
    const ID_TABLE: usb::IdTable<()> = &TABLE;

    fn probe<'bound>(
        _intf: &'bound Interface<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Data, Error> + 'bound {
        Ok(Data {
            keys: Atomic::new(0),
        })
    }

    fn attach<'a>(
        intf: &'a Interface<Bound>,
        data: Pin<&'a Data>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let (keys, slot) = scope.declare_urb(intf, Endpoint::INTERRUPT_IN, 8)?;
        slot.define(scope, move |_| data.keys.add(1, Relaxed))?;
        keys.submit()?;
        slot.define(scope, move |_| data.keys.add(2, Relaxed))?;
        Ok(())
    }
}

devscope::module_usb_driver! {
    type: Demo,
    name: "demo",
    authors: ["The devscope authors"],
    description: "A demonstration",
    license: "GPL",
}

fn main() {}

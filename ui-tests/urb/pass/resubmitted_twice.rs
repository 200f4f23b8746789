// Resubmitting consumes what is over.
// SPDX-License-Identifier: GPL-2.0-only OR MIT

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
        let keys = scope.urb(intf, Endpoint::INTERRUPT_IN, 8, move |keys| {
            data.keys.add(keys.length(), Relaxed);
            let _ = keys.resubmit();
        })?;
        keys.submit()
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

// The interface is bound for 'a: an URB of another would be in flight when that has gone.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// For a shorter time than the scope's, any interface would do that somebody has at hand.

use devscope::{urb::Endpoint, usb::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    usb::{self, Interface},
};

fn listen<'a>(intf: &Interface<Bound>, data: &'a Data, scope: &mut Scope<'a>) -> Result {
    let keys = scope.urb(intf, Endpoint::INTERRUPT_IN, 8, move |keys| {
        data.keys.add(keys.length(), Relaxed);
    })?;
    keys.submit()
}

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
        listen(intf, data, scope)
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

// The macro takes a devscope driver: with USB's own, nobody would stop work before the data goes.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Registered there, a work item would be stopped by its own destructor, which a driver can forget.

use devscope::Scope;
use kernel::{
    device::{Bound, Core},
    prelude::*,
    usb::{self, Interface},
};

struct Demo;

kernel::usb_device_table!(TABLE, (), [(usb::DeviceId::from_id(1, 2), ())]);

impl devscope::usb::Driver for Demo {
    type IdInfo = ();
    type Data<'bound> = Self;
    const ID_TABLE: usb::IdTable<()> = &TABLE;

    fn probe<'bound>(
        _intf: &'bound Interface<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Self, Error> + 'bound {
        Ok(Demo)
    }

    fn attach<'a>(
        _intf: &'a Interface<Bound>,
        _data: Pin<&'a Self>,
        _scope: &mut Scope<'a>,
    ) -> Result {
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

// An access gives back what it found out, not the device: outside, nothing keeps that there.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The device may be unbound between the access and the write.

use devscope::{entrance::Side, pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
};

/// A register.
const DOORBELL: usize = 0x60;

#[pin_data]
struct Data<'bound> {
    bar: pci::Bar<'bound, 0x100>,
}

/// The mailbox of another driver: it keeps the callback for as long as it likes.
fn deliver_to(_callback: impl Fn(u32) + Send + Sync + 'static) {}

/// What a message from the mailbox reaches.
struct Messages;

impl Side for Messages {
    type Device<'a> = &'a Data<'a>;
}

struct Demo;

kernel::pci_device_table!(
    TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Demo {
    type IdInfo = ();
    type Data<'bound> = Data<'bound>;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Data<'bound>, Error> + 'bound {
        try_pin_init!(Data {
            bar: {
                dev.enable_device_mem()?;
                dev.iomap_region_sized(0, c"demo")?
            },
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let messages = scope.entrance::<Messages>(data)?;
        deliver_to(move |message| {
            let data = messages.try_access_with(|data| *data);
            if let Some(data) = data {
                data.bar.write32(message, DOORBELL);
            }
        });
        Ok(())
    }
}

devscope::module_pci_driver! {
    type: Demo,
    name: "demo",
    authors: ["The devscope authors"],
    description: "A demonstration",
    license: "GPL",
}

fn main() {}

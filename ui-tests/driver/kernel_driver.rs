// The macro takes a devscope driver: with another, nobody would stop handlers before the data goes.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Registered there, a handler would be freed by its own destructor, which a driver can forget.

use kernel::{device::Core, io::Io, pci, prelude::*};

/// A register.
const STATUS: usize = 0x24;

#[pin_data]
struct Data<'bound> {
    bar: pci::Bar<'bound, 0x100>,
}

struct Demo;

kernel::pci_device_table!(
    TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl pci::Driver for Demo {
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

    fn unbind<'bound>(_dev: &'bound pci::Device<Core<'_>>, data: Pin<&Data<'bound>>) {
        data.bar.write32(0, STATUS);
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

// Only the framework makes a scope: nobody would end one that probe() made, nor stop what is in it.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A scope of the driver's own could be forgotten; its tasklet would run on the data of a device
// that has been unbound.

use core::mem;
use devscope::{pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
};

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
        _scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let mut mine = Scope::new();
        let scope = &mut mine;
        scope.tasklet(move || data.bar.write32(1, STATUS))?;
        mem::forget(mine);
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

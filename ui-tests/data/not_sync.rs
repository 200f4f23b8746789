// The data is shared by all CPUs: a Cell in it would be changed by one while another reads it.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// With a KBox in the Cell, the tasklet would free it on one CPU while the handler uses it on
// another.

use core::cell::Cell;
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
    events: Cell<u32>,
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
            events: Cell::new(0),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        _data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let poll = scope.tasklet(|| pr_info!("once\n"))?;
        poll.schedule();
        Ok(())
    }

    fn unbind(_dev: &pci::Device<Core<'_>>, data: Pin<&Data<'_>>) {
        data.bar.write32(data.events.get(), STATUS);
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

// A mapping is kept for 'bound, not for ever: a file would use registers of a device that is gone.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A `Bar<'static>` fits into an open file; its mapping goes away when the device is unbound.

use devscope::{pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
};

/// A register.
const STATUS: usize = 0x24;

struct Data<'bound> {
    bar: pci::Bar<'static, 0x100>,
    vectors: pci::IrqVectorRegistration<'bound>,
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
        let build = move || {
            dev.enable_device_mem()?;
            Ok(Data {
                bar: dev.iomap_region_sized(0, c"demo")?,
                vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
            })
        };
        build()
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        scope.tasklet(move || data.bar.write32(1, STATUS))?;
        Ok(())
    }

    fn unbind(_dev: &pci::Device<Core<'_>>, data: Pin<&Data<'_>>) {
        pr_info!("{} vectors\n", data.vectors.len());
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

// A handle is not kept in the data: the data's destructor would use a line that is freed.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The scope's memory is freed before the data is dropped, and with it what the handle refers to.

use devscope::{irq::Irq, pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    irq::{Flags, IrqReturn},
    pci,
    prelude::*,
    sync::SetOnce,
};

/// A register.
const STATUS: usize = 0x24;

#[pin_data(PinnedDrop)]
struct Data<'bound> {
    bar: pci::Bar<'bound, 0x100>,
    vectors: pci::IrqVectorRegistration<'bound>,
    line: SetOnce<Irq<'bound>>,
}

#[pinned_drop]
impl PinnedDrop for Data<'_> {
    fn drop(self: Pin<&mut Self>) {
        if let Some(line) = self.line.as_ref() {
            let _ = line.enable();
        }
    }
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
            vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
            line: SetOnce::new(),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let line = scope.irq(data.vectors.index(0)?, Flags::SHARED, c"demo", move || {
            data.bar.write32(1, STATUS);
            IrqReturn::Handled
        })?;
        data.line.populate(line);
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

// An open file keeps no borrow of a mapping: the last close would write to what is unmapped.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A PCI switch was pulled out while a program had its node open. The last close ran the driver's release,
// which switches DMA off in registers that devres had unmapped. (The accelerator's file keeps a pointer to
// the device, which a process that cannot be killed brings to release() after removal.)
//
// Corpus: switchtec-stdev-release, habanalabs-fd-after-remove.

use devscope::{file::File, pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
    sync::Arc,
};

/// A register.
const DMA_ENABLE: usize = 0x24;

#[pin_data]
struct Switch<'bound> {
    mmio: pci::Bar<'bound, 0x100>,
}

/// One open file.
struct SwitchtecUser {
    stdev: &'static Switch<'static>,
}

struct Switchtec;

kernel::pci_device_table!(
    TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Switchtec {
    type IdInfo = ();
    type Data<'bound> = Switch<'bound>;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Switch<'bound>, Error> + 'bound {
        try_pin_init!(Switch {
            mmio: {
                dev.enable_device_mem()?;
                dev.iomap_region_sized(0, c"switchtec")?
            },
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        stdev: Pin<&'a Switch<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let stdev = stdev.get_ref();
        stdev.mmio.write32(1, DMA_ENABLE);
        scope.misc_device::<SwitchtecUser>(c"switchtec", stdev)
    }
}

#[vtable]
impl File for SwitchtecUser {
    type Device<'a> = &'a Switch<'a>;

    fn open(stdev: &&Switch<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(SwitchtecUser { stdev }, GFP_KERNEL)?)
    }

    fn release(this: Arc<Self>) {
        this.stdev.mmio.write32(0, DMA_ENABLE);
    }
}

devscope::module_pci_driver! {
    type: Switchtec,
    name: "switchtec",
    authors: ["The devscope authors"],
    description: "A PCI switch",
    license: "GPL",
}

fn main() {}

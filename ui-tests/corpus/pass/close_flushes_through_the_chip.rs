// release() frees what the file has, and unbind() clears what the chip has.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Each file of a TPM has a space, and closing the file flushes it through the chip's operations. One such
// place did not ask whether the chip still had any. (Closing the camera of a USB gadget disconnects the
// gadget, which unbind had given up after waiting a while.)
//
// Corpus: tpm-space-dead-chip, f-uvc-unbind-v4l2.

use devscope::{file::File, pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
    sync::Arc,
};

/// Registers.
const USE: usize = 0x08;
const FLUSH: usize = 0x60;

#[pin_data]
struct Chip<'bound> {
    bar: pci::Bar<'bound, 0x100>,
}

/// One open file, with a space of its own.
struct TpmSpace {
    handle: u32,
}

struct Tpm;

kernel::pci_device_table!(
    TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Tpm {
    type IdInfo = ();
    type Data<'bound> = Chip<'bound>;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Chip<'bound>, Error> + 'bound {
        try_pin_init!(Chip {
            bar: {
                dev.enable_device_mem()?;
                dev.iomap_region_sized(0, c"tpm")?
            },
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        chip: Pin<&'a Chip<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        scope.misc_device::<TpmSpace>(c"tpmrm", chip.get_ref())
    }

    fn unbind(_dev: &pci::Device<Core<'_>>, chip: Pin<&Chip<'_>>) {
        chip.bar.write32(u32::MAX, FLUSH);
    }
}

#[vtable]
impl File for TpmSpace {
    type Device<'a> = &'a Chip<'a>;

    fn open(chip: &&Chip<'_>) -> Result<Arc<Self>> {
        let handle = chip.bar.read32(USE);
        Ok(Arc::new(TpmSpace { handle }, GFP_KERNEL)?)
    }

    fn ioctl(&self, chip: &&Chip<'_>, _cmd: u32, _arg: usize) -> Result<isize> {
        chip.bar.write32(self.handle, USE);
        Ok(0)
    }

    fn release(this: Arc<Self>) {
        drop(this);
    }
}

devscope::module_pci_driver! {
    type: Tpm,
    name: "tpm",
    authors: ["The devscope authors"],
    description: "Spaces of a TPM",
    license: "GPL",
}

fn main() {}

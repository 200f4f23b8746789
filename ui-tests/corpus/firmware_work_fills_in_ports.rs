// What a handler reads is not changed under it: it would loop over ports that are half filled in.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A serial card's interrupt was on when probe() returned, and its handler loops over the ports; these were
// to be initialised when the firmware, asked for asynchronously, had come. It might never.
//
// Corpus: rp2-async-firmware.

use devscope::{pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    irq::{Flags, IrqReturn},
    pci,
    prelude::*,
};

/// Registers.
const STATUS: usize = 0x24;
const ACKNOWLEDGE: usize = 0x64;

struct Port {
    mask: u32,
}

struct Card<'bound> {
    bar: pci::Bar<'bound, 0x100>,
    vectors: pci::IrqVectorRegistration<'bound>,
    ports: KVec<Port>,
}

impl Card<'_> {
    fn interrupt(&self) -> IrqReturn {
        let status = self.bar.read32(STATUS);
        for port in self.ports.iter().filter(|port| status & port.mask != 0) {
            self.bar.write32(port.mask, ACKNOWLEDGE);
        }
        IrqReturn::Handled
    }
}

/// Loads the firmware, which knows of `N` ports.
fn firmware<const N: u32>() -> impl Iterator<Item = Port> {
    (0..N).map(|port| Port { mask: 1 << port })
}

struct Rp2;

kernel::pci_device_table!(
    TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Rp2 {
    type IdInfo = ();
    type Data<'bound> = Card<'bound>;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Card<'bound>, Error> + 'bound {
        let build = move || {
            dev.enable_device_mem()?;
            Ok(Card {
                bar: dev.iomap_region_sized(0, c"rp2")?,
                vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
                ports: KVec::new(),
            })
        };
        build()
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        card: Pin<&'a Card<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let card = card.get_ref();
        scope.irq(card.vectors.index(0)?, Flags::SHARED, c"rp2", move || {
            card.interrupt()
        })?;
        let load = scope.work(move || {
            for port in firmware::<16>() {
                let _ = card.ports.push(port, GFP_KERNEL);
            }
        })?;
        load.schedule();
        Ok(())
    }
}

devscope::module_pci_driver! {
    type: Rp2,
    name: "rp2",
    authors: ["The devscope authors"],
    description: "A serial card",
    license: "GPL",
}

fn main() {}

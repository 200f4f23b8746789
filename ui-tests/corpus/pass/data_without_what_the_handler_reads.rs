// Data is whole when the interrupt comes on.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A video core's handler calls through a table of operations, which is chosen after the interrupt has been
// requested; a spurious one at boot found no table. (A queue's handler follows the queue's pointer to its
// adapter, and one loops over the banks of a chip; either was filled in after the interrupt was on.)
//
// Corpus: venus-core-isr, mtk-svs-early-irq, ibmvfc-subcrq-backptr.

use devscope::{pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    irq::{Flags, IrqReturn},
    pci,
    prelude::*,
};

/// A register.
const STATUS: usize = 0x24;

/// What the firmware's version decides.
struct HfiOps {
    isr: fn(u32) -> IrqReturn,
}

/// Of the one version there is.
static HFI_OPS: HfiOps = HfiOps {
    isr: |status| match status {
        0 => IrqReturn::None,
        _ => IrqReturn::Handled,
    },
};

struct VenusCore<'bound> {
    bar: pci::Bar<'bound, 0x100>,
    vectors: pci::IrqVectorRegistration<'bound>,
    ops: &'static HfiOps,
}

impl VenusCore<'_> {
    fn isr(&self) -> IrqReturn {
        (self.ops.isr)(self.bar.read32(STATUS))
    }
}

struct Venus;

kernel::pci_device_table!(
    TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Venus {
    type IdInfo = ();
    type Data<'bound> = VenusCore<'bound>;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<VenusCore<'bound>, Error> + 'bound {
        let build = move || {
            dev.enable_device_mem()?;
            Ok(VenusCore {
                bar: dev.iomap_region_sized(0, c"venus")?,
                vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
                ops: &HFI_OPS,
            })
        };
        build()
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        core: Pin<&'a VenusCore<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let core = core.get_ref();
        scope.irq(core.vectors.index(0)?, Flags::SHARED, c"venus", move || {
            core.isr()
        })?;
        Ok(())
    }
}

devscope::module_pci_driver! {
    type: Venus,
    name: "venus",
    authors: ["The devscope authors"],
    description: "A video core",
    license: "GPL",
}

fn main() {}

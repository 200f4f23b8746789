// A handler borrows nothing that goes before it: it would read a block that close() has freed.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A network card's interrupt is installed for as long as the card is bound, and its handler reads a status
// block in memory. open() allocated the block and close() freed it, and the next interrupt of the shared
// line read freed memory. (The charger's interrupts were requested by probe(), and notified power supplies
// that come with bind() and go with unbind().)
//
// Corpus: wx-isb-freed-early, ab8500-charger-threaded.

use devscope::{file::File, part::Part, pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    irq::{Flags, IrqReturn},
    pci,
    prelude::*,
    sync::{
        atomic::{Atomic, Full},
        Arc,
    },
};

/// What stands in for taking the interface up and down.
const OPEN: u32 = 1;

/// The interrupt status block, written by the card.
struct Isb {
    misc: Atomic<i32>,
}

impl Isb {
    fn new() -> Result<Self> {
        let misc = Atomic::new(0);
        Ok(Isb { misc })
    }

    fn handle(&self) -> IrqReturn {
        match self.misc.xchg(0, Full) {
            0 => IrqReturn::None,
            _ => IrqReturn::Handled,
        }
    }
}

#[pin_data]
struct Wx<'bound> {
    vectors: pci::IrqVectorRegistration<'bound>,
}

struct TxgbeFile;

struct Txgbe;

kernel::pci_device_table!(
    TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Txgbe {
    type IdInfo = ();
    type Data<'bound> = Wx<'bound>;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Wx<'bound>, Error> + 'bound {
        try_pin_init!(Wx {
            vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        wx: Pin<&'a Wx<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let line = wx.get_ref().vectors.index(0)?;
        // From open() to close().
        let opened = scope.part::<Isb>()?;
        opened.begin(Isb::new(), |isb, _| {
            let isb = isb.get_ref();
            scope.irq(line, Flags::SHARED, c"txgbe", move || isb.handle())?;
            Ok(())
        })?;
        scope.misc_device::<TxgbeFile>(c"txgbe", opened)
    }
}

#[vtable]
impl File for TxgbeFile {
    type Device<'a> = Part<'a, Isb>;

    fn open(_opened: &Part<'_, Isb>) -> Result<Arc<Self>> {
        Ok(Arc::new(TxgbeFile, GFP_KERNEL)?)
    }

    fn ioctl(&self, opened: &Part<'_, Isb>, cmd: u32, _arg: usize) -> Result<isize> {
        match cmd {
            OPEN => opened.begin(Isb::new(), |_, _| Ok(()))?,
            _ => opened.end()?,
        }
        Ok(0)
    }
}

devscope::module_pci_driver! {
    type: Txgbe,
    name: "txgbe",
    authors: ["The devscope authors"],
    description: "A status block that comes and goes",
    license: "GPL",
}

fn main() {}

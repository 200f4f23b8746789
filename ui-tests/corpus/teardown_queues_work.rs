// unbind() queues no work from the data: whoever has a handle there has it when the work is freed.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A command to a network card that times out queues work, which looks at the card's health. Removal gives
// commands as well, and did so when the workqueue had been destroyed already.
//
// Corpus: pds-core-wq-before-irq.

use devscope::{pci::Driver, work::Work, workqueue::QueueOptions, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    irq::{Flags, IrqReturn},
    pci,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        SetOnce,
    },
};

/// Registers.
const COMMAND: usize = 0x08;
const DONE: usize = 0x20;

#[pin_data]
struct Pdsc<'bound> {
    bar: pci::Bar<'bound, 0x100>,
    vectors: pci::IrqVectorRegistration<'bound>,
    generation: Atomic<i32>,
    health_work: SetOnce<Work<'bound>>,
}

impl Pdsc<'_> {
    fn devcmd(&self, command: u32) -> Result {
        self.bar.write32(command, COMMAND);
        match self.bar.read32(DONE) {
            0 => {
                if let Some(health) = self.health_work.as_ref() {
                    health.schedule();
                }
                Err(ETIMEDOUT)
            }
            _ => Ok(()),
        }
    }
}

struct PdsCore;

kernel::pci_device_table!(
    TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for PdsCore {
    type IdInfo = ();
    type Data<'bound> = Pdsc<'bound>;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Pdsc<'bound>, Error> + 'bound {
        try_pin_init!(Pdsc {
            bar: {
                dev.enable_device_mem()?;
                dev.iomap_region_sized(0, c"pds")?
            },
            vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
            generation: Atomic::new(0),
            health_work: SetOnce::new(),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        pdsc: Pin<&'a Pdsc<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let pdsc = pdsc.get_ref();
        let wq = scope.workqueue(c"pds", QueueOptions::ordered())?;
        let health = scope.work_on(wq, move || pdsc.generation.add(1, Relaxed))?;
        pdsc.health_work.populate(health);
        scope.irq(
            pdsc.vectors.index(0)?,
            Flags::TRIGGER_NONE,
            c"pds",
            move || {
                let _ = pdsc.devcmd(2);
                IrqReturn::Handled
            },
        )?;
        Ok(())
    }

    fn unbind(dev: &pci::Device<Core<'_>>, pdsc: Pin<&Pdsc<'_>>) {
        let _ = (dev, pdsc.devcmd(1));
    }
}

devscope::module_pci_driver! {
    type: PdsCore,
    name: "pds",
    authors: ["The devscope authors"],
    description: "A network card that is asked for its health",
    license: "GPL",
}

fn main() {}

// The device side says in its type what it borrows, and for how long.
// SPDX-License-Identifier: GPL-2.0-only OR MIT

use devscope::{file::File, pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    pci,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

struct DemoFile;

fn register<'a>(scope: &mut Scope<'a>, events: &'a Atomic<i32>) -> Result {
    scope.misc_device::<DemoFile>(c"demo", events)
}

#[pin_data]
struct Data<'bound> {
    vectors: pci::IrqVectorRegistration<'bound>,
    events: Atomic<i32>,
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
            vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
            events: Atomic::new(0),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        register(scope, &data.get_ref().events)
    }

    fn unbind(_dev: &pci::Device<Core<'_>>, data: Pin<&Data<'_>>) {
        pr_info!(
            "{} vectors, {} events\n",
            data.vectors.len(),
            data.events.load(Relaxed)
        );
    }
}

#[vtable]
impl File for DemoFile {
    type Device<'a> = &'a Atomic<i32>;

    fn open(_events: &&Atomic<i32>) -> Result<Arc<Self>> {
        Ok(Arc::new(DemoFile, GFP_KERNEL)?)
    }

    fn ioctl(&self, events: &&Atomic<i32>, _cmd: u32, _arg: usize) -> Result<isize> {
        Ok(events.load(Relaxed) as isize)
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

// The part keeps its lifetime, and what its closures borrow lasts as long.
// SPDX-License-Identifier: GPL-2.0-only OR MIT

use devscope::{part::Part, pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// A register.
const STATUS: usize = 0x24;

#[pin_data]
struct Data<'bound> {
    bar: pci::Bar<'bound, 0x100>,
    refills: Atomic<i32>,
}

/// What a reset throws away and makes anew.
struct Ring {
    size: u32,
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
            refills: Atomic::new(0),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let ring = scope.part::<Ring>()?;
        fill(ring, &data.refills)?;
        data.bar.write32(1, STATUS);
        Ok(())
    }
}

fn fill<'a>(ring: Part<'a, Ring>, refills: &'a Atomic<i32>) -> Result {
    ring.begin(Ok::<_, Error>(Ring { size: 16 }), |_, scope| {
        let work = scope.work(move || refills.add(1, Relaxed))?;
        work.schedule();
        Ok(())
    })
}

devscope::module_pci_driver! {
    type: Demo,
    name: "demo",
    authors: ["The devscope authors"],
    description: "A demonstration",
    license: "GPL",
}

fn main() {}

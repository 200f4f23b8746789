// Work is not put on a queue of a part: the queue goes with the part, and the work stays.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// After the part has ended, the handle would queue on freed memory.

use devscope::{pci::Driver, workqueue::QueueOptions, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
};

/// A register.
const STATUS: usize = 0x24;

/// What a reset throws away and makes anew.
struct Ring {
    size: u32,
}

#[pin_data]
struct Data<'bound> {
    bar: pci::Bar<'bound, 0x100>,
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
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let ring = scope.part::<Ring>()?;
        let mut inner = None;
        ring.begin(Ok::<_, Error>(Ring { size: 16 }), |ring, scope| {
            let refill = move || data.bar.write32(ring.size, STATUS);
            let queue = scope.workqueue(c"demo", QueueOptions::ordered())?;
            inner = Some(queue);
            scope.work_on(queue, refill)?.schedule();
            Ok(())
        })?;
        let queue = inner.ok_or(EINVAL)?;
        let reset = scope.work_on(queue, move || data.bar.write32(1, STATUS))?;
        reset.schedule();
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

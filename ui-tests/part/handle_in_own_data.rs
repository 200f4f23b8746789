// A handle of a part does not fit into the part's own data, which others look at through with().
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// It would be found there when the work item has gone, by the destructor of the data at the latest.

use devscope::{pci::Driver, work::Work, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
    sync::SetOnce,
};

/// A register.
const STATUS: usize = 0x24;

#[pin_data]
struct Data<'bound> {
    bar: pci::Bar<'bound, 0x100>,
}

/// What a reset throws away and makes anew.
struct Ring<'a> {
    size: u32,
    refill: SetOnce<Work<'a>>,
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
        let ring = scope.part::<Ring<'a>>()?;
        let new = Ring {
            size: 16,
            refill: SetOnce::new(),
        };
        ring.begin(Ok::<_, Error>(new), |ring, scope| {
            let ring = ring.get_ref();
            let refill = scope.work(move || data.bar.write32(ring.size, STATUS))?;
            ring.refill.populate(refill);
            Ok(())
        })
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

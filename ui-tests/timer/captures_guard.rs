// A timer holds no lock from attach(): it would unlock, on another CPU, what it never locked.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// attach() would return with the lock held and preemption off. No use after free, but nobody else
// gets in.

use devscope::{pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    new_spinlock, pci,
    prelude::*,
    sync::SpinLock,
};

/// A register.
const STATUS: usize = 0x24;

#[pin_data]
struct Data<'bound> {
    bar: pci::Bar<'bound, 0x100>,
    #[pin]
    pending: SpinLock<u32>,
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
        pending <- new_spinlock!(0),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let pending = data.pending.lock();
        scope.timer(move || {
            data.bar.write32(*pending, STATUS);
        })?;
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

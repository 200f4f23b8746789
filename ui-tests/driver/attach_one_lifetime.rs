// attach() has two lifetimes: with one, the data could borrow itself, and read that when dropped.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The table is dropped before what borrows it. (`Data<'a>` is accepted where `Data` is covariant:
// then nothing can be stored in it through a shared borrow.)

use devscope::{pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
    sync::SetOnce,
};

/// A register.
const STATUS: usize = 0x24;

struct Entry(u32);

#[pin_data]
struct Data<'bound> {
    bar: pci::Bar<'bound, 0x100>,
    table: KVec<Entry>,
    current: SetOnce<&'bound Entry>,
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
            table: {
                let mut table = KVec::new();
                table.push(Entry(1), GFP_KERNEL)?;
                table
            },
            current: SetOnce::new(),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'a>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        data.current.populate(&data.table[0]);
        scope.tasklet(move || {
            data.bar
                .write32(data.current.as_ref().map_or(0, |entry| entry.0), STATUS);
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

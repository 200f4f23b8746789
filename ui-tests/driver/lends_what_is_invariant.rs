// What a parent lends is covariant: it could be given a borrow of itself, and use that when it is dropped.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A child sees it for as long as it lives, and SetOnce takes what lives as long: an entry of the table.

use devscope::{pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    pci,
    prelude::*,
    sync::SetOnce,
    types::CovariantForLt,
};

struct Entry(u32);

struct Lent<'a> {
    table: &'a [Entry],
    current: SetOnce<&'a Entry>,
}

struct Demo;

kernel::pci_device_table!(
    TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Demo {
    type IdInfo = ();
    type Data<'bound> = KVec<Entry>;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        _dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<KVec<Entry>, Error> + 'bound {
        Ok(KVec::new())
    }

    fn attach<'a>(
        dev: &'a pci::Device<Bound>,
        table: Pin<&'a KVec<Entry>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let table = table.get_ref();
        let lent = Lent {
            table,
            current: SetOnce::new(),
        };
        scope.auxiliary_device::<CovariantForLt!(Lent<'_>)>(
            dev.as_ref(),
            c"demo",
            c"part",
            lent.table.len() as u32 + lent.current.as_ref().map_or(0, |entry| entry.0),
            Ok(lent),
        )
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

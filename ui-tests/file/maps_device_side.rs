// What a program maps lives as long as the scope: the device side itself does not.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// An operation is lent the device side for the time of the call, and not for that of a mapping.

use devscope::{
    file::File,
    mmap::{Area, Mapping, Pages},
    pci::Driver,
    Scope,
};
use kernel::{
    device::{Bound, Core},
    pci,
    prelude::*,
    sync::Arc,
};

struct DemoFile;

struct Data {}

/// Owns what it should borrow.
struct Side {
    page: Pages,
}

struct Demo;

kernel::pci_device_table!(
    TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Demo {
    type IdInfo = ();
    type Data<'bound> = Data;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        _dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Data, Error> + 'bound {
        Ok(Data {})
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let _ = data;
        let page = Pages::new(1)?;
        scope.misc_device::<DemoFile>(c"demo", Side { page })
    }
}

#[vtable]
impl File for DemoFile {
    type Device<'a> = Side;

    fn open(_side: &Side) -> Result<Arc<Self>> {
        Ok(Arc::new(DemoFile, GFP_KERNEL)?)
    }

    fn mmap<'a>(&self, side: &Side, _area: &Area<'a>) -> Result<Mapping<'a>> {
        Ok(Mapping::pages(&side.page))
    }
}

devscope::module_pci_driver! {
    type: Demo,
    name: "demo",
    authors: ["The devscope authors"],
    description: "A page that programs map",
    license: "GPL",
}

fn main() {}

// What a program maps lives as long as the scope.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The file has a page of its own, and offers that of the device.

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

struct DemoFile {
    page: Pages,
}

struct Data {
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
        Pages::new(1).map(|page| Data { page })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data>,
        scope: &mut Scope<'a>,
    ) -> Result {
        scope.misc_device::<DemoFile>(c"demo", data.get_ref())
    }
}

#[vtable]
impl File for DemoFile {
    type Device<'a> = &'a Data;

    fn open(_data: &&Data) -> Result<Arc<Self>> {
        let page = Pages::new(1)?;
        Ok(Arc::new(DemoFile { page }, GFP_KERNEL)?)
    }

    fn mmap<'a>(&self, data: &&'a Data, _area: &Area<'a>) -> Result<Mapping<'a>> {
        Ok(Mapping::pages(&data.page))
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

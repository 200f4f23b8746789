// A region of minors lasts as long as the module: it cannot be a local of attach().
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Devices that come later could not share it, and the list of regions would point to a stack.

use devscope::{
    cdev::Region,
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
        dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let region = Region::new(c"demo", 8);
        let minors = scope.minors(&region, 1, dev.as_ref())?;
        scope.cdev::<DemoFile>(minors, 0, fmt!("demo"), data.get_ref())
    }
}

#[vtable]
impl File for DemoFile {
    type Device<'a> = &'a Data;

    fn open(_data: &&Data) -> Result<Arc<Self>> {
        Ok(Arc::new(DemoFile, GFP_KERNEL)?)
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

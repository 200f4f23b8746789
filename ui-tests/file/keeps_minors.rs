// Minors belong to the scope: the data, which outlives it, cannot keep them.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A node could be registered on a number that was given back, and that another device has now.

use devscope::{
    cdev::{Minors, Region},
    file::File,
    mmap::{Area, Mapping, Pages},
    pci::Driver,
    Scope,
};
use kernel::{
    device::{Bound, Core},
    new_mutex, pci,
    prelude::*,
    sync::{Arc, Mutex},
};

struct DemoFile;

#[pin_data]
struct Data<'bound> {
    page: Pages,
    #[pin]
    minors: Mutex<Option<Minors<'bound>>>,
}

static REGION: Region = Region::new(c"demo", 8);

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
        _dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Data<'bound>, Error> + 'bound {
        try_pin_init!(Data {
            page: Pages::new(1)?,
            minors <- new_mutex!(None),
        })
    }

    fn attach<'a>(
        dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let minors = scope.minors(&REGION, 1, dev.as_ref())?;
        *data.minors.lock() = Some(minors);
        scope.cdev::<DemoFile>(minors, 0, fmt!("demo"), &data.page)
    }
}

#[vtable]
impl File for DemoFile {
    type Device<'a> = &'a Pages;

    fn open(_page: &&Pages) -> Result<Arc<Self>> {
        Ok(Arc::new(DemoFile, GFP_KERNEL)?)
    }

    fn mmap<'a>(&self, page: &&'a Pages, _area: &Area<'a>) -> Result<Mapping<'a>> {
        Ok(Mapping::pages(page))
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

// open() does not return a borrow of the device: the file lives longer than what it points to.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A program that keeps the file open over an unbind would read whatever the memory is used for
// then.

use devscope::{file::File, pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

/// A register.
const STATUS: usize = 0x24;

struct DemoDevice<'a> {
    data: &'a Data<'a>,
}

struct DemoFile {
    events: &'static Atomic<i32>,
}

#[pin_data]
struct Data<'bound> {
    bar: pci::Bar<'bound, 0x100>,
    events: Atomic<i32>,
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
            events: Atomic::new(0),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        scope.misc_device::<DemoFile>(c"demo", DemoDevice { data })
    }
}

#[vtable]
impl File for DemoFile {
    type Device<'a> = DemoDevice<'a>;

    fn open(dev: &DemoDevice<'_>) -> Result<Arc<Self>> {
        let events = &dev.data.events;
        Ok(Arc::new(DemoFile { events }, GFP_KERNEL)?)
    }

    fn ioctl(&self, dev: &DemoDevice<'_>, _cmd: u32, _arg: usize) -> Result<isize> {
        dev.data.bar.write32(1, STATUS);
        Ok(self.events.load(Relaxed) as isize)
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

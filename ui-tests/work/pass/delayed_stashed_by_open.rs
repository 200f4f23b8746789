// An operation is given the handle with the device side, while there is one.
// SPDX-License-Identifier: GPL-2.0-only OR MIT

use devscope::{file::File, pci::Driver, work::DelayedWork, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
    sync::Arc,
};

/// A register.
const STATUS: usize = 0x24;

struct DemoFile;

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
        let poll = scope.delayed_work(move || data.bar.write32(1, STATUS))?;
        scope.misc_device::<DemoFile>(c"demo", poll)
    }
}

#[vtable]
impl File for DemoFile {
    type Device<'a> = DelayedWork<'a>;

    fn open(poll: &DelayedWork<'_>) -> Result<Arc<Self>> {
        poll.schedule(0);
        Ok(Arc::new(DemoFile, GFP_KERNEL)?)
    }

    fn ioctl(&self, poll: &DelayedWork<'_>, _cmd: u32, _arg: usize) -> Result<isize> {
        poll.schedule(10);
        Ok(0)
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

// An operation changes its file through a lock or an atomic.
// SPDX-License-Identifier: GPL-2.0-only OR MIT

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
    calls: Atomic<isize>,
}

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
        scope.misc_device::<DemoFile>(c"demo", DemoDevice { data })
    }
}

#[vtable]
impl File for DemoFile {
    type Device<'a> = DemoDevice<'a>;

    fn open(_dev: &DemoDevice<'_>) -> Result<Arc<Self>> {
        let calls = Atomic::new(0);
        Ok(Arc::new(DemoFile { calls }, GFP_KERNEL)?)
    }

    fn ioctl(&self, dev: &DemoDevice<'_>, _cmd: u32, _arg: usize) -> Result<isize> {
        dev.data.bar.write32(1, STATUS);
        self.calls.add(1, Relaxed);
        Ok(self.calls.load(Relaxed))
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

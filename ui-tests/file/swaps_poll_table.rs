// A poll table cannot be exchanged with one that was kept: each belongs to one call.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The next call would register on the stack of this one, which has returned by then.

use devscope::{
    file::File,
    pci::Driver,
    poll::{Events, PollTable},
    wait::WaitQueue,
    Scope,
};
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

/// For the next call, in whatever place a driver has found for it.
fn keep(kept: &mut PollTable<'static>, table: &mut PollTable<'_>) {
    core::mem::swap(kept, table);
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
        let done = scope.wait_queue()?;
        scope.tasklet(move || {
            data.bar.write32(1, STATUS);
            done.wake_all();
        })?;
        scope.misc_device::<DemoFile>(c"demo", done)
    }
}

#[vtable]
impl File for DemoFile {
    type Device<'a> = WaitQueue<'a>;

    fn open(_done: &WaitQueue<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(DemoFile, GFP_KERNEL)?)
    }

    fn poll(&self, done: &WaitQueue<'_>, table: &mut PollTable<'_>) -> Events {
        table.register_wait(*done);
        Events::NONE
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

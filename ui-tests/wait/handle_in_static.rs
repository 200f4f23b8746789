// A queue is not kept in a static: after unbind, sleepers would be put on a list that is freed.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A second device of the same driver would sleep on the queue of the first, which may be
// unplugged.

use devscope::{pci::Driver, wait::WaitQueue, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
    sync::SetOnce,
};

/// A register.
const STATUS: usize = 0x24;

/// For whoever wants to know.
static DONE: SetOnce<WaitQueue<'static>> = SetOnce::new();

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
        DONE.populate(done);
        scope.tasklet(move || {
            data.bar.write32(1, STATUS);
            done.wake_all();
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

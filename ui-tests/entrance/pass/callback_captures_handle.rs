// The callback holds an entrance, and uses the handle that is inside.
// SPDX-License-Identifier: GPL-2.0-only OR MIT

use devscope::{entrance::Side, pci::Driver, work::Work, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// A register.
const DOORBELL: usize = 0x60;

#[pin_data]
struct Data<'bound> {
    bar: pci::Bar<'bound, 0x100>,
}

/// The mailbox of another driver: it keeps the callback for as long as it likes.
fn deliver_to(_callback: impl Fn(u32) + Send + Sync + 'static) {}

/// What a message from the mailbox reaches.
struct Messages;

impl Side for Messages {
    type Device<'a> = (&'a Data<'a>, Work<'a>);
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
        let work = scope.work(move || data.bar.write32(1, DOORBELL))?;
        let messages = scope.entrance::<Messages>((data, work))?;
        let last = Atomic::new(0);
        deliver_to(move |message| {
            last.store(message, Relaxed);
            messages.try_access_with(|(_, work)| work.schedule());
        });
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

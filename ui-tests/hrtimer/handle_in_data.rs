// A handle is not kept in the data: the data's destructor would start an hrtimer that is freed.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The scope's memory is freed before the data is dropped, and with it the hrtimer.

use devscope::{
    hrtimer::{Clock, Expiry, HrTimer, Restart},
    pci::Driver,
    Scope,
};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
    sync::SetOnce,
    time::Delta,
};

/// A register.
const STATUS: usize = 0x24;

#[pin_data(PinnedDrop)]
struct Data<'bound> {
    bar: pci::Bar<'bound, 0x100>,
    timer: SetOnce<HrTimer<'bound>>,
}

#[pinned_drop]
impl PinnedDrop for Data<'_> {
    fn drop(self: Pin<&mut Self>) {
        if let Some(timer) = self.timer.as_ref() {
            timer.start(Delta::from_millis(1));
        }
    }
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
            timer: SetOnce::new(),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let timer = scope.hrtimer(Clock::Monotonic, Expiry::Irq, move || {
            data.bar.write32(1, STATUS);
            Restart::No
        })?;
        data.timer.populate(timer);
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

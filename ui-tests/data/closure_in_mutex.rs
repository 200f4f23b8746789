// A closure over the data is not kept in it: it would be dropped with it, and use what is left.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The fields of the data are dropped one after the other, the closure after what it borrows or
// before.

use devscope::{pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    new_mutex, pci,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Mutex,
    },
};

/// A register.
const STATUS: usize = 0x24;

fn boxed(f: impl Fn() + Send + 'static) -> Result<KBox<dyn Fn() + Send>> {
    let f = KBox::into_raw(KBox::new(f, GFP_KERNEL)?);
    // SAFETY: The same box, whose type is forgotten. (In Linux, `KBox` coerces.)
    Ok(unsafe { KBox::from_raw(f as *mut (dyn Fn() + Send)) })
}

#[pin_data]
struct Data<'bound> {
    bar: pci::Bar<'bound, 0x100>,
    events: Atomic<i32>,
    #[pin]
    later: Mutex<Option<KBox<dyn Fn() + Send>>>,
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
        later <- new_mutex!(None),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let events = &data.events;
        *data.later.lock() = Some(boxed(move || events.add(1, Relaxed))?);
        scope.tasklet(move || {
            data.bar.write32(1, STATUS);
        })?;
        Ok(())
    }

    fn unbind(_dev: &pci::Device<Core<'_>>, data: Pin<&Data<'_>>) {
        if let Some(later) = data.later.lock().as_ref() {
            later();
        }
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

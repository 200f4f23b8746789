// A handle does not hide in an Arc<dyn Fn()>: called after unbind, it would use what is freed.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// An Arc can be cloned to anywhere; nothing would drop this one before the scope has ended.

use devscope::{pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    irq::{Flags, IrqReturn},
    new_mutex, pci,
    prelude::*,
    sync::{Arc, Mutex},
};

/// A register.
const STATUS: usize = 0x24;

type Callback = Arc<dyn Fn() + Send + Sync>;

fn callback(f: impl Fn() + Send + Sync + 'static) -> Result<Callback> {
    let f = Arc::into_raw(Arc::new(f, GFP_KERNEL)?);
    // SAFETY: The same object, whose type is forgotten. (In Linux, `Arc` coerces.)
    Ok(unsafe { Arc::from_raw(f as *const (dyn Fn() + Send + Sync)) })
}

#[pin_data]
struct Data<'bound> {
    bar: pci::Bar<'bound, 0x100>,
    vectors: pci::IrqVectorRegistration<'bound>,
    #[pin]
    notify: Mutex<Option<Callback>>,
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
            vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
            notify <- new_mutex!(None),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let line = scope.irq(data.vectors.index(0)?, Flags::SHARED, c"demo", move || {
            data.bar.write32(1, STATUS);
            IrqReturn::Handled
        })?;
        *data.notify.lock() = Some(callback(move || {
            let _ = line.disable_nosync();
        })?);
        Ok(())
    }

    fn unbind(_dev: &pci::Device<Core<'_>>, data: Pin<&Data<'_>>) {
        if let Some(notify) = data.notify.lock().as_ref() {
            notify();
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

// What has arrived is not kept in the data: its destructor would give back an URB that is freed.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// It would do so after the scope has ended, and look at the URB's state for that.

use devscope::{
    urb::{Completed, Endpoint, In},
    usb::Driver,
    Scope,
};
use kernel::{
    device::{Bound, Core},
    new_spinlock_irq,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, SpinLockIrq,
    },
    usb::{self, Interface},
};

#[pin_data]
struct Data<'bound> {
    keys: Atomic<usize>,
    last: Arc<SpinLockIrq<Option<Completed<'bound, In>>>>,
}

struct Demo;

kernel::usb_device_table!(TABLE, (), [(usb::DeviceId::from_id(1, 2), ())]);

impl Driver for Demo {
    type IdInfo = ();
    type Data<'bound> = Data<'bound>;
    const ID_TABLE: usb::IdTable<()> = &TABLE;

    fn probe<'bound>(
        _intf: &'bound Interface<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Data<'bound>, Error> + 'bound {
        try_pin_init!(Data {
            keys: Atomic::new(0),
            last: Arc::pin_init(new_spinlock_irq!(None), GFP_KERNEL)?,
        })
    }

    fn attach<'a>(
        intf: &'a Interface<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let keys = scope.urb(intf, Endpoint::INTERRUPT_IN, 8, move |keys| {
            data.keys.add(keys.length(), Relaxed);
            *data.last.lock() = Some(keys);
        })?;
        keys.submit()
    }
}

devscope::module_usb_driver! {
    type: Demo,
    name: "demo",
    authors: ["The devscope authors"],
    description: "A demonstration",
    license: "GPL",
}

fn main() {}

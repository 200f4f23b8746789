// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Two drivers in one module: a parent on the PCI bus, which makes an auxiliary device, and a child, which
//! is bound to that and counts by means of its parent. The parent's device is QEMU's educational one.
//!
//! What the parent lends, it lends for as long as its scope lives. The child is unbound before that
//! ends, so it may borrow from its parent as from its own data.

#![forbid(unsafe_code)]

#[path = "../counter.rs"]
mod counter;

use counter::Count;
use devscope::{auxiliary, pci, Scope};
use kernel::{
    auxiliary::{Device, DeviceId, IdTable},
    device::{Bound, Core},
    driver::Registration,
    prelude::*,
    types::CovariantForLt,
    InPlaceModule,
};

/// What the parent lends to its child.
type Lent = CovariantForLt!(&Count);

struct Parent;

kernel::pci_device_table!(
    PCI_TABLE,
    <Parent as pci::Driver>::IdInfo,
    [(kernel::pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl pci::Driver for Parent {
    type IdInfo = ();
    type Data<'bound> = Count;
    const ID_TABLE: kernel::pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        _dev: &'bound kernel::pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Count, Error> + 'bound {
        Ok(Count::new(0))
    }

    fn attach<'a>(
        dev: &'a kernel::pci::Device<Bound>,
        count: Pin<&'a Count>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let count = count.get_ref();
        scope.auxiliary_device::<Lent>(dev.as_ref(), c"on_auxiliary", c"counter", 0, Ok(count))
    }
}

struct Child;

kernel::auxiliary_device_table!(
    AUXILIARY_TABLE,
    <Child as auxiliary::Driver>::IdInfo,
    [(DeviceId::new(c"on_auxiliary", c"counter"), ())]
);

impl auxiliary::Driver for Child {
    type IdInfo = ();
    type Data<'bound> = &'bound Count;
    const ID_TABLE: IdTable<Self::IdInfo> = &AUXILIARY_TABLE;

    fn probe<'bound>(
        dev: &'bound Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<&'bound Count, Error> + 'bound {
        dev.registration_data::<Lent>().map(|lent| *lent.get_ref())
    }

    fn attach<'a>(
        _dev: &'a Device<Bound>,
        count: Pin<&'a &Count>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let count: &'a Count = count.get_ref();
        counter::attach(count, scope, c"on_auxiliary")
    }
}

/// The child's driver is there before there is a device for it, and goes first.
#[pin_data]
struct OnAuxiliary {
    #[pin]
    child: Registration<auxiliary::Adapter<Child>>,
    #[pin]
    parent: Registration<pci::Adapter<Parent>>,
}

impl InPlaceModule for OnAuxiliary {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            child <- Registration::new(c"on_auxiliary", module),
            parent <- Registration::new(c"on_auxiliary", module),
        })
    }
}

module! {
    type: OnAuxiliary,
    name: "on_auxiliary",
    authors: ["The devscope authors"],
    description: "A counter, part of another device",
    license: "GPL",
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Two drivers in one module: a parent, which makes an auxiliary device, and a child, which is bound to
//! it and counts by means of its parent.
//!
//! What the parent lends, it lends for as long as its scope lives. The child is unbound before that
//! ends, so it may borrow from its parent as from its own data.

#![forbid(unsafe_code)]

#[path = "../counter.rs"]
mod counter;

use counter::Count;
use devscope::{auxiliary, faux, Scope};
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

impl faux::Driver for Parent {
    type Data<'bound> = Count;

    fn probe<'bound>(
        _dev: &'bound kernel::faux::Device<Core<'_>>,
    ) -> impl PinInit<Count, Error> + 'bound {
        Ok(Count::new(0))
    }

    fn attach<'a>(
        dev: &'a kernel::faux::Device<Bound>,
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
    parent: Registration<faux::Adapter<Parent>>,
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

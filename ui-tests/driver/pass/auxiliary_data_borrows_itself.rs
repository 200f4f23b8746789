// A child's data does not borrow itself: its destructor would read a field that was dropped before.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// This is why 'a is another lifetime than the one inside Data: with one for both, it compiles.

use devscope::{auxiliary::Driver, Scope};
use kernel::{
    auxiliary::{Device, DeviceId, IdTable},
    device::{Bound, Core},
    prelude::*,
    sync::SetOnce,
};

struct Entry(u32);

struct Data<'bound> {
    table: KVec<Entry>,
    current: SetOnce<&'bound Entry>,
}

struct Demo;

kernel::auxiliary_device_table!(TABLE, (), [(DeviceId::new(c"demo", c"part"), ())]);

impl Driver for Demo {
    type IdInfo = ();
    type Data<'bound> = Data<'bound>;
    const ID_TABLE: IdTable<()> = &TABLE;

    fn probe<'bound>(
        _dev: &'bound Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Data<'bound>, Error> + 'bound {
        Ok(Data {
            table: KVec::new(),
            current: SetOnce::new(),
        })
    }

    fn attach<'a>(
        _dev: &'a Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let first = data.table.first();
        scope.work(move || {
            let current = data.current.as_ref().copied().or(first);
            pr_info!("{}\n", current.map_or(0, |entry| entry.0));
        })?;
        Ok(())
    }
}

devscope::module_auxiliary_driver! {
    type: Demo,
    name: "demo",
    authors: ["The devscope authors"],
    description: "A demonstration",
    license: "GPL",
}

fn main() {}

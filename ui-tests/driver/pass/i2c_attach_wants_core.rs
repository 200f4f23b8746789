// attach() of an I2C driver gets no core context: work that captured it would do what only the bus may.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Such calls count on the device's lock, which no worker holds: it could race with unbind.

use devscope::{i2c::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    i2c::{self, I2cClient},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

struct Demo;

kernel::i2c_device_table!(TABLE, (), [(i2c::DeviceId::new(c"demo"), ())]);

impl Driver for Demo {
    type IdInfo = ();
    type Data<'bound> = Atomic<i32>;
    const I2C_ID_TABLE: Option<i2c::IdTable<()>> = Some(&TABLE);

    fn probe<'bound>(
        _dev: &'bound I2cClient<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Atomic<i32>, Error> + 'bound {
        Ok(Atomic::new(0))
    }

    fn attach<'a>(
        _dev: &'a I2cClient<Bound>,
        count: Pin<&'a Atomic<i32>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let count = count.get_ref();
        scope.work(move || count.store(1, Relaxed))?;
        Ok(())
    }
}

devscope::module_i2c_driver! {
    type: Demo,
    name: "demo",
    authors: ["The devscope authors"],
    description: "A demonstration",
    license: "GPL",
}

fn main() {}

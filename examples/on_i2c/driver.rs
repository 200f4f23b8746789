// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A driver for an I2C device. Linux's `kernel` crate has no transfers yet, and so it counts.

#![forbid(unsafe_code)]

#[path = "../counter.rs"]
mod counter;

use counter::Count;
use devscope::{i2c::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    i2c::{self, I2cClient},
    prelude::*,
};

struct OnI2c;

kernel::i2c_device_table!(
    I2C_TABLE,
    <OnI2c as Driver>::IdInfo,
    [(i2c::DeviceId::new(c"devscope"), 7)]
);

impl Driver for OnI2c {
    /// What the counter begins with.
    type IdInfo = i32;
    type Data<'bound> = Count;
    const I2C_ID_TABLE: Option<i2c::IdTable<Self::IdInfo>> = Some(&I2C_TABLE);

    fn probe<'bound>(
        _client: &'bound I2cClient<Core<'_>>,
        info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Count, Error> + 'bound {
        info.map(|first| Count::new(*first)).ok_or(ENODEV)
    }

    fn attach<'a>(
        _client: &'a I2cClient<Bound>,
        count: Pin<&'a Count>,
        scope: &mut Scope<'a>,
    ) -> Result {
        counter::attach(count.get_ref(), scope, c"on_i2c")
    }
}

devscope::module_i2c_driver! {
    type: OnI2c,
    name: "on_i2c",
    authors: ["The devscope authors"],
    description: "A counter on an I2C bus",
    license: "GPL",
}

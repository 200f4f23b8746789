// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An I2C driver whose data borrows a resource of the device's, and uses it when it is dropped. The I2C
//! core releases those resources directly after the driver's callback.

use devscope::{i2c::Driver, Scope};
use kernel::{
    bindings,
    device::{Bound, Core, Device},
    hosted::{I2cInfo, Machine},
    i2c::{self, I2cClient},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};
use std::ptr;

struct Sensor;

struct Data<'bound> {
    /// Memory that devres frees: what `Devres::access()` lends for as long as the device is bound.
    count: &'bound Atomic<i32>,
    /// Whether `attach()` is to fail.
    fails: bool,
}

impl<'bound> Data<'bound> {
    fn new(dev: &'bound I2cClient<Core<'_>>, fails: bool) -> Result<Self> {
        let dev: &Device<Core<'_>> = dev.as_ref();
        let dev = ptr::from_ref(dev).cast_mut().cast::<bindings::device>();
        // SAFETY: A device that is being bound.
        let memory =
            unsafe { bindings::devm_kzalloc(dev, size_of::<Atomic<i32>>(), bindings::GFP_KERNEL) };
        // SAFETY: Zeroed, if it is there, and so for as long as the device is bound.
        unsafe { memory.cast::<Atomic<i32>>().as_ref() }
            .map(|count| Self { count, fails })
            .ok_or(ENOMEM)
    }
}

impl Drop for Data<'_> {
    fn drop(&mut self) {
        kernel::hosted::check_access(ptr::from_ref(self.count), size_of_val(self.count));
        self.count.add(1, Relaxed);
    }
}

kernel::i2c_device_table!(
    I2C_TABLE,
    bool,
    [
        (i2c::DeviceId::new(c"sensor"), false),
        (i2c::DeviceId::new(c"broken"), true),
    ]
);

impl Driver for Sensor {
    type IdInfo = bool;
    type Data<'bound> = Data<'bound>;
    const I2C_ID_TABLE: Option<i2c::IdTable<bool>> = Some(&I2C_TABLE);

    fn probe<'bound>(
        dev: &'bound I2cClient<Core<'_>>,
        info: Option<&'bound bool>,
    ) -> impl PinInit<Data<'bound>, Error> + 'bound {
        Data::new(dev, info == Some(&true))
    }

    fn attach<'a>(
        _dev: &'a I2cClient<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let work = scope.work(move || data.count.add(1, Relaxed))?;
        work.schedule();
        match data.fails {
            true => Err(EIO),
            false => Ok(()),
        }
    }
}

devscope::module_i2c_driver! {
    type: Sensor,
    name: "sensor",
    authors: ["The devscope authors"],
    description: "Data that borrows from devres",
    license: "GPL",
}

pub fn data_borrows_from_devres(machine: &Machine) {
    let module = machine.load(&MODULE).expect("the module loads");
    let [sensor, broken] = [("sensor", 0x48), ("broken", 0x49)].map(|(name, address)| {
        machine.add_i2c(I2cInfo {
            name,
            address,
            ..Default::default()
        })
    });
    assert!(sensor.is_bound() && !broken.is_bound());
    sensor.unbind().expect("the device unbinds");
    sensor.bind().expect("the device binds again");
    module.unload().expect("the module unloads");
    sensor.unplug();
    broken.unplug();
}

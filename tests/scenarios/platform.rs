// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A platform driver: the same scope on another bus. It counts pulses on a level-free line, and a
//! work item copies the count out.

use devscope::{platform::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    hosted::{Machine, PlatformInfo},
    irq::{Flags, IrqReturn},
    of, platform,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

struct Pulses;

struct Data<'bound> {
    dev: &'bound platform::Device<Bound>,
    seen: Atomic<i64>,
    copied: Atomic<i64>,
}

kernel::of_device_table!(
    OF_TABLE,
    <Pulses as Driver>::IdInfo,
    [(of::DeviceId::new(c"devscope,pulses"), 7)]
);

impl Driver for Pulses {
    type IdInfo = i64;
    type Data<'bound> = Data<'bound>;
    const OF_ID_TABLE: Option<of::IdTable<i64>> = Some(&OF_TABLE);

    fn probe<'bound>(
        dev: &'bound platform::Device<Core<'_>>,
        info: Option<&'bound i64>,
    ) -> impl PinInit<Data<'bound>, Error> + 'bound {
        // The table's entry reaches the driver.
        assert_eq!(info, Some(&7));
        Ok(Data {
            dev,
            seen: Atomic::new(0),
            copied: Atomic::new(0),
        })
    }

    fn attach<'a>(
        dev: &'a platform::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let copy = scope.work(move || data.copied.store(data.seen.load(Relaxed), Relaxed))?;
        // By the device that `Data` keeps, which is the one that `attach()` is given.
        assert!(core::ptr::eq(dev, data.dev));
        let line = data.dev.irq_by_index(0)?;
        scope.irq(line, Flags::TRIGGER_NONE, c"pulses", move || {
            data.seen.add(1, Relaxed);
            copy.schedule();
            IrqReturn::Handled
        })?;
        Ok(())
    }

    fn unbind(_dev: &platform::Device<Core<'_>>, data: Pin<&Data<'_>>) {
        pr_info!("pulses: {}\n", data.seen.load(Relaxed));
    }
}

devscope::module_platform_driver! {
    type: Pulses,
    name: "pulses",
    authors: ["The devscope authors"],
    description: "Counts pulses",
    license: "GPL",
}

pub fn a_platform_device_is_unbound_while_its_line_pulses(machine: &Machine) {
    let module = machine.load(&MODULE).expect("the module loads");
    let slot = machine.add_platform(PlatformInfo {
        name: "pulses",
        compatible: Some("devscope,pulses"),
        irqs: 1,
        ..Default::default()
    });
    assert!(slot.is_bound());
    let line = slot.irq(0);
    let hardware = machine.spawn("hardware", move || (0..4).for_each(|_| line.pulse()));
    slot.unbind().expect("the device unbinds");
    slot.bind().expect("the device binds again");
    hardware.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

// What an interrupt notifies is there before it: the handler would use what is not there yet.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// The thread of a battery's interrupt takes a measurement and calls power_supply_changed(). probe()
// requested the interrupt before it registered the power supply, so the handle could be used before it was
// there, and, as devres goes backwards, after it was freed. A queue on which programs wait, and a device
// node, stand in for the power supply.
//
// Corpus: goldfish-battery-devm-order, sbs-battery-threaded, pm8916-bms-threaded.

use devscope::{file::File, platform::Driver, wait::WaitQueue, Scope};
use kernel::{
    device::{Bound, Core},
    irq::{Flags, IrqReturn},
    of, platform,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full},
        Arc,
    },
};

struct Battery {
    samples: Atomic<i32>,
}

impl Battery {
    /// Reads the samples that the battery's chip has gathered.
    fn update(&self) {
        self.samples.fetch_add(1, Full);
    }
}

/// What stands in for the power supply.
struct PowerSupply<'a> {
    battery: &'a Battery,
    changed: WaitQueue<'a>,
}

struct PowerSupplyFile;

struct Bms;

kernel::of_device_table!(TABLE, (), [(of::DeviceId::new(c"devscope,bms"), ())]);

impl Driver for Bms {
    type IdInfo = ();
    type Data<'bound> = Battery;
    const OF_ID_TABLE: Option<of::IdTable<()>> = Some(&TABLE);

    fn probe<'bound>(
        _dev: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Battery, Error> + 'bound {
        let samples = Atomic::new(0);
        Ok::<_, Error>(Battery { samples })
    }

    fn attach<'a>(
        dev: &'a platform::Device<Bound>,
        battery: Pin<&'a Battery>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let battery = battery.get_ref();
        let fifo = dev.irq_by_name(c"fifo")?;
        let changed: WaitQueue<'a>;
        scope.oneshot_irq(fifo, Flags::TRIGGER_RISING, c"bms", move || {
            battery.update();
            changed.wake_all();
            IrqReturn::Handled
        })?;
        changed = scope.wait_queue()?;
        scope.misc_device::<PowerSupplyFile>(c"bms", PowerSupply { battery, changed })
    }
}

#[vtable]
impl File for PowerSupplyFile {
    type Device<'a> = PowerSupply<'a>;

    fn open(_supply: &PowerSupply<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(PowerSupplyFile, GFP_KERNEL)?)
    }

    fn ioctl(&self, supply: &PowerSupply<'_>, _cmd: u32, seen: usize) -> Result<isize> {
        let samples = || supply.battery.samples.load(Acquire) as isize;
        supply.changed.wait_until(|| samples() != seen as isize)?;
        Ok(samples())
    }
}

devscope::module_platform_driver! {
    type: Bms,
    name: "bms",
    authors: ["The devscope authors"],
    description: "A battery that tells of new measurements",
    license: "GPL",
}

fn main() {}

// probe() sets up what the handler uses, and attach() requests the interrupt.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A display bridge is several devices on its bus. probe() requested the interrupt before it had made the
// clients for the others, and the work that the handler queues asks one of them. (The Type-C port's handler
// asks a port that is registered after it; the MIDI card's locks what is allocated after it.)
//
// Corpus: anx7625-early-irq, tcpci-shared-irq-null, mts64-irq-no-card.

use devscope::{platform::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    irq::{Flags, IrqReturn},
    of, platform,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

struct Bridge {
    /// The address of the client that knows of hot plugs; 0 if there is none yet.
    tcpc: Atomic<i32>,
}

impl Bridge {
    fn new() -> Result<Arc<Self>> {
        let tcpc = Atomic::new(0);
        Ok(Arc::new(Bridge { tcpc }, GFP_KERNEL)?)
    }

    fn register_clients(&self) {
        self.tcpc.store(0x58, Relaxed);
    }

    fn ask_for_hpd(&self) {
        pr_debug!("asking the client at {:#x}\n", self.tcpc.load(Relaxed));
    }
}

struct Anx7625;

kernel::of_device_table!(TABLE, (), [(of::DeviceId::new(c"devscope,bridge"), ())]);

impl Driver for Anx7625 {
    type IdInfo = ();
    type Data<'bound> = Arc<Bridge>;
    const OF_ID_TABLE: Option<of::IdTable<()>> = Some(&TABLE);

    fn probe<'bound>(
        _dev: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Arc<Bridge>, Error> + 'bound {
        let build = || {
            let bridge = Bridge::new()?;
            bridge.register_clients();
            Ok(bridge)
        };
        build()
    }

    fn attach<'a>(
        dev: &'a platform::Device<Bound>,
        bridge: Pin<&'a Arc<Bridge>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let hpd = scope.work(move || bridge.ask_for_hpd())?;
        let line = dev.irq_by_index(0)?;
        scope.oneshot_irq(line, Flags::TRIGGER_FALLING, c"anx7625", move || {
            hpd.schedule();
            IrqReturn::Handled
        })?;
        Ok(())
    }
}

devscope::module_platform_driver! {
    type: Anx7625,
    name: "anx7625",
    authors: ["The devscope authors"],
    description: "A display bridge",
    license: "GPL",
}

fn main() {}

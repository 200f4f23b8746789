// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What small drivers for tests have in common, here and in the corpus: the `edu` device, a module, and a
//! device that is unbound while its hardware goes on.

use kernel::{
    hosted::{Machine, ModuleInfo, PciModel},
    pci,
    prelude::*,
    sync::atomic::Atomic,
};
use std::sync::Arc;

/// Declares a driver module for a shape: what `devscope::module_pci_driver!` does, but with a module
/// type that can be named from here, for files that do not stand beside it.
///
/// For PCI, or for the bus that is named.
macro_rules! driver {
    ($module:ident, $shape:ty) => {
        driver!(pci, $module, $shape);
    };
    ($bus:ident, $module:ident, $shape:ty) => {
        pub mod $module {
            use kernel::{driver::Registration, prelude::*, InPlaceModule};

            type Adapter = devscope::$bus::Adapter<super::Shaped<$shape>>;

            #[pin_data]
            pub struct Owner {
                #[pin]
                driver: Registration<Adapter>,
            }

            impl InPlaceModule for Owner {
                fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
                    try_pin_init!(Owner {
                        driver <- Registration::new(<Owner as kernel::ModuleMetadata>::NAME, module),
                    })
                }
            }

            module! {
                type: Owner,
                name: "shape",
                authors: ["The devscope authors"],
                description: "A driver for tests",
                license: "GPL",
            }
        }
    };
}

/// Registers of the `edu` device, as offsets into BAR 0.
pub mod regs {
    pub const INTERRUPT_STATUS: usize = 0x24;
    pub const RAISE: usize = 0x60;
    pub const ACKNOWLEDGE: usize = 0x64;
    pub const SIZE: usize = 0x100;
}

kernel::pci_device_table!(
    PCI_TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

/// The `edu` device, by its class.
pub const EDU: pci::IdTable<()> = &PCI_TABLE;

/// A counter in memory that whoever holds it owns.
pub fn canary() -> Result<KBox<Atomic<i64>>> {
    Ok(KBox::new(Atomic::new(0), GFP_KERNEL)?)
}

/// Loads the module, plugs the device in, lets `hardware` happen while the device is unbound, and
/// takes everything away. Returns how many grace periods of RCU have begun while it was unbound.
pub fn unbind_while(
    machine: &Machine,
    module: &'static ModuleInfo,
    edu: Arc<impl PciModel>,
    hardware: impl FnOnce() + 'static,
) -> u64 {
    let module = machine.load(module).expect("the module loads");
    let slot = machine.plug_pci(edu);
    assert!(slot.is_bound());
    let hardware = machine.spawn("hardware", hardware);
    let before = machine.grace_periods();
    slot.unbind().expect("the device unbinds");
    let grace_periods = machine.grace_periods() - before;
    hardware.join();
    module.unload().expect("the module unloads");
    slot.unplug();
    grace_periods
}

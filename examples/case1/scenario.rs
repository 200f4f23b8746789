// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the hardware does to the drivers of case 1.

use kernel::hosted::{edu::Edu, Machine, ModuleInfo};

/// The hardware interrupts, and one of its interrupts brings about another, while the device is
/// unbound.
pub fn unbind_in_a_storm(machine: &Machine, module: &'static ModuleInfo) {
    const ONCE: u32 = 0x001;
    const AND_ANOTHER: u32 = 0x200;

    let module = machine.load(module).expect("the module loads");
    let edu = Edu::new();
    let slot = machine.plug_pci(edu.clone());
    let hardware = machine.spawn("hardware", move || {
        edu.raise(AND_ANOTHER);
        edu.raise(ONCE);
        edu.raise(ONCE);
    });
    slot.unbind().expect("the device unbinds");
    hardware.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Case 1: an interrupt that outlives its bottom half.

mod c_shaped;
#[path = "../compare.rs"]
mod compare;
mod driver;

use kernel::hosted::{edu::Edu, Machine, ModuleInfo};
use std::process::ExitCode;

fn main() -> ExitCode {
    compare::compare(&compare::Case {
        name: "case1",
        story: "
Case 1: an interrupt that outlives its bottom half.

probe() allocates its state with devm_kzalloc() and requests an interrupt with devm_request_irq(); the
handler schedules a tasklet. remove() kills the tasklet and returns; only then does devres free the
interrupt. In between, the hardware interrupts once more.",
        c_shaped: |machine| unbind_in_a_storm(machine, &c_shaped::defect::MODULE),
        cured: |machine| unbind_in_a_storm(machine, &c_shaped::cured::MODULE),
        devscope: |machine| unbind_in_a_storm(machine, &driver::MODULE),
    })
}

/// The hardware interrupts, and one of its interrupts brings about another, while the device is
/// unbound.
fn unbind_in_a_storm(machine: &Machine, module: &'static ModuleInfo) {
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

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Case 2: an open file that outlives its device.

mod c_shaped;
#[path = "../compare.rs"]
mod compare;
mod driver;

use kernel::hosted::{edu::Edu, Machine, ModuleInfo};
use std::process::ExitCode;

fn main() -> ExitCode {
    compare::compare(&compare::Case {
        name: "case2",
        story: "
Case 2: an open file that outlives its device.

probe() allocates its state with devm_kzalloc(), and the operations of a device node use it. A program
keeps the node open while the device is unbound; devres frees the state; the program closes the node.",
        c_shaped: |machine| close_late(machine, &c_shaped::defect::MODULE),
        cured: |machine| close_late(machine, &c_shaped::cured::MODULE),
        devscope: |machine| close_late(machine, &driver::MODULE),
    })
}

/// A program opens the node and closes it, while the device is unbound.
fn close_late(machine: &Machine, module: &'static ModuleInfo) {
    let module = machine.load(module).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    let file = machine.open("case2").expect("the node opens");
    let program = machine.spawn("program", move || file.close());
    slot.unbind().expect("the device unbinds");
    program.join().expect("close() succeeds");
    module.unload().expect("the module unloads");
    slot.unplug();
}

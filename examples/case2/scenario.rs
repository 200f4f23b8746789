// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a program does to the drivers of case 2.

use kernel::hosted::{edu::Edu, Machine, ModuleInfo};

/// A program opens the node and closes it, while the device is unbound.
pub fn close_late(machine: &Machine, module: &'static ModuleInfo) {
    let module = machine.load(module).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    let file = machine.open("case2").expect("the node opens");
    let program = machine.spawn("program", move || file.close());
    slot.unbind().expect("the device unbinds");
    program.join().expect("close() succeeds");
    module.unload().expect("the module unloads");
    slot.unplug();
}

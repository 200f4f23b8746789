// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Case 2: an open file that outlives its device.

mod c_shaped;
#[path = "../compare.rs"]
mod compare;
mod driver;
mod scenario;

use scenario::close_late;
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

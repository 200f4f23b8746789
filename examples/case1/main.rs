// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Case 1: an interrupt that outlives its bottom half.

mod c_shaped;
#[path = "../compare.rs"]
mod compare;
mod driver;
mod scenario;

use scenario::unbind_in_a_storm;
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

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One driver for each bus that is not PCI, on the hosted kernel.

#![allow(
    clippy::duplicate_mod,
    reason = "each driver is a crate in Linux, and has the counter in it"
)]

#[path = "../on_auxiliary/driver.rs"]
mod on_auxiliary;
#[path = "../on_faux/driver.rs"]
mod on_faux;
#[path = "../on_i2c/driver.rs"]
mod on_i2c;
#[path = "../on_usb/driver.rs"]
mod on_usb;
mod scenario;
#[path = "../show.rs"]
mod show;

use std::process::ExitCode;

fn main() -> ExitCode {
    show::show("buses", "Drivers on four buses", |machine, say| {
        scenario::i2c(machine, &on_i2c::MODULE, say);
        scenario::usb(machine, &on_usb::MODULE, say);
        scenario::faux(machine, &on_faux::MODULE, say);
        scenario::auxiliary(machine, &on_auxiliary::MODULE, say);
    })
}

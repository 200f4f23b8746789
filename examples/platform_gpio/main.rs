// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The `platform_gpio` driver on the hosted kernel: a push button on an interrupt line.

mod driver;
mod scenario;
#[path = "../show.rs"]
mod show;

use std::process::ExitCode;

fn main() -> ExitCode {
    show::show(
        "platform_gpio",
        "A driver for a push button",
        scenario::pressed_and_unbound,
    )
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The `ring` driver on the hosted kernel: a ring is resized under load.

mod driver;
mod scenario;
#[path = "../show.rs"]
mod show;

use std::process::ExitCode;

fn main() -> ExitCode {
    show::show(
        "ring",
        "A driver that resizes its ring",
        scenario::resized_under_load,
    )
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The `threaded` driver on the hosted kernel: its interrupt is handled by a thread.

mod driver;
mod scenario;
#[path = "../show.rs"]
mod show;

use std::process::ExitCode;

fn main() -> ExitCode {
    show::show(
        "threaded",
        "A driver whose interrupt is handled by a thread",
        scenario::measured_by_a_thread,
    )
}

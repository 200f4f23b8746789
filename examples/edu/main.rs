// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The `edu` driver on the hosted kernel: what a program sees of its life and death.

mod driver;
mod scenario;
#[path = "../show.rs"]
mod show;

use std::process::ExitCode;

fn main() -> ExitCode {
    show::show("edu", "The edu driver", scenario::life_and_death)
}

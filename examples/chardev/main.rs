// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The `chardev` driver on the hosted kernel: what programs see of its nodes, and of their mappings, when
//! the device goes.

mod driver;
mod scenario;
#[path = "../show.rs"]
mod show;

use std::process::ExitCode;

fn main() -> ExitCode {
    show::show("chardev", "The chardev driver", scenario::life_and_death)
}

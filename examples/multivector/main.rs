// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The `multivector` driver on the hosted kernel: one handler for each of several vectors.

mod driver;
mod scenario;
#[path = "../show.rs"]
mod show;

use std::process::ExitCode;

fn main() -> ExitCode {
    show::show(
        "multivector",
        "A driver with a handler for each of several vectors",
        scenario::each_vector_has_its_own,
    )
}

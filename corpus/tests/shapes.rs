// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Whether anything is found in [`devscope_corpus::shapes`], and each comes to where its bugs were.
//!
//! `DEVSCOPE_SCHEDULES` says how many schedules each has to survive, instead of 3,000.

use devscope_corpus::{harness, shapes};
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::main(shapes::programs())
}

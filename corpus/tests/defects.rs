// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Whether exploration finds the bugs of [`devscope_corpus::defects`], and nothing in what cures them.
//!
//! `DEVSCOPE_SCHEDULES` says within how many schedules, instead of 20,000.

use devscope_corpus::{defects, harness};
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::main(defects::programs())
}

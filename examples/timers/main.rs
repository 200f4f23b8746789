// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The `timers` driver on the hosted kernel: a cycle of timer, work and hrtimer is unbound.

mod driver;
mod scenario;
#[path = "../show.rs"]
mod show;

use std::process::ExitCode;

fn main() -> ExitCode {
    show::show(
        "timers",
        "A driver that asks its device again and again",
        scenario::unbound_while_it_goes_round,
    )
}

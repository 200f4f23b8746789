//! `cargo xtask bench`: what devscope costs.

mod linux;

use anyhow::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub enum Bench {
    /// The same work in C, in Linux's Rust and with devscope, inside a kernel without debugging options
    Linux(linux::Linux),
}

pub fn run(bench: Bench) -> Result<()> {
    match bench {
        Bench::Linux(asked) => linux::run(&asked),
    }
}

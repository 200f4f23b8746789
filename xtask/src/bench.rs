//! `cargo xtask bench`: what devscope costs.

mod hosted;
mod linux;
mod plot;
mod show;

use anyhow::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub enum Bench {
    /// The same work in C, in Linux's Rust and with devscope, inside a kernel without debugging options
    Linux(linux::Linux),
    /// How fast the hosted kernel explores, and how soon it finds what is wrong
    Hosted(hosted::Hosted),
}

pub fn run(bench: Bench) -> Result<()> {
    match bench {
        Bench::Linux(asked) => linux::run(&asked),
        Bench::Hosted(asked) => hosted::run(&asked),
    }
}

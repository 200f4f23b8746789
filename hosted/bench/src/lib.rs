//! How fast the hosted kernel explores, and how soon it finds what is wrong.
//!
//! `benches/hosted.rs` has what is a statistic, with criterion; the program of this package measures one
//! thing at a time in a process of its own, and prints a line of JSON. `cargo xtask bench hosted` runs
//! both and writes `docs/performance.md`.
//!
//! Times are of [`clock`]. Whatever measures here also says how much it did, and doing nothing is an error.

#![allow(missing_docs)]

pub mod bare;
pub mod clock;
pub mod examples;
pub mod run;
pub mod scenario;

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Real bugs of Linux drivers in which something called in after what it touched had gone, and what
//! becomes of each with devscope.
//!
//! `bugs/` has an entry for each bug: what the driver looks like, a verdict, and the program that is the
//! evidence for it. The programs are
//!
//! - in [`shapes`]: drivers in the shape of those that had the bug, without it, explored at unbind;
//! - in `ui-tests/corpus/`: drivers with the mistake, which must not compile;
//! - in [`defects`]: drivers as one writes them in C, with the mistake, which exploration has to find.
//!
//! `cargo xtask corpus` runs all of them and writes `docs/corpus.md`.

#![allow(missing_docs)]

#[macro_use]
#[path = "../../tests/stage/mod.rs"]
mod base;
pub mod defects;
pub mod harness;
pub mod shapes;
pub mod stage;

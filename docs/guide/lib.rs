// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The pages of the guide, so that `cargo test` compiles their code.

#[doc = include_str!("README.md")]
pub mod readme {}

#[doc = include_str!("bottom-half.md")]
pub mod bottom_half {}

#[doc = include_str!("waiting.md")]
pub mod waiting {}

#[doc = include_str!("later.md")]
pub mod later {}

#[doc = include_str!("reset.md")]
pub mod reset {}

#[doc = include_str!("outside.md")]
pub mod outside {}

#[doc = include_str!("nodes.md")]
pub mod nodes {}

#[doc = include_str!("porting.md")]
pub mod porting {}

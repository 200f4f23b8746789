// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A module that does nothing: loading it makes KUnit run the suites of the crate beside it.
//!
//! It is linked with `src/` compiled with `--cfg CONFIG_DEVSCOPE_KUNIT_TEST`, whose suites KUnit finds
//! in the module's section `.kunit_test_suites`, and reports in the kernel's log.

#![forbid(unsafe_code)]

use kernel::prelude::*;

struct DevscopeKunit;

impl kernel::Module for DevscopeKunit {
    fn init(_: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

module! {
    type: DevscopeKunit,
    name: "devscope_kunit",
    authors: ["The devscope authors"],
    description: "Tests inside the crate devscope",
    license: "GPL",
}

// A driver has an attach(), on the faux bus too: nobody stops what it registers elsewhere.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// In C, this is where a timer is started in probe(), and not stopped in remove().

use devscope::faux::Driver;
use kernel::{device::Core, faux, prelude::*, sync::atomic::Atomic};

struct Demo;

impl Driver for Demo {
    type Data<'bound> = Atomic<i32>;

    fn probe<'bound>(
        _dev: &'bound faux::Device<Core<'_>>,
    ) -> impl PinInit<Atomic<i32>, Error> + 'bound {
        Ok(Atomic::new(0))
    }
}

devscope::module_faux_driver! {
    type: Demo,
    name: "demo",
    authors: ["The devscope authors"],
    description: "A demonstration",
    license: "GPL",
}

fn main() {}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A driver without hardware: its device is there while the module is loaded.

#![forbid(unsafe_code)]

#[path = "../counter.rs"]
mod counter;

use counter::Count;
use devscope::{faux::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    faux,
    prelude::*,
};

struct OnFaux;

impl Driver for OnFaux {
    type Data<'bound> = Count;

    fn probe<'bound>(_dev: &'bound faux::Device<Core<'_>>) -> impl PinInit<Count, Error> + 'bound {
        Ok(Count::new(0))
    }

    fn attach<'a>(
        _dev: &'a faux::Device<Bound>,
        count: Pin<&'a Count>,
        scope: &mut Scope<'a>,
    ) -> Result {
        counter::attach(count.get_ref(), scope, c"on_faux")
    }
}

devscope::module_faux_driver! {
    type: OnFaux,
    name: "on_faux",
    authors: ["The devscope authors"],
    description: "A counter without hardware",
    license: "GPL",
}

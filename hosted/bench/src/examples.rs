//! The examples' drivers and scenarios, as they are.

#![allow(
    clippy::duplicate_mod,
    reason = "each driver is a crate in Linux, and has the counter in it"
)]

use crate::scenario::Named;

/// A directory of `examples/`.
macro_rules! example {
    ($name:ident, $path:literal $(, $more:ident)?) => {
        #[path = $path]
        pub mod $name {
            $(pub mod $more;)?
            pub mod driver;
            pub mod scenario;
        }
    };
}

example!(case1, "../../../examples/case1", c_shaped);
example!(case2, "../../../examples/case2", c_shaped);
example!(chardev, "../../../examples/chardev");
example!(edu, "../../../examples/edu");
example!(multivector, "../../../examples/multivector");
example!(platform_gpio, "../../../examples/platform_gpio");
example!(ring, "../../../examples/ring");
example!(threaded, "../../../examples/threaded");
example!(timers, "../../../examples/timers");

#[path = "../../../examples"]
pub mod buses {
    #[path = "buses/scenario.rs"]
    pub mod scenario;

    #[path = "on_auxiliary/driver.rs"]
    pub mod on_auxiliary;
    #[path = "on_faux/driver.rs"]
    pub mod on_faux;
    #[path = "on_i2c/driver.rs"]
    pub mod on_i2c;
    #[path = "on_usb/driver.rs"]
    pub mod on_usb;
}

fn silent(_: String) {}

/// All of them, as `cargo run --example` explores them.
pub const ALL: &[Named] = &[
    Named {
        name: "buses",
        run: |machine| {
            use buses::*;
            scenario::i2c(machine, &on_i2c::MODULE, silent);
            scenario::usb(machine, &on_usb::MODULE, silent);
            scenario::faux(machine, &on_faux::MODULE, silent);
            scenario::auxiliary(machine, &on_auxiliary::MODULE, silent);
        },
    },
    Named {
        name: "case1",
        run: |machine| case1::scenario::unbind_in_a_storm(machine, &case1::driver::MODULE),
    },
    Named {
        name: "case2",
        run: |machine| case2::scenario::close_late(machine, &case2::driver::MODULE),
    },
    Named {
        name: "chardev",
        run: |machine| chardev::scenario::life_and_death(machine, silent),
    },
    Named {
        name: "edu",
        run: |machine| edu::scenario::life_and_death(machine, silent),
    },
    Named {
        name: "multivector",
        run: |machine| multivector::scenario::each_vector_has_its_own(machine, silent),
    },
    Named {
        name: "platform_gpio",
        run: |machine| platform_gpio::scenario::pressed_and_unbound(machine, silent),
    },
    Named {
        name: "ring",
        run: |machine| ring::scenario::resized_under_load(machine, silent),
    },
    Named {
        name: "threaded",
        run: |machine| threaded::scenario::measured_by_a_thread(machine, silent),
    },
    Named {
        name: "timers",
        run: |machine| timers::scenario::unbound_while_it_goes_round(machine, silent),
    },
];

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The examples' drivers, explored: what `cargo run --example` shows to a person, as tests.

#![allow(
    clippy::duplicate_mod,
    reason = "each driver is a crate in Linux, and has the counter in it"
)]

use kernel::hosted::{explore, Explore, Machine};

#[path = "../examples/edu"]
mod edu {
    pub mod driver;
    pub mod scenario;
}

#[path = "../examples/chardev"]
mod chardev {
    pub mod driver;
    pub mod scenario;
}

#[path = "../examples/threaded"]
mod threaded {
    pub mod driver;
    pub mod scenario;
}

#[path = "../examples/platform_gpio"]
mod platform_gpio {
    pub mod driver;
    pub mod scenario;
}

#[path = "../examples/multivector"]
mod multivector {
    pub mod driver;
    pub mod scenario;
}

#[path = "../examples/case1"]
mod case1 {
    pub mod c_shaped;
    pub mod driver;
    pub mod scenario;
}

#[path = "../examples/case2"]
mod case2 {
    pub mod c_shaped;
    pub mod driver;
    pub mod scenario;
}

#[path = "../examples/ring"]
mod ring {
    pub mod driver;
    pub mod scenario;
}

#[path = "../examples/timers"]
mod timers {
    pub mod driver;
    pub mod scenario;
}

#[path = "../examples/buses/scenario.rs"]
mod buses;
#[path = "../examples/on_auxiliary/driver.rs"]
mod on_auxiliary;
#[path = "../examples/on_faux/driver.rs"]
mod on_faux;
#[path = "../examples/on_i2c/driver.rs"]
mod on_i2c;
#[path = "../examples/on_usb/driver.rs"]
mod on_usb;

#[test]
fn i2c_and_usb_devices_come_and_go() {
    explore(3_000, |machine| {
        buses::i2c(machine, &on_i2c::MODULE, drop);
        buses::usb(machine, &on_usb::MODULE, drop);
    });
}

#[test]
fn a_faux_device_lives_as_long_as_its_module() {
    explore(3_000, |machine| {
        buses::faux(machine, &on_faux::MODULE, drop)
    });
}

#[test]
fn an_auxiliary_device_counts_by_means_of_its_parent() {
    explore(3_000, |machine| {
        buses::auxiliary(machine, &on_auxiliary::MODULE, drop)
    });
}

/// The defect is found within 1,000 schedules, whichever seed the schedules come from.
fn is_found(name: &str, scenario: fn(&Machine)) {
    for seed in 1..=20 {
        let failure = Explore::new(name)
            .schedules(1_000)
            .seed(seed)
            .run(scenario)
            .expect_failure();
        println!("{name}, seed {seed}: {} in {}", failure.kind, failure.tried);
    }
}

#[test]
fn edu_lives_and_dies() {
    explore(5_000, |machine| {
        edu::scenario::life_and_death(machine, |_| {})
    });
}

#[test]
fn ring_is_resized_under_load() {
    explore(3_000, |machine| {
        ring::scenario::resized_under_load(machine, |_| {})
    });
}

#[test]
fn timers_go_round_until_they_are_unbound() {
    explore(3_000, |machine| {
        timers::scenario::unbound_while_it_goes_round(machine, |_| {})
    });
}

#[test]
fn chardev_lives_and_dies() {
    explore(3_000, |machine| {
        chardev::scenario::life_and_death(machine, |_| {})
    });
}

#[test]
fn c_shaped_case1_is_found_with_each_seed() {
    is_found("case1", |machine| {
        case1::scenario::unbind_in_a_storm(machine, &case1::c_shaped::defect::MODULE)
    });
}

#[test]
fn c_shaped_case2_is_found_with_each_seed() {
    is_found("case2", |machine| {
        case2::scenario::close_late(machine, &case2::c_shaped::defect::MODULE)
    });
}

#[test]
fn case1_cured_by_hand_survives() {
    explore(5_000, |machine| {
        case1::scenario::unbind_in_a_storm(machine, &case1::c_shaped::cured::MODULE)
    });
}

#[test]
fn case2_cured_by_hand_survives() {
    explore(5_000, |machine| {
        case2::scenario::close_late(machine, &case2::c_shaped::cured::MODULE)
    });
}

#[test]
fn case1_with_devscope_survives() {
    explore(5_000, |machine| {
        case1::scenario::unbind_in_a_storm(machine, &case1::driver::MODULE)
    });
}

#[test]
fn case2_with_devscope_survives() {
    explore(5_000, |machine| {
        case2::scenario::close_late(machine, &case2::driver::MODULE)
    });
}

#[test]
fn threaded_is_unbound_while_its_thread_measures() {
    explore(5_000, |machine| {
        threaded::scenario::measured_by_a_thread(machine, |_| {})
    });
}

#[test]
fn multivector_is_unbound_while_all_its_vectors_are_raised() {
    explore(5_000, |machine| {
        multivector::scenario::each_vector_has_its_own(machine, |_| {})
    });
}

#[test]
fn platform_gpio_is_unbound_while_its_button_is_pressed() {
    explore(5_000, |machine| {
        platform_gpio::scenario::pressed_and_unbound(machine, |_| {})
    });
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drivers in the shape of those that had a bug, written with devscope, and explored while the device is
//! unbound, or while `attach()` fails.
//!
//! Each module names the bugs that it stands for, and the marks that its exploration has to reach: one
//! that never comes near the place of the bug is no evidence. A mark that begins with "refused" is a
//! place where the framework says no. `corpus/bugs` says what follows for each bug.

use crate::harness::{self, number_from_env, Program, Report};
use kernel::hosted::Machine;

/// How many schedules each has to survive.
const SCHEDULES: usize = 3_000;

/// A module of this directory.
struct Shape {
    name: &'static str,
    bugs: &'static [&'static str],
    /// What its exploration has to reach.
    reaches: &'static [&'static str],
    scenario: fn(&Machine),
}

impl Shape {
    fn run(&self) -> Report {
        let mut report = Report::new(self.name, self.bugs);
        let schedules = number_from_env("DEVSCOPE_SCHEDULES").unwrap_or(SCHEDULES);
        let failure = harness::explore(&mut report, "shapes", schedules, self.scenario);
        if let Some(failure) = failure {
            eprintln!("{failure}");
        } else if let Some(mark) = self.missed(&report) {
            report.found = format!("no schedule came to \"{mark}\"");
        } else {
            report.ok = true;
        }
        report
    }

    /// A mark that no schedule has reached.
    fn missed(&self, report: &Report) -> Option<&str> {
        let missed = |mark: &&&str| !report.reached.contains_key(**mark);
        self.reaches.iter().find(missed).copied()
    }
}

macro_rules! shapes {
    ($($module:ident)*) => {
        $(pub mod $module;)*

        /// What `tests/shapes.rs` runs.
        pub fn programs() -> Vec<Program> {
            [$(Shape {
                name: stringify!($module),
                bugs: $module::BUGS,
                reaches: $module::REACHES,
                scenario: $module::scenario,
            }),*]
            .into_iter()
            .map(|shape| Program {
                name: shape.name.into(),
                run: Box::new(move || shape.run()),
            })
            .collect()
        }
    };
}

shapes! {
    alarm_clock
    attach_fails_among_rings
    attach_fails_before_the_interrupt
    attach_fails_with_node
    attach_fails_with_timer
    attach_fails_with_urbs
    attach_fails_with_work
    chain_of_works
    channels_of_tasklets
    charger_limits
    delayed_on_own_queue
    delayed_requeues_itself
    endpoint_before_probe
    events_with_one_work
    firmware_comes_late
    five_delayed
    gate_closes_late
    irq_and_node
    irq_delayed
    irq_tasklet
    irq_two_tasklets
    irq_work
    node_opens_the_line
    notifier_schedules_work
    outside_message_work
    outside_work
    own_queue
    parent_and_child
    poll_and_request
    setup_at_once
    shared_line
    stop_event_through_tasklet
    stop_raises_interrupt
    tasklet_declared_first
    timers_and_sm_work
    triggered_work
    tuner_sleeps
    two_delayed_by_handler
    two_lines_and_watchdog
    two_urbs
    two_works_of_three_sources
    urb_and_works
    watchdog_per_job
    write_submits_an_urb
    xmit_work_and_timers
}

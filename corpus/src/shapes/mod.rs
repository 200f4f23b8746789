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
    attribute_read
    attribute_starts_a_timer
    bound_again_with_an_open_file
    chain_of_works
    chain_to_work
    channels_of_tasklets
    charger_limits
    command_queue
    delayed_on_own_queue
    delayed_requeues_itself
    dma_timeout
    effects_timer
    endpoint_before_probe
    event_work_requeues
    events_with_one_work
    faults_after_unbind
    firmware_comes_late
    five_delayed
    gate_closes_late
    hrtimer_and_own_queue
    irq_and_ioctl_timer
    irq_and_node
    irq_delayed
    irq_tasklet
    irq_timer
    irq_two_tasklets
    irq_work
    keepalive_timers
    mailbox_thread
    module_stays_while_open
    node_cannot_be_added
    node_opens_the_line
    notifier_schedules_work
    open_races_removal
    operations_after_unbind
    optional_channel
    outside_message_work
    outside_work
    own_queue
    parent_and_child
    poll_and_request
    poll_timer_and_two_works
    power_save_timer
    reports_during_failed_attach
    reports_start_a_timer
    setup_at_once
    shared_line
    stop_event_through_tasklet
    stop_raises_interrupt
    stream_timer
    stream_timer_and_work
    tasklet_declared_first
    thread_and_poll_work
    timer_and_work
    timer_restarts_itself
    timers_and_sm_work
    triggered_work
    tuner_sleeps
    two_delayed_by_handler
    two_lines_and_watchdog
    two_nodes_one_open
    two_urbs
    two_works_of_three_sources
    urb_and_works
    watchdog_core
    watchdog_per_job
    work_ends_before_unload
    work_waits_for_interrupt
    write_submits_an_urb
    xmit_work_and_timers
}

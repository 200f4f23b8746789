// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drivers are unbound while everything that can call in does so, under thousands of schedules, and
//! nothing may be found: no callback after its end, no access to freed memory, no leak, no deadlock.
//!
//! That these explorations would find something is proved by `tests/mutants`, which runs the same
//! scenarios with a teardown that makes a mistake.

mod scenarios;

use kernel::hosted::{explore, Explore, Kind};

/// How many schedules each scenario has to survive here.
const SCHEDULES: usize = 3_000;

macro_rules! survives {
    ($($(#[$doc:meta])* $test:ident: $scenario:ident;)*) => {$(
        $(#[$doc])*
        #[test]
        fn $test() {
            explore(SCHEDULES, scenarios::$scenario);
        }
    )*};
}

survives! {
    an_interrupt_and_its_tasklet_end_their_loop: an_interrupt_and_its_tasklet_keep_each_other_going;
    an_interrupt_and_its_work_end_their_loop: an_interrupt_and_its_work_keep_each_other_going;
    two_tasklets_end_their_loop: two_tasklets_keep_each_other_going;
    a_loop_of_three_ends: interrupt_tasklet_and_work_go_round;
    a_timer_that_starts_itself_ends: a_timer_starts_itself;
    an_interrupt_and_its_timer_end_their_loop: an_interrupt_and_its_timer_keep_each_other_going;
    two_timers_end_their_loop: two_timers_keep_each_other_going;
    a_loop_of_three_with_a_timer_ends: interrupt_work_and_timer_go_round;
    a_released_timer_does_not_run: a_timer_is_released_while_its_interrupt_starts_it;
    an_hrtimer_with_a_period_ends: an_hrtimer_has_a_period_while_an_interrupt_starts_it;
    an_interrupt_and_its_hrtimer_end_their_loop: an_interrupt_and_its_hrtimer_keep_each_other_going;
    two_hrtimers_end_their_loop: two_hrtimers_keep_each_other_going;
    a_released_hrtimer_or_tasklet_does_not_run: an_hrtimer_and_a_tasklet_are_released_in_a_storm;
    work_that_queues_itself_ends: work_queues_itself;
    delayed_work_that_queues_itself_ends: delayed_work_queues_itself;
    delayed_work_work_and_a_softirq_end_their_loop: delayed_work_and_work_keep_each_other_going;
    an_interrupt_and_its_bh_work_end_their_loop: an_interrupt_and_its_bh_work_keep_each_other_going;
    a_queue_that_is_never_empty_goes_after_its_work: a_queue_of_its_own_is_never_empty;
    released_work_does_not_run_while_the_device_is_unbound: a_work_item_releases_others;
    releasing_races_with_giving_a_body: work_is_released_twice_while_it_gets_its_body;
    work_that_waits_for_its_interrupt_does_not_hang_unbind: work_waits_for_its_interrupt;
    work_that_waits_on_a_queue_does_not_hang_unbind: work_waits_for_what_nobody_brings;
    a_blocked_reader_gets_enodev: a_reader_sleeps_through_unbind;
    operations_in_flight_are_waited_for: operations_race_with_unbind;
    an_open_that_sleeps_does_not_hang_unbind: an_open_sleeps_through_unbind;
    open_races_with_unbind: open_races_with_unbind;
    a_file_outlives_two_bindings: a_file_outlives_two_bindings;
    a_signal_ends_a_read: a_signal_ends_a_read;
    a_poller_is_woken_by_an_interrupt: an_interrupt_wakes_a_poller;
    a_sleeping_poller_is_told_that_the_device_has_gone: a_poller_sleeps_through_unbind;
    two_pollers_are_told_that_the_device_has_gone: two_pollers_sleep_through_unbind;
    an_entry_of_epoll_may_stay_when_the_device_has_gone: an_epoll_keeps_its_entries_through_unbind;
    polls_in_flight_are_waited_for_and_told: polling_races_with_unbind;
    a_polled_file_stays_dead: a_polled_file_outlives_its_device;
    a_failing_attach_takes_everything_down_again: attach_fails_at_its_end;
    schedule_says_what_it_did: schedule_says_what_it_did;
    a_handler_on_a_shared_line_goes_alone: one_of_two_devices_on_a_line_is_unbound;
    data_that_borrows_from_devres_goes_before_it: data_borrows_from_devres;
    a_parent_takes_its_child_away_before_it_goes: a_child_uses_its_parent_while_that_is_unbound;
    a_child_may_be_unbound_by_two: a_child_is_unbound_by_two;
    a_failing_parent_takes_its_child_away: a_parent_fails_when_it_has_a_child;
    a_platform_device_is_unbound_while_its_line_pulses: a_platform_device_is_unbound_while_its_line_pulses;
    a_part_that_is_reset_ends_with_the_device: a_part_is_reset_again_and_again;
    a_part_is_ended_by_one_at_a_time: two_resets_and_a_sleeper_meet;
    a_part_that_is_beginning_does_not_hang_unbind: a_part_is_just_beginning;
    two_devices_with_two_nodes_each_come_and_go: devices_come_and_go;
    a_number_that_is_used_again_is_not_the_old_device: a_number_is_used_again;
    what_is_mapped_is_taken_away: faults_race_with_unbind;
    files_behave_as_programs_expect: files_behave_as_programs_expect;
    a_signal_ends_a_read_of_a_cdev: a_signal_ends_a_read_of_a_cdev;
    mappings_are_of_what_the_driver_says: mappings_are_of_what_the_driver_says;
    a_line_that_its_handler_disables_is_freed: a_handler_disables_its_line_and_work_enables_it;
    a_tasklet_outlasts_the_interrupt_that_schedules_it: a_tasklet_is_freed_before_the_interrupt_that_schedules_it;
    an_interrupt_thread_is_waited_for: an_interrupt_thread_sleeps_and_raises_the_next_interrupt;
    work_that_waits_for_an_interrupt_thread_does_not_hang_unbind: work_waits_for_an_interrupt_thread;
    an_interrupt_thread_that_waits_on_a_queue_does_not_hang_unbind: an_interrupt_thread_waits_for_what_nobody_brings;
    an_interrupt_thread_may_wait_for_an_earlier_one: an_interrupt_thread_waits_for_an_earlier_one;
    handles_do_not_reach_a_line_that_is_freed: two_handlers_disable_and_enable_each_others_line;
    a_released_line_is_free_for_all: a_line_is_released_by_two_while_others_use_it;
    an_interrupt_thread_may_release_another_line: an_interrupt_thread_releases_the_line_of_another;
    handles_of_interrupts_say_what_they_did: handles_of_interrupts_say_what_they_did;
    a_dormant_line_goes_live_after_attach: a_pending_interrupt_is_handled_when_attach_is_over;
    a_dormant_line_stays_dead_if_attach_fails: a_line_is_never_enabled_if_attach_fails;
    others_on_a_line_do_not_starve: a_shared_line_is_left_disabled;
    an_affinity_hint_goes_before_its_line: a_line_with_an_affinity_hint_is_freed;
    an_affinity_hint_goes_with_the_scope: a_line_is_unbound_with_its_affinity_hint;
    outside_callers_are_waited_for_and_then_refused: outside_callers_race_with_unbind;
    an_outside_caller_that_sleeps_does_not_hang_unbind: an_outside_caller_sleeps_through_unbind;
    all_gates_wait_for_one_grace_period: gates_close_together;
    without_a_gate_there_is_no_grace_period: a_device_has_no_gate;
    an_entrance_of_a_failing_attach_is_closed: attach_fails_while_an_outside_caller_is_inside;
    an_urb_that_submits_itself_ends: an_urb_submits_itself;
    a_control_urb_that_ignores_errors_ends: a_control_urb_submits_itself_whatever_happens;
    two_urbs_end_their_loop: two_urbs_keep_each_other_going;
    an_urb_and_its_work_end_their_loop: an_urb_and_its_work_keep_each_other_going;
    an_urb_tasklet_and_timers_end_their_loop: an_urb_tasklet_and_timers_go_round;
    a_failing_attach_takes_its_urbs_back: attach_fails_with_urbs_in_flight;
    work_that_waits_for_an_urb_does_not_hang_unbind: work_waits_for_an_urb_of_a_silent_device;
    what_an_urb_has_brought_may_be_kept_and_leaked: work_keeps_what_an_urb_has_brought;
    an_urb_outlives_the_file_that_submitted_it: a_program_writes_and_closes_while_the_device_goes;
    a_released_urb_does_not_complete: an_urb_is_released_while_others_submit_it;
    a_captured_value_may_use_handles_when_dropped_and_be_leaked: captured_values_use_handles_when_dropped;
}

#[test]
fn attach_may_fail_at_any_allocation() {
    explore(200, |machine| {
        let tried = scenarios::every_allocation_of_a_bind_fails_once(machine);
        assert!(tried > 10, "only {tried} allocations were made to fail");
    });
}

#[test]
fn an_operation_that_takes_its_time_is_waited_for_and_reported() {
    let reported = std::sync::Arc::new(std::sync::Mutex::new(0));
    let seen = reported.clone();
    explore(SCHEDULES, move |machine| {
        if scenarios::an_operation_takes_its_time(machine) {
            *seen.lock().unwrap() += 1;
        }
    });
    assert!(*reported.lock().unwrap() > 100);
}

#[test]
fn teardown_in_its_own_interrupt_thread_is_reported() {
    let failure = Explore::new("teardown_in_its_own_interrupt_thread_is_reported")
        .schedules(100)
        .run(scenarios::an_interrupt_thread_unbinds_its_own_device)
        .expect_failure();
    assert_eq!(failure.kind, Kind::Panic);
    assert!(
        failure
            .message
            .contains("inside one of its own interrupt threads"),
        "{failure}"
    );
}

#[test]
fn teardown_in_its_own_work_item_is_reported() {
    let failure = Explore::new("teardown_in_its_own_work_item_is_reported")
        .schedules(100)
        .run(scenarios::a_work_item_unbinds_its_own_device)
        .expect_failure();
    assert_eq!(failure.kind, Kind::Panic);
    assert!(
        failure.message.contains("inside one of its own work items"),
        "{failure}"
    );
}

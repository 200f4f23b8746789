// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The test of the tests: a teardown with one mistake in it has to be found by an exploration.
//!
//! Each mutant names the scenarios of `tests/teardown.rs` that ought to find it. A mutant that
//! survives them all means that the scenarios would not notice if the crate made that mistake.

#[path = "../../scenarios/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "some scenarios are for the crate as it is only"
)]
mod scenarios;

use devscope::mutants::{activate, Mutant};
use kernel::hosted::{Explore, Failure, Kind, Machine};
use scenarios as s;
use std::sync::{Mutex, PoisonError};

type Scenario = fn(&Machine);

/// How many schedules a scenario may take to find a mutant.
const SCHEDULES: usize = 20_000;

/// One mutant at a time: which one is active is a static of the crate.
static TURN: Mutex<()> = Mutex::new(());

/// Explores each scenario with `mutant`. All have to find it, as a mistake of one of these kinds.
fn is_caught(mutant: Mutant, kinds: &[Kind], scenarios: &[(&str, Scenario)]) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let found: Vec<(&str, Option<Failure>)> = scenarios
        .iter()
        .map(|(name, scenario)| {
            let scenario = *scenario;
            activate(mutant);
            let outcome = Explore::new(name)
                .schedules(SCHEDULES)
                .max_steps(20_000)
                .run(scenario);
            activate(Mutant::None);
            (*name, outcome.failure())
        })
        .collect();
    for (name, failure) in found {
        let Some(failure) = failure else {
            panic!("{mutant:?} survived {SCHEDULES} schedules of {name}");
        };
        println!(
            "{mutant:?}: {} in schedule {} of {name}: {}",
            failure.kind, failure.tried, failure.message
        );
        assert!(
            kinds.contains(&failure.kind),
            "{mutant:?} in {name} was found as something else:\n{failure}"
        );
    }
}

macro_rules! scenario {
    ($name:ident) => {
        (stringify!($name), s::$name as Scenario)
    };
}

macro_rules! mutants {
    ($($test:ident: $mutant:ident is $($kind:ident)|+ in $($scenario:ident),+;)*) => {$(
        #[test]
        fn $test() {
            is_caught(
                Mutant::$mutant,
                &[$(Kind::$kind),+],
                &[$(scenario!($scenario)),+],
            );
        }
    )*};
}

mutants! {
    mutant_handles_are_not_told_to_refuse: SkipKill
        is Livelock | RanAfterFree | UseAfterFree | FreedWhileActive
        in two_tasklets_keep_each_other_going, two_hrtimers_keep_each_other_going;
    mutant_tasklets_are_drained_once: SkipRedrain
        is RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess
        in a_tasklet_is_freed_before_the_interrupt_that_schedules_it,
            an_interrupt_and_its_hrtimer_keep_each_other_going;
    mutant_work_is_drained_before_queues_close: DrainBeforeClose
        is Deadlock
        in work_waits_for_what_nobody_brings;
    mutant_the_interrupt_goes_before_the_work_that_waits_for_it: IrqBeforeWork
        is Deadlock
        in work_waits_for_its_interrupt;
    mutant_closures_are_dropped_before_they_are_drained: DropBeforeDrain
        is RanAfterFree | UseAfterFree | FreedWhileActive
        in an_interrupt_and_its_tasklet_keep_each_other_going;
    mutant_operations_in_flight_are_not_waited_for: SkipAwaitUsers
        is RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess | Panic
        in a_reader_sleeps_through_unbind, operations_race_with_unbind,
            outside_callers_race_with_unbind;
    mutant_who_is_not_counted_yet_is_overlooked: SkipGracePeriod
        is Deadlock | UseAfterFree | FreedWhileActive | WildAccess
        in outside_callers_race_with_unbind;
    mutant_sleepers_are_not_woken: ForgetToWakeSleepers
        is Deadlock
        in a_reader_sleeps_through_unbind, work_waits_for_what_nobody_brings,
            a_poller_sleeps_through_unbind, an_outside_caller_sleeps_through_unbind;
    mutant_device_nodes_stay_registered: SkipWithdraw
        is FreedWhileActive | UseAfterFree
        in open_races_with_unbind, a_child_uses_its_parent_while_that_is_unbound;
    mutant_nodes_are_deregistered_before_queues_close: WithdrawBeforeClose
        is Deadlock
        in an_open_sleeps_through_unbind;
    mutant_tasklets_are_not_drained: SkipDrainTasklets
        is RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess
        in an_interrupt_and_its_tasklet_keep_each_other_going;
    mutant_timers_are_not_drained: SkipDrainTimers
        is RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess
        in a_timer_starts_itself, two_timers_keep_each_other_going,
            interrupt_work_and_timer_go_round, two_hrtimers_keep_each_other_going;
    mutant_an_ended_life_does_not_keep_a_body_from_running: BodiesOutliveTheirLife
        is Panic
        in an_hrtimer_and_a_tasklet_are_released_in_a_storm;
    mutant_timers_are_deleted_and_not_shut_down: TimersAreDeletedOnly
        is RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess
        in an_interrupt_and_its_timer_keep_each_other_going;
    mutant_work_is_not_drained: SkipDrainWork
        is RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess
        in an_interrupt_and_its_work_keep_each_other_going;
    mutant_interrupts_are_not_freed: SkipDrainIrqs
        is RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess | Misuse
        in an_interrupt_and_its_work_keep_each_other_going;
    mutant_data_goes_before_the_scope: DataBeforeScope
        is UseAfterFree | WildAccess | FreedWhileActive | Misuse
        in an_interrupt_and_its_tasklet_keep_each_other_going, a_reader_sleeps_through_unbind;
    mutant_data_goes_after_the_bus_has_cleaned_up: DataAfterBus
        is UseAfterFree
        in data_borrows_from_devres;
    mutant_gates_and_queues_are_not_closed: SkipClose
        is Deadlock | RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess
        in a_reader_sleeps_through_unbind, work_waits_for_what_nobody_brings;
    mutant_queues_are_freed_while_they_may_be_polled: FreePolledQueues
        is FreedWhileActive | UseAfterFree
        in a_poller_sleeps_through_unbind, two_pollers_sleep_through_unbind,
            an_epoll_keeps_its_entries_through_unbind, polling_races_with_unbind,
            a_polled_file_outlives_its_device;
    mutant_poll_does_not_look_for_the_end: PollIgnoresTheEnd
        is Deadlock
        in a_poller_sleeps_through_unbind, two_pollers_sleep_through_unbind;
    mutant_a_part_does_not_end_with_its_scope: ForgetPart
        is RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess | Leak
        in a_part_is_reset_again_and_again, two_resets_and_a_sleeper_meet;
    mutant_who_looks_into_a_part_is_not_waited_for: SkipPartUsers
        is UseAfterFree | WildAccess | FreedWhileActive | Panic
        in a_part_is_reset_again_and_again, two_resets_and_a_sleeper_meet;
    mutant_a_part_that_is_beginning_is_not_woken: LeavePartQueuesOpen
        is Deadlock
        in a_part_is_just_beginning;
    mutant_a_part_begins_too_late: BeginPartTooLate
        is RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess | Leak
        in a_part_is_reset_again_and_again;
    mutant_a_workqueue_goes_before_its_work: QueueBeforeItsWork
        is UseAfterFree | FreedWhileActive | Misuse
        in a_queue_of_its_own_is_never_empty;
    mutant_timers_of_delayed_work_are_forgotten: ForgetTimers
        is Misuse
        in delayed_work_queues_itself, delayed_work_and_work_keep_each_other_going;
    mutant_work_in_softirqs_and_on_queues_is_not_drained: SkipDrainWork
        is RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess
        in an_interrupt_and_its_bh_work_keep_each_other_going, delayed_work_queues_itself,
            work_queues_itself;
    mutant_programs_keep_their_mappings: SkipUnmap
        is FreedWhileActive
        in faults_race_with_unbind, devices_come_and_go;
    mutant_mappings_go_before_faults_have_left: UnmapBeforeIdle
        is FreedWhileActive
        in faults_race_with_unbind;
    mutant_a_node_is_found_by_its_number: OpenByNumber
        is Panic
        in a_number_is_used_again;
    mutant_a_cdev_goes_with_its_node: FreeCdev
        is FreedWhileActive
        in a_number_is_used_again;
    mutant_interrupt_threads_are_not_waited_for: SkipDrainThreads
        is RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess | Misuse
        in an_interrupt_thread_sleeps_and_raises_the_next_interrupt;
    mutant_interrupt_threads_go_before_the_work_that_waits_for_them: ThreadsBeforeWork
        is Deadlock
        in work_waits_for_an_interrupt_thread;
    mutant_lines_are_freed_while_handles_reach_them: DoorLeftOpen
        is Misuse
        in two_handlers_disable_and_enable_each_others_line,
            a_line_is_released_by_two_while_others_use_it,
            an_interrupt_thread_releases_the_line_of_another;
    mutant_lines_are_freed_with_their_affinity_hint: KeepAffinityHint
        is Misuse | FreedWhileActive
        in a_line_is_unbound_with_its_affinity_hint, a_line_with_an_affinity_hint_is_freed;
    mutant_shared_lines_stay_disabled: LeaveSharedLineDisabled
        is Panic
        in a_shared_line_is_left_disabled;
    mutant_members_go_live_although_attach_failed: GoLiveAnyway
        is Panic
        in a_line_is_never_enabled_if_attach_fails;
    mutant_urbs_are_not_waited_for: SkipDrainUrbs
        is RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess
        in an_urb_submits_itself, a_control_urb_submits_itself_whatever_happens,
            attach_fails_with_urbs_in_flight;
    mutant_urbs_are_taken_back_and_not_waited_for: UrbsAreUnlinkedOnly
        is RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess
        in an_urb_submits_itself, a_program_writes_and_closes_while_the_device_goes;
    mutant_urbs_are_not_told_to_refuse: UrbsAreNotBlocked
        is RanAfterFree | UseAfterFree | FreedWhileActive | WildAccess
        in two_urbs_keep_each_other_going;
    mutant_urbs_are_left_in_flight_while_work_waits: UrbsAreNotTakenBack
        is Deadlock
        in work_waits_for_an_urb_of_a_silent_device;
    mutant_an_urb_is_submitted_while_it_is_in_flight: SubmitWhileInFlight
        is Misuse
        in a_program_writes_and_closes_while_the_device_goes, an_urb_tasklet_and_timers_go_round;
}

/// The pairs and cycles of `tests/pairs.rs` would notice.
#[test]
fn mutants_are_caught_by_pairs_and_cycles() {
    use s::rounds::{Kind as Of, Round};
    let late = [
        Kind::RanAfterFree,
        Kind::UseAfterFree,
        Kind::FreedWhileActive,
        Kind::WildAccess,
    ];
    is_caught(
        Mutant::SkipRedrain,
        &late,
        &[
            ("irq-schedules-hrtimer", |machine| {
                Round::Pair(Of::Irq, Of::HrTimer).explore(machine)
            }),
            ("irq-schedules-tasklet", |machine| {
                Round::Pair(Of::Irq, Of::Tasklet).explore(machine)
            }),
        ],
    );
    is_caught(
        Mutant::SkipDrainTimers,
        &late,
        &[
            ("file-schedules-timer", |machine| {
                Round::Pair(Of::File, Of::Timer).explore(machine)
            }),
            ("work-timer-hrtimer-work", |machine| {
                Round::Cycle([Of::Work, Of::Timer, Of::HrTimer]).explore(machine)
            }),
        ],
    );
    is_caught(
        Mutant::SkipDrainWork,
        &late,
        &[("irq-work-timer-irq", |machine| {
            Round::Cycle([Of::Irq, Of::Work, Of::Timer]).explore(machine)
        })],
    );
}

/// Without a mutant, this copy of the crate is the crate.
#[test]
fn without_a_mutant_nothing_is_found() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    activate(Mutant::None);
    for scenario in [
        s::an_interrupt_and_its_tasklet_keep_each_other_going,
        s::operations_race_with_unbind,
    ] {
        let _ = Explore::new("without_a_mutant_nothing_is_found")
            .schedules(SCHEDULES)
            .run(scenario)
            .unwrap();
    }
}

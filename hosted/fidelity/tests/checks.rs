// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Every check, on the model.

use fidelity::{bound, Check, CHECKS};
use kernel::hosted::{edu::Edu, Explore, Machine};
use std::sync::{
    atomic::{AtomicUsize, Ordering::Relaxed},
    Arc,
};

/// Explores a check: nothing is wrong in any schedule, and in some its case comes up.
fn explore(name: &str) {
    let check: &'static Check = fidelity::named(name).expect("a check of this name");
    let happened = Arc::new(AtomicUsize::new(0));
    let count = happened.clone();
    let stats = Explore::new(check.name)
        .schedules(2000)
        .run(move |m: &Machine| {
            let module = m.load(&fidelity::MODULE).unwrap();
            let slot = m.plug_pci(Edu::new());
            let edu = bound().expect("the device is bound");
            // In a program of its own, because some checks send it a signal.
            // SAFETY: The device is bound, and schedules take turns.
            let program = m.spawn("program", move || unsafe { (check.run)(edu) });
            let verdict = program.join();
            if let Some(saw) = verdict.wrong {
                panic!("{}: {} ({})", check.name, saw.what, saw.value);
            }
            if verdict.happened {
                count.fetch_add(1, Relaxed);
                assert_eq!(verdict.answer, check.answers.map(|answers| answers.model));
            }
            slot.unplug();
            module.unload().unwrap();
        })
        .unwrap();
    let happened = happened.load(Relaxed);
    println!(
        "{}: its case came up in {happened} of {} schedules, {:?}",
        check.name, stats.schedules, stats.time
    );
    assert!(happened > 0, "{} never met its case", check.name);
}

macro_rules! explored {
    ($($name:ident,)*) => {
        $(#[test]
        fn $name() {
            explore(stringify!($name));
        })*

        /// Their names, to compare with the table.
        const EXPLORED: &[&str] = &[$(stringify!($name)),*];
    };
}

explored! {
    free_irq_waits_for_a_running_handler,
    a_shared_handler_is_called_once_more_by_free_irq,
    request_irq_refuses_what_does_not_fit,
    sharing_a_line_with_another_trigger,
    a_line_in_progress_is_remembered_and_not_entered_twice,
    disable_irq_waits_for_a_running_handler,
    synchronize_irq_waits_for_a_running_handler,
    a_disabled_line_is_handled_when_it_is_enabled_as_often,
    a_line_left_disabled_is_enabled_by_the_next_request,
    a_shared_line_left_disabled_stays_so_for_the_others,
    a_line_requested_disabled_is_handled_when_it_is_enabled,
    interrupts_go_where_the_hint_sends_them,
    a_threaded_handler_may_sleep_and_free_irq_waits_for_it,
    what_comes_while_the_thread_runs_makes_it_run_again,
    oneshot_does_not_mask_a_message,
    oneshot_masks_intx_until_the_thread_has_returned,
    intx_is_handled_until_it_is_acknowledged,
    a_message_is_handled_once_whether_acknowledged_or_not,
    an_interrupted_process_does_not_go_on_before_the_handler_returns,
    a_tasklet_runs_once_for_many_schedules_before_it_ran,
    tasklet_kill_waits_for_a_running_tasklet,
    a_pending_tasklet_runs_before_tasklet_kill_returns,
    a_tasklet_scheduled_after_its_kill_runs,
    a_disabled_tasklet_runs_when_it_is_enabled,
    a_tasklet_runs_after_its_interrupt_on_the_same_cpu,
    a_tasklet_scheduled_while_it_runs_runs_again_and_not_beside_itself,
    the_order_of_an_ordinary_tasklet_and_then_one_of_high_priority,
    a_timer_expires_once_in_a_softirq_and_not_before_its_time,
    timer_delete_sync_waits_for_a_running_timer,
    a_timer_that_was_shut_down_is_not_started,
    a_timer_without_a_function_is_not_started_until_it_has_one,
    a_running_timer_that_is_shut_down_cannot_start_itself,
    a_timer_started_while_it_runs_runs_again_and_not_beside_itself,
    an_hrtimer_expires_as_often_as_its_function_answers,
    an_hrtimer_may_be_started_by_its_own_function,
    hrtimer_cancel_waits_for_a_running_hrtimer,
    a_running_hrtimer_is_not_cancelled_by_a_try,
    an_hrtimer_started_after_its_cancel_expires,
    a_work_item_that_is_pending_is_not_queued_again,
    a_work_item_never_runs_on_two_workers_at_once,
    a_work_item_that_runs_is_queued_on_a_second_queue,
    disable_work_sync_waits_and_refuses_from_then_on,
    a_work_item_is_refused_until_it_is_enabled_as_often,
    cancel_work_sync_waits_and_queueing_works_afterwards,
    flush_work_waits_for_the_last_instance_queued,
    a_work_item_may_free_itself_while_it_runs,
    a_work_item_that_sleeps_does_not_hold_up_the_others,
    a_bh_work_item_runs_in_a_softirq,
    queue_work_on_runs_the_item_where_it_is_told,
    an_ordered_workqueue_runs_one_after_the_other,
    a_workqueue_runs_as_many_at_once_as_it_may,
    destroy_workqueue_waits_for_what_is_queued,
    a_disabled_work_item_does_not_look_at_its_queue,
    a_work_item_says_whether_it_is_queued_pending_or_disabled,
    delayed_work_is_queued_once_and_runs,
    disable_delayed_work_sync_takes_the_timer_away,
    mod_delayed_work_moves_what_is_pending,
    mod_delayed_work_does_not_queue_what_is_disabled,
    flush_delayed_work_does_not_wait_for_the_timer,
    a_wake_up_is_not_lost,
    a_signal_ends_an_interruptible_wait,
    a_wake_function_of_its_own_is_called,
    a_completion_counts_and_complete_all_is_for_ever,
    a_timeout_passes_and_says_so,
    a_closed_gate_refuses_and_completes_for_each_who_leaves,
    who_enters_a_gate_is_noted_until_it_leaves,
    synchronize_srcu_waits_for_readers_that_sleep,
    a_spinlock_admits_one,
    a_spinlock_is_shared_with_a_handler_when_interrupts_are_off,
    a_mutex_admits_one_and_its_holder_may_sleep,
    a_mutex_that_another_holds_is_not_given_to_trylock,
    two_local_irq_disable_and_one_enable,
    synchronize_rcu_waits_for_readers_that_began_before,
    synchronize_rcu_waits_for_handlers,
    call_rcu_calls_after_readers_that_began_before,
    edu_says_who_it_is_and_answers,
    edu_computes_a_factorial_and_interrupts_when_asked_to,
    a_pci_device_has_its_bar_and_as_many_vectors_as_it_was_given,
    remove_comes_before_devres_last_first_and_then_the_data_is_cleared,
    a_probe_that_fails_is_cleaned_up_without_remove,
    a_platform_driver_is_given_the_device_of_its_name,
    a_faux_device_is_bound_when_it_is_made_and_until_it_is_destroyed,
    a_faux_device_that_does_not_probe_is_not_made,
    an_auxiliary_device_is_unbound_when_it_is_deleted_and_freed_later,
    the_minor_of_a_misc_device_registered_again,
}

#[test]
fn every_check_is_explored() {
    let names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(names, EXPLORED);
}

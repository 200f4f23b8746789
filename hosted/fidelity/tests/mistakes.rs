// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Every mistake, on the model: which of them it reports, and as what.
//!
//! What Linux says to each is in `linux/guest/reports.rs`.

use fidelity::{bound, MISTAKES};
use kernel::hosted::{edu::Edu, Explore, Kind, Machine};

#[allow(
    dead_code,
    reason = "the guest's program; here for its table of reports"
)]
#[path = "../../../linux/guest/reports.rs"]
mod reports;

/// What the model says.
enum Says {
    /// It reports, as one of these.
    Reports(&'static [Kind]),
    /// It writes this to the kernel's log.
    Logs(&'static str),
    /// Nothing, and `FIDELITY.md` says so.
    Nothing,
}
use Kind::*;
use Says::*;

const MODEL: &[(&str, Says)] = &[
    ("sleeping_in_a_handler", Reports(&[SleepInAtomic])),
    ("taking_a_mutex_under_a_spinlock", Reports(&[SleepInAtomic])),
    ("sleeping_in_an_rcu_section", Reports(&[SleepInAtomic])),
    (
        "freeing_a_work_item_that_is_pending",
        Reports(&[FreedWhileActive, UseAfterFree]),
    ),
    (
        "waiting_for_a_work_item_without_a_function",
        Reports(&[Misuse]),
    ),
    (
        "freeing_a_tasklet_that_is_scheduled",
        Reports(&[FreedWhileActive]),
    ),
    (
        "freeing_a_timer_that_is_pending",
        Reports(&[FreedWhileActive]),
    ),
    (
        "freeing_an_hrtimer_that_is_pending",
        Reports(&[FreedWhileActive]),
    ),
    (
        "freeing_the_cookie_of_a_handler",
        Reports(&[FreedWhileActive]),
    ),
    (
        "freeing_a_misc_device_that_is_registered",
        Reports(&[FreedWhileActive]),
    ),
    ("enabling_a_line_too_often", Reports(&[Misuse])),
    ("freeing_a_line_with_its_affinity_hint", Reports(&[Misuse])),
    ("asking_for_oneshot_without_a_thread", Reports(&[Misuse])),
    ("taking_two_locks_in_both_orders", Nothing),
    (
        "a_spinlock_shared_with_a_handler_that_is_taken_with_interrupts_on",
        Nothing,
    ),
    ("unlocking_a_mutex_that_nobody_holds", Reports(&[Misuse])),
    ("a_line_that_nobody_cares_about", Logs("nobody cared")),
    ("reading_a_register_after_unmapping", Reports(&[WildAccess])),
    (
        "killing_a_disabled_tasklet_that_is_scheduled",
        Reports(&[Livelock]),
    ),
];

#[test]
fn every_mistake_is_reported_by_the_model_as_the_table_says() {
    for (name, says) in MODEL {
        let check = fidelity::named(name).expect("a check of this name");
        let logged = match says {
            Logs(line) => *line,
            _ => "",
        };
        let outcome = Explore::new(name)
            .schedules(300)
            .max_steps(5000)
            .run(move |m: &Machine| {
                let module = m.load(&fidelity::MODULE).unwrap();
                let slot = m.plug_pci(Edu::new());
                let edu = bound().expect("the device is bound");
                // SAFETY: None: that is the mistake.
                let program = m.spawn("program", move || unsafe { (check.run)(edu) });
                program.join();
                assert!(
                    m.dmesg().iter().any(|line| line.contains(logged)) || logged.is_empty(),
                    "{:?}",
                    m.dmesg()
                );
                slot.unplug();
                module.unload().unwrap();
            });
        match (says, outcome.failure()) {
            (Reports(kinds), Some(failure)) => {
                assert!(kinds.contains(&failure.kind), "{name}: {failure}");
            }
            (Reports(_), None) => panic!("{name} is not reported"),
            (Logs(_) | Nothing, None) => {}
            (Logs(_) | Nothing, Some(failure)) => panic!("{name}: {failure}"),
        }
    }
}

#[test]
fn every_mistake_has_what_the_model_says_and_what_linux_says() {
    let names: Vec<&str> = MISTAKES.iter().map(|check| check.name).collect();
    let model: Vec<&str> = MODEL.iter().map(|(name, _)| *name).collect();
    assert_eq!(model, names);
    // In the order in which the machine bears them.
    let mut linux: Vec<&str> = reports::REPORTS.iter().map(|report| report.name).collect();
    let mut names = names;
    linux.sort_unstable();
    names.sort_unstable();
    assert_eq!(linux, names);
}

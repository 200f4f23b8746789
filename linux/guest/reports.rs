//! Mistakes that Linux has to report. The guest's program makes them, and the host knows from here what
//! to expect.

/// A mistake, and what Linux says to it.
pub struct Report {
    /// The check in `fidelity.ko` that makes the mistake.
    pub name: &'static str,
    /// What is in one of the lines that follow in the kernel's log.
    #[allow(
        dead_code,
        reason = "the host reads it: here it would end up in the log by itself"
    )]
    pub expect: &'static str,
    /// What comes of it.
    pub then: Then,
}

/// What is left of the machine after a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// All of it.
    GoesOn,
    /// All but lockdep, which reports once for each boot.
    LosesLockdep,
    /// A machine that may do anything from now on, since memory is not what it should be.
    IsSpoilt,
    /// A machine without the program that made the mistake: it was killed.
    Dies,
    /// A machine with a program that never comes back, and that has to be ended from outside.
    Hangs,
}

/// In this order as many as possible are made in one boot.
pub const REPORTS: &[Report] = &[
    report(
        "sleeping_in_a_handler",
        "BUG: sleeping function called from invalid context",
        Then::GoesOn,
    ),
    report(
        "taking_a_mutex_under_a_spinlock",
        "BUG: sleeping function called from invalid context",
        Then::GoesOn,
    ),
    report(
        "sleeping_in_an_rcu_section",
        "BUG: sleeping function called from invalid context",
        Then::GoesOn,
    ),
    report(
        "waiting_for_a_work_item_without_a_function",
        "WARNING: kernel/workqueue.c",
        Then::GoesOn,
    ),
    report(
        "enabling_a_line_too_often",
        "Unbalanced enable for IRQ",
        Then::GoesOn,
    ),
    report(
        "freeing_a_line_with_its_affinity_hint",
        "WARNING: kernel/irq/manage.c",
        Then::GoesOn,
    ),
    report(
        "asking_for_oneshot_without_a_thread",
        "WARNING: kernel/irq/manage.c",
        Then::GoesOn,
    ),
    report(
        "freeing_a_work_item_that_is_pending",
        "ODEBUG: free active",
        Then::GoesOn,
    ),
    report(
        "freeing_a_timer_that_is_pending",
        "ODEBUG: free active",
        Then::GoesOn,
    ),
    report(
        "freeing_an_hrtimer_that_is_pending",
        "ODEBUG: free active",
        Then::GoesOn,
    ),
    report(
        "taking_two_locks_in_both_orders",
        "possible circular locking dependency detected",
        Then::LosesLockdep,
    ),
    report(
        "freeing_a_tasklet_that_is_scheduled",
        "BUG: KASAN: slab-use-after-free in",
        Then::IsSpoilt,
    ),
    report(
        "a_spinlock_shared_with_a_handler_that_is_taken_with_interrupts_on",
        "inconsistent lock state",
        Then::LosesLockdep,
    ),
    report(
        "freeing_the_cookie_of_a_handler",
        "BUG: KASAN: slab-use-after-free in",
        Then::IsSpoilt,
    ),
    report(
        "unlocking_a_mutex_that_nobody_holds",
        "bad unlock balance detected",
        Then::LosesLockdep,
    ),
    report(
        "a_line_that_nobody_cares_about",
        ": nobody cared",
        Then::GoesOn,
    ),
    report(
        "reading_a_register_after_unmapping",
        "BUG: unable to handle page fault",
        Then::Dies,
    ),
    report(
        "freeing_a_misc_device_that_is_registered",
        "BUG: KASAN: slab-use-after-free in",
        Then::IsSpoilt,
    ),
    report(
        "killing_a_disabled_tasklet_that_is_scheduled",
        "INFO: task",
        Then::Hangs,
    ),
];

const fn report(name: &'static str, expect: &'static str, then: Then) -> Report {
    Report { name, expect, then }
}

/// Whether a mistake is only noticed by lockdep.
pub fn is_for_lockdep(name: &str) -> bool {
    REPORTS
        .iter()
        .any(|report| report.name == name && report.then == Then::LosesLockdep)
}

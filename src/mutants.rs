// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Teardown with one mistake in it, for the test that proves the tests.
//!
//! Compiled only with `--cfg devscope_mutants`, which nothing sets but the package `tests/mutants`, and
//! `cargo xtask vm mutants` for its modules. There `linux/mutants.c` makes it a module parameter.

use crate::scope::Step;
use kernel::{
    bindings,
    ffi::c_int,
    sync::atomic::{Atomic, Relaxed},
};

/// A mistake in teardown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Mutant {
    /// None: teardown as it is.
    None,
    /// Handles are not told to refuse.
    SkipKill,
    /// Tasklets are drained once only.
    SkipRedrain,
    /// Members are drained before gates and queues are closed.
    DrainBeforeClose,
    /// The interrupt goes before the work that may be waiting for it.
    IrqBeforeWork,
    /// Closures are dropped before their callbacks are drained.
    DropBeforeDrain,
    /// Operations in flight are not waited for.
    SkipAwaitUsers,
    /// Who has found a gate open and is not counted yet is overlooked.
    SkipGracePeriod,
    /// Queues close without waking who sleeps on them.
    ForgetToWakeSleepers,
    /// Device nodes stay registered.
    SkipWithdraw,
    /// Device nodes are deregistered before gates and queues close.
    WithdrawBeforeClose,
    /// Tasklets are not drained at all.
    SkipDrainTasklets,
    /// Timers are not drained.
    SkipDrainTimers,
    /// Timers are deleted, and not shut down.
    TimersAreDeletedOnly,
    /// A tasklet or hrtimer whose life is over runs its body when it is called late.
    BodiesOutliveTheirLife,
    /// Work is not drained.
    SkipDrainWork,
    /// Interrupts are not freed.
    SkipDrainIrqs,
    /// The driver's data is dropped before the scope ends.
    DataBeforeScope,
    /// Gates are not closed.
    SkipClose,
    /// Wait queues are freed with the scope, although files are still open that may be polled.
    FreePolledQueues,
    /// `poll()` does not look whether the scope ends after it has registered.
    PollIgnoresTheEnd,
    /// A live part does not take the steps of the scope around it.
    ForgetPart,
    /// Who looks into a part is not waited for when it ends.
    SkipPartUsers,
    /// A part that is just beginning is not woken when the scope around it ends.
    LeavePartQueuesOpen,
    /// A part begins although the scope around it ends.
    BeginPartTooLate,
    /// The driver core drops the data, after the bus has released the device's resources.
    DataAfterBus,
    /// A workqueue is destroyed before the scope has ended.
    QueueBeforeItsWork,
    /// Delayed work is disabled as if it had no timer.
    ForgetTimers,
    /// Programs keep their mappings.
    SkipUnmap,
    /// Mappings are taken away while operations and faults are in flight.
    UnmapBeforeIdle,
    /// A node is found by its number, whichever device the inode remembers.
    OpenByNumber,
    /// A character device is freed with its node, although an inode may know it.
    FreeCdev,
    /// Threads of interrupts are not waited for.
    SkipDrainThreads,
    /// Threads of interrupts go before the work that may be waiting for them.
    ThreadsBeforeWork,
    /// A line is freed while handles can still reach it.
    DoorLeftOpen,
    /// A line is freed with its affinity hint.
    KeepAffinityHint,
    /// A shared line is left disabled.
    LeaveSharedLineDisabled,
    /// Members go live although `attach()` has failed.
    GoLiveAnyway,
    /// URBs are not waited for.
    SkipDrainUrbs,
    /// URBs are taken back, and not waited for.
    UrbsAreUnlinkedOnly,
    /// URBs are not told to refuse.
    UrbsAreNotBlocked,
    /// URBs in flight are left there while work is waited for.
    UrbsAreNotTakenBack,
    /// An URB is submitted by whoever likes, whether or not it is in flight.
    SubmitWhileInFlight,
}

/// By name, so that C finds it.
#[export_name = "devscope_mutant"]
static ACTIVE: Atomic<i32> = Atomic::new(Mutant::None as i32);

/// Makes `mutant` the mistake that every teardown in this process makes from now on.
pub fn activate(mutant: Mutant) {
    ACTIVE.store(mutant as i32, Relaxed);
}

pub(crate) fn active(mutant: Mutant) -> bool {
    ACTIVE.load(Relaxed) == mutant as i32
}

/// The steps of a teardown that makes the active mistake.
pub(crate) fn order(order: [Step; Step::ORDER.len()]) -> [Step; Step::ORDER.len()] {
    let without = |missing: &[Step]| {
        order.map(|step| {
            if missing.contains(&step) {
                Step::Skipped
            } else {
                step
            }
        })
    };
    let before = |early: Step, late: Step| {
        let mut steps = order;
        let from = order.iter().position(|step| *step == early).unwrap_or(0);
        let to = order.iter().position(|step| *step == late).unwrap_or(0);
        steps[to..=from].rotate_right(1);
        steps
    };
    let is = active;
    if is(Mutant::SkipKill) {
        without(&[Step::Kill])
    } else if is(Mutant::SkipRedrain) {
        without(&[Step::Redrain])
    } else if is(Mutant::DrainBeforeClose) {
        before(Step::DrainWork, Step::Close)
    } else if is(Mutant::IrqBeforeWork) {
        before(Step::DrainIrqs, Step::DrainWork)
    } else if is(Mutant::DropBeforeDrain) {
        before(Step::DropBodies, Step::DrainWork)
    } else if is(Mutant::SkipAwaitUsers) {
        without(&[Step::AwaitUsers])
    } else if is(Mutant::SkipWithdraw) {
        without(&[Step::Withdraw])
    } else if is(Mutant::WithdrawBeforeClose) {
        before(Step::Withdraw, Step::Close)
    } else if is(Mutant::SkipDrainTasklets) {
        without(&[Step::DrainTasklets, Step::Redrain])
    } else if is(Mutant::SkipDrainTimers) {
        without(&[Step::DrainTimers, Step::Redrain])
    } else if is(Mutant::SkipDrainWork) {
        without(&[Step::DrainWork])
    } else if is(Mutant::SkipDrainIrqs) {
        without(&[Step::DrainIrqs])
    } else if is(Mutant::SkipUnmap) {
        without(&[Step::Unmap])
    } else if is(Mutant::UnmapBeforeIdle) {
        before(Step::Unmap, Step::AwaitUsers)
    } else if is(Mutant::SkipClose) {
        without(&[Step::Close])
    } else if is(Mutant::SkipDrainThreads) {
        without(&[Step::DrainThreads])
    } else if is(Mutant::ThreadsBeforeWork) {
        before(Step::DrainThreads, Step::DrainWork)
    } else if is(Mutant::SkipDrainUrbs) {
        without(&[Step::DrainUrbs, Step::Redrain])
    } else {
        order
    }
}

/// # Safety
///
/// As for the function of C.
pub(crate) unsafe fn timer_shutdown(timer: *mut bindings::timer_list) -> c_int {
    // SAFETY: The caller's promise is passed on.
    unsafe {
        match active(Mutant::TimersAreDeletedOnly) {
            true => bindings::timer_delete(timer),
            false => bindings::timer_shutdown(timer),
        }
    }
}

/// # Safety
///
/// As for the function of C.
pub(crate) unsafe fn timer_shutdown_sync(timer: *mut bindings::timer_list) -> c_int {
    // SAFETY: The caller's promise is passed on.
    unsafe {
        match active(Mutant::TimersAreDeletedOnly) {
            true => bindings::timer_delete_sync(timer),
            false => bindings::timer_shutdown_sync(timer),
        }
    }
}

/// # Safety
///
/// As for the function of C.
pub(crate) unsafe fn usb_kill_urb(urb: *mut bindings::urb) {
    // SAFETY: The caller's promise is passed on.
    unsafe {
        match active(Mutant::UrbsAreUnlinkedOnly) {
            true => {
                bindings::usb_unlink_urb(urb);
            }
            false => bindings::usb_kill_urb(urb),
        }
    }
}

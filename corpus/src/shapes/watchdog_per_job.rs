// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `ioctl()` starts a job and arms a watchdog for it. The interrupt finishes the job, or the watchdog does
//! if the interrupt is lost.
//!
//! The driver freed the device of the jobs with the watchdog of the last one armed. Here the watchdog ends
//! with the scope. Which of the two finishes a job is decided by whoever takes it; in C the interrupt
//! decided by the answer of `cancel_delayed_work()`, which there is not here. A node stands in for the
//! V4L2 memory-to-memory device.

use crate::{
    harness::reached,
    stage::{canary, touch, unbind_while_open, Data, Shape, Shaped},
};
use devscope::{file::File, wait::WaitQueue, work::DelayedWork, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full},
        Arc,
    },
};

pub const BUGS: &[&str] = &["rkvdec-watchdog"];
pub const REACHES: &[&str] = &[
    "interrupt finished a job",
    "watchdog finished a job",
    "watchdog ran while unbinding",
    "watchdog was armed while unbinding",
];

pub struct Rkvdec {
    /// In memory of its own: the device of the jobs, with one running or none.
    curr: KBox<Atomic<bool>>,
    finished: Atomic<u32>,
}

pub struct Jobs<'a> {
    rkvdec: &'a Data<'a, Rkvdec>,
    watchdog: DelayedWork<'a>,
    done: WaitQueue<'a>,
}

/// Whoever takes the job has to finish it.
fn finish(rkvdec: &Data<'_, Rkvdec>, done: WaitQueue<'_>) -> bool {
    let taken = rkvdec.curr.xchg(false, Full);
    if taken {
        rkvdec.finished.fetch_add(1, Full);
        done.wake_all();
    }
    taken
}

pub struct Context;

#[vtable]
impl File for Context {
    type Device<'a> = Jobs<'a>;
    type OwnerModule = module::Owner;

    fn open(_jobs: &Jobs<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Context, GFP_KERNEL)?)
    }

    /// Runs a job. The hardware loses the interrupt if `arg` is 0.
    fn ioctl(&self, jobs: &Jobs<'_>, _cmd: u32, arg: usize) -> Result<isize> {
        let rkvdec = jobs.rkvdec;
        let before = rkvdec.finished.load(Acquire);
        rkvdec.curr.xchg(true, Full);
        jobs.watchdog.reschedule(2);
        rkvdec.late("watchdog was armed while unbinding");
        if arg != 0 {
            rkvdec.raise();
        }
        jobs.done
            .wait_until(|| rkvdec.finished.load(Acquire) != before)?;
        Ok(0)
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Rkvdec;

    fn own() -> impl PinInit<Rkvdec, Error> {
        Ok(Rkvdec {
            curr: KBox::new(Atomic::new(false), GFP_KERNEL)?,
            finished: Atomic::new(0),
        })
    }

    fn attach<'a>(rkvdec: &'a Data<'_, Rkvdec>, scope: &mut Scope<'a>) -> Result {
        let done = scope.wait_queue()?;
        let canary = canary()?;
        let watchdog = scope.delayed_work(move || {
            touch(&canary);
            rkvdec.late("watchdog ran while unbinding");
            if finish(rkvdec, done) {
                reached("watchdog finished a job");
            }
            touch(&canary);
        })?;
        rkvdec.handle(scope, 0, move || {
            if finish(rkvdec, done) {
                reached("interrupt finished a job");
            }
        })?;
        let jobs = Jobs {
            rkvdec,
            watchdog,
            done,
        };
        scope.misc_device::<Context>(c"rkvdec", jobs)
    }
}

pub fn scenario(machine: &Machine) {
    let (rkvdec, m) = (Edu::new(), *machine);
    unbind_while_open(machine, &module::MODULE, rkvdec, || {}, "rkvdec", move |file| {
        while file.ioctl(0, m.choose(2)).is_ok() {}
        assert_eq!(file.ioctl(0, 0), Err(ENODEV));
        reached("refused: ioctl()");
    });
}

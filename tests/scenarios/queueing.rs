// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Work on queues of all kinds: delayed, in softirqs, on queues of the driver's own, released early.

use super::{canary, handler, unbind_while, Data, Shape, Shaped};
use devscope::{workqueue::QueueOptions, Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

// ---- Work that queues itself, which no interrupt has to keep going ----

driver!(itself, super::Itself);
pub struct Itself;

impl Shape for Itself {
    fn attach<'a>(_data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let (work, slot) = scope.declare_work()?;
        slot.define(scope, move || {
            canary.add(1, Relaxed);
            work.schedule();
        })?;
        work.schedule();
        Ok(())
    }
}

pub fn work_queues_itself(machine: &Machine) {
    unbind_while(machine, &itself::MODULE, Edu::new(), || {});
}

// ---- Delayed work that queues itself, as one that polls does ----

driver!(polling_timer, super::Polling);
pub struct Polling;

impl Shape for Polling {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let (poll, slot) = scope.declare_delayed_work()?;
        slot.define(scope, move || {
            canary.add(1, Relaxed);
            poll.schedule(10);
        })?;
        poll.schedule(0);
        // An interrupt brings it forward, or puts it off.
        handler(data, scope, move || {
            let when = data.count.fetch_add(1, Relaxed) as usize % 2;
            poll.reschedule(when * 10);
        })
    }
}

pub fn delayed_work_queues_itself(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &polling_timer::MODULE, edu.clone(), move || {
        edu.raise(1);
        edu.raise(1);
    });
}

// ---- Delayed work, work and a softirq, one after the other ----

driver!(circle, super::Circle);
pub struct Circle;

impl Shape for Circle {
    fn attach<'a>(_data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let (first, second, third) = (canary()?, canary()?, canary()?);
        let (delayed, slot) = scope.declare_delayed_work()?;
        let work = scope.work(move || {
            first.add(1, Relaxed);
            delayed.schedule(1);
        })?;
        let bottom = scope.bh_work(move || {
            second.add(1, Relaxed);
            work.schedule();
        })?;
        slot.define(scope, move || {
            third.add(1, Relaxed);
            bottom.schedule();
        })?;
        delayed.schedule(1);
        Ok(())
    }
}

pub fn delayed_work_and_work_keep_each_other_going(machine: &Machine) {
    unbind_while(machine, &circle::MODULE, Edu::new(), || {});
}

// ---- Work in a softirq, and the interrupt that it brings about ----

driver!(bottom, super::Bottom);
pub struct Bottom;

impl Shape for Bottom {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let bottom = scope.bh_work(move || {
            canary.add(1, Relaxed);
            data.raise();
        })?;
        handler(data, scope, move || {
            bottom.schedule();
        })
    }
}

pub fn an_interrupt_and_its_bh_work_keep_each_other_going(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &bottom::MODULE, edu.clone(), move || edu.raise(1));
}

// ---- A queue of the driver's own, that is never empty ----

driver!(owning, super::Owning);
pub struct Owning;

impl Shape for Owning {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let queue = scope.workqueue(c"shape", QueueOptions::ordered())?;
        let (first, second) = (canary()?, canary()?);
        let (poll, slot) = scope.declare_delayed_work_on(queue)?;
        let inside = &data.arrived;
        let alone = move || {
            assert!(!inside.xchg(true, Relaxed), "two ran at once");
        };
        let work = scope.work_on(queue, move || {
            alone();
            first.add(1, Relaxed);
            poll.schedule(1);
            data.raise();
            inside.store(false, Relaxed);
        })?;
        slot.define(scope, move || {
            alone();
            second.add(1, Relaxed);
            work.schedule();
            inside.store(false, Relaxed);
        })?;
        handler(data, scope, move || {
            work.schedule();
        })
    }
}

pub fn a_queue_of_its_own_is_never_empty(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &owning::MODULE, edu.clone(), move || edu.raise(1));
}

// ---- A work item that releases others ----

driver!(releasing, super::Releasing);
pub struct Releasing;

impl Shape for Releasing {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let runs = &data.count;
        let (worked, waited, below) = (canary()?, canary()?, canary()?);
        let work = scope.work(move || {
            worked.add(1, Relaxed);
            runs.add(1, Relaxed);
        })?;
        let delayed = scope.delayed_work(move || {
            waited.add(1, Relaxed);
            runs.add(1, Relaxed);
        })?;
        let bottom = scope.bh_work(move || {
            below.add(1, Relaxed);
            runs.add(1, Relaxed);
        })?;
        let (ends, slot) = scope.declare_work()?;
        slot.define(scope, move || {
            assert_eq!(ends.release(), Err(EDEADLK));
            for _ in 0..2 {
                work.release().expect("the work item is released");
                delayed.release().expect("the delayed work is released");
                bottom.release().expect("the BH work is released");
            }
            let before = runs.load(Relaxed);
            assert_eq!(work.schedule(), Scheduled::Refused);
            assert_eq!(delayed.schedule(0), Scheduled::Refused);
            assert_eq!(delayed.reschedule(0), Scheduled::Refused);
            assert_eq!(bottom.schedule(), Scheduled::Refused);
            kernel::time::delay::fsleep(kernel::time::Delta::from_millis(1));
            assert_eq!(runs.load(Relaxed), before, "released, and it ran");
        })?;
        handler(data, scope, move || {
            assert_eq!(work.release(), Err(EDEADLK));
            work.schedule();
            delayed.schedule(1);
            bottom.schedule();
            ends.schedule();
        })
    }
}

pub fn a_work_item_releases_others(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &releasing::MODULE, edu.clone(), move || {
        edu.raise(1);
        edu.raise(1);
    });
}

// ---- Two work items that release a third, which has no body yet ----

driver!(early, super::Early);
pub struct Early;

impl Shape for Early {
    fn attach<'a>(_data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let (third, slot) = scope.declare_work()?;
        let releases = move || {
            third.release().expect("the work item is released");
            assert_eq!(third.schedule(), Scheduled::Refused);
        };
        let one = scope.work(releases)?;
        let two = scope.work(releases)?;
        one.schedule();
        two.schedule();
        let canary = canary()?;
        slot.define(scope, move || canary.add(1, Relaxed))?;
        third.schedule();
        Ok(())
    }
}

pub fn work_is_released_twice_while_it_gets_its_body(machine: &Machine) {
    unbind_while(machine, &early::MODULE, Edu::new(), || {});
}

/// Members of all these kinds, for the test in which each allocation fails once.
pub fn one_of_each<'a>(count: &'a Atomic<i64>, scope: &mut Scope<'a>) -> Result {
    let queue = scope.workqueue(c"shape", QueueOptions::unbound(0).highpri())?;
    let owned = canary()?;
    let work = scope.work_on(queue, move || owned.add(1, Relaxed))?;
    let (delayed, slot) = scope.declare_delayed_work_on(queue)?;
    let bottom = scope.bh_work(move || {
        count.add(1, Relaxed);
    })?;
    slot.define(scope, move || {
        work.schedule();
        bottom.schedule();
    })?;
    delayed.schedule(1);
    Ok(())
}

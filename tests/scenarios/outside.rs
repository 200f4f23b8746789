// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Callers that no scope can stop: they keep an entrance, and come in whenever they like.

use super::{canary, unbind_while, Data, Shape, Shaped};
use devscope::{
    entrance::{Entrance, Side},
    wait::WaitQueue,
    work::Work,
    Scheduled, Scope,
};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};
use std::sync::{Mutex, PoisonError};

/// What is behind the entrance. It owns a canary, so whoever is in there when it has been dropped touches
/// freed memory.
struct Behind;

struct Device<'a> {
    data: &'a Data<'a>,
    work: Work<'a>,
    never: WaitQueue<'a>,
    canary: KBox<Atomic<i64>>,
}

impl Side for Behind {
    type Device<'a> = Device<'a>;
}

/// What the other driver was given. Counted by the host: to clone it is no event of the model, which
/// must not change tasks under a lock of the host.
type Kept = std::sync::Arc<Arc<Entrance<Behind>>>;

static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

fn keep(entrance: Option<Arc<Entrance<Behind>>>) {
    let entrance = entrance.map(Kept::new);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let before = std::mem::replace(&mut *kept, entrance);
    drop(kept);
    drop(before);
}

fn kept() -> Option<Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Makes an entrance, and gives it away.
fn let_in<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
    let runs = canary()?;
    let work = scope.work(move || runs.add(1, Relaxed))?;
    let never = scope.wait_queue()?;
    let canary = canary()?;
    keep(Some(scope.entrance::<Behind>(Device {
        data,
        work,
        never,
        canary,
    })?));
    Ok(())
}

/// Comes in and uses everything; `None` if refused.
fn use_it(entrance: &Entrance<Behind>) -> Option<Scheduled> {
    entrance.try_access_with(|device| {
        device.canary.add(1, Relaxed);
        device.data.raise();
        let scheduled = device.work.schedule();
        device.canary.add(1, Relaxed);
        scheduled
    })
}

// ---- Two callers while the device is unbound, and after ----

driver!(open, super::Open);
pub struct Open;

impl Shape for Open {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let_in(data, scope)
    }
}

pub fn outside_callers_race_with_unbind(machine: &Machine) {
    let second = machine.spawn("another driver", || {
        for _ in 0..2 {
            kept().map(|entrance| use_it(&entrance));
        }
    });
    unbind_while(machine, &open::MODULE, Edu::new(), || {
        for _ in 0..3 {
            if let Some(entrance) = kept() {
                // Inside, nothing has been told to refuse yet.
                assert_ne!(use_it(&entrance), Some(Scheduled::Refused));
            }
        }
    });
    second.join();
    let entrance = kept().expect("it was given away");
    assert_eq!(use_it(&entrance), None);
    drop(entrance);
    keep(None);
}

// ---- A caller that sleeps inside, for what nobody brings ----

pub fn an_outside_caller_sleeps_through_unbind(machine: &Machine) {
    unbind_while(machine, &open::MODULE, Edu::new(), || {
        if let Some(entrance) = kept() {
            let slept = entrance.try_access_with(|device| {
                let woken = device.never.wait_until(|| false);
                device.canary.add(1, Relaxed);
                woken
            });
            assert!(matches!(slept, None | Some(Err(ENODEV))), "{slept:?}");
        }
    });
    keep(None);
}

// ---- attach() fails when others have come in already ----

driver!(failing, super::Failing);
pub struct Failing;

impl Shape for Failing {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let_in(data, scope)?;
        kernel::hosted::preempt();
        Err(EIO)
    }
}

pub fn attach_fails_while_an_outside_caller_is_inside(machine: &Machine) {
    let other = machine.spawn("other driver", || {
        for _ in 0..2 {
            if let Some(entrance) = kept() {
                use_it(&entrance);
            }
            kernel::hosted::preempt();
        }
    });
    let module = machine.load(&failing::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert!(!slot.is_bound());
    other.join();
    let entrance = kept().expect("it was given away");
    assert_eq!(use_it(&entrance), None);
    drop(entrance);
    keep(None);
    module.unload().expect("the module unloads");
    slot.unplug();
}

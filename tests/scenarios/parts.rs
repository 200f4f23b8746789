// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drivers with a part of their scope that ends and begins again, while the device is unbound.

use super::{canary, unbind_while, Data, Shape, Shaped};
use devscope::{part::Part, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    irq::{Flags, IrqReturn},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// What a reset throws away and makes anew.
pub struct Ring {
    /// In an allocation of its own, so that the ledger sees it go.
    used: KBox<Atomic<i64>>,
}

impl Ring {
    fn new() -> Result<Self> {
        Ok(Ring { used: canary()? })
    }
}

/// Begins the part: its handler counts in the part's own data.
fn begin<'a>(data: &'a Data<'_>, ring: Part<'a, Ring>) -> Result {
    ring.begin(Ring::new(), |ring, scope| {
        let ring = ring.get_ref();
        let canary = canary()?;
        let bottom = scope.tasklet(move || {
            ring.used.add(1, Relaxed);
            canary.add(1, Relaxed);
            data.raise();
        })?;
        scope.irq(data.vectors.index(0)?, Flags::SHARED, c"ring", move || {
            if data.acknowledge() == 0 {
                return IrqReturn::None;
            }
            ring.used.add(1, Relaxed);
            bottom.schedule();
            IrqReturn::Handled
        })?;
        Ok(())
    })
}

// ---- A work item that resets the device again and again, under interrupts ----

driver!(resetting, super::Resetting);
pub struct Resetting;

impl Shape for Resetting {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let ring = scope.part::<Ring>()?;
        let canary = canary()?;
        let (reset, slot) = scope.declare_work()?;
        // Both look into the part from the scope around it: in softirq context, where the reset is
        // interrupted, and beside it, where that takes its time.
        let look = scope.tasklet(move || {
            ring.with(|ring| ring.used.add(1, Relaxed));
        })?;
        let study = scope.work(move || {
            ring.with(|ring| {
                for _ in 0..3 {
                    ring.used.add(1, Relaxed);
                }
            });
        })?;
        slot.define(scope, move || {
            canary.add(1, Relaxed);
            look.schedule();
            study.schedule();
            // Refused when the device is being unbound, or was just begun by that.
            let _ = ring.end();
            let _ = begin(data, ring);
            look.schedule();
            reset.schedule();
        })?;
        begin(data, ring)?;
        reset.schedule();
        Ok(())
    }
}

pub fn a_part_is_reset_again_and_again(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &resetting::MODULE, edu.clone(), move || {
        edu.raise(1)
    });
}

// ---- Two work items that both want to reset it, and one that looks in and sleeps there ----

driver!(contended, super::Contended);
pub struct Contended;

impl Shape for Contended {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let ring = scope.part::<Ring>()?;
        let queue = scope.wait_queue()?;
        let look = scope.work(move || {
            ring.with(|ring| {
                // Woken by the end of the scope, if not by who resets.
                let _ = queue.wait_until(|| data.count.load(Relaxed) > 0);
                ring.used.add(1, Relaxed);
            });
        })?;
        let resets = [(); 2].map(|()| {
            move || {
                data.count.add(1, Relaxed);
                queue.wake_all();
                let _ = ring.end();
                let _ = begin(data, ring);
            }
        });
        begin(data, ring)?;
        look.schedule();
        for reset in resets {
            scope.work(reset)?.schedule();
        }
        Ok(())
    }
}

pub fn two_resets_and_a_sleeper_meet(machine: &Machine) {
    unbind_while(machine, &contended::MODULE, Edu::new(), || {});
}

// ---- A part that is just beginning, and sleeps at that, when the device is unbound ----

driver!(beginning, super::Beginning);
pub struct Beginning;

impl Shape for Beginning {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let part = scope.part::<Ring>()?;
        let reset = scope.work(move || {
            let begun = part.begin(Ring::new(), |ring, scope| {
                let ring = ring.get_ref();
                let ready = scope.wait_queue()?;
                let canary = canary()?;
                let work = scope.work(move || {
                    ring.used.add(1, Relaxed);
                    canary.add(1, Relaxed);
                })?;
                work.schedule();
                // What the hardware would have to say does not come. The end wakes us.
                ready.wait_until(|| data.arrived.load(Relaxed))
            });
            assert_eq!(begun, Err(ENODEV));
        })?;
        reset.schedule();
        Ok(())
    }
}

pub fn a_part_is_just_beginning(machine: &Machine) {
    unbind_while(machine, &beginning::MODULE, Edu::new(), || {});
}

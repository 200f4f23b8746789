// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Rings in a loop: each has an interrupt thread with an affinity hint, and a queue of its own with work on
//! it; then something is missing: here, a vector for the second ring.
//!
//! The driver had the interrupts from devres, and made hints and queues by hand: its error path gave back one
//! half. Here whatever has joined the scope is taken down again, in whichever round the loop was left. The
//! crypto core is left out.

use crate::{
    harness::reached,
    stage::{canary, touch, Data, Shape, Shaped},
};
use devscope::{workqueue::QueueOptions, Scope};
use kernel::{
    cpumask::CpumaskVar,
    hosted::{edu::Edu, Machine},
    irq::{Flags, IrqReturn},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["safexcel-ring-irq-wq"];
pub const REACHES: &[&str] = &["a ring's work ran", "attach() failed"];

/// Completed requests, for each ring.
pub struct Engine([Atomic<i32>; 2]);

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Engine;

    fn own() -> impl PinInit<Engine, Error> {
        Ok(Engine([const { Atomic::new(0) }; 2]))
    }

    fn attach<'a>(engine: &'a Data<'_, Engine>, scope: &mut Scope<'a>) -> Result {
        let mut mask = CpumaskVar::new_zero(GFP_KERNEL)?;
        mask.setall();
        for (index, completed) in engine.0.iter().enumerate() {
            let (first, second) = (canary()?, canary()?);
            let queue = scope.workqueue(c"ring", QueueOptions::ordered())?;
            let work = scope.work_on(queue, move || {
                touch(&first);
                completed.add(1, Relaxed);
                reached("a ring's work ran");
            })?;
            work.schedule();
            let vector = match engine.vectors.index(index) {
                Ok(vector) => vector,
                Err(error) => {
                    reached("attach() failed");
                    return Err(error);
                }
            };
            let line = scope.oneshot_irq(vector, Flags::TRIGGER_NONE, c"ring", move || {
                touch(&second);
                if engine.acknowledge() == 0 {
                    return IrqReturn::None;
                }
                work.schedule();
                IrqReturn::Handled
            })?;
            line.set_affinity_and_hint(&mask)?;
            engine.raise();
        }
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let module = machine.load(&module::MODULE).expect("the module loads");
    let edu = Edu::new();
    let device = edu.clone();
    let hardware = machine.spawn("hardware", move || device.raise(1));
    // Or the loop is left in one of its rounds, for want of memory.
    if machine.choose(2) == 0 {
        machine.fail_allocation(1 + machine.choose(40) as u64);
    }
    let slot = machine.plug_pci(edu);
    assert!(!slot.is_bound());
    hardware.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

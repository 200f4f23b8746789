// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A ring after the other gets a queue of its own, work, a threaded interrupt and a hint for which CPU that
//! is. Then there is no firmware, or no vector for the next ring.
//!
//! The driver had the interrupts from devres and the rest by hand; when probing failed the hints stayed, and
//! the queues. Here a ring has nothing that is not of the scope.

use crate::{
    harness::reached,
    stage::{canary, if_refused, regs, touch, Data, Messages, Shape, Shaped},
};
use devscope::{workqueue::QueueOptions, Scope};
use kernel::{
    cpu::CpuId,
    cpumask::CpumaskVar,
    hosted::Machine,
    io::Io,
    irq::{Flags, IrqReturn, ThreadedIrqReturn},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    time::{delay::fsleep, Delta},
};

pub const BUGS: &[&str] = &["safexcel-ring-irq-wq"];
pub const REACHES: &[&str] = &[
    "attach() failed for lack of a vector",
    "attach() failed for lack of firmware",
    "a ring's thread ran while attach() failed",
    "a ring's work ran while attach() failed",
    "thread when the work would not be queued any more",
];

pub struct Engine {
    rings: [Ring; 3],
}

pub struct Ring {
    results: KBox<Atomic<i64>>,
    requests: Atomic<i32>,
}

impl Ring {
    fn new() -> Result<Self> {
        Ok(Self {
            results: canary()?,
            requests: Atomic::new(0),
        })
    }
}

driver!(two, super::Driver<2>);
driver!(three, super::Driver<3>);
/// For so many rings, two of which have a vector.
pub struct Driver<const RINGS: usize>;

impl<const RINGS: usize> Shape for Driver<RINGS> {
    type Own = Engine;
    const VECTORS: u32 = 2;

    fn own() -> impl PinInit<Engine, Error> {
        try_init!(Engine {
            rings: [Ring::new()?, Ring::new()?, Ring::new()?],
        }? Error)
    }

    fn attach<'a>(engine: &'a Data<'_, Engine>, scope: &mut Scope<'a>) -> Result {
        for (index, ring) in engine.rings.iter().enumerate().take(RINGS) {
            let (first, second, third) = (canary()?, canary()?, canary()?);
            let queue = scope.workqueue(c"ring", QueueOptions::ordered())?;
            let work = scope.work_on(queue, move || {
                touch(&first);
                touch(&ring.results);
                ring.requests.store(0, Relaxed);
                engine.late("a ring's work ran while attach() failed");
            })?;
            let vector = engine.vectors.index(index).inspect_err(|_| {
                let _ = engine.fail(EINVAL);
                reached("attach() failed for lack of a vector");
            })?;
            let line = scope.threaded_irq(
                vector,
                Flags::TRIGGER_NONE,
                c"ring",
                move || {
                    touch(&second);
                    ring.requests.fetch_add(1, Relaxed);
                    ThreadedIrqReturn::WakeThread
                },
                move || {
                    touch(&third);
                    touch(&ring.results);
                    engine.late("a ring's thread ran while attach() failed");
                    if_refused(
                        work.schedule(),
                        "thread when the work would not be queued any more",
                    );
                    IrqReturn::Handled
                },
            )?;
            let mut mask = CpumaskVar::new_zero(GFP_KERNEL)?;
            mask.set(CpuId::from_u32(index as u32).ok_or(EINVAL)?);
            line.set_affinity_and_hint(&mask)?;
            engine.bar.write32(3, regs::RAISE);
        }
        fsleep(Delta::from_micros(100));
        engine.bar.write32(3, regs::RAISE);
        reached("attach() failed for lack of firmware");
        engine.fail(ENOENT)
    }
}

pub fn scenario(machine: &Machine) {
    let model = Messages::new();
    let hardware = machine.spawn("hardware", {
        let model = model.clone();
        move || {
            for _ in 0..3 {
                model.raise(3);
                kernel::hosted::preempt();
            }
        }
    });
    let module = match machine.choose(2) {
        0 => &two::MODULE,
        _ => &three::MODULE,
    };
    let module = machine.load(module).expect("the module loads");
    // Or the loop is left in one of its rounds, for want of memory.
    if machine.choose(3) == 0 {
        machine.fail_allocation(1 + machine.choose(40) as u64);
    }
    let slot = machine.plug_pci(model);
    machine.fail_allocation(0);
    assert!(!slot.is_bound());
    hardware.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Two devices on one line: the handler of each is called for the interrupts of the other, and once more
//! from inside `free_irq()`. It reads its device's registers and schedules a tasklet.
//!
//! One driver gave `free_irq()` another cookie than `request_irq()`, so that the handler stayed; the other
//! had freed what the handler reads when devres came to the line. Here there is no cookie to pass, and
//! handler, tasklet and data go when `free_irq()` has returned. The network device and the terminal are
//! left out.

use crate::{
    harness::reached,
    stage::{canary, regs, touch, Data, Shape, Shaped},
};
use devscope::{Scheduled, Scope};
use kernel::{
    hosted::{edu::Edu, Machine, PciModel},
    irq::{Flags, IrqReturn},
    pci,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};
use std::sync::{Arc, Mutex, PoisonError};

pub const BUGS: &[&str] = &["goldfish-tty-free-irq-cookie", "mt7921e-shared-irq-free"];
pub const REACHES: &[&str] = &[
    "handler while unbinding",
    "handler called by free_irq()",
    "tasklet while unbinding",
];

/// The other device on the line, whose handler is called after this one's: for a mark.
static OTHER: Mutex<Option<Arc<Edu>>> = Mutex::new(None);

fn with_other<R>(f: impl FnOnce(&mut Option<Arc<Edu>>) -> R) -> R {
    f(&mut OTHER.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether the other device is the one that asks.
fn other_asks() -> bool {
    let other = with_other(|other| other.clone());
    other.is_some_and(|edu| edu.read(0, regs::INTERRUPT_STATUS as u64, 4) != 0)
}

pub struct Dev {
    /// What it has been told by its interrupts.
    events: KBox<Atomic<u32>>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Dev;

    fn irqs() -> pci::IrqTypes {
        pci::IrqTypes::default().with(pci::IrqType::Intx)
    }

    fn own() -> impl PinInit<Dev, Error> {
        KBox::new(Atomic::new(0), GFP_KERNEL)
            .map(|events| Dev { events })
            .map_err(Error::from)
    }

    fn attach<'a>(dev: &'a Data<'_, Dev>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        let irq_tasklet = scope.tasklet(move || {
            touch(&first);
            dev.events.add(1, Relaxed);
            dev.late("tasklet while unbinding");
        })?;
        let line = dev.vectors.index(0)?;
        scope.irq(line, Flags::SHARED, c"mt7921e", move || {
            touch(&second);
            let status = dev.acknowledge();
            dev.late("handler while unbinding");
            if status == 0 && !other_asks() && dev.is_unbinding() {
                reached("handler called by free_irq()");
            }
            // Whoever asked: this handler looks at its data in any case.
            if irq_tasklet.schedule() == Scheduled::Refused {
                reached("refused: the tasklet");
            }
            match status {
                0 => IrqReturn::None,
                _ => IrqReturn::Handled,
            }
        })?;
        Ok(())
    }

    fn unbind(dev: &Data<'_, Dev>) {
        // Nobody is there to answer it when the handler has gone.
        dev.acknowledge();
    }
}

pub fn scenario(machine: &Machine) {
    let module = machine.load(&module::MODULE).expect("the module loads");
    let (edu, stays) = (Edu::new(), Edu::new());
    let goes = machine.plug_pci(edu.clone());
    let other = machine.plug_pci_sharing(stays.clone(), goes.intx());
    assert!(goes.is_bound() && other.is_bound());
    with_other(|other| *other = Some(stays.clone()));
    edu.raise(1);
    let hardware = machine.spawn("hardware", {
        let stays = stays.clone();
        move || (0..3).for_each(|_| stays.raise(1))
    });
    goes.unbind().expect("the device unbinds");
    // The line is still the other one's.
    stays.raise(1);
    hardware.join();
    machine.settle();
    with_other(|other| other.take());
    other.unbind().expect("the other device unbinds");
    module.unload().expect("the module unloads");
    goes.unplug();
    other.unplug();
}

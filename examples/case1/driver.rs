// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Case 1 with devscope: an interrupt, and the tasklet that it schedules.
//!
//! There is no `remove()` to get wrong. The handler could not be registered before the tasklet,
//! because it captures the tasklet's handle; and when the device is unbound, the framework makes the
//! handle refuse before it stops either of the two.

#![forbid(unsafe_code)]

use devscope::{pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    irq::{Flags, IrqReturn},
    pci,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// Registers of the `edu` device, as offsets into BAR 0.
mod regs {
    pub(super) const INTERRUPT_STATUS: usize = 0x24;
    pub(super) const RAISE: usize = 0x60;
    pub(super) const ACKNOWLEDGE: usize = 0x64;
    pub(super) const SIZE: usize = 0x100;

    /// By our choice: an interrupt that asks its bottom half to raise another one.
    pub(super) const AND_ANOTHER: u32 = 0x200;
}

struct Case1;

/// Everything passive.
struct Data<'bound> {
    bar: pci::Bar<'bound, { regs::SIZE }>,
    vectors: pci::IrqVectorRegistration<'bound>,
    /// What the handler has seen and the tasklet has not yet looked at.
    seen: Atomic<u32>,
    events: Atomic<i64>,
}

kernel::pci_device_table!(
    PCI_TABLE,
    <Case1 as Driver>::IdInfo,
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Case1 {
    type IdInfo = ();
    type Data<'bound> = Data<'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Data<'bound>, Error> + 'bound {
        let build = move || {
            dev.enable_device_mem()?;
            dev.set_master();
            Ok(Data {
                bar: dev.iomap_region_sized(0, c"case1")?,
                vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
                seen: Atomic::new(0),
                events: Atomic::new(0),
            })
        };
        build()
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();

        let bottom = scope.tasklet(move || {
            data.events.add(1, Relaxed);
            if data.seen.xchg(0, Relaxed) & regs::AND_ANOTHER != 0 {
                data.bar.write32(regs::AND_ANOTHER, regs::RAISE);
            }
        })?;

        scope.irq(data.vectors.index(0)?, Flags::SHARED, c"case1", move || {
            let status = data.bar.read32(regs::INTERRUPT_STATUS);
            if status == 0 {
                return IrqReturn::None;
            }
            data.bar.write32(status, regs::ACKNOWLEDGE);
            data.seen.store(status, Relaxed);
            bottom.schedule();
            IrqReturn::Handled
        })?;
        Ok(())
    }
}

devscope::module_pci_driver! {
    type: Case1,
    name: "case1",
    authors: ["The devscope authors"],
    description: "An interrupt and its tasklet",
    license: "GPL",
}

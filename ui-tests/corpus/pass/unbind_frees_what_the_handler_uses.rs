// What the handlers use is freed by the framework, when they have gone.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A device answers commands through a completion interrupt, whose handler finds the caller that waits in
// a table. Teardown freed the table first, and then destroyed the event queue, which is what waits for
// the interrupt. (In the same way the others freed what their handler reads, and left the interrupt on.)
//
// Corpus: mana-hwc-caller-ctx, renesas-usbhs-isr, fbnic-fwlog-mbx-irq.

use devscope::{pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    irq::{Flags, IrqReturn},
    pci,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// Registers.
const RESPONSE: usize = 0x24;
const RESET: usize = 0x64;

/// Who waits for the answer to a command.
struct CallerCtx {
    status: Atomic<i32>,
}

#[pin_data]
struct HwChannel<'bound> {
    bar: pci::Bar<'bound, 0x100>,
    vectors: pci::IrqVectorRegistration<'bound>,
    caller_ctx: KVec<CallerCtx>,
}

impl HwChannel<'_> {
    fn handle_resp(&self, response: u32) {
        if let Some(ctx) = self.caller_ctx.get((response & 0xff) as usize) {
            ctx.status.store((response >> 8) as i32, Relaxed);
        }
    }
}

struct Mana;

kernel::pci_device_table!(
    TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Mana {
    type IdInfo = ();
    type Data<'bound> = HwChannel<'bound>;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<HwChannel<'bound>, Error> + 'bound {
        try_pin_init!(HwChannel {
            bar: {
                dev.enable_device_mem()?;
                dev.iomap_region_sized(0, c"mana")?
            },
            vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
            caller_ctx: {
                let mut callers = KVec::new();
                let status = Atomic::new(0);
                callers.push(CallerCtx { status }, GFP_KERNEL)?;
                callers
            },
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        hwc: Pin<&'a HwChannel<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let hwc = hwc.get_ref();
        scope.irq(
            hwc.vectors.index(0)?,
            Flags::TRIGGER_NONE,
            c"mana",
            move || {
                hwc.handle_resp(hwc.bar.read32(RESPONSE));
                IrqReturn::Handled
            },
        )?;
        Ok(())
    }

    fn unbind(_dev: &pci::Device<Core<'_>>, hwc: Pin<&HwChannel<'_>>) {
        let hwc = hwc.get_ref();
        hwc.bar.write32(1, RESET);
    }
}

devscope::module_pci_driver! {
    type: Mana,
    name: "mana",
    authors: ["The devscope authors"],
    description: "Commands that are answered by interrupt",
    license: "GPL",
}

fn main() {}

// Each card is polled by a timer of its own.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A module has one timer, which polls all cards in a global array and starts itself again. At module exit
// it was deleted without being waited for, and the cards were freed under it. A pointer to each card is
// all that such an array needs in C.
//
// Corpus: nicstar-poll-timer.

use devscope::{pci::Driver, Scope};
use kernel::{
    device::{Bound, Core},
    io::Io,
    pci,
    prelude::*,
};

/// A register.
const POLL: usize = 0x24;
/// In jiffies.
const NS_POLL_PERIOD: usize = 100;

#[pin_data]
struct Card<'bound> {
    bar: pci::Bar<'bound, 0x100>,
}

impl Card<'_> {
    fn poll(&self) {
        self.bar.write32(1, POLL);
    }
}

struct Nicstar;

kernel::pci_device_table!(
    TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Nicstar {
    type IdInfo = ();
    type Data<'bound> = Card<'bound>;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Card<'bound>, Error> + 'bound {
        try_pin_init!(Card {
            bar: {
                dev.enable_device_mem()?;
                dev.iomap_region_sized(0, c"nicstar")?
            },
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        card: Pin<&'a Card<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let card = card.get_ref();
        let (timer, slot) = scope.declare_timer()?;
        slot.define(scope, move || {
            card.poll();
            timer.start(NS_POLL_PERIOD);
        })?;
        timer.start(NS_POLL_PERIOD);
        Ok(())
    }
}

devscope::module_pci_driver! {
    type: Nicstar,
    name: "nicstar",
    authors: ["The devscope authors"],
    description: "Cards that are polled",
    license: "GPL",
}

fn main() {}

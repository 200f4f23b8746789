// The data has one owner, which is the framework.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A generic userspace driver had its state from devm_kzalloc(), and freed it by hand as well: in remove(),
// at every unbind, and when probe() failed.
//
// Corpus: uio-pci-sva-double-free.

use devscope::{file::File, pci::Driver, wait::WaitQueue, Scope};
use kernel::{
    device::{Bound, Core},
    irq::{Flags, IrqReturn},
    pci,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full},
        Arc,
    },
};

struct UioPciSva<'bound> {
    vectors: pci::IrqVectorRegistration<'bound>,
    events: Atomic<i32>,
}

/// What operations on `/dev/uio` may use.
struct UioDevice<'a> {
    udev: &'a UioPciSva<'a>,
    wait: WaitQueue<'a>,
}

struct UioFile;

struct Uio;

kernel::pci_device_table!(
    TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Uio {
    type IdInfo = ();
    type Data<'bound> = UioPciSva<'bound>;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<UioPciSva<'bound>, Error> + 'bound {
        let build = move || {
            Ok(UioPciSva {
                vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
                events: Atomic::new(0),
            })
        };
        build()
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        udev: Pin<&'a UioPciSva<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let udev = udev.get_ref();
        let wait = scope.wait_queue()?;
        scope.irq(udev.vectors.index(0)?, Flags::SHARED, c"uio", move || {
            udev.events.fetch_add(1, Full);
            wait.wake_all();
            IrqReturn::Handled
        })?;
        scope.misc_device::<UioFile>(c"uio", UioDevice { udev, wait })
    }

    fn unbind(dev: &pci::Device<Core<'_>>, udev: Pin<&UioPciSva<'_>>) {
        dev_info!(dev, "{} events\n", udev.events.load(Acquire));
    }
}

#[vtable]
impl File for UioFile {
    type Device<'a> = UioDevice<'a>;

    fn open(_dev: &UioDevice<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(UioFile, GFP_KERNEL)?)
    }

    fn ioctl(&self, dev: &UioDevice<'_>, _cmd: u32, seen: usize) -> Result<isize> {
        let events = || dev.udev.events.load(Acquire) as isize;
        dev.wait.wait_until(|| events() != seen as isize)?;
        Ok(events())
    }
}

devscope::module_pci_driver! {
    type: Uio,
    name: "uio",
    authors: ["The devscope authors"],
    description: "Interrupts for programs",
    license: "GPL",
}

fn main() {}

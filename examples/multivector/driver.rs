// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A device with several interrupt vectors, one for each of its queues.
//!
//! The device is Intel's 82574 as QEMU emulates it, `-device e1000e`, of which nothing but its interrupts
//! is used: it has four causes for queues, each of which goes to a vector of its own, and a register that
//! brings a cause about. Programs do that through `/dev/multivector`, and count what came of it.
//!
//! What belongs to a queue stands in the data; the handlers are registered in a loop.
//!
//! Specification: Intel 82574 GbE Controller Family Datasheet, sections 7.4 and 10.2.4.

#![forbid(unsafe_code)]

use devscope::{file::File, pci::Driver, wait::WaitQueue, Scope};
use kernel::{
    cpu::{nr_cpu_ids, CpuId},
    cpumask::CpumaskVar,
    device::{Bound, Core},
    io::Io,
    ioctl::_IOW,
    irq::{Flags, IrqReturn},
    pci,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Release},
        Arc,
    },
};

/// Registers, as offsets into BAR 0.
mod regs {
    /// Extended control.
    pub(super) const CTRL_EXT: usize = 0x0018;
    /// Causes. Bits that are written as 1 are cleared.
    pub(super) const ICR: usize = 0x00c0;
    /// Causes that are brought about by software.
    pub(super) const ICS: usize = 0x00c8;
    /// Causes that interrupt. Bits that are written as 1 are set.
    pub(super) const IMS: usize = 0x00d0;
    /// The same, to clear.
    pub(super) const IMC: usize = 0x00d8;
    /// Causes that are cleared when their message has been sent.
    pub(super) const EIAC: usize = 0x00dc;
    /// Which cause goes to which vector.
    pub(super) const IVAR: usize = 0x00e4;
    /// How much of the BAR is used.
    pub(super) const SIZE: usize = 0x1000;

    /// In `CTRL_EXT`: causes that are cleared automatically go on interrupting.
    pub(super) const IAME: u32 = 1 << 27;
    /// In `IVAR`: the entry counts.
    pub(super) const VALID: u32 = 1 << 3;

    /// The cause of a queue: two that receive, and two that send.
    pub(super) const fn cause(queue: usize) -> u32 {
        1 << (20 + queue)
    }
}

/// Queues, and vectors.
const QUEUES: usize = 4;

/// Raises the vector of the queue that the argument names, and sleeps until it was handled. Errors: `EINVAL`
/// if there is no such queue; `ENODEV` if the device is unbound first.
const MULTIVECTOR_RAISE: u32 = _IOW::<u32>('m' as u32, 1);
/// How many interrupts of the queue that the argument names were handled since the device was bound.
const MULTIVECTOR_COUNT: u32 = _IOW::<u32>('m' as u32, 2);

/// What belongs to one queue.
struct Queue {
    handled: Atomic<i64>,
}

impl Queue {
    const fn new() -> Self {
        Self {
            handled: Atomic::new(0),
        }
    }

    /// The device has cleared the cause: see `EIAC`. Only the handler of this queue's vector comes here, so
    /// nobody else changes the count.
    fn handle(&self) -> IrqReturn {
        self.handled.store(self.handled() + 1, Release);
        IrqReturn::Handled
    }

    fn handled(&self) -> i64 {
        self.handled.load(Acquire)
    }
}

/// Everything passive.
struct MultivectorData<'bound> {
    bar: pci::Bar<'bound, { regs::SIZE }>,
    vectors: pci::IrqVectorRegistration<'bound>,
    queues: [Queue; QUEUES],
}

impl MultivectorData<'_> {
    /// Each queue's cause goes to the vector of the same number.
    fn set_up(&self) {
        let (mut causes, mut vectors) = (0, 0);
        for queue in 0..QUEUES {
            causes |= regs::cause(queue);
            vectors |= (regs::VALID | queue as u32) << (4 * queue);
        }
        self.bar.write32(vectors, regs::IVAR);
        self.bar.write32(causes, regs::EIAC);
        self.bar.write32(regs::IAME, regs::CTRL_EXT);
        // What was raised before, by whoever had the device.
        self.bar.write32(!0, regs::ICR);
        self.bar.write32(causes, regs::IMS);
    }
}

/// What operations on `/dev/multivector` may use while the device is bound.
struct MultivectorDevice<'a> {
    data: &'a MultivectorData<'a>,
    handled: WaitQueue<'a>,
}

struct Multivector;

kernel::pci_device_table!(
    PCI_TABLE,
    <Multivector as Driver>::IdInfo,
    [(pci::DeviceId::from_id(pci::Vendor::INTEL, 0x10d3), ())]
);

impl Driver for Multivector {
    type IdInfo = ();
    type Data<'bound> = MultivectorData<'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<MultivectorData<'bound>, Error> + 'bound {
        let build = move || {
            dev.enable_device_mem()?;
            dev.set_master();
            let msi_x = pci::IrqTypes::default().with(pci::IrqType::MsiX);
            Ok(MultivectorData {
                bar: dev.iomap_region_sized(0, c"multivector")?,
                vectors: dev.alloc_irq_vectors(QUEUES as u32, QUEUES as u32, msi_x)?,
                queues: [const { Queue::new() }; QUEUES],
            })
        };
        build()
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a MultivectorData<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let handled = scope.wait_queue()?;
        for (index, queue) in data.queues.iter().enumerate() {
            let vector = data.vectors.index(index)?;
            let line = scope.irq(vector, Flags::TRIGGER_NONE, c"multivector", move || {
                let answer = queue.handle();
                handled.wake_all();
                answer
            })?;
            // One CPU after the other, where there is more than one to choose from.
            if nr_cpu_ids() > 1 {
                let cpu = CpuId::from_u32(index as u32 % nr_cpu_ids()).ok_or(EINVAL)?;
                let mut mask = CpumaskVar::new_zero(GFP_KERNEL)?;
                mask.set(cpu);
                line.update_affinity_hint(&mask)?;
            }
        }
        data.set_up();
        scope.misc_device::<MultivectorFile>(c"multivector", MultivectorDevice { data, handled })
    }

    fn unbind(_dev: &pci::Device<Core<'_>>, data: Pin<&MultivectorData<'_>>) {
        data.bar.write32(!0, regs::IMC);
    }
}

/// What one `open()` made: nothing.
struct MultivectorFile;

#[vtable]
impl File for MultivectorFile {
    type Device<'a> = MultivectorDevice<'a>;

    fn open(_dev: &MultivectorDevice<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(MultivectorFile, GFP_KERNEL)?)
    }

    fn ioctl(&self, dev: &MultivectorDevice<'_>, cmd: u32, arg: usize) -> Result<isize> {
        let queue = dev.data.queues.get(arg).ok_or(EINVAL)?;
        match cmd {
            MULTIVECTOR_RAISE => {
                // What is raised from here on is handled from here on.
                let before = queue.handled();
                dev.data.bar.write32(regs::cause(arg), regs::ICS);
                dev.handled.wait_until(|| queue.handled() > before)?;
                Ok(0)
            }
            MULTIVECTOR_COUNT => Ok(queue.handled() as isize),
            _ => Err(ENOTTY),
        }
    }
}

devscope::module_pci_driver! {
    type: Multivector,
    name: "multivector",
    authors: ["The devscope authors"],
    description: "A device with several interrupt vectors",
    license: "GPL",
}

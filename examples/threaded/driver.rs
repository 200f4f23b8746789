// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A device that is measured by a thread: its interrupt only says that there is something to measure,
//! and measuring takes a while, as it does behind a slow bus.
//!
//! ```text
//!   read() --- RAISE ---> device --- interrupt ---> hard part (acknowledges)
//!     ^                                                 | wakes
//!     +---- wakes ---- thread (sleeps, measures) <------+
//! ```
//!
//! Programs read the number of the measurement that their `read()` has brought about. They can pause the
//! device: its line is disabled meanwhile, and what is asked for then is measured later.
//!
//! The device is QEMU's educational one (`docs/specs/edu.rst` of QEMU).

#![forbid(unsafe_code)]

use devscope::{
    file::{File, Kiocb},
    irq::Irq,
    pci::Driver,
    wait::WaitQueue,
    Scope,
};
use kernel::{
    device::{Bound, Core},
    io::Io,
    ioctl::_IO,
    iov::IovIterDest,
    irq::{Flags, IrqReturn, ThreadedIrqReturn},
    pci,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed},
        Arc,
    },
    time::{delay::fsleep, Delta},
};

/// Registers, as offsets into BAR 0.
mod regs {
    pub(super) const INTERRUPT_STATUS: usize = 0x24;
    pub(super) const RAISE: usize = 0x60;
    pub(super) const ACKNOWLEDGE: usize = 0x64;
    /// How much of the BAR is used.
    pub(super) const SIZE: usize = 0x100;

    /// In `INTERRUPT_STATUS`, by our choice: there is something to measure.
    pub(super) const MEASURE: u32 = 0x100;
}

/// Disables the device's interrupt, and waits until nothing is being measured. This nests.
const THREADED_PAUSE: u32 = _IO('t' as u32, 1);
/// Takes back one `THREADED_PAUSE`. Errors: `EINVAL` if there is none.
const THREADED_RESUME: u32 = _IO('t' as u32, 2);

/// Everything passive.
struct ThreadedData<'bound> {
    bar: pci::Bar<'bound, { regs::SIZE }>,
    vectors: pci::IrqVectorRegistration<'bound>,
    measured: Atomic<i64>,
}

impl ThreadedData<'_> {
    /// What takes a while.
    fn measure(&self) {
        fsleep(Delta::from_micros(100));
        self.measured.add(1, Relaxed);
    }
}

/// What operations on `/dev/threaded` may use while the device is bound.
struct ThreadedDevice<'a> {
    data: &'a ThreadedData<'a>,
    line: Irq<'a>,
    measurements: WaitQueue<'a>,
}

struct Threaded;

kernel::pci_device_table!(
    PCI_TABLE,
    <Threaded as Driver>::IdInfo,
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Threaded {
    type IdInfo = ();
    type Data<'bound> = ThreadedData<'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<ThreadedData<'bound>, Error> + 'bound {
        let build = move || {
            dev.enable_device_mem()?;
            dev.set_master();
            Ok(ThreadedData {
                bar: dev.iomap_region_sized(0, c"threaded")?,
                vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
                measured: Atomic::new(0),
            })
        };
        build()
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a ThreadedData<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let measurements = scope.wait_queue()?;
        let line = scope.threaded_irq(
            data.vectors.index(0)?,
            Flags::SHARED,
            c"threaded",
            move || {
                let status = data.bar.read32(regs::INTERRUPT_STATUS);
                if status == 0 {
                    return ThreadedIrqReturn::None;
                }
                data.bar.write32(status, regs::ACKNOWLEDGE);
                ThreadedIrqReturn::WakeThread
            },
            move || {
                data.measure();
                measurements.wake_all();
                IrqReturn::Handled
            },
        )?;
        scope.misc_device::<ThreadedFile>(
            c"threaded",
            ThreadedDevice {
                data,
                line,
                measurements,
            },
        )
    }
}

/// What one `open()` made: nothing.
struct ThreadedFile;

#[vtable]
impl File for ThreadedFile {
    type Device<'a> = ThreadedDevice<'a>;

    fn open(_dev: &ThreadedDevice<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(ThreadedFile, GFP_KERNEL)?)
    }

    /// Has something measured, sleeps until it is, and reads the measurement's number: 64 bits, in the
    /// machine's byte order.
    fn read_iter(
        &self,
        dev: &ThreadedDevice<'_>,
        _kiocb: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        let measured = || dev.data.measured.load(Acquire);
        let before = measured();
        dev.data.bar.write32(regs::MEASURE, regs::RAISE);
        dev.measurements.wait_until(|| measured() > before)?;
        match to.copy_to_iter(&measured().to_ne_bytes()) {
            0 => Err(EFAULT),
            len => Ok(len),
        }
    }

    fn ioctl(&self, dev: &ThreadedDevice<'_>, cmd: u32, _arg: usize) -> Result<isize> {
        match cmd {
            THREADED_PAUSE => dev.line.disable(),
            THREADED_RESUME => dev.line.enable(),
            _ => Err(ENOTTY),
        }
        .map(|()| 0)
    }
}

devscope::module_pci_driver! {
    type: Threaded,
    name: "threaded",
    authors: ["The devscope authors"],
    description: "An interrupt that is handled by a thread",
    license: "GPL",
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A ring that is resized while programs fill it and interrupts empty it.
//!
//! Programs write numbers to `/dev/ring`. A number waits in a slot of the ring until the device, which
//! is QEMU's educational one, raises an interrupt; the handler takes out what it finds and adds it up.
//!
//! The ring and its handler are a *part* of the scope. Resizing ends the part and begins it anew:
//!
//! ```text
//!   write() --- put() ---> [ ring ] --- take() ---> handler --- adds to ---> total
//!      |                      ^
//!      +-- waits for room     +-- ioctl(RING_RESIZE): end(), begin()
//! ```
//!
//! While there is no ring, writers wait for the next one. What was still in the old one is added up
//! when it is dropped, so no number is lost or counted twice.

#![forbid(unsafe_code)]

use devscope::{
    file::{File, Kiocb},
    part::Part,
    pci::Driver,
    wait::WaitQueue,
    Scope,
};
use kernel::{
    device::{Bound, Core},
    io::Io,
    ioctl::{_IO, _IOW},
    iov::IovIterSource,
    irq::{Flags, IrqReturn},
    pci,
    prelude::*,
    sync::{
        atomic::{Atomic, Full, Relaxed},
        Arc,
    },
};

/// Registers, as offsets into BAR 0.
mod regs {
    pub(super) const INTERRUPT_STATUS: usize = 0x24;
    pub(super) const RAISE: usize = 0x60;
    pub(super) const ACKNOWLEDGE: usize = 0x64;
    /// How much of the BAR is used.
    pub(super) const SIZE: usize = 0x100;

    /// In `INTERRUPT_STATUS`, by our choice: there is something in the ring.
    pub(super) const FILLED: u32 = 0x100;
}

/// Makes the ring one of as many slots as the argument says. Errors: `EINVAL` if these are none or too
/// many; `EBUSY` if somebody else is resizing it; `ENOMEM`, and the ring is as it was.
const RING_RESIZE: u32 = _IOW::<u32>('r' as u32, 1);
/// The sum of all numbers that were taken out of the ring since the device was bound.
const RING_TOTAL: u32 = _IO('r' as u32, 2);

/// Slots at first.
const SLOTS: usize = 8;
/// At most as many slots.
const MOST: usize = 1024;

/// Everything passive.
#[pin_data]
struct RingData<'bound> {
    bar: pci::Bar<'bound, { regs::SIZE }>,
    vectors: pci::IrqVectorRegistration<'bound>,
    total: Atomic<i64>,
    /// Slots of the ring that is there, or was there last.
    slots: Atomic<i64>,
}

/// One ring: what a resize throws away and makes anew.
struct Ring<'a> {
    /// A number, or 0 for none.
    slots: KVec<Atomic<i32>>,
    total: &'a Atomic<i64>,
}

impl<'a> Ring<'a> {
    fn new(slots: usize, total: &'a Atomic<i64>) -> Result<Self> {
        let mut ring = Ring {
            slots: KVec::with_capacity(slots, GFP_KERNEL)?,
            total,
        };
        for _ in 0..slots {
            ring.slots.push(Atomic::new(0), GFP_KERNEL)?;
        }
        Ok(ring)
    }

    /// Puts a number into a free slot, if there is one.
    fn put(&self, number: i32) -> bool {
        self.slots
            .iter()
            .any(|slot| slot.cmpxchg(0, number, Full).is_ok())
    }

    fn has_room(&self) -> bool {
        self.slots.iter().any(|slot| slot.load(Relaxed) == 0)
    }

    /// Takes out what there is. True if there was anything.
    fn take(&self) -> bool {
        let mut sum = 0;
        for slot in self.slots.iter() {
            sum += i64::from(slot.xchg(0, Full));
        }
        self.total.add(sum, Relaxed);
        sum != 0
    }
}

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        self.take();
    }
}

/// What operations on `/dev/ring` may use while the device is bound.
struct RingDevice<'a> {
    data: &'a RingData<'a>,
    ring: Part<'a, Ring<'a>>,
    room: WaitQueue<'a>,
}

impl<'a> RingDevice<'a> {
    /// Begins the part: a ring, and the handler that empties it.
    fn begin(&self, slots: usize) -> Result {
        let Self { data, ring, room } = *self;
        ring.begin(Ring::new(slots, &data.total), |ring, scope| {
            let ring = ring.get_ref();
            scope.irq(data.vectors.index(0)?, Flags::SHARED, c"ring", move || {
                let status = data.bar.read32(regs::INTERRUPT_STATUS);
                if status == 0 {
                    return IrqReturn::None;
                }
                data.bar.write32(status, regs::ACKNOWLEDGE);
                if ring.take() {
                    room.wake_all();
                }
                IrqReturn::Handled
            })?;
            Ok(())
        })?;
        data.slots.store(slots as i64, Relaxed);
        Ok(())
    }

    /// Ends the part, and begins it with another size; or with the old one, if that fails.
    fn resize(&self, slots: usize) -> Result {
        if !(1..=MOST).contains(&slots) {
            return Err(EINVAL);
        }
        self.ring.end()?;
        let resized = self.begin(slots);
        if resized.is_err() {
            // Better the old size than no ring. If somebody else has begun one meanwhile, it is theirs.
            let _ = self.begin(self.data.slots.load(Relaxed) as usize);
        }
        // Whoever waits for room looks at the new ring.
        self.room.wake_all();
        resized
    }
}

struct RingDriver;

kernel::pci_device_table!(
    PCI_TABLE,
    <RingDriver as Driver>::IdInfo,
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for RingDriver {
    type IdInfo = ();
    type Data<'bound> = RingData<'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<RingData<'bound>, Error> + 'bound {
        try_pin_init!(RingData {
            bar: {
                dev.enable_device_mem()?;
                dev.set_master();
                dev.iomap_region_sized(0, c"ring")?
            },
            vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
            total: Atomic::new(0),
            slots: Atomic::new(0),
        })
    }

    fn attach<'a>(
        dev: &'a pci::Device<Bound>,
        data: Pin<&'a RingData<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let device = RingDevice {
            data: data.get_ref(),
            ring: scope.part()?,
            room: scope.wait_queue()?,
        };
        device.begin(SLOTS)?;
        scope.misc_device::<RingFile>(c"ring", device)?;
        dev_info!(dev, "ready: write numbers to /dev/ring\n");
        Ok(())
    }
}

/// What one `open()` made: nothing. All programs fill the same ring.
struct RingFile;

#[vtable]
impl File for RingFile {
    type Device<'a> = RingDevice<'a>;

    fn open(_dev: &RingDevice<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(RingFile, GFP_KERNEL)?)
    }

    /// One number of 32 bits, above 0, in the machine's byte order.
    fn write_iter(
        &self,
        dev: &RingDevice<'_>,
        kiocb: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        let mut number = [0; 4];
        if from.copy_from_iter(&mut number) != number.len() {
            return Err(EFAULT);
        }
        let number = i32::from_ne_bytes(number);
        if number <= 0 {
            return Err(EINVAL);
        }
        while dev.ring.with(|ring| ring.put(number)) != Some(true) {
            if kiocb.nonblocking() {
                return Err(EAGAIN);
            }
            dev.room
                .wait_until(|| dev.ring.with(|ring| ring.has_room()) == Some(true))?;
        }
        dev.data.bar.write32(regs::FILLED, regs::RAISE);
        Ok(4)
    }

    fn ioctl(&self, dev: &RingDevice<'_>, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            RING_RESIZE => dev.resize(arg).map(|()| 0),
            RING_TOTAL => Ok(dev.data.total.load(Relaxed) as isize),
            _ => Err(ENOTTY),
        }
    }
}

devscope::module_pci_driver! {
    type: RingDriver,
    name: "ring",
    authors: ["The devscope authors"],
    description: "A ring that is resized under load",
    license: "GPL",
}

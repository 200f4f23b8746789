// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A device with two nodes, *control* and *data*, and memory that programs map.
//!
//! `/dev/chardevN-data` is a page of memory: programs read, write, seek and map it. The registers of the
//! device (QEMU's `edu`) are there to be mapped as well, for reading, from page [`REGISTERS`] on.
//! `/dev/chardevN` tells when the page has changed: a generation, which a program reads, polls for, and
//! sets forth.
//!
//! Programs keep both open, and mapped, when the device goes. What they get then (`ENODEV`, a hang-up,
//! SIGBUS) they get from the framework: there is not a line about it in this file.

#![forbid(unsafe_code)]

use devscope::{
    cdev::Region,
    file::{File, Kiocb, Seek},
    mmap::{Area, Mapping, Pages, PAGE_SIZE},
    pci::Driver,
    poll::{Events, PollTable},
    wait::WaitQueue,
    Scope,
};
use kernel::{
    device::{Bound, Core},
    io::Io,
    ioctl::{_IO, _IOR},
    iov::{IovIterDest, IovIterSource},
    pci,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full, Relaxed},
        Arc,
    },
    time::{delay::fsleep, Delta},
    uaccess::UserSlice,
};

/// Copies the generation to where the argument points.
const GENERATION: u32 = _IOR::<u32>('c' as u32, 1);
/// Sets the generation forth.
const ADVANCE: u32 = _IO('c' as u32, 2);
/// Sleeps for so many milliseconds, whatever happens: an operation that does not come back in time.
const NAP: u32 = _IO('c' as u32, 3);
/// How often the data was synced.
const SYNCS: u32 = _IO('c' as u32, 4);
/// What the argument of the last call was, as far as it fits into the answer of a call.
const ECHO: u32 = _IO('c' as u32, 5);

/// Where the registers are in the file, in pages.
const REGISTERS: usize = 0x100;
/// The device's identification, as its first register gives it.
const IDENTIFICATION: usize = 0;

/// Numbers for two nodes of each of sixteen devices.
static NUMBERS: Region = Region::new(c"chardev", 32);

struct Chardev;

/// Everything passive.
struct Data<'bound> {
    bar: pci::Bar<'bound, 4>,
    page: Pages,
    generation: Atomic<i32>,
    syncs: Atomic<i32>,
}

/// What operations of both nodes use of the device.
#[derive(Clone, Copy)]
struct Device<'a> {
    dev: &'a pci::Device<Bound>,
    data: &'a Data<'a>,
    changed: WaitQueue<'a>,
}

impl Device<'_> {
    fn advance(&self) {
        self.data.generation.fetch_add(1, Full);
        self.changed.wake_all();
    }
}

/// An open file of the control node: which generation its program knows.
struct Control {
    known: Atomic<i32>,
}

/// An open file of the data node.
struct Contents;

kernel::pci_device_table!(
    PCI_TABLE,
    <Chardev as Driver>::IdInfo,
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Chardev {
    type IdInfo = ();
    type Data<'bound> = Data<'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Data<'bound>, Error> + 'bound {
        (|| {
            dev.enable_device_mem()?;
            Ok(Data {
                bar: dev.iomap_region_sized(0, c"chardev")?,
                page: Pages::new(1)?,
                generation: Atomic::new(0),
                syncs: Atomic::new(0),
            })
        })()
    }

    fn attach<'a>(
        dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let device = Device {
            dev,
            data,
            changed: scope.wait_queue()?,
        };
        scope.report_operations_after(Delta::from_millis(500));
        let minors = scope.minors(&NUMBERS, 2, dev.as_ref())?;
        let unit = minors.first() / 2;
        scope.cdev::<Control>(minors, 0, fmt!("chardev{unit}"), device)?;
        scope.cdev::<Contents>(minors, 1, fmt!("chardev{unit}-data"), device)?;
        dev_info!(
            dev,
            "chardev{}: device {:x}\n",
            unit,
            data.bar.read32(IDENTIFICATION)
        );
        Ok(())
    }
}

#[vtable]
impl File for Control {
    type Device<'a> = Device<'a>;
    const NOWAIT: bool = true;

    fn open(_dev: &Device<'_>) -> Result<Arc<Self>> {
        let known = Atomic::new(0);
        Ok(Arc::new(Control { known }, GFP_KERNEL)?)
    }

    /// Waits until there is a generation that this file does not know, and reads it: four bytes.
    fn read_iter(
        &self,
        dev: &Device<'_>,
        kiocb: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        let known = self.known.load(Relaxed);
        let generation = || dev.data.generation.load(Acquire);
        if generation() == known && kiocb.nonblocking() {
            return Err(EAGAIN);
        }
        dev.changed.wait_until(|| generation() != known)?;
        let new = generation();
        match to.copy_to_iter(&new.to_ne_bytes()) {
            0 => Err(EFAULT),
            len => {
                self.known.store(new, Relaxed);
                Ok(len)
            }
        }
    }

    fn ioctl(&self, dev: &Device<'_>, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            GENERATION => {
                let generation = dev.data.generation.load(Acquire);
                let mut to = UserSlice::new(UserPtr::from_addr(arg), 4).writer();
                to.write(&generation)?;
                Ok(0)
            }
            ADVANCE => {
                dev.advance();
                Ok(0)
            }
            NAP => {
                fsleep(Delta::from_millis(i64::from(u32::try_from(arg)?)));
                Ok(0)
            }
            SYNCS => Ok(dev.data.syncs.load(Relaxed) as isize),
            ECHO => Ok((arg & 0x7fff_ffff) as isize),
            _ => Err(ENOTTY),
        }
    }

    /// A number is a number for programs of 32 bits as well; all but one of the commands take one.
    fn compat_ioctl(&self, dev: &Device<'_>, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            // That it came this way is to be seen.
            ECHO => Ok(((arg + 1) & 0x7fff_ffff) as isize),
            _ => self.ioctl(dev, cmd, arg),
        }
    }

    fn poll(&self, dev: &Device<'_>, table: &mut PollTable<'_>) -> Events {
        table.register_wait(dev.changed);
        let mut events = Events::NONE;
        if dev.data.generation.load(Acquire) != self.known.load(Relaxed) {
            events |= Events::READABLE;
        }
        events
    }
}

#[vtable]
impl File for Contents {
    type Device<'a> = Device<'a>;

    fn open(_dev: &Device<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Contents, GFP_KERNEL)?)
    }

    /// Reads from where the file is, up to the end of the page.
    fn read_iter(
        &self,
        dev: &Device<'_>,
        kiocb: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        let mut total = 0;
        while let Some((at, len)) = chunk(kiocb, to.len()) {
            let mut bytes = [0; CHUNK];
            dev.data.page.read(at, &mut bytes[..len])?;
            let copied = to.copy_to_iter(&bytes[..len]);
            total += copied;
            *kiocb.ki_pos_mut() += copied as i64;
            if copied < len {
                return if total > 0 { Ok(total) } else { Err(EFAULT) };
            }
        }
        Ok(total)
    }

    /// Writes from where the file is, up to the end of the page. What is in the page then is news.
    fn write_iter(
        &self,
        dev: &Device<'_>,
        kiocb: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        let wanted = from.len();
        let mut total = 0;
        while let Some((at, len)) = chunk(kiocb, from.len()) {
            let mut bytes = [0; CHUNK];
            let copied = from.copy_from_iter(&mut bytes[..len]);
            dev.data.page.write(at, &bytes[..copied])?;
            total += copied;
            *kiocb.ki_pos_mut() += copied as i64;
            if copied < len {
                break;
            }
        }
        match total {
            0 if wanted == 0 => Ok(0),
            0 if kiocb.ki_pos() >= PAGE_SIZE as i64 => Err(ENOSPC),
            0 => Err(EFAULT),
            _ => {
                dev.advance();
                Ok(total)
            }
        }
    }

    fn llseek(&self, _dev: &Device<'_>, seek: Seek<'_>) -> Result<i64> {
        seek.within(PAGE_SIZE as i64)
    }

    /// There is nowhere else to bring the data to; it is counted.
    fn fsync(&self, dev: &Device<'_>, _start: i64, _end: i64, _datasync: bool) -> Result {
        dev.data.syncs.fetch_add(1, Full);
        Ok(())
    }

    fn mmap<'a>(&self, dev: &Device<'a>, area: &Area<'a>) -> Result<Mapping<'a>> {
        if area.offset() < REGISTERS {
            return Ok(Mapping::pages(&dev.data.page));
        }
        Ok(Mapping::pci_bar(dev.dev, 0)?.at(REGISTERS).read_only())
    }
}

/// How much is copied at once.
const CHUNK: usize = 256;

/// Where the next chunk is, and how long, if something is `left` to copy and the page has not ended.
fn chunk(kiocb: &Kiocb<'_>, left: usize) -> Option<(usize, usize)> {
    let at = usize::try_from(kiocb.ki_pos()).ok()?;
    let len = left.min(PAGE_SIZE.checked_sub(at)?).min(CHUNK);
    (len > 0).then_some((at, len))
}

devscope::module_pci_driver! {
    type: Chardev,
    name: "chardev",
    authors: ["The devscope authors"],
    description: "Two nodes, and memory that programs map",
    license: "GPL",
}

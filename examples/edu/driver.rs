// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A driver for QEMU's educational device, `-device edu`.
//!
//! The device computes factorials and says by an interrupt when it is done. Programs use it through
//! `/dev/edu`: write a number, read its factorial. Reading sleeps until there is an answer, and a
//! program can poll for it.
//!
//! ```text
//!   write() -> question -> work --- FACTORIAL ---> device
//!                            ^                       |
//!                     wakes  |                   interrupt
//!                            |                       v
//!   read()  <- answer <----- +----- tasklet <---- handler
//! ```
//!
//! For storms of interrupts, the tasklet raises further ones, each from the one before.
//!
//! The specification is QEMU's `docs/specs/edu.rst`.

#![forbid(unsafe_code)]

use devscope::{
    file::{File, Kiocb},
    pci::Driver,
    poll::{Events, PollTable},
    tasklet::Tasklet,
    wait::WaitQueue,
    work::Work,
    Scope,
};
use kernel::{
    device::{Bound, Core},
    io::Io,
    ioctl::{_IO, _IOW},
    iov::{IovIterDest, IovIterSource},
    irq::{Flags, IrqReturn},
    new_mutex, pci,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        Arc, Mutex,
    },
};

/// Registers, as offsets into BAR 0.
mod regs {
    pub(super) const FACTORIAL: usize = 0x08;
    pub(super) const STATUS: usize = 0x20;
    pub(super) const INTERRUPT_STATUS: usize = 0x24;
    pub(super) const RAISE: usize = 0x60;
    pub(super) const ACKNOWLEDGE: usize = 0x64;
    /// How much of the BAR is used.
    pub(super) const SIZE: usize = 0x100;

    /// In `STATUS`: raise an interrupt when a factorial has been computed.
    pub(super) const STATUS_RAISE: u32 = 0x80;
    /// In `INTERRUPT_STATUS`: a factorial has been computed.
    pub(super) const COMPUTED: u32 = 0x01;
    /// In `INTERRUPT_STATUS`, by our choice: raised through `RAISE`.
    pub(super) const RAISED: u32 = 0x100;
}

/// How many interrupts there were since the device was bound.
const EDU_INTERRUPTS: u32 = _IO('e' as u32, 1);
/// Raises one interrupt.
const EDU_RAISE: u32 = _IO('e' as u32, 2);
/// Raises as many interrupts as the argument says, each from the one before.
const EDU_STORM: u32 = _IOW::<u32>('e' as u32, 3);

/// The largest number whose factorial fits the device's 32 bits.
const LARGEST: u32 = 12;

/// What one `open()` made. It knows nothing of the device.
struct EduFile {
    answer: Arc<Answer>,
}

/// Where the answer to a program's question is put, or -1.
struct Answer(Atomic<i64>);

/// A number whose factorial a program wants, and where it looks for it.
struct Question {
    number: u32,
    answer: Arc<Answer>,
}

/// Everything passive.
#[pin_data]
struct EduData<'bound> {
    bar: pci::Bar<'bound, { regs::SIZE }>,
    vectors: pci::IrqVectorRegistration<'bound>,
    #[pin]
    questions: Mutex<KVec<Question>>,
    computed: Atomic<bool>,
    storm: Atomic<i64>,
    interrupts: Atomic<i64>,
}

impl EduData<'_> {
    fn raise(&self) {
        self.bar.write32(regs::RAISED, regs::RAISE);
    }

    /// Lets the device compute. Sleeps until it is done; `ENODEV` if the device is unbound first.
    fn factorial(&self, number: u32, done: WaitQueue<'_>) -> Result<u32> {
        self.computed.store(false, Relaxed);
        self.bar.write32(regs::STATUS_RAISE, regs::STATUS);
        self.bar.write32(number, regs::FACTORIAL);
        done.wait_until(|| self.computed.load(Acquire))?;
        Ok(self.bar.read32(regs::FACTORIAL))
    }

    fn next_question(&self) -> Option<Question> {
        let mut questions = self.questions.lock();
        if questions.is_empty() {
            None
        } else {
            questions.remove(0).ok()
        }
    }
}

/// What operations on `/dev/edu` may use while the device is bound.
struct EduDevice<'a> {
    data: &'a EduData<'a>,
    compute: Work<'a>,
    answers: WaitQueue<'a>,
}

struct Edu;

kernel::pci_device_table!(
    PCI_TABLE,
    <Edu as Driver>::IdInfo,
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl Driver for Edu {
    type IdInfo = ();
    type Data<'bound> = EduData<'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<EduData<'bound>, Error> + 'bound {
        try_pin_init!(EduData {
            bar: {
                dev.enable_device_mem()?;
                dev.set_master();
                dev.iomap_region_sized(0, c"edu")?
            },
            vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
            questions <- new_mutex!(KVec::new()),
            computed: Atomic::new(false),
            storm: Atomic::new(0),
            interrupts: Atomic::new(0),
        })
    }

    fn attach<'a>(
        dev: &'a pci::Device<Bound>,
        data: Pin<&'a EduData<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let computed = scope.wait_queue()?;
        let answers = scope.wait_queue()?;

        let compute = scope.work(move || {
            while let Some(question) = data.next_question() {
                let Ok(value) = data.factorial(question.number, computed) else {
                    return; // Unbound. Readers are told so by their own queue.
                };
                question.answer.0.store(value.into(), Release);
                answers.wake_all();
            }
        })?;

        let bottom: Tasklet<'a> = scope.tasklet(move || {
            if data.computed.load(Acquire) {
                computed.wake_all();
            }
            if data.storm.load(Relaxed) > 0 {
                data.storm.add(-1, Relaxed);
                data.raise();
            }
        })?;

        scope.irq(data.vectors.index(0)?, Flags::SHARED, c"edu", move || {
            let status = data.bar.read32(regs::INTERRUPT_STATUS);
            if status == 0 {
                return IrqReturn::None;
            }
            data.bar.write32(status, regs::ACKNOWLEDGE);
            data.interrupts.add(1, Relaxed);
            if status & regs::COMPUTED != 0 {
                data.computed.store(true, Release);
            }
            bottom.schedule();
            IrqReturn::Handled
        })?;

        scope.misc_device::<EduFile>(
            c"edu",
            EduDevice {
                data,
                compute,
                answers,
            },
        )?;
        dev_info!(
            dev,
            "ready: write a number to /dev/edu, read its factorial\n"
        );
        Ok(())
    }

    fn unbind(_dev: &pci::Device<Core<'_>>, data: Pin<&EduData<'_>>) {
        // No interrupt for a computation that is still going on. A storm needs nothing: it lives on
        // the tasklet, which the framework stops.
        data.bar.write32(0, regs::STATUS);
    }
}

#[vtable]
impl File for EduFile {
    type Device<'a> = EduDevice<'a>;

    fn open(_dev: &EduDevice<'_>) -> Result<Arc<Self>> {
        let answer = Arc::new(Answer(Atomic::new(-1)), GFP_KERNEL)?;
        Ok(Arc::new(EduFile { answer }, GFP_KERNEL)?)
    }

    fn write_iter(
        &self,
        dev: &EduDevice<'_>,
        _kiocb: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        let mut text = [0; 16];
        let len = from.copy_from_iter(&mut text);
        if len == 0 {
            return Err(EFAULT);
        }
        let number = parse(&text[..len]).filter(|number| *number <= LARGEST);
        let question = Question {
            number: number.ok_or(EINVAL)?,
            answer: self.answer.clone(),
        };
        dev.data.questions.lock().push(question, GFP_KERNEL)?;
        dev.compute.schedule();
        Ok(len)
    }

    fn read_iter(
        &self,
        dev: &EduDevice<'_>,
        kiocb: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        let value = loop {
            // Two threads may read one file; one of them gets the answer.
            let value = self.answer.0.xchg(-1, Acquire);
            if value >= 0 {
                break value;
            }
            if kiocb.nonblocking() {
                return Err(EAGAIN);
            }
            dev.answers
                .wait_until(|| self.answer.0.load(Relaxed) >= 0)?;
        };
        let mut text = [0; 20];
        match to.copy_to_iter(decimal(value as u64, &mut text)) {
            0 => Err(EFAULT),
            len => Ok(len),
        }
    }

    fn poll(&self, dev: &EduDevice<'_>, table: &mut PollTable<'_>) -> Events {
        table.register_wait(dev.answers);
        let mut events = Events::WRITABLE;
        if self.answer.0.load(Acquire) >= 0 {
            events |= Events::READABLE;
        }
        events
    }

    fn ioctl(&self, dev: &EduDevice<'_>, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            EDU_INTERRUPTS => Ok(dev.data.interrupts.load(Relaxed) as isize),
            EDU_RAISE => {
                dev.data.raise();
                Ok(0)
            }
            EDU_STORM => {
                dev.data.storm.add(i64::from(u32::try_from(arg)?), Relaxed);
                dev.data.raise();
                Ok(0)
            }
            _ => Err(ENOTTY),
        }
    }
}

/// A decimal number, with white space around it.
fn parse(text: &[u8]) -> Option<u32> {
    core::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

/// `value` as a line of text, in `text`.
fn decimal(mut value: u64, text: &mut [u8; 20]) -> &[u8] {
    let mut start = text.len() - 1;
    text[start] = b'\n';
    loop {
        start -= 1;
        text[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &text[start..];
        }
    }
}

devscope::module_pci_driver! {
    type: Edu,
    name: "edu",
    authors: ["The devscope authors"],
    description: "QEMU's educational PCI device",
    license: "GPL",
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `examples/edu` in Linux's Rust: the same device, node, answers and errors, and the same care for
//! programs that hold the node when the device goes. Its size is what that of the example is held against.
//!
//! From `kernel`, as it is in 7.3: the PCI driver, its BAR, vectors and interrupt; reading, writing and
//! `ioctl()` of the node; work; locks, condition variables, and the wait queue that is polled.
//!
//! Through `bindings`, since `kernel` has nothing: the tasklet; `poll()` of a misc device, and with it the
//! registration, which takes the file operations that `kernel` has made and one more; stopping work; and
//! whether a file was opened with `O_NONBLOCK`. A handler that is kept beside the vectors that its line is
//! from has its lifetime said by hand.
//!
//! What a file touches is in an `Arc`, which the device has while it is bound, and each open file. Of the
//! registers it has a `Devres`, which is revoked after everything that is dropped here.

use core::{fmt::Write, mem, ptr};
use kernel::{
    bindings, container_of,
    device::{Bound, Core},
    error::to_result,
    fs::{File, Kiocb},
    impl_has_work,
    io::Io,
    ioctl::{_IO, _IOW},
    iov::{IovIterDest, IovIterSource},
    irq::{self, Flags, IrqReturn},
    miscdevice::{MiscDevice, MiscDeviceOptions, MiscDeviceRegistration},
    new_condvar, new_mutex, new_poll_condvar, new_spinlock_irq, new_work, pci,
    prelude::*,
    str::Formatter,
    sync::{
        atomic::{Atomic, Relaxed},
        poll::{PollCondVar, PollTable},
        Arc, CondVar, LockedBy, Mutex, MutexGuard, SpinLockIrq,
    },
    types::{ForeignOwnable, Opaque},
    workqueue::{self, Work, WorkItem},
};

mod regs {
    pub(super) const FACTORIAL: usize = 0x08;
    pub(super) const STATUS: usize = 0x20;
    pub(super) const INTERRUPT_STATUS: usize = 0x24;
    pub(super) const RAISE: usize = 0x60;
    pub(super) const ACKNOWLEDGE: usize = 0x64;
    pub(super) const SIZE: usize = 0x100;

    pub(super) const STATUS_RAISE: u32 = 0x80;
    pub(super) const COMPUTED: u32 = 0x01;
    pub(super) const RAISED: u32 = 0x100;
}

const EDU_INTERRUPTS: u32 = _IO('e' as u32, 1);
const EDU_RAISE: u32 = _IO('e' as u32, 2);
const EDU_STORM: u32 = _IOW::<u32>('e' as u32, 3);

const LARGEST: u32 = 12;

extern "C" {
    fn bench_tasklet_schedule(t: *mut bindings::tasklet_struct);
}

/// What the driver and the open files share.
#[pin_data]
struct Edu {
    bar: pci::DevresBar<{ regs::SIZE }>,
    #[pin]
    computation: SpinLockIrq<Computation>,
    #[pin]
    computed: CondVar,
    #[pin]
    inner: Mutex<Inner>,
    #[pin]
    answers: PollCondVar,
    #[pin]
    compute: Work<Edu>,
    storm: Atomic<i64>,
    interrupts: Atomic<i64>,
}

/// What the interrupt tells the work item, and unbinding does.
struct Computation {
    done: bool,
    gone: bool,
}

struct Inner {
    gone: bool,
    questions: KVec<Question>,
}

struct Question {
    number: u32,
    answer: Arc<Answer>,
}

type Answer = LockedBy<Option<u32>, Inner>;

impl_has_work! {
    impl HasWork<Self> for Edu { self.compute }
}

impl Edu {
    fn new(bar: pci::DevresBar<{ regs::SIZE }>) -> impl PinInit<Self> {
        pin_init!(Self {
            bar,
            computation <- new_spinlock_irq!(Computation { done: false, gone: false }),
            computed <- new_condvar!(),
            inner <- new_mutex!(Inner { gone: false, questions: KVec::new() }),
            answers <- new_poll_condvar!(),
            compute <- new_work!(),
            storm: Atomic::new(0),
            interrupts: Atomic::new(0),
        })
    }

    /// Whoever holds the lock is before `shut_down`, so the interrupt is still handled.
    fn enter(&self) -> Result<MutexGuard<'_, Inner>> {
        let inner = self.inner.lock();
        if inner.gone {
            return Err(ENODEV);
        }
        Ok(inner)
    }

    fn raise(&self) -> Result {
        self.bar
            .try_access_with(|bar| bar.write32(regs::RAISED, regs::RAISE))
            .ok_or(ENODEV)
    }

    /// Sleeps until the device has computed; `ENODEV` if it is unbound first.
    fn factorial(&self, number: u32) -> Result<u32> {
        self.computation.lock().done = false;
        self.bar
            .try_access_with(|bar| {
                bar.write32(regs::STATUS_RAISE, regs::STATUS);
                bar.write32(number, regs::FACTORIAL);
            })
            .ok_or(ENODEV)?;
        let mut computation = self.computation.lock();
        while !computation.done {
            if computation.gone {
                return Err(ENODEV);
            }
            self.computed.wait(&mut computation);
        }
        drop(computation);
        self.bar
            .try_access_with(|bar| bar.read32(regs::FACTORIAL))
            .ok_or(ENODEV)
    }

    fn next_question(&self) -> Option<Question> {
        let mut inner = self.inner.lock();
        if inner.questions.is_empty() {
            None
        } else {
            inner.questions.remove(0).ok()
        }
    }

    /// Nobody asks or raises any more, and who sleeps is woken; then nothing is computed.
    fn shut_down(edu: &Arc<Self>) {
        let mut inner = edu.inner.lock();
        inner.gone = true;
        let questions = mem::take(&mut inner.questions);
        drop(inner);
        drop(questions);
        edu.answers.notify_all();
        edu.computation.lock().gone = true;
        edu.computed.notify_all();
        // SAFETY: Initialised in `new`, and `edu` is there. Process context.
        let was_pending =
            unsafe { bindings::disable_work_sync(Work::raw_get(&raw const edu.compute)) };
        if was_pending {
            // SAFETY: `enqueue` has given a reference to the work item, which will not run.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(edu)) });
        }
    }
}

impl WorkItem for Edu {
    type Pointer = Arc<Edu>;

    fn run(edu: Arc<Edu>) {
        while let Some(question) = edu.next_question() {
            let Ok(value) = edu.factorial(question.number) else {
                return; // Unbound. `shut_down` tells the readers.
            };
            *question.answer.access_mut(&mut edu.inner.lock()) = Some(value);
            edu.answers.notify_all();
        }
    }
}

/// The bottom half of the interrupt, with a tasklet that is killed when dropped.
#[pin_data(PinnedDrop)]
struct Bottom {
    edu: Arc<Edu>,
    #[pin]
    tasklet: Opaque<bindings::tasklet_struct>,
}

// SAFETY: The tasklet is only used through C functions that may be called on any CPU.
unsafe impl Send for Bottom {}
// SAFETY: As above.
unsafe impl Sync for Bottom {}

impl Bottom {
    fn new(edu: Arc<Edu>) -> impl PinInit<Self> {
        pin_init!(Self {
            edu,
            // SAFETY: The slot is ours and does not move any more.
            tasklet <- Opaque::ffi_init(|slot| unsafe {
                bindings::tasklet_setup(slot, Some(Self::run));
            }),
        })
    }

    fn schedule(&self) {
        // SAFETY: Set up in `new`, and killed before it is freed.
        unsafe { bench_tasklet_schedule(self.tasklet.get()) };
    }

    unsafe extern "C" fn run(tasklet: *mut bindings::tasklet_struct) {
        // SAFETY: Only the tasklet of a `Bottom` has this function, and it is killed before that is freed.
        let this = unsafe { &*container_of!(Opaque::cast_from(tasklet), Self, tasklet) };
        let edu = &this.edu;
        if edu.computation.lock().done {
            edu.computed.notify_all();
        }
        if edu.storm.load(Relaxed) > 0 {
            edu.storm.add(-1, Relaxed);
            // The registers are there for longer than the tasklet.
            let _ = edu.raise();
        }
    }
}

#[pinned_drop]
impl PinnedDrop for Bottom {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Set up in `new`. Process context.
        unsafe { bindings::tasklet_kill(self.tasklet.get()) };
    }
}

#[pin_data]
struct Handler<'bound> {
    dev: &'bound pci::Device<Bound>,
    #[pin]
    bottom: Bottom,
}

impl irq::Handler for Handler<'_> {
    fn handle(&self) -> IrqReturn {
        let edu = &self.bottom.edu;
        let Ok(bar) = edu.bar.access(self.dev.as_ref()) else {
            return IrqReturn::None;
        };
        let status = bar.read32(regs::INTERRUPT_STATUS);
        if status == 0 {
            return IrqReturn::None;
        }
        bar.write32(status, regs::ACKNOWLEDGE);
        edu.interrupts.add(1, Relaxed);
        if status & regs::COMPUTED != 0 {
            edu.computation.lock().done = true;
        }
        self.bottom.schedule();
        IrqReturn::Handled
    }
}

/// What one `open()` made.
struct EduFile {
    edu: Arc<Edu>,
    answer: Arc<Answer>,
}

const OPTIONS: MiscDeviceOptions = MiscDeviceOptions { name: c"edu" };

impl EduFile {
    /// What `kernel` has made of the operations below, with `poll()`.
    const FOPS: bindings::file_operations = bindings::file_operations {
        poll: Some(Self::poll),
        // SAFETY: Points to a constant.
        ..unsafe { *OPTIONS.into_raw::<Self>().fops }
    };

    unsafe extern "C" fn poll(
        file: *mut bindings::file,
        table: *mut bindings::poll_table,
    ) -> bindings::__poll_t {
        // SAFETY: `MiscDevice` has put there what `open` returned, and borrows it as well.
        let this = unsafe { KBox::<Self>::borrow((*file).private_data) };
        // SAFETY: The file and the table are valid for the call.
        let (file, table) = unsafe { (File::from_raw_file(file), PollTable::from_raw(table)) };
        // The queue lasts as long as the file, which has a reference to what it is in.
        table.register_wait(file, &this.edu.answers);
        let Ok(mut inner) = this.edu.enter() else {
            return bindings::POLLHUP | bindings::POLLERR;
        };
        let mut events = bindings::POLLOUT | bindings::POLLWRNORM;
        if this.answer.access_mut(&mut inner).is_some() {
            events |= bindings::POLLIN | bindings::POLLRDNORM;
        }
        events
    }
}

#[vtable]
impl MiscDevice for EduFile {
    type Ptr = KBox<Self>;

    fn open(_file: &File, misc: &MiscDeviceRegistration<Self>) -> Result<KBox<Self>> {
        // SAFETY: Only a `Node` registers these operations, and `misc_open()` holds the lock that its
        // `misc_deregister()` takes.
        let node = unsafe { &*container_of!(Opaque::cast_from(misc.as_raw()), Node, misc) };
        let edu = node.edu.clone();
        let answer = Arc::new(LockedBy::new(&edu.inner, None), GFP_KERNEL)?;
        Ok(KBox::new(EduFile { edu, answer }, GFP_KERNEL)?)
    }

    fn write_iter(kiocb: Kiocb<'_, KBox<Self>>, from: &mut IovIterSource<'_>) -> Result<usize> {
        let file = kiocb.file();
        let mut inner = file.edu.enter()?;
        let mut text = [0; 16];
        let len = from.copy_from_iter(&mut text);
        if len == 0 {
            return Err(EFAULT);
        }
        let number = parse(&text[..len]).filter(|number| *number <= LARGEST);
        let question = Question {
            number: number.ok_or(EINVAL)?,
            answer: file.answer.clone(),
        };
        inner.questions.push(question, GFP_KERNEL)?;
        drop(inner);
        // It is queued already, or `shut_down` has been there.
        let _ = workqueue::system_long().enqueue(file.edu.clone());
        Ok(len)
    }

    fn read_iter(kiocb: Kiocb<'_, KBox<Self>>, to: &mut IovIterDest<'_>) -> Result<usize> {
        let file = kiocb.file();
        // SAFETY: The file of a call that goes on.
        let flags = unsafe { (*(*kiocb.as_raw()).ki_filp).f_flags };
        let mut inner = file.edu.enter()?;
        let value = loop {
            // Two threads may read one file; one of them gets the answer.
            if let Some(value) = file.answer.access_mut(&mut inner).take() {
                break value;
            }
            if flags & bindings::O_NONBLOCK != 0 {
                return Err(EAGAIN);
            }
            if file.edu.answers.wait_interruptible(&mut inner) {
                return Err(ERESTARTSYS);
            }
            if inner.gone {
                return Err(ENODEV);
            }
        };
        drop(inner);
        let mut text = [0; 12];
        let mut line = Formatter::new(&mut text);
        writeln!(line, "{value}")?;
        let len = line.bytes_written();
        match to.copy_to_iter(&text[..len]) {
            0 => Err(EFAULT),
            len => Ok(len),
        }
    }

    fn ioctl(file: &EduFile, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        let edu = &file.edu;
        let _inner = edu.enter()?;
        match cmd {
            EDU_INTERRUPTS => return Ok(edu.interrupts.load(Relaxed) as isize),
            EDU_RAISE => {}
            EDU_STORM => edu.storm.add(i64::from(u32::try_from(arg)?), Relaxed),
            _ => return Err(ENOTTY),
        }
        edu.raise()?;
        Ok(0)
    }
}

/// A decimal number, with white space around it.
fn parse(text: &[u8]) -> Option<u32> {
    core::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

/// `/dev/edu`. When it is dropped nobody opens it any more, and files that are open find the device gone.
#[pin_data(PinnedDrop)]
struct Node {
    edu: Arc<Edu>,
    #[pin]
    misc: Opaque<bindings::miscdevice>,
}

// SAFETY: As with `MiscDeviceRegistration`, it may be deregistered by another thread.
unsafe impl Send for Node {}

impl Node {
    fn new(edu: Arc<Edu>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            edu,
            misc <- Opaque::try_ffi_init(|slot: *mut bindings::miscdevice| {
                let mut misc = OPTIONS.into_raw::<EduFile>();
                misc.fops = &EduFile::FOPS;
                // SAFETY: The slot is ours, does not move any more, and is deregistered when dropped.
                unsafe {
                    slot.write(misc);
                    to_result(bindings::misc_register(slot))
                }
            }),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Node {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Registered in `new`.
        unsafe { bindings::misc_deregister(self.misc.get()) };
        Edu::shut_down(&self.edu);
    }
}

/// What is there while the device is bound. Dropped in this order: whoever uses the device, the
/// interrupt and its tasklet, the line that it is from.
#[pin_data]
struct EduData<'bound> {
    #[pin]
    node: Node,
    #[pin]
    irq: irq::Registration<'bound, Handler<'bound>>,
    vectors: pci::IrqVectorRegistration<'bound>,
    edu: Arc<Edu>,
}

struct EduDriver;

kernel::pci_device_table!(
    PCI_TABLE,
    <EduDriver as pci::Driver>::IdInfo,
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl pci::Driver for EduDriver {
    type IdInfo = ();
    type Data<'bound> = EduData<'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<EduData<'bound>, Error> + 'bound {
        try_pin_init!(EduData {
            edu: {
                dev.enable_device_mem()?;
                dev.set_master();
                let bar = dev.iomap_region_sized(0, c"edu")?.into_devres()?;
                Arc::pin_init(Edu::new(bar), GFP_KERNEL)?
            },
            vectors: dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?,
            irq <- {
                // SAFETY: It does not move any more, and is dropped after `irq`.
                let vectors: &'bound pci::IrqVectorRegistration<'bound> =
                    unsafe { &*ptr::from_ref(vectors) };
                let bottom = Bottom::new(edu.clone());
                let handler = try_pin_init!(Handler { dev, bottom <- bottom }? Error);
                let line = vectors.index(0)?.into();
                // SAFETY: Part of the device's data, which is dropped.
                unsafe { irq::Registration::new(line, Flags::SHARED, c"edu", handler) }
            },
            node <- Node::new(edu.clone()),
            _: {
                dev_info!(
                    dev,
                    "ready: write a number to /dev/edu, read its factorial\n"
                );
            },
        })
    }

    fn unbind<'bound>(dev: &'bound pci::Device<Core<'_>>, this: Pin<&EduData<'bound>>) {
        // No interrupt for a computation that is still going on.
        if let Ok(bar) = this.edu.bar.access(dev.as_ref()) {
            bar.write32(0, regs::STATUS);
        }
    }
}

kernel::module_pci_driver! {
    type: EduDriver,
    name: "bench_edu_rust",
    authors: ["The devscope authors"],
    description: "QEMU's educational PCI device, in Linux's Rust",
    license: "GPL",
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The column devscope. What is measured is what a driver writes; it runs where drivers go live, in
//! `attach()`, with all handles in hand.

#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "the bench is in C")]
mod measure;

use core::marker::PhantomData;
use devscope::{entrance::Side, faux, file::File, pci, wait::WaitQueue, workqueue::Queue, Scope};
use kernel::{
    device::{Bound, Core},
    driver::Registration,
    io::Io,
    irq::{Flags, IrqReturn},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};
use measure::{ran, row, Kind};

/// A faux driver that has no data: what it is about is what it registers.
trait Bare: 'static {
    fn attach<'a>(scope: &mut Scope<'a>) -> Result;
}

struct Of<B>(PhantomData<B>);

impl<B: Bare> faux::Driver for Of<B> {
    type Data<'bound> = ();

    fn probe<'bound>(
        _dev: &'bound kernel::faux::Device<Core<'_>>,
    ) -> impl PinInit<(), Error> + 'bound {
        Ok(())
    }

    fn attach<'a>(
        _dev: &'a kernel::faux::Device<Bound>,
        _data: Pin<&'a ()>,
        scope: &mut Scope<'a>,
    ) -> Result {
        B::attach(scope)
    }
}

type Device<B> = Pin<KBox<Registration<faux::Adapter<Of<B>>>>>;

/// A device that is bound until it is dropped.
fn bind<B: Bare>(module: &'static ThisModule) -> Result<Device<B>> {
    KBox::pin_init(Registration::new(c"bench_devscope", module), GFP_KERNEL)
}

/// Deferred work.
struct Deferred;

impl Bare for Deferred {
    fn attach<'a>(scope: &mut Scope<'a>) -> Result {
        let nothing = || ();
        row(c"nothing", nothing, nothing, ran, true);

        let tasklet = scope.tasklet(ran)?;
        let schedule = || {
            tasklet.schedule();
        };
        row(c"tasklet-schedule-idle", nothing, schedule, nothing, true);
        row(
            c"tasklet-schedule-pending",
            schedule,
            schedule,
            nothing,
            true,
        );
        measure::dispatch(c"tasklet-dispatch", Kind::Tasklet, schedule);
        tasklet.release()?;
        row(
            c"tasklet-schedule-refused",
            nothing,
            schedule,
            nothing,
            false,
        );

        let timer = scope.timer(ran)?;
        let start = |delay| {
            timer.start(delay);
        };
        // A timer that is taken back counts as one that ran.
        let stop = || {
            if timer.stop() {
                ran();
            }
        };
        row(c"timer-start-idle", nothing, || start(100), stop, true);
        row(
            c"timer-start-pending",
            || start(200),
            || start(100),
            stop,
            true,
        );
        measure::dispatch(c"timer-dispatch", Kind::Timer, || start(2));
        timer.release()?;
        row(
            c"timer-start-refused",
            nothing,
            || start(100),
            nothing,
            false,
        );

        let work = scope.work_on(Queue::highpri(), ran)?;
        let schedule = || {
            work.schedule();
        };
        row(c"work-schedule-idle", nothing, schedule, nothing, true);
        row(c"work-schedule-pending", schedule, schedule, nothing, true);
        measure::dispatch(c"work-dispatch", Kind::Work, schedule);
        work.release()?;
        row(c"work-schedule-refused", nothing, schedule, nothing, false);
        Ok(())
    }
}

/// The interrupt of edu, to the handler's first instruction or the whole of it.
struct Edu<const FIRST: bool>;

const INTERRUPT_STATUS: usize = 0x24;
const ACKNOWLEDGE: usize = 0x64;

struct EduData<'bound> {
    bar: kernel::pci::Bar<'bound, 0x100>,
    vectors: kernel::pci::IrqVectorRegistration<'bound>,
}

kernel::pci_device_table!(
    PCI_TABLE,
    (),
    [(kernel::pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl<const FIRST: bool> pci::Driver for Edu<FIRST> {
    type IdInfo = ();
    type Data<'bound> = EduData<'bound>;
    const ID_TABLE: kernel::pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        dev: &'bound kernel::pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<EduData<'bound>, Error> + 'bound {
        dev.enable_device_mem()?;
        dev.set_master();
        Ok(EduData {
            bar: dev.iomap_region_sized(0, c"bench_devscope")?,
            vectors: dev.alloc_irq_vectors(1, 1, kernel::pci::IrqTypes::all())?,
        })
    }

    fn attach<'a>(
        _dev: &'a kernel::pci::Device<Bound>,
        data: Pin<&'a EduData<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let data = data.get_ref();
        let line = data.vectors.index(0)?;
        if FIRST {
            scope.irq(line, Flags::SHARED, c"bench_devscope", move || {
                measure::first();
                let status = data.bar.read32(INTERRUPT_STATUS);
                data.bar.write32(status, ACKNOWLEDGE);
                ran();
                IrqReturn::Handled
            })?;
            measure::raise_to_first(c"irq-to-first-instruction");
        } else {
            let bottom = scope.tasklet(ran)?;
            scope.irq(line, Flags::SHARED, c"bench_devscope", move || {
                let status = data.bar.read32(INTERRUPT_STATUS);
                if status == 0 {
                    return IrqReturn::None;
                }
                data.bar.write32(status, ACKNOWLEDGE);
                bottom.schedule();
                IrqReturn::Handled
            })?;
            measure::raise(c"irq-handler");
        }
        Ok(())
    }
}

fn edu<const FIRST: bool>(module: &'static ThisModule) {
    let driver = KBox::pin_init(
        Registration::<pci::Adapter<Edu<FIRST>>>::new(c"bench_devscope", module),
        GFP_KERNEL,
    );
    measure::check(c"pci", driver);
}

/// A node, behind whose gate an operation is done.
struct Node;

struct NodeFile;

#[vtable]
impl File for NodeFile {
    type Device<'a> = WaitQueue<'a>;

    fn open(_dev: &WaitQueue<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(NodeFile, GFP_KERNEL)?)
    }

    fn ioctl(&self, queue: &WaitQueue<'_>, cmd: u32, _arg: usize) -> Result<isize> {
        match cmd {
            measure::IOCTL => ran(),
            measure::IOCTL_SLEEP => {
                measure::asleep();
                queue.wait_until(measure::awake)?;
            }
            measure::IOCTL_WAKE => queue.wake_all(),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

impl Bare for Node {
    fn attach<'a>(scope: &mut Scope<'a>) -> Result {
        let queue = scope.wait_queue()?;
        scope.misc_device::<NodeFile>(c"bench_devscope", queue)?;
        measure::node(c"ioctl-devscope", c"/dev/bench_devscope");
        Ok(())
    }
}

/// The gate alone.
struct Hall;

struct Empty;

impl Side for Empty {
    type Device<'a> = ();
}

impl Bare for Hall {
    fn attach<'a>(scope: &mut Scope<'a>) -> Result {
        let entrance = scope.entrance::<Empty>(())?;
        let nothing = || ();
        let access = || {
            entrance.try_access_with(|()| ran());
        };
        row(c"access-nothing", nothing, ran, nothing, true);
        row(c"access", nothing, access, nothing, true);
        Ok(())
    }
}

static REGISTRATIONS: Atomic<i32> = Atomic::new(0);

/// Many work items.
struct Works;

impl Bare for Works {
    fn attach<'a>(scope: &mut Scope<'a>) -> Result {
        for _ in 0..REGISTRATIONS.load(Relaxed) {
            scope.work(ran)?;
        }
        Ok(())
    }
}

/// Many gates.
struct Gates;

impl Bare for Gates {
    fn attach<'a>(scope: &mut Scope<'a>) -> Result {
        for _ in 0..REGISTRATIONS.load(Relaxed) {
            scope.entrance::<Empty>(())?;
        }
        Ok(())
    }
}

fn many<B: Bare>(module: &'static ThisModule, rows: [&'static CStr; 3]) {
    for registrations in [0, 1, 8, 64, 256] {
        REGISTRATIONS.store(registrations, Relaxed);
        measure::many(rows, registrations as u32, || bind::<B>(module));
    }
}

struct Bench;

impl kernel::Module for Bench {
    fn init(module: &'static ThisModule) -> Result<Self> {
        measure::column(c"devscope");
        measure::check(c"deferred", bind::<Deferred>(module));
        measure::with_edu(|| {
            edu::<true>(module);
            edu::<false>(module);
        });
        measure::check(c"node", bind::<Node>(module));
        measure::check(c"hall", bind::<Hall>(module));
        many::<Works>(module, [c"bind-work", c"unbind-work", c"memory-work"]);
        many::<Gates>(module, [c"bind-gate", c"unbind-gate", c"memory-gate"]);
        Ok(Bench)
    }
}

module! {
    type: Bench,
    name: "bench_devscope",
    authors: ["The devscope authors"],
    description: "What devscope costs",
    license: "GPL",
}

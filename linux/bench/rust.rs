// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The column Linux's Rust: what `kernel` offers in 7.3, with the `unsafe` that it asks for. Where it
//! offers nothing (tasklets, timers of the wheel, stopping work) it is C through `bindings`.

mod measure;

use core::ptr;
use kernel::{
    bindings,
    device::Core,
    devres::Devres,
    driver, faux,
    fs::File,
    impl_has_work,
    io::Io,
    irq::{self, Flags, IrqReturn},
    miscdevice::{MiscDevice, MiscDeviceOptions, MiscDeviceRegistration},
    new_work, pci,
    prelude::*,
    revocable::Revocable,
    static_lock_class,
    sync::Arc,
    types::Opaque,
    workqueue::{self, Work, WorkItem},
};
use measure::{ran, row, Kind};

extern "C" {
    fn bench_tasklet_schedule(t: *mut bindings::tasklet_struct);
}

/// A tasklet that is killed when dropped.
#[pin_data(PinnedDrop)]
struct Tasklet {
    #[pin]
    raw: Opaque<bindings::tasklet_struct>,
}

// SAFETY: Only used through C functions that may be called on any CPU.
unsafe impl Send for Tasklet {}
// SAFETY: As above.
unsafe impl Sync for Tasklet {}

impl Tasklet {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: The slot is ours and does not move any more.
            raw <- Opaque::ffi_init(|slot| unsafe {
                bindings::tasklet_setup(slot, Some(Self::run));
            }),
        })
    }

    unsafe extern "C" fn run(_: *mut bindings::tasklet_struct) {
        ran();
    }

    #[inline]
    fn schedule(&self) {
        // SAFETY: Set up in `new`, killed before it is freed.
        unsafe { bench_tasklet_schedule(self.raw.get()) };
    }
}

#[pinned_drop]
impl PinnedDrop for Tasklet {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Set up in `new`. Process context.
        unsafe { bindings::tasklet_kill(self.raw.get()) };
    }
}

#[pin_data(PinnedDrop)]
struct Timer {
    #[pin]
    raw: Opaque<bindings::timer_list>,
}

impl Timer {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: The slot is ours and does not move any more.
            raw <- Opaque::ffi_init(|slot| unsafe {
                bindings::timer_init_key(
                    slot,
                    Some(Self::run),
                    0,
                    c"bench".as_char_ptr(),
                    static_lock_class!().as_ptr(),
                );
            }),
        })
    }

    unsafe extern "C" fn run(_: *mut bindings::timer_list) {
        ran();
    }

    #[inline]
    fn start(&self, delay: c_ulong) {
        // SAFETY: Any context. The timer is shut down before it is freed.
        unsafe {
            let now = ptr::read_volatile(&raw const bindings::jiffies);
            bindings::mod_timer(self.raw.get(), now.wrapping_add(delay));
        }
    }

    fn stop(&self) -> bool {
        // SAFETY: As above.
        unsafe { bindings::timer_delete(self.raw.get()) != 0 }
    }

    fn shut_down(&self) {
        // SAFETY: As above. Process context.
        unsafe { bindings::timer_shutdown_sync(self.raw.get()) };
    }
}

#[pinned_drop]
impl PinnedDrop for Timer {
    fn drop(self: Pin<&mut Self>) {
        self.shut_down();
    }
}

#[pin_data]
struct Item {
    #[pin]
    work: Work<Item>,
}

impl_has_work! {
    impl HasWork<Self> for Item { self.work }
}

impl WorkItem for Item {
    type Pointer = Arc<Item>;

    fn run(_this: Arc<Item>) {
        ran();
    }
}

fn deferred() -> Result {
    let nothing = || ();
    row(c"nothing", nothing, nothing, ran, true);

    let tasklet = KBox::pin_init(Tasklet::new(), GFP_KERNEL)?;
    let schedule = || tasklet.schedule();
    row(c"tasklet-schedule-idle", nothing, schedule, nothing, true);
    row(
        c"tasklet-schedule-pending",
        schedule,
        schedule,
        nothing,
        true,
    );
    measure::dispatch(c"tasklet-dispatch", Kind::Tasklet, schedule);

    let timer = KBox::pin_init(Timer::new(), GFP_KERNEL)?;
    // A timer that is taken back counts as one that ran.
    let stop = || {
        if timer.stop() {
            ran();
        }
    };
    row(
        c"timer-start-idle",
        nothing,
        || timer.start(100),
        stop,
        true,
    );
    row(
        c"timer-start-pending",
        || timer.start(200),
        || timer.start(100),
        stop,
        true,
    );
    measure::dispatch(c"timer-dispatch", Kind::Timer, || timer.start(2));
    timer.shut_down();
    row(
        c"timer-start-refused",
        nothing,
        || timer.start(100),
        nothing,
        false,
    );

    let item = Arc::pin_init(pin_init!(Item { work <- new_work!("bench") }), GFP_KERNEL)?;
    let schedule = || {
        let _ = workqueue::system_highpri().enqueue(item.clone());
    };
    row(c"work-schedule-idle", nothing, schedule, nothing, true);
    row(c"work-schedule-pending", schedule, schedule, nothing, true);
    measure::dispatch(c"work-dispatch", Kind::Work, schedule);
    Ok(())
}

const INTERRUPT_STATUS: usize = 0x24;
const ACKNOWLEDGE: usize = 0x64;

struct Edu<const FIRST: bool>;

#[pin_data]
struct Handler<'bound, const FIRST: bool> {
    bar: pci::Bar<'bound, 0x100>,
    #[pin]
    bottom: Tasklet,
}

impl<const FIRST: bool> irq::Handler for Handler<'_, FIRST> {
    fn handle(&self) -> IrqReturn {
        if FIRST {
            measure::first();
            let status = self.bar.read32(INTERRUPT_STATUS);
            self.bar.write32(status, ACKNOWLEDGE);
            ran();
            return IrqReturn::Handled;
        }
        let status = self.bar.read32(INTERRUPT_STATUS);
        if status == 0 {
            return IrqReturn::None;
        }
        self.bar.write32(status, ACKNOWLEDGE);
        self.bottom.schedule();
        IrqReturn::Handled
    }
}

kernel::pci_device_table!(
    PCI_TABLE,
    (),
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl<const FIRST: bool> pci::Driver for Edu<FIRST> {
    type IdInfo = ();
    type Data<'bound> = ();

    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<(), Error> + 'bound {
        dev.enable_device_mem()?;
        dev.set_master();
        let bar = dev.iomap_region_sized(0, c"bench_rust")?;
        let vectors = dev.alloc_irq_vectors(1, 1, pci::IrqTypes::all())?;
        let handler = try_pin_init!(Handler::<'_, FIRST> {
            bar,
            bottom <- Tasklet::new(),
        }? Error);
        let line = vectors.index(0)?.into();
        // SAFETY: Dropped at the end of this function.
        let registration =
            unsafe { irq::Registration::new(line, Flags::SHARED, c"bench_rust", handler) };
        let registration = KBox::pin_init(registration, GFP_KERNEL)?;
        if FIRST {
            measure::raise_to_first(c"irq-to-first-instruction");
        } else {
            measure::raise(c"irq-handler");
        }
        drop(registration);
        Ok(())
    }
}

fn edu<const FIRST: bool>(module: &'static ThisModule) {
    let driver = KBox::pin_init(
        driver::Registration::<pci::Adapter<Edu<FIRST>>>::new(c"bench_rust", module),
        GFP_KERNEL,
    );
    measure::check(c"pci", driver);
}

/// A node whose operations look whether the device is still there.
struct Node(Arc<Revocable<()>>);

/// What `open()` finds: nothing leads from a registration to its owner.
static DEVICE: Static = Static(core::cell::UnsafeCell::new(None));

struct Static(core::cell::UnsafeCell<Option<Arc<Revocable<()>>>>);

// SAFETY: Written before and after the node is registered, and only read in between.
unsafe impl Sync for Static {}

#[vtable]
impl MiscDevice for Node {
    type Ptr = KBox<Self>;

    fn open(_file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result<KBox<Self>> {
        // SAFETY: The node is registered.
        let device = unsafe { (*DEVICE.0.get()).clone() };
        Ok(KBox::new(Node(device.ok_or(ENODEV)?), GFP_KERNEL)?)
    }

    fn ioctl(node: &Node, _file: &File, cmd: u32, _arg: usize) -> Result<isize> {
        let _device = node.0.try_access().ok_or(ENODEV)?;
        match cmd {
            measure::IOCTL => ran(),
            // Who holds what `try_access()` has returned may not sleep.
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

fn node() -> Result {
    let device = Arc::pin_init(Revocable::new(Ok::<(), Error>(())), GFP_KERNEL)?;
    // SAFETY: The node is not registered.
    unsafe { *DEVICE.0.get() = Some(device.clone()) };
    let options = MiscDeviceOptions {
        name: c"bench_rust",
    };
    let registration = KBox::pin_init(
        MiscDeviceRegistration::<Node>::register(options),
        GFP_KERNEL,
    )?;
    measure::node(c"ioctl-revocable", c"/dev/bench_rust");
    drop(registration);
    // SAFETY: The node is not registered any more.
    unsafe { *DEVICE.0.get() = None };

    let nothing = || ();
    row(c"access-nothing", nothing, ran, nothing, true);
    let access = || {
        if let Some(_device) = device.try_access() {
            ran();
        }
    };
    row(c"access", nothing, access, nothing, true);
    Ok(())
}

/// A work item that is stopped when dropped.
#[pin_data(PinnedDrop)]
struct Stopped {
    #[pin]
    raw: Opaque<bindings::work_struct>,
}

// SAFETY: Only used through C functions that may be called on any CPU.
unsafe impl Send for Stopped {}

impl Stopped {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: The slot is ours and does not move any more.
            raw <- Opaque::ffi_init(|slot| unsafe {
                bindings::init_work_with_key(
                    slot,
                    Some(Self::run),
                    false,
                    c"bench".as_char_ptr(),
                    static_lock_class!().as_ptr(),
                );
            }),
        })
    }

    unsafe extern "C" fn run(_: *mut bindings::work_struct) {
        ran();
    }
}

#[pinned_drop]
impl PinnedDrop for Stopped {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Initialised in `new`. Process context.
        unsafe { bindings::disable_work_sync(self.raw.get()) };
    }
}

/// What is behind a gate, and needs nothing done when it goes.
struct Guarded;

/// A device with a `Devres` for each resource. The device goes first.
struct Bound<T: Send + 'static> {
    _device: faux::Registration,
    _resources: KVec<Devres<T>>,
}

fn bind<T: Send + 'static, I: PinInit<T>>(
    registrations: u32,
    resource: impl Fn() -> I,
) -> Result<Bound<T>> {
    let device = faux::Registration::new(c"bench_rust", None)?;
    let mut resources = KVec::with_capacity(registrations as usize, GFP_KERNEL)?;
    for _ in 0..registrations {
        let devres = Devres::new(device.as_ref().as_ref(), resource())?;
        resources.push(devres, GFP_KERNEL)?;
    }
    Ok(Bound {
        _device: device,
        _resources: resources,
    })
}

struct Bench;

impl kernel::Module for Bench {
    fn init(module: &'static ThisModule) -> Result<Self> {
        measure::column(c"rust");
        measure::check(c"deferred", deferred());
        measure::with_edu(|| {
            edu::<true>(module);
            edu::<false>(module);
        });
        measure::check(c"node", node());
        for many in [0, 1, 8, 64, 256] {
            let rows = [c"bind-work", c"unbind-work", c"memory-work"];
            measure::many(rows, many, || bind(many, Stopped::new));
            let rows = [c"bind-gate", c"unbind-gate", c"memory-gate"];
            measure::many(rows, many, || bind(many, || Guarded));
        }
        Ok(Bench)
    }
}

module! {
    type: Bench,
    name: "bench_rust",
    authors: ["The devscope authors"],
    description: "What Linux's Rust costs",
    license: "GPL",
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the drivers of this directory have in common, so that each is its state, its callbacks, `probe()`
//! and `remove()`: C's macros, a platform driver and its module, and what a subsystem is to a driver.
//!
//! All of them are platform drivers, whatever bus the original is on: binding, unbinding and devres are
//! the same on every bus.

use crate::harness::reached;
use core::{
    marker::PhantomData,
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};
use kernel::{
    bindings::{self, platform_device},
    error::to_result,
    hosted::{
        check_access, hardware, preempt, IrqLine, Loaded, Machine, ModuleInfo, PlatformInfo,
        PlatformSlot, Program,
    },
    prelude::*,
    static_lock_class,
    types::Opaque,
    Module,
};

/// Which of the drivers: with the bug as it was found.
pub const DEFECT: u8 = 0;
/// With what was tried first, which did not hold.
pub const FIRST_FIX: u8 = 1;
/// With what holds.
pub const CURE: u8 = 2;

/// A driver, as C has it.
pub trait Driver: 'static {
    const NAME: &'static CStr;

    /// # Safety
    ///
    /// The bus calls it, with a device that is not bound.
    unsafe fn probe(pdev: *mut platform_device) -> c_int;

    /// # Safety
    ///
    /// The bus calls it, once after each `probe()` that returned 0.
    unsafe fn remove(pdev: *mut platform_device);

    /// The operations of its node, if it has one: see [`fops`].
    fn fops() -> bindings::file_operations {
        Default::default()
    }
}

/// The static structures of a C driver.
#[repr(C)]
struct Structures {
    platform: bindings::platform_driver,
    fops: bindings::file_operations,
}

/// The module of a driver: registers it when it is loaded.
pub struct Registered<D>(KBox<Opaque<Structures>>, PhantomData<fn() -> D>);

// SAFETY: The driver core locks what it does with a registered driver.
unsafe impl<D> Send for Registered<D> {}
// SAFETY: As above.
unsafe impl<D> Sync for Registered<D> {}

unsafe extern "C" fn probe<D: Driver>(pdev: *mut platform_device) -> c_int {
    // SAFETY: Called by the bus.
    unsafe { D::probe(pdev) }
}

unsafe extern "C" fn remove<D: Driver>(pdev: *mut platform_device) {
    // SAFETY: Called by the bus.
    unsafe { D::remove(pdev) }
}

impl<D: Driver> Module for Registered<D> {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let structures = KBox::new(Opaque::<Structures>::zeroed(), GFP_KERNEL)?;
        // SAFETY: The structure is zeroed, in place on the heap, and unregistered in `drop` before it
        // is freed.
        to_result(unsafe {
            let raw = structures.get();
            (*raw).fops = D::fops();
            (*raw).fops.owner = module.as_ptr();
            (*raw).platform.driver.name = D::NAME.as_char_ptr();
            (*raw).platform.probe = Some(probe::<D>);
            (*raw).platform.remove = Some(remove::<D>);
            bindings::__platform_driver_register(
                &raw mut (*raw).platform,
                module.as_ptr(),
                D::NAME.as_char_ptr(),
            )
        })?;
        Ok(Self(structures, PhantomData))
    }
}

impl<D> Drop for Registered<D> {
    fn drop(&mut self) {
        // SAFETY: Registered in `init`.
        unsafe { bindings::platform_driver_unregister(self.0.get().cast()) };
    }
}

/// The file operations of the driver that is bound to the device, which last as long as its module.
///
/// # Safety
///
/// A driver of this file is bound to the device, or about to be.
pub unsafe fn fops(pdev: *mut platform_device) -> *const bindings::file_operations {
    // SAFETY: What is bound is a `Structures::platform`, whose `driver` the device points to.
    unsafe {
        let offset = core::mem::offset_of!(bindings::platform_driver, driver);
        let driver = (*pdev).dev.driver.byte_sub(offset).cast::<Structures>();
        &raw const (*driver).fops
    }
}

/// The modules of a driver: with the defect, cured, and (if asked for) with what was tried first.
macro_rules! modules {
    ($driver:ident, $name:tt $(, $first_fix:ident)?) => {
        crate::defects::c::modules!(@one defect, $driver, crate::defects::c::DEFECT, $name);
        $(crate::defects::c::modules!(
            @one $first_fix, $driver, crate::defects::c::FIRST_FIX, $name
        );)?
        crate::defects::c::modules!(@one cure, $driver, crate::defects::c::CURE, $name);
    };
    (@one $variant:ident, $driver:ident, $number:path, $name:tt) => {
        pub mod $variant {
            type Driver = crate::defects::c::Registered<super::$driver<{ $number }>>;
            kernel::prelude::module! {
                type: Driver,
                name: $name,
                authors: ["The devscope authors"],
                description: "A driver with a defect",
                license: "GPL",
            }
        }
    };
}
pub(crate) use modules;

// ---- Macros of C ----

/// `container_of()`
macro_rules! container_of {
    ($member:expr, $container:ty, $($field:tt)+) => {
        $member
            .byte_sub(core::mem::offset_of!($container, $($field)+))
            .cast::<$container>()
    };
}
pub(crate) use container_of;

/// What the machine does with the device of a [`Bench`] just now.
static DURING: AtomicU8 = AtomicU8::new(OTHERWISE);
const OTHERWISE: u8 = 0;
const PROBE: u8 = 1;
const UNBIND: u8 = 2;

/// A callback of the driver runs. How often one did, and how often while the device was being bound or
/// unbound, is in the report: a cure under which nothing ever runs then would be no control.
pub fn runs() {
    match DURING.load(Relaxed) {
        PROBE => reached("callbacks during probe"),
        UNBIND => reached("callbacks during unbind"),
        _ => reached("callbacks otherwise"),
    }
}

/// A load, which KASAN looks at, and before which another CPU may have done something.
///
/// # Safety
///
/// As for reading through the pointer; that the memory is not freed is checked.
#[track_caller]
pub unsafe fn load<T: Copy>(from: *const T) -> T {
    preempt();
    check_access(from, size_of::<T>());
    // SAFETY: The caller's promise.
    unsafe { from.read() }
}

/// A store, as [`load`].
///
/// # Safety
///
/// As for writing through the pointer; that the memory is not freed is checked.
#[track_caller]
pub unsafe fn store<T: Copy>(to: *mut T, value: T) {
    preempt();
    check_access(to, size_of::<T>());
    // SAFETY: The caller's promise.
    unsafe { to.write(value) }
}

/// `devm_kzalloc()`
///
/// # Safety
///
/// As for `devm_kzalloc()`.
pub unsafe fn devm_zalloc<T>(pdev: *mut platform_device) -> *mut T {
    // SAFETY: The caller's promise.
    unsafe {
        let dev = &raw mut (*pdev).dev;
        bindings::devm_kzalloc(dev, size_of::<T>(), bindings::GFP_KERNEL).cast()
    }
}

/// `kzalloc()`
pub fn zalloc<T>() -> *mut T {
    // SAFETY: Nothing is asked.
    unsafe { bindings::kzalloc(size_of::<T>(), bindings::GFP_KERNEL).cast() }
}

/// `kfree()`
///
/// # Safety
///
/// As for `kfree()`.
#[track_caller]
pub unsafe fn kfree<T>(memory: *mut T) {
    // SAFETY: The caller's promise.
    unsafe { bindings::kfree(memory.cast()) };
}

/// `INIT_WORK()`
///
/// # Safety
///
/// As for `INIT_WORK()`.
#[track_caller]
pub unsafe fn init_work(
    work: *mut bindings::work_struct,
    func: unsafe extern "C" fn(*mut bindings::work_struct),
) {
    let (name, key) = (c"work".as_char_ptr(), static_lock_class!().as_ptr());
    // SAFETY: The caller's promise.
    unsafe { bindings::init_work_with_key(work, Some(func), false, name, key) };
}

/// `INIT_DELAYED_WORK()`
///
/// # Safety
///
/// As for `INIT_DELAYED_WORK()`.
#[track_caller]
pub unsafe fn init_delayed_work(
    dwork: *mut bindings::delayed_work,
    func: unsafe extern "C" fn(*mut bindings::work_struct),
) {
    let (name, key) = (c"timer".as_char_ptr(), static_lock_class!().as_ptr());
    // SAFETY: The caller's promise.
    unsafe {
        init_work(&raw mut (*dwork).work, func);
        bindings::timer_init_key(
            &raw mut (*dwork).timer,
            Some(bindings::delayed_work_timer_fn),
            bindings::TIMER_IRQSAFE,
            name,
            key,
        );
    }
}

/// `schedule_delayed_work()`
///
/// # Safety
///
/// As for `schedule_delayed_work()`.
#[track_caller]
pub unsafe fn schedule_delayed_work(dwork: *mut bindings::delayed_work, delay: c_ulong) -> bool {
    // SAFETY: The caller's promise.
    unsafe { queue_delayed_work(bindings::system_percpu_wq, dwork, delay) }
}

/// `queue_delayed_work()`
///
/// # Safety
///
/// As for `queue_delayed_work()`.
#[track_caller]
pub unsafe fn queue_delayed_work(
    wq: *mut bindings::workqueue_struct,
    dwork: *mut bindings::delayed_work,
    delay: c_ulong,
) -> bool {
    let anywhere = bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int;
    // SAFETY: The caller's promise.
    unsafe { bindings::queue_delayed_work_on(anywhere, wq, dwork, delay) }
}

/// `alloc_workqueue()`
pub fn alloc_workqueue(name: &'static CStr) -> *mut bindings::workqueue_struct {
    let (format, flags) = (c"%s".as_char_ptr(), bindings::wq_flags_WQ_PERCPU);
    // SAFETY: The format's one argument is a string.
    unsafe { bindings::alloc_workqueue_noprof(format, flags, 0, name.as_char_ptr()) }
}

/// `timer_setup()`
///
/// # Safety
///
/// As for `timer_setup()`.
#[track_caller]
pub unsafe fn timer_setup(
    timer: *mut bindings::timer_list,
    func: unsafe extern "C" fn(*mut bindings::timer_list),
) {
    let (name, key) = (c"timer".as_char_ptr(), static_lock_class!().as_ptr());
    // SAFETY: The caller's promise.
    unsafe { bindings::timer_init_key(timer, Some(func), 0, name, key) };
}

/// `mod_timer(timer, jiffies + ticks)`
///
/// # Safety
///
/// As for `mod_timer()`.
#[track_caller]
pub unsafe fn mod_timer(timer: *mut bindings::timer_list, ticks: c_ulong) {
    // SAFETY: The caller's promise; `jiffies` is read as C reads it.
    unsafe { bindings::mod_timer(timer, bindings::jiffies.wrapping_add(ticks)) };
}

/// `spin_lock_init()`
///
/// # Safety
///
/// As for `spin_lock_init()`.
pub unsafe fn spin_lock_init(lock: *mut bindings::spinlock_t) {
    let (name, key) = (c"lock".as_char_ptr(), static_lock_class!().as_ptr());
    // SAFETY: The caller's promise.
    unsafe { bindings::__spin_lock_init(lock, name, key) };
}

/// `mutex_init()`
///
/// # Safety
///
/// As for `mutex_init()`.
pub unsafe fn mutex_init(lock: *mut bindings::mutex) {
    let (name, key) = (c"mutex".as_char_ptr(), static_lock_class!().as_ptr());
    // SAFETY: The caller's promise.
    unsafe { bindings::__mutex_init(lock, name, key) };
}

/// `wait_event()`
///
/// # Safety
///
/// As for `wait_event()`.
#[track_caller]
pub unsafe fn wait_event(head: *mut bindings::wait_queue_head, condition: impl Fn() -> bool) {
    let mut entry = bindings::wait_queue_entry::default();
    // SAFETY: The caller's promise; the entry is taken off before it goes.
    unsafe {
        if condition() {
            return;
        }
        bindings::init_wait(&raw mut entry);
        loop {
            let state = bindings::TASK_UNINTERRUPTIBLE as c_int;
            bindings::prepare_to_wait(head, &raw mut entry, state);
            if condition() {
                break;
            }
            bindings::schedule();
        }
        bindings::finish_wait(head, &raw mut entry);
    }
}

/// `wake_up()`
///
/// # Safety
///
/// As for `wake_up()`.
#[track_caller]
pub unsafe fn wake_up(head: *mut bindings::wait_queue_head) {
    // SAFETY: The caller's promise.
    unsafe { bindings::__wake_up(head, bindings::TASK_NORMAL, 1, core::ptr::null_mut()) };
}

/// `init_waitqueue_head()`
///
/// # Safety
///
/// As for `init_waitqueue_head()`.
pub unsafe fn init_waitqueue_head(head: *mut bindings::wait_queue_head) {
    let (name, key) = (c"queue".as_char_ptr(), static_lock_class!().as_ptr());
    // SAFETY: The caller's promise.
    unsafe { bindings::__init_waitqueue_head(head, name, key) };
}

/// What handles an interrupt.
pub type Handler = unsafe extern "C" fn(c_int, *mut c_void) -> bindings::irqreturn_t;

/// `platform_get_irq(pdev, 0)`
///
/// # Safety
///
/// As for `platform_get_irq()`.
pub unsafe fn irq(pdev: *mut platform_device) -> u32 {
    // SAFETY: The caller's promise. The devices here have one.
    unsafe { bindings::platform_get_irq(pdev, 0) as u32 }
}

/// `request_irq()` of the device's interrupt. It succeeds.
///
/// # Safety
///
/// As for `request_irq()`.
#[track_caller]
pub unsafe fn request_irq(pdev: *mut platform_device, handler: Handler, cookie: *mut c_void) {
    // SAFETY: The caller's promise.
    unsafe {
        bindings::request_irq(irq(pdev), Some(handler), 0, c"irq".as_char_ptr(), cookie);
    }
}

/// `devm_request_irq()` of the device's interrupt. It succeeds.
///
/// # Safety
///
/// As for `devm_request_irq()`.
#[track_caller]
pub unsafe fn devm_request_irq(pdev: *mut platform_device, handler: Handler, cookie: *mut c_void) {
    // SAFETY: The caller's promise.
    unsafe {
        let (dev, name) = (&raw mut (*pdev).dev, c"irq".as_char_ptr());
        bindings::devm_request_irq(dev, irq(pdev), Some(handler), 0, name, cookie);
    }
}

/// `misc_register()` of a node with the operations of the driver, and its name. It succeeds.
///
/// # Safety
///
/// As for `misc_register()`.
#[track_caller]
pub unsafe fn misc_register<D: Driver>(
    pdev: *mut platform_device,
    misc: *mut bindings::miscdevice,
) {
    // SAFETY: The caller's promise.
    unsafe {
        (*misc).minor = bindings::MISC_DYNAMIC_MINOR as c_int;
        (*misc).name = D::NAME.as_char_ptr();
        (*misc).fops = fops(pdev);
        bindings::misc_register(misc);
    }
}

// ---- A subsystem ----

/// What a subsystem calls a driver with.
pub type Op = unsafe extern "C" fn(data: *mut c_void, what: c_int) -> c_int;

/// What a subsystem (HCI, HID, input, ALSA, ...) is to a driver: it calls an operation of what is
/// registered with it, and when unregistering returns no call is under way, nor will there be another.
///
/// The machine's user keeps it; to the driver it is the device's platform data.
#[repr(C)]
struct Core {
    lock: bindings::mutex,
    op: Option<Op>,
    data: *mut c_void,
    probe_fails: bool,
    line: IrqLine,
    kept: *mut c_void,
}

/// The device's subsystem.
///
/// # Safety
///
/// The device is one of a [`Bench`].
unsafe fn core_of(pdev: *mut platform_device) -> *mut Core {
    // SAFETY: `Bench::new` has put it there.
    unsafe { (*pdev).dev.platform_data.cast() }
}

/// Registers with the device's subsystem.
///
/// # Safety
///
/// Until [`core_unregister`] returns, `op` may be called with `data`.
pub unsafe fn core_register(pdev: *mut platform_device, op: Op, data: *mut c_void) {
    // SAFETY: The bench's subsystem lasts longer than the device is bound.
    unsafe {
        let core = core_of(pdev);
        bindings::mutex_lock(&raw mut (*core).lock);
        ((*core).op, (*core).data) = (Some(op), data);
        bindings::mutex_unlock(&raw mut (*core).lock);
    }
}

/// Unregisters from the device's subsystem.
///
/// # Safety
///
/// The device is one of a [`Bench`].
pub unsafe fn core_unregister(pdev: *mut platform_device) {
    // SAFETY: As in `core_register`.
    unsafe {
        let core = core_of(pdev);
        bindings::mutex_lock(&raw mut (*core).lock);
        (*core).op = None;
        bindings::mutex_unlock(&raw mut (*core).lock);
    }
}

/// Whether a late step of this `probe()` fails: see [`Bench::let_probe_fail`].
///
/// # Safety
///
/// The device is one of a [`Bench`].
pub unsafe fn probe_fails(pdev: *mut platform_device) -> bool {
    // SAFETY: As in `core_register`.
    unsafe { (*core_of(pdev)).probe_fails }
}

/// Something keeps this until all programs have ended.
///
/// # Safety
///
/// The device is one of a [`Bench`]. As for `kfree()`, then.
pub unsafe fn kfree_at_the_end<T>(pdev: *mut platform_device, memory: *mut T) {
    // SAFETY: As in `core_register`.
    unsafe { (*core_of(pdev)).kept = memory.cast() };
}

/// The device has been given a command, and will answer it with an interrupt.
///
/// # Safety
///
/// The device is one of a [`Bench`].
pub unsafe fn answer(pdev: *mut platform_device) {
    // SAFETY: As in `core_register`.
    let line = unsafe { (*core_of(pdev)).line };
    hardware("answer", move || line.pulse());
}

/// Who calls into drivers through the subsystem.
#[derive(Clone, Copy)]
pub struct Subsystem(*mut Core);

impl Subsystem {
    /// Calls the operation of what is registered. `-ENODEV` if nothing is.
    pub fn call(self, what: c_int) -> c_int {
        // SAFETY: The subsystem is there until `Bench::end`, which comes after all programs. What is
        // registered may be called while the lock is held.
        unsafe {
            bindings::mutex_lock(&raw mut (*self.0).lock);
            let result = match (*self.0).op {
                Some(op) => op((*self.0).data, what),
                None => ENODEV.to_errno(),
            };
            bindings::mutex_unlock(&raw mut (*self.0).lock);
            result
        }
    }
}

// ---- A scenario ----

/// A machine with one device, and a driver for it.
pub struct Bench<'m> {
    pub machine: &'m Machine,
    module: &'static ModuleInfo,
    loaded: Option<Loaded>,
    programs: std::vec::Vec<Program>,
    pub slot: PlatformSlot,
    pub subsystem: Subsystem,
}

impl<'m> Bench<'m> {
    /// A device, and the driver in this module, bound to it.
    pub fn new(machine: &'m Machine, module: &'static ModuleInfo) -> Self {
        let mut bench = Self::without_driver(machine, module);
        bench.load();
        bench
    }

    /// A device with an interrupt line (edges), and no driver yet.
    pub fn without_driver(machine: &'m Machine, module: &'static ModuleInfo) -> Self {
        // The run before this one may have ended in the middle.
        DURING.store(OTHERWISE, Relaxed);
        let core = zalloc::<Core>();
        // SAFETY: It was just allocated.
        unsafe { mutex_init(&raw mut (*core).lock) };
        let slot = machine.add_platform(PlatformInfo {
            name: module.name(),
            irqs: 1,
            ..Default::default()
        });
        // SAFETY: The device is there, and no driver is bound to it yet.
        unsafe {
            (*core).line = slot.irq(0);
            (*slot.as_raw()).dev.platform_data = core.cast();
        }
        Self {
            machine,
            module,
            loaded: None,
            programs: std::vec::Vec::new(),
            slot,
            subsystem: Subsystem(core),
        }
    }

    /// Loads the driver's module, so that it is bound to the device if its `probe()` succeeds.
    pub fn load(&mut self) {
        DURING.store(PROBE, Relaxed);
        self.loaded = Some(self.machine.load(self.module).expect("the module loads"));
        DURING.store(OTHERWISE, Relaxed);
    }

    /// Binds the device, after a `probe()` that failed.
    pub fn bind(&self) {
        DURING.store(PROBE, Relaxed);
        self.slot.bind().expect("the device is bound");
        DURING.store(OTHERWISE, Relaxed);
    }

    /// From now on a late step of `probe()` fails, or does not.
    pub fn let_probe_fail(&self, fails: bool) {
        // SAFETY: The subsystem is there until `end`.
        unsafe { (*self.subsystem.0).probe_fails = fails };
    }

    /// The device interrupts so many times, meanwhile.
    pub fn interrupt(&mut self, times: usize) {
        let line = self.slot.irq(0);
        self.spawn("hardware", move || (0..times).for_each(|_| line.pulse()));
    }

    /// The subsystem calls the driver so many times, meanwhile.
    pub fn call(&mut self, times: c_int) {
        let subsystem = self.subsystem;
        self.spawn("subsystem", move || {
            for what in 0..times {
                subsystem.call(what);
            }
        });
    }

    /// A program does this, meanwhile.
    pub fn spawn(&mut self, name: &str, program: impl FnOnce() + 'static) {
        self.programs.push(self.machine.spawn(name, program));
    }

    /// Time passes: none, or until something that has this period, in ticks, is about to happen.
    pub fn pass_time(&self, period: u32) {
        let ticks = period * self.machine.choose(3) as u32;
        // SAFETY: A program may sleep.
        unsafe { bindings::msleep(ticks) };
    }

    /// The subsystem has the driver undo something, which counts as unbinding.
    pub fn undo(&self, what: c_int) {
        DURING.store(UNBIND, Relaxed);
        self.subsystem.call(what);
        DURING.store(OTHERWISE, Relaxed);
    }

    /// Unbinds the device.
    pub fn unbind(&self) {
        DURING.store(UNBIND, Relaxed);
        self.slot.unbind().expect("the device unbinds");
        DURING.store(OTHERWISE, Relaxed);
    }

    /// Waits for the programs, lets what is left over run, unloads, and looks at what is still there.
    pub fn end(self) {
        self.programs.into_iter().for_each(Program::join);
        self.machine.settle();
        let loaded = self.loaded.expect("a driver has been loaded");
        loaded.unload().expect("the module unloads");
        self.slot.unplug();
        // SAFETY: Nobody is left to use it.
        unsafe {
            kfree((*self.subsystem.0).kept);
            kfree(self.subsystem.0);
        }
    }
}

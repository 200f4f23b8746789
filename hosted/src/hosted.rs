//! A small model of Linux's driver core, and how a test operates it.
//!
//! ```text
//! hosted::explore(5_000, |m| {            // under 5000 schedules:
//!     let driver = m.load(&driver::MODULE)?;
//!     let slot = m.plug_pci(Edu::new());  // probe() runs
//!     let file = m.open("edu")?;
//!     ...
//! });
//! ```
//!
//! When an exploration has ended without a failure, in each of its schedules: no function of the
//! model was given freed memory, nothing was freed while it was registered, queued or running, no
//! callback ran on freed memory, nothing slept where it must not, nothing was left over at the end,
//! and everything ended. What the model is, and where it differs from Linux, is in
//! `hosted/FIDELITY.md`.
//!
//! Not covered: schedules that were not tried, the memory model (every access here is sequentially
//! consistent), DMA, power management, and plain loads and stores of a driver, unless it is built
//! for the address sanitizer.

pub mod e1000e;
pub mod edu;

mod buses;
mod cdev;
mod device;
mod explore;
mod fidelity;
mod gate;
mod give_up;
mod io;
mod irq;
mod kunit;
mod ledger;
mod locks;
mod machine;
mod misc;
mod mm;
mod module;
mod pci;
mod platform;
mod poll;
mod refcount;
mod report;
mod softirq;
mod table;
mod timer;
mod urb;
mod wait;
mod workqueue;

#[cfg(test)]
mod tests;

pub use buses::{DeviceSlot, I2cInfo, UsbInfo};
pub use explore::{explore, run, Explore, Finished, Outcome, Stats, Strategy};
pub use irq::IrqLine;
#[doc(hidden)]
pub use kunit::kunit_case;
pub use ledger::{check_access, name_allocation};
pub use misc::{OpenFile, OpenFlags};
pub use mm::{Protection, Sigbus, UserMap};
pub use module::{Loaded, ModuleInfo};
pub use pci::{IrqPin, PciIds, PciModel, PciSlot};
pub use platform::{PlatformInfo, PlatformSlot};
pub use poll::Epoll;
pub use report::{Failure, Kind};
pub use urb::{GadgetZero, UsbEndpoint, UsbFunction, UsbTransfer};

use crate::error::Result;
use machine::{world, TaskKind};

/// How many CPUs the machine has.
pub(crate) const PROCESSORS: u32 = machine::CPUS as u32;
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

/// Everything that `bindings` re-exports.
pub(crate) mod functions {
    pub use super::buses::*;
    pub use super::cdev::*;
    pub use super::device::*;
    pub use super::io::*;
    pub use super::irq::*;
    pub use super::ledger::*;
    pub use super::locks::*;
    pub use super::misc::*;
    pub use super::mm::*;
    pub use super::module::*;
    pub use super::pci::*;
    pub use super::platform::*;
    pub use super::refcount::*;
    pub use super::softirq::*;
    pub use super::timer::*;
    pub use super::urb::*;
    pub use super::wait::*;
    pub use super::workqueue::*;
}

/// The name of nothing in particular.
pub(crate) fn nobody() -> Rc<str> {
    thread_local!(static NOBODY: Rc<str> = "".into());
    NOBODY.with(Rc::clone)
}

/// A name out of C.
pub(crate) fn cname(name: *const crate::ffi::c_char, otherwise: &str) -> Rc<str> {
    is_c_string(name).unwrap_or_else(|| otherwise.into())
}

/// A string out of C, if there is one.
pub(crate) fn is_c_string(name: *const crate::ffi::c_char) -> Option<Rc<str>> {
    if name.is_null() {
        return None;
    }
    // SAFETY: names that drivers hand over are strings that end with 0, as in C.
    let name = unsafe { std::ffi::CStr::from_ptr(name.cast()) };
    Some(name.to_string_lossy().into())
}

/// The machine that a scenario runs on. There is one in each execution; this is a handle to it.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    _private: (),
}

/// A user program.
#[derive(Debug)]
pub struct Program<T = ()> {
    task: usize,
    result: Rc<RefCell<Option<T>>>,
}

impl<T> Program<T> {
    /// Wait until the program has ended. Returns what its closure did.
    #[track_caller]
    pub fn join(self) -> T {
        machine::join(self.task, Location::caller());
        let result = self.result.borrow_mut().take();
        result.expect("a program that has ended left its result")
    }

    /// Send the program a signal: what it sleeps in interruptibly ends with `EINTR`.
    #[track_caller]
    pub fn interrupt(&self) {
        let name = world(|w| w.tasks[self.task].name.clone());
        machine::step("sends a signal to", &name, Location::caller());
        world(|w| w.signal(self.task));
        machine::preempt();
    }

    /// Whether the program has ended.
    pub fn has_ended(&self) -> bool {
        machine::preempt();
        world(|w| matches!(w.tasks[self.task].state, machine::State::Done))
    }
}

impl Machine {
    pub(crate) fn new() -> Self {
        Machine { _private: () }
    }

    /// Load a module: its `init` runs.
    #[track_caller]
    pub fn load(&self, module: &'static ModuleInfo) -> Result<Loaded> {
        module::load(module)
    }

    /// Plug in a PCI device, with an INTx line of its own. A registered driver that matches is
    /// bound to it; see [`PciSlot::is_bound`].
    pub fn plug_pci(&self, model: Arc<impl PciModel>) -> PciSlot {
        pci::plug(model, None)
    }

    /// Plug in a PCI device that shares its INTx line with another device.
    pub fn plug_pci_sharing(&self, model: Arc<impl PciModel>, line: IrqLine) -> PciSlot {
        pci::plug(model, Some(line.number()))
    }

    /// Add a platform device.
    pub fn add_platform(&self, info: PlatformInfo) -> PlatformSlot {
        platform::add(info)
    }

    /// Add an I2C device.
    pub fn add_i2c(&self, info: I2cInfo) -> DeviceSlot {
        buses::add_i2c(info)
    }

    /// Plug in a USB device with one interface, which does what "Gadget Zero" does.
    pub fn plug_usb(&self, info: UsbInfo) -> DeviceSlot {
        buses::add_usb(info, Arc::new(GadgetZero))
    }

    /// Plug in a USB device with one interface.
    pub fn plug_usb_function(&self, info: UsbInfo, function: Arc<impl UsbFunction>) -> DeviceSlot {
        buses::add_usb(info, function)
    }

    /// USB devices are asked again for the transfers that they were not ready for.
    pub fn usb_is_ready(&self) {
        urb::is_ready();
    }

    /// The device of that name. This is how one finds those that drivers make: auxiliary and faux ones.
    pub fn device(&self, name: &str) -> Option<DeviceSlot> {
        DeviceSlot::find(name)
    }

    /// A line that belongs to no device.
    pub fn irq_line(&self, name: &str, level: bool) -> IrqLine {
        IrqLine {
            irq: world(|w| w.irqs.new_line(name, level)),
        }
    }

    /// Start a user program.
    pub fn spawn<T: 'static>(
        &self,
        name: &str,
        program: impl FnOnce() -> T + 'static,
    ) -> Program<T> {
        let result = Rc::new(RefCell::new(None));
        let slot = result.clone();
        let task = machine::spawn(name.into(), TaskKind::Process, None, move || {
            let value = program();
            *slot.borrow_mut() = Some(value);
        });
        Program { task, result }
    }

    /// Open `/dev/<name>`.
    #[track_caller]
    pub fn open(&self, name: &str) -> Result<OpenFile> {
        misc::open(name, OpenFlags::default())
    }

    /// Open `/dev/<name>` with flags.
    #[track_caller]
    pub fn open_with(&self, name: &str, flags: OpenFlags) -> Result<OpenFile> {
        misc::open(name, flags)
    }

    /// An `epoll(7)` instance.
    pub fn epoll(&self) -> Epoll {
        Epoll::new()
    }

    /// Let the `n`-th allocation from now (the next is 1) fail.
    pub fn fail_allocation(&self, n: u64) {
        world(|w| w.ledger.fail_nth(n));
    }

    /// What the kernel has logged.
    pub fn dmesg(&self) -> Vec<String> {
        world(|w| w.dmesg.clone())
    }

    /// How many grace periods of RCU have begun, whoever waits for them.
    pub fn grace_periods(&self) -> u64 {
        world(|w| w.locks.next_grace_period()) - 1
    }

    /// What there is now.
    pub fn ledger(&self) -> LedgerSummary {
        world(|w| LedgerSummary {
            live: w.ledger.live(),
        })
    }

    /// Let everyone else run, until nobody has anything to do.
    pub fn settle(&self) {
        machine::settle(false);
    }

    /// A number below `n`, which is part of the schedule: for what a scenario leaves to chance.
    pub fn choose(&self, n: usize) -> usize {
        world(|w| w.rng.below(n))
    }

    /// A point at which someone else may run.
    pub fn preempt(&self) {
        machine::preempt();
    }

    /// Power off in good order, and look at what is left.
    pub(crate) fn finish(&self) {
        let place = Location::caller();
        // Programs end by themselves, or the scenario hangs.
        let programs: Vec<usize> = world(|w| {
            let programs = w.tasks.iter().enumerate();
            programs
                .filter(|(index, task)| *index != 0 && task.kind == TaskKind::Process)
                .map(|(index, _)| index)
                .collect()
        });
        for program in programs {
            machine::join(program, place);
        }
        mm::exit_all();
        misc::close_all();
        for dev in world(|w| w.devices.plugged()) {
            device::unplug(dev);
        }
        module::unload_all();
        machine::settle(true);
        world(|w| {
            if let Some((message, facts)) = w.ledger.written_after_free() {
                w.fail(Kind::UseAfterFree, message, &facts);
            }
            let mut left = w.modules.left();
            left.extend(w.devices.left());
            left.extend(w.misc.left());
            left.extend(w.cdevs.left());
            left.extend(w.irqs.left());
            left.extend(w.mmio.left());
            left.extend(w.works.left());
            left.extend(w.timers.left());
            left.extend(w.urbs.left());
            left.extend(w.ledger.live_places());
            if !left.is_empty() {
                let many = left.len();
                let message = match many {
                    1 => "something is left at the end".to_string(),
                    _ => format!("{many} things are left at the end"),
                };
                w.fail(Kind::Leak, message, &left);
            }
            w.shutdown = true;
        });
        // The machine's own tasks return.
        let tasks = world(|w| {
            let blocked = 1..w.tasks.len();
            blocked.clone().for_each(|task| w.make_runnable(task));
            blocked
        });
        for task in tasks {
            machine::join(task, place);
        }
    }
}

/// What an execution has allocated and not freed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSummary {
    /// What, how many, how many bytes.
    pub live: Vec<(&'static str, usize, usize)>,
}

impl LedgerSummary {
    /// How many allocations of this kind there are.
    pub fn count(&self, label: &str) -> usize {
        self.live
            .iter()
            .filter(|(kind, ..)| *kind == label)
            .map(|(_, count, _)| count)
            .sum()
    }
}

impl std::fmt::Display for LedgerSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.live.is_empty() {
            return write!(f, "nothing left");
        }
        for (index, (label, count, bytes)) in self.live.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{count} {label} ({bytes} bytes)")?;
        }
        Ok(())
    }
}

/// Start a task on the device side. It is on no CPU and in no kernel context.
pub fn hardware(name: &str, task: impl FnOnce() + 'static) {
    machine::spawn(name.into(), TaskKind::Hardware, None, task);
}

/// A scheduling point, if there is a machine: for operations that other tasks can see.
pub fn preempt() {
    machine::preempt();
}

/// A turn of a loop that waits for someone else: others run first.
pub fn relax() {
    match machine::in_world() {
        true => machine::relax(),
        false => std::thread::yield_now(),
    }
}

/// Add a line to the kernel's log.
pub fn log(line: String) {
    if machine::try_world_if_free(|w| w.dmesg.push(line.clone())).is_none() {
        eprintln!("{line}");
    }
}

/// Report a mistake that a function of the kernel crate has found in its caller.
#[track_caller]
pub fn report(kind: Kind, message: String) -> ! {
    let place = Location::caller();
    world(|w| {
        w.fail(
            kind,
            message,
            &[format!("called      {}", machine::at(place))],
        )
    })
}

/// `BUG()`
#[track_caller]
pub(crate) fn bug() -> ! {
    report(Kind::Panic, "BUG()".into())
}

// ---- What `src/` declares as `extern "C"` ----

pub use cdev::{
    devscope_device_create, devscope_inode_cdev, devscope_regions_lock, devscope_regions_unlock,
};
pub use gate::{
    devscope_cond_synchronize_rcu, devscope_gate_alloc, devscope_gate_enter,
    devscope_gate_enter_noting, devscope_gate_free, devscope_gate_leave,
    devscope_gate_leave_noting, devscope_gate_notes, devscope_gate_sum,
    devscope_get_state_synchronize_rcu,
};
pub use misc::{devscope_file_set_nowait, devscope_iocb_nowait, devscope_task_comm};
pub use mm::{
    devscope_virt_to_pfn, devscope_vma_is_writable, devscope_vma_pages, devscope_vma_set_pfnmap,
};
pub use pci::devscope_pci_bar_is_memory;
pub use urb::devscope_urb_set_up;

/// `!test_and_set_bit(TASKLET_STATE_SCHED, &t->state)`, the inline half of `tasklet_schedule()`.
///
/// # Safety
///
/// As for `tasklet_schedule()`.
#[no_mangle]
pub unsafe extern "C" fn devscope_tasklet_claim(t: *mut crate::bindings::tasklet_struct) -> bool {
    // SAFETY: the caller's promise is passed on.
    unsafe { softirq::tasklet_claim(t) }
}

/// `irq_set_affinity_and_hint()`
///
/// # Safety
///
/// `m` stays in place until the line has another hint, or none.
#[no_mangle]
pub unsafe extern "C" fn devscope_irq_set_affinity_and_hint(
    irq: crate::ffi::c_uint,
    m: *const crate::bindings::cpumask,
) -> crate::ffi::c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { irq::irq_apply_affinity_hint(irq, m, true) }
}

/// `irq_update_affinity_hint()`
///
/// # Safety
///
/// `m` stays in place until the line has another hint, or none.
#[no_mangle]
pub unsafe extern "C" fn devscope_irq_update_affinity_hint(
    irq: crate::ffi::c_uint,
    m: *const crate::bindings::cpumask,
) -> crate::ffi::c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { irq::irq_apply_affinity_hint(irq, m, false) }
}

/// `!in_task() || in_atomic()`
///
/// # Safety
///
/// None.
#[no_mangle]
pub unsafe extern "C" fn devscope_in_atomic_context() -> bool {
    machine::try_world(|w| w.why_atomic().is_some()).unwrap_or(false)
}

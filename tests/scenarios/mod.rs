// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Small drivers, and what programs and hardware do to them while they are unbound.
//!
//! Each scenario is a function of the machine. `tests/teardown.rs` explores it with the crate as it
//! is, where nothing may be found; `tests/mutants` with a teardown that has a mistake in it, where
//! something has to be.
//!
//! All drivers are for the `edu` device, of which they use `RAISE` and `ACKNOWLEDGE`. A *canary* is
//! a counter in an allocation that a closure owns: a callback that runs after its closure was dropped
//! touches freed memory, and the ledger says so.

use devscope::{
    file::{File, Kiocb},
    pci::Driver,
    poll::{Events, PollTable},
    wait::WaitQueue,
    work::Work,
    Scheduled, Scope,
};
use kernel::{
    device::{Bound, Core},
    hosted::{edu::Edu, Machine},
    io::Io,
    iov::{IovIterDest, IovIterSource},
    irq::{Flags, IrqReturn},
    pci,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        Arc, Completion,
    },
};
use std::marker::PhantomData;

#[macro_use]
#[path = "../stage/mod.rs"]
mod stage;
use stage::{canary, regs, unbind_while};

mod family;
mod gates;
mod i2c;
mod irqs;
mod outside;
mod platform;
mod polling;
#[allow(dead_code, reason = "for tests/pairs.rs")]
pub mod rounds;
mod timers;
mod urbs;
pub use family::{
    a_child_is_unbound_by_two, a_child_uses_its_parent_while_that_is_unbound,
    a_parent_fails_when_it_has_a_child,
};
pub use gates::{a_device_has_no_gate, gates_close_together};
pub use i2c::data_borrows_from_devres;
mod files;
pub use files::{
    a_number_is_used_again, a_signal_ends_a_read_of_a_cdev, an_operation_takes_its_time,
    devices_come_and_go, faults_race_with_unbind, files_behave_as_programs_expect,
    mappings_are_of_what_the_driver_says,
};
pub use irqs::{
    a_handler_disables_its_line_and_work_enables_it, a_line_is_never_enabled_if_attach_fails,
    a_line_is_released_by_two_while_others_use_it, a_line_is_unbound_with_its_affinity_hint,
    a_line_with_an_affinity_hint_is_freed, a_pending_interrupt_is_handled_when_attach_is_over,
    a_shared_line_is_left_disabled, a_tasklet_is_freed_before_the_interrupt_that_schedules_it,
    an_interrupt_thread_releases_the_line_of_another,
    an_interrupt_thread_sleeps_and_raises_the_next_interrupt,
    an_interrupt_thread_unbinds_its_own_device, an_interrupt_thread_waits_for_an_earlier_one,
    an_interrupt_thread_waits_for_what_nobody_brings, handles_of_interrupts_say_what_they_did,
    two_handlers_disable_and_enable_each_others_line, work_waits_for_an_interrupt_thread,
};
pub use outside::{
    an_outside_caller_sleeps_through_unbind, attach_fails_while_an_outside_caller_is_inside,
    outside_callers_race_with_unbind,
};
pub use platform::a_platform_device_is_unbound_while_its_line_pulses;
pub use polling::{
    a_polled_file_outlives_its_device, a_poller_sleeps_through_unbind,
    an_epoll_keeps_its_entries_through_unbind, an_interrupt_wakes_a_poller,
    polling_races_with_unbind, two_pollers_sleep_through_unbind,
};
pub use timers::{
    a_timer_is_released_while_its_interrupt_starts_it, a_timer_starts_itself,
    an_hrtimer_and_a_tasklet_are_released_in_a_storm,
    an_hrtimer_has_a_period_while_an_interrupt_starts_it,
    an_interrupt_and_its_hrtimer_keep_each_other_going,
    an_interrupt_and_its_timer_keep_each_other_going, interrupt_work_and_timer_go_round,
    two_hrtimers_keep_each_other_going, two_timers_keep_each_other_going,
};
pub use urbs::{
    a_control_urb_submits_itself_whatever_happens,
    a_program_writes_and_closes_while_the_device_goes, an_urb_and_its_work_keep_each_other_going,
    an_urb_is_released_while_others_submit_it, an_urb_submits_itself,
    an_urb_tasklet_and_timers_go_round, attach_fails_with_urbs_in_flight,
    two_urbs_keep_each_other_going, work_keeps_what_an_urb_has_brought,
    work_waits_for_an_urb_of_a_silent_device,
};

/// Everything passive, the same for all.
#[pin_data]
pub struct Data<'bound> {
    bar: pci::Bar<'bound, { regs::SIZE }>,
    vectors: pci::IrqVectorRegistration<'bound>,
    arrived: Atomic<bool>,
    #[pin]
    completion: Completion,
    count: Atomic<i64>,
}

impl Data<'_> {
    fn raise(&self) {
        self.bar.write32(1, regs::RAISE);
    }

    /// Reads and acknowledges what the device asks for; 0 if it did not ask.
    fn acknowledge(&self) -> u32 {
        let status = self.bar.read32(regs::INTERRUPT_STATUS);
        if status != 0 {
            self.bar.write32(status, regs::ACKNOWLEDGE);
        }
        status
    }
}

/// A driver but for what probing it has in common with the others.
pub trait Shape: Sized + Send + Sync + 'static {
    /// How many vectors to ask for.
    const VECTORS: u32 = 1;

    /// Which interrupts to ask for.
    fn irqs() -> pci::IrqTypes {
        pci::IrqTypes::all()
    }

    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result;

    fn unbind(_data: &Data<'_>) {}
}

/// The driver of a shape.
pub struct Shaped<S>(PhantomData<S>);

impl<S: Shape> Driver for Shaped<S> {
    type IdInfo = ();
    type Data<'bound> = Data<'bound>;
    const ID_TABLE: pci::IdTable<()> = stage::EDU;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Data<'bound>, Error> + 'bound {
        try_pin_init!(Data {
            bar: {
                dev.enable_device_mem()?;
                dev.set_master();
                dev.iomap_region_sized(0, c"shape")?
            },
            vectors: dev.alloc_irq_vectors(S::VECTORS, S::VECTORS, S::irqs())?,
            arrived: Atomic::new(false),
            completion <- Completion::new(),
            count: Atomic::new(0),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        S::attach(data.get_ref(), scope)
    }

    fn unbind(_dev: &pci::Device<Core<'_>>, data: Pin<&Data<'_>>) {
        S::unbind(data.get_ref());
    }
}

/// Registers a handler that acknowledges, counts on a canary, and then does `and`.
fn handler<'a>(
    data: &'a Data<'_>,
    scope: &mut Scope<'a>,
    and: impl Fn() + Send + Sync + 'a,
) -> Result {
    let canary = canary()?;
    scope.irq(data.vectors.index(0)?, Flags::SHARED, c"shape", move || {
        if data.acknowledge() == 0 {
            return IrqReturn::None;
        }
        canary.add(1, Relaxed);
        and();
        IrqReturn::Handled
    })?;
    Ok(())
}

// After the macro that they use.
mod queueing;
pub use queueing::{
    a_queue_of_its_own_is_never_empty, a_work_item_releases_others,
    an_interrupt_and_its_bh_work_keep_each_other_going,
    delayed_work_and_work_keep_each_other_going, delayed_work_queues_itself,
    work_is_released_twice_while_it_gets_its_body, work_queues_itself,
};
mod parts;
pub use parts::{
    a_part_is_just_beginning, a_part_is_reset_again_and_again, two_resets_and_a_sleeper_meet,
};

// ---- An interrupt and its tasklet, each bringing about the other, for ever ----

driver!(looping, super::Looping);
pub struct Looping;

impl Shape for Looping {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let bottom = scope.tasklet(move || {
            canary.add(1, Relaxed);
            data.raise();
        })?;
        handler(data, scope, move || {
            bottom.schedule();
        })
    }
}

pub fn an_interrupt_and_its_tasklet_keep_each_other_going(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &looping::MODULE, edu.clone(), move || edu.raise(1));
}

// ---- The same with a work item ----

driver!(working, super::Working);
pub struct Working;

impl Shape for Working {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let work = scope.work(move || {
            canary.add(1, Relaxed);
            data.raise();
        })?;
        handler(data, scope, move || {
            work.schedule();
        })
    }
}

pub fn an_interrupt_and_its_work_keep_each_other_going(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &working::MODULE, edu.clone(), move || edu.raise(1));
}

// ---- Two tasklets that arm each other, which no interrupt has to keep going ----

driver!(pingpong, super::PingPong);
pub struct PingPong;

impl Shape for PingPong {
    fn attach<'a>(_data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let (ping, slot) = scope.declare_tasklet()?;
        let (first, second) = (canary()?, canary()?);
        let pong = scope.tasklet(move || {
            first.add(1, Relaxed);
            ping.schedule();
        })?;
        slot.define(scope, move || {
            second.add(1, Relaxed);
            pong.schedule();
        })?;
        ping.schedule();
        Ok(())
    }
}

pub fn two_tasklets_keep_each_other_going(machine: &Machine) {
    unbind_while(machine, &pingpong::MODULE, Edu::new(), || {});
}

// ---- Three members, one after the other, declared before they are defined ----

driver!(triangle, super::Triangle);
pub struct Triangle;

impl Shape for Triangle {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let (tasklet, tasklet_slot) = scope.declare_tasklet()?;
        let (work, work_slot) = scope.declare_work()?;
        handler(data, scope, move || {
            tasklet.schedule();
        })?;
        let (first, second) = (canary()?, canary()?);
        tasklet_slot.define(scope, move || {
            first.add(1, Relaxed);
            work.schedule();
        })?;
        work_slot.define(scope, move || {
            second.add(1, Relaxed);
            data.raise();
        })
    }
}

pub fn interrupt_tasklet_and_work_go_round(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &triangle::MODULE, edu.clone(), move || {
        edu.raise(1)
    });
}

// ---- Work that waits for what only the interrupt brings ----

driver!(waiting, super::Waiting);
pub struct Waiting;

impl Shape for Waiting {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let work = scope.work(move || {
            data.raise();
            data.completion.wait_for_completion();
            data.count.add(1, Relaxed);
        })?;
        handler(data, scope, || data.completion.complete_all())?;
        work.schedule();
        Ok(())
    }
}

pub fn work_waits_for_its_interrupt(machine: &Machine) {
    unbind_while(machine, &waiting::MODULE, Edu::new(), || {});
}

// ---- Work that waits on a queue, for what nobody brings ----

driver!(forlorn, super::Forlorn);
pub struct Forlorn;

impl Shape for Forlorn {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let queue = scope.wait_queue()?;
        let work = scope.work(move || {
            assert_eq!(queue.wait_until(|| data.arrived.load(Acquire)), Err(ENODEV));
        })?;
        work.schedule();
        Ok(())
    }
}

pub fn work_waits_for_what_nobody_brings(machine: &Machine) {
    unbind_while(machine, &forlorn::MODULE, Edu::new(), || {});
}

// ---- A device node whose read() sleeps until there was an interrupt ----

driver!(reading, super::Reading);
pub struct Reading;

/// The device side of [`Node`].
pub struct Side<'a> {
    data: &'a Data<'a>,
    arrivals: WaitQueue<'a>,
    work: Work<'a>,
    /// Belongs to the device side, so an operation that is still in there after it was dropped
    /// touches freed memory.
    canary: KBox<Atomic<i64>>,
}

/// A file of the device node of `S`.
pub struct Node<S> {
    own: Atomic<i64>,
    _shape: PhantomData<S>,
}

/// A shape with a device node.
pub trait WithNode: Shape {
    type Owner: kernel::ModuleMetadata;

    /// Whether `open()` sleeps until there was an interrupt.
    const SLEEP_IN_OPEN: bool = false;
}

impl WithNode for Reading {
    type Owner = reading::Owner;
}

fn side<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result<Side<'a>> {
    let arrivals = scope.wait_queue()?;
    let counted = canary()?;
    let work = scope.work(move || {
        counted.add(1, Relaxed);
    })?;
    handler(data, scope, move || {
        data.arrived.store(true, Release);
        arrivals.wake_all();
    })?;
    Ok(Side {
        data,
        arrivals,
        work,
        canary: canary()?,
    })
}

impl Shape for Reading {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let side = side(data, scope)?;
        scope.misc_device::<Node<Reading>>(c"shape", side)
    }
}

#[vtable]
impl<S: WithNode> File for Node<S> {
    type Device<'a> = Side<'a>;
    type OwnerModule = S::Owner;

    fn open(side: &Side<'_>) -> Result<Arc<Self>> {
        side.canary.add(1, Relaxed);
        if S::SLEEP_IN_OPEN {
            side.arrivals
                .wait_until(|| side.data.arrived.load(Acquire))?;
        }
        Ok(Arc::new(
            Node {
                own: Atomic::new(1),
                _shape: PhantomData,
            },
            GFP_KERNEL,
        )?)
    }

    /// Sleeps until there was an interrupt, and reads one byte.
    fn read_iter(
        &self,
        side: &Side<'_>,
        kiocb: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        self.own.add(1, Relaxed);
        if kiocb.nonblocking() && !side.data.arrived.load(Acquire) {
            return Err(EAGAIN);
        }
        let waited = side.arrivals.wait_until(|| side.data.arrived.load(Acquire));
        side.canary.add(1, Relaxed);
        side.work.schedule();
        waited.map(|()| to.copy_to_iter(&[1]))
    }

    /// Raises an interrupt.
    fn write_iter(
        &self,
        side: &Side<'_>,
        _kiocb: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        side.data.raise();
        side.canary.add(1, Relaxed);
        Ok(from.copy_from_iter(&mut [0; 8]))
    }

    fn ioctl(&self, side: &Side<'_>, cmd: u32, _arg: usize) -> Result<isize> {
        match cmd {
            1 => Ok(side.canary.load(Relaxed) as isize),
            _ => Err(ENOTTY),
        }
    }

    /// Readable when there was an interrupt, writable always.
    fn poll(&self, side: &Side<'_>, table: &mut PollTable<'_>) -> Events {
        self.own.add(1, Relaxed);
        table.register_wait(side.arrivals);
        let mut events = Events::WRITABLE;
        if side.data.arrived.load(Acquire) {
            events |= Events::READABLE;
        }
        side.canary.add(1, Relaxed);
        events
    }

    fn release(this: Arc<Self>) {
        this.own.add(1, Relaxed);
    }
}

pub fn a_reader_sleeps_through_unbind(machine: &Machine) {
    let module = machine.load(&reading::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    let file = machine.open("shape").expect("the node opens");
    let reader = machine.spawn("reader", move || {
        assert_eq!(file.read(&mut [0; 8]), Err(ENODEV));
        file.close().expect("close() succeeds");
    });
    slot.unbind().expect("the device unbinds");
    reader.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

pub fn operations_race_with_unbind(machine: &Machine) {
    let module = machine.load(&reading::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    let programs: std::vec::Vec<_> = (0..2)
        .map(|_| {
            let file = machine.open("shape").expect("the node opens");
            machine.spawn("program", move || {
                for _ in 0..2 {
                    match file.write(b"x") {
                        Ok(1) | Err(ENODEV) => {}
                        other => panic!("write() gave {other:?}"),
                    }
                    match file.read(&mut [0; 8]) {
                        Ok(1) | Err(ENODEV) => {}
                        other => panic!("read() gave {other:?}"),
                    }
                }
                file.close().expect("close() succeeds");
            })
        })
        .collect();
    slot.unbind().expect("the device unbinds");
    for program in programs {
        program.join();
    }
    module.unload().expect("the module unloads");
    slot.unplug();
}

// ---- A device node whose open() sleeps ----

driver!(opening, super::Opening);
pub struct Opening;

impl WithNode for Opening {
    type Owner = opening::Owner;
    const SLEEP_IN_OPEN: bool = true;
}

impl Shape for Opening {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let side = side(data, scope)?;
        scope.misc_device::<Node<Opening>>(c"shape", side)
    }
}

pub fn an_open_sleeps_through_unbind(machine: &Machine) {
    let module = machine.load(&opening::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    let other = *machine;
    let program = machine.spawn("program", move || match other.open("shape") {
        Ok(_) => panic!("open() came back without an interrupt"),
        Err(error) => assert!(error == ENODEV || error == ENOENT, "open() gave {error:?}"),
    });
    slot.unbind().expect("the device unbinds");
    program.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

// ---- Files that stay open across bindings ----

pub fn a_file_outlives_two_bindings(machine: &Machine) {
    let module = machine.load(&reading::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    let first = machine.open("shape").expect("the node opens");
    slot.unbind().expect("the device unbinds");
    assert_eq!(module.unload(), Err(EAGAIN));
    slot.bind().expect("the device binds again");
    let second = machine.open("shape").expect("the node opens again");
    assert_eq!(second.ioctl(1, 0), Ok(1));
    assert_eq!(first.ioctl(1, 0), Err(ENODEV));
    let program = machine.spawn("program", move || {
        assert_eq!(first.read(&mut [0; 8]), Err(ENODEV));
        first.close().expect("close() succeeds");
    });
    slot.unbind().expect("the device unbinds again");
    assert_eq!(second.ioctl(1, 0), Err(ENODEV));
    assert_eq!(second.write(b"x"), Err(ENODEV));
    second.close().expect("close() succeeds");
    program.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

pub fn open_races_with_unbind(machine: &Machine) {
    let module = machine.load(&reading::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    let other = *machine;
    let program = machine.spawn("program", move || match other.open("shape") {
        Ok(file) => {
            match file.ioctl(1, 0) {
                Ok(1) | Err(ENODEV) => {}
                other => panic!("ioctl() gave {other:?}"),
            }
            file.close().expect("close() succeeds");
        }
        Err(error) => assert!(error == ENODEV || error == ENOENT, "open() gave {error:?}"),
    });
    slot.unbind().expect("the device unbinds");
    program.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

pub fn a_signal_ends_a_read(machine: &Machine) {
    let module = machine.load(&reading::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    let file = machine.open("shape").expect("the node opens");
    let reader = machine.spawn("reader", move || {
        let result = file.read(&mut [0; 8]);
        file.close().expect("close() succeeds");
        result
    });
    reader.interrupt();
    let result = reader.join();
    assert!(
        result == Err(EINTR) || result == Err(ERESTARTSYS),
        "read() gave {result:?}"
    );
    slot.unbind().expect("the device unbinds");
    module.unload().expect("the module unloads");
    slot.unplug();
}

// ---- Destructors of what closures capture ----

driver!(dropping, super::Dropping);
pub struct Dropping;

/// Uses handles when it is dropped.
struct Last<'a> {
    tasklet: devscope::tasklet::Tasklet<'a>,
    work: Work<'a>,
    queue: WaitQueue<'a>,
}

impl Drop for Last<'_> {
    fn drop(&mut self) {
        assert_eq!(self.tasklet.schedule(), Scheduled::Refused);
        assert_eq!(self.work.schedule(), Scheduled::Refused);
        self.queue.wake_all();
        assert_eq!(self.queue.wait_until(|| false), Err(ENODEV));
    }
}

impl Shape for Dropping {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let tasklet = scope.tasklet(|| data.count.add(1, Relaxed))?;
        let work = scope.work(|| data.count.add(1, Relaxed))?;
        let queue = scope.wait_queue()?;
        let last = Last {
            tasklet,
            work,
            queue,
        };
        handler(data, scope, move || {
            // The whole of it, or the closure would capture copies of the handles.
            let last = &last;
            last.tasklet.schedule();
            last.work.schedule();
        })?;
        // One that nobody ever drops.
        core::mem::forget(Last {
            tasklet,
            work,
            queue,
        });
        Ok(())
    }
}

pub fn captured_values_use_handles_when_dropped(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &dropping::MODULE, edu.clone(), move || {
        edu.raise(1)
    });
}

// ---- What schedule() says ----

driver!(saying, super::Saying);
pub struct Saying;

impl Shape for Saying {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let (early, slot) = scope.declare_work()?;
        let (never, never_slot) = scope.declare_tasklet()?;
        assert_eq!(early.schedule(), Scheduled::Refused);
        assert_eq!(never.schedule(), Scheduled::Refused);
        slot.define(scope, || data.completion.wait_for_completion())?;
        // The first run may have begun, or not; a third call finds one pending in either case.
        assert_eq!(early.schedule(), Scheduled::Queued);
        let _ = early.schedule();
        let third = early.schedule();
        data.completion.complete_all();
        assert!(third == Scheduled::Pending || third == Scheduled::Queued);
        // A slot may be thrown away. It has no destructor that could be forgotten.
        let _ = never_slot;
        assert_eq!(never.schedule(), Scheduled::Refused);
        Ok(())
    }
}

pub fn schedule_says_what_it_did(machine: &Machine) {
    unbind_while(machine, &saying::MODULE, Edu::new(), || {});
}

// ---- attach() that fails at its end ----

driver!(failing, super::Failing);
pub struct Failing;

impl WithNode for Failing {
    type Owner = failing::Owner;
}

impl Shape for Failing {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let bottom = scope.tasklet(move || {
            canary.add(1, Relaxed);
            data.raise();
        })?;
        let side = side_without_irq(data, scope)?;
        handler(data, scope, move || {
            bottom.schedule();
        })?;
        data.raise();
        scope.misc_device::<Node<Failing>>(c"shape", side)?;
        Err(EIO)
    }
}

fn side_without_irq<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result<Side<'a>> {
    Ok(Side {
        data,
        arrivals: scope.wait_queue()?,
        work: scope.work(|| data.count.add(1, Relaxed))?,
        canary: canary()?,
    })
}

pub fn attach_fails_at_its_end(machine: &Machine) {
    let module = machine.load(&failing::MODULE).expect("the module loads");
    let other = *machine;
    let program = machine.spawn("program", move || {
        if let Ok(file) = other.open("shape") {
            let read = file.read(&mut [0; 8]);
            assert!(read == Err(ENODEV), "read() gave {read:?}");
            file.close().expect("close() succeeds");
        }
    });
    let slot = machine.plug_pci(Edu::new());
    assert!(!slot.is_bound());
    program.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

// ---- attach() with every kind of member, whose allocations fail in turn ----

driver!(everything, super::Everything);
pub struct Everything;

impl WithNode for Everything {
    type Owner = everything::Owner;
}

impl Shape for Everything {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        Triangle::attach_without_irq(data, scope)?;
        queueing::one_of_each(&data.count, scope)?;
        let side = side(data, scope)?;
        data.raise();
        scope.misc_device::<Node<Everything>>(c"shape", side)
    }
}

impl Triangle {
    fn attach_without_irq<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let (tasklet, tasklet_slot) = scope.declare_tasklet()?;
        let (work, work_slot) = scope.declare_work()?;
        let (first, second) = (canary()?, canary()?);
        tasklet_slot.define(scope, move || {
            first.add(1, Relaxed);
            work.schedule();
        })?;
        work_slot.define(scope, move || {
            second.add(1, Relaxed);
            if data.count.fetch_add(1, Relaxed) < 2 {
                tasklet.schedule();
            }
        })?;
        work.schedule();
        Ok(())
    }
}

/// Probes with the first allocation failing, then the second, and so on, until nothing fails.
/// Returns how many allocations there were.
pub fn every_allocation_of_a_bind_fails_once(machine: &Machine) -> u64 {
    let module = machine.load(&everything::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert!(slot.is_bound());
    let mut n = 0;
    loop {
        slot.unbind().expect("the device unbinds");
        n += 1;
        machine.fail_allocation(n);
        match slot.bind() {
            Err(error) => assert_eq!(error, ENOMEM, "at allocation {n}"),
            Ok(()) => break,
        }
        assert!(!slot.is_bound());
        machine.fail_allocation(0);
        slot.bind().expect("binding works when memory is there");
        assert!(n < 1000, "allocations keep failing");
    }
    machine.fail_allocation(0);
    module.unload().expect("the module unloads");
    slot.unplug();
    n - 1
}

// ---- A work item that unbinds its own device ----

driver!(suicidal, super::Suicidal);
pub struct Suicidal;

std::thread_local! {
    /// The slot that `Suicidal` unbinds.
    static SLOT: std::cell::RefCell<Option<kernel::hosted::PciSlot>> = const { std::cell::RefCell::new(None) };
}

impl Shape for Suicidal {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let work = scope.work(|| {
            let slot = SLOT.take().expect("the scenario has put it there");
            let _ = slot.unbind();
        })?;
        handler(data, scope, move || {
            work.schedule();
        })
    }
}

pub fn a_work_item_unbinds_its_own_device(machine: &Machine) {
    let module = machine.load(&suicidal::MODULE).expect("the module loads");
    let edu = Edu::new();
    let slot = machine.plug_pci(edu.clone());
    SLOT.set(Some(slot));
    edu.raise(1);
    machine.settle();
    module.unload().expect("the module unloads");
}

// ---- Two devices of one driver on one line ----

driver!(sharing, super::Sharing);
pub struct Sharing;

impl Shape for Sharing {
    fn irqs() -> pci::IrqTypes {
        pci::IrqTypes::default().with(pci::IrqType::Intx)
    }

    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let bottom = scope.tasklet(move || canary.add(1, Relaxed))?;
        handler(data, scope, move || {
            bottom.schedule();
        })
    }
}

pub fn one_of_two_devices_on_a_line_is_unbound(machine: &Machine) {
    let module = machine.load(&sharing::MODULE).expect("the module loads");
    let (stays, goes) = (Edu::new(), Edu::new());
    let first = machine.plug_pci(stays.clone());
    let second = machine.plug_pci_sharing(goes, first.intx());
    assert!(first.is_bound() && second.is_bound());
    let hardware = machine.spawn("hardware", move || {
        stays.raise(1);
        stays.raise(1);
    });
    second.unbind().expect("the device unbinds");
    hardware.join();
    first.unbind().expect("the other device unbinds");
    module.unload().expect("the module unloads");
    first.unplug();
    second.unplug();
}

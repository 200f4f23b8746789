// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Handles of interrupts, threads of interrupts, and lines that are disabled at first.

use super::{canary, handler, unbind_while, Data, Shape, Shaped};
use devscope::{irq::Irq, Scheduled, Scope};
use kernel::{
    cpu::CpuId,
    cpumask::CpumaskVar,
    hosted::{edu::Edu, IrqPin, Machine, ModuleInfo, PciIds, PciModel, PciSlot},
    irq::{Flags, IrqReturn, ThreadedIrqReturn},
    pci,
    prelude::*,
    sync::atomic::{Acquire, Full, Relaxed, Release},
    time::{delay::fsleep, Delta},
};
use std::sync::{Arc, Mutex};

// ---- A line whose handler comes last, so that the tasklet that it schedules is freed before it ----

driver!(backwards, super::Backwards);
pub struct Backwards;

impl Shape for Backwards {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let (_, slot) = scope.declare_irq(data.vectors.index(0)?, Flags::SHARED, c"shape")?;
        let (first, second) = (canary()?, canary()?);
        let bottom = scope.tasklet(move || {
            first.add(1, Relaxed);
            data.raise();
        })?;
        slot.define(scope, move || {
            if data.acknowledge() == 0 {
                return IrqReturn::None;
            }
            second.add(1, Relaxed);
            bottom.schedule();
            IrqReturn::Handled
        })
    }
}

pub fn a_tasklet_is_freed_before_the_interrupt_that_schedules_it(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &backwards::MODULE, edu.clone(), move || {
        edu.raise(1)
    });
}

// ---- A device with two messages: each bit that is written to `RAISE` sends one ----

#[derive(Default)]
struct Two(Mutex<Option<IrqPin>>);

impl Two {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn raise(&self, messages: u64) {
        let pin = *self.0.lock().expect("nobody panics here");
        let Some(pin) = pin else { return };
        for message in 0..2 {
            if messages >> message & 1 != 0 {
                pin.message(message);
            }
        }
    }
}

impl PciModel for Two {
    fn ids(&self) -> PciIds {
        PciIds {
            vendor: 0x1234,
            device: 0x0002,
            class: 0x00ff00,
            ..PciIds::default()
        }
    }

    fn bars(&self) -> std::vec::Vec<u64> {
        std::vec![0x1000]
    }

    fn msi_x(&self) -> usize {
        2
    }

    fn attached(&self, pin: IrqPin) {
        *self.0.lock().expect("nobody panics here") = Some(pin);
    }

    /// Whoever asks did ask.
    fn read(&self, _bar: usize, _offset: u64, _size: usize) -> u64 {
        1
    }

    fn write(&self, _bar: usize, offset: u64, _size: usize, value: u64) {
        if offset == super::regs::RAISE as u64 {
            self.raise(value);
        }
    }
}

/// As [`unbind_while`], with the device of two messages, which send themselves.
fn unbind_while_both(machine: &Machine, module: &'static ModuleInfo) {
    let module = machine.load(module).expect("the module loads");
    let two = Two::new();
    let slot = machine.plug_pci(two.clone());
    assert!(slot.is_bound());
    let hardware = machine.spawn("hardware", move || {
        for messages in [3, 1, 2] {
            two.raise(messages);
        }
    });
    slot.unbind().expect("the device unbinds");
    hardware.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

fn nap() {
    fsleep(Delta::from_millis(1));
}

/// A handler of the second vector.
fn second<'a>(
    data: &'a Data<'_>,
    scope: &mut Scope<'a>,
    handle: impl Fn() + Send + Sync + 'a,
) -> Result<Irq<'a>> {
    let canary = canary()?;
    scope.irq(
        data.vectors.index(1)?,
        Flags::TRIGGER_NONE,
        c"two",
        move || {
            canary.add(1, Relaxed);
            handle();
            IrqReturn::Handled
        },
    )
}

// ---- A handler that disables its own line, and work that enables it ----

driver!(masking, super::Masking);
pub struct Masking;

impl Shape for Masking {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let (line, slot) =
            scope.declare_irq(data.vectors.index(0)?, Flags::TRIGGER_NONE, c"two")?;
        assert_eq!(line.disable_nosync(), Err(ENODEV));
        let (first, second) = (canary()?, canary()?);
        let bottom = scope.work(move || {
            first.add(1, Relaxed);
            data.acknowledge();
            match line.enable() {
                Ok(()) | Err(ENODEV) => {}
                other => panic!("enable() gave {other:?}"),
            }
        })?;
        slot.define(scope, move || {
            second.add(1, Relaxed);
            match line.disable_nosync() {
                Ok(()) => {
                    if bottom.schedule() == Scheduled::Queued {
                        data.count.add(1, Relaxed);
                    }
                }
                // Teardown has begun to free the line.
                Err(ENODEV) => {}
                other => panic!("disable_nosync() gave {other:?}"),
            }
            IrqReturn::Handled
        })
    }
}

pub fn a_handler_disables_its_line_and_work_enables_it(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &masking::MODULE, edu.clone(), move || {
        (0..3).for_each(|_| edu.raise(1))
    });
}

// ---- A thread that sleeps ----

driver!(sleeping, super::Sleeping);
pub struct Sleeping;

impl Shape for Sleeping {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        scope.threaded_irq(
            data.vectors.index(0)?,
            Flags::SHARED,
            c"shape",
            move || {
                first.add(1, Relaxed);
                if data.acknowledge() == 0 {
                    return ThreadedIrqReturn::None;
                }
                ThreadedIrqReturn::WakeThread
            },
            move || {
                second.add(1, Relaxed);
                nap();
                second.add(1, Relaxed);
                data.raise();
                IrqReturn::Handled
            },
        )?;
        Ok(())
    }
}

pub fn an_interrupt_thread_sleeps_and_raises_the_next_interrupt(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &sleeping::MODULE, edu.clone(), move || {
        edu.raise(1)
    });
}

// ---- Work that waits for what only the thread brings ----

driver!(thread_brings, super::ThreadBrings);
pub struct ThreadBrings;

impl Shape for ThreadBrings {
    fn irqs() -> pci::IrqTypes {
        pci::IrqTypes::default().with(pci::IrqType::Intx)
    }

    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let work = scope.work(move || {
            data.raise();
            data.completion.wait_for_completion();
            data.count.add(1, Relaxed);
        })?;
        // All thread, on a line that asks until it is acknowledged.
        scope.oneshot_irq(
            data.vectors.index(0)?,
            Flags::TRIGGER_HIGH,
            c"shape",
            || {
                nap();
                if data.acknowledge() == 0 {
                    return IrqReturn::None;
                }
                data.completion.complete_all();
                IrqReturn::Handled
            },
        )?;
        work.schedule();
        Ok(())
    }
}

pub fn work_waits_for_an_interrupt_thread(machine: &Machine) {
    unbind_while(machine, &thread_brings::MODULE, Edu::new(), || {});
}

// ---- A thread that waits on a queue, for what nobody brings ----

driver!(waits_in_thread, super::WaitsInThread);
pub struct WaitsInThread;

impl Shape for WaitsInThread {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let queue = scope.wait_queue()?;
        scope.oneshot_irq(
            data.vectors.index(0)?,
            Flags::TRIGGER_NONE,
            c"shape",
            move || {
                data.acknowledge();
                assert_eq!(queue.wait_until(|| data.arrived.load(Acquire)), Err(ENODEV));
                IrqReturn::Handled
            },
        )?;
        Ok(())
    }
}

pub fn an_interrupt_thread_waits_for_what_nobody_brings(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &waits_in_thread::MODULE, edu.clone(), move || {
        edu.raise(1)
    });
}

// ---- Two threads, of which the later one waits for the earlier one ----

driver!(two_threads, super::TwoThreads);
pub struct TwoThreads;

impl Shape for TwoThreads {
    const VECTORS: u32 = 2;

    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let none = Flags::TRIGGER_NONE;
        scope.oneshot_irq(data.vectors.index(0)?, none, c"first", || {
            data.completion.complete_all();
            IrqReturn::Handled
        })?;
        scope.oneshot_irq(data.vectors.index(1)?, none, c"second", || {
            data.raise();
            data.completion.wait_for_completion();
            IrqReturn::Handled
        })?;
        Ok(())
    }
}

pub fn an_interrupt_thread_waits_for_an_earlier_one(machine: &Machine) {
    unbind_while_both(machine, &two_threads::MODULE);
}

// ---- The line of one handler is disabled and enabled by another handler, while it is freed ----

driver!(meddling, super::Meddling);
pub struct Meddling;

/// Disables a line and enables it again, or is refused.
fn meddle(line: Irq<'_>) {
    match line.disable_nosync() {
        // Somebody may have freed it in between.
        Ok(()) => assert!(matches!(line.enable(), Ok(()) | Err(ENODEV))),
        Err(error) => assert_eq!(error, ENODEV),
    }
}

impl Shape for Meddling {
    const VECTORS: u32 = 2;

    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        // The first is freed last, so its handler meets the second's line while that is freed.
        let (first, slot) =
            scope.declare_irq(data.vectors.index(0)?, Flags::TRIGGER_NONE, c"two")?;
        let late = second(data, scope, move || meddle(first))?;
        slot.define(scope, move || {
            meddle(late);
            IrqReturn::Handled
        })
    }
}

pub fn two_handlers_disable_and_enable_each_others_line(machine: &Machine) {
    unbind_while_both(machine, &meddling::MODULE);
}

// ---- A line that is released by two work items, while it is used ----

driver!(releasing, super::Releasing);
pub struct Releasing;

impl Shape for Releasing {
    const VECTORS: u32 = 2;

    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let released = &data.arrived;
        let line = second(data, scope, || {
            assert!(!released.load(Relaxed), "handled after release()");
        })?;
        let release = move || {
            assert_eq!(line.release(), Ok(()));
            released.store(true, Relaxed);
            assert_eq!(line.release(), Ok(()));
            for refused in [
                line.enable(),
                line.disable_nosync(),
                line.disable(),
                line.synchronize(),
            ] {
                assert_eq!(refused, Err(ENODEV));
            }
        };
        let works = [scope.work(release)?, scope.work(release)?];
        // Somebody else who uses it meanwhile: a handler, and work that waits.
        let waits = scope.work(move || {
            assert!(matches!(line.synchronize(), Ok(()) | Err(ENODEV)));
            if line.disable().is_ok() {
                assert!(matches!(line.enable(), Ok(()) | Err(ENODEV)));
            }
        })?;
        handler(data, scope, move || {
            meddle(line);
            works.iter().for_each(|work| {
                work.schedule();
            });
            waits.schedule();
        })
    }
}

pub fn a_line_is_released_by_two_while_others_use_it(machine: &Machine) {
    unbind_while_both(machine, &releasing::MODULE);
}

// ---- A thread that releases the line of another thread, at teardown ----

driver!(crossing, super::Crossing);
pub struct Crossing;

impl Shape for Crossing {
    const VECTORS: u32 = 2;

    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let none = Flags::TRIGGER_NONE;
        let (first, slot) = scope.declare_irq(data.vectors.index(0)?, none, c"first")?;
        let counted = canary()?;
        let late = scope.oneshot_irq(data.vectors.index(1)?, none, c"second", move || {
            counted.add(1, Relaxed);
            nap();
            counted.add(1, Relaxed);
            meddle(first);
            IrqReturn::Handled
        })?;
        slot.define_oneshot(scope, move || {
            assert_eq!(late.release(), Ok(()));
            assert_eq!(late.synchronize(), Err(ENODEV));
            IrqReturn::Handled
        })
    }
}

pub fn an_interrupt_thread_releases_the_line_of_another(machine: &Machine) {
    unbind_while_both(machine, &crossing::MODULE);
}

// ---- What handles answer ----

driver!(answering, super::Answering);
pub struct Answering;

impl Shape for Answering {
    const VECTORS: u32 = 2;

    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let none = Flags::TRIGGER_NONE;
        let (own, slot) = scope.declare_irq(data.vectors.index(0)?, none, c"own")?;
        for refused in [
            own.enable(),
            own.disable(),
            own.disable_nosync(),
            own.synchronize(),
            own.release(),
        ] {
            assert_eq!(refused, Err(ENODEV));
        }
        let waits = [Irq::disable, Irq::synchronize, Irq::release];
        slot.define_threaded(
            scope,
            move || {
                for wait in waits {
                    assert_eq!(wait(&own), Err(EDEADLK));
                }
                ThreadedIrqReturn::WakeThread
            },
            move || {
                for wait in waits {
                    assert_eq!(wait(&own), Err(EDEADLK));
                }
                // Once teardown has begun to free the line, which waits for this thread, it refuses.
                let answers = |answer, wanted| assert!(answer == wanted || answer == Err(ENODEV));
                answers(own.enable(), Err(EINVAL));
                answers(own.disable_nosync(), Ok(()));
                answers(own.enable(), Ok(()));
                data.arrived.store(true, Release);
                IrqReturn::Handled
            },
        )?;
        // One that is never defined.
        let (never, _) = scope.declare_irq(data.vectors.index(1)?, none, c"never")?;
        let other = second(data, scope, || {})?;
        assert_ne!(own.irq(), other.irq());
        assert_eq!(other.enable(), Err(EINVAL));
        assert_eq!(other.disable(), Ok(()));
        assert_eq!(other.disable_nosync(), Ok(()));
        assert_eq!(other.enable(), Ok(()));
        assert_eq!(other.enable(), Ok(()));
        assert_eq!(other.enable(), Err(EINVAL));
        assert_eq!(other.synchronize(), Ok(()));
        // The line is taken: the handle of the second declaration goes on refusing.
        let (taken, slot) = scope.declare_irq(data.vectors.index(1)?, none, c"taken")?;
        let refused = slot.define(scope, || IrqReturn::Handled);
        assert_eq!(refused, Err(EBUSY));
        assert_eq!(taken.enable(), Err(ENODEV));
        assert_eq!(taken.release(), Err(ENODEV));
        assert_eq!(never.disable(), Err(ENODEV));
        // Flags that contradict each other, or make no sense.
        let vector = || data.vectors.index(1);
        let handled = || IrqReturn::Handled;
        let refused = scope.irq(vector()?, Flags::ONESHOT, c"two", handled);
        assert_eq!(refused.err(), Some(EINVAL));
        let both = Flags::SHARED | Flags::NO_AUTOEN;
        let refused = scope.irq(vector()?, both, c"two", handled);
        assert_eq!(refused.err(), Some(EINVAL));
        assert_eq!(other.release(), Ok(()));
        // It is free, and can be requested again; the old handle does not come to life.
        scope.irq(vector()?, none, c"again", handled)?;
        assert_eq!(other.disable_nosync(), Err(ENODEV));
        assert_eq!(other.release(), Ok(()));
        Ok(())
    }
}

pub fn handles_of_interrupts_say_what_they_did(machine: &Machine) {
    unbind_while_both(machine, &answering::MODULE);
}

// ---- A line that is enabled when attach() has succeeded, or never ----

/// Whether the interrupt that `attach()` raised may be delivered yet.
fn dormant<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result<Irq<'a>> {
    let flags = Flags::NO_AUTOEN;
    let line = scope.irq(data.vectors.index(0)?, flags, c"shape", move || {
        assert!(
            data.arrived.load(Acquire),
            "handled before attach() is over"
        );
        data.acknowledge();
        data.count.add(1, Relaxed);
        IrqReturn::Handled
    })?;
    // Pending, as what firmware left.
    data.raise();
    // What the framework has disabled is not for the driver to enable.
    assert_eq!(line.enable(), Err(EINVAL));
    Ok(line)
}

driver!(goes_live, super::GoesLive);
pub struct GoesLive;

impl Shape for GoesLive {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let line = dormant(data, scope)?;
        // This nests, in either order.
        line.disable_nosync()?;
        line.enable()?;
        nap();
        data.arrived.store(true, Release);
        Ok(())
    }

    fn unbind(data: &Data<'_>) {
        assert_eq!(data.count.load(Relaxed), 1);
    }
}

pub fn a_pending_interrupt_is_handled_when_attach_is_over(machine: &Machine) {
    let module = machine.load(&goes_live::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    machine.settle();
    slot.unbind().expect("the device unbinds");
    module.unload().expect("the module unloads");
    slot.unplug();
}

driver!(stays_dead, super::StaysDead);
pub struct StaysDead;

impl Shape for StaysDead {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        dormant(data, scope)?;
        nap();
        Err(EIO)
    }
}

pub fn a_line_is_never_enabled_if_attach_fails(machine: &Machine) {
    let module = machine.load(&stays_dead::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert!(!slot.is_bound());
    machine.settle();
    module.unload().expect("the module unloads");
    slot.unplug();
}

// ---- A shared line that one driver leaves disabled ----

driver!(starving, super::Starving);
pub struct Starving;

impl Shape for Starving {
    fn irqs() -> pci::IrqTypes {
        pci::IrqTypes::default().with(pci::IrqType::Intx)
    }

    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let line = scope.irq(data.vectors.index(0)?, Flags::SHARED, c"shape", move || {
            if data.acknowledge() == 0 {
                return IrqReturn::None;
            }
            data.count.add(1, Relaxed);
            IrqReturn::Handled
        })?;
        // The second device that is bound leaves it disabled, and often.
        if BOUND.fetch_add(1, Full) % 2 == 1 {
            let work = scope.work(move || {
                for _ in 0..2 {
                    assert_eq!(line.disable(), Ok(()));
                }
            })?;
            work.schedule();
        }
        Ok(())
    }

    fn unbind(data: &Data<'_>) {
        if BOUND.fetch_add(-1, Full) == 1 {
            assert_eq!(data.count.load(Relaxed), 1, "handled after the other left");
        }
    }
}

/// How many devices are bound. Even between explorations.
static BOUND: kernel::sync::atomic::Atomic<i64> = kernel::sync::atomic::Atomic::new(0);

pub fn a_shared_line_is_left_disabled(machine: &Machine) {
    BOUND.store(0, Relaxed);
    let module = machine.load(&starving::MODULE).expect("the module loads");
    let (stays, goes) = (Edu::new(), Edu::new());
    let first = machine.plug_pci(stays.clone());
    let second = machine.plug_pci_sharing(goes, first.intx());
    assert!(first.is_bound() && second.is_bound());
    machine.preempt();
    second.unbind().expect("the device unbinds");
    stays.raise(1);
    machine.settle();
    first.unbind().expect("the other device unbinds");
    module.unload().expect("the module unloads");
    first.unplug();
    second.unplug();
}

// ---- A line with an affinity hint ----

driver!(hinting, super::Hinting);
pub struct Hinting;

impl Shape for Hinting {
    const VECTORS: u32 = 2;

    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let line = second(data, scope, || {})?;
        let hint = move |cpu| -> Result {
            let mut mask = CpumaskVar::new_zero(GFP_KERNEL)?;
            mask.set(CpuId::from_u32(cpu).ok_or(EINVAL)?);
            // The mask goes; the line has a copy.
            line.set_affinity_and_hint(&mask)
        };
        hint(1)?;
        let again = scope.work(move || {
            assert!(matches!(hint(0), Ok(()) | Err(ENODEV)));
        })?;
        let release = scope.work(move || {
            let _ = line.release();
            assert_eq!(hint(0), Err(ENODEV));
        })?;
        handler(data, scope, move || {
            again.schedule();
            release.schedule();
        })?;
        // That line is shared, and a hint would be everybody's.
        Ok(())
    }
}

pub fn a_line_with_an_affinity_hint_is_freed(machine: &Machine) {
    unbind_while_both(machine, &hinting::MODULE);
}

driver!(only_hinting, super::OnlyHinting);
pub struct OnlyHinting;

impl Shape for OnlyHinting {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let mut mask = CpumaskVar::new_zero(GFP_KERNEL)?;
        mask.setall();
        let vector = data.vectors.index(0)?;
        let line = scope.irq(vector, Flags::TRIGGER_NONE, c"shape", || IrqReturn::None)?;
        line.update_affinity_hint(&mask)
    }
}

pub fn a_line_is_unbound_with_its_affinity_hint(machine: &Machine) {
    unbind_while(machine, &only_hinting::MODULE, Edu::new(), || {});
}

// ---- A thread that unbinds its own device ----

driver!(selfish, super::Selfish);
pub struct Selfish;

std::thread_local! {
    /// The slot that `Selfish` unbinds.
    static SLOT: std::cell::RefCell<Option<PciSlot>> = const { std::cell::RefCell::new(None) };
}

impl Shape for Selfish {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let vector = data.vectors.index(0)?;
        scope.oneshot_irq(vector, Flags::TRIGGER_NONE, c"shape", || {
            let slot = SLOT.take().expect("the scenario has put it there");
            let _ = slot.unbind();
            IrqReturn::Handled
        })?;
        Ok(())
    }
}

pub fn an_interrupt_thread_unbinds_its_own_device(machine: &Machine) {
    let module = machine.load(&selfish::MODULE).expect("the module loads");
    let edu = Edu::new();
    let slot = machine.plug_pci(edu.clone());
    SLOT.set(Some(slot));
    edu.raise(1);
    machine.settle();
    module.unload().expect("the module unloads");
}

//! QEMU's educational device, written from its specification (`docs/specs/edu.rst` of QEMU).
//!
//! Left out: DMA (the registers at 0x80 and above read as what was written).

use super::pci::{IrqPin, PciIds, PciModel};
use super::{hardware, machine};
use std::sync::{Mutex, PoisonError};

/// Register offsets in BAR 0.
mod register {
    pub(super) const IDENTIFICATION: u64 = 0x00;
    pub(super) const LIVENESS: u64 = 0x04;
    pub(super) const FACTORIAL: u64 = 0x08;
    pub(super) const STATUS: u64 = 0x20;
    pub(super) const INTERRUPT_STATUS: u64 = 0x24;
    pub(super) const RAISE: u64 = 0x60;
    pub(super) const ACKNOWLEDGE: u64 = 0x64;
    pub(super) const DMA: u64 = 0x80;
}

/// Status: a factorial is being computed. Read-only.
const COMPUTING: u32 = 0x01;
/// Status: interrupt when the factorial is there.
const INTERRUPT: u32 = 0x80;
/// The interrupt cause of a finished factorial.
const FACTORIAL_DONE: u32 = 0x01;

#[derive(Debug, Default)]
struct Registers {
    liveness: u32,
    factorial: u32,
    status: u32,
    interrupt_status: u32,
    dma: [u64; 4],
    pin: Option<IrqPin>,
}

/// The device: vendor 1234, device 11e8, class 00ff00, one BAR of 1 MiB.
#[derive(Debug, Default)]
pub struct Edu {
    registers: std::sync::Arc<Mutex<Registers>>,
}

impl Edu {
    /// A device after reset.
    pub fn new() -> std::sync::Arc<Self> {
        std::sync::Arc::default()
    }

    /// The hardware interrupts by itself, for these causes, as a write to `RAISE` makes it.
    pub fn raise(&self, causes: u32) {
        raise(&self.registers, causes);
    }
}

fn with<R>(registers: &Mutex<Registers>, f: impl FnOnce(&mut Registers) -> R) -> R {
    f(&mut registers.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Set causes, and interrupt: a message each time, or the pin while any cause is set.
fn raise(registers: &Mutex<Registers>, causes: u32) {
    let pin = with(registers, |registers| {
        registers.interrupt_status |= causes;
        registers.pin.filter(|_| registers.interrupt_status != 0)
    });
    if let Some(pin) = pin {
        match pin.messages_enabled() {
            true => pin.message(0),
            false => pin.set(true),
        }
    }
}

/// Clear causes. With the last one the pin goes down.
fn acknowledge(registers: &Mutex<Registers>, causes: u32) {
    let pin = with(registers, |registers| {
        registers.interrupt_status &= !causes;
        registers.pin.filter(|_| registers.interrupt_status == 0)
    });
    if let Some(pin) = pin {
        pin.set(false);
    }
}

impl PciModel for Edu {
    fn ids(&self) -> PciIds {
        PciIds {
            vendor: 0x1234,
            device: 0x11e8,
            subvendor: 0x1af4,
            subdevice: 0x1100,
            class: 0x00ff00,
            revision: 0x10,
        }
    }

    fn bars(&self) -> Vec<u64> {
        vec![1 << 20]
    }

    fn attached(&self, pin: IrqPin) {
        with(&self.registers, |registers| registers.pin = Some(pin));
    }

    fn read(&self, _bar: usize, offset: u64, size: usize) -> u64 {
        // Below 0x80 only 32-bit accesses are allowed.
        if offset < register::DMA && size != 4 {
            return !0;
        }
        with(&self.registers, |registers| match offset {
            register::IDENTIFICATION => 0x0100_00ed,
            register::LIVENESS => registers.liveness.into(),
            register::FACTORIAL => registers.factorial.into(),
            register::STATUS => registers.status.into(),
            register::INTERRUPT_STATUS => registers.interrupt_status.into(),
            0x80..=0x98 => registers.dma[(offset - register::DMA) as usize / 8],
            _ => !0,
        })
    }

    fn write(&self, _bar: usize, offset: u64, size: usize, value: u64) {
        if offset < register::DMA && size != 4 {
            return;
        }
        let word = value as u32;
        match offset {
            register::LIVENESS => with(&self.registers, |registers| registers.liveness = !word),
            register::FACTORIAL => {
                let begin = with(&self.registers, |registers| {
                    if registers.status & COMPUTING != 0 {
                        return false;
                    }
                    registers.factorial = word;
                    registers.status |= COMPUTING;
                    true
                });
                if begin {
                    let registers = self.registers.clone();
                    hardware("edu", move || compute(&registers));
                }
            }
            register::STATUS => with(&self.registers, |registers| {
                // Only the interrupt bit can be written.
                registers.status = registers.status & !INTERRUPT | word & INTERRUPT;
            }),
            register::RAISE => raise(&self.registers, word),
            register::ACKNOWLEDGE => acknowledge(&self.registers, word),
            0x80..=0x98 => with(&self.registers, |registers| {
                registers.dma[(offset - register::DMA) as usize / 8] = value;
            }),
            _ => {}
        }
    }
}

/// What the device's own thread does for one factorial.
fn compute(registers: &Mutex<Registers>) {
    machine::preempt();
    let number = with(registers, |registers| registers.factorial);
    let factorial = (1..=number).fold(1u32, |product, factor| match product {
        // Once 32 factors of two are in it, nothing changes any more.
        0 => 0,
        _ => product.wrapping_mul(factor),
    });
    let interrupt = with(registers, |registers| {
        registers.factorial = factorial;
        registers.status &= !COMPUTING;
        registers.status & INTERRUPT != 0
    });
    machine::preempt();
    if interrupt {
        raise(registers, FACTORIAL_DONE);
    }
}

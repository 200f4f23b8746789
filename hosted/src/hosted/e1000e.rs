//! The interrupts of Intel's 82574 network controller, as QEMU emulates it (`-device e1000e`,
//! `hw/net/e1000e_core.c` of QEMU), after its datasheet (sections 7.4 and 10.2.4).
//!
//! Left out: the network, and interrupts by any means but MSI-X; throttling.

use super::pci::{IrqPin, PciIds, PciModel};
use std::sync::{Arc, Mutex, PoisonError};

/// Register offsets in BAR 0.
mod register {
    pub(super) const CTRL_EXT: u64 = 0x0018;
    pub(super) const ICR: u64 = 0x00c0;
    pub(super) const ICS: u64 = 0x00c8;
    pub(super) const IMS: u64 = 0x00d0;
    pub(super) const IMC: u64 = 0x00d8;
    pub(super) const EIAC: u64 = 0x00dc;
    pub(super) const IVAR: u64 = 0x00e4;
}

/// In `CTRL_EXT`: what `EIAC` clears goes on interrupting.
const IAME: u32 = 1 << 27;
/// In an entry of `IVAR`.
const VALID: u32 = 1 << 3;
/// The first of the causes that have an entry of `IVAR` each: two queues that receive, two that send,
/// and all else.
const FIRST: u32 = 20;
const ENTRIES: u32 = 5;

#[derive(Debug, Default)]
struct Registers {
    ctrl_ext: u32,
    icr: u32,
    ims: u32,
    eiac: u32,
    ivar: u32,
    /// Causes that a message has been sent for.
    sent: u32,
    pin: Option<IrqPin>,
}

impl Registers {
    /// The messages to send for what has come to pass.
    fn update(&mut self) -> Vec<usize> {
        let causes = self.icr & self.ims;
        self.sent &= causes;
        let mut messages = Vec::new();
        for entry in 0..ENTRIES {
            let (cause, route) = (1 << (FIRST + entry), self.ivar >> (4 * entry));
            if causes & !self.sent & cause == 0 {
                continue;
            }
            self.sent |= cause;
            if route & VALID != 0 {
                messages.push((route & 7) as usize);
            }
            let cleared = self.eiac & cause;
            self.icr &= !cleared;
            self.sent &= !cleared;
            if self.ctrl_ext & IAME == 0 {
                self.ims &= !cleared;
            }
        }
        messages
    }
}

/// The device: vendor 8086, device 10d3, class 020000, one BAR of 128 KiB, and five messages.
#[derive(Debug, Default)]
pub struct E1000e {
    registers: Mutex<Registers>,
}

impl E1000e {
    /// A device after reset.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The hardware brings these causes about by itself, as a write to `ICS` does.
    pub fn raise(&self, causes: u32) {
        self.with(|registers| registers.icr |= causes);
    }

    /// Changes registers, and sends what comes of it.
    fn with(&self, change: impl FnOnce(&mut Registers)) {
        let (pin, messages) = {
            let lock = self.registers.lock();
            let mut registers = lock.unwrap_or_else(PoisonError::into_inner);
            change(&mut registers);
            (registers.pin, registers.update())
        };
        if let Some(pin) = pin.filter(|pin| pin.messages_enabled()) {
            messages
                .into_iter()
                .for_each(|message| pin.message(message));
        }
    }
}

impl PciModel for E1000e {
    fn ids(&self) -> PciIds {
        PciIds {
            vendor: 0x8086,
            device: 0x10d3,
            subvendor: 0x8086,
            subdevice: 0x0000,
            class: 0x020000,
            revision: 0x00,
        }
    }

    fn bars(&self) -> Vec<u64> {
        vec![1 << 17]
    }

    fn msi_x(&self) -> usize {
        5
    }

    fn attached(&self, pin: IrqPin) {
        self.with(|registers| registers.pin = Some(pin));
    }

    fn read(&self, _bar: usize, offset: u64, _size: usize) -> u64 {
        let lock = self.registers.lock();
        let mut registers = lock.unwrap_or_else(PoisonError::into_inner);
        let value = match offset {
            register::CTRL_EXT => registers.ctrl_ext,
            register::ICR => {
                // With messages, reading acknowledges what it reads.
                registers.sent = 0;
                std::mem::take(&mut registers.icr)
            }
            register::ICS => registers.icr,
            register::IMS => registers.ims,
            register::EIAC => registers.eiac,
            register::IVAR => registers.ivar,
            _ => 0,
        };
        value.into()
    }

    fn write(&self, _bar: usize, offset: u64, _size: usize, value: u64) {
        let word = value as u32;
        self.with(|registers| match offset {
            register::CTRL_EXT => registers.ctrl_ext = word,
            register::ICR => registers.icr &= !word,
            register::ICS => registers.icr |= word,
            register::IMS => registers.ims |= word,
            register::IMC => registers.ims &= !word,
            register::EIAC => registers.eiac = word,
            register::IVAR => registers.ivar = word,
            _ => {}
        });
    }
}

//! Interrupts.
//!
//! C header: `include/linux/interrupt.h`; mirrors `rust/kernel/irq.rs`.

mod flags;
mod request;

pub use flags::Flags;
pub use request::{
    Handler, IrqRequest, IrqReturn, Registration, ThreadedHandler, ThreadedIrqReturn,
    ThreadedRegistration,
};

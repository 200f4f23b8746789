//! Interrupts of this CPU, off.
//!
//! Mirrors `rust/kernel/interrupt.rs`.

use crate::{bindings, types::NotThreadSafe};

/// Interrupts are off on this CPU while this lives.
pub struct LocalInterruptDisabled(NotThreadSafe);

/// Turns interrupts of this CPU off.
pub fn local_interrupt_disable() -> LocalInterruptDisabled {
    // SAFETY: Turned on again when the token is dropped.
    unsafe { bindings::local_irq_disable() };
    LocalInterruptDisabled(NotThreadSafe)
}

impl Drop for LocalInterruptDisabled {
    fn drop(&mut self) {
        // SAFETY: Turned off by `local_interrupt_disable`, on this thread.
        unsafe { bindings::local_irq_enable() };
    }
}

impl LocalInterruptDisabled {
    /// The token, where interrupts are off anyway.
    ///
    /// # Safety
    ///
    /// They are, and stay so for `'a`.
    pub unsafe fn assume_disabled<'a>() -> &'a LocalInterruptDisabled {
        const DISABLED: &LocalInterruptDisabled = &LocalInterruptDisabled(NotThreadSafe);
        DISABLED
    }
}

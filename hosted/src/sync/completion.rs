//! Waiting until something is done.
//!
//! C header: `include/linux/completion.h`; mirrors `rust/kernel/sync/completion.rs`.

use crate::{bindings, prelude::*, types::Opaque};

/// Something that will be done, once and for all.
#[pin_data]
pub struct Completion {
    #[pin]
    inner: Opaque<bindings::completion>,
}

// SAFETY: The C side synchronises.
unsafe impl Send for Completion {}

// SAFETY: The C side synchronises.
unsafe impl Sync for Completion {}

impl Completion {
    /// Not done yet.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- Opaque::ffi_init(|slot: *mut bindings::completion| {
                // SAFETY: Valid for writes, and pinned.
                unsafe { bindings::init_completion(slot) };
            }),
        })
    }

    fn as_raw(&self) -> *mut bindings::completion {
        self.inner.get()
    }

    /// Done: whoever waits, goes on.
    #[track_caller]
    pub fn complete_all(&self) {
        // SAFETY: Initialised.
        unsafe { bindings::complete_all(self.as_raw()) };
    }

    /// Waits until it is done. Sleeps, and cannot be interrupted.
    #[track_caller]
    pub fn wait_for_completion(&self) {
        // SAFETY: Initialised.
        unsafe { bindings::wait_for_completion(self.as_raw()) };
    }
}

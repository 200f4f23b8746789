//! Barriers between CPUs.
//!
//! C header: `include/asm-generic/barrier.h`; mirrors `rust/kernel/sync/barrier.rs`. Left out: those
//! for devices. The model's CPUs take turns, one step at a time, so there is nothing to order.

#![expect(private_bounds, reason = "as in Linux: the trait is sealed")]

/// What a barrier orders.
pub mod ordering {
    pub use crate::sync::atomic::ordering::Full;

    /// Loads before it with loads after it.
    pub struct Read;

    /// Stores before it with stores after it.
    pub struct Write;
}

pub use ordering::{Full, Read, Write};

struct Smp;

trait MemoryBarrier<Flavour = ()> {}

impl MemoryBarrier<Smp> for Full {}
impl MemoryBarrier<Smp> for Read {}
impl MemoryBarrier<Smp> for Write {}

/// Orders accesses of this CPU for the other CPUs: `smp_mb()`, `smp_rmb()`, `smp_wmb()`.
#[inline]
pub fn smp_mb<T: MemoryBarrier<Smp>>(_: T) {}

//! Processors.
//!
//! C header: `include/linux/cpu.h`; mirrors `rust/kernel/cpu.rs`. Left out: the devices of processors.

use crate::{bindings, hosted};

/// How many processors there can be.
#[inline]
pub fn nr_cpu_ids() -> u32 {
    hosted::PROCESSORS
}

/// The number of a processor.
///
/// # Invariants
///
/// 1. It is below [`nr_cpu_ids`].
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct CpuId(u32);

impl CpuId {
    /// Without looking.
    ///
    /// # Safety
    ///
    /// There can be such a processor.
    #[inline]
    pub unsafe fn from_i32_unchecked(id: i32) -> Self {
        // INVARIANT: 1, asked of the caller.
        Self(id as u32)
    }

    /// If there can be such a processor.
    pub fn from_i32(id: i32) -> Option<Self> {
        Self::from_u32(u32::try_from(id).ok()?)
    }

    /// Without looking.
    ///
    /// # Safety
    ///
    /// There can be such a processor.
    #[inline]
    pub unsafe fn from_u32_unchecked(id: u32) -> Self {
        // INVARIANT: 1, asked of the caller.
        Self(id)
    }

    /// If there can be such a processor.
    pub fn from_u32(id: u32) -> Option<Self> {
        // INVARIANT: 1, just looked.
        (id < nr_cpu_ids()).then_some(Self(id))
    }

    /// The number.
    #[inline]
    pub fn as_u32(&self) -> u32 {
        self.0
    }

    /// The processor that this runs on; it may be another one by the time the caller looks.
    #[inline]
    pub fn current() -> Self {
        // SAFETY: It runs on one.
        unsafe { Self::from_u32_unchecked(bindings::raw_smp_processor_id()) }
    }
}

impl From<CpuId> for u32 {
    fn from(id: CpuId) -> Self {
        id.as_u32()
    }
}

impl From<CpuId> for i32 {
    fn from(id: CpuId) -> Self {
        id.as_u32() as i32
    }
}

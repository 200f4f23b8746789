//! Sets of processors.
//!
//! C header: `include/linux/cpumask.h`; mirrors `rust/kernel/cpumask.rs`.

use crate::{
    alloc::{AllocError, Flags},
    bindings,
    cpu::{nr_cpu_ids, CpuId},
    prelude::*,
    types::Opaque,
};
use core::ops::{Deref, DerefMut};

/// A `struct cpumask`.
///
/// # Invariants
///
/// 1. It is initialised.
#[repr(transparent)]
pub struct Cpumask(Opaque<bindings::cpumask>);

impl Cpumask {
    /// The mask at a pointer, to change it.
    ///
    /// # Safety
    ///
    /// `ptr` is good for writing for as long as the reference is used.
    pub unsafe fn from_raw_mut<'a>(ptr: *mut bindings::cpumask) -> &'a mut Self {
        // SAFETY: Asked of the caller.
        unsafe { &mut *ptr.cast() }
    }

    /// The mask at a pointer.
    ///
    /// # Safety
    ///
    /// `ptr` is good for reading for as long as the reference is used.
    pub unsafe fn from_raw<'a>(ptr: *const bindings::cpumask) -> &'a Self {
        // SAFETY: Asked of the caller.
        unsafe { &*ptr.cast() }
    }

    /// The address of the mask.
    pub fn as_raw(&self) -> *mut bindings::cpumask {
        let this: *const Self = self;
        this.cast_mut().cast()
    }

    fn bits(&self) -> c_ulong {
        // SAFETY: Initialised: invariant 1.
        unsafe { (*self.as_raw()).bits[0] }
    }

    fn assign(&mut self, bits: c_ulong) {
        // SAFETY: The borrow is exclusive.
        unsafe { (*self.as_raw()).bits[0] = bits };
    }

    fn all() -> c_ulong {
        (1 << nr_cpu_ids()) - 1
    }

    /// Adds `cpu`. Not atomic.
    #[inline]
    pub fn set(&mut self, cpu: CpuId) {
        self.assign(self.bits() | 1 << cpu.as_u32());
    }

    /// Takes `cpu` out. Not atomic.
    #[inline]
    pub fn clear(&mut self, cpu: CpuId) {
        self.assign(self.bits() & !(1 << cpu.as_u32()));
    }

    /// Whether `cpu` is in it.
    #[inline]
    pub fn test(&self, cpu: CpuId) -> bool {
        self.bits() & 1 << cpu.as_u32() != 0
    }

    /// Adds all processors.
    #[inline]
    pub fn setall(&mut self) {
        self.assign(Self::all());
    }

    /// Whether there is none in it.
    #[inline]
    pub fn empty(&self) -> bool {
        self.weight() == 0
    }

    /// Whether all are in it.
    #[inline]
    pub fn full(&self) -> bool {
        self.bits() & Self::all() == Self::all()
    }

    /// How many are in it.
    #[inline]
    pub fn weight(&self) -> u32 {
        (self.bits() & Self::all()).count_ones()
    }

    /// Makes `dstp` the same.
    #[inline]
    pub fn copy(&self, dstp: &mut Self) {
        dstp.assign(self.bits());
    }
}

/// A `cpumask_var_t`, where masks are small: the mask itself.
#[repr(transparent)]
pub struct CpumaskVar {
    mask: Cpumask,
}

impl CpumaskVar {
    /// An empty set.
    pub fn new_zero(_flags: Flags) -> Result<Self, AllocError> {
        Ok(Self {
            // INVARIANT: 1.
            mask: Cpumask(Opaque::zeroed()),
        })
    }

    /// A set that is not initialised.
    ///
    /// # Safety
    ///
    /// It is initialised before it is used.
    pub unsafe fn new(_flags: Flags) -> Result<Self, AllocError> {
        Ok(Self {
            // INVARIANT: 1 is the caller's affair.
            mask: Cpumask(Opaque::uninit()),
        })
    }

    /// The set at a pointer, to change it.
    ///
    /// # Safety
    ///
    /// `ptr` is good for writing for as long as the reference is used.
    pub unsafe fn from_raw_mut<'a>(ptr: *mut bindings::cpumask_var_t) -> &'a mut Self {
        // SAFETY: Asked of the caller.
        unsafe { &mut *ptr.cast() }
    }

    /// The set at a pointer.
    ///
    /// # Safety
    ///
    /// `ptr` is good for reading for as long as the reference is used.
    pub unsafe fn from_raw<'a>(ptr: *const bindings::cpumask_var_t) -> &'a Self {
        // SAFETY: Asked of the caller.
        unsafe { &*ptr.cast() }
    }

    /// Another set of the same processors.
    pub fn try_clone(cpumask: &Cpumask) -> Result<Self> {
        let mut clone = Self::new_zero(GFP_KERNEL)?;
        cpumask.copy(&mut clone);
        Ok(clone)
    }
}

impl Deref for CpumaskVar {
    type Target = Cpumask;

    fn deref(&self) -> &Cpumask {
        &self.mask
    }
}

impl DerefMut for CpumaskVar {
    fn deref_mut(&mut self) -> &mut Cpumask {
        &mut self.mask
    }
}

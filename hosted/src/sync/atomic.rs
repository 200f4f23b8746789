//! Atomic variables.
//!
//! C header: `include/linux/atomic.h`; mirrors `rust/kernel/sync/atomic.rs`. Each access is a point
//! at which the model may switch to another CPU, and is checked against freed memory. All orderings
//! are sequentially consistent: the model finds no bug that needs weaker memory.

use crate::ffi::c_void;
use core::cell::UnsafeCell;

mod ops;
pub mod ordering;

pub use ops::AtomicImpl;
pub use ordering::{Acquire, Full, Relaxed, Release};

use ops::{AtomicArithmeticOps, AtomicBasicOps, AtomicExchangeOps};

/// A `T` that is read and written atomically.
///
/// # Invariants
///
/// 1. The representation is a valid `T`.
#[repr(transparent)]
pub struct Atomic<T: AtomicType>(UnsafeCell<T::Repr>);

// SAFETY: A value of `T` can be sent, by `AtomicType`.
unsafe impl<T: AtomicType> Send for Atomic<T> {}

// SAFETY: All access is atomic.
unsafe impl<T: AtomicType> Sync for Atomic<T> {}

/// A type that can be in an [`Atomic`].
///
/// # Safety
///
/// - It has the size and alignment of `Repr`, and each of its values, taken for a `Repr` and back,
///   is itself.
/// - It can be sent to other threads.
pub unsafe trait AtomicType: Sized + Copy {
    /// What it is stored as.
    type Repr: AtomicImpl;
}

/// A type that can be added to atomically.
///
/// # Safety
///
/// Adding the delta to the representation of a value gives the representation of a value.
pub unsafe trait AtomicAdd<Rhs = Self>: AtomicType {
    /// What to add to the representation.
    fn rhs_into_delta(rhs: Rhs) -> <Self::Repr as AtomicImpl>::Delta;
}

const fn into_repr<T: AtomicType>(v: T) -> T::Repr {
    // SAFETY: As `AtomicType` promises.
    unsafe { core::mem::transmute_copy(&v) }
}

/// # Safety
///
/// `r` is the representation of a value.
const unsafe fn from_repr<T: AtomicType>(r: T::Repr) -> T {
    // SAFETY: As `AtomicType` promises.
    unsafe { core::mem::transmute_copy(&r) }
}

impl<T: AtomicType> Atomic<T> {
    /// With value `v`.
    pub const fn new(v: T) -> Self {
        // INVARIANT: 1, of `v`.
        Self(UnsafeCell::new(into_repr(v)))
    }

    /// The atomic at an address.
    ///
    /// # Safety
    ///
    /// It is valid for `'a`, and otherwise accessed only atomically.
    pub unsafe fn from_ptr<'a>(ptr: *mut T) -> &'a Self {
        // SAFETY: Asked of the caller; transparent around the representation.
        unsafe { &*ptr.cast::<Self>() }
    }

    /// The address.
    pub const fn as_ptr(&self) -> *mut T {
        self.0.get().cast()
    }

    /// The value, when nobody else can reach it.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: A valid `T`, by invariant 1, borrowed mutably.
        unsafe { &mut *self.as_ptr() }
    }

    /// Switch to another CPU here, perhaps; and is this memory still there?
    #[track_caller]
    fn touch(&self) -> *mut T::Repr {
        crate::hooks::access(self.0.get().cast(), size_of::<T>());
        self.0.get()
    }
}

impl<T: AtomicType> Atomic<T>
where
    T::Repr: AtomicBasicOps,
{
    /// Reads.
    #[track_caller]
    pub fn load<Ordering: ordering::AcquireOrRelaxed>(&self, _: Ordering) -> T {
        // SAFETY: Valid, and of a value: invariant 1.
        unsafe { from_repr(T::Repr::load(self.touch())) }
    }

    /// Writes.
    #[track_caller]
    pub fn store<Ordering: ordering::ReleaseOrRelaxed>(&self, v: T, _: Ordering) {
        // INVARIANT: 1, of `v`.
        // SAFETY: Valid.
        unsafe { T::Repr::store(self.touch(), into_repr(v)) }
    }
}

impl<T: AtomicType + core::fmt::Debug> core::fmt::Debug for Atomic<T>
where
    T::Repr: AtomicBasicOps,
{
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.load(Relaxed).fmt(f)
    }
}

impl<T: AtomicType> Atomic<T>
where
    T::Repr: AtomicExchangeOps,
{
    /// Writes, and returns what was there.
    #[track_caller]
    pub fn xchg<Ordering: ordering::Ordering>(&self, v: T, _: Ordering) -> T {
        // INVARIANT: 1, of `v`.
        // SAFETY: Valid, and of a value: invariant 1.
        unsafe { from_repr(T::Repr::swap(self.touch(), into_repr(v))) }
    }

    /// Writes `new` if `old` is there. Returns what was there.
    #[track_caller]
    pub fn cmpxchg<Ordering: ordering::Ordering>(
        &self,
        old: T,
        new: T,
        _: Ordering,
    ) -> Result<T, T> {
        // INVARIANT: 1, of `new`.
        // SAFETY: Valid.
        let was =
            unsafe { T::Repr::compare_exchange(self.touch(), into_repr(old), into_repr(new)) };
        // SAFETY: Of a value: invariant 1.
        was.map(|v| unsafe { from_repr(v) })
            // SAFETY: As above.
            .map_err(|v| unsafe { from_repr(v) })
    }
}

impl<T: AtomicType> Atomic<T>
where
    T::Repr: AtomicArithmeticOps,
{
    /// Adds.
    #[track_caller]
    pub fn add<Rhs>(&self, v: Rhs, _: ordering::Relaxed)
    where
        T: AtomicAdd<Rhs>,
    {
        self.fetch_add(v, Relaxed);
    }

    /// Adds, and returns what was there.
    #[track_caller]
    pub fn fetch_add<Rhs, Ordering: ordering::Ordering>(&self, v: Rhs, _: Ordering) -> T
    where
        T: AtomicAdd<Rhs>,
    {
        // INVARIANT: 1, by `AtomicAdd`.
        // SAFETY: Valid, and of a value: invariant 1.
        unsafe { from_repr(T::Repr::fetch_add(self.touch(), T::rhs_into_delta(v))) }
    }

    /// Subtracts, and returns what was there.
    #[track_caller]
    pub fn fetch_sub<Rhs, Ordering: ordering::Ordering>(&self, v: Rhs, _: Ordering) -> T
    where
        T: AtomicAdd<Rhs>,
    {
        // INVARIANT: 1, by `AtomicAdd`.
        // SAFETY: Valid, and of a value: invariant 1.
        unsafe { from_repr(T::Repr::fetch_sub(self.touch(), T::rhs_into_delta(v))) }
    }
}

macro_rules! stored_as {
    ($($ty:ty => $repr:ty;)*) => {$(
        // SAFETY: The same size and alignment, and each value is one of the representation.
        unsafe impl AtomicType for $ty {
            type Repr = $repr;
        }
    )*};
}

stored_as! {
    bool => i8;
    i8 => i8;
    i16 => i16;
    i32 => i32;
    u32 => i32;
    i64 => i64;
    u64 => i64;
    isize => i64;
    usize => i64;
}

macro_rules! can_add {
    ($($ty:ty => $repr:ty;)*) => {$(
        // SAFETY: All bits are valid, and two's complement adds the same signed or not.
        unsafe impl AtomicAdd<$ty> for $ty {
            fn rhs_into_delta(rhs: $ty) -> $repr {
                rhs as $repr
            }
        }
    )*};
}

can_add! {
    i32 => i32;
    u32 => i32;
    i64 => i64;
    u64 => i64;
    isize => i64;
    usize => i64;
}

// SAFETY: A thin pointer; pointers can be sent, it is using them that takes care.
unsafe impl<T: Sized> AtomicType for *mut T {
    type Repr = *const c_void;
}

// SAFETY: As above.
unsafe impl<T: Sized> AtomicType for *const T {
    type Repr = *const c_void;
}

/// A flag, of whatever size is cheapest.
pub struct AtomicFlag(Atomic<bool>);

impl AtomicFlag {
    /// With value `b`.
    pub const fn new(b: bool) -> Self {
        Self(Atomic::new(b))
    }

    /// The value, when nobody else can reach it.
    pub fn get_mut(&mut self) -> &mut bool {
        self.0.get_mut()
    }

    /// Reads.
    #[track_caller]
    pub fn load<Ordering: ordering::AcquireOrRelaxed>(&self, o: Ordering) -> bool {
        self.0.load(o)
    }

    /// Writes.
    #[track_caller]
    pub fn store<Ordering: ordering::ReleaseOrRelaxed>(&self, v: bool, o: Ordering) {
        self.0.store(v, o);
    }

    /// Writes, and returns what was there.
    #[track_caller]
    pub fn xchg<Ordering: ordering::Ordering>(&self, new: bool, o: Ordering) -> bool {
        self.0.xchg(new, o)
    }

    /// Writes `new` if `old` is there. Returns what was there.
    #[track_caller]
    pub fn cmpxchg<Ordering: ordering::Ordering>(
        &self,
        old: bool,
        new: bool,
        o: Ordering,
    ) -> Result<bool, bool> {
        self.0.cmpxchg(old, new, o)
    }
}

/// Reads a `T` that others access atomically: `READ_ONCE`, `smp_load_acquire`.
///
/// # Safety
///
/// `ptr` is valid and aligned, and concurrent writes are atomic.
#[track_caller]
pub unsafe fn atomic_load<T: AtomicType, Ordering: ordering::AcquireOrRelaxed>(
    ptr: *mut T,
    o: Ordering,
) -> T
where
    T::Repr: AtomicBasicOps,
{
    // SAFETY: Asked of the caller.
    unsafe { Atomic::from_ptr(ptr) }.load(o)
}

/// Writes a `T` that others access atomically: `WRITE_ONCE`, `smp_store_release`.
///
/// # Safety
///
/// `ptr` is valid and aligned, and concurrent accesses are atomic.
#[track_caller]
pub unsafe fn atomic_store<T: AtomicType, Ordering: ordering::ReleaseOrRelaxed>(
    ptr: *mut T,
    v: T,
    o: Ordering,
) where
    T::Repr: AtomicBasicOps,
{
    // SAFETY: Asked of the caller.
    unsafe { Atomic::from_ptr(ptr) }.store(v, o);
}

/// Writes a `T` that others access atomically, and returns what was there.
///
/// # Safety
///
/// `ptr` is valid and aligned, and concurrent accesses are atomic.
#[track_caller]
pub unsafe fn xchg<T: AtomicType, Ordering: ordering::Ordering>(
    ptr: *mut T,
    new: T,
    o: Ordering,
) -> T
where
    T::Repr: AtomicExchangeOps,
{
    // SAFETY: Asked of the caller.
    unsafe { Atomic::from_ptr(ptr) }.xchg(new, o)
}

/// Writes `new` if `old` is there, where others access atomically. Returns what was there.
///
/// # Safety
///
/// `ptr` is valid and aligned, and concurrent accesses are atomic.
#[track_caller]
pub unsafe fn cmpxchg<T: AtomicType, Ordering: ordering::Ordering>(
    ptr: *mut T,
    old: T,
    new: T,
    o: Ordering,
) -> Result<T, T>
where
    T::Repr: AtomicExchangeOps,
{
    // SAFETY: Asked of the caller.
    unsafe { Atomic::from_ptr(ptr) }.cmpxchg(old, new, o)
}

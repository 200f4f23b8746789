//! Time.
//!
//! C headers: `include/linux/ktime.h`, `include/linux/jiffies.h`; mirrors `rust/kernel/time.rs`.
//! Left out: `hrtimer`, which devscope has its own of.

use crate::bindings;
use core::{marker::PhantomData, ops};

pub mod delay;

/// Nanoseconds in a microsecond.
pub const NSEC_PER_USEC: i64 = 1_000;
/// Nanoseconds in a millisecond.
pub const NSEC_PER_MSEC: i64 = 1_000_000;
/// Nanoseconds in a second.
pub const NSEC_PER_SEC: i64 = 1_000_000_000;

/// Ticks.
pub type Jiffies = crate::ffi::c_ulong;
/// Milliseconds.
pub type Msecs = crate::ffi::c_uint;

/// Ticks per second.
const HZ: usize = 1000;

/// Milliseconds as ticks, rounded up.
pub fn msecs_to_jiffies(msecs: Msecs) -> Jiffies {
    (msecs as usize).saturating_mul(HZ).div_ceil(1000)
}

/// A clock.
///
/// # Safety
///
/// What it gives is in `0..=KTIME_MAX`.
pub unsafe trait ClockSource {
    /// Its number in C.
    const ID: bindings::clockid_t;

    /// What it says.
    fn ktime_get() -> bindings::ktime_t;
}

macro_rules! clocks {
    ($($(#[$doc:meta])* $clock:ident = $id:ident, $get:ident;)*) => {$(
        $(#[$doc])*
        pub struct $clock;

        // SAFETY: The model's clocks begin above 0, and centuries are left.
        unsafe impl ClockSource for $clock {
            const ID: bindings::clockid_t = bindings::$id as bindings::clockid_t;

            fn ktime_get() -> bindings::ktime_t {
                // SAFETY: It reads the model's clock.
                unsafe { bindings::$get() }
            }
        }
    )*};
}

clocks! {
    /// Time since boot, without that in which the system was suspended.
    Monotonic = CLOCK_MONOTONIC, ktime_get;
    /// Time since 1970, as somebody may set it.
    RealTime = CLOCK_REALTIME, ktime_get_real;
    /// Time since boot.
    BootTime = CLOCK_BOOTTIME, ktime_get_boottime;
    /// International Atomic Time.
    Tai = CLOCK_TAI, ktime_get_clocktai;
}

/// A point in time, by a clock.
///
/// # Invariants
///
/// 1. `inner` is in `0..=KTIME_MAX`.
#[repr(transparent)]
#[derive(PartialEq, PartialOrd, Eq, Ord)]
pub struct Instant<C: ClockSource> {
    inner: bindings::ktime_t,
    _c: PhantomData<C>,
}

impl<C: ClockSource> Clone for Instant<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: ClockSource> Copy for Instant<C> {}

impl<C: ClockSource> Instant<C> {
    /// Now.
    pub fn now() -> Self {
        // INVARIANT: 1, as `ClockSource` promises.
        Self {
            inner: C::ktime_get(),
            _c: PhantomData,
        }
    }

    /// What has passed since.
    pub fn elapsed(&self) -> Delta {
        Self::now() - *self
    }
}

impl<C: ClockSource> ops::Sub for Instant<C> {
    type Output = Delta;

    fn sub(self, other: Instant<C>) -> Delta {
        Delta {
            value: self.inner - other.inner,
        }
    }
}

impl<T: ClockSource> ops::Add<Delta> for Instant<T> {
    type Output = Self;

    fn add(self, rhs: Delta) -> Self::Output {
        let inner = self.inner + rhs.value;
        // INVARIANT: 1, or this panics, as Linux does with overflow checks.
        assert!(inner >= 0);
        Self {
            inner,
            _c: PhantomData,
        }
    }
}

impl<T: ClockSource> ops::Sub<Delta> for Instant<T> {
    type Output = Self;

    fn sub(self, rhs: Delta) -> Self::Output {
        let inner = self.inner - rhs.value;
        // INVARIANT: 1, or this panics, as Linux does with overflow checks.
        assert!(inner >= 0);
        Self {
            inner,
            _c: PhantomData,
        }
    }
}

mod private {
    pub trait Sealed {}
    impl Sealed for super::Nsec {}
    impl Sealed for super::Jiffy {}
}

/// What a [`Delta`] counts.
pub trait TimeUnit: private::Sealed {
    /// How many.
    type Repr: Copy + Clone + PartialEq + PartialOrd + Eq + Ord + core::fmt::Debug;
}

/// Nanoseconds.
#[derive(Copy, Clone, PartialEq, PartialOrd, Eq, Ord, Debug)]
pub enum Nsec {}

impl TimeUnit for Nsec {
    type Repr = i64;
}

/// Ticks.
#[derive(Copy, Clone, PartialEq, PartialOrd, Eq, Ord, Debug)]
pub enum Jiffy {}

impl TimeUnit for Jiffy {
    type Repr = isize;
}

/// A span of time, forward or backward.
#[derive(Copy, Clone, PartialEq, PartialOrd, Eq, Ord, Debug)]
pub struct Delta<U: TimeUnit = Nsec> {
    value: U::Repr,
}

impl Delta<Jiffy> {
    /// From ticks.
    pub const fn from_jiffies(jiffies: isize) -> Self {
        Self { value: jiffies }
    }

    /// In ticks.
    pub const fn as_jiffies(self) -> isize {
        self.value
    }
}

impl ops::Add for Delta {
    type Output = Self;

    fn add(self, rhs: Self) -> Self {
        Self::from_nanos(self.value + rhs.value)
    }
}

impl ops::AddAssign for Delta {
    fn add_assign(&mut self, rhs: Self) {
        self.value += rhs.value;
    }
}

impl ops::Sub for Delta {
    type Output = Self;

    fn sub(self, rhs: Self) -> Self {
        Self::from_nanos(self.value - rhs.value)
    }
}

impl ops::SubAssign for Delta {
    fn sub_assign(&mut self, rhs: Self) {
        self.value -= rhs.value;
    }
}

impl ops::Mul<i64> for Delta {
    type Output = Self;

    fn mul(self, rhs: i64) -> Self {
        Self::from_nanos(self.value * rhs)
    }
}

impl ops::MulAssign<i64> for Delta {
    fn mul_assign(&mut self, rhs: i64) {
        self.value *= rhs;
    }
}

impl ops::Div for Delta {
    type Output = i64;

    fn div(self, rhs: Self) -> i64 {
        self.value / rhs.value
    }
}

impl Delta {
    /// None.
    pub const ZERO: Self = Self { value: 0 };

    /// From nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self { value: nanos }
    }

    /// From microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self::from_nanos(micros.saturating_mul(NSEC_PER_USEC))
    }

    /// From milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self::from_nanos(millis.saturating_mul(NSEC_PER_MSEC))
    }

    /// From seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self::from_nanos(secs.saturating_mul(NSEC_PER_SEC))
    }

    /// Whether it is none.
    pub fn is_zero(self) -> bool {
        self.as_nanos() == 0
    }

    /// Whether it goes backward.
    pub fn is_negative(self) -> bool {
        self.as_nanos() < 0
    }

    /// In nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.value
    }

    /// In microseconds, rounded up.
    pub fn as_micros_ceil(self) -> i64 {
        div_ceil(self.as_nanos(), NSEC_PER_USEC)
    }

    /// In milliseconds.
    pub fn as_millis(self) -> i64 {
        self.as_nanos() / NSEC_PER_MSEC
    }

    /// In milliseconds, rounded up.
    pub fn as_millis_ceil(self) -> i64 {
        div_ceil(self.as_nanos(), NSEC_PER_MSEC)
    }

    /// What is left after dividing by `dividend` nanoseconds.
    pub fn rem_nanos(self, dividend: i32) -> Self {
        Self::from_nanos(self.as_nanos() % i64::from(dividend))
    }
}

/// Rounds towards positive infinity, where division rounds towards zero.
fn div_ceil(n: i64, d: i64) -> i64 {
    n / d + i64::from(n % d > 0)
}

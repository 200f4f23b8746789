//! Memory orderings, as types.
//!
//! Mirrors `rust/kernel/sync/atomic/ordering.rs`.

/// Orders nothing.
pub struct Relaxed;

/// What follows stays behind it.
pub struct Acquire;

/// What precedes stays before it.
pub struct Release;

/// A full barrier on both sides.
pub struct Full;

/// For [`Ordering`].
#[doc(hidden)]
pub enum OrderingType {
    Relaxed,
    Acquire,
    Release,
    Full,
}

mod internal {
    pub trait Sealed {}
    impl Sealed for super::Relaxed {}
    impl Sealed for super::Acquire {}
    impl Sealed for super::Release {}
    impl Sealed for super::Full {}
}

/// Any ordering.
pub trait Ordering: internal::Sealed {
    /// Which.
    const TYPE: OrderingType;
}

impl Ordering for Relaxed {
    const TYPE: OrderingType = OrderingType::Relaxed;
}

impl Ordering for Acquire {
    const TYPE: OrderingType = OrderingType::Acquire;
}

impl Ordering for Release {
    const TYPE: OrderingType = OrderingType::Release;
}

impl Ordering for Full {
    const TYPE: OrderingType = OrderingType::Full;
}

/// What a load can have.
pub trait AcquireOrRelaxed: Ordering {}

impl AcquireOrRelaxed for Acquire {}
impl AcquireOrRelaxed for Relaxed {}

/// What a store can have.
pub trait ReleaseOrRelaxed: Ordering {}

impl ReleaseOrRelaxed for Release {}
impl ReleaseOrRelaxed for Relaxed {}

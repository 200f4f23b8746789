//! Initialisation in place, in memory allocated with kernel flags.
//!
//! Mirrors `rust/kernel/init.rs`; the initializers themselves are the crate `pinned-init`'s.

use crate::{
    alloc::{AllocError, Flags},
    error::{self, Error},
};
use pinned_init::{init_from_closure, pin_init_from_closure, Init, PinInit};

/// Smart pointers that allocate and run an initializer there.
pub trait InPlaceInit<T>: Sized {
    /// The pinned pointer: `Pin<Self>`, or `Self` if it pins anyway.
    type PinnedSelf;

    /// Allocates and initialises in place; the error is the initializer's.
    fn try_pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Self::PinnedSelf, E>
    where
        E: From<AllocError>;

    /// Allocates and initialises in place.
    fn pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> error::Result<Self::PinnedSelf>
    where
        Error: From<E>,
    {
        // SAFETY: Does what `init` does; only the error has another type.
        let init = unsafe {
            pin_init_from_closure(|slot| init.__pinned_init(slot).map_err(|e| Error::from(e)))
        };
        Self::try_pin_init(init, flags)
    }

    /// Allocates and initialises, without pinning; the error is the initializer's.
    fn try_init<E>(init: impl Init<T, E>, flags: Flags) -> Result<Self, E>
    where
        E: From<AllocError>;

    /// Allocates and initialises, without pinning.
    fn init<E>(init: impl Init<T, E>, flags: Flags) -> error::Result<Self>
    where
        Error: From<E>,
    {
        // SAFETY: Does what `init` does; only the error has another type.
        let init =
            unsafe { init_from_closure(|slot| init.__init(slot).map_err(|e| Error::from(e))) };
        Self::try_init(init, flags)
    }
}

/// `pinned_init::try_init!`, with [`Error`] unless `? Type` follows.
#[macro_export]
macro_rules! try_init {
    ($(&$this:ident in)? $t:ident $(::<$($generics:ty),* $(,)?>)? { $($fields:tt)* }) => {
        ::pinned_init::try_init!(
            $(&$this in)? $t $(::<$($generics),*>)? { $($fields)* }? $crate::error::Error
        )
    };
    ($(&$this:ident in)? $t:ident $(::<$($generics:ty),* $(,)?>)? { $($fields:tt)* }? $err:ty) => {
        ::pinned_init::try_init!($(&$this in)? $t $(::<$($generics),*>)? { $($fields)* }? $err)
    };
}

/// `pinned_init::try_pin_init!`, with [`Error`] unless `? Type` follows.
#[macro_export]
macro_rules! try_pin_init {
    ($(&$this:ident in)? $t:ident $(::<$($generics:ty),* $(,)?>)? { $($fields:tt)* }) => {
        ::pinned_init::try_pin_init!(
            $(&$this in)? $t $(::<$($generics),*>)? { $($fields)* }? $crate::error::Error
        )
    };
    ($(&$this:ident in)? $t:ident $(::<$($generics:ty),* $(,)?>)? { $($fields:tt)* }? $err:ty) => {
        ::pinned_init::try_pin_init!($(&$this in)? $t $(::<$($generics),*>)? { $($fields)* }? $err)
    };
}

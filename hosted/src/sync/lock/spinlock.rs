//! Locks whose waiters spin.
//!
//! C header: `include/linux/spinlock.h`; mirrors `rust/kernel/sync/lock/spinlock.rs`.

use super::{Guard, Lock};
use crate::interrupt::LocalInterruptDisabled;

/// An initializer for a [`SpinLock`], with a lock class of its own.
#[macro_export]
macro_rules! new_spinlock {
    ($inner:expr $(, $name:literal)? $(,)?) => {
        $crate::sync::SpinLock::new(
            $inner, $crate::optional_name!($($name)?), $crate::static_lock_class!())
    };
}
pub use new_spinlock;

/// A lock whose waiters spin. Its holder may not sleep.
pub type SpinLock<T> = Lock<T, SpinLockBackend>;

/// A held [`SpinLock`].
pub type SpinLockGuard<'a, T> = Guard<'a, T, SpinLockBackend>;

/// `spinlock_t`.
pub struct SpinLockBackend;

super::backend!(
    SpinLockBackend: spinlock_t,
    __spin_lock_init spin_lock spin_trylock spin_unlock spin_assert_is_held
);

/// An initializer for a [`SpinLockIrq`], with a lock class of its own.
#[macro_export]
macro_rules! new_spinlock_irq {
    ($inner:expr $(, $name:literal)? $(,)?) => {
        $crate::sync::SpinLockIrq::new(
            $inner, $crate::optional_name!($($name)?), $crate::static_lock_class!())
    };
}
pub use new_spinlock_irq;

/// A [`SpinLock`] that interrupt handlers take too: interrupts are off while it is held.
pub type SpinLockIrq<T> = Lock<T, SpinLockIrqBackend>;

/// A held [`SpinLockIrq`].
pub type SpinLockIrqGuard<'a, T> = Guard<'a, T, SpinLockIrqBackend>;

/// `spinlock_t`, with interrupts disabled.
pub struct SpinLockIrqBackend;

super::backend!(
    SpinLockIrqBackend: spinlock_t,
    __spin_lock_init
    spin_lock_irq_disable spin_trylock_irq_disable spin_unlock_irq_enable
    spin_assert_is_held
);

impl<T: ?Sized> Lock<T, SpinLockIrqBackend> {
    fn as_lock_in_interrupt<'a>(&'a self, _context: &'a LocalInterruptDisabled) -> &'a SpinLock<T> {
        let this: *const Self = self;
        // SAFETY: Both have the same fields. Interrupts are off, so taking it as the other is right.
        unsafe { &*(this as *const SpinLock<T>) }
    }

    /// Takes the lock where interrupts are off anyway.
    #[track_caller]
    pub fn lock_with<'a>(&'a self, context: &'a LocalInterruptDisabled) -> SpinLockGuard<'a, T> {
        self.as_lock_in_interrupt(context).lock()
    }

    /// Takes the lock, if it is free, where interrupts are off anyway.
    #[must_use = "if unused, the lock will be immediately unlocked"]
    #[track_caller]
    pub fn try_lock_with<'a>(
        &'a self,
        context: &'a LocalInterruptDisabled,
    ) -> Option<SpinLockGuard<'a, T>> {
        self.as_lock_in_interrupt(context).try_lock()
    }
}

//! Locks whose waiters sleep.
//!
//! C header: `include/linux/mutex.h`; mirrors `rust/kernel/sync/lock/mutex.rs`.

/// An initializer for a [`Mutex`], with a lock class of its own.
#[macro_export]
macro_rules! new_mutex {
    ($inner:expr $(, $name:literal)? $(,)?) => {
        $crate::sync::Mutex::new(
            $inner, $crate::optional_name!($($name)?), $crate::static_lock_class!())
    };
}
pub use new_mutex;

/// A lock whose waiters sleep. Not for atomic context.
pub type Mutex<T> = super::Lock<T, MutexBackend>;

/// A held [`Mutex`].
pub type MutexGuard<'a, T> = super::Guard<'a, T, MutexBackend>;

/// `struct mutex`.
pub struct MutexBackend;

super::backend!(
    MutexBackend: mutex,
    __mutex_init mutex_lock mutex_trylock mutex_unlock mutex_assert_is_held
);

//! Assertions about what is known when compiling.
//!
//! Mirrors `rust/kernel/build_assert.rs`. `build_assert!` and `build_error!` fail Linux's *link*
//! if the optimiser cannot remove them; here they panic when reached, or fail the build inside a
//! constant.

#[doc(inline)]
pub use crate::{build_assert_macro as build_assert, build_error, const_assert, static_assert};

/// For [`build_error!`].
#[doc(hidden)]
#[track_caller]
pub const fn build_error_fn(message: &'static str) -> ! {
    panic!("{}", message)
}

/// Fails the build if the condition, a constant, is false.
#[macro_export]
#[doc(hidden)]
macro_rules! static_assert {
    ($condition:expr $(, $message:literal)?) => {
        const _: () = ::core::assert!($condition $(, $message)?);
    };
}

/// Like `static_assert!`, as a statement, and may name generic parameters.
#[macro_export]
#[doc(hidden)]
macro_rules! const_assert {
    ($condition:expr $(, $message:literal)?) => {
        const { ::core::assert!($condition $(, $message)?) }
    };
}

/// Says that this is never reached.
#[macro_export]
#[doc(hidden)]
macro_rules! build_error {
    () => {
        $crate::build_assert::build_error_fn("")
    };
    ($message:expr) => {
        $crate::build_assert::build_error_fn($message)
    };
}

/// Says that the condition holds, and that the compiler can see it.
#[macro_export]
#[doc(hidden)]
macro_rules! build_assert_macro {
    ($condition:expr $(,)?) => {
        $crate::build_assert_macro!(
            $condition,
            ::core::concat!("assertion failed: ", ::core::stringify!($condition))
        )
    };
    ($condition:expr, $message:expr) => {
        if !$condition {
            $crate::build_assert::build_error_fn($message);
        }
    };
}

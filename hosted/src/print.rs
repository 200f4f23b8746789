//! Messages to the kernel log.
//!
//! C header: `include/linux/printk.h`; mirrors `rust/kernel/print.rs`. Here the log is
//! `Machine::dmesg()`. A message is prefixed by the name of the module that prints it, found by its
//! Rust path, as one crate may hold several; Linux asks the crate's `__LOG_PREFIX`. The log does not
//! keep levels.
//! Left out: `OnceLite` and the `pr_*_once!` macros.

use crate::{fmt, str::CStr};
use std::sync::Mutex;

/// The Rust path and name of every module that was loaded.
static NAMES: Mutex<Vec<(&'static str, &'static CStr)>> = Mutex::new(Vec::new());

pub(crate) fn register(path: &'static str, name: &'static CStr) {
    let mut names = NAMES.lock().unwrap_or_else(|poison| poison.into_inner());
    if !names.contains(&(path, name)) {
        names.push((path, name));
    }
}

/// The module that contains `path`, or the crate if none does.
fn prefix(path: &str) -> String {
    let names = NAMES.lock().unwrap_or_else(|poison| poison.into_inner());
    let contains = |module: &&(&str, &CStr)| {
        let rest = path.strip_prefix(module.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let innermost = names.iter().filter(contains).max_by_key(|m| m.0.len());
    match innermost {
        Some((_, name)) => name.to_string_lossy().into_owned(),
        None => path.split("::").next().unwrap_or_default().to_string(),
    }
}

/// For the `pr_*!` macros.
#[doc(hidden)]
pub fn call_printk(path: &str, args: fmt::Arguments<'_>) {
    crate::hooks::printk(&prefix(path), args);
}

/// For [`pr_cont!`](crate::pr_cont).
#[doc(hidden)]
pub fn call_printk_cont(args: fmt::Arguments<'_>) {
    crate::hooks::printk("", args);
}

/// For the `pr_*!` macros.
#[doc(hidden)]
#[macro_export]
macro_rules! print_macro {
    ($($arg:tt)+) => {
        $crate::print::call_printk(::core::module_path!(), $crate::prelude::fmt!($($arg)+))
    };
}

/// Prints a message of level 0: the system is unusable.
#[macro_export]
macro_rules! pr_emerg {
    ($($arg:tt)*) => { $crate::print_macro!($($arg)*) };
}

/// Prints a message of level 1: act at once.
#[macro_export]
macro_rules! pr_alert {
    ($($arg:tt)*) => { $crate::print_macro!($($arg)*) };
}

/// Prints a message of level 2: critical.
#[macro_export]
macro_rules! pr_crit {
    ($($arg:tt)*) => { $crate::print_macro!($($arg)*) };
}

/// Prints a message of level 3: an error.
#[macro_export]
macro_rules! pr_err {
    ($($arg:tt)*) => { $crate::print_macro!($($arg)*) };
}

/// Prints a message of level 4: a warning.
#[macro_export]
macro_rules! pr_warn {
    ($($arg:tt)*) => { $crate::print_macro!($($arg)*) };
}

/// Prints a message of level 5: normal, but noteworthy.
#[macro_export]
macro_rules! pr_notice {
    ($($arg:tt)*) => { $crate::print_macro!($($arg)*) };
}

/// Prints a message of level 6: information.
#[macro_export]
macro_rules! pr_info {
    ($($arg:tt)*) => { $crate::print_macro!($($arg)*) };
}

/// Prints a message of level 7: debugging, with debug assertions only.
#[macro_export]
macro_rules! pr_debug {
    ($($arg:tt)*) => {
        if cfg!(debug_assertions) {
            $crate::print_macro!($($arg)*)
        }
    };
}

/// Prints a message that continues the one before.
#[macro_export]
macro_rules! pr_cont {
    ($($arg:tt)*) => { $crate::print::call_printk_cont($crate::prelude::fmt!($($arg)*)) };
}

//! Messages to the kernel log.
//!
//! C header: `include/linux/printk.h`; mirrors `rust/kernel/print.rs`. Here the log is
//! `Machine::dmesg()`. A message is prefixed by the name of the module that prints it, found by its
//! Rust path, as one crate may hold several; Linux asks the crate's `__LOG_PREFIX`.
//! Left out: `OnceLite` and the `pr_*_once!` macros.

use crate::{fmt, str::CStr};
use std::sync::Mutex;

/// For the `pr_*!` macros: `KERN_EMERG` to `KERN_DEBUG`.
#[doc(hidden)]
pub mod level {
    pub const EMERG: u8 = 0;
    pub const ALERT: u8 = 1;
    pub const CRIT: u8 = 2;
    pub const ERR: u8 = 3;
    pub const WARNING: u8 = 4;
    pub const NOTICE: u8 = 5;
    pub const INFO: u8 = 6;
    pub const DEBUG: u8 = 7;
}

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
pub fn call_printk(level: u8, path: &str, args: fmt::Arguments<'_>) {
    crate::hooks::printk(level, &prefix(path), args);
}

/// For [`pr_cont!`](crate::pr_cont).
#[doc(hidden)]
pub fn call_printk_cont(args: fmt::Arguments<'_>) {
    crate::hooks::printk(level::INFO, "", args);
}

/// For the `pr_*!` macros.
#[doc(hidden)]
#[macro_export]
macro_rules! print_macro {
    ($level:ident, $($arg:tt)+) => {
        $crate::print::call_printk(
            $crate::print::level::$level,
            ::core::module_path!(),
            $crate::prelude::fmt!($($arg)+),
        )
    };
}

/// Prints a message of level 0: the system is unusable.
#[macro_export]
macro_rules! pr_emerg {
    ($($arg:tt)*) => { $crate::print_macro!(EMERG, $($arg)*) };
}

/// Prints a message of level 1: act at once.
#[macro_export]
macro_rules! pr_alert {
    ($($arg:tt)*) => { $crate::print_macro!(ALERT, $($arg)*) };
}

/// Prints a message of level 2: critical.
#[macro_export]
macro_rules! pr_crit {
    ($($arg:tt)*) => { $crate::print_macro!(CRIT, $($arg)*) };
}

/// Prints a message of level 3: an error.
#[macro_export]
macro_rules! pr_err {
    ($($arg:tt)*) => { $crate::print_macro!(ERR, $($arg)*) };
}

/// Prints a message of level 4: a warning.
#[macro_export]
macro_rules! pr_warn {
    ($($arg:tt)*) => { $crate::print_macro!(WARNING, $($arg)*) };
}

/// Prints a message of level 5: normal, but noteworthy.
#[macro_export]
macro_rules! pr_notice {
    ($($arg:tt)*) => { $crate::print_macro!(NOTICE, $($arg)*) };
}

/// Prints a message of level 6: information.
#[macro_export]
macro_rules! pr_info {
    ($($arg:tt)*) => { $crate::print_macro!(INFO, $($arg)*) };
}

/// Prints a message of level 7: debugging, with debug assertions only.
#[macro_export]
macro_rules! pr_debug {
    ($($arg:tt)*) => {
        if cfg!(debug_assertions) {
            $crate::print_macro!(DEBUG, $($arg)*)
        }
    };
}

/// Prints a message that continues the one before.
#[macro_export]
macro_rules! pr_cont {
    ($($arg:tt)*) => { $crate::print::call_printk_cont($crate::prelude::fmt!($($arg)*)) };
}

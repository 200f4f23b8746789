// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `std::thread::scope`, for device drivers.
//!
//! A driver is called from many sides: by interrupts, tasklets, work items, and by programs that
//! hold its device node open. Each of these callers has to be stopped before what it touches goes
//! away, on every path, in an order that holds. This crate makes that order follow from types.
//!
//! | kind | examples | lives | written as |
//! |---|---|---|---|
//! | passive | MMIO, vectors, locks, buffers | while the device is bound | `Driver::Data<'bound>` |
//! | active | handlers, tasklets, work, device nodes | strictly inside the life of `Data` | closures given to [`Scope`] |
//! | file | what one `open()` made | until the last close | [`File`](file::File), `'static` |
//!
//! A driver implements the `Driver` of its bus, which has the same shape on each: [`auxiliary::Driver`],
//! [`faux::Driver`], [`i2c::Driver`], [`pci::Driver`], [`platform::Driver`], [`usb::Driver`]. `probe()` builds
//! the passive data, `attach()` is given a [`Scope`] in which it registers closures that borrow that data. The scope
//! belongs to the framework, which always ends it before it drops the data. What the scope hands
//! out in return (a [`Tasklet`](tasklet::Tasklet) to schedule, a [`WaitQueue`](wait::WaitQueue) to
//! wake) carries the scope's lifetime, so it fits into other closures of the same scope and
//! nowhere else.
//!
//! # What is promised
//!
//! When a device has been unbound, or its `attach()` has failed: no closure of its scope runs or
//! will run again, nothing in the kernel holds the address of one, and every file that is still
//! open answers by itself (`ENODEV`, a hang-up from `poll()`, and success from `close()`) without
//! reaching the driver's device side.
//!
//! # What is not
//!
//! Nothing is said about the hardware: DMA in flight, power, a device that goes on raising a shared
//! line. Silence it in `unbind()`. Nothing is said about deadlocks among the driver's own locks,
//! or about a closure that sleeps where it must not; lockdep and `CONFIG_DEBUG_ATOMIC_SLEEP` find
//! these here as they do in C.
//!
//! # One source, two worlds
//!
//! This crate uses `kernel` and `core` and nothing else, and does not know whether `kernel` is
//! Linux's own crate or the hosted model that `cargo test` explores.

// Kbuild passes this attribute too, and rustc then calls one of the two unused.
#![allow(unused_attributes)]
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(missing_docs)]

pub mod auxiliary;
pub mod cdev;
pub mod entrance;
pub mod faux;
pub mod file;
pub mod hrtimer;
pub mod i2c;
pub mod irq;
mod misc;
pub mod mmap;
pub mod part;
pub mod pci;
pub mod platform;
pub mod poll;
mod scope;
pub mod tasklet;
pub mod timer;
pub mod urb;
pub mod usb;
pub mod wait;
pub mod work;
pub mod workqueue;

#[doc(hidden)]
pub mod binding;
mod body;
mod bus;
mod deferred;
mod front;
mod gate;
mod helpers;
#[cfg(devscope_mutants)]
pub mod mutants;
#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[allow(
    dead_code,
    reason = "for the suites, which are left out where there is no KUnit"
)]
mod testing;

pub use self::scope::Scope;

/// What a handle's `schedule()` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduled {
    /// The body will run once more than it would have without this call.
    Queued,
    /// The body was already waiting to run; that one run serves this call too.
    Pending,
    /// The body will not run: it has not been given yet, or the scope is ending.
    Refused,
}

/// Prefix for what this crate prints to the kernel log.
#[allow(dead_code)]
const __LOG_PREFIX: &[u8] = b"devscope\0";

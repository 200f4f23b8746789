// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A second node, `/dev/fidelity-node`, for programs to open, read and close while it comes and goes.
//!
//! It belongs to the module and not to the device, so that it is there when the device is not. What
//! happens to it, programs ask through `ioctl()` on `/dev/fidelity`.

use crate::{allocate, busy, give_back, Shared};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering::SeqCst};
use kernel::{bindings, ioctl::_IO, prelude::*};

/// Registers the node.
pub const REGISTER: u32 = _IO('f' as u32, 1);
/// Deregisters it.
pub const DEREGISTER: u32 = _IO('f' as u32, 2);
/// How often `open()` has been called.
pub const OPENS: u32 = _IO('f' as u32, 3);
/// How often `open()` has returned.
pub const OPENED: u32 = _IO('f' as u32, 4);
/// How often `release()` has been called.
pub const RELEASES: u32 = _IO('f' as u32, 5);
/// How many programs are in `read()`, or have been.
pub const READS: u32 = _IO('f' as u32, 6);
/// Lets one `read()` go on.
pub const GO_ON: u32 = _IO('f' as u32, 7);
/// How many milliseconds `open()` takes from now on.
pub const OPEN_TAKES: u32 = _IO('f' as u32, 8);

struct Node {
    misc: bindings::miscdevice,
    fops: bindings::file_operations,
    go_on: bindings::completion,
    opens: Shared,
    opened: Shared,
    releases: Shared,
    reads: Shared,
    open_takes: Shared,
    registered: Shared,
}

static NODE: AtomicPtr<Node> = AtomicPtr::new(null_mut());

unsafe extern "C" fn open(_inode: *mut bindings::inode, _file: *mut bindings::file) -> c_int {
    let node = NODE.load(SeqCst);
    // SAFETY: The node is there as long as the module, which an opening file keeps loaded.
    unsafe {
        (*node).opens.add(1);
        for _ in 0..(*node).open_takes.get() / 10 {
            bindings::msleep(10);
        }
        (*node).opened.add(1);
    }
    0
}

unsafe extern "C" fn read(
    _file: *mut bindings::file,
    text: *mut c_char,
    len: usize,
    _pos: *mut bindings::loff_t,
) -> isize {
    let node = NODE.load(SeqCst);
    // SAFETY: As in `open`.
    unsafe {
        (*node).reads.add(1);
        let error = bindings::wait_for_completion_interruptible(&raw mut (*node).go_on);
        if error != 0 {
            return error as isize;
        }
        match bindings::copy_to_user(text.cast(), c"x".as_ptr().cast(), len.min(1)) {
            0 => len.min(1) as isize,
            _ => EFAULT.to_errno() as isize,
        }
    }
}

unsafe extern "C" fn release(_inode: *mut bindings::inode, _file: *mut bindings::file) -> c_int {
    // SAFETY: As in `open`.
    unsafe {
        busy(1);
        (*NODE.load(SeqCst)).releases.add(1);
    }
    0
}

/// When the module is loaded.
pub(crate) fn init(module: &'static ThisModule) {
    let node = allocate::<Node>();
    // SAFETY: Fresh memory of zeroes, in place until `exit`.
    unsafe {
        bindings::init_completion(&raw mut (*node).go_on);
        (*node).fops.owner = module.as_ptr();
        (*node).fops.open = Some(open);
        (*node).fops.read = Some(read);
        (*node).fops.release = Some(release);
    }
    NODE.store(node, SeqCst);
}

/// When it goes. The node was deregistered, and no file of it is open, or the module would stay.
pub(crate) fn exit() {
    // SAFETY: From `init`.
    unsafe { give_back(NODE.swap(null_mut(), SeqCst)) };
}

/// One of the orders above.
pub(crate) fn order(order: c_uint, argument: usize) -> c_long {
    let node = NODE.load(SeqCst);
    // SAFETY: As in `open`.
    unsafe {
        let misc = &raw mut (*node).misc;
        let answer = match order {
            // Once more would destroy the list that it is in.
            REGISTER if (*node).registered.get() != 0 => EBUSY.to_errno(),
            DEREGISTER if (*node).registered.get() == 0 => ENODEV.to_errno(),
            REGISTER => {
                (*misc).minor = bindings::MISC_DYNAMIC_MINOR as c_int;
                (*misc).name = c"fidelity-node".as_ptr().cast();
                (*misc).fops = &raw const (*node).fops;
                let error = bindings::misc_register(misc);
                (*node).registered.set((error == 0).into());
                error
            }
            DEREGISTER => {
                bindings::misc_deregister(misc);
                (*node).registered.set(0);
                0
            }
            OPENS => (*node).opens.get(),
            OPENED => (*node).opened.get(),
            RELEASES => (*node).releases.get(),
            READS => (*node).reads.get(),
            GO_ON => {
                bindings::complete(&raw mut (*node).go_on);
                0
            }
            OPEN_TAKES => {
                (*node).open_takes.set(argument as i32);
                0
            }
            _ => ENOTTY.to_errno(),
        };
        answer as c_long
    }
}

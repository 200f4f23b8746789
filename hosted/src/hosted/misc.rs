//! Character devices of the misc class, open files, and user memory; after `drivers/char/misc.c`
//! and `fs/`.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::device::{self, Bus};
use super::locks::{lock_mutex, name_mutex, unlock_mutex};
use super::machine::{at, preempt, step, world, Place, World};
use super::report::Kind;
use super::{cdev, is_c_string, ledger, mm, nobody, poll};
use crate::bindings::{
    device as c_device, file, file_operations, inode, iov_iter, kiocb, loff_t, miscdevice, module,
    poll_table, wait_queue_head_t, EBADF, EBUSY, EFAULT, EINTR, EINVAL, ENODEV, ENOENT,
    ENOIOCTLCMD, ENOTTY, ERESTARTSYS, ITER_DEST, ITER_SOURCE, MISC_DYNAMIC_MINOR, O_NONBLOCK,
    O_RDWR, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM,
};
use crate::bindings::{inode as inode_type, EOPNOTSUPP, ESPIPE, SEEK_CUR, SEEK_END, SEEK_SET};
use crate::error::{Error, Result};
use crate::ffi;
use std::cell::Cell;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;

/// `FMODE_READ | FMODE_WRITE`
const READ_WRITE: u32 = 3;

/// `FMODE_NOWAIT`
const FMODE_NOWAIT: u32 = 1 << 27;

/// `IOCB_NOWAIT`
const IOCB_NOWAIT: ffi::c_int = 8;

/// The major of all misc devices.
const MISC_MAJOR: u32 = 10;

/// The first of the minors that are given out.
const FIRST_DYNAMIC: u32 = MISC_DYNAMIC_MINOR + 1;

/// What stands for `misc_mtx`: only its address counts.
static MISC_MTX: u8 = 0;

#[derive(Debug)]
struct Node {
    misc: usize,
    name: Rc<str>,
    minor: u32,
    this_device: usize,
    place: Place,
}

#[derive(Debug)]
struct Open {
    file: usize,
    name: Rc<str>,
    count: u32,
    owner: usize,
    place: Place,
}

#[derive(Default, Debug)]
pub(crate) struct Misc {
    nodes: Vec<Node>,
    files: Vec<Open>,
    minors: u32,
    named: bool,
    /// User memory that the system calls in progress may touch.
    user: Vec<Range<usize>>,
}

impl Misc {
    pub(crate) fn active_in(&self, range: &Range<usize>) -> Option<(String, Vec<String>)> {
        let facts = |place: Place| vec![format!("registered  {}", at(place))];
        let node = self
            .nodes
            .iter()
            .find(|node| range.contains(&node.misc))
            .map(|node| {
                (
                    format!("misc device \"{}\", which is registered,", node.name),
                    facts(node.place),
                )
            });
        node.or_else(|| {
            self.files
                .iter()
                .find(|open| range.contains(&open.file))
                .map(|open| {
                    (
                        format!("a file of \"{}\", which is open,", open.name),
                        facts(open.place),
                    )
                })
        })
    }

    /// Open files, latest first.
    pub(crate) fn open_files(&self) -> Vec<usize> {
        self.files.iter().rev().map(|open| open.file).collect()
    }

    pub(crate) fn left(&self) -> Vec<String> {
        self.nodes
            .iter()
            .map(|node| {
                format!(
                    "registered  {}  misc device \"{}\"",
                    at(node.place),
                    node.name
                )
            })
            .collect()
    }

    fn is_user(&self, address: usize, len: usize) -> bool {
        self.user
            .iter()
            .any(|range| range.start <= address && address + len <= range.end)
    }
}

pub(crate) fn error(code: u32) -> ffi::c_int {
    -(code as ffi::c_int)
}

#[track_caller]
fn lock_misc(place: Place) {
    let mutex = &raw const MISC_MTX as usize;
    world(|w| {
        if !std::mem::replace(&mut w.misc.named, true) {
            name_mutex(w, mutex, "misc_mtx");
        }
    });
    lock_mutex(mutex, false, place);
}

#[track_caller]
fn unlock_misc(place: Place) {
    unlock_mutex(&raw const MISC_MTX as usize, place);
}

#[track_caller]
pub unsafe fn misc_register(misc: *mut miscdevice) -> ffi::c_int {
    let place = Location::caller();
    world(|w| {
        w.check(
            misc as usize,
            size_of::<miscdevice>(),
            "a misc device",
            place,
        )
    });
    // SAFETY: the caller gives a misc device; that it is not freed has been checked.
    let (minor, name) = unsafe { ((*misc).minor, (*misc).name) };
    let Some(name) = is_c_string(name) else {
        return error(EINVAL);
    };
    if minor > MISC_DYNAMIC_MINOR as ffi::c_int {
        return error(EINVAL);
    }
    lock_misc(place);
    let taken = world(|w| {
        if w.misc.nodes.iter().any(|node| node.misc == misc as usize) {
            let facts = [format!("registered  {}", at(place))];
            w.fail(
                Kind::Misuse,
                format!("misc device \"{name}\" is registered twice"),
                &facts,
            );
        }
        w.misc
            .nodes
            .iter()
            .any(|n| n.minor == minor as u32 || (*n.name == *name))
    });
    let result = if taken {
        error(EBUSY)
    } else {
        let this_device: *mut c_device = device::allocate("misc class device");
        device::register(this_device, this_device as usize, &name, Bus::Class);
        world(|w| {
            let minor = if minor == MISC_DYNAMIC_MINOR as ffi::c_int {
                w.misc.minors += 1;
                FIRST_DYNAMIC + w.misc.minors - 1
            } else {
                minor as u32
            };
            w.misc.nodes.push(Node {
                misc: misc as usize,
                name: name.clone(),
                minor,
                this_device: this_device as usize,
                place,
            });
            w.note("registers misc device", &name, Some(place));
            // SAFETY: as above; `misc_mtx` is held.
            unsafe {
                (*misc).minor = minor as ffi::c_int;
                (*misc).this_device = this_device;
            }
        });
        0
    };
    unlock_misc(place);
    result
}

#[track_caller]
pub unsafe fn misc_deregister(misc: *mut miscdevice) {
    let place = Location::caller();
    world(|w| {
        w.check(
            misc as usize,
            size_of::<miscdevice>(),
            "a misc device",
            place,
        )
    });
    lock_misc(place);
    let this_device = world(|w| {
        let index = w
            .misc
            .nodes
            .iter()
            .position(|node| node.misc == misc as usize);
        let Some(index) = index else {
            let facts = [format!("called      {}", at(place))];
            w.fail(
                Kind::Misuse,
                "a misc device is deregistered that is not".into(),
                &facts,
            );
        };
        let node = w.misc.nodes.remove(index);
        w.note("deregisters misc device", &node.name, Some(place));
        node.this_device
    });
    device::put(this_device, place);
    // SAFETY: the caller gives a misc device; `misc_mtx` is held.
    unsafe {
        if (*misc).minor > MISC_DYNAMIC_MINOR as ffi::c_int {
            (*misc).minor = MISC_DYNAMIC_MINOR as ffi::c_int;
        }
    }
    unlock_misc(place);
}

// ---- Opening and closing ----

/// How to open a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags {
    /// `O_NONBLOCK`
    pub nonblock: bool,
}

/// An open file of a user program. Dropping it closes it.
#[derive(Debug)]
pub struct OpenFile {
    file: usize,
    closed: Cell<bool>,
}

/// `open("/dev/<name>")`
#[track_caller]
pub(crate) fn open(name: &str, flags: OpenFlags) -> Result<OpenFile> {
    let place = Location::caller();
    let named: Rc<str> = name.into();
    step("opens", &named, place);
    // Finding the node and opening it are two steps.
    if let Some(inode) = cdev::find(name) {
        preempt();
        return open_inode(inode as *mut inode, named, flags, place);
    }
    let minor = world(|w| {
        w.misc
            .nodes
            .iter()
            .find(|n| *n.name == *name)
            .map(|n| n.minor)
    });
    let Some(minor) = minor else {
        return Err(Error::from_errno(error(ENOENT)));
    };
    preempt();
    let inode: *mut inode = device::allocate("inode");
    // SAFETY: just allocated with the size of its type.
    unsafe {
        inode.write(crate::bindings::inode {
            i_rdev: MISC_MAJOR << 20 | minor,
            ..Default::default()
        });
    }
    open_inode(inode, named, flags, place)
}

/// `do_dentry_open`, with a reference to the inode.
fn open_inode(
    inode: *mut inode,
    name: Rc<str>,
    flags: OpenFlags,
    place: Place,
) -> Result<OpenFile> {
    let file: *mut file = device::allocate("struct file");
    // SAFETY: just allocated with the size of its type.
    unsafe {
        file.write(crate::bindings::file {
            f_mode: READ_WRITE,
            f_inode: inode,
            f_mapping: mm::mapping_of(inode as usize),
            f_flags: O_RDWR | if flags.nonblock { O_NONBLOCK } else { 0 },
            ..Default::default()
        });
    }
    // SAFETY: the inode is ours.
    let devt = unsafe { (*inode).i_rdev };
    let opened = match devt >> 20 {
        MISC_MAJOR => match misc_open(inode, file, devt & 0xf_ffff, &name, place) {
            0 => Ok(()),
            code => Err(code),
        },
        _ => {
            let owner = Cell::new(None);
            let opens = |module| {
                owner.set(Some(module));
                begin(file, &name, module, place);
            };
            let opened = cdev::chrdev_open(inode, file, place, opens);
            if let (Err(_), Some(owner)) = (opened, owner.get()) {
                give_up(file, owner);
            }
            opened
        }
    };
    leave_system_call();
    match opened {
        Ok(()) => Ok(OpenFile {
            file: file as usize,
            closed: Cell::new(false),
        }),
        Err(code) => {
            ledger::free(file.cast());
            cdev::put_inode(inode as usize);
            Err(Error::from_errno(user_error(code as isize)))
        }
    }
}

/// A file is being opened by the operations of a module, which is held.
fn begin(file: *mut file, name: &Rc<str>, owner: *mut module, place: Place) {
    world(|w| {
        w.misc.files.push(Open {
            file: file as usize,
            name: name.clone(),
            count: 1,
            owner: owner as usize,
            place,
        })
    });
}

/// It could not be opened.
fn give_up(file: *mut file, owner: *mut module) {
    world(|w| {
        w.misc.files.retain(|open| open.file != file as usize);
        w.put_module(owner);
    });
}

/// `misc_open`
fn misc_open(
    inode: *mut inode,
    file: *mut file,
    minor: u32,
    name: &Rc<str>,
    place: Place,
) -> ffi::c_int {
    lock_misc(place);
    // fops_get
    let found = world(|w| {
        let node = w.misc.nodes.iter().rev().find(|node| node.minor == minor)?;
        let (misc, registered) = (node.misc, node.place);
        w.check(misc, size_of::<miscdevice>(), "a misc device", registered);
        // SAFETY: a registered misc device is there; that it is not freed has been checked.
        let fops = unsafe { (*(misc as *const miscdevice)).fops };
        w.check(
            fops as usize,
            size_of::<file_operations>(),
            "file operations",
            registered,
        );
        // SAFETY: as above, for its operations.
        let (owner, open) = unsafe { ((*fops).owner, (*fops).open) };
        w.get_module(owner).then_some((misc, fops, owner, open))
    });
    let result = match found {
        None => error(ENODEV),
        Some((misc, fops, owner, open)) => {
            // SAFETY: the file is ours until it is open.
            unsafe {
                (*file).private_data = misc as *mut ffi::c_void;
                (*file).f_op = fops;
            }
            begin(file, name, owner, place);
            // SAFETY: the operations are registered for this, and their module is held.
            let result = open.map_or(0, |open| unsafe { open(inode, file) });
            if result != 0 {
                give_up(file, owner);
            }
            result
        }
    };
    unlock_misc(place);
    result
}

impl World {
    fn open_file(&mut self, file: usize) -> Option<&mut Open> {
        self.misc.files.iter_mut().find(|open| open.file == file)
    }

    /// Another reference, unless the last one has gone.
    fn get_file(&mut self, file: usize) -> bool {
        match self.open_file(file) {
            Some(open) if open.count > 0 => {
                open.count += 1;
                true
            }
            _ => false,
        }
    }
}

/// `fput`: the last one calls `release`.
fn put(address: usize, place: Place) {
    preempt();
    let last = world(|w| {
        w.check(address, size_of::<file>(), "a file", place);
        let open = w.open_file(address)?;
        open.count -= 1;
        let (count, name) = (open.count, open.name.clone());
        (count == 0).then(|| {
            w.note("releases", &name, Some(place));
            name
        })
    });
    let Some(name) = last else { return };
    // The first thing that `__fput()` does.
    poll::eventpoll_release(address, place);
    let file = address as *mut file;
    // SAFETY: the file was open until now, and nobody else has it any more.
    let (fops, inode) = unsafe { ((*file).f_op, (*file).f_inode) };
    let release = world(|w| {
        w.check(
            fops as usize,
            size_of::<file_operations>(),
            "file operations",
            place,
        );
        // SAFETY: just checked; the module that they belong to is held.
        unsafe { (*fops).release }
    });
    if let Some(release) = release {
        // SAFETY: `release` is called once, with the last reference to an open file.
        unsafe { release(inode, file) };
    }
    cdev::put_device_of(inode as usize, place);
    world(|w| {
        let index = w.misc.files.iter().position(|open| open.file == address);
        if let Some(open) = index.map(|index| w.misc.files.remove(index)) {
            w.put_module(open.owner as *mut module);
        }
        w.note("has released", &name, Some(place));
    });
    ledger::free(file.cast());
    cdev::put_inode(inode as usize);
}

#[track_caller]
pub unsafe fn get_file(f: *mut file) -> *mut file {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check(f as usize, size_of::<file>(), "a file", place);
        if let Some(open) = w.open_file(f as usize) {
            open.count += 1;
        }
    });
    f
}

/// `file_ref_get`: a reference, unless the last one has gone.
pub(crate) fn get_live_file(address: usize) -> bool {
    preempt();
    world(|w| w.get_file(address))
}

/// The operations of an open file.
pub(crate) fn file_operations_of(file: *mut file, place: Place) -> file_operations {
    world(|w| {
        w.check(file as usize, size_of::<file>(), "a file", place);
        // SAFETY: an open file is there; that it is not freed has been checked.
        let fops = unsafe { (*file).f_op };
        w.check(
            fops as usize,
            size_of::<file_operations>(),
            "file operations",
            place,
        );
        // SAFETY: just checked; their module is held while the file is open.
        unsafe { *fops }
    })
}

#[track_caller]
pub unsafe fn fput(f: *mut file) {
    put(f as usize, Location::caller());
}

/// Close what user programs have left open: they are gone.
pub(crate) fn close_all() {
    let place = Location::caller();
    for file in world(|w| w.misc.open_files()) {
        put(file, place);
    }
}

/// What a user program gets for an error of the kernel's.
fn user_error(result: isize) -> ffi::c_int {
    match result as ffi::c_int {
        interrupted if interrupted == error(ERESTARTSYS) => error(EINTR),
        other => other,
    }
}

/// On the way back to user space signals are taken.
pub(crate) fn leave_system_call() {
    world(|w| w.me().signal = false);
    preempt();
}

impl OpenFile {
    /// Another descriptor of the same open file.
    #[track_caller]
    pub fn dup(&self) -> OpenFile {
        // SAFETY: the file is open, since this descriptor is.
        unsafe { get_file(self.file as *mut file) };
        OpenFile {
            file: self.file,
            closed: Cell::new(false),
        }
    }

    /// The file, for C functions.
    pub fn as_raw(&self) -> *mut file {
        self.file as *mut file
    }

    /// `fdget`: the file, with a reference, unless this descriptor has been closed.
    pub(crate) fn get(&self) -> Result<*mut file> {
        preempt();
        let open = !self.closed.get() && world(|w| w.get_file(self.file));
        match open {
            true => Ok(self.file as *mut file),
            false => Err(Error::from_errno(error(EBADF))),
        }
    }

    /// What was opened.
    pub(crate) fn name(&self) -> Rc<str> {
        world(|w| {
            w.open_file(self.file)
                .map_or_else(nobody, |open| open.name.clone())
        })
    }

    /// Run a system call on the file: it holds a reference meanwhile.
    #[track_caller]
    fn call<R>(
        &self,
        what: &'static str,
        user: Option<Range<usize>>,
        call: impl FnOnce(*mut file, file_operations) -> R,
    ) -> Result<R> {
        let place = Location::caller();
        let file = self.get()?;
        let name = self.name();
        let fops = file_operations_of(file, place);
        world(|w| {
            w.note(what, &name, Some(place));
            w.misc.user.extend(user.clone());
        });
        let result = call(file, fops);
        world(|w| {
            if let Some(user) = user {
                let index = w.misc.user.iter().position(|range| *range == user);
                w.misc.user.remove(index.expect("registered above"));
            }
        });
        put(self.file, place);
        leave_system_call();
        Ok(result)
    }

    /// `read(2)`
    #[track_caller]
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let range = buffer.as_mut_ptr_range();
        let user = range.start as usize..range.end as usize;
        let (start, len) = (buffer.as_mut_ptr(), buffer.len());
        let result = self.call("reads", Some(user), |file, fops| {
            transfer(file, start, len, ITER_DEST, |kiocb, iter, pos| {
                // SAFETY: the operation of an open file is called with that file, a user buffer
                // and its position.
                let old = fops.read.map(|read| unsafe { read(file, start, len, pos) });
                // SAFETY: as above; the iterator walks along that buffer.
                old.or_else(|| fops.read_iter.map(|read| unsafe { read(kiocb, iter) }))
            })
        })?;
        transferred(result)
    }

    /// `read(2)` of one byte, to an address at which the program has no memory.
    #[track_caller]
    pub fn read_to_nowhere(&self) -> Result<usize> {
        let nowhere = std::ptr::without_provenance_mut(8);
        let result = self.call("reads", None, |file, fops| {
            transfer(file, nowhere, 1, ITER_DEST, |kiocb, iter, pos| {
                // SAFETY: as for `read`; a program may pass any address.
                let old = fops.read.map(|read| unsafe { read(file, nowhere, 1, pos) });
                // SAFETY: as above.
                old.or_else(|| fops.read_iter.map(|read| unsafe { read(kiocb, iter) }))
            })
        })?;
        transferred(result)
    }

    /// `preadv2(2)` with `RWF_NOWAIT`.
    #[track_caller]
    pub fn read_nowait(&self, buffer: &mut [u8]) -> Result<usize> {
        let range = buffer.as_mut_ptr_range();
        let user = range.start as usize..range.end as usize;
        let (start, len) = (buffer.as_mut_ptr(), buffer.len());
        let result = self.call("reads", Some(user), |file, fops| {
            // SAFETY: the file is open.
            if unsafe { (*file).f_mode } & FMODE_NOWAIT == 0 {
                return error(EOPNOTSUPP) as isize;
            }
            transfer(file, start, len, ITER_DEST, |kiocb, iter, _| {
                // SAFETY: as for `read`; the operation is ours to call.
                unsafe { (*kiocb).ki_flags |= IOCB_NOWAIT };
                // SAFETY: as for `read`.
                fops.read_iter.map(|read| unsafe { read(kiocb, iter) })
            })
        })?;
        transferred(result)
    }

    /// `lseek(2)`
    #[track_caller]
    pub fn lseek(&self, offset: i64, whence: u32) -> Result<i64> {
        let result = self.call("seeks in", None, |file, fops| match fops.llseek {
            // SAFETY: the operation of an open file is called with that file.
            Some(llseek) => unsafe { llseek(file, offset, whence as ffi::c_int) },
            None => error(ESPIPE).into(),
        })?;
        match result {
            0.. => Ok(result),
            _ => Err(Error::from_errno(user_error(result as isize))),
        }
    }

    /// `fsync(2)`
    #[track_caller]
    pub fn fsync(&self) -> Result {
        let result = self.call("syncs", None, |file, fops| match fops.fsync {
            // SAFETY: as above.
            Some(fsync) => unsafe { fsync(file, 0, i64::MAX, 0) },
            None => error(EINVAL),
        })?;
        match result {
            0 => Ok(()),
            _ => Err(Error::from_errno(user_error(result as isize))),
        }
    }

    /// `ioctl(2)` by a program of 32 bits.
    #[track_caller]
    pub fn compat_ioctl(&self, cmd: u32, arg: u32) -> Result<isize> {
        let result = self.call("calls ioctl of", None, |file, fops| {
            match fops.compat_ioctl {
                // SAFETY: as above.
                Some(ioctl) => unsafe { ioctl(file, cmd, arg as usize) },
                None => error(ENOTTY) as isize,
            }
        })?;
        match result {
            0.. => Ok(result),
            _ => Err(Error::from_errno(user_error(result))),
        }
    }

    /// `open("/proc/self/fd/<this>")`: the same inode, another file.
    #[track_caller]
    pub fn reopen(&self, flags: OpenFlags) -> Result<OpenFile> {
        let place = Location::caller();
        let name = self.name();
        step("opens again", &name, place);
        // SAFETY: the file is open, since this descriptor is.
        let inode = unsafe { (*(self.file as *const file)).f_inode };
        if cdev::get_inode(inode as usize) {
            return open_inode(inode, name, flags, place);
        }
        // Inodes of misc devices are not shared here; another one with the same number will do.
        let again: *mut inode_type = device::allocate("inode");
        // SAFETY: just allocated with the size of its type; the other one is there.
        unsafe {
            again.write(inode_type {
                i_rdev: (*inode).i_rdev,
                ..Default::default()
            });
        }
        open_inode(again, name, flags, place)
    }

    /// `write(2)`
    #[track_caller]
    pub fn write(&self, buffer: &[u8]) -> Result<usize> {
        let range = buffer.as_ptr_range();
        let user = range.start as usize..range.end as usize;
        let (start, len) = (buffer.as_ptr().cast_mut(), buffer.len());
        let result = self.call("writes", Some(user), |file, fops| {
            transfer(file, start, len, ITER_SOURCE, |kiocb, iter, pos| {
                // SAFETY: as for `read`.
                let old = fops
                    .write
                    .map(|write| unsafe { write(file, start, len, pos) });
                // SAFETY: as for `read`.
                old.or_else(|| fops.write_iter.map(|write| unsafe { write(kiocb, iter) }))
            })
        })?;
        transferred(result)
    }

    /// `ioctl(2)` with a number for an argument.
    #[track_caller]
    pub fn ioctl(&self, cmd: u32, arg: usize) -> Result<isize> {
        self.ioctl_at(cmd, arg, None)
    }

    /// `ioctl(2)` with the address of a buffer for an argument.
    #[track_caller]
    pub fn ioctl_buffer(&self, cmd: u32, buffer: &mut [u8]) -> Result<isize> {
        let range = buffer.as_mut_ptr_range();
        let user = range.start as usize..range.end as usize;
        self.ioctl_at(cmd, user.start, Some(user))
    }

    #[track_caller]
    fn ioctl_at(&self, cmd: u32, arg: usize, user: Option<Range<usize>>) -> Result<isize> {
        let result = self.call("calls ioctl of", user, |file, fops| {
            match fops.unlocked_ioctl {
                // SAFETY: the operation of an open file is called with that file.
                Some(ioctl) => unsafe { ioctl(file, cmd, arg) },
                None => error(ENOTTY) as isize,
            }
        })?;
        match result {
            0.. => Ok(result),
            _ => Err(Error::from_errno(user_error(result))),
        }
    }

    /// `close(2)`. A second one gives `EBADF`.
    #[track_caller]
    pub fn close(&self) -> Result {
        let place = Location::caller();
        if self.closed.replace(true) {
            return Err(Error::from_errno(error(EBADF)));
        }
        let file = self.file as *mut file;
        step("closes", &self.name(), place);
        // SAFETY: the file is open, since this descriptor was.
        if let Some(flush) = unsafe { (*(*file).f_op).flush } {
            // SAFETY: `flush` is called at each close of an open file.
            unsafe { flush(file, std::ptr::null_mut()) };
        }
        put(self.file, place);
        leave_system_call();
        Ok(())
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        // At the end of the machine, it has closed what was open.
        let open = super::machine::try_world_if_free(|w| w.open_file(self.file).is_some());
        if !self.closed.get() && open == Some(true) {
            let _ = self.close();
        }
    }
}

fn transferred(result: isize) -> Result<usize> {
    match result {
        0.. => Ok(result as usize),
        _ => Err(Error::from_errno(user_error(result))),
    }
}

/// `vfs_read` and `vfs_write`: give `call` what the old and the new operations take.
fn transfer(
    file: *mut file,
    start: *mut u8,
    len: usize,
    direction: u32,
    call: impl FnOnce(*mut kiocb, *mut iov_iter, *mut loff_t) -> Option<isize>,
) -> isize {
    // SAFETY: the file is open.
    let mut pos = unsafe { (*file).f_pos };
    let mut kiocb = kiocb {
        ki_filp: file,
        ki_pos: pos,
        ..Default::default()
    };
    let mut iter = iov_iter {
        data_source: direction == ITER_SOURCE,
        ubuf: start.cast(),
        count: len,
        ..Default::default()
    };
    let before = pos;
    let Some(result) = call(&mut kiocb, &mut iter, &mut pos) else {
        return error(EINVAL) as isize;
    };
    // SAFETY: the file is open: the call holds a reference.
    unsafe { (*file).f_pos = if pos != before { pos } else { kiocb.ki_pos } };
    result
}

// ---- User memory ----

#[track_caller]
pub unsafe fn _copy_to_iter(addr: *const ffi::c_void, bytes: usize, i: *mut iov_iter) -> usize {
    let place = Location::caller();
    // SAFETY: the caller gives an iterator.
    let iter = unsafe { &mut *i };
    let n = bytes.min(iter.count);
    let user = iter.ubuf.wrapping_byte_add(iter.iov_offset);
    // SAFETY: the caller gives `bytes` bytes to read at `addr`.
    let left = unsafe { copy(user, addr, n, user, place) };
    iter.iov_offset += n - left;
    iter.count -= n - left;
    n - left
}

#[track_caller]
pub unsafe fn _copy_from_iter(addr: *mut ffi::c_void, bytes: usize, i: *mut iov_iter) -> usize {
    let place = Location::caller();
    // SAFETY: the caller gives an iterator.
    let iter = unsafe { &mut *i };
    let n = bytes.min(iter.count);
    let user = iter.ubuf.wrapping_byte_add(iter.iov_offset);
    // SAFETY: the caller gives `bytes` bytes to write at `addr`.
    let left = unsafe { copy(addr, user, n, user, place) };
    iter.iov_offset += n - left;
    iter.count -= n - left;
    n - left
}

/// Copy between the kernel and user memory at `user`. Returns how much was not copied.
///
/// # Safety
///
/// The kernel's side of the copy has `n` bytes.
#[track_caller]
unsafe fn copy(
    to: *mut ffi::c_void,
    from: *const ffi::c_void,
    n: usize,
    user: *const ffi::c_void,
    place: Place,
) -> usize {
    preempt();
    let allowed = world(|w| {
        // A page fault may have to read the page in.
        w.might_sleep("an access to user memory", place);
        let kernel = if std::ptr::eq(user, from) {
            to.cast_const()
        } else {
            from
        };
        if n > 0 {
            w.check(kernel as usize, n, "a copy", place);
        }
        w.misc.is_user(user as usize, n)
    });
    if !allowed {
        return n;
    }
    // SAFETY: the user's side is a buffer of the system call in progress, the kernel's is promised.
    unsafe { std::ptr::copy(from.cast::<u8>(), to.cast::<u8>(), n) };
    0
}

#[track_caller]
pub unsafe fn copy_to_user(
    to: *mut ffi::c_void,
    from: *const ffi::c_void,
    n: ffi::c_ulong,
) -> ffi::c_ulong {
    // SAFETY: the caller gives `n` bytes at `from`.
    unsafe { copy(to, from, n, to, Location::caller()) }
}

#[track_caller]
pub unsafe fn copy_from_user(
    to: *mut ffi::c_void,
    from: *const ffi::c_void,
    n: ffi::c_ulong,
) -> ffi::c_ulong {
    // SAFETY: the caller gives `n` bytes at `to`.
    unsafe { copy(to, from, n, from, Location::caller()) }
}

#[track_caller]
pub unsafe fn _copy_to_user(
    to: *mut ffi::c_void,
    from: *const ffi::c_void,
    n: ffi::c_ulong,
) -> ffi::c_ulong {
    // SAFETY: the caller's promise is passed on.
    unsafe { copy_to_user(to, from, n) }
}

#[track_caller]
pub unsafe fn _copy_from_user(
    to: *mut ffi::c_void,
    from: *const ffi::c_void,
    n: ffi::c_ulong,
) -> ffi::c_ulong {
    // SAFETY: the caller's promise is passed on.
    unsafe { copy_from_user(to, from, n) }
}

#[track_caller]
pub unsafe fn strncpy_from_user(
    dst: *mut ffi::c_char,
    src: *const ffi::c_char,
    count: ffi::c_long,
) -> ffi::c_long {
    for index in 0..count {
        let mut byte = 0u8;
        let from = src.wrapping_add(index as usize);
        // SAFETY: one byte is copied into a variable; `copy` checks the user's side.
        if unsafe { copy_from_user((&raw mut byte).cast(), from.cast(), 1) } != 0 {
            return error(EFAULT) as ffi::c_long;
        }
        // SAFETY: the caller gives `count` bytes at `dst`.
        unsafe { dst.add(index as usize).write(byte) };
        if byte == 0 {
            return index;
        }
    }
    count
}

pub unsafe fn iov_iter_count(i: *const iov_iter) -> usize {
    // SAFETY: the caller gives an iterator.
    unsafe { (*i).count }
}

pub unsafe fn iov_iter_advance(i: *mut iov_iter, bytes: usize) {
    // SAFETY: the caller gives an iterator.
    let iter = unsafe { &mut *i };
    let n = bytes.min(iter.count);
    iter.iov_offset += n;
    iter.count -= n;
}

pub unsafe fn iov_iter_revert(i: *mut iov_iter, bytes: usize) {
    // SAFETY: the caller gives an iterator.
    let iter = unsafe { &mut *i };
    let n = bytes.min(iter.iov_offset);
    iter.iov_offset -= n;
    iter.count += n;
}

// ---- Small things ----

pub unsafe fn iminor(inode: *const inode) -> ffi::c_uint {
    // SAFETY: the caller gives an inode.
    unsafe { (*inode).i_rdev & 0xf_ffff }
}

pub unsafe fn noop_llseek(file: *mut file, _offset: loff_t, _whence: ffi::c_int) -> loff_t {
    // SAFETY: the caller gives a file.
    unsafe { (*file).f_pos }
}

pub unsafe fn vfs_setpos(file: *mut file, offset: loff_t, maxsize: loff_t) -> loff_t {
    if !(0..=maxsize).contains(&offset) {
        return error(EINVAL).into();
    }
    // SAFETY: the caller gives a file.
    unsafe { (*file).f_pos = offset };
    offset
}

pub unsafe fn fixed_size_llseek(
    file: *mut file,
    offset: loff_t,
    whence: ffi::c_int,
    size: loff_t,
) -> loff_t {
    // SAFETY: the caller gives a file.
    let at = unsafe { (*file).f_pos };
    let to = match whence as u32 {
        SEEK_SET => Some(offset),
        SEEK_CUR => at.checked_add(offset),
        SEEK_END => size.checked_add(offset),
        _ => None,
    };
    match to {
        // SAFETY: as above.
        Some(to) => unsafe { vfs_setpos(file, to, size) },
        None => error(EINVAL).into(),
    }
}

pub unsafe fn nonseekable_open(_inode: *mut inode, _filp: *mut file) -> ffi::c_int {
    0
}

pub unsafe fn stream_open(_inode: *mut inode, _filp: *mut file) -> ffi::c_int {
    0
}

pub unsafe fn generic_file_open(_inode: *mut inode, _filp: *mut file) -> ffi::c_int {
    0
}

/// A program of 32 bits is served as others are, with a pointer made of its argument.
pub unsafe extern "C" fn compat_ptr_ioctl(
    filp: *mut file,
    cmd: ffi::c_uint,
    arg: ffi::c_ulong,
) -> ffi::c_long {
    // SAFETY: the file is open for the time of the call.
    unsafe {
        match (*(*filp).f_op).unlocked_ioctl {
            Some(ioctl) => ioctl(filp, cmd, arg as u32 as ffi::c_ulong),
            None => error(ENOIOCTLCMD) as ffi::c_long,
        }
    }
}

/// What a file without a `poll` operation is ready for.
pub(crate) const DEFAULT_POLL: u32 = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;

/// Queue the file's poller on the wait queue, if it means to wait.
pub unsafe fn poll_wait(filp: *mut file, wait_address: *mut wait_queue_head_t, p: *mut poll_table) {
    if p.is_null() {
        return;
    }
    // SAFETY: the caller gives a poll table.
    if let Some(queue) = unsafe { (*p)._qproc } {
        // SAFETY: the table's function is called as the table is meant to be used.
        unsafe { queue(filp, wait_address, p) };
    }
}

// ---- What `src/` declares as `extern "C"` ----

/// `iocb->ki_flags & IOCB_NOWAIT`
///
/// # Safety
///
/// `iocb` belongs to a call that goes on.
#[no_mangle]
pub unsafe extern "C" fn devscope_iocb_nowait(iocb: *const kiocb) -> bool {
    // SAFETY: asked of the caller.
    unsafe { (*iocb).ki_flags & IOCB_NOWAIT != 0 }
}

/// `file->f_mode |= FMODE_NOWAIT`
///
/// # Safety
///
/// `file` is being opened.
#[no_mangle]
pub unsafe extern "C" fn devscope_file_set_nowait(file: *mut file) {
    // SAFETY: asked of the caller.
    unsafe { (*file).f_mode |= FMODE_NOWAIT };
}

/// The name of a task, by its number.
///
/// # Safety
///
/// There is room for 16 characters.
#[no_mangle]
pub unsafe extern "C" fn devscope_task_comm(pid: ffi::c_int, comm: *mut ffi::c_char) {
    let name = world(|w| {
        let task = usize::try_from(pid - 1)
            .ok()
            .and_then(|index| w.tasks.get(index));
        task.map_or_else(nobody, |task| task.name.clone())
    });
    let name = name.bytes().take(15).chain([0]);
    for (at, byte) in name.enumerate() {
        // SAFETY: at most 16 characters.
        unsafe { comm.add(at).write(byte as ffi::c_char) };
    }
}

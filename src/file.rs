// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Device nodes whose open files outlive the device, and know it.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! A node is registered with [`Scope::misc_device`](crate::Scope::misc_device) or
//! [`Scope::cdev`](crate::Scope::cdev); what is said here is true of both.
//!
//! Two things are kept apart here that C drivers like to keep in one structure:
//!
//! - the *device side*, [`File::Device`]: what operations use while the device is bound. It borrows
//!   from the driver's data and holds handles of the scope.
//! - the *file*, the type that implements [`File`]: what one `open()` made. It is counted, lives
//!   until the last close, whether the device is bound or not, and borrows nothing.
//!
//! Every operation that is given the device side runs inside the gate of its device node. When the
//! scope ends, the gate closes, operations in flight are waited for, and from then on the framework
//! itself answers: `ENODEV` from `open()`, `read()`, `write()`, `ioctl()`, `lseek()`, `fsync()` and
//! `mmap()`, a hang-up and an error from `poll()`, success from `close()`; and whoever touches what it
//! had mapped gets SIGBUS. [`File::release`] is given no device side, because there may be none any more.
//!
//! An operation may sleep inside the gate. For unbind not to wait for it in turn, it sleeps on a
//! [`WaitQueue`](crate::wait::WaitQueue) of the scope. If one does not come back, unbinding waits, and
//! after a while says in the kernel log which operation of which task it waits for:
//! [`Scope::report_operations_after`](crate::Scope::report_operations_after).
//!
//! Not covered: completion after the operation has returned (`EIOCBQUEUED`), `fasync`, `flush`, locks,
//! `splice` other than through `read_iter` and `write_iter`.

use crate::{
    body::Body,
    front::{FrontRef, Opened, Operation},
    helpers,
    mmap::{self, Area, Mapping},
    poll::{Events, PollTable},
    scope::{Member, Step},
};
use core::{marker::PhantomData, mem::MaybeUninit, ptr::NonNull};
use kernel::{
    bindings,
    error::VTABLE_DEFAULT_ERROR,
    iov::{IovIterDest, IovIterSource},
    module::this_module,
    prelude::*,
    sync::Arc,
};

/// One open file of a device node, and what programs can do with it.
///
/// It outlives the device, so it borrows nothing from it: `'static`. What an operation needs of the
/// device it is given as `dev`. Keep in the file what belongs to the program that opened it.
///
/// Operations run in process context, for the program that called, may sleep, and run concurrently
/// with each other and with everything else. Put `#[vtable]` on the implementation: an operation
/// that is left out is one that the file does not have.
///
/// "Must outlive the static lifetime" (E0478), said of an implementation, means that the type borrows
/// from the device, or holds a handle. Move that into [`File::Device`], and use it through `dev`.
#[vtable]
pub trait File: Send + Sync + Sized + 'static {
    /// What an operation may use while the device is bound: usually a structure of `&'a Data` and
    /// some handles.
    ///
    /// It lives for `'a`, the time of the scope, so it borrows nothing that ends earlier. (The bound
    /// says what `Self: 'static` implies already, but for a bug of rustc, rust-lang/rust#84366: a
    /// closure's lifetime does not cover its signature, and a type can hide a borrow there. It stops
    /// the direct way of doing so, not every one.)
    type Device<'a>: Send + Sync + 'a;

    /// Whether reads and writes keep the promise that they do not sleep where
    /// [`Kiocb::nonblocking`] says so: `FMODE_NOWAIT`.
    ///
    /// It lets programs ask for that call by call (`RWF_NOWAIT`), and io_uring try before it hands a
    /// request to a thread. Without it the former is refused with `EOPNOTSUPP`.
    const NOWAIT: bool = false;

    /// A program opens the node.
    ///
    /// For a misc device it runs under `misc_mtx`, as in C: no other one can be opened meanwhile.
    fn open(dev: &Self::Device<'_>) -> Result<Arc<Self>>;

    /// A program reads. Returns the number of bytes given to `to`; 0 is the end of the file.
    fn read_iter(
        &self,
        dev: &Self::Device<'_>,
        kiocb: &mut Kiocb<'_>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        let _ = (dev, kiocb, to);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A program writes. Returns the number of bytes taken out of `from`.
    fn write_iter(
        &self,
        dev: &Self::Device<'_>,
        kiocb: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        let _ = (dev, kiocb, from);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A program calls `ioctl()`. `cmd` is usually made with [`kernel::ioctl`]; `arg` is whatever
    /// the program passed, often a pointer into its memory.
    ///
    /// `ENOTTY` is the answer to a command that is not known.
    fn ioctl(&self, dev: &Self::Device<'_>, cmd: u32, arg: usize) -> Result<isize> {
        let _ = (dev, cmd, arg);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A program of 32 bits calls `ioctl()` on a kernel of 64.
    ///
    /// Left out, such a program gets [`File::ioctl`] with `arg` made a pointer of the kernel's size
    /// (`compat_ptr_ioctl()`). That is right for commands whose argument is a pointer to something that
    /// looks the same in both worlds, or is not looked at; where it is a number, or a structure with
    /// pointers or `long`s in it, write this. `arg` is what the program passed, as it is.
    fn compat_ioctl(&self, dev: &Self::Device<'_>, cmd: u32, arg: usize) -> Result<isize> {
        let _ = (dev, cmd, arg);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A program moves the position. Returns the new one, in bytes from the beginning.
    ///
    /// Left out, the file has no position that can be moved, and `lseek()` gives `ESPIPE`.
    fn llseek(&self, dev: &Self::Device<'_>, seek: Seek<'_>) -> Result<i64> {
        let _ = (dev, seek);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A program wants what it has written, from byte `start` to byte `end` of the file, to be where
    /// it stays: `fsync()`, or `fdatasync()` if `datasync`.
    ///
    /// Left out, it gets `EINVAL`.
    fn fsync(&self, dev: &Self::Device<'_>, start: i64, end: i64, datasync: bool) -> Result {
        let _ = (dev, start, end, datasync);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A program maps `area` of the file. Returns what is to be found there.
    ///
    /// What is mapped lives for `'a`, so it outlasts the scope, whose end takes the mapping away. See
    /// [`mmap`](crate::mmap).
    ///
    /// The program's address space is locked: nothing may be copied from or to user memory here.
    fn mmap<'a>(&self, dev: &Self::Device<'a>, area: &Area<'a>) -> Result<Mapping<'a>> {
        let _ = (dev, area);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// A program asks what the file is ready for: by `poll()`, `select()`, `epoll` and the like.
    ///
    /// Registers with `table` for every queue that is woken when the answer changes, and *then* looks
    /// what is ready: see [`poll`](crate::poll). Does not wait for it; that is the caller's business.
    fn poll(&self, dev: &Self::Device<'_>, table: &mut PollTable<'_>) -> Events {
        let _ = (dev, table);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The last reference to the open file is gone.
    ///
    /// It may come long after the device: there is no device side here, and nothing of the device
    /// could have been kept in `this`. Dropping `this` is all that most files need.
    fn release(this: Arc<Self>) {
        drop(this);
    }
}

/// One call of `read()` or `write()`: `struct kiocb`.
pub struct Kiocb<'a> {
    kiocb: *mut bindings::kiocb,
    _call: PhantomData<&'a mut bindings::kiocb>,
}

impl Kiocb<'_> {
    /// Where in the file the call starts, in bytes.
    pub fn ki_pos(&self) -> i64 {
        // SAFETY: The call is going on, and this is ours for its time.
        unsafe { (*self.kiocb).ki_pos }
    }

    /// The position, to be advanced by what was read or written.
    pub fn ki_pos_mut(&mut self) -> &mut i64 {
        // SAFETY: As above, and `&mut self` makes it exclusive.
        unsafe { &mut (*self.kiocb).ki_pos }
    }

    /// Whether the call must not sleep for what it reads or writes, because the file (`O_NONBLOCK`) or
    /// this one call (`RWF_NOWAIT`, io_uring) says so: return `EAGAIN` instead.
    pub fn nonblocking(&self) -> bool {
        // SAFETY: As above; the call's file stays open for its time.
        unsafe {
            (*(*self.kiocb).ki_filp).f_flags & bindings::O_NONBLOCK != 0
                || helpers::devscope_iocb_nowait(self.kiocb)
        }
    }
}

/// Where to a program moves the position of a file: `lseek()`.
pub struct Seek<'s> {
    file: *mut bindings::file,
    offset: i64,
    whence: c_int,
    _call: PhantomData<&'s mut bindings::file>,
}

/// What an offset is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// `SEEK_SET`: the beginning.
    Set,
    /// `SEEK_CUR`: where the file is.
    Current,
    /// `SEEK_END`: the end, whatever that is.
    End,
    /// `SEEK_DATA`: the next byte that is no hole, at or behind the offset.
    Data,
    /// `SEEK_HOLE`: the next hole, at or behind the offset.
    Hole,
}

impl Seek<'_> {
    /// How far.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// From where. Errors: `EINVAL` for what is not known here.
    pub fn whence(&self) -> Result<Whence> {
        match self.whence as u32 {
            bindings::SEEK_SET => Ok(Whence::Set),
            bindings::SEEK_CUR => Ok(Whence::Current),
            bindings::SEEK_END => Ok(Whence::End),
            bindings::SEEK_DATA => Ok(Whence::Data),
            bindings::SEEK_HOLE => Ok(Whence::Hole),
            _ => Err(EINVAL),
        }
    }

    /// Moves within a file of `size` bytes, as programs expect of one: `fixed_size_llseek()`.
    ///
    /// Errors: `EINVAL` if that is before its beginning, behind its end, or not to be understood.
    pub fn within(self, size: i64) -> Result<i64> {
        // SAFETY: The call is going on, and the file open.
        let at = unsafe { bindings::fixed_size_llseek(self.file, self.offset, self.whence, size) };
        Self::answer(at)
    }

    /// Moves to `position`, whatever was asked: `vfs_setpos()`. Errors: `EINVAL` if it is negative.
    pub fn to(self, position: i64) -> Result<i64> {
        // SAFETY: As above.
        Self::answer(unsafe { bindings::vfs_setpos(self.file, position, i64::MAX) })
    }

    fn answer(at: i64) -> Result<i64> {
        match at {
            0.. => Ok(at),
            _ => Err(Error::from_errno(at as c_int)),
        }
    }
}

/// What `private_data` of an open file points to.
///
/// `repr(C)`: the file's [`Opened`] comes first, for those who do not know `F`.
///
/// # Invariants
///
/// `device` may be dereferenced while inside the front of `opened`.
#[repr(C)]
struct Open<F: File> {
    opened: Opened,
    device: *const Body<F::Device<'static>>,
    file: Arc<F>,
}

/// Where a node hangs.
///
/// # Safety
///
/// When `withdraw` has returned, nobody finds the node any more, nor looks at `self`.
pub(crate) unsafe trait Place {
    /// Takes the node away. Process context, sleeps.
    ///
    /// # Safety
    ///
    /// Called once, for a node that has come to be.
    unsafe fn withdraw(&self);
}

/// A device node as a member of a scope.
#[pin_data]
pub(crate) struct Node<'a, F: File, P> {
    front: Body<FrontRef>,
    pub(crate) device: Body<F::Device<'a>>,
    #[pin]
    pub(crate) place: P,
}

// SAFETY: By the end of `Redrain` the node has been withdrawn, so `open()` cannot find it: requirement
// of `Place`. Every other operation reaches the member through the gate only, which has been closed and
// is idle. What programs had mapped through it is gone: `Unmap`.
unsafe impl<F: File, P: Place> Member for Node<'_, F, P> {
    unsafe fn step(this: NonNull<Self>, step: Step) {
        // SAFETY: `this` is a member of a scope; only shared references to it are made.
        let this = unsafe { this.as_ref() };
        match step {
            Step::Close => this.front().close(),
            // SAFETY: This step is taken once, by members that have joined.
            Step::Withdraw => unsafe { this.place.withdraw() },
            Step::AwaitUsers => this.front().wait_until_idle(),
            Step::Unmap if F::HAS_MMAP => this.front().unmap(),
            _ => {}
        }
    }

    unsafe fn drop_body(&self) {
        // SAFETY: The caller makes the same promise to us. The front lasts as long as the last open
        // file; only our count of it goes.
        unsafe {
            self.device.drop_in_place();
            self.front.drop_in_place();
        }
    }
}

impl<'a, F: File, P> Node<'a, F, P> {
    /// Makes the member. `place` comes last: it makes the node live.
    pub(crate) fn new(
        front: FrontRef,
        device: F::Device<'a>,
        place: impl PinInit<P, Error>,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            front: Body::new(front),
            device: Body::new(device),
            place <- place,
        })
    }

    /// The front, for steps before `DropBodies`, and for `open()`, which finds no node after `Withdraw`.
    pub(crate) fn front(&self) -> &FrontRef {
        // SAFETY: Our count is dropped in `DropBodies`, and this is called earlier only.
        unsafe { self.front.get() }
    }
}

/// Opens a file of a node.
///
/// # Safety
///
/// - `file` is being opened, by a node that has this front and this device side.
/// - `device` lasts until the front's gate has been closed and idle.
pub(crate) unsafe fn open<F: File>(
    front: &FrontRef,
    device: *const Body<F::Device<'static>>,
    file: *mut bindings::file,
) -> c_int {
    let opened = (|| {
        let _inside = front.enter(Operation::Open).ok_or(ENODEV)?;
        // SAFETY: Inside the gate; the device side is dropped after the gate was idle.
        let side = unsafe { (*device).get() };
        let open = KBox::<Open<F>>::new_uninit(GFP_KERNEL)?;
        let own = F::open(side)?;
        // INVARIANT: The node is freed only after its gate is closed and idle.
        let open = KBox::into_raw(open.write(Open {
            // SAFETY: The file is being opened, and `release` removes it from the list.
            opened: unsafe { Opened::new(front.clone(), file) },
            device,
            file: own,
        }));
        // SAFETY: In place until `release`, which removes it first; and we are inside.
        unsafe { front.add(NonNull::new_unchecked(open.cast())) };
        Ok(open)
    })();
    match opened {
        Ok(open) => {
            // SAFETY: The file is being opened, so nobody else looks at it.
            unsafe {
                (*file).private_data = open.cast();
                if F::NOWAIT {
                    helpers::devscope_file_set_nowait(file);
                }
            }
            0
        }
        Err(error) => Error::to_errno(error),
    }
}

/// # Safety
///
/// `file` was opened by [`open`], and this is the last anybody does with it.
pub(crate) unsafe extern "C" fn release<F: File>(
    _: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY: `open` left a `KBox<Open<F>>` there, and this is the one place to take it back. It is on
    // the list of its front since then.
    let Open { opened, file, .. } = unsafe {
        let open = KBox::from_raw((*file).private_data.cast::<Open<F>>());
        open.opened.front().remove(&open.opened);
        KBox::into_inner(open)
    };
    let front = opened.into_front();
    F::release(file);
    // With this count of the front goes one of the queues. Nobody polls the file any more: see
    // `PollTable::register_wait`.
    drop(front);
    0
}

/// # Safety
///
/// `file` was opened by [`open`] and is not released before the result is dropped.
#[inline]
unsafe fn operate<F: File, R>(
    file: *mut bindings::file,
    operation: Operation,
    f: impl FnOnce(&F, &F::Device<'static>) -> Result<R>,
) -> Result<R> {
    // SAFETY: `open` left an `Open<F>` there, and the file is open.
    let open = unsafe { &*(*file).private_data.cast::<Open<F>>() };
    let _inside = open.opened.enter(operation).ok_or(ENODEV)?;
    // SAFETY: Inside the gate: invariant of `Open`. The device side is dropped after the gate was idle.
    // Its lifetime is written `'static` because the true one has no name here; the operation is
    // generic over it, so it cannot make use of the difference.
    let device = unsafe { (*open.device).get() };
    f(&open.file, device)
}

/// # Safety
///
/// `kiocb` belongs to a file opened by [`open`], and `to` is the destination of this call.
unsafe extern "C" fn read_iter<F: File>(
    kiocb: *mut bindings::kiocb,
    to: *mut bindings::iov_iter,
) -> isize {
    // SAFETY: By the requirements of this function; the caller keeps all three for the call.
    transferred(unsafe {
        operate((*kiocb).ki_filp, Operation::Read, |file: &F, device| {
            file.read_iter(device, &mut Kiocb::new(kiocb), IovIterDest::from_raw(to))
        })
    })
}

/// # Safety
///
/// `kiocb` belongs to a file opened by [`open`], and `from` is the source of this call.
unsafe extern "C" fn write_iter<F: File>(
    kiocb: *mut bindings::kiocb,
    from: *mut bindings::iov_iter,
) -> isize {
    // SAFETY: By the requirements of this function; the caller keeps all three for the call.
    transferred(unsafe {
        operate((*kiocb).ki_filp, Operation::Write, |file: &F, device| {
            file.write_iter(
                device,
                &mut Kiocb::new(kiocb),
                IovIterSource::from_raw(from),
            )
        })
    })
}

fn control(result: Result<isize>) -> c_long {
    match result {
        Ok(value) => value,
        Err(error) => error.to_errno() as c_long,
    }
}

/// # Safety
///
/// `file` was opened by [`open`].
pub(crate) unsafe extern "C" fn ioctl<F: File>(
    file: *mut bindings::file,
    cmd: c_uint,
    arg: c_ulong,
) -> c_long {
    // SAFETY: By the requirement of this function; the caller keeps the file for the call.
    control(unsafe {
        operate(file, Operation::Ioctl, |file: &F, device| {
            file.ioctl(device, cmd, arg)
        })
    })
}

/// # Safety
///
/// `file` was opened by [`open`].
unsafe extern "C" fn compat_ioctl<F: File>(
    file: *mut bindings::file,
    cmd: c_uint,
    arg: c_ulong,
) -> c_long {
    // SAFETY: By the requirement of this function; the caller keeps the file for the call.
    control(unsafe {
        operate(file, Operation::Ioctl, |file: &F, device| {
            file.compat_ioctl(device, cmd, arg)
        })
    })
}

/// # Safety
///
/// `file` was opened by [`open`].
unsafe extern "C" fn llseek<F: File>(
    file: *mut bindings::file,
    offset: bindings::loff_t,
    whence: c_int,
) -> bindings::loff_t {
    let seek = Seek {
        file,
        offset,
        whence,
        _call: PhantomData,
    };
    // SAFETY: By the requirement of this function; the caller keeps the file for the call.
    let moved = unsafe {
        operate(file, Operation::Llseek, |file: &F, device| {
            file.llseek(device, seek)
        })
    };
    moved.unwrap_or_else(|error| error.to_errno().into())
}

/// # Safety
///
/// `file` was opened by [`open`].
unsafe extern "C" fn fsync<F: File>(
    file: *mut bindings::file,
    start: bindings::loff_t,
    end: bindings::loff_t,
    datasync: c_int,
) -> c_int {
    // SAFETY: By the requirement of this function; the caller keeps the file for the call.
    let synced = unsafe {
        operate(file, Operation::Fsync, |file: &F, device| {
            file.fsync(device, start, end, datasync != 0)
        })
    };
    synced.map_or_else(Error::to_errno, |()| 0)
}

/// # Safety
///
/// `file` was opened by [`open`], and `vma` is a new mapping of it, whose address space is locked.
unsafe extern "C" fn mmap<F: File>(
    file: *mut bindings::file,
    vma: *mut bindings::vm_area_struct,
) -> c_int {
    // SAFETY: By the requirements of this function. What is mapped lasts for the `'a` of the device
    // side, so until after `Unmap`: the operation is generic over it.
    let mapped = unsafe {
        operate(file, Operation::Mmap, |file: &F, device| {
            let mapping = file.mmap(device, &Area::of(vma))?;
            mmap::establish(vma, mapping)
        })
    };
    mapped.map_or_else(Error::to_errno, |()| 0)
}

/// The device side's [`Opened`] of a file, for those who do not know its type.
///
/// # Safety
///
/// `file` was opened by [`open`], and is not released while the result is used.
pub(crate) unsafe fn opened<'f>(file: *mut bindings::file) -> &'f Opened {
    // SAFETY: `open` left an `Open` there, which starts with an `Opened`.
    unsafe { &*(*file).private_data.cast::<Opened>() }
}

/// # Safety
///
/// `file` was opened by [`open`]; `table` is null, or a poll table for the time of this
/// call, whose function follows the rule in [`PollTable::register_wait`].
unsafe extern "C" fn poll<F: File>(
    file: *mut bindings::file,
    table: *mut bindings::poll_table_struct,
) -> bindings::__poll_t {
    // SAFETY: The caller keeps the file for the call.
    let queues = unsafe { opened(file) }.front().queues();
    // SAFETY: The file keeps a count of its front, and that of its scope's queues, until it is
    // released. The rest is required of our caller.
    let mut table = unsafe { PollTable::new(file, table, queues) };
    // SAFETY: By the requirements of this function.
    let events = unsafe {
        operate(file, Operation::Poll, |file: &F, device| {
            Ok(file.poll(device, &mut table))
        })
    };
    // If the scope has begun to end, its queues may have been woken before the driver registered
    // with them, and nobody wakes them again. So this is looked at last.
    match events {
        Ok(events) if !table.is_over() => events.bits(),
        _ => (Events::HUP | Events::ERR).bits(),
    }
}

/// The operations of files of type `F`, which are opened by `open`.
pub(crate) const fn operations<F: File>(
    open: unsafe extern "C" fn(*mut bindings::inode, *mut bindings::file) -> c_int,
) -> bindings::file_operations {
    // SAFETY: All zeroes is a `file_operations` without operations.
    let mut fops: bindings::file_operations = unsafe { MaybeUninit::zeroed().assume_init() };
    // The module stays loaded while a file is open, so these functions stay where they are.
    fops.owner = this_module::<F::OwnerModule>().as_ptr();
    fops.open = Some(open);
    fops.release = Some(release::<F>);
    if F::HAS_READ_ITER {
        fops.read_iter = Some(read_iter::<F>);
    }
    if F::HAS_WRITE_ITER {
        fops.write_iter = Some(write_iter::<F>);
    }
    if F::HAS_IOCTL {
        fops.unlocked_ioctl = Some(ioctl::<F>);
    }
    if F::HAS_COMPAT_IOCTL {
        fops.compat_ioctl = Some(compat_ioctl::<F>);
    } else if F::HAS_IOCTL {
        fops.compat_ioctl = bindings::compat_ptr_ioctl;
    }
    if F::HAS_POLL {
        fops.poll = Some(poll::<F>);
    }
    if F::HAS_LLSEEK {
        fops.llseek = Some(llseek::<F>);
    }
    if F::HAS_FSYNC {
        fops.fsync = Some(fsync::<F>);
    }
    if F::HAS_MMAP {
        fops.mmap = Some(mmap::<F>);
    }
    fops
}

/// What a transfer returns to C.
///
/// `EIOCBQUEUED` would mean that the call completes later, through a `kiocb` that the operation
/// cannot have kept; the caller would wait for ever. It becomes `EIO`, and a count that is no count
/// becomes `EINVAL`.
fn transferred(result: Result<usize>) -> isize {
    match result {
        Ok(count) => isize::try_from(count).unwrap_or(EINVAL.to_errno() as isize),
        Err(error) if error.to_errno() == -(bindings::EIOCBQUEUED as c_int) => {
            EIO.to_errno() as isize
        }
        Err(error) => error.to_errno() as isize,
    }
}

impl Kiocb<'_> {
    /// # Safety
    ///
    /// `kiocb` is that of a call which goes on, and to which nobody else has access, for as long as
    /// the result lives.
    unsafe fn new(kiocb: *mut bindings::kiocb) -> Self {
        Self {
            kiocb,
            _call: PhantomData,
        }
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_file)]
mod tests {
    use super::*;
    use kernel::error::to_result;

    #[test]
    fn a_transfer_returns_a_count_or_an_error_and_never_that_it_goes_on() {
        let goes_on = to_result(-(bindings::EIOCBQUEUED as c_int)).map(|()| 0);
        assert_eq!(transferred(Ok(7)), 7);
        assert_eq!(transferred(Err(EFAULT)), EFAULT.to_errno() as isize);
        assert_eq!(transferred(Ok(usize::MAX)), EINVAL.to_errno() as isize);
        assert_eq!(transferred(goes_on), EIO.to_errno() as isize);
    }
}

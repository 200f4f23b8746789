// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Device nodes whose open files outlive the device, and know it.
//!
//! C headers: [`include/linux/miscdevice.h`](srctree/include/linux/miscdevice.h),
//! [`include/linux/fs.h`](srctree/include/linux/fs.h)
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
//! itself answers: `ENODEV` from `open()`, `read()`, `write()` and `ioctl()`, a hang-up and an error
//! from `poll()`, success from `close()`. [`File::release`] is given no device side, because there may be none any more.
//!
//! An operation may sleep inside the gate. For unbind not to wait for it in turn, it sleeps on a
//! [`WaitQueue`](crate::wait::WaitQueue) of the scope.
//!
//! Not covered yet: `mmap`, `llseek`, `fsync`, `compat_ioctl` other than none.

use crate::{
    body::Body,
    gate::Gate,
    poll::{Events, PollTable},
    scope::{Member, Scope, Step},
    wait::Queues,
};
use core::{
    marker::PhantomData,
    mem::{offset_of, MaybeUninit},
    ptr::NonNull,
};
use kernel::{
    bindings,
    error::{to_result, VTABLE_DEFAULT_ERROR},
    iov::{IovIterDest, IovIterSource},
    module::this_module,
    prelude::*,
    sync::Arc,
    types::Opaque,
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

    /// A program opens the node.
    ///
    /// Runs under `misc_mtx`, as in C: no other misc device can be opened meanwhile.
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

    /// Whether the program asked not to be made to sleep (`O_NONBLOCK`): return `EAGAIN` instead.
    pub fn nonblocking(&self) -> bool {
        // SAFETY: As above; the call's file stays open for its time.
        unsafe { (*(*self.kiocb).ki_filp).f_flags & bindings::O_NONBLOCK != 0 }
    }
}

/// What `private_data` of an open file points to.
///
/// # Invariants
///
/// `node` may be dereferenced while inside `gate`.
struct Open<F: File> {
    gate: Arc<Gate>,
    node: *const Node<'static, F>,
    file: Arc<F>,
    /// Of the node's scope. A program that polls the file has entries on them, which go before the
    /// file is released and may stay until then.
    queues: Arc<Queues>,
}

/// A device node as a member of a scope.
#[pin_data]
#[repr(C)]
struct Node<'a, F: File> {
    gate: Body<Arc<Gate>>,
    queues: Body<Arc<Queues>>,
    device: Body<F::Device<'a>>,
    #[pin]
    misc: Opaque<bindings::miscdevice>,
}

// SAFETY: By the end of `Redrain` the node has been deregistered, so `open()` cannot find it:
// `misc_deregister()` takes `misc_mtx`, under which `misc_open()` calls `open()`. Every other
// operation reaches the member through the gate only, which has been closed and is idle.
unsafe impl<F: File> Member for Node<'_, F> {
    unsafe fn step(this: NonNull<Self>, step: Step) {
        // SAFETY: `this` is a member of a scope; only shared references to it are made.
        let this = unsafe { this.as_ref() };
        match step {
            Step::Close => this.gate().close(),
            // SAFETY: The node was registered when the member was started, and is deregistered once.
            Step::Withdraw => unsafe { bindings::misc_deregister(this.misc.get()) },
            Step::AwaitUsers => this.gate().wait_until_idle(),
            _ => {}
        }
    }

    unsafe fn drop_body(&self) {
        // SAFETY: The caller makes the same promise to us. The gate and the queues last as long as the
        // last open file; only our counts of them go.
        unsafe {
            self.device.drop_in_place();
            self.queues.drop_in_place();
            self.gate.drop_in_place();
        }
    }
}

impl<'a, F: File> Node<'a, F> {
    /// Makes the member, which is a registered device node from then on. Errors: those of
    /// [`Scope::misc_device`].
    fn register(
        name: &'static CStr,
        device: F::Device<'a>,
        queues: Arc<Queues>,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            gate: Body::new(Gate::new()?),
            queues: Body::new(queues),
            device: Body::new(device),
            // SAFETY: The slot is ours and does not move any more; the rest of the node is there.
            // Name and operations are static, and `Withdraw` deregisters the device before the
            // member is freed.
            misc <- Opaque::try_ffi_init(move |slot: *mut bindings::miscdevice| unsafe {
                slot.write(MaybeUninit::zeroed().assume_init());
                (*slot).minor = bindings::MISC_DYNAMIC_MINOR as c_int;
                (*slot).name = name.as_char_ptr();
                (*slot).fops = &Self::OPERATIONS;
                to_result(bindings::misc_register(slot))
            }),
        })
    }

    fn gate(&self) -> &Gate {
        // SAFETY: Our count is dropped in `DropBodies`, and this is called in earlier steps only.
        unsafe { self.gate.get() }
    }

    /// # Safety
    ///
    /// `file` is being opened, and its `private_data` is the `misc` of a registered `Node<F>`, as
    /// `misc_open()` leaves it.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: We pass on what we were given.
        let error = unsafe { bindings::generic_file_open(inode, file) };
        if error != 0 {
            return error;
        }
        // SAFETY: `misc_open()` holds `misc_mtx`, so the node is not freed while we are here:
        // `Withdraw` takes the lock before that.
        let node = unsafe {
            (*file)
                .private_data
                .byte_sub(offset_of!(Self, misc))
                .cast::<Node<'static, F>>()
        };
        // SAFETY: As above.
        let (gate, queues) = unsafe { ((*node).gate.get(), (*node).queues.get()) };
        let opened = (|| {
            let _inside = gate.enter().ok_or(ENODEV)?;
            // SAFETY: Inside the gate; the device side is dropped after the gate was idle.
            let device = unsafe { (*node).device.get() };
            let open = KBox::<Open<F>>::new_uninit(GFP_KERNEL)?;
            let file = F::open(device)?;
            // INVARIANT: `node` is freed only after its gate is closed and idle.
            Ok(open.write(Open {
                gate: gate.clone(),
                node,
                file,
                queues: queues.clone(),
            }))
        })();
        match opened {
            Ok(open) => {
                // SAFETY: The file is being opened, so nobody else looks at `private_data`.
                unsafe { (*file).private_data = KBox::into_raw(open).cast() };
                0
            }
            Err(error) => Error::to_errno(error),
        }
    }

    /// # Safety
    ///
    /// `file` was opened by [`Self::open`], and this is the last anybody does with it.
    unsafe extern "C" fn release(_: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `open` left a `KBox<Open<F>>` there, and this is the one place to take it back.
        let open =
            KBox::into_inner(unsafe { KBox::from_raw((*file).private_data.cast::<Open<F>>()) });
        F::release(open.file);
        // With `open` goes its count of the queues. Nobody polls the file any more: see
        // `PollTable::register_wait`.
        0
    }

    /// # Safety
    ///
    /// `file` was opened by [`Self::open`] and is not released before the result is dropped.
    unsafe fn operate<R>(
        file: *mut bindings::file,
        operation: impl FnOnce(&F, &F::Device<'static>) -> Result<R>,
    ) -> Result<R> {
        // SAFETY: `open` left an `Open<F>` there, and the file is open.
        let open = unsafe { &*(*file).private_data.cast::<Open<F>>() };
        let _inside = open.gate.enter().ok_or(ENODEV)?;
        // SAFETY: Inside the gate: invariant of `Open`. The device side is dropped after the gate
        // was idle. Its lifetime is written `'static` because the true one has no name here; the
        // operation is generic over it, so it cannot make use of the difference.
        let device = unsafe { (*open.node).device.get() };
        operation(&open.file, device)
    }

    /// # Safety
    ///
    /// `kiocb` belongs to a file opened by [`Self::open`], and `to` is the destination of this call.
    unsafe extern "C" fn read_iter(
        kiocb: *mut bindings::kiocb,
        to: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: By the requirements of this function; the caller keeps all three for the call.
        transferred(unsafe {
            Self::operate((*kiocb).ki_filp, |file, device| {
                file.read_iter(device, &mut Kiocb::new(kiocb), IovIterDest::from_raw(to))
            })
        })
    }

    /// # Safety
    ///
    /// `kiocb` belongs to a file opened by [`Self::open`], and `from` is the source of this call.
    unsafe extern "C" fn write_iter(
        kiocb: *mut bindings::kiocb,
        from: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: By the requirements of this function; the caller keeps all three for the call.
        transferred(unsafe {
            Self::operate((*kiocb).ki_filp, |file, device| {
                file.write_iter(
                    device,
                    &mut Kiocb::new(kiocb),
                    IovIterSource::from_raw(from),
                )
            })
        })
    }

    /// # Safety
    ///
    /// `file` was opened by [`Self::open`].
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: By the requirement of this function; the caller keeps the file for the call.
        let result = unsafe { Self::operate(file, |file, device| file.ioctl(device, cmd, arg)) };
        match result {
            Ok(value) => value,
            Err(error) => error.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// `file` was opened by [`Self::open`]; `table` is null, or a poll table for the time of this
    /// call, whose function follows the rule in [`PollTable::register_wait`].
    unsafe extern "C" fn poll(
        file: *mut bindings::file,
        table: *mut bindings::poll_table_struct,
    ) -> bindings::__poll_t {
        // SAFETY: `open` left an `Open<F>` there, and the caller keeps the file for the call.
        let queues = unsafe { &(*(*file).private_data.cast::<Open<F>>()).queues };
        // SAFETY: The file keeps a count of its scope's queues until it is released. The rest is
        // required of our caller.
        let mut table = unsafe { PollTable::new(file, table, queues) };
        // SAFETY: By the requirements of this function.
        let events =
            unsafe { Self::operate(file, |file, device| Ok(file.poll(device, &mut table))) };
        // If the scope has begun to end, its queues may have been woken before the driver registered
        // with them, and nobody wakes them again. So this is looked at last.
        match events {
            Ok(events) if !table.is_over() => events.bits(),
            _ => (Events::HUP | Events::ERR).bits(),
        }
    }

    const OPERATIONS: bindings::file_operations = {
        // SAFETY: All zeroes is a `file_operations` without operations.
        let mut fops: bindings::file_operations = unsafe { MaybeUninit::zeroed().assume_init() };
        // The module stays loaded while a file is open, so these functions stay where they are.
        fops.owner = this_module::<F::OwnerModule>().as_ptr();
        fops.open = Some(Self::open);
        fops.release = Some(Self::release);
        if F::HAS_READ_ITER {
            fops.read_iter = Some(Self::read_iter);
        }
        if F::HAS_WRITE_ITER {
            fops.write_iter = Some(Self::write_iter);
        }
        if F::HAS_IOCTL {
            fops.unlocked_ioctl = Some(Self::ioctl);
        }
        if F::HAS_POLL {
            fops.poll = Some(Self::poll);
        }
        fops
    };
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

impl<'a> Scope<'a> {
    /// Registers a misc device: the node `/dev/<name>`, with files of type `F`.
    ///
    /// `device` is what operations of `F` are given while the device is bound. Programs may open the
    /// node before this function has returned, so it usually comes last in `attach()`.
    ///
    /// May sleep. Errors: `ENOMEM`; `EBUSY` if no minor is left; `EEXIST` if there is a device of
    /// this name already (`misc_register()` in `drivers/char/misc.c`).
    pub fn misc_device<F: File>(&mut self, name: &'static CStr, device: F::Device<'a>) -> Result {
        let queues = self.queues().clone();
        self.join(Node::<'a, F>::register(name, device, queues))
            .map(drop)
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_file)]
mod tests {
    use super::*;
    use crate::testing::{Bound, Count};
    use core::ptr;
    use kernel::{ModuleMetadata, ThisModule};

    /// Whose code the operations are, if it is never unloaded.
    struct NoModule;

    impl ModuleMetadata for NoModule {
        const NAME: &'static CStr = c"devscope_kunit";
        // SAFETY: A null pointer is the module of what is built in.
        const THIS_MODULE: ThisModule = unsafe { ThisModule::from_ptr(ptr::null_mut()) };
    }

    #[derive(Default)]
    struct Data {
        opens: Count,
        refuse: Count,
    }

    /// An open file that counts its ends.
    struct Counted {
        released: Count,
    }

    #[vtable]
    impl File for Counted {
        type OwnerModule = NoModule;
        type Device<'a> = (&'a Data, Arc<Counted>);

        fn open((data, file): &Self::Device<'_>) -> Result<Arc<Self>> {
            if data.refuse.get() != 0 {
                return Err(EPERM);
            }
            data.opens.up();
            Ok(file.clone())
        }

        fn ioctl(&self, (data, _): &Self::Device<'_>, cmd: u32, arg: usize) -> Result<isize> {
            match cmd {
                1 => Ok(arg as isize + data.opens.get() as isize),
                _ => Err(ENOTTY),
            }
        }

        fn release(this: Arc<Self>) {
            this.released.up();
        }
    }

    type Operations<'a> = Node<'a, Counted>;

    /// What the kernel keeps for an open file, and passes to its operations.
    struct Opened(KBox<MaybeUninit<bindings::file>>);

    impl Opened {
        fn new() -> Result<Self> {
            Ok(Self(KBox::new(MaybeUninit::zeroed(), GFP_KERNEL)?))
        }

        /// Opens the file, as `misc_open()` does.
        fn open(&mut self, node: &Operations<'_>) -> Result<c_int> {
            let mut inode = KBox::new(MaybeUninit::<bindings::inode>::zeroed(), GFP_KERNEL)?;
            let file = self.0.as_mut_ptr();
            // SAFETY: The node is registered, and all zeroes will do for the rest of the file and for
            // its inode: of these, only flags and size are read.
            Ok(unsafe {
                (*file).private_data = node.misc.get().cast();
                Operations::open(inode.as_mut_ptr(), file)
            })
        }

        fn ioctl(&mut self, cmd: u32, arg: usize) -> isize {
            // SAFETY: Tests call this for files that are open.
            unsafe { Operations::ioctl(self.0.as_mut_ptr(), cmd, arg) }
        }

        fn release(mut self) {
            // SAFETY: Tests call this for files that are open, and `self` goes.
            unsafe { Operations::release(ptr::null_mut(), self.0.as_mut_ptr()) };
        }
    }

    fn counted() -> Result<Arc<Counted>> {
        let released = Count::default();
        Ok(Arc::new(Counted { released }, GFP_KERNEL)?)
    }

    #[test]
    fn an_open_file_outlives_the_device_and_answers_enodev() -> Result {
        let kept = counted()?;
        let bound = Bound::new(Data::default())?;
        let mut file = Opened::new()?;
        let (mut opened, mut answer, mut unknown) = (0, 0, 0);
        bound.attach(|data, scope| {
            let queues = scope.queues().clone();
            let register = Node::register(c"devscope_kunit", (data, kept.clone()), queues);
            let node: &Operations<'_> = scope.join(register)?;
            opened = file.open(node)?;
            answer = file.ioctl(1, 41);
            unknown = file.ioctl(2, 0);
            Ok(())
        })?;
        bound.unbind();
        let unbound = file.ioctl(1, 41);
        drop(bound);
        let gone = file.ioctl(1, 41);
        let before = kept.released.get();
        file.release();
        assert_eq!(opened, 0);
        assert_eq!(answer, 42);
        assert_eq!(unknown, ENOTTY.to_errno() as isize);
        assert_eq!(unbound, ENODEV.to_errno() as isize);
        assert_eq!(gone, ENODEV.to_errno() as isize);
        assert_eq!(before, 0);
        assert_eq!(kept.released.get(), 1);
        assert!(Arc::into_unique_or_drop(kept).is_some());
        Ok(())
    }

    #[test]
    fn a_file_that_the_driver_refuses_is_not_open() -> Result {
        let kept = counted()?;
        let bound = Bound::new(Data::default())?;
        let mut file = Opened::new()?;
        let mut opened = 0;
        bound.attach(|data, scope| {
            data.refuse.set(1);
            let queues = scope.queues().clone();
            let register = Node::register(c"devscope_kunit", (data, kept.clone()), queues);
            let node: &Operations<'_> = scope.join(register)?;
            opened = file.open(node)?;
            Ok(())
        })?;
        bound.unbind();
        assert_eq!(opened, EPERM.to_errno());
        assert_eq!(kept.released.get(), 0);
        assert!(Arc::into_unique_or_drop(kept).is_some());
        Ok(())
    }

    #[test]
    fn a_name_is_free_again_when_its_scope_has_ended() -> Result {
        let kept = counted()?;
        let bound = Bound::new(Data::default())?;
        for _ in 0..2 {
            bound.attach(|data, scope| {
                scope.misc_device::<Counted>(c"devscope_kunit", (data, kept.clone()))
            })?;
            bound.unbind();
        }
        drop(bound);
        assert!(Arc::into_unique_or_drop(kept).is_some());
        Ok(())
    }

    #[test]
    fn a_file_has_the_operations_that_are_written_down() {
        assert!(Operations::OPERATIONS.open.is_some());
        assert!(Operations::OPERATIONS.release.is_some());
        assert!(Operations::OPERATIONS.unlocked_ioctl.is_some());
        assert!(Operations::OPERATIONS.read_iter.is_none());
        assert!(Operations::OPERATIONS.write_iter.is_none());
        assert!(Operations::OPERATIONS.poll.is_none());
    }

    #[test]
    fn a_transfer_returns_a_count_or_an_error_and_never_that_it_goes_on() {
        let goes_on = to_result(-(bindings::EIOCBQUEUED as c_int)).map(|()| 0);
        assert_eq!(transferred(Ok(7)), 7);
        assert_eq!(transferred(Err(EFAULT)), EFAULT.to_errno() as isize);
        assert_eq!(transferred(Ok(usize::MAX)), EINVAL.to_errno() as isize);
        assert_eq!(transferred(goes_on), EIO.to_errno() as isize);
    }
}

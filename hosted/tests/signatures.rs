//! Signatures, auto traits and variance of the `kernel` crate, as Linux 7.3 has them.
//!
//! It passes by compiling. Nothing here is particular to the hosted world: `cargo xtask vm test`
//! compiles the same file against Linux's own crate.

#![no_std]
#![allow(dead_code)]

use kernel::{
    alloc::{AllocError, Flags},
    bindings,
    device::{self, Bound, BoundInternal, Core},
    fs::{File, Kiocb, LocalFile},
    interrupt::LocalInterruptDisabled,
    io::{IoBackend, IoBase, Mmio},
    ioctl,
    iov::{IovIterDest, IovIterSource},
    irq,
    miscdevice::{MiscDevice, MiscDeviceOptions, MiscDeviceRegistration},
    module::this_module,
    pci, platform,
    prelude::*,
    ptr::KnownSize,
    revocable::{Revocable, RevocableGuard},
    sync::{
        aref::ARef,
        atomic::{self, ordering, Atomic, Full, Relaxed},
        barrier,
        poll::PollTable,
        rcu, srcu, Arc, ArcBorrow, Completion, CondVar, LockClassKey, Mutex, MutexGuard, Refcount,
        SetOnce, SpinLockGuard, Srcu, UniqueArc,
    },
    task::CurrentTask,
    time::{delay, Delta},
    types::Opaque,
    uaccess::{UserSlice, UserSliceReader, UserSliceWriter},
    workqueue::{Queue, Work},
    ModuleMetadata,
};

const fn is_send<T: ?Sized + Send>() {}
const fn is_sync<T: ?Sized + Sync>() {}
const fn is_unpin<T: ?Sized + Unpin>() {}

const fn is_debug<T: ?Sized + core::fmt::Debug>() {}

/// Does not compile if the type has the trait: then two `f` are there to choose from.
macro_rules! is_not {
    ($bound:path: $($ty:ty),* $(,)?) => {$(
        const _: fn() = || {
            trait Ambiguous<X> {
                fn f() {}
            }
            struct Has;
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $bound> Ambiguous<Has> for T {}
            <$ty as Ambiguous<_>>::f()
        };
    )*};
}

struct Quiet;

impl irq::Handler for Quiet {
    fn handle(&self) -> irq::IrqReturn {
        irq::IrqReturn::None
    }
}

struct NoModule;
use NoModule as LocalModule;

impl ModuleMetadata for NoModule {
    const NAME: &'static CStr = c"none";
    const THIS_MODULE: ThisModule = {
        // SAFETY: What built-in code has.
        unsafe { ThisModule::from_ptr(core::ptr::null_mut()) }
    };
}

struct Nothing;

#[vtable]
impl MiscDevice for Nothing {
    type Ptr = KBox<u8>;

    fn open(_: &File, _: &MiscDeviceRegistration<Self>) -> Result<KBox<u8>> {
        Err(ENODEV)
    }
}

is_not! { Send:
    MutexGuard<'static, u32>, SpinLockGuard<'static, u32>, rcu::Guard, srcu::Guard<'static>,
    RevocableGuard<'static, u32>, LocalInterruptDisabled, device::Device<Bound>,
    device::Device<Core<'static>>, Kiocb<'static, Arc<u8>>, PollTable<'static>, UserPtr,
    Arc<core::cell::Cell<u8>>,
}

is_not! { Sync:
    rcu::Guard, Opaque<u32>, device::Device<Core<'static>>, CurrentTask, LocalFile,
    IovIterDest<'static>,
}

is_not! { Unpin: Mutex<u32>, Opaque<u32>, irq::Registration<'static, Quiet> }

is_not! { Copy: UserSlice }

// They are printed by `fmt!`, whose `Display` is `kernel::fmt`'s.
is_not! { core::fmt::Display: Arc<u32>, UniqueArc<u32> }

const _: () = {
    is_send::<Mutex<u32>>();
    is_send::<Arc<u32>>();
    is_send::<ARef<device::Device>>();
    is_send::<pci::Bar<'static, 4>>();
    is_send::<pci::IrqVectorRegistration<'static>>();
    is_send::<irq::IrqRequest<'static>>();
    is_send::<irq::Registration<'static, Quiet>>();
    is_send::<Completion>();
    is_send::<Atomic<*mut u8>>();
    is_send::<LockClassKey>();
    is_send::<File>();
    is_send::<KBox<u32>>();
    is_send::<KVec<u32>>();
    is_sync::<Mutex<core::cell::Cell<u8>>>();
    is_sync::<MutexGuard<'static, u32>>();
    is_sync::<ARef<device::Device>>();
    is_sync::<device::Device<Bound>>();
    is_sync::<pci::Device<Bound>>();
    is_sync::<platform::Device<Bound>>();
    is_sync::<pci::Bar<'static>>();
    is_sync::<pci::IrqVectorRegistration<'static>>();
    is_sync::<irq::Registration<'static, Quiet>>();
    is_sync::<CondVar>();
    is_sync::<Atomic<*const u8>>();
    is_sync::<MiscDeviceRegistration<*mut u8>>();
    is_sync::<ThisModule>();
    is_sync::<File>();
    is_sync::<Revocable<u32>>();
    is_sync::<SetOnce<u32>>();
    is_sync::<Refcount>();
    is_sync::<Srcu>();
    is_sync::<Queue>();
    is_sync::<Work<*mut u8>>();
    is_unpin::<ARef<device::Device>>();
    is_unpin::<Arc<core::marker::PhantomPinned>>();
};

/// What can be used for a shorter time than it lives.
macro_rules! shortens {
    ($($name:ident: $ty:ident $(<$lt:lifetime $(, $arg:tt)*>)? $([$borrowed:ty])?;)*) => {$(
        fn $name<'short>(
            long: $ty<$($lt $(, $arg)*)? $($borrowed)?>,
        ) -> shortens!(@short $ty $(<$lt $(, $arg)*>)? $([$borrowed])?) {
            long
        }
    )*};
    (@short $ty:ident <$lt:lifetime $(, $arg:tt)*>) => { $ty<'short $(, $arg)*> };
    (@short $ty:ident [$borrowed:ty]) => { $ty<&'short u8> };
}

type Vectors<'a> = pci::IrqVectorRegistration<'a>;
type Bar<'a> = pci::Bar<'a, 4>;
type Request<'a> = irq::IrqRequest<'a>;
type Registered<'a> = irq::Registration<'a, Quiet>;
type Operation<'a> = Kiocb<'a, Arc<u8>>;

shortens! {
    bar: Bar<'static>;
    vectors: Vectors<'static>;
    request: Request<'static>;
    registered: Registered<'static>;
    operation: Operation<'static>;
    mmio: Mmio<'static, u32>;
    arc_borrow: ArcBorrow<'static, u8>;
    boxed: KBox[&'static u8];
    vector: KVec[&'static u8];
    arc: Arc[&'static u8];
}

/// What an operation on a `T` gives back.
type On<'a, T, R> = fn(&'a T) -> R;

#[allow(
    clippy::extra_unused_lifetimes,
    reason = "one lifetime for all signatures"
)]
fn signatures<'a>() {
    let _: On<'a, device::Device, &'a CStr> = device::Device::name;
    let _: unsafe fn(&'a device::Device<BoundInternal>) -> Pin<&'a u32> =
        device::Device::<BoundInternal>::drvdata_borrow;
    let _: On<'a, pci::Device, pci::Vendor> = pci::Device::vendor_id;
    let _: fn(&'a pci::Device<Bound>, u32, u32, pci::IrqTypes) -> Result<Vectors<'a>> =
        pci::Device::alloc_irq_vectors;
    let _: fn(&'a pci::Device<Bound>, u32, &'static CStr) -> Result<pci::Bar<'a>> =
        pci::Device::iomap_region;
    let _: fn(&'a Vectors<'a>, usize) -> Result<pci::IrqVector<'a>> = Vectors::index;
    let _: fn(&'a platform::Device<Bound>, u32) -> Result<Request<'a>> =
        platform::Device::irq_by_index;
    let _: fn(u32, Flags) -> Result<KBox<u32>, AllocError> = KBox::new;
    let _: fn(KBox<u32>) -> *mut u32 = KBox::into_raw;
    let _: unsafe fn(*mut u32) -> KBox<u32> = KBox::from_raw;
    let _: On<'a, Completion, ()> = Completion::complete_all;
    let _: fn(&'a Atomic<u32>, u32, Full) -> u32 = Atomic::fetch_add;
    let _: fn(barrier::Read) = barrier::smp_mb;
    let _: fn(barrier::Write) = barrier::smp_mb;
    let _: fn(barrier::Full) = barrier::smp_mb;
    let _: fn(&'a mut IovIterDest<'a>, &'a mut i64, &'a [u8]) -> Result<usize> =
        IovIterDest::simple_read_from_buffer;
    let _: fn(&'a mut IovIterSource<'a>, &'a mut [u8]) -> usize = IovIterSource::copy_from_iter;
    let _: unsafe fn(*mut bindings::iov_iter) -> &'a mut IovIterDest<'static> =
        IovIterDest::from_raw;
    let _: On<'a, LocalFile, u32> = LocalFile::flags;
    let _: unsafe fn(*const bindings::file) -> &'a File = File::from_raw_file;
    let _: fn(UserSlice) -> (UserSliceReader, UserSliceWriter) = UserSlice::reader_writer;
    let _: fn(&'a mut UserSliceReader) -> Result<u32> = UserSliceReader::read;
    let _: On<'a, MiscDeviceRegistration<Nothing>, &'a device::Device> =
        MiscDeviceRegistration::device;
    let _: fn(Delta) = delay::fsleep;
}

/// What is generic over traits that only the kernel can name, for the types that there are.
macro_rules! atomics {
    ($($ty:ty),*) => {$(
        const _: () = {
            fn signatures<
                L: ordering::AcquireOrRelaxed,
                S: ordering::ReleaseOrRelaxed,
                O: ordering::Ordering,
            >() {
                let _: fn(&Atomic<$ty>, L) -> $ty = Atomic::load;
                let _: fn(&Atomic<$ty>, $ty, S) = Atomic::store;
                let _: fn(&Atomic<$ty>, $ty, O) -> $ty = Atomic::xchg;
                let _: fn(&Atomic<$ty>, $ty, $ty, O) -> Result<$ty, $ty> = Atomic::cmpxchg;
                let _: unsafe fn(*mut $ty, L) -> $ty = atomic::atomic_load;
                let _: unsafe fn(*mut $ty, $ty, S) = atomic::atomic_store;
                let _: unsafe fn(*mut $ty, $ty, O) -> $ty = atomic::xchg;
                let _: unsafe fn(*mut $ty, $ty, $ty, O) -> Result<$ty, $ty> = atomic::cmpxchg;
            }
            is_debug::<Atomic<$ty>>();
        };
    )*};
}

atomics!(
    bool,
    i8,
    i16,
    i32,
    u32,
    i64,
    u64,
    isize,
    usize,
    *mut u8,
    *const u8
);

macro_rules! arithmetic {
    ($($ty:ty),*) => {$(
        const _: () = {
            fn signatures<O: ordering::Ordering>() {
                let _: fn(&Atomic<$ty>, $ty, Relaxed) = Atomic::add;
                let _: fn(&Atomic<$ty>, $ty, O) -> $ty = Atomic::fetch_add;
                let _: fn(&Atomic<$ty>, $ty, O) -> $ty = Atomic::fetch_sub;
            }
        };
    )*};
}

arithmetic!(i32, u32, i64, u64, isize, usize);

/// Registers that are nowhere: what a backend has to have.
struct Nowhere;

struct NowhereView<T: ?Sized>(*mut T);

impl<T: ?Sized> Copy for NowhereView<T> {}

impl<T: ?Sized> Clone for NowhereView<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'a, T: ?Sized + KnownSize> IoBase<'a> for NowhereView<T> {
    type Backend = Nowhere;
    type Target = T;

    fn as_view(self) -> NowhereView<T> {
        self
    }
}

impl IoBackend for Nowhere {
    type View<'a, T: ?Sized + KnownSize> = NowhereView<T>;

    fn as_ptr<'a, T: ?Sized + KnownSize>(view: Self::View<'a, T>) -> *mut T {
        view.0
    }

    unsafe fn project_view<'a, T: ?Sized + KnownSize, U: ?Sized + KnownSize>(
        _: Self::View<'a, T>,
        ptr: *mut U,
    ) -> Self::View<'a, U> {
        NowhereView(ptr)
    }
}

const _: bindings::miscdevice = MiscDeviceOptions { name: c"none" }.into_raw::<Nothing>();
const _: u32 = ioctl::_IOWR::<u64>(1, 2);
const _: *mut bindings::module = this_module::<NoModule>().as_ptr();
const _: usize = Arc::<u8>::DATA_OFFSET;

//! Work queues, and work that carries its own data.
//!
//! C header: `include/linux/workqueue.h`; mirrors `rust/kernel/workqueue.rs`. Left out: work in an
//! `ARef`. (Queues of one's own, Linux has for C only.)

use crate::{
    alloc::{AllocError, Flags},
    bindings,
    prelude::*,
    sync::{Arc, LockClassKey},
    time::Jiffies,
    types::Opaque,
};
use core::marker::PhantomData;

/// An initializer for a [`Work`], with a lock class of its own.
#[macro_export]
macro_rules! new_work {
    ($($name:literal)?) => {
        $crate::workqueue::Work::new($crate::optional_name!($($name)?), $crate::static_lock_class!())
    };
}
pub use new_work;

/// An initializer for a [`DelayedWork`], with lock classes of its own for work and timer.
#[macro_export]
macro_rules! new_delayed_work {
    () => {
        $crate::workqueue::DelayedWork::new(
            $crate::optional_name!(),
            $crate::static_lock_class!(),
            $crate::c_str!(::core::concat!(
                ::core::file!(),
                ":",
                ::core::line!(),
                "_timer"
            )),
            $crate::static_lock_class!(),
        )
    };
    ($name:literal) => {
        $crate::workqueue::DelayedWork::new(
            $crate::c_str!($name),
            $crate::static_lock_class!(),
            $crate::c_str!(::core::concat!($name, "_timer")),
            $crate::static_lock_class!(),
        )
    };
}
pub use new_delayed_work;

/// A `struct workqueue_struct`.
#[repr(transparent)]
pub struct Queue(Opaque<bindings::workqueue_struct>);

// SAFETY: The C side synchronises.
unsafe impl Send for Queue {}

// SAFETY: The C side synchronises.
unsafe impl Sync for Queue {}

impl Queue {
    /// The queue at an address.
    ///
    /// # Safety
    ///
    /// It is valid for `'a`.
    pub unsafe fn from_raw<'a>(ptr: *const bindings::workqueue_struct) -> &'a Queue {
        // SAFETY: Asked of the caller; transparent around it.
        unsafe { &*ptr.cast::<Queue>() }
    }

    /// Queues a work item.
    #[track_caller]
    pub fn enqueue<W, const ID: u64>(&self, w: W) -> W::EnqueueOutput
    where
        W: RawWorkItem<ID> + Send + 'static,
    {
        let queue = self.0.get();
        let cpu = bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int;
        // SAFETY: `W` is `Send` and `'static`. The pointer is valid, and if it was queued then until
        // it runs, as `__enqueue` promises.
        unsafe { w.__enqueue(move |work| bindings::queue_work_on(cpu, queue, work)) }
    }

    /// Queues a delayed work item, once `delay` has passed.
    #[track_caller]
    pub fn enqueue_delayed<W, const ID: u64>(&self, w: W, delay: Jiffies) -> W::EnqueueOutput
    where
        W: RawDelayedWorkItem<ID> + Send + 'static,
    {
        let queue = self.0.get();
        let cpu = bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int;
        // SAFETY: As in `enqueue`; and the work is in a `delayed_work`, as the trait promises.
        unsafe {
            w.__enqueue(move |work| {
                let dwork = crate::container_of!(work, bindings::delayed_work, work);
                bindings::queue_delayed_work_on(cpu, queue, dwork, delay)
            })
        }
    }

    /// Queues a closure.
    #[track_caller]
    pub fn try_spawn<T: 'static + Send + FnOnce()>(
        &self,
        flags: Flags,
        func: T,
    ) -> Result<(), AllocError> {
        let init = pin_init!(ClosureWork {
            work <- new_work!("Queue::try_spawn"),
            func: Some(func),
        });
        self.enqueue(KBox::pin_init(init, flags).map_err(|_| AllocError)?);
        Ok(())
    }
}

/// For [`Queue::try_spawn`].
#[pin_data]
struct ClosureWork<T> {
    #[pin]
    work: Work<ClosureWork<T>>,
    func: Option<T>,
}

impl<T: FnOnce()> WorkItem for ClosureWork<T> {
    type Pointer = Pin<KBox<Self>>;

    fn run(mut this: Pin<KBox<Self>>) {
        // SAFETY: `func` is not pinned, and nothing else is touched.
        let func = unsafe { this.as_mut().get_unchecked_mut() }.func.take();
        if let Some(func) = func {
            func();
        }
    }
}

/// A pointer to something with a `struct work_struct` inside, that can be queued.
///
/// # Safety
///
/// `__enqueue` gives the closure a valid `work_struct`; if that returns true, it stays valid, and
/// belongs to the queue, until its function is called.
pub unsafe trait RawWorkItem<const ID: u64> {
    /// What queueing gives: an error, where the item may be queued already.
    type EnqueueOutput;

    /// Queues it, by way of a closure that says whether it was not queued before.
    ///
    /// # Safety
    ///
    /// If the closure returns true, the function of the `work_struct` is called once, with it; on
    /// another thread only if `Self` is `Send`, and after this returns only within its lifetime.
    unsafe fn __enqueue<F>(self, queue_work_on: F) -> Self::EnqueueOutput
    where
        F: FnOnce(*mut bindings::work_struct) -> bool;
}

/// A pointer to something with a `struct delayed_work` inside.
///
/// # Safety
///
/// The `work_struct` that `__enqueue` gives is that of a `delayed_work`, of which the same holds.
pub unsafe trait RawDelayedWorkItem<const ID: u64>: RawWorkItem<ID> {}

/// A pointer that a work item's function can get back.
///
/// # Safety
///
/// `run` is the function of what `__enqueue` queues.
pub unsafe trait WorkItemPointer<const ID: u64>: RawWorkItem<ID> {
    /// Runs the item.
    ///
    /// # Safety
    ///
    /// Called as `RawWorkItem` has it.
    unsafe extern "C" fn run(ptr: *mut bindings::work_struct);
}

/// What a work item does.
pub trait WorkItem<const ID: u64 = 0> {
    /// What it is in: an [`Arc`] or a `Pin<KBox>`.
    type Pointer: WorkItemPointer<ID>;

    /// Runs, in process context: it may sleep.
    fn run(this: Self::Pointer);
}

/// The `struct work_struct` in a work item.
#[pin_data]
#[repr(transparent)]
pub struct Work<T: ?Sized, const ID: u64 = 0> {
    #[pin]
    work: Opaque<bindings::work_struct>,
    _inner: PhantomData<T>,
}

// SAFETY: The C side synchronises; there is no `T` in it.
unsafe impl<T: ?Sized, const ID: u64> Send for Work<T, ID> {}

// SAFETY: The C side synchronises; there is no `T` in it.
unsafe impl<T: ?Sized, const ID: u64> Sync for Work<T, ID> {}

impl<T: ?Sized, const ID: u64> Work<T, ID> {
    /// Not queued.
    pub fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self>
    where
        T: WorkItem<ID>,
    {
        pin_init!(Self {
            // SAFETY: Valid for writes, and pinned; name and key are static; the function is the
            // one for this type.
            work <- Opaque::ffi_init(|slot| unsafe {
                bindings::init_work_with_key(
                    slot,
                    Some(T::Pointer::run),
                    false,
                    name.as_char_ptr(),
                    key.as_ptr(),
                )
            }),
            _inner: PhantomData,
        })
    }

    /// The address of the `struct work_struct`.
    ///
    /// # Safety
    ///
    /// `ptr` is in bounds of an allocation.
    pub unsafe fn raw_get(ptr: *const Self) -> *mut bindings::work_struct {
        // SAFETY: Asked of the caller.
        Opaque::cast_into(unsafe { &raw const (*ptr).work })
    }
}

/// The `struct delayed_work` in a work item.
#[pin_data]
#[repr(transparent)]
pub struct DelayedWork<T: ?Sized, const ID: u64 = 0> {
    #[pin]
    dwork: Opaque<bindings::delayed_work>,
    _inner: PhantomData<T>,
}

// SAFETY: The C side synchronises; there is no `T` in it.
unsafe impl<T: ?Sized, const ID: u64> Send for DelayedWork<T, ID> {}

// SAFETY: The C side synchronises; there is no `T` in it.
unsafe impl<T: ?Sized, const ID: u64> Sync for DelayedWork<T, ID> {}

impl<T: ?Sized, const ID: u64> DelayedWork<T, ID> {
    /// Not queued.
    pub fn new(
        work_name: &'static CStr,
        work_key: Pin<&'static LockClassKey>,
        timer_name: &'static CStr,
        timer_key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self>
    where
        T: WorkItem<ID>,
    {
        pin_init!(Self {
            // SAFETY: Valid for writes, and pinned; names and keys are static; the function is the
            // one for this type, and the timer's is the one for delayed work.
            dwork <- Opaque::ffi_init(|slot: *mut bindings::delayed_work| unsafe {
                bindings::init_work_with_key(
                    &raw mut (*slot).work,
                    Some(T::Pointer::run),
                    false,
                    work_name.as_char_ptr(),
                    work_key.as_ptr(),
                );
                bindings::timer_init_key(
                    &raw mut (*slot).timer,
                    Some(bindings::delayed_work_timer_fn),
                    bindings::TIMER_IRQSAFE,
                    timer_name.as_char_ptr(),
                    timer_key.as_ptr(),
                );
            }),
            _inner: PhantomData,
        })
    }

    /// The address of the work in it.
    ///
    /// # Safety
    ///
    /// `ptr` is in bounds of an allocation.
    pub unsafe fn raw_as_work(ptr: *const Self) -> *mut Work<T, ID> {
        // SAFETY: Asked of the caller.
        let dwork = Opaque::cast_into(unsafe { &raw const (*ptr).dwork });
        // SAFETY: The same memory.
        unsafe { &raw mut (*dwork).work }.cast()
    }
}

/// A type with a [`Work`] inside; [`impl_has_work!`] implements it.
///
/// # Safety
///
/// The two functions say where it is, and undo each other.
pub unsafe trait HasWork<T, const ID: u64 = 0> {
    /// The work in a value.
    ///
    /// # Safety
    ///
    /// `ptr` is to a value.
    unsafe fn raw_get_work(ptr: *mut Self) -> *mut Work<T, ID>;

    /// The value around a work.
    ///
    /// # Safety
    ///
    /// `ptr` is to the work in a value.
    unsafe fn work_container_of(ptr: *mut Work<T, ID>) -> *mut Self;
}

/// Says which field of a type is its [`Work`].
#[macro_export]
macro_rules! impl_has_work {
    ($(impl$({$($generics:tt)*})?
       HasWork<$work_type:ty $(, $id:tt)?>
       for $self:ty
       { self.$field:ident }
    )*) => {$(
        // SAFETY: Both name the same field.
        unsafe impl$(<$($generics)+>)? $crate::workqueue::HasWork<$work_type $(, $id)?> for $self {
            unsafe fn raw_get_work(
                ptr: *mut Self,
            ) -> *mut $crate::workqueue::Work<$work_type $(, $id)?> {
                // SAFETY: Asked of the caller.
                unsafe { &raw mut (*ptr).$field }
            }

            unsafe fn work_container_of(
                ptr: *mut $crate::workqueue::Work<$work_type $(, $id)?>,
            ) -> *mut Self {
                // SAFETY: Asked of the caller.
                unsafe { $crate::container_of!(ptr, Self, $field) }
            }
        }
    )*};
}
pub use impl_has_work;

/// A type with a [`DelayedWork`] inside; [`impl_has_delayed_work!`] implements it.
///
/// # Safety
///
/// The work that [`HasWork`] finds is that of a `delayed_work`, of which the same holds.
pub unsafe trait HasDelayedWork<T, const ID: u64 = 0>: HasWork<T, ID> {}

/// Says which field of a type is its [`DelayedWork`].
#[macro_export]
macro_rules! impl_has_delayed_work {
    ($(impl$({$($generics:tt)*})?
       HasDelayedWork<$work_type:ty $(, $id:tt)?>
       for $self:ty
       { self.$field:ident }
    )*) => {$(
        // SAFETY: The field is a `DelayedWork`.
        unsafe impl$(<$($generics)+>)?
            $crate::workqueue::HasDelayedWork<$work_type $(, $id)?> for $self {}

        // SAFETY: Both name the same field.
        unsafe impl$(<$($generics)+>)? $crate::workqueue::HasWork<$work_type $(, $id)?> for $self {
            unsafe fn raw_get_work(
                ptr: *mut Self,
            ) -> *mut $crate::workqueue::Work<$work_type $(, $id)?> {
                // SAFETY: Asked of the caller.
                let field: *mut $crate::workqueue::DelayedWork<$work_type $(, $id)?> =
                    unsafe { &raw mut (*ptr).$field };
                // SAFETY: The same.
                unsafe { $crate::workqueue::DelayedWork::raw_as_work(field) }
            }

            unsafe fn work_container_of(
                ptr: *mut $crate::workqueue::Work<$work_type $(, $id)?>,
            ) -> *mut Self {
                // SAFETY: Asked of the caller.
                let work = unsafe { $crate::workqueue::Work::raw_get(ptr) };
                // SAFETY: It is the work of a `DelayedWork`, which is transparent.
                let field: *mut $crate::workqueue::DelayedWork<$work_type $(, $id)?> =
                    unsafe { $crate::container_of!(work, $crate::bindings::delayed_work, work) }
                        .cast();
                // SAFETY: Asked of the caller.
                unsafe { $crate::container_of!(field, Self, $field) }
            }
        }
    )*};
}
pub use impl_has_delayed_work;

impl_has_work! {
    impl{T} HasWork<Self> for ClosureWork<T> { self.work }
}

// SAFETY: `Work::new` sets `run` of the item's pointer type, and that is this one.
unsafe impl<T, const ID: u64> WorkItemPointer<ID> for Arc<T>
where
    T: WorkItem<ID, Pointer = Self>,
    T: HasWork<T, ID>,
{
    unsafe extern "C" fn run(ptr: *mut bindings::work_struct) {
        // SAFETY: The work of a `T`, which `__enqueue` queued.
        let item = unsafe { T::work_container_of(ptr.cast()) };
        // SAFETY: `__enqueue` gave it the reference.
        T::run(unsafe { Arc::from_raw(item) })
    }
}

// SAFETY: The reference keeps it valid: it is given to the queue, or taken back if that has it.
unsafe impl<T, const ID: u64> RawWorkItem<ID> for Arc<T>
where
    T: WorkItem<ID, Pointer = Self>,
    T: HasWork<T, ID>,
{
    type EnqueueOutput = Result<(), Self>;

    #[track_caller]
    unsafe fn __enqueue<F>(self, queue_work_on: F) -> Self::EnqueueOutput
    where
        F: FnOnce(*mut bindings::work_struct) -> bool,
    {
        let item = Arc::into_raw(self).cast_mut();
        // SAFETY: To a value.
        let work = unsafe { Work::raw_get(T::raw_get_work(item)) };
        if queue_work_on(work) {
            Ok(())
        } else {
            // SAFETY: It was queued already, with a reference of its own.
            Err(unsafe { Arc::from_raw(item) })
        }
    }
}

// SAFETY: `Work::new` sets `run` of the item's pointer type, and that is this one.
unsafe impl<T, const ID: u64> WorkItemPointer<ID> for Pin<KBox<T>>
where
    T: WorkItem<ID, Pointer = Self>,
    T: HasWork<T, ID>,
{
    unsafe extern "C" fn run(ptr: *mut bindings::work_struct) {
        // SAFETY: The work of a `T`, which `__enqueue` queued.
        let item = unsafe { T::work_container_of(ptr.cast()) };
        // SAFETY: `__enqueue` gave up the box.
        T::run(KBox::into_pin(unsafe { KBox::from_raw(item) }))
    }
}

// SAFETY: The box keeps it valid, and is given to the queue.
unsafe impl<T, const ID: u64> RawWorkItem<ID> for Pin<KBox<T>>
where
    T: WorkItem<ID, Pointer = Self>,
    T: HasWork<T, ID>,
{
    type EnqueueOutput = ();

    #[track_caller]
    unsafe fn __enqueue<F>(self, queue_work_on: F) -> Self::EnqueueOutput
    where
        F: FnOnce(*mut bindings::work_struct) -> bool,
    {
        // SAFETY: Stays where it is.
        let item = KBox::into_raw(unsafe { Pin::into_inner_unchecked(self) });
        // SAFETY: To a value.
        let work = unsafe { Work::raw_get(T::raw_get_work(item)) };
        let queued = queue_work_on(work);
        assert!(
            queued,
            "devscope bug: a box in a queue is somebody else's too"
        );
    }
}

// SAFETY: `HasDelayedWork` promises it.
unsafe impl<T, const ID: u64> RawDelayedWorkItem<ID> for Arc<T>
where
    T: WorkItem<ID, Pointer = Self>,
    T: HasDelayedWork<T, ID>,
{
}

// SAFETY: `HasDelayedWork` promises it.
unsafe impl<T, const ID: u64> RawDelayedWorkItem<ID> for Pin<KBox<T>>
where
    T: WorkItem<ID, Pointer = Self>,
    T: HasDelayedWork<T, ID>,
{
}

macro_rules! system_queues {
    ($($(#[$doc:meta])* $name:ident = $queue:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name() -> &'static Queue {
            // SAFETY: The system's queues are always there.
            unsafe { Queue::from_raw(bindings::$queue) }
        }
    )*};
}

system_queues! {
    /// For short work. Deprecated in Linux 7.3, which warns.
    system = system_wq;
    /// For short work that cannot wait.
    system_highpri = system_highpri_wq;
    /// For long work.
    system_long = system_long_wq;
    /// For work on any CPU.
    system_unbound = system_unbound_wq;
    /// For work that stops during suspend.
    system_freezable = system_freezable_wq;
    /// For work that may be moved to save power.
    system_power_efficient = system_power_efficient_wq;
    /// For both.
    system_freezable_power_efficient = system_freezable_power_efficient_wq;
    /// For work in softirq context.
    system_bh = system_bh_wq;
    /// For work in softirq context that cannot wait.
    system_bh_highpri = system_bh_highpri_wq;
}

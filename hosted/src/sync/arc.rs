//! Mirrors `rust/kernel/sync/arc.rs`. Left out: the coercion to trait objects, and being a
//! receiver, which need unstable language features.

use crate::{
    alloc::{AllocError, Flags, KBox},
    ffi::c_void,
    fmt,
    init::InPlaceInit,
    sync::Refcount,
    try_init,
    types::ForeignOwnable,
};
use core::{
    alloc::Layout,
    borrow::{Borrow, BorrowMut},
    marker::PhantomData,
    mem::{ManuallyDrop, MaybeUninit},
    ops::{Deref, DerefMut},
    pin::Pin,
    ptr::NonNull,
};
use pinned_init::{pin_data, InPlaceWrite, Init, PinInit};

/// A value on the heap, shared, and pinned: lives until the last `Arc` is dropped. No weak ones.
///
/// # Invariants
///
/// 1. The pointer is valid, and one reference belongs to this.
#[repr(transparent)]
pub struct Arc<T: ?Sized> {
    ptr: NonNull<ArcInner<T>>,
    _p: PhantomData<ArcInner<T>>,
}

#[pin_data]
#[repr(C)]
struct ArcInner<T: ?Sized> {
    refcount: Refcount,
    data: T,
}

impl<T: ?Sized> ArcInner<T> {
    /// The allocation around a value.
    ///
    /// # Safety
    ///
    /// `ptr` is from [`Arc::into_raw`] or [`Arc::as_ptr`], and the value alive.
    unsafe fn container_of(ptr: *const T) -> NonNull<ArcInner<T>> {
        // SAFETY: Alive: asked of the caller.
        let data = Layout::for_value(unsafe { &*ptr });
        let (_, offset) = Layout::new::<Refcount>()
            .extend(data)
            .expect("devscope bug: this layout exists");
        // The metadata of a wide pointer stays the same.
        let inner = ptr as *const ArcInner<T>;
        // SAFETY: `data` is that far inside: asked of the caller.
        let inner = unsafe { inner.byte_sub(offset) };
        // SAFETY: Inside of an allocation, so not null.
        unsafe { NonNull::new_unchecked(inner.cast_mut()) }
    }
}

// SAFETY: Shares the value, and may be the one that drops it.
unsafe impl<T: ?Sized + Sync + Send> Send for Arc<T> {}

// SAFETY: Shares the value, and can be cloned through a reference.
unsafe impl<T: ?Sized + Sync + Send> Sync for Arc<T> {}

impl<T> InPlaceInit<T> for Arc<T> {
    type PinnedSelf = Self;

    fn try_pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Self::PinnedSelf, E>
    where
        E: From<AllocError>,
    {
        UniqueArc::try_pin_init(init, flags).map(|unique| unique.into())
    }

    fn try_init<E>(init: impl Init<T, E>, flags: Flags) -> Result<Self, E>
    where
        E: From<AllocError>,
    {
        UniqueArc::try_init(init, flags).map(|unique| unique.into())
    }
}

impl<T> Arc<T> {
    /// Where in the allocation the value is.
    pub const DATA_OFFSET: usize = core::mem::offset_of!(ArcInner<T>, data);

    /// Allocates, and moves `contents` there.
    #[track_caller]
    pub fn new(contents: T, flags: Flags) -> Result<Self, AllocError> {
        let inner = KBox::new(
            ArcInner {
                refcount: Refcount::new(1),
                data: contents,
            },
            flags,
        )?;
        // SAFETY: The count is one, and that one is this.
        Ok(unsafe { Self::from_inner(KBox::leak(inner).into()) })
    }
}

impl<T: ?Sized> Arc<T> {
    /// # Safety
    ///
    /// The caller gives up a reference.
    unsafe fn from_inner(inner: NonNull<ArcInner<T>>) -> Self {
        // INVARIANT: 1, asked of the caller.
        Arc {
            ptr: inner,
            _p: PhantomData,
        }
    }

    /// Hands the reference over, as a pointer to the value.
    pub fn into_raw(self) -> *const T {
        let this = ManuallyDrop::new(self);
        Self::as_ptr(&this)
    }

    /// The value's address.
    pub fn as_ptr(this: &Self) -> *const T {
        let inner = this.ptr.as_ptr();
        // SAFETY: Valid: invariant 1.
        unsafe { &raw const (*inner).data }
    }

    /// Takes a reference back.
    ///
    /// # Safety
    ///
    /// `ptr` is from [`into_raw`](Self::into_raw), and is taken back once.
    pub unsafe fn from_raw(ptr: *const T) -> Self {
        // SAFETY: From `into_raw`, so there is still a reference: asked of the caller.
        unsafe { Self::from_inner(ArcInner::container_of(ptr)) }
    }

    /// Borrows, without counting.
    pub fn as_arc_borrow(&self) -> ArcBorrow<'_, T> {
        // SAFETY: `self` has a reference for as long.
        unsafe { ArcBorrow::new(self.ptr) }
    }

    /// Whether both are the same value.
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        core::ptr::addr_eq(this.ptr.as_ptr(), other.ptr.as_ptr())
    }

    /// The value for oneself, if this was the last reference; otherwise just drops it.
    pub fn into_unique_or_drop(this: Self) -> Option<Pin<UniqueArc<T>>> {
        let this = ManuallyDrop::new(this);
        // SAFETY: Valid: invariant 1.
        let refcount = unsafe { &this.ptr.as_ref().refcount };
        if !refcount.dec_and_test() {
            return None;
        }
        refcount.set(1);
        Some(Pin::from(UniqueArc {
            inner: ManuallyDrop::into_inner(this),
        }))
    }
}

// SAFETY: What `KBox` allocated, so not null and aligned as that is.
unsafe impl<T: 'static> ForeignOwnable for Arc<T> {
    const FOREIGN_ALIGN: usize = <KBox<ArcInner<T>> as ForeignOwnable>::FOREIGN_ALIGN;
    type Borrowed<'a> = ArcBorrow<'a, T>;
    type BorrowedMut<'a> = Self::Borrowed<'a>;

    fn into_foreign(self) -> *mut c_void {
        ManuallyDrop::new(self).ptr.as_ptr().cast()
    }

    unsafe fn from_foreign(ptr: *mut c_void) -> Self {
        // SAFETY: From `into_foreign`, so not null, and with its reference: asked of the caller.
        unsafe { Self::from_inner(NonNull::new_unchecked(ptr.cast())) }
    }

    unsafe fn borrow<'a>(ptr: *mut c_void) -> ArcBorrow<'a, T> {
        // SAFETY: From `into_foreign`, and not taken back in `'a`: asked of the caller.
        unsafe { ArcBorrow::new(NonNull::new_unchecked(ptr.cast())) }
    }

    unsafe fn borrow_mut<'a>(ptr: *mut c_void) -> ArcBorrow<'a, T> {
        // SAFETY: As above.
        unsafe { <Self as ForeignOwnable>::borrow(ptr) }
    }
}

impl<T: ?Sized> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: Valid: invariant 1.
        unsafe { &self.ptr.as_ref().data }
    }
}

impl<T: ?Sized> AsRef<T> for Arc<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: ?Sized> Borrow<T> for Arc<T> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T: ?Sized> Clone for Arc<T> {
    #[track_caller]
    fn clone(&self) -> Self {
        // SAFETY: Valid: invariant 1.
        unsafe { self.ptr.as_ref() }.refcount.inc();
        // SAFETY: Just counted.
        unsafe { Self::from_inner(self.ptr) }
    }
}

impl<T: ?Sized> Drop for Arc<T> {
    fn drop(&mut self) {
        // SAFETY: Valid: invariant 1.
        if unsafe { self.ptr.as_ref() }.refcount.dec_and_test() {
            // SAFETY: Allocated by `KBox`; that was the last reference.
            drop(unsafe { KBox::from_raw(self.ptr.as_ptr()) });
        }
    }
}

impl<T: ?Sized> From<UniqueArc<T>> for Arc<T> {
    fn from(item: UniqueArc<T>) -> Self {
        item.inner
    }
}

impl<T: ?Sized> From<Pin<UniqueArc<T>>> for Arc<T> {
    fn from(item: Pin<UniqueArc<T>>) -> Self {
        // SAFETY: An `Arc` pins its value too.
        unsafe { Pin::into_inner_unchecked(item).inner }
    }
}

/// A borrowed [`Arc`], which can become one.
///
/// # Invariants
///
/// 1. The pointer is valid, and nobody changes the value through it, for `'a`.
#[repr(transparent)]
pub struct ArcBorrow<'a, T: ?Sized + 'a> {
    inner: NonNull<ArcInner<T>>,
    _p: PhantomData<&'a ()>,
}

impl<T: ?Sized> Clone for ArcBorrow<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for ArcBorrow<'_, T> {}

impl<T: ?Sized> ArcBorrow<'_, T> {
    /// # Safety
    ///
    /// Somebody has a reference, and nobody a [`UniqueArc`], for as long as this lives.
    unsafe fn new(inner: NonNull<ArcInner<T>>) -> Self {
        // INVARIANT: 1, asked of the caller.
        Self {
            inner,
            _p: PhantomData,
        }
    }

    /// Borrows from a pointer.
    ///
    /// # Safety
    ///
    /// It is from [`Arc::into_raw`]; the reference is not taken back for as long as this lives.
    pub unsafe fn from_raw(ptr: *const T) -> Self {
        // SAFETY: Asked of the caller.
        unsafe { Self::new(ArcInner::container_of(ptr)) }
    }
}

impl<T: ?Sized> From<ArcBorrow<'_, T>> for Arc<T> {
    fn from(b: ArcBorrow<'_, T>) -> Self {
        // SAFETY: Not dropped, so it does not need a reference of its own.
        let borrowed = ManuallyDrop::new(unsafe { Arc::from_inner(b.inner) });
        (*borrowed).clone()
    }
}

impl<T: ?Sized> Deref for ArcBorrow<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: Invariant 1.
        unsafe { &self.inner.as_ref().data }
    }
}

/// An [`Arc`] that is the only one.
///
/// # Invariants
///
/// 1. `inner` has the only reference.
pub struct UniqueArc<T: ?Sized> {
    inner: Arc<T>,
}

impl<T> InPlaceInit<T> for UniqueArc<T> {
    type PinnedSelf = Pin<Self>;

    fn try_pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Self::PinnedSelf, E>
    where
        E: From<AllocError>,
    {
        UniqueArc::new_uninit(flags)?.write_pin_init(init)
    }

    fn try_init<E>(init: impl Init<T, E>, flags: Flags) -> Result<Self, E>
    where
        E: From<AllocError>,
    {
        UniqueArc::new_uninit(flags)?.write_init(init)
    }
}

impl<T> InPlaceWrite<T> for UniqueArc<MaybeUninit<T>> {
    type Initialized = UniqueArc<T>;

    fn write_init<E>(self, init: impl Init<T, E>) -> Result<Self::Initialized, E> {
        self.init_with(init)
    }

    fn write_pin_init<E>(self, init: impl PinInit<T, E>) -> Result<Pin<Self::Initialized>, E> {
        self.pin_init_with(init)
    }
}

impl<T> UniqueArc<T> {
    /// Allocates, and moves `value` there.
    #[track_caller]
    pub fn new(value: T, flags: Flags) -> Result<Self, AllocError> {
        // INVARIANT: 1, just made.
        Ok(Self {
            inner: Arc::new(value, flags)?,
        })
    }

    /// Allocates.
    #[track_caller]
    pub fn new_uninit(flags: Flags) -> Result<UniqueArc<MaybeUninit<T>>, AllocError> {
        let inner = KBox::try_init::<AllocError>(
            try_init!(ArcInner {
                refcount: Refcount::new(1),
                data <- pinned_init::uninit::<T, AllocError>(),
            }? AllocError),
            flags,
        )?;
        // INVARIANT: 1, just made.
        Ok(UniqueArc {
            // SAFETY: The count is one, and that one is this.
            inner: unsafe { Arc::from_inner(KBox::leak(inner).into()) },
        })
    }
}

impl<T: ?Sized> UniqueArc<T> {
    /// The value's address.
    pub fn as_ptr(this: &Self) -> *const T {
        Arc::as_ptr(&this.inner)
    }
}

impl<T> UniqueArc<MaybeUninit<T>> {
    /// Writes the value.
    pub fn write(mut self, value: T) -> UniqueArc<T> {
        self.deref_mut().write(value);
        // SAFETY: Just written.
        unsafe { self.assume_init() }
    }

    /// The same, known to be initialised.
    ///
    /// # Safety
    ///
    /// It is.
    pub unsafe fn assume_init(self) -> UniqueArc<T> {
        let inner = ManuallyDrop::new(self).inner.ptr;
        UniqueArc {
            // SAFETY: The reference of `self`; the layout is the same.
            inner: unsafe { Arc::from_inner(inner.cast()) },
        }
    }

    /// Runs an initializer there.
    pub fn init_with<E>(mut self, init: impl Init<T, E>) -> core::result::Result<UniqueArc<T>, E> {
        // SAFETY: The slot is ours; on an error it is only freed.
        unsafe { init.__init(self.as_mut_ptr())? };
        // SAFETY: Just initialised.
        Ok(unsafe { self.assume_init() })
    }

    /// Runs an initializer there, and pins.
    pub fn pin_init_with<E>(
        mut self,
        init: impl PinInit<T, E>,
    ) -> core::result::Result<Pin<UniqueArc<T>>, E> {
        // SAFETY: The slot is ours, and pinned below; on an error it is only freed.
        unsafe { init.__pinned_init(self.as_mut_ptr())? };
        // SAFETY: Just initialised.
        Ok(unsafe { self.assume_init() }.into())
    }
}

impl<T: ?Sized> From<UniqueArc<T>> for Pin<UniqueArc<T>> {
    fn from(obj: UniqueArc<T>) -> Self {
        // SAFETY: The value does not move when the pointer does.
        unsafe { Pin::new_unchecked(obj) }
    }
}

impl<T: ?Sized> Deref for UniqueArc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for UniqueArc<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: The only reference: invariant 1.
        unsafe { &mut self.inner.ptr.as_mut().data }
    }
}

impl<T: ?Sized> Borrow<T> for UniqueArc<T> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T: ?Sized> BorrowMut<T> for UniqueArc<T> {
    fn borrow_mut(&mut self) -> &mut T {
        self
    }
}

// The traits are of `kernel::fmt`, whose `Display` is not `core`'s: so `fmt!` prints an `Arc`, and
// `core::write!` does not.
macro_rules! print_as_value {
    ($($pointer:ident: $trait:ident,)*) => {$(
        impl<T: fmt::$trait + ?Sized> fmt::$trait for $pointer<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::$trait::fmt(&**self, f)
            }
        }
    )*};
}

print_as_value! {
    Arc: Debug,
    Arc: Display,
    UniqueArc: Debug,
    UniqueArc: Display,
}

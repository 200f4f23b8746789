//! One value on the heap.
//!
//! Mirrors `rust/kernel/alloc/kbox.rs`. Left out: `AsPageIter`, and the coercion to trait objects,
//! which needs an unstable language feature; `KBox::from_raw(KBox::into_raw(b) as *mut dyn Trait)`
//! does the same in both worlds.

use super::{
    allocator::{KVmalloc, Kmalloc, Vmalloc},
    AllocError, Allocator, Flags, NumaNode,
};
use crate::{
    ffi::c_void,
    fmt,
    init::InPlaceInit,
    prelude::{InPlaceWrite, Init, Pin, PinInit, Zeroable, __GFP_ZERO},
    types::ForeignOwnable,
};
use core::{
    alloc::Layout,
    borrow::{Borrow, BorrowMut},
    marker::PhantomData,
    mem::{ManuallyDrop, MaybeUninit},
    ops::{Deref, DerefMut},
    ptr::NonNull,
    result::Result,
};
use pinned_init::ZeroableOption;

/// Owns a `T` in memory of allocator `A`.
///
/// # Invariants
///
/// 1. The pointer is a block of `A` with the layout of `T`, holds a valid `T`, and nobody else
///    has it. (Dangling, if `T` has no size.)
#[repr(transparent)]
pub struct Box<T: ?Sized, A: Allocator>(NonNull<T>, PhantomData<A>);

/// A [`Box`] in `kmalloc` memory.
pub type KBox<T> = Box<T, Kmalloc>;

/// A [`Box`] in `vmalloc` memory.
pub type VBox<T> = Box<T, Vmalloc>;

/// A [`Box`] in either.
pub type KVBox<T> = Box<T, KVmalloc>;

// SAFETY: Null is `None`: the only field with a size is a `NonNull`.
unsafe impl<T, A: Allocator> ZeroableOption for Box<T, A> {}

// SAFETY: Owns the `T`, as a field of that type would.
unsafe impl<T: Send + ?Sized, A: Allocator> Send for Box<T, A> {}

// SAFETY: Owns the `T`, as a field of that type would.
unsafe impl<T: Sync + ?Sized, A: Allocator> Sync for Box<T, A> {}

impl<T: ?Sized, A: Allocator> Box<T, A> {
    /// Takes over a pointer.
    ///
    /// # Safety
    ///
    /// From [`into_raw`](Self::into_raw), or allocated by `A` with the layout of `T` and valid;
    /// and nobody else frees it.
    pub const unsafe fn from_raw(raw: *mut T) -> Self {
        // INVARIANT: 1, asked of the caller.
        // SAFETY: Not null: asked of the caller.
        Self(unsafe { NonNull::new_unchecked(raw) }, PhantomData)
    }

    /// Lets go of the memory; the caller frees it.
    pub fn into_raw(b: Self) -> *mut T {
        ManuallyDrop::new(b).0.as_ptr()
    }

    /// Never frees the memory.
    pub fn leak<'a>(b: Self) -> &'a mut T {
        // SAFETY: Valid and unique, by invariant 1, and from now on never freed.
        unsafe { &mut *Box::into_raw(b) }
    }
}

impl<T, A: Allocator> Box<MaybeUninit<T>, A> {
    /// The same box, known to be initialised.
    ///
    /// # Safety
    ///
    /// It is.
    pub unsafe fn assume_init(self) -> Box<T, A> {
        let raw = Self::into_raw(self);
        // SAFETY: A block of `A` for a `T`, by invariant 1; initialised, says the caller.
        unsafe { Box::from_raw(raw.cast()) }
    }

    /// Writes the value.
    pub fn write(mut self, value: T) -> Box<T, A> {
        (*self).write(value);
        // SAFETY: Just written.
        unsafe { self.assume_init() }
    }
}

impl<T, A: Allocator> Box<T, A> {
    /// Allocates, and moves `x` there.
    #[track_caller]
    pub fn new(x: T, flags: Flags) -> Result<Self, AllocError> {
        Ok(Self::new_uninit(flags)?.write(x))
    }

    /// Allocates.
    #[track_caller]
    pub fn new_uninit(flags: Flags) -> Result<Box<MaybeUninit<T>, A>, AllocError> {
        let ptr = A::alloc(Layout::new::<MaybeUninit<T>>(), flags, NumaNode::NO_NODE)?;
        crate::hooks::name_allocation(ptr.cast::<T>().as_ptr());
        // INVARIANT: 1, just allocated.
        Ok(Box(ptr.cast(), PhantomData))
    }

    /// Allocates zeroes.
    #[track_caller]
    pub fn zeroed(flags: Flags) -> Result<Self, AllocError>
    where
        T: Zeroable,
    {
        let zeroes = Self::new_uninit(flags | __GFP_ZERO)?;
        // SAFETY: All zeroes are a valid `T`, by `Zeroable`.
        Ok(unsafe { zeroes.assume_init() })
    }

    /// Allocates, moves `x` there, and pins it.
    #[track_caller]
    pub fn pin(x: T, flags: Flags) -> Result<Pin<Box<T, A>>, AllocError>
    where
        A: 'static,
    {
        Ok(Self::new(x, flags)?.into())
    }

    /// A pinned slice, each element from its own initializer.
    #[track_caller]
    pub fn pin_slice<Func, Item, E>(
        mut init: Func,
        len: usize,
        flags: Flags,
    ) -> Result<Pin<Box<[T], A>>, E>
    where
        Func: FnMut(usize) -> Item,
        Item: PinInit<T, E>,
        E: From<AllocError>,
    {
        let mut elements = super::Vec::<T, A>::with_capacity(len, flags)?;
        for i in 0..len {
            let slot = elements.spare_capacity_mut().as_mut_ptr().cast();
            // SAFETY: Room for `len` was made, `i` are used, and the vector will not move them.
            unsafe { init(i).__pinned_init(slot)? };
            // SAFETY: Just initialised.
            unsafe { elements.inc_len(1) };
        }
        let (ptr, _, _) = elements.into_raw_parts();
        let slice = core::ptr::slice_from_raw_parts_mut(ptr, len);
        // SAFETY: A block of `A` for `len` elements, all initialised.
        Ok(Pin::from(unsafe { Box::from_raw(slice) }))
    }

    /// Pins the value where it is.
    pub fn into_pin(this: Self) -> Pin<Self> {
        this.into()
    }

    fn forget_contents(this: Self) -> Box<MaybeUninit<T>, A> {
        let ptr = Self::into_raw(this);
        // SAFETY: The same block, for the same layout.
        unsafe { Box::from_raw(ptr.cast()) }
    }

    /// Drops the value and keeps the memory.
    pub fn drop_contents(this: Self) -> Box<MaybeUninit<T>, A> {
        let ptr = this.0.as_ptr();
        // SAFETY: Valid, by invariant 1; the value is forgotten next.
        unsafe { core::ptr::drop_in_place(ptr) };
        Self::forget_contents(this)
    }

    /// Moves the value out.
    pub fn into_inner(b: Self) -> T {
        // SAFETY: Valid, by invariant 1; the value is forgotten next.
        let value = unsafe { core::ptr::read(&*b) };
        drop(Self::forget_contents(b));
        value
    }
}

impl<T: ?Sized, A: Allocator> From<Box<T, A>> for Pin<Box<T, A>> {
    fn from(b: Box<T, A>) -> Self {
        // SAFETY: The value does not move when the box does, and only the box can drop it.
        unsafe { Pin::new_unchecked(b) }
    }
}

impl<T, A: Allocator + 'static> InPlaceWrite<T> for Box<MaybeUninit<T>, A> {
    type Initialized = Box<T, A>;

    fn write_init<E>(mut self, init: impl Init<T, E>) -> Result<Self::Initialized, E> {
        // SAFETY: The slot is ours; on an error it is only freed.
        unsafe { init.__init(self.as_mut_ptr())? };
        // SAFETY: Just initialised.
        Ok(unsafe { self.assume_init() })
    }

    fn write_pin_init<E>(mut self, init: impl PinInit<T, E>) -> Result<Pin<Self::Initialized>, E> {
        // SAFETY: The slot is ours, and pinned below; on an error it is only freed.
        unsafe { init.__pinned_init(self.as_mut_ptr())? };
        // SAFETY: Just initialised.
        Ok(unsafe { self.assume_init() }.into())
    }
}

impl<T, A: Allocator + 'static> InPlaceInit<T> for Box<T, A> {
    type PinnedSelf = Pin<Self>;

    #[track_caller]
    fn try_pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Pin<Self>, E>
    where
        E: From<AllocError>,
    {
        Box::<_, A>::new_uninit(flags)?.write_pin_init(init)
    }

    #[track_caller]
    fn try_init<E>(init: impl Init<T, E>, flags: Flags) -> Result<Self, E>
    where
        E: From<AllocError>,
    {
        Box::<_, A>::new_uninit(flags)?.write_init(init)
    }
}

// SAFETY: A block of `A`, so not null, and aligned to the larger of the two.
unsafe impl<T, A: Allocator> ForeignOwnable for Box<T, A> {
    const FOREIGN_ALIGN: usize = if core::mem::align_of::<T>() < A::MIN_ALIGN {
        A::MIN_ALIGN
    } else {
        core::mem::align_of::<T>()
    };

    type Borrowed<'a>
        = &'a T
    where
        Self: 'a;
    type BorrowedMut<'a>
        = &'a mut T
    where
        Self: 'a;

    fn into_foreign(self) -> *mut c_void {
        Box::into_raw(self).cast()
    }

    unsafe fn from_foreign(ptr: *mut c_void) -> Self {
        // SAFETY: From `into_foreign`, so from `into_raw`: asked of the caller.
        unsafe { Box::from_raw(ptr.cast()) }
    }

    unsafe fn borrow<'a>(ptr: *mut c_void) -> &'a T {
        // SAFETY: Valid by invariant 1 of the box it was, and only shared in `'a`.
        unsafe { &*ptr.cast() }
    }

    unsafe fn borrow_mut<'a>(ptr: *mut c_void) -> &'a mut T {
        // SAFETY: Valid by invariant 1 of the box it was, and used by nobody else in `'a`.
        unsafe { &mut *ptr.cast() }
    }
}

// SAFETY: As for the box inside.
unsafe impl<T, A: Allocator> ForeignOwnable for Pin<Box<T, A>> {
    const FOREIGN_ALIGN: usize = <Box<T, A> as ForeignOwnable>::FOREIGN_ALIGN;

    type Borrowed<'a>
        = Pin<&'a T>
    where
        Self: 'a;
    type BorrowedMut<'a>
        = Pin<&'a mut T>
    where
        Self: 'a;

    fn into_foreign(self) -> *mut c_void {
        // SAFETY: Every way back to the value is through `Pin` again.
        Box::into_raw(unsafe { Pin::into_inner_unchecked(self) }).cast()
    }

    unsafe fn from_foreign(ptr: *mut c_void) -> Self {
        // SAFETY: From `into_foreign`: asked of the caller. It was pinned before.
        unsafe { Pin::new_unchecked(Box::from_raw(ptr.cast())) }
    }

    unsafe fn borrow<'a>(ptr: *mut c_void) -> Pin<&'a T> {
        // SAFETY: Valid by invariant 1 of the box it was, only shared in `'a`, and pinned.
        unsafe { Pin::new_unchecked(&*ptr.cast()) }
    }

    unsafe fn borrow_mut<'a>(ptr: *mut c_void) -> Pin<&'a mut T> {
        // SAFETY: Valid by invariant 1 of the box it was, nobody else's in `'a`, and pinned.
        unsafe { Pin::new_unchecked(&mut *ptr.cast()) }
    }
}

impl<T: ?Sized, A: Allocator> Deref for Box<T, A> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: Invariant 1.
        unsafe { self.0.as_ref() }
    }
}

impl<T: ?Sized, A: Allocator> DerefMut for Box<T, A> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: Invariant 1.
        unsafe { self.0.as_mut() }
    }
}

impl<T: ?Sized, A: Allocator> Borrow<T> for Box<T, A> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T: ?Sized, A: Allocator> BorrowMut<T> for Box<T, A> {
    fn borrow_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: ?Sized + fmt::Display, A: Allocator> fmt::Display for Box<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Debug, A: Allocator> fmt::Debug for Box<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized, A: Allocator> Drop for Box<T, A> {
    fn drop(&mut self) {
        let layout = Layout::for_value::<T>(self);
        // SAFETY: Valid, by invariant 1, and not used afterwards.
        unsafe { core::ptr::drop_in_place::<T>(self.0.as_ptr()) };
        // SAFETY: A block of `A` with this layout, by invariant 1.
        unsafe { A::free(self.0.cast(), layout) };
    }
}

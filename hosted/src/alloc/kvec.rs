//! Growable arrays.
//!
//! Mirrors `rust/kernel/alloc/kvec.rs`. Left out: `KVVec::shrink_to`, `AsPageIter`.

use super::{
    allocator::{KVmalloc, Kmalloc, Vmalloc},
    layout::ArrayLayout,
    AllocError, Allocator, Box, Flags, NumaNode,
};
use crate::{
    error::{code::EINVAL, Error},
    fmt,
    prelude::{Zeroable, __GFP_ZERO},
};
use core::{
    borrow::{Borrow, BorrowMut},
    marker::PhantomData,
    mem::{ManuallyDrop, MaybeUninit},
    ops::{Deref, DerefMut, Index, IndexMut},
    ptr::NonNull,
    result::Result,
    slice::{self, SliceIndex},
};

/// A [`KVec`] of the given elements, which may have no memory: `kvec![1, 2]?`, `kvec![0; 10]?`.
#[macro_export]
macro_rules! kvec {
    () => {
        $crate::alloc::KVec::new()
    };
    ($elem:expr; $n:expr) => {
        $crate::alloc::KVec::from_elem($elem, $n, $crate::alloc::flags::GFP_KERNEL)
    };
    ($($x:expr),+ $(,)?) => {
        match $crate::alloc::KBox::new([$($x),+], $crate::alloc::flags::GFP_KERNEL) {
            Ok(array) => Ok($crate::alloc::KVec::from(array)),
            Err(error) => Err(error),
        }
    };
}

/// `T` after `T` in memory of allocator `A`.
///
/// # Invariants
///
/// 1. The pointer is a block of `A` with layout `layout`, or dangling if that has no size.
/// 2. The first `len` elements are initialised, and `len <= capacity()`.
pub struct Vec<T, A: Allocator> {
    ptr: NonNull<T>,
    layout: ArrayLayout<T>,
    len: usize,
    _p: PhantomData<A>,
}

/// A [`Vec`] in `kmalloc` memory.
pub type KVec<T> = Vec<T, Kmalloc>;

/// A [`Vec`] in `vmalloc` memory.
pub type VVec<T> = Vec<T, Vmalloc>;

/// A [`Vec`] in either.
pub type KVVec<T> = Vec<T, KVmalloc>;

// SAFETY: Owns its elements.
unsafe impl<T: Send, A: Allocator> Send for Vec<T, A> {}

// SAFETY: Owns its elements.
unsafe impl<T: Sync, A: Allocator> Sync for Vec<T, A> {}

impl<T, A: Allocator> Vec<T, A> {
    const IS_ZST: bool = core::mem::size_of::<T>() == 0;

    /// How many elements fit.
    pub const fn capacity(&self) -> usize {
        if Self::IS_ZST {
            usize::MAX
        } else {
            self.layout.len()
        }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Counts more elements.
    ///
    /// # Safety
    ///
    /// The next `additional` elements are initialised, and within the capacity.
    pub const unsafe fn inc_len(&mut self, additional: usize) {
        debug_assert!(additional <= self.capacity() - self.len());
        // INVARIANT: 2, asked of the caller.
        self.len += additional;
    }

    /// Counts fewer elements, and gives the others to the caller.
    fn dec_len(&mut self, count: usize) -> *mut [T] {
        debug_assert!(count <= self.len());
        // INVARIANT: 2 of fewer elements.
        self.len -= count;
        core::ptr::slice_from_raw_parts_mut(self.at(self.len), count)
    }

    fn at(&mut self, index: usize) -> *mut T {
        self.as_mut_ptr().wrapping_add(index)
    }

    /// All elements.
    pub fn as_slice(&self) -> &[T] {
        self
    }

    /// All elements.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self
    }

    /// The address of the first.
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.ptr.as_ptr()
    }

    /// The address of the first.
    pub const fn as_ptr(&self) -> *const T {
        self.ptr.as_ptr()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Empty, and without memory.
    pub const fn new() -> Self {
        // INVARIANT: 1, 2: nothing is allocated.
        Self {
            ptr: NonNull::dangling(),
            layout: ArrayLayout::empty(),
            len: 0,
            _p: PhantomData,
        }
    }

    /// The room behind the last element.
    pub fn spare_capacity_mut(&mut self) -> &mut [MaybeUninit<T>] {
        let room = self.capacity() - self.len();
        let end = self.at(self.len).cast::<MaybeUninit<T>>();
        // SAFETY: Behind `len` up to the capacity: invariant 1.
        unsafe { slice::from_raw_parts_mut(end, room) }
    }

    /// Appends, growing if need be.
    #[track_caller]
    pub fn push(&mut self, v: T, flags: Flags) -> Result<(), AllocError> {
        self.reserve(1, flags)?;
        // SAFETY: There is room now.
        unsafe { self.push_into_room(v) };
        Ok(())
    }

    /// Appends if there is room.
    pub fn push_within_capacity(&mut self, v: T) -> Result<(), PushError<T>> {
        if self.len() == self.capacity() {
            return Err(PushError(v));
        }
        // SAFETY: Just checked.
        unsafe { self.push_into_room(v) };
        Ok(())
    }

    /// # Safety
    ///
    /// `len < capacity`.
    unsafe fn push_into_room(&mut self, v: T) {
        let end = self.at(self.len);
        // SAFETY: Within the capacity: asked of the caller.
        unsafe { end.write(v) };
        // SAFETY: Just written.
        unsafe { self.inc_len(1) };
    }

    /// Inserts if there is room.
    pub fn insert_within_capacity(
        &mut self,
        index: usize,
        element: T,
    ) -> Result<(), InsertError<T>> {
        let len = self.len();
        if index > len {
            return Err(InsertError::IndexOutOfBounds(element));
        }
        if len >= self.capacity() {
            return Err(InsertError::OutOfCapacity(element));
        }
        let place = self.at(index);
        // SAFETY: `index <= len < capacity`, so the tail has room one further on.
        unsafe {
            core::ptr::copy(place, place.wrapping_add(1), len - index);
            place.write(element);
            self.inc_len(1);
        }
        Ok(())
    }

    /// Takes the last element.
    pub fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let last = self.dec_len(1);
        // SAFETY: Initialised, and no longer counted.
        Some(unsafe { last.cast::<T>().read() })
    }

    /// Takes element `i`, and closes the gap.
    pub fn remove(&mut self, i: usize) -> Result<T, RemoveError> {
        if i >= self.len() {
            return Err(RemoveError);
        }
        let place = self.at(i);
        let behind = self.len() - i - 1;
        // SAFETY: `i < len`; the element is read, and its place overwritten or no longer counted.
        let value = unsafe {
            let value = place.read();
            core::ptr::copy(place.wrapping_add(1), place, behind);
            value
        };
        let _ = self.dec_len(1);
        Ok(value)
    }

    /// Empty, with room for `capacity`.
    #[track_caller]
    pub fn with_capacity(capacity: usize, flags: Flags) -> Result<Self, AllocError> {
        let mut v = Vec::new();
        v.reserve(capacity, flags)?;
        Ok(v)
    }

    /// `n` zeroes.
    #[track_caller]
    pub fn zeroed(n: usize, flags: Flags) -> Result<Self, AllocError>
    where
        T: Zeroable,
    {
        let mut v = Self::with_capacity(n, flags | __GFP_ZERO)?;
        let start = v.as_mut_ptr();
        // SAFETY: There is room for `n`; zeroes are a valid `T`, by `Zeroable`.
        unsafe {
            core::ptr::write_bytes(start, 0, n);
            v.inc_len(n);
        }
        Ok(v)
    }

    /// Puts a vector together.
    ///
    /// # Safety
    ///
    /// From [`into_raw_parts`](Self::into_raw_parts), or as invariants 1 and 2 have it.
    pub unsafe fn from_raw_parts(ptr: *mut T, length: usize, capacity: usize) -> Self {
        let layout = if Self::IS_ZST {
            ArrayLayout::empty()
        } else {
            // SAFETY: A block of that size exists: asked of the caller.
            unsafe { ArrayLayout::new_unchecked(capacity) }
        };
        // INVARIANT: 1, 2, asked of the caller.
        Self {
            // SAFETY: Not null: asked of the caller.
            ptr: unsafe { NonNull::new_unchecked(ptr) },
            layout,
            len: length,
            _p: PhantomData,
        }
    }

    /// Takes the vector apart: pointer, length, capacity.
    pub fn into_raw_parts(self) -> (*mut T, usize, usize) {
        let mut me = ManuallyDrop::new(self);
        (me.as_mut_ptr(), me.len(), me.capacity())
    }

    /// Drops all elements, and keeps the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Makes room for `additional` more.
    #[track_caller]
    pub fn reserve(&mut self, additional: usize, flags: Flags) -> Result<(), AllocError> {
        let (len, cap) = (self.len(), self.capacity());
        if cap - len >= additional {
            return Ok(());
        }
        if Self::IS_ZST {
            // The capacity is `usize::MAX`, so more was asked for than can be counted.
            return Err(AllocError);
        }
        let needed = len.checked_add(additional).ok_or(AllocError)?;
        // Twice as much, so that pushing costs constant time on average.
        let new_cap = core::cmp::max(cap.saturating_mul(2), needed);
        let layout = ArrayLayout::<T>::new(new_cap).map_err(|_| AllocError)?;
        // SAFETY: The block of this vector with its layout: invariant 1.
        let ptr = unsafe {
            A::realloc(
                Some(self.ptr.cast()),
                layout.into(),
                self.layout.into(),
                flags,
                NumaNode::NO_NODE,
            )?
        };
        // INVARIANT: 1, just allocated; `realloc` kept the elements: 2.
        self.ptr = ptr.cast();
        self.layout = layout;
        Ok(())
    }

    /// Drops all but the first `len` elements.
    pub fn truncate(&mut self, len: usize) {
        if let Some(count) = self.len().checked_sub(len) {
            let rest = self.dec_len(count);
            // SAFETY: Initialised, and no longer counted.
            unsafe { core::ptr::drop_in_place(rest) };
        }
    }

    /// Takes all elements; the memory stays.
    pub fn drain_all(&mut self) -> DrainAll<'_, T> {
        let len = self.len();
        let all = self.dec_len(len);
        DrainAll {
            // SAFETY: Initialised, no longer counted, and borrowed for as long as `self`.
            elements: unsafe { &mut *all }.iter_mut(),
        }
    }

    /// Keeps the elements that `f` says yes to.
    pub fn retain(&mut self, mut f: impl FnMut(&mut T) -> bool) {
        let mut kept = 0;
        for i in 0..self.len() {
            if f(&mut self[i]) {
                self.swap(kept, i);
                kept += 1;
            }
        }
        self.truncate(kept);
    }
}

impl<T: Clone, A: Allocator> Vec<T, A> {
    /// Appends `n` clones.
    #[track_caller]
    pub fn extend_with(&mut self, n: usize, value: T, flags: Flags) -> Result<(), AllocError> {
        self.reserve(n, flags)?;
        for _ in 1..n {
            // SAFETY: Room for `n` was made.
            unsafe { self.push_into_room(value.clone()) };
        }
        if n > 0 {
            // SAFETY: Room for `n` was made.
            unsafe { self.push_into_room(value) };
        }
        Ok(())
    }

    /// Appends clones of a slice.
    #[track_caller]
    pub fn extend_from_slice(&mut self, other: &[T], flags: Flags) -> Result<(), AllocError> {
        self.reserve(other.len(), flags)?;
        for value in other {
            // SAFETY: Room for all was made.
            unsafe { self.push_into_room(value.clone()) };
        }
        Ok(())
    }

    /// `n` clones.
    #[track_caller]
    pub fn from_elem(value: T, n: usize, flags: Flags) -> Result<Self, AllocError> {
        let mut v = Self::with_capacity(n, flags)?;
        v.extend_with(n, value, flags)?;
        Ok(v)
    }

    /// Shortens, or appends clones.
    #[track_caller]
    pub fn resize(&mut self, new_len: usize, value: T, flags: Flags) -> Result<(), AllocError> {
        match new_len.checked_sub(self.len()) {
            Some(more) => self.extend_with(more, value, flags),
            None => {
                self.truncate(new_len);
                Ok(())
            }
        }
    }
}

impl<T, A: Allocator> Drop for Vec<T, A> {
    fn drop(&mut self) {
        self.clear();
        // SAFETY: The block of this vector with its layout: invariant 1.
        unsafe { A::free(self.ptr.cast(), self.layout.into()) };
    }
}

impl<T, A: Allocator, const N: usize> From<Box<[T; N], A>> for Vec<T, A> {
    fn from(b: Box<[T; N], A>) -> Vec<T, A> {
        let ptr = Box::into_raw(b).cast();
        // SAFETY: A block of `A` with `N` initialised elements.
        unsafe { Vec::from_raw_parts(ptr, N, N) }
    }
}

impl<T, A: Allocator> Default for Vec<T, A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug, A: Allocator> fmt::Debug for Vec<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T, A: Allocator> Deref for Vec<T, A> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: Invariant 2.
        unsafe { slice::from_raw_parts(self.as_ptr(), self.len) }
    }
}

impl<T, A: Allocator> DerefMut for Vec<T, A> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: Invariant 2.
        unsafe { slice::from_raw_parts_mut(self.as_mut_ptr(), self.len) }
    }
}

impl<T, A: Allocator> Borrow<[T]> for Vec<T, A> {
    fn borrow(&self) -> &[T] {
        self
    }
}

impl<T, A: Allocator> BorrowMut<[T]> for Vec<T, A> {
    fn borrow_mut(&mut self) -> &mut [T] {
        self
    }
}

impl<T: Eq, A: Allocator> Eq for Vec<T, A> {}

impl<T, I: SliceIndex<[T]>, A: Allocator> Index<I> for Vec<T, A> {
    type Output = I::Output;

    fn index(&self, index: I) -> &Self::Output {
        &(**self)[index]
    }
}

impl<T, I: SliceIndex<[T]>, A: Allocator> IndexMut<I> for Vec<T, A> {
    fn index_mut(&mut self, index: I) -> &mut Self::Output {
        &mut (**self)[index]
    }
}

macro_rules! equal_as_slices {
    ($([$($vars:tt)*] $lhs:ty, $rhs:ty;)*) => {$(
        impl<T: PartialEq<U>, U, $($vars)*> PartialEq<$rhs> for $lhs {
            fn eq(&self, other: &$rhs) -> bool {
                self[..] == other[..]
            }
        }
    )*};
}

equal_as_slices! {
    [A1: Allocator, A2: Allocator] Vec<T, A1>, Vec<U, A2>;
    [A: Allocator] Vec<T, A>, &[U];
    [A: Allocator] Vec<T, A>, &mut [U];
    [A: Allocator] &[T], Vec<U, A>;
    [A: Allocator] &mut [T], Vec<U, A>;
    [A: Allocator] Vec<T, A>, [U];
    [A: Allocator] [T], Vec<U, A>;
    [A: Allocator, const N: usize] Vec<T, A>, [U; N];
    [A: Allocator, const N: usize] Vec<T, A>, &[U; N];
}

impl<'a, T, A: Allocator> IntoIterator for &'a Vec<T, A> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T, A: Allocator> IntoIterator for &'a mut Vec<T, A> {
    type Item = &'a mut T;
    type IntoIter = slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T, A: Allocator> IntoIterator for Vec<T, A> {
    type Item = T;
    type IntoIter = IntoIter<T, A>;

    fn into_iter(self) -> Self::IntoIter {
        let (buf, len, cap) = self.into_raw_parts();
        // INVARIANT: All elements are still there.
        IntoIter {
            buf,
            next: 0,
            len,
            cap,
            _p: PhantomData,
        }
    }
}

/// The elements of a [`Vec`], one by one.
///
/// # Invariants
///
/// 1. `buf` is the memory of a [`Vec`] of capacity `cap`, and elements `next..len` are in it.
pub struct IntoIter<T, A: Allocator> {
    buf: *mut T,
    next: usize,
    len: usize,
    cap: usize,
    _p: PhantomData<Box<T, A>>,
}

impl<T, A: Allocator> IntoIter<T, A> {
    /// The elements that are left, as a vector in the same memory.
    pub fn collect(self, _flags: Flags) -> Vec<T, A> {
        let me = ManuallyDrop::new(self);
        let left = me.len - me.next;
        // SAFETY: Elements `next..len` are initialised, and move within the block: invariant 1.
        unsafe { core::ptr::copy(me.buf.wrapping_add(me.next), me.buf, left) };
        // SAFETY: Invariant 1; they are in front now.
        unsafe { Vec::from_raw_parts(me.buf, left, me.cap) }
    }
}

impl<T, A: Allocator> Iterator for IntoIter<T, A> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.next == self.len {
            return None;
        }
        let element = self.buf.wrapping_add(self.next);
        // INVARIANT: 1 of one element less.
        self.next += 1;
        // SAFETY: Initialised, by invariant 1, and no longer counted.
        Some(unsafe { element.read() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.len - self.next;
        (left, Some(left))
    }
}

impl<T, A: Allocator> Drop for IntoIter<T, A> {
    fn drop(&mut self) {
        self.for_each(drop);
        // SAFETY: The block of the vector, by invariant 1; no element is left.
        drop(unsafe { Vec::<T, A>::from_raw_parts(self.buf, 0, self.cap) });
    }
}

/// All elements of a [`Vec`]; those not taken are dropped with this.
pub struct DrainAll<'vec, T> {
    elements: slice::IterMut<'vec, T>,
}

impl<T> Iterator for DrainAll<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let element: *const T = self.elements.next()?;
        // SAFETY: Initialised; the vector no longer counts it and the iterator has passed it.
        Some(unsafe { element.read() })
    }
}

impl<T> Drop for DrainAll<'_, T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

/// There was no room; here is the element.
pub struct PushError<T>(pub T);

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Not enough capacity")
    }
}

impl<T> From<PushError<T>> for Error {
    fn from(_: PushError<T>) -> Error {
        EINVAL
    }
}

/// There is no such element.
pub struct RemoveError;

impl fmt::Debug for RemoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Index out of bounds")
    }
}

impl From<RemoveError> for Error {
    fn from(_: RemoveError) -> Error {
        EINVAL
    }
}

/// The element could not be inserted; here it is.
pub enum InsertError<T> {
    /// There is no such place.
    IndexOutOfBounds(T),
    /// There is no room.
    OutOfCapacity(T),
}

impl<T> fmt::Debug for InsertError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InsertError::IndexOutOfBounds(_) => "Index out of bounds",
            InsertError::OutOfCapacity(_) => "Not enough capacity",
        })
    }
}

impl<T> From<InsertError<T>> for Error {
    fn from(_: InsertError<T>) -> Error {
        EINVAL
    }
}

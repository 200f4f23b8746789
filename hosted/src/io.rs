//! Device memory.
//!
//! C header: `include/asm-generic/io.h`; mirrors `rust/kernel/io.rs`. Each access goes to the model
//! of the device that owns the address. Left out: `register!`, projections (`io_read!` and kin),
//! copies, system memory as an I/O backend, `io::mem`, `io::poll`, `io::resource`.
//!
//! The accessors without `try_` fail Linux's build if the offset is not known to be valid; here
//! they panic.

use crate::{
    bindings,
    build_assert::{build_assert, const_assert},
    error::{code::EINVAL, Result},
    ptr::{Alignment, KnownSize},
};
use core::marker::PhantomData;

/// A physical address.
pub type PhysAddr = bindings::phys_addr_t;

/// The size of a resource.
pub type ResourceSize = bindings::resource_size_t;

/// Memory of which at least `SIZE` bytes are there.
///
/// # Invariants
///
/// 1. At least `SIZE` bytes, a multiple of 4, aligned to 4.
#[repr(C, align(4))]
pub struct Region<const SIZE: usize = 0> {
    inner: [u8],
}

impl<const SIZE: usize> Region<SIZE> {
    /// A pointer to a region, unchecked.
    pub fn ptr_from_raw_parts_mut(base: *mut u8, size: usize) -> *mut Self {
        core::ptr::slice_from_raw_parts_mut(base, size) as *mut Region<SIZE>
    }

    /// A pointer to a region, or `EINVAL` if that cannot be one.
    pub fn ptr_try_from_raw_parts_mut(base: *mut u8, size: usize) -> Result<*mut Self> {
        if size < SIZE || base.align_offset(4) != 0 || !size.is_multiple_of(4) {
            return Err(EINVAL);
        }
        Ok(Self::ptr_from_raw_parts_mut(base, size))
    }
}

impl<const SIZE: usize> KnownSize for Region<SIZE> {
    const MIN_SIZE: usize = SIZE;
    const MIN_ALIGN: Alignment = Alignment::new::<4>();

    fn size(p: *const Self) -> usize {
        (p as *const [u8]).len()
    }
}

/// The address and size of device memory, which may be mapped or not.
pub struct MmioRaw<T: ?Sized> {
    ptr: *mut T,
}

impl<T: ?Sized> Copy for MmioRaw<T> {}

impl<T: ?Sized> Clone for MmioRaw<T> {
    fn clone(&self) -> Self {
        *self
    }
}

// SAFETY: A number.
unsafe impl<T: ?Sized> Send for MmioRaw<T> {}

// SAFETY: A number.
unsafe impl<T: ?Sized> Sync for MmioRaw<T> {}

impl<T> MmioRaw<T> {
    /// A `T` at `addr`.
    pub fn new(addr: usize) -> Self {
        Self {
            ptr: core::ptr::without_provenance_mut(addr),
        }
    }
}

impl<const SIZE: usize> MmioRaw<Region<SIZE>> {
    /// `size` bytes at `addr`.
    pub fn new_region(addr: usize, size: usize) -> Result<Self> {
        let base = core::ptr::without_provenance_mut(addr);
        Ok(Self {
            ptr: Region::ptr_try_from_raw_parts_mut(base, size)?,
        })
    }
}

impl<T: ?Sized + KnownSize> MmioRaw<T> {
    /// The address.
    pub fn addr(&self) -> usize {
        self.ptr.addr()
    }

    /// The size.
    pub fn size(&self) -> usize {
        KnownSize::size(self.ptr)
    }
}

/// Whether a `U` at `offset` of something at `base` fits into `size`, and is aligned.
const fn offset_valid<U>(base: usize, offset: usize, size: usize) -> bool {
    match offset.checked_add(size_of::<U>()) {
        Some(end) => end <= size && base.wrapping_add(offset).is_multiple_of(align_of::<U>()),
        None => false,
    }
}

/// The `U` at `offset`, which has to be within the size that the type promises.
#[track_caller]
fn io_view_assert<'a, IO: Io<'a>, U>(
    this: IO,
    offset: usize,
) -> <IO::Backend as IoBackend>::View<'a, U> {
    const_assert!(Alignment::of::<U>().as_usize() <= IO::Target::MIN_ALIGN.as_usize());
    build_assert!(
        offset_valid::<U>(0, offset, IO::Target::MIN_SIZE),
        "this offset is outside of the size that the mapping's type promises; \
         Linux would not build this, use a `try_` accessor or a larger `SIZE`"
    );
    let view = this.as_view();
    let ptr = IO::Backend::as_ptr(view).cast::<U>();
    // SAFETY: Just checked.
    unsafe { IO::Backend::project_view(view, ptr.wrapping_byte_add(offset)) }
}

/// The `U` at `offset`, if it is inside.
fn io_view<'a, IO: Io<'a>, U>(
    this: IO,
    offset: usize,
) -> Result<<IO::Backend as IoBackend>::View<'a, U>> {
    let view = this.as_view();
    let ptr = IO::Backend::as_ptr(view);
    if !offset_valid::<U>(ptr.addr(), offset, KnownSize::size(ptr)) {
        return Err(EINVAL);
    }
    let ptr = ptr.cast::<U>().wrapping_byte_add(offset);
    // SAFETY: Just checked.
    Ok(unsafe { IO::Backend::project_view(view, ptr) })
}

/// A way to reach devices.
pub trait IoBackend {
    /// A `T` of a device.
    type View<'a, T: ?Sized + KnownSize>: IoBase<'a, Backend = Self, Target = T>;

    /// Its address.
    fn as_ptr<'a, T: ?Sized + KnownSize>(view: Self::View<'a, T>) -> *mut T;

    /// A part of it.
    ///
    /// # Safety
    ///
    /// `ptr` is inside.
    unsafe fn project_view<'a, T: ?Sized + KnownSize, U: ?Sized + KnownSize>(
        view: Self::View<'a, T>,
        ptr: *mut U,
    ) -> Self::View<'a, U>;
}

/// A backend that can read and write a `T` at once.
pub trait IoCapable<T>: IoBackend {
    /// Reads.
    fn io_read<'a>(view: Self::View<'a, T>) -> T;

    /// Writes.
    fn io_write<'a>(view: Self::View<'a, T>, value: T);
}

/// Something that says where in a `Base` a `T` is.
pub trait IoLoc<Base: ?Sized, T> {
    /// What is read and written there.
    type IoType: Into<T> + From<T>;

    /// Where it is.
    fn offset(self) -> usize;
}

macro_rules! number_at_offset {
    ($($ty:ty),*) => {$(
        impl<const SIZE: usize> IoLoc<Region<SIZE>, $ty> for usize {
            type IoType = $ty;

            fn offset(self) -> usize {
                self
            }
        }
    )*};
}

number_at_offset!(u8, u16, u32, u64);

/// Something that device memory can be reached through.
pub trait IoBase<'a>: Copy {
    /// How.
    type Backend: IoBackend;

    /// What is there.
    type Target: ?Sized + KnownSize;

    /// All of it.
    fn as_view(self) -> <Self::Backend as IoBackend>::View<'a, Self::Target>;
}

macro_rules! accessors {
    ($($ty:ty: $read:ident $write:ident $try_read:ident $try_write:ident;)*) => {$(
        #[doc = concat!("Reads a `", stringify!($ty), "`; the offset must be valid by type.")]
        #[track_caller]
        fn $read(self, offset: usize) -> $ty
        where
            usize: IoLoc<Self::Target, $ty, IoType = $ty>,
            Self::Backend: IoCapable<$ty>,
        {
            self.read(offset)
        }

        #[doc = concat!("Writes a `", stringify!($ty), "`; the offset must be valid by type.")]
        #[track_caller]
        fn $write(self, value: $ty, offset: usize)
        where
            usize: IoLoc<Self::Target, $ty, IoType = $ty>,
            Self::Backend: IoCapable<$ty>,
        {
            self.write(offset, value)
        }

        #[doc = concat!("Reads a `", stringify!($ty), "`, if the offset is valid.")]
        fn $try_read(self, offset: usize) -> Result<$ty>
        where
            usize: IoLoc<Self::Target, $ty, IoType = $ty>,
            Self::Backend: IoCapable<$ty>,
        {
            self.try_read(offset)
        }

        #[doc = concat!("Writes a `", stringify!($ty), "`, if the offset is valid.")]
        fn $try_write(self, value: $ty, offset: usize) -> Result
        where
            usize: IoLoc<Self::Target, $ty, IoType = $ty>,
            Self::Backend: IoCapable<$ty>,
        {
            self.try_write(offset, value)
        }
    )*};
}

/// Reading and writing device memory.
pub trait Io<'a>: IoBase<'a> {
    /// How many bytes there are.
    fn size(self) -> usize {
        KnownSize::size(Self::Backend::as_ptr(self.as_view()))
    }

    /// Reads all of it.
    fn read_val(self) -> Self::Target
    where
        Self::Backend: IoCapable<Self::Target>,
        Self::Target: Sized,
    {
        Self::Backend::io_read(self.as_view())
    }

    /// Writes all of it.
    fn write_val(self, value: Self::Target)
    where
        Self::Backend: IoCapable<Self::Target>,
        Self::Target: Sized,
    {
        Self::Backend::io_write(self.as_view(), value)
    }

    accessors! {
        u8: read8 write8 try_read8 try_write8;
        u16: read16 write16 try_read16 try_write16;
        u32: read32 write32 try_read32 try_write32;
        u64: read64 write64 try_read64 try_write64;
    }

    /// Reads, if the location is valid.
    fn try_read<T, L>(self, location: L) -> Result<T>
    where
        L: IoLoc<Self::Target, T>,
        Self::Backend: IoCapable<L::IoType>,
    {
        let view = io_view::<Self, L::IoType>(self, location.offset())?;
        Ok(Self::Backend::io_read(view).into())
    }

    /// Writes, if the location is valid.
    fn try_write<T, L>(self, location: L, value: T) -> Result
    where
        L: IoLoc<Self::Target, T>,
        Self::Backend: IoCapable<L::IoType>,
    {
        let view = io_view::<Self, L::IoType>(self, location.offset())?;
        Self::Backend::io_write(view, value.into());
        Ok(())
    }

    /// Reads, changes and writes, if the location is valid.
    fn try_update<T, L, F>(self, location: L, f: F) -> Result
    where
        L: IoLoc<Self::Target, T>,
        Self::Backend: IoCapable<L::IoType>,
        F: FnOnce(T) -> T,
    {
        let view = io_view::<Self, L::IoType>(self, location.offset())?;
        let value = Self::Backend::io_read(view).into();
        Self::Backend::io_write(view, f(value).into());
        Ok(())
    }

    /// Reads; the location must be valid by type.
    #[track_caller]
    fn read<T, L>(self, location: L) -> T
    where
        L: IoLoc<Self::Target, T>,
        Self::Backend: IoCapable<L::IoType>,
    {
        let view = io_view_assert::<Self, L::IoType>(self, location.offset());
        Self::Backend::io_read(view).into()
    }

    /// Writes; the location must be valid by type.
    #[track_caller]
    fn write<T, L>(self, location: L, value: T)
    where
        L: IoLoc<Self::Target, T>,
        Self::Backend: IoCapable<L::IoType>,
    {
        let view = io_view_assert::<Self, L::IoType>(self, location.offset());
        Self::Backend::io_write(view, value.into());
    }

    /// Reads, changes and writes; the location must be valid by type.
    #[track_caller]
    fn update<T, L, F>(self, location: L, f: F)
    where
        L: IoLoc<Self::Target, T>,
        Self::Backend: IoCapable<L::IoType>,
        F: FnOnce(T) -> T,
    {
        let view = io_view_assert::<Self, L::IoType>(self, location.offset());
        let value = Self::Backend::io_read(view).into();
        Self::Backend::io_write(view, f(value).into());
    }
}

impl<'a, T: IoBase<'a>> Io<'a> for T {}

/// Device memory that is mapped.
///
/// # Invariants
///
/// 1. The pointer is to mapped device memory, for `'a`.
pub struct Mmio<'a, T: ?Sized> {
    ptr: *mut T,
    phantom: PhantomData<&'a ()>,
}

impl<T: ?Sized> Copy for Mmio<'_, T> {}

impl<T: ?Sized> Clone for Mmio<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'a, T: ?Sized> Mmio<'a, T> {
    /// Device memory, known to be mapped.
    ///
    /// # Safety
    ///
    /// It is, for `'a`.
    pub unsafe fn from_raw(raw: MmioRaw<T>) -> Self {
        // INVARIANT: 1, asked of the caller.
        Self {
            ptr: raw.ptr,
            phantom: PhantomData,
        }
    }

    /// The same memory, without order among accesses.
    pub fn relaxed(self) -> RelaxedMmio<'a, T> {
        RelaxedMmio(self)
    }
}

// SAFETY: Device memory is reached from any CPU.
unsafe impl<T: ?Sized + Sync> Send for Mmio<'_, T> {}

// SAFETY: Device memory is reached from any CPU.
unsafe impl<T: ?Sized + Sync> Sync for Mmio<'_, T> {}

impl<'a, T: ?Sized + KnownSize> IoBase<'a> for Mmio<'a, T> {
    type Backend = MmioBackend;
    type Target = T;

    fn as_view(self) -> Mmio<'a, T> {
        self
    }
}

/// Memory-mapped I/O, in order.
pub struct MmioBackend;

impl IoBackend for MmioBackend {
    type View<'a, T: ?Sized + KnownSize> = Mmio<'a, T>;

    fn as_ptr<'a, T: ?Sized + KnownSize>(view: Self::View<'a, T>) -> *mut T {
        view.ptr
    }

    unsafe fn project_view<'a, T: ?Sized + KnownSize, U: ?Sized + KnownSize>(
        _view: Self::View<'a, T>,
        ptr: *mut U,
    ) -> Self::View<'a, U> {
        // INVARIANT: 1, inside of what is mapped: asked of the caller.
        Mmio {
            ptr,
            phantom: PhantomData,
        }
    }
}

/// [`Mmio`] without order among accesses. The model keeps them in order all the same.
pub struct RelaxedMmio<'a, T: ?Sized>(Mmio<'a, T>);

impl<T: ?Sized> Copy for RelaxedMmio<'_, T> {}

impl<T: ?Sized> Clone for RelaxedMmio<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'a, T: ?Sized + KnownSize> IoBase<'a> for RelaxedMmio<'a, T> {
    type Backend = RelaxedMmioBackend;
    type Target = T;

    fn as_view(self) -> RelaxedMmio<'a, T> {
        self
    }
}

/// Memory-mapped I/O, without order.
pub struct RelaxedMmioBackend;

impl IoBackend for RelaxedMmioBackend {
    type View<'a, T: ?Sized + KnownSize> = RelaxedMmio<'a, T>;

    fn as_ptr<'a, T: ?Sized + KnownSize>(view: Self::View<'a, T>) -> *mut T {
        view.0.ptr
    }

    unsafe fn project_view<'a, T: ?Sized + KnownSize, U: ?Sized + KnownSize>(
        view: Self::View<'a, T>,
        ptr: *mut U,
    ) -> Self::View<'a, U> {
        // SAFETY: Asked of the caller.
        RelaxedMmio(unsafe { MmioBackend::project_view(view.0, ptr) })
    }
}

macro_rules! mmio {
    ($($backend:ident: $ty:ty, $read:ident, $write:ident;)*) => {$(
        impl IoCapable<$ty> for $backend {
            fn io_read<'a>(view: Self::View<'a, $ty>) -> $ty {
                // SAFETY: Mapped: invariant 1 of `Mmio`.
                unsafe { bindings::$read(Self::as_ptr(view).cast_const().cast()) }
            }

            fn io_write<'a>(view: Self::View<'a, $ty>, value: $ty) {
                // SAFETY: Mapped: invariant 1 of `Mmio`.
                unsafe { bindings::$write(value, Self::as_ptr(view).cast()) }
            }
        }
    )*};
}

mmio! {
    MmioBackend: u8, readb, writeb;
    MmioBackend: u16, readw, writew;
    MmioBackend: u32, readl, writel;
    MmioBackend: u64, readq, writeq;
    RelaxedMmioBackend: u8, readb_relaxed, writeb_relaxed;
    RelaxedMmioBackend: u16, readw_relaxed, writew_relaxed;
    RelaxedMmioBackend: u32, readl_relaxed, writel_relaxed;
    RelaxedMmioBackend: u64, readq_relaxed, writeq_relaxed;
}

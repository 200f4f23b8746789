// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory that programs map, and lose when the device goes.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)
//!
//! [`File::mmap`](crate::file::File::mmap) says what is to be found at an area of the file: pages of the
//! driver's own ([`Pages`]), or the device's memory. Nothing is mapped yet then. Each page is, when a
//! program touches it first, by a *fault*, which passes the gate as every operation does.
//!
//! ```
//! # use devscope::mmap::{Area, Mapping, Pages};
//! # use kernel::prelude::*;
//! # struct Data { ring: Pages }
//! # struct DemoDevice<'a> { data: &'a Data }
//! # struct DemoFile;
//! # impl DemoFile {
//! fn mmap<'a>(&self, dev: &DemoDevice<'a>, _area: &Area<'a>) -> Result<Mapping<'a>> {
//!     Ok(Mapping::pages(&dev.data.ring))
//! }
//! # }
//! ```
//!
//! When the scope has ended: no program has a page of it mapped, in whatever process, by whatever
//! `fork()` or `mremap()`, and whoever touches one again gets SIGBUS. The gate refuses new faults, those
//! that were in it have left, and then what they mapped is taken away. So `'a`, the lifetime of a
//! [`Mapping`], is that of the scope: what lasts for it is there until nothing can reach it.
//!
//! The mappings are of page frames (`VM_PFNMAP`), so `get_user_pages()` refuses them and nobody keeps a
//! page in another way: no direct I/O to such memory. They are shared, or cannot be written to; a
//! private one that could be written to (a copy) gets `EINVAL`.
//!
//! What a program shares with the driver it may write at any time. [`Pages`] are read and written in
//! ways that are sound then; what the values mean is for the driver to check, each time it reads one.
//!
//! Not covered: huge pages; memory that belongs to one open file and not to the device; write-combining;
//! `access_process_vm()`, so debuggers do not see such memory. And whoever is allowed to hand a
//! program's addresses to an IOMMU by their page frames (VFIO's type 1) keeps them there, as with any
//! other device.

use crate::{file, front::Operation, helpers};
use core::{
    marker::PhantomData,
    mem::{self, ManuallyDrop, MaybeUninit},
    ptr::{self, NonNull},
};
use kernel::{
    bindings,
    device::Bound,
    error::to_result,
    pci,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

/// Bytes of a page.
pub const PAGE_SIZE: usize = bindings::PAGE_SIZE;

/// What a program asks to map.
///
/// `'a` is the time of the scope, and what is mapped there has to live for it.
#[derive(Clone, Copy, Debug)]
pub struct Area<'a> {
    offset: usize,
    pages: usize,
    writable: bool,
    _scope: PhantomData<fn(&'a ()) -> &'a ()>,
}

impl Area<'_> {
    /// # Safety
    ///
    /// `vma` is a mapping of a file, whose address space is locked.
    pub(crate) unsafe fn of(vma: *const bindings::vm_area_struct) -> Self {
        // SAFETY: By the requirement of this function.
        unsafe {
            Self {
                offset: (*vma).vm_pgoff,
                pages: helpers::devscope_vma_pages(vma),
                writable: helpers::devscope_vma_is_writable(vma),
                _scope: PhantomData,
            }
        }
    }

    /// Where in the file it begins, in pages.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// How many pages it has.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Whether the program is going to write there. One that does not may change its mind
    /// (`mprotect()`), unless the mapping is [`Mapping::read_only`].
    pub fn is_writable(&self) -> bool {
        self.writable
    }
}

/// What frames a page of a mapping has.
#[derive(Clone, Copy)]
enum Memory {
    /// Of the driver.
    Pages(NonNull<Pages>),
    /// Of the device: the first frame, and how many.
    Device(usize, usize),
}

/// What a program finds where it maps a file.
///
/// `'a` is the time of the scope. What is mapped lives for it, or longer.
#[derive(Clone, Copy)]
pub struct Mapping<'a> {
    memory: Memory,
    /// Where in the file it begins, in pages.
    first: usize,
    read_only: bool,
    _memory: PhantomData<&'a Pages>,
}

// SAFETY: A mapping refers to pages, which may be used by any task, or to addresses of a device.
unsafe impl Send for Mapping<'_> {}
// SAFETY: As above.
unsafe impl Sync for Mapping<'_> {}

impl<'a> Mapping<'a> {
    const fn of(memory: Memory) -> Self {
        Self {
            memory,
            first: 0,
            read_only: false,
            _memory: PhantomData,
        }
    }

    /// Pages of the driver. The first is at the beginning of the file; see [`Mapping::at`].
    pub fn pages(pages: &'a Pages) -> Self {
        Self::of(Memory::Pages(NonNull::from(pages)))
    }

    /// A BAR of the device, all of it, not cached. It begins at the beginning of the file.
    ///
    /// Programs reach all registers of these pages, and what the device does by itself when told to
    /// (DMA!) is for the driver to consider.
    ///
    /// Errors: `EINVAL` if there is no such BAR, it is not memory, or is not made of whole pages, for
    /// then something else would be mapped with it.
    pub fn pci_bar(dev: &'a pci::Device<Bound>, bar: u32) -> Result<Self> {
        let (start, len) = (dev.resource_start(bar)?, dev.resource_len(bar)?);
        let bar = c_int::try_from(bar)?;
        // A `Device` is a transparent wrapper.
        let pdev = ptr::from_ref(dev).cast_mut().cast();
        // SAFETY: The device is there, and its BARs are numbered: `resource_start()` has looked.
        let memory = unsafe { helpers::devscope_pci_bar_is_memory(pdev, bar) };
        let (start, len) = (usize::try_from(start)?, usize::try_from(len)?);
        if !memory || len == 0 || start % PAGE_SIZE != 0 || len % PAGE_SIZE != 0 {
            return Err(EINVAL);
        }
        Ok(Self::of(Memory::Device(start / PAGE_SIZE, len / PAGE_SIZE)))
    }

    /// The same, to begin at page `first` of the file. A file that offers several things offers them at
    /// different offsets.
    pub fn at(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// The same, for reading: a program that asks to write gets `EACCES`, then and later.
    pub fn read_only(self) -> Self {
        Self {
            read_only: true,
            ..self
        }
    }

    fn len(&self) -> usize {
        match self.memory {
            // SAFETY: The pages last for `'a`.
            Memory::Pages(pages) => unsafe { pages.as_ref() }.count(),
            Memory::Device(_, len) => len,
        }
    }

    /// The page frame at page `offset` of the file.
    fn frame(&self, offset: usize) -> Option<usize> {
        let page = offset.checked_sub(self.first)?;
        match self.memory {
            // SAFETY: The pages last for `'a`.
            Memory::Pages(pages) => unsafe { pages.as_ref() }.frame(page),
            Memory::Device(frame, len) => (page < len).then(|| frame + page),
        }
    }
}

/// Makes `vma` a mapping of `mapping`.
///
/// Errors: `EINVAL` if the area is not inside of what there is, or is a private copy; `EACCES` if it is
/// to be written and must not be; `ENOMEM`.
///
/// # Safety
///
/// - `vma` is a new mapping of a file that [`file::open`] has opened, whose address space is locked.
/// - The caller is inside the gate of that file, and its operation fails if this does.
/// - What `mapping` refers to lasts until the front of that file has been through
///   [`Front::unmap`](crate::front::Front::unmap).
pub(crate) unsafe fn establish(vma: *mut bindings::vm_area_struct, mapping: Mapping<'_>) -> Result {
    // SAFETY: By the first requirement of this function.
    let area = unsafe { Area::of(vma) };
    let from = area.offset.checked_sub(mapping.first).ok_or(EINVAL)?;
    let end = from.checked_add(area.pages).ok_or(EINVAL)?;
    if end > mapping.len() {
        return Err(EINVAL);
    }
    let io = matches!(mapping.memory, Memory::Device(..));
    // It is only looked at inside the gate, so for less than the true lifetime.
    let known: Known = Arc::new(
        Mapping {
            _memory: PhantomData,
            ..mapping
        },
        GFP_KERNEL,
    )?;
    // SAFETY: By the first requirement of this function. From here on nothing fails, so the kernel
    // closes what it has been given (`mmap_region()` in mm/vma.c).
    unsafe {
        to_result(helpers::devscope_vma_set_pfnmap(vma, io, mapping.read_only))?;
        (*vma).vm_private_data = Arc::into_raw(known).cast_mut().cast();
        (*vma).vm_ops = &OPERATIONS.0;
    }
    Ok(())
}

/// What `vm_private_data` of a mapping counts. Mappings that come of one by `fork()`, or by cutting it
/// in two, count it too; `vm_pgoff` says which part of it they have.
type Known = Arc<Mapping<'static>>;

struct Operations(bindings::vm_operations_struct);

// SAFETY: It is never written. What it may point to, with `CONFIG_USERFAULTFD`, is null here.
unsafe impl Sync for Operations {}

static OPERATIONS: Operations = {
    // SAFETY: All zeroes is a `vm_operations_struct` without operations.
    let mut ops: bindings::vm_operations_struct = unsafe { MaybeUninit::zeroed().assume_init() };
    ops.open = Some(open);
    ops.close = Some(close);
    ops.fault = Some(fault);
    Operations(ops)
};

/// Another mapping has come of one.
///
/// # Safety
///
/// `vma` was made by [`establish`], or copied from one that was.
unsafe extern "C" fn open(vma: *mut bindings::vm_area_struct) {
    // SAFETY: `vm_private_data` has a count, which stays where it is.
    let known = ManuallyDrop::new(unsafe { Known::from_raw((*vma).vm_private_data.cast()) });
    mem::forget(Known::clone(&known));
}

/// A mapping goes.
///
/// # Safety
///
/// `vma` was made by [`establish`], or copied from one that was, and is not used any more.
unsafe extern "C" fn close(vma: *mut bindings::vm_area_struct) {
    // SAFETY: `vm_private_data` has a count, which goes with it.
    drop(unsafe { Known::from_raw((*vma).vm_private_data.cast()) });
}

/// A program touches a page that is not mapped.
///
/// Process context, with the address space or this part of it locked.
///
/// # Safety
///
/// `vmf` is a fault of a mapping that was made by [`establish`], or copied from one that was.
unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
    // SAFETY:
    // - The caller keeps fault and mapping for the call, and a mapping keeps its file (`vm_file`), which
    //   `file::open` has opened.
    // - `vm_private_data` has a count. What it refers to is there inside the gate, since it lasts until
    //   after the gate was idle: requirement of `establish`.
    // - The mapping is `VM_PFNMAP` and no copy: `devscope_vma_set_pfnmap()` saw to it.
    //   `vmf_insert_pfn()` looks whether the address is inside (mm/memory.c). The page goes from there
    //   by `unmap_mapping_range()` at the latest, and who calls that has waited for us.
    unsafe {
        let vma = (*vmf).__bindgen_anon_1.vma;
        let opened = file::opened((*vma).vm_file);
        let Some(_inside) = opened.enter(Operation::Fault) else {
            return bindings::vm_fault_reason_VM_FAULT_SIGBUS;
        };
        let known = &*(*vma).vm_private_data.cast::<Mapping<'_>>();
        match known.frame((*vmf).__bindgen_anon_1.pgoff) {
            Some(frame) => bindings::vmf_insert_pfn(vma, (*vmf).__bindgen_anon_1.address, frame),
            None => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
        }
    }
}

/// Whole pages of memory, zeroed, for programs to map.
///
/// A program that has mapped them reads and writes them whenever it likes. So they are not lent as
/// slices: the driver loads and stores words, or copies bytes, and gets whatever is there at the time.
/// Of bytes that the other side writes meanwhile, some may be old and some new.
///
/// # Invariants
///
/// Each is the address of a page that this owns, and that is mapped in the kernel.
pub struct Pages(KVec<NonNull<u8>>);

// SAFETY: The pages may be accessed and freed by any task.
unsafe impl Send for Pages {}
// SAFETY: All access is by atomics, or volatile.
unsafe impl Sync for Pages {}

impl Pages {
    /// So many pages, of zeroes. They need not be next to each other in memory, and are in a mapping.
    ///
    /// May sleep. Errors: `EINVAL` for none; `ENOMEM`.
    pub fn new(count: usize) -> Result<Self> {
        if count == 0 {
            return Err(EINVAL);
        }
        let mut pages = Self(KVec::with_capacity(count, GFP_KERNEL)?);
        for _ in 0..count {
            let flags = bindings::GFP_KERNEL | bindings::__GFP_ZERO;
            // SAFETY: No requirement but that we may sleep, as is documented. Without `__GFP_HIGHMEM`
            // the page is mapped in the kernel.
            let page = unsafe { bindings::get_free_pages_noprof(flags, 0) };
            let page = NonNull::new(ptr::with_exposed_provenance_mut(page)).ok_or(ENOMEM)?;
            // INVARIANT: Just allocated.
            if pages.0.push(page, GFP_KERNEL).is_err() {
                // SAFETY: Allocated above. (There is room, so we do not come here.)
                unsafe { bindings::free_pages(page.as_ptr().expose_provenance(), 0) };
                return Err(ENOMEM);
            }
        }
        Ok(pages)
    }

    /// How many pages.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.count() * PAGE_SIZE
    }

    /// There is at least one page.
    pub fn is_empty(&self) -> bool {
        false
    }

    fn frame(&self, page: usize) -> Option<usize> {
        let page = self.0.get(page)?;
        // SAFETY: The address of a page that is mapped in the kernel: invariant.
        Some(unsafe { helpers::devscope_virt_to_pfn(page.as_ptr().expose_provenance()) })
    }

    /// The address of `size` bytes at `offset`, all on one page.
    fn at(&self, offset: usize, size: usize) -> Result<*mut u8> {
        let page = self.0.get(offset / PAGE_SIZE).ok_or(EINVAL)?;
        let inside = offset % PAGE_SIZE;
        if inside + size > PAGE_SIZE {
            return Err(EINVAL);
        }
        // SAFETY: Inside of the page.
        Ok(unsafe { page.as_ptr().add(inside) })
    }

    fn word(&self, offset: usize) -> Result<&Atomic<i32>> {
        if offset % size_of::<i32>() != 0 {
            return Err(EINVAL);
        }
        let word = self.at(offset, size_of::<i32>())?.cast();
        // SAFETY: Aligned, and there for as long as `self` is borrowed. The driver's own accesses are
        // atomic or volatile, and a program's are none of the kernel's memory model: they may change
        // the word, which is what atomics are for.
        Ok(unsafe { Atomic::from_ptr(word) })
    }

    /// Loads the word at byte `offset`: `READ_ONCE()`. Errors: `EINVAL` if there is none, or it is not
    /// aligned.
    pub fn load(&self, offset: usize) -> Result<u32> {
        Ok(self.word(offset)?.load(Relaxed) as u32)
    }

    /// Stores a word at byte `offset`: `WRITE_ONCE()`. Errors: as [`Pages::load`].
    pub fn store(&self, offset: usize, value: u32) -> Result {
        self.word(offset)?.store(value as i32, Relaxed);
        Ok(())
    }

    /// Copies bytes out, from `offset` on. Errors: `EINVAL` if there are not as many.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result {
        self.check(offset, to.len())?;
        for (at, byte) in (offset..).zip(to) {
            // SAFETY: Inside of a page; volatile, since a program may write it meanwhile.
            *byte = unsafe { self.at(at, 1)?.read_volatile() };
        }
        Ok(())
    }

    /// Copies bytes in, from `offset` on. Errors: as [`Pages::read`].
    pub fn write(&self, offset: usize, from: &[u8]) -> Result {
        self.check(offset, from.len())?;
        for (at, byte) in (offset..).zip(from) {
            // SAFETY: Inside of a page; volatile, since a program may access it meanwhile.
            unsafe { self.at(at, 1)?.write_volatile(*byte) };
        }
        Ok(())
    }

    fn check(&self, offset: usize, len: usize) -> Result {
        let end = offset.checked_add(len).ok_or(EINVAL)?;
        if end > self.len() {
            return Err(EINVAL);
        }
        Ok(())
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        for page in &self.0 {
            // SAFETY: The page is ours: invariant. No program has it mapped: a mapping borrows the pages
            // for the time of a scope, which has taken it away when it has ended.
            unsafe { bindings::free_pages(page.as_ptr().expose_provenance(), 0) };
        }
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_mmap)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_zeroed_and_keep_what_is_written() -> Result {
        let pages = Pages::new(2)?;
        let mut bytes = [1; 8];
        pages.read(PAGE_SIZE - 4, &mut bytes)?;
        let zeroed = bytes == [0; 8];
        pages.write(PAGE_SIZE - 4, &[1, 2, 3, 4, 5, 6, 7, 8])?;
        pages.read(PAGE_SIZE - 2, &mut bytes[..4])?;
        pages.store(8, 0x1234_5678)?;
        let word = pages.load(8)?;
        assert!(zeroed);
        assert_eq!(pages.len(), 2 * PAGE_SIZE);
        assert!(bytes[..4] == [3, 4, 5, 6]);
        assert_eq!(word, 0x1234_5678);
        Ok(())
    }

    #[test]
    fn what_is_outside_of_the_pages_is_refused() -> Result {
        let pages = Pages::new(1)?;
        assert!(Pages::new(0).is_err());
        assert!(pages.load(PAGE_SIZE) == Err(EINVAL));
        assert!(pages.load(2) == Err(EINVAL));
        assert!(pages.store(usize::MAX - 3, 0) == Err(EINVAL));
        assert!(pages.read(PAGE_SIZE - 1, &mut [0; 2]) == Err(EINVAL));
        assert!(pages.write(usize::MAX, &[0]) == Err(EINVAL));
        assert!(pages.write(PAGE_SIZE, &[]) == Ok(()));
        Ok(())
    }

    #[test]
    fn a_mapping_has_frames_where_its_pages_are_and_nowhere_else() -> Result {
        let pages = Pages::new(2)?;
        let mapping = Mapping::pages(&pages).at(3);
        assert!(mapping.frame(2).is_none());
        assert!(mapping.frame(3).is_some());
        assert!(mapping.frame(3) != mapping.frame(4));
        assert!(mapping.frame(5).is_none());
        let device = Mapping::of(Memory::Device(100, 2));
        assert!(device.frame(1) == Some(101));
        assert!(device.frame(2).is_none());
        Ok(())
    }
}

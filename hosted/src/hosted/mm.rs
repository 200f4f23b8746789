//! Mappings of files: areas, faults, and taking them away; after `mm/memory.c` and `mm/vma.c`.
//!
//! A program maps a file with [`OpenFile::mmap`], and then reads and writes through the [`UserMap`]. A
//! page that is not mapped is asked of the file's driver (`vm_ops->fault`), and SIGBUS is an error that
//! the access returns.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::device::Bus;
use super::ledger;
use super::locks::{lock_mutex, name_mutex, unlock_mutex};
use super::machine::{at, preempt, step, world, Place, World};
use super::misc::{self, error, OpenFile};
use super::report::Kind;
use super::{device, PciModel};
use crate::bindings::{
    address_space, file, gfp_t, loff_t, vm_area_struct, vm_fault, vm_fault__bindgen_ty_1,
    vm_fault_reason_VM_FAULT_NOPAGE, vm_fault_reason_VM_FAULT_SIGBUS, vm_fault_t, vm_flags_t,
    vm_operations_struct, EACCES, EINVAL, ENODEV, PAGE_SIZE, VM_DONTDUMP, VM_DONTEXPAND, VM_IO,
    VM_MAYREAD, VM_MAYWRITE, VM_PFNMAP, VM_READ, VM_SHARED, VM_WRITE,
};
use crate::error::{Error, Result};
use crate::ffi;
use std::alloc::Layout;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;

/// An area that some program has mapped.
#[derive(Debug)]
struct Area {
    vma: usize,
    /// What is mapped: that of the file.
    mapping: usize,
    /// What stands for the `mmap_lock` of its program: only the address counts.
    lock: usize,
    /// The page frames that are mapped, by page of the area.
    frames: BTreeMap<usize, usize>,
    place: Place,
}

#[derive(Default, Debug)]
pub(crate) struct Mm {
    /// In the order in which `unmap_mapping_range` looks at them: what was copied comes behind.
    areas: Vec<Area>,
    /// The mappings of inodes.
    mappings: Vec<(usize, usize)>,
    addresses: usize,
}

impl Mm {
    /// A page of memory that a program has mapped.
    pub(crate) fn active_in(&self, range: &Range<usize>) -> Option<(String, Vec<String>)> {
        self.mapped(range)
            .map(|facts| ("a page that a program has mapped".into(), facts))
    }

    fn mapped(&self, range: &Range<usize>) -> Option<Vec<String>> {
        let maps = |area: &&Area| {
            let mut frames = area.frames.values();
            frames.any(|frame| range.contains(&(frame * PAGE_SIZE)))
        };
        let area = self.areas.iter().find(maps)?;
        Some(vec![format!("mapped      {}", at(area.place))])
    }

    fn area(&mut self, vma: usize) -> Option<&mut Area> {
        self.areas.iter_mut().find(|area| area.vma == vma)
    }
}

impl World {
    /// Report memory of a device that programs still have mapped, when its driver lets go of it.
    #[track_caller]
    pub(crate) fn check_unmapped(&mut self, range: Range<usize>, what: &str, place: Place) {
        if let Some(mut facts) = self.mm.mapped(&range) {
            facts.push(format!("released    {}", at(place)));
            let message = format!("{what} is released while a program has it mapped");
            self.fail(Kind::FreedWhileActive, message, &facts);
        }
    }
}

/// The mapping of an inode.
pub(crate) fn mapping_of(inode: usize) -> *mut address_space {
    let known = world(|w| {
        let mut known = w.mm.mappings.iter();
        known.find(|(of, _)| *of == inode).map(|(_, at)| *at)
    });
    let mapping = known.unwrap_or_else(|| {
        let new: *mut address_space = device::allocate("address_space");
        world(|w| {
            w.mm.mappings.push((inode, new as usize));
            name_mutex(w, new as usize, "i_mmap_rwsem");
        });
        new as usize
    });
    mapping as *mut address_space
}

/// The inode goes.
pub(crate) fn forget_mapping(inode: usize) {
    let mapping = world(|w| {
        let index = w.mm.mappings.iter().position(|(of, _)| *of == inode)?;
        Some(w.mm.mappings.remove(index).1)
    });
    if let Some(mapping) = mapping {
        ledger::free(mapping as *const ffi::c_void);
    }
}

/// SIGBUS: what was mapped there is not there any more, or never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sigbus;

/// How a program maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// `PROT_WRITE`
    pub write: bool,
    /// `MAP_PRIVATE`, and not `MAP_SHARED`
    pub private: bool,
}

/// A mapping of a user program. Dropping it unmaps.
#[derive(Debug)]
pub struct UserMap {
    vma: usize,
    gone: Cell<bool>,
}

/// Every program has an address space of its own; so each mapping has.
fn new_area(flags: vm_flags_t, file: *mut file, pages: usize, offset: usize) -> usize {
    let vma: *mut vm_area_struct = device::allocate("vm_area_struct");
    world(|w| {
        w.mm.addresses += 1;
        // SAFETY: just allocated with the size of its type.
        unsafe {
            vma.write(vm_area_struct {
                start: w.mm.addresses << 32,
                pages,
                flags,
                vm_pgoff: offset,
                vm_file: file,
                ..Default::default()
            });
        }
        // The lock is found by an address in the area, which nothing else is found by.
        name_mutex(w, vma as usize, "mmap_lock");
    });
    vma as usize
}

/// What an area maps; also what stands for its `i_mmap_rwsem`.
fn mapping(vma: usize) -> usize {
    // SAFETY: the area is there, and its file is open.
    unsafe { (*(*(vma as *const vm_area_struct)).vm_file).f_mapping as usize }
}

/// Put an area where faults and `unmap_mapping_range` find it.
fn link(vma: usize, behind: Option<usize>, lock: usize, place: Place) {
    let mapping = mapping(vma);
    lock_mutex(mapping, false, place);
    world(|w| {
        let index = w.mm.areas.iter().position(|area| Some(area.vma) == behind);
        let index = index.map_or(w.mm.areas.len(), |index| index + 1);
        let area = Area {
            vma,
            mapping,
            lock,
            frames: BTreeMap::new(),
            place,
        };
        w.mm.areas.insert(index, area);
    });
    unlock_mutex(mapping, place);
}

fn operations(vma: usize) -> vm_operations_struct {
    // SAFETY: the area is there; operations are the file's, whose module is held.
    unsafe {
        let ops = (*(vma as *const vm_area_struct)).vm_ops;
        ops.as_ref().copied().unwrap_or_default()
    }
}

impl OpenFile {
    /// `mmap(2)` of `pages` pages, from page `offset` of the file on.
    #[track_caller]
    pub fn mmap(&self, offset: usize, pages: usize, protection: Protection) -> Result<UserMap> {
        let place = Location::caller();
        // The area keeps this reference.
        let file = self.get()?;
        let fops = misc::file_operations_of(file, place);
        let mut flags = VM_READ | VM_MAYREAD | VM_MAYWRITE;
        if protection.write {
            flags |= VM_WRITE;
        }
        if !protection.private {
            flags |= VM_SHARED;
        }
        step("maps", &self.name(), place);
        let vma = new_area(flags, file, pages, offset);
        lock_mutex(vma, false, place);
        let result = match fops.mmap {
            // SAFETY: the operation of an open file is called with that file, and a new area of it.
            Some(mmap) => unsafe { mmap(file, vma as *mut vm_area_struct) },
            None => error(ENODEV),
        };
        // What the operation itself may have mapped is found only from here on.
        preempt();
        if result == 0 {
            link(vma, None, vma, place);
        }
        unlock_mutex(vma, place);
        if result != 0 {
            ledger::free(vma as *const ffi::c_void);
            // SAFETY: counted above.
            unsafe { misc::fput(file) };
        }
        misc::leave_system_call();
        match result {
            0 => Ok(UserMap {
                vma,
                gone: Cell::new(false),
            }),
            code => Err(Error::from_errno(code)),
        }
    }
}

/// A page of an area, for a program that touches it: the frame, or SIGBUS.
fn page(vma: usize, page: usize, place: Place) -> std::result::Result<usize, Sigbus> {
    // A fault that has brought a page may find it taken away again; then there is another one.
    for _ in 0..1000 {
        preempt();
        let (frame, lock) = world(|w| {
            let area = w.mm.area(vma).expect("a mapping that is used is there");
            (area.frames.get(&page).copied(), area.lock)
        });
        if let Some(frame) = frame {
            return Ok(frame);
        }
        lock_mutex(lock, false, place);
        let area = vma as *mut vm_area_struct;
        // SAFETY: the area is there: its program uses it.
        let (start, offset) = unsafe { ((*area).start, (*area).vm_pgoff) };
        let mut fault = vm_fault {
            __bindgen_anon_1: vm_fault__bindgen_ty_1 {
                vma: area,
                gfp_mask: crate::bindings::GFP_KERNEL,
                pgoff: offset + page,
                address: start + page * PAGE_SIZE,
            },
        };
        world(|w| w.note("faults", &super::nobody(), Some(place)));
        let answer = match operations(vma).fault {
            // SAFETY: the operation of an area is called with a fault in it, its address space locked.
            Some(handle) => unsafe { handle(&mut fault) },
            None => vm_fault_reason_VM_FAULT_SIGBUS,
        };
        unlock_mutex(lock, place);
        if answer & vm_fault_reason_VM_FAULT_SIGBUS != 0 {
            misc::leave_system_call();
            return Err(Sigbus);
        }
    }
    Err(Sigbus)
}

/// The device that has this physical address: its model, the BAR and the offset.
fn device_at(w: &mut World, address: u64) -> Option<(Arc<dyn PciModel>, usize, u64)> {
    w.devices
        .devices
        .iter()
        .find_map(|(_, dev)| match &dev.bus {
            Bus::Pci(state) if state.enabled > 0 && !state.gone => {
                let bars = state.bars.iter().enumerate();
                bars.into_iter().find_map(|(bar, &size)| {
                    let offset = address.checked_sub(state.bar_start(bar))?;
                    (offset < size).then(|| (state.model.clone(), bar, offset))
                })
            }
            _ => None,
        })
}

impl UserMap {
    /// How many pages.
    pub fn pages(&self) -> usize {
        // SAFETY: the area is there until it is unmapped.
        unsafe { (*(self.vma as *const vm_area_struct)).pages }
    }

    fn locate(&self, offset: usize, place: Place) -> std::result::Result<usize, Sigbus> {
        assert!(
            !self.gone.get() && offset < self.pages() * PAGE_SIZE,
            "SIGSEGV"
        );
        let frame = page(self.vma, offset / PAGE_SIZE, place)?;
        Ok(frame * PAGE_SIZE + offset % PAGE_SIZE)
    }

    /// Read a word.
    #[track_caller]
    pub fn read(&self, offset: usize) -> std::result::Result<u32, Sigbus> {
        let place = Location::caller();
        let address = self.locate(offset, place)?;
        match world(|w| device_at(w, address as u64)) {
            Some((model, bar, offset)) => Ok(model.read(bar, offset, 4) as u32),
            None => {
                world(|w| w.check(address, 4, "a program's access", place));
                // SAFETY: memory that the driver gave out, and that is not freed, as just checked.
                Ok(unsafe { (address as *const u32).read_volatile() })
            }
        }
    }

    /// Write a word.
    #[track_caller]
    pub fn write(&self, offset: usize, value: u32) -> std::result::Result<(), Sigbus> {
        let place = Location::caller();
        // SAFETY: the area is there until it is unmapped.
        let writable = unsafe { (*(self.vma as *const vm_area_struct)).flags } & VM_WRITE != 0;
        assert!(writable, "SIGSEGV");
        let address = self.locate(offset, place)?;
        match world(|w| device_at(w, address as u64)) {
            Some((model, bar, offset)) => model.write(bar, offset, 4, value.into()),
            None => {
                world(|w| w.check(address, 4, "a program's access", place));
                // SAFETY: as for `read`.
                unsafe { (address as *mut u32).write_volatile(value) };
            }
        }
        Ok(())
    }

    /// `mprotect(2)`: ask to write.
    #[track_caller]
    pub fn make_writable(&self) -> Result {
        preempt();
        // SAFETY: the area is there until it is unmapped.
        let flags = unsafe { &mut (*(self.vma as *mut vm_area_struct)).flags };
        if *flags & VM_MAYWRITE == 0 {
            return Err(Error::from_errno(error(EACCES)));
        }
        *flags |= VM_WRITE;
        Ok(())
    }

    /// A copy of the area from page `from` on, made of the same file, which counts it.
    fn copy(&self, from: usize, pages: usize, lock: Option<usize>, place: Place) -> usize {
        let old = self.vma as *mut vm_area_struct;
        // SAFETY: the area is there until it is unmapped, and its program does this.
        let (flags, file, offset) = unsafe { ((*old).flags, (*old).vm_file, (*old).vm_pgoff) };
        // SAFETY: the area has a reference.
        let file = unsafe { misc::get_file(file) };
        let vma = new_area(flags, file, pages, offset + from);
        // SAFETY: just made; the old one is there.
        unsafe {
            let new = vma as *mut vm_area_struct;
            (*new).vm_ops = (*old).vm_ops;
            (*new).vm_private_data = (*old).vm_private_data;
            if let Some(open) = operations(vma).open {
                open(new);
            }
        }
        link(vma, Some(self.vma), lock.unwrap_or(vma), place);
        vma
    }

    /// `fork(2)`: what the child has of this mapping.
    #[track_caller]
    pub fn fork(&self) -> UserMap {
        let place = Location::caller();
        step("forks", &super::nobody(), place);
        let lock = world(|w| w.mm.area(self.vma).expect("it is mapped").lock);
        lock_mutex(lock, false, place);
        let vma = self.copy(0, self.pages(), None, place);
        // Page by page, behind the back of who takes them away (`copy_page_range()`).
        for page in 0..self.pages() {
            preempt();
            world(|w| {
                let frame =
                    w.mm.area(self.vma)
                        .and_then(|area| area.frames.get(&page).copied());
                if let (Some(frame), Some(area)) = (frame, w.mm.area(vma)) {
                    area.frames.insert(page, frame);
                }
            });
        }
        unlock_mutex(lock, place);
        UserMap {
            vma,
            gone: Cell::new(false),
        }
    }

    /// `munmap(2)` of all but the pages from `from` on, which stay as a mapping.
    #[track_caller]
    pub fn split_off(self, from: usize) -> UserMap {
        let place = Location::caller();
        let pages = self.pages() - from;
        let lock = world(|w| w.mm.area(self.vma).expect("it is mapped").lock);
        lock_mutex(lock, false, place);
        let vma = self.copy(from, pages, None, place);
        for page in from..from + pages {
            world(|w| {
                let frame =
                    w.mm.area(self.vma)
                        .and_then(|area| area.frames.remove(&page));
                if let (Some(frame), Some(area)) = (frame, w.mm.area(vma)) {
                    area.frames.insert(page - from, frame);
                }
            });
        }
        unlock_mutex(lock, place);
        drop(self);
        UserMap {
            vma,
            gone: Cell::new(false),
        }
    }

    /// `munmap(2)`
    #[track_caller]
    pub fn unmap(self) {
        self.end(Location::caller());
    }

    fn end(&self, place: Place) {
        if !self.gone.replace(true) {
            unmap(self.vma, place);
        }
    }
}

impl Drop for UserMap {
    fn drop(&mut self) {
        let there = super::machine::try_world_if_free(|w| w.mm.area(self.vma).is_some());
        if there == Some(true) {
            self.end(Location::caller());
        }
    }
}

/// `remove_vma`
fn unmap(vma: usize, place: Place) {
    let mapping = mapping(vma);
    lock_mutex(mapping, false, place);
    world(|w| w.mm.areas.retain(|area| area.vma != vma));
    unlock_mutex(mapping, place);
    if let Some(close) = operations(vma).close {
        // SAFETY: called once for an area that goes.
        unsafe { close(vma as *mut vm_area_struct) };
    }
    // SAFETY: the area is there, and has a reference to its file.
    let file = unsafe { (*(vma as *const vm_area_struct)).vm_file };
    ledger::free(vma as *const ffi::c_void);
    // SAFETY: the area had a reference.
    unsafe { misc::fput(file) };
}

/// What programs have left mapped: they are gone.
pub(crate) fn exit_all() {
    let place = Location::caller();
    for vma in world(|w| w.mm.areas.iter().map(|area| area.vma).collect::<Vec<_>>()) {
        unmap(vma, place);
    }
}

// ---- What drivers call ----

#[track_caller]
pub unsafe fn vmf_insert_pfn(
    vma: *mut vm_area_struct,
    addr: ffi::c_ulong,
    pfn: ffi::c_ulong,
) -> vm_fault_t {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check(vma as usize, size_of::<vm_area_struct>(), "an area", place);
        // SAFETY: just checked.
        let (start, pages, flags) = unsafe { ((*vma).start, (*vma).pages, (*vma).flags) };
        let copy = flags & (VM_SHARED | VM_MAYWRITE) == VM_MAYWRITE;
        if flags & VM_PFNMAP == 0 || copy {
            let facts = [format!("called      {}", at(place))];
            w.fail(
                Kind::Misuse,
                "a page frame is mapped where only pages may be".into(),
                &facts,
            );
        }
        let page = addr.wrapping_sub(start) / PAGE_SIZE;
        if page >= pages {
            return vm_fault_reason_VM_FAULT_SIGBUS;
        }
        if let Some(area) = w.mm.area(vma as usize) {
            area.frames.entry(page).or_insert(pfn);
        }
        vm_fault_reason_VM_FAULT_NOPAGE
    })
}

#[track_caller]
pub unsafe fn unmap_mapping_range(
    mapping: *mut address_space,
    holebegin: loff_t,
    holelen: loff_t,
    _even_cows: ffi::c_int,
) {
    let place = Location::caller();
    let first = holebegin as usize / PAGE_SIZE;
    let end = match holelen {
        0 => usize::MAX,
        len => first + (len as usize).div_ceil(PAGE_SIZE),
    };
    world(|w| {
        w.might_sleep("unmap_mapping_range", place);
        let size = size_of::<address_space>();
        w.check(mapping as usize, size, "an address space", place);
    });
    lock_mutex(mapping as usize, false, place);
    // One area after the other, in their order. The lock keeps others from coming and going, and not
    // from being faulted into.
    let areas: Vec<usize> = world(|w| {
        let areas = w.mm.areas.iter();
        let of_this = areas.filter(|area| area.mapping == mapping as usize);
        of_this.map(|area| area.vma).collect()
    });
    for vma in areas {
        preempt();
        world(|w| {
            // SAFETY: areas on the list are there.
            let offset = unsafe { (*(vma as *const vm_area_struct)).vm_pgoff };
            let area = w.mm.area(vma).expect("the lock keeps it");
            area.frames
                .retain(|page, _| !(first..end).contains(&(offset + page)));
        });
    }
    unlock_mutex(mapping as usize, place);
}

#[track_caller]
pub unsafe fn get_free_pages_noprof(gfp_mask: gfp_t, order: ffi::c_uint) -> ffi::c_ulong {
    let size = PAGE_SIZE << order;
    let layout = Layout::from_size_align(size, PAGE_SIZE).expect("a page is not that large");
    let page = ledger::alloc(layout, gfp_mask, "page");
    page.expose_provenance()
}

#[track_caller]
pub unsafe fn free_pages(addr: ffi::c_ulong, _order: ffi::c_uint) {
    if addr != 0 {
        ledger::free(std::ptr::with_exposed_provenance(addr));
    }
}

// ---- What `src/` declares as `extern "C"` ----

/// `vma_pages()`
///
/// # Safety
///
/// `vma` is an area, whose address space is locked.
#[no_mangle]
pub unsafe extern "C" fn devscope_vma_pages(vma: *const vm_area_struct) -> ffi::c_ulong {
    // SAFETY: asked of the caller.
    unsafe { (*vma).pages }
}

/// `vma->vm_flags & VM_WRITE`
///
/// # Safety
///
/// As above.
#[no_mangle]
pub unsafe extern "C" fn devscope_vma_is_writable(vma: *const vm_area_struct) -> bool {
    // SAFETY: asked of the caller.
    unsafe { (*vma).flags & VM_WRITE != 0 }
}

/// Makes an area one of page frames.
///
/// # Safety
///
/// `vma` is being mapped.
#[no_mangle]
pub unsafe extern "C" fn devscope_vma_set_pfnmap(
    vma: *mut vm_area_struct,
    io: bool,
    read_only: bool,
) -> ffi::c_int {
    // SAFETY: asked of the caller.
    let flags = unsafe { &mut (*vma).flags };
    if *flags & (VM_SHARED | VM_MAYWRITE) == VM_MAYWRITE {
        return error(EINVAL);
    }
    if read_only {
        if *flags & VM_WRITE != 0 {
            return error(EACCES);
        }
        *flags &= !VM_MAYWRITE;
    }
    *flags |= VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | if io { VM_IO } else { 0 };
    0
}

/// `virt_to_pfn()`
///
/// # Safety
///
/// `address` is that of a page.
#[no_mangle]
pub unsafe extern "C" fn devscope_virt_to_pfn(address: ffi::c_ulong) -> ffi::c_ulong {
    address / PAGE_SIZE
}

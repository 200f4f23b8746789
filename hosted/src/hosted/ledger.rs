//! Who owns which memory, and what in it is still in use.
//!
//! Every allocation of an execution is known. Freed memory is filled with [`POISON`] and not given
//! out again before the execution ends, so a stale pointer is recognised wherever a function of the
//! model meets it, and a stale write is seen at the end. (With `--cfg devscope_asan` the address
//! sanitizer watches it as well, and sees plain loads and stores at once.)

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::machine::{at, in_world, preempt, try_world, world, Place, World};
use super::report::Kind;
use crate::bindings::{gfp_t, __GFP_ZERO, GFP_KERNEL};
use crate::ffi;
use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::Location;
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// What freed memory is filled with, like SLUB's.
pub(crate) const POISON: u8 = 0x6b;

/// `__GFP_DIRECT_RECLAIM`: the allocation may sleep.
const MAY_SLEEP: gfp_t = 0x400;

/// `ZERO_SIZE_PTR`.
const ZERO_SIZE: usize = 16;

#[derive(Debug)]
struct Freed {
    place: Place,
    task: usize,
    cpu: usize,
}

#[derive(Debug)]
struct Block {
    start: usize,
    layout: Layout,
    size: usize,
    label: &'static str,
    place: Place,
    freed: Option<Freed>,
}

#[derive(Default, Debug)]
pub(crate) struct Ledger {
    /// In the order in which they were allocated.
    blocks: Vec<Block>,
    /// Where each begins, in the order of addresses, and its index in `blocks`. Every access is looked
    /// up here, and next to none of them adds to it.
    by_address: Vec<(usize, usize)>,
    allocations: u64,
    fail_at: Option<u64>,
}

/// Memory that was allocated outside any execution.
static OUTSIDE: Mutex<BTreeMap<usize, Layout>> = Mutex::new(BTreeMap::new());

/// Where in freed memory something else stands than what it was filled with.
fn not_poison(bytes: &[u8]) -> Option<usize> {
    const PART: [u8; 64] = [POISON; 64];
    // Compared in parts, as all of it is looked at after each schedule.
    let is_other = |part: &[u8]| part != &PART[..part.len()];
    let first = bytes.chunks(PART.len()).position(is_other)? * PART.len();
    let inside = bytes[first..].iter().position(|&byte| byte != POISON)?;
    Some(first + inside)
}

#[cfg(devscope_asan)]
mod asan {
    use crate::ffi::c_char;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::Once;

    extern "C" {
        fn __asan_poison_memory_region(addr: *const u8, size: usize);
        fn __asan_unpoison_memory_region(addr: *const u8, size: usize);
        fn __asan_set_death_callback(callback: extern "C" fn());
    }

    static SCHEDULE: AtomicU64 = AtomicU64::new(0);

    /// A failed exploration keeps its memory, which is no leak of the driver's.
    #[no_mangle]
    extern "C" fn __asan_default_options() -> *const c_char {
        c"detect_leaks=0".as_ptr().cast()
    }

    /// The sanitizer has reported, and is about to end the process.
    extern "C" fn say_again() {
        let schedule = SCHEDULE.load(Ordering::Relaxed);
        eprintln!(
            "  again:      {}={schedule:x}",
            super::super::explore::SCHEDULE
        );
    }

    pub(super) fn begin(schedule: u64) {
        static CALLBACK: Once = Once::new();
        std::hint::black_box(__asan_default_options as extern "C" fn() -> *const c_char);
        // SAFETY: a function for the sanitizer to call.
        CALLBACK.call_once(|| unsafe { __asan_set_death_callback(say_again) });
        SCHEDULE.store(schedule, Ordering::Relaxed);
    }

    pub(super) fn poison(addr: usize, size: usize) {
        // SAFETY: the region is memory that the ledger owns.
        unsafe { __asan_poison_memory_region(addr as *const u8, size) }
    }

    pub(super) fn unpoison(addr: usize, size: usize) {
        // SAFETY: the region is memory that the ledger owns.
        unsafe { __asan_unpoison_memory_region(addr as *const u8, size) }
    }
}

#[cfg(not(devscope_asan))]
mod asan {
    pub(super) fn begin(_: u64) {}
    pub(super) fn poison(_: usize, _: usize) {}
    pub(super) fn unpoison(_: usize, _: usize) {}
}

impl Drop for Ledger {
    fn drop(&mut self) {
        for block in &self.blocks {
            asan::unpoison(block.start, block.layout.size());
            // SAFETY: the block was allocated with this layout, and only the ledger frees it.
            unsafe { std::alloc::dealloc(block.start as *mut u8, block.layout) };
        }
    }
}

impl Ledger {
    /// The ledger of one schedule.
    pub(crate) fn begin(schedule: u64) -> Self {
        asan::begin(schedule);
        Self::default()
    }

    /// How many blocks begin at `address` or before.
    fn up_to(&self, address: usize) -> usize {
        self.by_address
            .partition_point(|&(start, _)| start <= address)
    }

    /// The block that `address` is in.
    fn find(&self, address: usize) -> Option<(usize, &Block)> {
        let (start, index) = self.by_address[..self.up_to(address)].last()?;
        let block = &self.blocks[*index];
        (address < start + block.size.max(1)).then_some((*start, block))
    }

    /// The block that begins at `address`.
    fn get(&self, address: usize) -> Option<&Block> {
        self.find(address)
            .filter(|(start, _)| *start == address)
            .map(|(_, block)| block)
    }

    fn get_mut(&mut self, address: usize) -> Option<&mut Block> {
        let (start, index) = *self.by_address[..self.up_to(address)].last()?;
        (start == address).then(|| &mut self.blocks[index])
    }

    fn insert(&mut self, block: Block) {
        let place = self.up_to(block.start);
        self.by_address
            .insert(place, (block.start, self.blocks.len()));
        self.blocks.push(block);
    }

    /// The live allocations, as (label, how many, bytes).
    pub(crate) fn live(&self) -> Vec<(&'static str, usize, usize)> {
        let mut kinds: Vec<(&'static str, usize, usize)> = Vec::new();
        for block in self.blocks.iter().filter(|block| block.freed.is_none()) {
            match kinds.iter_mut().find(|(label, ..)| *label == block.label) {
                Some(kind) => {
                    kind.1 += 1;
                    kind.2 += block.size;
                }
                None => kinds.push((block.label, 1, block.size)),
            }
        }
        kinds
    }

    /// Lines about the live allocations, oldest first.
    pub(crate) fn live_places(&self) -> Vec<String> {
        let live = self.blocks.iter().filter(|block| block.freed.is_none());
        live.map(|block| {
            format!(
                "allocated   {}  {} bytes ({})",
                at(block.place),
                block.size,
                block.label
            )
        })
        .collect()
    }

    pub(crate) fn fail_nth(&mut self, n: u64) {
        self.fail_at = Some(self.allocations + n);
    }

    /// The first freed block that was written to.
    pub(crate) fn written_after_free(&self) -> Option<(String, Vec<String>)> {
        if cfg!(devscope_asan) {
            // The sanitizer has seen it, and would object to our looking.
            return None;
        }
        for block in &self.blocks {
            let Some(freed) = &block.freed else { continue };
            // SAFETY: the block is memory that the ledger owns; nobody else runs now.
            let bytes = unsafe { std::slice::from_raw_parts(block.start as *const u8, block.size) };
            if let Some(offset) = not_poison(bytes) {
                return Some((
                    format!(
                        "{} bytes ({}) were written to after they were freed, at offset {offset}",
                        block.size, block.label
                    ),
                    vec![
                        format!("allocated   {}", at(block.place)),
                        format!("freed       {}", at(freed.place)),
                    ],
                ));
            }
        }
        None
    }
}

impl World {
    /// Whether `address` is in memory that has been freed; lines that say so.
    pub(crate) fn freed_facts(&self, address: usize) -> Option<Vec<String>> {
        let (start, block) = self.ledger.find(address)?;
        let freed = block.freed.as_ref()?;
        let mut facts = vec![
            format!(
                "memory      {} bytes ({}), offset {}",
                block.size,
                block.label,
                address - start
            ),
            format!("allocated   {}", at(block.place)),
        ];
        facts.push(format!(
            "freed       {}, by {} on cpu {}",
            at(freed.place),
            self.tasks[freed.task].name,
            freed.cpu
        ));
        Some(facts)
    }

    /// Report an access to what is not (or no longer) there.
    #[track_caller]
    pub(crate) fn check(&mut self, address: usize, len: usize, what: &str, place: Place) {
        match self.ledger.find(address) {
            Some((start, block)) => {
                if block.freed.is_some() {
                    let mut facts = self.freed_facts(address).unwrap_or_default();
                    facts.push(format!("used        {}", at(place)));
                    self.fail(
                        Kind::UseAfterFree,
                        format!("{what} in freed memory"),
                        &facts,
                    );
                }
                if address + len > start + block.size {
                    let facts = [
                        format!("allocated   {}  {} bytes", at(block.place), block.size),
                        format!("used        {}", at(place)),
                    ];
                    let message = format!(
                        "{what} of {len} bytes, at offset {} of an allocation of {} bytes",
                        address - start,
                        block.size
                    );
                    self.fail(Kind::WildAccess, message, &facts);
                }
            }
            None => self.check_wild(address, what, place),
        }
    }

    /// Report an address that only a mistake leads to.
    #[track_caller]
    fn check_wild(&mut self, address: usize, what: &str, place: Place) {
        let problem = if address < 4096 {
            format!("{what} at address {address:#x}: a null pointer")
        } else if (address >> 16) == (0x6b6b_6b6b_6b6b_6b6b_u64 >> 16) as usize {
            format!("{what} at address {address:#x}: a pointer that was read from freed memory")
        } else {
            return;
        };
        self.fail(
            Kind::WildAccess,
            problem,
            &[format!("used        {}", at(place))],
        );
    }

    /// Where the allocation around `address` was made.
    pub(crate) fn allocated_at(&self, address: usize) -> Option<Place> {
        self.ledger.find(address).map(|(_, block)| block.place)
    }

    /// Anything in `range` that is still active: what it is, and facts about it.
    fn active_in(&self, range: &Range<usize>) -> Option<(String, Vec<String>)> {
        self.irqs
            .active_in(range)
            .or_else(|| self.tasklets.active_in(range))
            .or_else(|| self.works.active_in(range, self.current))
            .or_else(|| self.timers.active_in(range, self.current))
            .or_else(|| self.urbs.active_in(range))
            .or_else(|| self.misc.active_in(range))
            .or_else(|| self.cdevs.active_in(range))
            .or_else(|| self.mm.active_in(range))
            .or_else(|| self.waits.active_in(range, &self.tasks))
            .or_else(|| self.locks.active_in(range, &self.tasks))
            .or_else(|| self.devices.active_in(range))
    }

    /// Forget what was set up in `range` and is at rest.
    fn forget_in(&mut self, range: &Range<usize>) {
        self.tasklets.forget_in(range);
        self.works.forget_in(range);
        self.timers.forget_in(range);
        self.waits.forget_in(range);
        self.locks.forget_in(range);
        self.cdevs.forget_in(range);
    }

    /// An allocation that a scenario may let fail.
    #[track_caller]
    pub(crate) fn allocate(
        &mut self,
        layout: Layout,
        label: &'static str,
        place: Place,
    ) -> *mut ffi::c_void {
        if !self.allocate_token() {
            self.note(
                "allocation fails, as the scenario asked",
                &label.into(),
                Some(place),
            );
            return ptr::null_mut();
        }
        self.allocate_always(layout, label, place)
    }

    /// An allocation of the model's own.
    #[track_caller]
    pub(crate) fn allocate_always(
        &mut self,
        layout: Layout,
        label: &'static str,
        place: Place,
    ) -> *mut ffi::c_void {
        let size = layout.size();
        // A block has at least a byte, and the alignment that `kmalloc` promises.
        let Ok(layout) = Layout::from_size_align(size.max(1), layout.align().max(16)) else {
            return ptr::null_mut();
        };
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { std::alloc::alloc(layout) };
        if memory.is_null() {
            return ptr::null_mut();
        }
        // What `kmalloc` gives is not zero: make that visible, and the same each time.
        // SAFETY: the block has `layout.size()` bytes.
        unsafe { ptr::write_bytes(memory, 0x5a, layout.size()) };
        self.ledger.insert(Block {
            start: memory as usize,
            layout,
            size,
            label,
            place,
            freed: None,
        });
        memory.cast()
    }

    /// An allocation of the model's own, which only counts for failing.
    pub(crate) fn allocate_token(&mut self) -> bool {
        self.ledger.allocations += 1;
        let fails = self.ledger.fail_at == Some(self.ledger.allocations);
        if fails {
            self.ledger.fail_at = None;
        }
        !fails
    }

    #[track_caller]
    pub(crate) fn free(&mut self, address: usize, place: Place) {
        let Some(block) = self.ledger.get(address) else {
            let message = match self.ledger.find(address) {
                Some(_) => format!("{address:#x} is inside an allocation, not its start"),
                None => "freed memory that was never allocated".to_string(),
            };
            self.fail(
                Kind::BadFree,
                message,
                &[format!("freed       {}", at(place))],
            );
        };
        if block.freed.is_some() {
            let mut facts = self.freed_facts(address).unwrap_or_default();
            facts.push(format!("freed again {}", at(place)));
            self.fail(Kind::BadFree, "freed twice".into(), &facts);
        }
        let (size, allocated) = (block.size, block.place);
        let range = address..address + size;
        if let Some((what, mut facts)) = self.active_in(&range) {
            facts.push(format!("allocated   {}", at(allocated)));
            facts.push(format!("freed       {}", at(place)));
            self.fail(
                Kind::FreedWhileActive,
                format!("{what} is in memory that is freed"),
                &facts,
            );
        }
        self.forget_in(&range);
        let (task, cpu) = (self.current, self.my_cpu());
        let block = self.ledger.get_mut(address).expect("just seen");
        block.freed = Some(Freed { place, task, cpu });
        // SAFETY: the block has `size` bytes, and its owner has just given it up.
        unsafe { ptr::write_bytes(address as *mut u8, POISON, size) };
        asan::poison(address, size);
    }

    fn size_of(&self, address: usize) -> Option<usize> {
        self.ledger.get(address).map(|block| block.size)
    }
}

/// Check that `len` bytes at `ptr` may be used: they are not freed, and nobody's mistake.
///
/// Memory that the model does not know (statics, stacks) passes.
#[track_caller]
pub fn check_access<T: ?Sized>(ptr: *const T, len: usize) {
    let place = Location::caller();
    try_world(|w| w.check(ptr.cast::<u8>() as usize, len, "an access", place));
}

/// Give the allocation at `ptr` a name for reports, usually that of its type.
pub fn name_allocation<T: ?Sized>(ptr: *const T, label: &'static str) {
    try_world(|w| {
        if let Some(block) = w.ledger.get_mut(ptr.cast::<u8>() as usize) {
            block.label = label;
        }
    });
}

fn outside<R>(f: impl FnOnce(&mut BTreeMap<usize, Layout>) -> R) -> R {
    f(&mut OUTSIDE.lock().unwrap_or_else(PoisonError::into_inner))
}

#[track_caller]
pub(crate) fn alloc(layout: Layout, flags: gfp_t, label: &'static str) -> *mut ffi::c_void {
    let place = Location::caller();
    let memory = if in_world() {
        world(|w| {
            if flags & MAY_SLEEP != 0 {
                w.might_sleep("this allocation", place);
            }
            w.allocate(layout, label, place)
        })
    } else {
        let layout = Layout::from_size_align(layout.size().max(1), layout.align().max(16));
        let layout = layout.expect("a layout that was valid before");
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { std::alloc::alloc(layout) };
        outside(|outside| outside.insert(memory as usize, layout));
        memory.cast()
    };
    if flags & __GFP_ZERO != 0 && !memory.is_null() {
        // SAFETY: `memory` has been allocated with at least this size.
        unsafe { ptr::write_bytes(memory.cast::<u8>(), 0, layout.size()) };
    }
    memory
}

#[track_caller]
pub(crate) fn free(ptr: *const ffi::c_void) {
    let place = Location::caller();
    let address = ptr as usize;
    if address <= ZERO_SIZE {
        return;
    }
    if let Some(layout) = outside(|outside| outside.remove(&address)) {
        // SAFETY: allocated above, with this layout, and just taken off the list.
        unsafe { std::alloc::dealloc(address as *mut u8, layout) };
        return;
    }
    preempt();
    world(|w| w.free(address, place));
}

#[track_caller]
fn realloc(ptr: *const ffi::c_void, layout: Layout, flags: gfp_t) -> *mut ffi::c_void {
    if layout.size() == 0 {
        free(ptr);
        return ZERO_SIZE as *mut ffi::c_void;
    }
    let old = (ptr as usize > ZERO_SIZE)
        .then(|| {
            try_world(|w| w.size_of(ptr as usize))
                .flatten()
                .or_else(|| outside(|o| o.get(&(ptr as usize)).map(Layout::size)))
        })
        .flatten();
    if let Some(old) = old {
        let place = Location::caller();
        try_world(|w| w.check(ptr as usize, 1, "krealloc", place));
        if old == layout.size() {
            return ptr.cast_mut();
        }
    }
    let new = alloc(layout, flags, "kmalloc");
    if let Some(old) = old.filter(|_| !new.is_null()) {
        // SAFETY: both are allocations of at least this size, and different ones.
        unsafe { ptr::copy_nonoverlapping(ptr.cast::<u8>(), new.cast(), old.min(layout.size())) };
        free(ptr);
    }
    new
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align.max(1)).unwrap_or(Layout::new::<u64>())
}

#[track_caller]
pub unsafe fn kmalloc(size: usize, flags: gfp_t) -> *mut ffi::c_void {
    if size == 0 {
        return ZERO_SIZE as *mut ffi::c_void;
    }
    alloc(layout(size, 16), flags, "kmalloc")
}

#[track_caller]
pub unsafe fn kzalloc(size: usize, flags: gfp_t) -> *mut ffi::c_void {
    if size == 0 {
        return ZERO_SIZE as *mut ffi::c_void;
    }
    alloc(layout(size, 16), flags | __GFP_ZERO, "kzalloc")
}

#[track_caller]
pub unsafe fn krealloc_node_align(
    objp: *const ffi::c_void,
    new_size: usize,
    align: ffi::c_ulong,
    flags: gfp_t,
    _node: ffi::c_int,
) -> *mut ffi::c_void {
    realloc(objp, layout(new_size, align), flags)
}

#[track_caller]
pub unsafe fn vrealloc_node_align(
    p: *const ffi::c_void,
    size: usize,
    align: ffi::c_ulong,
    flags: gfp_t,
    _node: ffi::c_int,
) -> *mut ffi::c_void {
    realloc(p, layout(size, align), flags | GFP_KERNEL)
}

#[track_caller]
pub unsafe fn kvrealloc_node_align(
    p: *const ffi::c_void,
    size: usize,
    align: ffi::c_ulong,
    flags: gfp_t,
    _node: ffi::c_int,
) -> *mut ffi::c_void {
    realloc(p, layout(size, align), flags)
}

#[track_caller]
pub unsafe fn kfree(objp: *const ffi::c_void) {
    free(objp);
}

#[track_caller]
pub unsafe fn kvfree(addr: *const ffi::c_void) {
    free(addr);
}

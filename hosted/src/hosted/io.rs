//! Memory-mapped registers.
//!
//! A mapped address is a cookie: nothing is at it, and only the functions here can use it. So an
//! access through a mapping that is gone, or through an address out of freed memory, is seen.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::device::Bus;
use super::machine::{at, preempt, world, Place, World};
use super::nobody;
use super::report::Kind;
use crate::bindings::{resource_size_t, u16_, u32_, u64_, u8_};
use crate::ffi;
use std::panic::Location;

/// Where mappings begin, and how far they are apart: addresses that no process has.
const BASE: usize = 0xffff_c900_0000_0000;
const STRIDE: usize = 1 << 28;

#[derive(Debug)]
struct Mapping {
    dev: usize,
    bar: usize,
    offset: usize,
    len: usize,
    mapped: Place,
    unmapped: Option<Place>,
}

#[derive(Default, Debug)]
pub(crate) struct Mmio {
    mappings: Vec<Mapping>,
}

impl Mmio {
    pub(crate) fn left(&self) -> Vec<String> {
        self.mappings
            .iter()
            .filter(|mapping| mapping.unmapped.is_none())
            .map(|mapping| format!("mapped      {}  BAR {}", at(mapping.mapped), mapping.bar))
            .collect()
    }
}

/// Map part of a BAR.
pub(crate) fn map(dev: usize, bar: usize, offset: usize, len: usize, place: Place) -> usize {
    world(|w| {
        let index = w.mmio.mappings.len();
        w.mmio.mappings.push(Mapping {
            dev,
            bar,
            offset,
            len,
            mapped: place,
            unmapped: None,
        });
        BASE + index * STRIDE
    })
}

#[track_caller]
pub(crate) fn unmap(address: usize, place: Place) {
    preempt();
    world(|w| {
        let index = address.wrapping_sub(BASE) / STRIDE;
        match w.mmio.mappings.get_mut(index) {
            Some(mapping) if mapping.unmapped.is_none() => mapping.unmapped = Some(place),
            _ => {
                let facts = [format!("unmapped    {}", at(place))];
                w.fail(
                    Kind::BadFree,
                    "an address that is not mapped is unmapped".into(),
                    &facts,
                );
            }
        }
    });
}

/// Where an access goes: the device, the BAR and the offset in it.
#[track_caller]
fn target(
    w: &mut World,
    address: usize,
    size: usize,
    what: &str,
    place: Place,
) -> (usize, usize, usize) {
    // Accesses are many: what is said about a wrong one is put together when there is one.
    let accessed = || format!("{what:<12}{}", at(place));
    let index = address.wrapping_sub(BASE) / STRIDE;
    let inside = address.wrapping_sub(BASE) % STRIDE;
    if address < BASE || index >= w.mmio.mappings.len() {
        w.check(address, size, "an MMIO access", place);
        let message = format!("an MMIO access to {address:#x}, where nothing is mapped");
        w.fail(Kind::WildAccess, message, &[accessed()]);
    }
    let mapping = &w.mmio.mappings[index];
    if let Some(unmapped) = mapping.unmapped {
        let message = format!(
            "an MMIO access to BAR {} after it was unmapped",
            mapping.bar
        );
        let facts = [
            format!("mapped      {}", at(mapping.mapped)),
            format!("unmapped    {}", at(unmapped)),
            accessed(),
        ];
        w.fail(Kind::WildAccess, message, &facts);
    }
    if inside + size > mapping.len || !inside.is_multiple_of(size) {
        let message = format!(
            "an MMIO access of {size} bytes at offset {inside:#x} of a mapping of {:#x} bytes",
            mapping.len
        );
        w.fail(Kind::WildAccess, message, &[accessed()]);
    }
    (mapping.dev, mapping.bar, mapping.offset + inside)
}

#[track_caller]
fn read(address: *const ffi::c_void, size: usize) -> u64 {
    let place = Location::caller();
    preempt();
    let (dev, bar, offset) = world(|w| target(w, address as usize, size, "read", place));
    let ones = u64::MAX >> (64 - 8 * size);
    match model(dev) {
        Some(model) => model.read(bar, offset as u64, size) & ones,
        None => ones,
    }
}

#[track_caller]
fn write(address: *mut ffi::c_void, size: usize, value: u64) {
    let place = Location::caller();
    preempt();
    let (dev, bar, offset) = world(|w| {
        let target = target(w, address as usize, size, "written", place);
        w.note("writes a register", &nobody(), Some(place));
        target
    });
    if let Some(model) = model(dev) {
        model.write(bar, offset as u64, size, value);
    }
    preempt();
}

/// The device's model, if it decodes addresses now.
fn model(dev: usize) -> Option<std::sync::Arc<dyn super::PciModel>> {
    world(|w| match &w.devices.devices.get(dev)?.bus {
        Bus::Pci(state) => (state.enabled > 0 && !state.gone).then(|| state.model.clone()),
        _ => None,
    })
}

macro_rules! accessors {
    ($($read:ident $write:ident $type:ty;)*) => {$(
        #[track_caller]
        pub unsafe fn $read(addr: *const ffi::c_void) -> $type {
            read(addr, size_of::<$type>()) as $type
        }

        #[track_caller]
        pub unsafe fn $write(value: $type, addr: *mut ffi::c_void) {
            write(addr, size_of::<$type>(), value.into());
        }
    )*};
}

accessors! {
    readb writeb u8_;
    readw writew u16_;
    readl writel u32_;
    readq writeq u64_;
    readb_relaxed writeb_relaxed u8_;
    readw_relaxed writew_relaxed u16_;
    readl_relaxed writel_relaxed u32_;
    readq_relaxed writeq_relaxed u64_;
    ioread64 iowrite64 u64_;
}

#[track_caller]
pub unsafe fn ioread8(addr: *const ffi::c_void) -> ffi::c_uint {
    read(addr, 1) as ffi::c_uint
}

#[track_caller]
pub unsafe fn ioread16(addr: *const ffi::c_void) -> ffi::c_uint {
    read(addr, 2) as ffi::c_uint
}

#[track_caller]
pub unsafe fn ioread32(addr: *const ffi::c_void) -> ffi::c_uint {
    read(addr, 4) as ffi::c_uint
}

#[track_caller]
pub unsafe fn iowrite8(value: u8_, addr: *mut ffi::c_void) {
    write(addr, 1, value.into());
}

#[track_caller]
pub unsafe fn iowrite16(value: u16_, addr: *mut ffi::c_void) {
    write(addr, 2, value.into());
}

#[track_caller]
pub unsafe fn iowrite32(value: u32_, addr: *mut ffi::c_void) {
    write(addr, 4, value.into());
}

/// The model has no memory-mapped devices outside PCI yet.
pub unsafe fn ioremap(_offset: resource_size_t, _size: ffi::c_ulong) -> *mut ffi::c_void {
    std::ptr::null_mut()
}

#[track_caller]
pub unsafe fn iounmap(addr: *mut ffi::c_void) {
    unmap(addr as usize, Location::caller());
}

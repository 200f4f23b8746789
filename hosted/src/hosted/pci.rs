//! The PCI bus: what a driver does with a device, and what the device's model does.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::device::{self, Bus, Resource};
use super::io;
use super::irq::IrqLine;
use super::machine::{at, preempt, step, world, Place, World};
use super::report::Kind;
use crate::bindings::{
    device as c_device, pci_dev, pci_device_id, pci_driver, resource_size_t, u16_, u32_, u8_,
    EBUSY, EINVAL, ENOSPC, IORESOURCE_MEM, PCI_IRQ_INTX, PCI_IRQ_MSI, PCI_IRQ_MSIX,
};
use crate::error::Result;
use crate::ffi;
use std::panic::Location;
use std::sync::Arc;

/// `PCI_ANY_ID`, in the type of the tables.
const ANY: u32 = !0;

/// What a PCI device says it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PciIds {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Subsystem vendor ID.
    pub subvendor: u16,
    /// Subsystem device ID.
    pub subdevice: u16,
    /// Class, subclass and programming interface: `0x00ff00`.
    pub class: u32,
    /// Revision.
    pub revision: u8,
}

/// The device side of a PCI device.
///
/// Its functions run in the task that touches the register, and not in any kernel context. They may
/// take a lock of their own, but must not hold it while they use the pin or spawn.
pub trait PciModel: Send + Sync + 'static {
    /// What the device is.
    fn ids(&self) -> PciIds;

    /// The sizes of its BARs, all of them memory.
    fn bars(&self) -> Vec<u64>;

    /// How many interrupts it has by MSI.
    fn messages(&self) -> usize {
        1
    }

    /// And by MSI-X. Linux prefers these.
    fn msi_x(&self) -> usize {
        0
    }

    /// The device was plugged in. `pin` is its way to interrupt.
    fn attached(&self, pin: IrqPin) {
        let _ = pin;
    }

    /// A register is read, `size` bytes of it.
    fn read(&self, bar: usize, offset: u64, size: usize) -> u64;

    /// A register is written.
    fn write(&self, bar: usize, offset: u64, size: usize, value: u64);
}

pub(crate) struct PciState {
    pub(crate) model: Arc<dyn PciModel>,
    ids: PciIds,
    pub(crate) bars: Vec<u64>,
    /// Which device on the bus.
    number: usize,
    intx: u32,
    intx_asserted: bool,
    messages: Vec<u32>,
    vectors: Vectors,
    /// Whether the vectors are devres' to free.
    managed: bool,
    pub(crate) enabled: u32,
    /// The device does not answer any more.
    pub(crate) gone: bool,
    regions: Vec<(ffi::c_int, Place)>,
}

impl PciState {
    /// The physical address of a BAR.
    pub(crate) fn bar_start(&self, bar: usize) -> u64 {
        bar_start(self.number, bar)
    }
}

fn bar_start(number: usize, bar: usize) -> u64 {
    0xfe00_0000 + ((number as u64) << 21) + ((bar as u64) << 28)
}

impl std::fmt::Debug for PciState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PciState")
            .field("ids", &self.ids)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vectors {
    None,
    Intx,
    Msi(usize),
    MsiX(usize),
}

/// A device's way to interrupt: its INTx pin, or messages where the driver has enabled them.
#[derive(Clone, Copy, Debug)]
pub struct IrqPin {
    dev: usize,
}

impl IrqPin {
    fn state<R>(&self, f: impl FnOnce(&mut World, &mut PciState) -> R) -> Option<R> {
        world(|w| {
            // Out and back in, so that `f` can have both.
            let dev = w.devices.devices.get_mut(self.dev)?;
            let Bus::Pci(state) = std::mem::replace(&mut dev.bus, Bus::Class) else {
                return None;
            };
            let mut state = state;
            let result = f(w, &mut state);
            w.dev(self.dev).bus = Bus::Pci(state);
            Some(result)
        })
    }

    /// Whether the driver has asked for messages.
    pub fn messages_enabled(&self) -> bool {
        self.state(|_, state| matches!(state.vectors, Vectors::Msi(_) | Vectors::MsiX(_)))
            .unwrap_or(false)
    }

    /// Send message `vector`, if messages are enabled.
    #[track_caller]
    pub fn message(&self, vector: usize) {
        let irq = self.state(|_, state| match state.vectors {
            Vectors::Msi(count) => Some(state.messages[vector % count]),
            // An entry of the table that the driver has no use for is masked.
            Vectors::MsiX(_) => state.messages.get(vector).copied(),
            _ => None,
        });
        if let Some(irq) = irq.flatten() {
            IrqLine { irq }.pulse();
        }
    }

    /// Drive the INTx pin.
    #[track_caller]
    pub fn set(&self, level: bool) {
        let change = self.state(|_, state| {
            let before = std::mem::replace(&mut state.intx_asserted, level);
            (before != level).then_some(state.intx)
        });
        if let Some(irq) = change.flatten() {
            match level {
                true => IrqLine { irq }.raise(),
                false => IrqLine { irq }.lower(),
            }
        }
    }
}

/// A place where a PCI device is plugged in.
#[derive(Clone, Copy, Debug)]
pub struct PciSlot {
    dev: usize,
}

pub(crate) fn plug(model: Arc<dyn PciModel>, shared_with: Option<u32>) -> PciSlot {
    let pdev: *mut pci_dev = device::allocate("pci_dev");
    // The first place on the bus that no device has.
    let number = world(|w| {
        let taken = |number: &usize| {
            let mut devices = w.devices.devices.iter();
            devices.any(|(_, dev)| matches!(&dev.bus, Bus::Pci(state) if state.number == *number))
        };
        (0..).find(|number| !taken(number)).expect("there are many")
    });
    let name = format!("0000:00:{:02x}.0", number + 3);
    let (ids, bars) = (model.ids(), model.bars());
    let intx =
        shared_with.unwrap_or_else(|| world(|w| w.irqs.new_line(&format!("{name} INTx"), true)));
    // SAFETY: just allocated, zeroed.
    let dev = unsafe {
        (*pdev).vendor = ids.vendor;
        (*pdev).device = ids.device;
        (*pdev).subsystem_vendor = ids.subvendor;
        (*pdev).subsystem_device = ids.subdevice;
        (*pdev).class = ids.class;
        (*pdev).revision = ids.revision;
        (*pdev).devfn = ((number as u32 + 3) & 31) << 3;
        (*pdev).pin = 1;
        (*pdev).irq = intx;
        for (index, &size) in bars.iter().enumerate() {
            let resource = &mut (*pdev).resource[index];
            if size > 0 {
                resource.start = bar_start(number, index);
                resource.end = resource.start + size - 1;
                resource.flags = IORESOURCE_MEM as ffi::c_ulong;
            }
        }
        &raw mut (*pdev).dev
    };
    let state = PciState {
        model: model.clone(),
        ids,
        bars,
        number,
        intx,
        intx_asserted: false,
        messages: Vec::new(),
        vectors: Vectors::None,
        managed: false,
        enabled: 0,
        gone: false,
        regions: Vec::new(),
    };
    device::register(dev, pdev as usize, &name, Bus::Pci(state));
    let slot = PciSlot { dev: dev as usize };
    model.attached(IrqPin { dev: slot.dev });
    device::attach(slot.dev);
    slot
}

impl PciSlot {
    /// Bind the device to the driver that matches it, as through sysfs.
    #[track_caller]
    pub fn bind(&self) -> Result {
        device::bind(self.dev)
    }

    /// Unbind the device from its driver, as through sysfs. `ENODEV` if it has none.
    #[track_caller]
    pub fn unbind(&self) -> Result {
        device::unbind(self.dev)
    }

    /// Unplug the device, in good order: unbind it, then remove it.
    #[track_caller]
    pub fn unplug(&self) {
        if world(|w| w.devices.devices.get(self.dev).is_some()) {
            device::unplug(self.dev);
        }
    }

    /// Pull the device out: from now on its registers read as ones, while it is still bound.
    #[track_caller]
    pub fn yank(&self) {
        preempt();
        world(|w| {
            if let Bus::Pci(state) = &mut w.dev(self.dev).bus {
                state.gone = true;
            }
        });
        self.unplug();
    }

    /// Whether a driver is bound.
    pub fn is_bound(&self) -> bool {
        world(|w| w.devices.devices.get(self.dev).is_some()) && device::is_bound(self.dev)
    }

    /// The device's INTx line, which other devices can share.
    pub fn intx(&self) -> IrqLine {
        let irq = IrqPin { dev: self.dev }.state(|_, state| state.intx);
        IrqLine {
            irq: irq.unwrap_or(0),
        }
    }

    /// The line of message `vector`, once the driver has enabled messages.
    pub fn message(&self, vector: usize) -> Option<IrqLine> {
        let irq = IrqPin { dev: self.dev }.state(|_, state| state.messages.get(vector).copied());
        irq.flatten().map(|irq| IrqLine { irq })
    }

    /// The device, for C functions.
    pub fn as_raw(&self) -> *mut pci_dev {
        to_pci(self.dev)
    }
}

fn to_pci(dev: usize) -> *mut pci_dev {
    (dev - std::mem::offset_of!(pci_dev, dev)) as *mut pci_dev
}

fn of(pdev: *mut pci_dev) -> *mut c_device {
    pdev.wrapping_byte_add(std::mem::offset_of!(pci_dev, dev))
        .cast()
}

/// The id of `driver` that matches, and its `driver_data`.
pub(crate) fn matching_id(state: &PciState, driver: *mut pci_driver) -> Option<(usize, usize)> {
    // SAFETY: the driver is registered, and its table ends with an empty entry.
    unsafe {
        let mut id: *const pci_device_id = (*driver).id_table;
        if id.is_null() {
            return None;
        }
        let ids = &state.ids;
        let fits = |wanted: u32, is: u16| wanted == ANY || wanted == u32::from(is);
        while (*id).vendor != 0 || (*id).subvendor != 0 || (*id).class_mask != 0 {
            let entry = &*id;
            if fits(entry.vendor, ids.vendor)
                && fits(entry.device, ids.device)
                && fits(entry.subvendor, ids.subvendor)
                && fits(entry.subdevice, ids.subdevice)
                && (entry.class ^ ids.class) & entry.class_mask == 0
            {
                return Some((id as usize, entry.driver_data));
            }
            id = id.add(1);
        }
        None
    }
}

/// `local_pci_probe`
///
/// # Safety
///
/// The driver is registered and matches by `id`; `dev->mutex` is held.
pub(crate) unsafe fn probe(dev: usize, driver: *mut pci_driver, id: usize) -> ffi::c_int {
    let pdev = to_pci(dev);
    // SAFETY: the caller's promise.
    unsafe {
        (*pdev).driver = driver;
        let Some(probe) = (*driver).probe else {
            return 0;
        };
        let result = probe(pdev, id as *const pci_device_id);
        if result < 0 {
            (*pdev).driver = std::ptr::null_mut();
        }
        result.min(0)
    }
}

/// `pci_device_remove`
///
/// # Safety
///
/// The driver is bound to the device; `dev->mutex` is held.
pub(crate) unsafe fn remove(dev: usize, driver: *mut pci_driver) {
    let pdev = to_pci(dev);
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(remove) = (*driver).remove {
            remove(pdev);
        }
        (*pdev).driver = std::ptr::null_mut();
    }
}

/// Look at the device of a call, after checking that it is one.
#[track_caller]
fn with<R>(pdev: *const pci_dev, f: impl FnOnce(&mut PciState) -> R) -> R {
    let place = Location::caller();
    world(|w| {
        w.check(pdev as usize, size_of::<pci_dev>(), "a PCI device", place);
        let dev = of(pdev.cast_mut());
        w.check_dev(dev, place);
        match &mut w.dev(dev as usize).bus {
            Bus::Pci(state) => f(state),
            _ => panic!("devscope bug: a PCI device that is on another bus"),
        }
    })
}

pub(crate) fn disable(dev: usize) {
    let pdev = to_pci(dev);
    with(pdev, |state| {
        state.enabled = state.enabled.saturating_sub(1)
    });
}

pub(crate) fn release_region(dev: usize, bar: ffi::c_int) {
    with(to_pci(dev), |state| {
        state.regions.retain(|(other, _)| *other != bar)
    });
}

#[track_caller]
pub(crate) fn free_vectors(dev: usize, place: Place) {
    let messages = with(to_pci(dev), |state| {
        state.managed = false;
        match std::mem::replace(&mut state.vectors, Vectors::None) {
            Vectors::Msi(_) | Vectors::MsiX(_) => std::mem::take(&mut state.messages),
            _ => Vec::new(),
        }
    });
    let intx = with(to_pci(dev), |state| state.intx);
    world(|w| {
        for irq in messages {
            if w.irqs.has_handler(irq) {
                let mut facts = w.irqs.left();
                facts.push(format!("freed       {}", at(place)));
                let message = "an interrupt vector is freed while its handler is registered";
                w.fail(Kind::FreedWhileActive, message.into(), &facts);
            }
        }
    });
    // SAFETY: the device is there.
    unsafe { (*to_pci(dev)).irq = intx };
}

#[track_caller]
pub unsafe fn pci_enable_device(dev: *mut pci_dev) -> ffi::c_int {
    preempt();
    with(dev, |state| state.enabled += 1);
    0
}

#[track_caller]
pub unsafe fn pci_enable_device_mem(dev: *mut pci_dev) -> ffi::c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { pci_enable_device(dev) }
}

#[track_caller]
pub unsafe fn pcim_enable_device(pdev: *mut pci_dev) -> ffi::c_int {
    let place = Location::caller();
    preempt();
    with(pdev, |state| {
        state.enabled += 1;
        state.managed = true;
    });
    world(|w| w.add_resource(of(pdev) as usize, Resource::PciDisable, place));
    0
}

#[track_caller]
pub unsafe fn pci_disable_device(dev: *mut pci_dev) {
    preempt();
    with(dev, |state| state.enabled = state.enabled.saturating_sub(1));
}

#[track_caller]
pub unsafe fn pci_set_master(dev: *mut pci_dev) {
    with(dev, |_| ());
}

#[track_caller]
pub unsafe fn pci_clear_master(dev: *mut pci_dev) {
    with(dev, |_| ());
}

#[track_caller]
pub unsafe fn pci_resource_len(pdev: *mut pci_dev, bar: ffi::c_int) -> resource_size_t {
    with(pdev, |state| {
        state.bars.get(bar as usize).copied().unwrap_or(0)
    })
}

#[track_caller]
pub unsafe fn pci_resource_start(pdev: *mut pci_dev, bar: ffi::c_int) -> resource_size_t {
    with(pdev, |_| ());
    // SAFETY: just checked to be a device.
    unsafe {
        (*pdev)
            .resource
            .get(bar as usize)
            .map_or(0, |resource| resource.start)
    }
}

#[track_caller]
pub unsafe fn pci_request_region(
    pdev: *mut pci_dev,
    bar: ffi::c_int,
    _name: *const ffi::c_char,
) -> ffi::c_int {
    let place = Location::caller();
    with(pdev, |state| {
        if state.bars.get(bar as usize).is_none_or(|&size| size == 0) {
            return 0;
        }
        if state.regions.iter().any(|(other, _)| *other == bar) {
            return -(EBUSY as ffi::c_int);
        }
        state.regions.push((bar, place));
        0
    })
}

#[track_caller]
pub unsafe fn pci_release_region(pdev: *mut pci_dev, bar: ffi::c_int) {
    let place = Location::caller();
    let range = with(pdev, |state| {
        let start = state.bar_start(bar as usize) as usize;
        start
            ..start
                + state
                    .bars
                    .get(bar as usize)
                    .map_or(0, |&size| size as usize)
    });
    world(|w| w.check_unmapped(range, &format!("BAR {bar}"), place));
    with(pdev, |state| {
        state.regions.retain(|(other, _)| *other != bar)
    });
}

#[track_caller]
pub unsafe fn pcim_request_region(
    pdev: *mut pci_dev,
    bar: ffi::c_int,
    name: *const ffi::c_char,
) -> ffi::c_int {
    let place = Location::caller();
    // SAFETY: the caller's promise is passed on.
    let result = unsafe { pci_request_region(pdev, bar, name) };
    if result == 0 {
        world(|w| w.add_resource(of(pdev) as usize, Resource::PciRegion(bar), place));
    }
    result
}

#[track_caller]
pub unsafe fn pci_request_regions(pdev: *mut pci_dev, name: *const ffi::c_char) -> ffi::c_int {
    let bars = with(pdev, |state| state.bars.len());
    for bar in 0..bars {
        // SAFETY: the caller's promise is passed on.
        let result = unsafe { pci_request_region(pdev, bar as ffi::c_int, name) };
        if result != 0 {
            for bar in 0..bar {
                // SAFETY: as above.
                unsafe { pci_release_region(pdev, bar as ffi::c_int) };
            }
            return result;
        }
    }
    0
}

#[track_caller]
pub unsafe fn pci_release_regions(pdev: *mut pci_dev) {
    with(pdev, |state| state.regions.clear());
}

#[track_caller]
pub unsafe fn pci_iomap(dev: *mut pci_dev, bar: ffi::c_int, max: ffi::c_ulong) -> *mut ffi::c_void {
    let place = Location::caller();
    preempt();
    let size = with(dev, |state| {
        state.bars.get(bar as usize).copied().unwrap_or(0)
    }) as usize;
    if size == 0 {
        return std::ptr::null_mut();
    }
    let len = if max == 0 { size } else { size.min(max) };
    io::map(of(dev) as usize, bar as usize, 0, len, place) as *mut ffi::c_void
}

#[track_caller]
pub unsafe fn pci_iounmap(dev: *mut pci_dev, addr: *mut ffi::c_void) {
    let place = Location::caller();
    with(dev, |_| ());
    io::unmap(addr as usize, place);
}

#[track_caller]
pub unsafe fn pcim_iomap(
    pdev: *mut pci_dev,
    bar: ffi::c_int,
    maxlen: ffi::c_ulong,
) -> *mut ffi::c_void {
    let place = Location::caller();
    // SAFETY: the caller's promise is passed on.
    let mapping = unsafe { pci_iomap(pdev, bar, maxlen) };
    if !mapping.is_null() {
        let resource = Resource::Mapping(mapping as usize);
        world(|w| w.add_resource(of(pdev) as usize, resource, place));
    }
    mapping
}

/// Unlike C's, a failure is a null pointer and not an `ERR_PTR`.
#[track_caller]
pub unsafe fn pcim_iomap_region(
    pdev: *mut pci_dev,
    bar: ffi::c_int,
    name: *const ffi::c_char,
) -> *mut ffi::c_void {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        match pcim_request_region(pdev, bar, name) {
            0 => pcim_iomap(pdev, bar, 0),
            _ => std::ptr::null_mut(),
        }
    }
}

#[track_caller]
pub unsafe fn pci_alloc_irq_vectors(
    dev: *mut pci_dev,
    min_vecs: ffi::c_uint,
    max_vecs: ffi::c_uint,
    flags: ffi::c_uint,
) -> ffi::c_int {
    let place = Location::caller();
    preempt();
    if min_vecs == 0 || max_vecs < min_vecs {
        return -(EINVAL as ffi::c_int);
    }
    let (model, intx, managed, none) = with(dev, |state| {
        let none = state.vectors == Vectors::None;
        (state.model.clone(), state.intx, state.managed, none)
    });
    if !none {
        return -(EINVAL as ffi::c_int);
    }
    let name = world(|w| w.dev_name(of(dev) as usize));
    let enough = |kind: u32, has: usize| {
        let count = has.min(max_vecs as usize);
        (flags & kind != 0 && count > 0 && count >= min_vecs as usize).then_some(count)
    };
    let messages = |kind: &str, count: usize| {
        let lines: Vec<u32> = world(|w| {
            (0..count)
                .map(|n| w.irqs.new_message(&format!("{name} {kind} {n}")))
                .collect()
        });
        // SAFETY: checked by `with` above.
        unsafe { (*dev).irq = lines[0] };
        with(dev, |state| state.messages = lines);
    };
    let vectors = if let Some(count) = enough(PCI_IRQ_MSIX, model.msi_x()) {
        messages("MSI-X", count);
        Vectors::MsiX(count)
    } else if let Some(count) = enough(PCI_IRQ_MSI, model.messages()) {
        messages("MSI", count);
        Vectors::Msi(count)
    } else if flags & PCI_IRQ_INTX != 0 && min_vecs == 1 {
        // SAFETY: checked by `with` above.
        unsafe { (*dev).irq = intx };
        Vectors::Intx
    } else {
        return -(ENOSPC as ffi::c_int);
    };
    with(dev, |state| state.vectors = vectors);
    if managed {
        world(|w| w.add_resource(of(dev) as usize, Resource::PciVectors, place));
    }
    step("gets interrupt vectors for", &name, place);
    match vectors {
        Vectors::Msi(count) | Vectors::MsiX(count) => count as ffi::c_int,
        _ => 1,
    }
}

#[track_caller]
pub unsafe fn pci_free_irq_vectors(dev: *mut pci_dev) {
    let place = Location::caller();
    preempt();
    with(dev, |_| ());
    let is = |resource: &Resource| matches!(resource, Resource::PciVectors);
    device::take_resource(of(dev) as usize, is);
    free_vectors(of(dev) as usize, place);
}

#[track_caller]
pub unsafe fn pci_irq_vector(dev: *mut pci_dev, nr: ffi::c_uint) -> ffi::c_int {
    with(dev, |state| match state.vectors {
        Vectors::Msi(_) | Vectors::MsiX(_) => match state.messages.get(nr as usize) {
            Some(&irq) => irq as ffi::c_int,
            None => -(EINVAL as ffi::c_int),
        },
        _ if nr == 0 => state.intx as ffi::c_int,
        _ => -(EINVAL as ffi::c_int),
    })
}

#[track_caller]
pub unsafe fn pci_irq_type(pdev: *mut pci_dev) -> ffi::c_uint {
    with(pdev, |state| match state.vectors {
        Vectors::MsiX(_) => PCI_IRQ_MSIX,
        Vectors::Msi(_) => PCI_IRQ_MSI,
        _ => PCI_IRQ_INTX,
    })
}

#[track_caller]
pub unsafe fn pci_dev_get(dev: *mut pci_dev) -> *mut pci_dev {
    if !dev.is_null() {
        // SAFETY: the caller's promise is passed on.
        unsafe { device::get_device(of(dev)) };
    }
    dev
}

#[track_caller]
pub unsafe fn pci_dev_put(dev: *mut pci_dev) {
    if !dev.is_null() {
        // SAFETY: the caller's promise is passed on.
        unsafe { device::put_device(of(dev)) };
    }
}

#[track_caller]
pub unsafe fn pci_dev_id(dev: *mut pci_dev) -> u16_ {
    with(dev, |_| ());
    // SAFETY: just checked to be a device.
    unsafe { (*dev).devfn as u16_ }
}

#[track_caller]
pub unsafe fn pci_get_drvdata(pdev: *mut pci_dev) -> *mut ffi::c_void {
    // SAFETY: the caller's promise is passed on.
    unsafe { device::dev_get_drvdata(of(pdev)) }
}

#[track_caller]
pub unsafe fn pci_set_drvdata(pdev: *mut pci_dev, data: *mut ffi::c_void) {
    // SAFETY: the caller's promise is passed on.
    unsafe { device::dev_set_drvdata(of(pdev), data) }
}

/// The first 64 bytes of the configuration space, as far as they say what the device is.
fn config(dev: *const pci_dev, offset: ffi::c_int) -> u32 {
    let ids = with(dev, |state| state.ids);
    match offset & !3 {
        0x00 => u32::from(ids.vendor) | u32::from(ids.device) << 16,
        0x08 => u32::from(ids.revision) | ids.class << 8,
        0x2c => u32::from(ids.subvendor) | u32::from(ids.subdevice) << 16,
        0x3c => 0x100,
        _ => 0,
    }
}

#[track_caller]
pub unsafe fn pci_read_config_dword(
    dev: *const pci_dev,
    where_: ffi::c_int,
    val: *mut u32_,
) -> ffi::c_int {
    // SAFETY: the caller gives a place for the value.
    unsafe { val.write(config(dev, where_)) };
    0
}

#[track_caller]
pub unsafe fn pci_read_config_word(
    dev: *const pci_dev,
    where_: ffi::c_int,
    val: *mut u16_,
) -> ffi::c_int {
    // SAFETY: the caller gives a place for the value.
    unsafe { val.write((config(dev, where_) >> (8 * (where_ & 2))) as u16_) };
    0
}

#[track_caller]
pub unsafe fn pci_read_config_byte(
    dev: *const pci_dev,
    where_: ffi::c_int,
    val: *mut u8_,
) -> ffi::c_int {
    // SAFETY: the caller gives a place for the value.
    unsafe { val.write((config(dev, where_) >> (8 * (where_ & 3))) as u8_) };
    0
}

/// Whether a BAR is memory.
///
/// # Safety
///
/// `pdev` is a device, which has such a BAR.
#[no_mangle]
pub unsafe extern "C" fn devscope_pci_bar_is_memory(pdev: *mut pci_dev, bar: ffi::c_int) -> bool {
    // SAFETY: asked of the caller.
    unsafe { (*pdev).resource[bar as usize].flags & IORESOURCE_MEM as ffi::c_ulong != 0 }
}

//! The platform bus: devices that are just there, with interrupt lines.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::device::{self, Bus};
use super::irq::IrqLine;
use super::machine::{preempt, world};
use crate::bindings::{
    device as c_device, of_device_id, platform_device, platform_device_id, platform_device_info,
    platform_driver, resource, ENXIO,
};
use crate::error::Result;
use crate::ffi;
use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

/// What a platform device is to be.
#[derive(Clone, Debug, Default)]
pub struct PlatformInfo {
    /// Its name, which a driver's name or table can match.
    pub name: &'static str,
    /// Its `compatible` string, if it comes out of a device tree.
    pub compatible: Option<&'static str>,
    /// How many interrupt lines it has.
    pub irqs: usize,
    /// Whether the lines are level-triggered (and can be shared) or edge-triggered.
    pub level: bool,
}

#[derive(Debug)]
pub(crate) struct PlatformState {
    info: PlatformInfo,
    lines: Vec<u32>,
    _c_name: Box<[u8]>,
}

/// A platform device.
#[derive(Clone, Copy, Debug)]
pub struct PlatformSlot {
    dev: usize,
}

pub(crate) fn add(info: PlatformInfo) -> PlatformSlot {
    let pdev: *mut platform_device = device::allocate("platform_device");
    let mut c_name = info.name.as_bytes().to_vec();
    c_name.push(0);
    let c_name = c_name.into_boxed_slice();
    let lines = world(|w| {
        (0..info.irqs)
            .map(|n| w.irqs.new_line(&format!("{}.{n}", info.name), info.level))
            .collect()
    });
    // SAFETY: just allocated, zeroed.
    let dev = unsafe {
        (*pdev).name = c_name.as_ptr();
        (*pdev).id = -1;
        &raw mut (*pdev).dev
    };
    let name = info.name;
    let state = PlatformState {
        info,
        lines,
        _c_name: c_name,
    };
    device::register(dev, pdev as usize, name, Bus::Platform(state));
    device::attach(dev as usize);
    PlatformSlot { dev: dev as usize }
}

/// A device of which the description says no more than the name: it has no interrupts.
#[track_caller]
pub unsafe fn platform_device_register_full(
    pdevinfo: *const platform_device_info,
) -> *mut platform_device {
    // SAFETY: the caller's promise.
    let name = unsafe { super::cname((*pdevinfo).name, "platform device") };
    preempt();
    add(PlatformInfo {
        name: interned(&name),
        ..Default::default()
    })
    .as_raw()
}

#[track_caller]
pub unsafe fn platform_device_unregister(pdev: *mut platform_device) {
    let place = Location::caller();
    world(|w| w.check_dev(of(pdev), place));
    device::unplug(of(pdev) as usize);
}

/// Names of drivers are few, and a process keeps each once.
fn interned(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = Box::leak(name.into());
    names.insert(name);
    name
}

impl PlatformSlot {
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

    /// Remove the device.
    #[track_caller]
    pub fn unplug(&self) {
        if world(|w| w.devices.devices.get(self.dev).is_some()) {
            device::unplug(self.dev);
        }
    }

    /// Whether a driver is bound.
    pub fn is_bound(&self) -> bool {
        world(|w| w.devices.devices.get(self.dev).is_some()) && device::is_bound(self.dev)
    }

    /// One of the device's interrupt lines.
    pub fn irq(&self, index: usize) -> IrqLine {
        world(|w| match &w.dev(self.dev).bus {
            Bus::Platform(state) => IrqLine {
                irq: state.lines[index],
            },
            _ => panic!("devscope bug: a platform device that is on another bus"),
        })
    }

    /// The device, for C functions.
    pub fn as_raw(&self) -> *mut platform_device {
        to_platform(self.dev)
    }
}

fn to_platform(dev: usize) -> *mut platform_device {
    (dev - std::mem::offset_of!(platform_device, dev)) as *mut platform_device
}

fn of(pdev: *const platform_device) -> *mut c_device {
    pdev.wrapping_byte_add(std::mem::offset_of!(platform_device, dev))
        .cast_mut()
        .cast()
}

fn text(chars: &[ffi::c_char]) -> &[u8] {
    let end = chars.iter().position(|&c| c == 0).unwrap_or(chars.len());
    &chars[..end]
}

/// What of the driver's tables matches: the address of the platform id (or 0), and the data.
pub(crate) fn matching(
    state: &PlatformState,
    driver: *mut platform_driver,
) -> Option<(usize, usize)> {
    let name = state.info.name.as_bytes();
    // SAFETY: the driver is registered; its tables end with empty entries, and its name with 0.
    unsafe {
        let mut of_id: *const of_device_id = (*driver).driver.of_match_table;
        while !of_id.is_null() && ((*of_id).compatible[0] != 0 || (*of_id).name[0] != 0) {
            let compatible = state.info.compatible.map(str::as_bytes);
            if compatible.is_some_and(|compatible| compatible == text(&(*of_id).compatible)) {
                return Some((0, (*of_id).data as usize));
            }
            of_id = of_id.add(1);
        }
        let mut id: *const platform_device_id = (*driver).id_table;
        if !id.is_null() {
            while (*id).name[0] != 0 {
                if text(&(*id).name) == name {
                    return Some((id as usize, (*id).driver_data));
                }
                id = id.add(1);
            }
            return None;
        }
        let driver_name = super::device::driver_name(&raw const (*driver).driver);
        (driver_name.as_bytes() == name).then_some((0, 0))
    }
}

/// `platform_probe`
///
/// # Safety
///
/// The driver is registered and matches; `dev->mutex` is held.
pub(crate) unsafe fn probe(dev: usize, driver: *mut platform_driver, id: usize) -> ffi::c_int {
    let pdev = to_platform(dev);
    // SAFETY: the caller's promise.
    unsafe {
        (*pdev).id_entry = id as *const platform_device_id;
        (*driver).probe.map_or(0, |probe| probe(pdev))
    }
}

/// `platform_remove`
///
/// # Safety
///
/// The driver is bound to the device; `dev->mutex` is held.
pub(crate) unsafe fn remove(dev: usize, driver: *mut platform_driver) {
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(remove) = (*driver).remove {
            remove(to_platform(dev));
        }
    }
}

#[track_caller]
pub unsafe fn platform_get_irq_optional(
    pdev: *mut platform_device,
    num: ffi::c_uint,
) -> ffi::c_int {
    let place = Location::caller();
    world(|w| {
        w.check_dev(of(pdev), place);
        match &w.dev(of(pdev) as usize).bus {
            Bus::Platform(state) => state.lines.get(num as usize).map(|&irq| irq as ffi::c_int),
            _ => None,
        }
        .unwrap_or(-(ENXIO as ffi::c_int))
    })
}

#[track_caller]
pub unsafe fn platform_get_irq(pdev: *mut platform_device, num: ffi::c_uint) -> ffi::c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { platform_get_irq_optional(pdev, num) }
}

/// Lines have no names in the model.
#[track_caller]
pub unsafe fn platform_get_irq_byname(
    pdev: *mut platform_device,
    _name: *const ffi::c_char,
) -> ffi::c_int {
    let place = Location::caller();
    world(|w| w.check_dev(of(pdev), place));
    -(ENXIO as ffi::c_int)
}

#[track_caller]
pub unsafe fn platform_get_irq_byname_optional(
    pdev: *mut platform_device,
    name: *const ffi::c_char,
) -> ffi::c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { platform_get_irq_byname(pdev, name) }
}

/// Platform devices of the model have interrupts, and no registers.
#[track_caller]
pub unsafe fn platform_get_resource(
    pdev: *mut platform_device,
    _type: ffi::c_uint,
    _num: ffi::c_uint,
) -> *mut resource {
    let place = Location::caller();
    world(|w| w.check_dev(of(pdev), place));
    std::ptr::null_mut()
}

#[track_caller]
pub unsafe fn platform_get_drvdata(pdev: *const platform_device) -> *mut ffi::c_void {
    // SAFETY: the caller's promise is passed on.
    unsafe { device::dev_get_drvdata(of(pdev)) }
}

#[track_caller]
pub unsafe fn platform_set_drvdata(pdev: *mut platform_device, data: *mut ffi::c_void) {
    // SAFETY: the caller's promise is passed on.
    unsafe { device::dev_set_drvdata(of(pdev), data) }
}

//! Devices, drivers, binding and unbinding, after `drivers/base/dd.c`; and devres.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::buses::{self, I2cInfo, UsbInfo};
use super::irq::{free_irq, request_threaded_irq};
use super::ledger;
use super::locks::{lock_mutex, name_mutex, unlock_mutex};
use super::machine::{at, preempt, step, world, Place, World};
use super::pci::{self, PciState};
use super::platform::{self, PlatformState};
use super::report::Kind;
use super::table::Table;
use super::{is_c_string, nobody};
use crate::bindings::{
    bus_type, device, device_driver, gfp_t, i2c_bus_type, irq_handler_t, pci_bus_type,
    platform_bus_type, __GFP_ZERO, EBUSY, ENODEV, ENOMEM,
};
use crate::error::{Error, Result};
use crate::ffi;
use std::alloc::Layout;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;

/// What devres does when the device is unbound.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resource {
    Memory(usize),
    Irq(u32, usize),
    Action(unsafe extern "C" fn(arg1: *mut ffi::c_void), usize),
    PciDisable,
    PciRegion(ffi::c_int),
    PciVectors,
    Mapping(usize),
}

#[derive(Debug)]
pub(crate) enum Bus {
    Pci(PciState),
    Platform(PlatformState),
    /// On the auxiliary bus: the structure is its driver's, and C's `release` frees it.
    Auxiliary,
    /// With what its maker wants to be called.
    Faux(*const crate::bindings::faux_device_ops),
    I2c(I2cInfo),
    Usb(UsbInfo),
    /// Made by a driver for a node in `/dev`.
    Class,
}

#[derive(Debug)]
pub(crate) struct Dev {
    pub(crate) name: Rc<str>,
    c_name: Vec<u8>,
    /// The start of the structure around `struct device`, which is what was allocated.
    container: usize,
    pub(crate) bus: Bus,
    references: u32,
    /// Counted, or 0.
    parent: usize,
    driver: Option<Driver>,
    resources: Vec<(Resource, Place)>,
    match_data: usize,
    /// `device_del` has begun.
    pub(crate) dead: bool,
}

/// A registered driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    Pci(*mut crate::bindings::pci_driver),
    Platform(*mut crate::bindings::platform_driver),
    Auxiliary(*mut crate::bindings::auxiliary_driver),
    I2c(*mut crate::bindings::i2c_driver),
    Usb(*mut crate::bindings::usb_driver),
    /// The only driver of the faux bus, which is the kernel's own.
    Faux,
}

impl Driver {
    fn generic(self) -> *mut device_driver {
        // SAFETY: a registered driver's structure is there until it is unregistered, and the model
        // looks at it only in between. No reference is made.
        unsafe {
            match self {
                Driver::Pci(driver) => &raw mut (*driver).driver,
                Driver::Platform(driver) => &raw mut (*driver).driver,
                Driver::Auxiliary(driver) => &raw mut (*driver).driver,
                Driver::I2c(driver) => &raw mut (*driver).driver,
                Driver::Usb(driver) => &raw mut (*driver).driver,
                Driver::Faux => buses::faux_driver(),
            }
        }
    }

    fn address(self) -> usize {
        match self {
            Driver::Pci(driver) => driver as usize,
            Driver::Platform(driver) => driver as usize,
            Driver::Auxiliary(driver) => driver as usize,
            Driver::I2c(driver) => driver as usize,
            Driver::Usb(driver) => driver as usize,
            Driver::Faux => buses::faux_driver() as usize,
        }
    }

    fn size(self) -> usize {
        match self {
            Driver::Pci(_) => size_of::<crate::bindings::pci_driver>(),
            Driver::Platform(_) => size_of::<crate::bindings::platform_driver>(),
            Driver::Auxiliary(_) => size_of::<crate::bindings::auxiliary_driver>(),
            Driver::I2c(_) => size_of::<crate::bindings::i2c_driver>(),
            Driver::Usb(_) => size_of::<crate::bindings::usb_driver>(),
            Driver::Faux => size_of::<device_driver>(),
        }
    }
}

#[derive(Default, Debug)]
pub(crate) struct Devices {
    pub(crate) devices: Table<Dev>,
    drivers: Vec<(Driver, Place)>,
}

impl Devices {
    pub(crate) fn active_in(&self, range: &Range<usize>) -> Option<(String, Vec<String>)> {
        self.drivers
            .iter()
            .find(|(driver, _)| range.contains(&driver.address()))
            .map(|(_, place)| {
                (
                    "a driver that is registered".to_string(),
                    vec![format!("registered  {}", at(place))],
                )
            })
    }

    pub(crate) fn left(&self) -> Vec<String> {
        self.drivers
            .iter()
            .map(|(_, place)| format!("registered  {}  driver", at(place)))
            .collect()
    }

    /// Everything that is plugged in, latest first.
    pub(crate) fn plugged(&self) -> Vec<usize> {
        let mut all: Vec<usize> = self
            .devices
            .iter()
            .filter(|(_, dev)| !matches!(dev.bus, Bus::Class) && !dev.dead)
            .map(|&(address, _)| address)
            .collect();
        all.reverse();
        all
    }
}

impl World {
    #[track_caller]
    pub(crate) fn check_dev(&mut self, dev: *const device, place: Place) {
        self.check(dev as usize, size_of::<device>(), "a device", place);
        if self.devices.devices.get(dev as usize).is_none() {
            let facts = [format!("used        {}", at(place))];
            self.fail(
                Kind::WildAccess,
                "a `struct device` that is none".into(),
                &facts,
            );
        }
    }

    #[track_caller]
    pub(crate) fn dev(&mut self, dev: usize) -> &mut Dev {
        self.devices
            .devices
            .get_mut(dev)
            .expect("devscope bug: an unknown device")
    }

    /// Whether the device's driver still has things from devres that this is one of.
    pub(crate) fn dev_name(&self, dev: usize) -> Rc<str> {
        self.devices
            .devices
            .get(dev)
            .map_or_else(nobody, |dev| dev.name.clone())
    }

    #[track_caller]
    pub(crate) fn add_resource(&mut self, dev: usize, resource: Resource, place: Place) {
        self.dev(dev).resources.push((resource, place));
    }
}

/// Make a device: `container` was allocated for it, and `dev` is inside.
pub(crate) fn register(dev: *mut device, container: usize, name: &str, bus: Bus) {
    let bus_type: *const bus_type = match bus {
        Bus::Pci(_) => &raw const pci_bus_type,
        Bus::Platform(_) => &raw const platform_bus_type,
        Bus::I2c(_) => &raw const i2c_bus_type,
        // Nobody looks for these buses by their type.
        Bus::Auxiliary | Bus::Faux(_) | Bus::Usb(_) | Bus::Class => std::ptr::null(),
    };
    // SAFETY: `dev` has just been allocated, zeroed.
    unsafe { (*dev).bus = bus_type };
    world(|w| {
        let mut c_name = name.as_bytes().to_vec();
        c_name.push(0);
        let new = Dev {
            name: name.into(),
            c_name,
            container,
            bus,
            references: 1,
            parent: 0,
            driver: None,
            resources: Vec::new(),
            match_data: 0,
            dead: false,
        };
        w.devices.devices.set(dev as usize, new);
        name_mutex(w, dev as usize, &format!("dev->mutex of {name}"));
    });
}

/// Allocate a zeroed structure for the model's own use.
#[track_caller]
pub(crate) fn allocate<T>(label: &'static str) -> *mut T {
    let place = Location::caller();
    world(|w| {
        let memory = w.allocate_always(Layout::new::<T>(), label, place);
        assert!(!memory.is_null(), "no memory for the model itself");
        // SAFETY: just allocated with the size of `T`.
        unsafe { std::ptr::write_bytes(memory.cast::<T>(), 0, 1) };
        memory.cast()
    })
}

// ---- Binding ----

/// The first registered driver that would take the device.
fn matching(dev: usize) -> Option<Driver> {
    let drivers: Vec<Driver> = world(|w| w.devices.drivers.iter().map(|(d, _)| *d).collect());
    drivers
        .into_iter()
        .find(|driver| matches(*driver, dev).is_some())
}

/// What of a driver's tables matches: the address of the id (or 0), and its data.
fn matches(driver: Driver, dev: usize) -> Option<(usize, usize)> {
    world(|w| {
        w.check(
            driver.address(),
            driver.size(),
            "a driver",
            Location::caller(),
        );
        match (&w.dev(dev).bus, driver) {
            (Bus::Pci(state), Driver::Pci(driver)) => pci::matching_id(state, driver),
            (Bus::Platform(state), Driver::Platform(driver)) => platform::matching(state, driver),
            (Bus::Auxiliary, Driver::Auxiliary(driver)) => {
                buses::auxiliary_matching(&w.dev(dev).name.clone(), driver)
            }
            (Bus::I2c(info), Driver::I2c(driver)) => buses::i2c_matching(info, driver),
            (Bus::Usb(info), Driver::Usb(driver)) => buses::usb_matching(info, driver),
            (Bus::Faux(_), Driver::Faux) => Some((0, 0)),
            _ => None,
        }
    })
}

/// `really_probe`, with `dev->mutex` held. Returns 0 or a negative error.
fn really_probe(dev: usize, driver: Driver, place: Place) -> ffi::c_int {
    let Some((id, match_data)) = matches(driver, dev) else {
        return -(ENODEV as ffi::c_int);
    };
    let device = dev as *mut device;
    let name = world(|w| {
        let name = w.dev_name(dev);
        w.note("probes", &name, Some(place));
        w.dev(dev).driver = Some(driver);
        w.dev(dev).match_data = match_data;
        name
    });
    // SAFETY: the device is there: its slot holds a reference. `dev->mutex` is held.
    unsafe { (*device).driver = driver.generic() };
    let result = match driver {
        // SAFETY: the driver is registered, so its `probe` may be called for a device it matches.
        Driver::Pci(driver) => unsafe { pci::probe(dev, driver, id) },
        // SAFETY: as above.
        Driver::Platform(driver) => unsafe { platform::probe(dev, driver, id) },
        // SAFETY: as above.
        Driver::Auxiliary(driver) => unsafe { buses::auxiliary_probe(dev, driver, id) },
        // SAFETY: as above.
        Driver::I2c(driver) => unsafe { buses::i2c_probe(dev, driver, place) },
        // SAFETY: as above.
        Driver::Usb(driver) => unsafe { buses::usb_probe(dev, driver, id) },
        // SAFETY: as above.
        Driver::Faux => unsafe { buses::faux_probe(dev) },
    };
    if result != 0 {
        world(|w| w.note("could not probe", &name, Some(place)));
        unbind_cleanup(dev, place);
        return result;
    }
    world(|w| w.note("has probed", &name, Some(place)));
    0
}

/// `device_unbind_cleanup`
fn unbind_cleanup(dev: usize, place: Place) {
    let device = dev as *mut device;
    // SAFETY: the device is there, and `dev->mutex` is held; so is the driver, while it is bound.
    unsafe {
        let driver = (*device).driver;
        if let Some(post_unbind) = (*driver).p_cb.post_unbind_rust {
            post_unbind(device);
        }
    }
    devres_release_all(dev, place);
    world(|w| {
        w.dev(dev).driver = None;
        w.dev(dev).match_data = 0;
    });
    // SAFETY: as above.
    unsafe {
        (*device).driver = std::ptr::null_mut();
        (*device).driver_data = std::ptr::null_mut();
    }
}

/// `__device_release_driver`, with `dev->mutex` held.
fn release_driver(dev: usize, place: Place) {
    let Some(driver) = world(|w| w.dev(dev).driver) else {
        return;
    };
    let name = world(|w| w.dev_name(dev));
    step("unbinds", &name, place);
    match driver {
        // SAFETY: the driver is bound to this device.
        Driver::Pci(driver) => unsafe { pci::remove(dev, driver) },
        // SAFETY: the driver is bound to this device.
        Driver::Platform(driver) => unsafe { platform::remove(dev, driver) },
        // SAFETY: the driver is bound to this device.
        Driver::Auxiliary(driver) => unsafe { buses::auxiliary_remove(dev, driver) },
        // SAFETY: the driver is bound to this device.
        Driver::I2c(driver) => unsafe { buses::i2c_remove(dev, driver, place) },
        // SAFETY: the driver is bound to this device.
        Driver::Usb(driver) => unsafe { buses::usb_disconnect(dev, driver, place) },
        // SAFETY: the driver is bound to this device.
        Driver::Faux => unsafe { buses::faux_remove(dev) },
    }
    preempt();
    unbind_cleanup(dev, place);
    world(|w| w.note("has unbound", &name, Some(place)));
}

/// `bind` in sysfs.
#[track_caller]
pub(crate) fn bind(dev: usize) -> Result {
    let place = Location::caller();
    let Some(driver) = matching(dev) else {
        return Err(Error::from_errno(-(ENODEV as ffi::c_int)));
    };
    lock_mutex(dev, false, place);
    let (dead, bound) = world(|w| (w.dev(dev).dead, w.dev(dev).driver.is_some()));
    let result = match (dead, bound) {
        (true, _) => -(ENODEV as ffi::c_int),
        (_, true) => -(EBUSY as ffi::c_int),
        _ => really_probe(dev, driver, place),
    };
    unlock_mutex(dev, place);
    match result {
        0 => Ok(()),
        error => Err(Error::from_errno(if error > 0 { -error } else { error })),
    }
}

/// `unbind` in sysfs.
#[track_caller]
pub(crate) fn unbind(dev: usize) -> Result {
    let place = Location::caller();
    lock_mutex(dev, false, place);
    let bound = world(|w| w.dev(dev).driver.is_some());
    if bound {
        release_driver(dev, place);
    }
    unlock_mutex(dev, place);
    match bound {
        true => Ok(()),
        false => Err(Error::from_errno(-(ENODEV as ffi::c_int))),
    }
}

pub(crate) fn is_bound(dev: usize) -> bool {
    world(|w| w.dev(dev).driver.is_some())
}

/// `device_add`, the part that looks for a driver.
#[track_caller]
pub(crate) fn attach(dev: usize) {
    if matching(dev).is_some() {
        // A failing probe leaves the device unbound; that is all that happens.
        let _ = bind(dev);
    }
}

/// A faux device is bound when it is made, by nobody else and to nothing else.
#[track_caller]
pub(crate) fn bind_faux(dev: usize) {
    let place = Location::caller();
    lock_mutex(dev, false, place);
    really_probe(dev, Driver::Faux, place);
    unlock_mutex(dev, place);
}

/// `dev_set_name`, and the part of `device_add` that counts the parent.
pub(crate) fn add_to(dev: usize, name: &str, parent: usize) {
    world(|w| {
        w.dev(parent).references += 1;
        let entry = w.dev(dev);
        entry.parent = parent;
        entry.name = name.into();
        entry.c_name = [name.as_bytes(), &[0]].concat();
        name_mutex(w, dev, &format!("dev->mutex of {name}"));
    });
}

/// Count one more reference, if the device is there.
pub(crate) fn hold(dev: usize) -> bool {
    world(|w| match w.devices.devices.get_mut(dev) {
        Some(dev) => {
            dev.references += 1;
            true
        }
        None => false,
    })
}

/// The device of that name, if there is one.
pub(crate) fn find(name: &str) -> Option<usize> {
    world(|w| {
        let is = |(_, dev): &&(usize, Dev)| &*dev.name == name && !dev.dead;
        w.devices.devices.iter().find(is).map(|&(dev, _)| dev)
    })
}

/// `device_del`, and the end of the slot's reference.
#[track_caller]
pub(crate) fn unplug(dev: usize) {
    let place = Location::caller();
    if del(dev, place) {
        put(dev, place);
    }
}

/// `device_del`. False if somebody else did it.
pub(crate) fn del(dev: usize, place: Place) -> bool {
    lock_mutex(dev, false, place);
    let first = world(|w| !std::mem::replace(&mut w.dev(dev).dead, true));
    if first {
        release_driver(dev, place);
    }
    unlock_mutex(dev, place);
    first
}

#[track_caller]
pub(crate) fn register_driver(driver: Driver, place: Place) -> ffi::c_int {
    step("registers a driver", &nobody(), place);
    let devices = world(|w| {
        w.check(driver.address(), driver.size(), "a driver", place);
        if w.devices.drivers.iter().any(|(other, _)| *other == driver) {
            let facts = [format!("registered  {}", at(place))];
            w.fail(Kind::Misuse, "a driver is registered twice".into(), &facts);
        }
        w.devices.drivers.push((driver, place));
        w.devices.plugged()
    });
    for dev in devices.into_iter().rev() {
        let fits = matches(driver, dev).is_some();
        if !fits {
            continue;
        }
        lock_mutex(dev, false, place);
        if world(|w| !w.dev(dev).dead && w.dev(dev).driver.is_none()) {
            really_probe(dev, driver, place);
        }
        unlock_mutex(dev, place);
    }
    0
}

#[track_caller]
pub(crate) fn unregister_driver(driver: Driver, place: Place) {
    step("unregisters a driver", &nobody(), place);
    let devices = world(|w| {
        w.devices.drivers.retain(|(other, _)| *other != driver);
        w.devices.plugged()
    });
    for dev in devices {
        lock_mutex(dev, false, place);
        if world(|w| w.dev(dev).driver == Some(driver)) {
            release_driver(dev, place);
        }
        unlock_mutex(dev, place);
    }
}

#[track_caller]
pub unsafe fn __pci_register_driver(
    driver: *mut crate::bindings::pci_driver,
    owner: *mut crate::bindings::module,
    mod_name: *const ffi::c_char,
) -> ffi::c_int {
    let place = Location::caller();
    world(|w| w.check(driver as usize, size_of_val(&driver), "a driver", place));
    // SAFETY: the caller gives a driver's structure; that it is not freed has been checked.
    unsafe {
        (*driver).driver.name = (*driver).name;
        (*driver).driver.bus = &raw const pci_bus_type;
        (*driver).driver.owner = owner;
        (*driver).driver.mod_name = mod_name;
    }
    register_driver(Driver::Pci(driver), place)
}

#[track_caller]
pub unsafe fn pci_unregister_driver(dev: *mut crate::bindings::pci_driver) {
    unregister_driver(Driver::Pci(dev), Location::caller());
}

#[track_caller]
pub unsafe fn __platform_driver_register(
    driver: *mut crate::bindings::platform_driver,
    owner: *mut crate::bindings::module,
    mod_name: *const ffi::c_char,
) -> ffi::c_int {
    let place = Location::caller();
    world(|w| w.check(driver as usize, size_of_val(&driver), "a driver", place));
    // SAFETY: the caller gives a driver's structure; that it is not freed has been checked.
    unsafe {
        (*driver).driver.bus = &raw const platform_bus_type;
        (*driver).driver.owner = owner;
        (*driver).driver.mod_name = mod_name;
    }
    register_driver(Driver::Platform(driver), place)
}

#[track_caller]
pub unsafe fn platform_driver_unregister(driver: *mut crate::bindings::platform_driver) {
    unregister_driver(Driver::Platform(driver), Location::caller());
}

// ---- The device itself ----

#[track_caller]
pub unsafe fn get_device(dev: *mut device) -> *mut device {
    let place = Location::caller();
    if !dev.is_null() {
        preempt();
        world(|w| {
            w.check_dev(dev, place);
            w.dev(dev as usize).references += 1;
        });
    }
    dev
}

#[track_caller]
pub unsafe fn put_device(dev: *mut device) {
    if !dev.is_null() {
        let place = Location::caller();
        preempt();
        world(|w| w.check_dev(dev, place));
        put(dev as usize, place);
    }
}

pub(crate) fn put(dev: usize, place: Place) {
    let last = world(|w| {
        let entry = w.dev(dev);
        entry.references -= 1;
        if entry.references > 0 {
            return None;
        }
        let (container, parent) = (entry.container, entry.parent);
        w.devices.devices.remove(dev);
        Some((container, parent))
    });
    let Some((container, parent)) = last else {
        return;
    };
    let device = dev as *mut device;
    // SAFETY: the last reference was given up, so the structure is there until it is released below.
    match unsafe { (*device).release } {
        // SAFETY: as C's `device_release()`: whoever made the device gave this function for it.
        Some(release) => unsafe { release(device) },
        None => world(|w| w.free(container, place)),
    }
    if parent != 0 {
        put(parent, place);
    }
}

#[track_caller]
pub unsafe fn dev_set_drvdata(dev: *mut device, data: *mut ffi::c_void) {
    let place = Location::caller();
    world(|w| w.check_dev(dev, place));
    // SAFETY: just checked to be a device.
    unsafe { (*dev).driver_data = data };
}

#[track_caller]
pub unsafe fn dev_get_drvdata(dev: *const device) -> *mut ffi::c_void {
    let place = Location::caller();
    world(|w| w.check_dev(dev, place));
    // SAFETY: just checked to be a device.
    unsafe { (*dev).driver_data }
}

#[track_caller]
pub unsafe fn device_get_match_data(dev: *const device) -> *const ffi::c_void {
    let place = Location::caller();
    world(|w| {
        w.check_dev(dev, place);
        w.dev(dev as usize).match_data as *const ffi::c_void
    })
}

#[track_caller]
pub unsafe fn dev_name(dev: *const device) -> *const ffi::c_char {
    let place = Location::caller();
    world(|w| {
        w.check_dev(dev, place);
        w.dev(dev as usize).c_name.as_ptr()
    })
}

pub unsafe fn dev_is_pci(dev: *const device) -> bool {
    // SAFETY: the caller gives a device.
    unsafe { std::ptr::eq((*dev).bus, &raw const pci_bus_type) }
}

pub unsafe fn dev_is_platform(dev: *const device) -> bool {
    // SAFETY: the caller gives a device.
    unsafe { std::ptr::eq((*dev).bus, &raw const platform_bus_type) }
}

// ---- devres ----

/// Undo what the driver left to devres, last first.
pub(crate) fn devres_release_all(dev: usize, place: Place) {
    while let Some((resource, added)) = world(|w| w.dev(dev).resources.pop()) {
        release(dev, resource, added, place);
    }
}

fn release(dev: usize, resource: Resource, added: Place, place: Place) {
    preempt();
    match resource {
        Resource::Memory(memory) => {
            // The report is to name the call that gave the memory to devres.
            let name: Rc<str> = world(|w| format!("memory of {}", w.dev_name(dev)).into());
            world(|w| {
                w.note("devres frees", &name, Some(added));
                w.free(memory, place);
            });
        }
        // SAFETY: devres registered it, or was given it, and it has not been freed: then it would
        // have been taken off the list.
        Resource::Irq(irq, dev_id) => unsafe {
            free_irq(irq, dev_id as *mut ffi::c_void);
        },
        // SAFETY: `devm_add_action` was given this function for this moment.
        Resource::Action(action, data) => unsafe { action(data as *mut ffi::c_void) },
        Resource::PciDisable => pci::disable(dev),
        Resource::PciRegion(bar) => pci::release_region(dev, bar),
        Resource::PciVectors => pci::free_vectors(dev, place),
        Resource::Mapping(address) => super::io::unmap(address, place),
    }
}

/// Take the last resource that `is` describes off the list.
pub(crate) fn take_resource(
    dev: usize,
    is: impl Fn(&Resource) -> bool,
) -> Option<(Resource, Place)> {
    world(|w| {
        let resources = &mut w.dev(dev).resources;
        let index = resources.iter().rposition(|(resource, _)| is(resource))?;
        Some(resources.remove(index))
    })
}

#[track_caller]
pub unsafe fn devm_kmalloc(dev: *mut device, size: usize, gfp: gfp_t) -> *mut ffi::c_void {
    let place = Location::caller();
    world(|w| w.check_dev(dev, place));
    let layout = Layout::from_size_align(size, 16).expect("a size that memory can have");
    let memory = ledger::alloc(layout, gfp, "devm_kmalloc");
    if !memory.is_null() {
        world(|w| w.add_resource(dev as usize, Resource::Memory(memory as usize), place));
    }
    memory
}

#[track_caller]
pub unsafe fn devm_kzalloc(dev: *mut device, size: usize, gfp: gfp_t) -> *mut ffi::c_void {
    // SAFETY: the caller's promise is passed on.
    unsafe { devm_kmalloc(dev, size, gfp | __GFP_ZERO) }
}

#[track_caller]
pub unsafe fn devm_kfree(dev: *mut device, p: *const ffi::c_void) {
    let place = Location::caller();
    world(|w| w.check_dev(dev, place));
    let is = |resource: &Resource| matches!(resource, Resource::Memory(m) if *m == p as usize);
    let Some((resource, added)) = take_resource(dev as usize, is) else {
        misuse("devm_kfree of memory that devres does not have", place);
    };
    release(dev as usize, resource, added, place);
}

#[track_caller]
fn misuse(message: &str, place: Place) -> ! {
    world(|w| {
        w.fail(
            Kind::Misuse,
            message.into(),
            &[format!("called      {}", at(place))],
        )
    })
}

#[track_caller]
pub unsafe fn devm_add_action(
    dev: *mut device,
    action: Option<unsafe extern "C" fn(arg1: *mut ffi::c_void)>,
    data: *mut ffi::c_void,
) -> ffi::c_int {
    let place = Location::caller();
    let Some(action) = action else {
        misuse("devm_add_action without an action", place)
    };
    world(|w| {
        w.check_dev(dev, place);
        if w.allocate_token() {
            w.add_resource(dev as usize, Resource::Action(action, data as usize), place);
            0
        } else {
            -(ENOMEM as ffi::c_int)
        }
    })
}

#[track_caller]
pub unsafe fn devm_add_action_or_reset(
    dev: *mut device,
    action: Option<unsafe extern "C" fn(arg1: *mut ffi::c_void)>,
    data: *mut ffi::c_void,
) -> ffi::c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        let result = devm_add_action(dev, action, data);
        if let (true, Some(action)) = (result != 0, action) {
            action(data);
        }
        result
    }
}

#[track_caller]
pub unsafe fn devm_remove_action_nowarn(
    dev: *mut device,
    action: Option<unsafe extern "C" fn(arg1: *mut ffi::c_void)>,
    data: *mut ffi::c_void,
) -> ffi::c_int {
    let place = Location::caller();
    world(|w| w.check_dev(dev, place));
    let is = |resource: &Resource| match resource {
        Resource::Action(other, with) => {
            action.is_some_and(|action| std::ptr::fn_addr_eq(*other, action))
                && *with == data as usize
        }
        _ => false,
    };
    match take_resource(dev as usize, is) {
        Some(_) => 0,
        None => -(crate::bindings::ENOENT as ffi::c_int),
    }
}

#[track_caller]
pub unsafe fn devm_request_threaded_irq(
    dev: *mut device,
    irq: ffi::c_uint,
    handler: irq_handler_t,
    thread_fn: irq_handler_t,
    irqflags: ffi::c_ulong,
    devname: *const ffi::c_char,
    dev_id: *mut ffi::c_void,
) -> ffi::c_int {
    let place = Location::caller();
    world(|w| w.check_dev(dev, place));
    // SAFETY: the caller's promise is passed on; devres frees the interrupt.
    let result =
        unsafe { request_threaded_irq(irq, handler, thread_fn, irqflags, devname, dev_id) };
    if result == 0 {
        world(|w| w.add_resource(dev as usize, Resource::Irq(irq, dev_id as usize), place));
    }
    result
}

#[track_caller]
pub unsafe fn devm_request_irq(
    dev: *mut device,
    irq: ffi::c_uint,
    handler: irq_handler_t,
    irqflags: ffi::c_ulong,
    devname: *const ffi::c_char,
    dev_id: *mut ffi::c_void,
) -> ffi::c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { devm_request_threaded_irq(dev, irq, handler, None, irqflags, devname, dev_id) }
}

#[track_caller]
pub unsafe fn devm_free_irq(dev: *mut device, irq: ffi::c_uint, dev_id: *mut ffi::c_void) {
    let place = Location::caller();
    world(|w| w.check_dev(dev, place));
    let is = |resource: &Resource| match resource {
        Resource::Irq(other, with) => *other == irq && *with == dev_id as usize,
        _ => false,
    };
    if take_resource(dev as usize, is).is_none() {
        misuse(
            "devm_free_irq of an interrupt that devres does not have",
            place,
        );
    }
    // SAFETY: it was on the list, so it is registered.
    unsafe { free_irq(irq, dev_id) };
}

/// Whether a driver's name is there to be printed.
pub(crate) fn driver_name(driver: *const device_driver) -> Rc<str> {
    // SAFETY: drivers are looked at only while they are registered.
    let name = unsafe { (*driver).name };
    is_c_string(name).unwrap_or_else(nobody)
}

//! Buses that carry devices, and nothing else: auxiliary, faux, I2C, USB. A driver can be bound to what
//! is on them and taken away again. The transfers of USB are in `urb.rs`; I2C has none.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::cname;
use super::device::{self, Bus, Driver};
use super::machine::{preempt, world, Place};
use super::urb::{self, UsbFunction};
use crate::bindings::{
    auxiliary_device, auxiliary_device_id, auxiliary_driver, device as c_device, device_driver,
    faux_device, faux_device_ops, i2c_bus_type, i2c_client, i2c_device_id, i2c_driver, module,
    of_device_id, usb_device, usb_device_id, usb_driver, usb_interface, EINVAL,
    USB_DEVICE_ID_MATCH_DEV_CLASS, USB_DEVICE_ID_MATCH_INT_CLASS, USB_DEVICE_ID_MATCH_INT_NUMBER,
    USB_DEVICE_ID_MATCH_INT_PROTOCOL, USB_DEVICE_ID_MATCH_INT_SUBCLASS,
    USB_DEVICE_ID_MATCH_PRODUCT, USB_DEVICE_ID_MATCH_VENDOR,
};
use crate::error::{code::ENODEV, Result};
use crate::ffi;
use std::mem::offset_of;
use std::panic::Location;
use std::sync::{Arc, OnceLock};

/// From a device to the structure around it.
macro_rules! around {
    ($dev:expr, $container:ty) => {
        ($dev - offset_of!($container, dev)) as *mut $container
    };
}

/// What an I2C device is to be.
#[derive(Clone, Debug, Default)]
pub struct I2cInfo {
    /// What it is called, which a driver's table can match.
    pub name: &'static str,
    /// Its `compatible` string, if it comes out of a device tree.
    pub compatible: Option<&'static str>,
    /// Its address on the bus.
    pub address: u16,
}

/// What the one interface of a USB device is to be.
#[derive(Clone, Debug, Default)]
pub struct UsbInfo {
    /// The device's `idVendor` and `idProduct`.
    pub id: (u16, u16),
    /// The device's class.
    pub device_class: u8,
    /// The interface's class, subclass and protocol.
    pub class: (u8, u8, u8),
    /// The interface's number.
    pub number: u8,
}

/// A device on one of these buses.
#[derive(Clone, Copy, Debug)]
pub struct DeviceSlot {
    dev: usize,
}

impl DeviceSlot {
    /// The interface that the device is.
    #[cfg(test)]
    pub(crate) fn interface(&self) -> *mut usb_interface {
        around!(self.dev, usb_interface)
    }

    /// The device of that name, whoever made it.
    pub(crate) fn find(name: &str) -> Option<Self> {
        device::find(name).map(|dev| Self { dev })
    }

    /// Bind the device to the driver that matches it, as through sysfs. `ENODEV` if it has gone.
    #[track_caller]
    pub fn bind(&self) -> Result {
        self.held(device::bind)
    }

    /// Unbind the device from its driver, as through sysfs. `ENODEV` if it has none, or has gone.
    #[track_caller]
    pub fn unbind(&self) -> Result {
        self.held(device::unbind)
    }

    /// A file of sysfs keeps its device.
    #[track_caller]
    fn held(&self, f: fn(usize) -> Result) -> Result {
        let place = Location::caller();
        if !device::hold(self.dev) {
            return Err(ENODEV);
        }
        let result = f(self.dev);
        device::put(self.dev, place);
        result
    }

    /// Remove the device, which has to be one that the machine was given.
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
}

fn text(chars: &[ffi::c_char]) -> &[u8] {
    let end = chars.iter().position(|&c| c == 0).unwrap_or(chars.len());
    &chars[..end]
}

/// Fill in what all drivers have, and register.
macro_rules! register {
    ($driver:expr, $kind:ident, $owner:expr) => {{
        let place = Location::caller();
        world(|w| w.check($driver as usize, size_of_val(&$driver), "a driver", place));
        // SAFETY: the caller gives a driver's structure; that it is not freed has been checked.
        unsafe { (*$driver).driver.owner = $owner };
        device::register_driver(Driver::$kind($driver), place)
    }};
}

// ---- Auxiliary ----

fn aux_dev(auxdev: *mut auxiliary_device) -> *mut c_device {
    auxdev
        .wrapping_byte_add(offset_of!(auxiliary_device, dev))
        .cast()
}

#[track_caller]
pub unsafe fn __auxiliary_driver_register(
    auxdrv: *mut auxiliary_driver,
    owner: *mut module,
    modname: *const ffi::c_char,
) -> ffi::c_int {
    // SAFETY: the caller's promise. (C prefixes the name with the module's.)
    unsafe {
        if (*auxdrv).probe.is_none() || (*auxdrv).id_table.is_null() {
            return -(EINVAL as ffi::c_int);
        }
        (*auxdrv).driver.name = (*auxdrv).name;
        (*auxdrv).driver.mod_name = modname;
    }
    register!(auxdrv, Auxiliary, owner)
}

#[track_caller]
pub unsafe fn auxiliary_driver_unregister(auxdrv: *mut auxiliary_driver) {
    device::unregister_driver(Driver::Auxiliary(auxdrv), Location::caller());
}

/// What of the table has the device's name, but for the number at its end.
pub(crate) fn auxiliary_matching(
    name: &str,
    driver: *mut auxiliary_driver,
) -> Option<(usize, usize)> {
    let (name, _) = name.rsplit_once('.')?;
    // SAFETY: the driver is registered; its table ends with an empty entry.
    unsafe {
        let mut id: *const auxiliary_device_id = (*driver).id_table;
        while (*id).name[0] != 0 {
            if text(&(*id).name) == name.as_bytes() {
                return Some((id as usize, (*id).driver_data));
            }
            id = id.add(1);
        }
    }
    None
}

/// `auxiliary_bus_probe`
///
/// # Safety
///
/// The driver is registered and matches; `dev->mutex` is held.
pub(crate) unsafe fn auxiliary_probe(
    dev: usize,
    driver: *mut auxiliary_driver,
    id: usize,
) -> ffi::c_int {
    let auxdev = around!(dev, auxiliary_device);
    // SAFETY: the caller's promise.
    unsafe {
        (*driver)
            .probe
            .map_or(0, |probe| probe(auxdev, id as *const _))
    }
}

/// `auxiliary_bus_remove`
///
/// # Safety
///
/// The driver is bound to the device; `dev->mutex` is held.
pub(crate) unsafe fn auxiliary_remove(dev: usize, driver: *mut auxiliary_driver) {
    // SAFETY: the caller's promise.
    if let Some(remove) = unsafe { (*driver).remove } {
        // SAFETY: the caller's promise.
        unsafe { remove(around!(dev, auxiliary_device)) };
    }
}

#[track_caller]
pub unsafe fn auxiliary_device_init(auxdev: *mut auxiliary_device) -> ffi::c_int {
    preempt();
    // SAFETY: the caller gives a structure that it has filled in.
    let complete = unsafe { !(*auxdev).dev.parent.is_null() && !(*auxdev).name.is_null() };
    if !complete {
        return -(EINVAL as ffi::c_int);
    }
    device::register(aux_dev(auxdev), auxdev as usize, "", Bus::Auxiliary);
    0
}

#[track_caller]
pub unsafe fn __auxiliary_device_add(
    auxdev: *mut auxiliary_device,
    modname: *const ffi::c_char,
) -> ffi::c_int {
    // SAFETY: the caller's structure has been initialised.
    let (parent, name, id) = unsafe { ((*auxdev).dev.parent, (*auxdev).name, (*auxdev).id) };
    let name = format!("{}.{}.{id}", cname(modname, ""), cname(name, ""));
    let place = Location::caller();
    world(|w| w.check_dev(parent, place));
    let dev = aux_dev(auxdev) as usize;
    device::add_to(dev, &name, parent as usize);
    device::attach(dev);
    0
}

#[track_caller]
pub unsafe fn auxiliary_device_delete(auxdev: *mut auxiliary_device) {
    let place = Location::caller();
    world(|w| w.check_dev(aux_dev(auxdev), place));
    device::del(aux_dev(auxdev) as usize, place);
}

#[track_caller]
pub unsafe fn auxiliary_device_uninit(auxdev: *mut auxiliary_device) {
    // SAFETY: the caller gives up the reference of `auxiliary_device_init`.
    unsafe { device::put_device(aux_dev(auxdev)) };
}

// ---- Faux ----

/// The kernel's own driver.
pub(crate) fn faux_driver() -> *mut device_driver {
    static DRIVER: OnceLock<usize> = OnceLock::new();
    let made = DRIVER.get_or_init(|| {
        let driver = device_driver {
            name: c"faux_driver".as_ptr().cast(),
            ..Default::default()
        };
        Box::into_raw(Box::new(driver)) as usize
    });
    *made as *mut device_driver
}

/// A parent is not counted: devices of the model have none but for auxiliary ones.
#[track_caller]
pub unsafe fn faux_device_create(
    name: *const ffi::c_char,
    parent: *mut c_device,
    faux_ops: *const faux_device_ops,
) -> *mut faux_device {
    preempt();
    let faux: *mut faux_device = device::allocate("faux_device");
    // SAFETY: just allocated, zeroed.
    unsafe { (*faux).dev.parent = parent };
    let dev = faux as usize + offset_of!(faux_device, dev);
    let name = cname(name, "faux device");
    device::register(
        dev as *mut c_device,
        faux as usize,
        &name,
        Bus::Faux(faux_ops),
    );
    device::bind_faux(dev);
    if device::is_bound(dev) {
        return faux;
    }
    device::unplug(dev);
    std::ptr::null_mut()
}

#[track_caller]
pub unsafe fn faux_device_destroy(faux_dev: *mut faux_device) {
    if faux_dev.is_null() {
        return;
    }
    let place = Location::caller();
    let dev = faux_dev as usize + offset_of!(faux_device, dev);
    world(|w| w.check_dev(dev as *const c_device, place));
    device::unplug(dev);
}

fn faux_ops(dev: usize) -> Option<faux_device_ops> {
    match world(|w| match w.dev(dev).bus {
        Bus::Faux(ops) => ops,
        _ => panic!("devscope bug: a faux device that is on another bus"),
    }) {
        ops if ops.is_null() => None,
        // SAFETY: who made the device keeps them for as long as it is there.
        ops => Some(unsafe { *ops }),
    }
}

/// `faux_probe`
///
/// # Safety
///
/// `dev->mutex` is held.
pub(crate) unsafe fn faux_probe(dev: usize) -> ffi::c_int {
    match faux_ops(dev).and_then(|ops| ops.probe) {
        // SAFETY: as the device's maker wants it.
        Some(probe) => unsafe { probe(around!(dev, faux_device)) },
        None => 0,
    }
}

/// `faux_remove`
///
/// # Safety
///
/// The device is bound; `dev->mutex` is held.
pub(crate) unsafe fn faux_remove(dev: usize) {
    if let Some(remove) = faux_ops(dev).and_then(|ops| ops.remove) {
        // SAFETY: as the device's maker wants it.
        unsafe { remove(around!(dev, faux_device)) };
    }
}

// ---- I2C ----

pub(crate) fn add_i2c(info: I2cInfo) -> DeviceSlot {
    let client: *mut i2c_client = device::allocate("i2c_client");
    // SAFETY: just allocated, zeroed.
    let dev = unsafe {
        (*client).addr = info.address;
        let to = &mut (*client).name;
        for (to, from) in to.iter_mut().zip(info.name.bytes()) {
            *to = from;
        }
        &raw mut (*client).dev
    };
    let name = format!("0-{:04x}", info.address);
    device::register(dev, client as usize, &name, Bus::I2c(info));
    device::attach(dev as usize);
    DeviceSlot { dev: dev as usize }
}

#[track_caller]
pub unsafe fn i2c_register_driver(owner: *mut module, driver: *mut i2c_driver) -> ffi::c_int {
    register!(driver, I2c, owner)
}

#[track_caller]
pub unsafe fn i2c_del_driver(driver: *mut i2c_driver) {
    device::unregister_driver(Driver::I2c(driver), Location::caller());
}

pub unsafe fn i2c_match_id(
    id: *const i2c_device_id,
    client: *const i2c_client,
) -> *const i2c_device_id {
    if id.is_null() || client.is_null() {
        return std::ptr::null();
    }
    // SAFETY: the caller gives a table that ends with an empty entry, and a client.
    unsafe {
        let name = (*client).name;
        let mut id = id;
        while (*id).name[0] != 0 {
            if text(&(*id).name) == text(&name) {
                return id;
            }
            id = id.add(1);
        }
    }
    std::ptr::null()
}

pub unsafe fn i2c_verify_client(dev: *mut c_device) -> *mut i2c_client {
    // SAFETY: the caller gives a device.
    match unsafe { std::ptr::eq((*dev).bus, &raw const i2c_bus_type) } {
        true => around!(dev as usize, i2c_client),
        false => std::ptr::null_mut(),
    }
}

/// As `i2c_device_match()`: by the device tree first. The data is that of the device tree's entry.
pub(crate) fn i2c_matching(info: &I2cInfo, driver: *mut i2c_driver) -> Option<(usize, usize)> {
    // SAFETY: the driver is registered; its tables end with empty entries.
    unsafe {
        let mut of_id: *const of_device_id = (*driver).driver.of_match_table;
        while !of_id.is_null() && (*of_id).compatible[0] != 0 {
            let compatible = info.compatible.map(str::as_bytes);
            if compatible == Some(text(&(*of_id).compatible)) {
                return Some((0, (*of_id).data as usize));
            }
            of_id = of_id.add(1);
        }
        let mut id: *const i2c_device_id = (*driver).id_table;
        while !id.is_null() && (*id).name[0] != 0 {
            if text(&(*id).name) == info.name.as_bytes() {
                return Some((id as usize, 0));
            }
            id = id.add(1);
        }
    }
    None
}

/// `i2c_device_probe`: what the driver adds to devres is in a group, which goes before the data.
///
/// # Safety
///
/// The driver is registered and matches; `dev->mutex` is held.
pub(crate) unsafe fn i2c_probe(dev: usize, driver: *mut i2c_driver, place: Place) -> ffi::c_int {
    // SAFETY: the caller's promise.
    let status = match unsafe { (*driver).probe } {
        // SAFETY: the caller's promise.
        Some(probe) => unsafe { probe(around!(dev, i2c_client)) },
        None => -(EINVAL as ffi::c_int),
    };
    if status != 0 {
        device::devres_release_all(dev, place);
    }
    status
}

/// `i2c_device_remove`
///
/// # Safety
///
/// The driver is bound to the device; `dev->mutex` is held.
pub(crate) unsafe fn i2c_remove(dev: usize, driver: *mut i2c_driver, place: Place) {
    // SAFETY: the caller's promise.
    if let Some(remove) = unsafe { (*driver).remove } {
        // SAFETY: the caller's promise.
        unsafe { remove(around!(dev, i2c_client)) };
    }
    device::devres_release_all(dev, place);
}

// ---- USB ----

/// An interface, and the device that it is of.
#[repr(C)]
pub(crate) struct UsbObject {
    pub(crate) intf: usb_interface,
    pub(crate) udev: usb_device,
}

pub(crate) fn add_usb(info: UsbInfo, function: Arc<dyn UsbFunction>) -> DeviceSlot {
    let usb: *mut UsbObject = device::allocate("usb_interface");
    // SAFETY: just allocated, zeroed.
    let dev = unsafe {
        (*usb).intf.dev.parent = &raw mut (*usb).udev.dev;
        &raw mut (*usb).intf.dev
    };
    let name = format!("1-1:1.{}", info.number);
    // SAFETY: just allocated.
    urb::add_device(unsafe { &raw mut (*usb).udev }, function);
    device::register(dev, usb as usize, &name, Bus::Usb(info));
    device::attach(dev as usize);
    DeviceSlot { dev: dev as usize }
}

#[track_caller]
pub unsafe fn usb_register_driver(
    driver: *mut usb_driver,
    owner: *mut module,
    mod_name: *const ffi::c_char,
) -> ffi::c_int {
    // SAFETY: the caller gives a driver's structure.
    unsafe {
        (*driver).driver.name = (*driver).name;
        (*driver).driver.mod_name = mod_name;
    }
    register!(driver, Usb, owner)
}

#[track_caller]
pub unsafe fn usb_deregister(driver: *mut usb_driver) {
    device::unregister_driver(Driver::Usb(driver), Location::caller());
}

pub unsafe fn interface_to_usbdev(intf: *mut usb_interface) -> *mut usb_device {
    // SAFETY: the caller gives an interface, which `add_usb` made.
    unsafe { around!((*intf).dev.parent as usize, usb_device) }
}

#[track_caller]
pub unsafe fn usb_get_intf(intf: *mut usb_interface) -> *mut usb_interface {
    // SAFETY: the caller's promise is passed on.
    unsafe { device::get_device(&raw mut (*intf).dev) };
    intf
}

#[track_caller]
pub unsafe fn usb_put_intf(intf: *mut usb_interface) {
    // SAFETY: the caller's promise is passed on.
    unsafe { device::put_device(&raw mut (*intf).dev) };
}

/// `usb_match_id`
pub(crate) fn usb_matching(info: &UsbInfo, driver: *mut usb_driver) -> Option<(usize, usize)> {
    let fits = |id: &usb_device_id| {
        let wants = |flag: u32, given: u16, wanted: u16| {
            u32::from(id.match_flags) & flag == 0 || given == wanted
        };
        let (class, subclass, protocol) = info.class;
        wants(USB_DEVICE_ID_MATCH_VENDOR, info.id.0, id.idVendor)
            && wants(USB_DEVICE_ID_MATCH_PRODUCT, info.id.1, id.idProduct)
            && [
                (
                    USB_DEVICE_ID_MATCH_DEV_CLASS,
                    info.device_class,
                    id.bDeviceClass,
                ),
                (USB_DEVICE_ID_MATCH_INT_CLASS, class, id.bInterfaceClass),
                (
                    USB_DEVICE_ID_MATCH_INT_SUBCLASS,
                    subclass,
                    id.bInterfaceSubClass,
                ),
                (
                    USB_DEVICE_ID_MATCH_INT_PROTOCOL,
                    protocol,
                    id.bInterfaceProtocol,
                ),
                (
                    USB_DEVICE_ID_MATCH_INT_NUMBER,
                    info.number,
                    id.bInterfaceNumber,
                ),
            ]
            .into_iter()
            .all(|(flag, given, wanted)| wants(flag, given.into(), wanted.into()))
    };
    // SAFETY: the driver is registered; its table ends with an empty entry.
    unsafe {
        let mut id: *const usb_device_id = (*driver).id_table;
        while !id.is_null()
            && ((*id).idVendor != 0
                || (*id).idProduct != 0
                || (*id).bDeviceClass != 0
                || (*id).bInterfaceClass != 0
                || (*id).driver_info != 0)
        {
            if fits(&*id) {
                return Some((id as usize, (*id).driver_info));
            }
            id = id.add(1);
        }
    }
    None
}

/// `usb_probe_interface`
///
/// # Safety
///
/// The driver is registered and matches; `dev->mutex` is held.
pub(crate) unsafe fn usb_probe(dev: usize, driver: *mut usb_driver, id: usize) -> ffi::c_int {
    let intf = around!(dev, usb_interface);
    // SAFETY: the caller's promise.
    unsafe {
        (*driver)
            .probe
            .map_or(0, |probe| probe(intf, id as *const _))
    }
}

/// `usb_unbind_interface`
///
/// # Safety
///
/// The driver is bound to the device; `dev->mutex` is held.
pub(crate) unsafe fn usb_disconnect(dev: usize, driver: *mut usb_driver, place: Place) {
    let (intf, gone) = (around!(dev, usb_interface), world(|w| w.dev(dev).dead));
    // SAFETY: the interface is there.
    let udev = unsafe { interface_to_usbdev(intf) };
    urb::disable(udev, gone, place);
    // SAFETY: the caller's promise.
    if let Some(disconnect) = unsafe { (*driver).disconnect } {
        // SAFETY: the caller's promise.
        unsafe { disconnect(intf) };
    }
    urb::enable(udev, place);
}

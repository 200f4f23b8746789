//! Character devices with numbers of their own, classes, and what of `/dev` goes with them; after
//! `fs/char_dev.c`, `drivers/base/class.c` and `drivers/base/devtmpfs.c`.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::device::{self, Bus};
use super::ledger;
use super::locks::{lock_mutex, name_mutex, unlock_mutex};
use super::machine::{at, preempt, world, Place, World};
use super::misc::error;
use super::report::Kind;
use super::table::Table;
use super::{cname, is_c_string};
use crate::bindings::{
    cdev, class, dev_t, device as c_device, file, file_operations, inode, kobject, module, EBUSY,
    EEXIST, EINVAL, ENXIO,
};
use crate::ffi;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;

/// Majors are given out from below this, downwards.
const FIRST_MAJOR: u32 = 255;

#[derive(Debug)]
struct Region {
    first: dev_t,
    count: u32,
    name: Rc<str>,
    place: Place,
}

#[derive(Debug)]
struct Class {
    class: usize,
    name: Rc<str>,
    devices: Vec<Rc<str>>,
    place: Place,
}

/// A `struct cdev`.
#[derive(Debug)]
struct Cdev {
    references: u32,
    /// Made by `cdev_alloc()`, so it is freed with its last reference.
    dynamic: bool,
    place: Place,
}

/// A node that devtmpfs has made for a device.
#[derive(Debug)]
struct Node {
    name: Rc<str>,
    device: usize,
    class: usize,
    inode: usize,
}

/// An inode that more than one open file may be of.
#[derive(Debug)]
struct Inode {
    references: u32,
    /// `i_cdev`
    cdev: usize,
}

#[derive(Default, Debug)]
pub(crate) struct Cdevs {
    regions: Vec<Region>,
    classes: Vec<Class>,
    cdevs: Table<Cdev>,
    /// Which device has which numbers: `cdev_map`.
    map: Vec<(dev_t, u32, usize)>,
    nodes: Vec<Node>,
    inodes: Table<Inode>,
    /// What `src/` keeps in a static of C's.
    regions_of_devscope: Option<Box<(u8, *mut ffi::c_void)>>,
}

impl Cdevs {
    /// A device that somebody knows, in memory that is being freed.
    pub(crate) fn active_in(&self, range: &Range<usize>) -> Option<(String, Vec<String>)> {
        let (address, cdev) = self
            .cdevs
            .in_range(range)
            .find(|(_, cdev)| cdev.references > 0)?;
        let registered = self.map.iter().any(|(.., other)| other == address);
        let known = self.inodes.iter().any(|(_, inode)| inode.cdev == *address);
        let what = match (registered, known) {
            (true, _) => "a character device, which is registered,",
            (false, true) => "a character device, which an inode knows,",
            (false, false) => "a character device, which somebody has,",
        };
        let facts = vec![format!("made        {}", at(cdev.place))];
        Some((what.into(), facts))
    }

    pub(crate) fn forget_in(&mut self, range: &Range<usize>) {
        self.cdevs.remove_range(range);
    }

    pub(crate) fn left(&self) -> Vec<String> {
        let regions = self
            .regions
            .iter()
            .map(|region| (region.place, "region", &region.name));
        let classes = self
            .classes
            .iter()
            .map(|class| (class.place, "class", &class.name));
        regions
            .chain(classes)
            .map(|(place, what, name)| format!("registered  {}  {what} \"{name}\"", at(place)))
            .collect()
    }
}

/// `kobject_get_unless_zero`, and the module (`cdev_get`).
fn cdev_get(w: &mut World, address: usize) -> bool {
    // SAFETY: an inode or the map knows the device, so it is there.
    let owner = unsafe { (*(address as *const cdev)).owner };
    let live = w.cdevs.cdevs.get(address).is_some_and(|c| c.references > 0);
    if !live || !w.get_module(owner) {
        return false;
    }
    if let Some(cdev) = w.cdevs.cdevs.get_mut(address) {
        cdev.references += 1;
    }
    true
}

/// The last reference forgets it in all inodes (`cdev_purge`).
fn put_kobject(address: usize, place: Place) {
    preempt();
    let last = world(|w| {
        w.check(address, size_of::<cdev>(), "a character device", place);
        let Some(cdev) = w.cdevs.cdevs.get_mut(address) else {
            // A `refcount_t` warns of that: "underflow; use-after-free".
            let facts = [format!("put         {}", at(place))];
            let message = "a character device is put that nobody has";
            w.fail(Kind::Misuse, message.into(), &facts);
        };
        cdev.references -= 1;
        if cdev.references > 0 {
            return None;
        }
        let dynamic = cdev.dynamic;
        w.cdevs.cdevs.remove(address);
        for inode in w.cdevs.inodes.iter_mut() {
            if inode.cdev == address {
                inode.cdev = 0;
            }
        }
        Some(dynamic)
    });
    if last == Some(true) {
        ledger::free(address as *const ffi::c_void);
    }
}

/// `cdev_put`
fn cdev_put(address: usize, place: Place) {
    // SAFETY: the caller has a reference.
    let owner: *mut module = unsafe { (*(address as *const cdev)).owner };
    put_kobject(address, place);
    world(|w| w.put_module(owner));
}

/// The inode of a node in `/dev`, with a reference.
pub(crate) fn find(name: &str) -> Option<usize> {
    world(|w| {
        let inode = w.cdevs.nodes.iter().find(|n| *n.name == *name)?.inode;
        w.cdevs.inodes.get_mut(inode)?.references += 1;
        Some(inode)
    })
}

/// Another reference to an inode of ours, if it is one.
pub(crate) fn get_inode(address: usize) -> bool {
    world(|w| {
        let inode = w.cdevs.inodes.get_mut(address);
        inode.map(|inode| inode.references += 1).is_some()
    })
}

/// `iput`, for inodes of any device.
pub(crate) fn put_inode(address: usize) {
    let last = world(|w| match w.cdevs.inodes.get_mut(address) {
        None => true,
        Some(inode) => {
            inode.references -= 1;
            let last = inode.references == 0;
            if last {
                w.cdevs.inodes.remove(address);
            }
            last
        }
    });
    if last {
        super::mm::forget_mapping(address);
        ledger::free(address as *const ffi::c_void);
    }
}

/// `chrdev_open`. Gives what the file keeps: the device, and who owns its operations.
pub(crate) fn chrdev_open(
    inode: *mut inode,
    file: *mut file,
    place: Place,
    opens: impl FnOnce(*mut module),
) -> Result<(), ffi::c_int> {
    preempt();
    // SAFETY: the caller gives an inode.
    let devt = unsafe { (*inode).i_rdev };
    let found = world(|w| {
        let known = w.cdevs.inodes.get(inode as usize)?.cdev;
        let cdev = match known {
            0 => {
                let has =
                    |&&(first, count, _): &&(dev_t, u32, usize)| devt.wrapping_sub(first) < count;
                w.cdevs.map.iter().find(has)?.2
            }
            known => known,
        };
        w.check(
            cdev,
            size_of::<crate::bindings::cdev>(),
            "a character device",
            place,
        );
        if !cdev_get(w, cdev) {
            return None;
        }
        w.cdevs.inodes.get_mut(inode as usize)?.cdev = cdev;
        Some(cdev)
    });
    let Some(address) = found else {
        return Err(error(ENXIO));
    };
    preempt();
    let operations = world(|w| {
        // SAFETY: we have a reference.
        let fops = unsafe { (*(address as *const cdev)).ops };
        let size = size_of::<file_operations>();
        w.check(fops as usize, size, "file operations", place);
        // SAFETY: just checked.
        let owner = unsafe { (*fops).owner };
        w.get_module(owner).then_some((fops, owner))
    });
    let Some((fops, owner)) = operations else {
        cdev_put(address, place);
        return Err(error(ENXIO));
    };
    // SAFETY: the file is ours until it is open.
    unsafe { (*file).f_op = fops };
    opens(owner);
    // SAFETY: the operations are the device's, and their module is held.
    let result = match unsafe { (*fops).open } {
        // SAFETY: as above.
        Some(open) => unsafe { open(inode, file) },
        None => 0,
    };
    if result != 0 {
        cdev_put(address, place);
        return Err(result);
    }
    Ok(())
}

/// What `__fput()` does for character devices, after `release`.
pub(crate) fn put_device_of(inode: usize, place: Place) {
    let cdev = world(|w| w.cdevs.inodes.get(inode).map_or(0, |inode| inode.cdev));
    if cdev != 0 {
        cdev_put(cdev, place);
    }
}

// ---- Numbers ----

#[track_caller]
pub unsafe fn alloc_chrdev_region(
    dev: *mut dev_t,
    baseminor: ffi::c_uint,
    count: ffi::c_uint,
    name: *const ffi::c_char,
) -> ffi::c_int {
    let place = Location::caller();
    preempt();
    let first = world(|w| {
        if !w.allocate_token() {
            return None;
        }
        // The first that is free, so one that was given back is given out again.
        let taken = |major: &u32| {
            let mut regions = w.cdevs.regions.iter();
            regions.any(|region| region.first >> 20 == *major)
        };
        let major = (0..FIRST_MAJOR).rev().find(|major| !taken(major))?;
        let first = major << 20 | baseminor;
        w.cdevs.regions.push(Region {
            first,
            count,
            name: cname(name, "?"),
            place,
        });
        Some(first)
    });
    match first {
        None => error(crate::bindings::ENOMEM),
        Some(first) => {
            // SAFETY: the caller gives room for a number.
            unsafe { *dev = first };
            0
        }
    }
}

#[track_caller]
pub unsafe fn unregister_chrdev_region(from: dev_t, count: ffi::c_uint) {
    let place = Location::caller();
    preempt();
    world(|w| {
        let inside = |number: dev_t| number.wrapping_sub(from) < count;
        if w.cdevs.map.iter().any(|(first, ..)| inside(*first)) {
            let facts = [format!("unregistered {}", at(place))];
            w.fail(
                Kind::Misuse,
                "a region goes while a character device is on one of its numbers".into(),
                &facts,
            );
        }
        let before = w.cdevs.regions.len();
        w.cdevs
            .regions
            .retain(|region| (region.first, region.count) != (from, count));
        if w.cdevs.regions.len() == before {
            let facts = [format!("unregistered {}", at(place))];
            w.fail(Kind::Misuse, "a region that is none goes".into(), &facts);
        }
    });
}

fn known(w: &mut World, cdev: *mut cdev, dynamic: bool, place: Place) {
    w.cdevs.cdevs.set(
        cdev as usize,
        Cdev {
            references: 1,
            dynamic,
            place,
        },
    );
}

#[track_caller]
pub unsafe fn cdev_init(arg1: *mut cdev, arg2: *const file_operations) {
    let place = Location::caller();
    world(|w| {
        w.check(
            arg1 as usize,
            size_of::<cdev>(),
            "a character device",
            place,
        );
        known(w, arg1, false, place);
    });
    // SAFETY: the caller gives room for a device.
    unsafe {
        arg1.write(cdev::default());
        (*arg1).ops = arg2;
    }
}

#[track_caller]
pub unsafe fn cdev_alloc() -> *mut cdev {
    let place = Location::caller();
    world(|w| {
        let layout = std::alloc::Layout::new::<cdev>();
        let new: *mut cdev = w.allocate(layout, "cdev", place).cast();
        if !new.is_null() {
            // SAFETY: just allocated with the size of its type.
            unsafe { new.write(cdev::default()) };
            known(w, new, true, place);
        }
        new
    })
}

#[track_caller]
pub unsafe fn cdev_add(arg1: *mut cdev, arg2: dev_t, arg3: ffi::c_uint) -> ffi::c_int {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check(
            arg1 as usize,
            size_of::<cdev>(),
            "a character device",
            place,
        );
        if !w.allocate_token() {
            return error(crate::bindings::ENOMEM);
        }
        let taken = w
            .cdevs
            .map
            .iter()
            .any(|&(first, count, _)| first < arg2 + arg3 && arg2 < first + count);
        if taken {
            return error(EBUSY);
        }
        // SAFETY: the caller gives a device.
        unsafe {
            (*arg1).dev = arg2;
            (*arg1).count = arg3;
        }
        w.cdevs.map.push((arg2, arg3, arg1 as usize));
        0
    })
}

#[track_caller]
pub unsafe fn cdev_del(arg1: *mut cdev) {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check(
            arg1 as usize,
            size_of::<cdev>(),
            "a character device",
            place,
        );
        let before = w.cdevs.map.len();
        w.cdevs.map.retain(|(.., cdev)| *cdev != arg1 as usize);
        if w.cdevs.map.len() == before {
            let facts = [format!("called      {}", at(place))];
            w.fail(
                Kind::Misuse,
                "a character device is deleted that was not added".into(),
                &facts,
            );
        }
    });
    put_kobject(arg1 as usize, place);
}

/// Only character devices have a kobject here that anybody puts.
#[track_caller]
pub unsafe fn kobject_put(kobj: *mut kobject) {
    put_kobject(kobj as usize, Location::caller());
}

// ---- Classes and their devices ----

fn err_ptr<T>(code: u32) -> *mut T {
    std::ptr::without_provenance_mut(error(code) as isize as usize)
}

#[track_caller]
pub unsafe fn class_create(name: *const ffi::c_char) -> *mut class {
    let place = Location::caller();
    let Some(named) = is_c_string(name) else {
        return err_ptr(EINVAL);
    };
    preempt();
    world(|w| {
        if w.cdevs.classes.iter().any(|class| class.name == named) {
            return err_ptr(EEXIST);
        }
        let layout = std::alloc::Layout::new::<class>();
        let new: *mut class = w.allocate(layout, "class", place).cast();
        if new.is_null() {
            return err_ptr(crate::bindings::ENOMEM);
        }
        // SAFETY: just allocated with the size of its type.
        unsafe { new.write(class { name }) };
        w.cdevs.classes.push(Class {
            class: new as usize,
            name: named,
            devices: Vec::new(),
            place,
        });
        new
    })
}

#[track_caller]
pub unsafe fn class_destroy(cls: *const class) {
    let place = Location::caller();
    preempt();
    world(|w| {
        let index = w.cdevs.classes.iter().position(|c| c.class == cls as usize);
        let Some(index) = index else {
            let facts = [format!("called      {}", at(place))];
            w.fail(
                Kind::Misuse,
                "a class that is none is destroyed".into(),
                &facts,
            );
        };
        let class = w.cdevs.classes.remove(index);
        if let Some(device) = class.devices.first() {
            let message = format!("class \"{}\" goes before its device {device}", class.name);
            w.fail(
                Kind::Misuse,
                message,
                &[format!("called      {}", at(place))],
            );
        }
        w.free(class.class, place);
    });
}

#[track_caller]
fn device_create(
    cls: *const class,
    parent: *mut c_device,
    devt: dev_t,
    name: *const ffi::c_char,
) -> *mut c_device {
    let place = Location::caller();
    let name = cname(name, "?");
    preempt();
    let refused = world(|w| {
        w.check(cls as usize, size_of::<class>(), "a class", place);
        if !parent.is_null() {
            w.check_dev(parent, place);
        }
        if !w.allocate_token() {
            return Some(crate::bindings::ENOMEM);
        }
        let class = w.cdevs.classes.iter().find(|c| c.class == cls as usize);
        class
            .is_some_and(|class| class.devices.contains(&name))
            .then_some(EEXIST)
    });
    if let Some(code) = refused {
        return err_ptr(code);
    }
    let device: *mut c_device = device::allocate("class device");
    device::register(device, device as usize, &name, Bus::Class);
    // SAFETY: the caller gives a parent, or none.
    unsafe { device::get_device(parent) };
    // SAFETY: just allocated, zeroed.
    unsafe {
        (*device).parent = parent;
        (*device).devt = devt;
    }
    let inode: *mut inode = device::allocate("inode");
    // SAFETY: just allocated with the size of its type.
    unsafe {
        inode.write(crate::bindings::inode {
            i_rdev: devt,
            ..Default::default()
        });
    }
    world(|w| {
        w.cdevs.inodes.set(
            inode as usize,
            Inode {
                references: 1,
                cdev: 0,
            },
        );
        w.cdevs.nodes.push(Node {
            name: name.clone(),
            device: device as usize,
            class: cls as usize,
            inode: inode as usize,
        });
        let mut classes = w.cdevs.classes.iter_mut();
        if let Some(class) = classes.find(|c| c.class == cls as usize) {
            class.devices.push(name.clone());
        }
        w.note("registers device", &name, Some(place));
    });
    preempt();
    device
}

/// For devices of a class.
#[track_caller]
pub unsafe fn device_unregister(dev: *mut c_device) {
    let place = Location::caller();
    preempt();
    let node = world(|w| {
        w.check_dev(dev, place);
        let nodes = &mut w.cdevs.nodes;
        let index = nodes.iter().position(|node| node.device == dev as usize);
        let Some(index) = index else {
            let facts = [format!("called      {}", at(place))];
            w.fail(
                Kind::Misuse,
                "a device is unregistered that is in no class".into(),
                &facts,
            );
        };
        let node = w.cdevs.nodes.remove(index);
        let mut classes = w.cdevs.classes.iter_mut();
        if let Some(class) = classes.find(|c| c.class == node.class) {
            class.devices.retain(|name| *name != node.name);
        }
        w.note("unregisters device", &node.name, Some(place));
        node
    });
    put_inode(node.inode);
    // SAFETY: the device is there, since its registration had a reference.
    let parent = unsafe { (*dev).parent };
    device::put(dev as usize, place);
    // SAFETY: counted when the device was made.
    unsafe { device::put_device(parent) };
}

// ---- What `src/` declares as `extern "C"` ----

/// `inode->i_cdev`
///
/// # Safety
///
/// `inode` is one.
#[no_mangle]
pub unsafe extern "C" fn devscope_inode_cdev(inode: *mut inode) -> *mut cdev {
    let cdev = world(|w| w.cdevs.inodes.get(inode as usize).map_or(0, |i| i.cdev));
    cdev as *mut cdev
}

/// `device_create()`
///
/// # Safety
///
/// As for `device_create()`.
#[no_mangle]
pub unsafe extern "C" fn devscope_device_create(
    class: *const class,
    parent: *mut c_device,
    devt: dev_t,
    name: *const ffi::c_char,
) -> *mut c_device {
    device_create(class, parent, devt, name)
}

/// The lock, and what it protects, of this machine: a static would be shared by all that a test
/// explores side by side.
fn regions() -> (usize, *mut *mut ffi::c_void) {
    world(|w| {
        let mut new = false;
        let regions = w.cdevs.regions_of_devscope.get_or_insert_with(|| {
            new = true;
            Box::new((0, std::ptr::null_mut()))
        });
        let lock = &raw const regions.0 as usize;
        let list = &raw mut regions.1;
        if new {
            name_mutex(w, lock, "devscope_regions_mutex");
        }
        (lock, list)
    })
}

/// Locks the list of regions.
///
/// # Safety
///
/// Process context.
#[no_mangle]
pub unsafe extern "C" fn devscope_regions_lock() -> *mut *mut ffi::c_void {
    let (lock, list) = regions();
    lock_mutex(lock, false, Location::caller());
    list
}

/// Unlocks the list of regions.
///
/// # Safety
///
/// It is locked by the caller.
#[no_mangle]
pub unsafe extern "C" fn devscope_regions_unlock() {
    unlock_mutex(regions().0, Location::caller());
}

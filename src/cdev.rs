// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Character devices with numbers of their own: several devices of one driver, several nodes of one
//! device.
//!
//! C headers: [`include/linux/cdev.h`](srctree/include/linux/cdev.h),
//! [`include/linux/device/class.h`](srctree/include/linux/device/class.h)
//!
//! A driver has a *region*: a major of its own with so many minors, and a class of the same name in
//! sysfs. A device takes minors out of it, and registers its nodes on them:
//!
//! ```
//! # use devscope::{cdev::Region, file::File, Scope};
//! # use kernel::{device::Device, prelude::*};
//! static DEMO: Region = Region::new(c"demo", 32);
//!
//! # fn attach<'a, Control, Data>(
//! #     dev: &'a Device<kernel::device::Bound>,
//! #     scope: &mut Scope<'a>,
//! #     control: Control::Device<'a>,
//! #     data: Data::Device<'a>,
//! # ) -> Result
//! # where
//! #     Control: File,
//! #     Data: File,
//! # {
//! let minors = scope.minors(&DEMO, 2, dev)?;
//! let unit = minors.first() / 2;
//! scope.cdev::<Control>(minors, 0, fmt!("demo{unit}"), control)?;
//! scope.cdev::<Data>(minors, 1, fmt!("demo{unit}-data"), data)
//! # }
//! ```
//!
//! The region is there while a device has minors of it. Minors that are given back are given out again,
//! lowest first. A number that is used again reaches the new device only: a file that was opened
//! before stays one of the old device, and whoever opens by way of it (`/proc/self/fd`, or an inode that
//! remembers its old device while a file of it is open) gets `ENODEV`. The structures that the kernel
//! keeps for an inode (`struct cdev`) and for sysfs (`struct device`) are the kernel's own, and last as
//! long as it wants; this module is not needed for that.
//!
//! Not covered: a major that is asked for, permissions and owners of nodes (udev's business), attributes.

#[cfg(devscope_mutants)]
use crate::mutants::{self, Mutant};
use crate::{
    body::Body,
    file::{self, File, Node, Place},
    front::FrontRef,
    helpers,
    scope::{Member, Scope, Step},
};
use core::{
    fmt,
    marker::PhantomData,
    mem::offset_of,
    ptr::{self, NonNull},
};
use kernel::{
    bindings,
    device::{Bound, Device},
    error::{from_err_ptr, to_result},
    module::this_module,
    prelude::*,
    str::CString,
    types::Opaque,
};

/// Numbers for the device nodes of a driver: usually a `static` of it.
///
/// One region is told from another by its address, so two devices that ought to share one have to name
/// the same `static`.
pub struct Region {
    name: &'static CStr,
    minors: u32,
}

impl Region {
    /// So many minors, and a name for the region and for the class.
    ///
    /// Nothing is registered yet: the first device does that, with [`Scope::minors`].
    pub const fn new(name: &'static CStr, minors: u32) -> Self {
        Self { name, minors }
    }
}

/// What there is at a minor.
struct Number {
    /// It was given out.
    taken: bool,
    /// The device that hangs there, or null.
    cdev: *mut bindings::cdev,
    /// The `place` of its node, if there is a device.
    node: *const Opaque<Hung>,
    front: Option<FrontRef>,
}

impl Number {
    const FREE: Self = Self {
        taken: false,
        cdev: ptr::null_mut(),
        node: ptr::null(),
        front: None,
    };

    /// Nobody finds the node from now on.
    fn clear(&mut self) {
        *self = Self {
            taken: self.taken,
            ..Self::FREE
        };
    }
}

/// A region that some device has minors of.
///
/// # Invariants
///
/// 1. `numbers.len()` device numbers from `first` on are registered, and so is `class`.
/// 2. Where a number has a `cdev`, its `node` stands in a node with that front, and is live.
struct Registered {
    region: *const Region,
    next: *mut Registered,
    first: bindings::dev_t,
    class: *mut bindings::class,
    numbers: KVec<Number>,
}

impl Registered {
    /// Registers a region. Errors: `ENOMEM`; `EBUSY` if no major is left; `EEXIST` if there is a class
    /// of this name.
    fn new(region: &Region) -> Result<KBox<Self>> {
        let mut numbers = KVec::with_capacity(region.minors as usize, GFP_KERNEL)?;
        for _ in 0..region.minors {
            numbers.push(Number::FREE, GFP_KERNEL)?;
        }
        let room = KBox::<Self>::new_uninit(GFP_KERNEL)?;
        let name = region.name.as_char_ptr();
        let mut first = 0;
        // SAFETY: There is room for the number, and the name is a string.
        to_result(unsafe { bindings::alloc_chrdev_region(&mut first, 0, region.minors, name) })?;
        // SAFETY: The name is static, as `class_create()` wants it.
        let class = from_err_ptr(unsafe { bindings::class_create(name) }).inspect_err(|_| {
            // SAFETY: Registered above.
            unsafe { bindings::unregister_chrdev_region(first, region.minors) }
        })?;
        // INVARIANT: Both are registered; no number has a device.
        Ok(room.write(Self {
            region,
            next: ptr::null_mut(),
            first,
            class,
            numbers,
        }))
    }

    /// The lowest `count` minors next to each other that are free.
    fn take(&mut self, count: u32) -> Option<u32> {
        let count = count as usize;
        let first = (0..self.numbers.len()).find(|first| {
            let range = self.numbers.get(*first..first + count);
            range.is_some_and(|range| range.iter().all(|number| !number.taken))
        })?;
        for number in &mut self.numbers[first..first + count] {
            number.taken = true;
        }
        Some(first as u32)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: Both are registered (invariant 1), and no device is on any of these numbers: each has
        // been withdrawn before its minors were given back. The class is not used any more, since its
        // devices are unregistered; what others still hold of one keeps what it needs
        // (`class_dir_release()` and `subsys_put()` in drivers/base).
        unsafe {
            bindings::class_destroy(self.class);
            bindings::unregister_chrdev_region(self.first, self.numbers.len() as u32);
        }
    }
}

/// The regions of this module, locked.
///
/// # Invariants
///
/// It points to the first of a list, linked by `Registered::next`, of boxes that nobody else has; and
/// the lock is held.
struct Regions(*mut *mut Registered);

impl Regions {
    fn lock() -> Self {
        // SAFETY: Process context: nodes are opened, made and taken away there.
        // INVARIANT: The list is empty at first, and only changed below.
        Self(unsafe { helpers::devscope_regions_lock() }.cast())
    }

    /// The place of the first that is `wanted`, or the end of the list.
    fn find(&mut self, wanted: impl Fn(&Registered) -> bool) -> *mut *mut Registered {
        let mut at = self.0;
        // SAFETY: The list is ours while it is locked.
        unsafe {
            while !(*at).is_null() && !wanted(&**at) {
                at = &raw mut (**at).next;
            }
        }
        at
    }

    fn get(&mut self, region: &Region) -> Option<&mut Registered> {
        let at = self.find(|registered| ptr::eq(registered.region, region));
        // SAFETY: As above.
        unsafe { (*at).as_mut() }
    }

    /// Takes minors, and registers the region if this is the first time.
    fn take(&mut self, region: &Region, count: u32) -> Result<u32> {
        if count == 0 || count > region.minors {
            return Err(EINVAL);
        }
        if self.get(region).is_none() {
            let mut registered = Registered::new(region)?;
            // SAFETY: The list is ours. INVARIANT: The box is the list's.
            unsafe {
                registered.next = *self.0;
                *self.0 = KBox::into_raw(registered);
            }
        }
        let registered = self.get(region).ok_or(ENOSPC)?;
        registered.take(count).ok_or(ENOSPC)
    }

    /// Gives minors back, and unregisters the region if these were the last.
    fn give_back(&mut self, region: &Region, first: u32, count: u32) {
        let at = self.find(|registered| ptr::eq(registered.region, region));
        // SAFETY: The list is ours.
        let Some(registered) = (unsafe { (*at).as_mut() }) else {
            return;
        };
        for number in registered
            .numbers
            .iter_mut()
            .skip(first as usize)
            .take(count as usize)
        {
            *number = Number::FREE;
        }
        if registered.numbers.iter().all(|number| !number.taken) {
            // SAFETY: As above. INVARIANT: What has been taken off the list is ours.
            unsafe {
                let registered = KBox::from_raw(*at);
                *at = registered.next;
            }
        }
    }

    /// The node of a device that is being opened.
    fn node_of(
        &mut self,
        cdev: *mut bindings::cdev,
        devt: bindings::dev_t,
    ) -> Option<(FrontRef, *const Opaque<Hung>)> {
        let at = |registered: &Registered| devt.wrapping_sub(registered.first) as usize;
        let found = self.find(|registered| at(registered) < registered.numbers.len());
        // SAFETY: The list is ours.
        let registered = unsafe { (*found).as_ref() }?;
        let number = &registered.numbers[at(registered)];
        // Not whatever has this number now: the inode may remember an earlier device. Nor can that have
        // the address of the present one, since whoever opens keeps it.
        #[cfg(devscope_mutants)]
        let cdev = match mutants::active(Mutant::OpenByNumber) {
            true => number.cdev,
            false => cdev,
        };
        if number.cdev != cdev {
            return None;
        }
        Some((number.front.clone()?, number.node))
    }
}

impl Drop for Regions {
    fn drop(&mut self) {
        // SAFETY: Locked when this was made.
        unsafe { helpers::devscope_regions_unlock() };
    }
}

/// Minors as a member of a scope: it gives them back when the nodes have gone.
#[pin_data]
struct Taken {
    region: &'static Region,
    first: u32,
    count: u32,
}

// SAFETY: It has no callback, and nothing outside knows it.
unsafe impl Member for Taken {
    unsafe fn step(_: NonNull<Self>, _: Step) {}

    unsafe fn drop_body(&self) {
        Regions::lock().give_back(self.region, self.first, self.count);
    }
}

/// Minors of a device, next to each other, for as long as the scope lasts.
///
/// # If leaked
///
/// Nothing happens. A handle owns nothing; the scope gives the minors back.
#[derive(Clone, Copy)]
pub struct Minors<'a> {
    region: &'static Region,
    first: u32,
    count: u32,
    parent: &'a Device<Bound>,
    _scope: PhantomData<fn(&'a ()) -> &'a ()>,
}

impl Minors<'_> {
    /// The lowest. The others follow.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// How many.
    pub fn count(&self) -> u32 {
        self.count
    }
}

/// Where a node hangs: what has to be undone.
struct Hung {
    region: &'static Region,
    minor: u32,
    cdev: *mut bindings::cdev,
    device: *mut bindings::device,
}

// SAFETY: `open()` finds the node under the lock of the regions, by an entry that is cleared under it.
// Nobody else knows the node: the kernel's structures do not point to it.
unsafe impl Place for Opaque<Hung> {
    unsafe fn withdraw(&self) {
        // SAFETY: Initialised when the node was made.
        let hung = unsafe { &*self.get() };
        if let Some(registered) = Regions::lock().get(hung.region) {
            registered.numbers[hung.minor as usize].clear();
        }
        // SAFETY: Both were registered when the node was made, and go once. First the node in `/dev`, then
        // the number, as `cdev_device_del()` does it.
        unsafe {
            bindings::device_unregister(hung.device);
            #[cfg(devscope_mutants)]
            if mutants::active(Mutant::FreeCdev) {
                bindings::kfree(hung.cdev.cast());
                return;
            }
            bindings::cdev_del(hung.cdev);
        }
    }
}

/// A device node with a number of its own.
type Cdev<'a, F> = Node<'a, F, Opaque<Hung>>;

impl<'a, F: File> Cdev<'a, F> {
    /// Makes the member, which is a registered device node from then on. Errors: those of
    /// [`Scope::cdev`].
    fn register(
        minors: Minors<'a>,
        index: u32,
        device: F::Device<'a>,
        front: FrontRef,
    ) -> impl PinInit<Self, Error> {
        let found = front.clone();
        let place = Opaque::try_ffi_init(move |slot: *mut Hung| {
            // SAFETY: The slot is ours and does not move any more; the rest of the node is there, with
            // this front.
            unsafe { Self::hang(minors, index, found, slot) }
        });
        Node::new(front, device, place)
    }

    /// Registers the device of a node, whose place is `slot`.
    ///
    /// # Safety
    ///
    /// `slot` is the place of a node with this front, which stays where it is until it is withdrawn, or
    /// this has failed.
    unsafe fn hang(minors: Minors<'_>, index: u32, front: FrontRef, slot: *mut Hung) -> Result {
        if index >= minors.count {
            return Err(EINVAL);
        }
        let minor = minors.first + index;
        // Locked to the end: a program that opens the node before all of it is there waits here, and
        // finds a node, or none. (`misc_register()` holds `misc_mtx` in the same way.)
        let mut regions = Regions::lock();
        let registered = regions.get(minors.region).ok_or(ENODEV)?;
        let devt = registered.first + minor;
        let class = registered.class;
        let number = &mut registered.numbers[minor as usize];
        if !number.cdev.is_null() {
            return Err(EBUSY);
        }
        // SAFETY: No requirement.
        let cdev = NonNull::new(unsafe { bindings::cdev_alloc() })
            .ok_or(ENOMEM)?
            .as_ptr();
        // SAFETY: Just allocated, so it is ours to fill. Operations are static; they stay loaded while a
        // file is being opened or open, since the module is the owner.
        let added = unsafe {
            (*cdev).ops = &Self::OPERATIONS;
            (*cdev).owner = this_module::<F::OwnerModule>().as_ptr();
            to_result(bindings::cdev_add(cdev, devt, 1))
        };
        if let Err(error) = added {
            // SAFETY: Not added, and ours.
            unsafe { bindings::kobject_put(&raw mut (*cdev).kobj) };
            return Err(error);
        }
        // SAFETY: The class is registered, and stays while the minors are taken. The parent is bound.
        let device = from_err_ptr(unsafe {
            helpers::devscope_device_create(
                class,
                // A `Device` is a transparent wrapper.
                ptr::from_ref(minors.parent).cast_mut().cast(),
                devt,
                front.name().as_char_ptr(),
            )
        });
        match device {
            Ok(device) => {
                // SAFETY: The slot is ours.
                unsafe {
                    slot.write(Hung {
                        region: minors.region,
                        minor,
                        cdev,
                        device,
                    });
                }
                // INVARIANT: It stands in a node with this front: requirement of this function.
                *number = Number {
                    taken: true,
                    cdev,
                    node: slot.cast(),
                    front: Some(front),
                };
                Ok(())
            }
            Err(error) => {
                // SAFETY: Added above. Whoever found it meanwhile waits for the lock, and will find
                // nothing in the region.
                unsafe { bindings::cdev_del(cdev) };
                Err(error)
            }
        }
    }

    const OPERATIONS: bindings::file_operations = file::operations::<F>(Self::open);

    /// # Safety
    ///
    /// `file` is being opened, by way of a `cdev` that has these operations.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: We pass on what we were given. `chrdev_open()` has counted the device that the inode
        // has, and keeps it until we return.
        let (error, cdev, devt) = unsafe {
            let error = bindings::generic_file_open(inode, file);
            (error, helpers::devscope_inode_cdev(inode), (*inode).i_rdev)
        };
        if error != 0 {
            return error;
        }
        let Some((front, place)) = Regions::lock().node_of(cdev, devt) else {
            return ENODEV.to_errno();
        };
        // SAFETY: This device has our operations, so its node is a `Cdev<F>`; `place` stands in it. Only
        // an address is computed here. What is there is looked at inside the gate, by `file::open`, and
        // lasts until it is idle.
        unsafe {
            let device = place
                .byte_sub(offset_of!(Self, place))
                .cast::<Cdev<'static, F>>();
            let device: *const Body<F::Device<'static>> = &raw const (*device).device;
            file::open::<F>(&front, device, file)
        }
    }
}

impl<'a> Scope<'a> {
    /// Takes `count` minors of a region, next to each other, for device nodes of this scope.
    ///
    /// The lowest that are free. `parent` is the device below which the nodes are found in sysfs; with
    /// `dev` of a bus, `dev.as_ref()`. They are given back when the scope has ended.
    ///
    /// May sleep. Errors: `EINVAL` for none, or more than the region has; `ENOSPC` if so many are not
    /// free; `ENOMEM`; where this is the first device, `EBUSY` if no major is left, and `EEXIST` if there
    /// is a class of the region's name already (`alloc_chrdev_region()` in `fs/char_dev.c`,
    /// `class_create()` in `drivers/base/class.c`).
    pub fn minors(
        &mut self,
        region: &'static Region,
        count: u32,
        parent: &'a Device<Bound>,
    ) -> Result<Minors<'a>> {
        let taken = self.join(try_pin_init!(Taken {
            first: Regions::lock().take(region, count)?,
            region,
            count,
        }))?;
        Ok(Minors {
            region,
            first: taken.first,
            count,
            parent,
            _scope: PhantomData,
        })
    }

    /// Registers a character device on the minor `index` (from 0) of `minors`: the node `/dev/<name>`,
    /// with files of type `F`.
    ///
    /// `device` is what operations of `F` are given while the device is bound. Programs may open the
    /// node before this function has returned, so it usually comes last in `attach()`.
    ///
    /// May sleep. Errors: `ENOMEM`; `EINVAL` if there is no such index; `EBUSY` if there is a node on it
    /// already; `EEXIST` if there is a device of this name in the class (`cdev_add()` in
    /// `fs/char_dev.c`, `device_create()` in `drivers/base/core.c`).
    pub fn cdev<F: File>(
        &mut self,
        minors: Minors<'a>,
        index: u32,
        name: fmt::Arguments<'_>,
        device: F::Device<'a>,
    ) -> Result {
        let front = self.front(CString::try_from_fmt(name)?)?;
        self.join(Cdev::<'a, F>::register(minors, index, device, front))
            .map(drop)
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_cdev)]
mod tests {
    use super::*;

    static REGION: Region = Region::new(c"devscope_kunit", 4);

    #[test]
    fn minors_are_the_lowest_that_are_free_and_next_to_each_other() -> Result {
        let mut regions = Regions::lock();
        let first = regions.take(&REGION, 1)?;
        let second = regions.take(&REGION, 2)?;
        let full = regions.take(&REGION, 2);
        regions.give_back(&REGION, first, 1);
        let still_full = regions.take(&REGION, 2);
        let again = regions.take(&REGION, 1)?;
        regions.give_back(&REGION, second, 2);
        let three = regions.take(&REGION, 3)?;
        regions.give_back(&REGION, again, 1);
        regions.give_back(&REGION, three, 3);
        let left = regions.get(&REGION).is_some();
        drop(regions);
        assert_eq!(first, 0);
        assert_eq!(second, 1);
        assert!(full == Err(ENOSPC));
        assert!(still_full == Err(ENOSPC));
        assert_eq!(again, 0);
        assert_eq!(three, 1);
        assert!(!left);
        Ok(())
    }

    #[test]
    fn a_region_has_so_many_minors_and_not_more() -> Result {
        let mut regions = Regions::lock();
        let none = regions.take(&REGION, 0);
        let many = regions.take(&REGION, 5);
        let left = regions.get(&REGION).is_some();
        drop(regions);
        assert!(none == Err(EINVAL));
        assert!(many == Err(EINVAL));
        assert!(!left);
        Ok(())
    }
}

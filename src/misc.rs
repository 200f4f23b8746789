// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Misc devices: one node each, on a minor of the major that all of them share.
//!
//! C header: [`include/linux/miscdevice.h`](srctree/include/linux/miscdevice.h)
//!
//! What files do, and what they answer when the device has gone, is the business of
//! [`file`](crate::file). A driver that has several nodes for a device, or several devices, wants
//! numbers of its own: see [`cdev`](crate::cdev).

use crate::{
    file::{self, File, Node, Place},
    front::FrontRef,
    scope::Scope,
};
use core::mem::{offset_of, MaybeUninit};
use kernel::{bindings, error::to_result, prelude::*, types::Opaque};

// SAFETY: `misc_deregister()` takes `misc_mtx`, under which `misc_open()` finds the device and calls
// `open()`: when it has returned, neither happens any more.
unsafe impl Place for Opaque<bindings::miscdevice> {
    unsafe fn withdraw(&self) {
        // SAFETY: Registered when the node was made, and deregistered once: promised by the caller.
        unsafe { bindings::misc_deregister(self.get()) };
    }
}

/// Registers a misc device. Errors: those of [`Scope::misc_device`].
///
/// # Safety
///
/// `slot` is where it stands until it is deregistered. Programs may open it from here on, so it is good
/// for what `fops` makes of it.
unsafe fn register(
    slot: *mut bindings::miscdevice,
    name: &'static CStr,
    fops: &'static bindings::file_operations,
) -> Result {
    // SAFETY: The slot is ours until it is registered; name and operations are static.
    unsafe {
        slot.write(MaybeUninit::zeroed().assume_init());
        (*slot).minor = bindings::MISC_DYNAMIC_MINOR as c_int;
        (*slot).name = name.as_char_ptr();
        (*slot).fops = fops;
        to_result(bindings::misc_register(slot))
    }
}

/// A misc device.
type Misc<'a, F> = Node<'a, F, Opaque<bindings::miscdevice>>;

impl<'a, F: File> Misc<'a, F> {
    /// Makes the member, which is a registered device node from then on. Errors: those of
    /// [`Scope::misc_device`].
    fn register(
        name: &'static CStr,
        device: F::Device<'a>,
        front: FrontRef,
    ) -> impl PinInit<Self, Error> {
        // SAFETY: The slot is ours and does not move any more; the rest of the node is there, and
        // `Withdraw` deregisters the device before the member is freed.
        let place =
            Opaque::try_ffi_init(move |slot| unsafe { register(slot, name, &Self::OPERATIONS) });
        Node::new(front, device, place)
    }

    const OPERATIONS: bindings::file_operations = file::operations::<F>(Self::open);

    /// # Safety
    ///
    /// `file` is being opened, and its `private_data` is the `place` of a registered `Misc<F>`, as
    /// `misc_open()` leaves it.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: We pass on what we were given. `misc_open()` holds `misc_mtx`, so the node is not freed
        // while we are here: `Withdraw` takes the lock before that.
        unsafe {
            let error = bindings::generic_file_open(inode, file);
            if error != 0 {
                return error;
            }
            let node = (*file)
                .private_data
                .byte_sub(offset_of!(Self, place))
                .cast::<Misc<'static, F>>();
            file::open::<F>((*node).front(), &raw const (*node).device, file)
        }
    }
}

impl<'a> Scope<'a> {
    /// Registers a misc device: the node `/dev/<name>`, with files of type `F`.
    ///
    /// `device` is what operations of `F` are given while the device is bound. Programs may open the
    /// node before this function has returned, so it usually comes last in `attach()`.
    ///
    /// May sleep. Errors: `ENOMEM`; `EBUSY` if no minor is left; `EEXIST` if there is a device of
    /// this name already (`misc_register()` in `drivers/char/misc.c`).
    pub fn misc_device<F: File>(&mut self, name: &'static CStr, device: F::Device<'a>) -> Result {
        let front = self.front(name.to_cstring()?)?;
        self.join(Misc::<'a, F>::register(name, device, front))
            .map(drop)
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_misc)]
mod tests {
    use super::*;
    use crate::testing::{Bound, Count};
    use core::ptr;
    use kernel::{sync::Arc, ModuleMetadata, ThisModule};

    /// Whose code the operations are, if it is never unloaded.
    struct NoModule;

    impl ModuleMetadata for NoModule {
        const NAME: &'static CStr = c"devscope_kunit";
        // SAFETY: A null pointer is the module of what is built in.
        const THIS_MODULE: ThisModule = unsafe { ThisModule::from_ptr(ptr::null_mut()) };
    }

    #[derive(Default)]
    struct Data {
        opens: Count,
        refuse: Count,
    }

    /// An open file that counts its ends.
    struct Counted {
        released: Count,
    }

    #[vtable]
    impl File for Counted {
        type OwnerModule = NoModule;
        type Device<'a> = (&'a Data, Arc<Counted>);

        fn open((data, file): &Self::Device<'_>) -> Result<Arc<Self>> {
            if data.refuse.get() != 0 {
                return Err(EPERM);
            }
            data.opens.up();
            Ok(file.clone())
        }

        fn ioctl(&self, (data, _): &Self::Device<'_>, cmd: u32, arg: usize) -> Result<isize> {
            match cmd {
                1 => Ok(arg as isize + data.opens.get() as isize),
                _ => Err(ENOTTY),
            }
        }

        fn release(this: Arc<Self>) {
            this.released.up();
        }
    }

    type Operations<'a> = Misc<'a, Counted>;

    /// What the kernel keeps for an open file, and passes to its operations.
    struct Opened(KBox<MaybeUninit<bindings::file>>);

    impl Opened {
        fn new() -> Result<Self> {
            Ok(Self(KBox::new(MaybeUninit::zeroed(), GFP_KERNEL)?))
        }

        /// Opens the file, as `misc_open()` does.
        fn open(&mut self, node: &Operations<'_>) -> Result<c_int> {
            let mut inode = KBox::new(MaybeUninit::<bindings::inode>::zeroed(), GFP_KERNEL)?;
            let file = self.0.as_mut_ptr();
            // SAFETY: The node is registered, and all zeroes will do for the rest of the file and for
            // its inode: of these, only flags and size are read.
            Ok(unsafe {
                (*file).private_data = node.place.get().cast();
                Operations::open(inode.as_mut_ptr(), file)
            })
        }

        fn ioctl(&mut self, cmd: u32, arg: usize) -> isize {
            // SAFETY: Tests call this for files that are open.
            unsafe { file::ioctl::<Counted>(self.0.as_mut_ptr(), cmd, arg) }
        }

        fn release(mut self) {
            // SAFETY: Tests call this for files that are open, and `self` goes.
            unsafe { file::release::<Counted>(ptr::null_mut(), self.0.as_mut_ptr()) };
        }
    }

    fn counted() -> Result<Arc<Counted>> {
        let released = Count::default();
        Ok(Arc::new(Counted { released }, GFP_KERNEL)?)
    }

    #[test]
    fn an_open_file_outlives_the_device_and_answers_enodev() -> Result {
        let kept = counted()?;
        let bound = Bound::new(Data::default())?;
        let mut file = Opened::new()?;
        let (mut opened, mut answer, mut unknown) = (0, 0, 0);
        bound.attach(|data, scope| {
            let name = c"devscope_kunit";
            let front = scope.front(name.to_cstring()?)?;
            let register = Misc::register(name, (data, kept.clone()), front);
            let node: &Operations<'_> = scope.join(register)?;
            opened = file.open(node)?;
            answer = file.ioctl(1, 41);
            unknown = file.ioctl(2, 0);
            Ok(())
        })?;
        bound.unbind();
        let unbound = file.ioctl(1, 41);
        drop(bound);
        let gone = file.ioctl(1, 41);
        let before = kept.released.get();
        file.release();
        assert_eq!(opened, 0);
        assert_eq!(answer, 42);
        assert_eq!(unknown, ENOTTY.to_errno() as isize);
        assert_eq!(unbound, ENODEV.to_errno() as isize);
        assert_eq!(gone, ENODEV.to_errno() as isize);
        assert_eq!(before, 0);
        assert_eq!(kept.released.get(), 1);
        assert!(Arc::into_unique_or_drop(kept).is_some());
        Ok(())
    }

    #[test]
    fn a_file_that_the_driver_refuses_is_not_open() -> Result {
        let kept = counted()?;
        let bound = Bound::new(Data::default())?;
        let mut file = Opened::new()?;
        let mut opened = 0;
        bound.attach(|data, scope| {
            data.refuse.set(1);
            let name = c"devscope_kunit";
            let front = scope.front(name.to_cstring()?)?;
            let register = Misc::register(name, (data, kept.clone()), front);
            let node: &Operations<'_> = scope.join(register)?;
            opened = file.open(node)?;
            Ok(())
        })?;
        bound.unbind();
        assert_eq!(opened, EPERM.to_errno());
        assert_eq!(kept.released.get(), 0);
        assert!(Arc::into_unique_or_drop(kept).is_some());
        Ok(())
    }

    #[test]
    fn a_name_is_free_again_when_its_scope_has_ended() -> Result {
        let kept = counted()?;
        let bound = Bound::new(Data::default())?;
        for _ in 0..2 {
            bound.attach(|data, scope| {
                scope.misc_device::<Counted>(c"devscope_kunit", (data, kept.clone()))
            })?;
            bound.unbind();
        }
        drop(bound);
        assert!(Arc::into_unique_or_drop(kept).is_some());
        Ok(())
    }

    #[test]
    fn a_file_has_the_operations_that_are_written_down() {
        assert!(Operations::OPERATIONS.open.is_some());
        assert!(Operations::OPERATIONS.release.is_some());
        assert!(Operations::OPERATIONS.unlocked_ioctl.is_some());
        assert!(Operations::OPERATIONS.read_iter.is_none());
        assert!(Operations::OPERATIONS.write_iter.is_none());
        assert!(Operations::OPERATIONS.poll.is_none());
    }
}

//! Kernel modules: what is loaded, and its name.
//!
//! C header: `include/linux/module.h`; mirrors `rust/kernel/module.rs`. A hosted module's object is
//! on the heap, pinned, from `Machine::load()` until it is unloaded.

use crate::{
    bindings,
    error::{Error, Result},
    ffi::c_int,
    str::CStr,
    types::Opaque,
};
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use pinned_init::PinInit;

/// A module that is made and then moved into place.
///
/// What has to be undone when it is unloaded belongs into its `Drop`.
pub trait Module: Sized + Sync + Send {
    /// Loads the module.
    fn init(module: &'static ThisModule) -> Result<Self>;
}

/// A module that is made in place.
pub trait InPlaceModule: Sync + Send {
    /// An initializer for the module, run when it is loaded.
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error>;
}

impl<T: Module> InPlaceModule for T {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let init = move |slot: *mut Self| {
            let value = <Self as Module>::init(module)?;
            // SAFETY: Valid for writes, as `pin_init_from_closure` promises.
            unsafe { slot.write(value) };
            Ok(())
        };
        // SAFETY: Writes the slot if and only if it returns `Ok`.
        unsafe { pinned_init::pin_init_from_closure(init) }
    }
}

/// What `module!` says about a module.
pub trait ModuleMetadata {
    /// Its name.
    const NAME: &'static CStr;

    /// Its `THIS_MODULE`.
    const THIS_MODULE: ThisModule;
}

/// The `THIS_MODULE` of a module, by type.
pub const fn this_module<M: ModuleMetadata>() -> &'static ThisModule {
    &M::THIS_MODULE
}

/// C's `THIS_MODULE`.
pub struct ThisModule(*mut bindings::module);

// SAFETY: The pointer is only handed to C functions, from any thread.
unsafe impl Sync for ThisModule {}

impl ThisModule {
    /// Wraps the pointer.
    ///
    /// # Safety
    ///
    /// It is the module's `THIS_MODULE`.
    pub const unsafe fn from_ptr(ptr: *mut bindings::module) -> ThisModule {
        ThisModule(ptr)
    }

    /// The pointer.
    pub const fn as_ptr(&self) -> *mut bindings::module {
        self.0
    }
}

/// For `module!`: the `struct module` of a module. Nobody looks inside; its address is its name.
#[doc(hidden)]
pub struct ModuleStatic(Opaque<bindings::module>);

// SAFETY: Gives out its address and nothing else.
unsafe impl Sync for ModuleStatic {}

impl ModuleStatic {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(Opaque::zeroed())
    }

    pub const fn get(&self) -> *mut bindings::module {
        self.0.get()
    }
}

/// For `module!`: the module itself, pinned on the heap while it is loaded.
#[doc(hidden)]
pub struct ModulePlace<M> {
    module: AtomicPtr<M>,
}

impl<M: ModuleMetadata + InPlaceModule> ModulePlace<M> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            module: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// Makes the module. `path` is the Rust module that it is in.
    pub fn init(&self, path: &'static str) -> c_int {
        crate::print::register(path, M::NAME);
        let mut slot = Box::<M>::new_uninit();
        let init = M::init(this_module::<M>());
        // SAFETY: The slot does not move until `exit`, and is only freed after an error.
        if let Err(error) = unsafe { init.__pinned_init(slot.as_mut_ptr()) } {
            return error.to_errno();
        }
        // An earlier one may be there: a run that found a bug is abandoned, not unloaded.
        self.module.store(Box::into_raw(slot).cast(), Relaxed);
        0
    }

    /// Drops the module.
    ///
    /// # Safety
    ///
    /// `init` has returned 0, and `exit` was not called since.
    pub unsafe fn exit(&self) {
        let module = self.module.swap(core::ptr::null_mut(), Relaxed);
        // SAFETY: An initialised `M` in a `Box`: asked of the caller.
        drop(unsafe { Box::from_raw(module) });
    }
}

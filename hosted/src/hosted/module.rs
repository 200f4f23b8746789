//! Loadable modules: their reference counts, `init` and `exit`.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::machine::{at, preempt, step, world, Place, World};
use super::report::Kind;
use super::table::Table;
use crate::bindings::{bool_, module, EAGAIN};
use crate::error::{Error, Result};
use crate::ffi;
use std::panic::Location;
use std::rc::Rc;

#[derive(Debug)]
struct Module {
    name: Rc<str>,
    references: u32,
    /// `exit` has begun: nobody gets a reference any more.
    going: bool,
    place: Place,
    info: &'static ModuleInfo,
}

#[derive(Default, Debug)]
pub(crate) struct Modules {
    loaded: Table<Module>,
}

impl Modules {
    pub(crate) fn left(&self) -> Vec<String> {
        self.loaded
            .iter()
            .map(|(_, module)| format!("loaded      {}  module {}", at(module.place), module.name))
            .collect()
    }
}

/// What `module!` leaves behind in the hosted world, so that a test can load the driver.
#[derive(Debug)]
pub struct ModuleInfo {
    name: &'static str,
    this_module: *mut module,
    init: unsafe extern "C" fn() -> ffi::c_int,
    exit: unsafe extern "C" fn(),
}

// SAFETY: all it holds are addresses of things that exist as long as the process. They are used
// inside executions only, of which one runs at a time.
unsafe impl Sync for ModuleInfo {}

impl ModuleInfo {
    /// A module.
    ///
    /// # Safety
    ///
    /// `init` and `exit` are what Linux calls them: `init` may be called first, and again after
    /// `exit`; `exit` may be called once after each `init` that returned 0.
    pub const unsafe fn new(
        name: &'static str,
        this_module: *mut module,
        init: unsafe extern "C" fn() -> ffi::c_int,
        exit: unsafe extern "C" fn(),
    ) -> Self {
        Self {
            name,
            this_module,
            init,
            exit,
        }
    }

    /// The module's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its key: several modules may have no `struct module`.
    fn key(&self) -> usize {
        match self.this_module.is_null() {
            true => self as *const Self as usize,
            false => self.this_module as usize,
        }
    }
}

/// A module that is loaded. It stays loaded when this is dropped, and then the run reports it.
#[derive(Debug)]
#[must_use = "a module that is never unloaded is reported as a leak"]
pub struct Loaded {
    info: &'static ModuleInfo,
}

#[track_caller]
pub(crate) fn load(info: &'static ModuleInfo) -> Result<Loaded> {
    let place = Location::caller();
    let name: Rc<str> = info.name.into();
    step("loads module", &name, place);
    world(|w| {
        if w.modules.loaded.get(info.key()).is_some() {
            let facts = [format!("loaded      {}", at(place))];
            w.fail(
                Kind::Misuse,
                format!("module {name} is loaded twice"),
                &facts,
            );
        }
        let module = Module {
            name: name.clone(),
            references: 0,
            going: false,
            place,
            info,
        };
        w.modules.loaded.set(info.key(), module);
    });
    // SAFETY: `ModuleInfo::new` was promised that this may be called now: the module is not loaded.
    let result = unsafe { (info.init)() };
    if result != 0 {
        world(|w| w.modules.loaded.remove(info.key()));
        return Err(Error::from_errno(result));
    }
    world(|w| w.note("has loaded module", &name, Some(place)));
    Ok(Loaded { info })
}

impl Loaded {
    /// Unload the module: `EAGAIN` (with the module still loaded) while something uses it, as
    /// `delete_module()` says it.
    #[track_caller]
    pub fn unload(&self) -> Result {
        let place = Location::caller();
        let name: Rc<str> = self.info.name.into();
        step("unloads module", &name, place);
        let busy = world(|w| {
            let module = w.modules.loaded.get_mut(self.info.key());
            match module.filter(|module| module.references == 0 && !module.going) {
                Some(module) => {
                    module.going = true;
                    false
                }
                None => true,
            }
        });
        if busy {
            return Err(Error::from_errno(-(EAGAIN as ffi::c_int)));
        }
        // SAFETY: `ModuleInfo::new` was promised that this may be called now: `init` returned 0,
        // and `going` has just become true, which it does once.
        unsafe { (self.info.exit)() };
        world(|w| {
            w.modules.loaded.remove(self.info.key());
            w.note("has unloaded module", &name, Some(place));
        });
        Ok(())
    }

    /// How many references hold the module.
    pub fn references(&self) -> u32 {
        world(|w| {
            w.modules
                .loaded
                .get(self.info.key())
                .map_or(0, |module| module.references)
        })
    }
}

/// Unload what the scenario has left loaded, last first. What is in use stays, and is reported.
pub(crate) fn unload_all() {
    let mut loaded: Vec<&'static ModuleInfo> = world(|w| {
        w.modules
            .loaded
            .iter()
            .map(|(_, module)| module.info)
            .collect()
    });
    while let Some(info) = loaded.pop() {
        let _ = Loaded { info }.unload();
    }
}

impl World {
    /// `try_module_get`. What is not a loaded module is built in, and never goes.
    pub(crate) fn get_module(&mut self, owner: *mut module) -> bool {
        match self.modules.loaded.get_mut(owner as usize) {
            Some(module) if module.going => false,
            Some(module) => {
                module.references += 1;
                true
            }
            None => true,
        }
    }

    pub(crate) fn put_module(&mut self, owner: *mut module) {
        if let Some(module) = self.modules.loaded.get_mut(owner as usize) {
            if module.references == 0 {
                let message = format!("module {} is put more often than got", module.name);
                self.fail(Kind::Misuse, message, &[]);
            }
            module.references -= 1;
        }
    }
}

pub unsafe fn try_module_get(module: *mut module) -> bool_ {
    preempt();
    world(|w| w.get_module(module))
}

pub unsafe fn __module_get(module: *mut module) {
    preempt();
    world(|w| w.get_module(module));
}

pub unsafe fn module_put(module: *mut module) {
    preempt();
    world(|w| w.put_module(module));
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Somebody wants to unload the module while its node is open, bound or not.
//!
//! A node had no owner, so nothing kept the module whose code its files run; a framework named itself as the
//! owner, and the module with the driver could go. Here there is no node without an owner, and the owner is a
//! module, by its type. The framework here is generic over its driver, and passes on whose module it is.

use crate::{
    harness::reached,
    stage::{bind, canary, touch, Data, Shape, Shaped},
};
use devscope::{file::File, Scope};
use kernel::{
    hosted::{edu::Edu, relax, Machine},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
    ModuleMetadata,
};
use std::marker::PhantomData;

pub const BUGS: &[&str] = &["rfkill-fops-owner"];
pub const REACHES: &[&str] = &[
    "unload while a file was open",
    "unload while a file was open and the device unbound",
    "open() of a module that was being unloaded",
    "unloaded after the last close",
];

/// A framework, whose files run code of whoever uses it.
mod framework {
    use super::*;

    pub trait Client: Send + Sync + 'static {
        /// Which module has the code.
        type Module: ModuleMetadata;

        fn control(&self, value: usize);
    }

    pub struct Node<C>(PhantomData<fn() -> C>);

    #[vtable]
    impl<C: Client> File for Node<C> {
        type Device<'a> = &'a C;
        type OwnerModule = C::Module;

        fn open(_: &&C) -> Result<Arc<Self>> {
            Ok(Arc::new(Node(PhantomData), GFP_KERNEL)?)
        }

        fn ioctl(&self, client: &&C, _: u32, arg: usize) -> Result<isize> {
            client.control(arg);
            Ok(0)
        }
    }

    pub fn register<'a, C: Client>(client: &'a C, scope: &mut Scope<'a>) -> Result {
        scope.misc_device::<Node<C>>(c"uio", client)
    }
}

pub struct Own {
    controlled: KBox<Atomic<i64>>,
    value: Atomic<u32>,
}

impl framework::Client for Own {
    type Module = module::Owner;

    fn control(&self, value: usize) {
        touch(&self.controlled);
        self.value.store(value as u32, Relaxed);
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Own;

    fn own() -> impl PinInit<Own, Error> {
        try_init!(Own {
            controlled: canary()?,
            value: Atomic::new(0),
        }? Error)
    }

    fn attach<'a>(own: &'a Data<'_, Own>, scope: &mut Scope<'a>) -> Result {
        framework::register::<Own>(own, scope)
    }
}

pub fn scenario(machine: &Machine) {
    let (module, slot) = bind(machine, &module::MODULE, Edu::new());
    let file = machine.open("uio").expect("the node opens");
    assert_eq!(module.unload(), Err(EAGAIN));
    reached("unload while a file was open");
    let unbound = machine.choose(2) == 0;
    if unbound {
        slot.unbind().expect("the device unbinds");
        assert_eq!(file.ioctl(1, 1), Err(ENODEV));
        assert_eq!(module.unload(), Err(EAGAIN));
        reached("unload while a file was open and the device unbound");
    }
    let m = *machine;
    let program = machine.spawn("program", move || {
        let _ = file.ioctl(1, 2);
        file.close().expect("close() succeeds");
        // Again, and perhaps too late.
        match m.open("uio") {
            Ok(file) => {
                let _ = file.ioctl(1, 3);
                file.close().expect("close() succeeds");
            }
            Err(ENOENT) => {}
            Err(_) => reached("open() of a module that was being unloaded"),
        }
    });
    while let Err(error) = module.unload() {
        assert_eq!(error, EAGAIN);
        relax();
    }
    reached("unloaded after the last close");
    program.join();
    assert!(!slot.is_bound());
    slot.unplug();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A node that cannot be added: its name is taken, or there is no memory at one place or another.
//!
//! The driver took down, on its way out, the node whose registration had failed. Here a registration that
//! fails leaves nothing behind, and nothing to take it down with; `attach()` may fail for that, or go on
//! without the node.

use crate::{
    harness::reached,
    stage::{canary, touch, Data, Shape, Shaped},
};
use devscope::{cdev::Region, file::File, work::Work, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::{atomic::Atomic, Arc},
    ModuleMetadata,
};
use std::marker::PhantomData;

pub const BUGS: &[&str] = &["uacce-cdev-add-failure"];
pub const REACHES: &[&str] = &[
    "attach() failed since the name was taken",
    "attach() went on without the node",
    "attach() failed since there was no memory",
    "there was memory for everything",
];

static REGION: Region = Region::new(c"uacce", 4);

/// What becomes of the second node, and of `attach()`.
pub trait Variant: Send + Sync + 'static {
    type Module: ModuleMetadata;
    /// The second node's name, if it is not that of the first.
    const NAME: &'static str = "uacce";
    /// Whether `attach()` fails when the node does.
    const FAILS: bool = true;
}

/// Both nodes can be added.
pub struct Both;

impl Variant for Both {
    type Module = module::Owner;
    const NAME: &'static str = "uacce-1";
}

/// The name is taken, and the driver fails.
pub struct Fails;

impl Variant for Fails {
    type Module = failing::Owner;
}

/// The name is taken, and the driver goes on.
pub struct GoesOn;

impl Variant for GoesOn {
    type Module = going_on::Owner;
    const FAILS: bool = false;
}

/// An open file.
struct Node<V>(PhantomData<V>);

#[vtable]
impl<V: Variant> File for Node<V> {
    type Device<'a> = (Work<'a>, KBox<Atomic<i64>>);
    type OwnerModule = V::Module;

    fn open((work, canary): &Self::Device<'_>) -> Result<Arc<Self>> {
        touch(canary);
        work.schedule();
        Ok(Arc::new(Node(PhantomData), GFP_KERNEL)?)
    }
}

driver!(module, super::Driver<super::Both>);
driver!(failing, super::Driver<super::Fails>);
driver!(going_on, super::Driver<super::GoesOn>);
pub struct Driver<V>(PhantomData<V>);

impl<V: Variant> Shape for Driver<V> {
    type Own = ();

    fn own() -> impl PinInit<(), Error> {
        Ok(())
    }

    fn attach<'a>(data: &'a Data<'_, ()>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let work = scope.work(move || touch(&canary))?;
        data.handle(scope, 0, move || {
            work.schedule();
        })?;
        data.raise();
        let minors = scope.minors(&REGION, 2, data.pdev.as_ref())?;
        let mut add = |index, name| {
            scope.cdev::<Node<V>>(minors, index, fmt!("{name}"), (work, self::canary()?))
        };
        add(0, "uacce")?;
        match add(1, V::NAME) {
            Err(EEXIST) if !V::FAILS => Ok(()),
            Err(error) => data.fail(error),
            Ok(()) => Ok(()),
        }
    }
}

pub fn scenario(machine: &Machine) {
    let m = *machine;
    let program = machine.spawn("program", move || {
        for name in ["uacce", "uacce-1", "uacce"] {
            if let Ok(file) = m.open(name) {
                file.close().expect("close() succeeds");
            }
        }
    });
    let module = match machine.choose(3) {
        0 => {
            let module = machine.load(&failing::MODULE).expect("the module loads");
            let slot = machine.plug_pci(Edu::new());
            assert!(!slot.is_bound());
            reached("attach() failed since the name was taken");
            slot.unplug();
            module
        }
        1 => {
            let module = machine.load(&going_on::MODULE).expect("the module loads");
            let slot = machine.plug_pci(Edu::new());
            assert!(slot.is_bound());
            reached("attach() went on without the node");
            slot.unbind().expect("the device unbinds");
            slot.unplug();
            module
        }
        _ => {
            let module = machine.load(&module::MODULE).expect("the module loads");
            let slot = machine.plug_pci(Edu::new());
            assert!(slot.is_bound());
            slot.unbind().expect("the device unbinds");
            // The program allocates as well, so another place may be hit than the number says.
            machine.fail_allocation(1 + machine.choose(40) as u64);
            match slot.bind() {
                Ok(()) => reached("there was memory for everything"),
                Err(error) => {
                    assert_eq!(error, ENOMEM);
                    reached("attach() failed since there was no memory");
                }
            }
            machine.fail_allocation(0);
            slot.unplug();
            module
        }
    };
    program.join();
    module.unload().expect("the module unloads");
}

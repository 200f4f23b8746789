// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the shapes have in common: a PCI device with an interrupt, a driver whose own data is what differs,
//! another subsystem that calls whenever it likes, and marks for what was reached.

use crate::harness::reached;
use devscope::{pci::Driver, Scheduled, Scope};
use kernel::{
    device::{Bound, Core},
    hosted::{edu::Edu, Loaded, Machine, ModuleInfo, PciSlot},
    io::Io,
    irq::{Flags, IrqReturn},
    pci,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};
use std::{marker::PhantomData, ops::Deref, sync::Arc};

pub use crate::base::{canary, regs, unbind_while};

/// A driver, but for what probing has in common.
pub trait Shape: Sized + Send + Sync + 'static {
    /// The driver's own passive data: what is in its C structure beside registers and vectors.
    type Own: Send + Sync + 'static;

    /// How many vectors to ask for.
    const VECTORS: u32 = 1;

    fn own() -> impl PinInit<Self::Own, Error>;

    fn attach<'a>(data: &'a Data<'_, Self::Own>, scope: &mut Scope<'a>) -> Result;

    fn unbind(_data: &Data<'_, Self::Own>) {}
}

/// Everything passive. Reads as the driver's own data.
#[pin_data]
pub struct Data<'bound, T> {
    pub dev: &'bound pci::Device<Bound>,
    pub bar: pci::Bar<'bound, { regs::SIZE }>,
    pub vectors: pci::IrqVectorRegistration<'bound>,
    going: Atomic<bool>,
    #[pin]
    own: T,
}

impl<T> Deref for Data<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.own
    }
}

impl<T: Send + Sync> Data<'_, T> {
    /// Has the device raise an interrupt.
    pub fn raise(&self) {
        self.bar.write32(1, regs::RAISE);
    }

    /// Reads and acknowledges what the device asks for; 0 if it did not ask.
    pub fn acknowledge(&self) -> u32 {
        let status = self.bar.read32(regs::INTERRUPT_STATUS);
        if status != 0 {
            self.bar.write32(status, regs::ACKNOWLEDGE);
        }
        status
    }

    /// Whether the end has begun: `unbind()` was called, or `attach()` is about to fail.
    pub fn is_going(&self) -> bool {
        self.going.load(Relaxed)
    }

    /// That a scenario has come to `mark` when the end had begun.
    pub fn reached_if_going(&self, mark: &'static str) {
        if self.is_going() {
            reached(mark);
        }
    }

    /// What `attach()` returns when it fails.
    pub fn fail(&self, error: Error) -> Result {
        self.going.store(true, Relaxed);
        Err(error)
    }

    /// Registers a handler of the `index`th vector that acknowledges and then does `and`.
    pub fn handle<'a>(
        &'a self,
        scope: &mut Scope<'a>,
        index: usize,
        and: impl Fn() + Send + Sync + 'a,
    ) -> Result {
        let canary = canary()?;
        let line = self.vectors.index(index)?;
        scope.irq(line, Flags::SHARED, c"shape", move || {
            if self.acknowledge() == 0 {
                return IrqReturn::None;
            }
            touch(&canary);
            and();
            IrqReturn::Handled
        })?;
        Ok(())
    }
}

/// The driver of a shape.
pub struct Shaped<S>(PhantomData<S>);

impl<S: Shape> Driver for Shaped<S> {
    type IdInfo = ();
    type Data<'bound> = Data<'bound, S::Own>;
    const ID_TABLE: pci::IdTable<()> = crate::base::EDU;

    fn probe<'bound>(
        dev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        let bound: &'bound pci::Device<Bound> = dev;
        try_pin_init!(Data {
            dev: bound,
            bar: {
                dev.enable_device_mem()?;
                dev.set_master();
                dev.iomap_region_sized(0, c"shape")?
            },
            vectors: dev.alloc_irq_vectors(S::VECTORS, S::VECTORS, pci::IrqTypes::all())?,
            going: Atomic::new(false),
            own <- S::own(),
        })
    }

    fn attach<'a>(
        _dev: &'a pci::Device<Bound>,
        data: Pin<&'a Self::Data<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        S::attach(data.get_ref(), scope)
    }

    fn unbind(_dev: &pci::Device<Core<'_>>, data: Pin<&Self::Data<'_>>) {
        data.going.store(true, Relaxed);
        S::unbind(data.get_ref());
    }
}

/// Uses what a closure owns, for the ledger to notice if it has gone.
pub fn touch(canary: &kernel::sync::atomic::Atomic<i64>) {
    canary.add(1, kernel::sync::atomic::Relaxed);
}

/// That a scenario has come to `mark`, if this is how a handle answered when it was too late.
pub fn if_refused(answer: Scheduled, mark: &'static str) {
    if answer == Scheduled::Refused {
        reached(mark);
    }
}

/// Loads the module and plugs the device in, to which it binds.
pub fn bind(machine: &Machine, module: &'static ModuleInfo, edu: Arc<Edu>) -> (Loaded, PciSlot) {
    let module = machine.load(module).expect("the module loads");
    let slot = machine.plug_pci(edu);
    assert!(slot.is_bound());
    (module, slot)
}

/// Takes away what [`bind`] has made.
pub fn take_away(module: Loaded, slot: PciSlot) {
    module.unload().expect("the module unloads");
    slot.unplug();
}

/// Another subsystem, or another driver: it keeps callbacks, and calls them for as long as it likes.
///
/// It stands in for those that Rust has no binding for. What it asks is what any safe binding has to ask
/// of a callback that nobody is sure to take back in time: that it is `'static`. It is the worst of its
/// kind, since it never lets go of one.
pub mod outside {
    use kernel::{
        hosted::{edu::Edu, relax, Machine, ModuleInfo},
        prelude::*,
    };
    use std::sync::{Arc, Mutex, PoisonError};

    type Callback = Arc<dyn Fn(u32) -> Result + Send + Sync>;

    static CALLBACKS: Mutex<std::vec::Vec<Callback>> = Mutex::new(std::vec::Vec::new());

    /// All callbacks. The lock is a real one, and must not be held while the model changes tasks.
    fn with<R>(f: impl FnOnce(&mut std::vec::Vec<Callback>) -> R) -> R {
        f(&mut CALLBACKS.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a callback. It may be called from now on.
    pub fn register(callback: impl Fn(u32) -> Result + Send + Sync + 'static) {
        let callback: Callback = Arc::new(callback);
        with(|callbacks| callbacks.push(callback));
    }

    /// Calls all that there are. Returns what the last one answered, or `ENXIO` if there is none.
    pub fn call(value: u32) -> Result {
        let callbacks = with(|callbacks| callbacks.clone());
        callbacks.iter().fold(Err(ENXIO), |_, call| call(value))
    }

    /// Lets go of everything, at the end of a scenario.
    pub fn forget() {
        drop(with(std::mem::take));
    }
    /// Unbinds the device while the subsystem calls, which goes on when the device has gone.
    pub fn calls_until_after_the_end(machine: &Machine, module: &'static ModuleInfo) {
        let (module, slot) = super::bind(machine, module, Edu::new());
        let subsystem = machine.spawn("subsystem", || {
            for value in 1..5 {
                let _ = call(value);
            }
        });
        slot.unbind().expect("the device unbinds");
        assert_eq!(call(9), Err(ENODEV));
        subsystem.join();
        assert_eq!(call(9), Err(ENODEV));
        forget();
        super::take_away(module, slot);
    }

    /// The same for a driver whose `attach()` fails: the subsystem calls before, meanwhile, and afterwards.
    pub fn calls_while_attach_fails(machine: &Machine, module: &'static ModuleInfo) {
        let module = machine.load(module).expect("the module loads");
        let subsystem = machine.spawn("subsystem", || {
            while call(1) != Err(ENODEV) {
                relax();
            }
        });
        let slot = machine.plug_pci(Edu::new());
        assert!(!slot.is_bound());
        assert_eq!(call(9), Err(ENODEV));
        subsystem.join();
        forget();
        super::take_away(module, slot);
    }
}

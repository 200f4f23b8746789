// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the shapes have in common: a PCI device with an interrupt, a driver whose own data is what differs,
//! another subsystem that calls whenever it likes, and marks for what was reached.

use crate::harness::reached;
use devscope::{pci::Driver, Scheduled, Scope};
use kernel::{
    device::{Bound, Core},
    hosted::{edu::Edu, IrqPin, Loaded, Machine, ModuleInfo, OpenFile, PciIds, PciModel, PciSlot},
    io::Io,
    irq::{Flags, IrqReturn},
    pci,
    prelude::*,
    sync::atomic::{Acquire, Atomic, Release},
};
use std::{
    marker::PhantomData,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

pub use crate::base::{canary, regs, unbind_while};

/// A driver, but for what probing has in common.
pub trait Shape: Sized + Send + Sync + 'static {
    /// The driver's own passive data: what is in its C structure beside registers and vectors.
    type Own: Send + Sync + 'static;

    /// How many vectors to ask for.
    const VECTORS: u32 = 1;

    /// Which interrupts to ask for.
    fn irqs() -> pci::IrqTypes {
        pci::IrqTypes::all()
    }

    fn own() -> impl PinInit<Self::Own, Error>;

    fn attach<'a>(data: &'a Data<'_, Self::Own>, scope: &mut Scope<'a>) -> Result;

    fn unbind(_data: &Data<'_, Self::Own>) {}
}

/// Everything passive. Reads as the driver's own data.
#[pin_data]
pub struct Data<'bound, T> {
    pub pdev: &'bound pci::Device<Bound>,
    pub bar: pci::Bar<'bound, { regs::SIZE }>,
    pub vectors: pci::IrqVectorRegistration<'bound>,
    /// Whether the end has begun. For marks: no driver looks at it.
    unbinding: Atomic<bool>,
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
    pub fn is_unbinding(&self) -> bool {
        self.unbinding.load(Acquire)
    }

    /// The mark is reached if the end has begun.
    pub fn late(&self, mark: &'static str) {
        if self.is_unbinding() {
            reached(mark);
        }
    }

    /// What `attach()` returns when it fails.
    pub fn fail(&self, error: Error) -> Result {
        self.unbinding.store(true, Release);
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
            pdev: bound,
            bar: {
                dev.enable_device_mem()?;
                dev.set_master();
                dev.iomap_region_sized(0, c"shape")?
            },
            vectors: dev.alloc_irq_vectors(S::VECTORS, S::VECTORS, S::irqs())?,
            unbinding: Atomic::new(false),
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
        data.unbinding.store(true, Release);
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

/// As [`unbind_while`], while another subsystem calls what it was given with [`outside::register`]: it does
/// not know that the device goes, and calls once more when it has gone.
pub fn unbind_while_called(
    machine: &Machine,
    module: &'static ModuleInfo,
    model: Arc<impl PciModel>,
    hardware: impl FnOnce() + 'static,
) {
    let module = machine.load(module).expect("the module loads");
    let slot = machine.plug_pci(model);
    assert!(slot.is_bound());
    let hardware = machine.spawn("hardware", hardware);
    let subsystem = machine.spawn("subsystem", || {
        for value in 1..6 {
            let _ = outside::call(value);
        }
    });
    slot.unbind().expect("the device unbinds");
    assert_eq!(outside::call(6), Err(ENODEV));
    subsystem.join();
    hardware.join();
    outside::forget();
    module.unload().expect("the module unloads");
    slot.unplug();
}

/// As [`unbind_while`], while a program uses a node of the device, which it has opened before.
pub fn unbind_while_open(
    machine: &Machine,
    module: &'static ModuleInfo,
    model: Arc<impl PciModel>,
    hardware: impl FnOnce() + 'static,
    node: &str,
    program: impl FnOnce(&OpenFile) + 'static,
) {
    let module = machine.load(module).expect("the module loads");
    let slot = machine.plug_pci(model);
    let file = machine.open(node).expect("the node opens");
    let hardware = machine.spawn("hardware", hardware);
    let program = machine.spawn("program", move || {
        program(&file);
        file.close().expect("the file closes");
    });
    slot.unbind().expect("the device unbinds");
    hardware.join();
    program.join();
    module.unload().expect("the module unloads");
    slot.unplug();
}

/// A device with four messages: each bit that is written to `RAISE` sends one.
#[derive(Default)]
pub struct Messages(Mutex<Option<IrqPin>>);

impl Messages {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Sends the messages of these bits.
    pub fn raise(&self, messages: u32) {
        let pin = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pin) = pin else { return };
        for message in (0..4).filter(|message| messages >> message & 1 != 0) {
            pin.message(message);
        }
    }
}

impl PciModel for Messages {
    fn ids(&self) -> PciIds {
        PciIds {
            vendor: 0x1234,
            device: 0x0004,
            class: 0x00ff00,
            ..PciIds::default()
        }
    }

    fn bars(&self) -> std::vec::Vec<u64> {
        std::vec![0x1000]
    }

    fn msi_x(&self) -> usize {
        4
    }

    fn attached(&self, pin: IrqPin) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(pin);
    }

    /// Whoever asks whether it was this device is told yes.
    fn read(&self, _bar: usize, _offset: u64, _size: usize) -> u64 {
        1
    }

    fn write(&self, _bar: usize, offset: u64, _size: usize, value: u64) {
        if offset == regs::RAISE as u64 {
            self.raise(value as u32);
        }
    }
}

/// Another subsystem, or another driver: it keeps callbacks, and calls them for as long as it likes.
///
/// It stands in for those that Rust has no binding for. What it asks is what any safe binding has to ask
/// of a callback that nobody is sure to take back in time: that it is `'static`. It is the worst of its
/// kind, since it never lets go of one.
pub mod outside {
    use crate::harness::reached;
    use devscope::Scheduled;
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
        let mut answer = Err(ENXIO);
        for call in &callbacks {
            answer = call(value);
        }
        answer
    }

    /// What a callback answers that has tried to schedule something behind an entrance.
    pub fn answer(tried: Option<Scheduled>) -> Result {
        match tried {
            Some(Scheduled::Queued | Scheduled::Pending) => return Ok(()),
            Some(Scheduled::Refused) => reached("refused: what was to be scheduled"),
            None => reached("refused: the entrance is closed"),
        }
        Err(ENODEV)
    }

    /// Lets go of everything, at the end of a scenario.
    pub fn forget() {
        drop(with(std::mem::take));
    }

    /// Unbinds the device while the subsystem calls, which goes on when the device has gone.
    pub fn calls_until_after_the_end(machine: &Machine, module: &'static ModuleInfo) {
        super::unbind_while_called(machine, module, Edu::new(), || {});
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

/// The same for USB: an interface with an endpoint each for bulk and interrupt transfers in either direction.
pub mod usb {
    use devscope::{urb::Request, usb::Driver, Scope};
    use kernel::{
        device::{Bound, Core},
        hosted::{DeviceSlot, GadgetZero, Machine, UsbEndpoint, UsbFunction, UsbInfo, UsbTransfer},
        prelude::*,
        usb::{self, Interface},
    };
    use std::{marker::PhantomData, sync::Arc};

    /// A driver, but for what probing has in common.
    pub trait Shape: Sized + Send + Sync + 'static {
        /// The driver's own passive data.
        type Own: Send + Sync + 'static;

        fn own() -> impl PinInit<Self::Own, Error>;

        fn attach<'a>(
            intf: &'a Interface<Bound>,
            data: &'a Self::Own,
            scope: &mut Scope<'a>,
        ) -> Result;
    }

    /// The driver of a shape.
    pub struct Shaped<S>(PhantomData<S>);

    kernel::usb_device_table!(
        USB_TABLE,
        (),
        [(usb::DeviceId::from_id(0x0525, 0xa4a0), ())]
    );

    impl<S: Shape> Driver for Shaped<S> {
        type IdInfo = ();
        type Data<'bound> = S::Own;
        const ID_TABLE: usb::IdTable<()> = &USB_TABLE;

        fn probe<'bound>(
            _intf: &'bound Interface<Core<'_>>,
            _info: Option<&'bound ()>,
        ) -> impl PinInit<S::Own, Error> + 'bound {
            S::own()
        }

        fn attach<'a>(
            intf: &'a Interface<Bound>,
            data: Pin<&'a S::Own>,
            scope: &mut Scope<'a>,
        ) -> Result {
            S::attach(intf, data.get_ref(), scope)
        }
    }

    /// What every device answers.
    pub const GET_STATUS: Request = Request {
        request_type: 0,
        request: 0,
        value: 0,
        index: 0,
    };

    /// What every device does: it sets an LED, say.
    pub const SET_LED: Request = Request {
        request_type: 0x41,
        request: 1,
        value: 0,
        index: 0,
    };

    /// A device that answers, or one that does so at endpoint 0 alone.
    struct Device {
        silent: bool,
    }

    impl UsbFunction for Device {
        fn endpoints(&self) -> std::vec::Vec<UsbEndpoint> {
            let endpoint = |address, interrupt| UsbEndpoint { address, interrupt };
            let all = [(0x81, false), (0x01, false), (0x82, true), (0x02, true)];
            all.map(|(address, interrupt)| endpoint(address, interrupt))
                .into()
        }

        fn transfer(&self, transfer: UsbTransfer<'_>) -> Option<Result<usize>> {
            match transfer.setup {
                None if self.silent => return None,
                Some([0x41, 1, ..]) => return Some(Ok(transfer.data.len())),
                _ => {}
            }
            GadgetZero.transfer(transfer)
        }
    }

    /// Plugs a device in, which answers or does not.
    pub fn plug(machine: &Machine, silent: bool) -> DeviceSlot {
        let info = UsbInfo {
            id: (0x0525, 0xa4a0),
            ..Default::default()
        };
        machine.plug_usb_function(info, Arc::new(Device { silent }))
    }

    /// Loads the module, plugs a device in, lets `meanwhile` happen while it is unbound or pulled out, and
    /// takes everything away.
    pub fn unbind_while(
        machine: &Machine,
        module: &'static kernel::hosted::ModuleInfo,
        meanwhile: impl FnOnce() + 'static,
    ) {
        let module = machine.load(module).expect("the module loads");
        let slot = plug(machine, machine.choose(2) == 0);
        assert!(slot.is_bound());
        let meanwhile = machine.spawn("program", meanwhile);
        let pulled_out = machine.choose(2) == 0;
        if pulled_out {
            slot.unplug();
        } else {
            slot.unbind().expect("the device unbinds");
        }
        meanwhile.join();
        module.unload().expect("the module unloads");
        if !pulled_out {
            slot.unplug();
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! USB transfers, and what submits them and is brought about by them.
//!
//! The drivers are for a device like "Gadget Zero", with an endpoint each for bulk and interrupt transfers
//! in either direction. It answers at once, or never.

use super::canary;
use devscope::{
    file::{File, Kiocb},
    hrtimer::{Clock, Expiry, Restart},
    urb::{Completed, ControlIn, Endpoint, In, Out, Request, Urb},
    usb::Driver,
    Scope,
};
use kernel::{
    device::{Bound, Core},
    hosted::{DeviceSlot, GadgetZero, Machine, UsbEndpoint, UsbFunction, UsbInfo, UsbTransfer},
    iov::IovIterSource,
    new_spinlock_irq,
    prelude::*,
    sync::{
        atomic::{Atomic, Full, Relaxed},
        Arc, Completion, SpinLockIrq,
    },
    time::Delta,
    usb::{self, Interface},
};
use std::{marker::PhantomData, mem, sync::Mutex, vec::Vec};

/// Everything passive, the same for all.
#[pin_data]
pub struct Data {
    #[pin]
    completion: Completion,
    count: Atomic<i32>,
    released: Atomic<bool>,
}

/// A driver but for what it has in common with the others.
pub trait Shape: Sized + Send + Sync + 'static {
    fn attach<'a>(intf: &'a Interface<Bound>, data: &'a Data, scope: &mut Scope<'a>) -> Result;
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
    type Data<'bound> = Data;
    const ID_TABLE: usb::IdTable<()> = &USB_TABLE;

    fn probe<'bound>(
        _intf: &'bound Interface<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Data, Error> + 'bound {
        try_pin_init!(Data {
            completion <- Completion::new(),
            count: Atomic::new(0),
            released: Atomic::new(false),
        })
    }

    fn attach<'a>(
        intf: &'a Interface<Bound>,
        data: Pin<&'a Data>,
        scope: &mut Scope<'a>,
    ) -> Result {
        S::attach(intf, data.get_ref(), scope)
    }
}

/// A device.
#[derive(Default)]
struct Device {
    /// It never answers, but for endpoint 0.
    silent: bool,
    /// What it was sent in bulk.
    received: Mutex<Vec<Vec<u8>>>,
}

impl UsbFunction for Device {
    fn endpoints(&self) -> Vec<UsbEndpoint> {
        let endpoint = |address, interrupt| UsbEndpoint { address, interrupt };
        [
            endpoint(0x81, false),
            endpoint(0x01, false),
            endpoint(0x82, true),
            endpoint(0x02, true),
        ]
        .into()
    }

    fn transfer(&self, transfer: UsbTransfer<'_>) -> Option<Result<usize>> {
        if transfer.setup.is_none() && self.silent {
            return None;
        }
        if transfer.address == 0x01 {
            self.received.lock().unwrap().push(transfer.data.to_vec());
        }
        GadgetZero.transfer(transfer)
    }
}

fn plug(machine: &Machine, device: &std::sync::Arc<Device>) -> DeviceSlot {
    let info = UsbInfo {
        id: (0x0525, 0xa4a0),
        ..Default::default()
    };
    machine.plug_usb_function(info, device.clone())
}

fn silent() -> std::sync::Arc<Device> {
    let silent = true;
    std::sync::Arc::new(Device {
        silent,
        ..Default::default()
    })
}

/// Loads the module, plugs the device in, lets `meanwhile` happen while it is unbound or pulled out, and
/// takes everything away.
fn unbind_while(
    machine: &Machine,
    module: &'static kernel::hosted::ModuleInfo,
    device: std::sync::Arc<Device>,
    meanwhile: impl FnOnce() + 'static,
) {
    let module = machine.load(module).expect("the module loads");
    let slot = plug(machine, &device);
    assert!(slot.is_bound());
    let meanwhile = machine.spawn("program", meanwhile);
    if machine.choose(2) == 0 {
        slot.unplug();
        meanwhile.join();
        module.unload().expect("the module unloads");
    } else {
        slot.unbind().expect("the device unbinds");
        meanwhile.join();
        module.unload().expect("the module unloads");
        slot.unplug();
    }
}

fn unbind(machine: &Machine, module: &'static kernel::hosted::ModuleInfo) {
    unbind_while(machine, module, Default::default(), || {});
}

/// What every device answers, at endpoint 0, which is not switched off before the driver's callback.
const GET_STATUS: Request = Request {
    request_type: 0,
    request: 0,
    value: 0,
    index: 0,
};

// ---- An URB that submits itself again ----

driver!(usb, periodic, super::Periodic);
pub struct Periodic;

impl Shape for Periodic {
    fn attach<'a>(intf: &'a Interface<Bound>, data: &'a Data, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let keys = scope.urb(intf, Endpoint::INTERRUPT_IN, 8, move |keys| {
            canary.add(1, Relaxed);
            data.count.add(1, Relaxed);
            if keys.status().is_ok() {
                assert_eq!(keys.data(), [0; 8]);
                let _ = keys.resubmit();
            }
        })?;
        keys.submit()
    }
}

pub fn an_urb_submits_itself(machine: &Machine) {
    unbind(machine, &periodic::MODULE);
}

// ---- One that takes no notice of errors, at endpoint 0: nobody but the scope takes it back ----

driver!(usb, stubborn, super::Stubborn);
pub struct Stubborn;

impl Shape for Stubborn {
    fn attach<'a>(intf: &'a Interface<Bound>, _data: &'a Data, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let status = scope.urb(intf, Endpoint::CONTROL_IN, 2, move |status| {
            canary.add(1, Relaxed);
            if status.status().is_ok() {
                assert_eq!(status.data(), [1, 0]);
            }
            let _ = status.resubmit(GET_STATUS, 2);
        })?;
        status.submit(GET_STATUS, 2)
    }
}

pub fn a_control_urb_submits_itself_whatever_happens(machine: &Machine) {
    unbind(machine, &stubborn::MODULE);
}

// ---- Two URBs that submit each other ----

driver!(usb, pingpong, super::PingPong);
pub struct PingPong;

impl Shape for PingPong {
    fn attach<'a>(intf: &'a Interface<Bound>, _data: &'a Data, scope: &mut Scope<'a>) -> Result {
        let (ping, slot) = scope.declare_urb(intf, Endpoint::CONTROL_IN, 2)?;
        let (first, second) = (canary()?, canary()?);
        let pong = scope.urb(intf, Endpoint::CONTROL_OUT, 0, move |done| {
            first.add(1, Relaxed);
            drop(done);
            let _ = ping.submit(GET_STATUS, 2);
        })?;
        slot.define(scope, move |done| {
            second.add(1, Relaxed);
            drop(done);
            let _ = pong.submit(GET_STATUS, &[]);
        })?;
        ping.submit(GET_STATUS, 2)
    }
}

pub fn two_urbs_keep_each_other_going(machine: &Machine) {
    unbind(machine, &pingpong::MODULE);
}

// ---- An URB and its work ----

driver!(usb, working, super::Working);
pub struct Working;

impl Shape for Working {
    fn attach<'a>(intf: &'a Interface<Bound>, _data: &'a Data, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        let (work, slot) = scope.declare_work()?;
        let urb = scope.urb(intf, Endpoint::BULK_IN, 64, move |done| {
            first.add(1, Relaxed);
            drop(done);
            work.schedule();
        })?;
        slot.define(scope, move || {
            second.add(1, Relaxed);
            let answer = urb.submit();
            // It is this work item alone that submits it, after it has been given back.
            assert_ne!(answer, Err(EBUSY));
        })?;
        work.schedule();
        Ok(())
    }
}

pub fn an_urb_and_its_work_keep_each_other_going(machine: &Machine) {
    unbind(machine, &working::MODULE);
}

// ---- An URB that schedules whatever there is, all of which submit it ----

driver!(usb, storming, super::Storming);
pub struct Storming;

impl Shape for Storming {
    fn attach<'a>(intf: &'a Interface<Bound>, _data: &'a Data, scope: &mut Scope<'a>) -> Result {
        let (urb, slot) = scope.declare_urb(intf, Endpoint::CONTROL_IN, 2)?;
        let canaries = [canary()?, canary()?, canary()?, canary()?];
        let [first, second, third, fourth] = canaries;
        let tasklet = scope.tasklet(move || {
            first.add(1, Relaxed);
            let _ = urb.submit(GET_STATUS, 2);
        })?;
        let timer = scope.timer(move || {
            second.add(1, Relaxed);
            let _ = urb.submit(GET_STATUS, 1);
        })?;
        let hrtimer = scope.hrtimer(Clock::Monotonic, Expiry::Irq, move || {
            third.add(1, Relaxed);
            let _ = urb.submit(GET_STATUS, 0);
            urb.cancel();
            Restart::No
        })?;
        slot.define(scope, move |done| {
            fourth.add(1, Relaxed);
            drop(done);
            tasklet.schedule();
            timer.start(0);
            hrtimer.start(Delta::ZERO);
        })?;
        urb.submit(GET_STATUS, 2)
    }
}

pub fn an_urb_tasklet_and_timers_go_round(machine: &Machine) {
    unbind(machine, &storming::MODULE);
}

// ---- `attach()` fails when it has an URB in flight ----

driver!(usb, failing, super::Failing);
pub struct Failing;

impl Shape for Failing {
    fn attach<'a>(intf: &'a Interface<Bound>, data: &'a Data, scope: &mut Scope<'a>) -> Result {
        Periodic::attach(intf, data, scope)?;
        Stubborn::attach(intf, data, scope)?;
        Err(ENODEV)
    }
}

pub fn attach_fails_with_urbs_in_flight(machine: &Machine) {
    let module = machine.load(&failing::MODULE).expect("the module loads");
    for device in [Default::default(), silent()] {
        let slot = plug(machine, &device);
        assert!(!slot.is_bound());
        slot.unplug();
    }
    module.unload().expect("the module unloads");
}

// ---- Work that waits for an URB of a device that never answers ----

driver!(usb, waiting, super::Waiting);
pub struct Waiting;

impl Shape for Waiting {
    fn attach<'a>(intf: &'a Interface<Bound>, data: &'a Data, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let urb = scope.urb(intf, Endpoint::BULK_IN, 64, move |_| {
            canary.add(1, Relaxed);
            data.completion.complete_all();
        })?;
        let work = scope.work(move || {
            if urb.submit().is_ok() {
                data.completion.wait_for_completion();
            }
        })?;
        work.schedule();
        Ok(())
    }
}

driver!(usb, waiting_in_vain, super::WaitingInVain);
/// Nobody but the scope takes the URB back: `attach()` fails, so the interface has not been switched off.
pub struct WaitingInVain;

impl Shape for WaitingInVain {
    fn attach<'a>(intf: &'a Interface<Bound>, data: &'a Data, scope: &mut Scope<'a>) -> Result {
        Waiting::attach(intf, data, scope)?;
        Err(ENODEV)
    }
}

pub fn work_waits_for_an_urb_of_a_silent_device(machine: &Machine) {
    unbind_while(machine, &waiting::MODULE, silent(), || {});
    let module = machine
        .load(&waiting_in_vain::MODULE)
        .expect("the module loads");
    let slot = plug(machine, &silent());
    assert!(!slot.is_bound());
    slot.unplug();
    module.unload().expect("the module unloads");
}

// ---- What has arrived is handed to work, which lets the URB go on ----

driver!(usb, handing, super::Handing);
pub struct Handing;

type Handed<'a> = Arc<SpinLockIrq<Option<Completed<'a, In>>>>;

impl Shape for Handing {
    fn attach<'a>(intf: &'a Interface<Bound>, data: &'a Data, scope: &mut Scope<'a>) -> Result {
        let here: Handed<'a> = Arc::pin_init(new_spinlock_irq!(None), GFP_KERNEL)?;
        let there = here.clone();
        let (first, second) = (canary()?, canary()?);
        let work = scope.work(move || {
            second.add(1, Relaxed);
            let taken = there.lock().take();
            let Some(done) = taken else {
                return;
            };
            if done.status().is_err() {
                return;
            }
            assert_eq!(done.data().len(), 64);
            match data.count.fetch_add(1, Full) {
                // The third is lost: the URB is nobody's, and stays so.
                2 => mem::forget(done),
                _ => drop(done.resubmit()),
            }
        })?;
        let urb = scope.urb(intf, Endpoint::BULK_IN, 64, move |done| {
            first.add(1, Relaxed);
            *here.lock() = Some(done);
            work.schedule();
        })?;
        urb.submit()?;
        assert_eq!(urb.submit(), Err(EBUSY));
        let extra = scope.urb(intf, Endpoint::BULK_OUT.number(1), 2, |_| {})?;
        assert_eq!(extra.submit(&[1, 2, 3]), Err(EMSGSIZE));
        let _ = mem::ManuallyDrop::new(extra);
        assert_eq!(
            scope
                .urb(intf, Endpoint::BULK_IN.number(9), 2, |_| {})
                .err(),
            Some(ENXIO)
        );
        Ok(())
    }
}

pub fn work_keeps_what_an_urb_has_brought(machine: &Machine) {
    unbind(machine, &handing::MODULE);
}

// ---- Programs write, and what they wrote is sent when they have closed the file ----

driver!(usb, sending, super::Sending);
pub struct Sending;

/// The device side: the URB.
struct Pipe<'a>(Urb<'a, Out>);

struct Sender;

#[vtable]
impl File for Sender {
    type Device<'a> = Pipe<'a>;
    type OwnerModule = sending::Owner;

    fn open(_: &Pipe<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Sender, GFP_KERNEL)?)
    }

    fn write_iter(
        &self,
        pipe: &Pipe<'_>,
        _: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        let mut text = [0; 4];
        let length = from.copy_from_iter(&mut text);
        pipe.0.submit(&text[..length])?;
        Ok(length)
    }
}

impl Shape for Sending {
    fn attach<'a>(intf: &'a Interface<Bound>, _data: &'a Data, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let urb = scope.urb(intf, Endpoint::BULK_OUT, 4, move |done| {
            canary.add(1, Relaxed);
            if done.status().is_ok() {
                assert_eq!(done.length(), 4);
            }
        })?;
        scope.misc_device::<Sender>(c"urbs", Pipe(urb))
    }
}

pub fn a_program_writes_and_closes_while_the_device_goes(machine: &Machine) {
    let device = std::sync::Arc::new(Device {
        silent: machine.choose(4) == 0,
        ..Default::default()
    });
    let (it, this) = (device.clone(), *machine);
    let write = move || {
        for text in [b"ping", b"pong"] {
            let Ok(file) = this.open("urbs") else {
                return;
            };
            match file.write(text) {
                Ok(length) => assert_eq!(length, 4),
                // In flight; the interface is being switched off; it has gone.
                Err(error) => assert!([EBUSY, ENOENT, ENODEV].contains(&error), "{error:?}"),
            }
            file.close().expect("the file closes");
        }
    };
    unbind_while(machine, &sending::MODULE, device, move || {
        let other = this.spawn("other", write);
        write();
        other.join();
    });
    for text in it.received.lock().unwrap().iter() {
        assert!(text == b"ping" || text == b"pong", "{text:?} was sent");
    }
}

// ---- An URB that is released while others submit it ----

driver!(usb, released, super::Released);
pub struct Released;

impl Shape for Released {
    fn attach<'a>(intf: &'a Interface<Bound>, data: &'a Data, scope: &mut Scope<'a>) -> Result {
        let (urb, slot) = scope.declare_urb::<ControlIn>(intf, Endpoint::CONTROL_IN, 2)?;
        let timer = scope.timer(move || {
            let _ = urb.submit(GET_STATUS, 2);
        })?;
        slot.define(scope, move |done| {
            // Whoever has released the URB relies on this.
            assert!(!data.released.load(Relaxed), "a released URB has completed");
            timer.start(0);
            assert_eq!(urb.release(), Err(EDEADLK));
            let _ = done.resubmit(GET_STATUS, 2);
        })?;
        let work = scope.work(move || {
            urb.release().expect("work may wait");
            data.released.store(true, Relaxed);
            assert_eq!(urb.submit(GET_STATUS, 2), Err(EPERM));
            assert!(!urb.cancel());
            urb.release().expect("again");
        })?;
        urb.submit(GET_STATUS, 2)?;
        work.schedule();
        Ok(())
    }
}

pub fn an_urb_is_released_while_others_submit_it(machine: &Machine) {
    unbind(machine, &released::MODULE);
}

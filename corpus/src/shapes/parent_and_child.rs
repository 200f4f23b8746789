// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A transport, and a child that polls through it: delayed work of the child's calls into the parent,
//! again and again.
//!
//! The transport's `remove()` never unregistered the child, which went on polling through what had gone.
//! Here what the parent lends to a child carries the lifetime of the parent's scope, and the child is a
//! member of that: it is unbound while the parent is all there. The ISH transport is a platform device
//! here, the embedded controller's core an auxiliary one.

use crate::{
    harness::reached,
    stage::{canary, touch},
};
use devscope::{auxiliary, platform, wait::WaitQueue, work::Work, Scheduled, Scope};
use kernel::{
    auxiliary::{Device, DeviceId, IdTable},
    device::{Bound, Core},
    driver::Registration,
    hosted::{Machine, PlatformInfo},
    prelude::*,
    sync::atomic::{Acquire, Atomic, Full, Relaxed, Release},
    types::CovariantForLt,
    InPlaceModule,
};

pub const BUGS: &[&str] = &["cros-ec-ishtp-console-log"];
pub const REACHES: &[&str] = &[
    "transfer while the parent was unbinding",
    "poll while the parent was unbinding",
    "poll when it was told to end",
];

/// The transport.
pub struct Transport {
    /// In memory that goes with the data.
    sent: KBox<Atomic<u32>>,
    answered: Atomic<u32>,
    unbinding: Atomic<bool>,
}

/// What the child gets of it.
pub struct EcDev<'a> {
    transport: &'a Transport,
    answers: WaitQueue<'a>,
    ish: Work<'a>,
}

impl EcDev<'_> {
    /// Sends a command and waits for the answer.
    fn pkt_xfer(&self) -> Result {
        let number = self.transport.sent.fetch_add(1, Full);
        self.ish.schedule();
        self.answers
            .wait_until(|| self.transport.answered.load(Acquire) > number)?;
        if self.transport.unbinding.load(Acquire) {
            reached("transfer while the parent was unbinding");
        }
        Ok(())
    }
}

type EcDevForLt = CovariantForLt!(EcDev<'_>);

struct Ishtp;

impl platform::Driver for Ishtp {
    type IdInfo = ();
    type Data<'bound> = Transport;

    fn probe<'bound>(
        _dev: &'bound kernel::platform::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Transport, Error> + 'bound {
        Ok(Transport {
            sent: KBox::new(Atomic::new(0), GFP_KERNEL)?,
            answered: Atomic::new(0),
            unbinding: Atomic::new(false),
        })
    }

    fn attach<'a>(
        dev: &'a kernel::platform::Device<Bound>,
        transport: Pin<&'a Transport>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let transport = transport.get_ref();
        let answers = scope.wait_queue()?;
        let canary = canary()?;
        // The other side, which answers whatever it was sent.
        let ish = scope.work(move || {
            touch(&canary);
            let sent = transport.sent.load(Acquire);
            transport.answered.store(sent, Release);
            answers.wake_all();
        })?;
        let ec_dev = EcDev {
            transport,
            answers,
            ish,
        };
        scope.auxiliary_device::<EcDevForLt>(dev.as_ref(), c"cros_ec", c"ec", 0, Ok(ec_dev))
    }

    fn unbind(_dev: &kernel::platform::Device<Core<'_>>, transport: Pin<&Transport>) {
        transport.unbinding.store(true, Release);
    }
}

/// The console log of the embedded controller.
struct ConsoleLog;

kernel::auxiliary_device_table!(
    TABLE,
    <ConsoleLog as auxiliary::Driver>::IdInfo,
    [(DeviceId::new(c"cros_ec", c"ec"), ())]
);

impl auxiliary::Driver for ConsoleLog {
    type IdInfo = ();
    type Data<'bound> = &'bound EcDev<'bound>;
    const ID_TABLE: IdTable<()> = &TABLE;

    fn probe<'bound>(
        dev: &'bound Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<&'bound EcDev<'bound>, Error> + 'bound {
        dev.registration_data::<EcDevForLt>()
            .map(|ec_dev| ec_dev.get_ref())
    }

    fn attach<'a>(
        _dev: &'a Device<Bound>,
        ec_dev: Pin<&'a &EcDev<'_>>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let ec_dev: &'a EcDev<'a> = ec_dev.get_ref();
        let canary = canary()?;
        let (poll, slot) = scope.declare_delayed_work()?;
        slot.define(scope, move || {
            touch(&canary);
            let unbinding = ec_dev.transport.unbinding.load(Relaxed);
            if unbinding {
                reached("poll while the parent was unbinding");
            }
            let _ = ec_dev.pkt_xfer();
            touch(&canary);
            if poll.schedule(1) == Scheduled::Refused {
                reached("poll when it was told to end");
            }
        })?;
        poll.schedule(0);
        Ok(())
    }
}

#[pin_data]
struct Drivers {
    #[pin]
    console_log: Registration<auxiliary::Adapter<ConsoleLog>>,
    #[pin]
    ishtp: Registration<platform::Adapter<Ishtp>>,
}

impl InPlaceModule for Drivers {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            console_log <- Registration::new(c"cros-ec-console-log", module),
            ishtp <- Registration::new(c"cros-ec-ishtp", module),
        })
    }
}

module! {
    type: Drivers,
    name: "cros-ec-ishtp",
    authors: ["The devscope authors"],
    description: "A transport and its child",
    license: "GPL",
}

pub fn scenario(machine: &Machine) {
    let module = machine.load(&MODULE).expect("the module loads");
    let ishtp = machine.add_platform(PlatformInfo {
        name: "cros-ec-ishtp",
        ..PlatformInfo::default()
    });
    assert!(ishtp.is_bound());
    (0..machine.choose(4)).for_each(|_| machine.preempt());
    ishtp.unbind().expect("the parent unbinds");
    assert!(machine.device("cros_ec.ec.0").is_none());
    module.unload().expect("the module unloads");
    ishtp.unplug();
}

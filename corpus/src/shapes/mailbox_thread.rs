// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A mailbox is one driver, and who gets its messages is another: the mailbox's interrupt thread delivers
//! them into a client that comes and goes, and whose `attach()` may fail.
//!
//! When the client failed to probe, the mailbox's interrupt stayed on, and seconds later its thread delivered
//! into the client's freed memory. Here a client gives the mailbox an entrance, which is closed when the
//! client's scope ends, whether or not the mailbox ever lets go of it. [`outside`] stands in for the mailbox
//! framework, which here lets go of nobody.

use crate::{
    harness::reached,
    stage::{canary, outside, touch, Data, Shape, Shaped},
};
use devscope::{entrance::Side, platform, work::Work, Scheduled, Scope};
use kernel::{
    device::{Bound, Core},
    hosted::{edu::Edu, Machine, ModuleInfo, PlatformInfo},
    irq::{Flags, IrqReturn, ThreadedIrqReturn},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    time::{delay::fsleep, Delta},
};

pub const BUGS: &[&str] = &["mtk-adsp-mailbox-thread"];
pub const REACHES: &[&str] = &[
    "message was delivered",
    "message came before attach() failed",
    "message came after the client's unbind() began",
    "refused: a message to a client that has gone",
    "refused: a message to a client that has failed",
    "the provider's thread slept while the client went",
];

// ---- The mailbox ----

driver!(provider, super::Provider);
pub struct Provider;

impl Shape for Provider {
    type Own = ();

    fn own() -> impl PinInit<(), Error> {
        Ok(())
    }

    fn attach<'a>(mailbox: &'a Data<'_, ()>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        scope.threaded_irq(
            mailbox.vectors.index(0)?,
            Flags::SHARED,
            c"mailbox",
            move || {
                touch(&first);
                match mailbox.acknowledge() {
                    0 => ThreadedIrqReturn::None,
                    _ => ThreadedIrqReturn::WakeThread,
                }
            },
            move || {
                touch(&second);
                let clients = BOUND.load(Relaxed);
                // Late, as in the report of the bug.
                fsleep(Delta::from_micros(100));
                if clients > BOUND.load(Relaxed) {
                    reached("the provider's thread slept while the client went");
                }
                let _ = outside::call(7);
                IrqReturn::Handled
            },
        )?;
        Ok(())
    }
}

// ---- Its clients ----

/// How many clients there are. Even between explorations.
static BOUND: Atomic<i32> = Atomic::new(0);

struct Client<const FAILS: bool>;

struct Dsp {
    going: Atomic<bool>,
    message: Atomic<u32>,
    /// What the received message is put into.
    buffer: KBox<Atomic<i64>>,
}

/// What a message finds.
struct Messages;

impl Side for Messages {
    type Device<'a> = (&'a Dsp, Work<'a>);
}

impl<const FAILS: bool> platform::Driver for Client<FAILS> {
    type IdInfo = ();
    type Data<'bound> = Dsp;

    fn probe<'bound>(
        _dev: &'bound kernel::platform::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<Dsp, Error> + 'bound {
        try_init!(Dsp {
            going: Atomic::new(false),
            message: Atomic::new(0),
            buffer: canary()?,
        }? Error)
    }

    fn attach<'a>(
        _dev: &'a kernel::platform::Device<Bound>,
        dsp: Pin<&'a Dsp>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let dsp = dsp.get_ref();
        let canary = canary()?;
        let work = scope.work(move || {
            touch(&canary);
            if dsp.message.xchg(0, Relaxed) != 0 {
                touch(&dsp.buffer);
            }
        })?;
        let messages = scope.entrance::<Messages>((dsp, work))?;
        BOUND.fetch_add(1, Relaxed);
        outside::register(move |message| {
            let delivered = messages.try_access_with(|(dsp, work)| {
                touch(&dsp.buffer);
                dsp.message.store(message, Relaxed);
                assert_ne!(work.schedule(), Scheduled::Refused);
                match (FAILS, dsp.going.load(Relaxed)) {
                    (true, _) => reached("message came before attach() failed"),
                    (false, true) => reached("message came after the client's unbind() began"),
                    (false, false) => reached("message was delivered"),
                }
            });
            delivered.ok_or(ENODEV).inspect_err(|_| match FAILS {
                true => reached("refused: a message to a client that has failed"),
                false => reached("refused: a message to a client that has gone"),
            })
        });
        match FAILS {
            false => Ok(()),
            true => {
                fsleep(Delta::from_micros(200));
                BOUND.fetch_add(-1, Relaxed);
                Err(EPROBE_DEFER)
            }
        }
    }

    fn unbind(_dev: &kernel::platform::Device<Core<'_>>, dsp: Pin<&Dsp>) {
        dsp.going.store(true, Relaxed);
        BOUND.fetch_add(-1, Relaxed);
    }
}

mod client {
    devscope::module_platform_driver! {
        type: super::Client<false>,
        name: "client",
        authors: ["The devscope authors"],
        description: "A client of a mailbox",
        license: "GPL",
    }

    pub(super) static INFO: &kernel::hosted::ModuleInfo = &MODULE;
}

mod failing {
    devscope::module_platform_driver! {
        type: super::Client<true>,
        name: "failing",
        authors: ["The devscope authors"],
        description: "A client whose attach() fails",
        license: "GPL",
    }

    pub(super) static INFO: &kernel::hosted::ModuleInfo = &MODULE;
}

/// Binds a client and unbinds it, twice, or has it fail.
fn come_and_go(machine: &Machine, module: &'static ModuleInfo, name: &'static str, fails: bool) {
    let module = machine.load(module).expect("the client's module loads");
    let slot = machine.add_platform(PlatformInfo {
        name,
        ..PlatformInfo::default()
    });
    assert_eq!(slot.is_bound(), !fails);
    if !fails {
        if machine.choose(2) == 0 {
            machine.settle();
        }
        slot.unbind().expect("the client unbinds");
        slot.bind().expect("the client binds again");
        slot.unbind().expect("the client unbinds again");
    }
    slot.unplug();
    module.unload().expect("the client's module unloads");
}

pub fn scenario(machine: &Machine) {
    BOUND.store(0, Relaxed);
    let provider = machine.load(&provider::MODULE).expect("the module loads");
    let edu = Edu::new();
    let slot = machine.plug_pci(edu.clone());
    assert!(slot.is_bound());
    let messages = |many| {
        let edu = edu.clone();
        machine.spawn("hardware", move || {
            for _ in 0..many {
                edu.raise(1);
                kernel::hosted::preempt();
            }
        })
    };
    let early = messages(2);
    come_and_go(machine, failing::INFO, "failing", true);
    let late = messages(4);
    come_and_go(machine, client::INFO, "client", false);
    // The last message comes when no client is left.
    edu.raise(1);
    early.join();
    late.join();
    machine.settle();
    slot.unbind().expect("the mailbox unbinds");
    outside::forget();
    provider.unload().expect("the module unloads");
    slot.unplug();
}

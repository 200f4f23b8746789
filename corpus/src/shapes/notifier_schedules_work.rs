// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Another driver's interrupt thread tells all who asked that a link has changed; this one then queues
//! work.
//!
//! The driver took its notifier back and freed itself with the work queued. Here what a notifier can hold
//! is an `Entrance`: the notification is refused when the scope ends, even if nobody takes it back. The
//! other driver is one of its own here, on a platform device; its list of notifiers stands in for that of
//! the switch's.

use crate::stage::{canary, outside, touch, Data, Shape, Shaped};
use devscope::{entrance::Side, platform, work::Work, Scheduled, Scope};
use kernel::{
    device::{Bound, Core},
    hosted::{edu::Edu, Machine, PlatformInfo},
    irq::{Flags, IrqReturn},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["switchtec-ntb-link-work"];
pub const REACHES: &[&str] = &[
    "work queued while unbinding",
    "work ran while unbinding",
    "refused: the entrance is closed",
];

pub struct Sndev {
    link: KBox<Atomic<u32>>,
}

/// What the notifier reaches.
struct LinkNotification;

impl Side for LinkNotification {
    type Device<'a> = (&'a Data<'a, Sndev>, Work<'a>, KBox<Atomic<i64>>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Sndev;

    fn own() -> impl PinInit<Sndev, Error> {
        Ok(Sndev {
            link: KBox::new(Atomic::new(0), GFP_KERNEL)?,
        })
    }

    fn attach<'a>(sndev: &'a Data<'_, Sndev>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        let check_link_status = scope.work(move || {
            touch(&first);
            sndev.late("work ran while unbinding");
            sndev.link.add(1, Relaxed);
            sndev.raise();
            touch(&first);
        })?;
        sndev.handle(scope, 0, move || touch(&second))?;
        let notification =
            scope.entrance::<LinkNotification>((sndev, check_link_status, canary()?))?;
        outside::register(move |_event| {
            outside::answer(notification.try_access_with(|(sndev, work, canary)| {
                touch(canary);
                let scheduled = work.schedule();
                if scheduled == Scheduled::Queued {
                    sndev.late("work queued while unbinding");
                }
                scheduled
            }))
        });
        Ok(())
    }
}

/// The switch, whose driver stays.
mod switchtec {
    use super::*;

    pub struct Switchtec;

    pub struct Stdev<'bound> {
        dev: &'bound kernel::platform::Device<Bound>,
    }

    impl platform::Driver for Switchtec {
        type IdInfo = ();
        type Data<'bound> = Stdev<'bound>;

        fn probe<'bound>(
            dev: &'bound kernel::platform::Device<Core<'_>>,
            _info: Option<&'bound ()>,
        ) -> impl PinInit<Stdev<'bound>, Error> + 'bound {
            Ok(Stdev { dev })
        }

        fn attach<'a>(
            _dev: &'a kernel::platform::Device<Bound>,
            stdev: Pin<&'a Stdev<'_>>,
            scope: &mut Scope<'a>,
        ) -> Result {
            let line = stdev.get_ref().dev.irq_by_index(0)?;
            let canary = canary()?;
            scope.oneshot_irq(line, Flags::TRIGGER_NONE, c"switchtec", move || {
                touch(&canary);
                let _ = outside::call(1);
                IrqReturn::Handled
            })?;
            Ok(())
        }
    }

    devscope::module_platform_driver! {
        type: Switchtec,
        name: "switchtec",
        authors: ["The devscope authors"],
        description: "A switch that notifies",
        license: "GPL",
    }
}

pub fn scenario(machine: &Machine) {
    let switch = machine.load(&switchtec::MODULE).expect("the switch's loads");
    let module = machine.load(&module::MODULE).expect("the module loads");
    let stdev = machine.add_platform(PlatformInfo {
        name: "switchtec",
        irqs: 1,
        ..PlatformInfo::default()
    });
    let slot = machine.plug_pci(Edu::new());
    assert!(stdev.is_bound() && slot.is_bound());
    let line = stdev.irq(0);
    let hardware = machine.spawn("hardware", move || (0..4).for_each(|_| line.pulse()));
    slot.unbind().expect("the device unbinds");
    hardware.join();
    line.pulse();
    machine.settle();
    outside::forget();
    module.unload().expect("the module unloads");
    slot.unplug();
    stdev.unplug();
    switch.unload().expect("the switch's module unloads");
}

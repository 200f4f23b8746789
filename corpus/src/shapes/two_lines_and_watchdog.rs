// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Two interrupts and the network core's watchdog queue one work item, which starts the hardware anew.
//!
//! The driver freed the network device, and in it the work item, without cancelling that. Here the work
//! ends with the scope, whoever queued it last; the watchdog comes in through an `Entrance`, which is
//! closed before. Calls from outside stand in for the network core.

use crate::{
    harness::reached,
    stage::{canary, outside, touch, unbind_while_called, Data, Messages, Shape, Shaped},
};
use devscope::{entrance::Side, work::Work, Scheduled, Scope};
use kernel::{
    hosted::Machine,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Mutex,
    },
};

pub const BUGS: &[&str] = &["qcom-emac-work"];
pub const REACHES: &[&str] = &[
    "interrupt queued the work while unbinding",
    "watchdog queued the work while unbinding",
    "work ran while unbinding",
    "interrupt when the work was told to end",
    "refused: the entrance is closed",
];

#[pin_data]
pub struct Adapter {
    status: Atomic<u32>,
    /// The rings, which starting anew replaces.
    #[pin]
    rings: Mutex<KVec<u32>>,
}

/// What the network core's watchdog reaches.
struct TxTimeout;

impl Side for TxTimeout {
    type Device<'a> = (&'a Data<'a, Adapter>, Work<'a>, KBox<Atomic<i64>>);
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Adapter;
    const VECTORS: u32 = 2;

    fn own() -> impl PinInit<Adapter, Error> {
        try_pin_init!(Adapter {
            status: Atomic::new(0),
            rings <- new_mutex!(KVec::new()),
        })
    }

    fn attach<'a>(adpt: &'a Data<'_, Adapter>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let work_thread = scope.work(move || {
            touch(&canary);
            adpt.late("work ran while unbinding");
            let mut rings = adpt.rings.lock();
            rings.clear();
            let _ = rings.push(adpt.status.xchg(0, Relaxed), GFP_KERNEL);
            touch(&canary);
        })?;
        // The main line, and that of the SGMII block.
        for index in 0..2 {
            adpt.handle(scope, index, move || {
                adpt.status.add(1, Relaxed);
                match work_thread.schedule() {
                    Scheduled::Queued => adpt.late("interrupt queued the work while unbinding"),
                    Scheduled::Pending => {}
                    Scheduled::Refused => reached("interrupt when the work was told to end"),
                }
            })?;
        }
        let tx_timeout = scope.entrance::<TxTimeout>((adpt, work_thread, self::canary()?))?;
        outside::register(move |_queue| {
            outside::answer(tx_timeout.try_access_with(|(adpt, work_thread, canary)| {
                touch(canary);
                let scheduled = work_thread.schedule();
                if scheduled == Scheduled::Queued {
                    adpt.late("watchdog queued the work while unbinding");
                }
                scheduled
            }))
        });
        Ok(())
    }
}

pub fn scenario(machine: &Machine) {
    let emac = Messages::new();
    unbind_while_called(machine, &module::MODULE, emac.clone(), move || {
        for messages in [1, 2, 3] {
            emac.raise(messages);
        }
    });
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An interrupt schedules a tasklet, which walks what the driver keeps for each port.
//!
//! The drivers forgot `tasklet_kill()`, or would have had to put it between two other steps of `remove()`.
//! Here there is no step to forget: the tasklet ends with the scope, whoever scheduled it last.

use crate::{
    harness::reached,
    stage::{canary, touch, unbind_while, Data, Shape, Shaped},
};
use devscope::Scope;
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["aic94xx-tasklet", "octeon-tx-cleanup-tasklet"];
pub const REACHES: &[&str] = &["tasklet while unbinding"];

pub struct Host {
    /// Work done, for each port.
    done: [Atomic<i32>; 4],
    going: Atomic<bool>,
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Host;

    fn own() -> impl PinInit<Host, Error> {
        Ok(Host {
            done: [const { Atomic::new(0) }; 4],
            going: Atomic::new(false),
        })
    }

    fn attach<'a>(hba: &'a Data<'_, Host>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let done_list = scope.tasklet(move || {
            touch(&canary);
            for port in &hba.done {
                port.add(1, Relaxed);
            }
            if hba.going.load(Relaxed) {
                reached("tasklet while unbinding");
            }
        })?;
        hba.handle(scope, 0, move || {
            done_list.schedule();
        })
    }

    fn unbind(hba: &Data<'_, Host>) {
        hba.going.store(true, Relaxed);
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &module::MODULE, edu.clone(), move || {
        edu.raise(1);
        edu.raise(1);
    });
}

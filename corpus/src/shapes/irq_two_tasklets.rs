// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An interrupt does nothing but schedule two tasklets, of which each walks a ring.
//!
//! The driver freed the interrupt and then the adapter, and waited for neither tasklet. Here there is
//! nothing to forget: each tasklet ends with the scope. The ATM core is left out.

use crate::stage::{canary, touch, unbind_while, Data, Shape, Shaped};
use devscope::Scope;
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub const BUGS: &[&str] = &["fore200e-tasklets"];
pub const REACHES: &[&str] = &["tx tasklet while unbinding", "rx tasklet while unbinding"];

pub struct Fore200e {
    txq: KVec<Atomic<u32>>,
    rxq: KVec<Atomic<u32>>,
}

fn ring() -> Result<KVec<Atomic<u32>>> {
    let mut ring = KVec::new();
    for _ in 0..2 {
        ring.push(Atomic::new(0), GFP_KERNEL)?;
    }
    Ok(ring)
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Fore200e;

    fn own() -> impl PinInit<Fore200e, Error> {
        Ok(Fore200e {
            txq: ring()?,
            rxq: ring()?,
        })
    }

    fn attach<'a>(fore200e: &'a Data<'_, Fore200e>, scope: &mut Scope<'a>) -> Result {
        let (first, second, third) = (canary()?, canary()?, canary()?);
        let tx_tasklet = scope.tasklet(move || {
            touch(&first);
            fore200e.txq.iter().for_each(|entry| entry.add(1, Relaxed));
            fore200e.late("tx tasklet while unbinding");
        })?;
        let rx_tasklet = scope.tasklet(move || {
            touch(&second);
            fore200e.rxq.iter().for_each(|entry| entry.add(1, Relaxed));
            fore200e.late("rx tasklet while unbinding");
        })?;
        fore200e.handle(scope, 0, move || {
            touch(&third);
            tx_tasklet.schedule();
            rx_tasklet.schedule();
        })
    }
}

pub fn scenario(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &module::MODULE, edu.clone(), move || {
        (0..3).for_each(|_| edu.raise(1));
    });
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Devices with several gates, and with none: how many grace periods of RCU unbinding waits for.

use super::{queueing, side, unbind_while, Data, Node, Shape, Shaped, Triangle, WithNode};
use devscope::{entrance::Side as Behind, Scope};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
};

// ---- Every kind of gate: of a node, of entrances, of parts that are live and that are empty ----

driver!(gated, super::Gated);
pub struct Gated;

impl WithNode for Gated {
    type Owner = gated::Owner;
}

/// Behind an entrance there is nothing.
struct Nothing;

impl Behind for Nothing {
    type Device<'a> = ();
}

impl Shape for Gated {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        for _ in 0..3 {
            scope.entrance::<Nothing>(())?;
        }
        let (live, _empty) = (scope.part::<()>()?, scope.part::<()>()?);
        live.begin(Ok::<_, Error>(()), |_, scope| {
            scope.entrance::<Nothing>(()).map(drop)
        })?;
        let side = side(data, scope)?;
        scope.misc_device::<Node<Gated>>(c"shape", side)
    }
}

pub fn gates_close_together(machine: &Machine) {
    let other = *machine;
    let waited = unbind_while(machine, &gated::MODULE, Edu::new(), move || {
        if let Ok(file) = other.open("shape") {
            let _ = file.read(&mut [0; 8]);
            file.close().expect("close() succeeds");
        }
    });
    assert_eq!(waited, 1, "grace periods, with gates of every kind");
}

// ---- Everything but a gate ----

driver!(gateless, super::Gateless);
pub struct Gateless;

impl Shape for Gateless {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        Triangle::attach_without_irq(data, scope)?;
        queueing::one_of_each(&data.count, scope)?;
        side(data, scope)?;
        data.raise();
        Ok(())
    }
}

pub fn a_device_has_no_gate(machine: &Machine) {
    let waited = unbind_while(machine, &gateless::MODULE, Edu::new(), || ());
    assert_eq!(waited, 0, "grace periods, without a gate");
}

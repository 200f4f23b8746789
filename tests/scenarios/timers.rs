// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Timers, and what starts them and is started by them.

use super::{canary, handler, unbind_while, Data, Shape};
use devscope::Scope;
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::Relaxed,
};

macro_rules! driver {
    ($module:ident, $shape:ty) => {
        pub mod $module {
            use kernel::{driver::Registration, prelude::*, InPlaceModule};

            type Adapter = devscope::pci::Adapter<super::super::Shaped<$shape>>;

            #[pin_data]
            pub struct Owner {
                #[pin]
                driver: Registration<Adapter>,
            }

            impl InPlaceModule for Owner {
                fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
                    try_pin_init!(Owner {
                        driver <- Registration::new(<Owner as kernel::ModuleMetadata>::NAME, module),
                    })
                }
            }

            module! {
                type: Owner,
                name: "shape",
                authors: ["The devscope authors"],
                description: "A driver for tests",
                license: "GPL",
            }
        }
    };
}

// ---- A timer that starts itself ----

driver!(periodic, super::Periodic);
pub struct Periodic;

impl Shape for Periodic {
    fn attach<'a>(_data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let (timer, slot) = scope.declare_timer()?;
        slot.define(scope, move || {
            canary.add(1, Relaxed);
            timer.start(1);
        })?;
        timer.start(1);
        Ok(())
    }
}

pub fn a_timer_starts_itself(machine: &Machine) {
    unbind_while(machine, &periodic::MODULE, Edu::new(), || {});
}

// ---- Two timers that start each other ----

driver!(pingpong, super::PingPong);
pub struct PingPong;

impl Shape for PingPong {
    fn attach<'a>(_data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let (ping, slot) = scope.declare_timer()?;
        let (first, second) = (canary()?, canary()?);
        let pong = scope.timer(move || {
            first.add(1, Relaxed);
            ping.start(0);
        })?;
        slot.define(scope, move || {
            second.add(1, Relaxed);
            pong.start(0);
        })?;
        ping.start(0);
        Ok(())
    }
}

pub fn two_timers_keep_each_other_going(machine: &Machine) {
    unbind_while(machine, &pingpong::MODULE, Edu::new(), || {});
}

// ---- An interrupt and its timer ----

driver!(looping, super::Looping);
pub struct Looping;

impl Shape for Looping {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let timer = scope.timer(move || {
            canary.add(1, Relaxed);
            data.raise();
        })?;
        handler(data, scope, move || {
            timer.start(0);
        })
    }
}

pub fn an_interrupt_and_its_timer_keep_each_other_going(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &looping::MODULE, edu.clone(), move || edu.raise(1));
}

// ---- An interrupt, its work, a timer, and the interrupt again ----

driver!(triangle, super::Triangle);
pub struct Triangle;

impl Shape for Triangle {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let (first, second) = (canary()?, canary()?);
        let timer = scope.timer(move || {
            first.add(1, Relaxed);
            data.raise();
        })?;
        let work = scope.work(move || {
            second.add(1, Relaxed);
            timer.start(0);
        })?;
        handler(data, scope, move || {
            work.schedule();
        })
    }
}

pub fn interrupt_work_and_timer_go_round(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &triangle::MODULE, edu.clone(), move || {
        edu.raise(1)
    });
}

// ---- A timer that is released while its interrupt goes on starting it ----

driver!(released, super::Released);
pub struct Released;

impl Shape for Released {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let timer = scope.timer(move || {
            // Whoever has released the timer relies on this.
            assert!(!data.arrived.load(Relaxed), "a released timer has run");
            data.raise();
        })?;
        let work = scope.work(move || {
            if timer.release().is_ok() {
                data.arrived.store(true, Relaxed);
            }
            assert_eq!(timer.start(0), devscope::Scheduled::Refused);
        })?;
        handler(data, scope, move || {
            timer.start(0);
            work.schedule();
        })
    }
}

pub fn a_timer_is_released_while_its_interrupt_starts_it(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &released::MODULE, edu.clone(), move || {
        edu.raise(1);
        edu.raise(1);
    });
}

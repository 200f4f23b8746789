// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Timers, and what starts them and is started by them.

use super::{canary, handler, unbind_while, Data, Shape, Shaped};
use devscope::{
    hrtimer::{Clock, Expiry, Restart},
    Scheduled, Scope,
};
use kernel::{
    hosted::{edu::Edu, Machine},
    prelude::*,
    sync::atomic::Relaxed,
    time::Delta,
};

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
            assert_eq!(timer.start(0), Scheduled::Refused);
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

// ---- An hrtimer with a period, which an interrupt starts as well ----

driver!(sampling, super::Sampling);
pub struct Sampling;

impl Shape for Sampling {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let period = Delta::from_micros(100);
        let canary = canary()?;
        let timer = scope.hrtimer(Clock::Monotonic, Expiry::SoftIrq, move || {
            canary.add(1, Relaxed);
            Restart::Forward(period)
        })?;
        timer.start(period);
        handler(data, scope, move || {
            timer.start(period);
        })
    }
}

pub fn an_hrtimer_has_a_period_while_an_interrupt_starts_it(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &sampling::MODULE, edu.clone(), move || {
        edu.raise(1);
        edu.raise(1);
    });
}

// ---- An interrupt and its hrtimer ----

driver!(ringing, super::Ringing);
pub struct Ringing;

impl Shape for Ringing {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let canary = canary()?;
        let timer = scope.hrtimer(Clock::Monotonic, Expiry::Irq, move || {
            canary.add(1, Relaxed);
            data.raise();
            Restart::No
        })?;
        handler(data, scope, move || {
            timer.start(Delta::ZERO);
        })
    }
}

pub fn an_interrupt_and_its_hrtimer_keep_each_other_going(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &ringing::MODULE, edu.clone(), move || edu.raise(1));
}

// ---- Two hrtimers that start each other ----

driver!(echoing, super::Echoing);
pub struct Echoing;

impl Shape for Echoing {
    fn attach<'a>(_data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let (ping, slot) = scope.declare_hrtimer(Clock::Monotonic, Expiry::Irq)?;
        let (first, second) = (canary()?, canary()?);
        let pong = scope.hrtimer(Clock::Monotonic, Expiry::SoftIrq, move || {
            first.add(1, Relaxed);
            ping.start(Delta::ZERO);
            Restart::No
        })?;
        slot.define(scope, move || {
            second.add(1, Relaxed);
            pong.start(Delta::ZERO);
            Restart::No
        })?;
        ping.start(Delta::ZERO);
        Ok(())
    }
}

pub fn two_hrtimers_keep_each_other_going(machine: &Machine) {
    unbind_while(machine, &echoing::MODULE, Edu::new(), || {});
}

// ---- An hrtimer and a tasklet that are released while their interrupt goes on scheduling them ----

driver!(let_go, super::LetGo);
pub struct LetGo;

impl Shape for LetGo {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let body = || {
            // Whoever has released it relies on this.
            assert!(!data.arrived.load(Relaxed), "what was released has run");
        };
        let tasklet = scope.tasklet(body)?;
        let timer = scope.hrtimer(Clock::Monotonic, Expiry::Irq, move || {
            body();
            Restart::Forward(Delta::from_micros(10))
        })?;
        let work = scope.work(move || {
            if timer.release().is_ok() && tasklet.release().is_ok() {
                data.arrived.store(true, Relaxed);
            }
            assert_eq!(timer.start(Delta::ZERO), Scheduled::Refused);
            assert_eq!(tasklet.schedule(), Scheduled::Refused);
        })?;
        handler(data, scope, move || {
            timer.start(Delta::ZERO);
            tasklet.schedule();
            work.schedule();
        })
    }
}

pub fn an_hrtimer_and_a_tasklet_are_released_in_a_storm(machine: &Machine) {
    let edu = Edu::new();
    unbind_while(machine, &let_go::MODULE, edu.clone(), move || {
        edu.raise(1);
        edu.raise(1);
        edu.raise(1);
    });
}

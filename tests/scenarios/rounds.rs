// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Who schedules, and what is scheduled: drivers put together from a list of kinds.
//!
//! A *pair* is a member that keeps itself going and schedules another each time. A *cycle* is three
//! members, each of which schedules the next. Whatever the kinds, the device is unbound meanwhile, and
//! that has to be the end of it.
//!
//! A kind that is added to `kinds!` takes part in all pairs and cycles.

use super::{canary, handler, Data, Shape, Shaped};
use devscope::{
    file::{File, Kiocb},
    hrtimer::{Clock, Expiry, HrTimer, HrTimerSlot, Restart},
    tasklet::{Tasklet, TaskletSlot},
    timer::{Timer, TimerSlot},
    work::{DelayedWork, DelayedWorkSlot, Work, WorkSlot},
    Scheduled, Scope,
};
use kernel::{
    hosted::{edu::Edu, Machine},
    iov::IovIterSource,
    irq::{Flags, IrqReturn, ThreadedIrqReturn},
    prelude::*,
    sync::{atomic::Relaxed, Arc},
    time::Delta,
};
use std::{fmt, sync::Mutex, vec::Vec};

/// For each kind that can be scheduled: its handle and slot, how to declare it in a scope, how to give
/// it a body, how to schedule it.
macro_rules! kinds {
    ($($kind:ident($handle:ty, $slot:ty) {
        $declare:expr,
        |$from:ident, $scope:ident, $body:ident| $define:expr,
        $schedule:expr,
    })*) => {
        /// A kind of member.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Kind {
            /// An interrupt handler; "scheduling" it is to have the device raise it.
            Irq,
            /// The thread of an interrupt, in the same way.
            Thread,
            /// An operation of a file. Only a program brings it about.
            File,
            $($kind,)*
        }

        impl Kind {
            /// Those that a handle schedules.
            pub const DEFERRED: &'static [Kind] = &[$(Kind::$kind),*];
        }

        #[derive(Clone, Copy)]
        enum Handle<'a> {
            Device(&'a Data<'a>),
            $($kind($handle),)*
        }

        enum Slot<'a> {
            Irq,
            Thread,
            $($kind($slot),)*
        }

        impl<'a> Handle<'a> {
            fn schedule(self) {
                match self {
                    Handle::Device(data) => data.raise(),
                    $(Handle::$kind(handle) => {
                        let schedule: fn($handle) -> Scheduled = $schedule;
                        schedule(handle);
                    })*
                }
            }
        }

        fn declare<'a>(
            kind: Kind,
            data: &'a Data<'_>,
            scope: &mut Scope<'a>,
        ) -> Result<(Handle<'a>, Slot<'a>)> {
            Ok(match kind {
                Kind::Irq => (Handle::Device(data), Slot::Irq),
                Kind::Thread => (Handle::Device(data), Slot::Thread),
                Kind::File => return Err(EINVAL),
                $(Kind::$kind => {
                    let declare: fn(&mut Scope<'a>) -> Result<($handle, $slot)> = $declare;
                    let (handle, slot) = declare(scope)?;
                    (Handle::$kind(handle), Slot::$kind(slot))
                })*
            })
        }

        impl<'a> Slot<'a> {
            fn define(
                self,
                data: &'a Data<'_>,
                scope: &mut Scope<'a>,
                body: impl Fn() + Send + Sync + 'a,
            ) -> Result {
                match self {
                    Slot::Irq => handler(data, scope, body),
                    Slot::Thread => thread(data, scope, body),
                    $(Slot::$kind(slot) => {
                        let ($from, $scope, $body) = (slot, scope, body);
                        $define
                    })*
                }
            }
        }
    };
}

kinds! {
    Work(Work<'a>, WorkSlot<'a>) {
        |scope| scope.declare_work(),
        |slot, scope, body| slot.define(scope, body),
        |work| work.schedule(),
    }
    Delayed(DelayedWork<'a>, DelayedWorkSlot<'a>) {
        |scope| scope.declare_delayed_work(),
        |slot, scope, body| slot.define(scope, body),
        |work| work.schedule(1),
    }
    BhWork(Work<'a>, WorkSlot<'a>) {
        |scope| scope.declare_bh_work(),
        |slot, scope, body| slot.define(scope, body),
        |work| work.schedule(),
    }
    Timer(Timer<'a>, TimerSlot<'a>) {
        |scope| scope.declare_timer(),
        |slot, scope, body| slot.define(scope, body),
        |timer| timer.start(0),
    }
    HrTimer(HrTimer<'a>, HrTimerSlot<'a>) {
        |scope| scope.declare_hrtimer(Clock::Monotonic, Expiry::Irq),
        |slot, scope, body| slot.define(scope, move || {
            body();
            Restart::No
        }),
        |timer| timer.start(Delta::from_micros(20)),
    }
    Tasklet(Tasklet<'a>, TaskletSlot<'a>) {
        |scope| scope.declare_tasklet(),
        |slot, scope, body| slot.define(scope, body),
        |tasklet| tasklet.schedule(),
    }
}

/// Registers an interrupt whose thread counts on a canary, and then does `and`.
fn thread<'a>(
    data: &'a Data<'_>,
    scope: &mut Scope<'a>,
    and: impl Fn() + Send + Sync + 'a,
) -> Result {
    let canary = canary()?;
    scope.threaded_irq(
        data.vectors.index(0)?,
        Flags::SHARED,
        c"round",
        move || match data.acknowledge() {
            0 => ThreadedIrqReturn::None,
            _ => ThreadedIrqReturn::WakeThread,
        },
        move || {
            canary.add(1, Relaxed);
            and();
            IrqReturn::Handled
        },
    )?;
    Ok(())
}

/// What a driver is put together from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Round {
    /// The first keeps itself going, and schedules the second.
    Pair(Kind, Kind),
    /// Each schedules the next, and the last one the first.
    Cycle([Kind; 3]),
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |kind: Kind| format!("{kind:?}").to_lowercase();
        match *self {
            Round::Pair(who, what) => write!(f, "{}-schedules-{}", name(who), name(what)),
            Round::Cycle([a, b, c]) => {
                write!(f, "{}-{}-{}-{}", name(a), name(b), name(c), name(a))
            }
        }
    }
}

impl Round {
    /// Every pair, and every cycle of three different kinds (which begins with the smallest).
    pub fn all() -> Vec<Round> {
        let mut members = Vec::from([Kind::Irq, Kind::Thread]);
        members.extend(Kind::DEFERRED);
        let mut rounds = Vec::new();
        for who in [&members[..], &[Kind::File]].concat() {
            rounds.extend(Kind::DEFERRED.iter().map(|&what| Round::Pair(who, what)));
        }
        for (at, &a) in members.iter().enumerate() {
            for &b in &members[at + 1..] {
                let rest = members[at + 1..].iter().filter(|c| **c != b);
                // The device has one line, so a cycle has one of the two that it raises.
                let rest = rest.filter(|c| ![b, **c].contains(&Kind::Thread) || a != Kind::Irq);
                rounds.extend(rest.map(|&c| Round::Cycle([a, b, c])));
            }
        }
        rounds
    }

    /// Unbinds the device while the round goes on.
    pub fn explore(self, machine: &Machine) {
        *NOW.lock().expect("nobody panics with it") = Some(self);
        let module = machine.load(&round::MODULE).expect("the module loads");
        let edu = Edu::new();
        let slot = machine.plug_pci(edu.clone());
        assert!(slot.is_bound());
        let others = *machine;
        let program = machine.spawn("program", move || match self {
            Round::Pair(Kind::Irq | Kind::Thread, _) => (0..3).for_each(|_| edu.raise(1)),
            Round::Pair(Kind::File, _) => {
                let Ok(file) = others.open("round") else {
                    return;
                };
                while file.write(&[0]).is_ok() {}
                let _ = file.close();
            }
            _ => {}
        });
        // Some have only begun when the device goes, and some have been going on.
        for _ in 0..machine.choose(64) {
            machine.preempt();
        }
        slot.unbind().expect("the device unbinds");
        program.join();
        module.unload().expect("the module unloads");
        slot.unplug();
    }
}

/// What `attach()` is to build. Explorations of one process take turns.
static NOW: Mutex<Option<Round>> = Mutex::new(None);

driver!(round, super::Rounds);
pub struct Rounds;

impl Shape for Rounds {
    fn attach<'a>(data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
        let round = *NOW.lock().expect("nobody panics with it");
        match round.ok_or(EINVAL)? {
            Round::Pair(who, what) => attach_pair(who, what, data, scope),
            Round::Cycle(kinds) => attach_cycle(kinds, data, scope),
        }
    }
}

fn is_raised(kind: Kind) -> bool {
    matches!(kind, Kind::Irq | Kind::Thread)
}

fn attach_pair<'a>(who: Kind, what: Kind, data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
    let (target, slot) = declare(what, data, scope)?;
    let counted = canary()?;
    slot.define(data, scope, move || {
        counted.add(1, Relaxed);
    })?;
    if who == Kind::File {
        return scope.misc_device::<Node>(c"round", Side { target });
    }
    let (source, slot) = declare(who, data, scope)?;
    let counted = canary()?;
    slot.define(data, scope, move || {
        counted.add(1, Relaxed);
        target.schedule();
        // An interrupt is the device's business.
        if !is_raised(who) {
            source.schedule();
        }
    })?;
    if !is_raised(who) {
        source.schedule();
    }
    Ok(())
}

fn attach_cycle<'a>(kinds: [Kind; 3], data: &'a Data<'_>, scope: &mut Scope<'a>) -> Result {
    let (a, a_slot) = declare(kinds[0], data, scope)?;
    let (b, b_slot) = declare(kinds[1], data, scope)?;
    let (c, c_slot) = declare(kinds[2], data, scope)?;
    for (slot, next) in [(a_slot, b), (b_slot, c), (c_slot, a)] {
        let counted = canary()?;
        slot.define(data, scope, move || {
            counted.add(1, Relaxed);
            next.schedule();
        })?;
    }
    a.schedule();
    Ok(())
}

/// The device side of [`Node`].
pub struct Side<'a> {
    target: Handle<'a>,
}

/// A file, whose `write()` schedules.
pub struct Node;

#[vtable]
impl File for Node {
    type Device<'a> = Side<'a>;
    type OwnerModule = round::Owner;

    fn open(_side: &Side<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Node, GFP_KERNEL)?)
    }

    fn write_iter(
        &self,
        side: &Side<'_>,
        _kiocb: &mut Kiocb<'_>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        side.target.schedule();
        Ok(from.copy_from_iter(&mut [0]))
    }
}

//! Spinlocks, mutexes, RCU and SRCU, and turning things off on a CPU.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::machine::{
    at, block_until, in_world, preempt, spawn, step, try_world, world, Key, Place, Task, TaskKind,
    Why, World, CPUS,
};
use super::report::Kind;
use super::table::Table;
use super::{cname, nobody};
use crate::bindings::{
    bool_, callback_head, lock_class_key, mutex, rcu_callback_t, spinlock_t, srcu_struct, EINTR,
};
use crate::ffi;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;

#[derive(Debug)]
struct Lock {
    name: Rc<str>,
    owner: Option<(usize, Place)>,
}

#[derive(Debug)]
struct Srcu {
    name: Rc<str>,
    /// Readers of the even and of the odd epoch.
    readers: [u32; 2],
    epoch: usize,
}

#[derive(Default, Debug)]
pub(crate) struct Locks {
    spin: Table<Lock>,
    mutexes: Table<Lock>,
    srcu: Table<Srcu>,
    rcu_callbacks: u32,
    /// How many grace periods have begun.
    grace_periods: u64,
    /// The last of them that is over.
    over: u64,
}

impl Locks {
    /// The number of the next grace period that begins.
    pub(crate) fn next_grace_period(&self) -> u64 {
        self.grace_periods + 1
    }

    /// Whether this one, or a later one, is over.
    pub(crate) fn is_over(&self, grace_period: u64) -> bool {
        self.over >= grace_period
    }

    pub(crate) fn active_in(
        &self,
        range: &Range<usize>,
        tasks: &[Task],
    ) -> Option<(String, Vec<String>)> {
        let held = |kind: &str, table: &Table<Lock>| {
            table.in_range(range).find_map(|(_, lock)| {
                let (owner, place) = lock.owner?;
                Some((
                    format!("{kind} {}, which {} holds,", lock.name, tasks[owner].name),
                    vec![format!("taken       {}", at(place))],
                ))
            })
        };
        held("spinlock", &self.spin)
            .or_else(|| held("mutex", &self.mutexes))
            .or_else(|| {
                self.srcu.in_range(range).find_map(|(_, srcu)| {
                    (srcu.readers != [0, 0])
                        .then(|| (format!("srcu {}, which has readers,", srcu.name), vec![]))
                })
            })
    }

    pub(crate) fn forget_in(&mut self, range: &Range<usize>) {
        self.spin.remove_range(range);
        self.mutexes.remove_range(range);
        self.srcu.remove_range(range);
    }

    fn spin(&mut self, address: usize) -> &mut Lock {
        // A lock in a `static` is never initialised at run time.
        self.spin.get_or_insert_with(address, || Lock {
            name: "spinlock".into(),
            owner: None,
        })
    }

    fn mutex(&mut self, address: usize) -> &mut Lock {
        self.mutexes.get_or_insert_with(address, || Lock {
            name: "mutex".into(),
            owner: None,
        })
    }
}

impl World {
    /// Whether the task is in anything that a grace period waits for.
    fn reads_rcu(&self, index: usize) -> bool {
        let task = &self.tasks[index];
        let cpu = &self.cpus[task.cpu];
        task.rcu > 0
            || task.preempt_off > 0
            || task.irqs_off > 0
            || task.bh_off > 0
            || (task.kind == TaskKind::HardIrq && cpu.hard)
            || (task.kind == TaskKind::SoftIrq && cpu.soft)
    }
}

// ---- Spinlocks ----

#[track_caller]
pub unsafe fn __spin_lock_init(
    lock: *mut spinlock_t,
    name: *const ffi::c_char,
    _key: *mut lock_class_key,
) {
    let name = cname(name, "spinlock");
    try_world(|w| w.locks.spin.set(lock as usize, Lock { name, owner: None }));
}

#[track_caller]
fn lock_spin(lock: *mut spinlock_t, place: Place) {
    if !in_world() {
        return;
    }
    let address = lock as usize;
    world(|w| {
        w.check(address, size_of::<spinlock_t>(), "a spinlock", place);
        w.preempt_off();
    });
    preempt();
    block_until(
        Key::Addr(address),
        Some(place),
        |w| {
            let lock = w.locks.spin.get(address).expect("looked up before");
            let (owner, _) = lock.owner.expect("it is held");
            Why::held("spins on", format!("spinlock {}", lock.name).into(), owner)
        },
        |w| {
            let me = w.current;
            match w.locks.spin(address).owner {
                None => {
                    w.locks.spin(address).owner = Some((me, place));
                    Some(())
                }
                Some((owner, taken)) if owner == me => {
                    let name = w.locks.spin(address).name.clone();
                    let facts = [
                        format!("taken       {}", at(taken)),
                        format!("again       {}", at(place)),
                    ];
                    let message = format!("spinlock {name} is taken by the task that holds it");
                    w.fail(Kind::Deadlock, message, &facts)
                }
                Some(_) => None,
            }
        },
    );
}

#[track_caller]
fn unlock_spin(lock: *mut spinlock_t, place: Place) {
    let address = lock as usize;
    preempt();
    try_world(|w| {
        w.check(address, size_of::<spinlock_t>(), "a spinlock", place);
        let me = w.current;
        let lock = w.locks.spin(address);
        if lock.owner.map(|(owner, _)| owner) != Some(me) {
            let message = format!(
                "spinlock {} is released by a task that does not hold it",
                lock.name
            );
            w.fail(
                Kind::Misuse,
                message,
                &[format!("released    {}", at(place))],
            );
        }
        lock.owner = None;
        w.preempt_on();
        w.wake(Key::Addr(address));
    });
}

#[track_caller]
fn trylock_spin(lock: *mut spinlock_t, place: Place) -> bool {
    if !in_world() {
        return true;
    }
    preempt();
    world(|w| {
        w.check(lock as usize, size_of::<spinlock_t>(), "a spinlock", place);
        let me = w.current;
        let lock = w.locks.spin(lock as usize);
        if lock.owner.is_some() {
            return false;
        }
        lock.owner = Some((me, place));
        w.preempt_off();
        true
    })
}

#[track_caller]
pub unsafe fn spin_lock(lock: *mut spinlock_t) {
    lock_spin(lock, Location::caller());
}

#[track_caller]
pub unsafe fn spin_unlock(lock: *mut spinlock_t) {
    unlock_spin(lock, Location::caller());
}

#[track_caller]
pub unsafe fn spin_trylock(lock: *mut spinlock_t) -> ffi::c_int {
    trylock_spin(lock, Location::caller()).into()
}

#[track_caller]
pub unsafe fn spin_assert_is_held(lock: *mut spinlock_t) {
    let place = Location::caller();
    try_world(|w| {
        let me = w.current;
        let lock = w.locks.spin(lock as usize);
        if lock.owner.map(|(owner, _)| owner) != Some(me) {
            let message = format!("spinlock {} is not held", lock.name);
            w.fail(
                Kind::Misuse,
                message,
                &[format!("asserted    {}", at(place))],
            );
        }
    });
}

#[track_caller]
pub unsafe fn spin_lock_irq_disable(lock: *mut spinlock_t) {
    try_world(World::irqs_off);
    lock_spin(lock, Location::caller());
}

#[track_caller]
pub unsafe fn spin_unlock_irq_enable(lock: *mut spinlock_t) {
    unlock_spin(lock, Location::caller());
    try_world(World::irqs_on);
    preempt();
}

#[track_caller]
pub unsafe fn spin_trylock_irq_disable(lock: *mut spinlock_t) -> ffi::c_int {
    try_world(World::irqs_off);
    let taken = trylock_spin(lock, Location::caller());
    if !taken {
        try_world(World::irqs_on);
    }
    taken.into()
}

#[track_caller]
pub unsafe fn spin_lock_irq(lock: *mut spinlock_t) {
    // SAFETY: the caller's promise is passed on.
    unsafe { spin_lock_irq_disable(lock) }
}

#[track_caller]
pub unsafe fn spin_unlock_irq(lock: *mut spinlock_t) {
    // SAFETY: the caller's promise is passed on.
    unsafe { spin_unlock_irq_enable(lock) }
}

/// Unlike C's, which is a macro, this returns the flags.
#[track_caller]
pub unsafe fn spin_lock_irqsave(lock: *mut spinlock_t) -> ffi::c_ulong {
    // SAFETY: the caller's promise is passed on.
    unsafe { spin_lock_irq_disable(lock) };
    0
}

#[track_caller]
pub unsafe fn spin_unlock_irqrestore(lock: *mut spinlock_t, _flags: ffi::c_ulong) {
    // SAFETY: the caller's promise is passed on.
    unsafe { spin_unlock_irq_enable(lock) }
}

#[track_caller]
pub unsafe fn spin_lock_bh(lock: *mut spinlock_t) {
    try_world(World::bh_off);
    lock_spin(lock, Location::caller());
}

#[track_caller]
pub unsafe fn spin_unlock_bh(lock: *mut spinlock_t) {
    unlock_spin(lock, Location::caller());
    try_world(World::bh_on);
    preempt();
}

// ---- Turning things off ----

pub unsafe fn local_irq_save() -> ffi::c_ulong {
    try_world(World::irqs_off);
    0
}

pub unsafe fn local_irq_restore(_flags: ffi::c_ulong) {
    try_world(World::irqs_on);
    preempt();
}

pub unsafe fn local_irq_disable() {
    try_world(World::irqs_off);
}

pub unsafe fn local_irq_enable() {
    try_world(World::irqs_on);
    preempt();
}

pub unsafe fn local_bh_disable() {
    try_world(World::bh_off);
}

pub unsafe fn local_bh_enable() {
    try_world(World::bh_on);
    preempt();
}

pub unsafe fn preempt_disable() {
    try_world(World::preempt_off);
}

pub unsafe fn preempt_enable() {
    try_world(World::preempt_on);
    preempt();
}

#[track_caller]
pub unsafe fn might_sleep() {
    let place = Location::caller();
    try_world(|w| w.might_sleep("this function", place));
    preempt();
}

#[track_caller]
pub unsafe fn __might_sleep(_file: *const ffi::c_char, _line: ffi::c_int) {
    let place = Location::caller();
    try_world(|w| w.might_sleep("this function", place));
}

pub unsafe fn might_resched() {
    preempt();
}

#[track_caller]
pub unsafe fn cond_resched() {
    // SAFETY: nothing is asked of the caller but a context that may sleep, which is checked.
    unsafe { might_sleep() }
}

pub unsafe fn in_task() -> bool_ {
    try_world(|w| matches!(w.me().kind, TaskKind::Process | TaskKind::Kthread) && !w.me().fake_irq)
        .unwrap_or(true)
}

pub unsafe fn in_hardirq() -> bool_ {
    try_world(|w| w.me().kind == TaskKind::HardIrq).unwrap_or(false)
}

pub unsafe fn in_atomic() -> bool_ {
    try_world(|w| w.why_atomic().is_some()).unwrap_or(false)
}

pub unsafe fn irqs_disabled() -> bool_ {
    try_world(|w| w.me().irqs_off > 0 || w.me().kind == TaskKind::HardIrq).unwrap_or(false)
}

pub unsafe fn raw_smp_processor_id() -> ffi::c_uint {
    try_world(|w| w.my_cpu() as ffi::c_uint).unwrap_or(0)
}

// ---- Mutexes ----

#[track_caller]
pub unsafe fn __mutex_init(mutex: *mut mutex, name: *const ffi::c_char, _key: *mut lock_class_key) {
    let name = cname(name, "mutex");
    try_world(|w| {
        w.locks
            .mutexes
            .set(mutex as usize, Lock { name, owner: None })
    });
}

/// Take the mutex at `address`. Returns false if a signal came first, where that counts.
#[track_caller]
pub(crate) fn lock_mutex(address: usize, interruptible: bool, place: Place) -> bool {
    if !in_world() {
        return true;
    }
    preempt();
    world(|w| {
        w.might_sleep("mutex_lock", place);
        w.check(address, size_of::<mutex>(), "a mutex", place);
    });
    block_until(
        Key::Addr(address),
        Some(place),
        |w| {
            let lock = w.locks.mutexes.get(address).expect("looked up before");
            let (owner, _) = lock.owner.expect("it is held");
            Why::held("waits for", format!("mutex {}", lock.name).into(), owner)
        },
        |w| {
            let me = w.current;
            if interruptible && w.tasks[me].signal {
                return Some(false);
            }
            match w.locks.mutex(address).owner {
                None => {
                    w.locks.mutex(address).owner = Some((me, place));
                    Some(true)
                }
                Some((owner, taken)) if owner == me => {
                    let name = w.locks.mutex(address).name.clone();
                    let facts = [
                        format!("taken       {}", at(taken)),
                        format!("again       {}", at(place)),
                    ];
                    let message = format!("mutex {name} is taken by the task that holds it");
                    w.fail(Kind::Deadlock, message, &facts)
                }
                Some(_) => {
                    // The memory may have been freed since we began to wait.
                    w.check(address, size_of::<mutex>(), "a mutex", place);
                    None
                }
            }
        },
    )
}

#[track_caller]
pub(crate) fn unlock_mutex(address: usize, place: Place) {
    preempt();
    try_world(|w| {
        w.check(address, size_of::<mutex>(), "a mutex", place);
        let me = w.current;
        let lock = w.locks.mutex(address);
        if lock.owner.map(|(owner, _)| owner) != Some(me) {
            let message = format!(
                "mutex {} is released by a task that does not hold it",
                lock.name
            );
            w.fail(
                Kind::Misuse,
                message,
                &[format!("released    {}", at(place))],
            );
        }
        lock.owner = None;
        w.wake(Key::Addr(address));
    });
}

/// Give the mutex at `address` a name.
pub(crate) fn name_mutex(w: &mut World, address: usize, name: &str) {
    w.locks.mutexes.set(
        address,
        Lock {
            name: name.into(),
            owner: None,
        },
    );
}

#[track_caller]
pub unsafe fn mutex_lock(lock: *mut mutex) {
    lock_mutex(lock as usize, false, Location::caller());
}

#[track_caller]
pub unsafe fn mutex_lock_interruptible(lock: *mut mutex) -> ffi::c_int {
    match lock_mutex(lock as usize, true, Location::caller()) {
        true => 0,
        false => -(EINTR as ffi::c_int),
    }
}

#[track_caller]
pub unsafe fn mutex_trylock(lock: *mut mutex) -> ffi::c_int {
    let place = Location::caller();
    preempt();
    let address = lock as usize;
    try_world(|w| {
        w.check(address, size_of::<mutex>(), "a mutex", place);
        let me = w.current;
        let lock = w.locks.mutex(address);
        if lock.owner.is_none() {
            lock.owner = Some((me, place));
            1
        } else {
            0
        }
    })
    .unwrap_or(1)
}

#[track_caller]
pub unsafe fn mutex_unlock(lock: *mut mutex) {
    unlock_mutex(lock as usize, Location::caller());
}

pub unsafe fn mutex_is_locked(lock: *mut mutex) -> bool_ {
    try_world(|w| w.locks.mutex(lock as usize).owner.is_some()).unwrap_or(false)
}

#[track_caller]
pub unsafe fn mutex_assert_is_held(mutex: *mut mutex) {
    let place = Location::caller();
    try_world(|w| {
        let me = w.current;
        let lock = w.locks.mutex(mutex as usize);
        if lock.owner.map(|(owner, _)| owner) != Some(me) {
            let message = format!("mutex {} is not held", lock.name);
            w.fail(
                Kind::Misuse,
                message,
                &[format!("asserted    {}", at(place))],
            );
        }
    });
}

pub unsafe fn lockdep_register_key(_key: *mut lock_class_key) {}

pub unsafe fn lockdep_unregister_key(_key: *mut lock_class_key) {}

// ---- RCU ----

pub unsafe fn rcu_read_lock() {
    try_world(|w| w.me().rcu += 1);
    preempt();
}

#[track_caller]
pub unsafe fn rcu_read_unlock() {
    let place = Location::caller();
    preempt();
    try_world(|w| {
        if w.me().rcu == 0 {
            let facts = [format!("called      {}", at(place))];
            w.fail(
                Kind::Misuse,
                "rcu_read_unlock without rcu_read_lock".into(),
                &facts,
            );
        }
        w.me().rcu -= 1;
    });
}

/// Wait until every read-side section that had begun has ended.
#[track_caller]
fn grace_period(place: Place) {
    // A reader is identified by its task: when the task is seen outside, its section has ended. A
    // task that starts the next section before anybody looks makes the wait longer, as in Linux.
    let (number, mut readers): (u64, Vec<usize>) = world(|w| {
        let me = w.current;
        w.locks.grace_periods += 1;
        let readers = (0..w.tasks.len()).filter(|&index| index != me && w.reads_rcu(index));
        (w.locks.grace_periods, readers.collect())
    });
    while !readers.is_empty() {
        world(|w| readers.retain(|&index| w.reads_rcu(index)));
        if !readers.is_empty() {
            let first = readers[0];
            let why = Why::held("waits for", "a grace period".into(), first);
            let deadline = Some(world(|w| w.now) + 1_000_000);
            super::machine::block(super::machine::State::Blocked {
                key: Key::Rcu,
                why,
                deadline,
                place: Some(place),
            });
        }
    }
    world(|w| w.locks.over = w.locks.over.max(number));
}

#[track_caller]
pub unsafe fn synchronize_rcu() {
    let place = Location::caller();
    world(|w| w.might_sleep("synchronize_rcu", place));
    step("synchronize_rcu", &nobody(), place);
    grace_period(place);
    world(|w| w.now += 8_000_000);
}

#[track_caller]
pub unsafe fn synchronize_rcu_expedited() {
    // SAFETY: the caller's promise is passed on.
    unsafe { synchronize_rcu() }
}

#[track_caller]
pub unsafe fn call_rcu(head: *mut callback_head, func: rcu_callback_t) {
    let place = Location::caller();
    let Some(func) = func else { return };
    world(|w| {
        w.check(
            head as usize,
            size_of::<callback_head>(),
            "an RCU head",
            place,
        );
        w.locks.rcu_callbacks += 1;
    });
    let head = head as usize;
    spawn("rcu".into(), TaskKind::Kthread, None, move || {
        grace_period(place);
        world(|w| {
            if let Some(facts) = w.freed_facts(head) {
                w.fail(
                    Kind::RanAfterFree,
                    "an RCU callback's head is freed memory".into(),
                    &facts,
                );
            }
            w.bh_off();
        });
        // SAFETY: whoever called `call_rcu` promised that `func` may be called with `head` after
        // a grace period, which is over.
        unsafe { func(head as *mut callback_head) };
        world(|w| {
            w.bh_on();
            w.locks.rcu_callbacks -= 1;
            w.wake(Key::Rcu);
        });
    });
}

#[track_caller]
pub unsafe fn rcu_barrier() {
    let place = Location::caller();
    world(|w| w.might_sleep("rcu_barrier", place));
    block_until(
        Key::Rcu,
        Some(place),
        |_| Why::waits("RCU callbacks".into()),
        |w| (w.locks.rcu_callbacks == 0).then_some(()),
    );
}

// ---- SRCU ----

#[track_caller]
pub unsafe fn init_srcu_struct_with_key(
    ssp: *mut srcu_struct,
    name: *const ffi::c_char,
    _key: *mut lock_class_key,
) -> ffi::c_int {
    let name = cname(name, "srcu");
    try_world(|w| {
        w.locks.srcu.set(
            ssp as usize,
            Srcu {
                name,
                readers: [0, 0],
                epoch: 0,
            },
        )
    });
    0
}

#[track_caller]
pub unsafe fn cleanup_srcu_struct(ssp: *mut srcu_struct) {
    let place = Location::caller();
    try_world(|w| {
        w.check(
            ssp as usize,
            size_of::<srcu_struct>(),
            "an srcu_struct",
            place,
        );
        let srcu = w.locks.srcu.get(ssp as usize);
        if let Some(name) = srcu.filter(|s| s.readers != [0, 0]).map(|s| s.name.clone()) {
            let message = format!("srcu {name} is cleaned up while it has readers");
            w.fail(
                Kind::Misuse,
                message,
                &[format!("cleaned up  {}", at(place))],
            );
        }
        w.locks.srcu.remove(ssp as usize);
    });
}

#[track_caller]
pub unsafe fn srcu_read_lock(ssp: *mut srcu_struct) -> ffi::c_int {
    let place = Location::caller();
    preempt();
    let index = try_world(|w| {
        w.check(
            ssp as usize,
            size_of::<srcu_struct>(),
            "an srcu_struct",
            place,
        );
        let srcu = w.locks.srcu.get_mut(ssp as usize)?;
        srcu.readers[srcu.epoch] += 1;
        Some(srcu.epoch as ffi::c_int)
    });
    index.flatten().unwrap_or(0)
}

#[track_caller]
pub unsafe fn srcu_read_unlock(ssp: *mut srcu_struct, idx: ffi::c_int) {
    let place = Location::caller();
    preempt();
    try_world(|w| {
        w.check(
            ssp as usize,
            size_of::<srcu_struct>(),
            "an srcu_struct",
            place,
        );
        if let Some(srcu) = w.locks.srcu.get_mut(ssp as usize) {
            let readers = &mut srcu.readers[idx as usize & 1];
            *readers = readers.saturating_sub(1);
        }
        w.wake(Key::Addr(ssp as usize));
    });
}

#[track_caller]
pub unsafe fn __srcu_read_lock(ssp: *mut srcu_struct) -> ffi::c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe { srcu_read_lock(ssp) }
}

#[track_caller]
pub unsafe fn __srcu_read_unlock(ssp: *mut srcu_struct, idx: ffi::c_int) {
    // SAFETY: the caller's promise is passed on.
    unsafe { srcu_read_unlock(ssp, idx) }
}

#[track_caller]
pub unsafe fn synchronize_srcu(ssp: *mut srcu_struct) {
    let place = Location::caller();
    world(|w| {
        w.might_sleep("synchronize_srcu", place);
        w.check(
            ssp as usize,
            size_of::<srcu_struct>(),
            "an srcu_struct",
            place,
        );
    });
    preempt();
    // Readers of both epochs may have begun before; two flips wait for each once.
    for _ in 0..2 {
        let Some(old) = world(|w| {
            let srcu = w.locks.srcu.get_mut(ssp as usize)?;
            srcu.epoch ^= 1;
            Some(srcu.epoch ^ 1)
        }) else {
            return;
        };
        block_until(
            Key::Addr(ssp as usize),
            Some(place),
            |w| {
                let name = w.locks.srcu.get(ssp as usize).map(|s| s.name.clone());
                let name = name.unwrap_or_else(nobody);
                Why::waits(format!("the readers of srcu {name}").into())
            },
            |w| {
                let srcu = w.locks.srcu.get(ssp as usize);
                srcu.is_none_or(|srcu| srcu.readers[old] == 0).then_some(())
            },
        );
    }
}

#[track_caller]
pub unsafe fn synchronize_srcu_expedited(ssp: *mut srcu_struct) {
    // SAFETY: the caller's promise is passed on.
    unsafe { synchronize_srcu(ssp) }
}

pub unsafe fn srcu_barrier(_ssp: *mut srcu_struct) {
    // The model has no `call_srcu`, so there is nothing to wait for.
}

pub unsafe fn srcu_readers_active(ssp: *mut srcu_struct) -> bool_ {
    try_world(|w| {
        w.locks
            .srcu
            .get(ssp as usize)
            .is_some_and(|srcu| srcu.readers != [0, 0])
    })
    .unwrap_or(false)
}

const _: () = assert!(CPUS > 1, "one CPU would hide most of what the model is for");

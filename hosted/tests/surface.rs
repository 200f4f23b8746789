//! The `kernel` crate itself: pointers, macros, formatting, locks.

use kernel::{
    alloc::flags::GFP_KERNEL,
    hosted::{self, Kind},
    interrupt::local_interrupt_disable,
    new_condvar, new_mutex, new_spinlock, new_spinlock_irq,
    prelude::*,
    revocable::Revocable,
    str::CString,
    sync::{
        atomic::{Atomic, Full, Relaxed},
        rcu, Arc, CondVar, Mutex, SetOnce, SpinLock, SpinLockIrq, UniqueArc,
    },
    types::{ForeignOwnable, ScopeGuard},
    workqueue::{
        self, impl_has_delayed_work, impl_has_work, new_delayed_work, new_work, DelayedWork, Work,
        WorkItem,
    },
    ModuleMetadata,
};

/// Counts how often it was dropped.
struct Dropped(Arc<Atomic<u32>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_box_drops_its_value_once_whatever_road_it_took() {
    let count = Arc::new(Atomic::new(0u32), GFP_KERNEL).unwrap();
    let boxed = || KBox::new(Dropped(count.clone()), GFP_KERNEL).unwrap();
    drop(boxed());
    drop(KBox::into_inner(boxed()));
    drop(KBox::drop_contents(boxed()).write(Dropped(count.clone())));
    let raw = boxed().into_foreign();
    // SAFETY: From `into_foreign`, once.
    drop(unsafe { KBox::<Dropped>::from_foreign(raw) });
    drop(KBox::into_pin(boxed()));
    assert_eq!(count.load(Relaxed), 6);
}

#[test]
fn a_vector_keeps_its_elements() {
    let mut v = kernel::kvec![1, 2, 3].unwrap();
    v.extend_with(2, 9, GFP_KERNEL).unwrap();
    v.retain(|n| *n != 2);
    v.insert_within_capacity(1, 7).unwrap();
    assert_eq!(v, [1, 7, 3, 9, 9]);
    assert_eq!(v.remove(0).unwrap(), 1);
    assert_eq!(v.drain_all().next(), Some(7));
    assert!(v.is_empty());
    v.push(4, GFP_KERNEL).unwrap();
    let mut elements = v.into_iter();
    assert_eq!(elements.next(), Some(4));
    assert!(elements.collect(GFP_KERNEL).is_empty());
}

#[test]
fn an_allocation_that_fails_is_enomem_and_leaves_nothing() {
    hosted::explore(3, |m| {
        m.fail_allocation(1);
        assert!(KBox::new(1, GFP_KERNEL).is_err());
        m.fail_allocation(1);
        let made = Arc::pin_init(new_mutex!(1), GFP_KERNEL);
        assert_eq!(made.err(), Some(ENOMEM));
        m.fail_allocation(1);
        let mut v = KVec::<u8>::new();
        assert!(v.push(1, GFP_KERNEL).is_err());
        v.push(1, GFP_KERNEL).unwrap();
    });
}

#[test]
fn the_last_arc_drops_the_value() {
    let count = Arc::new(Atomic::new(0u32), GFP_KERNEL).unwrap();
    let first = Arc::new(Dropped(count.clone()), GFP_KERNEL).unwrap();
    let second: Arc<Dropped> = first.as_arc_borrow().into();
    assert!(Arc::ptr_eq(&first, &second));
    let raw = first.into_foreign();
    assert!(Arc::into_unique_or_drop(second).is_none());
    assert_eq!(count.load(Relaxed), 0);
    // SAFETY: From `into_foreign`, once.
    let last = unsafe { Arc::<Dropped>::from_foreign(raw) };
    let raw = Arc::into_raw(Arc::into_unique_or_drop(last).unwrap().into());
    // SAFETY: From `into_raw`, once.
    drop(unsafe { Arc::from_raw(raw) });
    assert_eq!(count.load(Relaxed), 1);
    let unique = UniqueArc::<u64>::new_uninit(GFP_KERNEL).unwrap().write(5);
    assert_eq!(*Arc::from(unique), 5);
}

#[test]
fn a_leaked_box_is_reported_with_its_type() {
    let failure = hosted::Explore::new("a_leaked_box_is_reported_with_its_type")
        .schedules(1)
        .run(|_| core::mem::forget(KBox::new(7u16, GFP_KERNEL)))
        .expect_failure();
    assert_eq!(failure.kind, Kind::Leak);
    let report = failure.to_string();
    assert!(report.contains("u16"), "{report}");
    assert!(report.contains("surface.rs"), "{report}");
}

#[test]
fn an_atomic_in_freed_memory_is_reported() {
    let failure = hosted::Explore::new("an_atomic_in_freed_memory_is_reported")
        .schedules(1)
        .run(|_| {
            let freed = KBox::into_raw(KBox::new(Atomic::new(0u32), GFP_KERNEL).unwrap());
            // SAFETY: From `into_raw`.
            drop(unsafe { KBox::from_raw(freed) });
            // SAFETY: None: this is the bug. The machine keeps the memory.
            unsafe { &*freed }.store(1, Relaxed);
        })
        .expect_failure();
    assert_eq!(failure.kind, Kind::UseAfterFree);
}

#[test]
fn an_increment_in_two_steps_is_lost_in_some_schedule() {
    let run = |atomic: bool| {
        hosted::Explore::new("an_increment_in_two_steps_is_lost_in_some_schedule")
            .schedules(300)
            .run(move |m| {
                let n = Arc::new(Atomic::new(0i32), GFP_KERNEL).unwrap();
                let programs = [(); 2].map(|()| {
                    let n = n.clone();
                    m.spawn("adds", move || match atomic {
                        true => drop(n.fetch_add(1, Full)),
                        false => n.store(n.load(Relaxed) + 1, Relaxed),
                    })
                });
                programs.into_iter().for_each(|program| program.join());
                assert_eq!(n.load(Relaxed), 2);
            })
    };
    run(true).unwrap();
    assert_eq!(run(false).expect_failure().kind, Kind::Panic);
}

#[pin_data]
struct Shared {
    #[pin]
    mutex: Mutex<u32>,
    #[pin]
    changed: CondVar,
    #[pin]
    spin: SpinLock<u32>,
    #[pin]
    irq: SpinLockIrq<u32>,
    #[pin]
    work: Work<Shared>,
}

impl_has_work! {
    impl HasWork<Self> for Shared { self.work }
}

impl WorkItem for Shared {
    type Pointer = Arc<Shared>;

    fn run(this: Arc<Shared>) {
        *this.spin.lock() += 1;
        *this.irq.lock() += 1;
        *this.mutex.lock() += 1;
        this.changed.notify_all();
    }
}

fn shared() -> Arc<Shared> {
    let init = pin_init!(Shared {
        mutex <- new_mutex!(0, "a mutex"),
        changed <- new_condvar!(),
        spin <- new_spinlock!(0),
        irq <- new_spinlock_irq!(0),
        work <- new_work!(),
    });
    Arc::pin_init(init, GFP_KERNEL).unwrap()
}

#[test]
fn work_wakes_who_waits_for_it() {
    hosted::explore(300, |m| {
        let shared = shared();
        assert!(workqueue::system_unbound().enqueue(shared.clone()).is_ok());
        let mut guard = shared.mutex.lock();
        while *guard == 0 {
            shared.changed.wait(&mut guard);
        }
        drop(guard);
        assert_eq!(*shared.spin.lock() + *shared.irq.lock(), 2);
        let off = local_interrupt_disable();
        assert_eq!(*shared.irq.lock_with(&off), 1);
        drop(off);
        // Linux lets anyone free a work item whose function gives up its reference; the model only
        // once the function has returned.
        m.settle();
        let queue = workqueue::system_unbound();
        let shared = Arc::new(Atomic::new(false), GFP_KERNEL).unwrap();
        let spawned = shared.clone();
        let spawned = queue.try_spawn(GFP_KERNEL, move || spawned.store(true, Relaxed));
        assert!(spawned.is_ok());
    });
}

#[pin_data]
struct Later {
    runs: Atomic<i32>,
    #[pin]
    work: DelayedWork<Later>,
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self> for Later { self.work }
}

impl WorkItem for Later {
    type Pointer = Arc<Later>;

    fn run(this: Arc<Later>) {
        this.runs.add(1, Relaxed);
    }
}

#[test]
fn delayed_work_runs_once_for_each_time_that_it_was_queued() {
    hosted::explore(300, |m| {
        let later = pin_init!(Later {
            runs: Atomic::new(0),
            work <- new_delayed_work!("later"),
        });
        let later = Arc::pin_init(later, GFP_KERNEL).unwrap();
        let queue = workqueue::system_unbound();
        let first = queue.enqueue_delayed(later.clone(), 12).is_ok();
        let second = queue.enqueue(later.clone()).is_ok();
        m.settle();
        assert!(first);
        assert_eq!(later.runs.load(Relaxed), 1 + i32::from(second));
    });
}

#[test]
fn a_mutex_is_not_for_spinlock_holders() {
    let failure = hosted::Explore::new("a_mutex_is_not_for_spinlock_holders")
        .schedules(1)
        .run(|_| {
            let shared = shared();
            let _held = shared.spin.lock();
            drop(shared.mutex.lock());
        })
        .expect_failure();
    assert_eq!(failure.kind, Kind::SleepInAtomic);
}

#[test]
fn a_revoked_value_is_gone_when_revoke_returns() {
    hosted::explore(300, |m| {
        let count = Arc::new(Atomic::new(0u32), GFP_KERNEL).unwrap();
        let value = Revocable::<Dropped>::new(Ok::<_, Error>(Dropped(count.clone())));
        let value = Arc::pin_init(value, GFP_KERNEL).unwrap();
        let reader = value.clone();
        let reader = m.spawn("reads", move || {
            if let Some(value) = reader.try_access() {
                assert_eq!(value.0.load(Relaxed), 0);
            }
            let section = rcu::read_lock();
            if let Some(value) = reader.try_access_with_guard(&section) {
                assert_eq!(value.0.load(Relaxed), 0);
            }
        });
        assert!(value.revoke());
        assert!(!value.revoke());
        assert_eq!(count.load(Relaxed), 1);
        reader.join();
    });
}

#[test]
fn set_once_is_set_once() {
    let once = SetOnce::new();
    assert_eq!(once.copy(), None);
    assert!(once.populate(1));
    assert!(!once.populate(2));
    assert_eq!(once.copy(), Some(1));
}

#[test]
fn fmt_prints_c_strings_and_errors() {
    let text = |args: kernel::fmt::Arguments<'_>| CString::try_from_fmt(args).unwrap();
    let name = c"edu\x01";
    assert_eq!(
        &*text(fmt!("{name} {} {:?}", c"x", EBUSY)),
        c"edu\\x01 x EBUSY"
    );
    let shared = Arc::new(7u8, GFP_KERNEL).unwrap();
    assert_eq!(&*text(fmt!("{shared} {shared:?}")), c"7 7");
    assert_eq!(&*text(fmt!("{n:#x} {{}} {0}", 1, n = 10 + 5)), c"0xf {} 1");
    assert_eq!(EBUSY.to_ptr::<u8>().addr(), usize::MAX - 15);
    assert_eq!(
        kernel::error::from_err_ptr(EBUSY.to_ptr::<u8>()),
        Err(EBUSY)
    );
    assert_eq!(kernel::error::from_result(|| Err::<i32, _>(EBUSY)), -16);
}

#[test]
fn a_scope_guard_runs_unless_dismissed() {
    let count = Atomic::new(0);
    drop(ScopeGuard::new(|| count.add(1, Relaxed)));
    ScopeGuard::new(|| count.add(1, Relaxed)).dismiss();
    assert_eq!(count.load(Relaxed), 1);
}

#[vtable]
trait Callbacks {
    fn required();
    fn optional() -> u32 {
        0
    }
}

/// Two modules, in one crate.
mod first {
    use super::Callbacks;
    use kernel::prelude::*;

    pub(crate) struct First;

    impl kernel::Module for First {
        fn init(_: &'static ThisModule) -> Result<Self> {
            pr_info!("hello\n");
            Ok(First)
        }
    }

    impl Drop for First {
        fn drop(&mut self) {
            pr_info!("goodbye\n");
        }
    }

    #[vtable]
    impl Callbacks for First {
        fn required() {}
    }

    module! {
        type: First,
        name: "first",
        license: "GPL",
    }
}

mod second {
    use super::Callbacks;
    use kernel::prelude::*;

    pub(crate) struct Second;

    impl kernel::Module for Second {
        fn init(_: &'static ThisModule) -> Result<Self> {
            Err(ENODEV)
        }
    }

    #[vtable]
    impl Callbacks for Second {
        fn required() {}

        fn optional() -> u32 {
            2
        }
    }

    module! {
        type: Second,
        name: "second",
        authors: ["devscope"],
        description: "does not load",
        license: "GPL",
        alias: ["zweites"],
    }
}

#[test]
fn vtable_says_what_is_overridden() {
    fn facts<T: Callbacks>() -> (bool, bool, u32, &'static CStr) {
        T::required();
        let name = T::OwnerModule::NAME;
        (T::HAS_REQUIRED, T::HAS_OPTIONAL, T::optional(), name)
    }
    assert_eq!(facts::<first::First>(), (true, false, 0, c"first"));
    assert_eq!(facts::<second::Second>(), (true, true, 2, c"second"));
}

#[test]
fn modules_load_and_unload() {
    hosted::explore(3, |m| {
        assert_eq!(m.load(&second::MODULE).err(), Some(ENODEV));
        let first = m.load(&first::MODULE).unwrap();
        first.unload().unwrap();
        assert_eq!(m.dmesg(), ["first: hello", "first: goodbye"]);
    });
}

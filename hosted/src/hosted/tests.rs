//! What the model promises, as tests against its C functions.

mod driver;
mod files;
mod poll;
mod urb;

use super::*;
use crate::bindings::*;
use crate::ffi;
use std::ptr::null_mut;

/// A driver's state, C style.
#[repr(C)]
struct State {
    tasklet: tasklet_struct,
    work: work_struct,
    irq: u32,
    handled: u32,
    collected: u32,
}

unsafe extern "C" fn count(_irq: ffi::c_int, cookie: *mut ffi::c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: the cookie is a `State` that outlives the registration.
    unsafe { (*state).handled += 1 };
    irqreturn_t::IRQ_HANDLED
}

#[test]
fn an_interrupt_reaches_its_handler() {
    explore(200, |m| {
        let line = m.irq_line("demo", false);
        // SAFETY: the state is allocated here and freed after the interrupt.
        unsafe {
            let state = kzalloc(size_of::<State>(), GFP_KERNEL).cast::<State>();
            assert_eq!(
                request_irq(line.number(), Some(count), 0, null_mut(), state.cast()),
                0
            );
            line.pulse();
            m.settle();
            assert_eq!((*state).handled, 1);
            free_irq(line.number(), state.cast());
            kfree(state.cast());
        }
    });
}

// ---- Interrupts ----

/// Allocate a `State`, all zero.
fn new_state() -> *mut State {
    // SAFETY: an allocation that is checked below.
    let state = unsafe { kzalloc(size_of::<State>(), GFP_KERNEL) }.cast::<State>();
    assert!(!state.is_null());
    state
}

fn free_state(state: *mut State) {
    // SAFETY: the state was allocated by `new_state`.
    unsafe { kfree(state.cast()) }
}

fn request(line: IrqLine, flags: u32, cookie: *mut State) -> ffi::c_int {
    // SAFETY: `count` takes a `State` for its cookie, which the tests free after the interrupt.
    unsafe {
        request_irq(
            line.number(),
            Some(count),
            flags as _,
            null_mut(),
            cookie.cast(),
        )
    }
}

fn free(line: IrqLine, cookie: *mut State) {
    // SAFETY: registered by the test.
    unsafe { free_irq(line.number(), cookie.cast()) };
}

/// Raise the line from the device side, some time.
fn later(line: IrqLine) {
    hardware("device", move || line.pulse());
}

fn failure(scenario: impl Fn(&Machine) + Send + Sync + 'static) -> Failure {
    Explore::new("test")
        .schedules(3000)
        .run(scenario)
        .expect_failure()
}

#[test]
fn free_irq_waits_for_a_running_handler() {
    explore(1000, |m| {
        let line = m.irq_line("demo", false);
        let state = new_state();
        request(line, 0, state);
        later(line);
        free(line, state);
        // Freed at once: a handler that still ran would be reported.
        free_state(state);
    });
}

#[test]
fn freeing_the_cookie_of_a_registered_handler_is_reported() {
    let failure = failure(|m| {
        let line = m.irq_line("demo", false);
        let state = new_state();
        request(line, 0, state);
        free_state(state);
        free(line, state);
    });
    assert_eq!(failure.kind, Kind::FreedWhileActive);
    assert_eq!(failure.tried, 1);
    assert!(
        failure.facts().iter().any(|fact| fact.contains("tests.rs")),
        "{failure}"
    );
}

#[test]
fn a_shared_line_calls_every_handler_and_once_more_when_freed() {
    explore(300, |m| {
        let line = m.irq_line("demo", false);
        let (one, two) = (new_state(), new_state());
        assert_eq!(request(line, IRQF_SHARED, one), 0);
        assert_eq!(request(line, IRQF_SHARED, two), 0);
        line.pulse();
        m.settle();
        free(line, one);
        free(line, two);
        // SAFETY: no handler is registered any more.
        unsafe { assert_eq!(((*one).handled, (*two).handled), (2, 2)) };
        free_state(one);
        free_state(two);
    });
}

#[test]
fn a_line_that_is_not_shared_has_one_handler() {
    explore(20, |m| {
        let line = m.irq_line("demo", false);
        let (one, two) = (new_state(), new_state());
        assert_eq!(request(line, 0, one), 0);
        assert_eq!(request(line, 0, two), -(EBUSY as ffi::c_int));
        assert_eq!(request(line, IRQF_SHARED, two), -(EBUSY as ffi::c_int));
        free(line, one);
        free_state(one);
        free_state(two);
    });
}

/// Counts, and is busy for a while; fails if it is entered twice.
unsafe extern "C" fn alone(_irq: ffi::c_int, cookie: *mut ffi::c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: the cookie is a `State` that outlives the registration.
    unsafe {
        assert_eq!((*state).collected, 0, "the handler is entered twice");
        (*state).collected = 1;
        for _ in 0..3 {
            super::preempt();
        }
        (*state).collected = 0;
        (*state).handled += 1;
    }
    irqreturn_t::IRQ_HANDLED
}

#[test]
fn a_line_in_progress_is_remembered_and_not_entered_twice() {
    explore(1000, |m| {
        let line = m.irq_line("demo", false);
        let state = new_state();
        // SAFETY: as in `request`.
        unsafe { request_irq(line.number(), Some(alone), 0, null_mut(), state.cast()) };
        for _ in 0..3 {
            later(line);
        }
        m.settle();
        // SAFETY: nothing runs.
        let handled = unsafe { (*state).handled };
        assert!((1..=3).contains(&handled));
        free(line, state);
        free_state(state);
    });
}

#[test]
fn a_disabled_line_is_handled_when_it_is_enabled() {
    explore(300, |m| {
        let line = m.irq_line("demo", false);
        let state = new_state();
        request(line, 0, state);
        // SAFETY: process context; the line has a handler.
        unsafe {
            disable_irq(line.number());
            disable_irq(line.number());
            line.pulse();
            m.settle();
            assert_eq!((*state).handled, 0);
            enable_irq(line.number());
            m.settle();
            assert_eq!((*state).handled, 0);
            enable_irq(line.number());
            m.settle();
            assert_eq!((*state).handled, 1);
        }
        free(line, state);
        free_state(state);
    });
}

unsafe extern "C" fn wake_the_thread(_: ffi::c_int, _: *mut ffi::c_void) -> irqreturn_t {
    irqreturn_t::IRQ_WAKE_THREAD
}

unsafe extern "C" fn sleep_and_count(irq: ffi::c_int, cookie: *mut ffi::c_void) -> irqreturn_t {
    // SAFETY: a thread may sleep.
    unsafe { msleep(1) };
    // SAFETY: passed on.
    unsafe { count(irq, cookie) }
}

#[test]
fn a_threaded_handler_may_sleep_and_is_waited_for() {
    explore(500, |m| {
        let line = m.irq_line("demo", false);
        let state = new_state();
        // SAFETY: as in `request`.
        unsafe {
            let result = request_threaded_irq(
                line.number(),
                Some(wake_the_thread),
                Some(sleep_and_count),
                0,
                null_mut(),
                state.cast(),
            );
            assert_eq!(result, 0);
        }
        later(line);
        free(line, state);
        free_state(state);
    });
}

unsafe extern "C" fn sleeps(_: ffi::c_int, _: *mut ffi::c_void) -> irqreturn_t {
    // SAFETY: none: that is the mistake.
    unsafe { msleep(1) };
    irqreturn_t::IRQ_HANDLED
}

#[test]
fn sleeping_in_a_handler_is_reported() {
    let failure = failure(|m| {
        let line = m.irq_line("demo", false);
        // SAFETY: the handler does not use its cookie.
        unsafe {
            request_irq(line.number(), Some(sleeps), 0, null_mut(), null_mut());
            line.pulse();
            m.settle();
            free_irq(line.number(), null_mut());
        }
    });
    assert_eq!(failure.kind, Kind::SleepInAtomic);
    assert!(failure.message.contains("hard interrupt"), "{failure}");
}

// ---- Tasklets ----

unsafe extern "C" fn schedules(_irq: ffi::c_int, cookie: *mut ffi::c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: the cookie is a `State`.
    unsafe { tasklet_schedule(&raw mut (*state).tasklet) };
    irqreturn_t::IRQ_HANDLED
}

unsafe extern "C" fn collects(tasklet: *mut tasklet_struct) {
    let state = tasklet.cast::<State>();
    // SAFETY: the tasklet is the first field of a `State`.
    unsafe { (*state).collected += 1 };
}

#[test]
fn a_tasklet_runs_once_for_many_schedules_before_it_ran() {
    explore(500, |m| {
        let state = new_state();
        // SAFETY: the tasklet is killed before it is freed.
        unsafe {
            let tasklet = &raw mut (*state).tasklet;
            tasklet_setup(tasklet, Some(collects));
            local_bh_disable();
            tasklet_schedule(tasklet);
            tasklet_schedule(tasklet);
            local_bh_enable();
            m.settle();
            assert_eq!((*state).collected, 1);
            tasklet_kill(tasklet);
            free_state(state);
        }
    });
}

/// The first article's driver: the tasklet is killed before the interrupt is freed.
fn teardown_in_the_wrong_order(m: &Machine) {
    let line = m.irq_line("demo", false);
    let state = new_state();
    // SAFETY: none: the order of the teardown is the mistake.
    unsafe {
        tasklet_setup(&raw mut (*state).tasklet, Some(collects));
        request_irq(line.number(), Some(schedules), 0, null_mut(), state.cast());
        later(line);
        later(line);
        tasklet_kill(&raw mut (*state).tasklet);
    }
    free(line, state);
    free_state(state);
}

#[test]
fn a_tasklet_scheduled_after_its_kill_is_reported() {
    let failure = failure(teardown_in_the_wrong_order);
    assert_eq!(failure.kind, Kind::FreedWhileActive);
    assert!(failure.message.contains("tasklet"), "{failure}");
}

#[test]
fn a_tasklet_killed_after_free_irq_is_quiet() {
    explore(2000, |m| {
        let line = m.irq_line("demo", false);
        let state = new_state();
        // SAFETY: the interrupt is freed, then the tasklet killed, then the state freed.
        unsafe {
            tasklet_setup(&raw mut (*state).tasklet, Some(collects));
            request_irq(line.number(), Some(schedules), 0, null_mut(), state.cast());
            later(line);
            later(line);
            free(line, state);
            tasklet_kill(&raw mut (*state).tasklet);
            free_state(state);
        }
    });
}

#[test]
fn killing_a_disabled_scheduled_tasklet_never_ends() {
    let failure = Explore::new("test")
        .schedules(5)
        .max_steps(2000)
        .run(|_| {
            let state = new_state();
            // SAFETY: the tasklet is not freed.
            unsafe {
                let tasklet = &raw mut (*state).tasklet;
                tasklet_setup(tasklet, Some(collects));
                tasklet_disable(tasklet);
                tasklet_schedule(tasklet);
                tasklet_kill(tasklet);
            }
        })
        .expect_failure();
    assert_eq!(failure.kind, Kind::Livelock);
    assert!(
        failure.waits().iter().any(|wait| wait.contains("tasklet")),
        "{failure}"
    );
}

// ---- Work ----

unsafe extern "C" fn work_collects(work: *mut work_struct) {
    // SAFETY: the work item is in a `State`.
    unsafe {
        let state = work
            .byte_sub(std::mem::offset_of!(State, work))
            .cast::<State>();
        assert_eq!(current_work(), work);
        msleep(1);
        (*state).collected += 1;
    }
}

fn with_work(state: *mut State) -> *mut work_struct {
    // SAFETY: the state is there.
    unsafe {
        let work = &raw mut (*state).work;
        init_work_with_key(work, Some(work_collects), false, null_mut(), null_mut());
        work
    }
}

#[test]
fn disable_work_sync_waits_and_refuses_from_then_on() {
    explore(1000, |m| {
        let state = new_state();
        let work = with_work(state);
        // SAFETY: the work item is disabled before it is freed.
        unsafe {
            assert!(queue_work(system_percpu_wq, work));
            let other = m.spawn("queues", {
                let work = work as usize;
                move || queue_work(system_percpu_wq, work as *mut work_struct)
            });
            disable_work_sync(work);
            let collected = (*state).collected;
            assert!(!queue_work(system_percpu_wq, work));
            other.join();
            m.settle();
            assert_eq!(
                (*state).collected,
                collected,
                "it ran after disable_work_sync"
            );
            free_state(state);
        }
    });
}

#[test]
fn waiting_for_a_work_item_without_a_function_is_reported() {
    let failure = Explore::new("waiting_for_a_work_item_without_a_function_is_reported")
        .schedules(10)
        .run(|_| {
            let state = new_state();
            let work = with_work(state);
            // SAFETY: the work item is at rest.
            unsafe {
                (*work).func = None;
                disable_work_sync(work);
            }
        })
        .expect_failure();
    assert_eq!(failure.kind, Kind::Misuse);
    assert!(
        failure
            .message
            .ends_with("is waited for, and has no function"),
        "{failure}"
    );
}

#[test]
fn a_work_item_runs_once_for_each_time_that_it_was_queued() {
    // The second call finds the item pending in some schedules and not in others.
    let refused = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = refused.clone();
    explore(500, move |m| {
        let state = new_state();
        let work = with_work(state);
        // SAFETY: the work item is at rest before it is freed.
        unsafe {
            let first = queue_work(system_dfl_wq, work);
            let second = queue_work(system_dfl_wq, work);
            assert!(first);
            m.settle();
            assert_eq!((*state).collected, 1 + u32::from(second));
            count.fetch_add((!second).into(), std::sync::atomic::Ordering::Relaxed);
        }
        free_state(state);
    });
    assert!(refused.load(std::sync::atomic::Ordering::Relaxed) > 50);
}

#[test]
fn a_disabled_work_item_is_refused_until_it_is_enabled() {
    explore(200, |_| {
        let state = new_state();
        let work = with_work(state);
        // SAFETY: the work item is flushed before it is freed.
        unsafe {
            disable_work(work);
            disable_work(work);
            assert!(!queue_work(system_dfl_wq, work));
            assert!(!enable_work(work));
            assert!(!queue_work(system_dfl_wq, work));
            assert!(enable_work(work));
            assert!(queue_work(system_dfl_wq, work));
            flush_work(work);
            assert_eq!((*state).collected, 1);
        }
        free_state(state);
    });
}

#[test]
fn freeing_a_queued_work_item_is_reported() {
    let failure = failure(|_| {
        let state = new_state();
        let work = with_work(state);
        // SAFETY: none: the free is the mistake.
        unsafe { queue_work(system_percpu_wq, work) };
        free_state(state);
    });
    assert!(
        matches!(failure.kind, Kind::FreedWhileActive | Kind::UseAfterFree),
        "{failure}"
    );
}

/// A delayed work item in memory of its own, on its timer for `queue`.
///
/// # Safety
///
/// It is disabled, or has run, before it is freed.
unsafe fn on_its_timer(queue: *mut workqueue_struct) -> *mut delayed_work {
    // SAFETY: fresh memory, and a queue that the caller gives.
    unsafe {
        let later = kzalloc(size_of::<delayed_work>(), GFP_KERNEL).cast::<delayed_work>();
        let work = &raw mut (*later).work;
        init_work_with_key(work, Some(work_collects), false, null_mut(), null_mut());
        let (timer, fires) = (&raw mut (*later).timer, delayed_work_timer_fn);
        timer_init_key(timer, Some(fires), TIMER_IRQSAFE, null_mut(), null_mut());
        let cpu = wq_misc_consts_WORK_CPU_UNBOUND as ffi::c_int;
        queue_delayed_work_on(cpu, queue, later, 1000);
        later
    }
}

#[test]
fn freeing_delayed_work_that_is_on_its_timer_is_reported() {
    let failure = failure(|_| {
        // SAFETY: none: the free is the mistake.
        unsafe { kfree(on_its_timer(system_dfl_wq).cast()) };
    });
    assert_eq!(failure.kind, Kind::FreedWhileActive, "{failure}");
    assert!(failure.message.contains("whose timer runs"), "{failure}");
}

#[test]
fn disabling_delayed_work_as_if_it_had_no_timer_is_reported() {
    let failure = failure(|_| {
        // SAFETY: none: C forbids this for work whose timer runs.
        unsafe { disable_work_sync(on_its_timer(system_dfl_wq).cast()) };
    });
    assert_eq!(failure.kind, Kind::Misuse, "{failure}");
    assert!(
        failure.message.contains("as if it had no timer"),
        "{failure}"
    );
}

#[test]
fn destroying_a_queue_that_a_timer_will_queue_on_is_reported() {
    let failure = failure(|_| {
        // SAFETY: none: the timer is not stopped.
        unsafe {
            let name = c"doomed".as_ptr().cast();
            let queue = alloc_workqueue_noprof(c"%s".as_ptr().cast(), wq_flags_WQ_UNBOUND, 0, name);
            on_its_timer(queue);
            destroy_workqueue(queue);
        }
    });
    assert_eq!(failure.kind, Kind::FreedWhileActive, "{failure}");
    assert!(
        failure.message.contains("a workqueue is destroyed"),
        "{failure}"
    );
}

#[test]
fn a_workqueue_that_nobody_destroys_is_a_leak() {
    let failure = failure(|_| {
        let name = c"kept".as_ptr().cast();
        // SAFETY: the format takes one string.
        unsafe { alloc_workqueue_noprof(c"%s".as_ptr().cast(), wq_flags_WQ_UNBOUND, 0, name) };
    });
    assert_eq!(failure.kind, Kind::Leak, "{failure}");
}

// ---- The ledger ----

#[test]
fn a_leak_is_reported_with_its_place() {
    let failure = failure(|_| {
        new_state();
    });
    assert_eq!(failure.kind, Kind::Leak);
    assert!(failure.facts()[0].contains("tests.rs"), "{failure}");
}

#[test]
fn use_after_free_is_reported_with_both_places() {
    let failure = failure(|_| {
        let state = new_state();
        free_state(state);
        // SAFETY: none: that is the mistake.
        unsafe { tasklet_setup(&raw mut (*state).tasklet, Some(collects)) };
    });
    assert_eq!(failure.kind, Kind::UseAfterFree);
    let text = failure.to_string();
    for fact in ["allocated", "freed", "used", "DEVSCOPE_SCHEDULE="] {
        assert!(text.contains(fact), "{text}");
    }
}

#[test]
#[cfg(not(devscope_asan))]
fn a_write_after_free_is_seen_at_the_end() {
    let failure = failure(|_| {
        let state = new_state();
        free_state(state);
        // SAFETY: none: that is the mistake. (The quarantine keeps the memory.)
        unsafe { (&raw mut (*state).handled).write(7) };
    });
    assert_eq!(failure.kind, Kind::UseAfterFree);
    assert!(failure.message.contains("written"), "{failure}");
}

#[test]
fn freeing_twice_is_reported() {
    let failure = failure(|_| {
        let state = new_state();
        free_state(state);
        free_state(state);
    });
    assert_eq!(failure.kind, Kind::BadFree);
}

#[test]
fn an_allocation_fails_when_asked() {
    explore(3, |m| {
        m.fail_allocation(2);
        // SAFETY: plain allocations, freed below.
        unsafe {
            let one = kmalloc(8, GFP_KERNEL);
            assert!(kmalloc(8, GFP_KERNEL).is_null());
            let three = kmalloc(8, GFP_KERNEL);
            assert_eq!(m.ledger().count("kmalloc"), 2);
            kfree(one);
            kfree(three);
            assert_eq!(m.ledger().to_string(), "nothing left");
        }
    });
}

// ---- Timers ----

#[test]
fn a_timer_that_runs_is_not_pending() {
    unsafe extern "C" fn ask(timer: *mut timer_list) {
        // SAFETY: the timer's memory is there: it is waited for before that is freed.
        unsafe {
            assert_eq!(timer_pending(timer), 0, "it has been taken off its queue");
            mod_timer(timer, jiffies.wrapping_add(1000));
            assert_eq!(timer_pending(timer), 1, "it was started again");
        }
    }
    explore(100, |m| {
        // SAFETY: the timer is in memory of its own, and shut down before that is freed.
        unsafe {
            let timer = kzalloc(size_of::<timer_list>(), GFP_KERNEL).cast::<timer_list>();
            timer_init_key(timer, Some(ask), 0, null_mut(), null_mut());
            assert_eq!(timer_pending(timer), 0);
            mod_timer(timer, jiffies.wrapping_add(1));
            m.settle();
            assert_eq!(timer_pending(timer), 1);
            timer_shutdown_sync(timer);
            assert_eq!(timer_pending(timer), 0);
            kfree(timer.cast());
        }
    });
}

// ---- Locks and waiting ----

#[test]
fn a_deadlock_is_reported_with_who_waits_for_what() {
    let failure = failure(|m| {
        let (one, two) = (
            new_state() as *mut mutex as usize,
            new_state() as *mut mutex as usize,
        );
        let lock = |first: usize, second: usize| {
            // SAFETY: both are memory for a mutex; zero is how one begins.
            move || unsafe {
                mutex_lock(first as *mut mutex);
                mutex_lock(second as *mut mutex);
                mutex_unlock(second as *mut mutex);
                mutex_unlock(first as *mut mutex);
            }
        };
        let left = m.spawn("left", lock(one, two));
        let right = m.spawn("right", lock(two, one));
        left.join();
        right.join();
        free_state(one as *mut State);
        free_state(two as *mut State);
    });
    assert_eq!(failure.kind, Kind::Deadlock);
    assert!(
        failure
            .waits()
            .iter()
            .any(|wait| wait.contains("held by left")),
        "{failure}"
    );
    assert!(
        failure
            .waits()
            .iter()
            .any(|wait| wait.contains("held by right")),
        "{failure}"
    );
}

static LOCK: [u64; 1] = [0];

unsafe extern "C" fn takes_the_lock(_: ffi::c_int, _: *mut ffi::c_void) -> irqreturn_t {
    let lock = LOCK.as_ptr().cast_mut().cast();
    // SAFETY: the lock is a static; the model only uses its address.
    unsafe {
        spin_lock(lock);
        spin_unlock(lock);
    }
    irqreturn_t::IRQ_HANDLED
}

#[test]
fn a_spinlock_shared_with_a_handler_needs_interrupts_off() {
    fn scenario(m: &Machine, careful: bool) {
        let line = m.irq_line("demo", false);
        let lock = LOCK.as_ptr().cast_mut().cast();
        // SAFETY: the lock is a static; the handler has no cookie.
        unsafe {
            request_irq(
                line.number(),
                Some(takes_the_lock),
                0,
                null_mut(),
                null_mut(),
            );
            later(line);
            if careful {
                spin_lock_irq(lock);
                spin_unlock_irq(lock);
            } else {
                spin_lock(lock);
                spin_unlock(lock);
            }
            m.settle();
            free_irq(line.number(), null_mut());
        }
    }
    explore(1000, |m| scenario(m, true));
    let failure = failure(|m| scenario(m, false));
    assert_eq!(failure.kind, Kind::Deadlock);
    assert!(
        failure.waits().iter().any(|wait| wait.contains("spins on")),
        "{failure}"
    );
}

#[test]
fn taking_a_mutex_under_a_spinlock_is_reported() {
    let failure = failure(|_| {
        let state = new_state();
        let lock = LOCK.as_ptr().cast_mut().cast();
        // SAFETY: the lock is a static, the mutex is zeroed memory.
        unsafe {
            spin_lock(lock);
            mutex_lock(state.cast());
        }
    });
    assert_eq!(failure.kind, Kind::SleepInAtomic);
}

#[test]
fn synchronize_rcu_waits_for_readers_that_began_before() {
    explore(1000, |m| {
        let state = new_state() as usize;
        let published = Rc::new(std::cell::Cell::new(true));
        let seen = published.clone();
        let reader = m.spawn("reader", move || {
            // SAFETY: the state is freed a grace period after it was taken back.
            unsafe {
                rcu_read_lock();
                if seen.get() {
                    super::preempt();
                    check_access(state as *const State, size_of::<State>());
                }
                rcu_read_unlock();
            }
        });
        super::preempt();
        published.set(false);
        // SAFETY: process context.
        unsafe { synchronize_rcu() };
        free_state(state as *mut State);
        reader.join();
    });
}

#[repr(C)]
struct Queue {
    head: wait_queue_head,
    done: completion,
    ready: bool,
}

fn new_queue() -> *mut Queue {
    // SAFETY: the queue is initialised in its own memory.
    unsafe {
        let queue = kzalloc(size_of::<Queue>(), GFP_KERNEL).cast::<Queue>();
        __init_waitqueue_head(&raw mut (*queue).head, null_mut(), null_mut());
        init_completion(&raw mut (*queue).done);
        queue
    }
}

/// `wait_event_interruptible(queue->head, queue->ready)`
fn wait_until_ready(queue: *mut Queue) -> ffi::c_long {
    let mut entry = wait_queue_entry::default();
    // SAFETY: the queue outlives the wait; the entry is taken off it below.
    unsafe {
        init_wait_entry(&mut entry, 0);
        let result = loop {
            let head = &raw mut (*queue).head;
            let result = prepare_to_wait_event(head, &mut entry, TASK_INTERRUPTIBLE as ffi::c_int);
            if (*queue).ready {
                break 0;
            }
            if result != 0 {
                break result;
            }
            schedule();
        };
        finish_wait(&raw mut (*queue).head, &mut entry);
        result
    }
}

#[test]
fn a_wake_up_is_not_lost() {
    explore(1000, |m| {
        let queue = new_queue() as usize;
        let sleeper = m.spawn("sleeper", move || wait_until_ready(queue as *mut Queue));
        // SAFETY: the queue is freed after the sleeper has ended.
        unsafe {
            (*(queue as *mut Queue)).ready = true;
            __wake_up(
                &raw mut (*(queue as *mut Queue)).head,
                TASK_NORMAL,
                1,
                null_mut(),
            );
            assert_eq!(sleeper.join(), 0);
            kfree(queue as *const ffi::c_void);
        }
    });
}

#[test]
fn a_signal_ends_an_interruptible_wait() {
    explore(1000, |m| {
        let queue = new_queue() as usize;
        let sleeper = m.spawn("sleeper", move || wait_until_ready(queue as *mut Queue));
        sleeper.interrupt();
        assert_eq!(sleeper.join(), -(ERESTARTSYS as ffi::c_long));
        // SAFETY: nobody waits any more.
        unsafe { kfree(queue as *const ffi::c_void) };
    });
}

#[test]
fn freeing_a_wait_queue_with_a_sleeper_is_reported() {
    let failure = failure(|m| {
        let queue = new_queue() as usize;
        let sleeper = m.spawn("sleeper", move || wait_until_ready(queue as *mut Queue));
        m.settle();
        // SAFETY: none: that is the mistake.
        unsafe { kfree(queue as *const ffi::c_void) };
        sleeper.interrupt();
        sleeper.join();
    });
    assert_eq!(failure.kind, Kind::FreedWhileActive);
    assert!(failure.message.contains("sleeper"), "{failure}");
}

#[test]
fn a_completion_is_waited_for() {
    explore(1000, |m| {
        let queue = new_queue() as usize;
        // SAFETY: the completion is freed after both have ended.
        unsafe {
            let done = move || &raw mut (*(queue as *mut Queue)).done;
            let waiter = m.spawn("waiter", move || wait_for_completion(done()));
            complete(done());
            waiter.join();
            assert!(!try_wait_for_completion(done()));
            complete_all(done());
            wait_for_completion(done());
            assert!(try_wait_for_completion(done()));
            kfree(queue as *const ffi::c_void);
        }
    });
}

#[test]
fn a_timeout_passes_when_nothing_else_can_happen() {
    explore(100, |_| {
        let queue = new_queue();
        // SAFETY: the completion is freed after the wait.
        unsafe {
            assert_eq!(wait_for_completion_timeout(&raw mut (*queue).done, 10), 0);
            kfree(queue.cast());
        }
    });
}

// ---- Gates ----

/// What `src/gate.rs` waits with.
#[repr(C)]
struct Gate {
    counts: *mut crate::ffi::c_void,
    closed: i32,
    left: completion,
}

unsafe fn new_gate() -> *mut Gate {
    // SAFETY: whoever calls this frees both.
    unsafe {
        let gate = kzalloc(size_of::<Gate>(), GFP_KERNEL).cast::<Gate>();
        init_completion(&raw mut (*gate).left);
        (*gate).counts = devscope_gate_alloc(true);
        gate
    }
}

unsafe fn enter(gate: *mut Gate) -> bool {
    // SAFETY: the gate is there.
    unsafe { devscope_gate_enter(gate.cast()) }
}

unsafe fn leave(gate: *mut Gate) {
    // SAFETY: the gate is there.
    unsafe { devscope_gate_leave(gate.cast()) };
}

#[test]
fn a_closed_gate_refuses_and_is_idle_when_all_have_left() {
    explore(1000, |m| {
        // SAFETY: the gate is freed after everybody has left.
        unsafe {
            let gate = new_gate();
            let address = gate as usize;
            let users: Vec<_> = (0..2)
                .map(|_| {
                    m.spawn("user", move || {
                        let gate = address as *mut Gate;
                        if enter(gate) {
                            super::preempt();
                            leave(gate);
                        }
                    })
                })
                .collect();
            (*gate).closed = 1;
            let state = devscope_get_state_synchronize_rcu();
            assert!(!enter(gate));
            devscope_cond_synchronize_rcu(state);
            while devscope_gate_sum((*gate).counts) != 0 {
                wait_for_completion(&raw mut (*gate).left);
            }
            let counts = (*gate).counts;
            users.into_iter().for_each(|user| user.join());
            assert_eq!(devscope_gate_sum(counts), 0);
            devscope_gate_free(counts);
            kfree(gate.cast());
        }
    });
}

#[test]
fn a_grace_period_is_waited_for_once() {
    explore(100, |_| {
        // SAFETY: process context.
        unsafe {
            let states = [0; 3].map(|_| devscope_get_state_synchronize_rcu());
            let begun = machine::world(|w| w.locks.next_grace_period());
            for state in states {
                devscope_cond_synchronize_rcu(state);
            }
            let now = machine::world(|w| w.locks.next_grace_period());
            assert_eq!(now - begun, 1);
        }
    });
}

#[test]
fn a_gate_with_somebody_inside_is_not_freed() {
    let failure = failure(|_| {
        // SAFETY: none: it is freed too soon, which is found out.
        unsafe {
            let gate = new_gate();
            assert!(enter(gate));
            devscope_gate_free((*gate).counts);
        }
    });
    assert_eq!(failure.kind, Kind::FreedWhileActive);
}

// ---- Memory ----

#[test]
fn a_plain_store_to_freed_memory_is_seen_at_the_end_and_where_it_was() {
    for offset in [0, 63, 64, 200] {
        let failure = failure(move |_| {
            // SAFETY: none: the store comes too late. The model keeps the memory until the end.
            unsafe {
                let memory = kmalloc(201, GFP_KERNEL).cast::<u8>();
                kfree(memory.cast());
                memory.add(offset).write(0);
            }
        });
        assert_eq!(failure.kind, Kind::UseAfterFree);
        let place = format!("at offset {offset}");
        assert!(failure.message.ends_with(&place), "{failure}");
    }
}

#[test]
fn the_allocation_around_an_address_is_found_among_many() {
    explore(1, |_| {
        // SAFETY: each is freed once.
        unsafe {
            let blocks = [1, 16, 300, 7].map(|size| (kmalloc(size, GFP_KERNEL), size));
            for (memory, size) in blocks {
                assert!(machine::world(|w| w.allocated_at(memory as usize + size - 1)).is_some());
                assert!(machine::world(|w| w.allocated_at(memory as usize + size)).is_none());
            }
            blocks
                .into_iter()
                .rev()
                .for_each(|(memory, _)| kfree(memory));
        }
    });
}

// ---- Exploring ----

#[test]
fn a_schedule_run_again_fails_again() {
    let first = failure(teardown_in_the_wrong_order);
    let again = run(first.schedule, teardown_in_the_wrong_order).expect_err("the same failure");
    assert_eq!((again.kind, &again.message), (first.kind, &first.message));
    assert_eq!(again.trace(), first.trace());
    assert_eq!(again.schedule, first.schedule);
}

#[test]
fn each_strategy_finds_the_failure_and_finds_it_again() {
    use super::Strategy::{Mixed, Pct, Random, Sticky};
    for strategy in [Mixed, Random, Sticky, Pct] {
        let explore = || {
            Explore::new("strategy")
                .strategy(strategy)
                .schedules(20_000)
        };
        let first = explore().run(teardown_in_the_wrong_order);
        let first = first.expect_failure();
        let again = explore().only(first.schedule);
        let again = again.run(teardown_in_the_wrong_order).expect_failure();
        assert_eq!(again.message, first.message, "{strategy:?}");
        assert_eq!(again.trace(), first.trace(), "{strategy:?}");
    }
}

#[test]
fn two_runs_of_a_schedule_give_the_same_trace() {
    fn scenario(m: &Machine) {
        let line = m.irq_line("demo", false);
        let state = new_state();
        let work = with_work(state);
        request(line, 0, state);
        later(line);
        later(line);
        // SAFETY: the work item is disabled before it is freed.
        unsafe {
            queue_work(system_percpu_wq, work);
            disable_work_sync(work);
        }
        free(line, state);
        free_state(state);
    }
    let mut traces = Vec::new();
    for schedule in 0..50 {
        let one = run(schedule, scenario).expect("no failure").trace;
        let two = run(schedule, scenario).expect("no failure").trace;
        assert!(!one.is_empty());
        assert_eq!(one, two, "schedule {schedule}");
        traces.push(one);
    }
    traces.sort();
    traces.dedup();
    assert!(
        traces.len() > 10,
        "only {} of 50 schedules differ",
        traces.len()
    );
}

#[test]
fn a_panic_in_a_callback_is_a_finding_and_not_an_abort() {
    unsafe extern "C" fn panics(_: ffi::c_int, _: *mut ffi::c_void) -> irqreturn_t {
        panic!("out of cheese");
    }
    let failure = failure(|m| {
        let line = m.irq_line("demo", false);
        // SAFETY: the handler has no cookie.
        unsafe { request_irq(line.number(), Some(panics), 0, null_mut(), null_mut()) };
        line.pulse();
        m.settle();
    });
    assert_eq!(failure.kind, Kind::Panic);
    assert_eq!(failure.message, "out of cheese");
    assert!(failure.facts()[0].contains("tests.rs"), "{failure}");
}

#[test]
#[should_panic(expected = "again:      DEVSCOPE_SCHEDULE=")]
fn explore_panics_with_the_line_that_replays() {
    explore(10, |_| {
        new_state();
    });
}

#[test]
fn an_exploration_works_after_one_that_failed() {
    let _ = failure(|_| panic!("on purpose"));
    explore(10, |_| {});
}

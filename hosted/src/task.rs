//! Tasks.
//!
//! C header: `include/linux/sched.h`; mirrors `rust/kernel/task.rs`. Left out: user
//! IDs, namespaces, memory maps.

use crate::{
    bindings,
    prelude::*,
    types::{NotThreadSafe, Opaque},
};
use core::{
    ops::Deref,
    ptr::{self, NonNull},
};

/// No timeout.
pub const MAX_SCHEDULE_TIMEOUT: c_long = c_long::MAX;
/// Sleeps until woken, or until a signal comes.
pub const TASK_INTERRUPTIBLE: c_int = bindings::TASK_INTERRUPTIBLE as c_int;
/// Sleeps until woken.
pub const TASK_UNINTERRUPTIBLE: c_int = bindings::TASK_UNINTERRUPTIBLE as c_int;
/// Sleeps, and does not mind suspend.
pub const TASK_FREEZABLE: c_int = bindings::TASK_FREEZABLE as c_int;
/// Either kind of sleep.
pub const TASK_NORMAL: c_uint = bindings::TASK_NORMAL as c_uint;

/// The number of a task.
pub type Pid = bindings::pid_t;

/// The task that runs this.
#[macro_export]
macro_rules! current {
    () => {
        // SAFETY: A temporary, so it does not leave this task.
        unsafe { &*$crate::task::Task::current() }
    };
}

/// A `struct task_struct`.
///
/// # Invariants
///
/// 1. The reference count is not zero while this is borrowed.
#[repr(transparent)]
pub struct Task(pub(crate) Opaque<bindings::task_struct>);

// SAFETY: A reference may be dropped on any thread.
unsafe impl Send for Task {}

// SAFETY: The C side synchronises.
unsafe impl Sync for Task {}

/// The task that runs; it stays with it.
#[repr(transparent)]
pub struct CurrentTask(Task, NotThreadSafe);

impl Deref for CurrentTask {
    type Target = Task;

    fn deref(&self) -> &Task {
        &self.0
    }
}

impl Task {
    /// The address of the task that runs.
    pub fn current_raw() -> *mut bindings::task_struct {
        // SAFETY: May be called anywhere.
        unsafe { bindings::get_current() }
    }

    /// The task that runs; use [`current!`](crate::current) instead.
    ///
    /// # Safety
    ///
    /// The result does not leave this task.
    pub unsafe fn current() -> impl Deref<Target = CurrentTask> {
        struct TaskRef {
            task: *const CurrentTask,
        }

        impl Deref for TaskRef {
            type Target = CurrentTask;

            fn deref(&self) -> &CurrentTask {
                // SAFETY: Valid while the task runs: asked of whoever called `current`.
                unsafe { &*self.task }
            }
        }

        TaskRef {
            task: Task::current_raw().cast(),
        }
    }

    /// The address.
    pub fn as_ptr(&self) -> *mut bindings::task_struct {
        self.0.get()
    }

    /// Its number.
    pub fn pid(&self) -> Pid {
        // SAFETY: Invariant 1; the field never changes.
        unsafe { (*self.0.get()).pid }
    }

    /// Whether a signal waits to be dealt with.
    pub fn signal_pending(&self) -> bool {
        // SAFETY: Invariant 1.
        unsafe { bindings::signal_pending(self.as_ptr()) != 0 }
    }

    /// Wakes it.
    pub fn wake_up(&self) {
        // SAFETY: Invariant 1.
        unsafe { bindings::wake_up_process(self.as_ptr()) };
    }
}

// SAFETY: `get_task_struct` and `put_task_struct` count references.
unsafe impl crate::sync::aref::AlwaysRefCounted for Task {
    fn inc_ref(&self) {
        // SAFETY: Invariant 1.
        unsafe { bindings::get_task_struct(self.as_ptr()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference.
        unsafe { bindings::put_task_struct(obj.cast().as_ptr()) }
    }
}

impl PartialEq for Task {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.as_ptr(), other.as_ptr())
    }
}

impl Eq for Task {}

/// Complains, with the caller's place in the source, where one may not sleep.
#[track_caller]
pub fn might_sleep() {
    let place = core::panic::Location::caller();
    let file = std::ffi::CString::new(place.file()).unwrap_or_default();
    // SAFETY: A C string, for the duration of the call.
    unsafe { bindings::__might_sleep(file.as_ptr().cast(), place.line() as c_int) };
}

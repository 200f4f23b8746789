// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What open files of a device node find when the device has gone.
//!
//! A *front* is counted: by its node while that is bound, and by every file that was opened through
//! it. It has the gate, and it knows the files that are open. That list is touched when a file is
//! opened or released, and by teardown: never by a read or a write.
//!
//! Who is inside writes down what it is doing, for unbinding to be able to say whom it waits for: two
//! stores to memory of this CPU, which the gate has for it. Where more than a few operations that came in
//! on one CPU are inside at once, some are not written down, and only counted.

use crate::{
    gate::{Noted, NotingGate},
    helpers,
    scope::Scope,
    wait::Queues,
};
use core::{
    cell::Cell,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{self, NonNull},
};
use kernel::{
    bindings, new_mutex,
    prelude::*,
    str::CString,
    sync::{Arc, Mutex},
    time::{msecs_to_jiffies, Delta, NSEC_PER_MSEC},
};

/// How often unbinding says that it waits, before it waits in silence. Each time is twice as long as
/// the one before, so the last of these comes after a thousand times the first.
const REPORTS: usize = 10;

/// What somebody does inside the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Operation {
    Open = 1,
    Read,
    Write,
    Ioctl,
    Poll,
    Llseek,
    Fsync,
    Mmap,
    Fault,
}

impl Operation {
    const ALL: [Self; 9] = [
        Self::Open,
        Self::Read,
        Self::Write,
        Self::Ioctl,
        Self::Poll,
        Self::Llseek,
        Self::Fsync,
        Self::Mmap,
        Self::Fault,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Open => "open()",
            Self::Read => "read()",
            Self::Write => "write()",
            Self::Ioctl => "ioctl()",
            Self::Poll => "poll()",
            Self::Llseek => "lseek()",
            Self::Fsync => "fsync()",
            Self::Mmap => "mmap()",
            Self::Fault => "a page fault",
        }
    }
}

/// One open file, as its front knows it.
///
/// # Invariants
///
/// 1. `file` is open, and not released before [`Front::remove`].
/// 2. From [`Front::add`] to [`Front::remove`] this is on the list of `front`, and stays in place.
/// 3. `older` and `newer` are used under the lock of that list only.
pub(crate) struct Opened {
    front: FrontRef,
    file: *mut bindings::file,
    older: Cell<*const Opened>,
    newer: Cell<*const Opened>,
}

impl Opened {
    /// # Safety
    ///
    /// `file` is being opened, and not released before [`Front::remove`].
    pub(crate) unsafe fn new(front: FrontRef, file: *mut bindings::file) -> Self {
        // INVARIANT: 1 is required of the caller.
        Self {
            front,
            file,
            older: Cell::new(ptr::null()),
            newer: Cell::new(ptr::null()),
        }
    }

    pub(crate) fn front(&self) -> &FrontRef {
        &self.front
    }

    /// Its count of the front. Not on the list any more.
    pub(crate) fn into_front(self) -> FrontRef {
        self.front
    }

    /// Comes in, unless the gate is closed. Process context; may sleep while inside.
    #[inline]
    pub(crate) fn enter(&self, operation: Operation) -> Option<Noted<'_>> {
        self.front.enter(operation)
    }
}

/// The newest of the open files, or null.
///
/// # Invariants
///
/// It starts a list, linked by `Opened::older` and back by `Opened::newer`, of files that are open.
struct Files(*const Opened);

// SAFETY: Files are opened and released by any task, each under the lock.
unsafe impl Send for Files {}

/// A count of a front. What gives it up is compiled here, and not into every driver.
#[derive(Clone)]
pub(crate) struct FrontRef(ManuallyDrop<Arc<Front>>);

impl FrontRef {
    /// With an open gate, and no files. May sleep. Errors: `ENOMEM`.
    pub(crate) fn new(name: CString, queues: Arc<Queues>) -> Result<Self> {
        let front = Arc::pin_init(
            try_pin_init!(Front {
                name,
                queues,
                gate <- NotingGate::new(),
                files <- new_mutex!(Files(ptr::null()), "devscope_files"),
            }),
            GFP_KERNEL,
        )?;
        Ok(Self(ManuallyDrop::new(front)))
    }
}

impl Deref for FrontRef {
    type Target = Front;

    #[inline]
    fn deref(&self) -> &Front {
        &self.0
    }
}

impl Drop for FrontRef {
    fn drop(&mut self) {
        // SAFETY: `self` is being dropped, so nobody uses the field after this, and nothing takes it out before.
        unsafe { ManuallyDrop::drop(&mut self.0) };
    }
}

/// See the module's documentation.
#[pin_data]
pub(crate) struct Front {
    /// The name of the node.
    name: CString,
    /// Of the node's scope. A program that polls a file has entries on them, which go before the file
    /// is released and may stay until then.
    queues: Arc<Queues>,
    #[pin]
    gate: NotingGate,
    #[pin]
    files: Mutex<Files>,
}

impl Front {
    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }

    pub(crate) fn queues(&self) -> &Queues {
        &self.queues
    }

    /// Comes in, unless the gate is closed. Process context; may sleep while inside.
    #[inline]
    pub(crate) fn enter(&self, operation: Operation) -> Option<Noted<'_>> {
        self.gate.enter_noting(operation as u8)
    }

    /// Refuses newcomers from now on. Called once. Does not wait.
    pub(crate) fn close(&self) {
        self.gate.close();
    }

    /// Waits until everybody has left, and says whom it waits for. After [`Front::close`]; process
    /// context, sleeps.
    pub(crate) fn wait_until_idle(&self) {
        let mut limit = self.queues.patience();
        let mut waited = 0;
        for _ in 0..REPORTS {
            if limit == 0 {
                break;
            }
            if self.gate.wait_until_idle_for(msecs_to_jiffies(limit)) {
                return;
            }
            waited += u64::from(limit);
            self.report(waited);
            limit = limit.saturating_mul(2);
        }
        self.gate.wait_until_idle();
    }

    /// Says who is inside, after having waited for so many milliseconds.
    fn report(&self, waited: u64) {
        let mut known = 0;
        self.gate.for_each_note(|what, pid| {
            let operation = Operation::ALL.into_iter().find(|op| *op as u8 == what);
            known += 1;
            let mut comm = [0; helpers::TASK_COMM_LEN];
            // SAFETY: There is room for a name.
            unsafe { helpers::devscope_task_comm(pid, comm.as_mut_ptr()) };
            let comm = CStr::from_bytes_until_nul(&comm).unwrap_or(c"");
            pr_warn!(
                "{}: unbinding has waited {} ms for {} of {}[{}]\n",
                self.name(),
                waited,
                operation.map_or("an operation", Operation::name),
                comm,
                pid
            );
        });
        if known == 0 {
            pr_warn!(
                "{}: unbinding has waited {} ms for an operation that nobody wrote down\n",
                self.name(),
                waited
            );
        }
    }

    /// Calls `f` for every open file, under the lock of their list.
    fn for_each(&self, mut f: impl FnMut(&Opened)) {
        let files = self.files.lock();
        let mut next = files.0;
        // SAFETY: What is on the list is there: invariant of `Files`.
        while let Some(opened) = unsafe { next.as_ref() } {
            f(opened);
            next = opened.older.get();
        }
    }

    /// Takes all mappings of open files away: when this returns, no program has any, and whoever has
    /// had one gets SIGBUS. After [`Front::wait_until_idle`]; process context, sleeps.
    ///
    /// Nobody maps a page meanwhile: that takes a fault, which takes the gate. A fault that was inside
    /// has left, so its page is there to be found. What `fork()` and `mremap()` copy is found as well:
    /// they put the new mapping where `unmap_mapping_range()` looks before they copy, behind the old one
    /// or under the lock that it takes (`dup_mmap()`, `copy_vma()` in mm/vma.c).
    pub(crate) fn unmap(&self) {
        let mut last = ptr::null();
        self.for_each(|opened| {
            // SAFETY: The file is not released while the list is locked: its release would take it off
            // first. So its inode is there, and the mapping with it.
            unsafe {
                let mapping = (*opened.file).f_mapping;
                // Files of one node that were opened after each other share it.
                if !ptr::eq(mapping, last) {
                    // From the beginning, to the end.
                    bindings::unmap_mapping_range(mapping, 0, 0, 1);
                    last = mapping;
                }
            }
        });
    }

    /// Puts a file on the list.
    ///
    /// # Safety
    ///
    /// - `opened` is of this front, and stays in place until it is removed, before it goes.
    /// - The caller is inside.
    pub(crate) unsafe fn add(&self, opened: NonNull<Opened>) {
        let mut files = self.files.lock();
        // SAFETY: `opened` is there (requirement of this function), and so is what is on the list. Both
        // are only looked at under the lock.
        unsafe {
            opened.as_ref().older.set(files.0);
            if let Some(older) = files.0.as_ref() {
                older.newer.set(opened.as_ptr());
            }
        }
        // INVARIANT: The file is open, and on the list until `remove`.
        files.0 = opened.as_ptr();
    }

    /// Takes a file off the list.
    ///
    /// # Safety
    ///
    /// `opened` is on the list of this front.
    pub(crate) unsafe fn remove(&self, opened: &Opened) {
        let mut files = self.files.lock();
        let (older, newer) = (opened.older.get(), opened.newer.get());
        // SAFETY: What is on the list is there, and is only looked at under the lock.
        unsafe {
            if let Some(older) = older.as_ref() {
                older.newer.set(newer);
            }
            match newer.as_ref() {
                Some(newer) => newer.older.set(older),
                None => files.0 = older,
            }
        }
    }
}

impl Scope<'_> {
    /// The front of a node. May sleep. Errors: `ENOMEM`.
    pub(crate) fn front(&self, name: CString) -> Result<FrontRef> {
        FrontRef::new(name, self.queues().clone())
    }

    /// Sets how long unbinding waits for operations of programs before it says in the kernel log which
    /// it waits for, on what device node, and of which task.
    ///
    /// It goes on waiting, and says so again after twice that time, and so on, ten times. Holds for all
    /// device nodes of this scope, made before or after. Ten seconds if nothing is said; zero, or less
    /// than a millisecond, for never.
    ///
    /// Nothing is done about such an operation: its program is the one who can end it. An operation
    /// that waits on a [`WaitQueue`](crate::wait::WaitQueue) of the scope comes back by itself.
    pub fn report_operations_after(&mut self, time: Delta) {
        let milliseconds = time.as_nanos() / NSEC_PER_MSEC;
        let milliseconds = i32::try_from(milliseconds.max(0)).unwrap_or(i32::MAX);
        self.queues().set_patience(milliseconds);
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_front)]
mod tests {
    use super::*;

    fn front() -> Result<FrontRef> {
        FrontRef::new(c"devscope_kunit".to_cstring()?, Queues::new()?)
    }

    #[test]
    fn what_is_done_inside_is_written_down_until_it_is_done() -> Result {
        let front = front()?;
        let me = kernel::current!().pid();
        let mine = |front: &Front, operation: Operation| {
            let mut noted = 0;
            front.gate.for_each_note(|what, pid| {
                noted += i32::from(what == operation as u8 && pid == me);
            });
            noted
        };
        let opens = front.enter(Operation::Open);
        let reads = front.enter(Operation::Read);
        let both = (mine(&front, Operation::Open), mine(&front, Operation::Read));
        drop(opens);
        let one = (mine(&front, Operation::Open), mine(&front, Operation::Read));
        drop(reads);
        let none = (mine(&front, Operation::Open), mine(&front, Operation::Read));
        assert!(both == (1, 1));
        assert!(one == (0, 1));
        assert!(none == (0, 0));
        Ok(())
    }

    #[test]
    fn more_operations_than_there_is_room_to_note_are_let_in() -> Result {
        let front = front()?;
        let noted = |front: &Front| {
            let mut noted = 0;
            front.gate.for_each_note(|_, _| noted += 1);
            noted
        };
        let mut inside = KVec::new();
        // Wherever they run, a CPU has too many of them.
        for _ in 0..helpers::GATE_NOTES * kernel::cpu::nr_cpu_ids() as usize + 1 {
            inside.push(front.enter(Operation::Read), GFP_KERNEL)?;
        }
        let all = inside.iter().all(Option::is_some);
        let some = noted(&front);
        drop(inside);
        let none = noted(&front);
        front.close();
        front.wait_until_idle();
        assert!(all);
        assert!(some >= helpers::GATE_NOTES);
        assert_eq!(none, 0);
        assert!(front.enter(Operation::Read).is_none());
        Ok(())
    }

    #[test]
    fn open_files_are_listed_and_leave_in_any_order() -> Result {
        let front = front()?;
        let mut opened = KVec::new();
        for _ in 0..3 {
            // SAFETY: Nobody looks at the file: nothing is unmapped here.
            let file = unsafe { Opened::new(front.clone(), ptr::null_mut()) };
            opened.push(KBox::new(file, GFP_KERNEL)?, GFP_KERNEL)?;
        }
        let listed = || {
            let mut listed = 0;
            front.for_each(|_| listed += 1);
            listed
        };
        for opened in &opened {
            // SAFETY: In its box until it is removed, below.
            unsafe { front.add(NonNull::from(&**opened)) };
        }
        let mut counts = [listed(), 0, 0, 0];
        for (at, count) in [1, 0, 2].into_iter().zip(&mut counts[1..]) {
            // SAFETY: Added above, and removed once.
            unsafe { front.remove(&opened[at]) };
            *count = listed();
        }
        drop(opened);
        assert!(counts == [3, 2, 1, 0]);
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Files that programs can wait for, with `poll()`, `select()`, `epoll` or io_uring.
//!
//! C header: [`include/linux/poll.h`](srctree/include/linux/poll.h)
//!
//! [`File::poll`](crate::file::File::poll) says what a file is ready for, and which queues are woken
//! when that changes. It does not wait. The caller leaves an *entry* on each of these queues, which
//! stays there when the operation has returned: for `poll()` and `select()` until the system call
//! ends, for `epoll` until the file is removed from it or closed.
//!
//! ```
//! # use devscope::{poll::{Events, PollTable}, wait::WaitQueue};
//! # use kernel::sync::atomic::{Acquire, Atomic};
//! # struct DemoDevice<'a> { answers: WaitQueue<'a> }
//! # struct DemoFile { answered: Atomic<bool> }
//! # impl DemoFile {
//! fn poll(&self, dev: &DemoDevice<'_>, table: &mut PollTable<'_>) -> Events {
//!     table.register_wait(dev.answers);
//!     let mut events = Events::WRITABLE;
//!     if self.answered.load(Acquire) {
//!         events |= Events::READABLE;
//!     }
//!     events
//! }
//! # }
//! ```
//!
//! First it registers, then it looks. In the other order, the answer could change in between and the
//! queue be woken, and the program would sleep on. Whoever changes the answer calls
//! [`WaitQueue::wake_all`] afterwards.
//!
//! When the scope ends, whoever polls is woken, and from then on the framework answers by itself:
//! [`Events::HUP`] and [`Events::ERR`]. What is still on a queue then does no harm: the queues stay
//! until the last file of the scope is closed. An entry never outlives its file, and a file that is
//! polled when its device is bound again stays one of the old device.
//!
//! Not covered: more queues for one file than its callers can take. io_uring takes two, aio one;
//! they give an error for more.

use crate::wait::{Queues, WaitQueue};
use core::{
    marker::PhantomData,
    ops::{BitOr, BitOrAssign},
};
use kernel::bindings;
#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
use kernel::prelude::*;

/// What a file is ready for.
///
/// These are the bits of [`include/uapi/linux/eventpoll.h`](srctree/include/uapi/linux/eventpoll.h),
/// the same on all architectures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "this is the answer to the program that polls"]
pub struct Events(u32);

impl Events {
    /// Nothing: the program waits.
    pub const NONE: Self = Self(0);
    /// `EPOLLIN`: there is something to read.
    pub const IN: Self = Self(0x001);
    /// `EPOLLPRI`: there is something urgent.
    pub const PRI: Self = Self(0x002);
    /// `EPOLLOUT`: writing will not sleep.
    pub const OUT: Self = Self(0x004);
    /// `EPOLLERR`: there is an error. Programs are told whether they asked or not.
    pub const ERR: Self = Self(0x008);
    /// `EPOLLHUP`: the other side has gone. Programs are told whether they asked or not.
    pub const HUP: Self = Self(0x010);
    /// `EPOLLRDNORM`: as [`Events::IN`]; usually together with it.
    pub const RDNORM: Self = Self(0x040);
    /// `EPOLLRDBAND`: there is something urgent to read.
    pub const RDBAND: Self = Self(0x080);
    /// `EPOLLWRNORM`: as [`Events::OUT`]; usually together with it.
    pub const WRNORM: Self = Self(0x100);
    /// `EPOLLWRBAND`: something urgent can be written.
    pub const WRBAND: Self = Self(0x200);
    /// `EPOLLRDHUP`: the other side will not write any more.
    pub const RDHUP: Self = Self(0x2000);

    /// `EPOLLIN | EPOLLRDNORM`
    pub const READABLE: Self = Self(Self::IN.0 | Self::RDNORM.0);
    /// `EPOLLOUT | EPOLLWRNORM`
    pub const WRITABLE: Self = Self(Self::OUT.0 | Self::WRNORM.0);

    pub(crate) fn bits(self) -> bindings::__poll_t {
        self.0
    }
}

impl BitOr for Events {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Events {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// Where a `poll` operation says what it would wait for: `struct poll_table_struct`.
///
/// It belongs to one call, `'t`, and can neither be made nor kept by a driver.
///
/// # Invariants
///
/// 1. For `'t`, `file` is open, and `table` is null or its caller's poll table.
/// 2. `file` keeps a count of `queues` until it is released.
pub struct PollTable<'t> {
    file: *mut bindings::file,
    table: *mut bindings::poll_table,
    queues: &'t Queues,
    /// A queue was refused.
    refused: bool,
    _call: PhantomData<&'t mut bindings::poll_table>,
}

impl<'t> PollTable<'t> {
    /// # Safety
    ///
    /// - For `'t`, `file` is open, `table` is null or a poll table, and nobody else has access to it.
    /// - `file` keeps a count of `queues` until it is released.
    /// - The table's function follows the rule in [`PollTable::register_wait`].
    pub(crate) unsafe fn new(
        file: *mut bindings::file,
        table: *mut bindings::poll_table,
        queues: &'t Queues,
    ) -> Self {
        // INVARIANT: Both are required of the caller.
        Self {
            file,
            table,
            queues,
            refused: false,
            _call: PhantomData,
        }
    }

    /// Has the program woken when `queue` is: `poll_wait()`.
    ///
    /// Comes before the operation looks what is ready. Costs next to nothing if the program does not
    /// wait, or waits already. Process context; may sleep.
    pub fn register_wait(&mut self, queue: WaitQueue<'_>) {
        let queue = queue.0;
        // A handle does not leave its scope, so there is no road for one of another scope to come
        // here. But the file keeps the queues of its own scope only, so this is not left to that.
        if !queue.is_of(self.queues) {
            self.refused = true;
            return;
        }
        // SAFETY:
        // - The file is open and the table good for this call: invariant 1.
        // - The queue is initialised, and lasts for as long as anybody may have an entry on it. The
        //   file keeps it until `release` (invariant 2), and entries are gone by then, because whoever
        //   polls follows one rule: an entry goes before the reference to the file that it was made
        //   with, or in `__fput()` before `release`.
        //   - poll() and select(): each entry has a reference to the file, which `free_poll_entry()`
        //     puts when it has taken the entry off (fs/select.c).
        //   - epoll: has no reference, but `__fput()` calls `eventpoll_release()` first
        //     (fs/file_table.c), which takes off what is there, and waits on `ep->mtx` for whoever is
        //     doing so already (`ep_remove()` and `ep_clear_and_put()` in fs/eventpoll.c).
        //   - io_uring and aio: a request has a reference to its file, and takes its entries off before
        //     it ends (`io_poll_remove_entries()` in io_uring/poll.c; fs/aio.c).
        //   - 9p and mshv_vtl, which poll any file: they hold a reference until they have taken their
        //     entries off (`p9_fd_close()`, `mshv_vtl_ioctl_set_poll_file()`). The others poll files of
        //     kinds that they know, such as sockets and eventfds.
        unsafe { bindings::poll_wait(self.file, queue.head(), self.table) };
    }

    /// Whether the answer is that the device has gone, whatever the driver said.
    pub(crate) fn is_over(&self) -> bool {
        #[cfg(devscope_mutants)]
        if crate::mutants::active(crate::mutants::Mutant::PollIgnoresTheEnd) {
            return self.refused;
        }
        self.refused || self.queues.are_closed()
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_poll)]
mod tests {
    use super::*;
    use crate::testing::Bound;
    use core::ptr;

    /// The table of a caller that does not wait.
    fn table(queues: &Queues) -> PollTable<'_> {
        // SAFETY: `poll_wait()` looks at nothing, the file included, if the table is null.
        unsafe { PollTable::new(ptr::null_mut(), ptr::null_mut(), queues) }
    }

    #[test]
    fn events_are_those_of_the_system_calls() {
        assert_eq!(Events::IN.bits(), bindings::POLLIN);
        assert_eq!(Events::PRI.bits(), bindings::POLLPRI);
        assert_eq!(Events::OUT.bits(), bindings::POLLOUT);
        assert_eq!(Events::ERR.bits(), bindings::POLLERR);
        assert_eq!(Events::HUP.bits(), bindings::POLLHUP);
        assert_eq!(Events::RDNORM.bits(), bindings::POLLRDNORM);
        let mut events = Events::NONE;
        events |= Events::IN;
        assert!(events | Events::RDNORM == Events::READABLE);
    }

    #[test]
    fn a_queue_of_another_scope_is_refused() -> Result {
        let (one, other) = (Bound::new(())?, Bound::new(())?);
        let (mut own, mut foreign) = (true, false);
        one.attach(|(), scope| {
            let queue = scope.wait_queue()?;
            let mut table = table(scope.queues());
            table.register_wait(queue);
            own = table.is_over();
            other.attach(|(), scope| {
                table.register_wait(scope.wait_queue()?);
                foreign = table.is_over();
                Ok(())
            })
        })?;
        other.unbind();
        one.unbind();
        assert!(!own);
        assert!(foreign);
        Ok(())
    }

    #[test]
    fn what_is_polled_is_over_when_the_scope_has_ended() -> Result {
        let bound = Bound::new(())?;
        let mut kept = None;
        bound.attach(|(), scope| {
            scope.wait_queue()?;
            kept = Some(scope.queues().clone());
            Ok(())
        })?;
        let before = kept.as_ref().map(|queues| table(queues).is_over());
        bound.unbind();
        drop(bound);
        let after = kept.as_ref().map(|queues| table(queues).is_over());
        assert!(before == Some(false));
        assert!(after == Some(true));
        Ok(())
    }
}

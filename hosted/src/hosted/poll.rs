//! `poll(2)` and a little of `epoll(7)`, after `fs/select.c` and `fs/eventpoll.c`.
//!
//! Both leave entries on the wait queues that a file's `poll` operation names. Those of `poll(2)`
//! stay until the system call ends, and each holds a reference to its file. Those of `epoll` stay,
//! across any number of system calls, until the file is removed, the epoll is closed, or the file
//! itself is: then they go before its `release` is called.
//!
//! Not modelled: `select`, edge-triggered, one-shot and exclusive registrations, epolls that watch
//! epolls, `EPOLL_CTL_MOD`; and io_uring and aio, whose requests hold a reference to the file and take
//! their entries off before they let go of it, as `poll(2)` does.

use super::locks::{lock_mutex, name_mutex, unlock_mutex};
use super::machine::{block_until, preempt, step, try_world_if_free, world, Key, Place, Why};
use super::misc::{error, file_operations_of, fput, get_file, get_live_file, leave_system_call};
use super::misc::{OpenFile, DEFAULT_POLL};
use super::table::Table;
use super::wait::{
    add_wait_queue, init_waitqueue_func_entry, list_del_init, remove_wait_queue, sleep_unless,
    wake_in_state, POLLFREE,
};
use super::{device, ledger, nobody};
use crate::bindings::{
    file as file_struct, mutex, poll_table, poll_table_struct, wait_queue_entry, wait_queue_head,
    wait_queue_head_t, EEXIST, EINTR, ENOENT, POLLERR, POLLHUP, POLLNVAL,
};
use crate::error::{Error, Result};
use crate::ffi;
use std::cell::Cell;
use std::panic::Location;

/// What everybody polls for, asked or not.
const ALWAYS: u32 = POLLERR | POLLHUP;

/// `vfs_poll`
fn vfs_poll(file: *mut file_struct, table: *mut poll_table, place: Place) -> u32 {
    match file_operations_of(file, place).poll {
        // SAFETY: the operation of an open file is called with that file and a table.
        Some(poll) => unsafe { poll(file, table) },
        None => DEFAULT_POLL,
    }
}

// ---- poll(2) ----

/// `struct poll_wqueues`
#[repr(C)]
struct Poller {
    /// First, so that a pointer to it is a pointer to the poller.
    table: poll_table,
    task: usize,
    triggered: Cell<bool>,
    entries: Vec<*mut PollEntry>,
    place: Place,
}

/// `struct poll_table_entry`
#[repr(C)]
struct PollEntry {
    /// First, so that a pointer to it is a pointer to the entry.
    wait: wait_queue_entry,
    head: *mut wait_queue_head,
    file: *mut file_struct,
    key: u32,
    poller: *const Poller,
}

/// `__pollwait`
unsafe extern "C" fn queue_poller(
    file: *mut file_struct,
    head: *mut wait_queue_head_t,
    table: *mut poll_table_struct,
) {
    let poller = table.cast::<Poller>();
    let entry: *mut PollEntry = device::allocate("an entry of poll(2)");
    // SAFETY: the table belongs to a poller, whose system call goes on; file and head are the
    // operation's. The entry has just been allocated, and is taken off the queue in `let_go`.
    unsafe {
        get_file(file);
        (*entry).head = head;
        (*entry).file = file;
        (*entry).key = (*poller).table._key;
        (*entry).poller = poller;
        init_waitqueue_func_entry(&raw mut (*entry).wait, Some(wake_poller));
        (*poller).entries.push(entry);
        add_wait_queue(head, &raw mut (*entry).wait);
    }
}

/// `pollwake`. It does not know `POLLFREE`.
unsafe extern "C" fn wake_poller(
    wait: *mut wait_queue_entry,
    mode: ffi::c_uint,
    _sync: ffi::c_int,
    key: *mut ffi::c_void,
) -> ffi::c_int {
    let entry = wait.cast::<PollEntry>();
    // SAFETY: the entry is on the queue, so it is there, and so is its poller.
    let (wanted, poller) = unsafe { ((*entry).key, &*(*entry).poller) };
    if !key.is_null() && key as usize as u32 & wanted == 0 {
        return 0;
    }
    poller.triggered.set(true);
    wake_in_state(poller.task, mode).into()
}

/// `poll_freewait`
fn let_go(poller: &mut Poller) {
    for entry in std::mem::take(&mut poller.entries) {
        // SAFETY: allocated and queued by `queue_poller`, with a reference to its file.
        unsafe {
            remove_wait_queue((*entry).head, &raw mut (*entry).wait);
            fput((*entry).file);
        }
        ledger::free(entry.cast());
    }
}

impl OpenFile {
    /// `poll(2)`, without waiting: the events that are ready.
    #[track_caller]
    pub fn poll(&self) -> Result<u32> {
        self.poll_until(!0, Some(0))
    }

    /// `poll(2)`: waits until one of `events` is ready, or there is an error or a hang-up, or until
    /// `timeout` (in milliseconds) has passed, which gives 0.
    #[track_caller]
    pub fn poll_until(&self, events: u32, timeout: Option<u32>) -> Result<u32> {
        let place = Location::caller();
        step("polls", &self.name(), place);
        let deadline = timeout.map(|timeout| world(|w| w.now) + u64::from(timeout) * 1_000_000);
        let mut poller = Poller {
            table: poll_table {
                _qproc: (timeout != Some(0)).then_some(queue_poller as _),
                _key: events | ALWAYS,
            },
            task: world(|w| w.current),
            triggered: Cell::new(false),
            entries: Vec::new(),
            place,
        };
        let result = poll_and_sleep(self, &raw mut poller, deadline);
        let_go(&mut poller);
        leave_system_call();
        result
    }
}

/// `do_poll`
fn poll_and_sleep(file: &OpenFile, poller: *mut Poller, deadline: Option<u64>) -> Result<u32> {
    // SAFETY: the caller's poller. Its entries point to it too, so no exclusive reference is made.
    let (table, key, place) = unsafe {
        (
            &raw mut (*poller).table,
            (*poller).table._key,
            (*poller).place,
        )
    };
    let mut timed_out = deadline == Some(world(|w| w.now));
    loop {
        let ready = match file.get() {
            Err(_) => POLLNVAL,
            // A reference for this call only. Entries have their own.
            Ok(file) => {
                let ready = vfs_poll(file, table, place) & key;
                // SAFETY: gotten above.
                unsafe { fput(file) };
                ready
            }
        };
        // SAFETY: as above. Everybody has been queued by now.
        unsafe { (*table)._qproc = None };
        if ready != 0 {
            return Ok(ready);
        }
        if world(|w| w.me().signal) {
            return Err(Error::from_errno(error(EINTR)));
        }
        if timed_out {
            return Ok(0);
        }
        // SAFETY: as above.
        let poller = unsafe { &*poller };
        // SAFETY: entries are freed by `let_go`.
        let queue = (poller.entries.first()).map_or(0, |&entry| unsafe { (*entry).head as usize });
        let triggered = || poller.triggered.get();
        timed_out = sleep_unless(triggered, queue, deadline, place);
        poller.triggered.set(false);
    }
}

// ---- epoll ----

#[derive(Debug)]
struct Item {
    file: usize,
    events: u32,
    data: u64,
    ready: bool,
    /// Its entries on wait queues.
    entries: Vec<usize>,
}

/// What stands behind an [`Epoll`].
#[derive(Debug)]
struct Watched {
    items: Vec<Item>,
    /// One for the descriptor, one for each item.
    references: usize,
}

/// All that there are, by the addresses of their `struct eventpoll`.
#[derive(Default, Debug)]
pub(crate) struct Epolls(Table<Watched>);

/// `struct eventpoll`: `mtx` protects the list of items, and is held over their `poll` operations.
#[repr(C)]
struct EventPoll {
    mtx: mutex,
}

/// `struct eppoll_entry`
#[repr(C)]
struct EpollEntry {
    /// First, so that a pointer to it is a pointer to the entry.
    wait: wait_queue_entry,
    /// Null once the queue has gone (`POLLFREE`).
    head: *mut wait_queue_head,
    epoll: usize,
    file: usize,
}

/// `struct ep_pqueue`
#[repr(C)]
struct Registrar {
    /// First, so that a pointer to it is a pointer to the registrar.
    table: poll_table,
    epoll: usize,
    file: usize,
}

/// An `epoll(7)` instance of a user program: files stay registered across calls. Dropping it closes
/// it.
#[derive(Debug)]
pub struct Epoll {
    epoll: usize,
}

/// `ep_ptable_queue_proc`
unsafe extern "C" fn queue_epoll(
    _file: *mut file_struct,
    head: *mut wait_queue_head_t,
    table: *mut poll_table_struct,
) {
    // SAFETY: the table belongs to a registrar, which is there while it registers.
    let (epoll, file) = unsafe {
        (
            (*table.cast::<Registrar>()).epoll,
            (*table.cast::<Registrar>()).file,
        )
    };
    let entry: *mut EpollEntry = device::allocate("an entry of epoll");
    // SAFETY: the entry has just been allocated, and is taken off the queue in `take_off`. The head
    // is the operation's.
    unsafe {
        (*entry).head = head;
        (*entry).epoll = epoll;
        (*entry).file = file;
        init_waitqueue_func_entry(&raw mut (*entry).wait, Some(wake_epoll));
        add_wait_queue(head, &raw mut (*entry).wait);
    }
    world(|w| {
        if let Some(item) = w.epolls.item(epoll, file) {
            item.entries.push(entry as usize);
        }
    });
}

/// `ep_poll_callback`
unsafe extern "C" fn wake_epoll(
    wait: *mut wait_queue_entry,
    _mode: ffi::c_uint,
    _sync: ffi::c_int,
    key: *mut ffi::c_void,
) -> ffi::c_int {
    let entry = wait.cast::<EpollEntry>();
    let key = key as usize as u32;
    // SAFETY: the entry is on the queue, so it is there.
    let (epoll, file) = unsafe { ((*entry).epoll, (*entry).file) };
    world(|w| {
        if let Some(item) = w.epolls.item(epoll, file) {
            if key == 0 || key & item.events != 0 {
                item.ready = true;
                w.wake(Key::Addr(epoll));
            }
        }
    });
    if key & POLLFREE != 0 {
        list_del_init(wait);
        // SAFETY: as above. From here on the queue's owner may free it.
        unsafe { (*entry).head = std::ptr::null_mut() };
    }
    1
}

impl Epolls {
    fn item(&mut self, epoll: usize, file: usize) -> Option<&mut Item> {
        let mut items = self.0.get_mut(epoll)?.items.iter_mut();
        items.find(|item| item.file == file)
    }

    /// An epoll with an item of this file.
    fn watching(&self, file: usize) -> Option<usize> {
        let watches = |watched: &Watched| watched.items.iter().any(|item| item.file == file);
        let (epoll, _) = self.0.iter().find(|(_, watched)| watches(watched))?;
        Some(*epoll)
    }
}

/// `ep_unregister_pollwait`, with the mutex held.
fn take_off(epoll: usize, file: usize) {
    let entries = world(|w| {
        let item = w.epolls.item(epoll, file);
        item.map_or(Vec::new(), |item| std::mem::take(&mut item.entries))
    });
    for entry in entries {
        let entry = entry as *mut EpollEntry;
        preempt();
        // SAFETY: allocated and queued by `queue_epoll`.
        unsafe {
            if !(*entry).head.is_null() {
                remove_wait_queue((*entry).head, &raw mut (*entry).wait);
            }
        }
        ledger::free(entry.cast_const().cast());
    }
}

fn forget(epoll: usize, file: usize) {
    world(|w| {
        if let Some(watched) = w.epolls.0.get_mut(epoll) {
            watched.items.retain(|item| item.file != file);
        }
    });
}

/// `ep_put`
fn put(epoll: usize) {
    let last = world(|w| {
        let watched = w.epolls.0.get_mut(epoll)?;
        watched.references -= 1;
        (watched.references == 0).then(|| w.epolls.0.remove(epoll))
    });
    if last.is_some() {
        ledger::free(epoll as *const ffi::c_void);
    }
}

/// `ep_remove`, with the mutex and a reference held. A file that is being released is left to
/// [`eventpoll_release`], which waits for the mutex.
fn remove(epoll: usize, file: usize) {
    take_off(epoll, file);
    if get_live_file(file) {
        forget(epoll, file);
        put(epoll);
        // SAFETY: gotten just now.
        unsafe { fput(file as *mut file_struct) };
    }
}

/// `eventpoll_release`: takes a file out of every epoll. Called before its `release` operation.
pub(crate) fn eventpoll_release(file: usize, place: Place) {
    while let Some(epoll) = world(|w| w.epolls.watching(file)) {
        lock_mutex(epoll, false, place);
        take_off(epoll, file);
        forget(epoll, file);
        unlock_mutex(epoll, place);
        put(epoll);
    }
}

impl Epoll {
    /// `epoll_create(2)`
    pub(crate) fn new() -> Epoll {
        let epoll = device::allocate::<EventPoll>("struct eventpoll") as usize;
        world(|w| {
            name_mutex(w, epoll, "ep->mtx");
            let watched = Watched {
                items: Vec::new(),
                references: 1,
            };
            w.epolls.0.set(epoll, watched);
        });
        Epoll { epoll }
    }

    /// `EPOLL_CTL_ADD`: from now on tells, as `data`, when one of `events` is ready on the file, or
    /// there is an error or a hang-up.
    #[track_caller]
    pub fn add(&self, file: &OpenFile, events: u32, data: u64) -> Result {
        let place = Location::caller();
        step("adds to an epoll", &file.name(), place);
        let file = file.get()?;
        lock_mutex(self.epoll, false, place);
        let result = self.insert(file, events | ALWAYS, data, place);
        unlock_mutex(self.epoll, place);
        // SAFETY: gotten above.
        unsafe { fput(file) };
        leave_system_call();
        result
    }

    /// `ep_insert`
    fn insert(&self, file: *mut file_struct, events: u32, data: u64, place: Place) -> Result {
        let added = world(|w| {
            if w.epolls.item(self.epoll, file as usize).is_some() {
                return false;
            }
            let watched = w.epolls.0.get_mut(self.epoll).expect("it is open");
            watched.references += 1;
            watched.items.push(Item {
                file: file as usize,
                events,
                data,
                ready: false,
                entries: Vec::new(),
            });
            true
        });
        if !added {
            return Err(Error::from_errno(error(EEXIST)));
        }
        let mut registrar = Registrar {
            table: poll_table {
                _qproc: Some(queue_epoll),
                _key: events,
            },
            epoll: self.epoll,
            file: file as usize,
        };
        let ready = vfs_poll(file, (&raw mut registrar).cast(), place) & events;
        world(|w| {
            if let (true, Some(item)) = (ready != 0, w.epolls.item(self.epoll, file as usize)) {
                item.ready = true;
                w.wake(Key::Addr(self.epoll));
            }
        });
        Ok(())
    }

    /// `EPOLL_CTL_DEL`
    #[track_caller]
    pub fn remove(&self, file: &OpenFile) -> Result {
        let place = Location::caller();
        step("removes from an epoll", &file.name(), place);
        let file = file.get()?;
        lock_mutex(self.epoll, false, place);
        let known = world(|w| w.epolls.item(self.epoll, file as usize).is_some());
        if known {
            remove(self.epoll, file as usize);
        }
        unlock_mutex(self.epoll, place);
        // SAFETY: gotten above.
        unsafe { fput(file) };
        leave_system_call();
        match known {
            true => Ok(()),
            false => Err(Error::from_errno(error(ENOENT))),
        }
    }

    /// `epoll_wait(2)`, for one event: waits until a file is ready, and gives its `data` and events.
    #[track_caller]
    pub fn wait(&self) -> Result<(u64, u32)> {
        let place = Location::caller();
        step("waits on an epoll", &nobody(), place);
        loop {
            let epoll = self.epoll;
            let woken = block_until(
                Key::Addr(epoll),
                Some(place),
                |_| Why::waits("an event of an epoll".into()),
                |w| {
                    let items = &w.epolls.0.get(epoll).expect("it is open").items;
                    let ready = items.iter().any(|item| item.ready);
                    (ready || w.me().signal).then_some(ready)
                },
            );
            let found = woken.then(|| self.send_events(place)).flatten();
            let signal = world(|w| w.me().signal);
            if found.is_some() || signal {
                leave_system_call();
                return found.ok_or(Error::from_errno(error(EINTR)));
            }
        }
    }

    /// As [`wait`](Self::wait), but does not wait.
    #[track_caller]
    pub fn try_wait(&self) -> Option<(u64, u32)> {
        let place = Location::caller();
        step("asks an epoll", &nobody(), place);
        let found = self.send_events(place);
        leave_system_call();
        found
    }

    /// `ep_send_events`: asks the files that are said to be ready.
    fn send_events(&self, place: Place) -> Option<(u64, u32)> {
        lock_mutex(self.epoll, false, place);
        let found = loop {
            let next = world(|w| {
                let mut items = w.epolls.0.get_mut(self.epoll)?.items.iter_mut();
                let item = items.find(|item| item.ready)?;
                item.ready = false;
                Some((item.file, item.events, item.data))
            });
            let Some((file, events, data)) = next else {
                break None;
            };
            // ep_item_poll: a file that is being released is passed over.
            if !get_live_file(file) {
                continue;
            }
            let mut table = poll_table {
                _qproc: None,
                _key: events,
            };
            let ready = vfs_poll(file as *mut file_struct, &raw mut table, place) & events;
            // SAFETY: gotten just now.
            unsafe { fput(file as *mut file_struct) };
            if ready != 0 {
                // Level triggered: it is asked again the next time.
                world(|w| {
                    if let Some(item) = w.epolls.item(self.epoll, file) {
                        item.ready = true;
                    }
                });
                break Some((data, ready));
            }
        };
        unlock_mutex(self.epoll, place);
        found
    }
}

impl Drop for Epoll {
    /// `ep_clear_and_put`
    #[track_caller]
    fn drop(&mut self) {
        let place = Location::caller();
        if try_world_if_free(|w| w.epolls.0.get(self.epoll).is_some()) != Some(true) {
            return;
        }
        step("closes an epoll", &nobody(), place);
        lock_mutex(self.epoll, false, place);
        let files: Vec<usize> = world(|w| {
            let watched = w.epolls.0.get(self.epoll).expect("it is open");
            watched.items.iter().map(|item| item.file).collect()
        });
        for &file in &files {
            take_off(self.epoll, file);
        }
        for &file in &files {
            remove(self.epoll, file);
        }
        unlock_mutex(self.epoll, place);
        put(self.epoll);
        leave_system_call();
    }
}

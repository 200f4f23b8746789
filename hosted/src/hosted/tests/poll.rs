//! What `poll(2)` and `epoll(7)` leave on a driver's wait queues, and for how long.

use super::super::*;
use super::failure;
use crate::bindings::*;
use crate::error::code;
use crate::ffi;
use std::cell::Cell;
use std::ptr::{addr_of_mut, null_mut};
use std::rc::Rc;

/// A misc device with a queue that programs poll, in an allocation of its own.
#[repr(C)]
struct Node {
    misc: miscdevice,
    head: *mut wait_queue_head,
    ready: bool,
    /// `release` frees the queue.
    head_is_the_files: bool,
}

// Written by nobody: it has to be `mut` because raw pointers in it are not `Sync`.
static mut FOPS: file_operations = file_operations {
    owner: null_mut(),
    open: Some(open),
    poll: Some(poll),
    release: Some(release),
    fop_flags: 0,
    llseek: None,
    read: None,
    write: None,
    read_iter: None,
    write_iter: None,
    unlocked_ioctl: None,
    compat_ioctl: None,
    mmap: None,
    flush: None,
    fsync: None,
    fasync: None,
    show_fdinfo: None,
};

/// `misc_open` has left the device in `private_data`, which is the first field of the node.
unsafe extern "C" fn open(_inode: *mut inode, _file: *mut file) -> ffi::c_int {
    0
}

unsafe extern "C" fn poll(file: *mut file, table: *mut poll_table_struct) -> __poll_t {
    // SAFETY: the node is freed after its files.
    unsafe {
        let node = (*file).private_data.cast::<Node>();
        poll_wait(file, (*node).head, table);
        match (*node).ready {
            true => POLLIN,
            false => 0,
        }
    }
}

unsafe extern "C" fn release(_inode: *mut inode, file: *mut file) -> ffi::c_int {
    // SAFETY: as above. There is one file.
    unsafe {
        let node = (*file).private_data.cast::<Node>();
        if (*node).head_is_the_files {
            kfree((*node).head.cast());
        }
    }
    0
}

/// Registers a node. It is taken away when this is dropped; its queue, when the test says so.
#[derive(Clone, Copy)]
struct Device(*mut Node);

impl Device {
    fn new(head_is_the_files: bool) -> Self {
        // SAFETY: each is initialised in its own memory.
        unsafe {
            let node = kzalloc(size_of::<Node>(), GFP_KERNEL).cast::<Node>();
            let head = kzalloc(size_of::<wait_queue_head>(), GFP_KERNEL).cast();
            __init_waitqueue_head(head, c"answers".as_ptr().cast(), null_mut());
            (*node).head = head;
            (*node).head_is_the_files = head_is_the_files;
            (*node).misc = miscdevice {
                minor: MISC_DYNAMIC_MINOR as ffi::c_int,
                name: c"polled".as_ptr().cast(),
                fops: &raw const FOPS,
                ..Default::default()
            };
            assert_eq!(misc_register(addr_of_mut!((*node).misc)), 0);
            Device(node)
        }
    }

    fn open(self, m: &Machine) -> OpenFile {
        m.open("polled").expect("the node opens")
    }

    fn wake(self) {
        // SAFETY: the queue is there, as far as the test means it to be.
        unsafe { __wake_up((*self.0).head, TASK_NORMAL, 0, null_mut()) };
    }

    fn answer(self) {
        // SAFETY: the node is there.
        unsafe { (*self.0).ready = true };
        self.wake();
    }

    fn free_queue(self) {
        // SAFETY: as far as the test means it to be.
        unsafe { kfree((*self.0).head.cast()) };
    }

    fn remove(self) {
        // SAFETY: registered and allocated by `new`.
        unsafe {
            misc_deregister(addr_of_mut!((*self.0).misc));
            kfree(self.0.cast());
        }
    }
}

#[test]
fn a_poller_sleeps_until_it_is_woken_and_leaves_no_entry() {
    explore(1000, |m| {
        let device = Device::new(false);
        let file = device.open(m);
        let poller = m.spawn("poller", move || file.poll_until(POLLIN, None));
        device.answer();
        assert_eq!(poller.join(), Ok(POLLIN));
        device.free_queue();
        device.remove();
    });
}

#[test]
fn polling_without_waiting_queues_nothing() {
    explore(100, |m| {
        let device = Device::new(false);
        let file = device.open(m);
        assert_eq!(file.poll(), Ok(0));
        device.free_queue();
        drop(file);
        device.remove();
    });
}

#[test]
fn a_poll_ends_by_a_signal_or_when_its_time_is_over() {
    explore(300, |m| {
        let device = Device::new(true);
        let file = device.open(m);
        assert_eq!(file.poll_until(POLLIN, Some(10)), Ok(0));
        let poller = m.spawn("poller", move || file.poll_until(POLLIN, None));
        poller.interrupt();
        assert_eq!(poller.join(), Err(code::EINTR));
        device.remove();
    });
}

#[test]
fn freeing_a_queue_that_is_polled_is_reported() {
    let failure = failure(|m| {
        let device = Device::new(false);
        let file = device.open(m);
        let poller = m.spawn("poller", move || file.poll_until(POLLIN, None));
        m.settle();
        device.free_queue();
        let _ = poller.join();
    });
    assert_eq!(failure.kind, Kind::FreedWhileActive);
    let message = &failure.message;
    assert!(
        message.contains("answers, on which poller has an entry"),
        "{failure}"
    );
}

#[test]
fn a_poller_keeps_a_file_that_another_thread_closes() {
    explore(1000, |m| {
        // The queue is freed by `release`, so a poller without a reference would be reported.
        let device = Device::new(true);
        let file = Rc::new(device.open(m));
        let poller = m.spawn("poller", {
            let file = file.clone();
            move || file.poll_until(POLLIN, Some(10))
        });
        let _ = file.close();
        let result = poller.join();
        assert!(
            result == Ok(0) || result == Ok(POLLNVAL),
            "poll() gave {result:?}"
        );
        device.remove();
    });
}

#[test]
fn an_epoll_tells_what_is_ready_as_long_as_it_is() {
    explore(1000, |m| {
        let device = Device::new(true);
        let file = device.open(m);
        let epoll = m.epoll();
        assert_eq!(epoll.add(&file, POLLIN, 7), Ok(()));
        assert_eq!(epoll.add(&file, POLLIN, 8), Err(code::EEXIST));
        assert_eq!(epoll.try_wait(), None);
        let hardware = m.spawn("hardware", move || device.answer());
        assert_eq!(epoll.wait(), Ok((7, POLLIN)));
        assert_eq!(epoll.wait(), Ok((7, POLLIN)));
        hardware.join();
        // SAFETY: the node is there.
        unsafe { (*device.0).ready = false };
        assert_eq!(epoll.try_wait(), None);
        assert_eq!(epoll.remove(&file), Ok(()));
        assert_eq!(epoll.remove(&file), Err(code::ENOENT));
        device.answer();
        assert_eq!(epoll.try_wait(), None);
        drop(file);
        device.remove();
    });
}

#[test]
fn an_entry_of_epoll_stays_across_calls() {
    let failure = failure(|m| {
        let device = Device::new(false);
        let file = device.open(m);
        let epoll = m.epoll();
        epoll.add(&file, POLLIN, 0).expect("it is added");
        device.free_queue();
        drop(file);
    });
    assert_eq!(failure.kind, Kind::FreedWhileActive);
    assert!(
        failure.message.contains("on which main has an entry"),
        "{failure}"
    );
}

#[test]
fn entries_of_epoll_are_gone_when_release_is_called() {
    explore(1000, |m| {
        let device = Device::new(true);
        let file = device.open(m);
        let (one, two) = (m.epoll(), m.epoll());
        one.add(&file, POLLIN, 1).expect("it is added");
        two.add(&file, POLLIN, 2).expect("it is added");
        let closes = m.spawn("closes", move || drop(one));
        // Frees the queue.
        file.close().expect("close() succeeds");
        closes.join();
        drop(two);
        device.remove();
    });
}

#[test]
fn a_wake_up_races_with_the_end_of_an_epoll() {
    explore(1000, |m| {
        let device = Device::new(false);
        let file = device.open(m);
        let epoll = m.epoll();
        epoll.add(&file, POLLIN, 1).expect("it is added");
        let hardware = m.spawn("hardware", move || device.answer());
        drop(epoll);
        hardware.join();
        device.free_queue();
        drop(file);
        device.remove();
    });
}

/// `wake_up_pollfree()`, and what its callers do then.
fn let_everybody_go(device: Device) {
    // SAFETY: the queue is there, and everybody has left when it is freed, or it is reported.
    unsafe {
        __wake_up_pollfree((*device.0).head);
        synchronize_rcu();
    }
    device.free_queue();
}

#[test]
fn pollfree_takes_entries_of_epoll_off() {
    explore(300, |m| {
        let device = Device::new(false);
        let file = device.open(m);
        let epoll = m.epoll();
        epoll.add(&file, POLLIN, 1).expect("it is added");
        let_everybody_go(device);
        drop(epoll);
        drop(file);
        device.remove();
    });
}

#[test]
fn pollfree_does_not_take_a_poller_off() {
    let failure = failure(|m| {
        let device = Device::new(false);
        let file = device.open(m);
        let poller = m.spawn("poller", move || file.poll_until(POLLIN, None));
        m.settle();
        let_everybody_go(device);
        let _ = poller.join();
    });
    assert_eq!(failure.kind, Kind::Misuse);
    assert!(failure.message.contains("POLLFREE"), "{failure}");
}

// ---- Entries of a driver's own ----

thread_local! {
    /// What a wake function has seen.
    static SEEN: Cell<usize> = const { Cell::new(0) };
}

unsafe extern "C" fn sees(
    _entry: *mut wait_queue_entry,
    _mode: ffi::c_uint,
    _flags: ffi::c_int,
    key: *mut ffi::c_void,
) -> ffi::c_int {
    SEEN.set(SEEN.get() + key as usize);
    1
}

unsafe extern "C" fn sleeps(
    _entry: *mut wait_queue_entry,
    _mode: ffi::c_uint,
    _flags: ffi::c_int,
    _key: *mut ffi::c_void,
) -> ffi::c_int {
    // SAFETY: none: that is the mistake.
    unsafe { msleep(1) };
    1
}

/// Queues an entry of the test's own, for the time of `f`.
fn with_entry(func: wait_queue_func_t, exclusive: bool, f: impl FnOnce(*mut wait_queue_head)) {
    let mut head = wait_queue_head::default();
    let mut entry = wait_queue_entry {
        func,
        ..Default::default()
    };
    let (head, entry) = (&raw mut head, &raw mut entry);
    // SAFETY: both stay here until the entry is taken off.
    unsafe {
        __init_waitqueue_head(head, null_mut(), null_mut());
        match exclusive {
            true => add_wait_queue_exclusive(head, entry),
            false => add_wait_queue(head, entry),
        }
        f(head);
        remove_wait_queue(head, entry);
    }
}

#[test]
fn a_wake_function_is_called_in_the_wakers_context_with_its_key() {
    explore(100, |_| {
        SEEN.set(0);
        with_entry(Some(sees), false, |head| {
            // SAFETY: the queue is there.
            unsafe {
                assert_eq!(__wake_up(head, TASK_NORMAL, 1, 5 as *mut ffi::c_void), 0);
                assert_eq!(__wake_up(head, TASK_NORMAL, 0, 2 as *mut ffi::c_void), 0);
            }
        });
        assert_eq!(SEEN.get(), 7);
        with_entry(Some(sees), true, |head| {
            // SAFETY: the queue is there.
            assert_eq!(unsafe { __wake_up(head, TASK_NORMAL, 1, null_mut()) }, 1);
        });
    });
}

#[test]
fn a_wake_function_that_sleeps_is_reported() {
    let failure = failure(|_| {
        with_entry(Some(sleeps), false, |head| {
            // SAFETY: the queue is there.
            unsafe { __wake_up(head, TASK_NORMAL, 0, null_mut()) };
        });
    });
    assert_eq!(failure.kind, Kind::SleepInAtomic);
}

#[test]
fn an_entry_that_is_freed_on_its_queue_is_reported() {
    let failure = failure(|_| {
        let mut head = wait_queue_head::default();
        // SAFETY: all but the end, which is the mistake.
        unsafe {
            __init_waitqueue_head(&raw mut head, c"answers".as_ptr().cast(), null_mut());
            let entry = kzalloc(size_of::<wait_queue_entry>(), GFP_KERNEL).cast();
            add_wait_queue(&raw mut head, entry);
            kfree(entry.cast());
        }
    });
    assert_eq!(failure.kind, Kind::FreedWhileActive);
    assert!(
        failure.message.contains("an entry of wait queue answers"),
        "{failure}"
    );
}

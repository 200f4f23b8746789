//! A whole driver in the C manner, on the edu device: probe, remove, open, read, close, devres.

use super::super::edu::Edu;
use super::super::*;
use crate::bindings::*;
use crate::error::code;
use crate::ffi;
use crate::module::ModuleStatic;
use std::mem::offset_of;
use std::ptr::{addr_of_mut, null_mut};

/// What a scenario can ask the driver to get wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// `remove()` leaves the interrupt to devres, after it has killed the tasklet.
    InterruptOutlivesTasklet,
    /// The state that files use is devres' too.
    FileOutlivesState,
    /// The BAR is unmapped by `remove()`, before the interrupt is freed.
    UnmapsTooEarly,
    /// `misc_deregister()` is forgotten.
    StaysRegistered,
}

static mut MISTAKE: Mistake = Mistake::None;

fn mistake() -> Mistake {
    // SAFETY: written before an execution begins; explorations take turns.
    unsafe { MISTAKE }
}

#[repr(C)]
struct Data {
    tasklet: tasklet_struct,
    misc: miscdevice,
    wait: wait_queue_head,
    lock: spinlock_t,
    mutex: mutex,
    bar: *mut ffi::c_void,
    irq: u32,
    answers: u32,
    gone: bool,
    references: refcount_t,
}

/// Only its address means something.
static MODULE_STRUCT: ModuleStatic = ModuleStatic::new();

// Written by nobody: it has to be `mut` because raw pointers in it are not `Sync`.
static mut FOPS: file_operations = file_operations {
    owner: MODULE_STRUCT.get(),
    open: Some(open),
    read: Some(read),
    release: Some(release),
    fop_flags: 0,
    llseek: None,
    write: None,
    read_iter: None,
    write_iter: None,
    poll: None,
    unlocked_ioctl: None,
    compat_ioctl: None,
    mmap: None,
    flush: None,
    fsync: None,
    fasync: None,
    show_fdinfo: None,
};

unsafe extern "C" fn handler(_irq: ffi::c_int, cookie: *mut ffi::c_void) -> irqreturn_t {
    let data = cookie.cast::<Data>();
    // SAFETY: the cookie is the driver's data.
    unsafe {
        let status = readl((*data).bar.byte_add(0x24));
        if status == 0 {
            return irqreturn_t::IRQ_NONE;
        }
        writel(status, (*data).bar.byte_add(0x64));
        tasklet_schedule(addr_of_mut!((*data).tasklet));
        irqreturn_t::IRQ_HANDLED
    }
}

unsafe extern "C" fn collect(tasklet: *mut tasklet_struct) {
    let data = tasklet.cast::<Data>();
    // SAFETY: the tasklet is the first field of the driver's data.
    unsafe {
        spin_lock(addr_of_mut!((*data).lock));
        (*data).answers += 1;
        spin_unlock(addr_of_mut!((*data).lock));
        __wake_up(addr_of_mut!((*data).wait), TASK_NORMAL, 0, null_mut());
    }
}

unsafe extern "C" fn open(_inode: *mut inode, file: *mut file) -> ffi::c_int {
    // SAFETY: `misc_open` leaves the misc device in `private_data`.
    unsafe {
        let misc = (*file).private_data.cast::<miscdevice>();
        let data = misc.byte_sub(offset_of!(Data, misc)).cast::<Data>();
        refcount_inc(addr_of_mut!((*data).references));
        (*file).private_data = data.cast();
    }
    0
}

unsafe extern "C" fn read(
    file: *mut file,
    buffer: *mut ffi::c_char,
    len: usize,
    _pos: *mut loff_t,
) -> isize {
    // SAFETY: `open` left the data in `private_data`.
    unsafe {
        let data = (*file).private_data.cast::<Data>();
        let mut entry = wait_queue_entry::default();
        init_wait_entry(&mut entry, 0);
        let result = loop {
            let head = addr_of_mut!((*data).wait);
            let result = prepare_to_wait_event(head, &mut entry, TASK_INTERRUPTIBLE as ffi::c_int);
            if (*data).gone {
                break -(ENODEV as isize);
            }
            if (*data).answers > 0 {
                break 0;
            }
            if result != 0 {
                break result;
            }
            schedule();
        };
        finish_wait(addr_of_mut!((*data).wait), &mut entry);
        if result != 0 {
            return result;
        }
        let answer = [(*data).answers as u8];
        let len = len.min(1);
        match copy_to_user(buffer.cast(), answer.as_ptr().cast(), len) {
            0 => len as isize,
            _ => -(EFAULT as isize),
        }
    }
}

unsafe fn put_data(data: *mut Data) {
    // SAFETY: the caller has a reference.
    unsafe {
        if refcount_dec_and_test(addr_of_mut!((*data).references)) {
            kfree(data.cast());
        }
    }
}

unsafe extern "C" fn release(_inode: *mut inode, file: *mut file) -> ffi::c_int {
    // SAFETY: `open` left the data in `private_data`, with a reference.
    unsafe {
        let data = (*file).private_data.cast::<Data>();
        mutex_lock(addr_of_mut!((*data).mutex));
        mutex_unlock(addr_of_mut!((*data).mutex));
        if !matches!(
            mistake(),
            Mistake::FileOutlivesState | Mistake::InterruptOutlivesTasklet
        ) {
            put_data(data);
        }
    }
    0
}

unsafe extern "C" fn probe(pdev: *mut pci_dev, _id: *const pci_device_id) -> ffi::c_int {
    // SAFETY: the bus calls this with a device that the driver's table matches.
    unsafe {
        let dev = addr_of_mut!((*pdev).dev);
        let size = size_of::<Data>();
        let memory = match mistake() {
            Mistake::FileOutlivesState | Mistake::InterruptOutlivesTasklet => {
                devm_kzalloc(dev, size, GFP_KERNEL)
            }
            _ => kzalloc(size, GFP_KERNEL),
        };
        if memory.is_null() {
            return -(ENOMEM as ffi::c_int);
        }
        let data = memory.cast::<Data>();
        refcount_set(addr_of_mut!((*data).references), 1);
        tasklet_setup(addr_of_mut!((*data).tasklet), Some(collect));
        __init_waitqueue_head(addr_of_mut!((*data).wait), null_mut(), null_mut());
        __mutex_init(addr_of_mut!((*data).mutex), null_mut(), null_mut());
        __spin_lock_init(addr_of_mut!((*data).lock), null_mut(), null_mut());
        pci_set_drvdata(pdev, memory);

        assert_eq!(pcim_enable_device(pdev), 0);
        (*data).bar = match mistake() {
            Mistake::UnmapsTooEarly => pci_iomap(pdev, 0, 0),
            _ => pcim_iomap(pdev, 0, 0),
        };
        assert_eq!(readl((*data).bar), 0x0100_00ed);
        assert_eq!(pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_ALL_TYPES), 1);
        (*data).irq = pci_irq_vector(pdev, 0) as u32;
        let name = c"edu".as_ptr().cast();
        let result = devm_request_irq(dev, (*data).irq, Some(handler), 0, name, memory);
        assert_eq!(result, 0);
        writel(0x80, (*data).bar.byte_add(0x20));

        (*data).misc = miscdevice {
            minor: MISC_DYNAMIC_MINOR as ffi::c_int,
            name,
            fops: &raw const FOPS,
            ..Default::default()
        };
        misc_register(addr_of_mut!((*data).misc))
    }
}

unsafe extern "C" fn remove(pdev: *mut pci_dev) {
    // SAFETY: the bus calls this for a bound device, whose data `probe` has set.
    unsafe {
        let data = pci_get_drvdata(pdev).cast::<Data>();
        let dev = addr_of_mut!((*pdev).dev);
        if mistake() != Mistake::StaysRegistered {
            misc_deregister(addr_of_mut!((*data).misc));
        }
        (*data).gone = true;
        __wake_up(addr_of_mut!((*data).wait), TASK_NORMAL, 0, null_mut());
        if mistake() == Mistake::UnmapsTooEarly {
            pci_iounmap(pdev, (*data).bar);
        }
        if mistake() != Mistake::InterruptOutlivesTasklet {
            devm_free_irq(dev, (*data).irq, data.cast());
        }
        tasklet_kill(addr_of_mut!((*data).tasklet));
        if !matches!(
            mistake(),
            Mistake::FileOutlivesState | Mistake::InterruptOutlivesTasklet
        ) {
            put_data(data);
        }
    }
}

static mut IDS: [pci_device_id; 2] = [
    pci_device_id {
        vendor: 0x1234,
        device: 0x11e8,
        subvendor: !0,
        subdevice: !0,
        class: 0,
        class_mask: 0,
        driver_data: 7,
        override_only: 0,
    },
    pci_device_id {
        vendor: 0,
        device: 0,
        subvendor: 0,
        subdevice: 0,
        class: 0,
        class_mask: 0,
        driver_data: 0,
        override_only: 0,
    },
];

static mut DRIVER: std::mem::MaybeUninit<pci_driver> = std::mem::MaybeUninit::uninit();

unsafe extern "C" fn init() -> ffi::c_int {
    // SAFETY: one execution runs at a time, and loads the module once at a time.
    unsafe {
        let driver = addr_of_mut!(DRIVER).cast::<pci_driver>();
        driver.write(pci_driver {
            name: c"edu".as_ptr().cast(),
            id_table: (&raw const IDS).cast(),
            probe: Some(probe),
            remove: Some(remove),
            ..Default::default()
        });
        __pci_register_driver(driver, MODULE_STRUCT.get(), c"edu".as_ptr().cast())
    }
}

unsafe extern "C" fn exit() {
    // SAFETY: `init` has registered it.
    unsafe { pci_unregister_driver(addr_of_mut!(DRIVER).cast()) }
}

// SAFETY: `init` and `exit` above are a module's.
static MODULE: ModuleInfo = unsafe { ModuleInfo::new("edu", MODULE_STRUCT.get(), init, exit) };

/// A program asks for a factorial, reads, and the device is unbound meanwhile.
fn read_and_unbind(m: &Machine) {
    let _ = m.load(&MODULE).unwrap();
    let slot = m.plug_pci(Edu::new());
    assert!(slot.is_bound());
    // What the driver would do on a write, to keep the driver short.
    // SAFETY: the driver is bound.
    unsafe {
        let data = pci_get_drvdata(slot.as_raw()).cast::<Data>();
        writel(5, (*data).bar.byte_add(8));
    }
    if mistake() == Mistake::InterruptOutlivesTasklet {
        // No file, so that this is the only mistake.
        return slot.unbind().unwrap();
    }
    let program = m.spawn("reader", {
        let m = *m;
        move || {
            let Ok(file) = m.open("edu") else { return };
            let mut buffer = [0; 4];
            match file.read(&mut buffer) {
                Ok(n) => assert_eq!((n, buffer[0]), (1, 1)),
                Err(error) => assert_eq!(error, code::ENODEV),
            }
            file.close().unwrap();
            assert_eq!(file.close(), Err(code::EBADF));
        }
    });
    slot.unbind().unwrap();
    assert!(!slot.is_bound());
    assert_eq!(slot.unbind(), Err(code::ENODEV));
    program.join();
}

fn find(wrong: Mistake) -> Failure {
    let outcome = Explore::new("driver").schedules(20_000).run(move |m| {
        // SAFETY: explorations take turns.
        unsafe { MISTAKE = wrong };
        read_and_unbind(m);
    });
    outcome.expect_failure()
}

#[test]
fn a_driver_with_the_right_order_survives() {
    let stats = Explore::new("driver")
        .schedules(5_000)
        .run(|m| {
            // SAFETY: explorations take turns.
            unsafe { MISTAKE = Mistake::None };
            read_and_unbind(m);
        })
        .unwrap();
    let rate = stats.schedules as f64 / stats.time.as_secs_f64();
    let steps = stats.steps / stats.schedules as u64;
    println!("{rate:.0} schedules per second, {steps} steps each");
}

#[test]
fn an_interrupt_that_outlives_its_tasklet_is_found() {
    let failure = find(Mistake::InterruptOutlivesTasklet);
    let kinds = [
        Kind::FreedWhileActive,
        Kind::RanAfterFree,
        Kind::UseAfterFree,
    ];
    assert!(kinds.contains(&failure.kind), "{failure}");
    assert!(failure.message.contains("tasklet"), "{failure}");
    println!("{failure}");
}

#[test]
fn a_file_that_outlives_its_state_is_found() {
    let failure = find(Mistake::FileOutlivesState);
    let kinds = [Kind::UseAfterFree, Kind::FreedWhileActive, Kind::WildAccess];
    assert!(kinds.contains(&failure.kind), "{failure}");
}

#[test]
fn an_access_after_unmapping_is_found() {
    let failure = find(Mistake::UnmapsTooEarly);
    assert_eq!(failure.kind, Kind::WildAccess, "{failure}");
    assert!(failure.message.contains("unmapped"), "{failure}");
}

#[test]
fn a_misc_device_that_stays_registered_is_found() {
    let failure = find(Mistake::StaysRegistered);
    assert_eq!(failure.kind, Kind::FreedWhileActive, "{failure}");
    assert!(failure.message.contains("misc device"), "{failure}");
}

#[test]
fn a_module_stays_while_a_file_is_open() {
    explore(300, |m| {
        // SAFETY: explorations take turns.
        unsafe { MISTAKE = Mistake::None };
        let module = m.load(&MODULE).unwrap();
        let slot = m.plug_pci(Edu::new());
        let file = m.open("edu").unwrap();
        assert_eq!(module.unload(), Err(code::EAGAIN));
        slot.unbind().unwrap();
        assert_eq!(m.open("edu").map(drop), Err(code::ENOENT));
        assert_eq!(module.unload(), Err(code::EAGAIN));
        slot.bind().unwrap();
        assert_eq!(slot.bind(), Err(code::EBUSY));
        file.close().unwrap();
        assert_eq!(module.unload(), Ok(()));
        assert!(!slot.is_bound());
        assert_eq!(slot.bind(), Err(code::ENODEV));
        slot.unplug();
        assert_eq!(m.ledger().to_string(), "nothing left");
    });
}

#[test]
fn release_is_called_at_the_last_close_and_not_before() {
    explore(300, |m| {
        // SAFETY: explorations take turns.
        unsafe { MISTAKE = Mistake::None };
        let _ = m.load(&MODULE).unwrap();
        let slot = m.plug_pci(Edu::new());
        let first = m.open("edu").unwrap();
        let second = first.dup();
        first.close().unwrap();
        slot.unplug();
        assert_eq!(second.read(&mut [0]), Err(code::ENODEV));
        second.close().unwrap();
    });
}

#[test]
fn edu_computes_factorials_and_interrupts_only_when_asked() {
    explore(300, |m| {
        let slot = m.plug_pci(Edu::new());
        let pdev = slot.as_raw();
        // SAFETY: no driver is bound; the test has the device.
        unsafe {
            assert_eq!(pci_enable_device_mem(pdev), 0);
            let bar = pci_iomap(pdev, 0, 0);
            writel(0x1234_5678, bar.byte_add(4));
            assert_eq!(readl(bar.byte_add(4)), !0x1234_5678);
            writel(6, bar.byte_add(8));
            m.settle();
            assert_eq!(readl(bar.byte_add(8)), 720);
            assert_eq!(
                (readl(bar.byte_add(0x20)), readl(bar.byte_add(0x24))),
                (0, 0)
            );
            writel(0x80, bar.byte_add(0x20));
            writel(3, bar.byte_add(8));
            m.settle();
            assert_eq!((readl(bar.byte_add(8)), readl(bar.byte_add(0x24))), (6, 1));
            writel(4, bar.byte_add(0x60));
            assert_eq!(readl(bar.byte_add(0x24)), 5);
            writel(5, bar.byte_add(0x64));
            assert_eq!(readl(bar.byte_add(0x24)), 0);
            pci_iounmap(pdev, bar);
            pci_disable_device(pdev);
        }
    });
}

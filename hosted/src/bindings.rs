//! The C functions that Linux offers to Rust, as the model implements them.
//!
//! Linux's `kernel::bindings` is what bindgen reads out of the C headers. This file is its stand-in:
//! the same names, the same argument types and the same fields, for the part of them that drivers
//! meet. The types are here; what the functions do is under [`crate::hosted`], one file for each
//! part of the kernel, and `FIDELITY.md` says how far each can be believed.
//!
//! Two things differ on purpose. A C structure carries only the fields that a driver may touch, so
//! sizes differ; the state behind it is the machine's and is found by the structure's address. And a
//! function of the model has Rust's calling convention: only callbacks are `extern "C"`.

#![allow(clippy::missing_safety_doc, reason = "the contracts are C's")]
#![allow(unused_variables, reason = "until every function has its body")]
#![allow(non_camel_case_types, non_upper_case_globals, non_snake_case)]
#![allow(missing_docs, reason = "the names are C's, and are documented there")]

use crate::ffi;

macro_rules! zeroed_default {
    ($($t:ty),* $(,)?) => {$(
        impl Default for $t {
            fn default() -> Self {
                // SAFETY: only listed for structures whose fields are integers, raw pointers and
                // options of function pointers, all of which may be zero.
                unsafe { core::mem::zeroed() }
            }
        }
    )*};
}

// ---- Integers ----

pub type bool_ = bool;
pub type u8_ = u8;
pub type u16_ = u16;
pub type u32_ = u32;
pub type u64_ = u64;
pub type __u8 = u8;
pub type __u16 = u16;
pub type __u32 = u32;
pub type __u64 = u64;
pub type gfp_t = ffi::c_uint;
pub type loff_t = ffi::c_longlong;
pub type umode_t = ffi::c_ushort;
pub type fmode_t = ffi::c_uint;
pub type fop_flags_t = ffi::c_uint;
pub type fl_owner_t = *mut ffi::c_void;
pub type dev_t = u32;
pub type pid_t = ffi::c_int;
pub type ktime_t = i64;
pub type resource_size_t = u64;
pub type phys_addr_t = u64;
pub type kernel_ulong_t = ffi::c_ulong;
pub type __poll_t = ffi::c_uint;
pub type refcount_t = refcount_struct;
pub type spinlock_t = spinlock;
pub type wait_queue_head_t = wait_queue_head;
pub type wait_queue_entry_t = wait_queue_entry;
pub type atomic_long_t = atomic64_t;
pub type poll_table = poll_table_struct;

#[repr(C)]
#[derive(Copy, Clone, Debug, Default)]
pub struct atomic_t {
    pub counter: ffi::c_int,
}

#[repr(C)]
#[derive(Copy, Clone, Debug, Default)]
pub struct atomic64_t {
    pub counter: i64,
}

#[repr(C)]
#[derive(Copy, Clone, Debug, Default)]
pub struct refcount_struct {
    pub refs: atomic_t,
}

// ---- Lists, locks, keys ----

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct list_head {
    pub next: *mut list_head,
    pub prev: *mut list_head,
}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct callback_head {
    pub next: *mut callback_head,
    pub func: rcu_callback_t,
}

pub type rcu_callback_t = Option<unsafe extern "C" fn(head: *mut callback_head)>;

#[repr(C)]
#[derive(Copy, Clone, Debug, Default)]
pub struct lock_class_key {
    pub _reserved: [usize; 2],
}

#[repr(C)]
#[derive(Copy, Clone, Debug, Default)]
pub struct lockdep_map {
    pub _reserved: usize,
}

/// State is the machine's: see `hosted/src/hosted/locks.rs`.
#[repr(C)]
#[derive(Copy, Clone, Debug, Default)]
pub struct spinlock {
    pub _reserved: u64,
}

#[repr(C)]
#[derive(Copy, Clone, Debug, Default)]
pub struct mutex {
    pub _reserved: u64,
}

#[repr(C)]
#[derive(Copy, Clone, Debug, Default)]
pub struct srcu_struct {
    pub _reserved: u64,
}

#[repr(C)]
#[derive(Copy, Clone, Debug, Default)]
pub struct swait_queue_head {
    pub _reserved: u64,
}

#[repr(C)]
#[derive(Copy, Clone, Debug, Default)]
pub struct completion {
    pub done: ffi::c_uint,
    pub wait: swait_queue_head,
}

// ---- Interrupts ----

#[repr(transparent)]
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct irqreturn(pub ffi::c_uint);
pub use self::irqreturn as irqreturn_t;

impl irqreturn {
    pub const IRQ_NONE: irqreturn = irqreturn(0);
    pub const IRQ_HANDLED: irqreturn = irqreturn(1);
    pub const IRQ_WAKE_THREAD: irqreturn = irqreturn(2);
}

pub type irq_handler_t =
    Option<unsafe extern "C" fn(arg1: ffi::c_int, arg2: *mut ffi::c_void) -> irqreturn_t>;

#[repr(C)]
#[derive(Copy, Clone)]
pub union tasklet_struct__bindgen_ty_1 {
    pub func: Option<unsafe extern "C" fn(data: ffi::c_ulong)>,
    pub callback: Option<unsafe extern "C" fn(t: *mut tasklet_struct)>,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct tasklet_struct {
    pub next: *mut tasklet_struct,
    pub state: ffi::c_ulong,
    pub count: atomic_t,
    pub use_callback: bool_,
    pub __bindgen_anon_1: tasklet_struct__bindgen_ty_1,
    pub data: ffi::c_ulong,
}

// ---- Work, waiting, references ----

pub type work_func_t = Option<unsafe extern "C" fn(work: *mut work_struct)>;

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct work_struct {
    pub data: atomic_long_t,
    pub entry: list_head,
    pub func: work_func_t,
}

#[repr(C)]
#[derive(Debug)]
pub struct workqueue_struct {
    pub(crate) index: usize,
}

pub type wait_queue_func_t = Option<
    unsafe extern "C" fn(
        wq_entry: *mut wait_queue_entry,
        mode: ffi::c_uint,
        flags: ffi::c_int,
        key: *mut ffi::c_void,
    ) -> ffi::c_int,
>;

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct wait_queue_head {
    pub lock: spinlock_t,
    pub head: list_head,
}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct wait_queue_entry {
    pub flags: ffi::c_uint,
    pub private: *mut ffi::c_void,
    pub func: wait_queue_func_t,
    pub entry: list_head,
}

pub type percpu_ref_func_t = Option<unsafe extern "C" fn(arg1: *mut percpu_ref)>;

#[repr(C)]
#[derive(Debug)]
pub struct percpu_ref_data {
    pub(crate) _reserved: usize,
}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct percpu_ref {
    pub percpu_count_ptr: ffi::c_ulong,
    pub data: *mut percpu_ref_data,
}

/// A task. Only its address means something: see [`get_current`].
#[repr(C)]
#[derive(Debug)]
pub struct task_struct {
    pub(crate) index: usize,
}

#[repr(C)]
#[derive(Debug)]
pub struct user_namespace {
    pub(crate) _reserved: usize,
}

// ---- Devices and drivers ----

#[repr(C)]
#[derive(Copy, Clone, Debug, Default)]
pub struct kobject {
    pub _reserved: usize,
}

#[repr(C)]
#[derive(Debug)]
pub struct bus_type {
    pub name: *const ffi::c_char,
}
// SAFETY: the only fields are constants of the model.
unsafe impl Sync for bus_type {}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct device {
    pub kobj: kobject,
    pub parent: *mut device,
    pub init_name: *const ffi::c_char,
    pub bus: *const bus_type,
    pub driver: *mut device_driver,
    pub platform_data: *mut ffi::c_void,
    pub driver_data: *mut ffi::c_void,
    pub of_node: *mut ffi::c_void,
    pub fwnode: *mut ffi::c_void,
    pub devt: dev_t,
    pub id: u32_,
    pub release: Option<unsafe extern "C" fn(dev: *mut device)>,
}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct device_driver__bindgen_ty_1 {
    pub post_unbind_rust: Option<unsafe extern "C" fn(dev: *mut device)>,
}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct device_driver {
    pub name: *const ffi::c_char,
    pub bus: *const bus_type,
    pub owner: *mut module,
    pub mod_name: *const ffi::c_char,
    pub suppress_bind_attrs: bool_,
    pub of_match_table: *const of_device_id,
    pub acpi_match_table: *const acpi_device_id,
    pub probe: Option<unsafe extern "C" fn(dev: *mut device) -> ffi::c_int>,
    pub remove: Option<unsafe extern "C" fn(dev: *mut device) -> ffi::c_int>,
    pub p: *mut ffi::c_void,
    pub p_cb: device_driver__bindgen_ty_1,
}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct of_device_id {
    pub name: [ffi::c_char; 32],
    pub type_: [ffi::c_char; 32],
    pub compatible: [ffi::c_char; 128],
    pub data: *const ffi::c_void,
}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct acpi_device_id {
    pub id: [__u8; 16],
    pub driver_data: kernel_ulong_t,
    pub cls: __u32,
    pub cls_msk: __u32,
}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct resource {
    pub start: resource_size_t,
    pub end: resource_size_t,
    pub name: *const ffi::c_char,
    pub flags: ffi::c_ulong,
    pub desc: ffi::c_ulong,
    pub parent: *mut resource,
    pub sibling: *mut resource,
    pub child: *mut resource,
}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct pci_device_id {
    pub vendor: __u32,
    pub device: __u32,
    pub subvendor: __u32,
    pub subdevice: __u32,
    pub class: __u32,
    pub class_mask: __u32,
    pub driver_data: kernel_ulong_t,
    pub override_only: __u32,
}

#[repr(C)]
#[derive(Debug)]
pub struct pci_dev {
    pub devfn: ffi::c_uint,
    pub vendor: ffi::c_ushort,
    pub device: ffi::c_ushort,
    pub subsystem_vendor: ffi::c_ushort,
    pub subsystem_device: ffi::c_ushort,
    pub class: ffi::c_uint,
    pub revision: u8_,
    pub pin: u8_,
    pub driver: *mut pci_driver,
    pub dma_mask: u64_,
    pub dev: device,
    pub irq: ffi::c_uint,
    pub resource: [resource; 11],
}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct pci_driver {
    pub name: *const ffi::c_char,
    pub id_table: *const pci_device_id,
    pub probe:
        Option<unsafe extern "C" fn(dev: *mut pci_dev, id: *const pci_device_id) -> ffi::c_int>,
    pub remove: Option<unsafe extern "C" fn(dev: *mut pci_dev)>,
    pub shutdown: Option<unsafe extern "C" fn(dev: *mut pci_dev)>,
    pub driver: device_driver,
}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct platform_device_id {
    pub name: [ffi::c_char; 24],
    pub driver_data: kernel_ulong_t,
}

#[repr(C)]
#[derive(Debug)]
pub struct platform_device {
    pub name: *const ffi::c_char,
    pub id: ffi::c_int,
    pub id_auto: bool_,
    pub dev: device,
    pub num_resources: u32_,
    pub resource: *mut resource,
    pub id_entry: *const platform_device_id,
}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct platform_driver {
    pub probe: Option<unsafe extern "C" fn(arg1: *mut platform_device) -> ffi::c_int>,
    pub remove: Option<unsafe extern "C" fn(arg1: *mut platform_device)>,
    pub shutdown: Option<unsafe extern "C" fn(arg1: *mut platform_device)>,
    pub driver: device_driver,
    pub id_table: *const platform_device_id,
    pub prevent_deferred_probe: bool_,
    pub driver_managed_dma: bool_,
}

/// A loadable module. The machine keeps its reference count, by address.
#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct module {
    pub name: [ffi::c_char; 56],
}

// ---- Files ----

#[repr(C)]
#[derive(Debug)]
pub struct inode {
    pub i_mode: umode_t,
    pub i_rdev: dev_t,
    pub i_private: *mut ffi::c_void,
}

#[repr(C)]
#[derive(Debug)]
pub struct file {
    pub f_mode: fmode_t,
    pub f_op: *const file_operations,
    pub private_data: *mut ffi::c_void,
    pub f_inode: *mut inode,
    pub f_flags: ffi::c_uint,
    pub f_pos: loff_t,
}

#[repr(C)]
#[derive(Debug)]
pub struct kiocb {
    pub ki_filp: *mut file,
    pub ki_pos: loff_t,
    pub ki_complete: Option<unsafe extern "C" fn(iocb: *mut kiocb, ret: ffi::c_long)>,
    pub private: *mut ffi::c_void,
    pub ki_flags: ffi::c_int,
}

/// A user buffer that a read or write walks along.
#[repr(C)]
#[derive(Debug)]
pub struct iov_iter {
    pub iter_type: u8_,
    pub nofault: bool_,
    pub data_source: bool_,
    pub iov_offset: usize,
    /// Where the user's buffer starts (C has it in a union).
    pub ubuf: *mut ffi::c_void,
    /// Bytes left (C has it in a union).
    pub count: usize,
}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct poll_table_struct {
    pub _qproc: Option<
        unsafe extern "C" fn(
            arg1: *mut file,
            arg2: *mut wait_queue_head_t,
            arg3: *mut poll_table_struct,
        ),
    >,
    pub _key: __poll_t,
}

pub enum vm_area_struct {}
pub enum seq_file {}
pub enum attribute_group {}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct file_operations {
    pub owner: *mut module,
    pub fop_flags: fop_flags_t,
    pub llseek: Option<unsafe extern "C" fn(*mut file, loff_t, ffi::c_int) -> loff_t>,
    pub read:
        Option<unsafe extern "C" fn(*mut file, *mut ffi::c_char, usize, *mut loff_t) -> isize>,
    pub write:
        Option<unsafe extern "C" fn(*mut file, *const ffi::c_char, usize, *mut loff_t) -> isize>,
    pub read_iter: Option<unsafe extern "C" fn(*mut kiocb, *mut iov_iter) -> isize>,
    pub write_iter: Option<unsafe extern "C" fn(*mut kiocb, *mut iov_iter) -> isize>,
    pub poll: Option<unsafe extern "C" fn(*mut file, *mut poll_table_struct) -> __poll_t>,
    pub unlocked_ioctl:
        Option<unsafe extern "C" fn(*mut file, ffi::c_uint, ffi::c_ulong) -> ffi::c_long>,
    pub compat_ioctl:
        Option<unsafe extern "C" fn(*mut file, ffi::c_uint, ffi::c_ulong) -> ffi::c_long>,
    pub mmap: Option<unsafe extern "C" fn(*mut file, *mut vm_area_struct) -> ffi::c_int>,
    pub open: Option<unsafe extern "C" fn(*mut inode, *mut file) -> ffi::c_int>,
    pub flush: Option<unsafe extern "C" fn(*mut file, fl_owner_t) -> ffi::c_int>,
    pub release: Option<unsafe extern "C" fn(*mut inode, *mut file) -> ffi::c_int>,
    pub fasync: Option<unsafe extern "C" fn(ffi::c_int, *mut file, ffi::c_int) -> ffi::c_int>,
    pub show_fdinfo: Option<unsafe extern "C" fn(*mut seq_file, *mut file)>,
}
// SAFETY: a table of operations is a constant: nothing in it is written after it was built.
unsafe impl Sync for file_operations {}
// SAFETY: as above.
unsafe impl Send for file_operations {}

#[repr(C)]
#[derive(Copy, Clone, Debug)]
pub struct miscdevice {
    pub minor: ffi::c_int,
    pub name: *const ffi::c_char,
    pub fops: *const file_operations,
    pub list: list_head,
    pub parent: *mut device,
    pub this_device: *mut device,
    pub groups: *mut *const attribute_group,
    pub nodename: *const ffi::c_char,
    pub mode: umode_t,
}

zeroed_default!(
    list_head,
    callback_head,
    tasklet_struct,
    work_struct,
    wait_queue_head,
    wait_queue_entry,
    percpu_ref,
    device,
    device_driver__bindgen_ty_1,
    device_driver,
    of_device_id,
    acpi_device_id,
    resource,
    pci_device_id,
    pci_dev,
    pci_driver,
    platform_device_id,
    platform_device,
    platform_driver,
    module,
    inode,
    file,
    kiocb,
    iov_iter,
    poll_table_struct,
    file_operations,
    miscdevice,
);

// ---- Constants, with the values of Linux 7.3 on x86-64 ----

pub const IRQF_TRIGGER_NONE: u32 = 0;
pub const IRQF_TRIGGER_RISING: u32 = 1;
pub const IRQF_TRIGGER_FALLING: u32 = 2;
pub const IRQF_TRIGGER_HIGH: u32 = 4;
pub const IRQF_TRIGGER_LOW: u32 = 8;
pub const IRQF_TRIGGER_MASK: u32 = 15;
pub const IRQF_TRIGGER_PROBE: u32 = 16;
pub const IRQF_SHARED: u32 = 128;
pub const IRQF_PROBE_SHARED: u32 = 256;
pub const IRQF_PERCPU: u32 = 1024;
pub const IRQF_NOBALANCING: u32 = 2048;
pub const IRQF_IRQPOLL: u32 = 4096;
pub const IRQF_ONESHOT: u32 = 8192;
pub const IRQF_NO_SUSPEND: u32 = 16384;
pub const IRQF_FORCE_RESUME: u32 = 32768;
pub const IRQF_NO_THREAD: u32 = 65536;
pub const IRQF_EARLY_RESUME: u32 = 131072;
pub const IRQF_COND_SUSPEND: u32 = 262144;
pub const IRQF_NO_AUTOEN: u32 = 524288;
pub const IRQF_NO_DEBUG: u32 = 1048576;
pub const IRQF_COND_ONESHOT: u32 = 2097152;
pub const IRQF_TIMER: u32 = 82432;
pub const TASK_RUNNING: u32 = 0;
pub const TASK_INTERRUPTIBLE: u32 = 1;
pub const TASK_UNINTERRUPTIBLE: u32 = 2;
pub const TASK_NORMAL: u32 = 3;
pub const TASK_FREEZABLE: u32 = 8192;
pub const TASK_KILLABLE: u32 = 258;
pub const TASK_WAKEKILL: u32 = 256;
pub const WQ_FLAG_EXCLUSIVE: u32 = 1;
pub const MISC_DYNAMIC_MINOR: u32 = 255;
pub const O_ACCMODE: u32 = 3;
pub const O_RDONLY: u32 = 0;
pub const O_WRONLY: u32 = 1;
pub const O_RDWR: u32 = 2;
pub const O_CREAT: u32 = 64;
pub const O_EXCL: u32 = 128;
pub const O_NOCTTY: u32 = 256;
pub const O_TRUNC: u32 = 512;
pub const O_APPEND: u32 = 1024;
pub const O_NONBLOCK: u32 = 2048;
pub const O_DSYNC: u32 = 4096;
pub const O_DIRECT: u32 = 16384;
pub const O_LARGEFILE: u32 = 32768;
pub const O_DIRECTORY: u32 = 65536;
pub const O_NOFOLLOW: u32 = 131072;
pub const O_NOATIME: u32 = 262144;
pub const O_CLOEXEC: u32 = 524288;
pub const O_SYNC: u32 = 1052672;
pub const O_PATH: u32 = 2097152;
pub const O_EMPTYPATH: u32 = 67108864;
pub const O_TMPFILE: u32 = 4259840;
pub const O_NDELAY: u32 = 2048;
pub const GFP_ATOMIC: gfp_t = 2080;
pub const GFP_KERNEL: gfp_t = 3264;
pub const GFP_KERNEL_ACCOUNT: gfp_t = 4197568;
pub const GFP_NOWAIT: gfp_t = 10240;
pub const __GFP_ZERO: gfp_t = 256;
pub const __GFP_HIGHMEM: gfp_t = 2;
pub const __GFP_NOWARN: gfp_t = 8192;
pub const NUMA_NO_NODE: i32 = -1;
pub const ARCH_KMALLOC_MINALIGN: usize = 8;
pub const KMALLOC_MAX_SIZE: u32 = 4194304;
pub const MAX_ERRNO: u32 = 4095;
pub const PCI_ANY_ID: i32 = -1;
pub const PCI_NUM_RESOURCES: ffi::c_uint = 11;
pub const PCI_IRQ_INTX: u32 = 1;
pub const PCI_IRQ_MSI: u32 = 2;
pub const PCI_IRQ_MSIX: u32 = 4;
pub const PCI_IRQ_ALL_TYPES: u32 = 7;
pub const PERCPU_REF_INIT_ATOMIC: ffi::c_uint = 1;
pub const PERCPU_REF_INIT_DEAD: ffi::c_uint = 2;
pub const PERCPU_REF_ALLOW_REINIT: ffi::c_uint = 4;
pub const TASKLET_STATE_SCHED: ffi::c_uint = 0;
pub const TASKLET_STATE_RUN: ffi::c_uint = 1;
pub const wq_misc_consts_WORK_CPU_UNBOUND: ffi::c_uint = 8;
pub const wq_flags_WQ_UNBOUND: ffi::c_uint = 2;
pub const wq_flags_WQ_FREEZABLE: ffi::c_uint = 4;
pub const wq_flags_WQ_MEM_RECLAIM: ffi::c_uint = 8;
pub const wq_flags_WQ_HIGHPRI: ffi::c_uint = 16;
pub const wq_flags_WQ_PERCPU: ffi::c_uint = 256;
pub const ITER_SOURCE: u32 = 1;
pub const ITER_DEST: u32 = 0;
pub const IORESOURCE_MEM: u32 = 512;
pub const IORESOURCE_IRQ: u32 = 1024;
pub const IORESOURCE_IO: u32 = 256;
pub const IORESOURCE_MEM_NONPOSTED: u32 = 128;
pub const IORESOURCE_MUXED: u32 = 4194304;
pub const KERN_EMERG: &[u8; 3] = b"\x010\0";
pub const KERN_ALERT: &[u8; 3] = b"\x011\0";
pub const KERN_CRIT: &[u8; 3] = b"\x012\0";
pub const KERN_ERR: &[u8; 3] = b"\x013\0";
pub const KERN_WARNING: &[u8; 3] = b"\x014\0";
pub const KERN_NOTICE: &[u8; 3] = b"\x015\0";
pub const KERN_INFO: &[u8; 3] = b"\x016\0";
pub const KERN_DEBUG: &[u8; 3] = b"\x017\0";
pub const KERN_CONT: &[u8; 3] = b"\x01c\0";
pub const POLLIN: u32 = 1;
pub const POLLOUT: u32 = 4;
pub const POLLERR: u32 = 8;
pub const POLLHUP: u32 = 16;
pub const POLLRDNORM: u32 = 64;
pub const POLLWRNORM: u32 = 256;
pub const FASYNC: u32 = 8192;
pub const EPERM: u32 = 1;
pub const ENOENT: u32 = 2;
pub const ESRCH: u32 = 3;
pub const EINTR: u32 = 4;
pub const EIO: u32 = 5;
pub const ENXIO: u32 = 6;
pub const E2BIG: u32 = 7;
pub const ENOEXEC: u32 = 8;
pub const EBADF: u32 = 9;
pub const ECHILD: u32 = 10;
pub const EAGAIN: u32 = 11;
pub const ENOMEM: u32 = 12;
pub const EACCES: u32 = 13;
pub const EFAULT: u32 = 14;
pub const ENOTBLK: u32 = 15;
pub const EBUSY: u32 = 16;
pub const EEXIST: u32 = 17;
pub const EXDEV: u32 = 18;
pub const ENODEV: u32 = 19;
pub const ENOTDIR: u32 = 20;
pub const EISDIR: u32 = 21;
pub const EINVAL: u32 = 22;
pub const ENFILE: u32 = 23;
pub const EMFILE: u32 = 24;
pub const ENOTTY: u32 = 25;
pub const ETXTBSY: u32 = 26;
pub const EFBIG: u32 = 27;
pub const ENOSPC: u32 = 28;
pub const ESPIPE: u32 = 29;
pub const EROFS: u32 = 30;
pub const EMLINK: u32 = 31;
pub const EPIPE: u32 = 32;
pub const EDOM: u32 = 33;
pub const ERANGE: u32 = 34;
pub const EOVERFLOW: u32 = 75;
pub const ETIMEDOUT: u32 = 110;
pub const ERESTARTSYS: u32 = 512;
pub const ERESTARTNOINTR: u32 = 513;
pub const ERESTARTNOHAND: u32 = 514;
pub const ENOIOCTLCMD: u32 = 515;
pub const ERESTART_RESTARTBLOCK: u32 = 516;
pub const EPROBE_DEFER: u32 = 517;
pub const EOPENSTALE: u32 = 518;
pub const ENOPARAM: u32 = 519;
pub const EBADHANDLE: u32 = 521;
pub const ENOTSYNC: u32 = 522;
pub const EBADCOOKIE: u32 = 523;
pub const ENOTSUPP: u32 = 524;
pub const ETOOSMALL: u32 = 525;
pub const ESERVERFAULT: u32 = 526;
pub const EBADTYPE: u32 = 527;
pub const EJUKEBOX: u32 = 528;
pub const EIOCBQUEUED: u32 = 529;
pub const ERECALLCONFLICT: u32 = 530;
pub const ENOGRACE: u32 = 531;

// ---- Functions ----

#[track_caller]
pub unsafe fn request_irq(
    irq: ffi::c_uint,
    handler: irq_handler_t,
    flags: ffi::c_ulong,
    name: *const ffi::c_char,
    dev: *mut ffi::c_void,
) -> ffi::c_int {
    crate::hosted::absent("request_irq")
}

#[track_caller]
pub unsafe fn request_threaded_irq(
    irq: ffi::c_uint,
    handler: irq_handler_t,
    thread_fn: irq_handler_t,
    flags: ffi::c_ulong,
    name: *const ffi::c_char,
    dev: *mut ffi::c_void,
) -> ffi::c_int {
    crate::hosted::absent("request_threaded_irq")
}

#[track_caller]
pub unsafe fn free_irq(arg1: ffi::c_uint, arg2: *mut ffi::c_void) -> *const ffi::c_void {
    crate::hosted::absent("free_irq")
}

#[track_caller]
pub unsafe fn synchronize_irq(irq: ffi::c_uint) {
    crate::hosted::absent("synchronize_irq")
}

#[track_caller]
pub unsafe fn disable_irq(irq: ffi::c_uint) {
    crate::hosted::absent("disable_irq")
}

#[track_caller]
pub unsafe fn disable_irq_nosync(irq: ffi::c_uint) {
    crate::hosted::absent("disable_irq_nosync")
}

#[track_caller]
pub unsafe fn enable_irq(irq: ffi::c_uint) {
    crate::hosted::absent("enable_irq")
}

#[track_caller]
pub unsafe fn devm_request_threaded_irq(
    dev: *mut device,
    irq: ffi::c_uint,
    handler: irq_handler_t,
    thread_fn: irq_handler_t,
    irqflags: ffi::c_ulong,
    devname: *const ffi::c_char,
    dev_id: *mut ffi::c_void,
) -> ffi::c_int {
    crate::hosted::absent("devm_request_threaded_irq")
}

#[track_caller]
pub unsafe fn devm_free_irq(dev: *mut device, irq: ffi::c_uint, dev_id: *mut ffi::c_void) {
    crate::hosted::absent("devm_free_irq")
}

#[track_caller]
pub unsafe fn tasklet_setup(
    t: *mut tasklet_struct,
    callback: Option<unsafe extern "C" fn(arg1: *mut tasklet_struct)>,
) {
    crate::hosted::absent("tasklet_setup")
}

#[track_caller]
pub unsafe fn tasklet_init(
    t: *mut tasklet_struct,
    func: Option<unsafe extern "C" fn(arg1: ffi::c_ulong)>,
    data: ffi::c_ulong,
) {
    crate::hosted::absent("tasklet_init")
}

#[track_caller]
pub unsafe fn __tasklet_schedule(t: *mut tasklet_struct) {
    crate::hosted::absent("__tasklet_schedule")
}

#[track_caller]
pub unsafe fn __tasklet_hi_schedule(t: *mut tasklet_struct) {
    crate::hosted::absent("__tasklet_hi_schedule")
}

#[track_caller]
pub unsafe fn tasklet_kill(t: *mut tasklet_struct) {
    crate::hosted::absent("tasklet_kill")
}

#[track_caller]
pub unsafe fn tasklet_unlock_wait(t: *mut tasklet_struct) {
    crate::hosted::absent("tasklet_unlock_wait")
}

#[track_caller]
pub unsafe fn init_work_with_key(
    work: *mut work_struct,
    func: work_func_t,
    onstack: bool_,
    name: *const ffi::c_char,
    key: *mut lock_class_key,
) {
    crate::hosted::absent("init_work_with_key")
}

#[track_caller]
pub unsafe fn queue_work_on(
    cpu: ffi::c_int,
    wq: *mut workqueue_struct,
    work: *mut work_struct,
) -> bool_ {
    crate::hosted::absent("queue_work_on")
}

#[track_caller]
pub unsafe fn disable_work(work: *mut work_struct) -> bool_ {
    crate::hosted::absent("disable_work")
}

#[track_caller]
pub unsafe fn disable_work_sync(work: *mut work_struct) -> bool_ {
    crate::hosted::absent("disable_work_sync")
}

#[track_caller]
pub unsafe fn enable_work(work: *mut work_struct) -> bool_ {
    crate::hosted::absent("enable_work")
}

#[track_caller]
pub unsafe fn cancel_work_sync(work: *mut work_struct) -> bool_ {
    crate::hosted::absent("cancel_work_sync")
}

#[track_caller]
pub unsafe fn cancel_work(work: *mut work_struct) -> bool_ {
    crate::hosted::absent("cancel_work")
}

#[track_caller]
pub unsafe fn flush_work(work: *mut work_struct) -> bool_ {
    crate::hosted::absent("flush_work")
}

#[track_caller]
pub unsafe fn current_work() -> *mut work_struct {
    crate::hosted::absent("current_work")
}

#[track_caller]
pub unsafe fn destroy_workqueue(wq: *mut workqueue_struct) {
    crate::hosted::absent("destroy_workqueue")
}

#[track_caller]
pub unsafe fn __flush_workqueue(wq: *mut workqueue_struct) {
    crate::hosted::absent("__flush_workqueue")
}

#[track_caller]
pub unsafe fn drain_workqueue(wq: *mut workqueue_struct) {
    crate::hosted::absent("drain_workqueue")
}

#[track_caller]
pub unsafe fn work_busy(work: *mut work_struct) -> ffi::c_uint {
    crate::hosted::absent("work_busy")
}

#[track_caller]
pub unsafe fn __init_waitqueue_head(
    wq_head: *mut wait_queue_head,
    name: *const ffi::c_char,
    arg1: *mut lock_class_key,
) {
    crate::hosted::absent("__init_waitqueue_head")
}

#[track_caller]
pub unsafe fn init_wait_entry(wq_entry: *mut wait_queue_entry, flags: ffi::c_int) {
    crate::hosted::absent("init_wait_entry")
}

#[track_caller]
pub unsafe fn prepare_to_wait_event(
    wq_head: *mut wait_queue_head,
    wq_entry: *mut wait_queue_entry,
    state: ffi::c_int,
) -> ffi::c_long {
    crate::hosted::absent("prepare_to_wait_event")
}

#[track_caller]
pub unsafe fn prepare_to_wait_exclusive(
    wq_head: *mut wait_queue_head,
    wq_entry: *mut wait_queue_entry,
    state: ffi::c_int,
) -> bool_ {
    crate::hosted::absent("prepare_to_wait_exclusive")
}

#[track_caller]
pub unsafe fn prepare_to_wait(
    wq_head: *mut wait_queue_head,
    wq_entry: *mut wait_queue_entry,
    state: ffi::c_int,
) {
    crate::hosted::absent("prepare_to_wait")
}

#[track_caller]
pub unsafe fn finish_wait(wq_head: *mut wait_queue_head, wq_entry: *mut wait_queue_entry) {
    crate::hosted::absent("finish_wait")
}

#[track_caller]
pub unsafe fn schedule() {
    crate::hosted::absent("schedule")
}

#[track_caller]
pub unsafe fn schedule_timeout(timeout: ffi::c_long) -> ffi::c_long {
    crate::hosted::absent("schedule_timeout")
}

#[track_caller]
pub unsafe fn __wake_up(
    wq_head: *mut wait_queue_head,
    mode: ffi::c_uint,
    nr: ffi::c_int,
    key: *mut ffi::c_void,
) -> ffi::c_int {
    crate::hosted::absent("__wake_up")
}

#[track_caller]
pub unsafe fn __wake_up_sync(wq_head: *mut wait_queue_head, mode: ffi::c_uint) {
    crate::hosted::absent("__wake_up_sync")
}

#[track_caller]
pub unsafe fn init_wait(wq_entry: *mut wait_queue_entry) {
    crate::hosted::absent("init_wait")
}

#[track_caller]
pub unsafe fn synchronize_rcu() {
    crate::hosted::absent("synchronize_rcu")
}

#[track_caller]
pub unsafe fn call_rcu(head: *mut callback_head, func: rcu_callback_t) {
    crate::hosted::absent("call_rcu")
}

#[track_caller]
pub unsafe fn rcu_read_lock() {
    crate::hosted::absent("rcu_read_lock")
}

#[track_caller]
pub unsafe fn rcu_read_unlock() {
    crate::hosted::absent("rcu_read_unlock")
}

#[track_caller]
pub unsafe fn synchronize_rcu_expedited() {
    crate::hosted::absent("synchronize_rcu_expedited")
}

#[track_caller]
pub unsafe fn rcu_barrier() {
    crate::hosted::absent("rcu_barrier")
}

#[track_caller]
pub unsafe fn cleanup_srcu_struct(ssp: *mut srcu_struct) {
    crate::hosted::absent("cleanup_srcu_struct")
}

#[track_caller]
pub unsafe fn __srcu_read_lock(ssp: *mut srcu_struct) -> ffi::c_int {
    crate::hosted::absent("__srcu_read_lock")
}

#[track_caller]
pub unsafe fn __srcu_read_unlock(ssp: *mut srcu_struct, idx: ffi::c_int) {
    crate::hosted::absent("__srcu_read_unlock")
}

#[track_caller]
pub unsafe fn srcu_read_lock(ssp: *mut srcu_struct) -> ffi::c_int {
    crate::hosted::absent("srcu_read_lock")
}

#[track_caller]
pub unsafe fn srcu_read_unlock(ssp: *mut srcu_struct, idx: ffi::c_int) {
    crate::hosted::absent("srcu_read_unlock")
}

#[track_caller]
pub unsafe fn synchronize_srcu(ssp: *mut srcu_struct) {
    crate::hosted::absent("synchronize_srcu")
}

#[track_caller]
pub unsafe fn synchronize_srcu_expedited(ssp: *mut srcu_struct) {
    crate::hosted::absent("synchronize_srcu_expedited")
}

#[track_caller]
pub unsafe fn init_srcu_struct_with_key(
    ssp: *mut srcu_struct,
    name: *const ffi::c_char,
    key: *mut lock_class_key,
) -> ffi::c_int {
    crate::hosted::absent("init_srcu_struct_with_key")
}

#[track_caller]
pub unsafe fn percpu_ref_init(
    ref_: *mut percpu_ref,
    release: percpu_ref_func_t,
    flags: ffi::c_uint,
    gfp: gfp_t,
) -> ffi::c_int {
    crate::hosted::absent("percpu_ref_init")
}

#[track_caller]
pub unsafe fn percpu_ref_exit(ref_: *mut percpu_ref) {
    crate::hosted::absent("percpu_ref_exit")
}

#[track_caller]
pub unsafe fn percpu_ref_kill_and_confirm(ref_: *mut percpu_ref, confirm_kill: percpu_ref_func_t) {
    crate::hosted::absent("percpu_ref_kill_and_confirm")
}

#[track_caller]
pub unsafe fn percpu_ref_is_zero(ref_: *mut percpu_ref) -> bool_ {
    crate::hosted::absent("percpu_ref_is_zero")
}

#[track_caller]
pub unsafe fn misc_register(misc: *mut miscdevice) -> ffi::c_int {
    crate::hosted::absent("misc_register")
}

#[track_caller]
pub unsafe fn misc_deregister(misc: *mut miscdevice) {
    crate::hosted::absent("misc_deregister")
}

#[track_caller]
pub unsafe fn init_completion(x: *mut completion) {
    crate::hosted::absent("init_completion")
}

#[track_caller]
pub unsafe fn complete(arg1: *mut completion) {
    crate::hosted::absent("complete")
}

#[track_caller]
pub unsafe fn complete_all(arg1: *mut completion) {
    crate::hosted::absent("complete_all")
}

#[track_caller]
pub unsafe fn wait_for_completion(arg1: *mut completion) {
    crate::hosted::absent("wait_for_completion")
}

#[track_caller]
pub unsafe fn wait_for_completion_interruptible(x: *mut completion) -> ffi::c_int {
    crate::hosted::absent("wait_for_completion_interruptible")
}

#[track_caller]
pub unsafe fn wait_for_completion_timeout(
    x: *mut completion,
    timeout: ffi::c_ulong,
) -> ffi::c_ulong {
    crate::hosted::absent("wait_for_completion_timeout")
}

#[track_caller]
pub unsafe fn wait_for_completion_killable(x: *mut completion) -> ffi::c_int {
    crate::hosted::absent("wait_for_completion_killable")
}

#[track_caller]
pub unsafe fn wait_for_completion_interruptible_timeout(
    x: *mut completion,
    timeout: ffi::c_ulong,
) -> ffi::c_long {
    crate::hosted::absent("wait_for_completion_interruptible_timeout")
}

#[track_caller]
pub unsafe fn try_wait_for_completion(x: *mut completion) -> bool_ {
    crate::hosted::absent("try_wait_for_completion")
}

#[track_caller]
pub unsafe fn __mutex_init(mutex: *mut mutex, name: *const ffi::c_char, key: *mut lock_class_key) {
    crate::hosted::absent("__mutex_init")
}

#[track_caller]
pub unsafe fn mutex_lock(lock: *mut mutex) {
    crate::hosted::absent("mutex_lock")
}

#[track_caller]
pub unsafe fn mutex_trylock(lock: *mut mutex) -> ffi::c_int {
    crate::hosted::absent("mutex_trylock")
}

#[track_caller]
pub unsafe fn mutex_unlock(lock: *mut mutex) {
    crate::hosted::absent("mutex_unlock")
}

#[track_caller]
pub unsafe fn mutex_is_locked(lock: *mut mutex) -> bool_ {
    crate::hosted::absent("mutex_is_locked")
}

#[track_caller]
pub unsafe fn mutex_assert_is_held(mutex: *mut mutex) {
    crate::hosted::absent("mutex_assert_is_held")
}

#[track_caller]
pub unsafe fn __spin_lock_init(
    lock: *mut spinlock_t,
    name: *const ffi::c_char,
    key: *mut lock_class_key,
) {
    crate::hosted::absent("__spin_lock_init")
}

#[track_caller]
pub unsafe fn spin_lock(lock: *mut spinlock_t) {
    crate::hosted::absent("spin_lock")
}

#[track_caller]
pub unsafe fn spin_unlock(lock: *mut spinlock_t) {
    crate::hosted::absent("spin_unlock")
}

#[track_caller]
pub unsafe fn spin_trylock(lock: *mut spinlock_t) -> ffi::c_int {
    crate::hosted::absent("spin_trylock")
}

#[track_caller]
pub unsafe fn spin_assert_is_held(lock: *mut spinlock_t) {
    crate::hosted::absent("spin_assert_is_held")
}

#[track_caller]
pub unsafe fn spin_lock_irq_disable(lock: *mut spinlock_t) {
    crate::hosted::absent("spin_lock_irq_disable")
}

#[track_caller]
pub unsafe fn spin_unlock_irq_enable(lock: *mut spinlock_t) {
    crate::hosted::absent("spin_unlock_irq_enable")
}

#[track_caller]
pub unsafe fn spin_trylock_irq_disable(lock: *mut spinlock_t) -> ffi::c_int {
    crate::hosted::absent("spin_trylock_irq_disable")
}

#[track_caller]
pub unsafe fn lockdep_register_key(key: *mut lock_class_key) {
    crate::hosted::absent("lockdep_register_key")
}

#[track_caller]
pub unsafe fn lockdep_unregister_key(key: *mut lock_class_key) {
    crate::hosted::absent("lockdep_unregister_key")
}

#[track_caller]
pub unsafe fn kfree(objp: *const ffi::c_void) {
    crate::hosted::absent("kfree")
}

#[track_caller]
pub unsafe fn kvfree(addr: *const ffi::c_void) {
    crate::hosted::absent("kvfree")
}

#[track_caller]
pub unsafe fn krealloc_node_align(
    objp: *const ffi::c_void,
    new_size: usize,
    align: ffi::c_ulong,
    flags: gfp_t,
    node: ffi::c_int,
) -> *mut ffi::c_void {
    crate::hosted::absent("krealloc_node_align")
}

#[track_caller]
pub unsafe fn vrealloc_node_align(
    p: *const ffi::c_void,
    size: usize,
    align: ffi::c_ulong,
    flags: gfp_t,
    node: ffi::c_int,
) -> *mut ffi::c_void {
    crate::hosted::absent("vrealloc_node_align")
}

#[track_caller]
pub unsafe fn kvrealloc_node_align(
    p: *const ffi::c_void,
    size: usize,
    align: ffi::c_ulong,
    flags: gfp_t,
    node: ffi::c_int,
) -> *mut ffi::c_void {
    crate::hosted::absent("kvrealloc_node_align")
}

#[track_caller]
pub unsafe fn devm_kmalloc(dev: *mut device, size: usize, gfp: gfp_t) -> *mut ffi::c_void {
    crate::hosted::absent("devm_kmalloc")
}

#[track_caller]
pub unsafe fn devm_kfree(dev: *mut device, p: *const ffi::c_void) {
    crate::hosted::absent("devm_kfree")
}

#[track_caller]
pub unsafe fn devm_add_action(
    dev: *mut device,
    action: Option<unsafe extern "C" fn(arg1: *mut ffi::c_void)>,
    data: *mut ffi::c_void,
) -> ffi::c_int {
    crate::hosted::absent("devm_add_action")
}

#[track_caller]
pub unsafe fn devm_add_action_or_reset(
    dev: *mut device,
    action: Option<unsafe extern "C" fn(arg1: *mut ffi::c_void)>,
    data: *mut ffi::c_void,
) -> ffi::c_int {
    crate::hosted::absent("devm_add_action_or_reset")
}

#[track_caller]
pub unsafe fn __devm_add_action(
    dev: *mut device,
    action: Option<unsafe extern "C" fn(arg1: *mut ffi::c_void)>,
    data: *mut ffi::c_void,
    name: *const ffi::c_char,
) -> ffi::c_int {
    crate::hosted::absent("__devm_add_action")
}

#[track_caller]
pub unsafe fn pci_enable_device_mem(dev: *mut pci_dev) -> ffi::c_int {
    crate::hosted::absent("pci_enable_device_mem")
}

#[track_caller]
pub unsafe fn pci_enable_device(dev: *mut pci_dev) -> ffi::c_int {
    crate::hosted::absent("pci_enable_device")
}

#[track_caller]
pub unsafe fn pcim_enable_device(pdev: *mut pci_dev) -> ffi::c_int {
    crate::hosted::absent("pcim_enable_device")
}

#[track_caller]
pub unsafe fn pci_disable_device(dev: *mut pci_dev) {
    crate::hosted::absent("pci_disable_device")
}

#[track_caller]
pub unsafe fn pci_set_master(dev: *mut pci_dev) {
    crate::hosted::absent("pci_set_master")
}

#[track_caller]
pub unsafe fn pci_clear_master(dev: *mut pci_dev) {
    crate::hosted::absent("pci_clear_master")
}

#[track_caller]
pub unsafe fn pci_iomap(dev: *mut pci_dev, bar: ffi::c_int, max: ffi::c_ulong) -> *mut ffi::c_void {
    crate::hosted::absent("pci_iomap")
}

#[track_caller]
pub unsafe fn pci_iounmap(dev: *mut pci_dev, arg1: *mut ffi::c_void) {
    crate::hosted::absent("pci_iounmap")
}

#[track_caller]
pub unsafe fn pcim_iomap(
    pdev: *mut pci_dev,
    bar: ffi::c_int,
    maxlen: ffi::c_ulong,
) -> *mut ffi::c_void {
    crate::hosted::absent("pcim_iomap")
}

#[track_caller]
pub unsafe fn pci_request_region(
    arg1: *mut pci_dev,
    arg2: ffi::c_int,
    arg3: *const ffi::c_char,
) -> ffi::c_int {
    crate::hosted::absent("pci_request_region")
}

#[track_caller]
pub unsafe fn pci_release_region(arg1: *mut pci_dev, arg2: ffi::c_int) {
    crate::hosted::absent("pci_release_region")
}

#[track_caller]
pub unsafe fn pci_request_regions(arg1: *mut pci_dev, arg2: *const ffi::c_char) -> ffi::c_int {
    crate::hosted::absent("pci_request_regions")
}

#[track_caller]
pub unsafe fn pci_release_regions(arg1: *mut pci_dev) {
    crate::hosted::absent("pci_release_regions")
}

#[track_caller]
pub unsafe fn pci_resource_len(pdev: *mut pci_dev, bar: ffi::c_int) -> resource_size_t {
    crate::hosted::absent("pci_resource_len")
}

#[track_caller]
pub unsafe fn pci_resource_start(pdev: *mut pci_dev, bar: ffi::c_int) -> resource_size_t {
    crate::hosted::absent("pci_resource_start")
}

#[track_caller]
pub unsafe fn pci_alloc_irq_vectors(
    dev: *mut pci_dev,
    min_vecs: ffi::c_uint,
    max_vecs: ffi::c_uint,
    flags: ffi::c_uint,
) -> ffi::c_int {
    crate::hosted::absent("pci_alloc_irq_vectors")
}

#[track_caller]
pub unsafe fn pci_free_irq_vectors(dev: *mut pci_dev) {
    crate::hosted::absent("pci_free_irq_vectors")
}

#[track_caller]
pub unsafe fn pci_irq_vector(dev: *mut pci_dev, nr: ffi::c_uint) -> ffi::c_int {
    crate::hosted::absent("pci_irq_vector")
}

#[track_caller]
pub unsafe fn __pci_register_driver(
    arg1: *mut pci_driver,
    arg2: *mut module,
    mod_name: *const ffi::c_char,
) -> ffi::c_int {
    crate::hosted::absent("__pci_register_driver")
}

#[track_caller]
pub unsafe fn pci_unregister_driver(dev: *mut pci_driver) {
    crate::hosted::absent("pci_unregister_driver")
}

#[track_caller]
pub unsafe fn pci_dev_get(dev: *mut pci_dev) -> *mut pci_dev {
    crate::hosted::absent("pci_dev_get")
}

#[track_caller]
pub unsafe fn pci_dev_put(dev: *mut pci_dev) {
    crate::hosted::absent("pci_dev_put")
}

#[track_caller]
pub unsafe fn pci_read_config_dword(
    dev: *const pci_dev,
    where_: ffi::c_int,
    val: *mut u32_,
) -> ffi::c_int {
    crate::hosted::absent("pci_read_config_dword")
}

#[track_caller]
pub unsafe fn pci_read_config_word(
    dev: *const pci_dev,
    where_: ffi::c_int,
    val: *mut u16_,
) -> ffi::c_int {
    crate::hosted::absent("pci_read_config_word")
}

#[track_caller]
pub unsafe fn pci_read_config_byte(
    dev: *const pci_dev,
    where_: ffi::c_int,
    val: *mut u8_,
) -> ffi::c_int {
    crate::hosted::absent("pci_read_config_byte")
}

#[track_caller]
pub unsafe fn pci_write_config_dword(
    dev: *const pci_dev,
    where_: ffi::c_int,
    val: u32_,
) -> ffi::c_int {
    crate::hosted::absent("pci_write_config_dword")
}

#[track_caller]
pub unsafe fn dev_is_pci(dev: *const device) -> bool_ {
    crate::hosted::absent("dev_is_pci")
}

#[track_caller]
pub unsafe fn pcim_iomap_region(
    pdev: *mut pci_dev,
    bar: ffi::c_int,
    name: *const ffi::c_char,
) -> *mut ffi::c_void {
    crate::hosted::absent("pcim_iomap_region")
}

#[track_caller]
pub unsafe fn pcim_request_region(
    pdev: *mut pci_dev,
    bar: ffi::c_int,
    name: *const ffi::c_char,
) -> ffi::c_int {
    crate::hosted::absent("pcim_request_region")
}

#[track_caller]
pub unsafe fn ioread8(arg1: *const ffi::c_void) -> ffi::c_uint {
    crate::hosted::absent("ioread8")
}

#[track_caller]
pub unsafe fn ioread16(arg1: *const ffi::c_void) -> ffi::c_uint {
    crate::hosted::absent("ioread16")
}

#[track_caller]
pub unsafe fn ioread32(arg1: *const ffi::c_void) -> ffi::c_uint {
    crate::hosted::absent("ioread32")
}

#[track_caller]
pub unsafe fn iowrite8(arg1: u8_, arg2: *mut ffi::c_void) {
    crate::hosted::absent("iowrite8")
}

#[track_caller]
pub unsafe fn iowrite16(arg1: u16_, arg2: *mut ffi::c_void) {
    crate::hosted::absent("iowrite16")
}

#[track_caller]
pub unsafe fn iowrite32(arg1: u32_, arg2: *mut ffi::c_void) {
    crate::hosted::absent("iowrite32")
}

#[track_caller]
pub unsafe fn readb(addr: *const ffi::c_void) -> u8_ {
    crate::hosted::absent("readb")
}

#[track_caller]
pub unsafe fn readw(addr: *const ffi::c_void) -> u16_ {
    crate::hosted::absent("readw")
}

#[track_caller]
pub unsafe fn readl(addr: *const ffi::c_void) -> u32_ {
    crate::hosted::absent("readl")
}

#[track_caller]
pub unsafe fn readq(addr: *const ffi::c_void) -> u64_ {
    crate::hosted::absent("readq")
}

#[track_caller]
pub unsafe fn writeb(value: u8_, addr: *mut ffi::c_void) {
    crate::hosted::absent("writeb")
}

#[track_caller]
pub unsafe fn writew(value: u16_, addr: *mut ffi::c_void) {
    crate::hosted::absent("writew")
}

#[track_caller]
pub unsafe fn writel(value: u32_, addr: *mut ffi::c_void) {
    crate::hosted::absent("writel")
}

#[track_caller]
pub unsafe fn writeq(value: u64_, addr: *mut ffi::c_void) {
    crate::hosted::absent("writeq")
}

#[track_caller]
pub unsafe fn readl_relaxed(addr: *const ffi::c_void) -> u32_ {
    crate::hosted::absent("readl_relaxed")
}

#[track_caller]
pub unsafe fn writel_relaxed(value: u32_, addr: *mut ffi::c_void) {
    crate::hosted::absent("writel_relaxed")
}

#[track_caller]
pub unsafe fn readb_relaxed(addr: *const ffi::c_void) -> u8_ {
    crate::hosted::absent("readb_relaxed")
}

#[track_caller]
pub unsafe fn readw_relaxed(addr: *const ffi::c_void) -> u16_ {
    crate::hosted::absent("readw_relaxed")
}

#[track_caller]
pub unsafe fn readq_relaxed(addr: *const ffi::c_void) -> u64_ {
    crate::hosted::absent("readq_relaxed")
}

#[track_caller]
pub unsafe fn writeb_relaxed(value: u8_, addr: *mut ffi::c_void) {
    crate::hosted::absent("writeb_relaxed")
}

#[track_caller]
pub unsafe fn writew_relaxed(value: u16_, addr: *mut ffi::c_void) {
    crate::hosted::absent("writew_relaxed")
}

#[track_caller]
pub unsafe fn writeq_relaxed(value: u64_, addr: *mut ffi::c_void) {
    crate::hosted::absent("writeq_relaxed")
}

#[track_caller]
pub unsafe fn __platform_driver_register(
    arg1: *mut platform_driver,
    arg2: *mut module,
    mod_name: *const ffi::c_char,
) -> ffi::c_int {
    crate::hosted::absent("__platform_driver_register")
}

#[track_caller]
pub unsafe fn platform_driver_unregister(arg1: *mut platform_driver) {
    crate::hosted::absent("platform_driver_unregister")
}

#[track_caller]
pub unsafe fn platform_get_irq(arg1: *mut platform_device, arg2: ffi::c_uint) -> ffi::c_int {
    crate::hosted::absent("platform_get_irq")
}

#[track_caller]
pub unsafe fn platform_get_irq_byname(
    arg1: *mut platform_device,
    arg2: *const ffi::c_char,
) -> ffi::c_int {
    crate::hosted::absent("platform_get_irq_byname")
}

#[track_caller]
pub unsafe fn platform_get_irq_optional(
    arg1: *mut platform_device,
    arg2: ffi::c_uint,
) -> ffi::c_int {
    crate::hosted::absent("platform_get_irq_optional")
}

#[track_caller]
pub unsafe fn dev_is_platform(dev: *const device) -> bool_ {
    crate::hosted::absent("dev_is_platform")
}

#[track_caller]
pub unsafe fn dev_set_drvdata(dev: *mut device, data: *mut ffi::c_void) {
    crate::hosted::absent("dev_set_drvdata")
}

#[track_caller]
pub unsafe fn dev_get_drvdata(dev: *const device) -> *mut ffi::c_void {
    crate::hosted::absent("dev_get_drvdata")
}

#[track_caller]
pub unsafe fn device_get_match_data(dev: *const device) -> *const ffi::c_void {
    crate::hosted::absent("device_get_match_data")
}

#[track_caller]
pub unsafe fn get_device(dev: *mut device) -> *mut device {
    crate::hosted::absent("get_device")
}

#[track_caller]
pub unsafe fn put_device(dev: *mut device) {
    crate::hosted::absent("put_device")
}

#[track_caller]
pub unsafe fn dev_name(dev: *const device) -> *const ffi::c_char {
    crate::hosted::absent("dev_name")
}

#[track_caller]
pub unsafe fn raw_smp_processor_id() -> ffi::c_uint {
    crate::hosted::absent("raw_smp_processor_id")
}

#[track_caller]
pub unsafe fn __might_sleep(file: *const ffi::c_char, line: ffi::c_int) {
    crate::hosted::absent("__might_sleep")
}

#[track_caller]
pub unsafe fn might_resched() {
    crate::hosted::absent("might_resched")
}

#[track_caller]
pub unsafe fn BUG() -> ! {
    crate::hosted::absent("BUG")
}

#[track_caller]
pub unsafe fn get_current() -> *mut task_struct {
    crate::hosted::absent("get_current")
}

#[track_caller]
pub unsafe fn current_user_ns() -> *mut user_namespace {
    crate::hosted::absent("current_user_ns")
}

#[track_caller]
pub unsafe fn signal_pending(t: *mut task_struct) -> ffi::c_int {
    crate::hosted::absent("signal_pending")
}

#[track_caller]
pub unsafe fn msleep(msecs: ffi::c_uint) {
    crate::hosted::absent("msleep")
}

#[track_caller]
pub unsafe fn usleep_range_state(min: ffi::c_ulong, max: ffi::c_ulong, state: ffi::c_uint) {
    crate::hosted::absent("usleep_range_state")
}

#[track_caller]
pub unsafe fn fsleep(usecs: ffi::c_ulong) {
    crate::hosted::absent("fsleep")
}

#[track_caller]
pub unsafe fn udelay(usec: ffi::c_ulong) {
    crate::hosted::absent("udelay")
}

#[track_caller]
pub unsafe fn _copy_to_iter(addr: *const ffi::c_void, bytes: usize, i: *mut iov_iter) -> usize {
    crate::hosted::absent("_copy_to_iter")
}

#[track_caller]
pub unsafe fn _copy_from_iter(addr: *mut ffi::c_void, bytes: usize, i: *mut iov_iter) -> usize {
    crate::hosted::absent("_copy_from_iter")
}

#[track_caller]
pub unsafe fn copy_to_user(
    to: *mut ffi::c_void,
    from: *const ffi::c_void,
    n: ffi::c_ulong,
) -> ffi::c_ulong {
    crate::hosted::absent("copy_to_user")
}

#[track_caller]
pub unsafe fn copy_from_user(
    to: *mut ffi::c_void,
    from: *const ffi::c_void,
    n: ffi::c_ulong,
) -> ffi::c_ulong {
    crate::hosted::absent("copy_from_user")
}

#[track_caller]
pub unsafe fn _copy_to_user(
    arg1: *mut ffi::c_void,
    arg2: *const ffi::c_void,
    arg3: ffi::c_ulong,
) -> ffi::c_ulong {
    crate::hosted::absent("_copy_to_user")
}

#[track_caller]
pub unsafe fn _copy_from_user(
    arg1: *mut ffi::c_void,
    arg2: *const ffi::c_void,
    arg3: ffi::c_ulong,
) -> ffi::c_ulong {
    crate::hosted::absent("_copy_from_user")
}

#[track_caller]
pub unsafe fn fput(arg1: *mut file) {
    crate::hosted::absent("fput")
}

#[track_caller]
pub unsafe fn get_file(f: *mut file) -> *mut file {
    crate::hosted::absent("get_file")
}

#[track_caller]
pub unsafe fn get_task_struct(t: *mut task_struct) {
    crate::hosted::absent("get_task_struct")
}

#[track_caller]
pub unsafe fn put_task_struct(t: *mut task_struct) {
    crate::hosted::absent("put_task_struct")
}

#[track_caller]
pub unsafe fn noop_llseek(file: *mut file, offset: loff_t, whence: ffi::c_int) -> loff_t {
    crate::hosted::absent("noop_llseek")
}

#[track_caller]
pub unsafe fn stream_open(inode: *mut inode, filp: *mut file) -> ffi::c_int {
    crate::hosted::absent("stream_open")
}

#[track_caller]
pub unsafe fn nonseekable_open(inode: *mut inode, filp: *mut file) -> ffi::c_int {
    crate::hosted::absent("nonseekable_open")
}

#[track_caller]
pub unsafe fn try_module_get(module: *mut module) -> bool_ {
    crate::hosted::absent("try_module_get")
}

#[track_caller]
pub unsafe fn module_put(module: *mut module) {
    crate::hosted::absent("module_put")
}

#[track_caller]
pub unsafe fn __module_get(module: *mut module) {
    crate::hosted::absent("__module_get")
}

#[track_caller]
pub unsafe fn wake_up_process(tsk: *mut task_struct) -> ffi::c_int {
    crate::hosted::absent("wake_up_process")
}

#[track_caller]
pub unsafe fn iov_iter_advance(i: *mut iov_iter, bytes: usize) {
    crate::hosted::absent("iov_iter_advance")
}

#[track_caller]
pub unsafe fn iov_iter_revert(i: *mut iov_iter, bytes: usize) {
    crate::hosted::absent("iov_iter_revert")
}

#[track_caller]
pub unsafe fn pci_irq_type(pdev: *mut pci_dev) -> ffi::c_uint {
    crate::hosted::absent("pci_irq_type")
}

#[track_caller]
pub unsafe fn pci_dev_id(dev: *mut pci_dev) -> u16_ {
    crate::hosted::absent("pci_dev_id")
}

#[track_caller]
pub unsafe fn strncpy_from_user(
    dst: *mut ffi::c_char,
    src: *const ffi::c_char,
    count: ffi::c_long,
) -> ffi::c_long {
    crate::hosted::absent("strncpy_from_user")
}

#[track_caller]
pub unsafe fn srcu_barrier(ssp: *mut srcu_struct) {
    crate::hosted::absent("srcu_barrier")
}

#[track_caller]
pub unsafe fn srcu_readers_active(ssp: *mut srcu_struct) -> bool_ {
    crate::hosted::absent("srcu_readers_active")
}

#[track_caller]
pub unsafe fn refcount_set(r: *mut refcount_t, n: ffi::c_int) {
    crate::hosted::absent("refcount_set")
}

#[track_caller]
pub unsafe fn refcount_inc(r: *mut refcount_t) {
    crate::hosted::absent("refcount_inc")
}

#[track_caller]
pub unsafe fn refcount_dec(r: *mut refcount_t) {
    crate::hosted::absent("refcount_dec")
}

#[track_caller]
pub unsafe fn refcount_dec_and_test(r: *mut refcount_t) -> bool_ {
    crate::hosted::absent("refcount_dec_and_test")
}

#[track_caller]
pub unsafe fn generic_file_open(inode: *mut inode, filp: *mut file) -> ffi::c_int {
    crate::hosted::absent("generic_file_open")
}

#[track_caller]
pub unsafe fn platform_get_irq_byname_optional(
    dev: *mut platform_device,
    name: *const ffi::c_char,
) -> ffi::c_int {
    crate::hosted::absent("platform_get_irq_byname_optional")
}

#[track_caller]
pub unsafe fn iounmap(addr: *mut ffi::c_void) {
    crate::hosted::absent("iounmap")
}

#[track_caller]
pub unsafe fn ioremap(offset: resource_size_t, size: ffi::c_ulong) -> *mut ffi::c_void {
    crate::hosted::absent("ioremap")
}

#[track_caller]
pub unsafe fn platform_get_resource(
    arg1: *mut platform_device,
    arg2: ffi::c_uint,
    arg3: ffi::c_uint,
) -> *mut resource {
    crate::hosted::absent("platform_get_resource")
}

#[track_caller]
pub unsafe fn __wake_up_pollfree(wq_head: *mut wait_queue_head) {
    crate::hosted::absent("__wake_up_pollfree")
}

#[track_caller]
pub unsafe fn call_srcu(
    ssp: *mut srcu_struct,
    head: *mut callback_head,
    func: Option<unsafe extern "C" fn(head: *mut callback_head)>,
) {
    crate::hosted::absent("call_srcu")
}

#[track_caller]
pub unsafe fn put_unused_fd(fd: ffi::c_uint) {
    crate::hosted::absent("put_unused_fd")
}

#[track_caller]
pub unsafe fn poll_wait(filp: *mut file, wait_address: *mut wait_queue_head_t, p: *mut poll_table) {
    crate::hosted::absent("poll_wait")
}

#[track_caller]
pub unsafe fn devm_request_irq(
    dev: *mut device,
    irq: ffi::c_uint,
    handler: irq_handler_t,
    irqflags: ffi::c_ulong,
    devname: *const ffi::c_char,
    dev_id: *mut ffi::c_void,
) -> ffi::c_int {
    crate::hosted::absent("devm_request_irq")
}

#[track_caller]
pub unsafe fn tasklet_schedule(t: *mut tasklet_struct) {
    crate::hosted::absent("tasklet_schedule")
}

#[track_caller]
pub unsafe fn tasklet_disable(t: *mut tasklet_struct) {
    crate::hosted::absent("tasklet_disable")
}

#[track_caller]
pub unsafe fn tasklet_disable_nosync(t: *mut tasklet_struct) {
    crate::hosted::absent("tasklet_disable_nosync")
}

#[track_caller]
pub unsafe fn tasklet_enable(t: *mut tasklet_struct) {
    crate::hosted::absent("tasklet_enable")
}

#[track_caller]
pub unsafe fn alloc_workqueue(
    name: *const ffi::c_char,
    flags: ffi::c_uint,
    max_active: ffi::c_int,
) -> *mut workqueue_struct {
    crate::hosted::absent("alloc_workqueue")
}

#[track_caller]
pub unsafe fn queue_work(wq: *mut workqueue_struct, work: *mut work_struct) -> bool_ {
    crate::hosted::absent("queue_work")
}

#[track_caller]
pub unsafe fn schedule_work(work: *mut work_struct) -> bool_ {
    crate::hosted::absent("schedule_work")
}

#[track_caller]
pub unsafe fn spin_lock_irqsave(lock: *mut spinlock_t) -> ffi::c_ulong {
    crate::hosted::absent("spin_lock_irqsave")
}

#[track_caller]
pub unsafe fn spin_unlock_irqrestore(lock: *mut spinlock_t, flags: ffi::c_ulong) {
    crate::hosted::absent("spin_unlock_irqrestore")
}

#[track_caller]
pub unsafe fn spin_lock_irq(lock: *mut spinlock_t) {
    crate::hosted::absent("spin_lock_irq")
}

#[track_caller]
pub unsafe fn spin_unlock_irq(lock: *mut spinlock_t) {
    crate::hosted::absent("spin_unlock_irq")
}

#[track_caller]
pub unsafe fn spin_lock_bh(lock: *mut spinlock_t) {
    crate::hosted::absent("spin_lock_bh")
}

#[track_caller]
pub unsafe fn spin_unlock_bh(lock: *mut spinlock_t) {
    crate::hosted::absent("spin_unlock_bh")
}

#[track_caller]
pub unsafe fn local_irq_save() -> ffi::c_ulong {
    crate::hosted::absent("local_irq_save")
}

#[track_caller]
pub unsafe fn local_irq_restore(flags: ffi::c_ulong) {
    crate::hosted::absent("local_irq_restore")
}

#[track_caller]
pub unsafe fn local_irq_disable() {
    crate::hosted::absent("local_irq_disable")
}

#[track_caller]
pub unsafe fn local_irq_enable() {
    crate::hosted::absent("local_irq_enable")
}

#[track_caller]
pub unsafe fn local_bh_disable() {
    crate::hosted::absent("local_bh_disable")
}

#[track_caller]
pub unsafe fn local_bh_enable() {
    crate::hosted::absent("local_bh_enable")
}

#[track_caller]
pub unsafe fn preempt_disable() {
    crate::hosted::absent("preempt_disable")
}

#[track_caller]
pub unsafe fn preempt_enable() {
    crate::hosted::absent("preempt_enable")
}

#[track_caller]
pub unsafe fn mutex_lock_interruptible(lock: *mut mutex) -> ffi::c_int {
    crate::hosted::absent("mutex_lock_interruptible")
}

#[track_caller]
pub unsafe fn kmalloc(size: usize, flags: gfp_t) -> *mut ffi::c_void {
    crate::hosted::absent("kmalloc")
}

#[track_caller]
pub unsafe fn kzalloc(size: usize, flags: gfp_t) -> *mut ffi::c_void {
    crate::hosted::absent("kzalloc")
}

#[track_caller]
pub unsafe fn devm_kzalloc(dev: *mut device, size: usize, gfp: gfp_t) -> *mut ffi::c_void {
    crate::hosted::absent("devm_kzalloc")
}

#[track_caller]
pub unsafe fn pci_get_drvdata(pdev: *mut pci_dev) -> *mut ffi::c_void {
    crate::hosted::absent("pci_get_drvdata")
}

#[track_caller]
pub unsafe fn pci_set_drvdata(pdev: *mut pci_dev, data: *mut ffi::c_void) {
    crate::hosted::absent("pci_set_drvdata")
}

#[track_caller]
pub unsafe fn platform_get_drvdata(pdev: *const platform_device) -> *mut ffi::c_void {
    crate::hosted::absent("platform_get_drvdata")
}

#[track_caller]
pub unsafe fn platform_set_drvdata(pdev: *mut platform_device, data: *mut ffi::c_void) {
    crate::hosted::absent("platform_set_drvdata")
}

#[track_caller]
pub unsafe fn percpu_ref_get(ref_: *mut percpu_ref) {
    crate::hosted::absent("percpu_ref_get")
}

#[track_caller]
pub unsafe fn percpu_ref_tryget(ref_: *mut percpu_ref) -> bool_ {
    crate::hosted::absent("percpu_ref_tryget")
}

#[track_caller]
pub unsafe fn percpu_ref_tryget_live(ref_: *mut percpu_ref) -> bool_ {
    crate::hosted::absent("percpu_ref_tryget_live")
}

#[track_caller]
pub unsafe fn percpu_ref_put(ref_: *mut percpu_ref) {
    crate::hosted::absent("percpu_ref_put")
}

#[track_caller]
pub unsafe fn percpu_ref_kill(ref_: *mut percpu_ref) {
    crate::hosted::absent("percpu_ref_kill")
}

#[track_caller]
pub unsafe fn might_sleep() {
    crate::hosted::absent("might_sleep")
}

#[track_caller]
pub unsafe fn cond_resched() {
    crate::hosted::absent("cond_resched")
}

#[track_caller]
pub unsafe fn in_task() -> bool_ {
    crate::hosted::absent("in_task")
}

#[track_caller]
pub unsafe fn in_hardirq() -> bool_ {
    crate::hosted::absent("in_hardirq")
}

#[track_caller]
pub unsafe fn in_atomic() -> bool_ {
    crate::hosted::absent("in_atomic")
}

#[track_caller]
pub unsafe fn irqs_disabled() -> bool_ {
    crate::hosted::absent("irqs_disabled")
}

#[track_caller]
pub unsafe fn mdelay(msecs: ffi::c_ulong) {
    crate::hosted::absent("mdelay")
}

#[track_caller]
pub unsafe fn usleep_range(min: ffi::c_ulong, max: ffi::c_ulong) {
    crate::hosted::absent("usleep_range")
}

#[track_caller]
pub unsafe fn ioread64(addr: *const ffi::c_void) -> u64_ {
    crate::hosted::absent("ioread64")
}

#[track_caller]
pub unsafe fn iowrite64(value: u64_, addr: *mut ffi::c_void) {
    crate::hosted::absent("iowrite64")
}

#[track_caller]
pub unsafe fn reinit_completion(x: *mut completion) {
    crate::hosted::absent("reinit_completion")
}

#[track_caller]
pub unsafe fn iminor(inode: *const inode) -> ffi::c_uint {
    crate::hosted::absent("iminor")
}

#[track_caller]
pub unsafe fn iov_iter_count(i: *const iov_iter) -> usize {
    crate::hosted::absent("iov_iter_count")
}

#[track_caller]
pub unsafe fn printk(message: &str) {
    crate::hosted::absent("printk")
}

pub static mut system_wq: *mut workqueue_struct = core::ptr::null_mut();
pub static mut system_percpu_wq: *mut workqueue_struct = core::ptr::null_mut();
pub static mut system_dfl_wq: *mut workqueue_struct = core::ptr::null_mut();
pub static mut system_highpri_wq: *mut workqueue_struct = core::ptr::null_mut();
pub static mut system_long_wq: *mut workqueue_struct = core::ptr::null_mut();
pub static mut system_unbound_wq: *mut workqueue_struct = core::ptr::null_mut();
pub static mut system_freezable_wq: *mut workqueue_struct = core::ptr::null_mut();
pub static mut system_power_efficient_wq: *mut workqueue_struct = core::ptr::null_mut();
pub static mut system_freezable_power_efficient_wq: *mut workqueue_struct = core::ptr::null_mut();
pub static mut system_bh_wq: *mut workqueue_struct = core::ptr::null_mut();
pub static mut system_bh_highpri_wq: *mut workqueue_struct = core::ptr::null_mut();
pub static pci_bus_type: bus_type = bus_type {
    name: c"pci".as_ptr().cast(),
};
pub static platform_bus_type: bus_type = bus_type {
    name: c"platform".as_ptr().cast(),
};

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

#![allow(
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]
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

/// What the model leaves out of a structure. In Linux there are pointers in it, so that it is neither
/// [`Send`] nor [`Sync`].
type Rest = core::marker::PhantomData<*mut ffi::c_void>;

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
pub type clockid_t = ffi::c_int;
pub type hrtimer_mode = ffi::c_uint;
pub type spinlock_t = spinlock;
pub type wait_queue_head_t = wait_queue_head;
pub type wait_queue_entry_t = wait_queue_entry;
pub type atomic_long_t = atomic64_t;
pub type poll_table = poll_table_struct;

#[repr(C)]
#[derive(Copy, Clone, Default)]
pub struct atomic_t {
    pub counter: ffi::c_int,
}

#[repr(C)]
#[derive(Copy, Clone, Default)]
pub struct atomic64_t {
    pub counter: i64,
}

#[repr(C)]
#[derive(Copy, Clone, Default)]
pub struct refcount_struct {
    pub refs: atomic_t,
}

// ---- Lists, locks, keys ----

#[repr(C)]
#[derive(Copy, Clone)]
pub struct list_head {
    pub next: *mut list_head,
    pub prev: *mut list_head,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct callback_head {
    pub next: *mut callback_head,
    pub func: rcu_callback_t,
}

pub type rcu_callback_t = Option<unsafe extern "C" fn(head: *mut callback_head)>;

#[repr(C)]
#[derive(Copy, Clone, Default)]
pub struct lock_class_key {
    _reserved: [usize; 2],
    _rest: Rest,
}

#[repr(C)]
#[derive(Copy, Clone, Default)]
pub struct lockdep_map {
    _reserved: usize,
    _rest: Rest,
}

/// State is the machine's: see `hosted/src/hosted/locks.rs`.
#[repr(C)]
#[derive(Copy, Clone, Default)]
pub struct spinlock {
    _reserved: u64,
}

#[repr(C)]
#[derive(Copy, Clone, Default)]
pub struct mutex {
    _reserved: u64,
    _rest: Rest,
}

#[repr(C)]
#[derive(Copy, Clone, Default)]
pub struct srcu_struct {
    _reserved: u64,
    _rest: Rest,
}

#[repr(C)]
#[derive(Copy, Clone, Default)]
pub struct swait_queue_head {
    _reserved: u64,
    _rest: Rest,
}

#[repr(C)]
#[derive(Copy, Clone, Default)]
pub struct completion {
    pub done: ffi::c_uint,
    pub wait: swait_queue_head,
}

// ---- Interrupts ----

#[repr(transparent)]
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
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

// ---- Timers ----

#[repr(C)]
#[derive(Copy, Clone)]
pub struct hlist_node {
    pub next: *mut hlist_node,
    pub pprev: *mut *mut hlist_node,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct timer_list {
    pub entry: hlist_node,
    pub expires: ffi::c_ulong,
    pub function: Option<unsafe extern "C" fn(arg1: *mut timer_list)>,
    pub flags: u32_,
    pub lockdep_map: lockdep_map,
}

#[repr(transparent)]
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct hrtimer_restart(pub ffi::c_uint);

impl hrtimer_restart {
    pub const HRTIMER_NORESTART: hrtimer_restart = hrtimer_restart(0);
    pub const HRTIMER_RESTART: hrtimer_restart = hrtimer_restart(1);
}

/// State is the machine's: see `hosted/src/hosted/timer.rs`.
#[repr(C)]
#[derive(Copy, Clone)]
pub struct hrtimer {
    pub(crate) _rest: Rest,
    pub is_queued: bool_,
    pub is_soft: bool_,
    pub function: Option<unsafe extern "C" fn(arg1: *mut hrtimer) -> hrtimer_restart>,
}

// ---- Work, waiting, references ----

pub type work_func_t = Option<unsafe extern "C" fn(work: *mut work_struct)>;

#[repr(C)]
#[derive(Copy, Clone)]
pub struct work_struct {
    pub data: atomic_long_t,
    pub entry: list_head,
    pub func: work_func_t,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct delayed_work {
    pub work: work_struct,
    pub timer: timer_list,
    pub wq: *mut workqueue_struct,
    pub cpu: ffi::c_int,
}

#[repr(C)]
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
#[derive(Copy, Clone)]
pub struct wait_queue_head {
    pub lock: spinlock_t,
    pub head: list_head,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct wait_queue_entry {
    pub flags: ffi::c_uint,
    pub private: *mut ffi::c_void,
    pub func: wait_queue_func_t,
    pub entry: list_head,
}

/// A task. Only its address means something: see [`get_current`].
#[repr(C)]
pub struct task_struct {
    pub pid: pid_t,
    pub(crate) index: usize,
    pub(crate) _rest: Rest,
}

#[repr(C)]
pub struct user_namespace {
    pub(crate) _reserved: usize,
    _rest: Rest,
}

// ---- Devices and drivers ----

#[repr(C)]
#[derive(Copy, Clone, Default)]
pub struct kobject {
    _reserved: usize,
    _rest: Rest,
}

#[repr(C)]
pub struct bus_type {
    pub name: *const ffi::c_char,
}
// SAFETY: the only fields are constants of the model.
unsafe impl Sync for bus_type {}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct device {
    pub kobj: kobject,
    pub parent: *mut device,
    pub init_name: *const ffi::c_char,
    pub bus: *const bus_type,
    pub driver: *mut device_driver,
    pub platform_data: *mut ffi::c_void,
    pub driver_data: *mut ffi::c_void,
    pub of_node: *mut device_node,
    pub fwnode: *mut fwnode_handle,
    pub devt: dev_t,
    pub id: u32_,
    pub release: Option<unsafe extern "C" fn(dev: *mut device)>,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct device_driver__bindgen_ty_1 {
    pub post_unbind_rust: Option<unsafe extern "C" fn(dev: *mut device)>,
}

#[repr(C)]
#[derive(Copy, Clone)]
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
    pub p: *mut driver_private,
    pub p_cb: device_driver__bindgen_ty_1,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct of_device_id {
    pub name: [ffi::c_char; 32],
    pub type_: [ffi::c_char; 32],
    pub compatible: [ffi::c_char; 128],
    pub data: *const ffi::c_void,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct acpi_device_id {
    pub id: [__u8; 16],
    pub driver_data: kernel_ulong_t,
    pub cls: __u32,
    pub cls_msk: __u32,
}

#[repr(C)]
#[derive(Copy, Clone)]
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
#[derive(Copy, Clone)]
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
#[derive(Copy, Clone)]
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
#[derive(Copy, Clone)]
pub struct platform_device_id {
    pub name: [ffi::c_char; 24],
    pub driver_data: kernel_ulong_t,
}

#[repr(C)]
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
#[derive(Copy, Clone)]
pub struct auxiliary_device_id {
    pub name: [ffi::c_char; 40],
    pub driver_data: kernel_ulong_t,
}

#[repr(C)]
pub struct auxiliary_device {
    pub dev: device,
    pub name: *const ffi::c_char,
    pub id: u32_,
    pub registration_data_rust: *mut ffi::c_void,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct auxiliary_driver {
    pub probe: Option<
        unsafe extern "C" fn(
            auxdev: *mut auxiliary_device,
            id: *const auxiliary_device_id,
        ) -> ffi::c_int,
    >,
    pub remove: Option<unsafe extern "C" fn(auxdev: *mut auxiliary_device)>,
    pub shutdown: Option<unsafe extern "C" fn(auxdev: *mut auxiliary_device)>,
    pub name: *const ffi::c_char,
    pub driver: device_driver,
    pub id_table: *const auxiliary_device_id,
}

#[repr(C)]
pub struct faux_device {
    pub dev: device,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct faux_device_ops {
    pub probe: Option<unsafe extern "C" fn(faux_dev: *mut faux_device) -> ffi::c_int>,
    pub remove: Option<unsafe extern "C" fn(faux_dev: *mut faux_device)>,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct i2c_device_id {
    pub name: [ffi::c_char; 20],
    pub driver_data: kernel_ulong_t,
}

#[repr(C)]
pub struct i2c_client {
    pub flags: ffi::c_ushort,
    pub addr: ffi::c_ushort,
    pub name: [ffi::c_char; 20],
    pub dev: device,
    pub init_irq: ffi::c_int,
    pub irq: ffi::c_int,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct i2c_driver {
    pub probe: Option<unsafe extern "C" fn(client: *mut i2c_client) -> ffi::c_int>,
    pub remove: Option<unsafe extern "C" fn(client: *mut i2c_client)>,
    pub shutdown: Option<unsafe extern "C" fn(client: *mut i2c_client)>,
    pub driver: device_driver,
    pub id_table: *const i2c_device_id,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct usb_device_id {
    pub match_flags: __u16,
    pub idVendor: __u16,
    pub idProduct: __u16,
    pub bcdDevice_lo: __u16,
    pub bcdDevice_hi: __u16,
    pub bDeviceClass: __u8,
    pub bDeviceSubClass: __u8,
    pub bDeviceProtocol: __u8,
    pub bInterfaceClass: __u8,
    pub bInterfaceSubClass: __u8,
    pub bInterfaceProtocol: __u8,
    pub bInterfaceNumber: __u8,
    pub driver_info: kernel_ulong_t,
}

pub type usb_complete_t = Option<unsafe extern "C" fn(arg1: *mut urb)>;

/// State is the machine's: see `hosted/src/hosted/urb.rs`. In Linux it ends with an array without a length,
/// so that it is not copied.
#[repr(C)]
pub struct urb {
    pub dev: *mut usb_device,
    pub pipe: ffi::c_uint,
    pub status: ffi::c_int,
    pub transfer_flags: ffi::c_uint,
    pub transfer_buffer: *mut ffi::c_void,
    pub transfer_buffer_length: u32_,
    pub actual_length: u32_,
    pub setup_packet: *mut ffi::c_uchar,
    pub interval: ffi::c_int,
    pub context: *mut ffi::c_void,
    pub complete: usb_complete_t,
}

#[repr(C)]
pub struct usb_device {
    pub dev: device,
}

#[repr(C)]
pub struct usb_interface {
    pub dev: device,
    pub usb_dev: *mut device,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct usb_driver {
    pub name: *const ffi::c_char,
    pub probe: Option<
        unsafe extern "C" fn(intf: *mut usb_interface, id: *const usb_device_id) -> ffi::c_int,
    >,
    pub disconnect: Option<unsafe extern "C" fn(intf: *mut usb_interface)>,
    pub shutdown: Option<unsafe extern "C" fn(intf: *mut usb_interface)>,
    pub id_table: *const usb_device_id,
    pub driver: device_driver,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct platform_device_info {
    pub parent: *mut device,
    pub fwnode: *mut fwnode_handle,
    pub of_node_reused: bool_,
    pub name: *const ffi::c_char,
    pub id: ffi::c_int,
    pub res: *const resource,
    pub num_res: ffi::c_uint,
    pub data: *const ffi::c_void,
    pub size_data: usize,
    pub dma_mask: u64_,
    pub swnode: *const software_node,
    pub properties: *const property_entry,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct platform_driver {
    pub probe: Option<unsafe extern "C" fn(arg1: *mut platform_device) -> ffi::c_int>,
    pub remove: Option<unsafe extern "C" fn(arg1: *mut platform_device)>,
    pub shutdown: Option<unsafe extern "C" fn(arg1: *mut platform_device)>,
    pub driver: device_driver,
    pub id_table: *const platform_device_id,
    pub prevent_deferred_probe: bool_,
    pub driver_managed_dma: bool_,
}

/// Structures of which only pointers are handed around.
macro_rules! opaque {
    ($($name:ident),* $(,)?) => {$(
        #[repr(C)]
        pub struct $name {
            _rest: Rest,
        }
    )*};
}

opaque!(
    attribute_group,
    device_node,
    driver_private,
    fwnode_handle,
    property_entry,
    seq_file,
    software_node,
);

/// A loadable module. The machine keeps its reference count, by address.
#[repr(C)]
#[derive(Copy, Clone)]
pub struct module {
    pub name: [ffi::c_char; 56],
    _rest: Rest,
}

// ---- Files ----

/// What files of one inode have in common for who maps them. State is the machine's: see
/// `hosted/src/hosted/mm.rs`.
#[repr(C)]
pub struct address_space {
    pub(crate) _reserved: usize,
    _rest: Rest,
}

#[repr(C)]
pub struct inode {
    pub i_mode: umode_t,
    pub i_rdev: dev_t,
    pub i_private: *mut ffi::c_void,
}

#[repr(C)]
pub struct file {
    pub f_mode: fmode_t,
    pub f_op: *const file_operations,
    pub private_data: *mut ffi::c_void,
    pub f_inode: *mut inode,
    pub f_mapping: *mut address_space,
    pub f_flags: ffi::c_uint,
    pub f_pos: loff_t,
}

#[repr(C)]
pub struct kiocb {
    pub ki_filp: *mut file,
    pub ki_pos: loff_t,
    pub ki_complete: Option<unsafe extern "C" fn(iocb: *mut kiocb, ret: ffi::c_long)>,
    pub private: *mut ffi::c_void,
    pub ki_flags: ffi::c_int,
}

/// A user buffer that a read or write walks along.
#[repr(C)]
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
#[derive(Copy, Clone)]
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

#[repr(C)]
#[derive(Copy, Clone)]
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
    pub fsync: Option<unsafe extern "C" fn(*mut file, loff_t, loff_t, ffi::c_int) -> ffi::c_int>,
    pub fasync: Option<unsafe extern "C" fn(ffi::c_int, *mut file, ffi::c_int) -> ffi::c_int>,
    pub show_fdinfo: Option<unsafe extern "C" fn(*mut seq_file, *mut file)>,
}

#[repr(C)]
#[derive(Copy, Clone)]
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

/// State is the machine's: see `hosted/src/hosted/cdev.rs`.
#[repr(C)]
pub struct cdev {
    pub kobj: kobject,
    pub owner: *mut module,
    pub ops: *const file_operations,
    pub list: list_head,
    pub dev: dev_t,
    pub count: ffi::c_uint,
}

#[repr(C)]
pub struct class {
    pub name: *const ffi::c_char,
}

// ---- Mappings ----

pub type vm_flags_t = ffi::c_ulong;
pub type vm_fault_t = ffi::c_uint;
pub type vm_fault_reason = ffi::c_uint;

/// A mapping of a file. What programs see of it is the machine's: see `hosted/src/hosted/mm.rs`.
#[repr(C)]
pub struct vm_area_struct {
    pub(crate) start: usize,
    pub(crate) pages: usize,
    pub(crate) flags: vm_flags_t,
    pub vm_ops: *const vm_operations_struct,
    pub vm_pgoff: ffi::c_ulong,
    pub vm_file: *mut file,
    pub vm_private_data: *mut ffi::c_void,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct vm_fault__bindgen_ty_1 {
    pub vma: *mut vm_area_struct,
    pub gfp_mask: gfp_t,
    pub pgoff: ffi::c_ulong,
    pub address: ffi::c_ulong,
}

#[repr(C)]
pub struct vm_fault {
    pub __bindgen_anon_1: vm_fault__bindgen_ty_1,
}

#[repr(C)]
#[derive(Copy, Clone)]
pub struct vm_uffd_ops {
    _unused: [u8; 0],
}

/// As with `CONFIG_USERFAULTFD`: it is not `Sync`.
#[repr(C)]
#[derive(Copy, Clone)]
pub struct vm_operations_struct {
    pub open: Option<unsafe extern "C" fn(vma: *mut vm_area_struct)>,
    pub close: Option<unsafe extern "C" fn(vma: *mut vm_area_struct)>,
    pub fault: Option<unsafe extern "C" fn(vmf: *mut vm_fault) -> vm_fault_t>,
    pub uffd_ops: *const vm_uffd_ops,
}

zeroed_default!(
    address_space,
    cdev,
    class,
    vm_area_struct,
    vm_operations_struct,
    list_head,
    callback_head,
    tasklet_struct,
    hlist_node,
    timer_list,
    hrtimer,
    work_struct,
    delayed_work,
    wait_queue_head,
    wait_queue_entry,
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
    platform_device_info,
    platform_driver,
    auxiliary_device_id,
    auxiliary_device,
    auxiliary_driver,
    faux_device,
    faux_device_ops,
    i2c_device_id,
    i2c_client,
    i2c_driver,
    usb_device_id,
    urb,
    usb_interface,
    usb_driver,
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

/// A set of processors.
#[repr(C)]
#[derive(Default, Copy, Clone)]
pub struct cpumask {
    pub bits: [ffi::c_ulong; 1usize],
}
pub type cpumask_t = cpumask;
pub type cpumask_var_t = [cpumask; 1usize];

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
pub const TASKLET_STATE_SCHED: ffi::c_uint = 0;
pub const TASKLET_STATE_RUN: ffi::c_uint = 1;
pub const CLOCK_REALTIME: u32 = 0;
pub const CLOCK_MONOTONIC: u32 = 1;
pub const CLOCK_BOOTTIME: u32 = 7;
pub const CLOCK_TAI: u32 = 11;
pub const TIMER_DEFERRABLE: u32 = 524288;
pub const TIMER_PINNED: u32 = 1048576;
pub const TIMER_IRQSAFE: u32 = 2097152;
pub const hrtimer_mode_HRTIMER_MODE_ABS: hrtimer_mode = 0;
pub const hrtimer_mode_HRTIMER_MODE_REL: hrtimer_mode = 1;
pub const hrtimer_mode_HRTIMER_MODE_PINNED: hrtimer_mode = 2;
pub const hrtimer_mode_HRTIMER_MODE_SOFT: hrtimer_mode = 4;
pub const hrtimer_mode_HRTIMER_MODE_HARD: hrtimer_mode = 8;
pub const hrtimer_mode_HRTIMER_MODE_ABS_SOFT: hrtimer_mode = 4;
pub const hrtimer_mode_HRTIMER_MODE_REL_SOFT: hrtimer_mode = 5;
pub const wq_misc_consts_WORK_CPU_UNBOUND: ffi::c_uint = 8;
pub const work_flags_WORK_STRUCT_PENDING: ffi::c_uint = 1;
pub const work_flags_WORK_STRUCT_PWQ: ffi::c_uint = 4;
pub const work_bits_WORK_OFFQ_DISABLE_SHIFT: ffi::c_uint = 6;
pub const work_bits_WORK_OFFQ_DISABLE_BITS: ffi::c_uint = 16;
pub const wq_flags_WQ_BH: ffi::c_uint = 1;
pub const wq_flags_WQ_UNBOUND: ffi::c_uint = 2;
pub const wq_flags_WQ_FREEZABLE: ffi::c_uint = 4;
pub const wq_flags_WQ_MEM_RECLAIM: ffi::c_uint = 8;
pub const wq_flags_WQ_HIGHPRI: ffi::c_uint = 16;
pub const wq_flags_WQ_CPU_INTENSIVE: ffi::c_uint = 32;
pub const wq_flags_WQ_POWER_EFFICIENT: ffi::c_uint = 128;
pub const wq_flags_WQ_PERCPU: ffi::c_uint = 256;
pub const wq_flags___WQ_ORDERED: ffi::c_uint = 131072;
pub const wq_consts_WQ_MAX_ACTIVE: ffi::c_uint = 2048;
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
pub const POLLPRI: u32 = 2;
pub const POLLOUT: u32 = 4;
pub const POLLERR: u32 = 8;
pub const POLLHUP: u32 = 16;
pub const POLLNVAL: u32 = 32;
pub const POLLRDNORM: u32 = 64;
pub const POLLWRNORM: u32 = 256;
pub const FASYNC: u32 = 8192;
pub const SEEK_SET: u32 = 0;
pub const SEEK_CUR: u32 = 1;
pub const SEEK_END: u32 = 2;
pub const SEEK_DATA: u32 = 3;
pub const SEEK_HOLE: u32 = 4;
pub const PAGE_SIZE: usize = 4096;
pub const VM_READ: vm_flags_t = 1;
pub const VM_WRITE: vm_flags_t = 2;
pub const VM_SHARED: vm_flags_t = 8;
pub const VM_MAYREAD: vm_flags_t = 16;
pub const VM_MAYWRITE: vm_flags_t = 32;
pub const VM_PFNMAP: vm_flags_t = 1024;
pub const VM_IO: vm_flags_t = 16384;
pub const VM_DONTEXPAND: vm_flags_t = 262144;
pub const VM_DONTDUMP: vm_flags_t = 67108864;
pub const vm_fault_reason_VM_FAULT_SIGBUS: vm_fault_reason = 2;
pub const vm_fault_reason_VM_FAULT_NOPAGE: vm_fault_reason = 256;
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
pub const EOPNOTSUPP: u32 = 95;
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

pub use crate::hosted::functions::{
    __auxiliary_device_add, __auxiliary_driver_register, auxiliary_device_delete,
    auxiliary_device_init, auxiliary_device_uninit, auxiliary_driver_unregister,
    faux_device_create, faux_device_destroy, i2c_del_driver, i2c_match_id, i2c_register_driver,
    i2c_verify_client, interface_to_usbdev, usb_deregister, usb_get_intf, usb_put_intf,
    usb_register_driver,
};
pub use crate::hosted::functions::{
    __flush_workqueue, alloc_workqueue_noprof, cancel_delayed_work, cancel_delayed_work_sync,
    cancel_work, cancel_work_sync, current_work, delayed_work_timer_fn, destroy_workqueue,
    disable_delayed_work, disable_delayed_work_sync, disable_work, disable_work_sync,
    drain_workqueue, enable_delayed_work, enable_work, flush_delayed_work, flush_work,
    init_work_with_key, mod_delayed_work_on, queue_delayed_work_on, queue_work, queue_work_on,
    schedule_work, work_busy,
};
pub use crate::hosted::functions::{
    __hrtimer_get_remaining, add_timer, hrtimer_active, hrtimer_cancel, hrtimer_forward,
    hrtimer_setup, hrtimer_start_range_ns, hrtimer_try_to_cancel, ktime_get, ktime_get_boottime,
    ktime_get_clocktai, ktime_get_real, mod_timer, mod_timer_pending, timer_delete,
    timer_delete_sync, timer_init_key, timer_pending, timer_shutdown, timer_shutdown_sync,
};
pub use crate::hosted::functions::{
    __init_waitqueue_head, __wake_up, __wake_up_pollfree, __wake_up_sync, add_wait_queue,
    add_wait_queue_exclusive, autoremove_wake_function, complete, complete_all,
    default_wake_function, finish_wait, fsleep, get_current, get_task_struct, init_completion,
    init_wait, init_wait_entry, mdelay, msleep, prepare_to_wait, prepare_to_wait_event,
    prepare_to_wait_exclusive, put_task_struct, reinit_completion, remove_wait_queue, schedule,
    schedule_timeout, signal_pending, try_wait_for_completion, udelay, usleep_range,
    usleep_range_state, wait_for_completion, wait_for_completion_interruptible,
    wait_for_completion_interruptible_timeout, wait_for_completion_killable,
    wait_for_completion_timeout, wake_up_process,
};
pub use crate::hosted::functions::{
    __might_sleep, __mutex_init, __spin_lock_init, __srcu_read_lock, __srcu_read_unlock, call_rcu,
    cleanup_srcu_struct, cond_resched, in_atomic, in_hardirq, in_task, init_srcu_struct_with_key,
    irqs_disabled, local_bh_disable, local_bh_enable, local_irq_disable, local_irq_enable,
    local_irq_restore, local_irq_save, lockdep_register_key, lockdep_unregister_key, might_resched,
    might_sleep, mutex_assert_is_held, mutex_is_locked, mutex_lock, mutex_lock_interruptible,
    mutex_trylock, mutex_unlock, preempt_disable, preempt_enable, raw_smp_processor_id,
    rcu_barrier, rcu_read_lock, rcu_read_unlock, spin_assert_is_held, spin_lock, spin_lock_bh,
    spin_lock_irq, spin_lock_irq_disable, spin_lock_irqsave, spin_trylock,
    spin_trylock_irq_disable, spin_unlock, spin_unlock_bh, spin_unlock_irq, spin_unlock_irq_enable,
    spin_unlock_irqrestore, srcu_barrier, srcu_read_lock, srcu_read_unlock, srcu_readers_active,
    synchronize_rcu, synchronize_rcu_expedited, synchronize_srcu, synchronize_srcu_expedited,
};
pub use crate::hosted::functions::{__module_get, module_put, try_module_get};
pub use crate::hosted::functions::{
    __pci_register_driver, __platform_driver_register, dev_get_drvdata, dev_is_pci,
    dev_is_platform, dev_name, dev_set_drvdata, device_get_match_data, devm_add_action,
    devm_add_action_or_reset, devm_free_irq, devm_kfree, devm_kmalloc, devm_kzalloc,
    devm_remove_action_nowarn, devm_request_irq, devm_request_threaded_irq, get_device,
    pci_unregister_driver, platform_driver_unregister, put_device,
};
pub use crate::hosted::functions::{
    __tasklet_hi_schedule, __tasklet_schedule, tasklet_disable, tasklet_disable_nosync,
    tasklet_enable, tasklet_init, tasklet_kill, tasklet_schedule, tasklet_setup,
    tasklet_unlock_wait,
};
pub use crate::hosted::functions::{
    _copy_from_iter, _copy_from_user, _copy_to_iter, _copy_to_user, copy_from_user, copy_to_user,
    fixed_size_llseek, fput, generic_file_open, get_file, iminor, iov_iter_advance, iov_iter_count,
    iov_iter_revert, misc_deregister, misc_register, nonseekable_open, noop_llseek, poll_wait,
    stream_open, strncpy_from_user, vfs_setpos,
};
pub const compat_ptr_ioctl: Option<
    unsafe extern "C" fn(*mut file, ffi::c_uint, ffi::c_ulong) -> ffi::c_long,
> = Some(crate::hosted::functions::compat_ptr_ioctl);
pub use crate::hosted::functions::{
    alloc_chrdev_region, cdev_add, cdev_alloc, cdev_del, cdev_init, class_create, class_destroy,
    device_unregister, kobject_put, unregister_chrdev_region,
};
pub use crate::hosted::functions::{
    cpu_relax, disable_irq, disable_irq_nosync, enable_irq, free_irq, request_irq,
    request_threaded_irq, synchronize_irq,
};
pub use crate::hosted::functions::{
    free_pages, get_free_pages_noprof, unmap_mapping_range, vmf_insert_pfn,
};
pub use crate::hosted::functions::{
    ioread16, ioread32, ioread64, ioread8, ioremap, iounmap, iowrite16, iowrite32, iowrite64,
    iowrite8, readb, readb_relaxed, readl, readl_relaxed, readq, readq_relaxed, readw,
    readw_relaxed, writeb, writeb_relaxed, writel, writel_relaxed, writeq, writeq_relaxed, writew,
    writew_relaxed,
};
pub use crate::hosted::functions::{
    kfree, kmalloc, krealloc_node_align, kvfree, kvrealloc_node_align, kzalloc, vrealloc_node_align,
};
pub use crate::hosted::functions::{
    pci_alloc_irq_vectors, pci_clear_master, pci_dev_get, pci_dev_id, pci_dev_put,
    pci_disable_device, pci_enable_device, pci_enable_device_mem, pci_free_irq_vectors,
    pci_get_drvdata, pci_iomap, pci_iounmap, pci_irq_type, pci_irq_vector, pci_read_config_byte,
    pci_read_config_dword, pci_read_config_word, pci_release_region, pci_release_regions,
    pci_request_region, pci_request_regions, pci_resource_len, pci_resource_start, pci_set_drvdata,
    pci_set_master, pcim_enable_device, pcim_iomap, pcim_iomap_region, pcim_request_region,
};
pub use crate::hosted::functions::{
    platform_device_register_full, platform_device_unregister, platform_get_drvdata,
    platform_get_irq, platform_get_irq_byname, platform_get_irq_byname_optional,
    platform_get_irq_optional, platform_get_resource, platform_set_drvdata,
};
pub use crate::hosted::functions::{
    refcount_dec, refcount_dec_and_test, refcount_inc, refcount_set,
};
pub use crate::hosted::functions::{
    usb_alloc_urb, usb_block_urb, usb_free_urb, usb_kill_urb, usb_poison_urb, usb_submit_urb,
    usb_unlink_urb, usb_unpoison_urb,
};

/// `BUG()`
#[track_caller]
pub unsafe fn BUG() -> ! {
    crate::hosted::bug()
}

/// `printk()` of a text that Rust has formatted.
pub unsafe fn printk(message: &str) {
    crate::hosted::log(message.to_string());
}

// ---- Variables ----

/// Ticks since boot, and what they began with. The machine keeps it.
pub static mut jiffies: ffi::c_ulong = 0;

macro_rules! system_queues {
    ($($name:ident = $index:literal;)*) => {$(
        pub static mut $name: *mut workqueue_struct = {
            static QUEUE: workqueue_struct = workqueue_struct { index: $index };
            (&raw const QUEUE).cast_mut()
        };
    )*};
}

system_queues! {
    system_wq = 0;
    system_percpu_wq = 1;
    system_dfl_wq = 2;
    system_highpri_wq = 3;
    system_long_wq = 4;
    system_unbound_wq = 5;
    system_freezable_wq = 6;
    system_power_efficient_wq = 7;
    system_freezable_power_efficient_wq = 8;
    system_bh_wq = 9;
    system_bh_highpri_wq = 10;
    system_dfl_long_wq = 11;
}

pub const USB_DEVICE_ID_MATCH_VENDOR: u32 = 0x001;
pub const USB_DEVICE_ID_MATCH_PRODUCT: u32 = 0x002;
pub const USB_DEVICE_ID_MATCH_DEVICE: u32 = 0x003;
pub const USB_DEVICE_ID_MATCH_DEV_CLASS: u32 = 0x010;
pub const USB_DEVICE_ID_MATCH_INT_CLASS: u32 = 0x080;
pub const USB_DEVICE_ID_MATCH_INT_SUBCLASS: u32 = 0x100;
pub const USB_DEVICE_ID_MATCH_INT_PROTOCOL: u32 = 0x200;
pub const USB_DEVICE_ID_MATCH_INT_NUMBER: u32 = 0x400;
pub const USB_DIR_IN: u32 = 128;
pub const USB_ENDPOINT_XFER_CONTROL: u32 = 0;
pub const USB_ENDPOINT_XFER_BULK: u32 = 2;
pub const USB_ENDPOINT_XFER_INT: u32 = 3;
pub const USB_DEVICE_ID_MATCH_INT_INFO: u32 = 0x380;

pub static pci_bus_type: bus_type = bus_type {
    name: c"pci".as_ptr().cast(),
};
pub static platform_bus_type: bus_type = bus_type {
    name: c"platform".as_ptr().cast(),
};
pub static i2c_bus_type: bus_type = bus_type {
    name: c"i2c".as_ptr().cast(),
};

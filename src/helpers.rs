// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Inline C functions that have no binding of their own.
//!
//! In Linux they are defined in `linux/helpers.c`, which is linked into the module; the hosted
//! kernel exports the same symbols.

use kernel::{bindings, prelude::*};

#[allow(
    improper_ctypes,
    reason = "structures that are empty in C, which bindgen knows how to lay out"
)]
extern "C" {
    /// The first half of `tasklet_schedule()`: true if the caller now has to call
    /// `__tasklet_schedule()`, false if the tasklet is scheduled already. A full barrier either way.
    /// Any context. The tasklet must have been set up and must not be freed before it was killed.
    pub(crate) fn devscope_tasklet_claim(t: *mut bindings::tasklet_struct) -> bool;

    /// Counts for a gate, by each CPU; with places for notes, or without. Process context, may sleep.
    /// Null if there is no memory.
    pub(crate) fn devscope_gate_alloc(notes: bool) -> *mut c_void;

    /// Frees them. Warns if somebody is inside.
    pub(crate) fn devscope_gate_free(counts: *mut c_void);

    /// Enters a gate, unless it is closed. Any context but NMI. `gate` is a `Gate` of `src/gate.rs`, of
    /// which C knows how it begins.
    pub(crate) fn devscope_gate_enter(gate: *mut c_void) -> bool;

    /// Leaves a gate that was entered.
    pub(crate) fn devscope_gate_leave(gate: *mut c_void);

    /// Enters a gate with places for notes, unless it is closed: then null. The note is `what`, whose lower
    /// 24 bits are 0, and the number of the current task. Process context.
    pub(crate) fn devscope_gate_enter_noting(gate: *mut c_void, what: c_ulong) -> *mut c_ulong;

    /// Leaves a gate that was entered so, and takes the note away.
    pub(crate) fn devscope_gate_leave_noting(gate: *mut c_void, note: *mut c_ulong);

    /// How many are inside, by the sum over all CPUs. A full barrier afterwards.
    pub(crate) fn devscope_gate_sum(counts: *mut c_void) -> c_int;

    /// The notes of one CPU, of which there are [`GATE_NOTES`]; 0 where there is none. False if there is no
    /// CPU of this or a higher number.
    pub(crate) fn devscope_gate_notes(
        counts: *mut c_void,
        cpu: c_uint,
        notes: *mut c_ulong,
    ) -> bool;

    /// `get_state_synchronize_rcu()`, which may be inline. Any context.
    pub(crate) fn devscope_get_state_synchronize_rcu() -> c_ulong;

    /// `cond_synchronize_rcu()`, which may be inline. Process context, may sleep.
    pub(crate) fn devscope_cond_synchronize_rcu(state: c_ulong);

    /// `!in_task() || in_atomic()`: whether the caller must not sleep, as far as the kernel knows.
    pub(crate) fn devscope_in_atomic_context() -> bool;

    /// The name of the task with this number, into `comm`, which has room for [`TASK_COMM_LEN`]
    /// characters; the empty string if there is none. Process context.
    pub(crate) fn devscope_task_comm(pid: c_int, comm: *mut c_char);

    /// `iocb->ki_flags & IOCB_NOWAIT`. `iocb` belongs to a call that goes on.
    pub(crate) fn devscope_iocb_nowait(iocb: *const bindings::kiocb) -> bool;

    /// `file->f_mode |= FMODE_NOWAIT`. `file` is being opened.
    pub(crate) fn devscope_file_set_nowait(file: *mut bindings::file);

    /// `inode->i_cdev`: while a file of it is being opened, that of the device that is opened.
    pub(crate) fn devscope_inode_cdev(inode: *mut bindings::inode) -> *mut bindings::cdev;

    /// `device_create()`, with a name as it is, and no driver data. Process context, may sleep. Returns
    /// an error pointer if it fails.
    pub(crate) fn devscope_device_create(
        class: *const bindings::class,
        parent: *mut bindings::device,
        devt: bindings::dev_t,
        name: *const c_char,
    ) -> *mut bindings::device;

    /// Locks the module's list of regions, and returns where its first is. Process context, may sleep.
    pub(crate) fn devscope_regions_lock() -> *mut *mut c_void;

    /// Unlocks what [`devscope_regions_lock`] has locked.
    pub(crate) fn devscope_regions_unlock();

    /// How many pages a mapping has. Its address space is locked.
    pub(crate) fn devscope_vma_pages(vma: *const bindings::vm_area_struct) -> c_ulong;

    /// Whether the program may write through a mapping. Its address space is locked.
    pub(crate) fn devscope_vma_is_writable(vma: *const bindings::vm_area_struct) -> bool;

    /// Makes a mapping one of page frames without pages: `VM_PFNMAP`. With `io`, of a device's memory,
    /// not cached. With `read_only`, one that cannot be made writable. `vma` is being mapped.
    ///
    /// `-EINVAL` for a private mapping that could be written to, which is a copy; `-EACCES` for one
    /// that is writable and should not be.
    pub(crate) fn devscope_vma_set_pfnmap(
        vma: *mut bindings::vm_area_struct,
        io: bool,
        read_only: bool,
    ) -> c_int;

    /// The frame of a page, by its address in the kernel: `virt_to_pfn()`.
    pub(crate) fn devscope_virt_to_pfn(address: c_ulong) -> c_ulong;

    /// Whether a BAR is memory of the device, and not ports or nothing.
    pub(crate) fn devscope_pci_bar_is_memory(pdev: *mut bindings::pci_dev, bar: c_int) -> bool;

    /// `irq_set_affinity_and_hint()`. `m` stays in place until the line has another hint, or none.
    pub(crate) fn devscope_irq_set_affinity_and_hint(
        irq: c_uint,
        m: *const bindings::cpumask,
    ) -> c_int;

    /// `irq_update_affinity_hint()`. The same; null takes the hint away.
    pub(crate) fn devscope_irq_update_affinity_hint(
        irq: c_uint,
        m: *const bindings::cpumask,
    ) -> c_int;

    /// Makes an URB one for an endpoint of `intf`: its first of type `transfer` in this direction, or that
    /// with this number if it is not negative; for control transfers, endpoint 0. `-ENXIO` if there is none.
    /// Process context. `urb` is not in use, and `intf` is bound.
    pub(crate) fn devscope_urb_set_up(
        urb: *mut bindings::urb,
        intf: *mut bindings::usb_interface,
        transfer: c_int,
        is_in: bool,
        number: c_int,
    ) -> c_int;
}

/// `TASK_COMM_LEN`
pub(crate) const TASK_COMM_LEN: usize = 16;

/// `DEVSCOPE_GATE_NOTES`: how many operations a CPU has places to write down for each gate.
pub(crate) const GATE_NOTES: usize = 3;

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What devscope needs of Linux and Rust cannot name: static inline functions. Linked into the same
 * module as devscope, so nothing is exported. `src/helpers.rs` declares them.
 */

#include <linux/bitops.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/hardirq.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/threads.h>
#include <linux/types.h>
#include <linux/usb.h>

bool devscope_tasklet_claim(struct tasklet_struct *t);
void *devscope_gate_alloc(bool notes);
void devscope_gate_free(void *counts);
bool devscope_gate_enter(void *gate);
void devscope_gate_leave(void *gate);
unsigned long *devscope_gate_enter_noting(void *gate, unsigned long what);
void devscope_gate_leave_noting(void *gate, unsigned long *note);
int devscope_gate_sum(void *counts);
bool devscope_gate_notes(void *counts, unsigned int cpu, unsigned long *notes);
unsigned long devscope_get_state_synchronize_rcu(void);
void devscope_cond_synchronize_rcu(unsigned long state);
bool devscope_in_atomic_context(void);
void devscope_task_comm(int pid, char *comm);
bool devscope_iocb_nowait(const struct kiocb *iocb);
void devscope_file_set_nowait(struct file *file);
struct cdev *devscope_inode_cdev(struct inode *inode);
struct device *devscope_device_create(const struct class *class, struct device *parent,
				      dev_t devt, const char *name);
void **devscope_regions_lock(void);
void devscope_regions_unlock(void);
unsigned long devscope_vma_pages(const struct vm_area_struct *vma);
bool devscope_vma_is_writable(const struct vm_area_struct *vma);
int devscope_vma_set_pfnmap(struct vm_area_struct *vma, bool io, bool read_only);
unsigned long devscope_virt_to_pfn(unsigned long address);
bool devscope_pci_bar_is_memory(struct pci_dev *pdev, int bar);
int devscope_irq_set_affinity_and_hint(unsigned int irq, const struct cpumask *m);
int devscope_irq_update_affinity_hint(unsigned int irq, const struct cpumask *m);
int devscope_urb_set_up(struct urb *urb, struct usb_interface *intf, int transfer, bool is_in,
			int number);

/*
 * The inline half of tasklet_schedule(): whether it is for the caller to call __tasklet_schedule(). It
 * calls nothing, so it needs no frame.
 */
bool devscope_tasklet_claim(struct tasklet_struct *t)
{
	return !test_and_set_bit(TASKLET_STATE_SCHED, &t->state);
}

/*
 * Gates. How they count, and why that is enough, is said in src/gate.rs, which closes them and waits.
 */
#define DEVSCOPE_GATE_NOTES 3

struct devscope_counts {
	/* How many have come in on this CPU, less how many have left on it. */
	int inside;
	/* What some of those who came in here do, and who they are; or 0. */
	unsigned long notes[];
};

/* What the gate of src/gate.rs begins with. */
struct devscope_gate {
	struct devscope_counts __percpu *counts;
	int closed;
	struct completion left;
};

/* A note is what somebody does, and below these bits, who. */
static_assert(PID_MAX_LIMIT <= 1 << 24);

static struct devscope_counts __percpu *devscope_counts(void *counts)
{
	return (struct devscope_counts __percpu __force *)counts;
}

void *devscope_gate_alloc(bool notes)
{
	size_t size = sizeof(struct devscope_counts);

	if (notes)
		size += DEVSCOPE_GATE_NOTES * sizeof(unsigned long);
	return (void __force *)__alloc_percpu(size, __alignof__(struct devscope_counts));
}

void devscope_gate_free(void *counts)
{
	WARN_ON_ONCE(devscope_gate_sum(counts));
	free_percpu(devscope_counts(counts));
}

/*
 * With preemption off is an RCU read-side critical section: a grace period that begins after the gate was
 * closed ends when everybody who has found it open is counted.
 */
bool devscope_gate_enter(void *entered)
{
	struct devscope_gate *gate = entered;
	bool open;

	preempt_disable();
	/* Acquire: what was built before the gate was opened is seen. */
	open = !smp_load_acquire(&gate->closed);
	if (likely(open))
		this_cpu_inc(gate->counts->inside);
	preempt_enable();
	return open;
}

/* Somebody may be waiting, and frees what was used inside as soon as the sum is 0. */
static noinline void devscope_gate_leave_closed(struct devscope_gate *gate)
{
	/* Pairs with the barrier in devscope_gate_sum(). */
	smp_mb();
	this_cpu_dec(gate->counts->inside);
	complete(&gate->left);
}

void devscope_gate_leave(void *entered)
{
	struct devscope_gate *gate = entered;

	preempt_disable();
	if (likely(!READ_ONCE(gate->closed)))
		this_cpu_dec(gate->counts->inside);
	else
		devscope_gate_leave_closed(gate);
	preempt_enable();
}

/*
 * Counts and notes, with preemption off: nobody else puts a note on this CPU, since only tasks do. Whoever
 * leaves may take one away from another CPU.
 */
static __always_inline unsigned long *devscope_gate_note(struct devscope_gate *gate,
							  unsigned int place, unsigned long what)
{
	unsigned long *note = &this_cpu_ptr(gate->counts)->notes[place];

	WRITE_ONCE(*note, what | current->pid);
	this_cpu_inc(gate->counts->inside);
	return note;
}

/* The first place is taken. If all are, the last is given again. */
static noinline unsigned long *devscope_gate_note_elsewhere(struct devscope_gate *gate,
							     unsigned long what)
{
	unsigned int place;

	for (place = 1; place < DEVSCOPE_GATE_NOTES - 1; place++)
		if (!this_cpu_read(gate->counts->notes[place]))
			break;
	return devscope_gate_note(gate, place, what);
}

unsigned long *devscope_gate_enter_noting(void *entered, unsigned long what)
{
	struct devscope_gate *gate = entered;
	unsigned long *note = NULL;

	preempt_disable();
	/* Acquire: as in devscope_gate_enter(). */
	if (likely(!smp_load_acquire(&gate->closed))) {
		if (likely(!this_cpu_read(gate->counts->notes[0])))
			note = devscope_gate_note(gate, 0, what);
		else
			note = devscope_gate_note_elsewhere(gate, what);
	}
	preempt_enable();
	return note;
}

void devscope_gate_leave_noting(void *entered, unsigned long *note)
{
	WRITE_ONCE(*note, 0);
	devscope_gate_leave(entered);
}

int devscope_gate_sum(void *counts)
{
	unsigned int sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(devscope_counts(counts), cpu)->inside);
	/* Who was seen to leave has done all that it does inside. Pairs with smp_mb() in leaving. */
	smp_mb();
	return sum;
}

bool devscope_gate_notes(void *counts, unsigned int cpu, unsigned long *notes)
{
	int i;

	if (cpu >= nr_cpu_ids)
		return false;
	for (i = 0; i < DEVSCOPE_GATE_NOTES; i++)
		notes[i] = cpu_possible(cpu) ?
			   READ_ONCE(per_cpu_ptr(devscope_counts(counts), cpu)->notes[i]) : 0;
	return true;
}

unsigned long devscope_get_state_synchronize_rcu(void)
{
	return get_state_synchronize_rcu();
}

void devscope_cond_synchronize_rcu(unsigned long state)
{
	cond_synchronize_rcu(state);
}

/*
 * Whether the caller may not sleep: it is an interrupt, a softirq, or holds a spin lock. Sees spin
 * locks only where the kernel counts them (CONFIG_PREEMPT_COUNT), as in_atomic() does.
 */
bool devscope_in_atomic_context(void)
{
	return !in_task() || in_atomic();
}

/* The name of a task, by its number in the first namespace; the empty string if it has gone. */
void devscope_task_comm(int pid, char *comm)
{
	struct task_struct *task;

	comm[0] = '\0';
	rcu_read_lock();
	task = pid_task(find_pid_ns(pid, &init_pid_ns), PIDTYPE_PID);
	if (task)
		strscpy(comm, task->comm, TASK_COMM_LEN);
	rcu_read_unlock();
}

bool devscope_iocb_nowait(const struct kiocb *iocb)
{
	return iocb->ki_flags & IOCB_NOWAIT;
}

void devscope_file_set_nowait(struct file *file)
{
	file->f_mode |= FMODE_NOWAIT;
}

struct cdev *devscope_inode_cdev(struct inode *inode)
{
	return inode->i_cdev;
}

/* device_create() without its variable arguments. */
struct device *devscope_device_create(const struct class *class, struct device *parent,
				      dev_t devt, const char *name)
{
	return device_create(class, parent, devt, NULL, "%s", name);
}

/*
 * The regions of minors that this module has registered. A static with a mutex is more easily made in C.
 */
static DEFINE_MUTEX(devscope_regions_mutex);
static void *devscope_regions;

void **devscope_regions_lock(void)
{
	mutex_lock(&devscope_regions_mutex);
	return &devscope_regions;
}

void devscope_regions_unlock(void)
{
	mutex_unlock(&devscope_regions_mutex);
}

unsigned long devscope_vma_pages(const struct vm_area_struct *vma)
{
	return vma_pages(vma);
}

bool devscope_vma_is_writable(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_WRITE;
}

/*
 * Page frames without pages: get_user_pages() refuses, so nobody keeps a page when the mapping has
 * gone. Such a mapping cannot be a copy (vmf_insert_pfn() in mm/memory.c), and does not grow.
 */
int devscope_vma_set_pfnmap(struct vm_area_struct *vma, bool io, bool read_only)
{
	if ((vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE)
		return -EINVAL;
	if (read_only) {
		if (vma->vm_flags & VM_WRITE)
			return -EACCES;
		vm_flags_clear(vma, VM_MAYWRITE);
	}
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | (io ? VM_IO : 0));
	if (io)
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	return 0;
}

unsigned long devscope_virt_to_pfn(unsigned long address)
{
	return page_to_pfn(virt_to_page((void *)address));
}

bool devscope_pci_bar_is_memory(struct pci_dev *pdev, int bar)
{
	return pci_resource_flags(pdev, bar) & IORESOURCE_MEM;
}

int devscope_irq_set_affinity_and_hint(unsigned int irq, const struct cpumask *m)
{
	return irq_set_affinity_and_hint(irq, m);
}

int devscope_irq_update_affinity_hint(unsigned int irq, const struct cpumask *m)
{
	return irq_update_affinity_hint(irq, m);
}

/*
 * The first endpoint of this type and direction in the interface's current setting, or the one with
 * this number. Only what is inline in C: a module without URBs has to do without usbcore.
 */
int devscope_urb_set_up(struct urb *urb, struct usb_interface *intf, int transfer, bool is_in,
			int number)
{
	struct usb_device *udev = interface_to_usbdev(intf);
	const struct usb_host_interface *setting = intf->cur_altsetting;
	const struct usb_endpoint_descriptor *ep;
	int i;

	urb->dev = udev;
	if (transfer == USB_ENDPOINT_XFER_CONTROL) {
		urb->pipe = is_in ? usb_rcvctrlpipe(udev, 0) : usb_sndctrlpipe(udev, 0);
		return 0;
	}
	for (i = 0; i < setting->desc.bNumEndpoints; i++) {
		ep = &setting->endpoint[i].desc;
		if (usb_endpoint_type(ep) != transfer || usb_endpoint_dir_in(ep) != is_in)
			continue;
		if (number >= 0 && usb_endpoint_num(ep) != number)
			continue;
		if (transfer == USB_ENDPOINT_XFER_BULK)
			urb->pipe = is_in ? usb_rcvbulkpipe(udev, usb_endpoint_num(ep))
					  : usb_sndbulkpipe(udev, usb_endpoint_num(ep));
		else
			usb_fill_int_urb(urb, udev,
					 is_in ? usb_rcvintpipe(udev, usb_endpoint_num(ep))
					       : usb_sndintpipe(udev, usb_endpoint_num(ep)),
					 NULL, 0, NULL, NULL, ep->bInterval);
		return 0;
	}
	return -ENXIO;
}

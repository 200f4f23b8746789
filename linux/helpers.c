// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What devscope needs of Linux and Rust cannot name: static inline functions. Linked into the same
 * module as devscope, so nothing is exported. `src/helpers.rs` declares them.
 */

#include <linux/bitops.h>
#include <linux/compat.h>
#include <linux/cpumask.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/hardirq.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/percpu-refcount.h>
#include <linux/pgtable.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/usb.h>

bool devscope_tasklet_schedule(struct tasklet_struct *t);
bool devscope_percpu_ref_tryget_live(struct percpu_ref *ref);
void devscope_percpu_ref_put(struct percpu_ref *ref);
bool devscope_in_atomic_context(void);
void devscope_task_comm(int pid, char *comm);
bool devscope_iocb_nowait(const struct kiocb *iocb);
void devscope_file_set_nowait(struct file *file);
unsigned long devscope_compat_ptr(unsigned long arg);
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

/* tasklet_schedule(), which does not say whether it was this call that queued the tasklet. */
bool devscope_tasklet_schedule(struct tasklet_struct *t)
{
	if (test_and_set_bit(TASKLET_STATE_SCHED, &t->state))
		return false;
	__tasklet_schedule(t);
	return true;
}

bool devscope_percpu_ref_tryget_live(struct percpu_ref *ref)
{
	return percpu_ref_tryget_live(ref);
}

void devscope_percpu_ref_put(struct percpu_ref *ref)
{
	percpu_ref_put(ref);
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

unsigned long devscope_compat_ptr(unsigned long arg)
{
	return (unsigned long)compat_ptr(arg);
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

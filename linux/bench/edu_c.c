// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * examples/edu in C, by hand: the same device, node, answers and errors, and the same care for programs
 * that hold the node when the device goes. Its size is what that of the example is held against.
 *
 * What a file touches is counted: by the device while it is bound, and by each open file. Operations
 * run inside a percpu_ref, which remove() kills and waits for.
 */

#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/percpu-refcount.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#define FACTORIAL		0x08
#define STATUS			0x20
#define STATUS_RAISE		0x80
#define INTERRUPT_STATUS	0x24
#define COMPUTED		0x01
#define RAISED			0x100
#define RAISE			0x60
#define ACKNOWLEDGE		0x64

#define EDU_INTERRUPTS		_IO('e', 1)
#define EDU_RAISE		_IO('e', 2)
#define EDU_STORM		_IOW('e', 3, u32)

#define LARGEST			12

struct edu {
	struct kref refs;
	struct miscdevice misc;

	struct percpu_ref users;
	struct completion idle;
	bool gone;

	void __iomem *regs;
	int irq;
	bool computed;
	atomic64_t storm;
	atomic64_t interrupts;
	struct mutex lock;
	struct list_head questions;
	wait_queue_head_t done;
	wait_queue_head_t answers;
	struct work_struct compute;
	struct tasklet_struct bottom;
};

struct answer {
	struct kref refs;
	atomic64_t value;
};

struct question {
	struct list_head list;
	u32 number;
	struct answer *answer;
};

struct edu_file {
	struct edu *edu;
	struct answer *answer;
};

static void edu_free(struct kref *refs)
{
	struct edu *edu = container_of(refs, struct edu, refs);

	percpu_ref_exit(&edu->users);
	kfree(edu);
}

static void answer_free(struct kref *refs)
{
	kfree(container_of(refs, struct answer, refs));
}

static void question_free(struct question *q)
{
	kref_put(&q->answer->refs, answer_free);
	kfree(q);
}

static void edu_idle(struct percpu_ref *users)
{
	complete_all(&container_of(users, struct edu, users)->idle);
}

static bool edu_enter(struct edu *edu)
{
	return percpu_ref_tryget_live(&edu->users);
}

static void edu_leave(struct edu *edu)
{
	percpu_ref_put(&edu->users);
}

static bool is_gone(struct edu *edu)
{
	return READ_ONCE(edu->gone);
}

/* Sleeps until the device has computed; -ENODEV if it is unbound first. */
static int factorial(struct edu *edu, u32 number, u32 *value)
{
	WRITE_ONCE(edu->computed, false);
	writel(STATUS_RAISE, edu->regs + STATUS);
	writel(number, edu->regs + FACTORIAL);
	wait_event(edu->done, smp_load_acquire(&edu->computed) || is_gone(edu));
	if (!smp_load_acquire(&edu->computed))
		return -ENODEV;
	*value = readl(edu->regs + FACTORIAL);
	return 0;
}

static struct question *next_question(struct edu *edu)
{
	struct question *q;

	mutex_lock(&edu->lock);
	q = list_first_entry_or_null(&edu->questions, struct question, list);
	if (q)
		list_del(&q->list);
	mutex_unlock(&edu->lock);
	return q;
}

static void edu_compute(struct work_struct *work)
{
	struct edu *edu = container_of(work, struct edu, compute);
	struct question *q;

	while ((q = next_question(edu))) {
		u32 value;
		int err = factorial(edu, q->number, &value);

		if (!err)
			atomic64_set_release(&q->answer->value, value);
		question_free(q);
		if (err)
			return;
		wake_up_all(&edu->answers);
	}
}

static void edu_bottom(struct tasklet_struct *t)
{
	struct edu *edu = container_of(t, struct edu, bottom);

	if (smp_load_acquire(&edu->computed))
		wake_up_all(&edu->done);
	if (atomic64_read(&edu->storm) > 0) {
		atomic64_dec(&edu->storm);
		writel(RAISED, edu->regs + RAISE);
	}
}

static irqreturn_t edu_irq(int irq, void *cookie)
{
	struct edu *edu = cookie;
	u32 status = readl(edu->regs + INTERRUPT_STATUS);

	if (!status)
		return IRQ_NONE;
	writel(status, edu->regs + ACKNOWLEDGE);
	atomic64_inc(&edu->interrupts);
	if (status & COMPUTED)
		smp_store_release(&edu->computed, true);
	tasklet_schedule(&edu->bottom);
	return IRQ_HANDLED;
}

static int edu_open(struct inode *inode, struct file *file)
{
	/* misc_open() holds the lock that misc_deregister() takes, so the device is bound. */
	struct edu *edu = container_of(file->private_data, struct edu, misc);
	struct edu_file *f;
	int err = -ENOMEM;

	if (!edu_enter(edu))
		return -ENODEV;
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		goto leave;
	f->answer = kzalloc(sizeof(*f->answer), GFP_KERNEL);
	if (!f->answer) {
		kfree(f);
		goto leave;
	}
	kref_init(&f->answer->refs);
	atomic64_set(&f->answer->value, -1);
	kref_get(&edu->refs);
	f->edu = edu;
	file->private_data = f;
	err = 0;
leave:
	edu_leave(edu);
	return err;
}

static int edu_release(struct inode *inode, struct file *file)
{
	struct edu_file *f = file->private_data;

	kref_put(&f->answer->refs, answer_free);
	kref_put(&f->edu->refs, edu_free);
	kfree(f);
	return 0;
}

static ssize_t ask(struct edu_file *f, struct iov_iter *from)
{
	struct edu *edu = f->edu;
	char text[17] = { };
	size_t len = copy_from_iter(text, 16, from);
	struct question *q;
	u32 number;

	if (!len)
		return -EFAULT;
	if (strlen(text) != len || kstrtou32(strim(text), 10, &number) || number > LARGEST)
		return -EINVAL;
	q = kmalloc(sizeof(*q), GFP_KERNEL);
	if (!q)
		return -ENOMEM;
	kref_get(&f->answer->refs);
	q->answer = f->answer;
	q->number = number;
	mutex_lock(&edu->lock);
	list_add_tail(&q->list, &edu->questions);
	mutex_unlock(&edu->lock);
	queue_work(system_percpu_wq, &edu->compute);
	return len;
}

static ssize_t edu_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct edu_file *f = iocb->ki_filp->private_data;
	ssize_t ret;

	if (!edu_enter(f->edu))
		return -ENODEV;
	ret = ask(f, from);
	edu_leave(f->edu);
	return ret;
}

static ssize_t answer(struct edu_file *f, struct kiocb *iocb, struct iov_iter *to)
{
	atomic64_t *value = &f->answer->value;
	struct edu *edu = f->edu;
	char text[24];
	s64 found;
	int len;

	while ((found = atomic64_xchg(value, -1)) < 0) {
		if (iocb->ki_filp->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(edu->answers,
					     atomic64_read(value) >= 0 || is_gone(edu)))
			return -ERESTARTSYS;
		if (is_gone(edu))
			return -ENODEV;
	}
	len = scnprintf(text, sizeof(text), "%lld\n", found);
	return copy_to_iter(text, len, to) ?: -EFAULT;
}

static ssize_t edu_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct edu_file *f = iocb->ki_filp->private_data;
	ssize_t ret;

	if (!edu_enter(f->edu))
		return -ENODEV;
	ret = answer(f, iocb, to);
	edu_leave(f->edu);
	return ret;
}

static __poll_t edu_poll(struct file *file, poll_table *table)
{
	struct edu_file *f = file->private_data;
	__poll_t events = EPOLLOUT | EPOLLWRNORM;

	if (!edu_enter(f->edu))
		return EPOLLHUP | EPOLLERR;
	/* The queue lasts as long as the file, which has a reference to what it is in. */
	poll_wait(file, &f->edu->answers, table);
	if (atomic64_read_acquire(&f->answer->value) >= 0)
		events |= EPOLLIN | EPOLLRDNORM;
	if (is_gone(f->edu))
		events = EPOLLHUP | EPOLLERR;
	edu_leave(f->edu);
	return events;
}

static long edu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct edu_file *f = file->private_data;
	struct edu *edu = f->edu;
	long ret = 0;

	if (!edu_enter(edu))
		return -ENODEV;
	switch (cmd) {
	case EDU_INTERRUPTS:
		ret = atomic64_read(&edu->interrupts);
		break;
	case EDU_STORM:
		if (arg > U32_MAX) {
			ret = -EINVAL;
			break;
		}
		atomic64_add(arg, &edu->storm);
		fallthrough;
	case EDU_RAISE:
		writel(RAISED, edu->regs + RAISE);
		break;
	default:
		ret = -ENOTTY;
	}
	edu_leave(edu);
	return ret;
}

static const struct file_operations edu_fops = {
	.owner = THIS_MODULE,
	.open = edu_open,
	.release = edu_release,
	.read_iter = edu_read_iter,
	.write_iter = edu_write_iter,
	.poll = edu_poll,
	.unlocked_ioctl = edu_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct edu *edu = kzalloc(sizeof(*edu), GFP_KERNEL);
	int err;

	if (!edu)
		return -ENOMEM;
	kref_init(&edu->refs);
	init_completion(&edu->idle);
	mutex_init(&edu->lock);
	INIT_LIST_HEAD(&edu->questions);
	init_waitqueue_head(&edu->done);
	init_waitqueue_head(&edu->answers);
	INIT_WORK(&edu->compute, edu_compute);
	tasklet_setup(&edu->bottom, edu_bottom);
	err = percpu_ref_init(&edu->users, edu_idle, 0, GFP_KERNEL);
	if (err) {
		kfree(edu);
		return err;
	}
	err = pcim_enable_device(pdev);
	if (err)
		goto put;
	pci_set_master(pdev);
	edu->regs = pcim_iomap(pdev, 0, 0x100);
	if (!edu->regs) {
		err = -ENOMEM;
		goto put;
	}
	err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_ALL_TYPES);
	if (err < 0)
		goto put;
	edu->irq = pci_irq_vector(pdev, 0);
	err = request_irq(edu->irq, edu_irq, IRQF_SHARED, "edu", edu);
	if (err)
		goto vectors;
	edu->misc.minor = MISC_DYNAMIC_MINOR;
	edu->misc.name = "edu";
	edu->misc.fops = &edu_fops;
	err = misc_register(&edu->misc);
	if (err)
		goto irq;
	pci_set_drvdata(pdev, edu);
	dev_info(&pdev->dev, "ready: write a number to /dev/edu, read its factorial\n");
	return 0;
irq:
	free_irq(edu->irq, edu);
	tasklet_kill(&edu->bottom);
vectors:
	pci_free_irq_vectors(pdev);
put:
	kref_put(&edu->refs, edu_free);
	return err;
}

static void edu_remove(struct pci_dev *pdev)
{
	struct edu *edu = pci_get_drvdata(pdev);
	struct question *q;

	writel(0, edu->regs + STATUS);
	/* Nobody comes in, and who sleeps is woken; then nobody is inside. */
	WRITE_ONCE(edu->gone, true);
	percpu_ref_kill(&edu->users);
	wake_up_all(&edu->answers);
	wake_up_all(&edu->done);
	misc_deregister(&edu->misc);
	wait_for_completion(&edu->idle);
	disable_work_sync(&edu->compute);
	/* The interrupt first: it schedules the tasklet, and the tasklet brings about the next one. */
	free_irq(edu->irq, edu);
	tasklet_kill(&edu->bottom);
	pci_free_irq_vectors(pdev);
	while ((q = next_question(edu)))
		question_free(q);
	kref_put(&edu->refs, edu_free);
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DEVICE_CLASS(0x00ff00, 0xffff00) },
	{ }
};
MODULE_DEVICE_TABLE(pci, edu_ids);

static struct pci_driver edu_driver = {
	.name = KBUILD_MODNAME,
	.id_table = edu_ids,
	.probe = edu_probe,
	.remove = edu_remove,
};
module_pci_driver(edu_driver);

MODULE_AUTHOR("The devscope authors");
MODULE_DESCRIPTION("QEMU's educational PCI device, in C");
MODULE_LICENSE("GPL");

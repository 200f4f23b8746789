// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The column C: what the kernel's interfaces cost a driver that uses them correctly, by hand.
 */

#include <linux/bug.h>
#include <linux/device/faux.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/percpu-refcount.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <drm/drm_drv.h>

#include "bench.h"

/* A row of operations, each followed by what brings things back to where they were. */
#define ROW(name, prepare, operation, settle, want)			\
do {									\
	u64 had = bench_runs();						\
	int i;								\
									\
	bench_begin(name);						\
	for (i = 0; i < BENCH_ROUNDS; i++) {				\
		u32 start, took;					\
									\
		bench_enter();						\
		prepare;						\
		start = bench_now();					\
		operation;						\
		took = bench_now() - start;				\
		bench_leave(took);					\
		settle;							\
		if (want)						\
			bench_await_runs(had + i + 1);			\
	}								\
	bench_end((want) ? BENCH_ROUNDS : 0, bench_runs() - had);	\
} while (0)

#define DISPATCH(name, kind, operation)					\
do {									\
	u64 had = bench_runs();						\
	int i;								\
									\
	bench_begin(name);						\
	for (i = 0; i < BENCH_ROUNDS; i++) {				\
		bench_dispatch_enter(kind);				\
		operation;						\
		bench_dispatch_leave(kind);				\
	}								\
	bench_end(BENCH_ROUNDS, bench_runs() - had);			\
} while (0)

/* Deferred work. */

struct deferred {
	struct tasklet_struct tasklet;
	struct timer_list timer;
	struct work_struct work;
};

static void tasklet_body(struct tasklet_struct *t)
{
	bench_ran();
}

static void timer_body(struct timer_list *t)
{
	bench_ran();
}

static void work_body(struct work_struct *work)
{
	bench_ran();
}

static noinline void deferred(struct deferred *d)
{
	tasklet_setup(&d->tasklet, tasklet_body);
	timer_setup(&d->timer, timer_body, 0);
	INIT_WORK(&d->work, work_body);

	ROW("nothing", , , bench_ran(), true);

	ROW("tasklet-schedule-idle", , tasklet_schedule(&d->tasklet), , true);
	ROW("tasklet-schedule-pending", tasklet_schedule(&d->tasklet),
	    tasklet_schedule(&d->tasklet), , true);
	DISPATCH("tasklet-dispatch", BENCH_TASKLET, tasklet_schedule(&d->tasklet));

	/* A timer that is taken back counts as one that ran. */
	ROW("timer-start-idle", , mod_timer(&d->timer, jiffies + 100),
	    timer_delete(&d->timer) ? bench_ran() : (void)0, true);
	ROW("timer-start-pending", mod_timer(&d->timer, jiffies + 200),
	    mod_timer(&d->timer, jiffies + 100),
	    timer_delete(&d->timer) ? bench_ran() : (void)0, true);
	DISPATCH("timer-dispatch", BENCH_TIMER, mod_timer(&d->timer, jiffies + 2));
	timer_shutdown_sync(&d->timer);
	ROW("timer-start-refused", , mod_timer(&d->timer, jiffies + 100), , false);

	ROW("work-schedule-idle", , queue_work(system_highpri_wq, &d->work), , true);
	ROW("work-schedule-pending", queue_work(system_highpri_wq, &d->work),
	    queue_work(system_highpri_wq, &d->work), , true);
	DISPATCH("work-dispatch", BENCH_WORK, queue_work(system_highpri_wq, &d->work));
	disable_work_sync(&d->work);
	ROW("work-schedule-refused", , queue_work(system_highpri_wq, &d->work), , false);

	tasklet_kill(&d->tasklet);
}

/* The interrupt of edu. */

#define INTERRUPT_STATUS	0x24
#define ACKNOWLEDGE		0x64

struct edu {
	u8 __iomem *regs;
	struct tasklet_struct tasklet;
};

static irqreturn_t edu_first(int irq, void *cookie)
{
	struct edu *e = cookie;

	bench_first();
	writel(readl(e->regs + INTERRUPT_STATUS), e->regs + ACKNOWLEDGE);
	bench_ran();
	return IRQ_HANDLED;
}

static irqreturn_t edu_irq(int irq, void *cookie)
{
	struct edu *e = cookie;
	u32 status = readl(e->regs + INTERRUPT_STATUS);

	if (!status)
		return IRQ_NONE;
	writel(status, e->regs + ACKNOWLEDGE);
	tasklet_schedule(&e->tasklet);
	return IRQ_HANDLED;
}

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct edu *e = devm_kzalloc(&pdev->dev, sizeof(*e), GFP_KERNEL);
	int irq, err;

	if (!e)
		return -ENOMEM;
	err = pcim_enable_device(pdev);
	if (err)
		return err;
	pci_set_master(pdev);
	e->regs = pcim_iomap(pdev, 0, 0);
	if (!e->regs)
		return -ENOMEM;
	err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_ALL_TYPES);
	if (err < 0)
		return err;
	irq = pci_irq_vector(pdev, 0);
	tasklet_setup(&e->tasklet, tasklet_body);

	err = request_irq(irq, edu_first, IRQF_SHARED, "bench_c", e);
	if (err)
		goto vectors;
	bench_edu_raise_to_first("irq-to-first-instruction");
	free_irq(irq, e);

	err = request_irq(irq, edu_irq, IRQF_SHARED, "bench_c", e);
	if (err)
		goto vectors;
	bench_edu_raise("irq-handler");
	free_irq(irq, e);
	tasklet_kill(&e->tasklet);
vectors:
	pci_free_irq_vectors(pdev);
	return err;
}

static void edu_remove(struct pci_dev *pdev)
{
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DEVICE_CLASS(0x00ff00, 0xffff00) },
	{ }
};

static struct pci_driver edu_driver = {
	.name = "bench_c",
	.id_table = edu_ids,
	.probe = edu_probe,
	.remove = edu_remove,
};

static void interrupts(void)
{
	int err = bench_edu_open();

	if (bench_failed("edu", err))
		return;
	err = pci_register_driver(&edu_driver);
	if (!bench_failed("pci_register_driver", err))
		pci_unregister_driver(&edu_driver);
	bench_edu_close();
}

/* A file operation, and what protects the device's data from going away meanwhile. */

static struct {
	struct rw_semaphore rwsem;
	bool gone;
	struct percpu_ref ref;
	struct completion idle;
	struct drm_device *drm;
} gate;

static DECLARE_WAIT_QUEUE_HEAD(waiters);

/* What the operation does. */
static long operation(unsigned int cmd)
{
	switch (cmd) {
	case BENCH_IOCTL:
		bench_ran();
		return 0;
	case BENCH_IOCTL_SLEEP:
		bench_asleep();
		wait_event(waiters, bench_awake());
		return 0;
	case BENCH_IOCTL_WAKE:
		wake_up_all(&waiters);
		return 0;
	}
	return -ENOTTY;
}

static long unprotected_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return operation(cmd);
}

static long rwsem_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	long ret = -ENODEV;

	down_read(&gate.rwsem);
	if (!gate.gone)
		ret = operation(cmd);
	up_read(&gate.rwsem);
	return ret;
}

static long percpu_ref_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	long ret;

	if (!percpu_ref_tryget_live(&gate.ref))
		return -ENODEV;
	ret = operation(cmd);
	percpu_ref_put(&gate.ref);
	return ret;
}

static long drm_ioctl_(struct file *file, unsigned int cmd, unsigned long arg)
{
	long ret;
	int idx;

	if (!drm_dev_enter(gate.drm, &idx))
		return -ENODEV;
	ret = operation(cmd);
	drm_dev_exit(idx);
	return ret;
}

static void ref_idle(struct percpu_ref *ref)
{
	complete(&gate.idle);
}

#define FOPS(which)							\
static const struct file_operations which##_fops = {			\
	.owner = THIS_MODULE,						\
	.unlocked_ioctl = which##_ioctl,				\
	.compat_ioctl = compat_ptr_ioctl,				\
}
#define drm_ioctl drm_ioctl_
FOPS(unprotected);
FOPS(rwsem);
FOPS(percpu_ref);
FOPS(drm);

static void node(const char *row, const struct file_operations *fops)
{
	struct miscdevice misc = {
		.minor = MISC_DYNAMIC_MINOR,
		.name = "bench_c",
		.fops = fops,
	};

	if (bench_failed("misc_register", misc_register(&misc)))
		return;
	bench_node(row, "/dev/bench_c");
	misc_deregister(&misc);
}

static const struct drm_driver drm_driver = {
	.name = "bench_c",
	.desc = "what drm_dev_enter() costs",
	.fops = &drm_fops,
};

static void drm_node(struct faux_device *parent)
{
	gate.drm = drm_dev_alloc(&drm_driver, &parent->dev);
	if (bench_failed("drm_dev_alloc", PTR_ERR_OR_ZERO(gate.drm)))
		return;
	node("ioctl-drm_dev_enter", &drm_fops);
	drm_dev_put(gate.drm);
}

static void nodes(void)
{
	struct faux_device *parent = faux_device_create("bench_c", NULL, NULL);

	if (bench_failed("faux_device_create", parent ? 0 : -ENODEV))
		return;
	init_rwsem(&gate.rwsem);
	init_completion(&gate.idle);
	if (bench_failed("percpu_ref_init",
			 percpu_ref_init(&gate.ref, ref_idle, 0, GFP_KERNEL)))
		goto destroy;
	node("ioctl-unprotected", &unprotected_fops);
	node("ioctl-rwsem", &rwsem_fops);
	node("ioctl-percpu_ref", &percpu_ref_fops);
	drm_node(parent);
	percpu_ref_kill(&gate.ref);
	wait_for_completion(&gate.idle);
	percpu_ref_exit(&gate.ref);
destroy:
	faux_device_destroy(parent);
}

/* Binding and unbinding with many registrations. */

static unsigned int registrations;

static void stop_work(void *data)
{
	disable_work_sync(data);
}

static int many_probe(struct faux_device *fdev)
{
	unsigned int i;

	for (i = 0; i < registrations; i++) {
		struct work_struct *work = devm_kzalloc(&fdev->dev, sizeof(*work), GFP_KERNEL);
		int err;

		if (!work)
			return -ENOMEM;
		INIT_WORK(work, work_body);
		err = devm_add_action_or_reset(&fdev->dev, stop_work, work);
		if (err)
			return err;
	}
	return 0;
}

static const struct faux_device_ops many_ops = {
	.probe = many_probe,
};

static void many(unsigned int how_many)
{
	struct faux_device *fdev;

	registrations = how_many;
	bench_span_begin();
	fdev = faux_device_create("bench_c", NULL, &many_ops);
	bench_span_end("bind-work", how_many);
	if (bench_failed("faux_device_create", fdev ? 0 : -ENODEV))
		return;
	bench_span_begin();
	faux_device_destroy(fdev);
	bench_span_end("unbind-work", how_many);

	bench_memory_begin();
	fdev = faux_device_create("bench_c", NULL, &many_ops);
	bench_memory_end("memory-work", how_many);
	if (fdev)
		faux_device_destroy(fdev);
}

/* A driver that waits for one grace period when it is unbound, and has nothing else to do. */

static int waits_probe(struct faux_device *fdev)
{
	return 0;
}

static void waits_remove(struct faux_device *fdev)
{
	synchronize_rcu();
}

static const struct faux_device_ops waits_ops = {
	.probe = waits_probe,
	.remove = waits_remove,
};

/* For comparison with many gates: the number says beside which row. */
static void one_grace_period(unsigned int beside)
{
	struct faux_device *fdev;

	bench_span_begin();
	fdev = faux_device_create("bench_c", NULL, &waits_ops);
	bench_span_end("bind-gate", beside);
	if (bench_failed("faux_device_create", fdev ? 0 : -ENODEV))
		return;
	bench_span_begin();
	faux_device_destroy(fdev);
	bench_span_end("unbind-gate", beside);
}

static int __init bench_init(void)
{
	static const unsigned int some[] = { 0, 1, 8, 64, 256 };
	struct deferred *d = kzalloc(sizeof(*d), GFP_KERNEL);
	int i;

	if (!d)
		return -ENOMEM;
	bench_column("c");
	deferred(d);
	kfree(d);
	interrupts();
	nodes();
	for (i = 0; i < ARRAY_SIZE(some); i++) {
		many(some[i]);
		one_grace_period(some[i]);
	}
	return 0;
}

static void __exit bench_exit(void)
{
}

module_init(bench_init);
module_exit(bench_exit);

MODULE_AUTHOR("The devscope authors");
MODULE_DESCRIPTION("What C costs");
MODULE_LICENSE("GPL");

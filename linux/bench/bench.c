// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The bench: see bench.h. What it finds it prints, one line for each row:
 *
 *	bench: column=c row=tasklet-schedule-idle rounds=100 min=61 median=61 max=61
 *
 * and a line with `error=` for what was not measured. cargo xtask bench linux reads them.
 */

#include <linux/bottom_half.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/pci.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/timer.h>
#include <linux/timex.h>
#include <linux/tracepoint.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "bench.h"

/* Exported, and declared in kernel/rcu/rcu.h only. */
unsigned long rcu_get_gp_seq(void);
unsigned long rcu_exp_batches_completed(void);

static const char *column;
static const char *row;
static u32 rounds;
static u64 samples[BENCH_ROUNDS];
/* For each CPU: a count that all share would be what two tasks contend for. */
static DEFINE_PER_CPU(u64, runs);

void bench_column(const char *name)
{
	column = name;
}

int bench_cpus(void)
{
	return num_online_cpus();
}

bool bench_failed(const char *what, int err)
{
	if (err)
		pr_info("bench: column=%s row=%s error=%s:%d\n", column, row ?: "none", what, err);
	return err;
}

void bench_begin(const char *name)
{
	row = name;
	rounds = 0;
}

void bench_enter(void)
{
	local_bh_disable();
	local_irq_disable();
}

void bench_sample(u64 took)
{
	if (rounds < BENCH_ROUNDS)
		samples[rounds] = took;
	rounds++;
}

void bench_leave(u32 took)
{
	bench_sample(took);
	local_irq_enable();
	local_bh_enable();
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

void bench_end(u64 want, u64 effects)
{
	if (rounds != BENCH_ROUNDS)
		bench_failed("rounds", rounds ?: -1);
	else if (want != effects)
		pr_info("bench: column=%s row=%s error=effects want=%llu got=%llu\n",
			column, row, want, effects);
	else {
		sort(samples, rounds, sizeof(*samples), compare, NULL);
		pr_info("bench: column=%s row=%s rounds=%u min=%llu median=%llu max=%llu effects=%llu\n",
			column, row, rounds, samples[0], samples[rounds / 2],
			samples[rounds - 1], effects);
	}
	row = NULL;
}

void bench_value(const char *name, const char *what, u64 value)
{
	pr_info("bench: column=%s row=%s %s=%llu\n", column, name, what, value);
}

void bench_ran(void)
{
	this_cpu_inc(runs);
}

u64 bench_runs(void)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(&runs, cpu));
	return sum;
}

void bench_await_runs(u64 want)
{
	int tries = 10000;

	while (bench_runs() < want && --tries)
		usleep_range(400, 500);
	/* What has run has also returned. */
	usleep_range(400, 500);
}

/*
 * Dispatch. Before the measured body in the queue there is one that notes when it ends, and after it
 * one that notes when it begins.
 */

static u32 before, after;
static bool passed[2];

static void first_tasklet(struct tasklet_struct *t)
{
	passed[0] = true;
	before = bench_now();
}

static void last_tasklet(struct tasklet_struct *t)
{
	after = bench_now();
	passed[1] = true;
}

static void first_timer(struct timer_list *t)
{
	first_tasklet(NULL);
}

static void last_timer(struct timer_list *t)
{
	last_tasklet(NULL);
}

static void first_work(struct work_struct *work)
{
	first_tasklet(NULL);
}

static void last_work(struct work_struct *work)
{
	last_tasklet(NULL);
}

static DECLARE_TASKLET(first_t, first_tasklet);
static DECLARE_TASKLET(last_t, last_tasklet);
static DEFINE_TIMER(first_l, first_timer);
static DEFINE_TIMER(last_l, last_timer);
static DECLARE_WORK(first_w, first_work);
static DECLARE_WORK(last_w, last_work);

void bench_dispatch_enter(enum bench_kind kind)
{
	passed[0] = passed[1] = false;
	bench_enter();
	switch (kind) {
	case BENCH_TASKLET:
		tasklet_schedule(&first_t);
		break;
	case BENCH_TIMER:
		/* Timers of one tick run last started first. */
		mod_timer(&last_l, jiffies + 2);
		break;
	case BENCH_WORK:
		queue_work(system_highpri_wq, &first_w);
		break;
	}
}

void bench_dispatch_leave(enum bench_kind kind)
{
	int tries = 10000;

	switch (kind) {
	case BENCH_TASKLET:
		tasklet_schedule(&last_t);
		break;
	case BENCH_TIMER:
		mod_timer(&first_l, jiffies + 2);
		break;
	case BENCH_WORK:
		queue_work(system_highpri_wq, &last_w);
		break;
	}
	local_irq_enable();
	local_bh_enable();
	while (!(READ_ONCE(passed[0]) && READ_ONCE(passed[1])) && --tries)
		usleep_range(400, 500);
	/* In this order, or the body between them was not measured. */
	bench_sample(tries && (s32)(after - before) > 0 ? after - before : 0);
}

/* Interrupts */

#define EDU_RAISE	0x60

u32 bench_first_at;
static struct pci_dev *edu;
static u8 __iomem *edu_regs;

int bench_edu_open(void)
{
	edu = pci_get_class(0x00ff00, NULL);
	if (!edu)
		return -ENODEV;
	edu_regs = ioremap(pci_resource_start(edu, 0), 0x100);
	if (!edu_regs) {
		pci_dev_put(edu);
		return -ENOMEM;
	}
	return 0;
}

void bench_edu_close(void)
{
	iounmap(edu_regs);
	pci_dev_put(edu);
}

static void raise(const char *name, bool to_first)
{
	u64 had = bench_runs();
	u32 start, end;
	int i;

	bench_begin(name);
	for (i = 0; i < BENCH_ROUNDS; i++) {
		local_bh_disable();
		start = bench_now();
		writel(0x100, edu_regs + EDU_RAISE);
		end = bench_now();
		bench_sample((to_first ? READ_ONCE(bench_first_at) : end) - start);
		local_bh_enable();
		bench_await_runs(had + i + 1);
	}
	bench_end(BENCH_ROUNDS, bench_runs() - had);
}

void bench_edu_raise(const char *name)
{
	raise(name, false);
}

void bench_edu_raise_to_first(const char *name)
{
	raise(name, true);
}

/* One operation of a program, as the kernel calls it. */

static bool awake;
static DECLARE_COMPLETION(asleep);

void bench_asleep(void)
{
	complete(&asleep);
}

bool bench_awake(void)
{
	return READ_ONCE(awake);
}

static struct task_struct *start_on(int (*what)(void *), void *of, int cpu)
{
	struct task_struct *task = kthread_create(what, of, "bench/%d", cpu);

	if (!IS_ERR(task)) {
		kthread_bind(task, cpu);
		get_task_struct(task);
		wake_up_process(task);
	}
	return task;
}

static int sleep_inside(void *data)
{
	struct file *file = data;

	return file->f_op->unlocked_ioctl(file, BENCH_IOCTL_SLEEP, 0);
}

static void count_ioctls(struct file *file, const char *name)
{
	u64 had = bench_runs();
	u32 start, took;
	int i;

	bench_begin(name);
	for (i = 0; i < BENCH_ROUNDS; i++) {
		local_irq_disable();
		start = bench_now();
		file->f_op->unlocked_ioctl(file, BENCH_IOCTL, 0);
		took = bench_now() - start;
		local_irq_enable();
		bench_sample(took);
	}
	bench_end(BENCH_ROUNDS, bench_runs() - had);
}

#define MANY 20000

struct runner {
	struct file *file;
	struct completion done;
	u64 ticks;
};

static int run_ioctls(void *data)
{
	struct runner *runner = data;
	u64 start = get_cycles();
	int i;

	for (i = 0; i < MANY; i++)
		runner->file->f_op->unlocked_ioctl(runner->file, BENCH_IOCTL, 0);
	runner->ticks = get_cycles() - start;
	complete(&runner->done);
	return 0;
}

/*
 * Ticks of the time-stamp counter for a thousand operations, of the slower task; the least of some tries.
 * The kernel does not trust that counter with two emulated CPUs, and its own clocks are coarse then. For a
 * ratio it is good enough: both CPUs read the host's.
 */
static void time_ioctls(struct file *file, const char *name, const char *what, int tasks)
{
	struct runner runners[2];
	u64 had = bench_runs(), least = U64_MAX;
	int i, try;

	for (try = 0; try < 10; try++) {
		struct task_struct *started[2];
		u64 most = 0;

		for (i = 0; i < tasks; i++) {
			runners[i].file = file;
			init_completion(&runners[i].done);
			started[i] = start_on(run_ioctls, &runners[i], i);
		}
		for (i = 0; i < tasks; i++) {
			wait_for_completion(&runners[i].done);
			kthread_stop_put(started[i]);
			most = max(most, runners[i].ticks);
		}
		least = min(least, most);
	}
	row = name;
	if (bench_runs() - had != 10 * MANY * tasks)
		bench_failed("effects", -1);
	else
		bench_value(name, what, least * 1000 / MANY);
	row = NULL;
}

void bench_node(const char *name, const char *path)
{
	struct file *file = filp_open(path, O_RDWR, 0);
	struct task_struct *sleeper;
	char slept[64];

	row = name;
	if (bench_failed(path, PTR_ERR_OR_ZERO(file)))
		return;
	count_ioctls(file, name);
	if (bench_cpus() > 1) {
		time_ioctls(file, name, "ticks-by-one", 1);
		time_ioctls(file, name, "ticks-by-two", 2);
	}

	snprintf(slept, sizeof(slept), "%s-beside-a-sleeper", name);
	WRITE_ONCE(awake, false);
	reinit_completion(&asleep);
	sleeper = start_on(sleep_inside, file, 0);
	/* Nobody sleeps where it is not allowed; -ENOTTY is the answer then. */
	if (wait_for_completion_timeout(&asleep, HZ)) {
		count_ioctls(file, slept);
	}
	WRITE_ONCE(awake, true);
	file->f_op->unlocked_ioctl(file, BENCH_IOCTL_WAKE, 0);
	kthread_stop_put(sleeper);
	fput(file);
}

/* Binding and unbinding */

static struct task_struct *watched;
static u64 allocations, bytes;
static u64 span_start, span_gps, span_exp;

static void saw_kmalloc(void *data, unsigned long site, const void *ptr, size_t req,
			size_t alloc, gfp_t flags, int node)
{
	if (current == watched) {
		allocations++;
		bytes += alloc;
	}
}

static void saw_percpu(void *data, unsigned long site, bool reserved, bool is_atomic, size_t size,
		       size_t align, void *base, int off, void __percpu *ptr, size_t alloc,
		       gfp_t flags)
{
	if (current == watched) {
		allocations++;
		bytes += size * num_possible_cpus();
	}
}

static struct tracepoint *kmalloc_point, *percpu_point;

static void find(struct tracepoint *point, void *unused)
{
	if (!strcmp(point->name, "kmalloc"))
		kmalloc_point = point;
	if (!strcmp(point->name, "percpu_alloc_percpu"))
		percpu_point = point;
}

/* Counts what this task allocates, from here to bench_memory_end(): not while time is measured. */
void bench_memory_begin(void)
{
	for_each_kernel_tracepoint(find, NULL);
	if (bench_failed("tracepoints", kmalloc_point && percpu_point ? 0 : -ENOENT))
		return;
	allocations = bytes = 0;
	tracepoint_probe_register(kmalloc_point, saw_kmalloc, NULL);
	tracepoint_probe_register(percpu_point, saw_percpu, NULL);
	watched = current;
}

void bench_memory_end(const char *name, unsigned int registrations)
{
	watched = NULL;
	tracepoint_probe_unregister(kmalloc_point, saw_kmalloc, NULL);
	tracepoint_probe_unregister(percpu_point, saw_percpu, NULL);
	tracepoint_synchronize_unregister();
	pr_info("bench: column=%s row=%s registrations=%u allocations=%llu bytes=%llu\n",
		column, name, registrations, allocations, bytes);
}

void bench_span_begin(void)
{
	/* Grace periods that others have asked for are over. */
	rcu_barrier();
	msleep(100);
	span_gps = rcu_get_gp_seq();
	span_exp = rcu_exp_batches_completed();
	span_start = get_cycles();
}

void bench_span_end(const char *name, unsigned int registrations)
{
	u64 took = get_cycles() - span_start;
	/* The lower bits say what the current one is doing. */
	u64 gps = (rcu_get_gp_seq() - span_gps) >> 2;
	u64 exp = (rcu_exp_batches_completed() - span_exp) >> 2;

	pr_info("bench: column=%s row=%s registrations=%u ticks=%llu grace-periods=%llu expedited=%llu\n",
		column, name, registrations, took, gps, exp);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the checks of hosted/fidelity need of Linux and Rust cannot name. The hosted kernel defines the
 * same symbols, in hosted/src/hosted/fidelity.rs.
 */

#include <linux/bottom_half.h>
#include <linux/cpumask.h>
#include <linux/interrupt.h>
#include <linux/irqflags.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>

void fidelity_keep_off(int cpu);
int fidelity_this_cpu(void);
void fidelity_signal(void *task);
void fidelity_local_bh_disable(void);
void fidelity_local_bh_enable(void);
void fidelity_local_irq_disable(void);
void fidelity_local_irq_enable(void);
bool fidelity_irqs_disabled(void);
void fidelity_tasklet_disable(struct tasklet_struct *t);
void fidelity_tasklet_enable(struct tasklet_struct *t);
void fidelity_tasklet_hi_schedule(struct tasklet_struct *t);

/* Takes the calling task off this CPU, or lets it run anywhere again (-1). */
void fidelity_keep_off(int cpu)
{
	struct cpumask mask;

	cpumask_copy(&mask, cpu_online_mask);
	if (cpu >= 0 && cpumask_weight(&mask) > 1)
		cpumask_clear_cpu(cpu, &mask);
	set_cpus_allowed_ptr(current, &mask);
}

int fidelity_this_cpu(void)
{
	return raw_smp_processor_id();
}

/* Sends a signal that a program can have a handler for. */
void fidelity_signal(void *task)
{
	send_sig(SIGUSR1, task, 0);
}

void fidelity_local_bh_disable(void)
{
	local_bh_disable();
}

void fidelity_local_bh_enable(void)
{
	local_bh_enable();
}

void fidelity_local_irq_disable(void)
{
	local_irq_disable();
}

void fidelity_local_irq_enable(void)
{
	local_irq_enable();
}

bool fidelity_irqs_disabled(void)
{
	return irqs_disabled();
}

void fidelity_tasklet_disable(struct tasklet_struct *t)
{
	tasklet_disable(t);
}

void fidelity_tasklet_enable(struct tasklet_struct *t)
{
	tasklet_enable(t);
}

void fidelity_tasklet_hi_schedule(struct tasklet_struct *t)
{
	tasklet_hi_schedule(t);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What devscope needs of Linux and Rust cannot name: static inline functions. Linked into the same
 * module as devscope, so nothing is exported. `src/helpers.rs` declares them.
 */

#include <linux/bitops.h>
#include <linux/cpumask.h>
#include <linux/hardirq.h>
#include <linux/interrupt.h>
#include <linux/percpu-refcount.h>
#include <linux/preempt.h>
#include <linux/types.h>

bool devscope_tasklet_schedule(struct tasklet_struct *t);
bool devscope_percpu_ref_tryget_live(struct percpu_ref *ref);
void devscope_percpu_ref_put(struct percpu_ref *ref);
bool devscope_in_atomic_context(void);
int devscope_irq_set_affinity_and_hint(unsigned int irq, const struct cpumask *m);
int devscope_irq_update_affinity_hint(unsigned int irq, const struct cpumask *m);

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

int devscope_irq_set_affinity_and_hint(unsigned int irq, const struct cpumask *m)
{
	return irq_set_affinity_and_hint(irq, m);
}

int devscope_irq_update_affinity_hint(unsigned int irq, const struct cpumask *m)
{
	return irq_update_affinity_hint(irq, m);
}

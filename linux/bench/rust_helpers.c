// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* What the column Linux's Rust needs of C and `kernel` does not have. */

#include <linux/interrupt.h>

void bench_tasklet_schedule(struct tasklet_struct *t);

void bench_tasklet_schedule(struct tasklet_struct *t)
{
	tasklet_schedule(t);
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the three columns of `cargo xtask bench linux` measure with: C, Linux's Rust (rust.rs) and
 * devscope (devscope.rs). bench.c is linked into each; measure.rs declares it for Rust.
 *
 * A row is one operation, done ROUNDS times, one at a time:
 *
 *	bench_begin("tasklet-schedule-idle");
 *	for each round {
 *		prepare, not measured
 *		bench_enter();
 *		start = bench_now(); operation; took = bench_now() - start;
 *		bench_leave(took);
 *	}
 *	bench_end(how often it should have had an effect, how often it had);
 *
 * Under `-icount shift=0` the time-stamp counter counts instructions. Between the two readings are
 * the operation, one move, and the second reading; the row "nothing" says how many that is.
 */
#ifndef BENCH_H
#define BENCH_H

#include <linux/types.h>

#define BENCH_ROUNDS 100

/* The lower half of the time-stamp counter. Nothing is moved across it. */
static __always_inline u32 bench_now(void)
{
	u32 low;

	asm volatile("rdtsc" : "=a"(low) : : "edx", "memory");
	return low;
}

void bench_column(const char *name);
/* How many CPUs there are. One: instructions are counted. More: time passes. */
int bench_cpus(void);
bool bench_failed(const char *what, int err);

void bench_begin(const char *row);
/* Softirqs and interrupts off, as in an interrupt handler; and on again, with what was scheduled. */
void bench_enter(void);
void bench_leave(u32 took);
void bench_sample(u64 took);
void bench_end(u64 want, u64 effects);
/* A number that is not measured by rounds. */
void bench_value(const char *row, const char *what, u64 value);

/* Called by every body: that it ran, and when. */
void bench_ran(void);
u64 bench_runs(void);
/* Waits, for some seconds at most, until so many bodies have run. */
void bench_await_runs(u64 runs);

/* What stands before and after the measured body in the kernel's queues, and notes the time. */
enum bench_kind { BENCH_TASKLET, BENCH_TIMER, BENCH_WORK };
void bench_dispatch_enter(enum bench_kind kind);
void bench_dispatch_leave(enum bench_kind kind);

/* QEMU's edu device, from outside its driver. The handler is done when raising has returned. */
int bench_edu_open(void);
void bench_edu_close(void);
/* Measures an interrupt from raising it to going on after it. Runs are counted by bench_ran(). */
void bench_edu_raise(const char *row);
/* The same, to where the handler says bench_first(). */
void bench_edu_raise_to_first(const char *row);
extern u32 bench_first_at;
static __always_inline void bench_first(void)
{
	bench_first_at = bench_now();
}

/* One ioctl on a node, from opening it to closing it; with more CPUs, by one and by two tasks. */
#define BENCH_IOCTL 0
#define BENCH_IOCTL_SLEEP 1
#define BENCH_IOCTL_WAKE 2
void bench_node(const char *row, const char *path);
/* Where sleeping is allowed: BENCH_IOCTL_SLEEP says bench_asleep() and sleeps until bench_awake(). */
void bench_asleep(void);
bool bench_awake(void);

/* Binding or unbinding with so many registrations: ticks of the time-stamp counter and grace periods, or memory. */
void bench_memory_begin(void);
void bench_memory_end(const char *row, unsigned int registrations);
void bench_span_begin(void);
void bench_span_end(const char *row, unsigned int registrations);

#endif

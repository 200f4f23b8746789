// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Which mistake the teardown of this module makes: a number of src/mutants.rs. Linked only into the
 * modules that are built to be wrong.
 */

#include <linux/moduleparam.h>

extern int devscope_mutant;
module_param_named(mutant, devscope_mutant, int, 0444);
MODULE_PARM_DESC(mutant, "the mistake in teardown, as numbered in src/mutants.rs; 0 is none");

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Case 1 with its cure by hand. */
#define CURED
#include "case1.c"

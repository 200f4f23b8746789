// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Case 2 with its cure by hand. */
#define CURED
#include "case2.c"

// SPDX-License-Identifier: GPL-2.0
/* A data race, to see that it is seen. */
#include <linux/compiler.h>

#include "pins.h"

static unsigned long raced;

/**
 * pintest_race - count without a lock, for a while
 *
 * Two callers at once are a data race, of which KCSAN has to know.
 */
noinline void pintest_race(void)
{
	for (unsigned int i = 0; i < 100000; i++) {
		raced++;
		barrier();
	}
}

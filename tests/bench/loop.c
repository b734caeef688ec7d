// SPDX-License-Identifier: GPL-2.0
/*
 * How exact the counting is: loops of known length, without system calls.
 * Each turn is two instructions.
 */
#include "bench.h"

static uint64_t turns(uint64_t n)
{
	uint64_t begin = now();

	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(n) : : "cc");
	return now() - begin;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? number(argv[1]) : 101;

	for (int i = 0; i < rounds; i++) {
		sample(turns(1), "loop/1");
		sample(turns(1000), "loop/1000");
		sample(turns(100000), "loop/100000");
		sample(turns(10000000), "loop/10000000");
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/* Numbers by chance, the same ones for the same seed. */
#include "fuzz.h"

static uint64_t state;

void seed(uint64_t number)
{
	state = (number + 1) * 0x9e3779b97f4a7c15UL | 1;
	for (int i = 0; i < 8; i++)
		rnd(0);
}

uint64_t rnd(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below ? (state >> 11) % below : state;
}

bool chance(unsigned int one_in)
{
	return !rnd(one_in);
}

/* One that somebody might have forgotten to look at. */
int32_t some_number(void)
{
	switch (rnd(5)) {
	case 0: return 0;
	case 1: return -1;
	case 2: return 1U << rnd(32);
	case 3: return rnd(64);
	default: return rnd(0);
	}
}

/* Mostly one that is in small files, too. */
uint64_t some_page(void)
{
	return rnd((chance(8) ? FILE_SIZE : SMALL_SIZE) / PAGE);
}

/* Of a whole file. */
size_t some_size(void)
{
	return chance(12) ? FILE_SIZE : SMALL_SIZE;
}

/* A place in a file: mostly within, mostly where a page begins. */
uint64_t some_offset(void)
{
	switch (rnd(12)) {
	case 0: return rnd(some_size());
	case 1: return 1ULL << rnd(64);
	case 2: return INT64_MAX - rnd(2 * PAGE);
	case 3: return rnd(3) * some_size() / 2;
	case 4: return 0;
	default: return some_page() * PAGE;
	}
}

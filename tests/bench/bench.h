/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For the programs of scripts/bench.  They run in a guest whose time stamp
 * counter counts instructions, and print one line for each round:
 * 'NAME VALUE'.  scripts/bench-table makes the table.
 */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include <linux/longterm.h>

#define KIB		1024ul
#define MIB		(1024 * KIB)
#define PAGE		4096ul
#define HUGE_PAGE	(2 * MIB)

static inline void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *format, ...)
{
	int err = errno;
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, args);
	fprintf(stderr, " (errno: %s)\n", strerror(err));
	exit(EXIT_FAILURE);
}

/* Instructions since boot. */
static inline uint64_t now(void)
{
	return __rdtsc();
}

/*
 * Nothing is written while something is measured: who carries the output away
 * would run, and interrupt, in the midst of it.
 */
static inline void __attribute__((constructor)) buffer_output(void)
{
	static char buffer[MIB];

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
}

static inline void __attribute__((format(printf, 2, 3)))
sample(uint64_t value, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf(" %llu\n", (unsigned long long)value);
}

/*
 * What runs from here to count_end() is counted by function, if QEMU has our
 * plugin (plugin/count.c); else these are two no-ops.
 */
static inline void __attribute__((format(printf, 1, 2)))
count_begin(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("#count ");
	vprintf(format, args);
	va_end(args);
	printf("\n");
	__asm__ volatile("nopl 0x12345678(%%rax)" : : : "memory");
}

static inline void count_end(void)
{
	__asm__ volatile("nopl 0x13345678(%%rax)" : : : "memory");
}

static inline unsigned long number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (!*text || *end)
		die("'%s' is no number", text);
	return n;
}

#endif /* BENCH_H */

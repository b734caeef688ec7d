/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the module has on record: a measurement of pins that are not there, or
 * that are not what one thinks, is worth nothing.
 */
#ifndef BENCH_LEDGER_H
#define BENCH_LEDGER_H

#include "bench.h"

#include <sys/stat.h>

#define HOLDERS		"/proc/fs/longterm/holders"
#define STAT		"/proc/fs/longterm/stat"
#define INSTANCE	"/sys/kernel/tracing/instances/bench"
#define SETTLE_MS	10000

/* Which word of the header @name is, or -1. */
static inline int column(const char *header, const char *name)
{
	char *copy = strdup(header), *word, *rest = copy;
	int i = 0, found = -1;

	for (word = strtok_r(copy, "# \n", &rest); word;
	     word = strtok_r(NULL, "# \n", &rest), i++)
		if (!strcmp(word, name))
			found = i;
	free(copy);
	return found;
}

struct pinned {
	unsigned long lines;
	unsigned long long bytes;
};

/* All pins on record; of one inode, unless @ino is 0. */
static inline struct pinned pins_on_record(ino_t ino)
{
	struct pinned sum = { 0 };
	int what, ino_at, bytes;
	char line[8192];
	FILE *f = fopen(HOLDERS, "re");

	if (!f || !fgets(line, sizeof(line), f))
		die(HOLDERS);
	what = column(line, "what");
	ino_at = column(line, "ino");
	bytes = column(line, "bytes");
	if (what < 0 || ino_at < 0 || bytes < 0)
		die(HOLDERS ": not the header that we know: %s", line);
	while (fgets(line, sizeof(line), f)) {
		unsigned long long its_ino = 0, its_bytes = 0;
		char *word, *rest = line;
		bool pin = false;
		int i = 0;

		for (word = strtok_r(line, " \n", &rest); word;
		     word = strtok_r(NULL, " \n", &rest), i++) {
			if (i == what)
				pin = !strcmp(word, "pin");
			else if (i == ino_at)
				its_ino = strtoull(word, NULL, 10);
			else if (i == bytes)
				its_bytes = strtoull(word, NULL, 10);
		}
		if (!pin || (ino && its_ino != ino))
			continue;
		sum.lines++;
		sum.bytes += its_bytes;
	}
	fclose(f);
	return sum;
}

/* One of the module's counters. */
static inline long long counter(const char *name)
{
	char line[256], found[64];
	long long value;
	FILE *f = fopen(STAT, "re");

	if (!f)
		die(STAT);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %lld", found, &value) != 2 ||
		    strcmp(found, name))
			continue;
		fclose(f);
		return value;
	}
	die(STAT ": no %s", name);
}

/*
 * Until so many records are left.  The guest's clock leaps over idle time:
 * this costs nothing.
 */
static inline void settled_to(long long records)
{
	for (int i = 0; i < SETTLE_MS; i++) {
		if (counter("records") == records)
			return;
		usleep(1000);
	}
	die("%lld records stay, not %lld", counter("records"), records);
}

static inline void settled(void)
{
	settled_to(0);
}

/* While what is measured runs: the module's events, in an instance of ours. */
static inline void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s", path);
	close(fd);
}

static inline void watch(bool on)
{
	mkdir(INSTANCE, 0700);
	if (on)
		write_to(INSTANCE "/trace", "\n");
	write_to(INSTANCE "/events/longterm/pin/enable", on ? "1" : "0");
}

/* The bytes of all pins seen since watch(true). */
static inline unsigned long long watched(ino_t ino)
{
	FILE *f = fopen(INSTANCE "/trace", "re");
	unsigned long long bytes = 0;
	char line[1024];

	if (!f)
		die(INSTANCE "/trace");
	while (fgets(line, sizeof(line), f)) {
		const char *event = strstr(line, ": pin: dev=");
		unsigned long long its_ino;
		long long start, end;
		int result;

		if (!event ||
		    sscanf(event, ": pin: dev=%*[0-9:] ino=%llu start=%lld end=%lld pid=%*d result=%d",
			   &its_ino, &start, &end, &result) != 4)
			continue;
		if (its_ino == ino && !result)
			bytes += end - start;
	}
	fclose(f);
	return bytes;
}

#endif /* BENCH_LEDGER_H */

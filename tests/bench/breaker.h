/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process that takes blocks away from files when it is told to, and says when
 * it began and when that was done.
 */
#ifndef BENCH_BREAKER_H
#define BENCH_BREAKER_H

#include "bench.h"

#include <sys/wait.h>

/* In the place of a size: the file is only opened for writing. */
#define ONLY_OPEN	-1

struct order {
	char path[64];
	off_t size;
};

struct span {
	uint64_t begin;
	uint64_t end;
};

static struct {
	pid_t pid;
	int to;
	int from;
} breaker;

static inline struct span obey(const struct order *order)
{
	struct span span = { .begin = now() };
	int rc;

	if (order->size == ONLY_OPEN)
		rc = open(order->path, O_WRONLY | O_CLOEXEC);
	else
		rc = truncate(order->path, order->size);
	span.end = now();
	if (rc < 0)
		die("%s", order->path);
	if (order->size == ONLY_OPEN)
		close(rc);
	return span;
}

/* Before there is anything that the breaker's process must not have, too. */
static inline void start_breaker(void)
{
	int to[2], from[2];
	struct order order;

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		die("pipe");
	breaker.pid = fork();
	if (breaker.pid < 0)
		die("fork");
	if (breaker.pid) {
		close(to[0]);
		close(from[1]);
		breaker.to = to[1];
		breaker.from = from[0];
		return;
	}
	close(to[1]);
	while (read(to[0], &order, sizeof(order)) == sizeof(order)) {
		struct span span = obey(&order);

		if (write(from[1], &span, sizeof(span)) != sizeof(span))
			die("pipe");
	}
	/* What is in our copy of the output buffer is the parent's to write. */
	_exit(0);
}

static inline void order(const char *path, off_t size)
{
	struct order order = { .size = size };

	strcpy(order.path, path);
	if (write(breaker.to, &order, sizeof(order)) != sizeof(order))
		die("pipe");
}

static inline struct span done(void)
{
	struct span span;

	if (read(breaker.from, &span, sizeof(span)) != sizeof(span))
		die("the breaker has failed");
	return span;
}

static inline void end_breaker(void)
{
	close(breaker.to);
	waitpid(breaker.pid, NULL, 0);
}

#endif /* BENCH_BREAKER_H */

// SPDX-License-Identifier: GPL-2.0
/* What a process has at hand: descriptors, mappings, rings, handlers of signals. */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <linux/longterm.h>

#include "../ring.h"
#include "fuzz.h"

int files[NR_OPEN], leases[NR_OPEN], rings[NR_RINGS], device = -1, zeroes = -1;
struct map maps[NR_MAPS];
volatile bool noticed;

unsigned long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000UL + t.tv_nsec / 1000000;
}

/* Mostly one of the pool, now and then whatever there is. */
int some_fd(const int *pool, size_t n)
{
	switch (rnd(24)) {
	case 0: return chance(8) ? -1 : 3 + (int)rnd(80);	/* not the output */
	case 1: return files[rnd(NR_OPEN)];
	case 2: return leases[rnd(NR_OPEN)];
	}
	/* The second choice makes up for places that are free. */
	for (int i = 0; i < 3; i++) {
		int fd = pool[rnd(n)];

		if (fd >= 0)
			return fd;
	}
	return -1;
}

/* A new descriptor takes the place of another one. */
long keep(int *pool, size_t n, long fd)
{
	if (fd >= 0) {
		int i = rnd(n);

		if (pool[i] >= 0)
			close(pool[i]);
		pool[i] = fd;
	}
	return fd;
}

struct map *some_map(void)
{
	struct map *map = &maps[rnd(NR_MAPS)];

	return map->addr ? map : &maps[rnd(NR_MAPS)];
}

char *some_path(void)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/f%d", dir, (int)rnd(NR_FILES));
	return path;
}

/* It must not be the number of something else when it is used. */
void new_ring(int i)
{
	if (rings[i] >= 0)
		close(rings[i]);
	rings[i] = ring_new();
}

static void on_notice(int sig)
{
	(void)sig;
	noticed = true;
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void handle(int sig, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	sigaction(sig, &action, NULL);
}

/* What waits is interrupted again and again. */
int interrupt_every(long us)
{
	struct itimerval t = { .it_interval = { .tv_usec = us }, .it_value = { .tv_usec = us } };

	return setitimer(ITIMER_REAL, &t, NULL);
}

/* For a process that has nothing yet. */
void begin_process(void)
{
	int i;

	handle(SIGIO, on_notice);
	handle(SIGBUS, on_notice);
	handle(SIGUSR1, on_notice);
	handle(SIGALRM, on_alarm);
	signal(SIGPIPE, SIG_IGN);
	interrupt_every(100000);
	device = open(LONGTERM_DEVICE, O_RDWR | O_CLOEXEC);
	zeroes = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (device < 0 || zeroes < 0)
		err(1, "%s", device < 0 ? LONGTERM_DEVICE : "/dev/zero");
	for (i = 0; i < NR_RINGS; i++) {
		rings[i] = -1;
		new_ring(i);
	}
	for (i = 0; i < NR_OPEN; i++) {
		leases[i] = -1;
		files[i] = open(some_path(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
		if (files[i] >= 0 && lseek(files[i], 0, SEEK_END) < (off_t)SMALL_SIZE)
			(void)!fallocate(files[i], 0, 0, some_size());
	}
	for (i = 0; i < NR_MAPS; i++) {
		size_t size = some_size();
		void *addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
				  files[i % NR_OPEN], 0);

		maps[i] = (struct map){ 0 };
		if (addr != MAP_FAILED)
			maps[i] = (struct map){ addr, size };
	}
}

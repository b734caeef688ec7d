// SPDX-License-Identifier: GPL-2.0
/*
 * uringfixed [--lease] [--rounds N] BUFFER DATA
 *
 * A registered buffer in the mapping of the file BUFFER ("-": in anonymous
 * memory).  A round writes a slot of it to the file DATA, reads that back into
 * another slot, and compares; with a file also what read(2) says is in it.
 *
 * --lease: takes F_LONGTERM, and when told unregisters, waits for the end of the
 * break, and goes on with the file as it is then, until SIGTERM.  Says
 * "registered BYTES" each time.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <liburing.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/longterm.h>

#define SLOT	(32u << 10)
#define DEPTH	8u
#define ANY	(2 * DEPTH * SLOT)	/* of anonymous memory */

static struct io_uring ring;
static char *map;
static size_t length;
static unsigned int slots;	/* even: the upper half is read into */
static int buffer = -1, data;
static volatile sig_atomic_t told, ended;

static void on_signal(int sig)
{
	if (sig == SIGIO)
		told = 1;
	else
		ended = 1;
}

static void catch(int sig)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	if (sigaction(sig, &action, NULL))
		err(2, "sigaction");
}

static void take_lease(void)
{
	if (fcntl(buffer, F_SETLEASE, F_LONGTERM))
		err(2, "F_SETLEASE");
}

/* Two slots at least, or the end. */
static void map_and_register(void)
{
	struct stat st = { .st_size = ANY };
	struct iovec iov;
	int ret;

	if (buffer >= 0 && fstat(buffer, &st))
		err(2, "fstat");
	slots = st.st_size / SLOT & ~1u;
	length = (size_t)slots * SLOT;
	if (!slots)
		errx(2, "%lld bytes are too few", (long long)st.st_size);
	map = mmap(NULL, length, PROT_READ | PROT_WRITE,
		   buffer < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, buffer, 0);
	if (map == MAP_FAILED)
		err(2, "mmap");
	iov = (struct iovec){ .iov_base = map, .iov_len = length };
	ret = io_uring_register_buffers(&ring, &iov, 1);
	if (ret)
		errx(2, "register: %s", strerror(-ret));
}

static void unregister(void)
{
	int ret = io_uring_unregister_buffers(&ring);

	if (ret)
		errx(2, "unregister: %s", strerror(-ret));
	if (munmap(map, length))
		err(2, "munmap");
}

static void say_registered(void)
{
	printf("registered %zu\n", length);
	fflush(stdout);
}

/* All of it is done, and no more is under way. */
static void run(unsigned int n)
{
	struct io_uring_cqe *cqe;
	int ret = io_uring_submit(&ring);

	if (ret != (int)n)
		errx(2, "submit: %d", ret);
	while (n--) {
		do
			ret = io_uring_wait_cqe(&ring, &cqe);
		while (ret == -EINTR);
		if (ret)
			errx(2, "wait: %s", strerror(-ret));
		if (cqe->res != (int)SLOT)
			errx(1, "%llu: %d, not %u", (unsigned long long)cqe->user_data,
			     cqe->res, SLOT);
		io_uring_cqe_seen(&ring, cqe);
	}
}

static void fill(char *slot, unsigned long round, unsigned int i)
{
	unsigned long *word = (unsigned long *)slot;

	for (unsigned int w = 0; w < SLOT / sizeof(*word); w++)
		word[w] = (round * DEPTH + i + 1) * 0x9e3779b97f4a7c15ul + w;
}

static void compare(const char *want, const char *got, const char *what)
{
	if (memcmp(want, got, SLOT))
		errx(1, "%s differs", what);
}

/* DEPTH writes at once, then as many reads.  Returns the bytes compared. */
static unsigned long one_round(unsigned long round)
{
	static char look[SLOT];
	unsigned int half = slots / 2, n = half < DEPTH ? half : DEPTH;
	unsigned int first = round * n % (half - n + 1);
	char *from = map + (size_t)first * SLOT, *to = from + (size_t)half * SLOT;

	for (unsigned int i = 0; i < n; i++) {
		fill(from + i * SLOT, round, i);
		io_uring_prep_write_fixed(io_uring_get_sqe(&ring), data,
					  from + i * SLOT, SLOT, i * SLOT, 0);
	}
	run(n);
	for (unsigned int i = 0; i < n; i++)
		io_uring_prep_read_fixed(io_uring_get_sqe(&ring), data,
					 to + i * SLOT, SLOT, i * SLOT, 0);
	run(n);
	for (unsigned int i = 0; i < n; i++) {
		compare(from + i * SLOT, to + i * SLOT, "what was read");
		if (pread(data, look, SLOT, i * SLOT) != SLOT)
			err(2, "pread");
		compare(from + i * SLOT, look, "what was written");
		if (buffer < 0)
			continue;
		if (pread(buffer, look, SLOT, to + i * SLOT - map) != SLOT)
			err(2, "pread");
		compare(from + i * SLOT, look, "what is in the file");
	}
	return (unsigned long)n * SLOT;
}

static unsigned long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ul + now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "lease", no_argument, NULL, 'l' },
		{ "rounds", required_argument, NULL, 'r' },
		{ }
	};
	unsigned long rounds = 1, round, bytes = 0, us = 0, began;
	bool lease = false;
	int c, ret;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'l')
			lease = true;
		else if (c == 'r')
			rounds = strtoul(optarg, NULL, 0);
		else
			exit(2);
	}
	if (optind != argc - 2)
		errx(2, "usage: uringfixed [--lease] [--rounds N] BUFFER|- DATA");
	if (strcmp(argv[optind], "-")) {
		buffer = open(argv[optind], O_RDWR);
		if (buffer < 0)
			err(2, "%s", argv[optind]);
	}
	data = open(argv[optind + 1], O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (data < 0)
		err(2, "%s", argv[optind + 1]);
	catch(SIGIO);
	catch(SIGTERM);
	if (lease)
		take_lease();
	ret = io_uring_queue_init(DEPTH, &ring, 0);
	if (ret)
		errx(2, "io_uring: %s", strerror(-ret));
	map_and_register();
	if (lease)
		say_registered();
	for (round = 0; lease ? !ended : round < rounds; round++) {
		began = now_us();
		bytes += one_round(round);
		us += now_us() - began;
		if (!told)
			continue;
		told = 0;
		unregister();
		/* Waits until the file has its new layout. */
		take_lease();
		map_and_register();
		say_registered();
	}
	unregister();
	io_uring_queue_exit(&ring);
	printf("rounds %lu bytes %lu us %lu\n", round, bytes, us);
	return 0;
}

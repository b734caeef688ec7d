/* SPDX-License-Identifier: GPL-2.0 */
/* How holders of leases hear of a break: by a signal, or by a lease fd. */
#ifndef BENCH_NOTICE_H
#define BENCH_NOTICE_H

#include "bench.h"

#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

#define NOTICE_SECONDS	20

/* @signal is to wait until somebody asks for it. */
static inline sigset_t held_back(int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return set;
}

/* Returns when the signal was there. */
static inline uint64_t signalled(const sigset_t *set, siginfo_t *info)
{
	const struct timespec limit = { .tv_sec = NOTICE_SECONDS };
	int rc = sigtimedwait(set, info, &limit);
	uint64_t at = now();

	if (rc < 0)
		die("no signal");
	return at;
}

/* Takes those that nobody waits for any more. */
static inline void forget_signals(const sigset_t *set)
{
	const struct timespec no_time = { 0 };

	while (sigtimedwait(set, NULL, &no_time) > 0)
		;
}

/* A lease on @length bytes of a file from @start on, as a file descriptor. */
static inline int lease_fd(int fd, off_t start, size_t length)
{
	struct longterm_ioc_lease lease = {
		.size = sizeof(lease),
		.fd = fd,
		.flags = LONGTERM_LEASE_NONBLOCK,
		.start = start,
		.length = length,
	};
	int device = open(LONGTERM_DEVICE, O_RDWR | O_CLOEXEC), got;

	if (device < 0)
		die(LONGTERM_DEVICE);
	got = ioctl(device, LONGTERM_IOC_LEASE, &lease);
	if (got < 0)
		die("LONGTERM_IOC_LEASE");
	close(device);
	return got;
}

static inline void watch_fd(int epoll, int fd, uint32_t number)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = number };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		die("EPOLL_CTL_ADD");
}

/* Returns how many of @events there are. */
static inline int awaited(int epoll, struct epoll_event *events, int room)
{
	int n = epoll_wait(epoll, events, room, NOTICE_SECONDS * 1000);

	if (n <= 0)
		die("no event");
	return n;
}

/* All that it has to say; the first is to be the begin of a break. */
static inline void hear(int fd)
{
	struct longterm_event event;

	if (read(fd, &event, sizeof(event)) != sizeof(event) ||
	    event.type != LONGTERM_EVENT_BREAK)
		die("no break is what woke us");
}

/* What is left to read from the last round. */
static inline void forget_events(int fd)
{
	struct longterm_event event;

	while (read(fd, &event, sizeof(event)) > 0)
		;
	if (errno != EAGAIN)
		die("read from a lease fd");
}

#endif /* BENCH_NOTICE_H */

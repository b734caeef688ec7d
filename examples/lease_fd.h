/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A lease fd in C: take it, ask how it stands, read its events one by one.
 */
#ifndef LEASE_FD_H
#define LEASE_FD_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/longterm.h>

/*
 * A lease on a range of an open file (length 0: to the end and beyond), as a
 * descriptor whose read() does not wait; -1 with errno set.  Taking it waits,
 * where a layout change is under way: for a period of lease-break-time or two.
 * ENOENT: this kernel has no lease fds.
 */
static int lease_take(int file, uint64_t start, uint64_t length, uint32_t flags)
{
	struct longterm_ioc_lease arg = {
		.size = sizeof(arg),
		.flags = flags,
		.fd = file,
		.start = start,
		.length = length,
	};
	int device = open(LONGTERM_DEVICE, O_RDWR | O_CLOEXEC);
	int lease, err;

	if (device < 0)
		return -1;
	do
		lease = ioctl(device, LONGTERM_IOC_LEASE, &arg);
	while (lease < 0 && errno == EINTR);
	err = errno;
	close(device);
	errno = err;
	if (lease >= 0)
		fcntl(lease, F_SETFL, O_NONBLOCK);
	return lease;
}

/* Is a break under way, whether or not its event has been read? */
static bool lease_is_breaking(int lease)
{
	struct longterm_ioc_info info = { .size = sizeof(info), .fd = -1 };

	return !ioctl(lease, LONGTERM_IOC_INFO, &info) &&
	       info.state == LONGTERM_BREAKING;
}

/* What one read() gave.  Zeroed at first. */
struct lease_events {
	size_t at;
	size_t len;
	_Alignas(8) char bytes[1024];
};

/*
 * The next event, or NULL with errno set: EAGAIN if there is none now, 0 if the
 * lease was revoked and has nothing more to say.
 */
static struct longterm_event *lease_next(int lease, struct lease_events *events)
{
	struct longterm_event *event;

	if (events->at == events->len) {
		ssize_t n;

		do
			n = read(lease, events->bytes, sizeof(events->bytes));
		while (n < 0 && errno == EINTR);
		if (n <= 0) {
			if (!n)
				errno = 0;
			return NULL;
		}
		events->at = 0;
		events->len = n;
	}
	event = (struct longterm_event *)(events->bytes + events->at);
	/* Later kernels may have larger ones. */
	events->at += event->size;
	return event;
}

#endif

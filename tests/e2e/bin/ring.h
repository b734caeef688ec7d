/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A long-term pin without a library: a fixed buffer of io_uring.  Works where
 * there is no liburing, as for 32-bit programs.
 */
#ifndef RING_H
#define RING_H

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* A ring that is there for its buffers only; -1 with errno set. */
static inline int ring_new(void)
{
	struct io_uring_params params = { 0 };

	return syscall(__NR_io_uring_setup, 4, &params);
}

static inline int ring_pin(int ring, void *start, size_t length)
{
	struct iovec buffer = { .iov_base = start, .iov_len = length };

	return syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS,
		       &buffer, 1);
}

static inline int ring_unpin(int ring)
{
	return syscall(__NR_io_uring_register, ring, IORING_UNREGISTER_BUFFERS,
		       NULL, 0);
}

#endif

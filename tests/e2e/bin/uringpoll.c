// SPDX-License-Identifier: GPL-2.0
/*
 * uringpoll PID FD once|multi
 *
 * Polls a descriptor of another process by io_uring.  Says "waits", and then
 * what there is, a line for each completion; once: for one.
 */
#define _GNU_SOURCE
#include <err.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void say(int number)
{
	printf("%d\n", number);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	int pidfd, fd, ret, multi;

	if (argc != 4)
		errx(2, "usage: uringpoll PID FD once|multi");
	multi = !strcmp(argv[3], "multi");
	pidfd = syscall(SYS_pidfd_open, atoi(argv[1]), 0);
	if (pidfd < 0)
		err(2, "pidfd_open");
	fd = syscall(SYS_pidfd_getfd, pidfd, atoi(argv[2]), 0);
	if (fd < 0)
		err(2, "pidfd_getfd");

	ret = io_uring_queue_init(4, &ring, 0);
	if (ret)
		errx(2, "io_uring: %s", strerror(-ret));
	sqe = io_uring_get_sqe(&ring);
	if (multi)
		io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	else
		io_uring_prep_poll_add(sqe, fd, POLLIN);
	ret = io_uring_submit(&ring);
	if (ret != 1)
		errx(2, "submit: %d", ret);
	puts("waits");
	fflush(stdout);
	do {
		ret = io_uring_wait_cqe(&ring, &cqe);
		if (ret)
			errx(2, "wait: %s", strerror(-ret));
		say(cqe->res);
		ret = cqe->flags & IORING_CQE_F_MORE;
		io_uring_cqe_seen(&ring, cqe);
	} while (multi && ret);
	io_uring_queue_exit(&ring);
	return 0;
}

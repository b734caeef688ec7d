// SPDX-License-Identifier: GPL-2.0
/*
 * uringop FILE ftruncate SIZE
 * uringop FILE fallocate MODE OFFSET LENGTH
 *
 * The same as the system call, but by io_uring: its worker thread is the
 * breaker then.  Prints the errno, or 0.  SIGUSR1 cancels it.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPERATION	1
#define CANCEL		2

static void on_signal(int sig)
{
	(void)sig;
}

static void submit(struct io_uring *ring, struct io_uring_sqe *sqe, int what)
{
	int ret;

	io_uring_sqe_set_data64(sqe, what);
	ret = io_uring_submit(ring);
	if (ret != 1)
		errx(2, "submit: %d", ret);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	int fd, ret;

	if (argc < 4)
		errx(2, "usage: uringop FILE ftruncate SIZE | FILE fallocate MODE OFFSET LENGTH");
	fd = open(argv[1], O_RDWR);
	if (fd < 0)
		err(2, "%s", argv[1]);
	ret = io_uring_queue_init(4, &ring, 0);
	if (ret)
		errx(2, "io_uring: %s", strerror(-ret));
	sqe = io_uring_get_sqe(&ring);
	if (argc == 4 && !strcmp(argv[2], "ftruncate"))
		io_uring_prep_ftruncate(sqe, fd, atoll(argv[3]));
	else if (argc == 6 && !strcmp(argv[2], "fallocate"))
		io_uring_prep_fallocate(sqe, fd, atoi(argv[3]), atoll(argv[4]), atoll(argv[5]));
	else
		errx(2, "no operation %s", argv[2]);
	sigaction(SIGUSR1, &action, NULL);
	submit(&ring, sqe, OPERATION);
	for (;;) {
		ret = io_uring_wait_cqe(&ring, &cqe);
		if (ret == -EINTR) {
			sqe = io_uring_get_sqe(&ring);
			io_uring_prep_cancel64(sqe, OPERATION, 0);
			submit(&ring, sqe, CANCEL);
			continue;
		}
		if (ret)
			errx(2, "wait: %s", strerror(-ret));
		if (io_uring_cqe_get_data64(cqe) == OPERATION)
			break;
		io_uring_cqe_seen(&ring, cqe);
	}
	printf("%d\n", -cqe->res);
	io_uring_cqe_seen(&ring, cqe);
	io_uring_queue_exit(&ring);
	return 0;
}

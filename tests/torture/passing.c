// SPDX-License-Identifier: GPL-2.0
/* Descriptors that go from holder to holder, and keep alive what they stand for. */
#include "torture.h"

#include <sys/socket.h>

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static struct msghdr message(struct iovec *iov, union control *control)
{
	return (struct msghdr) {
		.msg_iov = iov,
		.msg_iovlen = 1,
		.msg_control = control->bytes,
		.msg_controllen = sizeof(control->bytes),
	};
}

void send_fd(int fd)
{
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	union control control = { };
	struct msghdr msg = message(&iov, &control);
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	/* Where nobody has taken the others there is no room. */
	if (sendmsg(shared->parked[0], &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		count(FD_SENT);
}

/* The next one that is on its way; -1: there is none. */
int receive_fd(void)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	union control control = { };
	struct msghdr msg = message(&iov, &control);
	struct cmsghdr *c;
	int fd;

	if (recvmsg(shared->parked[1], &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1)
		return -1;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	count(FD_RECEIVED);
	return fd;
}

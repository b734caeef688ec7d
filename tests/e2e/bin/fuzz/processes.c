// SPDX-License-Identifier: GPL-2.0
/* Processes: forks, signals, descriptors passed on, and time. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define MAX_CHILDREN	2

static int children;

/* A child that goes on with all that its parent has. */
static long fork_one(void)
{
	uint64_t its = rnd(0), calls = 4 + rnd(40);
	pid_t parent = getpid(), child;

	if (children == MAX_CHILDREN) {
		errno = EAGAIN;
		return -1;
	}
	child = fork();
	if (child) {
		children += child > 0;
		return child;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || !enter())
		_exit(0);
	/* Which fork() leaves behind. */
	interrupt_every(100000);
	seed(its);
	children = MAX_CHILDREN;
	while (calls-- && step(fuzzing, weights(fuzzing)))
		;
	_exit(0);
}

static long reap(void)
{
	pid_t child = waitpid(-1, NULL, rnd(4) ? WNOHANG : 0);

	if (child > 0) {
		leave(child);
		children--;
	}
	return child;
}

/* To one of the others, who may be of another user namespace. */
static long send_signal(void)
{
	static const int signals[] = { SIGIO, SIGUSR1, SIGUSR1, SIGALRM, 0, 0, 0, SIGBUS };
	pid_t pid = somebody();

	if (!pid)
		return -1;
	return kill(pid, chance(100) ? SIGKILL : signals[rnd(8)]);
}

static long mask_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	if (rnd(2))
		sigaddset(&set, SIGIO);
	if (rnd(2))
		sigaddset(&set, SIGBUS);
	/* Never SIGALRM, which ends what waits. */
	return sigprocmask(rnd(3) ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

static void on_signal(int sig)
{
	(void)sig;
	noticed = true;
}

static long act_on_signal(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	if (chance(3))
		action.sa_handler = rnd(2) ? SIG_IGN : SIG_DFL;
	if (rnd(2))
		action.sa_flags |= SA_RESTART;
	/* The default of SIGIO is death, too. */
	if (rnd(2) && action.sa_handler != SIG_DFL)
		return sigaction(SIGIO, &action, NULL);
	return sigaction(SIGBUS, &action, NULL);
}

/* How often what waits is interrupted. */
static long set_timer(void)
{
	static const long us[] = { 10000, 100000, 400000, 900000 };

	return interrupt_every(us[rnd(4)]);
}

static void *sleep_on(void *nothing)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (;;)
		pause();
	return nothing;
}

/* With it the process may wait for pins of its own to go. */
static long start_thread(void)
{
	static bool there;
	pthread_t thread;
	int error = there ? EAGAIN : pthread_create(&thread, NULL, sleep_on, NULL);

	if (error) {
		errno = error;
		return -1;
	}
	there = true;
	return 0;
}

static long pass_on(void)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int fd = leases[rnd(NR_OPEN)];

	if (chance(3))
		fd = files[rnd(NR_OPEN)];
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	return sendmsg(sockets[0], &message, MSG_DONTWAIT);
}

static long get_passed(void)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	int fd;

	if (recvmsg(sockets[1], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return -1;
	header = CMSG_FIRSTHDR(&message);
	if (!header) {
		errno = EBADF;
		return -1;
	}
	memcpy(&fd, CMSG_DATA(header), sizeof(int));
	return keep(rnd(3) ? leases : files, NR_OPEN, fd);
}

/* Long enough now and then for a whole ladder to go by. */
static long nap(void)
{
	return poll(NULL, 0, chance(4) ? 350 : rnd(40));
}

const struct kind process_kinds[] = {
	{ "fork", 1, fork_one },
	{ "wait", 1, reap },
	{ "kill", 5, send_signal },
	{ "sigmask", 6, mask_signals },
	{ "sigaction", 6, act_on_signal },
	{ "timer", 2, set_timer },
	{ "thread", 1, start_thread },
	{ "send", 6, pass_on },
	{ "receive", 6, get_passed },
	{ "nap", 1, nap },
	{ 0 }
};

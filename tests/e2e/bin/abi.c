// SPDX-License-Identifier: GPL-2.0
/*
 * abi reacts|deaf FILE
 *
 * Goes through both kinds of leases as one process, with children that break
 * them, and checks and prints each thing that the kernel says.  It is compiled
 * for 64 and for 32 bits (as abi32), and both have to print the same.  The range
 * lies beyond what 32 bits can count.
 *
 * reacts: a fcntl lease and a lease fd whose holder lets go, and an adopted one.
 * deaf: one whose holder waits for SIGBUS; it comes after a period.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../examples/lease_fd.h"
#include "ring.h"

#define AT(type, field, offset) \
	_Static_assert(offsetof(struct longterm_##type, field) == (offset), \
		       #type "." #field)
#define SIZE(type, size) \
	_Static_assert(sizeof(struct longterm_##type) == (size), #type)

SIZE(ioc_lease, 32);
AT(ioc_lease, size, 0);
AT(ioc_lease, flags, 4);
AT(ioc_lease, fd, 8);
AT(ioc_lease, reserved, 12);
AT(ioc_lease, start, 16);
AT(ioc_lease, length, 24);

SIZE(ioc_break, 32);
AT(ioc_break, size, 0);
AT(ioc_break, flags, 4);
AT(ioc_break, fd, 8);
AT(ioc_break, reserved, 12);
AT(ioc_break, start, 16);
AT(ioc_break, length, 24);

SIZE(ioc_adopt, 8);
AT(ioc_adopt, size, 0);
AT(ioc_adopt, flags, 4);

SIZE(ioc_info, 88);
AT(ioc_info, size, 0);
AT(ioc_info, flags, 4);
AT(ioc_info, fd, 8);
AT(ioc_info, state, 12);
AT(ioc_info, kind, 16);
AT(ioc_info, holders, 20);
AT(ioc_info, generation, 24);
AT(ioc_info, start, 32);
AT(ioc_info, end, 40);
AT(ioc_info, break_start, 48);
AT(ioc_info, break_end, 56);
AT(ioc_info, pinned, 64);
AT(ioc_info, deadline, 72);
AT(ioc_info, left, 80);

SIZE(event, 56);
AT(event, size, 0);
AT(event, type, 4);
AT(event, flags, 8);
AT(event, reserved, 12);
AT(event, generation, 16);
AT(event, start, 24);
AT(event, end, 32);
AT(event, deadline, 40);
AT(event, pinned, 48);

#define MIB		(1UL << 20)
#define START		(5ULL << 30)
#define LENGTH		(2 * MIB)
#define PINNED		(64UL << 10)

static int device, file, ring;
static char *map;

/* What the kernel has said. */
static void is(const char *what, uint64_t got, uint64_t want)
{
	if (got != want)
		errx(1, "%s: %#llx, not %#llx", what, (unsigned long long)got,
		     (unsigned long long)want);
	printf("%s: %#llx\n", what, (unsigned long long)got);
}

/* How a call has ended: 0 or an errno. */
static void ends(const char *what, int ret, int want)
{
	is(what, ret < 0 ? errno : 0, want);
}

static uint64_t now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000ULL + at.tv_nsec;
}

static void pin(void)
{
	ends("pin", ring_pin(ring, map, PINNED), 0);
}

static void unpin(void)
{
	ends("unpin", ring_unpin(ring), 0);
}

static int punch(void)
{
	return fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, START, PINNED);
}

static int rehearse(void)
{
	struct longterm_ioc_break arg = {
		.size = sizeof(arg), .fd = file, .start = START, .length = PINNED
	};

	return ioctl(device, LONGTERM_IOC_BREAK, &arg);
}

static pid_t in_a_child(int (*call)(void))
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		/* Whoever waits for our output is not to wait for it. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(call() < 0 ? errno : 0);
	}
	return child;
}

static void child_ends(const char *what, pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
		errx(1, "%s: the child was killed", what);
	is(what, WEXITSTATUS(status), 0);
}

static struct longterm_ioc_info look(int on, int of)
{
	struct longterm_ioc_info info = { .size = sizeof(info), .fd = of };

	ends("INFO", ioctl(on, LONGTERM_IOC_INFO, &info), 0);
	is("its size", info.size, sizeof(info));
	return info;
}

/* The time is that of one period or less, the range that of the break. */
static void breaking(const struct longterm_ioc_info *info)
{
	is("state", info->state, LONGTERM_BREAKING);
	is("has the range in it", info->break_start <= START &&
	   info->break_end >= START + PINNED && info->break_end < 2 * START, 1);
	is("has time left", info->left > 0 && info->deadline > now() - info->left, 1);
	is("bytes pinned", info->pinned, PINNED);
}

static void by_fcntl(void)
{
	struct longterm_ioc_info info;
	siginfo_t signal;
	sigset_t notice;
	pid_t child;

	sigemptyset(&notice);
	sigaddset(&notice, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &notice, NULL);
	ends("F_SETSIG", fcntl(file, F_SETSIG, SIGRTMIN), 0);
	ends("F_UNBREAKABLE alone", fcntl(file, F_SETLEASE, F_UNBREAKABLE), EINVAL);
	ends("F_SETLEASE", fcntl(file, F_SETLEASE, F_LONGTERM), 0);
	is("F_GETLEASE", fcntl(file, F_GETLEASE), F_LONGTERM);
	pin();
	ends("F_UNLCK", fcntl(file, F_SETLEASE, F_UNLCK), EBUSY);
	child = in_a_child(punch);
	is("notice", sigwaitinfo(&notice, &signal), SIGRTMIN);
	is("si_fd", signal.si_fd, file);
	is("F_GETLEASE", fcntl(file, F_GETLEASE), F_UNLCK);
	info = look(device, file);
	breaking(&info);
	is("start", info.start, 0);
	is("end", info.end, LONGTERM_EOF);
	unpin();
	ends("F_SETLEASE", fcntl(file, F_SETLEASE, F_LONGTERM), 0);
	child_ends("punch", child);
	is("generation", look(device, file).generation, 1);
	ends("F_UNLCK", fcntl(file, F_SETLEASE, F_UNLCK), 0);
	ends("INFO", ioctl(device, LONGTERM_IOC_INFO,
			   &(struct longterm_ioc_info) { .size = sizeof(info), .fd = file }),
	     ENOENT);
}

static int lease;

static int adopt(void)
{
	struct longterm_ioc_adopt arg = { .size = sizeof(arg) };

	return ioctl(lease, LONGTERM_IOC_ADOPT, &arg);
}

static int adopt_and_pin(void)
{
	struct longterm_ioc_info info;

	if (adopt())
		return -1;
	pin();
	info = look(lease, -1);
	is("holders", info.holders, 2);
	is("bytes pinned", info.pinned, PINNED);
	unpin();
	fflush(stdout);
	return 0;
}

static void take(void)
{
	struct longterm_ioc_info info;

	lease = lease_take(file, START, LENGTH, 0);
	ends("LEASE", lease, 0);
	info = look(lease, -1);
	is("state", info.state, LONGTERM_HELD);
	is("start", info.start, START);
	is("end", info.end, START + LENGTH);
}

static struct longterm_event *next(struct lease_events *events, uint32_t type)
{
	struct longterm_event *event = lease_next(lease, events);

	if (!event)
		err(1, "no event of type %u", type);
	is("event", event->type, type);
	is("its size", event->size, sizeof(*event));
	is("has the range in it", event->start <= START &&
	   event->end >= START + PINNED && event->end < 2 * START, 1);
	return event;
}

static void by_fd(void)
{
	struct epoll_event ready, wanted = { .events = EPOLLIN, .data.u64 = START };
	struct longterm_ioc_info info;
	struct lease_events events = { 0 };
	struct longterm_event *event;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	pid_t child;

	take();
	ends("EPOLL_CTL_ADD", epoll_ctl(epoll, EPOLL_CTL_ADD, lease, &wanted), 0);
	ends("read", read(lease, events.bytes, sizeof(events.bytes)), EAGAIN);
	pin();
	child = in_a_child(rehearse);
	is("epoll", epoll_wait(epoll, &ready, 1, -1), 1);
	is("for", ready.data.u64, START);
	event = next(&events, LONGTERM_EVENT_BREAK);
	info = look(lease, -1);
	breaking(&info);
	is("has its deadline", event->deadline == info.deadline, 1);
	unpin();
	child_ends("BREAK", child);
	is("epoll", epoll_wait(epoll, &ready, 1, -1), 1);
	event = next(&events, LONGTERM_EVENT_END);
	is("generation", event->generation, 0);
	is("is breaking", lease_is_breaking(lease), 0);
	child_ends("adopted", in_a_child(adopt_and_pin));
	is("close", close(lease), 0);
}

static void deaf(void)
{
	struct lease_events events = { 0 };
	struct pollfd poll_fd;
	siginfo_t signal;
	sigset_t stop;
	pid_t child;

	sigemptyset(&stop);
	sigaddset(&stop, SIGBUS);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	take();
	pin();
	child = in_a_child(punch);
	is("SIGBUS", sigwaitinfo(&stop, &signal), SIGBUS);
	is("si_code", signal.si_code, BUS_ADRERR);
	is("si_addr less the pin's", (char *)signal.si_addr - map, 0);
	unpin();
	child_ends("punch", child);
	poll_fd = (struct pollfd) { .fd = lease, .events = POLLIN };
	is("poll", poll(&poll_fd, 1, -1), 1);
	is("says", poll_fd.revents, POLLIN | POLLHUP);
	next(&events, LONGTERM_EVENT_BREAK);
	next(&events, LONGTERM_EVENT_REVOKED);
	is("generation", next(&events, LONGTERM_EVENT_END)->generation, 1);
	is("more", !lease_next(lease, &events) && !errno, 1);
	is("state", look(lease, -1).state, LONGTERM_REVOKED);
	ends("ADOPT", adopt(), ESTALE);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: abi reacts|deaf FILE");
	device = open(LONGTERM_DEVICE, O_RDWR | O_CLOEXEC);
	if (device < 0)
		err(1, LONGTERM_DEVICE);
	file = open(argv[2], O_RDWR);
	if (file < 0 || fallocate(file, 0, START, LENGTH))
		err(1, "%s", argv[2]);
	map = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, file, START);
	if (map == MAP_FAILED)
		err(1, "mmap");
	ring = ring_new();
	if (ring < 0)
		err(1, "io_uring");
	if (!strcmp(argv[1], "deaf")) {
		deaf();
		return 0;
	}
	by_fcntl();
	by_fd();
	return 0;
}

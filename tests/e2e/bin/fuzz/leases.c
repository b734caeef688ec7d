// SPDX-License-Identifier: GPL-2.0
/* Leases of both doors: fcntl, the device, lease fds. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/longterm.h>

#include "fuzz.h"

static long set_lease(void)
{
	int fd = some_fd(files, NR_OPEN);

	switch (rnd(16)) {
	case 0: return fcntl(fd, F_SETLEASE, some_number());
	case 1: return fcntl(fd, F_SETLEASE, rnd(2) ? F_RDLCK : F_WRLCK);
	case 2: case 3: return fcntl(fd, F_SETLEASE, F_LONGTERM | F_UNBREAKABLE);
	case 4: case 5: case 6: case 7: return fcntl(fd, F_SETLEASE, F_UNLCK);
	default: return fcntl(fd, F_SETLEASE, F_LONGTERM);
	}
}

static long get_lease(void)
{
	return fcntl(some_fd(files, NR_OPEN), F_GETLEASE);
}

/* Not one that stops: nobody would let it go on, and its call would take for ever. */
static int some_signal(void)
{
	int sig = some_number();

	return sig >= SIGSTOP && sig <= SIGTTOU ? SIGIO : sig;
}

static long own(void)
{
	int fd = rnd(2) ? some_fd(files, NR_OPEN) : some_fd(leases, NR_OPEN);
	struct f_owner_ex ex = { .type = rnd(4), .pid = rnd(3) ? getpid() : some_number() };

	switch (rnd(3)) {
	case 0: return fcntl(fd, F_SETOWN, rnd(4) ? getpid() : some_number());
	case 1: return fcntl(fd, F_SETSIG, rnd(4) ? (rnd(2) ? SIGIO : 0) : some_signal());
	default: return fcntl(fd, F_SETOWN_EX, &ex);
	}
}

static long set_flags(void)
{
	int fd = rnd(3) ? some_fd(files, NR_OPEN) : some_fd(leases, NR_OPEN);

	return fcntl(fd, F_SETFL, (rnd(3) ? O_NONBLOCK : 0) | (rnd(3) ? 0 : O_ASYNC));
}

/* A structure for the device, mostly of the right size, mostly in readable memory. */
static char buffer[2 * PAGE] __attribute__((aligned(PAGE)));

static void *placed(const void *from, size_t size)
{
	/* At the end, where there is nothing behind it but what is no structure. */
	char *at = buffer + sizeof(buffer) - size - 8 * rnd(4);

	if (chance(40))
		return (void *)(uintptr_t)rnd(0);
	memset(buffer, chance(20) ? 0x55 : 0, sizeof(buffer));
	memcpy(at, from, size);
	return at;
}

static uint32_t some_bytes(uint32_t right)
{
	return chance(16) ? (rnd(2) ? right + rnd(64) : (uint32_t)some_number()) : right;
}

static uint64_t some_length(void)
{
	switch (rnd(4)) {
	case 0: return 0;
	case 1: return some_offset();
	default: return (1 + rnd(64)) * PAGE;
	}
}

static long take(void)
{
	struct longterm_ioc_lease arg = {
		.size = some_bytes(sizeof(arg)),
		.flags = chance(20) ? (uint32_t)some_number() : rnd(4) | LONGTERM_LEASE_NONBLOCK,
		.fd = some_fd(files, NR_OPEN),
		.reserved = chance(40) ? rnd(0) : 0,
		.start = rnd(2) ? some_offset() : 0,
		.length = some_length(),
	};

	if (!rnd(4))
		arg.flags &= ~LONGTERM_LEASE_UNBREAKABLE;
	return keep(leases, NR_OPEN, ioctl(device, LONGTERM_IOC_LEASE, placed(&arg, sizeof(arg))));
}

static long inform(void)
{
	struct longterm_ioc_info arg = { .size = some_bytes(sizeof(arg)), .fd = -1 };
	int fd = some_fd(leases, NR_OPEN);

	if (rnd(2)) {
		arg.fd = some_fd(files, NR_OPEN);
		fd = device;
	}
	if (chance(30))
		arg.flags = some_number();
	return ioctl(fd, LONGTERM_IOC_INFO, placed(&arg, sizeof(arg)));
}

static long rehearse(void)
{
	struct longterm_ioc_break arg = {
		.size = some_bytes(sizeof(arg)),
		.flags = chance(30) ? some_number() : 0,
		.fd = some_fd(files, NR_OPEN),
		.start = rnd(2) ? some_offset() : 0,
		.length = some_length(),
	};

	return ioctl(device, LONGTERM_IOC_BREAK, placed(&arg, sizeof(arg)));
}

static long adopt(void)
{
	struct longterm_ioc_adopt arg = {
		.size = some_bytes(sizeof(arg)), .flags = chance(20) ? some_number() : 0,
	};

	return ioctl(some_fd(leases, NR_OPEN), LONGTERM_IOC_ADOPT, placed(&arg, sizeof(arg)));
}

static long unknown(void)
{
	int fd = rnd(2) ? device : leases[rnd(NR_OPEN)];

	return ioctl(fd, _IOC(rnd(4), LONGTERM_IOC_TYPE, 4 + rnd(252), rnd(64)),
		     rnd(2) ? buffer : (void *)(uintptr_t)rnd(0));
}

/* What would wait is interrupted: read() itself is what is to be seen waiting. */
static long read_events(void)
{
	int fd = leases[rnd(NR_OPEN)];

	return read(fd, chance(16) ? (void *)(uintptr_t)rnd(0) : buffer, 64 * rnd(20));
}

static long poll_lease(void)
{
	struct pollfd p = { .fd = some_fd(leases, NR_OPEN), .events = POLLIN };

	return poll(&p, 1, chance(20) ? 20 : 0);
}

const struct kind lease_kinds[] = {
	{ "setlease", 40, set_lease },
	{ "getlease", 16, get_lease },
	{ "setown", 12, own },
	{ "setfl", 12, set_flags },
	{ "lease", 20, take },
	{ "info", 16, inform },
	{ "break", 12, rehearse },
	{ "adopt", 12, adopt },
	{ "unknown", 4, unknown },
	{ "read", 12, read_events },
	{ "poll", 12, poll_lease },
	{ 0 }
};

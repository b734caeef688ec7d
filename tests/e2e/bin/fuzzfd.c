// SPDX-License-Identifier: GPL-2.0
/*
 * fuzzfd DIR CALLS [SEED]
 *
 * Asks /dev/longterm and lease fds for random things about files in DIR, a
 * part of them well-formed, from several processes at once, which pin, take
 * away, adopt, read, poll, duplicate and close meanwhile.  Prints the seed, and
 * how often each call ended how.  Fails where one ends in an undocumented way.
 * What it asks of the module's settings: short steps (fs.longterm.break_time=0).
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/longterm.h>

#include "ring.h"

#define PROCESSES	4
#define FILES		3
#define FILE_SIZE	(4UL << 20)
#define PAGE		4096UL
#define FDS		24
#define MAX_ERRNO	140

enum { LEASE, INFO, BREAK, ADOPT, UNKNOWN, READ, NR_CALLS };

static const char *const names[NR_CALLS] = {
	"LEASE", "INFO", "BREAK", "ADOPT", "unknown", "read"
};

/* What each may end with besides 0; the ends as on a descriptor of another kind. */
static const int may[NR_CALLS][24] = {
	[LEASE] = { E2BIG, EACCES, EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EMFILE,
		    ENFILE, ENOLCK, ENOMEM, EOPNOTSUPP, ENOTTY },
	[INFO] = { E2BIG, EBADF, EFAULT, EINVAL, ENOENT, ENOTTY },
	[BREAK] = { E2BIG, EAGAIN, EBADF, EDEADLK, EFAULT, EINTR, EINVAL, ENOMEM,
		    EOPNOTSUPP, EPERM, ETXTBSY, ENOTTY },
	[ADOPT] = { E2BIG, EFAULT, EINVAL, ENOLCK, ENOMEM, ESTALE, EBADF, ENOTTY },
	[UNKNOWN] = { ENOTTY, EBADF, EFAULT, EINVAL },
	[READ] = { EAGAIN, EFAULT, EINTR, EINVAL, EBADF, EISDIR },
};

static uint64_t state;
static unsigned long ended[NR_CALLS][MAX_ERRNO];
static int device, files[FILES], fds[FDS];
static char *maps[FILES], *memory;
static int ring;
static bool pinned;

static uint64_t rnd(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below ? (state >> 11) % below : state;
}

static uint64_t odd_number(void)
{
	switch (rnd(6)) {
	case 0: return rnd(FILE_SIZE);
	case 1: return rnd(FILE_SIZE / PAGE) * PAGE;
	case 2: return 1ULL << rnd(64);
	case 3: return LONGTERM_EOF - rnd(3);
	case 4: return rnd(0);
	default: return 0;
	}
}

/* A descriptor: mostly one that makes sense. */
static int some_fd(void)
{
	switch (rnd(8)) {
	case 0: return fds[rnd(FDS)];
	case 1: return (int)rnd(64) - 2;
	case 2: return device;
	default: return files[rnd(FILES)];
	}
}

static uint32_t some_size(uint32_t right)
{
	switch (rnd(10)) {
	case 0: return rnd(0);
	case 1: return rnd(right);
	case 2: return right + rnd(64);
	case 3: return rnd(2 * PAGE);
	default: return right;
	}
}

static uint32_t some_flags(uint32_t known)
{
	return rnd(8) ? rnd(0) & known : rnd(0);
}

/* Where the structure is: at the end of what can be read, sometimes beyond. */
static void *place(size_t size)
{
	switch (rnd(30)) {
	case 0: return NULL;
	case 1: return memory + 2 * PAGE - rnd(size ? size : 1);
	case 2: return (void *)(uintptr_t)(rnd(0) & ~7UL);
	default: return memory + 2 * PAGE - size;
	}
}

static void note(int call, long ret)
{
	int error = ret < 0 ? errno : 0;
	size_t i;

	ended[call][error]++;
	if (!error)
		return;
	for (i = 0; i < sizeof(may[0]) / sizeof(may[0][0]); i++)
		if (may[call][i] == error)
			return;
	errx(1, "%s ended with %s", names[call], strerrorname_np(error));
}

static void keep(int fd)
{
	int slot = rnd(FDS);

	close(fds[slot]);
	fds[slot] = fd;
}

static void ask(void)
{
	static const unsigned long requests[] = {
		LONGTERM_IOC_LEASE, LONGTERM_IOC_INFO, LONGTERM_IOC_BREAK,
		LONGTERM_IOC_ADOPT
	};
	union {
		struct longterm_ioc_lease lease;
		struct longterm_ioc_info info;
		struct longterm_ioc_break brk;
		struct longterm_ioc_adopt adopt;
		char bytes[2 * PAGE];
	} arg;
	int call = rnd(5), fd = rnd(12) ? device : some_fd();
	unsigned long request = call < UNKNOWN ? requests[call] : rnd(4) ?
		LONGTERM_IOC_LEASE + rnd(256) : rnd(1ULL << 32);
	size_t size;
	char *where;
	long ret;

	memset(&arg, 0, sizeof(arg));
	switch (call) {
	case LEASE:
		arg.lease.size = some_size(sizeof(arg.lease));
		arg.lease.flags = some_flags(3);
		arg.lease.fd = some_fd();
		arg.lease.reserved = rnd(20) ? 0 : rnd(0);
		arg.lease.start = odd_number();
		arg.lease.length = odd_number();
		break;
	case INFO:
		arg.info.size = some_size(sizeof(arg.info));
		arg.info.flags = some_flags(0);
		arg.info.fd = some_fd();
		if (rnd(2)) {
			fd = fds[rnd(FDS)];
			arg.info.fd = -1;
		}
		break;
	case BREAK:
		arg.brk.size = some_size(sizeof(arg.brk));
		arg.brk.flags = some_flags(0);
		arg.brk.fd = some_fd();
		arg.brk.start = odd_number();
		arg.brk.length = odd_number();
		break;
	default:
		arg.adopt.size = some_size(sizeof(arg.adopt));
		arg.adopt.flags = some_flags(0);
		fd = fds[rnd(FDS)];
		/* Terminals and block devices have nothing to fear here. */
		if (request >= LONGTERM_IOC_LEASE && request <= LONGTERM_IOC_ADOPT)
			call = request - LONGTERM_IOC_LEASE;
		break;
	}
	size = arg.lease.size < 2 * PAGE ? arg.lease.size : 2 * PAGE;
	if (size < 4)
		size = 4;
	if (!rnd(20))
		arg.bytes[rnd(size)] = rnd(256);
	where = place(size);
	if (where >= memory && where <= memory + 2 * PAGE - size)
		memcpy(where, &arg, size);
	/* Files have ioctls of their own, which are not meant. */
	if (call == UNKNOWN && fd != device)
		fd = device;
	ret = ioctl(fd, request, where);
	note(call, ret);
	if (call == LEASE && ret >= 0)
		keep(ret);
}

static void read_events(void)
{
	struct pollfd poll_fd = { .fd = fds[rnd(FDS)], .events = POLLIN };
	char *where = memory + 2 * PAGE;

	/* One that would wait has to be readable. */
	poll(&poll_fd, 1, 0);
	if (!(poll_fd.revents & POLLIN) && !(fcntl(poll_fd.fd, F_GETFL) & O_NONBLOCK))
		return;
	if (rnd(8))
		where -= 64 * rnd(32);
	note(READ, read(poll_fd.fd, where, 64 * rnd(32)));
}

static void pin(void)
{
	int file = rnd(FILES);
	unsigned long page = rnd(FILE_SIZE / PAGE - 16);

	if (pinned)
		ring_unpin(ring);
	pinned = rnd(3) && !ring_pin(ring, maps[file] + page * PAGE,
				     (1 + rnd(16)) * PAGE);
}

static void others(void)
{
	int file = files[rnd(FILES)], fd = fds[rnd(FDS)], status;
	pid_t child;

	switch (rnd(9)) {
	case 0:
		fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  rnd(FILE_SIZE / PAGE) * PAGE, PAGE * (1 + rnd(600)));
		break;
	case 1:
		fcntl(file, F_SETFL, rnd(4) ? O_NONBLOCK : 0);
		break;
	case 2:
		fcntl(file, F_SETLEASE, rnd(3) ? F_LONGTERM : F_UNLCK);
		break;
	case 3:
		fcntl(fd, F_SETOWN, getpid());
		fcntl(fd, F_SETFL, rnd(2) ? O_ASYNC | O_NONBLOCK : O_NONBLOCK);
		break;
	case 4:
		keep(dup(fd));
		break;
	case 5:
		keep(-1);
		break;
	case 6:
		if (rnd(20))
			break;
		child = fork();
		if (!child) {
			struct longterm_ioc_adopt arg = { .size = sizeof(arg) };

			ioctl(fd, LONGTERM_IOC_ADOPT, &arg);
			_exit(0);
		}
		/* The timer may interrupt it. */
		while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
		break;
	default:
		pin();
		break;
	}
}

static void nothing(int sig)
{
	(void)sig;
}

static void begin(const char *dir)
{
	struct sigaction on_alarm = { .sa_handler = nothing };
	struct itimerval timer = {
		.it_interval = { .tv_usec = 20000 }, .it_value = { .tv_usec = 20000 }
	};
	char path[4096];
	int i;

	signal(SIGBUS, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	sigaction(SIGALRM, &on_alarm, NULL);
	/* What waits is interrupted again and again. */
	setitimer(ITIMER_REAL, &timer, NULL);
	device = open(LONGTERM_DEVICE, O_RDWR);
	if (device < 0)
		err(1, "%s", LONGTERM_DEVICE);
	for (i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/fuzz%d", dir, i);
		files[i] = open(path, O_RDWR | O_CREAT, 0600);
		if (files[i] < 0 || ftruncate(files[i], FILE_SIZE))
			err(1, "%s", path);
		fcntl(files[i], F_SETFL, O_NONBLOCK);
		maps[i] = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			       files[i], 0);
		if (maps[i] == MAP_FAILED)
			err(1, "mmap");
	}
	memory = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || munmap(memory + 2 * PAGE, PAGE))
		err(1, "mmap");
	for (i = 0; i < FDS; i++)
		fds[i] = -1;
	ring = ring_new();
	if (ring < 0)
		err(1, "io_uring");
}

static void run(const char *dir, unsigned long calls, int number)
{
	unsigned long i;
	int call, error;

	begin(dir);
	for (i = 0; i < calls; i++) {
		ask();
		if (!rnd(4))
			read_events();
		if (!rnd(3))
			others();
	}
	for (call = 0; call < NR_CALLS; call++)
		for (error = 0; error < MAX_ERRNO; error++)
			if (ended[call][error])
				printf("# process %d: %s %s: %lu\n", number, names[call],
				       error ? strerrorname_np(error) : "0",
				       ended[call][error]);
	exit(0);
}

int main(int argc, char **argv)
{
	unsigned long seed, calls;
	int i, status, bad = 0;

	if (argc < 3)
		errx(2, "usage: fuzzfd DIR CALLS [SEED]");
	calls = strtoul(argv[2], NULL, 0);
	seed = argc > 3 ? strtoul(argv[3], NULL, 0) : (unsigned long)getpid() << 20 ^ time(NULL);
	printf("seed %lu\n", seed);
	for (i = 0; i < PROCESSES; i++) {
		fflush(stdout);
		state = (seed + i + 1) * 0x9e3779b97f4a7c15UL | 1;
		if (!fork())
			run(argv[1], calls / PROCESSES, i);
	}
	for (i = 0; i < PROCESSES; i++)
		if (wait(&status) < 0 || status)
			bad = 1;
	return bad;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * A break of a file with many holders: until the last one knows, and until
 * truncate() returns, where each lets go as soon as it knows.  The holders are
 * processes, each with a lease of its own on an open file of its own; or open
 * files, or lease fds, of one process.  All have one page of the file in a memory
 * region.  What they are held against are processes with F_RDLCK leases, which
 * any kernel has, and which have nothing pinned.
 */
#include "breaker.h"
#include "memory.h"
#include "notice.h"
#include "rdma.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define FILE_NAME	"/mnt/dax/holders"
#define EVENTS		64

static const char *kind;
static int holders, rounds;
static uint64_t *told;		/* shared with the processes: when each knew */

static int open_file(int flags)
{
	int fd = open(FILE_NAME, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		die(FILE_NAME);
	return fd;
}

/* As it was before the last break. */
static void restore(void)
{
	int fd = open_file(O_RDWR | O_CREAT);

	if (fallocate(fd, 0, 0, holders * PAGE))
		die("fallocate");
	close(fd);
}

static char *map_page(int fd, int i)
{
	char *addr = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  i * PAGE);

	if (addr == MAP_FAILED)
		die("mmap");
	return addr;
}

/* Written to first: that is no cost of the pin. */
static struct ibv_mr *pin(char *addr)
{
	*(volatile char *)addr = 1;
	return reg(addr, PAGE);
}

static void report(struct span span)
{
	uint64_t last = 0;

	for (int i = 0; i < holders; i++) {
		if (told[i] < span.begin)
			die("holder %d was not told", i);
		last = told[i] > last ? told[i] : last;
	}
	sample(last - span.begin, "holders/%s/notice/%d", kind, holders);
	sample(span.end - span.begin, "holders/%s/end/%d", kind, holders);
}

/* Processes. */

static void one_process(int i, bool pins, int go, int ready)
{
	int fd = open_file(pins ? O_RDWR : O_RDONLY);
	sigset_t sigio = held_back(SIGIO);
	char *page = NULL, c = 0;

	if (pins) {
		open_rdma();
		page = map_page(fd, i);
	}
	while (read(go, &c, 1) == 1) {
		struct ibv_mr *mr = NULL;

		if (fcntl(fd, F_SETLEASE, pins ? F_LONGTERM : F_RDLCK))
			die("F_SETLEASE");
		if (pins)
			mr = pin(page);
		if (write(ready, &c, 1) != 1)
			die("pipe");
		told[i] = signalled(&sigio, NULL);
		if (mr)
			dereg(mr);
		else if (fcntl(fd, F_SETLEASE, F_UNLCK))
			die("F_UNLCK");
	}
	_exit(0);
}

static void all_ready(int ready)
{
	struct pollfd pollfd = { .fd = ready, .events = POLLIN };
	char c;

	for (int i = 0; i < holders; i++)
		if (poll(&pollfd, 1, NOTICE_SECONDS * 1000) != 1 ||
		    read(ready, &c, 1) != 1)
			die("a holder has failed");
}

static void processes(bool pins)
{
	int go[2], ready[2];
	char c = 0;

	if (pipe2(go, O_CLOEXEC) || pipe2(ready, O_CLOEXEC))
		die("pipe");
	restore();
	for (int i = 0; i < holders; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			close(go[1]);
			one_process(i, pins, go[0], ready[1]);
		}
	}
	close(ready[1]);
	for (int n = 0; n < rounds; n++) {
		restore();
		/* One each: who has had one waits for the break then. */
		for (int i = 0; i < holders; i++)
			if (write(go[1], &c, 1) != 1)
				die("pipe");
		all_ready(ready[0]);
		order(FILE_NAME, 0);
		report(done());
	}
	close(go[1]);
	/* The breaker goes on. */
	for (int i = 0; i < holders; i++)
		wait(NULL);
}

/* Open files. All signals are taken before the first of them lets go. */

static void files(void)
{
	sigset_t notice = held_back(SIGRTMIN);
	struct ibv_mr **mrs = calloc(holders, sizeof(*mrs));
	int *fds = calloc(holders, sizeof(*fds)), base;
	char **pages = calloc(holders, sizeof(*pages));

	open_rdma();
	restore();
	for (int i = 0; i < holders; i++) {
		fds[i] = open_file(O_RDWR);
		if (fcntl(fds[i], F_SETLEASE, F_LONGTERM) ||
		    fcntl(fds[i], F_SETSIG, SIGRTMIN))
			die("F_SETLEASE");
		pages[i] = map_page(fds[i], i);
	}
	base = fds[0];
	for (int n = 0; n < rounds; n++) {
		restore();
		for (int i = 0; i < holders; i++)
			mrs[i] = pin(pages[i]);
		order(FILE_NAME, 0);
		for (int i = 0; i < holders; i++) {
			siginfo_t info;
			uint64_t at = signalled(&notice, &info);
			int which = info.si_fd - base;

			if (which < 0 || which >= holders || fds[which] != info.si_fd)
				die("a signal for %d", info.si_fd);
			told[which] = at;
		}
		for (int i = 0; i < holders; i++)
			dereg(mrs[i]);
		report(done());
	}
}

/* Lease fds. All have heard of it before the first of them lets go. */

static void lease_fds(void)
{
	struct ibv_mr **mrs = calloc(holders, sizeof(*mrs));
	int *fds = calloc(holders, sizeof(*fds));
	char **pages = calloc(holders, sizeof(*pages));
	int epoll = epoll_create1(EPOLL_CLOEXEC), fd;
	struct epoll_event events[EVENTS];

	open_rdma();
	restore();
	fd = open_file(O_RDWR);
	for (int i = 0; i < holders; i++) {
		fds[i] = lease_fd(fd, i * PAGE, PAGE);
		watch_fd(epoll, fds[i], i);
		pages[i] = map_page(fd, i);
	}
	for (int n = 0; n < rounds; n++) {
		restore();
		for (int i = 0; i < holders; i++)
			mrs[i] = pin(pages[i]);
		order(FILE_NAME, 0);
		for (int left = holders; left > 0;) {
			int got = awaited(epoll, events, EVENTS);
			uint64_t at = now();

			left -= got;
			for (int k = 0; k < got; k++) {
				uint32_t i = events[k].data.u32;

				told[i] = at;
				hear(fds[i]);
			}
		}
		for (int i = 0; i < holders; i++)
			dereg(mrs[i]);
		report(done());
		for (int i = 0; i < holders; i++)
			forget_events(fds[i]);
	}
}

int main(int argc, char **argv)
{
	struct rlimit many = { 1 << 20, 1 << 20 };

	if (argc != 4)
		die("usage: holders processes|files|lease-fds|rdlck HOLDERS ROUNDS");
	kind = argv[1];
	holders = number(argv[2]);
	rounds = number(argv[3]);
	if (setrlimit(RLIMIT_NOFILE, &many))
		die("RLIMIT_NOFILE");
	told = mmap(NULL, holders * sizeof(*told), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (told == MAP_FAILED)
		die("mmap");
	start_breaker();
	if (!strcmp(kind, "processes"))
		processes(true);
	else if (!strcmp(kind, "rdlck"))
		processes(false);
	else if (!strcmp(kind, "files"))
		files();
	else if (!strcmp(kind, "lease-fds"))
		lease_fds();
	else
		die("'%s' are no holders", kind);
	end_breaker();
	if (unlink(FILE_NAME))
		die(FILE_NAME);
	return 0;
}

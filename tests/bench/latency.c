// SPDX-License-Identifier: GPL-2.0
/*
 * How long it takes from the call of truncate() until a holder of the file
 * knows: by the signal of a F_LONGTERM lease, by epoll on a lease fd, and by the
 * signal of a F_WRLCK lease, which any kernel has.  And until truncate() returns,
 * with the holder's letting go in between.
 */
#include "breaker.h"
#include "memory.h"
#include "notice.h"
#include "rdma.h"

#define PAGES	64

static struct memory file;
static sigset_t sigio;
static int epoll;

/* Where the last page is, which is pinned or not, and taken away. */
static char *last_page(void)
{
	return file.addr + file.size - PAGE;
}

/* As it was before the last break. */
static void restore(void)
{
	if (fallocate(file.fd, 0, 0, file.size))
		die("fallocate");
	*(volatile char *)last_page() = 1;
}

static void report(const char *what, uint64_t told, struct span span)
{
	sample(told - span.begin, "latency/notice/%s", what);
	sample(span.end - span.begin, "latency/end/%s", what);
}

static void lease(int type)
{
	if (fcntl(file.fd, F_SETLEASE, type))
		die("F_SETLEASE %d", type);
}

/* Let go as soon as one knows. */
static void by_signal(const char *what, int type, off_t size)
{
	struct ibv_mr *mr = NULL;
	uint64_t told;

	restore();
	lease(type);
	if (type == F_LONGTERM)
		mr = reg(last_page(), PAGE);
	order(file.path, size);
	told = signalled(&sigio, NULL);
	if (mr)
		dereg(mr);
	else
		lease(F_UNLCK);
	report(what, told, done());
	if (mr)
		lease(F_UNLCK);
}

static void by_epoll(void)
{
	struct epoll_event event;
	struct ibv_mr *mr;
	uint64_t told;
	int fd;

	restore();
	fd = lease_fd(file.fd, 0, 0);
	watch_fd(epoll, fd, 0);
	mr = reg(last_page(), PAGE);
	order(file.path, file.size - PAGE);
	awaited(epoll, &event, 1);
	told = now();
	dereg(mr);
	report("fd", told, done());
	hear(fd);
	close(fd);
}

int main(int argc, char **argv)
{
	int rounds;

	if (argc != 2)
		die("usage: latency ROUNDS");
	rounds = number(argv[1]);
	sigio = held_back(SIGIO);
	start_breaker();
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		die("epoll_create1");
	open_rdma();
	file = leased_file("latency", PAGES * PAGE, false);
	lease(F_UNLCK);
	/* In turns: what has grown warm by then is warm for all. */
	for (int i = 0; i < rounds; i++) {
		by_signal("wrlck", F_WRLCK, file.size - PAGE);
		by_signal("wrlck-open", F_WRLCK, ONLY_OPEN);
		by_signal("longterm", F_LONGTERM, file.size - PAGE);
		by_epoll();
	}
	end_breaker();
	lease(F_LONGTERM);
	forget(&file);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * longterm_rdma - an RDMA application whose memory region is a DAX file, and
 * which survives that the file is truncated under it.
 *
 *	cc -O2 -I include/uapi longterm_rdma.c -o longterm_rdma -libverbs
 *	./longterm_rdma --device rxe0 /mnt/dax/file
 *
 * What to copy from here is hold_file(), let_go() and the SIGIO branch of
 * event_loop():
 *
 *	take the lease, map, register		hold_file()
 *	SIGIO: stop I/O, drain, deregister	let_go()
 *	take the lease again, which waits until whoever wanted the blocks is
 *	done; look at the file's new size, map and register again, go on
 *
 * The I/O is real, but there is no second machine: a reliable queue pair is
 * connected to itself, and writes a block of anonymous memory into the file's
 * memory region every few milliseconds by RDMA write.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/longterm.h>

#include "rdma_loopback.h"

#define TICK_MS		10

static struct {
	const char *path;
	const char *device;
	off_t size;		/* --size: create or grow the file to this */
	long delay_ms;		/* --delay-ms: be slow to deregister */
	long seconds;		/* --seconds: stop by ourselves */
	long rounds;		/* --rounds: stop after so many layout changes */
	char fill;		/* --fill: what is written into the file */
	bool ignore;		/* --ignore: never react to SIGIO */
	bool unbreakable;
} opt = { .device = "rxe0", .fill = 'L' };

/* The file side: the mapping and its MR come and go with the layout. */
static int fd = -1;
static char *map;
static size_t map_len;
static struct ibv_mr *file_mr;
static uint64_t next_offset;

static void say(const char *fmt, ...)
{
	struct timespec now;
	va_list ap;

	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("%lld.%03ld ", (long long)now.tv_sec, now.tv_nsec / 1000000);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/* ------------------------------------------------------------- the file */

static void take_lease(void)
{
	int kind = F_LONGTERM | (opt.unbreakable ? F_UNBREAKABLE : 0);

	/*
	 * While a layout change is under way this waits for its end, which is
	 * why there is no race between SIGIO and the next registration.
	 */
	while (fcntl(fd, F_SETLEASE, kind)) {
		switch (errno) {
		case EINTR:
			continue;
		case EINVAL:
			die(opt.path, "this kernel knows no long-term leases: load longterm.ko");
		case EOPNOTSUPP:
			die(opt.path, "long-term leases are not supported here: not on DAX?");
		case EACCES:
			die(opt.path, "a lease needs the file's owner or CAP_LEASE");
		default:
			die("fcntl(F_SETLEASE, F_LONGTERM)", NULL);
		}
	}
}

/*
 * Lease, map, register.  False if the file is empty now: there is nothing to
 * map; the lease is held all the same.
 */
static bool hold_file(void)
{
	struct stat st;

	for (;;) {
		take_lease();
		if (fstat(fd, &st))
			die(opt.path, NULL);
		map_len = st.st_size - st.st_size % BLOCK;
		if (!map_len) {
			say("lease: the file has %lld bytes, too few to map",
			    (long long)st.st_size);
			return false;
		}
		map = mmap(NULL, map_len, PROT_READ | PROT_WRITE, MAP_SHARED,
			   fd, 0);
		if (map == MAP_FAILED)
			die("mmap", NULL);
		next_offset = 0;
		file_mr = ibv_reg_mr(pd, map, map_len, IBV_ACCESS_LOCAL_WRITE |
				     IBV_ACCESS_REMOTE_WRITE);
		if (file_mr)
			break;
		switch (errno) {
		case EAGAIN:	/* the next change began: wait for it, too */
		case EFAULT:	/* the file shrank after fstat() */
			munmap(map, map_len);
			map = NULL;
			continue;
		case EOPNOTSUPP:
			die("ibv_reg_mr",
			    "long-term pins of this DAX file are not supported by this kernel");
		default:
			die("ibv_reg_mr", NULL);
		}
	}
	/* A real application would now tell its peers the new rkey. */
	say("holding: lease taken, %zu bytes registered, rkey 0x%x", map_len,
	    file_mr->rkey);
	return true;
}

static void write_next_block(void)
{
	post_write((uintptr_t)map + next_offset, file_mr->rkey);
	next_offset += BLOCK;
	if (next_offset + BLOCK > map_len)
		next_offset = 0;
}

/* Nothing may be under way into the file when the MR goes. */
static void let_go(void)
{
	while (inflight)
		reap_completions();
	if (opt.delay_ms) {
		struct timespec t = { opt.delay_ms / 1000,
				      opt.delay_ms % 1000 * 1000000 };

		while (nanosleep(&t, &t) && errno == EINTR)
			;
	}
	if (file_mr) {
		errno = ibv_dereg_mr(file_mr);
		if (errno)
			die("ibv_dereg_mr", NULL);
		file_mr = NULL;
		say("deregistered after %lu writes", written);
	}
	if (map)
		munmap(map, map_len);
	map = NULL;
}

static void open_file(void)
{
	struct stat st;

	fd = open(opt.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st))
		die(opt.path, NULL);
	/* Real blocks, not a hole: a write must not meet ENOSPC as SIGBUS. */
	if (st.st_size < opt.size) {
		errno = posix_fallocate(fd, 0, opt.size);
		if (errno)
			die(opt.path, NULL);
	}
}

/*
 * --check: the same registration without a lease, to see what a kernel says
 * that has none.
 */
static void check_only(void)
{
	struct stat st;
	struct ibv_mr *mr;

	if (fcntl(fd, F_SETLEASE, F_LONGTERM | (opt.unbreakable ? F_UNBREAKABLE : 0)))
		fprintf(stderr, "longterm_rdma: fcntl(F_SETLEASE, F_LONGTERM): %s\n",
			strerror(errno));
	if (fstat(fd, &st))
		die(opt.path, NULL);
	map = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("mmap", NULL);
	mr = ibv_reg_mr(pd, map, st.st_size, IBV_ACCESS_LOCAL_WRITE |
			IBV_ACCESS_REMOTE_WRITE);
	if (!mr)
		die("ibv_reg_mr", errno == EOPNOTSUPP ?
		    "long-term pins of this DAX file are not supported by this kernel" :
		    NULL);
	ibv_dereg_mr(mr);
	say("ibv_reg_mr of the file works");
}

/* ------------------------------------------------------------- event loop */

static int open_signals(void)
{
	sigset_t set;
	int sfd;

	/*
	 * Blocked signals are kept for the signalfd.  Do this before the first
	 * lease: SIGIO's default action ends the process.
	 */
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (opt.ignore)		/* stays blocked, but is never read */
		sigdelset(&set, SIGIO);
	sfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sfd < 0)
		die("signalfd", NULL);
	return sfd;
}

static int open_ticks(void)
{
	struct itimerspec its = {
		.it_interval.tv_nsec = TICK_MS * 1000000,
		.it_value.tv_nsec = TICK_MS * 1000000,
	};
	int tfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (tfd < 0 || timerfd_settime(tfd, 0, &its, NULL))
		die("timerfd", NULL);
	return tfd;
}

static void event_loop(int sfd)
{
	struct pollfd fds[3] = {
		{ .fd = sfd, .events = POLLIN },
		{ .fd = channel->fd, .events = POLLIN },
		{ .fd = open_ticks(), .events = POLLIN },
	};
	time_t end = opt.seconds ? time(NULL) + opt.seconds : 0;
	bool holding = hold_file();
	long rounds = 0;

	while (!end || time(NULL) < end) {
		struct signalfd_siginfo si;
		uint64_t ticks;
		struct stat st;

		if (poll(fds, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			die("poll", NULL);
		}

		/* Signals first: no new I/O once someone wants the blocks. */
		while (read(sfd, &si, sizeof(si)) == sizeof(si)) {
			if (si.ssi_signo != SIGIO) {
				say("signal %u: stopping", si.ssi_signo);
				let_go();
				return;
			}
			say("SIGIO: someone wants blocks of %s", opt.path);
			let_go();
			holding = hold_file();
			if (opt.rounds && ++rounds >= opt.rounds)
				end = 1;
		}

		if (fds[1].revents & POLLIN)
			on_channel();

		if ((fds[2].revents & POLLIN) &&
		    read(fds[2].fd, &ticks, sizeof(ticks)) == sizeof(ticks)) {
			if (holding && inflight < MAX_INFLIGHT)
				write_next_block();
			else if (!holding && !fstat(fd, &st) &&
				 st.st_size >= BLOCK)
				holding = hold_file();	/* it grew again */
		}
	}
	let_go();
}

/* ------------------------------------------------------------- main */

static void __attribute__((noreturn)) usage(int status)
{
	fputs("usage: longterm_rdma [OPTION...] FILE\n"
	      "  --device NAME   RDMA device (rxe0)\n"
	      "  --size BYTES    create or grow FILE to this size first\n"
	      "  --fill CHAR     what to write into the file (L)\n"
	      "  --seconds N     stop after N seconds\n"
	      "  --rounds N      stop after N layout changes\n"
	      "  --delay-ms N    wait so long after SIGIO before deregistering\n"
	      "  --ignore        do not react to SIGIO\n"
	      "  --unbreakable   take an unbreakable lease\n"
	      "  --check         register once, with a lease or without, and stop\n",
	      status ? stderr : stdout);
	exit(status);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "size", required_argument, NULL, 's' },
		{ "fill", required_argument, NULL, 'f' },
		{ "seconds", required_argument, NULL, 't' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "delay-ms", required_argument, NULL, 'w' },
		{ "ignore", no_argument, NULL, 'i' },
		{ "unbreakable", no_argument, NULL, 'u' },
		{ "check", no_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	bool check = false;
	int c, sfd;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			opt.device = optarg;
			break;
		case 's':
			opt.size = strtoll(optarg, NULL, 0);
			break;
		case 'f':
			opt.fill = optarg[0];
			break;
		case 't':
			opt.seconds = atol(optarg);
			break;
		case 'r':
			opt.rounds = atol(optarg);
			break;
		case 'w':
			opt.delay_ms = atol(optarg);
			break;
		case 'i':
			opt.ignore = true;
			break;
		case 'u':
			opt.unbreakable = true;
			break;
		case 'c':
			check = true;
			break;
		case 'h':
			usage(0);
		default:
			usage(2);
		}
	}
	if (optind != argc - 1)
		usage(2);
	opt.path = argv[optind];

	sfd = open_signals();
	open_file();
	open_rdma(opt.device, opt.fill);
	if (check)
		check_only();
	else
		event_loop(sfd);
	/* F_UNLCK is not needed: the lease ends with the last close. */
	say("done: %lu RDMA writes", written);
	return 0;
}

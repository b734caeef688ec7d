// SPDX-License-Identifier: GPL-2.0
/*
 * longterm_server - an RDMA server whose memory is a DAX file, with a lease fd in
 * its epoll loop.  Peers write into the file; when somebody wants the blocks they
 * are asked to stop, and get a new rkey when that is over.
 *
 *	cc -O2 -I include/uapi longterm_server.c -o longterm_server -libverbs
 *	./longterm_server --device rxe0 --size 8388608 /mnt/dax/file
 *	./longterm_client --device rxe0 SERVER			(on another machine)
 *
 * The course of a break, by the states of this program:
 *
 *	SERVING		LONGTERM_EVENT_BREAK: say stop to the peer
 *	STOPPING	the peer has stopped, has gone, or takes too long:
 *			deregister.  Our deadline is not the peer's: who waits for
 *			it without bound is killed for its slowness
 *	WAITING		LONGTERM_EVENT_END: look at the file, register again, tell
 *			the peer the new rkey and what has to be written again
 *
 * With --windows each peer gets a memory window of its own instead of the region's
 * rkey.  A window pins nothing: the region must go all the same, after it.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "lease_fd.h"
#include "rdma_peer.h"

#define NSEC		1000000000ull
#define LOOK_AGAIN	(NSEC / 10)	/* has an empty file grown? */

static struct {
	const char *path;
	const char *device;
	const char *port;
	off_t size;		/* --size: create or grow the file to this */
	bool windows;		/* --windows: a memory window for the peer */
	bool once;		/* --once: end after a transfer */
} opt = { .device = "rxe0", .port = "4791" };

static enum { EMPTY, SERVING, STOPPING, WAITING } state = WAITING;
static int file, lease, alarm_fd, listener;
static struct lease_events events;
static struct lines peer = { .fd = -1 };
static bool connected;		/* the peer's queue pair is known */
static bool breaking;		/* between LONGTERM_EVENT_BREAK and _END */
static uint64_t generation;
static char *map;
static size_t map_len;
static struct ibv_mr *mr;
static struct ibv_mw *mw;
static struct { uint64_t from, to; } wanted, lost;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC + now.tv_nsec;
}

/* At that time on_alarm() is called; 0: never. */
static void set_alarm(uint64_t at)
{
	struct itimerspec its = {
		.it_value = { .tv_sec = at / NSEC, .tv_nsec = at % NSEC },
	};

	if (timerfd_settime(alarm_fd, TFD_TIMER_ABSTIME, &its, NULL))
		die("timerfd", NULL);
}

/* ------------------------------------------------------------- the lease */

static void take_lease(void)
{
	lease = lease_take(file, 0, 0, 0);
	if (lease >= 0)
		return;
	switch (errno) {
	case ENOENT:
		die(LONGTERM_DEVICE, "this kernel knows no lease fds: load longterm.ko");
	case EOPNOTSUPP:
		die(opt.path, "long-term leases are not supported here: not on DAX?");
	case EACCES:
		die(opt.path, "a lease needs the file's owner or CAP_LEASE");
	default:
		die("LONGTERM_IOC_LEASE", NULL);
	}
}

/* ------------------------------------------------------------- the region */

/* Without a window of one's own the rkey is the region's. */
static void open_window(void)
{
	struct ibv_mw_bind bind = {
		.bind_info = {
			.mr = mr,
			.addr = (uintptr_t)map,
			.length = map_len,
			.mw_access_flags = IBV_ACCESS_REMOTE_WRITE,
		},
	};
	struct ibv_wc wc;
	int n;

	mw = ibv_alloc_mw(pd, IBV_MW_TYPE_1);
	if (!mw)
		die("ibv_alloc_mw", "has the device memory windows?");
	errno = ibv_bind_mw(qp, mw, &bind);
	if (errno)
		die("ibv_bind_mw", NULL);
	do
		n = ibv_poll_cq(cq, 1, &wc);
	while (!n);
	if (n < 0 || wc.status != IBV_WC_SUCCESS) {
		errno = EIO;
		die("binding the window", n < 0 ? NULL : ibv_wc_status_str(wc.status));
	}
}

static void close_window(void)
{
	if (mw)
		errno = ibv_dealloc_mw(mw);
	if (mw && errno)
		die("ibv_dealloc_mw", NULL);
	mw = NULL;
}

static void tell_peer(void)
{
	if (!connected || (state != SERVING && state != EMPTY))
		return;
	if (opt.windows && mr)
		open_window();
	send_line(&peer, "ready %x %" PRIx64 " %zu %" PRIu64 " %" PRIu64,
		  mw ? mw->rkey : mr ? mr->rkey : 0, (uint64_t)(uintptr_t)map,
		  map_len, lost.from, lost.to);
	lost.from = lost.to = 0;
}

static void unmap(void)
{
	if (map)
		munmap(map, map_len);
	map = NULL;
	map_len = 0;
}

/* Map and register; false with EAGAIN or EFAULT if that has to be tried again. */
static bool hold_file(void)
{
	int access = opt.windows ? IBV_ACCESS_MW_BIND : IBV_ACCESS_REMOTE_WRITE;
	struct stat st;

	if (fstat(file, &st))
		die(opt.path, NULL);
	map_len = st.st_size - st.st_size % BLOCK;
	if (!map_len)
		return true;
	map = mmap(NULL, map_len, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (map == MAP_FAILED)
		die("mmap", NULL);
	mr = ibv_reg_mr(pd, map, map_len, IBV_ACCESS_LOCAL_WRITE | access);
	if (!mr) {
		int err = errno;

		unmap();
		if (err != EAGAIN && err != EFAULT)
			die("ibv_reg_mr", NULL);
		errno = err;
	}
	return mr;
}

/* Once no break is under way any more. */
static void go_on(void)
{
	set_alarm(0);
	while (!hold_file()) {
		/* The next change began: its events are on their way. */
		if (errno == EAGAIN && lease_is_breaking(lease)) {
			breaking = true;
			return;
		}
	}
	if (!map_len) {
		if (state != EMPTY)
			say("the file is too small to map");
		state = EMPTY;
		set_alarm(now_ns() + LOOK_AGAIN);
	} else {
		state = SERVING;
		say("serving %zu bytes, rkey 0x%x", map_len, mr->rkey);
	}
	tell_peer();
}

static void let_go(const char *why)
{
	/* The window first: the region can't go under it. */
	close_window();
	if (mr)
		errno = ibv_dereg_mr(mr);
	if (mr && errno)
		die("ibv_dereg_mr", NULL);
	mr = NULL;
	unmap();
	state = WAITING;
	set_alarm(0);
	say("deregistered: %s", why);
	if (!breaking)
		go_on();
}

/* ------------------------------------------------------------- the peer */

static void drop_peer(const char *why)
{
	say("peer dropped: %s", why);
	hang_up(&peer);
	connected = false;
	close_window();
	drop_qp();
	if (state == STOPPING)
		let_go("nobody is there to wait for");
}

static void on_accept(int epoll)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (peer.fd >= 0)	/* this server has room for one */
		drop_peer("another one came");
	peer.fd = fd;
	ev.data.fd = fd;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl", NULL);
	new_qp();
	send_hello(&peer);
}

/* What is in the file now, against what the peer says it has written. */
static bool compare(const char *line)
{
	uint64_t blocks, sum, own = 0, block[WORDS];

	if (sscanf(line, "done %" SCNu64 " %" SCNx64, &blocks, &sum) != 2)
		return false;
	for (uint64_t n = 0; n < blocks; n++) {
		if (pread(file, block, BLOCK, n * BLOCK) != BLOCK)
			return false;
		own = sum_block(own, block);
	}
	say("%" PRIu64 " blocks, checksum %016" PRIx64 ", the peer's %016" PRIx64,
	    blocks, own, sum);
	return own == sum;
}

static void on_line(const char *line)
{
	if (!strncmp(line, "hello ", 6)) {
		connected = on_hello(line);
		if (!connected)
			drop_peer(line);
		tell_peer();
	} else if (!strcmp(line, "stopped") && state == STOPPING) {
		let_go("the peer has stopped");
	} else if (!strncmp(line, "done ", 5)) {
		/* Else it will ask again, after the next ready. */
		if (state != SERVING || lease_is_breaking(lease))
			return;
		send_line(&peer, compare(line) ? "equal" : "differs");
	}
}

static void on_peer(void)
{
	char *line;

	while (peer.fd >= 0 && (line = next_line(&peer)))
		on_line(line);
	if (peer.fd < 0 || !peer.closed)
		return;
	drop_peer("it has hung up");
	if (opt.once)
		exit(EXIT_SUCCESS);
}

/* ------------------------------------------------------------- the events */

/* Not later than after three quarters of the time that there is. */
static void stop_peer(uint64_t deadline)
{
	uint64_t now = now_ns();

	/* If it is stopping already the first deadline holds. */
	if (state != SERVING)
		return;
	state = STOPPING;
	if (!connected) {
		let_go("there is no peer");
		return;
	}
	send_line(&peer, "stop");
	set_alarm(now + (deadline > now ? (deadline - now) / 4 * 3 : 1));
}

static void on_break(const struct longterm_event *event)
{
	say("break: %" PRIu64 " to %" PRIu64 ", %" PRIu64 " bytes pinned there",
	    (uint64_t)event->start, (uint64_t)event->end, (uint64_t)event->pinned);
	breaking = true;
	if (wanted.from == wanted.to || event->start < wanted.from)
		wanted.from = event->start;
	if (event->end > wanted.to)
		wanted.to = event->end;
	/* One region for all of the file here: each break meets it. */
	stop_peer(event->deadline);
}

static void on_end(const struct longterm_event *event)
{
	say("end of the break, generation %" PRIu64, (uint64_t)event->generation);
	if (event->generation != generation)
		lost.from = wanted.from, lost.to = wanted.to;
	generation = event->generation;
	wanted.from = wanted.to = 0;
	breaking = false;
	if (state == WAITING)
		go_on();
}

/* SIGBUS has been sent as well; who comes here has it blocked, or was lucky. */
static void on_revoked(int epoll)
{
	struct epoll_event ev = { .events = EPOLLIN };

	say("revoked");
	if (state == SERVING || state == STOPPING)
		let_go("too late");
	close(lease);
	memset(&events, 0, sizeof(events));
	take_lease();
	ev.data.fd = lease;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, lease, &ev))
		die("epoll_ctl", NULL);
	lost.from = 0;
	lost.to = LONGTERM_EOF;
	wanted.from = wanted.to = 0;
	generation = 0;
	breaking = false;
	go_on();
}

static void on_lease(int epoll)
{
	struct longterm_event *event;

	while ((event = lease_next(lease, &events))) {
		if (event->type == LONGTERM_EVENT_BREAK)
			on_break(event);
		else if (event->type == LONGTERM_EVENT_END)
			on_end(event);
		else if (event->type == LONGTERM_EVENT_REVOKED)
			on_revoked(epoll);
	}
	if (errno && errno != EAGAIN)
		die("read of the lease", NULL);
}

static void on_alarm(void)
{
	uint64_t count;

	if (read(alarm_fd, &count, sizeof(count)) != sizeof(count))
		return;
	if (state == STOPPING)
		drop_peer("it is late");
	else if (state == EMPTY)
		go_on();
}

static void event_loop(void)
{
	int fds[] = { lease, listener, alarm_fd };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		ev.data.fd = fds[i];
		if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &ev))
			die("epoll", NULL);
	}
	go_on();
	for (;;) {
		if (epoll_wait(epoll, &ev, 1, -1) < 0) {
			if (errno == EINTR)
				continue;
			die("epoll_wait", NULL);
		}
		if (ev.data.fd == lease)
			on_lease(epoll);
		else if (ev.data.fd == alarm_fd)
			on_alarm();
		else if (ev.data.fd == listener)
			on_accept(epoll);
		else if (ev.data.fd == peer.fd)
			on_peer();
	}
}

/* ------------------------------------------------------------- main */

static void open_all(void)
{
	struct stat st;

	file = open(opt.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0 || fstat(file, &st))
		die(opt.path, NULL);
	/* Real blocks, not a hole: a write must not meet ENOSPC as SIGBUS. */
	if (st.st_size < opt.size) {
		errno = posix_fallocate(file, 0, opt.size);
		if (errno)
			die(opt.path, NULL);
	}
	alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (alarm_fd < 0)
		die("timerfd", NULL);
	listener = open_tcp(NULL, opt.port);
	if (listener < 0)
		die(opt.port, "is another server there?");
	open_rdma(opt.device);
	take_lease();
}

static void __attribute__((noreturn)) usage(int status)
{
	fputs("usage: longterm_server [OPTION...] FILE\n"
	      "  --device NAME   RDMA device (rxe0)\n"
	      "  --port N        to listen at (4791)\n"
	      "  --size BYTES    create or grow FILE to this size first\n"
	      "  --windows       a memory window for the peer\n"
	      "  --once          end when the first peer hangs up\n",
	      status ? stderr : stdout);
	exit(status);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "port", required_argument, NULL, 'p' },
		{ "size", required_argument, NULL, 's' },
		{ "windows", no_argument, NULL, 'w' },
		{ "once", no_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			opt.device = optarg;
			break;
		case 'p':
			opt.port = optarg;
			break;
		case 's':
			opt.size = strtoll(optarg, NULL, 0);
			break;
		case 'w':
			opt.windows = true;
			break;
		case 'o':
			opt.once = true;
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
	open_all();
	event_loop();
}

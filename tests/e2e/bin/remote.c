// SPDX-License-Identifier: GPL-2.0
/*
 * remote serve FILE: registers all of a DAX file under F_LONGTERM.  On SIGIO it
 * deregisters and tells its peer nothing.  Ends when the peer says so.
 *
 * remote write HOST: writes over all of that, again and again, until a write
 * fails, and then tries with what it knows from the beginning, by TRIES new
 * connections.  Succeeds if each failure was an access error.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include <linux/longterm.h>

#include "../../../examples/rdma_peer.h"

#define PORT	"4792"
#define CHUNK	(64u << 10)
#define FILL	0x5a	/* as tests/e2e/remote wants it */
#define TRIES	20
#define WAIT	2500	/* tenths of a second, for the server to be there */

static struct lines peer = { .fd = -1 };
static struct ibv_mr *mr;
static uint64_t remote, length;
static uint32_t rkey;

/* ------------------------------------------------------------- serve */

static void expect(int failed, const char *what)
{
	if (failed)
		die(what, NULL);
}

static void hold(const char *path, int *fd)
{
	struct stat st;
	char *map;

	*fd = open(path, O_RDWR);
	expect(*fd < 0 || fstat(*fd, &st), path);
	expect(fcntl(*fd, F_SETLEASE, F_LONGTERM), "F_SETLEASE");
	length = st.st_size;
	map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	expect(map == MAP_FAILED, "mmap");
	mr = ibv_reg_mr(pd, map, length, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	expect(!mr, "ibv_reg_mr");
	remote = (uintptr_t)map;
	rkey = mr->rkey;
}

static void let_go(int fd)
{
	if (!mr)
		return;
	errno = ibv_dereg_mr(mr);
	expect(errno, "ibv_dereg_mr");
	mr = NULL;
	say("deregistered");
	/* Waits until the file has its new layout. */
	expect(fcntl(fd, F_SETLEASE, F_LONGTERM), "F_SETLEASE after the break");
	say("the break is over");
}

/* False at the end of it all. */
static bool peer_says(void)
{
	char *line;

	while ((line = next_line(&peer))) {
		if (!strcmp(line, "bye"))
			return false;
		if (!on_hello(line))
			die(line, "no hello");
		send_line(&peer, "ready %" PRIx32 " %" PRIx64 " %" PRIu64, rkey,
			  remote, length);
	}
	if (peer.closed)
		hang_up(&peer);
	return true;
}

static int serve(const char *path)
{
	struct signalfd_siginfo info;
	struct pollfd fds[3] = {
		{ .events = POLLIN }, { .events = POLLIN }, { .events = POLLIN },
	};
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	hold(path, &fd);
	fds[0].fd = signalfd(-1, &set, 0);
	fds[1].fd = open_tcp(NULL, PORT);
	expect(fds[0].fd < 0 || fds[1].fd < 0, "signalfd and socket");
	say("serving");
	do {
		fds[2].fd = peer.fd;
		fds[2].revents = 0;
		expect(poll(fds, 3, -1) < 0, "poll");
		if (fds[0].revents) {
			expect(read(fds[0].fd, &info, sizeof(info)) < 0, "signalfd");
			let_go(fd);
		}
		if (fds[1].revents) {
			hang_up(&peer);
			peer.fd = accept(fds[1].fd, NULL, NULL);
			expect(peer.fd < 0, "accept");
			new_qp();
			send_hello(&peer);
		}
	} while (!fds[2].revents || peer_says());
	return 0;
}

/* ------------------------------------------------------------- write */

static char *await_line(const char *what)
{
	struct pollfd fd = { .fd = peer.fd, .events = POLLIN };
	char *line;

	while (!(line = next_line(&peer))) {
		errno = ECONNRESET;
		expect(peer.closed, what);
		expect(poll(&fd, 1, -1) < 0, "poll");
	}
	return line;
}

static void connect_to(const char *host, bool first)
{
	struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	uint64_t at, len;
	uint32_t key;

	hang_up(&peer);
	for (int tries = 0; (peer.fd = open_tcp(host, PORT)) < 0; tries++) {
		expect(tries >= WAIT, host);
		nanosleep(&pause, NULL);
	}
	new_qp();
	send_hello(&peer);
	if (!on_hello(await_line("hello")))
		die("hello", "not understood");
	if (sscanf(await_line("ready"), "ready %" SCNx32 " %" SCNx64 " %" SCNu64,
		   &key, &at, &len) != 3)
		die("ready", "not understood");
	if (!first)
		return;
	rkey = key;
	remote = at;
	length = len;
}

/* Keeps MAX_INFLIGHT writes under way until one fails; at most that many. */
static enum ibv_wc_status write_until_it_fails(struct ibv_mr *from, uint64_t most,
					       uint64_t *done)
{
	struct ibv_sge sge = { (uintptr_t)from->addr, CHUNK, from->lkey };
	uint64_t posted = 0, completed = 0;
	struct ibv_send_wr *bad;
	struct ibv_wc wc;

	*done = 0;
	while (completed < most) {
		struct ibv_send_wr wr = {
			.sg_list = &sge,
			.num_sge = 1,
			.opcode = IBV_WR_RDMA_WRITE,
			.wr.rdma = { remote + posted * CHUNK % length, rkey },
		};
		int n = 0;

		if (posted < most && posted - completed < MAX_INFLIGHT) {
			errno = ibv_post_send(qp, &wr, &bad);
			expect(errno, "ibv_post_send");
			posted++;
		} else {
			n = ibv_poll_cq(cq, 1, &wc);
		}
		expect(n < 0, "ibv_poll_cq");
		completed += n;
		if (n && wc.status != IBV_WC_SUCCESS)
			return wc.status;
		*done += n;
	}
	return IBV_WC_SUCCESS;
}

static int write_to(const char *host)
{
	enum ibv_wc_status status;
	struct ibv_mr *from;
	uint64_t done;
	bool good;
	char *source = aligned_alloc(4096, CHUNK);

	expect(!source, "memory");
	memset(source, FILL, CHUNK);
	from = ibv_reg_mr(pd, source, CHUNK, IBV_ACCESS_LOCAL_WRITE);
	expect(!from, "ibv_reg_mr");
	connect_to(host, true);
	status = write_until_it_fails(from, UINT64_MAX, &done);
	say("%" PRIu64 " writes, then: %s", done, ibv_wc_status_str(status));
	good = done && status == IBV_WC_REM_ACCESS_ERR;
	for (int i = 0; i < TRIES; i++) {
		connect_to(host, false);
		status = write_until_it_fails(from, 1, &done);
		if (status == IBV_WC_REM_ACCESS_ERR)
			continue;
		say("a late write: %s", ibv_wc_status_str(status));
		good = false;
	}
	send_line(&peer, "bye");
	say("%d late writes", TRIES);
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc != 3 || (strcmp(argv[1], "serve") && strcmp(argv[1], "write"))) {
		fputs("usage: remote serve FILE | write HOST\n", stderr);
		return 2;
	}
	open_rdma("rxe0");
	return argv[1][0] == 's' ? serve(argv[2]) : write_to(argv[2]);
}

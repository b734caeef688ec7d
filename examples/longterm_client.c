// SPDX-License-Identifier: GPL-2.0
/*
 * longterm_client - the remote side of longterm_server: fills the server's file
 * by RDMA writes, and stops and goes on when it is told to.
 *
 *	cc -O2 longterm_client.c -o longterm_client -libverbs
 *	./longterm_client --device rxe0 SERVER
 *
 * It has no file, no lease, and no kernel with long-term leases.  What to copy
 * from here are the three rules that on_line() and event_loop() keep:
 *
 *	stop		post nothing more, wait for what is under way, say stopped
 *	ready		a new rkey, and which part of the file has lost what was
 *			written there: write that again
 *	else		the server could not wait for us: connect anew, and rely on
 *			nothing that was written before
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>

#include "rdma_peer.h"

static struct {
	const char *device;
	const char *host;
	const char *port;
	uint64_t blocks;	/* --blocks: how much to write */
	int pace_ms;		/* --pace-ms: a pause before each block */
	int wait;		/* --wait: seconds, for the server to be there */
	uint64_t progress;	/* --progress: say so after so many blocks */
} opt = { .device = "rxe0", .port = "4791", .blocks = 1024, .wait = 10 };

static struct lines server = { .fd = -1 };
static struct ibv_mr *source_mr;
static char *source;			/* MAX_INFLIGHT blocks */
static unsigned int busy;		/* one bit for each of them */
static unsigned int inflight;
static uint8_t *written;		/* one for each block of the file */
static uint64_t next_block;
static unsigned long writes, breaks, connections;

/* What the server has told us. */
static bool may_write, stopping, asked, failed;
static uint32_t rkey;
static uint64_t remote, remote_blocks;

static uint64_t blocks_now(void)
{
	return opt.blocks < remote_blocks ? opt.blocks : remote_blocks;
}

/* ------------------------------------------------------------- writing */

static void open_source(void)
{
	size_t len = MAX_INFLIGHT * BLOCK;

	source = mmap(NULL, len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	written = calloc(opt.blocks, 1);
	if (source == MAP_FAILED || !written)
		die("memory", NULL);
	source_mr = ibv_reg_mr(pd, source, len, IBV_ACCESS_LOCAL_WRITE);
	if (!source_mr)
		die("ibv_reg_mr of the source buffer",
		    errno == ENOMEM ? "raise ulimit -l" : NULL);
}

static void write_block(uint64_t n)
{
	unsigned int slot = __builtin_ctz(~busy);
	char *from = source + slot * BLOCK;
	struct ibv_sge sge = {
		.addr = (uintptr_t)from,
		.length = BLOCK,
		.lkey = source_mr->lkey,
	};
	struct ibv_send_wr *bad, wr = {
		.wr_id = n * MAX_INFLIGHT + slot,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.wr.rdma = { .remote_addr = remote + n * BLOCK, .rkey = rkey },
	};

	fill_block((uint64_t *)from, n);
	errno = ibv_post_send(qp, &wr, &bad);
	if (errno)
		die("ibv_post_send", NULL);
	busy |= 1u << slot;
	inflight++;
}

/* False if everything is written, or under way. */
static bool write_next(void)
{
	while (next_block < blocks_now() && written[next_block])
		next_block++;
	if (next_block >= blocks_now())
		return false;
	write_block(next_block++);
	return true;
}

static void reap(void)
{
	struct ibv_cq *ev_cq;
	struct ibv_wc wc;
	void *ev_ctx;

	while (!ibv_get_cq_event(channel, &ev_cq, &ev_ctx))
		ibv_ack_cq_events(ev_cq, 1);
	/* Arm first: what completes in between raises a new event. */
	ibv_req_notify_cq(cq, 0);
	while (ibv_poll_cq(cq, 1, &wc) > 0) {
		inflight--;
		busy &= ~(1u << wc.wr_id % MAX_INFLIGHT);
		if (wc.status != IBV_WC_SUCCESS) {
			if (!failed)
				say("a write failed: %s",
				    ibv_wc_status_str(wc.status));
			failed = true;
			continue;
		}
		/* It has arrived in the file, and stays until a break. */
		written[wc.wr_id / MAX_INFLIGHT] = 1;
		if (opt.progress && ++writes % opt.progress == 0)
			say("%lu writes", writes);
	}
}

/* ------------------------------------------------------------- the server */

static void connect_server(void)
{
	/* A server that could not wait for us may take a moment. */
	struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };

	hang_up(&server);
	for (int tries = 0; server.fd < 0; tries++) {
		server.fd = open_tcp(opt.host, opt.port);
		if (server.fd < 0 && tries >= 10 * opt.wait)
			die(opt.host, "is the server there?");
		if (server.fd < 0)
			nanosleep(&pause, NULL);
	}
	new_qp();
	ibv_req_notify_cq(cq, 0);
	busy = inflight = 0;
	may_write = stopping = asked = failed = false;
	next_block = 0;
	memset(written, 0, opt.blocks);
	connections++;
	send_hello(&server);
}

static void on_ready(const char *line)
{
	uint64_t size, from, to;

	if (sscanf(line, "ready %" SCNx32 " %" SCNx64 " %" SCNu64 " %" SCNu64
		   " %" SCNu64, &rkey, &remote, &size, &from, &to) != 5) {
		failed = true;
		return;
	}
	remote_blocks = size / BLOCK;
	for (uint64_t n = from / BLOCK; n < opt.blocks && n * BLOCK < to; n++)
		written[n] = 0;
	next_block = 0;
	may_write = true;
	asked = false;
	say("ready: rkey 0x%x, %" PRIu64 " bytes; lost: %" PRIu64 " to %" PRIu64,
	    rkey, size, from, to);
}

/* False at the end of it all. */
static bool on_line(const char *line)
{
	if (!strncmp(line, "hello ", 6)) {
		failed |= !on_hello(line);
	} else if (!strncmp(line, "ready ", 6)) {
		on_ready(line);
	} else if (!strcmp(line, "stop")) {
		say("stop, with %u writes under way", inflight);
		stopping = true;
		breaks++;
	} else if (!strcmp(line, "equal")) {
		return false;
	} else {
		errno = EPROTO;
		die(line, NULL);
	}
	return true;
}

static void say_done(void)
{
	uint64_t block[WORDS], sum = 0;

	for (uint64_t n = 0; n < blocks_now(); n++) {
		fill_block(block, n);
		sum = sum_block(sum, block);
	}
	send_line(&server, "done %" PRIu64 " %" PRIx64, blocks_now(), sum);
	asked = true;
}

static void event_loop(void)
{
	for (;;) {
		bool room = may_write && !stopping && inflight < MAX_INFLIGHT &&
			    next_block < blocks_now();
		struct pollfd fds[2] = {
			{ .fd = server.fd, .events = POLLIN },
			{ .fd = channel->fd, .events = POLLIN },
		};
		char *line;
		int ready;

		ready = poll(fds, 2, room ? opt.pace_ms : -1);
		if (ready < 0 && errno != EINTR)
			die("poll", NULL);
		reap();
		while ((line = next_line(&server)))
			if (!on_line(line))
				return;
		if (server.closed || failed) {
			say("the server could not wait: connecting anew");
			connect_server();
			continue;
		}
		if (stopping && !inflight) {
			send_line(&server, "stopped");
			stopping = may_write = false;
		}
		if (!may_write || stopping)
			continue;
		while (inflight < MAX_INFLIGHT && (!opt.pace_ms || !ready)) {
			ready = 1;
			if (!write_next())
				break;
		}
		if (!inflight && next_block >= blocks_now() && blocks_now() &&
		    !asked)
			say_done();
	}
}

/* ------------------------------------------------------------- main */

static void __attribute__((noreturn)) usage(int status)
{
	fputs("usage: longterm_client [OPTION...] SERVER\n"
	      "  --device NAME   RDMA device (rxe0)\n"
	      "  --port N        of the server (4791)\n"
	      "  --blocks N      how many blocks of 4096 bytes to write (1024)\n"
	      "  --pace-ms N     wait so long before each\n"
	      "  --wait N        at most so many seconds for the server (10)\n"
	      "  --progress N    say so after each N writes\n",
	      status ? stderr : stdout);
	exit(status);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "port", required_argument, NULL, 'p' },
		{ "blocks", required_argument, NULL, 'b' },
		{ "pace-ms", required_argument, NULL, 'w' },
		{ "wait", required_argument, NULL, 't' },
		{ "progress", required_argument, NULL, 'i' },
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
		case 'b':
			opt.blocks = strtoull(optarg, NULL, 0);
			break;
		case 'w':
			opt.pace_ms = atoi(optarg);
			break;
		case 't':
			opt.wait = atoi(optarg);
			break;
		case 'i':
			opt.progress = strtoull(optarg, NULL, 0);
			break;
		case 'h':
			usage(0);
		default:
			usage(2);
		}
	}
	if (optind != argc - 1 || !opt.blocks)
		usage(2);
	opt.host = argv[optind];
	open_rdma(opt.device);
	open_source();
	connect_server();
	event_loop();
	say("done: %" PRIu64 " blocks, equal; %lu breaks, %lu connections",
	    blocks_now(), breaks, connections);
	return 0;
}

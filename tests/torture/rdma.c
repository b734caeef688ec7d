// SPDX-License-Identifier: GPL-2.0
/*
 * Memory regions, and the rxe queue pair that writes to them: one that is connected
 * to itself, or a fork's, which goes on for its parent.
 *
 * A queue pair may fail by itself: rxe gives up when there is no memory for a packet.
 * Then the write is made again, by another one.  It is the region that must work.
 */
#include "torture.h"

#define BLOCK	512u		/* a lane */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "../../examples/rdma_loopback.h"

#include <poll.h>

_Static_assert(BLOCK == LANE, "a device writes a lane");
_Static_assert(IBV_WC_TM_RNDV_INCOMPLETE < WC_STATUSES, "room for each status");

#define FLUSHES		8	/* in a row, for nothing that we know of */

bool is_twin;
static struct ibv_qp *left;	/* what a fork's queue pair writes to */

/* Before there are any processes: what the library loads is theirs, too. */
void load_drivers(void)
{
	struct ibv_device **list = ibv_get_device_list(NULL);

	if (!list || !*list)
		quit("no RDMA device");
	ibv_free_device_list(list);
}

/* Takes a while. */
void open_device(void)
{
	struct entry *e;

	if (ctx)
		return;
	e = begin(DO_OPEN, -1, 0, 0);
	open_rdma("rxe0", 0);
	end(e, 0);
}

/* 0 or an errno. */
int pin_for_rdma(struct pin *pin, char *addr)
{
	pin->mr = ibv_reg_mr(pd, addr, pin->pages * PAGE,
			     IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	return pin->mr ? 0 : errno;
}

int unpin_for_rdma(struct pin *pin)
{
	return ibv_dereg_mr(pin->mr);
}

/* One whose copy elsewhere keeps pins alive; -1 if there is none. */
int device_fd(void)
{
	return ctx ? ctx->cmd_fd : -1;
}

static struct ibv_qp *unconnected(enum ibv_qp_type type)
{
	struct ibv_qp_init_attr init = {
		.send_cq = cq, .recv_cq = cq, .qp_type = type,
		.cap = { .max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1,
			 .max_recv_sge = 1 },
	};

	return ibv_create_qp(pd, &init);
}

static int connect_unreliable(struct ibv_qp *from, uint32_t to)
{
	union ibv_gid gid;
	int gid_index = pick_gid("rxe0", &gid);
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT, .port_num = 1,
		.qp_access_flags = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE,
	};
	int error;

	error = ibv_modify_qp(from, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
			      IBV_QP_ACCESS_FLAGS);
	if (error)
		return error;
	attr = (struct ibv_qp_attr) {
		.qp_state = IBV_QPS_RTR, .path_mtu = IBV_MTU_1024, .dest_qp_num = to,
		.ah_attr = {
			.is_global = 1, .port_num = 1,
			.grh = { .dgid = gid, .sgid_index = gid_index, .hop_limit = 1 },
		},
	};
	error = ibv_modify_qp(from, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
			      IBV_QP_DEST_QPN | IBV_QP_RQ_PSN);
	if (error)
		return error;
	attr.qp_state = IBV_QPS_RTS;
	return ibv_modify_qp(from, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN);
}

/*
 * ---- a fork that goes on writing
 *
 * The kernel lets nobody post for whom the device was not opened.  So the fork has a
 * queue pair of its own, which writes to one that its parent has left for it.  Both
 * are unreliable ones, where no word has to come back.
 */

/* In the parent; false: it can't be.  Without a device there is nothing to do. */
bool expect_twin(void)
{
	if (!ctx)
		return true;
	left = unconnected(IBV_QPT_UC);
	return left && !connect_unreliable(left, left->qp_num);
}

/* In the parent, which has not forked after all. */
void expect_no_twin(void)
{
	if (left)
		ibv_destroy_qp(left);
	left = NULL;
}

/* In the fork: devices of our own, but the memory regions as they are. */
void become_twin(void)
{
	struct ibv_device **list;

	is_twin = true;
	if (!ctx)
		return;
	list = ibv_get_device_list(NULL);
	ctx = list && *list ? ibv_open_device(*list) : NULL;
	pd = ctx ? ibv_alloc_pd(ctx) : NULL;
	channel = pd ? ibv_create_comp_channel(ctx) : NULL;
	cq = channel ? ibv_create_cq(ctx, 2, NULL, channel, 0) : NULL;
	qp = cq ? unconnected(IBV_QPT_UC) : NULL;
	if (!qp || connect_unreliable(qp, left->qp_num))
		quit("a fork's queue pair");
	fcntl(channel->fd, F_SETFL, O_NONBLOCK);
	ibv_req_notify_cq(cq, 0);
	source_mr = ibv_reg_mr(pd, source, BLOCK, IBV_ACCESS_LOCAL_WRITE);
	if (!source_mr)
		quit("a fork's source");
}

/* ---- writes */

/* Not by way of RESET, after which rxe goes on at the old place of the send queue. */
static bool another_queue_pair(void)
{
	if (qp)
		ibv_destroy_qp(qp);
	qp = unconnected(is_twin ? IBV_QPT_UC : IBV_QPT_RC);
	if (!qp)
		return false;
	if (!is_twin)
		connect_to_self("rxe0");
	else if (connect_unreliable(qp, left->qp_num))
		return false;
	count(QUEUE_PAIR);
	return true;
}

/*
 * Without memory; and what may be said of a queue pair that was brought down before
 * its word came, also by its other end, which is itself: so not for long.
 */
static bool of_the_queue_pair(enum ibv_wc_status status, int *flushes)
{
	switch (status) {
	case IBV_WC_LOC_QP_OP_ERR:
	case IBV_WC_RETRY_EXC_ERR:
	case IBV_WC_RNR_RETRY_EXC_ERR:
		return true;
	case IBV_WC_WR_FLUSH_ERR:
		return ++*flushes < FLUSHES;
	default:
		return false;
	}
}

static bool completion(struct ibv_wc *wc, uint64_t until)
{
	struct pollfd p = { .fd = channel->fd, .events = POLLIN };
	struct ibv_cq *from;
	void *context;
	int n;

	while (!(n = ibv_poll_cq(cq, 1, wc)) && now() < until) {
		if (poll(&p, 1, 1000) != 1)
			continue;
		while (!ibv_get_cq_event(channel, &from, &context))
			ibv_ack_cq_events(from, 1);
		ibv_req_notify_cq(cq, 0);
	}
	return n == 1;
}

/* A lane; what is wrong, or NULL. */
const char *write_by_rdma(const struct pin *pin, char *to, const uint64_t *words)
{
	uint64_t until = now() + PATIENCE * 1000000000ull * shared->slow;
	struct ibv_mr *mr = pin->mr;
	int flushes = 0;
	struct ibv_wc wc;

	memcpy(source, words, LANE);
	while (now() < until) {
		if (qp) {
			post_write((uintptr_t)to, mr->rkey);
			if (!completion(&wc, until))
				break;
			if (wc.status == IBV_WC_SUCCESS)
				return NULL;
			atomic_fetch_add(&shared->statuses[wc.status], 1);
			if (!of_the_queue_pair(wc.status, &flushes))
				return ibv_wc_status_str(wc.status);
		}
		if (!another_queue_pair())
			nap(10000);
	}
	return "it does not come to an end";
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An RDMA connection to ourselves, for longterm_rdma.c: a reliable queue pair
 * whose other end is itself, and a block of anonymous memory to write from.
 * Nothing here knows of leases; your application has its own instead.
 */
#ifndef RDMA_LOOPBACK_H
#define RDMA_LOOPBACK_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <infiniband/verbs.h>

#ifndef BLOCK
#define BLOCK		4096u	/* bytes of one RDMA write */
#endif
#define MAX_INFLIGHT	16

static struct ibv_context *ctx;
static struct ibv_pd *pd;
static struct ibv_comp_channel *channel;
static struct ibv_cq *cq;
static struct ibv_qp *qp;
static struct ibv_mr *source_mr;
static char *source;
static unsigned int inflight;
static unsigned long written;	/* completed RDMA writes */

static void __attribute__((noreturn)) die(const char *what, const char *hint)
{
	int err = errno;

	fprintf(stderr, "longterm_rdma: %s: %s%s%s\n", what, strerror(err),
		hint ? ": " : "", hint ? hint : "");
	exit(EXIT_FAILURE);
}

/* Any RoCE address of the port will do, since we talk to ourselves. */
static int pick_gid(const char *device, union ibv_gid *gid)
{
	struct ibv_gid_entry entry;
	struct ibv_port_attr port;

	if (ibv_query_port(ctx, 1, &port))
		die("ibv_query_port", NULL);
	for (int i = 0; i < port.gid_tbl_len; i++) {
		if (ibv_query_gid_ex(ctx, 1, i, &entry, 0))
			continue;
		if (entry.gid_type != IBV_GID_TYPE_ROCE_V2)
			continue;
		*gid = entry.gid;
		return i;
	}
	errno = ENODEV;
	die(device, "no RoCE address: give its network device an address");
}

static void connect_to_self(const char *device)
{
	union ibv_gid gid;
	int gid_index = pick_gid(device, &gid);
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = IBV_ACCESS_LOCAL_WRITE |
				   IBV_ACCESS_REMOTE_WRITE,
	};

	errno = ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX |
			      IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
	if (errno)
		die("queue pair to INIT", NULL);

	attr = (struct ibv_qp_attr) {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = qp->qp_num,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = 12,
		.ah_attr = {
			.is_global = 1,
			.port_num = 1,
			.grh = { .dgid = gid, .sgid_index = gid_index,
				 .hop_limit = 1 },
		},
	};
	errno = ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_AV |
			      IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
			      IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
			      IBV_QP_MIN_RNR_TIMER);
	if (errno)
		die("queue pair to RTR", NULL);

	attr = (struct ibv_qp_attr) {
		.qp_state = IBV_QPS_RTS,
		.timeout = 14,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.max_rd_atomic = 1,
	};
	errno = ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_TIMEOUT |
			      IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			      IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
	if (errno)
		die("queue pair to RTS", NULL);
}

static void open_rdma(const char *device, char fill)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = MAX_INFLIGHT, .max_recv_wr = 1,
			 .max_send_sge = 1, .max_recv_sge = 1 },
	};
	struct ibv_device **list = ibv_get_device_list(NULL);

	for (int i = 0; list && list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), device))
			ctx = ibv_open_device(list[i]);
	if (!ctx) {
		errno = ENODEV;
		die(device, "name one of those that ibv_devices prints");
	}
	ibv_free_device_list(list);

	pd = ibv_alloc_pd(ctx);
	channel = ibv_create_comp_channel(ctx);
	cq = ibv_create_cq(ctx, 2 * MAX_INFLIGHT, NULL, channel, 0);
	if (!pd || !channel || !cq)
		die("protection domain and completion queue", NULL);
	fcntl(channel->fd, F_SETFL, fcntl(channel->fd, F_GETFL) | O_NONBLOCK);
	ibv_req_notify_cq(cq, 0);
	init.send_cq = cq;
	init.recv_cq = cq;
	qp = ibv_create_qp(pd, &init);
	if (!qp)
		die("ibv_create_qp", NULL);
	connect_to_self(device);

	source = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (source == MAP_FAILED)
		die("mmap", NULL);
	memset(source, fill, BLOCK);
	source_mr = ibv_reg_mr(pd, source, BLOCK, IBV_ACCESS_LOCAL_WRITE);
	if (!source_mr)
		die("ibv_reg_mr of the source buffer",
		    errno == ENOMEM ? "raise ulimit -l" : NULL);
}

static void post_write(uint64_t remote_addr, uint32_t rkey)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)source,
		.length = BLOCK,
		.lkey = source_mr->lkey,
	};
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = remote_addr, .rkey = rkey },
	};

	errno = ibv_post_send(qp, &wr, &bad);
	if (errno)
		die("ibv_post_send", NULL);
	inflight++;
}

static void reap_completions(void)
{
	struct ibv_wc wc;
	int n;

	while ((n = ibv_poll_cq(cq, 1, &wc)) > 0) {
		inflight--;
		if (wc.status != IBV_WC_SUCCESS) {
			errno = EIO;
			die("RDMA write", ibv_wc_status_str(wc.status));
		}
		written++;
	}
	if (n < 0)
		die("ibv_poll_cq", NULL);
}

static void on_channel(void)
{
	struct ibv_cq *ev_cq;
	void *ev_ctx;

	while (!ibv_get_cq_event(channel, &ev_cq, &ev_ctx))
		ibv_ack_cq_events(ev_cq, 1);
	/* Arm first: what completes in between raises a new event. */
	ibv_req_notify_cq(cq, 0);
	reap_completions();
}

#endif /* RDMA_LOOPBACK_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A reliable connection to a peer on another machine, or on this one: devices,
 * queue pairs and addresses.  Nothing here knows of leases; your application has
 * its own instead, perhaps by librdmacm.
 */
#ifndef RDMA_PEER_H
#define RDMA_PEER_H

#include <stdint.h>
#include <sys/mman.h>

#include <infiniband/verbs.h>

#include "lines.h"

#define MAX_INFLIGHT	16
#define GID_TEXT	(2 * sizeof(union ibv_gid))

static struct ibv_context *ctx;
static struct ibv_pd *pd;
static struct ibv_comp_channel *channel;
static struct ibv_cq *cq;
static struct ibv_qp *qp;
static union ibv_gid own_gid;
static int gid_index = -1;

static void print_gid(const union ibv_gid *gid, char *text)
{
	for (size_t i = 0; i < sizeof(*gid); i++)
		sprintf(text + 2 * i, "%02x", gid->raw[i]);
}

static bool parse_gid(const char *text, union ibv_gid *gid)
{
	for (size_t i = 0; i < sizeof(*gid); i++) {
		unsigned int byte;

		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return false;
		gid->raw[i] = byte;
	}
	return true;
}

/* An IPv4 address of the port's, in RoCE v2: those are routed like any other. */
static void pick_gid(const char *device)
{
	static const uint8_t ipv4[12] = { [10] = 0xff, [11] = 0xff };
	struct ibv_gid_entry entry;
	struct ibv_port_attr port;

	if (ibv_query_port(ctx, 1, &port))
		die("ibv_query_port", NULL);
	for (int i = 0; i < port.gid_tbl_len; i++) {
		if (ibv_query_gid_ex(ctx, 1, i, &entry, 0) ||
		    entry.gid_type != IBV_GID_TYPE_ROCE_V2 ||
		    memcmp(entry.gid.raw, ipv4, sizeof(ipv4)))
			continue;
		own_gid = entry.gid;
		gid_index = i;
		return;
	}
	errno = ENODEV;
	die(device, "no RoCE address: give its network device an IPv4 address");
}

static void open_rdma(const char *device)
{
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
	pick_gid(device);
}

/* Whatever the peer still has under way comes to nothing. */
static void drop_qp(void)
{
	struct ibv_wc wc;

	if (qp)
		ibv_destroy_qp(qp);
	qp = NULL;
	while (ibv_poll_cq(cq, 1, &wc) > 0)
		;
}

/* A queue pair for a new peer. */
static void new_qp(void)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.send_cq = cq,
		.recv_cq = cq,
		.sq_sig_all = 1,
		.cap = { .max_send_wr = MAX_INFLIGHT, .max_recv_wr = 1,
			 .max_send_sge = 1, .max_recv_sge = 1 },
	};
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = IBV_ACCESS_LOCAL_WRITE |
				   IBV_ACCESS_REMOTE_WRITE,
	};

	drop_qp();
	qp = ibv_create_qp(pd, &init);
	if (!qp)
		die("ibv_create_qp", NULL);
	errno = ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX |
			      IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
	if (errno)
		die("queue pair to INIT", NULL);
}

/* Say who we are. */
static void send_hello(struct lines *peer)
{
	char text[GID_TEXT + 1];

	print_gid(&own_gid, text);
	send_line(peer, "hello %u %s", qp->qp_num, text);
}

/* Connect to who said hello; false if that is no hello. */
static bool on_hello(const char *line)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = 12,
		.ah_attr = {
			.is_global = 1,
			.port_num = 1,
			.grh = { .sgid_index = gid_index, .hop_limit = 64 },
		},
	};
	char text[GID_TEXT + 1];

	if (sscanf(line, "hello %u %32s", &attr.dest_qp_num, text) != 2 ||
	    !parse_gid(text, &attr.ah_attr.grh.dgid))
		return false;
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
	return true;
}

#endif

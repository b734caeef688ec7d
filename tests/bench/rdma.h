/* SPDX-License-Identifier: GPL-2.0 */
/* The guest's software RDMA device. */
#ifndef BENCH_RDMA_H
#define BENCH_RDMA_H

#include "bench.h"

#include <infiniband/verbs.h>

static struct ibv_pd *pd;

static inline void open_rdma(void)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *ctx = list && list[0] ? ibv_open_device(list[0]) : NULL;

	pd = ctx ? ibv_alloc_pd(ctx) : NULL;
	if (!pd)
		die("no RDMA device");
}

static inline struct ibv_mr *reg(void *addr, size_t size)
{
	struct ibv_mr *mr = ibv_reg_mr(pd, addr, size, IBV_ACCESS_LOCAL_WRITE |
				       IBV_ACCESS_REMOTE_WRITE);

	if (!mr)
		die("ibv_reg_mr of %zu bytes", size);
	return mr;
}

static inline void dereg(struct ibv_mr *mr)
{
	errno = ibv_dereg_mr(mr);
	if (errno)
		die("ibv_dereg_mr");
}

#endif /* BENCH_RDMA_H */

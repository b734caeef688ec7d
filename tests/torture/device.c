// SPDX-License-Identifier: GPL-2.0
/*
 * What a holder pins with, and the devices behind: an rxe queue pair that writes
 * to itself, and io_uring, whose reads into a fixed buffer go to the pages that were
 * pinned, whatever has become of the file.  GUP_TEST only reads.
 */
#include "torture.h"

#define BLOCK	512u		/* a lane */
#include "../../examples/rdma_loopback.h"

#include <liburing.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define PATIENCE	60	/* seconds for one write */

_Static_assert(BLOCK == LANE, "a device writes a lane");

/* mm/gup_test.h */
struct pin_longterm_test {
	uint64_t addr;
	uint64_t size;
	uint32_t flags;
};

#define TEST_START	_IOW('g', 7, struct pin_longterm_test)
#define TEST_STOP	_IO('g', 8)
#define TEST_READ	_IOW('g', 9, __u64)

static struct io_uring ring;
static bool have_ring;
static int words_file = -1;	/* what io_uring reads from */
static bool is_twin;

static bool open_ring(void)
{
	if (have_ring)
		return true;
	words_file = memfd_create("torture", MFD_CLOEXEC);
	if (words_file < 0 || io_uring_queue_init(4, &ring, 0))
		return false;
	have_ring = !io_uring_register_buffers_sparse(&ring, PINS);
	return have_ring;
}

static int buffer(int number, void *addr, size_t size)
{
	struct iovec iov = { addr, size };
	int ret = io_uring_register_buffers_update_tag(&ring, number, &iov, NULL, 1);

	return ret < 0 ? -ret : 0;
}

static int take_gup(struct pin *pin, char *addr)
{
	struct pin_longterm_test arg = {
		.addr = (uintptr_t)addr,
		.size = pin->pages * PAGE,
		.flags = 1 | below(2) << 1,	/* write, fast */
	};
	int error;

	pin->number = open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC);
	if (pin->number < 0)
		return errno;
	if (!ioctl(pin->number, TEST_START, &arg))
		return 0;
	error = errno;
	close(pin->number);
	return error;
}

/* Its kind, file and pages are set; 0 or an errno. */
int take_pin(struct pin *pin, int number)
{
	char *addr = pin->map + pin->first * PAGE;

	switch (pin->kind) {
	case BY_RDMA:
		if (!qp)
			open_rdma("rxe0", 0);
		pin->mr = ibv_reg_mr(pd, addr, pin->pages * PAGE,
				     IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
		return pin->mr ? 0 : errno;
	case BY_URING:
		return open_ring() ? buffer(number, addr, pin->pages * PAGE) : EAGAIN;
	default:
		return take_gup(pin, addr);
	}
}

void drop_pin(struct pin *pin, int number)
{
	struct entry *e = begin(DO_UNPIN, pin->target, pin->first, pin->pages);
	int error = 0;

	switch (pin->kind) {
	case BY_RDMA:
		error = ibv_dereg_mr(pin->mr);
		break;
	case BY_URING:
		error = buffer(number, NULL, 0);
		break;
	default:
		if (one_in(2) && ioctl(pin->number, TEST_STOP))
			error = errno;
		close(pin->number);
	}
	if (end(e, error))
		failed("holder %u can't unpin: %s", my_number(), strerror(error));
	count(UNPIN);
	if (pin->hold < 0 && pin->fd >= 0)
		close(pin->fd);
	pin->kind = NO_PIN;
}

static bool write_by_rdma(const struct pin *pin, char *to, const uint64_t *words)
{
	struct ibv_mr *mr = pin->mr;
	uint64_t until = now() + PATIENCE * 1000000000ull * shared->slow;

	memcpy(source, words, LANE);
	post_write((uintptr_t)to, mr->rkey);
	while (inflight && now() < until) {
		struct pollfd p = { .fd = channel->fd, .events = POLLIN };

		if (poll(&p, 1, 1000) == 1)
			on_channel();
	}
	errno = ETIMEDOUT;
	return !inflight;
}

static bool write_by_uring(char *to, const uint64_t *words, int number)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	struct io_uring_cqe *cqe;
	int ret;

	errno = ENOBUFS;
	if (!sqe || pwrite(words_file, words, LANE, 0) != (ssize_t)LANE)
		return false;
	io_uring_prep_read_fixed(sqe, words_file, to, LANE, 0, number);
	ret = io_uring_submit(&ring);
	if (ret != 1) {
		errno = ret < 0 ? -ret : EBUSY;
		return false;
	}
	do
		ret = io_uring_wait_cqe(&ring, &cqe);
	while (ret == -EINTR);
	errno = -ret;
	if (ret)
		return false;
	ret = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	errno = ret < 0 ? -ret : ENODATA;
	return ret == (int)LANE;
}

static void count_write(const struct pin *pin)
{
	count(pin->kind == BY_RDMA ? WRITE_RDMA : WRITE_URING);
	if (atomic_load(&shared->breaking[pin->target]))
		count(WRITE_IN_A_BREAK);
	if (atomic_load(&shared->broken[pin->target]) != pin->breaks)
		count(WRITE_AFTER_A_BREAK);
}

static bool seen_in_the_file(const struct pin *pin, unsigned int page,
			     const uint64_t *words, uint64_t *back, ssize_t *n)
{
	/* An unreliable queue pair's write is still under way when it is over. */
	for (int try = is_twin ? 200 * shared->slow : 1; try; try--) {
		*n = pread(pin->fd, back, LANE, page * PAGE + my_number() * LANE);
		if (*n == (ssize_t)LANE && !memcmp(words, back, LANE))
			return true;
		if (is_twin)
			nap(1000);
	}
	return false;
}

/* To our lane of one page, and see it in the file: the pin keeps them together. */
void device_write(const struct pin *pin, unsigned int page, int number)
{
	char *to = pin->map + page * PAGE + my_number() * LANE;
	uint64_t words[LANE_WORDS], back[LANE_WORDS];
	char found[160];
	ssize_t n = 0;

	/* What the device of one before us was about may come late, but once. */
	for (int try = 0; try < 3 && !atomic_load(&shared->failed); try++) {
		unsigned int serial = atomic_fetch_add(&me->writes, 1);
		struct entry *e = begin(DO_WRITE, pin->target, page, serial & 0xffff);
		bool done;

		fill_words(words, my_number() * LANE_WORDS, LANE_WORDS,
			   head_of(BY_DEVICE, family_of(pin->target), page, serial));
		atomic_store(&me->writing, true);
		done = pin->kind == BY_RDMA ? write_by_rdma(pin, to, words) :
					      write_by_uring(to, words, number);
		atomic_store(&me->writing, false);
		if (end(e, done ? 0 : errno)) {
			failed("t%u, page %u: a write of holder %u%s through a live %s fails: %s",
			       pin->target, page, my_number(), is_twin ? " (its fork)" : "",
			       pin->kind == BY_RDMA ? "MR" : "io_uring buffer", strerror(errno));
			return;
		}
		count_write(pin);
		if (seen_in_the_file(pin, page, words, back, &n))
			return;
		/* In the last page of a file, which somebody had to make longer. */
		if (n >= 0 && n < (ssize_t)LANE && !has_page(pin->fd, page))
			grow(pin->fd, pin->target, page + 1);
	}
	if (n == (ssize_t)LANE)
		describe(found, sizeof(found), back[0], my_number() * LANE_WORDS);
	else
		snprintf(found, sizeof(found), "%zd bytes, as the file has no more", n);
	failed("t%u, page %u: holder %u%s has written through its live %s, and that is not in the file; read(2) gives %s",
	       pin->target, page, my_number(), is_twin ? " (its fork)" : "",
	       pin->kind == BY_RDMA ? "MR" : "io_uring buffer", found);
}

/* The pinned pages are still the file's. */
void look_by_gup(const struct pin *pin)
{
	static uint64_t pages[64 * WORDS];
	uint64_t where = (uintptr_t)pages;

	if (pin->pages > 64)
		return;
	for (int try = 0; try < 50; try++) {
		unsigned int i = 0;

		if (ioctl(pin->number, TEST_READ, &where)) {
			failed("GUP_TEST: %s", strerror(errno));
			return;
		}
		while (i < pin->pages && foreign(pages + i * WORDS, pin->target) == WORDS)
			i++;
		if (i == pin->pages)
			break;
		nap(1000);
	}
	for (unsigned int i = 0; i < pin->pages; i++)
		check_target_words(pages + i * WORDS, pin->target, pin->first + i,
				   "a GUP_TEST pin");
	count_by(LOOK_GUP, pin->pages);
}

/* One whose copy elsewhere keeps pins alive; -1 if there is none. */
int device_fd(void)
{
	return ctx ? ctx->cmd_fd : -1;
}

/* ---- a fork that goes on writing */

/*
 * The kernel lets nobody post for whom the device was not opened.  So the fork has a
 * queue pair of its own, which writes to one that its parent has left for it.  Both
 * are unreliable ones, where no word has to come back.
 */
static struct ibv_qp *left;

static struct ibv_qp *unreliable(struct ibv_pd *domain, struct ibv_cq *completions)
{
	struct ibv_qp_init_attr init = {
		.send_cq = completions, .recv_cq = completions, .qp_type = IBV_QPT_UC,
		.cap = { .max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1,
			 .max_recv_sge = 1 },
	};

	return ibv_create_qp(domain, &init);
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

/* In the parent; false: there is no device yet, which is fine. */
bool expect_twin(void)
{
	if (!qp)
		return true;
	left = unreliable(pd, cq);
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
	if (!qp)
		return;
	list = ibv_get_device_list(NULL);
	ctx = list && *list ? ibv_open_device(*list) : NULL;
	pd = ctx ? ibv_alloc_pd(ctx) : NULL;
	channel = pd ? ibv_create_comp_channel(ctx) : NULL;
	cq = channel ? ibv_create_cq(ctx, 2, NULL, channel, 0) : NULL;
	qp = cq ? unreliable(pd, cq) : NULL;
	if (!qp || connect_unreliable(qp, left->qp_num))
		quit("a fork's queue pair");
	fcntl(channel->fd, F_SETFL, O_NONBLOCK);
	ibv_req_notify_cq(cq, 0);
	source_mr = ibv_reg_mr(pd, source, BLOCK, IBV_ACCESS_LOCAL_WRITE);
	if (!source_mr)
		quit("a fork's source");
}

/* The ring is shared, but each has its own idea of how far it is: take the dead one's. */
void inherit(void)
{
	struct io_uring_cqe *cqe;

	if (!have_ring)
		return;
	ring.sq.sqe_head = ring.sq.sqe_tail = *ring.sq.ktail;
	while (!io_uring_peek_cqe(&ring, &cqe))
		io_uring_cqe_seen(&ring, cqe);
}

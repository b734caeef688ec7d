// SPDX-License-Identifier: GPL-2.0
/*
 * What a holder pins with, and the devices behind: rdma.c, and io_uring, whose reads
 * into a fixed buffer go to the pages that were pinned, whatever has become of the
 * file.  GUP_TEST only reads.
 */
#include "torture.h"

#include <liburing.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

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
		return pin_for_rdma(pin, addr);
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
		error = unpin_for_rdma(pin);
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

/* A lane; what is wrong, or NULL.  Without memory it is tried again. */
static const char *write_by_uring(char *to, const uint64_t *words, int number)
{
	uint64_t until = now() + PATIENCE * 1000000000ull * shared->slow;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	struct io_uring_cqe *cqe;
	int ret;

	if (!sqe)
		return "the ring has no room";
	if (pwrite(words_file, words, LANE, 0) != (ssize_t)LANE)
		return strerror(errno);
	io_uring_prep_read_fixed(sqe, words_file, to, LANE, 0, number);
	while ((ret = io_uring_submit(&ring)) != 1) {
		if ((ret && ret != -EAGAIN && ret != -EBUSY && ret != -ENOMEM &&
		     ret != -EINTR) || now() > until)
			return ret < 0 ? strerror(-ret) : "it is not taken";
		nap(1000);
	}
	do
		ret = io_uring_wait_cqe(&ring, &cqe);
	while (ret == -EINTR);
	if (ret)
		return strerror(-ret);
	ret = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	if (ret == (int)LANE)
		return NULL;
	return ret < 0 ? strerror(-ret) : "it is cut short";
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
	uint64_t until = is_twin ? now() + 3000000000ull * shared->slow : 0;

	for (;;) {
		*n = pread(pin->fd, back, LANE, page * PAGE + my_number() * LANE);
		if (*n == (ssize_t)LANE && !memcmp(words, back, LANE))
			return true;
		if (now() > until)
			return false;
		nap(1000);
	}
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
		const char *problem;

		fill_words(words, my_number() * LANE_WORDS, LANE_WORDS,
			   head_of(BY_DEVICE, family_of(pin->target), page, serial));
		atomic_store(&me->writing, getpid());
		problem = pin->kind == BY_RDMA ? write_by_rdma(pin, to, words) :
						 write_by_uring(to, words, number);
		atomic_store(&me->writing, 0);
		if (end(e, problem ? EIO : 0)) {
			failed("t%u, page %u: a write of holder %u%s through a live %s fails: %s",
			       pin->target, page, my_number(), is_twin ? " (its fork)" : "",
			       pin->kind == BY_RDMA ? "MR" : "io_uring buffer", problem);
			return;
		}
		count_write(pin);
		if (shared->blind || seen_in_the_file(pin, page, words, back, &n))
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

	if (pin->pages > 64 || shared->blind)
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

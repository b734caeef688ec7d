// SPDX-License-Identifier: GPL-2.0
/*
 * A breaker: each operation that takes blocks away, moves them, or comes near it, on
 * files that others have pinned.  At times a signal comes in between, or SIGKILL.
 */
#include "torture.h"

#include <liburing.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>

#ifndef FALLOC_FL_WRITE_ZEROES
#define FALLOC_FL_WRITE_ZEROES	0x80
#endif

/* fs/xfs/libxfs/xfs_fs.h, fs/ext4/ext4.h */
struct exchange_range {
	int32_t fd;
	uint32_t pad;
	uint64_t offset, other_offset, length, flags;
};

struct scrub {
	uint32_t type, flags;
	uint64_t ino;
	uint32_t gen, agno;
	uint64_t reserved[5];
};

#define XFS_SCRUB		_IOWR('X', 60, struct scrub)
#define SCRUB_MAP_OF_BLOCKS	12
#define SCRUB_REBUILD		(1 | 1 << 8)
#define XFS_EXCHANGE_RANGE	_IOW('X', 129, struct exchange_range)
#define SWAP_BOOT		_IO('f', 17)

/* A call may take three periods of two seconds, and what the machine needs. */
#define LIMIT_MS		(6000 + 30000 * shared->slow)

struct call {
	enum op op;
	unsigned int target;
	int fd, other;		/* the file, and the other one of the pair */
	uint64_t start, length;
};

static void on_alarm(int sig)
{
	(void)sig;
}

static int falloc(const struct call *c, int mode)
{
	return fallocate(c->fd, mode, c->start, c->length);
}

static int punch_nonblock(const struct call *c)
{
	int fd = open_target(c->target, O_RDWR | O_NONBLOCK), ret, error;

	if (fd < 0)
		return -1;
	ret = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, c->start,
			c->length);
	error = errno;
	close(fd);
	errno = error;
	return ret;
}

static int open_and_close(const struct call *c, int flags)
{
	int fd = open_target(c->target, flags);

	return fd < 0 ? -1 : close(fd);
}

/* A new file under the name. */
static int rename_over(const struct call *c)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/small/new%u", shared->dir, my_number());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	grow(fd, c->target, 1 + below(FEW_PAGES));
	close(fd);
	return rename(path, path_of(c->target));
}

static int break_only(const struct call *c)
{
	struct longterm_ioc_break arg = {
		.size = sizeof(arg), .fd = c->fd, .start = c->start, .length = c->length,
	};
	int device = open(LONGTERM_DEVICE, O_RDWR | O_CLOEXEC), ret, error;

	if (device < 0)
		return -1;
	ret = ioctl(device, LONGTERM_IOC_BREAK, &arg);
	error = errno;
	close(device);
	errno = error;
	return ret;
}

static int by_overlay(const struct call *c)
{
	return truncate("/run/torture/t7", c->start);
}

static int clone_range(const struct call *c)
{
	struct file_clone_range arg = {
		.src_fd = c->other, .src_offset = c->start, .src_length = c->length,
		.dest_offset = c->start,
	};

	return ioctl(c->fd, FICLONERANGE, &arg);
}

static int dedupe(const struct call *c)
{
	struct {
		struct file_dedupe_range range;
		struct file_dedupe_range_info info;
	} arg = {
		.range = { .src_offset = c->start, .src_length = c->length, .dest_count = 1 },
		.info = { .dest_fd = c->other, .dest_offset = c->start },
	};

	if (ioctl(c->fd, FIDEDUPERANGE, &arg))
		return -1;
	if (arg.info.status >= 0)
		return 0;
	errno = -arg.info.status;
	return -1;
}

static int exchange(const struct call *c)
{
	struct exchange_range arg = {
		.fd = c->other, .offset = c->start, .other_offset = c->start,
		.length = c->length,
	};

	return ioctl(c->fd, XFS_EXCHANGE_RANGE, &arg);
}

/* One lane only: the others are written by devices. */
static int copy(const struct call *c)
{
	loff_t from = c->start, to = from;

	/* Who grows the file fills its last page with zeroes. */
	if (!has_page(c->other, from / PAGE))
		return 0;
	return copy_file_range(c->fd, &from, c->other, &to, LANE, 0) < 0 ? -1 : 0;
}

/* Writes the file's map of blocks anew, with its lock held. */
static int repair(const struct call *c)
{
	struct scrub arg = { .type = SCRUB_MAP_OF_BLOCKS, .flags = SCRUB_REBUILD };

	return ioctl(c->fd, XFS_SCRUB, &arg);
}

/* In a worker of the ring; a signal to us ends the ring, and that the worker. */
static int by_uring(const struct call *c)
{
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	int ret = io_uring_queue_init(2, &ring, 0);

	if (!ret) {
		sqe = io_uring_get_sqe(&ring);
		if (one_in(2))
			io_uring_prep_ftruncate(sqe, c->fd, c->start);
		else
			io_uring_prep_fallocate(sqe, c->fd, FALLOC_FL_PUNCH_HOLE |
						FALLOC_FL_KEEP_SIZE, c->start, c->length);
		ret = io_uring_submit(&ring);
		if (ret >= 0)
			ret = io_uring_wait_cqe(&ring, &cqe);
		if (!ret)
			ret = cqe->res;
		io_uring_queue_exit(&ring);
	}
	errno = -ret;
	return ret ? -1 : 0;
}

static int call(const struct call *c)
{
	const int keep = FALLOC_FL_KEEP_SIZE;

	switch (c->op) {
	case OP_TRUNCATE:
		return truncate(path_of(c->target), c->start);
	case OP_FTRUNCATE:
		return ftruncate(c->fd, c->start);
	case OP_NONBLOCK:
		return punch_nonblock(c);
	case OP_O_TRUNC:
		return open_and_close(c, O_RDWR | O_TRUNC);
	case OP_CREAT:
		return open_and_close(c, O_WRONLY | O_TRUNC);
	case OP_PUNCH:
		return falloc(c, FALLOC_FL_PUNCH_HOLE | keep);
	case OP_ZERO:
		return falloc(c, FALLOC_FL_ZERO_RANGE |
				 (c->start % PAGE || one_in(2) ? keep : 0));
	case OP_COLLAPSE:
		return falloc(c, FALLOC_FL_COLLAPSE_RANGE);
	case OP_INSERT:
		return falloc(c, FALLOC_FL_INSERT_RANGE);
	case OP_UNSHARE:
		return falloc(c, FALLOC_FL_UNSHARE_RANGE);
	case OP_WRITE_ZEROES:
		return falloc(c, FALLOC_FL_WRITE_ZEROES);
	case OP_PREALLOCATE:
		return falloc(c, one_in(2) ? keep : 0);
	case OP_GROW:
		grow(c->fd, c->target, (c->start + c->length) / PAGE);
		return 0;
	case OP_WRITE:
		write_lane(c->fd, c->target, c->start / PAGE);
		return 0;
	case OP_UNLINK:
		return unlink(path_of(c->target));
	case OP_RENAME:
		return rename_over(c);
	case OP_BREAK:
		return break_only(c);
	case OP_OVERLAY:
		return by_overlay(c);
	case OP_URING:
		return by_uring(c);
	case OP_REPAIR:
		return repair(c);
	case OP_CLONE:
		return ioctl(c->fd, FICLONE, c->other);
	case OP_CLONE_RANGE:
		return clone_range(c);
	case OP_DEDUPE:
		return dedupe(c);
	case OP_EXCHANGE:
		return exchange(c);
	case OP_COPY:
		return copy(c);
	default:
		return ioctl(c->fd, SWAP_BOOT);
	}
}

static enum result result_of(int error)
{
	switch (error) {
	case 0:
		return R_DONE;
	case ETXTBSY:
		return R_ETXTBSY;
	case EAGAIN:
		return R_EAGAIN;
	case EINTR:
		return R_EINTR;
	case EDEADLK:
		return R_EDEADLK;
	case ENOSPC:
		return R_ENOSPC;
	case EOPNOTSUPP:
	case ENOTTY:
		return R_UNSUPPORTED;
	default:
		return R_OTHER;
	}
}

/* Files that share blocks can't be pinned until they have none. */
static bool rarely(enum op op)
{
	switch (op) {
	case OP_UNLINK:
	case OP_RENAME:
	case OP_CLONE:
	case OP_CLONE_RANGE:
	case OP_DEDUPE:
		return true;
	default:
		return false;
	}
}

static void choose(struct call *c)
{
	unsigned int pages, most;

	/* At random; and each of them from time to time. */
	if (one_in(4))
		c->op = atomic_fetch_add(&shared->turn, 1) % OPS;
	else
		do
			c->op = below(OPS);
		while (rarely(c->op));
	c->target = below(TARGETS);
	if (c->op == OP_OVERLAY)
		c->target = OVERLAID;
	else if (c->target == OVERLAID && (c->op == OP_UNLINK || c->op == OP_RENAME))
		c->target = 0;
	if (c->op == OP_SWAP_BOOT)
		c->target = SWAPPED;
	else if (pages_of(c->target) == FEW_PAGES && c->op == OP_INSERT)
		c->target = 0;
	pages = pages_of(c->target);
	/* Most pins are near the begin; most breaks are small. */
	c->start = below(one_in(3) || pages < 16 ? pages : 16) * PAGE;
	most = one_in(4) ? pages : 4;
	c->length = (1 + below(most)) * PAGE;
	if ((c->op == OP_PUNCH || c->op == OP_ZERO) && one_in(4)) {
		/* Not within a word: half a word is nobody's. */
		c->start += (1 + below(WORDS - 1)) * sizeof(uint64_t);
		c->length -= below(WORDS) * sizeof(uint64_t);
	}
	if (pages == FEW_PAGES && c->length > FEW_PAGES * PAGE - c->start)
		c->length = FEW_PAGES * PAGE - c->start;
	/* The big ones are not to become what nobody has room for. */
	if (c->op == OP_INSERT && c->length > 16 * PAGE)
		c->length = 16 * PAGE;
}

/* A file that has grown by insertions is not looked at behind its end. */
static void shorten(const struct call *c)
{
	struct stat st;

	if (!fstat(c->fd, &st) && st.st_size > (off_t)(pages_of(c->target) * PAGE) &&
	    ftruncate(c->fd, pages_of(c->target) * PAGE))
		return;
}

static void forget(unsigned int target)
{
	/* Overlayfs would not see that another file has taken its place. */
	if (target != OVERLAID)
		unlink(path_of(target));
	else if (truncate(path_of(target), 0))
		return;
}

static void one_call(void)
{
	struct itimerval alarm = { .it_value = { 0, 1000 + below(300000) } };
	static const struct itimerval off;
	bool interrupted = one_in(5);
	uint64_t began, took;
	struct entry *e;
	struct call c = { };
	int error;

	choose(&c);
	c.fd = open_target(c.target, O_RDWR);
	c.other = open_target(c.target ^ 1, O_RDWR);
	if (c.fd < 0 || c.other < 0) {
		no_space();
		goto out;
	}
	if (interrupted)
		setitimer(ITIMER_REAL, &alarm, NULL);
	atomic_fetch_add(&shared->breaking[c.target], 1);
	began = now();
	e = begin(c.op, c.target, c.start, c.length);
	error = end(e, call(&c) ? errno : 0);
	took = (now() - began) / 1000000;
	atomic_fetch_sub(&shared->breaking[c.target], 1);
	atomic_fetch_add(&shared->broken[c.target], 1);
	if (interrupted)
		setitimer(ITIMER_REAL, &off, NULL);
	atomic_fetch_add(&shared->ops[c.op][result_of(error)], 1);
	if (error == ENOSPC)
		no_space();
	if (took > (uint64_t)LIMIT_MS)
		failed("t%u: %s took %lu ms", c.target, name_of_op(c.op),
		       (unsigned long)took);
	/* Clones are to end, so that there is something to pin. */
	if (rarely(c.op) && one_in(2)) {
		forget(c.target);
		forget(c.target ^ 1);
	} else if (c.op == OP_INSERT) {
		shorten(&c);
	} else if (one_in(3)) {
		grow(c.fd, c.target, 1 + below(pages_of(c.target)));
	}
out:
	if (c.fd >= 0)
		close(c.fd);
	if (c.other >= 0)
		close(c.other);
}

void breaker(void)
{
	struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	while (!atomic_load(&shared->stop)) {
		one_call();
		nap(below(one_in(8) ? 20000 : 2000));
		/* A break that is under way keeps the module, too. */
		if (atomic_load(&shared->hush))
			nap(below(400000));
	}
}

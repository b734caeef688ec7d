// SPDX-License-Identifier: GPL-2.0
/*
 * repin FILE OTHER ROUNDS
 *
 * A holder: lease, register a memory region, wait for the notice, deregister,
 * take the lease again, and so on.  A truncater cuts FILE to nothing, again and
 * again, and hands the blocks to OTHER.  In each round the holder writes by
 * RDMA and reads by read(2): what it has registered must be the file's, from
 * the registration to the deregistration.  OTHER must never be written to.
 *
 * Prints "rounds N changed M refused R": M of the N rounds had other blocks
 * than the round before, R registrations met a break.  Fails if a check does.
 */
#define _GNU_SOURCE
#include <err.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/longterm.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../examples/rdma_loopback.h"

#define FILE_SIZE	(2L << 20)
#define REGION		(64L << 10)	/* what is registered */
#define SLOT		(2L << 20)	/* what OTHER takes in a round */
#define SLOTS		8
#define EXTENTS		16
#define PATIENCE	120		/* seconds without a notice */

struct extents {
	struct fiemap map;
	struct fiemap_extent extent[EXTENTS];
};

/* What the two tell each other. */
static struct {
	atomic_uint moves;	/* rises with each of: */
	atomic_uint leases;
	atomic_bool pinned;
	atomic_bool over;
} *shared;

static void moved(void)
{
	atomic_fetch_add(&shared->moves, 1);
	syscall(SYS_futex, &shared->moves, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* ---- the truncater */

/* Its right to a slot: a number that nobody else writes. */
static void fill_slot(int fd, unsigned long round)
{
	unsigned long mark[512];
	off_t at = round % SLOTS * SLOT;

	for (int i = 0; i < 512; i++)
		mark[i] = ~round;
	for (off_t o = 0; o < REGION; o += REGION / 2)
		if (pwrite(fd, mark, sizeof(mark), at + o) != sizeof(mark))
			err(1, "write to the other file");
}

static void check_slot(int fd, unsigned long round)
{
	unsigned long mark[512];
	off_t at = round % SLOTS * SLOT;

	for (off_t o = 0; o < REGION; o += REGION / 2) {
		if (pread(fd, mark, sizeof(mark), at + o) != sizeof(mark))
			err(1, "read of the other file");
		for (int i = 0; i < 512; i++)
			if (mark[i] != ~round)
				errx(1, "round %lu wrote into the other file", round);
	}
}

/*
 * Until there is something to break: a pin, or only a lease, so that the
 * truncate races with the registration.
 */
static void wait_for_holder(bool racing)
{
	static unsigned int seen;

	while (!atomic_load(&shared->over)) {
		unsigned int moves = atomic_load(&shared->moves);

		if (atomic_load(&shared->pinned) ||
		    (racing && atomic_load(&shared->leases) != seen))
			break;
		syscall(SYS_futex, &shared->moves, FUTEX_WAIT, moves, NULL, NULL, 0);
	}
	seen = atomic_load(&shared->leases);
}

static void truncater(const char *path, const char *other_path)
{
	int fd = open_file(path), other = open_file(other_path);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned long round = 0; ; round++) {
		off_t at = round % SLOTS * SLOT;

		wait_for_holder(random() % 4 == 0);
		if (atomic_load(&shared->over))
			return;
		/* Somewhere in the registration, or in what comes after. */
		for (volatile long spin = random() % 100000; spin; spin--)
			;
		if (ftruncate(fd, 0))
			err(1, "truncate");
		if (round >= SLOTS)
			check_slot(other, round - SLOTS);
		if (fallocate(other, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, SLOT) ||
		    fallocate(other, 0, at, SLOT))
			err(1, "fallocate of the other file");
		fill_slot(other, round);
	}
}

/* ---- the holder */

static void look_at_blocks(int fd, struct extents *e)
{
	memset(e, 0, sizeof(*e));
	e->map.fm_length = REGION;
	e->map.fm_extent_count = EXTENTS;
	if (ioctl(fd, FS_IOC_FIEMAP, &e->map))
		err(1, "FIEMAP");
}

/* Where a page of the region is, 0 if nowhere. */
static __u64 block_of(const struct extents *e, __u64 offset)
{
	for (__u32 i = 0; i < e->map.fm_mapped_extents; i++) {
		const struct fiemap_extent *x = &e->extent[i];

		if (offset - x->fe_logical < x->fe_length)
			return x->fe_physical + offset - x->fe_logical;
	}
	return 0;
}

/* How many pages of the region are elsewhere now? */
static int pages_that_differ(const struct extents *a, const struct extents *b)
{
	int n = 0;

	for (__u64 o = 0; o < REGION; o += BLOCK)
		n += block_of(a, o) != block_of(b, o);
	return n;
}

/* A number goes out by RDMA, to a page of the region, and comes in by read(2). */
static void write_and_read(int fd, char *map, const struct ibv_mr *mr,
			   unsigned long number, const char *when)
{
	off_t at = number * BLOCK % REGION;
	char back[BLOCK];

	for (unsigned int i = 0; i < BLOCK; i += sizeof(number))
		memcpy(source + i, &number, sizeof(number));
	post_write((uintptr_t)map + at, mr->rkey);
	while (inflight) {
		struct pollfd p = { .fd = channel->fd, .events = POLLIN };

		if (poll(&p, 1, PATIENCE * 1000) != 1)
			errx(1, "an RDMA write does not end");
		on_channel();
	}
	if (pread(fd, back, BLOCK, at) != BLOCK)
		errx(1, "%s: a short read at %ld", when, (long)at);
	if (memcmp(back, source, BLOCK))
		errx(1, "%s: what was written by RDMA is not in the file", when);
}

static void wait_for_notice(void)
{
	struct timespec patience = { .tv_sec = PATIENCE };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	if (sigtimedwait(&set, NULL, &patience) < 0)
		err(1, "no notice");
}

static void holder(const char *path, unsigned long rounds)
{
	unsigned long done = 0, changed = 0, refused = 0;
	struct extents last = { }, before, after;
	int fd = open_file(path);
	bool cut = false;
	char *map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		err(1, "mmap");
	open_rdma("rxe0", 0);
	while (done < rounds) {
		struct ibv_mr *mr;
		struct stat st;

		/* Waits for the end of the change that is under way. */
		if (fcntl(fd, F_SETLEASE, F_LONGTERM))
			err(1, "F_SETLEASE");
		atomic_fetch_add(&shared->leases, 1);
		moved();
		if (fstat(fd, &st))
			err(1, "fstat");
		cut |= !st.st_size;
		if (!st.st_size && ftruncate(fd, FILE_SIZE))
			err(1, "growing the file");
		mr = ibv_reg_mr(pd, map, REGION, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
		if (!mr) {
			/* A break is under way, or was, and has left nothing. */
			if (errno != EAGAIN && errno != EFAULT)
				err(1, "ibv_reg_mr");
			refused++;
			continue;
		}
		look_at_blocks(fd, &before);
		atomic_store(&shared->pinned, true);
		moved();
		write_and_read(fd, map, mr, 2 * done, "when registered");

		wait_for_notice();
		write_and_read(fd, map, mr, 2 * done + 1, "after the notice");
		look_at_blocks(fd, &after);
		if (pages_that_differ(&before, &after))
			errx(1, "round %lu: blocks have moved under a pin", done);
		atomic_store(&shared->pinned, false);
		errno = ibv_dereg_mr(mr);
		if (errno)
			err(1, "ibv_dereg_mr");
		/* A notice may be left from a break that met nothing: no round. */
		if (!cut)
			continue;
		cut = false;
		changed += pages_that_differ(&last, &before) == REGION / BLOCK;
		last = before;
		done++;
	}
	atomic_store(&shared->over, true);
	moved();
	printf("rounds %lu changed %lu refused %lu\n", done, changed, refused);
	exit(0);
}

int main(int argc, char **argv)
{
	int status, failed = 0;
	sigset_t set;
	pid_t child;

	if (argc != 4)
		errx(2, "usage: repin FILE OTHER ROUNDS");
	shared = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		err(1, "mmap");
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);

	child = fork();
	if (!child) {
		truncater(argv[1], argv[2]);
		_exit(0);
	}
	if (child < 0)
		err(1, "fork");
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		holder(argv[1], strtoul(argv[3], NULL, 0));
	}
	if (child < 0)
		err(1, "fork");
	/* When one has failed the other may wait for ever: it ends with us. */
	for (int i = 0; i < 2 && !failed; i++) {
		if (wait(&status) < 0)
			err(1, "wait");
		failed = status;
	}
	return failed ? 1 : 0;
}

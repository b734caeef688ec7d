// SPDX-License-Identifier: GPL-2.0
/*
 * latecopy DIRECTORY ROUNDS [PLANT]
 *
 * Transient pins, as any O_DIRECT read has them, on a full DAX filesystem.  In
 * each round one file has the only blocks that can be had.  A read into its
 * mapping is under way, and ends late; it is cut to nothing meanwhile; and
 * another file wants blocks, then and as soon as there are any.  It must not get
 * them as long as something may still be copied into them: what it has is what was
 * written to it.  In the next round the two have changed places.
 *
 * By turns it is a read of a file, whose pages the filesystem has pinned, and of
 * a block device, whose pages a bio has.
 *
 * Prints "rounds N met M moved K early E again A": in M of N rounds the truncate was in
 * the kernel when the read had not ended; in K of these the other file's blocks
 * then were just those; in E it could be written before the read had ended; A times
 * there were no blocks yet though the truncate had ended.  K is at least ROUNDS, or it fails.
 *
 * PLANT: in that round copies once more, as if the device had been late.
 */
#define _GNU_SOURCE
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#include "latesource.h"

#define EXTENTS	8

struct file {
	const char *name;
	int fd;
	char *map;
	uint64_t block[SIZE / PAGE];	/* where its pages are */
};

static struct {
	struct file file[2];
	int source[2];		/* the file, the block device */
	int truncater;		/* what it is doing: /proc/PID/task/TID/syscall */
} all;

static struct {
	unsigned int met, moved, early, again;
} count;

/* The file that has the blocks in a round, and the one that wants them. */
static struct file *owner(unsigned int round)
{
	return &all.file[round % 2];
}

static struct file *taker(unsigned int round)
{
	return &all.file[(round + 1) % 2];
}

static int source(unsigned int round)
{
	return all.source[round / 2 % 2];
}

/* ---- files */

/* Blocks one by one, whatever the directory says. */
static int new_file(int dir, const char *name)
{
	struct fsxattr attr;
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0 || ioctl(fd, FS_IOC_FSGETXATTR, &attr))
		err(1, "%s", name);
	if (attr.fsx_xflags & FS_XFLAG_EXTSIZE) {
		attr.fsx_xflags &= ~FS_XFLAG_EXTSIZE;
		attr.fsx_extsize = 0;
		if (ioctl(fd, FS_IOC_FSSETXATTR, &attr))
			err(1, "extent size of %s", name);
	}
	return fd;
}

static void new_pair(int dir)
{
	for (int i = 0; i < 2; i++) {
		struct file *f = &all.file[i];

		f->name = i ? "late.b" : "late.a";
		f->fd = new_file(dir, f->name);
		f->map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
		if (f->map == MAP_FAILED)
			err(1, "mmap");
	}
}

static void look_at_blocks(struct file *f)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extent[EXTENTS];
	} e = { .map = { .fm_length = SIZE, .fm_extent_count = EXTENTS } };

	if (ioctl(f->fd, FS_IOC_FIEMAP, &e.map))
		err(1, "FIEMAP");
	memset(f->block, 0, sizeof(f->block));
	for (unsigned int i = 0; i < e.map.fm_mapped_extents; i++)
		for (uint64_t o = 0; o < e.extent[i].fe_length && o < SIZE; o += PAGE) {
			uint64_t page = (e.extent[i].fe_logical + o) / PAGE;

			if (page < SIZE / PAGE)
				f->block[page] = e.extent[i].fe_physical + o;
		}
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Has it just the blocks that the other one had? */
static bool same_blocks(const struct file *f, const struct file *other)
{
	uint64_t a[SIZE / PAGE], b[SIZE / PAGE];

	memcpy(a, f->block, sizeof(a));
	memcpy(b, other->block, sizeof(b));
	qsort(a, SIZE / PAGE, sizeof(*a), by_number);
	qsort(b, SIZE / PAGE, sizeof(*b), by_number);
	return a[0] && !memcmp(a, b, sizeof(a));
}

/* Writes on from @done: how far it has come. */
static size_t take(struct file *f, unsigned int round, size_t done)
{
	static uint64_t words[WORDS];
	ssize_t n;

	if (words[0] != word_written(round, 0))
		for (unsigned int i = 0; i < WORDS; i++)
			words[i] = word_written(round, i);
	n = pwrite(f->fd, (char *)words + done, SIZE - done, done);
	if (n < 0 && errno != ENOSPC)
		err(1, "write to %s", f->name);
	return n < 0 ? done : done + n;
}

/*
 * The rest of it.  ext4 has freed blocks again when its journal has committed, for
 * which a write waits, but not for ever: it may find none, or not all.
 */
static size_t take_rest(struct file *f, unsigned int round, size_t done)
{
	time_t until = time(NULL) + PATIENCE;

	while (done < SIZE && time(NULL) < until) {
		done = take(f, round, done);
		if (done < SIZE) {
			count.again++;
			usleep(1000);
		}
	}
	return done;
}

/* Nobody but us has written to it. */
static void check(struct file *f, unsigned int round, const char *when)
{
	uint64_t words[WORDS];

	if (pread(f->fd, words, SIZE, 0) != SIZE)
		errx(1, "round %u, %s: a short read of %s", round, when, f->name);
	for (unsigned int i = 0; i < WORDS; i++) {
		if (words[i] == word_written(round, i))
			continue;
		if (words[i] == word_read(round, i))
			errx(1, "round %u, %s: %s has at %zu what was another file's to read",
			     round, when, f->name, i * sizeof(*words));
		errx(1, "round %u, %s: %s has %#llx at %zu", round, when, f->name,
		     (unsigned long long)words[i], i * sizeof(*words));
	}
}

/*
 * Leaves nothing to anybody: no file gets SIZE bytes more.  One that frees as
 * much must be able to get it again, whatever the filesystem needs besides.
 */
static void fill(int dir)
{
	int fd = new_file(dir, "late.filler");
	struct file *a = &all.file[0], *b = &all.file[1];
	off_t end = 0;

	for (off_t step = 64L << 20; step >= SIZE; step /= 2)
		while (!fallocate(fd, 0, end, step))
			end += step;
	if (errno != ENOSPC)
		err(1, "filling the filesystem");
	for (int tries = 0; ; tries++) {
		size_t done;

		if (ftruncate(a->fd, 0) || fsync(a->fd))
			err(1, "truncate");
		done = take(b, 1, 0);
		if (ftruncate(b->fd, 0) || fsync(b->fd))
			err(1, "truncate");
		if (done == SIZE && take(a, 0, 0) == SIZE)
			break;
		end -= PAGE;
		if (tries == 100 || ftruncate(fd, end) || fsync(fd))
			errx(1, "what one file gives back another one does not get");
	}
	if (take(b, 1, 0))
		errx(1, "the filesystem is not full");
	close(fd);
}

/* ---- the others */

static void *reader(void *unused)
{
	for (unsigned int round = 0; ; round++) {
		ssize_t n;

		wait_for(&at->start, round, "there is something to read");
		n = pread(source(round), owner(round)->map, SIZE, 0);
		if (n != SIZE)
			err(1, "round %u: the read's result is %zd", round, n);
		reach(&at->read, round);
	}
	return unused;
}

static void *truncater(void *unused)
{
	char name[60];

	snprintf(name, sizeof(name), "/proc/self/task/%ld/syscall", (long)syscall(SYS_gettid));
	all.truncater = open(name, O_RDONLY | O_CLOEXEC);
	if (all.truncater < 0)
		err(1, "%s", name);
	reach(&at->gone, -1);
	for (unsigned int round = 0; ; round++) {
		int fd = owner(round)->fd;

		wait_for(&at->cut, round, "there is something to cut");
		if (ftruncate(fd, 0))
			err(1, "round %u: truncate", round);
		/* What was freed is handed out when the log says so. */
		if (fsync(fd))
			err(1, "round %u: fsync", round);
		reach(&at->gone, round);
	}
	return unused;
}

/* Is it asleep in the call? */
static bool truncate_waits(void)
{
	char text[200];
	ssize_t n = pread(all.truncater, text, sizeof(text) - 1, 0);

	if (n < 0)
		err(1, "what the truncater does");
	text[n] = 0;
	return strtol(text, NULL, 10) == SYS_ftruncate;
}

static void start(void *(*what)(void *))
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, what, NULL);
	if (errno)
		err(1, "a thread");
}

/* ---- the rounds */

static void one_round(unsigned int round, bool plant)
{
	struct file *from = owner(round), *to = taker(round);
	bool met, early;
	size_t done;

	if (round)
		check(from, round - 1, "a round later");
	reach(&at->start, round);
	wait_for(&at->held, round, "the read is under way");
	reach(&at->cut, round);
	while (!(met = truncate_waits()) && atomic_load(&at->gone) != round)
		sched_yield();
	/* If the kernel would give the blocks away now, they would be taken now. */
	done = take(to, round, 0);
	early = done == SIZE;
	met |= early;
	if (atomic_load(&at->read) == round)
		errx(1, "round %u: the read ended before its end", round);

	reach(&at->answer, round);
	wait_for(&at->gone, round, "the truncate has ended");
	done = take_rest(to, round, done);
	if (done < SIZE)
		errx(1, "round %u: no blocks for %s", round, to->name);
	wait_for(&at->read, round, "the read has ended");
	if (plant)
		for (unsigned int i = WORDS / 2; i < WORDS; i++)
			((uint64_t *)to->map)[i] = word_read(round, i);

	look_at_blocks(to);
	count.met += met;
	count.moved += met && same_blocks(to, from);
	count.early += early;
	check(to, round, "at its end");
}

int main(int argc, char **argv)
{
	unsigned int rounds, round, plant = argc > 3 ? strtoul(argv[3], NULL, 0) : -1U;
	char where[] = "/tmp/latesource.XXXXXX";
	int dir, fd;
	pid_t pid;

	if (argc < 3 || argc > 4)
		errx(2, "usage: latecopy DIRECTORY ROUNDS [PLANT]");
	rounds = strtoul(argv[2], NULL, 0);
	dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		err(1, "%s", argv[1]);
	new_pair(dir);
	fill(dir);
	look_at_blocks(owner(0));

	at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fd = mkstemp(where);
	if (at == MAP_FAILED || fd < 0)
		err(1, "what the others need");
	close(fd);
	memset(at, 0xff, sizeof(*at));
	pid = start_source(where);
	all.source[0] = open(where, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (all.source[0] < 0)
		err(1, "%s", where);
	all.source[1] = open_loop(all.source[0]);
	atomic_store(&at->gone, -2);
	start(truncater);
	wait_for(&at->gone, -1, "the truncater is there");
	start(reader);

	for (round = 0; count.moved < rounds && round < 2 * rounds + 10; round++)
		one_round(round, round == plant);
	printf("rounds %u met %u moved %u early %u again %u\n", round, count.met, count.moved,
	       count.early, count.again);
	fflush(stdout);

	/* The reader waits; nothing holds the source but our descriptors. */
	close(all.source[1]);
	close(all.source[0]);
	if (umount2(where, MNT_DETACH) || unlink(where))
		err(1, "%s", where);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	_exit(count.moved < rounds);
}

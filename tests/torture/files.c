// SPDX-License-Identifier: GPL-2.0
/*
 * The files: targets t0, t1, ..., ballast that leaves little room, and the
 * refiller's, which takes what is free as soon as it is free, and looks at what it
 * has all the time.
 */
#include "torture.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* What ballast leaves: less than the targets may have, so that it goes round. */
#define MIB		(1UL << 20)
#define ROOM		(20 * MIB)

static const unsigned int sizes[] = { 512, 64, 16, 4, 1 };	/* pages */
static uint64_t buffer[64 * WORDS];

/*
 * Blocks of an extent tree have a checksum with the inode's number in it, and
 * EXT4_IOC_SWAP_BOOT leaves them as they are.  Few extents need no such block.
 */
unsigned int pages_of(unsigned int target)
{
	if (target == SWAPPED && !shared->xfs)
		return FEW_PAGES;
	return target < BIG_TARGETS ? BIG_PAGES : SMALL_PAGES;
}

unsigned int family_of(unsigned int target)
{
	return target / 2;
}

const char *path_of(unsigned int target)
{
	static char path[2][96];
	static unsigned int turn;

	turn ^= 1;
	snprintf(path[turn], sizeof(path[0]), "%s/%s/t%u", shared->dir,
		 target < BIG_TARGETS ? "big" : target == OVERLAID ? "over/up" : "small",
		 target);
	return path[turn];
}

int open_target(unsigned int target, int flags)
{
	return open(path_of(target), flags | O_CREAT | O_CLOEXEC, 0600);
}

void no_space(void)
{
	count(NO_SPACE);
	if (atomic_load(&shared->hungry) < 8)
		atomic_fetch_add(&shared->hungry, 1);
	nap(2000);
}

bool has_page(int fd, unsigned int page)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_size >= (off_t)((page + 1) * PAGE);
}

/* The lane of write(2), of one page; not the end of a file, which is a page's. */
void write_lane(int fd, unsigned int target, unsigned int page)
{
	uint64_t words[LANE_WORDS];

	if (!has_page(fd, page))
		return;
	fill_words(words, 0, LANE_WORDS, head_of(BY_WRITE, family_of(target), page,
						 random_bits()));
	if (pwrite(fd, words, LANE, page * PAGE) < 0 && errno == ENOSPC)
		no_space();
}

/* At least that large, and with blocks if there are any to be had. */
void grow(int fd, unsigned int target, unsigned int pages)
{
	struct stat st;

	if (fstat(fd, &st))
		return;
	if (st.st_size < (off_t)(pages * PAGE) && ftruncate(fd, pages * PAGE))
		return;
	if (!one_in(4) && fallocate(fd, 0, 0, pages * PAGE) && errno == ENOSPC)
		no_space();
	for (unsigned int i = below(pages); i < pages; i += 1 + below(16))
		write_lane(fd, target, i);
}

static int open_chunk(unsigned int n, int flags)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/fill/%u", shared->dir, n);
	return open(path, flags | O_CLOEXEC, 0600);
}

/* As large as there is room for; false: there is none at all. */
static bool fill(unsigned int n)
{
	struct chunk *chunk = &shared->chunks[n];
	int fd = open_chunk(n, O_RDWR | O_CREAT | O_TRUNC);
	unsigned int i = below(2), pages = 0, done = 0;
	struct entry *e;

	if (fd < 0)
		return false;
	for (; i < sizeof(sizes) / sizeof(*sizes) && !pages; i++) {
		if (!fallocate(fd, 0, 0, sizes[i] * PAGE))
			pages = sizes[i];
		else if (ftruncate(fd, 0))
			break;
	}
	e = begin(DO_FILL, n, pages, chunk->generation + 1);
	chunk->generation++;
	while (done < pages) {
		unsigned int k = pages - done < 64 ? pages - done : 64;
		ssize_t want = k * PAGE;

		for (unsigned int j = 0; j < k; j++)
			fill_words(buffer + j * WORDS, 0, WORDS,
				   head_of(BY_WRITE, n + TARGETS, done + j,
					   chunk->generation));
		if (pwrite(fd, buffer, want, done * PAGE) != want)
			break;
		done += k;
	}
	if (done < pages && ftruncate(fd, done * PAGE))
		failed("fill/%u: %s", n, strerror(errno));
	chunk->pages = done;
	end(e, done ? 0 : ENOSPC);
	close(fd);
	if (done)
		count(FILLED);
	return done;
}

static void check_chunk(unsigned int n)
{
	struct chunk *chunk = &shared->chunks[n];
	int fd = open_chunk(n, O_RDONLY);
	unsigned int done = 0;

	while (fd >= 0 && done < chunk->pages && !atomic_load(&shared->failed)) {
		unsigned int k = chunk->pages - done < 64 ? chunk->pages - done : 64;
		ssize_t want = k * PAGE;

		if (pread(fd, buffer, want, done * PAGE) != want)
			break;
		for (unsigned int j = 0; j < k; j++)
			check_chunk_page(buffer + j * WORDS, n, done + j);
		done += k;
	}
	if (done < chunk->pages && !atomic_load(&shared->failed))
		failed("fill/%u, page %u of %u: can't be read: %s", n, done, chunk->pages,
		       strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void empty(unsigned int n)
{
	struct entry *e = begin(DO_EMPTY, n, shared->chunks[n].pages, 0);
	char path[96];

	check_chunk(n);
	shared->chunks[n].pages = 0;
	snprintf(path, sizeof(path), "%s/fill/%u", shared->dir, n);
	end(e, unlink(path) ? errno : 0);
	count(EMPTIED);
}

/* From a place on: one that is there, or is not; -1 if none is so. */
static int find_chunk(unsigned int from, bool there)
{
	for (unsigned int i = 0; i < CHUNKS; i++) {
		unsigned int n = (from + i) % CHUNKS;

		if (!shared->chunks[n].pages == !there)
			return n;
	}
	return -1;
}

static void give_way(void)
{
	for (unsigned int k = 1 + below(6); k; k--) {
		int n = find_chunk(below(CHUNKS), true);

		if (n >= 0)
			empty(n);
	}
	atomic_fetch_sub(&shared->hungry, 1);
	/* Else it would be ours again. */
	nap(3000 + below(10000));
}

static void check_target(unsigned int target)
{
	int fd = open_target(target, O_RDONLY);

	for (unsigned int i = 0; fd >= 0 && i < pages_of(target); i++)
		if (!check_target_page(fd, target, i) || atomic_load(&shared->failed))
			break;
	if (fd >= 0)
		close(fd);
}

void refiller(void)
{
	unsigned int next = 0;

	while (!atomic_load(&shared->stop)) {
		bool idle = true;
		int n;

		if (atomic_load(&shared->hungry) > 0) {
			give_way();
		} else {
			n = find_chunk(below(CHUNKS), false);
			for (int k = 0; k < 8 && n >= 0 && fill(n); k++) {
				idle = false;
				n = find_chunk(n, false);
			}
		}
		for (int k = idle ? 8 : 2; k; k--) {
			n = find_chunk(next, true);
			if (n < 0)
				break;
			check_chunk(n);
			next = (n + 1) % CHUNKS;
		}
		if (one_in(16))
			check_target(below(TARGETS));
		if (one_in(64))
			give_way();
		if (idle)
			nap(500);
	}
	atomic_store(&shared->hungry, 0);
}

/* With nobody at work: each word of each file. */
void check_all_files(void)
{
	for (unsigned int i = 0; i < CHUNKS; i++)
		if (shared->chunks[i].pages)
			check_chunk(i);
	for (unsigned int i = 0; i < TARGETS; i++)
		check_target(i);
}

static void make_dir(const char *name, unsigned int extent_size)
{
	struct fsxattr attr;
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", shared->dir, name);
	if (mkdir(path, 0700) && errno != EEXIST)
		quit("%s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	if (!shared->xfs) {
		close(fd);
		return;
	}
	/* A hint to xfs: by pieces of that size. */
	if (fd < 0 || ioctl(fd, FS_IOC_FSGETXATTR, &attr))
		quit("%s", path);
	attr.fsx_extsize = extent_size;
	attr.fsx_xflags &= ~(FS_XFLAG_EXTSZINHERIT | FS_XFLAG_EXTSIZE);
	if (extent_size)
		attr.fsx_xflags |= FS_XFLAG_EXTSZINHERIT;
	if (ioctl(fd, FS_IOC_FSSETXATTR, &attr))
		quit("%s: extent size", path);
	close(fd);
}

void make_files(void)
{
	struct statvfs fs;
	char path[96];
	size_t room;
	int fd;

	make_dir("big", HUGE_PAGE);
	make_dir("small", 0);
	make_dir("fill", 0);
	make_dir("over", 0);
	make_dir("over/up", 0);
	make_dir("over/work", 0);
	for (unsigned int i = 0; i < TARGETS; i++) {
		fd = open_target(i, O_RDWR);
		if (fd < 0)
			quit("%s", path_of(i));
		grow(fd, i, pages_of(i));
		close(fd);
	}
	snprintf(path, sizeof(path), "%s/fill/" FILE_OF_BALLAST, shared->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		quit("%s", path);
	/* By halves: fragments and the filesystem's own need come on top. */
	for (off_t at = 0; ; at += room) {
		if (statvfs(shared->dir, &fs))
			quit("%s", shared->dir);
		if (fs.f_bfree * fs.f_bsize < ROOM + MIB)
			break;
		room = ((fs.f_bfree * fs.f_bsize - ROOM) / 2 + MIB - 1) & -MIB;
		if (fallocate(fd, 0, at, room))
			quit("%s: %zu bytes", path, room);
	}
	close(fd);
}

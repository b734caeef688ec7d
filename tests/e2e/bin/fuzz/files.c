// SPDX-License-Identifier: GPL-2.0
/* Files and their blocks. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/falloc.h>
#include <linux/fs.h>

#include "fuzz.h"

static long open_file(void)
{
	int flags = (chance(8) ? O_RDONLY : O_RDWR) | O_CREAT | O_CLOEXEC;

	if (chance(12))
		flags |= O_TRUNC;
	if (rnd(3))
		flags |= O_NONBLOCK;
	return keep(files, NR_OPEN, open(some_path(), flags, 0600));
}

static long close_one(void)
{
	int *pool = rnd(2) ? files : leases, i = rnd(NR_OPEN), fd = pool[i];

	pool[i] = -1;
	return close(fd);
}

static long duplicate(void)
{
	int *pool = rnd(2) ? files : leases, fd = pool[rnd(NR_OPEN)], i = rnd(NR_OPEN);

	switch (rnd(3)) {
	case 0: return keep(pool, NR_OPEN, dup(fd));
	case 1: return keep(pool, NR_OPEN, fcntl(fd, F_DUPFD_CLOEXEC, 3));
	}
	if (pool[i] < 0) {
		errno = EBADF;
		return -1;
	}
	/* Closes what was there. */
	return dup3(fd, pool[i], O_CLOEXEC);
}

static long change_blocks(void)
{
	static const int modes[] = {
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
		FALLOC_FL_UNSHARE_RANGE, 0, 0, FALLOC_FL_KEEP_SIZE,
	};
	int mode = chance(30) ? some_number() : modes[rnd(sizeof(modes) / sizeof(*modes))];
	off_t offset = some_page() * PAGE, length = (1 + rnd(chance(8) ? 300 : 16)) * PAGE;

	if (chance(16)) {
		offset = some_offset();
		length = some_offset();
		/* Not that much. */
		if (!(mode & ~FALLOC_FL_KEEP_SIZE))
			length %= FILE_SIZE;
	}
	return fallocate(some_fd(files, NR_OPEN), mode, offset, length);
}

/* The whole file again, as holes make pins fail, and inserted ranges make it grow. */
static long fill(void)
{
	int fd = files[rnd(NR_OPEN)];
	size_t size = some_size();

	if (ftruncate(fd, size))
		return -1;
	return fallocate(fd, 0, 0, size);
}

static off_t some_file_size(void)
{
	if (chance(16))
		return some_offset();
	return rnd(2) ? some_size() : some_page() * PAGE + (rnd(2) ? 0 : rnd(PAGE));
}

static long cut(void)
{
	return ftruncate(some_fd(files, NR_OPEN), some_file_size());
}

static long cut_by_name(void)
{
	return truncate(some_path(), some_file_size());
}

static long read_or_write(void)
{
	static char bytes[4 * PAGE];
	int fd = some_fd(files, NR_OPEN);
	off_t at = rnd(some_size() - sizeof(bytes));
	size_t length = rnd(sizeof(bytes));

	return rnd(2) ? pread(fd, bytes, length, at) : pwrite(fd, bytes, length, at);
}

static long sync_file(void)
{
	return fdatasync(some_fd(files, NR_OPEN));
}

/*
 * Holes in the place of what was there. Blocks that two files share are none of our
 * business here: a write to one of them, where its mapping has a clean page, makes
 * Linux 7.3.4 warn in dax_folio_put(), as it takes the entry away before the mapping.
 */
static long clone_holes(void)
{
	struct file_clone_range range = {
		.src_fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
		.src_length = (1 + rnd(16)) * PAGE, .dest_offset = rnd(64) * PAGE,
	};
	int error;
	long ret;

	if (range.src_fd < 0)
		return -1;
	ret = ftruncate(range.src_fd, SMALL_SIZE);
	if (!ret)
		ret = ioctl(some_fd(files, NR_OPEN), FICLONERANGE, &range);
	error = errno;
	close(range.src_fd);
	errno = error;
	return ret;
}

/* Not from where a page begins to where one does, which would share blocks, too. */
static long copy_bytes(void)
{
	loff_t from = rnd(64) * PAGE + 1, to = rnd(64) * PAGE + 1;

	return copy_file_range(some_fd(files, NR_OPEN), &from, some_fd(files, NR_OPEN), &to,
			       rnd(16) * PAGE, 0);
}

static long remove_file(void)
{
	return unlink(some_path());
}

static long rename_file(void)
{
	char from[4096];

	strcpy(from, some_path());
	return rename(from, some_path());
}

static long status(void)
{
	static const char *const names[] = {
		"/proc/fs/longterm/holders", "/proc/fs/longterm/stat", "/proc/locks",
		"/proc/sys/fs/longterm/break_time"
	};
	static char text[65536];
	int fd = open(names[rnd(4)], O_RDONLY | O_CLOEXEC);
	long ret;

	if (fd < 0)
		return -1;
	ret = read(fd, text, chance(4) ? rnd(64) : sizeof(text));
	close(fd);
	return ret;
}

/* Not for who is root in a user namespace only. */
static long forbidden(void)
{
	int fd = open("/proc/sys/fs/longterm/sigkill", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd;
}

const struct kind file_kinds[] = {
	{ "open", 10, open_file },
	{ "close", 10, close_one },
	{ "dup", 12, duplicate },
	{ "fallocate", 8, change_blocks },
	{ "fill", 6, fill },
	{ "ftruncate", 3, cut },
	{ "truncate", 2, cut_by_name },
	{ "readwrite", 2, read_or_write },
	{ "fdatasync", 1, sync_file },
	{ "clone", 1, clone_holes },
	{ "copy", 1, copy_bytes },
	{ "unlink", 1, remove_file },
	{ "rename", 1, rename_file },
	{ "status", 1, status },
	{ "forbidden", 1, forbidden },
	{ 0 }
};

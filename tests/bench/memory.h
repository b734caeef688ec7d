/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory to pin: anonymous, or a file of the DAX filesystem under a lease;
 * mapped by 4 KiB or by 2 MiB, and that is looked at.
 */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include "bench.h"

#include <linux/fs.h>

#define PIECE	(64 * MIB)

struct memory {
	char *addr;
	size_t size;
	int fd;			/* -1: anonymous */
	char path[64];
};

/* How many bytes of it 2 MiB entries map. */
static inline size_t huge_bytes(const struct memory *m)
{
	static struct page_region regions[4096];
	struct pm_scan_arg scan = {
		.size = sizeof(scan),
		.start = (uintptr_t)m->addr,
		.end = (uintptr_t)m->addr + m->size,
		.vec = (uintptr_t)regions,
		.vec_len = sizeof(regions) / sizeof(*regions),
		.category_mask = PAGE_IS_HUGE,
		.return_mask = PAGE_IS_HUGE,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t bytes = 0;
	int n;

	if (fd < 0)
		die("/proc/self/pagemap");
	n = ioctl(fd, PAGEMAP_SCAN, &scan);
	if (n < 0)
		die("PAGEMAP_SCAN");
	close(fd);
	for (int i = 0; i < n; i++)
		bytes += regions[i].end - regions[i].start;
	return bytes;
}

/*
 * Address space whose place within 2 MiB is that of offset 0 of a file, or
 * one page further, so that no 2 MiB entry fits.
 */
static inline char *reserve(size_t size, bool huge)
{
	char *area = mmap(NULL, size + 2 * HUGE_PAGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (area == MAP_FAILED)
		die("mmap of %zu bytes", size);
	area = (char *)(((uintptr_t)area + HUGE_PAGE - 1) & -HUGE_PAGE);
	return huge ? area : area + PAGE;
}

static inline void populate(struct memory *m, bool huge)
{
	size_t found;

	/* One write a page: what is measured is to find all mapped. */
	for (size_t i = 0; i < m->size; i += PAGE)
		*(volatile char *)(m->addr + i) = 1;
	found = huge_bytes(m);
	if (found != (huge ? m->size : 0))
		die("%s: 2 MiB entries map %zu of %zu bytes",
		    m->fd < 0 ? "anonymous memory" : m->path, found, m->size);
}

static inline struct memory anonymous(size_t size, bool huge)
{
	struct memory m = { .size = size, .fd = -1 };

	m.addr = mmap(reserve(size, huge), size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (m.addr == MAP_FAILED)
		die("mmap");
	if (madvise(m.addr, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		die("madvise");
	populate(&m, huge);
	return m;
}

static inline void map_file(struct memory *m, bool huge)
{
	m->addr = mmap(reserve(m->size, huge), m->size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, m->fd, 0);
	if (m->addr == MAP_FAILED)
		die("mmap of %s", m->path);
	populate(m, huge);
}

static inline struct memory leased_file(const char *name, size_t size,
					bool huge)
{
	struct memory m = { .size = size };

	snprintf(m.path, sizeof(m.path), "/mnt/dax/%s", name);
	m.fd = open(m.path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (m.fd < 0)
		die("%s", m.path);
	/* By pieces: one of a GiB would end in the midst of a 2 MiB entry. */
	for (size_t at = 0; at < size; at += PIECE)
		if (fallocate(m.fd, 0, at, size - at < PIECE ? size - at : PIECE))
			die("%s of %zu bytes", m.path, size);
	if (fcntl(m.fd, F_SETLEASE, F_LONGTERM))
		die("%s: F_SETLEASE", m.path);
	map_file(&m, huge);
	return m;
}

static inline void forget(struct memory *m)
{
	munmap(m->addr, m->size);
	if (m->fd < 0)
		return;
	if (fcntl(m->fd, F_SETLEASE, F_UNLCK))
		die("%s: F_UNLCK", m->path);
	close(m->fd);
	unlink(m->path);
	/* Only then are the blocks free, and the next file is of one piece. */
	sync();
}

#endif /* BENCH_MEMORY_H */

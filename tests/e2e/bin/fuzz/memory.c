// SPDX-License-Identifier: GPL-2.0
/* Mappings, and the pins of their pages: io_uring's buffers and GUP_TEST's. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../ring.h"
#include "fuzz.h"

/* As mm/gup_test.h has them. */
struct gup_test {
	uint64_t get_us, put_us, addr, size;
	uint32_t per_call, gup_flags, test_flags, which[8];
};

struct gup_longterm {
	uint64_t addr, size;
	uint32_t flags;
};

#define PIN_FAST	_IOWR('g', 2, struct gup_test)
#define PIN_LONGTERM	_IOWR('g', 3, struct gup_test)
#define PIN_BASIC	_IOWR('g', 5, struct gup_test)
#define PIN_START	_IOW('g', 7, struct gup_longterm)
#define PIN_STOP	_IO('g', 8)
#define PIN_READ	_IOW('g', 9, uint64_t)

static long new_map(void)
{
	struct map *map = &maps[rnd(NR_MAPS)];
	int prot = chance(8) ? PROT_READ : PROT_READ | PROT_WRITE;
	int flags = chance(8) ? MAP_PRIVATE : MAP_SHARED;
	size_t length = chance(4) ? some_size() : (1 + rnd(64)) * PAGE;
	off_t offset = rnd(3) ? 0 : some_page() * PAGE;
	void *addr = mmap(NULL, length, prot, flags, some_fd(files, NR_OPEN), offset);

	if (addr == MAP_FAILED)
		return -1;
	if (map->addr)
		munmap(map->addr, map->length);
	*map = (struct map){ addr, length };
	return 0;
}

/* A part of a mapping, of some pages. */
static struct iovec piece(size_t most)
{
	struct map *map = some_map();
	size_t pages = map->length / PAGE, nr = 1 + rnd(chance(24) ? most : 8);
	uint64_t from = pages ? rnd(pages) : 0;

	/* No further: what is behind it is ours, too, and is not to be changed. */
	if (nr > pages - from)
		nr = pages - from;
	if (nr > most)
		nr = most;
	return (struct iovec){ map->addr + from * PAGE, nr * PAGE };
}

static long unmap(void)
{
	struct map *map = some_map();
	struct iovec part = { map->addr, map->length };

	if (rnd(2))
		part = piece(16);
	else
		*map = (struct map){ 0 };
	if (!part.iov_base) {
		errno = EINVAL;
		return -1;
	}
	return munmap(part.iov_base, part.iov_len);
}

static long protect(void)
{
	struct iovec part = piece(64);

	return mprotect(part.iov_base, part.iov_len,
			chance(4) ? PROT_READ : PROT_READ | PROT_WRITE);
}

static long advise(void)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_DONTFORK, MADV_DOFORK
	};
	struct iovec part = piece(64);

	return madvise(part.iov_base, part.iov_len, advice[rnd(5)]);
}

static long move_map(void)
{
	struct map *map = some_map();
	void *addr;

	if (!map->addr) {
		errno = EINVAL;
		return -1;
	}
	addr = mremap(map->addr, map->length, map->length, MREMAP_MAYMOVE |
		      (rnd(2) ? MREMAP_DONTUNMAP : 0));
	if (addr == MAP_FAILED)
		return -1;
	if (addr != map->addr)
		munmap(map->addr, map->length);
	map->addr = addr;
	return 0;
}

/* By the kernel, which says EFAULT where the process would get SIGBUS. */
static long touch(void)
{
	struct iovec part = piece(16);

	return read(zeroes, part.iov_base, part.iov_len);
}

static long pin(void)
{
	struct iovec parts[3];
	unsigned int nr = 1 + (chance(4) ? rnd(3) : 0);

	for (unsigned int i = 0; i < nr; i++) {
		parts[i] = piece(FILE_SIZE / PAGE);
		if (chance(24))
			parts[i].iov_len += (1 + rnd(16)) * PAGE;
	}
	return syscall(__NR_io_uring_register, some_fd(rings, NR_RINGS), IORING_REGISTER_BUFFERS,
		       parts, nr);
}

/* Pins, and then reacts to nothing for as long as the longest ladder lasts. */
static long be_deaf(void)
{
	unsigned long until = now_ms() + 700;
	sigset_t deaf, before;
	int error;
	long ret;

	sigemptyset(&deaf);
	sigaddset(&deaf, SIGIO);
	sigaddset(&deaf, SIGBUS);
	sigprocmask(SIG_BLOCK, &deaf, &before);
	ret = pin();
	error = errno;
	while (now_ms() < until)
		poll(NULL, 0, 50);
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return ret;
}

static long unpin(void)
{
	return ring_unpin(some_fd(rings, NR_RINGS));
}

static long ring(void)
{
	int i = rnd(NR_RINGS);

	new_ring(i);
	return rings[i];
}

static long gup_start(void)
{
	struct iovec part = piece(128);
	struct gup_longterm arg = {
		(uintptr_t)part.iov_base, part.iov_len, chance(20) ? rnd(8) : 1 + rnd(3),
	};

	return ioctl(gups[rnd(NR_GUPS)], PIN_START, &arg);
}

static long gup_stop(void)
{
	return ioctl(gups[rnd(NR_GUPS)], PIN_STOP);
}

static long gup_read(void)
{
	static char bytes[128 * PAGE];
	uint64_t arg = (uintptr_t)bytes;

	return ioctl(gups[rnd(NR_GUPS)], PIN_READ, &arg);
}

/* Pinned and unpinned at once. It may be done by halves, which is success, too. */
static long gup_pass(void)
{
	static const unsigned long how[] = { PIN_FAST, PIN_LONGTERM, PIN_BASIC };
	struct iovec part = piece(64);
	struct gup_test arg = {
		.addr = (uintptr_t)part.iov_base, .size = part.iov_len,
		.per_call = 1 + rnd(64), .gup_flags = 1,	/* FOLL_WRITE */
	};

	return ioctl(gups[rnd(NR_GUPS)], how[rnd(3)], &arg);
}

const struct kind memory_kinds[] = {
	{ "mmap", 5, new_map },
	{ "munmap", 3, unmap },
	{ "mprotect", 2, protect },
	{ "madvise", 2, advise },
	{ "mremap", 2, move_map },
	{ "touch", 3, touch },
	{ "uring_pin", 14, pin },
	{ "deaf", 3, be_deaf },
	{ "uring_unpin", 20, unpin },
	{ "uring", 1, ring },
	{ "gup_start", 4, gup_start },
	{ "gup_stop", 8, gup_stop },
	{ "gup_read", 1, gup_read },
	{ "gup_pass", 2, gup_pass },
	{ 0 }
};

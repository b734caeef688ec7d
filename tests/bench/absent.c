// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel series costs those who do not use it: system calls and
 * faults that pass its hooks, with no module loaded.  The same program runs on
 * the unpatched kernel.  Arguments: rounds, then directories, each 'NAME=DIR'.
 */
#include "memory.h"

#define BATCH	64

static int rounds;

/* One round of each is not counted: it warms up caches of all kinds. */
#define MEASURE(code, ...)						\
do {									\
	for (int round = -1; round < rounds; round++) {			\
		uint64_t begin, end;					\
									\
		code							\
		if (round >= 0)						\
			sample((end - begin) / BATCH, __VA_ARGS__);	\
	}								\
} while (0)

#define TIMED(call)							\
do {									\
	begin = now();							\
	for (int k = 0; k < BATCH; k++)					\
		call;							\
	end = now();							\
} while (0)

static void must(long rc, const char *what)
{
	if (rc < 0)
		die("%s", what);
}

static void touch(char *addr)
{
	for (int k = 0; k < BATCH; k++)
		addr[k * PAGE] = 1;
}

static void anonymous_faults(void)
{
	char *addr = mmap(reserve(BATCH * PAGE, false), BATCH * PAGE,
			  PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (addr == MAP_FAILED)
		die("mmap");
	MEASURE({
		begin = now();
		touch(addr);
		end = now();
		must(madvise(addr, BATCH * PAGE, MADV_DONTNEED), "madvise");
	}, "fault/anonymous");
}

static void file_faults(const char *name, int fd, int flags)
{
	char *addr = mmap(NULL, BATCH * PAGE, PROT_READ | PROT_WRITE, flags,
			  fd, 0);

	if (addr == MAP_FAILED)
		die("mmap of %s", name);
	MEASURE({
		begin = now();
		touch(addr);
		end = now();
		must(madvise(addr, BATCH * PAGE, MADV_DONTNEED), "madvise");
	}, "fault/%s-%s", name, flags == MAP_SHARED ? "shared" : "private");
	munmap(addr, BATCH * PAGE);
}

static void truncates(const char *name, int fd)
{
	MEASURE({
		uint64_t sum = 0;

		for (int k = 0; k < BATCH; k++) {
			must(pwrite(fd, "x", 1, 0), "pwrite");
			begin = now();
			must(ftruncate(fd, 0), "ftruncate");
			sum += now() - begin;
		}
		begin = 0;
		end = sum;
	}, "truncate/%s-to-nothing", name);
	MEASURE({
		off_t size = 0;

		must(ftruncate(fd, 0), "ftruncate");
		TIMED(must(ftruncate(fd, ++size), "ftruncate"));
	}, "truncate/%s-grows", name);
	must(ftruncate(fd, BATCH * PAGE), "ftruncate");
}

static void opens(const char *name, const char *path)
{
	static int fds[BATCH];

	MEASURE({
		begin = now();
		for (int k = 0; k < BATCH; k++)
			fds[k] = open(path, O_RDWR | O_CLOEXEC);
		end = now();
		for (int k = 0; k < BATCH; k++)
			must(close(fds[k]), path);
	}, "open/%s", name);
	MEASURE({
		for (int k = 0; k < BATCH; k++)
			fds[k] = open(path, O_RDWR | O_CLOEXEC);
		begin = now();
		for (int k = 0; k < BATCH; k++)
			close(fds[k]);
		end = now();
	}, "close/%s", name);
}

static void fcntls(const char *name, int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 1 };

	MEASURE({ TIMED(must(fcntl(fd, F_GETFL), "F_GETFL")); },
		"fcntl/%s-getfl", name);
	MEASURE({ TIMED(must(fcntl(fd, F_GETLEASE), "F_GETLEASE")); },
		"fcntl/%s-getlease", name);
	MEASURE({ TIMED(must(fcntl(fd, F_SETLK, &lock), "F_SETLK")); },
		"fcntl/%s-setlk", name);
	MEASURE({
		uint64_t sum = 0;

		for (int k = 0; k < BATCH; k++) {
			begin = now();
			must(fcntl(fd, F_SETLEASE, F_WRLCK), "F_SETLEASE");
			must(fcntl(fd, F_SETLEASE, F_UNLCK), "F_UNLCK");
			sum += now() - begin;
		}
		begin = 0;
		end = sum;
	}, "fcntl/%s-setlease", name);
}

static void directory(const char *name, const char *dir)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/absent", dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd, path);
	truncates(name, fd);
	for (int k = 0; k < BATCH; k++)
		must(pwrite(fd, "x", 1, k * PAGE), "pwrite");
	file_faults(name, fd, MAP_SHARED);
	file_faults(name, fd, MAP_PRIVATE);
	opens(name, path);
	fcntls(name, fd);
	close(fd);
	must(unlink(path), path);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		die("usage: absent ROUNDS [NAME=DIR]...");
	rounds = number(argv[1]);
	anonymous_faults();
	for (int i = 2; i < argc; i++) {
		char *dir = strchr(argv[i], '=');

		if (!dir)
			die("'%s' is not NAME=DIR", argv[i]);
		*dir++ = 0;
		directory(argv[i], dir);
	}
	return 0;
}

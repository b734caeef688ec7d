// SPDX-License-Identifier: GPL-2.0
/*
 * Many leases and memory regions, spread over many files.  What is then done
 * to one file is to cost the same however many others there are.
 */
#include "breaker.h"
#include "ledger.h"
#include "memory.h"
#include "notice.h"
#include "rdma.h"

#include <sys/resource.h>

#define DIR	"/mnt/dax/scale"

static const char *kind, *label;
static int files, leases, mrs, rounds;
static size_t size;
static struct memory *memory;
static struct ibv_mr **regions;

/* Files apart from one another, in an order of no meaning. */
static int nth(int i)
{
	return (i * 7919l + 13) % files;
}

static void path_of(int file, char *path)
{
	sprintf(path, DIR "/%d", file);
}

static int lease_on(int file)
{
	char path[64];
	int fd;

	path_of(file, path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		die("%s", path);
	if (fcntl(fd, F_SETLEASE, F_LONGTERM))
		die("%s: F_SETLEASE", path);
	return fd;
}

/* Every other page is pinned, so that no region continues another. */
static void load(int file)
{
	struct memory *m = &memory[file];

	m->size = size;
	m->fd = lease_on(file);
	if (fallocate(m->fd, 0, 0, size))
		die("fallocate");
	map_file(m, false);
	for (int i = 1; i < leases; i++)
		lease_on(file);
	for (int i = 0; i < mrs; i++)
		regions[file * mrs + i] = reg(m->addr + 2 * i * PAGE, PAGE);
}

static void take(void)
{
	for (int i = 0; i < rounds; i++) {
		uint64_t begin, end;
		char path[64];
		int fd;

		path_of(nth(i), path);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			die("%s", path);
		begin = now();
		if (fcntl(fd, F_SETLEASE, F_LONGTERM))
			die("F_SETLEASE");
		end = now();
		sample(end - begin, "scale/%stake/%s", kind, label);
		begin = now();
		if (fcntl(fd, F_SETLEASE, F_UNLCK))
			die("F_UNLCK");
		end = now();
		sample(end - begin, "scale/%srelease/%s", kind, label);
		close(fd);
	}
}

static void pin(void)
{
	for (int i = 0; i < rounds; i++) {
		char *addr = memory[nth(i)].addr + PAGE;
		uint64_t begin, end;
		struct ibv_mr *mr;

		begin = now();
		mr = reg(addr, PAGE);
		end = now();
		sample(end - begin, "scale/%sreg/%s", kind, label);
		begin = now();
		dereg(mr);
		end = now();
		sample(end - begin, "scale/%sdereg/%s", kind, label);
	}
}

/* All of what is on record, as `longterm ls` reads it. */
static void list(void)
{
	static char buffer[1 << 16];
	int fd = open(HOLDERS, O_RDONLY | O_CLOEXEC);
	long lines = -1;	/* the header */
	uint64_t begin, end;
	ssize_t n;

	if (fd < 0)
		die(HOLDERS);
	settled_to((long long)files * mrs);
	count_begin("%sls/%s", kind, label);
	begin = now();
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += buffer[i] == '\n';
	if (n < 0)
		die(HOLDERS);
	end = now();
	count_end();
	close(fd);
	if (lines != (long)files * (leases + mrs))
		die("%ld lines in " HOLDERS " of %ld leases and pins", lines,
		    (long)files * (leases + mrs));
	sample((end - begin) / lines, "scale/%sls-a-line/%s", kind, label);
}

static void broken(int file, const sigset_t *notice)
{
	struct span span;
	char path[64];
	uint64_t told;

	path_of(file, path);
	order(path, size - 2 * PAGE);
	told = signalled(notice, NULL);
	dereg(regions[file * mrs + mrs - 1]);
	span = done();
	/* The other leases' notices. */
	forget_signals(notice);
	sample(told - span.begin, "scale/%sbreak-to-notice/%s", kind, label);
	sample(span.end - span.begin, "scale/%sbreak-to-end/%s", kind, label);
}

static void limits(void)
{
	struct rlimit many = { 1 << 20, 1 << 20 };

	if (setrlimit(RLIMIT_NOFILE, &many))
		die("RLIMIT_NOFILE");
}

int main(int argc, char **argv)
{
	sigset_t notice;

	if (argc < 6)
		die("usage: scale LABEL FILES LEASES-A-FILE MRS-A-FILE ROUNDS [KIND]");
	kind = argc > 6 ? argv[6] : "";
	label = argv[1];
	files = number(argv[2]);
	leases = number(argv[3]);
	mrs = number(argv[4]);
	rounds = number(argv[5]);
	size = 2 * mrs * PAGE;
	notice = held_back(SIGIO);
	limits();
	start_breaker();

	memory = calloc(files, sizeof(*memory));
	regions = calloc((size_t)files * mrs, sizeof(*regions));
	if (!memory || !regions || mkdir(DIR, 0700))
		die(DIR);
	open_rdma();
	for (int i = 0; i < files; i++)
		load(i);
	sample((uint64_t)files * mrs, "load/%sregions/%s", kind, label);
	take();
	pin();
	list();
	/* Each file once: after its break, its leases are to be taken again. */
	for (int i = 0; i < rounds && i < files; i++)
		broken(nth(i), &notice);
	end_breaker();
	return 0;
}

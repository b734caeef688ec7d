// SPDX-License-Identifier: GPL-2.0
/*
 * What a long-term pin and its unpin cost, on a DAX file and on anonymous
 * memory: the ioctls of the kernel's mm/gup_test.c, which give the time of
 * pinning and of unpinning apart, in microseconds of 1,000 instructions.
 */
#include "ledger.h"
#include "memory.h"

struct gup_test {
	uint64_t get_delta_usec;
	uint64_t put_delta_usec;
	uint64_t addr;
	uint64_t size;
	uint32_t nr_pages_per_call;
	uint32_t gup_flags;
	uint32_t test_flags;
	uint32_t which_pages[8];
};

#define PIN_FAST_BENCHMARK	_IOWR('g', 2, struct gup_test)
#define PIN_LONGTERM_BENCHMARK	_IOWR('g', 3, struct gup_test)
/* The kernel's own numbers: the ioctl passes them on. */
#define FOLL_WRITE		(1 << 0)
#define FOLL_LONGTERM		(1 << 8)

static int gup, rounds;
static unsigned int gup_flags = FOLL_WRITE | FOLL_LONGTERM;

static void run(const struct memory *m, unsigned long cmd, struct gup_test *t,
		const char *name)
{
	int rc;

	t->addr = (uintptr_t)m->addr;
	t->size = m->size;
	t->gup_flags = gup_flags;
	count_begin("gup/%s/%s", name, m->fd < 0 ? "anon" : "dax");
	rc = ioctl(gup, cmd, t);
	count_end();
	if (rc)
		die("gup_test");
	if (t->size != m->size)
		die("gup_test: only %llu of %zu bytes were pinned",
		    (unsigned long long)t->size, m->size);
}

/* The same once more, watched: each page comes on record exactly once. */
static void check(const struct memory *m, unsigned long cmd, struct gup_test *t,
		  const char *name)
{
	unsigned long long bytes;
	struct stat st;

	if (fstat(m->fd, &st))
		die("fstat");
	watch(true);
	run(m, cmd, t, name);
	watch(false);
	bytes = watched(st.st_ino);
	if (bytes != m->size)
		die("%s: %llu of %zu bytes came on record", m->path, bytes,
		    m->size);
}

static void measure(const struct memory *m, unsigned long cmd,
		    unsigned long per_call, const char *name, const char *what)
{
	struct gup_test t = { .nr_pages_per_call = per_call };

	for (int i = 0; i < rounds; i++) {
		/* What the module does later is not this round's. */
		if (m->fd >= 0)
			settled();
		run(m, cmd, &t, name);
		sample(t.get_delta_usec * 1000, "pin/%s/%s", name, what);
		sample(t.put_delta_usec * 1000, "unpin/%s/%s", name, what);
	}
	if (m->fd >= 0)
		check(m, cmd, &t, name);
}

static void both_ways(const struct memory *m, const char *size, const char *what)
{
	char name[64];

	snprintf(name, sizeof(name), "fast/%s/one-call", size);
	measure(m, PIN_FAST_BENCHMARK, m->size / PAGE, name, what);
	snprintf(name, sizeof(name), "fast/%s/512-a-call", size);
	measure(m, PIN_FAST_BENCHMARK, 512, name, what);
	snprintf(name, sizeof(name), "slow/%s/one-call", size);
	measure(m, PIN_LONGTERM_BENCHMARK, m->size / PAGE, name, what);
	snprintf(name, sizeof(name), "slow/%s/512-a-call", size);
	measure(m, PIN_LONGTERM_BENCHMARK, 512, name, what);
}

/* Nothing of ours is there: no file is to be pinned. */
static void absent(const struct memory *m, const char *size)
{
	char name[64];

	snprintf(name, sizeof(name), "longterm/%s", size);
	measure(m, PIN_FAST_BENCHMARK, m->size / PAGE, name, "anon");
	gup_flags = FOLL_WRITE;
	snprintf(name, sizeof(name), "transient/%s", size);
	measure(m, PIN_FAST_BENCHMARK, m->size / PAGE, name, "anon");
	gup_flags |= FOLL_LONGTERM;
	snprintf(name, sizeof(name), "longterm-slow/%s", size);
	measure(m, PIN_LONGTERM_BENCHMARK, m->size / PAGE, name, "anon");
}

int main(int argc, char **argv)
{
	static const char * const sizes[] = { "4k", "2m" };
	struct memory m;
	size_t size;

	if (argc < 3 || (argc > 3 && strcmp(argv[3], "absent")))
		die("usage: pins MIB ROUNDS [absent]");
	size = number(argv[1]) * MIB;
	rounds = number(argv[2]);
	gup = open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC);
	if (gup < 0)
		die("gup_test");
	sample(size, "pins/bytes");
	for (int huge = 0; huge <= 1; huge++) {
		m = anonymous(size, huge);
		if (argc > 3) {
			absent(&m, sizes[huge]);
			forget(&m);
			continue;
		}
		both_ways(&m, sizes[huge], "anon");
		forget(&m);
		m = leased_file("pins", size, huge);
		both_ways(&m, sizes[huge], "dax");
		forget(&m);
	}
	return 0;
}

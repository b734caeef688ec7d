// SPDX-License-Identifier: GPL-2.0
/*
 * How much kernel memory live memory regions take: on a DAX file, and of the
 * same shape on anonymous memory.  All of it: slabs, with what kmalloc() gives
 * beyond them, and vmalloc().
 */
#include "ledger.h"
#include "memory.h"
#include "rdma.h"

static struct ibv_mr **mrs;

/* In bytes. */
static unsigned long long in_use(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kb;
	char line[256];

	if (!f)
		die("/proc/meminfo");
	while (fgets(line, sizeof(line), f)) {
		size_t n = strlen(name);

		if (strncmp(line, name, n) || line[n] != ':')
			continue;
		if (sscanf(line + n + 1, "%llu", &kb) != 1)
			break;
		fclose(f);
		return kb * KIB;
	}
	die("/proc/meminfo: no %s", name);
}

struct usage {
	unsigned long long slab, vmalloc, percpu;
};

static struct usage usage(void)
{
	return (struct usage) {
		.slab = in_use("Slab"),
		.vmalloc = in_use("VmallocUsed"),
		.percpu = in_use("Percpu"),
	};
}

static void report(const char *what, const char *when, const struct usage *b,
		   const struct usage *a, unsigned long count)
{
	long long slab = a->slab - b->slab, vmalloc = a->vmalloc - b->vmalloc;
	long long percpu = a->percpu - b->percpu;

	printf("slab/%s/%s/slab %.1f\n", when, what, (double)slab / count);
	printf("slab/%s/%s/vmalloc %.1f\n", when, what, (double)vmalloc / count);
	printf("slab/%s/%s/percpu %.1f\n", when, what, (double)percpu / count);
	printf("slab/%s/%s/all %.1f\n", when, what,
	       (double)(slab + vmalloc + percpu) / count);
}

static void measure(const struct memory *m, unsigned long count,
		    const char *what)
{
	struct usage before, live, after;
	struct pinned p;
	struct stat st;

	before = usage();
	/* Every other page, so that none continues another. */
	for (unsigned long i = 0; i < count; i++)
		mrs[i] = reg(m->addr + 2 * i * PAGE, PAGE);
	live = usage();
	if (m->fd >= 0) {
		if (fstat(m->fd, &st))
			die("fstat");
		p = pins_on_record(st.st_ino);
		if (p.bytes != count * PAGE || p.lines != count)
			die("%lu lines with %llu bytes are on record for %lu MRs of a page",
			    p.lines, p.bytes, count);
	}
	for (unsigned long i = count; i-- > 0;)
		dereg(mrs[i]);
	settled();
	after = usage();
	report(what, "live", &before, &live, count);
	report(what, "after", &before, &after, count);
}

int main(int argc, char **argv)
{
	unsigned long count;
	struct memory m;
	bool dax;

	if (argc != 3)
		die("usage: slab COUNT anon|dax");
	count = number(argv[1]);
	dax = !strcmp(argv[2], "dax");
	mrs = calloc(count, sizeof(*mrs));
	if (!mrs)
		die("calloc");
	/* What user space needs for them is not to grow meanwhile. */
	memset(mrs, 1, count * sizeof(*mrs));
	open_rdma();
	m = dax ? leased_file("slab", 2 * count * PAGE, false) :
		  anonymous(2 * count * PAGE, false);
	dereg(reg(m.addr, PAGE));
	settled();
	measure(&m, count, argv[2]);
	forget(&m);
	return 0;
}

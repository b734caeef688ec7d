// SPDX-License-Identifier: GPL-2.0
/*
 * What a memory region costs, on a DAX file and on anonymous memory: one large
 * one, and many small ones.  While they live, the ledger is to show exactly
 * them.
 */
#include "ledger.h"
#include "memory.h"
#include "rdma.h"

#define MANY	256

static int rounds;

static void check(const struct memory *m, unsigned long long bytes)
{
	struct pinned p;
	struct stat st;

	if (m->fd < 0)
		return;
	if (fstat(m->fd, &st))
		die("fstat");
	p = pins_on_record(st.st_ino);
	if (p.bytes != bytes)
		die("%s: %llu bytes are on record, not %llu", m->path, p.bytes,
		    bytes);
}

static void large(const struct memory *m, const char *size, const char *what)
{
	for (int i = 0; i < rounds; i++) {
		uint64_t begin, end;
		struct ibv_mr *mr;

		settled();
		count_begin("reg/%s/one/%s", size, what);
		begin = now();
		mr = reg(m->addr, m->size);
		end = now();
		count_end();
		sample(end - begin, "reg/%s/one/%s", size, what);
		check(m, m->size);
		count_begin("dereg/%s/one/%s", size, what);
		begin = now();
		dereg(mr);
		end = now();
		count_end();
		sample(end - begin, "dereg/%s/one/%s", size, what);
	}
}

/* With gaps between them, so that none continues another. */
static void small(const struct memory *m, size_t length, const char *size,
		  const char *what)
{
	static struct ibv_mr *mrs[MANY];
	size_t step = m->size / MANY;

	for (int i = 0; i < rounds; i++) {
		uint64_t begin, end;

		settled();
		count_begin("reg/%s/small/%s", size, what);
		begin = now();
		for (int k = 0; k < MANY; k++)
			mrs[k] = reg(m->addr + k * step, length);
		end = now();
		count_end();
		sample((end - begin) / MANY, "reg/%s/small/%s", size, what);
		check(m, MANY * length);
		count_begin("dereg/%s/small/%s", size, what);
		begin = now();
		for (int k = 0; k < MANY; k++)
			dereg(mrs[k]);
		end = now();
		count_end();
		sample((end - begin) / MANY, "dereg/%s/small/%s", size, what);
	}
}

int main(int argc, char **argv)
{
	static const char * const sizes[] = { "4k", "2m" };
	struct memory m;
	size_t size;

	if (argc != 3)
		die("usage: mrs MIB ROUNDS");
	size = number(argv[1]) * MIB;
	rounds = number(argv[2]);
	sample(size, "mrs/bytes");
	open_rdma();
	for (int huge = 0; huge <= 1; huge++) {
		for (int dax = 0; dax <= 1; dax++) {
			const char *what = dax ? "dax" : "anon";

			m = dax ? leased_file("mrs", size, huge) :
				  anonymous(size, huge);
			large(&m, sizes[huge], what);
			small(&m, 8 * PAGE, sizes[huge], what);
			forget(&m);
		}
	}
	return 0;
}

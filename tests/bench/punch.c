// SPDX-License-Identifier: GPL-2.0
/*
 * A hole punched where nothing is pinned: in a file that has much pinned
 * elsewhere, and in one of the same shape that nobody holds.
 */
#include "memory.h"
#include "rdma.h"

/* Further from what is pinned than any entry is large. */
#define APART	(4 * HUGE_PAGE)

/* Where both files end, and the hole is punched. */
static char *last_page(const struct memory *m)
{
	return m->addr + m->size - PAGE;
}

static uint64_t punch(const struct memory *m)
{
	off_t at = m->size - PAGE;
	uint64_t begin, end;

	if (fallocate(m->fd, FALLOC_FL_KEEP_SIZE, at, PAGE))
		die("fallocate");
	/* There is to be a page in the mapping. */
	*(volatile char *)last_page(m) = 1;
	begin = now();
	if (fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
		      PAGE))
		die("punch in %s", m->path);
	end = now();
	return end - begin;
}

/* Every other page, so that no region continues another; or one region. */
static struct ibv_mr **pin(const struct memory *m, int count, bool large)
{
	struct ibv_mr **mrs = calloc(count, sizeof(*mrs));

	if (large) {
		mrs[0] = reg(m->addr, 2 * count * PAGE);
		return mrs;
	}
	for (int i = 0; i < count; i++)
		mrs[i] = reg(m->addr + 2 * i * PAGE, PAGE);
	return mrs;
}

int main(int argc, char **argv)
{
	struct memory pinned, unpinned;
	int count, rounds;
	struct ibv_mr **mrs;
	bool large;

	if (argc != 4 || (strcmp(argv[1], "many") && strcmp(argv[1], "large")))
		die("usage: punch many|large REGIONS ROUNDS");
	large = !strcmp(argv[1], "large");
	count = number(argv[2]);
	rounds = number(argv[3]);
	open_rdma();
	pinned = leased_file("pinned", 2 * count * PAGE + APART, false);
	unpinned = leased_file("unpinned", 2 * count * PAGE + APART, false);
	if (fcntl(unpinned.fd, F_SETLEASE, F_UNLCK))
		die("F_UNLCK");
	mrs = pin(&pinned, count, large);
	for (int i = 0; i < rounds; i++) {
		sample(punch(&unpinned), "punch/%s/unpinned/%d", argv[1], count);
		sample(punch(&pinned), "punch/%s/pinned/%d", argv[1], count);
	}
	for (int i = large ? 1 : count; i-- > 0;)
		dereg(mrs[i]);
	if (fcntl(unpinned.fd, F_SETLEASE, F_LONGTERM))
		die("F_SETLEASE");
	forget(&unpinned);
	forget(&pinned);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Words that say whose they are.  From the top: 2 bits who wrote it (write(2), or
 * a device), 10 bits the file it is meant for, 16 the page, 16 the generation or the
 * number of the write, 20 of a checksum that has the seed and the word's place in the
 * page in it.  0 is a hole, or was never written.
 */
#include "torture.h"

#define CHECK_BITS	20

/* Families of targets first, then the refiller's files. */
#define OWNER_OF_CHUNK(n)	((n) + TARGETS)

uint64_t head_of(enum kind kind, unsigned int owner, unsigned int page,
		 unsigned int generation)
{
	return (uint64_t)kind << 42 | (uint64_t)owner << 32 | (page & 0xffff) << 16 |
	       (generation & 0xffff);
}

static uint32_t salt_of(uint64_t head)
{
	uint64_t x = (head ^ shared->seed << 44 ^ shared->seed) * 0x9e3779b97f4a7c15ull;

	return x >> 32 ^ x;
}

static inline uint64_t word_of(uint64_t head, uint32_t salt, unsigned int at)
{
	return head << CHECK_BITS | (salt + at * 0x9e3779b1u) >> (32 - CHECK_BITS);
}

/* Words that stand first, first + 1, ... in their page. */
void fill_words(uint64_t *words, unsigned int first, unsigned int n, uint64_t head)
{
	uint32_t salt = salt_of(head);

	for (unsigned int i = 0; i < n; i++)
		words[i] = word_of(head, salt, first + i);
}

static bool genuine(uint64_t word, unsigned int at)
{
	uint64_t head = word >> CHECK_BITS;

	return word == word_of(head, salt_of(head), at);
}

void describe(char *text, size_t size, uint64_t word, unsigned int at)
{
	uint64_t head = word >> CHECK_BITS;
	unsigned int owner = head >> 32 & 0x3ff, page = head >> 16 & 0xffff;
	unsigned int generation = head & 0xffff, lane = at / LANE_WORDS;
	char whose[40];

	if (!word) {
		snprintf(text, size, "zero");
		return;
	}
	if (!genuine(word, at)) {
		snprintf(text, size, "nobody's (%#lx)", (unsigned long)word);
		return;
	}
	if (owner < TARGETS)
		snprintf(whose, sizeof(whose), "t%u or t%u", 2 * owner, 2 * owner + 1);
	else
		snprintf(whose, sizeof(whose), "fill/%u", owner - TARGETS);
	if (head >> 42 == BY_DEVICE)
		snprintf(text, size, "of holder %u's device, its write %u, for page %u of %s",
			 lane, generation, page, whose);
	else
		snprintf(text, size, "of %s, page %u, generation %u", whose, page,
			 generation);
}

static void not_as_it_should_be(const char *file, unsigned int page, unsigned int at,
				uint64_t found, const char *expected, const char *seen_by)
{
	char what[160];

	describe(what, sizeof(what), found, at);
	failed("%s, offset %lu (page %u, lane %lu), by %s: expected %s, found %s", file,
	       page * PAGE + at * sizeof(uint64_t), page, at / LANE_WORDS, seen_by,
	       expected, what);
}

/* The refiller's: exactly what it has written. */
void check_chunk_page(const uint64_t *page, unsigned int chunk, unsigned int n)
{
	uint64_t head = head_of(BY_WRITE, OWNER_OF_CHUNK(chunk), n,
				shared->chunks[chunk].generation);
	uint32_t salt = salt_of(head);
	uint64_t wrong = 0;

	for (unsigned int i = 0; i < WORDS; i++)
		wrong |= page[i] ^ word_of(head, salt, i);
	count(BLOCKS_CHECKED);
	if (!wrong)
		return;
	for (unsigned int i = 0; i < WORDS; i++) {
		char file[32], expected[160];

		if (page[i] == word_of(head, salt, i))
			continue;
		snprintf(file, sizeof(file), "fill/%u", chunk);
		describe(expected, sizeof(expected), word_of(head, salt, i), i);
		not_as_it_should_be(file, n, i, page[i], expected, "read(2)");
		return;
	}
}

/*
 * The first word that is neither 0 nor of the file's own family, by who may write
 * there; WORDS if there is none.  Blocks may have moved within the file.
 */
unsigned int foreign(const uint64_t *page, unsigned int target)
{
	for (unsigned int i = 0; i < WORDS; i++) {
		uint64_t head = page[i] >> CHECK_BITS;

		if (!page[i])
			continue;
		if (!genuine(page[i], i) || (head >> 32 & 0x3ff) != family_of(target) ||
		    head >> 42 != (i < LANE_WORDS ? BY_WRITE : BY_DEVICE))
			return i;
	}
	return WORDS;
}

void check_target_words(const uint64_t *page, unsigned int target, unsigned int n,
			const char *seen_by)
{
	unsigned int at = foreign(page, target);
	char file[16];

	count(PAGES_LOOKED_AT);
	if (at == WORDS)
		return;
	snprintf(file, sizeof(file), "t%u", target);
	not_as_it_should_be(file, n, at, page[at], "a word of its own, or 0", seen_by);
}

/*
 * Devices write meanwhile, and a word may be read half new.  What is wrong stays.
 * false: the file has no such page.
 */
bool check_target_page(int fd, unsigned int target, unsigned int n)
{
	uint64_t page[WORDS];

	for (int try = 0; try < 50; try++) {
		if (pread(fd, page, PAGE, n * PAGE) != (ssize_t)PAGE)
			return false;
		if (foreign(page, target) == WORDS)
			break;
		nap(1000);
	}
	check_target_words(page, target, n, "read(2)");
	return true;
}

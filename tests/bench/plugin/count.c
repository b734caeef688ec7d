// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU (scripts/vm --count): which code ran between two marks of
 * tests/bench/bench.h, as lines 'ADDRESS INSTRUCTIONS TIMES', one for each block of
 * code.  The N-th pair of marks goes to OUT.N.
 *
 * Debian has no header for plugins: what is used of it is declared here.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum { NO_REGS };

typedef void (*translated_fn)(uint64_t id, struct qemu_plugin_tb *tb);
typedef void (*executed_fn)(unsigned int cpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, translated_fn fn);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  executed_fn fn, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    executed_fn fn, int flags,
					    void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t i);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest,
			     size_t len);

int qemu_plugin_version = 4;

#define BUCKETS	65536u

struct block {
	struct block *next;
	uint64_t addr;
	uint64_t insns;
	uint64_t times;
};

static struct block *blocks[BUCKETS];
static const char *out;
static bool counting;
static int sections;

/* nopl, with a displacement that nobody else uses; see mark(). */
static const unsigned char begin_mark[] = { 0x0f, 0x1f, 0x80, 0x78, 0x56, 0x34, 0x12 };
static const unsigned char end_mark[] = { 0x0f, 0x1f, 0x80, 0x78, 0x56, 0x34, 0x13 };

/* A block may be translated many times. */
static struct block *block_at(uint64_t addr, uint64_t insns)
{
	struct block **bucket = &blocks[(addr >> 1 ^ addr >> 17) % BUCKETS];
	struct block *b;

	for (b = *bucket; b; b = b->next)
		if (b->addr == addr && b->insns == insns)
			return b;
	b = calloc(1, sizeof(*b));
	if (!b)
		abort();
	b->next = *bucket;
	b->addr = addr;
	b->insns = insns;
	*bucket = b;
	return b;
}

static void executed(unsigned int cpu, void *data)
{
	struct block *b = data;

	(void)cpu;
	b->times += counting;
}

static void begin(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	counting = true;
}

static void end(unsigned int cpu, void *data)
{
	char name[512];
	FILE *f;

	(void)cpu;
	(void)data;
	counting = false;
	snprintf(name, sizeof(name), "%s.%d", out, sections++);
	f = fopen(name, "w");
	if (!f) {
		perror(name);
		abort();
	}
	for (unsigned int i = 0; i < BUCKETS; i++) {
		for (struct block *b = blocks[i]; b; b = b->next) {
			if (b->times)
				fprintf(f, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n",
					b->addr, b->insns, b->times);
			b->times = 0;
		}
	}
	fclose(f);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);
	unsigned char bytes[sizeof(begin_mark)];

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, NO_REGS,
					     block_at(qemu_plugin_tb_vaddr(tb), n));
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) != sizeof(bytes))
			continue;
		if (!memcmp(bytes, begin_mark, sizeof(bytes)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, NO_REGS, NULL);
		else if (!memcmp(bytes, end_mark, sizeof(bytes)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, end, NO_REGS, NULL);
	}
}

int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc,
			char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	out = strdup(argv[0] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return out ? 0 : -1;
}

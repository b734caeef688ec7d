// SPDX-License-Identifier: GPL-2.0
/* A process is watched, and does one thing after the other. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

static struct task *me;

const struct kind *const fuzzing[] = {
	lease_kinds, memory_kinds, file_kinds, process_kinds, NULL
};
const struct kind *const administering[] = { admin_kinds, NULL };

static const struct kind *const all[] = {
	lease_kinds, memory_kinds, file_kinds, process_kinds, admin_kinds, NULL
};

unsigned int weights(const struct kind *const *tables)
{
	unsigned int total = 0;

	for (; *tables; tables++)
		for (const struct kind *k = *tables; k->name; k++)
			total += k->weight;
	return total;
}

static const struct kind *choose(const struct kind *const *tables, unsigned int total)
{
	unsigned int at = rnd(total);

	for (; *tables; tables++)
		for (const struct kind *k = *tables; k->name; k++) {
			if (at < k->weight)
				return k;
			at -= k->weight;
		}
	return NULL;
}

int number_of(const struct kind *kind)
{
	int number = 0;

	for (const struct kind *const *t = all; *t; t++)
		for (const struct kind *k = *t; k->name; k++, number++)
			if (k == kind)
				return number;
	return -1;
}

const char *kind_name(int kind)
{
	for (const struct kind *const *t = all; *t; t++)
		for (const struct kind *k = *t; k->name; k++)
			if (!kind--)
				return k->name;
	return NULL;
}

bool enter(void)
{
	for (int i = 0; i < MAX_TASKS; i++) {
		int none = 0;

		if (!atomic_compare_exchange_strong(&shared->tasks[i].pid, &none, getpid()))
			continue;
		me = &shared->tasks[i];
		me->since = 0;
		me->stuck = false;
		return true;
	}
	return false;
}

void leave(pid_t pid)
{
	for (int i = 0; i < MAX_TASKS; i++) {
		int mine = pid;

		atomic_compare_exchange_strong(&shared->tasks[i].pid, &mine, 0);
	}
}

pid_t somebody(void)
{
	int from = rnd(MAX_TASKS);

	for (int i = 0; i < MAX_TASKS; i++) {
		pid_t pid = shared->tasks[(from + i) % MAX_TASKS].pid;

		if (pid > 0 && pid != getpid())
			return pid;
	}
	errno = ESRCH;
	return 0;
}

/* One call of those in @tables; false if there have been enough. */
bool step(const struct kind *const *tables, unsigned int total)
{
	const struct kind *kind = choose(tables, total);
	int number = number_of(kind), error = 0;

	if (atomic_fetch_add(&shared->calls, 1) >= shared->limit) {
		atomic_fetch_sub(&shared->calls, 1);
		return false;
	}
	me->kind = number;
	me->since = now_ms();
	if (kind->call() < 0)
		error = errno;
	me->since = 0;
	atomic_fetch_add(&shared->ended[number][error < MAX_ERRNO ? error : 0], 1);
	return true;
}

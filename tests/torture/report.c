// SPDX-License-Identifier: GPL-2.0
/* What the actors have done, and what is told of it. */
#include "torture.h"

#include <infiniband/verbs.h>
#include <time.h>

#define SHOWN_OPS	80
#define SHOWN_TRACE	60
#define ENOUGH		8000

static const char *const count_texts[COUNTS] = {
	[LEASE_FCNTL] = "leases by fcntl", [LEASE_FD] = "lease fds",
	[LEASE_UNBREAKABLE] = "of these unbreakable",
	[LEASE_AUTOMATIC] = "pins without a lease", [LEASE_ADOPTED] = "lease fds adopted",
	[LEASE_AGAIN] = "leases taken again after a break",
	[LEASE_REFUSED] = "leases refused",
	[PIN_RDMA] = "memory regions", [PIN_URING] = "io_uring buffers",
	[PIN_GUP] = "pins by GUP_TEST", [PIN_REFUSED] = "pins refused",
	[PIN_IN_A_BREAK] = "of these in a break",
	[WRITE_RDMA] = "RDMA writes", [WRITE_URING] = "io_uring writes",
	[WRITE_IN_A_BREAK] = "of these during a break",
	[WRITE_AFTER_A_BREAK] = "of these after one that went on or gave up",
	[WRITE_ORPHAN] = "of these for a process that had gone",
	[LOOK_GUP] = "pages seen through GUP_TEST's pins", [UNPIN] = "unpins",
	[NOTICE] = "signals: SIGIO", [EVENT] = "breaks seen on lease fds",
	[TOLD_SIGBUS] = "signals: SIGBUS, caught",
	[DEATH_SIGBUS] = "signals: SIGBUS, died",
	[DEATH_KILLED] = "signals: SIGKILL, died", [DEATH_OTHER] = "other ends",
	[FORK] = "forks", [FD_SENT] = "descriptors sent",
	[FD_RECEIVED] = "descriptors received",
	[KILL_HOLDER] = "holders killed", [KILL_BREAKER] = "breakers killed",
	[SETTING] = "settings changed", [RMMOD] = "rmmod and insmod",
	[RMMOD_BUSY] = "rmmod refused", [REMOUNT] = "umount and mount",
	[UMOUNT_BUSY] = "umount refused", [FREEZE] = "freezes",
	[PRESSURE] = "memory used up", [FSCK] = "filesystem checks",
	[FILLED] = "files filled", [EMPTIED] = "files removed",
	[NO_SPACE] = "waits for space", [BLOCKS_CHECKED] = "blocks verified",
	[PAGES_LOOKED_AT] = "pages of pinned files looked at",
	[QUEUE_PAIR] = "queue pairs made again, which had failed by themselves",
};

static const char *const op_texts[DONES] = {
	[OP_TRUNCATE] = "truncate", [OP_FTRUNCATE] = "ftruncate",
	[OP_NONBLOCK] = "punch, O_NONBLOCK", [OP_O_TRUNC] = "O_TRUNC",
	[OP_CREAT] = "creat", [OP_PUNCH] = "punch", [OP_ZERO] = "zero",
	[OP_COLLAPSE] = "collapse", [OP_INSERT] = "insert",
	[OP_UNSHARE] = "unshare", [OP_WRITE_ZEROES] = "write_zeroes",
	[OP_PREALLOCATE] = "preallocate", [OP_GROW] = "grow", [OP_WRITE] = "write",
	[OP_UNLINK] = "unlink", [OP_RENAME] = "rename over",
	[OP_BREAK] = "LONGTERM_IOC_BREAK", [OP_OVERLAY] = "truncate by overlayfs",
	[OP_URING] = "by io_uring", [OP_REPAIR] = "repair by xfs_scrub",
	[OP_CLONE] = "clone", [OP_CLONE_RANGE] = "clone_range",
	[OP_DEDUPE] = "dedupe", [OP_EXCHANGE] = "exchange_range",
	[OP_COPY] = "copy_file_range", [OP_SWAP_BOOT] = "swap_boot",
	[DO_LEASE] = "lease", [DO_LEASE_FD] = "lease fd", [DO_UNLOCK] = "unlock",
	[DO_OPEN] = "open rxe0",
	[DO_PIN] = "pin", [DO_UNPIN] = "unpin", [DO_WRITE] = "device write",
	[DO_REACT] = "react", [DO_FORK] = "fork", [DO_FILL] = "fill",
	[DO_EMPTY] = "remove", [DO_KILL] = "kill", [DO_SET] = "set",
	[DO_RMMOD] = "rmmod", [DO_INSMOD] = "insmod", [DO_UMOUNT] = "umount",
	[DO_FREEZE] = "freeze and thaw", [DO_PRESSURE] = "use up memory",
};

static const char *const result_texts[RESULTS] = {
	"done", "ETXTBSY", "EAGAIN", "EINTR", "EDEADLK", "ENOSPC", "unsupported", "other",
};

uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

void count_by(enum what what, uint64_t n)
{
	atomic_fetch_add_explicit(&shared->counts[what], n, memory_order_relaxed);
}

void count(enum what what)
{
	count_by(what, 1);
}

/* A call that may take long, or says much to who reads the log. */
struct entry *begin(enum op op, int file, uint64_t a, uint64_t b)
{
	struct entry *e = &me->log[atomic_fetch_add(&me->logged, 1) % LOG];

	*e = (struct entry) { now(), op, file, -1, a, b };
	atomic_store(&me->since, e->at);
	return e;
}

int end(struct entry *e, int error)
{
	e->error = error;
	atomic_store(&me->since, 0);
	return error;
}

/* The first one counts; all stop. */
void failed(const char *format, ...)
{
	int none = 0;
	va_list args;

	if (!atomic_compare_exchange_strong(&shared->failed, &none, 1))
		return;
	va_start(args, format);
	vsnprintf(shared->failure, sizeof(shared->failure), format, args);
	va_end(args);
	/* The last that is traced is what is of interest. */
	set_number(TRACING "/tracing_on", 0);
	atomic_store(&shared->failed, 2);
	atomic_store(&shared->stop, true);
}

struct shown {
	const struct entry *entry;
	int actor;
};

static int by_time(const void *a, const void *b)
{
	const struct shown *x = a, *y = b;

	return x->entry->at < y->entry->at ? -1 : x->entry->at > y->entry->at;
}

const char *name_of(int actor)
{
	static const char *const names[ACTORS] = {
		"conductor", "holder 1", "holder 2", "holder 3", "holder 4", "holder 5",
		"holder 6", "breaker 1", "breaker 2", "breaker 3", "refiller", "trouble",
	};

	return names[actor];
}

const char *name_of_op(int op)
{
	return op_texts[op];
}

static void print_log(void)
{
	static struct shown all[ACTORS * LOG];
	int n = 0;

	for (int i = 0; i < ACTORS; i++) {
		for (int j = 0; j < LOG; j++) {
			const struct entry *e = &shared->actors[i].log[j];

			if (e->at)
				all[n++] = (struct shown) { e, i };
		}
	}
	qsort(all, n, sizeof(*all), by_time);
	printf("# the last calls: seconds, who, what, file, two numbers, how it ended\n");
	for (int i = n > SHOWN_OPS ? n - SHOWN_OPS : 0; i < n; i++) {
		const struct entry *e = all[i].entry;
		char file[16] = "-";

		if (e->file >= 0)
			snprintf(file, sizeof(file), "%s%d", e->what == DO_FILL ||
				 e->what == DO_EMPTY ? "fill/" : "t", e->file);
		printf("#   %.6f %-10s %-18s %-8s %8lu %8lu  %s\n", e->at / 1e9,
		       name_of(all[i].actor), op_texts[e->what], file,
		       (unsigned long)e->a, (unsigned long)e->b,
		       e->error < 0 ? "..." : e->error ? strerrorname_np(e->error) : "ok");
	}
}

static void print_trace(void)
{
	static char lines[SHOWN_TRACE][256];
	FILE *trace = fopen(TRACING "/trace", "r");
	unsigned long n = 0;

	if (!trace)
		return;
	while (fgets(lines[n % SHOWN_TRACE], sizeof(lines[0]), trace))
		n += lines[n % SHOWN_TRACE][0] != '#';
	fclose(trace);
	printf("# the last events of the trace:\n");
	for (unsigned long i = n > SHOWN_TRACE ? n - SHOWN_TRACE : 0; i < n; i++)
		printf("#   %s", lines[i % SHOWN_TRACE]);
}

void print_failure(void)
{
	printf("# FAILURE, seed %lu, epoch %u: %s\n", (unsigned long)shared->seed,
	       shared->epoch, shared->failure);
	print_log();
	print_trace();
}

void print_counts(void)
{
	uint64_t calls = 0;

	printf("# breakers' calls: %-10s", "");
	for (int j = 0; j < RESULTS; j++)
		printf(" %11s", result_texts[j]);
	printf("\n");
	for (int i = 0; i < OPS; i++) {
		printf("#   %-24s  ", op_texts[i]);
		for (int j = 0; j < RESULTS; j++) {
			calls += shared->ops[i][j];
			printf(" %11lu", (unsigned long)shared->ops[i][j]);
		}
		printf("\n");
	}
	printf("# %lu calls of breakers\n", (unsigned long)calls);
	for (int i = 0; i < COUNTS; i++)
		printf("# %lu %s\n", (unsigned long)shared->counts[i], count_texts[i]);
	for (int i = 0; i < WC_STATUSES; i++)
		if (shared->statuses[i])
			printf("#   %lu: %s\n", (unsigned long)shared->statuses[i],
			       ibv_wc_status_str(i));
}

/*
 * Of the rarest things (leases taken again, adopted) there is one for each 700 steps
 * or so of the holders.
 */
bool has_done_enough(void)
{
	printf("# %u steps of holders\n", shared->steps);
	return shared->steps >= ENOUGH;
}

/* What never came about was not tested. */
bool all_kinds_seen(void)
{
	bool all = true;

	for (int i = 0; i < COUNTS; i++) {
		if (shared->counts[i] || i == DEATH_OTHER || i == QUEUE_PAIR)
			continue;
		printf("# never: %s\n", count_texts[i]);
		all = false;
	}
	for (int i = 0; i < OPS; i++) {
		bool only_xfs = i >= OP_REPAIR && i <= OP_EXCHANGE;
		uint64_t made = 0;

		for (int j = 0; j < RESULTS; j++)
			made += j == R_UNSUPPORTED ? 0 : shared->ops[i][j];
		if (made || i == OP_WRITE_ZEROES || i == OP_UNSHARE ||
		    (only_xfs && !shared->xfs) || (i == OP_SWAP_BOOT && shared->xfs))
			continue;
		printf("# never: %s\n", op_texts[i]);
		all = false;
	}
	return all;
}

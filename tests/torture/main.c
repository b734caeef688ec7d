// SPDX-License-Identifier: GPL-2.0
/*
 * torture [--minutes N] [--seed N]
 *
 * Holders of long-term pins, breakers that want the blocks, one that takes every
 * block that is free and fills it, and one that makes trouble, all at once, in the
 * guest, on a filesystem that is nearly full.  What is looked at are bytes: no
 * actor asks the module what is right.  Documentation/torture.rst says more.
 *
 * Prints counts and KTAP.  Status 0 if nothing was wrong.
 */
#include "torture.h"

#include <getopt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define SECOND		1000000000ull
#define EPOCH		(EPOCH_MS * 1000000ull)
#define STUCK		(60 * SECOND * shared->slow)

struct shared *shared;
struct actor *me;
static bool untidy;

/* What begins with (seed, actor number) and goes on over all its processes. */
static void seed_actor(unsigned int number)
{
	uint64_t x = shared->seed * ACTORS + number + 1;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	shared->actors[number].random = (x ^ x >> 31) | 1;
}

static void start_actor(unsigned int number)
{
	struct actor *actor = &shared->actors[number];
	pid_t child;

	atomic_store(&actor->since, 0);
	fflush(stdout);
	child = fork();
	if (child < 0)
		return;
	if (child) {
		actor->pid = child;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	me = actor;
	if (number < BREAKER) {
		set_number("/proc/self/oom_score_adj", 0);
		holder();
	} else if (number < REFILLER) {
		breaker();
	} else if (number == REFILLER) {
		refiller();
	} else {
		trouble();
	}
	exit(0);
}

/* A holder, or the fork that goes on for it. */
static void buried(struct actor *actor, pid_t pid, int status)
{
	int writer = pid;

	if (atomic_compare_exchange_strong(&actor->writing, &writer, 0) && WIFEXITED(status))
		failed("%s: a write through a live pin fails, see its message",
		       name_of(actor - shared->actors));
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS)
		count(DEATH_SIGBUS);
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		count(DEATH_KILLED);
	else if (status)
		count(DEATH_OTHER);
}

static void bury(pid_t pid, int status)
{
	for (int i = 1; i < ACTORS; i++) {
		struct actor *actor = &shared->actors[i];

		if (actor->pid != pid && actor->twin != pid)
			continue;
		if (i < BREAKER)
			buried(actor, pid, status);
		else if (i >= REFILLER && status && !atomic_load(&shared->failed))
			failed("%s ended with status %#x", name_of(i), status);
		if (actor->twin == pid)
			actor->twin = 0;
		else
			actor->pid = 0;
		atomic_store(&actor->since, 0);
	}
}

static bool bury_all_dead(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		bury(pid, status);
	return pid < 0;
}

/* Killed on its way to a fork: was there one?  It would have said so by now. */
static void forget_unborn(struct actor *actor)
{
	static uint64_t since[ACTORS];
	uint64_t *from = &since[actor - shared->actors];

	if (actor->pid || actor->twin != -1)
		*from = 0;
	else if (!*from)
		*from = now();
	else if (now() - *from > 2 * SECOND * shared->slow)
		actor->twin = *from = 0;
}

static void look_for_stuck(void)
{
	for (int i = 1; i < ACTORS; i++) {
		struct actor *actor = &shared->actors[i];
		uint64_t since = atomic_load(&actor->since);
		unsigned int last = (atomic_load(&actor->logged) - 1) % LOG;

		if (!since || now() < since + STUCK)
			continue;
		/* Where: in the kernel's log. */
		failed("%s has been in %s for %llu s", name_of(i),
		       name_of_op(actor->log[last].what), (now() - since) / SECOND);
		if (write(open("/proc/sysrq-trigger", O_WRONLY), "w", 1) != 1)
			return;
	}
}

static void stop_actors(void)
{
	uint64_t until = now() + 40 * SECOND * shared->slow;
	struct actor *actor;

	atomic_store(&shared->stop, true);
	while (!bury_all_dead()) {
		nap(5000);
		look_for_stuck();
		if (now() < until)
			continue;
		for (actor = shared->actors + 1; actor < shared->actors + ACTORS; actor++) {
			if (actor->pid > 0)
				kill(actor->pid, SIGKILL);
			if (actor->twin > 0)
				kill(actor->twin, SIGKILL);
		}
		if (now() > until + STUCK) {
			failed("processes that do not die");
			return;
		}
	}
	for (actor = shared->actors; actor < shared->actors + ACTORS; actor++)
		actor->pid = actor->twin = 0;
}

static void act(uint64_t until)
{
	atomic_store(&shared->stop, false);
	atomic_store(&shared->hush, false);
	memset(shared->breaking, 0, sizeof(shared->breaking));
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, shared->parked))
		quit("socketpair");
	while (now() < until && !atomic_load(&shared->failed)) {
		for (int i = 1; i < ACTORS; i++) {
			forget_unborn(&shared->actors[i]);
			if (!shared->actors[i].pid && !shared->actors[i].twin)
				start_actor(i);
		}
		nap(10000);
		bury_all_dead();
		look_for_stuck();
	}
	stop_actors();
	/* With them go the descriptors that nobody has taken. */
	close(shared->parked[0]);
	close(shared->parked[1]);
}

static void not_tidy(const char *what)
{
	printf("# after epoch %u: %s\n", shared->epoch, what);
	untidy = true;
}

/* Nobody is left: so nothing may be held, and all is where it was. */
static void tidy_up(void)
{
	bool unloaded = false;

	check_all_files();
	if (!umount_dax()) {
		not_tidy("the filesystem stays busy");
		return;
	}
	for (int i = 0; i < 300 * shared->slow && !unloaded; i++) {
		unloaded = unload();
		if (!unloaded)
			nap(20000);
	}
	if (!unloaded)
		not_tidy("the module stays in use");
	if (!check_filesystem())
		not_tidy("the filesystem is damaged");
	mount_dax();
	check_all_files();
	if (unloaded)
		load();
	count(REMOUNT);
}

static void torture(double minutes)
{
	uint64_t began = now(), until = began + (uint64_t)(minutes * 60) * SECOND;

	while (!shared->failed && !untidy && now() < until) {
		uint64_t end = now() + EPOCH;

		shared->epoch++;
		act(end < until ? end : until);
		if (!shared->failed)
			tidy_up();
		printf("# epoch %u, %llu s: %lu files filled, %lu device writes, %lu blocks verified\n",
		       shared->epoch, (now() - began) / SECOND,
		       (unsigned long)shared->counts[FILLED],
		       (unsigned long)(shared->counts[WRITE_RDMA] +
				       shared->counts[WRITE_URING]),
		       (unsigned long)shared->counts[BLOCKS_CHECKED]);
		fflush(stdout);
	}
	printf("# %llu s\n", (now() - began) / SECOND);
}

/* Not looked at for a reason, if there is one. */
static void result(int number, bool ok, const char *name, const char *reason)
{
	printf("%sok %d %s%s%s\n", ok || reason ? "" : "not ", number, name,
	       reason ? " # SKIP " : "", reason ? reason : "");
}

static void prepare(uint64_t seed, bool blind)
{
	const char *slow = getenv("LONGTERM_SLOW"), *fs = getenv("LONGTERM_FS");

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		quit("mmap");
	me = shared->actors;
	shared->seed = seed;
	shared->blind = blind;
	shared->slow = slow ? atoi(slow) : 1;
	shared->xfs = fs && !strcmp(fs, "xfs");
	strcpy(shared->dir, "/mnt/dax");
	for (unsigned int i = 0; i < ACTORS; i++)
		seed_actor(i);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	set_number("/proc/self/oom_score_adj", -1000);
	start_tracing();
	load_drivers();
	make_files();
	if (umount2(shared->dir, 0))
		quit("umount %s", shared->dir);
	mount_dax();
	set_number("/proc/sys/fs/longterm/break_time", 0);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "minutes", required_argument, NULL, 'm' },
		{ "seed", required_argument, NULL, 's' },
		{ "blind", no_argument, NULL, 'b' },
		{ }
	};
	uint64_t seed = time(NULL);
	const char *early = NULL;
	double minutes = 10;
	bool all, enough, blind = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'm')
			minutes = atof(optarg);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (c == 'b')
			blind = true;
		else
			return 2;
	}
	if (optind != argc || minutes <= 0) {
		fprintf(stderr, "usage: torture [--minutes N] [--seed N] [--blind]\n");
		return 2;
	}
	printf("KTAP version 1\n1..3\n# seed %lu\n", (unsigned long)seed);
	prepare(seed, blind);
	torture(minutes);
	if (shared->failed)
		print_failure();
	print_counts();
	print_counters();
	enough = has_done_enough();
	all = all_kinds_seen();
	if (shared->failed || untidy)
		early = "the run ended early";
	result(1, !shared->failed, "each_block_has_what_its_owner_wrote", NULL);
	result(2, !untidy, "nothing_is_held_when_nobody_is_left",
	       shared->failed ? early : NULL);
	result(3, all, "everything_came_about",
	       early || all || enough ? early : "holders have not come far enough");
	if (umount2("/run/torture", 0) && !untidy)
		printf("# umount of the overlay: %s\n", strerror(errno));
	return shared->failed || untidy || (!all && enough);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * fuzzall DIR CALLS SEED SECONDS USERS
 *
 * CALLS calls at random of whatever has to do with leases and pins, on a few files
 * in DIR: by USERS processes of a user without rights, each in a user namespace of its
 * own, and by one of root's, which has the settings and may stop everybody.  Those
 * that die are replaced.
 *
 * Prints a line for each kind of call: how often it succeeded, how often it failed
 * and why.  Status 1 if a call took longer than SECONDS, or somebody could not be
 * killed.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define MAX_USERS	16

struct shared *shared;
const char *dir;
int gups[NR_GUPS], sockets[2];

static uint64_t first_seed;
static unsigned long limit_ms, started, by_signal, stuck;
static pid_t slots[MAX_USERS + 1];	/* the last one used is root's */
static int users;
static bool bad;

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	close(fd);
}

/* Nobody outside, root within: with all rights but those that count. */
static void become_user(void)
{
	char map[32];

	if (setgroups(0, NULL) || setresgid(USER, USER, USER) || setresuid(USER, USER, USER) ||
	    prctl(PR_SET_DUMPABLE, 1) || unshare(CLONE_NEWUSER))
		err(1, "to become a user in a namespace");
	snprintf(map, sizeof(map), "0 %d 1", USER);
	write_text("/proc/self/setgroups", "deny");
	write_text("/proc/self/uid_map", map);
	write_text("/proc/self/gid_map", map);
}

static void start(int slot)
{
	const struct kind *const *tables = slot < users ? fuzzing : administering;
	pid_t parent = getpid();

	fflush(stdout);
	slots[slot] = fork();
	if (slots[slot] < 0)
		err(1, "fork");
	if (slots[slot])
		return;
	if (slot < users)
		become_user();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || !enter())
		_exit(0);
	seed(first_seed + started * (users + 1) + slot);
	begin_process();
	/* Root waits to the end of the ladder. */
	if (slot == users)
		interrupt_every(900000);
	while (step(tables, weights(tables)))
		;
	_exit(0);
}

static bool enough(void)
{
	return shared->calls >= shared->limit;
}

/* Those that have ended; slots are filled again. */
static void reap_all(void)
{
	int status, slot;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		leave(pid);
		by_signal += WIFSIGNALED(status);
		for (slot = 0; slot <= users && slots[slot] != pid; slot++)
			;
		if (slot > users)
			continue;
		slots[slot] = 0;
		if (WIFEXITED(status) && WEXITSTATUS(status))
			bad = true;
		if (!enough() && !bad) {
			started++;
			start(slot);
		}
	}
}

static void show_stack(pid_t pid)
{
	char line[256];
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/stack", pid);
	f = fopen(line, "re");
	while (f && fgets(line, sizeof(line), f))
		printf("#   %s", line);
	if (f)
		fclose(f);
}

/* How many there are; those that are in a call for too long are killed. */
static int look_after(void)
{
	unsigned long now = now_ms();
	int there = 0;

	for (int i = 0; i < MAX_TASKS; i++) {
		struct task *task = &shared->tasks[i];
		unsigned long since = task->since;
		pid_t pid = task->pid;

		there += pid > 0;
		if (pid <= 0 || !since || now < since + limit_ms || task->stuck)
			continue;
		task->stuck = true;
		stuck++;
		printf("# process %d: %s took more than %lu ms\n", pid, kind_name(task->kind),
		       limit_ms);
		show_stack(pid);
		kill(pid, SIGKILL);
	}
	return there;
}

static void run(void)
{
	unsigned long shown = now_ms(), last = 0, moved = shown;

	for (int slot = 0; slot <= users; slot++)
		start(slot);
	while (!enough() && !bad) {
		unsigned long calls = shared->calls, now = now_ms();

		reap_all();
		look_after();
		if (calls != last)
			moved = now;
		last = calls;
		if (now > moved + 2 * limit_ms) {
			printf("# no call in %lu ms\n", now - moved);
			bad = true;
		}
		if (now > shown + 10000) {
			printf("# %lu calls, %lu died of signals\n", calls, by_signal);
			fflush(stdout);
			shown = now;
		}
		usleep(10000);
	}
}

/* Each ends by itself, or else is killed. */
static void end_all(void)
{
	unsigned long begun = now_ms();
	bool killed = false;

	for (;;) {
		reap_all();
		if (!look_after() && waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			break;
		if (!killed && now_ms() > begun + limit_ms) {
			for (int i = 0; i < MAX_TASKS; i++)
				if (shared->tasks[i].pid > 0)
					kill(shared->tasks[i].pid, SIGKILL);
			killed = true;
		}
		if (now_ms() > begun + 3 * limit_ms) {
			printf("# somebody can't be killed\n");
			bad = true;
			break;
		}
		usleep(10000);
	}
}

static void report(void)
{
	struct rusage used;

	for (int kind = 0; kind_name(kind); kind++) {
		atomic_ulong *ended = shared->ended[kind];
		unsigned long all = 0;

		for (int error = 0; error < MAX_ERRNO; error++)
			all += ended[error];
		printf("%s %lu of %lu", kind_name(kind), (unsigned long)ended[0], all);
		for (int error = 1; error < MAX_ERRNO; error++)
			if (ended[error])
				printf(" %s:%lu", strerrorname_np(error),
				       (unsigned long)ended[error]);
		printf("\n");
	}
	printf("# %lu processes were started anew, %lu died of signals, %lu were stuck\n",
	       started, by_signal, stuck);
	getrusage(RUSAGE_CHILDREN, &used);
	printf("# %ld s of processors\n", (long)(used.ru_utime.tv_sec + used.ru_stime.tv_sec));
}

int main(int argc, char **argv)
{
	struct rlimit memlock = { RLIM_INFINITY, RLIM_INFINITY };

	users = argc == 6 ? atoi(argv[5]) : 0;
	if (users < 1 || users > MAX_USERS)
		errx(2, "usage: fuzzall DIR CALLS SEED SECONDS USERS, 1 to %d of them", MAX_USERS);
	dir = argv[1];
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		err(1, "mmap");
	shared->limit = strtoul(argv[2], NULL, 0);
	first_seed = strtoul(argv[3], NULL, 0);
	limit_ms = strtoul(argv[4], NULL, 0) * 1000;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("seed %lu\n", (unsigned long)first_seed);

	if (chown(dir, USER, USER))
		err(1, "%s", dir);
	for (int i = 0; i < NR_GUPS; i++) {
		gups[i] = open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC);
		if (gups[i] < 0)
			err(1, "gup_test");
	}
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets) ||
	    setrlimit(RLIMIT_MEMLOCK, &memlock) || prctl(PR_SET_CHILD_SUBREAPER, 1))
		err(1, "to begin");
	run();
	end_all();
	report();
	return bad || stuck;
}

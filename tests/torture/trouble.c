// SPDX-License-Identifier: GPL-2.0
/* Who kills, changes settings, unloads the module, freezes, and uses up memory. */
#include "torture.h"

#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define MIB	(1UL << 20)
#define STEPS	40

static void kill_one(unsigned int first, unsigned int n, enum what what)
{
	unsigned int victim = first + below(n);
	pid_t pid = shared->actors[victim].pid;
	struct entry *e;

	if (pid <= 0)
		return;
	e = begin(DO_KILL, -1, victim, pid);
	if (!end(e, kill(pid, SIGKILL) ? errno : 0))
		count(what);
}

static void set(const char *name, long value)
{
	struct entry *e;
	char path[64];

	snprintf(path, sizeof(path), "/proc/sys/fs/longterm/%s", name);
	/* Which one: its first letter. */
	e = begin(DO_SET, -1, *name, value);
	set_number(path, value);
	end(e, 0);
	count(SETTING);
}

/* Mostly 100 ms a step, so that much happens. */
static void change_settings(void)
{
	static const long times[] = { 0, 0, 0, 0, 1, -1 };

	set_number("/proc/sys/fs/lease-break-time", 1 + below(2));
	switch (below(5)) {
	case 0:
		set("sigkill", below(2));
		break;
	case 1:
		set("unbreakable", one_in(4) ? below(3) : 2);
		break;
	case 2:
		set("require_lease", one_in(3) ? below(3) : 0);
		break;
	default:
		set("break_time", times[below(6)]);
	}
}

/* With the holders gone for a moment; without them it is refused. */
static void unload_and_load(void)
{
	uint64_t until = now() + 10000000000ull * shared->slow;
	struct entry *e = begin(DO_RMMOD, -1, 0, 0);
	bool done = unload();

	if (end(e, done ? 0 : EWOULDBLOCK)) {
		count(RMMOD_BUSY);
		e = begin(DO_RMMOD, -1, 1, 0);
		atomic_store(&shared->hush, true);
		while (!done && now() < until && !atomic_load(&shared->stop)) {
			nap(10000);
			done = unload();
		}
		end(e, done ? 0 : EWOULDBLOCK);
		atomic_store(&shared->hush, false);
	}
	if (!done)
		return;
	/* Pins and leases are refused for a while. */
	nap(below(200000));
	e = begin(DO_INSMOD, -1, 0, 0);
	load();
	end(e, 0);
	count(RMMOD);
}

static void try_to_unmount(void)
{
	/* The others may be about to go. */
	int fd = open(shared->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct entry *e;

	if (fd < 0)
		return;
	e = begin(DO_UMOUNT, -1, 0, 0);
	if (end(e, umount2(shared->dir, 0) ? errno : 0) == EBUSY)
		count(UMOUNT_BUSY);
	else
		failed("umount %s, with files open: %s", shared->dir, strerror(e->error));
	close(fd);
}

static void freeze(void)
{
	int fd = open(shared->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned int us = below(20000);
	struct entry *e;

	if (fd < 0)
		return;
	e = begin(DO_FREEZE, -1, us, 0);
	if (!ioctl(fd, FIFREEZE, 0)) {
		nap(us);
		if (ioctl(fd, FITHAW, 0))
			failed("%s stays frozen: %s", shared->dir, strerror(errno));
		count(FREEZE);
	}
	end(e, 0);
	close(fd);
}

static size_t available(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	size_t kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %zu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib << 10;
}

/* All but a little, by somebody whom the kernel may kill for it. */
static void use_up_memory(void)
{
	struct entry *e = begin(DO_PRESSURE, -1, 0, 0);
	pid_t child = fork();

	if (child < 0) {
		end(e, errno);
		return;
	}
	if (!child) {
		uint64_t until = now() + 2000000000ull * shared->slow;
		size_t size = available() - 16 * MIB;
		char *p;

		set_number("/proc/self/oom_score_adj", 1000);
		p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		for (size_t at = 0; p != MAP_FAILED && at < size && now() < until; at += PAGE)
			p[at] = 1;
		_exit(0);
	}
	waitpid(child, NULL, 0);
	set_number("/proc/sys/vm/drop_caches", 3);
	end(e, 0);
	count(PRESSURE);
}

/* Where all is slow, holders are to get somewhere before the next thing happens. */
static void pause_a_little(void)
{
	unsigned int from = atomic_load(&shared->steps);
	uint64_t until = now() + 1000000000ull * shared->slow;

	nap(5000 + below(60000));
	while (atomic_load(&shared->steps) - from < STEPS && now() < until &&
	       !atomic_load(&shared->stop))
		nap(5000);
}

/* What takes long, or holds all up: once in each epoch. */
static void (*const rare[])(void) = {
	unload_and_load, use_up_memory, freeze, try_to_unmount,
};
#define RARE	(sizeof(rare) / sizeof(*rare))

void trouble(void)
{
	uint64_t due[RARE];

	for (unsigned int i = 0; i < RARE; i++)
		due[i] = now() + (1000 + below(EPOCH_MS / 2)) * 1000000ull;
	while (!atomic_load(&shared->stop)) {
		unsigned int n = below(64);

		if (n < 12)
			kill_one(HOLDER, HOLDERS, KILL_HOLDER);
		else if (n < 16)
			kill_one(BREAKER, BREAKERS, KILL_BREAKER);
		else if (n < 24)
			change_settings();
		for (unsigned int i = 0; i < RARE; i++) {
			if (now() < due[i] || atomic_load(&shared->stop))
				continue;
			rare[i]();
			due[i] = UINT64_MAX;
		}
		pause_a_little();
	}
}

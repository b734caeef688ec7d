// SPDX-License-Identifier: GPL-2.0
/* The module, the mount, and numbers in files. */
#include "torture.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MODULE		"/opt/longterm/longterm.ko"
#define DEVICE		"/dev/pmem0"
#define OVERLAY		"/run/torture"
#define OUTPUT		"/run/torture.output"
#define BLOCKS		"/sys/kernel/tracing/instances/blocks"

/* What it says is told only if it fails. */
static bool run(const char *first, ...)
{
	const char *argv[16] = { first };
	char line[256];
	int status, n = 1;
	va_list args;
	pid_t child;
	FILE *f;

	va_start(args, first);
	while (n < 15 && (argv[n] = va_arg(args, const char *)))
		n++;
	va_end(args);
	child = fork();
	if (!child) {
		int fd = open(OUTPUT, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execvp(first, (char **)argv);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		quit("%s", first);
	f = status ? fopen(OUTPUT, "r") : NULL;
	while (f && fgets(line, sizeof(line), f))
		printf("# %s", line);
	if (f)
		fclose(f);
	return !status;
}

void set_number(const char *path, long value)
{
	char text[24];
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = snprintf(text, sizeof(text), "%ld", value);

	/* Some are not there while the module is not. */
	if (fd < 0)
		return;
	if (write(fd, text, n) != n)
		fprintf(stderr, "torture: %s: %s\n", path, strerror(errno));
	close(fd);
}

/*
 * They begin anew with each insmod.  Only to be printed: what is right and wrong is
 * not asked there.
 */
static bool read_counters(struct counter *c)
{
	FILE *f = fopen("/proc/fs/longterm/stat", "r");

	if (!f)
		return false;
	for (int i = 0; i < COUNTERS; i++)
		if (fscanf(f, "%39s %lu", c[i].name, &c[i].value) != 2)
			break;
	fclose(f);
	return true;
}

bool unload(void)
{
	static struct counter at_last[COUNTERS];
	bool counted = read_counters(at_last);

	if (syscall(SYS_delete_module, "longterm", O_NONBLOCK))
		return false;
	for (int i = 0; counted && i < COUNTERS && *at_last[i].name; i++) {
		strcpy(shared->counters[i].name, at_last[i].name);
		shared->counters[i].value += at_last[i].value;
	}
	return true;
}

void load(void)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		failed("insmod: %s", strerror(errno));
	close(fd);
	set_number("/proc/sys/fs/longterm/break_time", 0);
	set_number(TRACING "/events/longterm/enable", 1);
}

void start_tracing(void)
{
	if (mkdir(TRACING, 0700) && errno != EEXIST)
		quit(TRACING);
	set_number(TRACING "/buffer_size_kb", 512);
	set_number(TRACING "/events/longterm/enable", 1);
	if (shared->xfs)
		return;
	/* For print_damage(). */
	if (mkdir(BLOCKS, 0700) && errno != EEXIST)
		quit(BLOCKS);
	set_number(BLOCKS "/buffer_size_kb", 8192);
	set_number(BLOCKS "/events/ext4/ext4_allocate_blocks/enable", 1);
	set_number(BLOCKS "/events/ext4/ext4_free_blocks/enable", 1);
	set_number(BLOCKS "/events/ext4/ext4_evict_inode/enable", 1);
}

void mount_dax(void)
{
	char options[256];

	if (mount(DEVICE, shared->dir, shared->xfs ? "xfs" : "ext4", 0, "dax=always"))
		quit("mount %s", shared->dir);
	mkdir(OVERLAY, 0700);
	mkdir(OVERLAY "-lower", 0700);
	snprintf(options, sizeof(options),
		 "lowerdir=" OVERLAY "-lower,upperdir=%s/over/up,workdir=%s/over/work",
		 shared->dir, shared->dir);
	if (mount("overlay", OVERLAY, "overlay", 0, options))
		quit("mount " OVERLAY);
}

/* With nobody left both succeed; what an exit has left to do may take a moment. */
static bool umount_soon(const char *path)
{
	for (int i = 0; i < 300 * shared->slow; i++) {
		if (!umount2(path, 0))
			return true;
		if (errno != EBUSY)
			break;
		nap(20000);
	}
	return false;
}

bool umount_dax(void)
{
	return umount_soon(OVERLAY) && umount_soon(shared->dir);
}

/* The kernel's words, and on ext4 what became of the first block that is amiss. */
static void print_damage(void)
{
	static const char command[] =
		"dmesg | tail -n 20\n"
		"first=$(sed -n 's/^Block bitmap differences: *[-+](*\\([0-9]*\\).*/\\1/p' " OUTPUT ")\n"
		"[ -z \"$first\" ] || awk -v b=$first '/evict_inode/ { evicted = $0 }\n"
		"	{ for (i = 1; i < NF; i++) if ($i == \"block\" && $(i + 1) <= b &&\n"
		"		$(i + 1) + 1024 > b) { if (evicted) print evicted; evicted = \"\"; print } }' \\\n"
		"	" BLOCKS "/trace | tail -n 100\n";
	FILE *f = popen(command, "r");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		printf("#   %s", line);
	if (f)
		pclose(f);
}

bool check_filesystem(void)
{
	bool ok;

	count(FSCK);
	ok = shared->xfs ? run("xfs_repair", "-n", DEVICE, NULL) :
			   run("e2fsck", "-fn", DEVICE, NULL);
	if (!ok)
		print_damage();
	return ok;
}

void print_counters(void)
{
	printf("# the module's counters:");
	for (int i = 0; i < COUNTERS && *shared->counters[i].name; i++)
		printf(" %s %lu", shared->counters[i].name, shared->counters[i].value);
	printf("\n");
}

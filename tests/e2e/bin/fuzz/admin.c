// SPDX-License-Identifier: GPL-2.0
/* What is root's: the settings, and to take back whatever others hold. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/falloc.h>
#include <linux/longterm.h>

#include "fuzz.h"

static long write_number(const char *name, long value)
{
	char path[128], text[32];
	int fd, length = snprintf(text, sizeof(text), "%ld", value);
	long ret;

	snprintf(path, sizeof(path), "/proc/sys/fs/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ret = write(fd, text, length);
	close(fd);
	return ret;
}

/* Short steps, mostly; few limits. */
static long set_one(void)
{
	static const char *const limits[] = {
		"longterm/max_leases", "longterm/max_files", "longterm/max_records"
	};

	switch (rnd(10)) {
	case 0: return write_number("longterm/require_lease", chance(4) ? rnd(3) : 0);
	case 1: return write_number("longterm/unbreakable", chance(4) ? rnd(3) : 2);
	case 2: return write_number(limits[rnd(3)], chance(4) ? rnd(8) : 10000);
	case 3: return write_number("lease-break-time", rnd(2));
	case 4: return write_number("longterm/sigkill", some_number());
	case 5: case 6: return write_number("longterm/sigkill", !chance(3));
	case 7: return write_number("longterm/break_time", chance(8) ? (long)rnd(3) - 1 : 0);
	default: return write_number("longterm/break_time", 0);
	}
}

/* By somebody who need not own the file, and waits. */
static long take_blocks(void)
{
	int fd = open(some_path(), O_RDWR | O_CLOEXEC);
	off_t offset = some_page() * PAGE, length = (1 + rnd(300)) * PAGE;
	struct longterm_ioc_break arg = {
		.size = sizeof(arg), .fd = fd, .start = offset, .length = length,
	};
	long ret = -1;

	if (fd < 0)
		return -1;
	switch (rnd(4)) {
	case 0:
		ret = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
		break;
	case 1:
		ret = ftruncate(fd, offset);
		break;
	case 2:
		ret = ftruncate(fd, 0);
		break;
	default:
		ret = ioctl(device, LONGTERM_IOC_BREAK, &arg);
	}
	close(fd);
	return ret;
}

static long kill_one(void)
{
	pid_t pid = somebody();

	return pid ? kill(pid, SIGKILL) : -1;
}

/* Others come to the processor meanwhile. */
static long pause_a_moment(void)
{
	return poll(NULL, 0, rnd(100));
}

const struct kind admin_kinds[] = {
	{ "sysctl", 16, set_one },
	{ "root_break", 16, take_blocks },
	{ "root_kill", 1, kill_one },
	{ "root_nap", 12, pause_a_moment },
	{ 0 }
};

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file and a block device whose reads end when they are told to: a process
 * that is a FUSE filesystem of one file, and a loop device on that file.  What
 * is read by O_DIRECT is copied into the reader's pages at the end, and not
 * before.
 */
#ifndef LATESOURCE_H
#define LATESOURCE_H

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/futex.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096L
#define SIZE		(4 * PAGE)	/* of a read, and of the files */
#define WORDS		(SIZE / sizeof(uint64_t))
#define SOURCE_SIZE	(1L << 20)
#define PATIENCE	300		/* seconds for any step */

/*
 * What they tell each other: the number of the round to which each has come.
 * The process that is the source has them, too.
 */
static struct progress {
	atomic_uint start;	/* the reader may read */
	atomic_uint held;	/* its read is with the source */
	atomic_uint answer;	/* the source may answer it */
	atomic_uint read;	/* the read has ended */
	atomic_uint cut;	/* the truncater may begin */
	atomic_uint gone;	/* its truncate has ended */
} *at;

static void reach(atomic_uint *what, unsigned int round)
{
	atomic_store(what, round);
	syscall(SYS_futex, what, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Fails, rather than to wait for ever. */
static void wait_for(atomic_uint *what, unsigned int round, const char *name)
{
	struct timespec patience = { .tv_sec = PATIENCE };
	unsigned int seen;

	while ((seen = atomic_load(what)) != round)
		if (syscall(SYS_futex, what, FUTEX_WAIT, seen, &patience, NULL, 0) &&
		    errno == ETIMEDOUT)
			errx(1, "round %u: waited %d s until %s", round, PATIENCE, name);
}

/* What is read in a round is odd, what is written to the other file is even. */
static uint64_t word_read(unsigned int round, int i)
{
	return (uint64_t)round << 32 | (unsigned int)i << 1 | 1;
}

static uint64_t word_written(unsigned int round, int i)
{
	return (uint64_t)round << 32 | (unsigned int)i << 1;
}

/* ---- the filesystem */

static void reply(int fuse, uint64_t unique, int error, const void *data, size_t size)
{
	struct fuse_out_header head = {
		.len = sizeof(head) + size, .error = -error, .unique = unique,
	};
	struct iovec parts[] = { { &head, sizeof(head) }, { (void *)data, size } };

	/* ENOENT: it was interrupted. */
	if (writev(fuse, parts, size ? 2 : 1) < 0 && errno != ENOENT)
		err(1, "answer of the source");
}

static void reply_to_read(int fuse, uint64_t unique, const struct fuse_read_in *in)
{
	static uint64_t words[WORDS];
	unsigned int round = atomic_load(&at->start);

	if (in->offset || in->size != SIZE)
		errx(1, "a read of %u bytes at %llu", in->size, (unsigned long long)in->offset);
	for (unsigned int i = 0; i < WORDS; i++)
		words[i] = word_read(round, i);
	reach(&at->held, round);
	wait_for(&at->answer, round, "the source may answer");
	reply(fuse, unique, 0, words, SIZE);
}

static void serve(int fuse)
{
	static union {
		struct fuse_in_header head;
		char bytes[1 << 16];
	} in;
	const void *body = in.bytes + sizeof(in.head);
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = FUSE_ASYNC_DIO, .max_write = PAGE,
	};
	struct fuse_attr_out attr = {
		.attr_valid = 1 << 20,
		.attr = {
			.ino = FUSE_ROOT_ID, .size = SOURCE_SIZE, .nlink = 1,
			.mode = S_IFREG | 0600, .blksize = PAGE,
		},
	};
	struct fuse_open_out opened = { .fh = 1 };

	for (;;) {
		if (read(fuse, &in, sizeof(in)) < 0) {
			if (errno == ENODEV)	/* unmounted */
				return;
			if (errno == EINTR || errno == EAGAIN || errno == ENOENT)
				continue;
			err(1, "read of a request");
		}
		switch (in.head.opcode) {
		case FUSE_INIT:
			reply(fuse, in.head.unique, 0, &init, sizeof(init));
			break;
		case FUSE_GETATTR:
			reply(fuse, in.head.unique, 0, &attr, sizeof(attr));
			break;
		case FUSE_OPEN:
			reply(fuse, in.head.unique, 0, &opened, sizeof(opened));
			break;
		case FUSE_READ:
			reply_to_read(fuse, in.head.unique, body);
			break;
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT:
			break;
		case FUSE_RELEASE:
		case FUSE_DESTROY:
			reply(fuse, in.head.unique, 0, NULL, 0);
			break;
		default:
			reply(fuse, in.head.unique, ENOSYS, NULL, 0);
		}
	}
}

/*
 * A process, as it must go when we do: a read that it holds can't be killed, and
 * keeps our descriptors.
 */
static pid_t start_source(const char *where)
{
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[80];
	pid_t pid;

	if (fuse < 0)
		err(1, "/dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=100600,user_id=0,group_id=0", fuse);
	if (mount("latesource", where, "fuse", 0, options))
		err(1, "mount of the source");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fuse);
		_exit(0);
	}
	close(fuse);
	return pid;
}

/* ---- the block device */

/* Reads of it are reads of the file, by O_DIRECT; goes with its last user. */
static int open_loop(int file)
{
	struct loop_config config = {
		.fd = file,
		.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_DIRECT_IO | LO_FLAGS_AUTOCLEAR,
	};
	struct loop_info64 info;
	char name[40];
	int control, number, fd;

	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		err(1, "/dev/loop-control");
	number = ioctl(control, LOOP_CTL_GET_FREE);
	if (number < 0)
		err(1, "LOOP_CTL_GET_FREE");
	close(control);
	snprintf(name, sizeof(name), "/dev/loop%d", number);
	fd = open(name, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config) ||
	    ioctl(fd, LOOP_GET_STATUS64, &info))
		err(1, "%s", name);
	if (!(info.lo_flags & LO_FLAGS_DIRECT_IO))
		errx(1, "%s reads through the page cache", name);
	return fd;
}

#endif

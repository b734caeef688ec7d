/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of torture share: main.c says what it does.
 *
 * Truth is in the bytes.  Every 64-bit word that anybody writes says whose it
 * is: pattern.c.  A page has lanes: the first is for write(2), each of the others
 * for the device of one holder, so that nobody writes what another has written.
 */
#ifndef TORTURE_H
#define TORTURE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/longterm.h>

#define PAGE		4096UL
#define HUGE_PAGE	(2UL << 20)
#define LANES		8
#define LANE		(PAGE / LANES)
#define LANE_WORDS	(LANE / sizeof(uint64_t))
#define WORDS		(PAGE / sizeof(uint64_t))

/* Files that are pinned and broken, in pairs that exchange blocks. */
#define TARGETS		8
#define BIG_TARGETS	2
#define BIG_PAGES	1024
#define SMALL_PAGES	128
#define FEW_PAGES	4
#define OVERLAID	(TARGETS - 1)	/* is the upper file of an overlayfs, too */
#define SWAPPED		2		/* with the boot loader, on ext4 */

/* How long all are at work before everything is looked at. */
#define EPOCH_MS	(20000 + 10000 * shared->slow)

#define HOLDERS		6	/* fewer than lanes */
#define BREAKERS	3
enum {
	CONDUCTOR,
	HOLDER,				/* and a lane for each */
	BREAKER = HOLDER + HOLDERS,
	REFILLER = BREAKER + BREAKERS,
	TROUBLE,
	ACTORS
};

/* What has happened, for the counts at the end: the texts are in report.c. */
enum what {
	LEASE_FCNTL, LEASE_FD, LEASE_UNBREAKABLE, LEASE_AUTOMATIC, LEASE_ADOPTED,
	LEASE_AGAIN, LEASE_REFUSED,
	PIN_RDMA, PIN_URING, PIN_GUP, PIN_REFUSED, PIN_IN_A_BREAK,
	WRITE_RDMA, WRITE_URING, WRITE_IN_A_BREAK, WRITE_AFTER_A_BREAK,
	WRITE_ORPHAN, LOOK_GUP, UNPIN,
	NOTICE, EVENT, TOLD_SIGBUS, DEATH_SIGBUS, DEATH_KILLED, DEATH_OTHER,
	FORK, FD_SENT, FD_RECEIVED,
	KILL_HOLDER, KILL_BREAKER, SETTING, RMMOD, RMMOD_BUSY, REMOUNT,
	UMOUNT_BUSY, FREEZE, PRESSURE, FSCK,
	FILLED, EMPTIED, NO_SPACE, BLOCKS_CHECKED, PAGES_LOOKED_AT, QUEUE_PAIR,
	COUNTS
};

enum op {
	OP_TRUNCATE, OP_FTRUNCATE, OP_NONBLOCK, OP_O_TRUNC, OP_CREAT, OP_PUNCH,
	OP_ZERO, OP_COLLAPSE, OP_INSERT, OP_UNSHARE, OP_WRITE_ZEROES,
	OP_PREALLOCATE, OP_GROW, OP_WRITE, OP_UNLINK, OP_RENAME, OP_BREAK,
	OP_OVERLAY, OP_URING, OP_REPAIR, OP_CLONE, OP_CLONE_RANGE, OP_DEDUPE,
	OP_EXCHANGE, OP_COPY, OP_SWAP_BOOT,
	OPS,
	/* Of other actors: only for their logs. */
	DO_LEASE = OPS, DO_LEASE_FD, DO_OPEN, DO_UNLOCK, DO_PIN, DO_UNPIN, DO_WRITE,
	DO_REACT, DO_FORK, DO_FILL, DO_EMPTY, DO_KILL, DO_SET, DO_RMMOD, DO_INSMOD,
	DO_UMOUNT, DO_FREEZE, DO_PRESSURE,
	DONES
};

/* How a breaker's call has ended. */
enum result { R_DONE, R_ETXTBSY, R_EAGAIN, R_EINTR, R_EDEADLK, R_ENOSPC,
	      R_UNSUPPORTED, R_OTHER, RESULTS };

#define LOG	64		/* a power of two */

struct entry {
	uint64_t at;		/* ns; 0: not written yet */
	int16_t what;		/* enum op */
	int16_t file;
	int32_t error;		/* -1: not over yet */
	uint64_t a, b;
};

struct actor {
	uint64_t random;
	pid_t pid;		/* 0: to be made */
	pid_t twin;		/* its fork, which outlives it */
	_Atomic uint64_t since;	/* in a call since; 0: not */
	atomic_int writing;	/* the process whose device does; 0: none */
	atomic_uint writes;
	atomic_uint logged;
	struct entry log[LOG];
};

#define CHUNKS		900

struct chunk {
	uint32_t pages;		/* 0: there is none */
	uint32_t generation;
};

#define COUNTERS	64
#define WC_STATUSES	32

/* Of the module. */
struct counter {
	char name[40];
	unsigned long value;
};

struct shared {
	uint64_t seed;
	unsigned int epoch;
	int slow;
	bool xfs;
	bool blind;		/* holders don't look at what they have written */
	char dir[64];
	atomic_bool stop;
	atomic_bool hush;	/* let go of everything for a while, break less */
	atomic_int hungry;	/* somebody needs space */
	atomic_uint steps;	/* of all holders */
	atomic_uint turn;	/* of the operations that breakers have */
	/* Calls of breakers that are under way, and over: for the counts only. */
	atomic_uint breaking[TARGETS], broken[TARGETS];
	atomic_int failed;
	char failure[4096];
	int parked[2];		/* file descriptors on their way */
	struct actor actors[ACTORS];
	struct chunk chunks[CHUNKS];
	_Atomic uint64_t counts[COUNTS];
	_Atomic uint64_t ops[OPS][RESULTS];
	_Atomic uint64_t statuses[WC_STATUSES];	/* of work completions */
	struct counter counters[COUNTERS];
};

extern struct shared *shared;	/* by all processes */
extern struct actor *me;

/* pattern.c */
enum kind { BY_WRITE = 1, BY_DEVICE = 2 };
uint64_t head_of(enum kind kind, unsigned int owner, unsigned int page,
		 unsigned int generation);
void fill_words(uint64_t *words, unsigned int first, unsigned int n, uint64_t head);
void check_chunk_page(const uint64_t *page, unsigned int chunk, unsigned int n);
unsigned int foreign(const uint64_t *page, unsigned int target);
bool check_target_page(int fd, unsigned int target, unsigned int n);
void check_target_words(const uint64_t *page, unsigned int target, unsigned int n,
			const char *seen_by);
void describe(char *text, size_t size, uint64_t word, unsigned int at);

/* report.c */
uint64_t now(void);
void count(enum what what);
void count_by(enum what what, uint64_t n);
struct entry *begin(enum op op, int file, uint64_t a, uint64_t b);
int end(struct entry *e, int error);
void failed(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_failure(void);
void print_counts(void);
bool all_kinds_seen(void);
bool has_done_enough(void);
const char *name_of(int actor);
const char *name_of_op(int op);

/* files.c */
#define FILE_OF_BALLAST "ballast"
unsigned int pages_of(unsigned int target);
unsigned int family_of(unsigned int target);
const char *path_of(unsigned int target);
int open_target(unsigned int target, int flags);
void grow(int fd, unsigned int target, unsigned int pages);
bool has_page(int fd, unsigned int page);
void write_lane(int fd, unsigned int target, unsigned int page);
void no_space(void);
void refiller(void);
void check_all_files(void);
void make_files(void);

/* The actors; each a process. */
void holder(void);
void breaker(void);
void trouble(void);

/* device.c: what a holder pins with, and writes through */
enum pin_kind { NO_PIN, BY_RDMA, BY_URING, BY_GUP, PIN_KINDS };
struct pin {
	enum pin_kind kind;
	int hold;			/* the holder's */
	unsigned int target;
	unsigned int first, pages;	/* in its file */
	unsigned int breaks;		/* of the file so far, when it was made */
	char *map;			/* of the file */
	int fd;				/* of the file */
	void *mr;
	int number;			/* buffer, or GUP_TEST's descriptor */
};
#define PINS	6
#define PATIENCE	40	/* seconds for one write */
int take_pin(struct pin *pin, int number);
void drop_pin(struct pin *pin, int number);
void device_write(const struct pin *pin, unsigned int page, int number);
void look_by_gup(const struct pin *pin);
void inherit(void);

/* rdma.c */
extern bool is_twin;
void load_drivers(void);
void open_device(void);
int pin_for_rdma(struct pin *pin, char *addr);
int unpin_for_rdma(struct pin *pin);
const char *write_by_rdma(const struct pin *pin, char *to, const uint64_t *words);
int device_fd(void);
bool expect_twin(void);
void expect_no_twin(void);
void become_twin(void);

/* passing.c */
void send_fd(int fd);
int receive_fd(void);

/* system.c: module, mount, settings */
#define TRACING "/sys/kernel/tracing/instances/torture"
bool unload(void);
void load(void);
void set_number(const char *path, long value);
void start_tracing(void);
void mount_dax(void);
bool umount_dax(void);
bool check_filesystem(void);
void print_counters(void);

static inline uint64_t random_bits(void)
{
	me->random ^= me->random << 13;
	me->random ^= me->random >> 7;
	me->random ^= me->random << 17;
	return me->random * 0x2545f4914f6cdd1dull >> 16;
}

static inline unsigned int below(unsigned int n)
{
	return random_bits() % n;
}

static inline bool one_in(unsigned int n)
{
	return !below(n);
}

static inline unsigned int my_number(void)
{
	return me - shared->actors;
}

static inline void nap(unsigned int us)
{
	usleep(us);
}

static inline void __attribute__((noreturn, format(printf, 1, 2)))
quit(const char *format, ...)
{
	int error = errno;
	va_list args;

	va_start(args, format);
	fprintf(stderr, "torture: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(2);
}

#endif /* TORTURE_H */

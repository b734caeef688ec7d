/* SPDX-License-Identifier: GPL-2.0 */
/* The parts of fuzzall: main.c says what it is. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE		4096UL
#define FILE_SIZE	(2UL << 20)	/* room for one large entry, at most */
#define SMALL_SIZE	(256UL << 10)	/* what most have, as new blocks are cleared */
#define NR_FILES	4		/* names in the directory */
#define NR_GUPS		4
#define USER		1000		/* who owns the files, and fuzzes */
#define MAX_ERRNO	140
#define MAX_KINDS	64
#define MAX_TASKS	64

/* A process that is in a call, for who looks whether it ever comes back. */
struct task {
	atomic_int pid;			/* 0: free */
	atomic_int kind;
	atomic_ulong since;		/* ms; 0: in none */
	atomic_bool stuck;		/* was killed for it */
};

/* Shared by all processes. */
struct shared {
	atomic_ulong calls;		/* begun so far */
	unsigned long limit;		/* that many, then all end */
	atomic_ulong ended[MAX_KINDS][MAX_ERRNO];
	struct task tasks[MAX_TASKS];
};

/* One thing that is done at random. */
struct kind {
	const char *name;
	unsigned int weight;
	long (*call)(void);		/* as a system call: -1 and errno */
};

extern struct shared *shared;
extern const char *dir;
extern int gups[NR_GUPS];		/* of GUP_TEST, opened by root */
extern int sockets[2];			/* for passing descriptors */

/* The kinds, ended by one without a name. */
extern const struct kind lease_kinds[], memory_kinds[], file_kinds[], process_kinds[];
extern const struct kind admin_kinds[];

/* ---- random.c */
void seed(uint64_t number);
uint64_t rnd(uint64_t below);		/* 0: any number */
int32_t some_number(void);
uint64_t some_page(void);
size_t some_size(void);
uint64_t some_offset(void);
bool chance(unsigned int one_in);

/* ---- world.c: what a process has at hand */
#define NR_OPEN		8
#define NR_MAPS		6
#define NR_RINGS	2

struct map {
	char *addr;			/* NULL: none */
	size_t length;
};

extern int files[NR_OPEN], leases[NR_OPEN], rings[NR_RINGS], device, zeroes;
extern struct map maps[NR_MAPS];
extern volatile bool noticed;		/* a signal of the module's has come */

int some_fd(const int *pool, size_t n);
long keep(int *pool, size_t n, long fd);
struct map *some_map(void);
char *some_path(void);			/* valid until the next call */
void new_ring(int i);
int interrupt_every(long us);
void begin_process(void);
unsigned long now_ms(void);

/* ---- tasks.c: processes, and what they do */
bool enter(void);			/* begin to be watched */
pid_t somebody(void);			/* who is watched; 0 and errno if nobody is */
void leave(pid_t pid);			/* pid is not there any more */
bool step(const struct kind *const *tables, unsigned int total);
unsigned int weights(const struct kind *const *tables);
const char *kind_name(int kind);
int number_of(const struct kind *kind);
extern const struct kind *const fuzzing[], *const administering[];

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * pinstorm SEED CALLS CHECKPOINTS FILE... SLOTS
 *
 * Eight threads pin and unpin at random: memory regions and io_uring buffers
 * anywhere in the files, GUP_TEST's pins in SLOTS, a file of which each has
 * slots of its own.  Between CALLS calls all of them stop, CHECKPOINTS times; what
 * is pinned then is written, a line each, from what the calls themselves said:
 *
 *	FILE-NUMBER FIRST-PAGE PAGES rdma|io_uring|other
 *
 * and 'checkpoint' with the number of calls so far.  A line on stdin goes on.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <liburing.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS	8
#define LIVE	48		/* pins of a thread at a time */
#define GUPS	16		/* of these by GUP_TEST, each in a slot of its own */
#define SLOT	8		/* pages */
#define FILES	8
#define PAGE	4096UL
#define HUGE	(2UL << 20)

/* mm/gup_test.h */
struct pin_longterm_test {
	uint64_t addr;
	uint64_t size;
	uint32_t flags;
};

struct gup_test {
	uint64_t get_delta_usec;
	uint64_t put_delta_usec;
	uint64_t addr;
	uint64_t size;
	uint32_t nr_pages_per_call;
	uint32_t gup_flags;
	uint32_t test_flags;
	uint32_t which_pages[8];
};

#define PIN_FAST_BENCHMARK	_IOWR('g', 2, struct gup_test)
#define TEST_START		_IOW('g', 7, struct pin_longterm_test)
#define TEST_STOP		_IO('g', 8)

enum kind { NOTHING, MR, BUFFER, GUP };
static const char *const through[] = { "", "rdma", "io_uring", "other" };

struct pin {
	enum kind kind;
	int file;
	unsigned int first;
	unsigned int pages;
	struct ibv_mr *mr;
};

struct thread {
	pthread_t thread;
	int number;
	uint64_t random;
	struct io_uring ring;
	int gup[GUPS];
	struct pin pins[LIVE];
};

static struct {
	char *addr;
	unsigned int pages;
} files[FILES];
static int nr_files, checkpoints;
static long calls;
static struct ibv_pd *pd;
static pthread_barrier_t all_here, go_on;
static struct thread threads[THREADS];

static unsigned int below(struct thread *t, unsigned int n)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return (t->random >> 16) % n;
}

static void *where(const struct pin *p)
{
	return files[p->file].addr + p->first * PAGE;
}

static void buffer(struct thread *t, int slot, void *addr, size_t size)
{
	struct iovec iov = { addr, size };
	int ret = io_uring_register_buffers_update_tag(&t->ring, slot, &iov,
						       NULL, 1);

	if (ret != 1)
		errx(1, "io_uring buffer of %zu bytes: %s", size, strerror(-ret));
}

static void unpin(struct thread *t, int i)
{
	struct pin *p = &t->pins[i];
	int ret;

	switch (p->kind) {
	case MR:
		ret = ibv_dereg_mr(p->mr);
		if (ret)
			errx(1, "ibv_dereg_mr: %s", strerror(ret));
		break;
	case BUFFER:
		buffer(t, i, NULL, 0);
		break;
	case GUP:
		if (ioctl(t->gup[i], TEST_STOP))
			err(1, "GUP_TEST stop");
		break;
	case NOTHING:
		break;
	}
	p->kind = NOTHING;
}

static unsigned int length(struct thread *t, unsigned int most)
{
	static const unsigned int often[] = { 1, 1, 2, 3, 8, 40, 512, 700 };
	unsigned int n = often[below(t, 8)];

	return n < most ? n : most;
}

static void pin(struct thread *t, int i)
{
	struct pin *p = &t->pins[i];
	struct pin_longterm_test gup = { .flags = 1 };

	if (i < GUPS) {
		p->file = nr_files - 1;
		/*
		 * Never its last page: what is side by side is one record. And
		 * the same each time: nobody could tell whether what is left is
		 * of the former pin or of the next one.
		 */
		p->pages = 1 + i % (SLOT - 1);
		p->first = (t->number * GUPS + i) * SLOT;
		gup.addr = (uintptr_t)where(p);
		gup.size = p->pages * PAGE;
		gup.flags |= below(t, 2) << 1;	/* by pin_user_pages_fast() */
		if (ioctl(t->gup[i], TEST_START, &gup))
			err(1, "GUP_TEST start");
		p->kind = GUP;
		return;
	}
	p->file = below(t, nr_files);
	p->first = below(t, files[p->file].pages);
	p->pages = length(t, files[p->file].pages - p->first);
	if (below(t, 2)) {
		buffer(t, i, where(p), p->pages * PAGE);
		p->kind = BUFFER;
	} else {
		p->mr = ibv_reg_mr(pd, where(p), p->pages * PAGE,
				   IBV_ACCESS_LOCAL_WRITE);
		if (!p->mr)
			err(1, "ibv_reg_mr of %u pages", p->pages);
		p->kind = MR;
	}
}

/* A transient pin among them, which ends at once. */
static void pass(struct thread *t)
{
	struct pin p = { .file = below(t, nr_files) };
	struct gup_test arg = { .gup_flags = 1 };

	p.first = below(t, files[p.file].pages);
	p.pages = length(t, files[p.file].pages - p.first);
	arg.addr = (uintptr_t)where(&p);
	arg.size = p.pages * PAGE;
	arg.nr_pages_per_call = p.pages;
	if (ioctl(t->gup[0], PIN_FAST_BENCHMARK, &arg))
		err(1, "GUP_TEST fast");
}

static void *run(void *arg)
{
	struct thread *t = arg;
	int point, i;
	long n;

	for (point = 0; point <= checkpoints; point++) {
		for (n = 0; n < calls / THREADS / checkpoints && point < checkpoints; n++) {
			i = below(t, LIVE);
			if (!below(t, 16))
				pass(t);
			else if (t->pins[i].kind)
				unpin(t, i);
			else
				pin(t, i);
		}
		/* At the last one nothing is left. */
		for (i = 0; point == checkpoints && i < LIVE; i++)
			unpin(t, i);
		pthread_barrier_wait(&all_here);
		pthread_barrier_wait(&go_on);
	}
	return NULL;
}

static void tell(int point)
{
	char line[16];
	int i, j;

	for (i = 0; i < THREADS; i++) {
		for (j = 0; j < LIVE; j++) {
			struct pin *p = &threads[i].pins[j];

			if (p->kind)
				printf("%d %u %u %s\n", p->file, p->first, p->pages,
				       through[p->kind]);
		}
	}
	printf("checkpoint %ld\n", (point < checkpoints ? point + 1 : point) *
	       (calls / THREADS / checkpoints) * THREADS);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		errx(1, "nobody listens");
}

static void map(int n, const char *path)
{
	struct stat st;
	char *space;
	int fd = open(path, O_RDWR);

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	space = mmap(NULL, st.st_size + HUGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (space == MAP_FAILED)
		err(1, "mmap");
	files[n].addr = (char *)(((uintptr_t)space + HUGE - 1) & -HUGE);
	files[n].pages = st.st_size / PAGE;
	if (mmap(files[n].addr, st.st_size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		err(1, "%s: mmap", path);
}

static void begin(struct thread *t, uint64_t seed)
{
	int i, ret = io_uring_queue_init(4, &t->ring, 0);

	if (!ret)
		ret = io_uring_register_buffers_sparse(&t->ring, LIVE);
	if (ret)
		errx(1, "io_uring: %s", strerror(-ret));
	for (i = 0; i < GUPS; i++) {
		t->gup[i] = open("/sys/kernel/debug/gup_test", O_RDWR);
		if (t->gup[i] < 0)
			err(1, "gup_test");
	}
	t->number = t - threads;
	t->random = seed * THREADS + t->number + 1;
	errno = pthread_create(&t->thread, NULL, run, t);
	if (errno)
		err(1, "pthread_create");
}

int main(int argc, char **argv)
{
	struct ibv_device **devices;
	struct ibv_context *context;
	int i;

	if (argc < 5 || argc > 4 + FILES)
		errx(2, "usage: pinstorm SEED CALLS CHECKPOINTS FILE... SLOTS");
	calls = atol(argv[2]);
	checkpoints = atoi(argv[3]);
	if (calls < 1 || checkpoints < 1)
		errx(2, "CALLS and CHECKPOINTS are at least 1");
	for (nr_files = 0; nr_files < argc - 4; nr_files++)
		map(nr_files, argv[4 + nr_files]);
	if (files[nr_files - 1].pages < THREADS * GUPS * SLOT)
		errx(2, "SLOTS is too small");
	devices = ibv_get_device_list(NULL);
	context = devices && *devices ? ibv_open_device(*devices) : NULL;
	pd = context ? ibv_alloc_pd(context) : NULL;
	if (!pd)
		errx(1, "no RDMA device");
	pthread_barrier_init(&all_here, NULL, THREADS + 1);
	pthread_barrier_init(&go_on, NULL, THREADS + 1);
	for (i = 0; i < THREADS; i++)
		begin(&threads[i], strtoull(argv[1], NULL, 0));
	for (i = 0; i <= checkpoints; i++) {
		pthread_barrier_wait(&all_here);
		tell(i);
		pthread_barrier_wait(&go_on);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i].thread, NULL);
	return 0;
}

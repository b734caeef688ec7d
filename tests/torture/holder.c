// SPDX-License-Identifier: GPL-2.0
/*
 * A holder: takes leases of all kinds, pins, writes by its devices, and reacts to
 * a break as its character is.  It is killed at any time; its fork may then go on
 * writing through what it has left.
 */
#include "torture.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define HOLDS	3
#define PARKED	3

enum character { PROMPT, LATE, DEAF, CATCHES, STUBBORN, CHARACTERS };
enum lease { NO_LEASE, BY_FCNTL, BY_FD };

static struct hold {
	unsigned int target;
	int fd;
	char *map;		/* NULL: there is none */
	enum lease lease;
	int lease_fd;
} holds[HOLDS];
static struct pin pins[PINS];
static int parked[PARKED];
static enum character character;
static uint64_t react_at;	/* 0: nothing to react to */
static sigset_t signals;

static void drop_pins(const struct hold *hold)
{
	for (int i = 0; i < PINS; i++)
		if (pins[i].kind && (!hold || pins[i].hold == hold - holds))
			drop_pin(&pins[i], i);
}

static void end_lease(struct hold *hold)
{
	struct entry *e = begin(DO_UNLOCK, hold->target, hold->lease, 0);
	int error = 0;

	if (hold->lease == BY_FCNTL && fcntl(hold->fd, F_SETLEASE, F_UNLCK))
		error = errno;
	if (hold->lease == BY_FD)
		close(hold->lease_fd);
	end(e, error);
	hold->lease = NO_LEASE;
}

/* They stay, as orphans; what is to be read is read by another open file. */
static void leave_pins(const struct hold *hold)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", hold->fd);
	for (int i = 0; i < PINS; i++) {
		struct pin *pin = &pins[i];

		if (!pin->kind || pin->hold != hold - holds)
			continue;
		pin->fd = open(self, O_RDWR | O_CLOEXEC);
		if (pin->fd < 0)
			drop_pin(pin, i);
		pin->hold = -1;
	}
}

static void drop_hold(struct hold *hold)
{
	if (!hold->map)
		return;
	if (!one_in(8) || atomic_load(&shared->hush))
		drop_pins(hold);
	else
		leave_pins(hold);
	if (!one_in(4))
		end_lease(hold);
	else if (hold->lease == BY_FD)
		close(hold->lease_fd);
	munmap(hold->map, pages_of(hold->target) * PAGE);
	close(hold->fd);
	hold->map = NULL;
}

static int lease_by_fd(struct hold *hold, bool unbreakable)
{
	struct longterm_ioc_lease arg = {
		.size = sizeof(arg),
		.flags = (unbreakable ? LONGTERM_LEASE_UNBREAKABLE : 0) |
			 (one_in(2) ? LONGTERM_LEASE_NONBLOCK : 0),
		.fd = hold->fd,
	};
	int device = open(LONGTERM_DEVICE, O_RDWR | O_CLOEXEC);
	int error = 0;

	if (!one_in(3)) {
		arg.start = below(pages_of(hold->target)) * PAGE;
		arg.length = (1 + below(64)) * PAGE;
	}
	if (device < 0)
		return errno;
	hold->lease_fd = ioctl(device, LONGTERM_IOC_LEASE, &arg);
	if (hold->lease_fd < 0)
		error = errno;
	else
		fcntl(hold->lease_fd, F_SETFL, O_NONBLOCK);
	close(device);
	return error;
}

/* Waits, unless it is not to, while a change is under way. */
static bool take_lease(struct hold *hold, enum lease kind)
{
	bool unbreakable = one_in(10);
	int error = 0;
	struct entry *e;

	e = begin(kind == BY_FD ? DO_LEASE_FD : DO_LEASE, hold->target, unbreakable, 0);
	if (kind == BY_FD)
		error = lease_by_fd(hold, unbreakable);
	else if (fcntl(hold->fd, F_SETLEASE,
		       F_LONGTERM | (unbreakable ? F_UNBREAKABLE : 0)))
		error = errno;
	end(e, error);
	if (error) {
		count(LEASE_REFUSED);
		return false;
	}
	count(kind == BY_FD ? LEASE_FD : LEASE_FCNTL);
	if (unbreakable)
		count(LEASE_UNBREAKABLE);
	hold->lease = kind;
	if (kind == BY_FCNTL && one_in(3))
		fcntl(hold->fd, F_SETSIG, SIGUSR2);
	return true;
}

/* Where 2 MiB of the file may be mapped by one entry. */
static char *map_file(int fd, unsigned int target)
{
	size_t size = pages_of(target) * PAGE;
	char *area = mmap(NULL, size + HUGE_PAGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *map;

	if (area == MAP_FAILED)
		return NULL;
	map = (char *)(((uintptr_t)area + HUGE_PAGE - 1) & -HUGE_PAGE);
	if (mmap(map, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
	    MAP_FAILED)
		map = NULL;
	/* What is around it is not needed. */
	if (map && map > area)
		munmap(area, map - area);
	if (map)
		munmap(map + size, area + HUGE_PAGE - map);
	else
		munmap(area, size + HUGE_PAGE);
	return map;
}

static void new_hold(struct hold *hold)
{
	static const enum lease kinds[] = { NO_LEASE, BY_FCNTL, BY_FCNTL, BY_FD, BY_FD };

	hold->target = below(TARGETS);
	hold->lease = NO_LEASE;
	hold->fd = open_target(hold->target, O_RDWR | (one_in(4) ? O_NONBLOCK : 0));
	if (hold->fd < 0) {
		no_space();
		return;
	}
	grow(hold->fd, hold->target, 1 + below(pages_of(hold->target)));
	hold->map = map_file(hold->fd, hold->target);
	if (!hold->map) {
		close(hold->fd);
		return;
	}
	if (kinds[below(5)] && !take_lease(hold, one_in(2) ? BY_FCNTL : BY_FD))
		drop_hold(hold);
}

static void new_pin(int number)
{
	static const unsigned int often[] = { 1, 1, 1, 1, 2, 3, 8, 40, 512, 1024 };
	struct hold *hold = &holds[below(HOLDS)];
	struct pin *pin = &pins[number];
	unsigned int pages;
	struct entry *e;

	if (!hold->map)
		return;
	pages = pages_of(hold->target);
	*pin = (struct pin) {
		.kind = 1 + below(PIN_KINDS - 1), .hold = hold - holds,
		.target = hold->target, .map = hold->map, .fd = hold->fd,
		.first = below(one_in(4) || pages < 16 ? pages : 16),
		.pages = often[below(10)],
		.breaks = atomic_load(&shared->broken[hold->target]),
	};
	if (pin->pages > 64)
		pin->first &= ~511u;
	if (pin->pages > pages - pin->first)
		pin->pages = pages - pin->first;
	if (one_in(2))
		grow(hold->fd, hold->target, pin->first + pin->pages);
	if (pin->kind == BY_RDMA)
		open_device();
	e = begin(DO_PIN, pin->target, pin->first, pin->pages);
	if (end(e, take_pin(pin, number))) {
		count(PIN_REFUSED);
		if (e->error == EAGAIN)
			count(PIN_IN_A_BREAK);
		/* Beyond the end, or a page in between has no block. */
		if (e->error == EFAULT)
			grow(hold->fd, hold->target, pin->first + pin->pages);
		pin->kind = NO_PIN;
		return;
	}
	count(PIN_RDMA + pin->kind - BY_RDMA);
	if (!hold->lease)
		count(LEASE_AUTOMATIC);
}

static void use_pin(int number)
{
	const struct pin *pin = &pins[number];

	if (pin->kind == BY_GUP) {
		if (one_in(8))
			look_by_gup(pin);
		return;
	}
	for (int n = 1 + below(4); n; n--)
		device_write(pin, pin->first + (one_in(3) ? 0 : below(pin->pages)), number);
}

static bool breaking(const struct hold *hold)
{
	struct longterm_ioc_info info = { .size = sizeof(info), .fd = -1 };

	if (hold->lease == BY_FCNTL)
		return fcntl(hold->fd, F_GETLEASE) == F_UNLCK;
	return hold->lease == BY_FD && !ioctl(hold->lease_fd, LONGTERM_IOC_INFO, &info) &&
	       info.state != LONGTERM_HELD;
}

static void told(void)
{
	static const unsigned int most_ms[CHARACTERS] = { 20, 300, 0, 0, 0 };

	if (!react_at && most_ms[character])
		react_at = now() + below(most_ms[character]) * 1000000ull;
}

static void listen(void)
{
	const struct timespec none = { };
	char events[512];
	int sig;

	while ((sig = sigtimedwait(&signals, NULL, &none)) > 0) {
		count(sig == SIGBUS ? TOLD_SIGBUS : NOTICE);
		if (sig != SIGBUS)
			told();
		else if (!react_at)
			react_at = now() + (character == STUBBORN ? 500 + below(2000) : 0) *
					   1000000ull;
	}
	for (int i = 0; i < HOLDS; i++) {
		if (!holds[i].map || holds[i].lease != BY_FD ||
		    read(holds[i].lease_fd, events, sizeof(events)) <= 0)
			continue;
		count(EVENT);
		told();
	}
}

/* Let go of what somebody wants, then perhaps take it again. */
static void react(void)
{
	react_at = 0;
	for (int i = 0; i < HOLDS; i++) {
		struct hold *hold = &holds[i];
		enum lease kind = hold->lease;

		if (!hold->map || !breaking(hold))
			continue;
		end(begin(DO_REACT, hold->target, character, 0), 0);
		drop_pins(hold);
		if (one_in(3)) {
			drop_hold(hold);
			continue;
		}
		if (one_in(2) || kind == BY_FD)
			end_lease(hold);
		if (take_lease(hold, kind))
			count(LEASE_AGAIN);
		else
			drop_hold(hold);
	}
	/* Pins without a lease: one does not know whose turn it is. */
	for (int i = 0; i < PINS; i++)
		if (pins[i].kind && (pins[i].hold < 0 || !holds[pins[i].hold].lease))
			drop_pin(&pins[i], i);
}

static void drop_all(void)
{
	for (int i = 0; i < HOLDS; i++)
		drop_hold(&holds[i]);
	drop_pins(NULL);
	for (int i = 0; i < PARKED; i++) {
		if (parked[i] >= 0)
			close(parked[i]);
		parked[i] = -1;
	}
}

/*
 * The fork: when the parent has gone, its devices go on for a while.  What it wrote
 * last was over when we came to be, or is over by the time that the parent is.
 */
static void twin(pid_t parent)
{
	struct pollfd p = { .fd = syscall(SYS_pidfd_open, parent, 0), .events = POLLIN };
	uint64_t until;

	become_twin();
	if (getppid() == parent && (p.fd < 0 || poll(&p, 1, 2000 * shared->slow) != 1))
		_exit(0);
	inherit();
	until = now() + (20 + below(1500)) * 1000000ull;
	while (now() < until && !atomic_load(&shared->stop)) {
		int i = below(PINS);

		if (!pins[i].kind || pins[i].kind == BY_GUP)
			continue;
		device_write(&pins[i], pins[i].first + below(pins[i].pages), i);
		count(WRITE_ORPHAN);
	}
	for (int i = 0; i < PINS && one_in(2); i++)
		if (pins[i].kind)
			drop_pin(&pins[i], i);
	_exit(0);
}

/* What is pinned stays as the fork has seen it, and it is not for long. */
static void wait_for_death(void)
{
	uint64_t until = now() + below(400) * 1000000ull;

	while (now() < until && !atomic_load(&shared->stop)) {
		int i = below(PINS);

		if (pins[i].kind)
			use_pin(i);
	}
	if (one_in(2))
		kill(getpid(), SIGKILL);
	_exit(0);
}

static void make_twin(void)
{
	pid_t parent = getpid(), child;

	for (int i = 0; ; i++) {
		if (i == PINS)
			return;
		if (pins[i].kind && pins[i].kind != BY_GUP)
			break;
	}
	/* The place is taken before there is a fork that nobody knows of. */
	me->twin = -1;
	child = expect_twin() ? fork() : -1;
	if (!child) {
		me->twin = getpid();
		twin(parent);
	}
	me->twin = child > 0 ? child : 0;
	if (child > 0) {
		end(begin(DO_FORK, -1, child, 0), 0);
		count(FORK);
		wait_for_death();
	}
	expect_no_twin();
}

static void pass_on(void)
{
	struct hold *hold = &holds[below(HOLDS)];
	int fds[] = { hold->map ? hold->fd : -1, device_fd(),
		      hold->map && hold->lease == BY_FD ? hold->lease_fd : -1 };
	int fd = fds[below(3)];

	if (fd >= 0)
		send_fd(fd);
}

static void take_over(void)
{
	struct longterm_ioc_adopt arg = { .size = sizeof(arg) };
	int *place = &parked[below(PARKED)];
	int fd = receive_fd();

	if (fd < 0)
		return;
	if (*place >= 0)
		close(*place);
	*place = fd;
	if (!ioctl(fd, LONGTERM_IOC_ADOPT, &arg))
		count(LEASE_ADOPTED);
}

static void step(void)
{
	int i = below(PINS), n = below(32);
	struct hold *hold = &holds[below(HOLDS)];

	if (n < 20 && pins[i].kind)
		use_pin(i);
	else if (n < 24 && pins[i].kind)
		drop_pin(&pins[i], i);
	else if (n < 24)
		new_pin(i);
	else if (n < 27 && !hold->map)
		new_hold(hold);
	else if (n == 27 && one_in(4))
		drop_hold(hold);
	else if (n == 28 && !me->twin && one_in(3))
		make_twin();
	else if (n == 29)
		pass_on();
	else if (n == 30)
		take_over();
	else if (n == 31)
		nap(below(5000));
}

void holder(void)
{
	uint64_t until = now() + (1000 + below(15000)) * 1000000ull;

	character = below(CHARACTERS);
	sigemptyset(&signals);
	sigaddset(&signals, SIGIO);
	sigaddset(&signals, SIGUSR2);
	if (character == CATCHES || character == STUBBORN)
		sigaddset(&signals, SIGBUS);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	for (int i = 0; i < PARKED; i++)
		parked[i] = -1;
	while (!atomic_load(&shared->stop) && now() < until) {
		if (atomic_load(&shared->hush)) {
			drop_all();
			for (int fd; (fd = receive_fd()) >= 0;)
				close(fd);
			while (atomic_load(&shared->hush) && !atomic_load(&shared->stop))
				nap(2000);
		}
		listen();
		if (react_at && now() >= react_at)
			react();
		step();
		atomic_fetch_add(&shared->steps, 1);
	}
	if (one_in(2) || atomic_load(&shared->stop))
		drop_all();
}

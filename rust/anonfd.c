// SPDX-License-Identifier: GPL-2.0
/*
 * Those who wait for something to happen to an open file of ours: in read(),
 * by poll, or for a signal.  Macros of the kernel, and nothing else.
 */
#include "anonfd.h"

void lt_bell_init(struct lt_bell *bell)
{
	init_waitqueue_head(&bell->queue);
	bell->fasync = NULL;
	bell->state = 0;
}

/* Callers serialise. */
void lt_bell_set(struct lt_bell *bell, u32 state)
{
	WRITE_ONCE(bell->state, state);
}

/* Whoever waits looks again. */
void lt_bell_wake(struct lt_bell *bell)
{
	/* Its lock orders the state before a waiter's look at it. */
	wake_up_all(&bell->queue);
}

/* And whoever asked for a signal gets it. */
void lt_bell_ring(struct lt_bell *bell)
{
	lt_bell_wake(bell);
	kill_fasync(&bell->fasync, SIGIO, POLL_IN);
}

/* Returns 0 when there is one of @states, -ERESTARTSYS on a signal. */
int lt_bell_wait(struct lt_bell *bell, u32 states)
{
	return wait_event_interruptible(bell->queue,
					READ_ONCE(bell->state) & states);
}

__poll_t lt_bell_poll(struct lt_bell *bell, struct file *filp, poll_table *wait)
{
	__poll_t mask = 0;
	u32 state;

	poll_wait(filp, &bell->queue, wait);
	state = READ_ONCE(bell->state);
	if (state & LT_BELL_READABLE)
		mask |= EPOLLIN | EPOLLRDNORM;
	if (state & LT_BELL_HUNG_UP)
		mask |= EPOLLHUP;
	return mask;
}

int lt_bell_fasync(struct lt_bell *bell, int fd, struct file *filp, int on)
{
	return fasync_helper(fd, filp, on, &bell->fasync);
}

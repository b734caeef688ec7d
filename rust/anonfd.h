/* SPDX-License-Identifier: GPL-2.0 */
/* An open file of our own that somebody waits for: see anonfd.rs. */
#ifndef _LONGTERM_ANONFD_H
#define _LONGTERM_ANONFD_H

#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/wait.h>

/* What may be said to those who wait. */
enum lt_bell_state {
	LT_BELL_READABLE	= 1,	/* there is something to read */
	LT_BELL_HUNG_UP		= 2,	/* POLLHUP */
	LT_BELL_OVER		= 4,	/* there will be nothing to read any more */
};

struct lt_bell {
	wait_queue_head_t	queue;
	struct fasync_struct	*fasync;
	u32			state;
};

void lt_bell_init(struct lt_bell *bell);
void lt_bell_set(struct lt_bell *bell, u32 state);
void lt_bell_wake(struct lt_bell *bell);
void lt_bell_ring(struct lt_bell *bell);
int lt_bell_wait(struct lt_bell *bell, u32 states);
__poll_t lt_bell_poll(struct lt_bell *bell, struct file *filp, poll_table *wait);
int lt_bell_fasync(struct lt_bell *bell, int fd, struct file *filp, int on);

#endif /* _LONGTERM_ANONFD_H */

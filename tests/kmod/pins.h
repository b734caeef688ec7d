/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of longterm_pintest.ko share. */
#ifndef _LONGTERM_PINTEST_PINS_H
#define _LONGTERM_PINTEST_PINS_H

#include <linux/bio.h>
#include <linux/longterm.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "pintest.h"

/* More is not needed, and keeps a wrong number from eating the memory. */
#define PINTEST_MAX_PAGES	262144UL

/**
 * struct pins - what one call has pinned
 * @nr: how many pages
 * @left: those that are still pinned
 * @bio: where they are, or NULL
 * @tag: of PINTEST_PIN_TAGGED
 * @tagged: it has that
 * @going: some were unpinned
 * @pages: the pages, NULL for those unpinned; of a bio all or none
 */
struct pins {
	unsigned long	nr;
	unsigned long	left;
	struct bio	*bio;
	struct longterm_tag tag;
	bool		tagged;
	bool		going;
	struct page	*pages[];
};

/**
 * struct pintest - an open file of ours
 * @lock: serialises all but looks
 * @handles: struct pins by handle
 */
struct pintest {
	struct mutex	lock;	/* as above */
	struct xarray	handles;
};

struct pins *pintest_do_pin(struct pintest *p, struct pintest_pin *arg);
int pintest_do_unpin(struct pins *pins, struct pintest_unpin *arg);
void pintest_unpin_all(struct pins *pins);
void pintest_free_bio(struct bio *bio);
int pintest_do_look(const struct pintest_look *arg);
int pintest_do_break(const struct pintest_break *arg);
int pintest_do_preset(const struct pintest_preset *arg);
void pintest_race(void);

#endif /* _LONGTERM_PINTEST_PINS_H */

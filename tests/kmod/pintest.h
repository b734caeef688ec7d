/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What /dev/longterm_pintest does, for the kernel side and for C tests.
 * tests/e2e/lib/pintest.py has the same in Python.
 */
#ifndef _LONGTERM_PINTEST_H
#define _LONGTERM_PINTEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* How to pin. */
enum pintest_pin_how {
	PINTEST_PIN_PAGES,	/* pin_user_pages() */
	PINTEST_PIN_FAST,	/* pin_user_pages_fast() */
	PINTEST_PIN_REMOTE,	/* pin_user_pages_remote() of @pid's memory */
	PINTEST_PIN_UNLOCKED,	/* pin_user_pages_unlocked() */
	PINTEST_PIN_BIO,	/* into a bio, as bio_iov_iter_get_pages() does */
	PINTEST_PIN_MEMFD,	/* memfd_pin_folios() of @fd, @addr is the offset */
	PINTEST_PIN_ADD,	/* folio_add_pins() to the folio of page @addr of pins @fd */
	PINTEST_PIN_TAGGED,	/* pin_user_pages_fast_tagged() */
};

#define PINTEST_WRITE		0x1
#define PINTEST_LONGTERM	0x2

/**
 * struct pintest_pin - pin a range
 * @how: enum pintest_pin_how
 * @flags: PINTEST_WRITE, PINTEST_LONGTERM
 * @addr: where
 * @nr: how many pages
 * @pid: whose memory, for PINTEST_PIN_REMOTE
 * @fd: file or handle, see @how
 * @handle: out: what these pins are called from now on
 * @pinned: out: how many pages; one call may give fewer than asked for
 */
struct pintest_pin {
	__u32	how;
	__u32	flags;
	__u64	addr;
	__u64	nr;
	__s32	pid;
	__s32	fd;
	__u32	handle;
	__u32	pinned;
};

/* How to unpin. */
enum pintest_unpin_how {
	PINTEST_UNPIN_PAGE,		/* unpin_user_page() for each */
	PINTEST_UNPIN_PAGES,		/* unpin_user_pages() */
	PINTEST_UNPIN_PAGES_DIRTY,	/* unpin_user_pages_dirty_lock() */
	PINTEST_UNPIN_RANGE,		/* unpin_user_page_range_dirty_lock() */
	PINTEST_UNPIN_FOLIO,		/* unpin_folio() for each */
	PINTEST_UNPIN_FOLIOS,		/* unpin_folios() */
	PINTEST_UNPIN_FOLIO_PAGES,	/* unpin_user_folio() for each folio */
	PINTEST_UNPIN_BIO,		/* bio_release_pages() */
};

/* In which context. */
enum pintest_context {
	PINTEST_IN_TASK,
	PINTEST_IN_SOFTIRQ,
	PINTEST_IN_HARDIRQ,
	PINTEST_IN_KTHREAD,
};

/**
 * struct pintest_unpin - unpin part or all of what a handle has
 * @handle: as pinned
 * @how: enum pintest_unpin_how
 * @context: enum pintest_context; what makes dirty needs a task
 * @dirty: mark pages dirty, where @how can
 * @first: first page of it, counted from where it was pinned
 * @nr: how many; those that are unpinned already are passed over.  What was pinned
 *   with a tag has a handle until none are left and it is told to unpin none
 * @unpinned: out: how many were not
 */
struct pintest_unpin {
	__u32	handle;
	__u32	how;
	__u32	context;
	__u32	dirty;
	__u64	first;
	__u64	nr;
	__u64	unpinned;
};

#define PINTEST_PRESENT		0x01	/* there is a page of the device */
#define PINTEST_ZERO		0x02	/* a hole, mapped as zeroes */
#define PINTEST_EMPTY		0x04	/* an entry, but no page */
#define PINTEST_SHARED		0x08	/* several files have the folio */
#define PINTEST_ASSOCIATED	0x10	/* a file has the folio */

/**
 * struct pintest_folio - a page, and what its folio counts
 * @pfn: the page
 * @head: the folio's first page
 * @all: all pins, as dax_pin.h counts them
 * @longterm: the long-term ones among them
 * @order: the folio's
 * @flags: PINTEST_PRESENT and so on; without that one all else is 0
 * @refs: references
 * @pincount: pins as the kernel counts them in large folios, else 0
 * @mapcount: mappings
 * @word: the page's own word, even if it is not the folio's first
 */
struct pintest_folio {
	__u64	pfn;
	__u64	head;
	__u32	all;
	__u32	longterm;
	__u32	order;
	__u32	flags;
	__s32	refs;
	__s32	pincount;
	__s32	mapcount;
	__u32	pad;
	__u64	word;
};

/**
 * struct pintest_look - look at pages
 * @fd: a DAX file, or -1
 * @nr: how many pages
 * @index: first page in the file, or a page frame number
 * @folios: where to put @nr struct pintest_folio
 */
struct pintest_look {
	__s32	fd;
	__u32	nr;
	__u64	index;
	__u64	folios;
};

/**
 * struct pintest_preset - make a folio count something
 * @pfn: a page of it
 * @all: all pins
 * @longterm: the long-term ones
 */
struct pintest_preset {
	__u64	pfn;
	__u32	all;
	__u32	longterm;
};

/* How to take a range of a file. */
enum pintest_break_how {
	PINTEST_BREAK_AND_MORE,		/* ask for it, and come upon all of the file */
	PINTEST_BREAK_IN_KTHREAD,	/* vfs_fallocate(), a hole */
};

/**
 * struct pintest_break - take a range
 * @fd: a DAX file in which something is pinned
 * @how: enum pintest_break_how
 * @start: first byte
 * @end: the byte behind the last one
 */
struct pintest_break {
	__s32	fd;
	__u32	how;
	__u64	start;
	__u64	end;
};

#define PINTEST_IOC_PIN		_IOWR('P', 1, struct pintest_pin)
#define PINTEST_IOC_UNPIN	_IOWR('P', 2, struct pintest_unpin)
#define PINTEST_IOC_LOOK	_IOW('P', 3, struct pintest_look)
#define PINTEST_IOC_PRESET	_IOW('P', 4, struct pintest_preset)
#define PINTEST_IOC_BREAK	_IOW('P', 5, struct pintest_break)
#define PINTEST_IOC_RACE	_IO('P', 6)

#endif /* _LONGTERM_PINTEST_H */

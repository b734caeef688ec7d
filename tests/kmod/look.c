// SPDX-License-Identifier: GPL-2.0
/* What folios count. */
#include <linux/dax_pin.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include "pins.h"

/* Entries of a DAX mapping, as fs/dax.c writes them. */
#define ENTRY_SHIFT	4
#define ENTRY_PMD	0x2
#define ENTRY_ZERO	0x4
#define ENTRY_EMPTY	0x8

static struct page *fsdax_page(unsigned long pfn)
{
	struct page *page;

	if (!pfn_valid(pfn))
		return NULL;
	page = pfn_to_page(pfn);
	return is_zone_device_page(page) && is_fsdax_page(page) ? page : NULL;
}

/* No locks: the test sees to it that nothing changes meanwhile. */
static void look_at_page(struct page *page, struct pintest_folio *to)
{
	struct folio *folio = page_folio(page);
	u64 word = atomic64_read(dax_pin_word(folio));

	to->pfn = page_to_pfn(page);
	to->head = folio_pfn(folio);
	to->all = word;
	to->longterm = dax_pin_longterm(folio);
	to->order = folio_order(folio);
	to->flags = PINTEST_PRESENT;
	if (folio->mapping)
		to->flags |= PINTEST_ASSOCIATED;
	else if (folio->share)
		to->flags |= PINTEST_SHARED;
	to->refs = folio_ref_count(folio);
	if (folio_has_pincount(folio))
		to->pincount = atomic_read(&folio->_pincount);
	to->mapcount = folio_mapcount(folio);
	to->word = atomic64_read(dax_pin_word((struct folio *)page));
}

/* Neither faults nor references anything, so that nothing changes by it. */
static void look_at_index(struct address_space *mapping, pgoff_t index,
			  struct pintest_folio *to)
{
	void *entry = xa_load(&mapping->i_pages, index);
	unsigned long value;
	struct page *page;

	if (!xa_is_value(entry))
		return;
	value = xa_to_value(entry);
	if (value & ENTRY_ZERO) {
		to->flags = PINTEST_ZERO;
	} else if (value & ENTRY_EMPTY) {
		to->flags = PINTEST_EMPTY;
	} else {
		page = fsdax_page(value >> ENTRY_SHIFT);
		if (!page)
			return;
		if (value & ENTRY_PMD)
			page += index & (HPAGE_PMD_NR - 1);
		look_at_page(page, to);
	}
}

static void look_at_pfn(unsigned long pfn, struct pintest_folio *to)
{
	struct page *page = fsdax_page(pfn);

	if (page)
		look_at_page(page, to);
}

/**
 * pintest_do_look - tell about pages
 * @arg: which
 *
 * Return: 0 or an errno.
 */
int pintest_do_look(const struct pintest_look *arg)
{
	struct pintest_folio __user *user = u64_to_user_ptr(arg->folios);
	struct address_space *mapping = NULL;
	struct pintest_folio one;
	struct file *file = NULL;
	int ret = 0;
	u32 i;

	if (arg->fd >= 0) {
		file = fget(arg->fd);
		if (!file)
			return -EBADF;
		mapping = file->f_mapping;
		if (!IS_DAX(mapping->host)) {
			ret = -EINVAL;
			goto out;
		}
	}
	for (i = 0; i < arg->nr; i++) {
		memset(&one, 0, sizeof(one));
		if (mapping)
			look_at_index(mapping, arg->index + i, &one);
		else
			look_at_pfn(arg->index + i, &one);
		if (copy_to_user(user + i, &one, sizeof(one))) {
			ret = -EFAULT;
			break;
		}
		cond_resched();
	}
out:
	if (file)
		fput(file);
	return ret;
}

/**
 * pintest_do_preset - let a folio count something else
 * @arg: which, and what
 *
 * So that a test need not make two thousand million pins.
 *
 * Return: 0 or an errno.
 */
int pintest_do_preset(const struct pintest_preset *arg)
{
	struct page *page = fsdax_page(arg->pfn);

	if (!page)
		return -ENXIO;
	atomic64_set(dax_pin_word(page_folio(page)),
		     (u64)arg->longterm << 32 | arg->all);
	return 0;
}

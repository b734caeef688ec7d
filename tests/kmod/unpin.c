// SPDX-License-Identifier: GPL-2.0
/* The ways to unpin, and the contexts to do it in. */
#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "pins.h"

/**
 * struct job - one unpin, on its way to the context that it was asked for in
 * @bh: for softirqs
 * @work: for a kernel thread
 * @irq: for hard interrupts
 * @how: enum pintest_unpin_how
 * @context: enum pintest_context
 * @dirty: mark dirty
 * @bio: for PINTEST_UNPIN_BIO
 * @pages: pages to unpin
 * @folios: for unpin_folios(), which gets them all at once
 * @nr: how many
 * @ret: how it went
 */
struct job {
	struct work_struct	work;
	struct irq_work		irq;
	u32			how;
	u32			context;
	bool			dirty;
	struct bio		*bio;
	struct page		**pages;
	struct folio		**folios;
	unsigned long		nr;
	int			ret;
};

/* For each run of pages that continue one another. */
static void unpin_ranges(struct job *job)
{
	unsigned long i, n;

	for (i = 0; i < job->nr; i += n) {
		for (n = 1; i + n < job->nr; n++)
			if (page_to_pfn(job->pages[i + n]) !=
			    page_to_pfn(job->pages[i]) + n)
				break;
		unpin_user_page_range_dirty_lock(job->pages[i], n, job->dirty);
	}
}

/* For each run of pages of the same folio. */
static void unpin_folio_pages(struct job *job)
{
	unsigned long i, n;

	for (i = 0; i < job->nr; i += n) {
		struct folio *folio = page_folio(job->pages[i]);

		for (n = 1; i + n < job->nr; n++)
			if (page_folio(job->pages[i + n]) != folio)
				break;
		unpin_user_folio(folio, n);
	}
}

static bool in_right_context(const struct job *job)
{
	switch (job->context) {
	case PINTEST_IN_SOFTIRQ:
		return in_serving_softirq() && !in_hardirq();
	case PINTEST_IN_HARDIRQ:
		return in_hardirq();
	}
	return in_task();
}

static void unpin(struct job *job)
{
	unsigned long i;

	if (!in_right_context(job)) {
		job->ret = -EIO;
		return;
	}
	switch (job->how) {
	case PINTEST_UNPIN_PAGE:
		for (i = 0; i < job->nr; i++)
			unpin_user_page(job->pages[i]);
		break;
	case PINTEST_UNPIN_PAGES:
		unpin_user_pages(job->pages, job->nr);
		break;
	case PINTEST_UNPIN_PAGES_DIRTY:
		unpin_user_pages_dirty_lock(job->pages, job->nr, job->dirty);
		break;
	case PINTEST_UNPIN_RANGE:
		unpin_ranges(job);
		break;
	case PINTEST_UNPIN_FOLIO:
		for (i = 0; i < job->nr; i++)
			unpin_folio(page_folio(job->pages[i]));
		break;
	case PINTEST_UNPIN_FOLIOS:
		unpin_folios(job->folios, job->nr);
		break;
	case PINTEST_UNPIN_FOLIO_PAGES:
		unpin_folio_pages(job);
		break;
	case PINTEST_UNPIN_BIO:
		bio_release_pages(job->bio, job->dirty);
		break;
	default:
		job->ret = -EINVAL;
	}
}

static void unpin_in_work(struct work_struct *work)
{
	unpin(container_of(work, struct job, work));
}

static void unpin_in_irq(struct irq_work *irq)
{
	unpin(container_of(irq, struct job, irq));
}

static void run_on(struct workqueue_struct *queue, struct job *job)
{
	queue_work(queue, &job->work);
	flush_work(&job->work);
	destroy_work_on_stack(&job->work);
}

/* Returns when it is done. */
static void run(struct job *job)
{
	switch (job->context) {
	/* Each has a name of its own to lockdep, as contexts must not mix. */
	case PINTEST_IN_SOFTIRQ:
		INIT_WORK_ONSTACK(&job->work, unpin_in_work);
		run_on(system_bh_wq, job);
		break;
	case PINTEST_IN_KTHREAD:
		INIT_WORK_ONSTACK(&job->work, unpin_in_work);
		run_on(system_percpu_wq, job);
		break;
	case PINTEST_IN_HARDIRQ:
		/*
		 * As a device's interrupt, to lockdep too: one that PREEMPT_RT
		 * would run in a thread, so that it may take a spinlock.
		 */
		init_irq_work(&job->irq, unpin_in_irq);
		irq_work_queue(&job->irq);
		irq_work_sync(&job->irq);
		break;
	case PINTEST_IN_TASK:
		unpin(job);
		break;
	default:
		job->ret = -EINVAL;
	}
}

static bool fits(const struct pins *pins, const struct pintest_unpin *arg)
{
	if (arg->first >= pins->nr || arg->nr > pins->nr - arg->first)
		return false;
	if (!pins->bio && arg->how == PINTEST_UNPIN_BIO)
		return false;
	/* Bios end as a whole. */
	if (pins->bio &&
	    (arg->how != PINTEST_UNPIN_BIO || arg->nr != pins->nr))
		return false;
	return !arg->dirty || arg->context == PINTEST_IN_TASK ||
	       arg->context == PINTEST_IN_KTHREAD;
}

static void untag_begin(struct pins *pins)
{
	if (pins->tagged && !pins->going)
		longterm_untag_begin(&pins->tag);
	pins->going = true;
}

/**
 * pintest_do_unpin - unpin what a caller asks for
 * @pins: of these
 * @arg: what it asks for
 *
 * Return: 0 or an errno; with -EIO nothing was unpinned.
 */
int pintest_do_unpin(struct pins *pins, struct pintest_unpin *arg)
{
	struct job job = {
		.how = arg->how,
		.context = arg->context,
		.dirty = arg->dirty,
		.bio = pins->bio,
	};
	unsigned long i, end = arg->first + arg->nr;

	if (!fits(pins, arg))
		return -EINVAL;
	job.pages = kvcalloc(arg->nr ?: 1, sizeof(*job.pages), GFP_KERNEL);
	job.folios = kvcalloc(arg->nr ?: 1, sizeof(*job.folios), GFP_KERNEL);
	if (!job.pages || !job.folios) {
		job.ret = -ENOMEM;
		goto out;
	}
	for (i = arg->first; i < end; i++) {
		if (!pins->pages[i])
			continue;
		job.folios[job.nr] = page_folio(pins->pages[i]);
		job.pages[job.nr++] = pins->pages[i];
	}
	untag_begin(pins);
	run(&job);
	if (!job.ret) {
		memset(pins->pages + arg->first, 0,
		       arg->nr * sizeof(*pins->pages));
		pins->left -= job.nr;
		arg->unpinned = job.nr;
	}
out:
	kvfree(job.pages);
	kvfree(job.folios);
	return job.ret;
}

/**
 * pintest_free_bio - free a bio whose pages are unpinned
 * @bio: or NULL
 */
void pintest_free_bio(struct bio *bio)
{
	if (!bio)
		return;
	kfree(bio->bi_io_vec);
	bio_uninit(bio);
	kfree(bio);
}

/**
 * pintest_unpin_all - unpin what is left, and free
 * @pins: what nobody can find any more
 */
void pintest_unpin_all(struct pins *pins)
{
	unsigned long i, n = 0;

	untag_begin(pins);
	if (pins->left && pins->bio) {
		bio_release_pages(pins->bio, false);
	} else if (pins->left) {
		for (i = 0; i < pins->nr; i++)
			if (pins->pages[i])
				pins->pages[n++] = pins->pages[i];
		unpin_user_pages(pins->pages, n);
	}
	if (pins->tagged)
		longterm_untag_end(&pins->tag);
	pintest_free_bio(pins->bio);
	kvfree(pins);
}

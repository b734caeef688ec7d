// SPDX-License-Identifier: GPL-2.0
/* The ways to pin. */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "pins.h"

static long pin_remote(const struct pintest_pin *arg, unsigned int flags,
		       struct page **pages)
{
	struct task_struct *task;
	struct mm_struct *mm;
	int locked = 1;
	long ret;

	rcu_read_lock();
	task = get_pid_task(find_vpid(arg->pid), PIDTYPE_PID);
	rcu_read_unlock();
	if (!task)
		return -ESRCH;
	mm = get_task_mm(task);
	put_task_struct(task);
	if (!mm)
		return -ESRCH;
	mmap_read_lock(mm);
	ret = pin_user_pages_remote(mm, arg->addr, arg->nr, flags, pages,
				    &locked);
	if (locked)
		mmap_read_unlock(mm);
	mmput(mm);
	return ret;
}

static long pin_memfd(const struct pintest_pin *arg, struct page **pages)
{
	struct folio **folios = (struct folio **)pages;
	struct file *file = fget(arg->fd);
	pgoff_t offset;
	long ret, i;

	if (!file)
		return -EBADF;
	ret = memfd_pin_folios(file, arg->addr,
			       arg->addr + arg->nr * PAGE_SIZE - 1, folios,
			       arg->nr, &offset);
	for (i = 0; i < ret; i++)
		pages[i] = &folios[i]->page;
	fput(file);
	return ret;
}

/* bio_iov_iter_get_pages() is not exported; this is what it does. */
static long pin_bio(const struct pintest_pin *arg, struct pins *pins)
{
	bool write = arg->flags & PINTEST_WRITE;
	struct bvec_iter_all all;
	struct iov_iter iter;
	struct bio_vec *vecs, *bv;
	ssize_t ret;
	long n = 0;

	if (arg->nr > BIO_MAX_VECS)
		return -EINVAL;
	ret = import_ubuf(write ? ITER_DEST : ITER_SOURCE,
			  (void __user *)arg->addr, arg->nr * PAGE_SIZE, &iter);
	if (ret)
		return ret;
	pins->bio = kzalloc_obj(*pins->bio);
	vecs = kzalloc_objs(*vecs, arg->nr);
	if (!pins->bio || !vecs) {
		kfree(vecs);
		return -ENOMEM;
	}
	bio_init(pins->bio, NULL, vecs, arg->nr,
		 write ? REQ_OP_READ : REQ_OP_WRITE);
	bio_set_flag(pins->bio, BIO_PAGE_PINNED);
	ret = iov_iter_extract_bvecs(&iter, vecs, arg->nr * PAGE_SIZE,
				     &pins->bio->bi_vcnt, arg->nr, 0, 0);
	if (ret <= 0)
		return ret;
	pins->bio->bi_iter.bi_size = ret;
	bio_for_each_segment_all(bv, pins->bio, all)
		pins->pages[n++] = bv->bv_page;
	return n;
}

static long pin_add(struct pintest *p, const struct pintest_pin *arg,
		    struct page **pages)
{
	struct pins *from = xa_load(&p->handles, arg->fd);
	unsigned long i;
	int ret;

	if (!from || arg->addr >= from->nr || !from->pages[arg->addr])
		return -ENOENT;
	ret = folio_add_pins(page_folio(from->pages[arg->addr]), arg->nr);
	if (ret)
		return ret;
	for (i = 0; i < arg->nr; i++)
		pages[i] = from->pages[arg->addr];
	return arg->nr;
}

static long pin_pages(const struct pintest_pin *arg, unsigned int flags,
		      struct page **pages)
{
	long ret;

	mmap_read_lock(current->mm);
	ret = pin_user_pages(arg->addr, arg->nr, flags, pages);
	mmap_read_unlock(current->mm);
	return ret;
}

static long pin(struct pintest *p, struct pintest_pin *arg, struct pins *pins)
{
	unsigned int flags = 0;

	if (arg->flags & PINTEST_WRITE)
		flags |= FOLL_WRITE;
	if (arg->flags & PINTEST_LONGTERM)
		flags |= FOLL_LONGTERM;
	switch (arg->how) {
	case PINTEST_PIN_PAGES:
		return pin_pages(arg, flags, pins->pages);
	case PINTEST_PIN_FAST:
		return pin_user_pages_fast(arg->addr, arg->nr, flags,
					   pins->pages);
	case PINTEST_PIN_TAGGED:
		pins->tagged = true;
		return pin_user_pages_fast_tagged(arg->addr, arg->nr, flags,
						  pins->pages, &pins->tag);
	case PINTEST_PIN_REMOTE:
		return pin_remote(arg, flags, pins->pages);
	case PINTEST_PIN_UNLOCKED:
		return pin_user_pages_unlocked(arg->addr, arg->nr, pins->pages,
					       flags);
	case PINTEST_PIN_BIO:
		return pin_bio(arg, pins);
	case PINTEST_PIN_MEMFD:
		return pin_memfd(arg, pins->pages);
	case PINTEST_PIN_ADD:
		return pin_add(p, arg, pins->pages);
	}
	return -EINVAL;
}

/**
 * pintest_do_pin - pin what a caller asks for
 * @p: whose handles there are
 * @arg: what it asks for
 *
 * Return: at least one page, or an error.
 */
struct pins *pintest_do_pin(struct pintest *p, struct pintest_pin *arg)
{
	struct pins *pins;
	long ret;

	if (!arg->nr || arg->nr > PINTEST_MAX_PAGES ||
	    (arg->how != PINTEST_PIN_ADD && !PAGE_ALIGNED(arg->addr)))
		return ERR_PTR(-EINVAL);
	pins = kvzalloc(struct_size(pins, pages, arg->nr), GFP_KERNEL);
	if (!pins)
		return ERR_PTR(-ENOMEM);
	ret = pin(p, arg, pins);
	if (ret <= 0) {
		pintest_free_bio(pins->bio);
		kvfree(pins);
		return ERR_PTR(ret ?: -EFAULT);
	}
	pins->nr = ret;
	pins->left = ret;
	return pins;
}

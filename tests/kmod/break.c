// SPDX-License-Identifier: GPL-2.0
/* Operations of which user space has none like them. */
#include <linux/dax.h>
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/longterm.h>
#include <linux/workqueue.h>

#include "pins.h"

/*
 * As a filesystem whose units are larger than pages.  Something must be pinned
 * in the file, or what it maps is dropped.
 */
static int take_and_more(struct file *file, const struct pintest_break *arg)
{
	struct inode *inode = file_inode(file);
	struct longterm_break brk = {};
	int ret;

	ret = longterm_break_begin(&brk, inode, arg->start, arg->end, O_NONBLOCK);
	if (!ret) {
		inode_lock(inode);
		filemap_invalidate_lock(inode->i_mapping);
		ret = dax_break_layout(inode, 0, LLONG_MAX, NULL);
		filemap_invalidate_unlock(inode->i_mapping);
		inode_unlock(inode);
	}
	longterm_break_end(&brk, ret);
	return ret;
}

/**
 * struct punch - an operation on its way to a kernel thread
 * @work: for it
 * @file: the file
 * @arg: which range
 * @ret: how it went
 */
struct punch {
	struct work_struct		work;
	struct file			*file;
	const struct pintest_break	*arg;
	int				ret;
};

static void punch_in_work(struct work_struct *work)
{
	struct punch *punch = container_of(work, struct punch, work);
	const struct pintest_break *arg = punch->arg;

	punch->ret = vfs_fallocate(punch->file,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   arg->start, arg->end - arg->start);
}

/* As nfsd does. */
static int punch_in_kthread(struct file *file, const struct pintest_break *arg)
{
	struct punch punch = { .file = file, .arg = arg };

	INIT_WORK_ONSTACK(&punch.work, punch_in_work);
	queue_work(system_dfl_wq, &punch.work);
	flush_work(&punch.work);
	destroy_work_on_stack(&punch.work);
	return punch.ret;
}

/**
 * pintest_do_break - take a range of a file
 * @arg: which one, and how
 *
 * Return: an errno.
 */
int pintest_do_break(const struct pintest_break *arg)
{
	struct file *file = fget(arg->fd);
	int ret = -EINVAL;

	if (!file)
		return -EBADF;
	switch (arg->how) {
	case PINTEST_BREAK_AND_MORE:
		ret = take_and_more(file, arg);
		break;
	case PINTEST_BREAK_IN_KTHREAD:
		ret = punch_in_kthread(file, arg);
		break;
	}
	fput(file);
	return ret;
}

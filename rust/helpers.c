// SPDX-License-Identifier: GPL-2.0
/* See helpers.h; each function here has exactly one safe wrapper in Rust. */

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/filelock.h>
#include <linux/jiffies.h>
#include <linux/kdev_t.h>
#include <linux/ktime.h>
#include <linux/longterm.h>
#include <linux/memremap.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/path.h>
#include <linux/pid.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/user_namespace.h>
#include <linux/xarray.h>

#include "helpers.h"

u32 lt_inode_dev(const struct inode *inode)
{
	return new_encode_dev(inode->i_sb->s_dev);
}

u64 lt_inode_ino(const struct inode *inode)
{
	return inode->i_ino;
}

bool lt_mapping_longterm(const struct address_space *mapping)
{
	return mapping_longterm(mapping);
}

/* May current take a lease on @filp, as fs/locks.c sees it? */
bool lt_may_lease(struct file *filp)
{
	struct inode *inode = file_inode(filp);
	vfsuid_t vfsuid = i_uid_into_vfsuid(file_mnt_idmap(filp), inode);

	return vfsuid_eq_kuid(vfsuid, current_fsuid()) || capable(CAP_LEASE);
}

/* May current have what fallocate() would do to @filp be rehearsed? */
int lt_break_check(struct file *filp)
{
	struct inode *inode = file_inode(filp);

	if (!(filp->f_mode & FMODE_WRITE))
		return -EBADF;
	if (!S_ISREG(inode->i_mode))
		return -EINVAL;
	if (IS_IMMUTABLE(inode) || IS_APPEND(inode))
		return -EPERM;
	if (!mapping_longterm(inode->i_mapping))
		return -EOPNOTSUPP;
	return rw_verify_area(WRITE, filp, NULL, 0);
}

/* May current take the file's blocks back from whoever holds them? */
bool lt_may_take_back(const struct inode *inode)
{
	return uid_eq(current_fsuid(), inode->i_uid) ||
	       ns_capable_noaudit(&init_user_ns, CAP_LEASE);
}

/* Signals of a lease go to the thread group unless F_SETOWN said otherwise. */
int lt_setown(struct file *filp)
{
	int ret = file_f_owner_allocate(filp);

	if (!ret)
		__f_setown(filp, task_tgid(current), PIDTYPE_TGID, 0);
	return ret;
}

/* Take back what lt_setown() did for that thread group, if it still stands. */
void lt_disown(struct file *filp, const struct pid *tgid)
{
	struct fown_struct *owner = file_f_owner(filp);

	if (!owner)
		return;

	write_lock_irq(&owner->lock);
	if (owner->pid == tgid && owner->pid_type == PIDTYPE_TGID) {
		put_pid(owner->pid);
		owner->pid = NULL;
	}
	write_unlock_irq(&owner->lock);
}

/*
 * Keep the file's mount, dentry and inode; with @write its mount stays
 * writable.  Fails where the path's inode is not the one that is mapped.
 */
int lt_path_get(struct file *filp, bool write, struct path *out)
{
	struct path path = filp->f_path;

	if (d_inode(path.dentry)->i_mapping != filp->f_mapping)
		return -EOPNOTSUPP;
	if (write) {
		int ret = mnt_get_write_access(path.mnt);

		if (ret)
			return ret;
	}
	path_get(&path);
	*out = path;
	return 0;
}

void lt_path_put(struct path *path, bool write)
{
	if (write)
		mnt_put_write_access(path->mnt);
	path_put(path);
}

/* Of a path from lt_path_get(). */
struct address_space *lt_path_mapping(const struct path *path)
{
	return d_inode(path->dentry)->i_mapping;
}

/* Where fs/dax.c has the page frame number in an entry. */
#define LT_ENTRY_SHIFT	4

/*
 * The page frame of a file's page, or the first one of its entry, which a pin
 * keeps where it is; 0 if there is no such entry.
 */
unsigned long lt_pinned_pfn(struct address_space *mapping, unsigned long index)
{
	void *entry = xa_load(&mapping->i_pages, index);

	return xa_is_value(entry) ? xa_to_value(entry) >> LT_ENTRY_SHIFT : 0;
}

/* NULL when the device is on its way out. */
struct dev_pagemap *lt_pagemap_get(unsigned long pfn)
{
	return get_dev_pagemap(pfn);
}

void lt_pagemap_put(struct dev_pagemap *pgmap)
{
	put_dev_pagemap(pgmap);
}

bool lt_pagemap_has(const struct dev_pagemap *pgmap, unsigned long pfn)
{
	int i;

	for (i = 0; i < pgmap->nr_range; i++) {
		const struct range *range = &pgmap->ranges[i];

		if (pfn >= PHYS_PFN(range->start) && pfn <= PHYS_PFN(range->end))
			return true;
	}
	return false;
}

struct pid *lt_get_pid(struct pid *pid)
{
	return get_pid(pid);
}

/* The thread group in whose context this runs, NULL where there is none. */
const struct pid *lt_current_group(void)
{
	if (!in_task() || (current->flags & PF_KTHREAD))
		return NULL;
	return task_tgid(current);
}

const struct pid *lt_current_tgid(void)
{
	return task_tgid(current);
}

void lt_current_comm(char *comm)
{
	strscpy_pad(comm, current->comm, LT_COMM_LEN);
}

u64 lt_current_exec_id(void)
{
	return current->self_exec_id;
}

bool lt_current_alone(void)
{
	/* Not thread_group_empty(): a leader that has exited stays listed. */
	return atomic_read(&current->signal->live) == 1;
}

const struct cred *lt_current_cred(void)
{
	return current_cred();
}

const struct cred *lt_get_current_cred(void)
{
	return get_current_cred();
}

static bool lt_same_identity(const struct cred *a, const struct cred *b)
{
	return a == b || (uid_eq(a->uid, b->uid) && uid_eq(a->euid, b->euid) &&
			  uid_eq(a->suid, b->suid) &&
			  uid_eq(a->fsuid, b->fsuid) &&
			  gid_eq(a->egid, b->egid) &&
			  a->user_ns == b->user_ns);
}

/*
 * Is @tgid still the program that pinned, with the identity it had, and not one
 * that the kernel or a container can't do without?  A leader that has exited
 * keeps the credentials of its last day: only threads that live are asked.
 */
bool lt_may_signal(struct pid *tgid, u64 exec_id, const struct cred *cred)
{
	struct task_struct *leader, *task;
	bool ret = false;

	rcu_read_lock();
	leader = pid_task(tgid, PIDTYPE_TGID);
	if (!leader || (READ_ONCE(leader->flags) & PF_KTHREAD) || is_child_reaper(tgid) ||
	    (READ_ONCE(leader->signal->flags) & SIGNAL_UNKILLABLE))
		goto out;
	for_each_thread(leader, task)
		if (!(READ_ONCE(task->flags) & PF_EXITING) &&
		    READ_ONCE(task->self_exec_id) == exec_id &&
		    lt_same_identity(__task_cred(task), cred)) {
			ret = true;
			break;
		}
out:
	rcu_read_unlock();
	return ret;
}

bool lt_group_lives(struct pid *tgid)
{
	bool ret;

	rcu_read_lock();
	ret = pid_task(tgid, PIDTYPE_TGID);
	rcu_read_unlock();
	return ret;
}

/* Does a thread of @tgid run on @mm? */
bool lt_runs_on(struct pid *tgid, const struct mm_struct *mm)
{
	struct task_struct *leader, *task;
	bool ret = false;

	rcu_read_lock();
	leader = pid_task(tgid, PIDTYPE_TGID);
	if (leader)
		for_each_thread(leader, task)
			if (READ_ONCE(task->mm) == mm) {
				ret = true;
				break;
			}
	rcu_read_unlock();
	return ret;
}

/* As other limits of a user: by the real uid, in all user namespaces. */
u32 lt_current_uid(void)
{
	return __kuid_val(current_uid());
}

bool lt_cap_lease(void)
{
	return capable(CAP_LEASE);
}

bool lt_cap_sys_resource(void)
{
	return ns_capable_noaudit(&init_user_ns, CAP_SYS_RESOURCE);
}

int lt_break_time(void)
{
	return READ_ONCE(lease_break_time);
}

u64 lt_now_ms(void)
{
	return ktime_to_ms(ktime_get());
}

void lt_report(const char *what, u32 dev, u64 ino, s64 start, s64 end,
	       int holder, const char *holder_comm, int breaker,
	       const char *breaker_comm)
{
	dev_t d = new_decode_dev(dev);

	pr_notice_ratelimited("longterm: %s: dev %u:%u inode %llu bytes %lld to %lld, holder %d (%.15s), breaker %d (%.15s)\n",
			      what, MAJOR(d), MINOR(d), ino, start, end, holder,
			      holder_comm, breaker, breaker_comm);
}

void lt_report_limit(const char *limit, u32 value, u32 uid)
{
	pr_notice_ratelimited("longterm: ENOLCK: user %u has reached fs.longterm.%s, which is %u: pid %d (%.15s)\n",
			      uid, limit, value, task_tgid_nr(current),
			      current->comm);
}

static struct workqueue_struct *lt_wq;
static struct delayed_work lt_settle;
static struct delayed_work lt_again;
static struct delayed_work lt_tick;

static void lt_work_again(struct work_struct *work)
{
	lt_work_settle();
}

int lt_work_start(work_func_t settle, work_func_t tick)
{
	INIT_DELAYED_WORK(&lt_settle, settle);
	INIT_DELAYED_WORK(&lt_again, lt_work_again);
	INIT_DELAYED_WORK(&lt_tick, tick);
	lt_wq = alloc_workqueue("longterm", WQ_UNBOUND, 0);
	return lt_wq ? 0 : -ENOMEM;
}

/*
 * After this none runs or can be queued.  The callers of the functions below are
 * hooks and readers, which have ended, and these items: lt_settle queues
 * lt_again, which queues lt_settle.  Neither waits for the other, so that both
 * can be waited for in turn, and what is disabled can't be queued: the last run
 * of lt_settle finds lt_again disabled.
 */
void lt_work_stop(void)
{
	disable_delayed_work_sync(&lt_tick);
	disable_delayed_work_sync(&lt_again);
	disable_delayed_work_sync(&lt_settle);
	destroy_workqueue(lt_wq);
}

/* Any context.  A tick's delay gathers the unpins of one region. */
void lt_work_settle(void)
{
	queue_delayed_work(lt_wq, &lt_settle, 1);
}

/* Any context. */
void lt_work_settle_again(void)
{
	queue_delayed_work(lt_wq, &lt_again, HZ / 10);
}

void lt_work_tick(unsigned long delay)
{
	mod_delayed_work(lt_wq, &lt_tick, delay);
}

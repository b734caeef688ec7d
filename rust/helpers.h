/* SPDX-License-Identifier: GPL-2.0 */
/*
 * C functions for the Rust side: inline functions and macros of the kernel,
 * and what is safer to say in C because it walks tasks under RCU.
 */
#ifndef _LONGTERM_HELPERS_H
#define _LONGTERM_HELPERS_H

#include <linux/fs.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct cred;
struct dev_pagemap;
struct mm_struct;
struct pid;

/* Constants that bindgen does not see through. */
enum lt_constants {
	LT_ENTRY_PAGES	= 1 << (PMD_SHIFT - PAGE_SHIFT),
	LT_COMM_LEN	= 16,
};

/* Files. */
u32 lt_inode_dev(const struct inode *inode);
u64 lt_inode_ino(const struct inode *inode);
bool lt_mapping_longterm(const struct address_space *mapping);
bool lt_may_lease(struct file *filp);
int lt_break_check(struct file *filp);
bool lt_may_take_back(const struct inode *inode);
int lt_setown(struct file *filp);
void lt_disown(struct file *filp, const struct pid *tgid);
int lt_path_get(struct file *filp, bool write, struct path *out);
void lt_path_put(struct path *path, bool write);
struct address_space *lt_path_mapping(const struct path *path);

/* Memory of a device. */
unsigned long lt_pinned_pfn(struct address_space *mapping, unsigned long index);
struct dev_pagemap *lt_pagemap_get(unsigned long pfn);
void lt_pagemap_put(struct dev_pagemap *pgmap);
bool lt_pagemap_has(const struct dev_pagemap *pgmap, unsigned long pfn);

/* Processes. */
struct pid *lt_get_pid(struct pid *pid);
const struct pid *lt_current_group(void);
const struct pid *lt_current_tgid(void);
void lt_current_comm(char *comm);
u64 lt_current_exec_id(void);
bool lt_current_alone(void);
const struct cred *lt_current_cred(void);
const struct cred *lt_get_current_cred(void);
bool lt_may_signal(struct pid *tgid, u64 exec_id, const struct cred *cred);
bool lt_group_lives(struct pid *tgid);
bool lt_runs_on(struct pid *tgid, const struct mm_struct *mm);

/* Users. */
u32 lt_current_uid(void);
bool lt_cap_lease(void);
bool lt_cap_sys_resource(void);

/* Time and the log. */
int lt_break_time(void);
u64 lt_now_ms(void);
void lt_report(const char *what, u32 dev, u64 ino, s64 start, s64 end,
	       int holder, const char *holder_comm, int breaker,
	       const char *breaker_comm);
void lt_report_limit(const char *limit, u32 value, u32 uid);

/* Deferred work: three work items on one queue of our own. */
int lt_work_start(work_func_t settle, work_func_t tick);
void lt_work_stop(void);
void lt_work_settle(void);
void lt_work_settle_again(void);
void lt_work_tick(unsigned long delay);

#endif /* _LONGTERM_HELPERS_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* /proc/fs/longterm, for the Rust side. */
#ifndef _LONGTERM_PROCFS_H
#define _LONGTERM_PROCFS_H

#include <linux/path.h>
#include <linux/seq_file.h>
#include <linux/types.h>

struct fasync_struct;
struct pid;

int lt_proc_start(const struct seq_operations *holders, unsigned int size,
		  int (*stat)(struct seq_file *m, void *v));
void lt_proc_stop(void);
void lt_proc_pause(void);

bool lt_proc_sees(struct seq_file *m, struct pid *tgid, int *nr, bool *maps,
		  char *comm);
void lt_proc_place(struct seq_file *m, const char *comm,
		   const struct path *path);

void lt_path_again(const struct path *path, struct path *out);
bool lt_fasync_path(struct fasync_struct **head, struct path *out);

#endif /* _LONGTERM_PROCFS_H */

// SPDX-License-Identifier: GPL-2.0
/* /proc/fs/longterm: see Documentation/proc.rst. */

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/longterm.h>
#include <linux/mount.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/proc_fs.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "helpers.h"
#include "procfs.h"

/* What would end a column, and what escapes it. */
#define LT_ESCAPED " \t\n\\"

static struct proc_dir_entry *lt_proc_dir;

int lt_proc_start(const struct seq_operations *holders, unsigned int size,
		  int (*stat)(struct seq_file *m, void *v))
{
	struct proc_dir_entry *dir;

	if (!IS_ENABLED(CONFIG_PROC_FS))
		return 0;

	dir = proc_mkdir("fs/longterm", NULL);
	if (!dir)
		return -ENOMEM;
	if (!proc_create_seq_private("holders", 0444, dir, holders, size, NULL) ||
	    !proc_create_single("stat", 0444, dir, stat)) {
		proc_remove(dir);
		return -ENOMEM;
	}
	lt_proc_dir = dir;
	return 0;
}

/* Waits for whoever reads; what is still open then reads EIO. */
void lt_proc_stop(void)
{
	proc_remove(lt_proc_dir);
	lt_proc_dir = NULL;
}

/* Between two lines. */
void lt_proc_pause(void)
{
	cond_resched();
}

/*
 * May who has opened @m see lines about this process?  By fs/proc's own rules for
 * what is in /proc/PID: the number that the mount's namespace knows it by, and
 * hidepid=.  If so: that number, 0 for a process that has gone; whether its maps
 * may be seen too; and what it is called, if anything.
 */
bool lt_proc_sees(struct seq_file *m, struct pid *tgid, int *nr, bool *maps,
		  char *comm)
{
	struct proc_fs_info *info = proc_sb_info(file_inode(m->file)->i_sb);
	struct task_struct *task = get_pid_task(tgid, PIDTYPE_TGID);
	const struct cred *reader;
	bool sees;

	/* Whoever was handed the open file sees what its opener could. */
	reader = override_creds(m->file->f_cred);
	if (task) {
		*nr = pid_nr_ns(tgid, info->pid_ns);
		*maps = longterm_may_look(tgid);
		strscpy_pad(comm, task->comm, LT_COMM_LEN);
		sees = *nr;
		put_task_struct(task);
	} else {
		/* There is nobody to ask whom it would let look. */
		*nr = 0;
		*maps = ns_capable_noaudit(&init_user_ns, CAP_SYS_PTRACE);
		*comm = '\0';
		sees = info->pid_ns == &init_pid_ns;
	}
	if (info->hide_pid == HIDEPID_NOT_PTRACEABLE)
		sees = sees && *maps;
	else if (info->hide_pid >= HIDEPID_NO_ACCESS)
		sees = sees && (*maps || in_group_p(info->pid_gid));
	revert_creds(reader);
	return sees;
}

static bool lt_reachable(const struct path *path)
{
	struct path root;
	bool ret;

	get_fs_root(current->fs, &root);
	ret = path_is_under(path, &root);
	path_put(&root);
	return ret;
}

/* The last columns: mount, comm, path. */
void lt_proc_place(struct seq_file *m, const char *comm,
		   const struct path *path)
{
	if (path)
		seq_printf(m, " %d ", mnt_id_of(path->mnt));
	else
		seq_puts(m, " - ");
	if (*comm)
		seq_escape(m, comm, LT_ESCAPED);
	else
		seq_putc(m, '-');
	seq_putc(m, ' ');

	if (!path)
		seq_putc(m, '-');
	/* As getcwd(2) says it, for what another mount namespace has. */
	else if (!lt_reachable(path))
		seq_puts(m, "(unreachable)");
	if (path)
		seq_path(m, path, LT_ESCAPED);
	seq_putc(m, '\n');
}

void lt_path_again(const struct path *path, struct path *out)
{
	*out = *path;
	path_get(out);
}

/*
 * The path of the file in a list of at most one.  The caller sees to it that it is
 * not taken from the list meanwhile: then it is not closed either.
 */
bool lt_fasync_path(struct fasync_struct **head, struct path *out)
{
	struct fasync_struct *fa;
	bool ret = false;

	guard(rcu)();
	fa = rcu_dereference(*head);
	if (fa && fa->fa_file) {
		lt_path_again(&fa->fa_file->f_path, out);
		ret = true;
	}
	return ret;
}
